# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# Method nat: backends see the client's address, and answer through the balancer.

nat_lab() {
	set_method nat
	lab_up_two_armed
	use_family
	lab_nginx b1
	lab_nginx b2
	attach eth0 eth1
	vip_up
}

# nat_flows FILTER: is so for the flows, counted by state.
nat_flows() {
	check "$(json show flows --vip "$VIP" --limit 10000 |
		jq -c 'group_by(.state) | map({state: .[0].state, n: length,
			methods: (map(.method) | unique), least_in: (map(.packets.in) | min),
			least_out: (map(.packets.out) | min)})')" "$1"
}

# clients_of NAME: who is connected to its web server.
clients_of() {
	lab_in "$1" ss -Htn state established "sport = :80" | awk '{ print $4 }' |
		sed 's/:[0-9]*$//; s/[][]//g; s/^::ffff://' | sort -u
}

in_modes nat_tcp $(full "generic native generic/ipv6 native/ipv6 native/lru" "generic native/ipv6 native/lru")
test_nat_tcp() {
	nat_lab
	a_backend_answers
	wrk_start wrk 3
	sleep 1.5
	nat_flows 'any(.state == "established" and .n >= 100 and .methods == ["nat"] and
		.least_in > 0 and .least_out > 0)'
	[ "$(clients_of b1)" = "$LAB_CLIENT" ] || fail "b1 has clients $(clients_of b1)"
	in_share "$(open_connections b1)" "$(open_connections b2)" 30 70
	wrk_end "$LAB_PID" wrk
	wrk_start short 3 -H 'Connection: close'
	wrk_end "$LAB_PID" short
	there_and_back 20
	check "$(json show drops)" 'map(.packets) | add == 0'
	check "$(json show flows --backend "$(with_port "$LAB_B1" 80)")" 'length > 0'
	json flush flows --backend "$(with_port "$LAB_B1" 80)" >/dev/null
	check "$(json show flows --backend "$(with_port "$LAB_B1" 80)")" 'length == 0'
}

in_both_modes nat_udp native/ipv6
test_nat_udp() {
	nat_lab
	udp_lab
	udp_flows checksum 5
	udp_flows nochecksum 5
	check "$(json show flows --proto udp --limit 5)" \
		'length == 5 and all(.state == "assured" and .method == "nat" and .packets.out > 0)'
}

# Client, balancer and backends on one link: a route to the client is all that a backend needs.
in_modes nat_one_armed generic native/ipv6
test_nat_one_armed() {
	set_method nat
	lab_with_lbctl
	answer_by_balancer "$LAB_CLIENT"
	vip_up
	wrk_start wrk 2
	wrk_end "$LAB_PID" wrk
	there_and_back 10
	check "$(json show drops)" 'map(.packets) | add == 0'
}

# A connection that the balancer has forgotten is found again, on the same backend, by the client's next
# packet.
in_modes nat_picked_up generic native/ipv6/lru
test_nat_picked_up() {
	local i
	nat_lab
	mkfifo "$LAB_DIR/go"
	# shellcheck disable=SC2016
	lab_start client bash -c 'exec 3<>"/dev/tcp/$1/80" || exit
		while read -r; do
			printf "GET / HTTP/1.1\r\nHost: b\r\n\r\n" >&3
			while read -r -t 3 line <&3 && [[ $line != $'"'\r'"' ]]; do :; done
			read -r -t 3 -n 2 name <&3 && echo "$name"
		done <"$2"' picked_up "$LAB_VIP" "$LAB_DIR/go" >"$LAB_DIR/names"
	exec 4>"$LAB_DIR/go"
	for i in 1 2 3 4 5; do
		echo >&4
		lab_until 3 eval '[ "$(wc -l <"$LAB_DIR/names")" = "$i" ]' || fail "no answer $i"
		check "$(json show flows)" 'length == 1 and .[0].state == "established"'
		check "$(json flush flows)" '.flows == 1'
	done
	exec 4>&-
	wait "$LAB_PID"
	[ "$(sort -u "$LAB_DIR/names" | wc -l)" = 1 ] || fail "answers of: $(cat "$LAB_DIR/names")"
}

# What backends do beside, by the balancer as a router, is untouched: out of the service's port, too.
in_modes nat_beside generic native/ipv6
test_nat_beside() {
	nat_lab
	lab_in lb sysctl -qw net.ipv4.ip_forward=1
	! lab_has_ipv6 || lab_in lb sysctl -qw net.ipv6.conf.all.forwarding=1
	lab_in client ip route replace "$(with_net 17)" via "$LAB_VIP"
	lab_in b1 ping -q -c 3 -i 0.2 "$LAB_CLIENT" >/dev/null || fail "b1 does not reach the client"
	lab_in client ping -q -c 2 -i 0.2 -s 4000 "$LAB_B1" >/dev/null || fail "no fragments to b1"
	[ "$(fetch "http://$(with_port "$LAB_B1" 80)/")" = b1 ] || fail "b1 is not reached by itself"
	a_backend_answers
	check "$(json show drops)" 'map(.packets) | add == 0'
}

with_net() {
	if [ "$FAMILY" = ipv6 ]; then echo "fd$1::/64"; else echo "172.$1.0.0/16"; fi
}

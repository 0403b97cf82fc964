# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# TCP through the VIP: nothing lost, nothing mixed up, both backends used.

in_both_modes wrk_without_errors native/lru
test_wrk_without_errors() {
	local seconds
	seconds=$(full 30 10)
	lab_with_lbctl
	vip_up
	wrk_start wrk "$seconds"
	sleep $((seconds / 2)) # connections are all open by then
	in_share "$(open_connections b1)" "$(open_connections b2)" 30 70
	wrk_end "$LAB_PID" wrk
}

in_both_modes short_connections generic/lru
test_short_connections() {
	local load out
	lab_with_lbctl
	vip_up
	load=$(lab_cc bench/conn_load.c)
	out=$(lab_in client "$load" "$LAB_VIP" 80 "$(full 200000 40000)" 100)
	check "$out" '.errors.all == 0 and .slow_connects == 0'
	in_share "$(jq .backends.b1 <<<"$out")" "$(jq .backends.b2 <<<"$out")" 47 53
}

# Three times as many short connections as the table holds flows leave an idle one alone.
in_modes idle_connection_outlives_short_ones generic generic/lru
test_idle_connection_outlives_short_ones() {
	local load
	lab_up
	lab_nginx b1
	lab_nginx b2
	attach eth0 --flows 4096
	vip_up
	load=$(lab_cc bench/conn_load.c)
	lab_in client bash -euc '
		request() {
			printf "GET / HTTP/1.1\r\nHost: idle\r\n\r\n" >&3
			read -r -t 5 -u 3 status
			while read -r -t 1 -u 3 line && [ "${line#b[12]}" = "$line" ]; do :; done
			[[ $status == *" 200 "* ]]
		}
		exec 3<>"/dev/tcp/$1/80"
		request
		"$2" "$1" 80 12000 100
		request' idle "$LAB_VIP" "$load" >"$LAB_DIR/idle" || fail "the idle connection is gone"
}

# A backend is a client of the VIP, too: it reaches the other one and itself.
in_both_families backend_is_client
test_backend_is_client() {
	local i
	lab_with_lbctl
	vip_up
	for i in $(seq 24); do
		lab_in b1 curl -gsS --max-time "$(slow 5)" "http://$HOST/"
	done >"$LAB_DIR/answers"
	[ "$(sort -u "$LAB_DIR/answers" | tr '\n' ' ')" = "b1 b2 " ] || fail "$(sort "$LAB_DIR/answers" | uniq -c)"
	check "$(json show drops)" 'all(.packets == 0)'
}

# Few connections, and each weight counts: three of four to b1, never b2 twice in a row.
in_both_modes by_turns
test_by_turns() {
	local i turns
	lab_with_lbctl
	lab_lbctl add-vip "$VIP" --scheduler wrr
	lab_lbctl add-backend "$VIP" "$LAB_B1" --weight 30
	lab_lbctl add-backend "$VIP" "$LAB_B2" --weight 10
	check "$(json show vips)" '.[0].scheduler == "wrr"'
	for i in $(seq 16); do
		fetch "http://$HOST/"
	done >"$LAB_DIR/turns"
	turns=$(tr -d '\n' <"$LAB_DIR/turns")
	[ "$(grep -c b1 "$LAB_DIR/turns")" = 12 ] && [[ $turns != *b2b2* ]] || fail "the turns were $turns"
	lab_lbctl set-vip "$VIP" --scheduler maglev
	for i in $(seq 16); do
		fetch --local-port $((20000 + i)) "http://$HOST/"
	done >"$LAB_DIR/hashed"
	! cmp -s "$LAB_DIR/turns" "$LAB_DIR/hashed" || fail "it goes on by turns"
}

# Clients come back to their backend, but not to one that is drained.
in_both_modes clients_persist
test_clients_persist() {
	local i first other
	lab_with_lbctl
	lab_lbctl add-vip "$VIP" --scheduler wrr --persist 2s
	lab_lbctl add-backend "$VIP" "$LAB_B1"
	lab_lbctl add-backend "$VIP" "$LAB_B2"
	check "$(json show vips)" '.[0].persist_ms == 2000'
	first=$(fetch "http://$HOST/")
	for i in 1 2 3 4 5; do
		[ "$(fetch "http://$HOST/")" = "$first" ] || fail "the client was sent elsewhere"
	done
	[ "$first" = b1 ] && other=b2 || other=b1
	[ "$first" = b1 ] && lab_lbctl drain "$VIP" "$LAB_B1" || lab_lbctl drain "$VIP" "$LAB_B2"
	[ "$(fetch "http://$HOST/")" = "$other" ] || fail "a drained backend was sent a new flow"
}

# The proof: every packet of every connection at one backend.
in_modes session_consistency generic native
test_session_consistency() {
	LAB_PREFIX=$LAB_PREFIX exec "$BENCH/consistency" --only lbctl --rounds 0 --seconds 2 \
		--connections 5000 --mode "$MODE" --lbctl "$LBCTL"
}

# The same tool with a balancer that picks a backend for each packet.
test_session_consistency_can_fail() {
	local out
	out=$(LAB_PREFIX=$LAB_PREFIX "$BENCH/consistency" --only perpacket --rounds 0 \
		--connections 50 --json)
	check "$out" '.proofs[0] | .proved == false and .packets_without_syn > 0'
}

in_both_modes transfer
test_transfer() {
	local i
	lab_with_lbctl
	vip_up
	lab_file big $((300 << 20))
	for i in 1 2; do
		fetch --max-time 60 -o "$LAB_DIR/down" "http://$LAB_VIP/big"
		cmp "$LAB_DIR/down" "$LAB_DIR/www/big"
		fetch --max-time 60 -T "$LAB_DIR/www/big" "http://$LAB_VIP/up/$i"
		cmp "$LAB_DIR"/b?/up/"$i" "$LAB_DIR/www/big"
	done
}

# iperf3 to an address, in this direction; prints the rate in Mbit/s.
bulk_rate() {
	lab_in client iperf3 -J -c "$1" -p 5201 -t "$2" "${@:3}" |
		jq '.end.sum_received.bits_per_second / 1e6 | round'
}

# Each transfer through the VIP is compared with the direct one just before it. The median counts;
# in a short run the best, since whatever else runs here disturbs it more.
test_transfer_rate() {
	local i direct through seconds way nth
	seconds=$(full 5 1)
	nth=$(full 3 5)
	lab_up
	lab_start b1 iperf3 -s -p 5201 >/dev/null
	attach eth0
	lab_lbctl add-vip "$LAB_VIP:5201/tcp"
	lab_lbctl add-backend "$LAB_VIP:5201/tcp" "$LAB_B1"
	lab_until 5 lab_listens b1 5201
	for way in "" -R; do
		: >"$LAB_DIR/percent"
		for i in 1 2 3 4 5; do
			direct=$(bulk_rate "$LAB_B1" "$seconds" $way)
			through=$(bulk_rate "$LAB_VIP" "$seconds" $way)
			echo "iperf3 $way, $i: direct $direct Mbit/s, through the VIP $through"
			echo $((through * 100 / direct)) >>"$LAB_DIR/percent"
		done
		[ "$(sort -n "$LAB_DIR/percent" | sed -n "${nth}p")" -ge 80 ] ||
			fail "less than 0.8 of direct"
	done
}

# Client and backends on different interfaces of the balancer.
in_modes two_armed $(full "generic native generic/ipv6 native/ipv6 generic/lru native/lru" \
	"generic native generic/ipv6 native/ipv6" "generic native/ipv6")
test_two_armed() {
	lab_up_two_armed
	use_family
	lab_nginx b1
	lab_nginx b2
	attach eth0 eth1
	vip_up
	wrk_start wrk 3
	wrk_end "$LAB_PID" wrk
	wrk_start wrk 3 -H 'Connection: close'
	wrk_end "$LAB_PID" wrk
	there_and_back "$(full 50 50 10)"
}

# A little of all in one lab, for guests, where labs take long.
in_modes smoke $(full "generic generic/ipv6 native/ipv6" "generic generic/ipv6 native/ipv6" \
	"generic native/lru generic/lru/ipv6 native/ipv6")
test_smoke() {
	lab_with_lbctl
	vip_up
	a_backend_answers
	wrk_start wrk 3
	wrk_end "$LAB_PID" wrk
	in_share "$(lab_accepted b1)" "$(lab_accepted b2)" 30 70
	there_and_back 10
	udp_lab
	udp_flows checksum 2
	udp_flows nochecksum 2
	all_shown
	check "$(json show drops)" 'map(.packets) | add == 0'
	one_by_one_gone
}

# Lists name VIPs, backends and clients in the one way there is to write them, in JSON and text.
all_shown() {
	local list
	check "$(json show vips)" "map([.vip, .backends, .up]) | sort ==
		([[\"$VIP\", 2, 2], [\"$HOST:53/udp\", 2, 2]] | sort)"
	check "$(json show backends "$VIP")" "map(.backend) | sort ==
		([\"$(with_port "$LAB_B1" 80)\", \"$(with_port "$LAB_B2" 80)\"] | sort)"
	check "$(json show flows --vip "$VIP" --client "$LAB_CLIENT" --limit 5)" "length == 5 and all(
		.vip == \"$VIP\" and (.client | startswith(\"$(with_port "$LAB_CLIENT" '')\")) and
		(.backend | IN(\"$(with_port "$LAB_B1" 80)\", \"$(with_port "$LAB_B2" 80)\")))"
	for list in vips backends flows; do
		lab_lbctl show "$list" "$VIP" >"$LAB_DIR/list"
		grep -qF "$VIP " "$LAB_DIR/list" || fail "show $list: $(head -n 3 "$LAB_DIR/list")"
	done
}

# A backend drains and goes, and so do the flows: the other one has all that comes.
one_by_one_gone() {
	local i
	lab_lbctl drain "$VIP" "$LAB_B2"
	check "$(json show backends "$VIP")" "map(select(.backend == \"$(with_port "$LAB_B2" 80)\")) |
		length == 1 and .[0].state == \"drain\""
	for i in 1 2 3 4 5 6; do
		[ "$(fetch "http://$HOST/")" = b1 ] || fail "a draining backend got a connection"
	done
	lab_lbctl del-backend "$VIP" "$LAB_B2"
	lab_lbctl flush flows --vip "$HOST:53/udp"
	check "$(json show flows --limit 100000)" "length > 0 and
		all(.vip == \"$VIP\" and .backend == \"$(with_port "$LAB_B1" 80)\")"
	lab_lbctl flush flows
	check "$(json show flows)" 'length == 0'
	[ "$(fetch "http://$HOST/")" = b1 ] || fail "the backend that is left doesn't answer"
}

forget_neighbours() {
	local name
	for name in client lb b1 b2; do
		lab_in "$name" ip neigh flush all nud all
	done
}

# With no neighbour known to anybody the first request is served within a second.
in_both_modes cold_start
test_cold_start() {
	local i
	lab_up
	lab_nginx b1
	lab_nginx b2
	for i in 1 2 3; do
		forget_neighbours
		attach eth0
		vip_up
		fetch --max-time 1 "http://$LAB_VIP/" >/dev/null
		lab_lbctl unload
	done
}

# Neighbours that are lost later, on a link that flaps for instance, are done without.
in_both_modes neighbours_lost
test_neighbours_lost() {
	local i
	lab_with_lbctl
	vip_up
	for i in 1 2 3 4 5 6 7 8; do
		fetch "http://$LAB_VIP/" >/dev/null
	done
	for i in 1 2 3 4; do
		forget_neighbours
		fetch --max-time 1 "http://$LAB_VIP/" >/dev/null
	done
}

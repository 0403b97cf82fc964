# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# What every method has to carry, one test for each kind of traffic: the cells of tests/e2e/matrix, which
# runs them with all methods, families and modes. By themselves they run in those where no other test does.

# Client, balancer and backends, set up as the method wants it.
cell_lab() {
	case $METHOD in
	fullnat)
		lab_up
		use_family
		;;
	nat)
		lab_up
		use_family
		answer_by_balancer "$LAB_CLIENT"
		;;
	*)
		tunnel_lab
		lab_in client ip link set dev eth0 mtu 1500
		return
		;;
	esac
	lab_nginx b1
	lab_nginx b2
	attach eth0
}

# cell_vip VIP: with both backends.
cell_vip() {
	VIP=$1
	tunnel_up
}

# Room for tunnels, as the README says, and frames as a wire has them: none merged.
cell_wire() {
	local name
	for name in client b1 b2; do
		lab_in "$name" ip link set dev eth0 gso_max_segs 1
	done
}

in_modes cell_tcp native/ipip native/dsr/ipv6
test_cell_tcp() {
	cell_lab
	[ "$METHOD" = fullnat ] || [ "$METHOD" = nat ] || lab_in client ip link set dev eth0 mtu 1448
	cell_vip "$VIP"
	a_backend_answers
	wrk_start wrk 2
	wrk_end "$LAB_PID" wrk
	there_and_back "$(full 100 5)"
	check "$(json show drops)" 'map(.packets) | add == 0'
}

# UDP servers, which answer from the VIP where they have it themselves.
cell_echo() {
	local name at=$LAB_VIP
	[ "$METHOD" != fullnat ] && [ "$METHOD" != nat ] || at=$(any_address)
	ECHO=$(lab_cc tests/e2e/echo.c)
	for name in b1 b2; do
		lab_start "$name" "$ECHO" serve 53 "$name" "$at"
		lab_until "$(slow 5)" lab_listens_udp "$name" 53
	done
}

in_modes cell_udp generic/ipip/ipv6 native/gue
test_cell_udp() {
	cell_lab
	[ "$METHOD" = fullnat ] || [ "$METHOD" = nat ] || lab_in client ip link set dev eth0 mtu 1448
	cell_echo
	cell_vip "$HOST:53/udp"
	udp_flows checksum 3
	udp_flows nochecksum 3
	check "$(json show drops)" 'map(.packets) | add == 0'
}

in_modes cell_fragments generic/gue/other
test_cell_fragments() {
	fragment_lab shuffled
	daemon_up
	fragment_flows shuffled "$(full 1000 100)"
	check "$(json show drops)" 'map(.packets) | add == 0'
}

# cell_unreachables NAME: how many ICMP errors of that kind have come to it.
cell_unreachables() {
	if [ "$FAMILY" = ipv6 ]; then
		lab_counter "$1" Icmp6InDestUnreachs
	else
		lab_counter "$1" IcmpInDestUnreachs
	fi
}

# Clients that are gone before the answer comes, mostly. Have both backends been told of some?
cell_gone_clients() {
	local i
	for ((i = 0; i < 20; i++)); do
		# shellcheck disable=SC2016
		lab_in client bash -c 'echo >"/dev/udp/$1/53"' gone "$LAB_VIP"
	done
	[ "$(cell_unreachables b1)" -gt 0 ] && [ "$(cell_unreachables b2)" -gt 0 ]
}

# One port, to which nobody listens at the backends; then they do, and the client is gone when they answer.
in_modes cell_icmp generic/fullnat/ipv6 native/nat generic/dsr native/ipip/ipv6 native/gue/other
test_cell_icmp() {
	cell_lab
	cell_vip "$HOST:53/udp"
	# shellcheck disable=SC2016
	lab_in client bash -c 'exec 3<>"/dev/udp/$1/53" && echo >&3 && sleep 0.5 && ! echo >&3' \
		closed "$LAB_VIP" 2>"$LAB_DIR/refused" || fail "the client is not told"
	grep -q 'Connection refused' "$LAB_DIR/refused"
	cell_echo
	lab_until 30 cell_gone_clients ||
		fail "the backends are not told: $(cell_unreachables b1) and $(cell_unreachables b2)"
	check "$(json show drops)" 'map(.packets) | add == 0'
}

# The way from the balancer to the backends is narrower than the client's.
in_modes cell_pmtu_backend generic/ipip generic/dsr/ipv6
test_cell_pmtu_backend() {
	cell_lab
	cell_vip "$VIP"
	cell_wire
	way 17 eth0 1400
	there_and_back "$(full 100 5)"
	dropped_as too_big
}

# far_net HOST: an address of the network behind the client, which is its router then.
far_net() {
	if [ "$FAMILY" = ipv6 ]; then echo "fd19::$1"; else echo "172.19.0.$1"; fi
}

# The next client, whose way leads by the first: narrow, as only the router knows.
far_client() {
	local name bits=24 nodad=()
	[ "$FAMILY" = ipv4 ] || bits=64 nodad=(nodad)
	ip netns add "$LAB_PREFIX-far"
	lab_in client sysctl -qw net.ipv4.ip_forward=1
	! lab_has_ipv6 || lab_in client sysctl -qw net.ipv6.conf.all.forwarding=1
	lab_in client ip link add eth9 type veth peer name eth0 netns "$LAB_PREFIX-far"
	lab_in client ip link set eth9 up
	lab_in far ip link set eth0 up gso_max_segs 1
	lab_in client ip addr add "$(far_net 1)/$bits" dev eth9 "${nodad[@]}"
	lab_in far ip addr add "$(far_net 2)/$bits" dev eth0 "${nodad[@]}"
	lab_in far ip route add default via "$(far_net 1)"
	lab_in client ip route replace "$(far_net 2)" dev eth9 mtu lock 1400
	lab_in lb ip route add "$(far_net 2)" via "$LAB_CLIENT"
	if [ "$METHOD" = nat ]; then
		answer_by_balancer "$(far_net 2)"
		return
	fi
	for name in b1 b2; do
		lab_in "$name" ip route add "$(far_net 2)" via "$LAB_CLIENT"
	done
}

# Errors of that router go to the VIP, so to the balancer, and have to find the backend that sent too much.
in_modes cell_pmtu_client generic/fullnat native/fullnat/ipv6 generic/nat/ipv6 native/dsr generic/ipip/ipv6 \
	native/gue
test_cell_pmtu_client() {
	cell_lab
	cell_vip "$VIP"
	cell_wire
	far_client
	lab_file big $(($(full 100 5) << 20))
	lab_in far curl -gsS --max-time 60 -o "$LAB_DIR/down" "http://$HOST/big"
	cmp "$LAB_DIR/down" "$LAB_DIR/www/big"
	[ $(($(cell_too_big b1) + $(cell_too_big b2))) -gt 0 ] || fail "no backend was told"
}

# It has learnt a smaller MTU of the far client's, or of the balancer, whom it answers.
cell_too_big() {
	if [ "$FAMILY" = ipv6 ]; then
		lab_counter "$1" Icmp6InPktTooBigs
	else
		lab_counter "$1" IcmpInDestUnreachs
	fi
}

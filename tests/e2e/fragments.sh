# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# Datagrams in fragments through the VIP, in and out of order, with lbctl daemon for those out of it.

FRAGMENT_CLIENTS=50

# A client of many addresses, and backends that answer in fragments of their own, in this order.
fragment_lab() {
	local i name number=0
	case $METHOD in
	fullnat | nat) lab_up && use_family && attach eth0 ;;
	*) tunnel_lab ;;
	esac
	FRAGMENTS=$(lab_cc tests/e2e/fragments.c)
	if [ "$FAMILY" = ipv6 ]; then FRAGMENT_CLIENT=fd17::100; else FRAGMENT_CLIENT=172.17.1.1; fi
	for ((i = 0; i < FRAGMENT_CLIENTS; i++)); do
		if [ "$FAMILY" = ipv6 ]; then
			lab_in client ip addr add "fd17::$(printf %x $((0x100 + i)))/64" dev eth0 nodad
		else
			lab_in client ip addr add "172.17.1.$((1 + i))/16" dev eth0
		fi
	done
	[ "$METHOD" != nat ] || fragment_clients_by_balancer
	# Receivers that take any disorder, and of one sender's datagrams many at once.
	for name in client b1 b2; do
		lab_in "$name" sysctl -qw net.ipv4.ipfrag_max_dist=0
	done
	for name in b1 b2; do
		number=$((number + 1))
		# Without fullnat their datagrams meet at the client as they left.
		lab_start "$name" "$FRAGMENTS" serve "$(any_address)" 53 "$number" \
			$([ "$METHOD" = fullnat ] && echo 1 || echo $((number * 1000))) "$1" 1400
		lab_until "$(slow 5)" lab_listens_udp "$name" 53
	done
	VIP=$HOST:53/udp
	tunnel_up
}

# Each address apart: the balancer's own network stays on the link.
fragment_clients_by_balancer() {
	if [ "$FAMILY" = ipv6 ]; then
		answer_by_balancer fd17::100/120
	else
		answer_by_balancer 172.17.1.0/24
	fi
}

lab_listens_udp() {
	[ -n "$(lab_in "$1" ss -Hlun "sport = :$2")" ]
}

daemon_up() {
	lab_start lb "$LBCTL" --pin-dir "$LAB_PINS" daemon "$@" >"$LAB_DIR/daemon" 2>&1
	DAEMON=$LAB_PID
	lab_until "$(slow 5)" daemon_said 'keeps packets' && return
	! daemon_said 'Linux 5.18' || skip "the daemon needs Linux 5.18"
	fail "the daemon said: $(cat "$LAB_DIR/daemon")"
}

daemon_said() {
	grep -q "$1" "$LAB_DIR/daemon"
}

# fragment_flows ORDER DATAGRAMS [FLOWS [MAX]]
fragment_flows() {
	local out
	out=$(lab_in client "$FRAGMENTS" flows "$LAB_VIP" 53 "$FRAGMENT_CLIENT" $FRAGMENT_CLIENTS \
		"${3:-200}" "$2" 4000 "${4:-60000}" "$1" 1400) ||
		fail "$1: $out"$'\n'"$(cat "$LAB_DIR/daemon" 2>/dev/null || true)"
	check "$out" '.flows[0] == 0 and .flows[1] > 0 and .flows[2] > 0'
}

# No reassembly failed at either backend.
reassembled() {
	local name
	for name in b1 b2; do
		[ "$(lab_counter "$name" IpReasmFails)" = 0 ] ||
			fail "$name could not put $(lab_counter "$name" IpReasmFails) together"
	done
}

in_modes fragments_in_order generic/fullnat native/fullnat generic/fullnat/ipv6 native/fullnat/ipv6 \
	generic/nat native/nat/ipv6 \
	generic/dsr native/dsr/ipv6 native/ipip generic/ipip/ipv6 native/gue generic/gue/ipv6
test_fragments_in_order() {
	fragment_lab in
	fragment_flows in "$(full 10000 300 100)"
	reassembled
	check "$(json show drops)" 'map(.packets) | add == 0'
}

in_modes fragments_out_of_order generic/fullnat native/fullnat generic/fullnat/ipv6 native/fullnat/ipv6 \
	generic/nat/ipv6 native/nat \
	generic/dsr native/dsr/ipv6 native/ipip generic/ipip/ipv6 native/gue generic/gue/ipv6
test_fragments_out_of_order() {
	fragment_lab shuffled
	daemon_up
	fragment_flows shuffled "$(full 10000 300 100)"
	fragment_flows reversed "$(full 10000 300 100)"
	reassembled
	check "$(json show drops)" 'map(.packets) | add == 0'
	check "$(json show stats)" '.parked > 100'
}

# An address of the host that has a VIP, too: its own datagrams arrive, with and without a daemon.
in_modes fragments_of_the_host generic/fullnat native/fullnat/ipv6
test_fragments_of_the_host() {
	local i
	fragment_lab in
	lab_start lb "$FRAGMENTS" serve "$(any_address)" 5353 1 1 in 1400
	for i in none daemon; do
		lab_in client "$FRAGMENTS" flows "$LAB_VIP" 5353 "$FRAGMENT_CLIENT" $FRAGMENT_CLIENTS \
			50 "$(full 1000 200 50)" 4000 60000 shuffled 1400
		[ "$i" = daemon ] || daemon_up
	done
	[ "$(json show flows | jq length)" = 0 ] || fail "the host's datagrams have flows"
	check "$(json show drops)" 'map(.packets) | add == 0'
}

# fragment_alone ADDRESS: a datagram whose first fragment never comes.
fragment_alone() {
	lab_in client "$FRAGMENTS" alone "$1" 53 "$FRAGMENT_CLIENT" 4000 1400
}

early_drops() {
	json show drops | jq '.[] | select(.reason == "fragment_early").packets'
}

# Never completed: counted, at once or after the time; handed up where the address is the host's.
in_modes fragments_alone generic/fullnat native/fullnat/ipv6
test_fragments_alone() {
	local foreign failed
	fragment_lab in
	if [ "$FAMILY" = ipv6 ]; then foreign=fd17::77; else foreign=172.17.0.77; fi
	lab_in client ip neigh replace "$foreign" dev eth0 lladdr \
		"$(lab_in lb cat /sys/class/net/eth0/address)"
	lab_lbctl add-vip "$(with_port "$foreign" 53/udp)"
	lab_lbctl add-backend "$(with_port "$foreign" 53/udp)" "$LAB_B1"
	fragment_alone "$foreign"
	[ "$(early_drops)" = 2 ] || fail "$(early_drops) were dropped"
	daemon_up --park-time 300ms
	fragment_alone "$foreign"
	[ "$(early_drops)" = 2 ] || fail "they were not parked"
	lab_until 2 eval '[ "$(early_drops)" = 4 ]' || fail "$(early_drops) were dropped"
	fragment_alone "$LAB_VIP"
	failed=$(lab_counter lb "$(if [ "$FAMILY" = ipv6 ]; then echo Ip6ReasmReqds; else echo IpReasmReqds; fi)")
	sleep 0.6
	[ "$(lab_counter lb "$(if [ "$FAMILY" = ipv6 ]; then echo Ip6ReasmReqds; else echo IpReasmReqds; fi)")" = $((failed + 2)) ] ||
		fail "the host did not get them"
	[ "$(early_drops)" = 4 ] || fail "the host's were dropped"
}

# It may come and go at any time, and so may the balancer.
test_daemon_comes_and_goes() {
	METHOD=fullnat
	fragment_lab reversed
	lab_lbctl unload
	lab_start lb "$LBCTL" --pin-dir "$LAB_PINS" daemon >"$LAB_DIR/daemon" 2>&1
	DAEMON=$LAB_PID
	lab_until 3 daemon_said 'waits for a balancer'
	attach eth0
	lab_lbctl add-vip "$HOST:53/udp"
	lab_lbctl add-backend "$HOST:53/udp" "$LAB_B1"
	lab_lbctl add-backend "$HOST:53/udp" "$LAB_B2"
	lab_until 3 daemon_said 'keeps packets' ||
		{ ! daemon_said 'Linux 5.18' || skip "the daemon needs Linux 5.18"; fail "it missed the balancer"; }
	fragment_flows reversed 50
	! lab_lbctl daemon 2>"$LAB_DIR/second" || fail "a second daemon ran"
	grep -q '^lbctl: daemon: another lbctl daemon runs' "$LAB_DIR/second"
	attach eth0 # other programs, the same maps
	fragment_flows reversed 50
	kill -KILL "$DAEMON"
	wait "$DAEMON" || true
	a_datagram_passes
	daemon_up
	fragment_flows reversed 50
	kill -TERM "$DAEMON"
	wait "$DAEMON" || fail "it ended with status $?"
}

# A whole one needs no daemon.
a_datagram_passes() {
	lab_in client "$FRAGMENTS" flows "$LAB_VIP" 53 "$FRAGMENT_CLIENT" $FRAGMENT_CLIENTS 16 16 \
		100 200 in 1400
}

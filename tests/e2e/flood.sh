# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# Floods: spoofed packets to the VIP, while connections that are there go on and new ones are made.

FLOOD_RATE=$(full 220000 100000)

# The flood comes by an interface of its own, as frames that no stack of the sender's has made.
flood_lab() {
	local name at=0.0.0.0
	set_flows 65536 # the flood is much larger
	if [ "$METHOD" = dsr ]; then
		tunnel_lab
		at=$LAB_VIP
	else
		lab_up
		use_family
		[ "$METHOD" != nat ] || answer_by_balancer "$LAB_CLIENT"
		attach eth0
	fi
	FLOOD=$LAB_DIR/flood
	${CC:-cc} -std=gnu11 -O2 -Wall -Wextra -Werror -o "$FLOOD" "$LAB_ROOT/tests/e2e/flood.c" -lbpf
	clang -O2 -g -Wall -Werror -target bpf -I"/usr/include/$(uname -m)-linux-gnu" -c \
		-o "$LAB_DIR/flood.o" "$LAB_ROOT/tests/e2e/flood.bpf.c"
	ip netns add "$LAB_PREFIX-far"
	lab_in lb ip link add eth9 numrxqueues 2 type veth peer name eth0 netns "$LAB_PREFIX-far"
	lab_in lb ip link set eth9 up
	lab_in lb ip route add 198.18.0.0/15 dev eth9
	lab_in far ip link set eth0 up
	lab_xdp far eth0 xdpdrv 1 # answers end here
	lab_lbctl attach eth9 --mode native
	for name in b1 b2; do
		# Another machine's work, for another CPU: all that the flood sets off is its sender's else.
		ip netns exec "$LAB_PREFIX-$name" sh -c 'echo 2 >/sys/class/net/eth0/queues/rx-0/rps_cpus'
		# Answers of their own would go nowhere.
		lab_in "$name" ip route add blackhole 198.18.0.0/15
		lab_start "$name" "$FLOOD" serve 8080 "$name" "$at"
		lab_until "$(slow 5)" lab_listens "$name" 8080
	done
	VIP=$HOST:8080/tcp
	tunnel_up
}

# flood_link NAME IFACE FIELD
flood_link() {
	lab_in "$1" ip -j link show "$2" | jq -r ".[0].$3"
}

# flood_start RATE SECONDS KIND [CPU]: from one CPU, which receives it, too.
flood_start() {
	lab_start far taskset -c "${4:-0}" "$FLOOD" send "$LAB_DIR/flood.o" "$(flood_link far eth0 ifindex)" \
		"$(flood_link lb eth9 address)" "$LAB_VIP" 8080 "$3" "$1" "$2" >>"$LAB_DIR/sent"
}

# As many packets a second.
flood_sent() {
	jq -s 'map(.a_second) | add' "$LAB_DIR/sent"
}

# through_flood KIND SECONDS: connections that were there before go on, new ones are made.
through_flood() {
	local seconds=$2 hold
	: >"$LAB_DIR/sent"
	lab_start client "$FLOOD" hold "$LAB_VIP" 8080 "$(full 500 100)" $((seconds + 5)) >"$LAB_DIR/held"
	hold=$LAB_PID
	lab_until 10 grep -q ready "$LAB_DIR/held"
	sleep 0.5
	flood_start "$FLOOD_RATE" "$seconds" "$1"
	wait "$LAB_PID"
	wait "$hold"
	cat "$LAB_DIR/sent" "$LAB_DIR/held"
	[ "$(flood_sent)" -ge "$(full 200000 50000)" ] || fail "a flood of $(flood_sent) a second"
	check "$(tail -n 1 "$LAB_DIR/held")" \
		".broken == 0 and .moved == 0 and .stall_ms < $(full 1000 2000) and
			.served >= .begun * 0.95"
}

# Half-open flows go, and nothing else.
in_modes syn_flood $(full "native/fullnat native/dsr native/lru/fullnat" "native/fullnat native/dsr")
test_syn_flood() {
	flood_lab
	[ "$METHOD" = dsr ] || lab_lbctl set-vip "$VIP" --new-rate 20000
	through_flood syn "$(full 20 5)"
	[ "$METHOD" != dsr ] || check "$(json show stats)" '.flows.created > 2 * .flows.capacity'
}

# Of all else that has no flow: what a flood costs is its own packets.
in_modes other_floods $(full "native/fullnat native/dsr" native/fullnat)
test_other_floods() {
	local kind
	flood_lab
	for kind in ack first later icmp; do
		through_flood "$kind" "$(full 20 2)"
	done
}

established() {
	json show flows --vip "$VIP" --state established --limit 1000 | jq length
}

# What two cores make and take: a pair of halves costs more than one half, and the kernel's table most.
flood_least() {
	case $TABLE/$METHOD in
	lru/*) full 100000 50000 ;;
	*/dsr) full 1000000 100000 ;;
	*) full 150000 50000 ;;
	esac
}

# The data path alone: no backend can be reached, and of as many SYNs as the machine can make none takes
# an established flow's place. When backends are back, the connections go on.
in_modes flood_takes_none $(full "native/fullnat native/dsr native/lru/fullnat" "native/fullnat native/lru/dsr")
test_flood_takes_none() {
	flood_lab
	flood_unanswered "$(flood_least)"
	check "$(json show stats)" '.flows.created > 2 * .flows.capacity'
}

# The same with the limit that README advises: what is turned away costs a fraction of a new flow.
in_modes limited_flood_takes_none $(full "native/fullnat native/lru/fullnat" "native/fullnat")
test_limited_flood_takes_none() {
	flood_lab
	lab_lbctl set-vip "$VIP" --new-rate 20000
	flood_unanswered "$(full 1000000 100000)"
	check "$(json show drops)" 'any(.reason == "new_rate" and .packets > 100000)'
}

# flood_unanswered LEAST: so many a second at least.
flood_unanswered() {
	local n hold seconds backend sender
	n=$(full 500 100)
	seconds=$(full 20 3)
	lab_start client "$FLOOD" hold "$LAB_VIP" 8080 "$n" $((seconds + 8)) >"$LAB_DIR/held"
	hold=$LAB_PID
	lab_until 10 grep -q ready "$LAB_DIR/held"
	lab_until 5 eval '[ "$(established)" -ge "$n" ]'
	for backend in "$LAB_B1" "$LAB_B2"; do
		lab_in lb ip route add blackhole "$backend"
	done
	flood_start "$(full 650000 150000)" "$seconds" syn 0
	sender=$LAB_PID
	flood_start "$(full 650000 150000)" "$seconds" syn 1
	wait "$sender"
	wait "$LAB_PID"
	[ "$(established)" -ge "$n" ] || fail "of $n connections $(established) are left"
	for backend in "$LAB_B1" "$LAB_B2"; do
		lab_in lb ip route del blackhole "$backend"
	done
	wait "$hold"
	cat "$LAB_DIR/sent" "$LAB_DIR/held"
	[ "$(flood_sent)" -ge "$1" ] || fail "a flood of $(flood_sent) a second"
	check "$(tail -n 1 "$LAB_DIR/held")" '.broken == 0 and .moved == 0'
}

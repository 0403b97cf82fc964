# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# UDP through the VIP: every client's datagrams go to one backend and all are answered.

any_address() {
	[ "$FAMILY" = ipv6 ] && echo :: || echo 0.0.0.0
}

udp_lab() {
	ECHO=$(lab_cc tests/e2e/echo.c)
	lab_start b1 "$ECHO" serve 53 b1 "$(any_address)"
	lab_start b2 "$ECHO" serve 53 b2 "$(any_address)"
	lab_until "$(slow 5)" lab_listens b1 53
	lab_until "$(slow 5)" lab_listens b2 53
	add_vip "$HOST:53/udp"
	lab_lbctl add-backend "$HOST:53/udp" "$LAB_B1"
	lab_lbctl add-backend "$HOST:53/udp" "$LAB_B2"
}

# udp_flows checksum|nochecksum ROUNDS
udp_flows() {
	local out first flows
	[ "$1 $FAMILY" != "nochecksum ipv6" ] || return 0 # IPv6 has no UDP without
	flows=$(full 1000 1000 500)
	out=$(lab_in client "$ECHO" flows "$LAB_VIP" 53 "$flows" "$2" "$1") || fail "$1: $out"
	first=$(jq .at_first_server <<<"$out")
	in_share "$first" $((flows - first)) 40 60
}

in_both_families udp_flows_stay generic/lru
test_udp_flows_stay() {
	lab_up
	use_family
	attach eth0
	udp_lab
	udp_flows checksum 10
	udp_flows nochecksum 10
	check "$(json show flows --proto udp --limit 5)" \
		"length == 5 and all(.state == \"assured\" and .vip == \"$HOST:53/udp\")"
}

udp_all_there() {
	[ "$(json show flows --proto udp --limit 1000 | jq length)" = 500 ]
}

# Flows stay where they are while a backend drains, and while the program is swapped.
in_both_families udp_flows_survive_changes
test_udp_flows_survive_changes() {
	lab_up
	use_family
	attach eth0
	udp_lab
	lab_start client "$ECHO" flows "$LAB_VIP" 53 500 200 checksum >"$LAB_DIR/udp"
	lab_until 5 udp_all_there
	lab_lbctl set-backend "$HOST:53/udp" "$LAB_B1" --weight 7
	lab_lbctl drain "$HOST:53/udp" "$LAB_B2"
	lab_lbctl attach eth0 --mode "$MODE"
	wait "$LAB_PID" || fail "$(cat "$LAB_DIR/udp")"
}

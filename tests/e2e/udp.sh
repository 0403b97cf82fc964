# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# UDP through the VIP: every client's datagrams go to one backend and all are answered.

udp_lab() {
	ECHO=$(lab_cc tests/e2e/echo.c)
	lab_start b1 "$ECHO" serve 53 b1
	lab_start b2 "$ECHO" serve 53 b2
	lab_until "$(slow 5)" lab_listens b1 53
	lab_until "$(slow 5)" lab_listens b2 53
	lab_lbctl add-vip "$LAB_VIP:53/udp"
	lab_lbctl add-backend "$LAB_VIP:53/udp" "$LAB_B1"
	lab_lbctl add-backend "$LAB_VIP:53/udp" "$LAB_B2"
}

udp_flows() {
	local out first flows
	flows=$(full 1000 1000 500)
	out=$(lab_in client "$ECHO" flows "$LAB_VIP" 53 "$flows" "$2" "$1") || fail "$1: $out"
	first=$(jq .at_first_server <<<"$out")
	in_share "$first" $((flows - first)) 40 60
}

in_both_modes udp_flows_stay generic/lru
test_udp_flows_stay() {
	lab_up
	attach eth0
	udp_lab
	udp_flows checksum 10
	udp_flows nochecksum 10
	check "$(json show flows --proto udp --limit 5)" \
		'length == 5 and all(.state == "assured" and .vip == "172.17.0.5:53/udp")'
}

udp_all_there() {
	[ "$(json show flows --proto udp --limit 1000 | jq length)" = 500 ]
}

# Flows stay where they are while a backend drains, and while the program is swapped.
in_both_modes udp_flows_survive_changes
test_udp_flows_survive_changes() {
	lab_up
	attach eth0
	udp_lab
	lab_start client "$ECHO" flows "$LAB_VIP" 53 500 200 checksum >"$LAB_DIR/udp"
	lab_until 5 udp_all_there
	lab_lbctl set-backend "$LAB_VIP:53/udp" "$LAB_B1" --weight 7
	lab_lbctl drain "$LAB_VIP:53/udp" "$LAB_B2"
	lab_lbctl attach eth0 --mode "$MODE"
	wait "$LAB_PID" || fail "$(cat "$LAB_DIR/udp")"
}

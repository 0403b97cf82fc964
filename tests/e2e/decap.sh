# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# lbctl decap on the backends: what it unwraps, and what it leaves alone.

# decap_is NAME FILTER: is so for what it counts there.
decap_is() {
	check "$(decap "$1" -o json show)" "length == 1 and (.[0] | $2)"
}

in_modes decap generic native generic/ipv6/other native/gue generic/gue/ipv6 native/gue/ipv6/other
test_decap() {
	local name other=$LAB_B1
	UNWRAPS=lbctl
	tunnel_lab
	tunnel_up
	a_backend_answers
	wrk_start wrk 2
	wrk_end "$LAB_PID" wrk
	there_and_back 20
	cell_echo
	VIP=$HOST:53/udp
	tunnel_up
	udp_flows checksum 3
	udp_flows nochecksum 3
	for name in b1 b2; do
		decap_is "$name" ".mode == \"$MODE\" and .unwrapped > 1000 and .other == 0 and
			.malformed == 0 and .congested == 0"
	done
	# Another VIP, of which the backends know nothing yet.
	decap b1 attach eth0 --vip 192.0.2.1
	decap b2 attach eth0 --vip 192.0.2.1,2001:db8::1
	! fetch --max-time 1 "http://$HOST/" 2>/dev/null || fail "it was unwrapped"
	decap_is b1 '.other > 0 or .unwrapped > 0'
	decap b1 attach eth0
	decap b2 attach eth0
	a_backend_answers
	decap b1 detach eth0
	[ ! -e "$LAB_PINS/b1/decap" ] || fail "pins are left"
	! decap b1 detach eth0 || fail "it was detached twice"
}

# A stranger's program stays, and is named.
in_modes decap_refused generic
test_decap_refused() {
	lab_up
	lab_xdp b1 eth0 xdpgeneric 2
	lab_in b1 ip addr add 192.0.2.1 dev lo
	! decap b1 attach eth0 2>"$LAB_DIR/said" || fail "it took the interface"
	grep -q 'holds XDP program .*answer' "$LAB_DIR/said" || fail "it said: $(cat "$LAB_DIR/said")"
	! decap b2 attach eth0 2>"$LAB_DIR/said" || fail "there is no VIP"
	grep -q 'ip address add VIP dev lo' "$LAB_DIR/said" || fail "it said: $(cat "$LAB_DIR/said")"
	! decap b2 attach eth7 2>"$LAB_DIR/said" || fail "there is no such interface"
	[ ! -e "$LAB_PINS/b2/decap" ] || fail "pins are left"
	[ "$(decap b2 -o json show)" = '[]' ]
}

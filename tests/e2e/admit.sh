# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# Who may open flows, and how many a second.

# refused SECONDS: a new connection gets no answer in this time.
refused() {
	! fetch --connect-timeout "$1" "http://$HOST/" >/dev/null 2>&1 || fail "a new flow was let in"
}

dropped_as() {
	check "$(json show drops)" "any(.reason == \"$1\" and .packets > 0)"
}

net_of_lab() {
	if [ "$FAMILY" = ipv6 ]; then echo fd17::/64; else echo 172.17.0.0/24; fi
}

# Denied: no new flow, but what is there goes on, and the host answers as before.
in_modes denied generic native/ipv6 generic/lru
test_denied() {
	lab_with_lbctl
	vip_up
	wrk_start wrk 4
	until lab_lbctl show flows --state established --limit 1 | grep -q established; do
		sleep 0.1
	done
	lab_lbctl deny add "$LAB_CLIENT"
	check "$(json deny show)" "map(.prefix) == [\"$LAB_CLIENT/$(if [ "$FAMILY" = ipv6 ]; then echo 128; else echo 32; fi)\"]"
	refused 1
	dropped_as denied
	lab_in client ping -c 1 -W 2 "$LAB_LB"
	wrk_end "$LAB_PID" wrk
	lab_lbctl deny del "$LAB_CLIENT"
	a_backend_answers
	lab_lbctl deny add "$(net_of_lab)"
	refused 1
	check "$(json deny show "$LAB_CLIENT")" 'length == 1'
	! lab_lbctl deny add "$(net_of_lab)" || fail "it was denied twice"
	! lab_lbctl deny del "$LAB_CLIENT" || fail "what isn't denied was deleted"
	lab_lbctl deny del "$(net_of_lab)"
	a_backend_answers
	check "$(json deny show)" '. == []'
}

# A VIP for some clients; a change goes from one whole list to another.
in_modes allowed generic/ipv6 native
test_allowed() {
	lab_with_lbctl
	vip_up
	lab_lbctl set-vip "$VIP" --allow 192.0.2.0/24,2001:db8::/32
	refused 1
	dropped_as not_allowed
	lab_lbctl set-vip "$VIP" --allow "192.0.2.0/24,$(net_of_lab)"
	a_backend_answers
	check "$(json show vips)" ".[0].allow | length == 2 and any(. == \"$(net_of_lab)\")"
	lab_lbctl deny add "$LAB_CLIENT"
	refused 1
	lab_lbctl deny del "$LAB_CLIENT"
	lab_lbctl set-vip "$VIP" --allow any
	check "$(json show vips)" '.[0].allow == []'
	a_backend_answers
	[ "$(lab_in lb bpftool -j map dump pinned "$LAB_PINS/maps/lb_prefixes" | jq length)" = 0 ] ||
		fail "prefixes of lists that nobody names are left"
}

# Above a limit new flows are dropped, or carried without a flow; those that are there notice nothing.
in_modes new_rate generic native/lru generic/ipv6
test_new_rate() {
	local i got=0
	lab_with_lbctl
	vip_up
	wrk_start wrk 5
	sleep 1 # its connections are open
	lab_lbctl set-vip "$VIP" --new-rate 3
	for ((i = 0; i < 20; i++)); do
		! fetch --connect-timeout 0.3 "http://$HOST/" >/dev/null 2>&1 || got=$((got + 1))
	done
	[ "$got" -ge 3 ] && [ "$got" -lt 20 ] || fail "$got of 20 were let in"
	dropped_as new_rate
	wrk_end "$LAB_PID" wrk
	lab_lbctl set-vip "$VIP" --new-rate 0
	for ((i = 0; i < 20; i++)); do
		a_backend_answers
	done
}

# The other methods go on without a flow, and nobody notices.
in_modes untracked generic/dsr native/lru/dsr generic/ipv6
test_untracked() {
	local i
	tunnel_lab
	tunnel_up
	lab_lbctl set-vip "$VIP" --new-rate 1
	for ((i = 0; i < 20; i++)); do
		a_backend_answers
	done
	wrk_start wrk 3
	wrk_end "$LAB_PID" wrk
	in_share "$(lab_accepted b1)" "$(lab_accepted b2)" 20 80
	check "$(json show stats)" '.untracked > 1000 and .flows.created < 20'
	check "$(json show drops)" 'map(.packets) | add == 0'
}

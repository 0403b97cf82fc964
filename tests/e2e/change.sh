# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# Changes while wrk runs: no error, except what a removed backend must cost.

# New connections, one a time, until this backend gets one.
reaches() {
	[ "$(fetch "http://$LAB_VIP/")" = "$1" ]
}

in_both_modes changes_under_load native/lru
test_changes_under_load() {
	local keep short i
	lab_with_lbctl
	lab_lbctl add-vip "$VIP"
	lab_lbctl add-backend "$VIP" "$LAB_B1"
	wrk_start keep 15
	keep=$LAB_PID
	wrk_start short 15 -H 'Connection: close'
	short=$LAB_PID
	sleep 1
	lab_lbctl add-backend "$VIP" "$LAB_B2"
	lab_until 10 reaches b2 || fail "the added backend gets nothing"
	for i in 1 5 0 3; do
		lab_lbctl set-backend "$VIP" "$LAB_B1" --weight "$i"
		sleep 0.3
	done
	lab_lbctl drain "$VIP" "$LAB_B2"
	sleep 0.5
	for i in 1 2 3 4 5 6 7 8 9 10; do
		reaches b1 || fail "a draining backend got a new connection"
	done
	lab_lbctl set-backend "$VIP" "$LAB_B2" --state up
	for i in 1 2 3; do
		lab_lbctl attach eth0 --mode "$MODE"
		sleep 0.2
	done
	lab_until 10 reaches b2 || fail "after draining the backend gets nothing"
	kill -0 "$keep" || fail "wrk ended before the changes"
	wrk_end "$keep" keep
	wrk_end "$short" short
}

in_both_modes attach_another_build
test_attach_another_build() {
	local pid
	[ -x "${LBCTL_OTHER:-}" ] || skip "LBCTL_OTHER names no lbctl of another build"
	lab_with_lbctl
	vip_up
	wrk_start wrk 4
	pid=$LAB_PID
	sleep 1
	LBCTL=$LBCTL_OTHER lab_lbctl attach eth0 --mode "$MODE"
	sleep 1
	lab_lbctl attach eth0 --mode "$MODE"
	wrk_end "$pid" wrk
	check "$(json show vips)" '.[0].backends == 2'
}

# One error at most for each connection that the backend had; then it gets no packet any more.
in_both_modes del_backend_under_load
test_del_backend_under_load() {
	local pid open after
	lab_with_lbctl
	vip_up
	wrk_start wrk 6
	pid=$LAB_PID
	sleep 2
	open=$(open_connections b2)
	[ "$open" -gt 0 ]
	lab_lbctl del-backend "$VIP" "$LAB_B2"
	sleep 1
	after=$(lab_counter b2 TcpInSegs)
	sleep 1
	[ "$(lab_counter b2 TcpInSegs)" = "$after" ] || fail "the removed backend still gets packets"
	wrk_end "$pid" wrk ".errors.all <= $open and .errors.timeout == 0"
	check "$(json show flows --limit 1000)" 'all(.backend == "172.17.0.2:80")'
}

# What a VIP has carried stays counted when the backend that carried it goes.
test_counts_outlive_backends() {
	local before i
	lab_with_lbctl
	vip_up
	for i in 1 2 3 4 5 6 7 8; do
		fetch "http://$LAB_VIP/" >/dev/null
	done
	before=$(json show vips)
	check "$before" '.[0].packets > 60 and .[0].bytes > 4000'
	for i in "$LAB_B1" "$LAB_B2"; do
		lab_lbctl del-backend "$VIP" "$i"
		check "$(json show vips)" ".[0].packets >= $(jq '.[0].packets' <<<"$before") and
			.[0].bytes >= $(jq '.[0].bytes' <<<"$before")"
	done
	lab_lbctl add-backend "$VIP" "$LAB_B1"
	check "$(json show backends)" '.[0].packets == 0'
	fetch "http://$LAB_VIP/" >/dev/null
	check "$(json show vips)" ".[0].packets > $(jq '.[0].packets' <<<"$before")"
}

# Connections of both web servers whose source port is one that the host uses itself now.
host_ports() {
	local name
	for name in b1 b2; do
		lab_in "$name" ss -Htn state established "sport = :80"
	done | awk '{ sub(/.*:/, "", $4); n += $4 <= 40000 } END { print n + 0 }'
}

# The host takes most source ports for itself: connections on them go on, new ones get others.
in_both_modes ports_taken_by_host
test_ports_taken_by_host() {
	local pid had
	lab_with_lbctl
	vip_up
	wrk_start wrk 5
	pid=$LAB_PID
	sleep 1
	had=$(host_ports)
	[ "$had" -gt 50 ] || fail "only $had of 100 connections have such ports"
	lab_in lb sysctl -qw net.ipv4.ip_local_port_range="1024 40000"
	lab_lbctl attach eth0 --mode "$MODE"
	wrk_start new 3
	sleep 1
	[ "$(host_ports)" = "$had" ] || fail "new connections have the host's ports: $(host_ports)"
	wrk_end "$LAB_PID" new
	wrk_end "$pid" wrk
}

# The other way to remove: nothing breaks when the backend was drained first.
test_drain_then_delete() {
	local pid
	lab_with_lbctl
	vip_up
	wrk_start wrk 6 -H 'Connection: close'
	pid=$LAB_PID
	sleep 1
	lab_lbctl drain "$VIP" "$LAB_B2" --wait 30s
	check "$(json show backends)" 'map(select(.backend == "172.17.0.3:80"))[0] |
		.state == "drain" and .flows == 0'
	lab_lbctl del-backend "$VIP" "$LAB_B2"
	wrk_end "$pid" wrk
}

# A wait that is too short fails, and the draining stays.
test_drain_wait_ends() {
	local pid status=0
	lab_with_lbctl
	vip_up
	wrk_start wrk 4
	pid=$LAB_PID
	sleep 1
	lab_lbctl drain "$VIP" "$LAB_B2" --wait 500ms 2>"$LAB_DIR/err" || status=$?
	[ "$status" = 1 ] || fail "drain --wait: status $status, $(cat "$LAB_DIR/err")"
	check "$(json show backends)" 'map(select(.state == "drain")) | length == 1'
	wrk_end "$pid" wrk
}

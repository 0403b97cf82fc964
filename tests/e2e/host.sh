# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# The balancer's host goes on as if we were not there: ssh, ping, its own connections.

# Requests from the balancer itself to both backends' web port, until killed; says what failed.
own_connections() {
	lab_start lb bash -c '
		trap "echo \$n; exit" TERM
		while :; do
			for address; do
				curl -sS --max-time 2 -o /dev/null "http://$address/" && n=$((n + 1))
			done
			sleep 0.1
		done' own "$LAB_B1" "$LAB_B2" >"$LAB_DIR/own" 2>&1
}

# pings NAME ADDRESS FILE [OPTION...]: ten a second, until killed.
pings() {
	lab_start "$1" ping -q -i 0.1 "${@:4}" "$2" >"$LAB_DIR/$3"
}

no_ping_lost() {
	grep -q ' 0% packet loss' "$LAB_DIR/$1" || fail "$1: $(tail -n 3 "$LAB_DIR/$1")"
}

# INT makes ping end and print its count.
end_pings() {
	local pid
	for pid; do
		kill -INT "$pid"
		wait "$pid" || true
	done
}

in_modes host_goes_on generic native
test_host_goes_on() {
	local session own ping
	lab_up
	lab_nginx b1
	lab_nginx b2
	ECHO=$(lab_cc tests/e2e/echo.c)
	lab_start lb "$ECHO" serve 22 lb
	lab_until 5 lab_listens lb 22
	[ "$MODE" != native ] || lab_native_peers
	lab_start client "$ECHO" session "$LAB_LB" 22 >"$LAB_DIR/session" 2>&1
	session=$LAB_PID
	own_connections
	own=$LAB_PID
	pings client "$LAB_LB" ping-in
	ping=("$LAB_PID")
	pings lb "$LAB_CLIENT" ping-out
	ping+=("$LAB_PID")
	pings client "$LAB_LB" ping-fragments -s 4000
	ping+=("$LAB_PID")

	sleep 1
	lab_lbctl attach eth0 --mode "$MODE"
	vip_up
	wrk_start wrk 3
	wrk_end "$LAB_PID" wrk
	wrk_start wrk 3 -H 'Connection: close'
	wrk_end "$LAB_PID" wrk
	lab_lbctl detach eth0
	sleep 1

	lab_stop "$own"
	kill "$session" || true
	wait "$session" || fail "session: $(cat "$LAB_DIR/session")"
	check "$(cat "$LAB_DIR/session")" '.lines > 20 and .slowest_us < 1000000'
	end_pings "${ping[@]}"
	no_ping_lost ping-in
	no_ping_lost ping-out
	no_ping_lost ping-fragments
	[[ $(cat "$LAB_DIR/own") =~ ^[0-9]+$ ]] || fail "own connections: $(cat "$LAB_DIR/own")"
	[ "$(cat "$LAB_DIR/own")" -gt 20 ]
}

# refused_by PROGRAM-NAME: attach fails in one line that names the other program; it stays.
refused_by() {
	local out status=0
	out=$(lab_lbctl attach eth0 --mode "$MODE" 2>&1 >/dev/null) || status=$?
	[ "$status" = 1 ] || fail "attach: status $status: $out"
	[[ $out =~ ^lbctl:\ .*$1 && $out != *$'\n'* ]] || fail "attach said: $out"
	[[ $(lab_in lb ip link show dev eth0) == *xdp* ]] || fail "the other program is gone"
	[ ! -e "$LAB_PINS/links/eth0" ] || fail "eth0 is pinned as ours"
}

in_modes attach_refuses_foreign_program generic native
test_attach_refuses_foreign_program() {
	lab_up
	lab_xdp lb eth0 xdpgeneric 2
	refused_by answer
	lab_in lb ip link set dev eth0 xdpgeneric off
	lab_xdp lb eth0 xdpdrv 2
	refused_by answer
	lab_in lb ip link set dev eth0 xdpdrv off
	lab_lbctl attach eth0 --mode "$MODE"
}

# detach and unload take away what attach brought, and nothing else.
test_unload_leaves_nothing() {
	local before after
	lab_up
	before=$(host_state)
	attach eth0
	vip_up
	lab_lbctl detach --all
	lab_lbctl unload
	after=$(host_state)
	[ "$before" = "$after" ] || fail "$(diff <(echo "$before") <(echo "$after"))"
	[ ! -e "$LAB_PINS/maps" ] || fail "left: $(find "$LAB_PINS")"
}

host_state() {
	lab_in lb tc qdisc show
	lab_in lb ip link show dev eth0 | grep -o 'xdp[a-z]*' || true
	lab_in lb sysctl -a -r 'net.ipv[46].(ip_forward|conf.*\.(forwarding|accept_ra))$'
}

balancer() {
	lab_in lb "$LBCTL" --pin-dir "$LAB_PINS/$1" "${@:2}"
}

# lo_forwards IPV4 IPV6: the switches of the route look-ups are so.
lo_forwards() {
	local now
	now=$(lab_in lb cat /proc/sys/net/ipv{4,6}/conf/lo/forwarding | xargs)
	[ "$now" = "$1 $2" ] || fail "lo's forwarding is $now; wanted $1 $2"
}

# The last of two balancers puts back what the first one found.
test_last_unload_restores() {
	local found
	lab_up_two_armed
	lab_has_ipv6 || skip "this kernel has no IPv6"
	lab_in b1 "$LBCTL" --pin-dir "$LAB_PINS/3" attach eth0 # another namespace's is no concern
	for found in 0 1; do
		lab__sysctl lb net/ipv6/conf/lo/forwarding "$found"
		balancer 1 attach eth0
		balancer 2 attach eth1
		lo_forwards 1 1
		balancer 1 unload
		lo_forwards 1 1
		balancer 2 unload
		lo_forwards 0 "$found"
	done
}

# With veth, auto is generic and says so.
test_auto_mode() {
	local out
	lab_up
	out=$(lab_lbctl attach eth0)
	[[ $out == *generic* ]] || fail "attach said: $out"
	check "$(json show interfaces)" '.[0].interface == "eth0" and .[0].mode == "generic"'
}

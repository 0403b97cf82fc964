# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# lbctl killed at any point, and two at once: each object is wholly old or new, no change is lost.

VIPS=("172.17.0.5:1001/tcp" "172.17.0.5:1002/udp")
BACKENDS=("172.17.0.2:80" "172.17.0.3:80")

# The configuration as sorted lines, one an object.
config() {
	local vips backends
	vips=$(json show vips) || fail "show vips fails"
	backends=$(json show backends) || fail "show backends fails"
	{
		jq -r '.[] | "vip \(.vip)"' <<<"$vips"
		jq -r '.[] | "backend \(.vip) \(.backend) \(.weight) \(.admin)"' <<<"$backends"
	} | sort
}

any() {
	local i=$(((RANDOM % ($# - 1)) + 2))
	printf -v "$1" %s "${!i}"
}

# random_command CONFIG: sets COMMAND to a random change, and WANTED to the configuration after it.
random_command() {
	local vip backend n old
	any vip "${VIPS[@]}"
	any backend "${BACKENDS[@]}"
	any n 1 5 100
	old=$(sed -n "s#^backend $vip $backend ##p" <<<"$1")
	WANTED=$1
	any COMMAND attach add-vip add-vip add-backend add-backend add-backend set-backend drain \
		del-backend del-vip
	case $COMMAND in
	attach) COMMAND=(attach eth0 --mode "$MODE") ;;
	add-vip)
		COMMAND=(add-vip "$vip")
		WANTED+=$'\n'"vip $vip"
		;;
	del-vip)
		COMMAND=(del-vip "$vip")
		WANTED=$(grep -v " $vip" <<<"$1")
		;;
	add-backend)
		COMMAND=(add-backend "$vip" "$backend" --weight "$n")
		[ -n "$old" ] || ! grep -qx "vip $vip" <<<"$1" ||
			WANTED+=$'\n'"backend $vip $backend $n auto"
		;;
	set-backend)
		COMMAND=(set-backend "$vip" "$backend" --weight "$n")
		WANTED=$(sed "s#^\(backend $vip $backend\) [0-9]* #\1 $n #" <<<"$1")
		;;
	drain)
		COMMAND=(drain "$vip" "$backend")
		WANTED=$(sed "s#^\(backend $vip $backend [0-9]*\) .*#\1 drain#" <<<"$1")
		;;
	del-backend)
		COMMAND=(del-backend "$vip" "$backend")
		WANTED=$(grep -v "^backend $vip $backend " <<<"$1")
		;;
	esac
	WANTED=$(sort -u <<<"$WANTED")
}

# Runs COMMAND and kills it somewhere on its way.
run_and_kill() {
	local pid
	nsenter --net="/run/netns/$LAB_PREFIX-lb" "$LBCTL" --pin-dir "$LAB_PINS" "${COMMAND[@]}" \
		>/dev/null 2>&1 &
	pid=$!
	sleep "0.$(printf %04d $((RANDOM % $1)))"
	kill -KILL "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
}

# How long a command takes here, in 0.1 ms.
command_time() {
	local start=${EPOCHREALTIME/./}
	lab_lbctl add-vip "${VIPS[0]}"
	lab_lbctl add-backend "${VIPS[0]}" "${BACKENDS[0]}"
	lab_lbctl del-vip "${VIPS[0]}"
	echo $(((${EPOCHREALTIME/./} - start) / 300))
}

in_modes killed_anywhere generic native/lru
test_killed_anywhere() {
	local i now before load limit times changed=0
	lab_with_lbctl
	vip_up
	times=$(full 200 100)
	RANDOM=$((2 + ${#TABLE})) # the same commands every time
	lab_start client wrk -t1 -c20 -d120s -s "$BENCH/wrk.lua" "http://$LAB_VIP:80/" >"$LAB_DIR/wrk"
	load=$LAB_PID
	sleep 0.2
	limit=$(($(command_time) * 2 + 1)) # beside the load, as they run below
	[ "$limit" -lt 9999 ] || limit=9999
	before=$(config)
	for ((i = 0; i < times; i++)); do
		random_command "$before"
		run_and_kill "$limit"
		now=$(config)
		[ "$now" = "$before" ] || [ "$now" = "$WANTED" ] ||
			fail "killed: ${COMMAND[*]}"$'\n'"before: $before"$'\n'"now: $now"
		[ "$now" = "$before" ] || changed=$((changed + 1))
		before=$now
		reaches_any || fail "no packets flow after killing: ${COMMAND[*]}"
	done
	kill -INT "$load"
	wrk_end "$load" wrk
	echo "$changed of $times commands changed something, killed within $((limit / 10)) ms"
	[ "$changed" -gt 10 ] || fail "that is too few"
}

reaches_any() {
	[[ $(fetch "http://$LAB_VIP/") == b[12] ]]
}

# One of two scripts: adds VIPs with backends on its own ports, and deletes every other.
change_vips() {
	local port
	for ((port = $1; port < $1 + 60; port++)); do
		lab_lbctl add-vip "$LAB_VIP:$port/tcp"
		lab_lbctl add-backend "$LAB_VIP:$port/tcp" "$LAB_B1" --weight 3
		lab_lbctl add-backend "$VIP" "$LAB_B1:$port"
		[ $((port % 2)) = 0 ] || lab_lbctl del-vip "$LAB_VIP:$port/tcp"
	done
}

test_two_scripts_at_once() {
	local first
	lab_up
	attach eth0
	lab_lbctl add-vip "$VIP"
	(
		trap - EXIT
		change_vips 1000
	) >"$LAB_DIR/first" 2>&1 &
	first=$!
	(
		trap - EXIT
		change_vips 2000
	) >"$LAB_DIR/second" 2>&1 &
	wait $! || fail "$(cat "$LAB_DIR/second")"
	wait "$first" || fail "$(cat "$LAB_DIR/first")"
	check "$(json show vips)" '(map(select(.vip != "172.17.0.5:80/tcp" and .backends == 1)) |
		length) == 60 and (map(select(.vip == "172.17.0.5:80/tcp"))[0].backends == 120)'
}

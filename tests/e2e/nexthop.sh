# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# The way out is kept for a second: what changes in routes and neighbours shows soon after, with no
# lbctl in between.

# Asks over UDP from one port, every 50 ms; each line of FILE is a time in ms and who answered.
ask_always() {
	lab_start client bash -c '
		exec 3<>"/dev/udp/$1/53"
		while :; do
			printf x >&3
			read -r -t 0.05 -N 2 -u 3 name && echo "${EPOCHREALTIME%???}" "$name" || :
			sleep 0.05
		done' ask "$LAB_VIP" >"$LAB_DIR/$1" 2>/dev/null
}

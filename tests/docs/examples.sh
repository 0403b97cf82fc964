# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# The examples of README and man page, run as they stand on the balancer of a lab; and what the man
# page says of JSON and the completion of VIPs, compared with what comes out there.

# A lab with web servers, where lbctl and sudo are found as the documents call them.
lab_as_pasted() {
	[ "$(id -u)" = 0 ] || skip "network namespaces need root"
	lab_up
	lab_nginx b1
	lab_nginx b2
	mkdir -p "$LAB_DIR/bin" "$LAB_DIR/home"
	ln -s "$LBCTL" "$LAB_DIR/bin/lbctl"
	printf '#!/bin/sh\nexec "$@"\n' >"$LAB_DIR/bin/sudo"
	chmod +x "$LAB_DIR/bin/sudo"
}

# paste TEXT: as typed on the balancer.
paste() {
	echo "\$ $1"
	lab_start lb env -C "$LAB_DIR/home" PATH="$LAB_DIR/bin:$PATH" LBCTL_PIN_DIR="$LAB_PINS" \
		timeout 60 bash -euo pipefail -c "$1"
	wait "$LAB_PID"
}

# Each block as one item, ended by a NUL.
readme_blocks() {
	awk '/^```sh$/ { on = 1; next } /^```$/ && on { on = 0; printf "%c", 0 } on' \
		"$LAB_ROOT/README.md"
}

man_blocks() {
	man_section EXAMPLES | awk '/^\.Bd/ { on = 1; next } /^\.Ed/ { on = 0; printf "%c", 0 } on' |
		sed 's/\\e/\\/g'
}

served_by() {
	lab_in client curl -gsS --max-time 5 "http://$1/" # -g: brackets are no pattern
}

# Both backends answer within a bounded number of new connections.
both_serve() {
	local i seen=''
	for ((i = 0; i < 60; i++)); do
		seen+=$(served_by "$1")
		[[ $seen != *b1* || $seen != *b2* ]] || return 0
	done
	fail "only one backend answers at $1: $seen"
}

test_readme_examples() {
	local blocks block
	lab_as_pasted
	mapfile -d '' -t blocks < <(readme_blocks)
	[ ${#blocks[@]} -ge 3 ] || fail "found only ${#blocks[@]} blocks"
	[ "$(grep -c '^sudo lbctl' <<<"${blocks[0]}")" = 3 ] || fail "not three: ${blocks[0]}"
	paste "${blocks[0]}"
	[ "$(served_by 172.17.0.5)" = b1 ] || fail "the three commands serve nothing"
	for block in "${blocks[@]:1}"; do
		paste "$block"
	done
	both_serve 172.17.0.5
	both_serve 172.17.0.5:8080
	both_serve '[fd17::5]'
	paste "lbctl unload"
}

test_man_examples() {
	local blocks block
	lab_as_pasted
	mapfile -d '' -t blocks < <(man_blocks)
	[ ${#blocks[@]} -ge 5 ] || fail "found only ${#blocks[@]} blocks"
	paste "${blocks[0]}"
	both_serve 172.17.0.5
	for block in "${blocks[@]:1}"; do
		paste "$block"
	done
	[ ! -e "$LAB_PINS" ] || fail "pins are left: $(ls "$LAB_PINS")"
}

# The keys that the man page lists for an object, and those that come out.
test_man_json() {
	local what documented
	lab_as_pasted
	lab_lbctl attach eth0
	lab_lbctl add-vip 172.17.0.5:80
	lab_lbctl add-backend 172.17.0.5:80 172.17.0.2
	served_by 172.17.0.5
	for what in vips backends flows interfaces drops stats; do
		documented=$(man_section JSON |
			awk -v title=".Ss show $what" '/^\.Ss/ { on = $0 == title }
				/^\.Bd/ { block = 1; next } /^\.Ed/ { block = 0 } on && block')
		same "man page" "$(grep -o '"[a-z_]*"' <<<"$documented" | tr -d '"' | sort -u)" \
			"show $what" "$(lab_lbctl -o json show "$what" |
				jq -r '[.. | objects | keys[]] | unique[]')"
	done
}

# Completion asks the lbctl that is typed; in the lab that is one with the lab's pins.
test_completion_of_vips() {
	local typed="$LBCTL --pin-dir $LAB_PINS"
	lab_as_pasted
	lab_lbctl attach eth0
	lab_lbctl add-vip 172.17.0.5:80
	lab_lbctl add-vip 172.17.0.5:53/udp
	lab_lbctl add-backend 172.17.0.5:80 172.17.0.2
	lab_lbctl add-backend 172.17.0.5:53/udp 172.17.0.3:5353
	same VIPs $'172.17.0.5:53/udp\n172.17.0.5:80/tcp' \
		completion "$(complete_line "$typed set-vip ")"
	same "rest of a VIP" 80/tcp completion "$(complete_line "$typed del-vip 172.17.0.5:8")"
	same "the VIP's backends" 172.17.0.2:80 \
		completion "$(complete_line "$typed drain 172.17.0.5:80 ")"
	same "all backends" $'172.17.0.2:80\n172.17.0.3:5353' \
		completion "$(complete_line "$typed show flows --backend ")"
	same "attached interfaces" eth0 completion "$(complete_line "$typed detach ")"
	lab_lbctl add-vip '[fd17::5]:80'
	same "brackets" '\[fd17::5\]:80/tcp' completion "$(complete_line "$typed del-vip [fd")"
	same "rest of it" 80/tcp completion "$(complete_line "$typed del-vip \\[fd17::5\\]:8")"
	same "quoted" '[fd17::5]:80/tcp' completion "$(complete_line "$typed del-vip '[fd17::5]:8")"
}

# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# What the end-to-end tests share: the usual set-up, loads, and checks that say what they saw.

SKIP=77
VIP=172.17.0.5:80/tcp
BENCH=$LAB_ROOT/bench
TABLE= # lbctl's default; set by modes such as native/lru
declare -A MODES=() # test -> attach modes, and flow tables, that it runs in, if not only generic

# full ACCEPTANCE USUAL [SLOW]: one of them.
full() {
	if [ "${E2E_FULL:-0}" = 1 ]; then
		echo "$1"
	elif [ "${E2E_SLOW:-1}" != 1 ]; then
		echo "${3:-$2}"
	else
		echo "$2"
	fi
}

# slow SECONDS: a time limit, for this machine.
slow() {
	echo $(($1 * ${E2E_SLOW:-1}))
}

in_modes() {
	MODES[$1]=${*:2}
}

# in_both_modes TEST [MODE...]: and in these; acceptance runs it with the other flow table, too.
in_both_modes() {
	in_modes "$1" "generic native $(full "generic/lru native/lru" "${*:2}")"
}

# Says which command failed and by what way it was reached.
where() {
	local i
	echo "failed: $1"
	for ((i = 1; i < ${#FUNCNAME[@]} - 3; i++)); do
		echo "  at ${BASH_SOURCE[i]##*/}:${BASH_LINENO[i - 1]}, ${FUNCNAME[i]}"
	done
	evidence
	trap - ERR
}

fail() {
	trap - ERR
	echo "$*"
	evidence
	exit 1
}

# What the balancer itself has to say, when a test has failed.
evidence() {
	[ -d "$LAB_PINS" ] || return 0
	lab_lbctl show drops || true
	lab_lbctl show stats || true
}

skip() {
	trap - ERR
	echo "$*"
	exit "$SKIP"
}

# A lab with web servers, and lbctl attached in the test's mode.
lab_with_lbctl() {
	lab_up
	lab_nginx b1
	lab_nginx b2
	attach eth0
}

attach() {
	[ "$MODE" != native ] || lab_native_peers
	lab_lbctl attach "$@" --mode "$MODE" ${TABLE:+--flow-table "$TABLE"}
}

vip_up() {
	lab_lbctl add-vip "$VIP"
	lab_lbctl add-backend "$VIP" "$LAB_B1"
	lab_lbctl add-backend "$VIP" "$LAB_B2"
}

json() {
	lab_lbctl -o json "$@"
}

# check JSON-TEXT FILTER: fails and shows the text unless the jq filter is true for it.
check() {
	jq -e "$2" <<<"$1" >/dev/null || fail "not so: $2"$'\n'"$1"
}

# wrk_start FILE SECONDS [OPTION...]: wrk in the background, on the VIP.
wrk_start() {
	lab_start client wrk -t2 -c100 -d"$2s" -s "$BENCH/wrk.lua" "${@:3}" "http://$LAB_VIP:80/" \
		>"$LAB_DIR/$1"
}

# wrk_end PID FILE [FILTER]: waits for it; no error of any kind, or what the filter allows.
wrk_end() {
	wait "$1"
	check "$(tail -n 1 "$LAB_DIR/$2" | jq -c --arg run "$2" '{$run} + .')" \
		".requests > 100 and (${3:-.errors.all == 0})"
}

# Connections that a backend's web server has open.
open_connections() {
	lab_in "$1" ss -Htn state established "sport = :80" | wc -l
}

# By its name, which its page is.
a_backend_answers() {
	local name
	name=$(fetch "http://$LAB_VIP/")
	[[ $name == b[12] ]] || fail "curl got $name"
}

# there_and_back MIB: a file of this size, down from a backend and up to one.
there_and_back() {
	lab_file big $(($1 << 20))
	fetch --max-time 60 -o "$LAB_DIR/down" "http://$LAB_VIP/big"
	cmp "$LAB_DIR/down" "$LAB_DIR/www/big"
	fetch --max-time 60 -T "$LAB_DIR/www/big" "http://$LAB_VIP/up/1"
	cmp "$LAB_DIR"/b?/up/1 "$LAB_DIR/www/big"
}

# in_share A B LOW HIGH: A lies between LOW and HIGH per cent of A + B.
in_share() {
	local all=$(($1 + $2))
	if [ $(($1 * 100)) -lt $((all * $3)) ] || [ $(($1 * 100)) -gt $((all * $4)) ]; then
		fail "shares of the backends: $1 and $2; wanted $3 to $4 per cent"
	fi
}

fetch() {
	lab_in client curl -sS --max-time "$(slow 5)" "$@"
}

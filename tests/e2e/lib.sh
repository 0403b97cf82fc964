# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# What the end-to-end tests share: the usual set-up, loads, and checks that say what they saw.

SKIP=77
HOST=$LAB_VIP # the VIP's address as URLs have it
VIP=$HOST:80/tcp
BENCH=$LAB_ROOT/bench
TABLE= # lbctl's default; set by modes such as native/lru
FLOWS= # lbctl's default
FAMILY=ipv4 # set by modes such as native/ipv6
METHOD=ipip # of backends that answer clients themselves, or nat; set by modes such as native/dsr
OTHER=0 # 1: backends of the other family, in modes such as native/other
# Test -> attach modes, flow tables, families and methods that it runs in, if not only generic.
declare -A MODES=()

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

# in_both_families TEST [MODE...]: in both modes with IPv4 and IPv6, and in these.
in_both_families() {
	in_modes "$1" "generic native generic/ipv6 native/ipv6 $(full "generic/lru native/lru" "${*:2}")"
}

# set_mode MODE[/TABLE][/METHOD][/FAMILY][/other]
set_mode() {
	local word
	MODE=${1%%/*}
	for word in ${1//\// }; do
		case $word in
		assoc | lru) TABLE=$word ;;
		ipv[46]) FAMILY=$word ;;
		fullnat | nat | ipip | dsr | gue) METHOD=$word ;;
		other) OTHER=1 ;;
		esac
	done
}

# For tests that have one of their own.
set_flows() {
	FLOWS=$1
}

set_method() {
	METHOD=$1
}

# The addresses of the lab that is up, in the test's family.
use_family() {
	if [ "$FAMILY" = ipv6 ]; then
		lab_has_ipv6 || skip "this kernel has no IPv6"
		LAB_OTHER_B1=$LAB_B1 LAB_OTHER_B2=$LAB_B2
		LAB_CLIENT=$LAB_CLIENT6 LAB_LB=$LAB_LB6 LAB_VIP=$LAB_VIP6 LAB_B1=$LAB_B1_6 LAB_B2=$LAB_B2_6
	else
		LAB_OTHER_B1=$LAB_B1_6 LAB_OTHER_B2=$LAB_B2_6
	fi
	VIP=$(with_port "$LAB_VIP" 80/tcp)
	HOST=${VIP%:80/tcp}
}

# with_port ADDRESS PORT: as one text, with brackets where they belong.
with_port() {
	if [[ $1 == *:* ]]; then
		echo "[$1]:$2"
	else
		echo "$1:$2"
	fi
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
	use_family
	lab_nginx b1
	lab_nginx b2
	attach eth0
}

attach() {
	[ "$MODE" != native ] || lab_native_peers
	lab_lbctl attach "$@" --mode "$MODE" ${TABLE:+--flow-table "$TABLE"} \
		${FLOWS:+--flows "$FLOWS"}
}

vip_up() {
	add_vip "$VIP"
	lab_lbctl add-backend "$VIP" "$LAB_B1"
	lab_lbctl add-backend "$VIP" "$LAB_B2"
}

# By method nat in its modes, else by the default one.
add_vip() {
	if [ "$METHOD" = nat ]; then set -- "$@" --method nat; fi
	lab_lbctl add-vip "$@"
}

# Backends answer clients of their own network through the balancer.
answer_by_balancer() {
	local name
	for name in b1 b2; do
		lab_in "$name" ip route replace "$1" via "$LAB_LB"
		lab_in "$name" sysctl -qw net.ipv4.conf.all.accept_redirects=0 \
			net.ipv4.conf.eth0.accept_redirects=0
	done
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
	lab_start client wrk -t2 -c100 -d"$2s" -s "$BENCH/wrk.lua" "${@:3}" "http://$HOST:80/" \
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
	name=$(fetch "http://$HOST/")
	[[ $name == b[12] ]] || fail "curl got $name"
}

# there_and_back MIB: a file of this size, down from a backend and up to one.
there_and_back() {
	lab_file big $(($1 << 20))
	fetch --max-time 60 -o "$LAB_DIR/down" "http://$HOST/big"
	cmp "$LAB_DIR/down" "$LAB_DIR/www/big"
	fetch --max-time 60 -T "$LAB_DIR/www/big" "http://$HOST/up/1"
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
	lab_in client curl -gsS --max-time "$(slow 5)" "$@" # -g: brackets are no pattern
}

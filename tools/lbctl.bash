# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# Bash completion of lbctl: commands, options, interfaces, and the VIPs and backends there are.

_lbctl_commands="attach detach unload add-vip set-vip del-vip add-backend set-backend del-backend
	drain deny decap daemon show flush gc version help"

_lbctl_options() {
	local filters="--vip --backend --client --state --proto"
	case $1 in
	attach) echo --mode --flow-table --flows --new-rate ;;
	detach) echo --all ;;
	decap) echo --mode --vip ;;
	add-vip | set-vip) echo --method --scheduler --hash --persist --snat --announce --allow --new-rate --timeout --force ;;
	add-backend) echo --weight ;;
	set-backend) echo --weight --state ;;
	drain) echo --wait ;;
	daemon) echo --park-time --park-packets ;;
	show) echo "$filters" --limit ;;
	flush) echo "$filters" ;;
	esac
	echo --pin-dir --output --verbose --help -o -v -h
}

# What may follow an option: _lbctl_argument OPTION TYPED COMMAND [LIST].
_lbctl_argument() {
	case $1 in
	--mode) echo auto native generic ;;
	--flow-table) echo assoc lru ;;
	--method) echo fullnat nat ipip dsr gue ;;
	--scheduler) echo maglev wrr ;;
	--hash) echo 5tuple source ;;
	--output | -o) echo table json ;;
	--proto) echo tcp udp ;;
	--allow) echo any ;;
	--persist) echo none ;;
	--announce) ls /sys/class/net && echo none ;;
	--timeout) echo syn= established= fin= closed= new= assured= ;;
	--state)
		case ${3:-}:${4:-} in
		set-backend:*) echo auto up drain down ;;
		show:backends) echo up drain down ;;
		*) echo syn established fin closed new assured ;;
		esac
		;;
	--vip) _lbctl_ask vips vip ;;
	--backend) _lbctl_ask backends backend ;;
	--pin-dir) compgen -d -- "$2" ;;
	esac
}

# _lbctl_ask LIST KEY [VIP]: the values that lbctl has now; nothing if it may not look.
_lbctl_ask() {
	"${_lbctl_call[@]}" -o json show "$1" ${3:+"$3"} 2>/dev/null </dev/null |
		grep -o "\"$2\": *\"[^\"]*\"" | cut -d'"' -f4 | sort -u
}

_lbctl_denied() {
	"${_lbctl_call[@]}" -o json deny show 2>/dev/null </dev/null | grep -o '[^"]*/[0-9]*'
}

# _lbctl_operand N OPERANDS...: what may come behind these; the first is the command.
_lbctl_operand() {
	case $1:${2:-} in
	0: | 1:help) echo "$_lbctl_commands" ;;
	*:attach) ls /sys/class/net ;;
	*:detach) _lbctl_ask interfaces interface ;;
	1:set-vip | 1:del-vip | 1:*-backend | 1:drain) _lbctl_ask vips vip ;;
	2:set-backend | 2:del-backend | 2:drain) _lbctl_ask backends backend "$3" ;;
	1:deny) echo add del show ;;
	1:decap) echo attach detach show ;;
	2:decap) ls /sys/class/net ;;
	2:deny) [ "$3" = add ] || _lbctl_denied ;;
	1:show) echo vips backends flows interfaces drops stats ;;
	2:show) [[ $3 != @(vips|backends|flows) ]] || _lbctl_ask vips vip ;;
	1:flush) echo flows ;;
	esac
}

_lbctl() {
	local -a words operands=() _lbctl_call
	local word before='' current option='' breaks quoted=
	read -ra words <<<"${COMP_LINE:0:COMP_POINT}"
	[[ ${COMP_LINE:0:COMP_POINT} != *[[:space:]] ]] || words+=('')
	[[ ${words[-1]} != [\'\"]* ]] || quoted=1
	words=("${words[@]//[\\\'\"]/}") # as around the brackets of IPv6
	current=${words[-1]}
	_lbctl_call=("${words[0]}")
	for word in "${words[@]:1:${#words[@]}-2}"; do
		[ "$before" != --pin-dir ] || _lbctl_call+=(--pin-dir "$word")
		before=$word
		case $option:$word in
		:--all | :--force | :--verbose | :-v | :--help | :-h | :--*=*) ;;
		:-*) option=$word ;;
		:*) operands+=("$word") ;;
		*) option= ;; # its argument
		esac
	done
	if [[ -z $option && $current == --*=* ]]; then
		option=${current%%=*}
		current=${current#*=}
	fi
	# Not by compgen -W, which would run what an interface's name says.
	read -rd '' -a words < <(if [ -n "$option" ]; then
		_lbctl_argument "$option" "$current" "${operands[@]::2}"
	elif [[ $current == -* ]]; then
		_lbctl_options "${operands[0]:-}"
	else
		_lbctl_operand "${#operands[@]}" "${operands[@]}"
	fi)
	[ "$option" != --timeout ] || compopt -o nospace 2>/dev/null
	# Readline replaces only what is behind the last colon or equals sign, but in quotes.
	breaks=${COMP_WORDBREAKS//[^:=]/}
	[ -z "$quoted" ] || breaks=
	before=${breaks:+${current%"${current##*["$breaks"]}"}}
	COMPREPLY=()
	for word in "${words[@]}"; do
		[[ $word == "$current"* ]] || continue
		word=${word#"$before"}
		[ -n "$quoted" ] || word=$(printf %q "$word")
		COMPREPLY+=("$word")
	done
}

complete -F _lbctl lbctl

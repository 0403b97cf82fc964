# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# The documents and the completion against lbctl's help, the list of drop reasons, and the files
# and functions that they name.

MAN=$LAB_ROOT/docs/lbctl.8
COMPLETION=$LAB_ROOT/tools/lbctl.bash

# "COMMAND OPERANDS", one a line, as the help of all commands shows them.
help_commands() {
	"$LBCTL" help | sed -n '/^usage:/,/^Options of/s/^  \([^ ]\)/\1/p' | sed 's/  .*//'
}

# Options as help shows them, "--mode auto|native|generic"; without a command, the global ones.
help_options() {
	"$LBCTL" help ${1:+"$1"} | sed -n '/^Options/,/^$/s/^ *\(-[a-z], \)\{0,1\}--/--/p' |
		sed 's/  .*//'
}

# mdoc's words for the same: ".It Fl -mode Cm auto | native" -> "--mode auto|native".
man_plain() {
	sed -E 's/^\.It //; s/^Fl . , //; s/Fl -/--/g; s/ ?(Cm|Ar) / /g; s/ \| /|/g; s/^ //'
}

man_section() {
	awk -v section=".Sh $1" '/^\.Sh / { on = $0 == section; next } on' "$MAN"
}

man_commands() {
	man_section COMMANDS | grep '^\.It Cm' | man_plain
}

# Of one command, or without one the global ones.
man_options() {
	if [ -z "${1:-}" ]; then
		man_section OPTIONS
	else
		man_section COMMANDS | awk -v name="$1" '/^\.It Cm / { on = $3 == name } on'
	fi | grep '^\.It Fl' | man_plain
}

# What completion offers behind this beginning of a line.
complete_line() (
	# shellcheck source=tools/lbctl.bash
	. "$COMPLETION"
	COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDBREAKS=$' \t\n"\'><=;|&(:'
	_lbctl
	printf '%s\n' "${COMPREPLY[@]}"
)

names() {
	cut -d' ' -f1
}

test_man_commands() {
	same "lbctl help" "$(help_commands)" "man page" "$(man_commands)"
}

test_man_options() {
	local command
	same "lbctl help" "$(help_options)" "man page" "$(man_options)"
	for command in $(help_commands | names); do
		same "lbctl help $command" "$command$(help_options "$command")" \
			"man page" "$command$(man_options "$command" || true)"
	done
}

test_completion_commands() {
	same "lbctl help" "$(help_commands | names)" completion "$(complete_line "lbctl ")"
}

test_completion_options() {
	local command global
	global=$(help_options | names)
	for command in $(help_commands | names); do
		same "lbctl help $command" "$(echo "$global"; help_options "$command" | names)" \
			completion "$(complete_line "lbctl $command --")"
	done
}

# Options whose argument is one of several words, and operands that are.
test_completion_words() {
	local command option words
	for command in $(help_commands | names); do
		while read -r option words; do
			[[ $words =~ ^[a-z0-9|]+$ ]] || continue
			same "lbctl help $command" "${words//|/$'\n'}" "completion of $option" \
				"$(complete_line "lbctl $command $option ")"
		done < <(help_options; help_options "$command")
	done
	words=$(help_commands | sed -n 's/^show \([a-z|]*\).*/\1/p')
	same "lbctl help" "${words//|/$'\n'}" completion "$(complete_line "lbctl show ")"
}

test_man_drop_reasons() {
	same lb_drops.h "$(sed -n 's/^\tX([A-Z_]*, "\([a-z_]*\)".*/\1/p' \
		"$LAB_ROOT/common/lb_drops.h")" \
		"man page" "$(man_section "DROP REASONS" | sed -n 's/^\.It Sy //p')"
}

test_man_is_clean() {
	local said
	if type mandoc; then
		said=$(mandoc -T lint -W warning "$MAN") || fail "$said"
	elif type man && type groff; then
		said=$(LC_ALL=C.UTF-8 MANROFFSEQ='' man --warnings -E UTF-8 -l "$MAN" 2>&1 >/dev/null)
		[ -z "$said" ] || fail "$said"
	else
		skip "neither mandoc nor man and groff are installed"
	fi
}

# `user/main.c` and `flow_find()`, in backquotes, have to exist.
test_names_exist() {
	local doc name status=0
	cd "$LAB_ROOT" || return
	for doc in README.md ARCHITECTURE.md docs/*.md docs/adr/*.md; do
		[ -e "$doc" ] || continue
		# shellcheck disable=SC2016 # backquotes of Markdown
		for name in $(grep -o '`[^` ]*`' "$doc" | tr -d '`' | sort -u); do
			case $name in
			common/* | kernel/* | user/* | tests/* | tools/* | bench/* | docs/* | cmake/*)
				compgen -G "$name" >/dev/null && continue
				;;
			*[a-z]'()')
				grep -rqw "${name%'()'}" common kernel user && continue
				[[ $name == bpf_* ]] && continue # a helper of the kernel
				;;
			lb_* | ct_*) grep -rqw "$name" common kernel user && continue ;;
			*) continue ;;
			esac
			echo "$doc: $name: there is none"
			status=1
		done
	done
	return "$status"
}

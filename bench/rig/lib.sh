# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# What bench/run, compare and gate share: source it.
#
# BUILD  where the programs are (the tree's build/, brought up to date first)
# LBCTL  the lbctl to measure (BUILD/lbctl)

RIG_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=${BUILD:-$RIG_ROOT/build}
RIG_NAME=${0##*/}
# shellcheck source=tools/build.sh
. "$RIG_ROOT/tools/build.sh"

rig_die() {
	echo "$RIG_NAME: $*" >&2
	exit 1
}

rig_wrong() {
	echo "$RIG_NAME: $*; see --help" >&2
	exit 2
}

# rig_number OPTION VALUE: at least 1.
rig_number() {
	[[ $2 =~ ^[1-9][0-9]{0,5}$ ]] || rig_wrong "$1: not a number from 1 on: $2"
}

# What a program that is missing or a user who may not would only tell later, and less clearly.
rig_needs() {
	local tool
	[ "$(id -u)" = 0 ] || rig_die "loading BPF programs needs root; use sudo"
	for tool; do
		command -v "$tool" >/dev/null || rig_die "$tool is missing; run tools/install-deps"
	done
}

# Builds lbctl and the rig, unless BUILD names programs that are there already.
rig_build() {
	local testing=()
	if [ "$BUILD" = "$RIG_ROOT/build" ]; then
		# Of a tree that was configured before, the choice stays.
		[ -e "$BUILD/CMakeCache.txt" ] || testing=(-DBUILD_TESTING=OFF)
		build "$RIG_ROOT" "$BUILD" "${testing[@]}" >&2 || rig_die "the build failed"
	fi
	if [ ! -x "$BUILD/bench/packet_cost" ] || [ ! -x "$BUILD/bench/frames" ]; then
		rig_die "$BUILD: the benchmarks' programs are not there"
	fi
}

# A directory that goes with the script, RIG_DIR. Its programs have their own namespaces and bpffs,
# which end with them.
rig_dir() {
	RIG_DIR=$(mktemp -d)
	trap 'rm -rf "$RIG_DIR"' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	trap 'exit 129' HUP
}

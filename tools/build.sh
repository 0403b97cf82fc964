# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# Building for the other tools; source it.

# As the owner of the tree, so that sudo leaves no files of root behind.
as_owner() {
	local owner
	owner=$(stat -c %U "$1")
	shift
	if [ "$(id -u)" != 0 ] || [ "$owner" = root ] || ! id "$owner" >/dev/null 2>&1; then
		"$@"
	else
		runuser -u "$owner" -- "$@"
	fi
}

# build TREE DIR [CMAKE ARGUMENT...]: quiet, unless it fails.
build() {
	local tree=$1 dir=$2 log
	log=$(mktemp)
	echo "Building into $dir"
	if ! as_owner "$tree" cmake -S "$tree" -B "$dir" "${@:3}" >"$log" 2>&1 ||
		! as_owner "$tree" cmake --build "$dir" --parallel "$(nproc)" >"$log" 2>&1; then
		cat "$log" >&2
		rm -f "$log"
		return 1
	fi
	rm -f "$log"
}

# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# Debian's kernels, downloaded into a cache and unpacked there, never installed; source it.
#
# VM_CACHE  where they are kept (.cache/vm in the tree); a directory for each: vmlinuz, lib/modules
# VM_ARCH   Debian's name of their architecture (amd64)

VM_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
VM_CACHE=${VM_CACHE:-$VM_ROOT/.cache/vm}
VM_ARCH=${VM_ARCH:-amd64}
VM_KEYS=/usr/share/keyrings/debian-archive-keyring.gpg
# Where the kernels of oldoldstable to testing are; the first that has a package's version serves it.
VM_SUITES='bullseye bookworm bookworm-backports trixie trixie-backports sid'
VM_SECURITY='bullseye-security bookworm-security trixie-security'

# Of what no guest here has a device for, or use.
VM_NOT_NEEDED='sound drivers/gpu drivers/media drivers/scsi drivers/usb drivers/infiniband
	drivers/staging drivers/iio drivers/hwmon drivers/input drivers/net/wireless
	drivers/net/ethernet drivers/mtd drivers/platform fs/xfs fs/btrfs fs/ocfs2'

# apt as it would be on a machine of its own with those suites.
vm_apt() {
	local tool=$1 root=$VM_CACHE/apt-$VM_ARCH
	shift
	"$tool" -qq -o Dir::Etc="$root/etc" -o Dir::State="$root/state" \
		-o Dir::State::status="$root/status" -o Dir::Cache="$root/cache" \
		-o APT::Architecture="$VM_ARCH" -o APT::Architectures="$VM_ARCH" \
		-o APT::Sandbox::User=root -o Acquire::Languages=none "$@"
}

# The mirror that this host's apt uses for Debian, or its security updates.
vm_mirror() {
	apt-get indextargets --format '$(LABEL)|$(REPO_URI)' 'Created-By: Packages' |
		sed -n "s/^$1|//p" | head -n 1
}

vm_sources() {
	local suite main security
	main=$(vm_mirror Debian)
	security=$(vm_mirror Debian-Security)
	[ -n "$main" ] && [ -e "$VM_KEYS" ] || return 1
	for suite in $VM_SUITES; do
		echo "deb [signed-by=$VM_KEYS] $main $suite main"
	done
	for suite in $VM_SECURITY; do
		[ -z "$security" ] || echo "deb [signed-by=$VM_KEYS] $security $suite main"
	done
}

# The lists of packages, not older than a day. A suite that has gone is gone.
vm_lists() {
	local root=$VM_CACHE/apt-$VM_ARCH
	[ -z "$(find "$root/fresh" -mtime -1 2>/dev/null)" ] || return 0
	mkdir -p "$root"/{etc/{apt.conf.d,preferences.d,sources.list.d},state/lists/partial} \
		"$root/cache/archives/partial"
	: >"$root/status"
	vm_sources >"$root/etc/sources.list" || return 1
	vm_apt apt-get update >"$root/log" 2>&1 || true
	vm_apt apt-cache pkgnames linux-image- | grep . >/dev/null || return 1
	touch "$root/fresh"
}

# vm_package VERSION: the newest image package of it (as in 6.1; or "newest").
vm_package() {
	local version=${1//./\\.}
	[ "$1" != newest ] || version='[0-9]+\.[0-9]+'
	vm_apt apt-cache pkgnames linux-image- |
		grep -E "^linux-image-$version([.+~-][0-9a-z.+~-]*)?-$VM_ARCH\$" |
		grep -vE -- '-(cloud|rt|unsigned)(-|$)' |
		grep -E '[0-9]+\.[0-9]+[.-].*-' | sort -V | tail -n 1
}

# vm_unpack PACKAGE RELEASE: the image and, where those are packages of their own, its parts.
vm_unpack() (
	local dir=$VM_CACHE/kernels/$2 temp exclude=() part packages
	temp=$(mktemp -d "$VM_CACHE/unpack.XXXXXX") || return 1
	trap 'rm -rf "$temp"' EXIT
	for part in $VM_NOT_NEEDED; do
		exclude+=(--exclude="*/kernel/$part")
	done
	packages=$(vm_apt apt-cache depends --important "$1" |
		sed -n 's/^ *Depends: //p' | grep -Fx -e "linux-binary-$2" -e "linux-modules-$2") || true
	# shellcheck disable=SC2086 # a list
	(cd "$temp" && vm_apt apt-get download "$1" $packages >/dev/null 2>"$temp/log") ||
		{ tail -n 1 "$temp/log"; return 1; }
	for part in "$temp"/*.deb; do
		dpkg-deb --fsys-tarfile "$part" | tar -x -C "$temp" "${exclude[@]}" || return 1
	done
	mkdir -p "$temp/kernel/lib/modules"
	mv "$(find "$temp" -name 'vmlinu*' -print -quit)" "$temp/kernel/vmlinuz" || return 1
	mv "$(find "$temp" -path "*lib/modules/$2" -print -quit)" "$temp/kernel/lib/modules/" ||
		return 1
	depmod -b "$temp/kernel" "$2" 2>/dev/null
	mkdir -p "$VM_CACHE/kernels"
	rm -rf "$dir"
	mv "$temp/kernel" "$dir"
)

# vm_kernel VERSION: downloads it unless it is there, prints its release; else says why not.
vm_kernel() {
	local package release
	if ! vm_lists; then
		echo "no lists of Debian's packages (apt's sources name no Debian mirror that answers)"
		return 1
	fi
	package=$(vm_package "$1") || true
	if [ -z "$package" ]; then
		echo "Debian has no kernel $1 for $VM_ARCH"
		return 1
	fi
	release=${package#linux-image-}
	[ -e "$VM_CACHE/kernels/$release/vmlinuz" ] || vm_unpack "$package" "$release" || return 1
	echo "$release"
}

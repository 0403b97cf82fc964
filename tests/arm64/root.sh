# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# Debian's arm64 packages in a directory of the cache: the cross-compiler's headers and libraries,
# and a guest's root. Nothing is installed. Source it after tests/vm/kernels.sh; VM_ARCH=arm64.

ARM64_ROOT=$VM_CACHE/root-$VM_ARCH
# To link with, and for the guest.
ARM64_PACKAGES='libc6-dev libbpf-dev libelf-dev zlib1g-dev libzstd-dev libmnl-dev libjansson-dev libuv1-dev
	libcmocka-dev bash dash coreutils util-linux mount iproute2 curl kmod busybox-static'

# As if installed on an empty machine of this host's release, with all that they need.
arm64_install() {
	local release
	release=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
	# shellcheck disable=SC2086 # a list
	vm_apt apt-get install --yes --no-install-recommends -o APT::Default-Release="$release" \
		"$@" $ARM64_PACKAGES
}

arm64_unpack() {
	local root=$1 part link
	# Debian has those merged, but no package brings the links.
	for part in bin sbin lib; do
		mkdir -p "$root/usr/$part"
		ln -s "usr/$part" "$root/$part"
	done
	for part in "$2"/*.deb; do
		dpkg-deb --fsys-tarfile "$part" | tar -x --keep-directory-symlink -C "$root" ||
			return 1
	done
	# Links from the top of the root, as the linker meets them from outside.
	find "$root" -type l -lname '/*' | while read -r link; do
		ln -srfn "$root$(readlink "$link")" "$link"
	done
	[ -e "$root/bin/sh" ] || ln -s dash "$root/bin/sh"
}

# Makes $ARM64_ROOT, unless it is there with the packages that Debian has now; or says why not.
arm64_root() {
	local files temp
	if ! vm_lists; then
		echo "no lists of Debian's packages (apt's sources name no Debian mirror that answers)"
		return 1
	fi
	if ! files=$(arm64_install --print-uris 2>&1); then
		echo "Debian's arm64 packages can't be had: $(tail -n 1 <<<"$files")"
		return 1
	fi
	files=$(awk '{ print $2 }' <<<"$files" | sort)
	[ "$files" != "$(cat "$ARM64_ROOT.files" 2>/dev/null)" ] || return 0
	temp=$(mktemp -d "$VM_CACHE/unpack.XXXXXX") || return 1
	mkdir -p "$temp/debs/partial" "$temp/root"
	if ! arm64_install --download-only -o Dir::Cache::archives="$temp/debs" >"$temp/log" 2>&1 ||
		! arm64_unpack "$temp/root" "$temp/debs" 2>>"$temp/log"; then
		echo "Debian's arm64 packages can't be had: $(tail -n 1 "$temp/log")"
		rm -rf "$temp"
		return 1
	fi
	rm -rf "$ARM64_ROOT" "$ARM64_ROOT.files"
	mv "$temp/root" "$ARM64_ROOT"
	echo "$files" >"$ARM64_ROOT.files"
	rm -rf "$temp"
}

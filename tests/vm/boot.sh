# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# Boots a kernel of the cache under QEMU, without KVM, and runs a command in it; source it after
# kernels.sh. The guest sees this machine's files, and what it writes is gone with it; beside them it
# has a directory to write results to.
#
# VM_TIME    seconds until the guest is killed (600)
# VM_MEMORY  of the guest (2G)
# VM_CPUS    of the guest (2)
# VM_FILES   a directory to be the guest's root, for other architectures than this machine's, whose
#            files are in /host then
# VM_QEMU    further arguments of QEMU, split at blanks; with an -accel among them, instead of ours
# VM_PID     QEMU, while it runs

VM_TIME=${VM_TIME:-600}
VM_MEMORY=${VM_MEMORY:-2G}
VM_CPUS=${VM_CPUS:-2}
VM_FILES=${VM_FILES:-}
VM_HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
VM_PID=

# What the guest needs before it has a root directory.
VM_EARLY='virtio_pci virtio_console 9pnet_virtio 9p overlay'

# vm_initrd RELEASE FILE
vm_initrd() {
	local dir=$VM_CACHE/kernels/$1 root module file base order=''
	root=$(mktemp -d) || return 1
	mkdir -p "$root"/{bin,proc,sys,dev,modules,lower,upper,share,root}
	if [ -n "$VM_FILES" ]; then
		cp "$VM_FILES/bin/busybox" "$root/bin/busybox"
	else
		cp "$(type -P busybox)" "$root/bin/busybox"
	fi
	cp "$VM_HERE/init" "$root/init"
	for module in $VM_EARLY; do
		for file in $(modprobe -d "$dir" -S "$1" --show-depends "$module" 2>/dev/null |
			awk '/^insmod/ { print $2 }'); do
			base=${file##*/}
			base=${base%.xz}
			[[ " $order " != *" $base "* ]] || continue
			order+=" $base"
			case $file in
			*.xz) xz -dc "$file" >"$root/modules/$base" ;;
			*) cp "$file" "$root/modules/$base" ;;
			esac
		done
	done
	echo "$order" >"$root/modules/order"
	(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$2"
	rm -rf "$root"
}

# What differs between architectures. pauth-impdef: a hash for signed pointers that costs little.
vm_machine() {
	case $VM_ARCH in
	amd64) echo qemu-system-x86_64 -M q35 -cpu max ;;
	arm64) echo qemu-system-aarch64 -M virt -cpu max,pauth-impdef=on ;;
	esac
}

# vm_lacks [PROGRAM...]: why no guest can be booted here, with those programs beside; or nothing.
vm_lacks() {
	local qemu tool missing='' packages=vm
	read -r qemu _ <<<"$(vm_machine)"
	[ "$VM_ARCH" = amd64 ] || packages=$VM_ARCH
	if [ -z "$VM_FILES" ]; then
		[ "$(uname -m)" = x86_64 ] || { echo "guests are for x86_64, this is $(uname -m)"; return; }
		set -- "$@" busybox
	fi
	for tool in "$qemu" cpio modprobe xz "$@"; do
		type -P "$tool" >/dev/null || missing+=" $tool"
	done
	[ -z "$missing" ] || echo "no$missing; sudo tools/install-deps $packages"
}

# vm_boot RELEASE DIR COMMAND...: its output goes to this one's, its exit status is answered. DIR is
# for the guest's log, console.log, and what the command writes to $VM_SHARE. 125: the guest died.
vm_boot() {
	local release=$1 dir=$2 status=0 console=ttyS0 machine qemu=() here=${VM_FILES:+/host}
	# One thread: with two, QEMU sometimes lets both CPUs loop forever at an instruction that the kernel
	# patches, which it does for each test run of an XDP program (bpf_dispatcher_xdp_func).
	local accel=(-accel "tcg,thread=single,tb-size=512")
	shift 2
	read -ra qemu <<<"${VM_QEMU:-}"
	read -ra machine <<<"$(vm_machine)"
	[ "$VM_ARCH" != arm64 ] || console=ttyAMA0
	[[ " ${qemu[*]} " != *" -accel "* ]] || accel=()
	vm_initrd "$release" "$dir/initrd" || return 125
	mkdir -p "$dir/share"
	rm -f "$dir/share/status"
	printf 'cd %q\n' "$here$PWD" >"$dir/share/command"
	printf 'export %s\n' "PATH=${PATH@Q}" "VM_RELEASE=$release" >>"$dir/share/command"
	printf '%q ' "$@" >>"$dir/share/command"
	timeout "$VM_TIME" "${machine[@]}" "${accel[@]}" -smp "$VM_CPUS" \
		-m "$VM_MEMORY" -nodefaults -nic none -no-reboot -display none \
		-serial "file:$dir/console.log" \
		-device virtio-serial-pci -chardev stdio,id=out,signal=off -device virtconsole,chardev=out \
		-fsdev local,id=host,path=/,security_model=none,readonly=on,multidevs=remap \
		-device virtio-9p-pci,fsdev=host,mount_tag=host \
		-fsdev "local,id=share,path=$dir/share,security_model=none" \
		-device virtio-9p-pci,fsdev=share,mount_tag=share \
		-kernel "$VM_CACHE/kernels/$release/vmlinuz" -initrd "$dir/initrd" \
		-append "console=$console panic=-1 oops=panic nokaslr mitigations=off random.trust_cpu=on \
nowatchdog tsc=reliable sysctl.kernel.panic_on_rcu_stall=1 guest=$here$VM_HERE/guest \
modules=$VM_CACHE/kernels/$release/lib/modules files=$VM_FILES" \
		"${qemu[@]}" </dev/null &
	VM_PID=$!
	wait "$VM_PID" || status=$?
	VM_PID=
	rm -f "$dir/initrd"
	[ "$status" != 124 ] || echo "vm: not done after $VM_TIME s" >&2
	read -r status 2>/dev/null <"$dir/share/status" || status=125
	return "$status"
}

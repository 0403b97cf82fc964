# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# Devices on top of others: the balancer is attached to the one that has the addresses.

# vlan NAME ADDRESS: of the lab's link; its device is eth0.10.
vlan() {
	lab_in "$1" ip link add link eth0 name eth0.10 type vlan id 10
	lab_in "$1" ip addr add "$2/24" dev eth0.10
	lab_in "$1" ip link set dev eth0.10 up
}

# Clients in a VLAN, backends in none.
in_modes vlan_device generic
test_vlan_device() {
	local i
	modprobe -q 8021q || skip "this kernel has no VLAN devices"
	lab_up
	lab_nginx b1
	lab_nginx b2
	vlan client 10.10.0.4
	vlan lb 10.10.0.5
	lab_lbctl attach eth0 --mode generic 2>"$LAB_DIR/note"
	grep -q 'VLAN devices (eth0.10).*rxvlan off' "$LAB_DIR/note" || fail "$(cat "$LAB_DIR/note")"
	lab_lbctl attach eth0.10 --mode generic
	lab_in br ethtool -K lb-eth0 txvlan off >/dev/null # its peer is lb's eth0
	VIP=10.10.0.5:80/tcp HOST=10.10.0.5
	vip_up
	for i in $(seq 20); do
		fetch "http://$HOST/"
	done | sort | uniq -c >"$LAB_DIR/answers"
	[ "$(wc -l <"$LAB_DIR/answers")" = 2 ] || fail "$(cat "$LAB_DIR/answers")"
	lab_file big $((20 << 20))
	fetch --max-time 60 -o "$LAB_DIR/down" "http://$HOST/big"
	cmp "$LAB_DIR/down" "$LAB_DIR/www/big"
	check "$(json show interfaces)" 'map(.interface) | sort == ["eth0", "eth0.10"]'
	! lab_lbctl attach eth0 --mode native 2>"$LAB_DIR/error" || fail "the kernel didn't mind"
	grep -q 'a device on top of it has a program' "$LAB_DIR/error" || fail "$(cat "$LAB_DIR/error")"
	lab_lbctl unload
	lab_lbctl attach eth0 --mode native
	lab_lbctl attach eth0.10 --mode generic 2>"$LAB_DIR/note"
	grep -q "native mode can't leave by eth0.10" "$LAB_DIR/note" || fail "$(cat "$LAB_DIR/note")"
}

# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# What bench/vm-compare compares, beside what bench/contenders.sh has: NAME_up in the lab's
# balancer. Source it after that. Each has a lab of its own, so nothing has to be taken down.

# Each is reached at ${TARGET[NAME]}; direct goes to both backends.
LAB_DSR_VIP=172.17.0.100
# shellcheck disable=SC2034 # used by bench/vm/guest
declare -A TARGET=([direct]=$LAB_B1:80 [ipvs_nat]=$LAB_VIP:8085
	[ipvs_dr]=$LAB_DSR_VIP:80 [nftables]=$LAB_VIP:${PORT[nftables]} [generic]=$LAB_VIP:${PORT[lbctl]}
	[native]=$LAB_VIP:${PORT[lbctl]} [generic_lru]=$LAB_VIP:${PORT[lbctl]}
	[native_lru]=$LAB_VIP:${PORT[lbctl]})

# Masquerading: only the destination is rewritten, so replies have to come back through the balancer
# although the client is on the same network.
ipvs_nat_up() {
	local name
	for name in b1 b2; do
		lab_in "$name" ip route add "$LAB_CLIENT/32" via "$LAB_LB"
	done
	lab_in lb sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0 \
		net.ipv4.conf.eth0.send_redirects=0
	lab_in lb ipvsadm -A -t "${TARGET[ipvs_nat]}" -s rr
	lab_in lb ipvsadm -a -t "${TARGET[ipvs_nat]}" -r "$LAB_B1:80" -m
	lab_in lb ipvsadm -a -t "${TARGET[ipvs_nat]}" -r "$LAB_B2:80" -m
}

# Direct routing: backends have the VIP too, don't say so by ARP, and answer the client themselves.
ipvs_dr_up() {
	local name
	for name in b1 b2; do
		lab_in "$name" sysctl -qw net.ipv4.conf.all.arp_ignore=1 \
			net.ipv4.conf.all.arp_announce=2
		lab_in "$name" ip addr add "$LAB_DSR_VIP/32" dev lo
	done
	lab_in lb ip addr add "$LAB_DSR_VIP/32" dev eth0
	lab_in lb sysctl -qw net.ipv4.ip_forward=1
	lab_in lb ipvsadm -A -t "${TARGET[ipvs_dr]}" -s rr
	lab_in lb ipvsadm -a -t "${TARGET[ipvs_dr]}" -r "$LAB_B1:80" -g
	lab_in lb ipvsadm -a -t "${TARGET[ipvs_dr]}" -r "$LAB_B2:80" -g
}

# lbctl by attach mode and flow table; the table is chosen by the first attach.
generic_up() { MODE=generic lbctl_up; }
native_up() { MODE=native lbctl_up; }

generic_lru_up() {
	lab_lbctl attach eth0 --mode generic --flow-table lru >/dev/null
	generic_up
}

native_lru_up() {
	lab_lbctl attach eth0 --mode native --flow-table lru >/dev/null
	native_up
}

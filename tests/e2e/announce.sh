# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# VIPs that no interface has: found by whoever asks on the link where they are announced.

# A free address of the client's link.
spare_vip() {
	LAB_VIP=${LAB_VIP%5}50
	VIP=$(with_port "$LAB_VIP" 80/tcp)
	HOST=${VIP%:80/tcp}
}

mac_of() {
	lab_in "$1" ip -j link show dev eth0 | jq -r '.[0].address'
}

# MAC that the client has for the VIP.
mac_seen() {
	lab_in client ip -j neigh show to "$LAB_VIP" dev eth0 | jq -r '.[0].lladdr // "none"'
}

sees_balancer() {
	[ "$(mac_seen)" = "$(mac_of lb)" ]
}

ask_web() {
	lab_in client curl -sS --connect-timeout "$1" --max-time 3 "http://$HOST/"
}

# The group in which neighbours ask for the VIP of IPv6.
listens_for_vip() {
	lab_in lb ip maddr show dev eth0 | grep -q '33:33:ff:00:00:50'
}

in_both_families announced_vip
test_announced_vip() {
	lab_up
	use_family
	spare_vip
	lab_nginx b1
	[ "$MODE" != native ] || lab_native_peers
	attach eth0
	# Somebody had the address before.
	lab_in client ip neigh replace "$LAB_VIP" lladdr "$(mac_of b2)" dev eth0 nud reachable
	lab_lbctl add-vip "$VIP" --announce eth0 2>"$LAB_DIR/notes"
	[ ! -s "$LAB_DIR/notes" ] || fail "it said: $(cat "$LAB_DIR/notes")"
	lab_lbctl add-backend "$VIP" "$LAB_B1"
	check "$(json show vips)" '.[0].announce == "eth0"'
	lab_until 2 sees_balancer || fail "the client was not told: $(mac_seen)"
	[ "$(ask_web 0.9)" = b1 ]
	lab_in client ip neigh flush dev eth0
	[ "$(ask_web 0.9)" = b1 ] || fail "the client's question was not answered"
	sees_balancer || fail "it is answered by $(mac_seen)"
	lab_in client ping -q -c 1 -W 1 "$LAB_VIP" >/dev/null || fail "the VIP answers no ping"
	[ "$FAMILY" = ipv4 ] || listens_for_vip || fail "no group: $(lab_in lb ip maddr show dev eth0)"
	someone_wants_it
	no_longer_announced
}

# Who tries whether the address is free is told that it isn't (IPv6; Linux doesn't try for IPv4).
someone_wants_it() {
	[ "$FAMILY" = ipv6 ] || return 0
	lab_in b2 sysctl -qw net.ipv6.conf.eth0.accept_dad=1
	lab_in b2 ip addr add "$LAB_VIP/64" dev eth0
	lab_until 3 dad_failed || fail "a second host took the address: $(lab_in b2 ip addr show dev eth0)"
	lab_in b2 ip addr del "$LAB_VIP/64" dev eth0
}

dad_failed() {
	lab_in b2 ip addr show dev eth0 | grep -q "$LAB_VIP/64.*dadfailed"
}

no_longer_announced() {
	lab_lbctl set-vip "$VIP" --announce none
	check "$(json show vips)" '.[0].announce == null'
	! listens_for_vip || fail "the group is still heard"
	lab_in client ip neigh flush dev eth0
	! ask_web 1 2>/dev/null || fail "it is still announced"
	lab_lbctl set-vip "$VIP" --announce eth0
	[ "$(ask_web 0.9)" = b1 ]
	lab_lbctl unload
	! listens_for_vip || fail "the group is still heard after unload"
}

# Questions for other addresses are the host's, and so is the VIP where it isn't announced.
in_both_modes announced_elsewhere
test_announced_elsewhere() {
	local host
	lab_up_two_armed
	host=$LAB_VIP
	spare_vip
	attach eth0 eth1
	lab_lbctl add-vip "$VIP" --announce eth1
	lab_in client ip neigh flush dev eth0
	lab_in client ping -q -c 1 -W 1 "$host" >/dev/null || fail "the host is not found any more"
	! lab_in client ping -q -c 1 -W 1 "$LAB_VIP" >/dev/null || fail "announced on the wrong side"
}

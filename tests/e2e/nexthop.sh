# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# The way out is kept for a second: what changes in routes and neighbours shows soon after, with no
# lbctl in between.

# Asks over UDP from one port; each line of $LAB_DIR/answers is a time in us and who answered. On
# one CPU, since each keeps the way to a backend for itself.
ask_always() {
	local cpu
	cpu=$(taskset -cp $$ | sed 's/.*: //; s/[-,].*//')
	# shellcheck disable=SC2016 # expanded there
	lab_start client taskset -c "$cpu" bash -c '
		exec 3<>"/dev/udp/$1/53"
		while printf "hello\n" >&3; do
			read -r -t 0.05 -N 2 -u 3 name && echo "${EPOCHREALTIME/./}" "$name" || :
			sleep 0.02
		done' ask "$LAB_VIP" >"$LAB_DIR/answers" 2>/dev/null
	lab_until 5 answered b1 || fail "nobody answers"
	sleep 0.3
}

answered() {
	tail -n 1 "$LAB_DIR/answers" | grep -q " $1$"
}

# Someone, or NAME, answered to what was sent well after the change.
answered_since() {
	awk -v since="$SINCE" -v name="${1:-}" '$1 > since + 50000 && (!name || $2 == name) {
		found = 1 } END { exit !found }' "$LAB_DIR/answers"
}

# What was changed at $SINCE is followed within 1.5 s.
followed_soon() {
	lab_until 4 answered_since "$@" || fail "not followed in 4 s: $(tail -n 3 "$LAB_DIR/answers")"
	SINCE=$(((${EPOCHREALTIME/./} - SINCE) / 1000))
	[ "$SINCE" -lt 1500 ] || fail "followed only after $SINCE ms"
}

# Gives an interface another MAC, of which its neighbours are told as by any host that moves.
new_mac() {
	lab_in "$1" sysctl -qw net.ipv4.conf.eth0.arp_notify=1
	lab_in "$1" ip link set dev eth0 address "$2"
	SINCE=${EPOCHREALTIME/./}
}

udp_service() {
	ECHO=$(lab_cc tests/e2e/echo.c)
	lab_start b1 "$ECHO" serve 53 b1 ${1:+"$1"}
	lab_start b2 "$ECHO" serve 53 b2 ${1:+"$1"}
	lab_until 5 lab_listens b1 53
	lab_until 5 lab_listens b2 53
	attach eth0
	lab_lbctl add-vip "$LAB_VIP:53/udp"
	lab_lbctl add-backend "$LAB_VIP:53/udp" "${1:-$LAB_B1}"
}

in_both_modes macs_change generic/lru
test_macs_change() {
	lab_up
	udp_service
	ask_always
	new_mac b1 02:00:00:00:01:02
	followed_soon
	new_mac client 02:00:00:00:01:04
	followed_soon
}

# The backend has its address behind a gateway, and then behind another one.
in_both_modes route_changes native/lru
test_route_changes() {
	local backend=10.9.0.1
	lab_up
	lab_in b1 ip addr add "$backend/32" dev lo
	lab_in b2 ip addr add "$backend/32" dev lo
	lab_in lb ip route add "$backend" via "$LAB_B1"
	udp_service "$backend"
	ask_always
	lab_in lb ping -q -c 1 "$LAB_B2" >/dev/null # its MAC is known
	lab_in lb ip route replace "$backend" via "$LAB_B2"
	SINCE=${EPOCHREALTIME/./}
	followed_soon b2
}

has_mac() {
	[[ $(lab_in lb ip neigh show to "$1") == *lladdr* ]]
}

# Way to the clients: no packet of theirs has to come first.
in_modes gateways_resolved generic generic/ipv6
test_gateways_resolved() {
	lab_up
	use_family
	lab_in lb ip route add default via "$LAB_CLIENT"
	forget_neighbours
	attach eth0
	lab_until 5 has_mac "$LAB_CLIENT" || fail "$(lab_in lb ip neigh)"
}

# Replies to a link-local source address would pass no router: it is taken for none.
in_modes no_link_local_source generic/ipv6
test_no_link_local_source() {
	lab_up
	use_family
	VIP='[2001:db8::5]:80/tcp'
	lab_nginx b1
	lab_in client ip route add 2001:db8::5 via "$LAB_LB"
	lab_in lb ip addr del "$LAB_LB/64" dev eth0
	lab_in lb ip route add fd17::/64 dev eth0
	attach eth0
	lab_lbctl add-vip "$VIP"
	lab_lbctl add-backend "$VIP" "$LAB_B1"
	lab_in client ip neigh replace "$LAB_LB" dev eth0 nud permanent \
		lladdr "$(lab_in lb cat /sys/class/net/eth0/address)"
	! fetch --max-time 1 "http://[2001:db8::5]/" 2>/dev/null || fail "it has a source address"
	check "$(json show drops)" 'map(select(.reason == "no_snat"))[0].packets > 0'
	lab_lbctl set-vip "$VIP" --snat 2001:db8::5
	lab_in b1 ip route add 2001:db8::5 dev eth0
	lab_in b1 ip neigh replace 2001:db8::5 dev eth0 nud permanent \
		lladdr "$(lab_in lb cat /sys/class/net/eth0/address)"
	[ "$(fetch "http://[2001:db8::5]/")" = b1 ]
}

# way NET IFACE MTU: the balancer's route there (forwarding follows only a locked MTU); whoever sends longer packets that way learns of it.
way() {
	if [ "$FAMILY" = ipv6 ]; then
		lab_in lb ip -6 route replace "fd$1::/64" dev "$2" mtu lock "$3" metric 10
	else
		lab_in lb ip route replace "172.$1.0.0/16" dev "$2" mtu lock "$3"
	fi
}

# A connection finds its path's MTU by what the balancer answers: the client, and the backend.
in_modes path_mtu_to_backend generic native generic/ipv6 native/ipv6 generic/nat native/nat/ipv6
test_path_mtu_to_backend() {
	path_mtu 17 eth1
}

in_modes path_mtu_to_client generic native generic/ipv6 native/ipv6 generic/nat/ipv6 native/nat
test_path_mtu_to_client() {
	path_mtu 18 eth0
}

path_mtu() {
	lab_up_two_armed
	use_family
	lab_nginx b1
	attach eth0 eth1
	add_vip "$VIP"
	lab_lbctl add-backend "$VIP" "$LAB_B1"
	way "$1" "$2" 1400
	there_and_back "$(full 100 5)"
	dropped_as too_big
}

# The client alone learns: the way back is not by the balancer.
in_modes tunnel_path_mtu native/dsr native/ipip/ipv6 native/gue native/gue/other
test_tunnel_path_mtu() {
	tunnel_lab
	lab_in client ip link set dev eth0 mtu 1500
	tunnel_up
	way 17 eth0 1400
	there_and_back "$(full 100 5)"
	dropped_as too_big
}

# One datagram, asked as by a program that doesn't try again; who answers within SECONDS.
ask_once() {
	lab_in client bash -c '
		exec 3<>"/dev/udp/$1/53"
		printf "hello\n" >&3
		read -r -t "$2" -N 2 -u 3 name && echo "$name"' ask "$LAB_VIP" "$1" || true
}

# A backend that wasn't there when it was added: its MAC is asked for when the first packet comes, which waits.
in_both_families first_packet_waits
test_first_packet_waits() {
	lab_up
	use_family
	ECHO=$(lab_cc tests/e2e/echo.c)
	lab_in b1 ip link set dev eth0 down
	attach eth0
	lab_lbctl add-vip "$(with_port "$LAB_VIP" 53/udp)"
	lab_lbctl add-backend "$(with_port "$LAB_VIP" 53/udp)" "$LAB_B1" 2>"$LAB_DIR/note"
	daemon_up
	lab_in b1 ip link set dev eth0 up
	[ "$FAMILY" = ipv4 ] || lab_in b1 ip -6 addr replace "$LAB_B1/64" dev eth0 nodad
	lab_start b1 "$ECHO" serve 53 b1 "$LAB_B1"
	lab_until 5 lab_listens b1 53
	lab_in lb ip neigh del "$LAB_B1" dev eth0 2>/dev/null || true # the kernel may have tried again
	[ "$(ask_once "$(slow 1)")" = b1 ] || fail "no answer: $(lab_lbctl show drops)"
	check "$(json show stats)" '.parked >= 1 and .dropped == 0'
}

# Of one that never answers no more is kept than is of use, and not for long: a counted drop.
in_both_modes dead_next_hop
test_dead_next_hop() {
	local i
	lab_up
	lab_in b1 ip link set dev eth0 down
	attach eth0
	lab_lbctl add-vip "$LAB_VIP:53/udp"
	lab_lbctl add-backend "$LAB_VIP:53/udp" "$LAB_B1" 2>"$LAB_DIR/note"
	daemon_up
	for i in $(seq 100); do
		echo "$i" | lab_in client bash -c 'cat >"/dev/udp/$1/53"' ask "$LAB_VIP"
	done
	sleep 1.5
	check "$(json show drops)" \
		'map(select(.packets > 0) | [.reason, .packets]) == [["no_neighbour", 100]]'
}

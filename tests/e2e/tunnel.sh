# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# Methods ipip, gue and dsr: backends that have the VIP, and take packets out of the tunnel, answer the
# client themselves.

# The VIP is one address more of the balancer, and one that the backends don't tell of by ARP. The
# client's packets leave room for the tunnel's 52 bytes at most.
tunnel_lab() {
	local name obj=$LAB_DIR/decap.o
	"${1:-lab_up}"
	LAB_VIP=${LAB_VIP%.*}.9
	LAB_VIP6=${LAB_VIP6%:*}:9
	use_family
	lab_in lb ip addr add "$LAB_VIP" dev eth0
	clang -O2 -Wall -Werror -target bpf -I"/usr/include/$(uname -m)-linux-gnu" -c -o "$obj" \
		"$LAB_ROOT/tests/e2e/decap.bpf.c"
	for name in b1 b2; do
		lab_in "$name" sysctl -qw net.ipv4.conf.all.arp_ignore=1 \
			net.ipv4.conf.all.arp_announce=2 net.ipv4.conf.all.rp_filter=0
		lab_in "$name" ip addr add "$LAB_VIP" dev lo
		if [ "${UNWRAPS:-xdp}" = kernel ]; then
			kernel_unwrap "$name"
		elif [ "${UNWRAPS:-xdp}" = lbctl ]; then
			decap "$name" attach eth0 --mode "$MODE"
		elif [ "$METHOD" != dsr ]; then
			lab_in "$name" ip link set dev eth0 "$(tunnel_xdp)" obj "$obj" sec xdp
		fi
		lab_nginx "$name"
	done
	lab_in client ip link set dev eth0 mtu 1448
	attach eth0
}

# decap NAME ARGUMENT...: lbctl decap on a backend, with pins of its own.
decap() {
	lab_in "$1" "$LBCTL" --pin-dir "$LAB_PINS/$1" decap "${@:2}"
}

tunnel_xdp() {
	if [ "$MODE" = native ]; then echo xdpdrv; else echo xdpgeneric; fi
}

tunnel_up() {
	local b1=$LAB_B1 b2=$LAB_B2
	lab_lbctl add-vip "$VIP" --method "$METHOD"
	if [ "$OTHER" = 1 ]; then
		b1=$LAB_OTHER_B1
		b2=$LAB_OTHER_B2
	fi
	lab_lbctl add-backend "$VIP" "$b1"
	lab_lbctl add-backend "$VIP" "$b2"
}

# tunnel_flows FILTER: is so for the flows, counted by method and state.
tunnel_flows() {
	check "$(json show flows --vip "$VIP" --limit 10000 |
		jq -c 'group_by([.method, .state]) | map({method: .[0].method, state: .[0].state,
			n: length, least_in: (map(.packets.in) | min),
			out: (map(.packets.out + .bytes.out) | add)})')" "$1"
}

# tunnel_has STATE N: so many at least in this state; no reply passes here, so none is counted.
tunnel_has() {
	tunnel_flows "(map(select(.state == \"$1\"))[0].n // 0) >= $2 and
		all(.method == \"$METHOD\" and .out == 0 and .least_in > 0)"
}

in_modes tunnel_tcp generic native generic/dsr native/dsr generic/ipv6 native/ipv6/other \
	native/other generic/ipv6/other generic/dsr/ipv6 native/dsr/ipv6 generic/gue native/gue/ipv6 \
	native/gue/other generic/gue/ipv6/other
test_tunnel_tcp() {
	tunnel_lab
	tunnel_up
	a_backend_answers
	tunnel_has fin 1
	wrk_start wrk 3
	sleep 1.5
	tunnel_has established 100
	in_share "$(open_connections b1)" "$(open_connections b2)" 30 70
	wrk_end "$LAB_PID" wrk
	wrk_start short 3 -H 'Connection: close'
	wrk_end "$LAB_PID" short
	there_and_back 20
	check "$(json show drops)" 'map(.packets) | add == 0'
}

# The balancer's own counts are the client's packets only, and backends see the client's address.
in_both_modes tunnel_udp native/lru generic/dsr native/ipv6 generic/gue native/gue/other
test_tunnel_udp() {
	tunnel_lab
	ECHO=$(lab_cc tests/e2e/echo.c)
	VIP=$(with_port "$LAB_VIP" 53/udp)
	tunnel_up
	lab_start b1 "$ECHO" serve 53 b1 "$LAB_VIP"
	lab_start b2 "$ECHO" serve 53 b2 "$LAB_VIP"
	lab_until 5 lab_listens b1 53
	lab_until 5 lab_listens b2 53
	udp_flows checksum 5
	udp_flows nochecksum 5
	tunnel_has assured 1000
}

# The backend's kernel as the README sets it up.
kernel_unwrap() {
	local fou=(ip fou) dev=tunl0
	if [ "$FAMILY" = ipv6 ]; then
		fou=(ip -6 fou)
		dev=tun6
		lab_in "$1" ip link add "$dev" type ip6tnl external
	fi
	[ "$METHOD" != gue ] || lab_in "$1" "${fou[@]}" add port 6080 gue
	lab_in "$1" ip link set dev "$dev" up
	lab_in "$1" sysctl -qw "net.ipv4.conf.$dev.rp_filter=0"
}

# Its own tunnel devices are the judge of our outer headers.
in_modes kernel_unwraps $(full "generic generic/ipv6 generic/gue generic/gue/ipv6 native/gue/ipv6" \
	"generic/gue generic/gue/ipv6" "generic/gue/ipv6")
test_kernel_unwraps() {
	local module
	for module in ipip ip6_tunnel fou fou6; do
		modprobe -q "$module" || skip "this kernel has no tunnel devices"
	done
	UNWRAPS=kernel
	tunnel_lab
	tunnel_up
	a_backend_answers
	wrk_start wrk 2
	wrk_end "$LAB_PID" wrk
	there_and_back 5
	check "$(json show drops)" 'map(.packets) | add == 0'
}

# A backend that comes breaks nothing, one that goes only its own connections.
in_both_modes tunnel_changes
test_tunnel_changes() {
	local keep open
	tunnel_lab
	lab_lbctl add-vip "$VIP" --method ipip
	lab_lbctl add-backend "$VIP" "$LAB_B1"
	wrk_start keep 3
	keep=$LAB_PID
	wrk_start short 3 -H 'Connection: close'
	sleep 1
	lab_lbctl add-backend "$VIP" "$LAB_B2"
	lab_until 5 reaches b2 || fail "the added backend gets nothing"
	wrk_end "$keep" keep
	wrk_end "$LAB_PID" short
	wrk_start wrk 3
	sleep 1
	open=$(open_connections b2)
	[ "$open" -gt 0 ]
	lab_lbctl del-backend "$VIP" "$LAB_B2"
	wrk_end "$LAB_PID" wrk ".errors.all <= $open and .errors.timeout == 0"
}

# Connections that the balancer has forgotten are found again by the hash.
in_modes tunnel_picked_up generic native/lru
test_tunnel_picked_up() {
	local i
	tunnel_lab
	tunnel_up
	wrk_start wrk 4
	sleep 1
	for i in 1 2 3; do
		check "$(json flush flows)" '.flows >= 100'
		sleep 0.5
	done
	tunnel_has established 90
	wrk_end "$LAB_PID" wrk
}

# Another method is for new connections, those that are there go on beside them.
in_both_modes tunnel_set_method
test_tunnel_set_method() {
	local i
	tunnel_lab
	vip_up
	wrk_start wrk 6
	sleep 1
	lab_lbctl set-vip "$VIP" --method ipip
	for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
		fetch --max-time 1 "http://$HOST/"
		sleep 0.2
	done
	tunnel_flows '(map(select(.method == "fullnat" and .state == "established"))[0].n) == 100 and
		(map(select(.method == "ipip")) | length == 1 and .[0].state == "fin" and
			.[0].n == 12 and .[0].out == 0)'
	lab_lbctl set-vip "$VIP" --method fullnat
	fetch --max-time 1 "http://$HOST/"
	wrk_end "$LAB_PID" wrk
}

# Packets leave by another interface than they came in by. Replies pass the host, which is the
# backends' gateway, and owns their source address.
in_both_modes tunnel_two_armed
test_tunnel_two_armed() {
	tunnel_lab lab_up_two_armed
	lab_in lb sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.eth1.accept_local=1 \
		net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth1.rp_filter=0
	tunnel_up
	wrk_start wrk 2
	wrk_end "$LAB_PID" wrk
	tunnel_flows '(map(.n) | add) >= 100 and all(.method == "ipip" and .out == 0)'
	lab_file big $((20 << 20))
	fetch --max-time 20 -T "$LAB_DIR/www/big" "http://$HOST/up/1"
	cmp "$LAB_DIR"/b?/up/1 "$LAB_DIR/www/big"
}

# Without room for the tunnel's header the client learns of the path's MTU, and goes on with less. A
# packet of generic mode may be many that are cut up later, so there the next link drops it.
in_modes tunnel_too_big native native/ipv6 native/other native/gue native/gue/other
test_tunnel_too_big() {
	tunnel_lab
	tunnel_up
	lab_in client ip link set dev eth0 mtu 1500
	lab_file big $((1 << 20))
	fetch --max-time 2 -T "$LAB_DIR/www/big" "http://$HOST/up/1"
	cmp "$LAB_DIR"/b?/up/1 "$LAB_DIR/www/big"
	check "$(json show drops)" 'map(select(.reason == "too_big"))[0].packets > 0'
}

# Nothing rewrites ports.
test_tunnel_keeps_the_port() {
	BAD=0
	tunnel_lab
	tunnel_up
	wrong 1 port lab_lbctl add-backend "$VIP" "$LAB_LB:81"
	wrong 1 port lab_lbctl add-backend "$VIP" 172.17.0.7:81
	lab_lbctl add-vip "$LAB_VIP:82"
	lab_lbctl add-backend "$LAB_VIP:82" "$LAB_B1:80"
	wrong 1 port lab_lbctl set-vip "$LAB_VIP:82" --method ipip
	wrong 1 port lab_lbctl set-vip "$LAB_VIP:82" --method dsr
	[ "$BAD" = 0 ]
}

# A backend's MAC is of use on its link only, and an address of its family.
test_dsr_on_link() {
	BAD=0
	METHOD=dsr
	tunnel_lab
	tunnel_up
	lab_in lb ip route add 198.51.100.0/24 via "$LAB_B1"
	wrong 1 router lab_lbctl add-backend "$VIP" 198.51.100.7
	wrong 1 IPv4 lab_lbctl add-backend "$VIP" "$LAB_OTHER_B1"
	lab_lbctl set-vip "$VIP" --method ipip
	lab_lbctl add-backend "$VIP" 198.51.100.7
	wrong 1 router lab_lbctl set-vip "$VIP" --method dsr
	lab_lbctl del-backend "$VIP" 198.51.100.7
	lab_lbctl add-backend "$VIP" "$LAB_OTHER_B1"
	wrong 1 IPv4 lab_lbctl set-vip "$VIP" --method fullnat
	[ "$BAD" = 0 ]
}

# All connections of a client to one backend; the hash of its address is nothing to rely on.
in_modes source_hash generic/ipv6 native
test_source_hash() {
	local i first
	lab_with_lbctl
	lab_lbctl add-vip "$VIP" --hash source
	lab_lbctl add-backend "$VIP" "$LAB_B1"
	lab_lbctl add-backend "$VIP" "$LAB_B2"
	check "$(json show vips)" '.[0].hash == "source"'
	first=$(fetch "http://$HOST/")
	for ((i = 0; i < 30; i++)); do
		[ "$(fetch "http://$HOST/")" = "$first" ] || fail "another backend"
	done
	lab_lbctl set-vip "$VIP" --hash 5tuple
	for ((i = 0; i < 30; i++)); do
		[ "$(fetch "http://$HOST/")" = "$first" ] || return 0
	done
	fail "the same backend 30 times"
}

# Ping to a VIP is answered, also to one that no interface has.
in_modes vip_answers_ping generic native generic/ipv6 native/ipv6
test_vip_answers_ping() {
	local vip
	lab_with_lbctl
	vip=$([ "$FAMILY" = ipv6 ] && echo fd17::99 || echo 172.17.0.99)
	lab_lbctl add-vip "$(with_port "$vip" 80)"
	lab_in client ip neigh add "$vip" dev eth0 lladdr "$(lab_in lb cat /sys/class/net/eth0/address)"
	lab_in client ping -c 3 -i 0.2 -W 2 "$vip"
	lab_in client ping -c 2 -i 0.2 -W 2 -s 1400 "$vip"
	lab_lbctl del-vip "$(with_port "$vip" 80)"
	! lab_in client ping -c 1 -W 1 "$vip" || fail "it still answers"
}

# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# The tutorial's lab in network namespaces: source this file, call lab_up, run things with lab_in.
# All of it is gone when the script ends, however it ends: lab_up sets the traps.
#
#   client 172.17.0.4 fd17::4 --+
#   lb     172.17.0.5 fd17::5 --+-- br0    two-armed: client 172.18.0.4 fd18::4 and
#   b1     172.17.0.2 fd17::2 --+          lb 172.18.0.5 fd18::5 on br1,
#   b2     172.17.0.3 fd17::3 --+          lb 172.17.0.5 fd17::5 and the backends on br0
#
# The bridges lie in a namespace of their own, so the host's network is never touched.
#
# LAB_PREFIX  first part of every namespace's name; leftovers of an earlier run with it are removed
# LAB_DIR     the lab's temporary directory
# LAB_PINS    the lab's own pin directory
# LBCTL       the lbctl to run

LAB_PREFIX=${LAB_PREFIX:-lb$$}
LAB_DIR=${TMPDIR:-/tmp}/lbctl-lab.$LAB_PREFIX
LAB_PINS=/sys/fs/bpf/$LAB_PREFIX
LAB_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
LAB_CLIENT=172.17.0.4
LAB_LB=172.17.0.5
LAB_VIP=172.17.0.5
LAB_B1=172.17.0.2
LAB_B2=172.17.0.3
LAB_CLIENT6=fd17::4
LAB_LB6=fd17::5
LAB_VIP6=fd17::5
LAB_B1_6=fd17::2
LAB_B2_6=fd17::3
LBCTL=${LBCTL:-$LAB_ROOT/build/lbctl}

lab_die() {
	echo "lab: $*" >&2
	exit 1
}

# lab_in NAME CMD...: runs CMD in a namespace. Not by ip netns exec, which hides /sys/fs/bpf.
lab_in() {
	nsenter --net="/run/netns/$LAB_PREFIX-$1" -- "${@:2}"
}

# lab_start NAME CMD...: the same in the background; LAB_PID is its process, killed with the lab.
# To wait for it, use wait "$LAB_PID": unlike a foreground command, that lets a signal through.
lab_start() {
	nsenter --net="/run/netns/$LAB_PREFIX-$1" -- "${@:2}" &
	lab_owns $!
}

# lab_owns PID: a background process that ends with the lab. Its start time is written beside its
# number, so that no stranger with that number is killed.
lab_owns() {
	LAB_PID=$1
	echo "$LAB_PID $(lab__start_time "$LAB_PID")" >>"$LAB_DIR/pids"
}

lab__start_time() {
	local stat=''
	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || true
	cut -d' ' -f20 <<<"${stat##*) }"
}

# lab_stop PID...: ends jobs of lab_start.
lab_stop() {
	local pid tries
	for pid; do
		kill "$pid" 2>/dev/null || continue
		for ((tries = 0; tries < 100; tries++)); do
			kill -0 "$pid" 2>/dev/null || break
			sleep 0.02
		done
		kill -KILL "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
}

# lab_until SECONDS CMD...: repeats CMD until it succeeds; fails after that time.
lab_until() {
	local end=$((${EPOCHREALTIME/./} + $1 * 1000000))
	until "${@:2}" >/dev/null 2>&1; do
		[ "${EPOCHREALTIME/./}" -lt "$end" ] || return 1
		sleep 0.02
	done
}

# lbctl of this lab, in the balancer's namespace.
lab_lbctl() {
	lab_in lb "$LBCTL" --pin-dir "$LAB_PINS" "$@"
}

lab_up() {
	lab__begin
	lab__join client eth0 br0 17 4
	lab__join lb eth0 br0 17 5
	lab__join b1 eth0 br0 17 2
	lab__join b2 eth0 br0 17 3
}

lab_up_two_armed() {
	local name
	LAB_CLIENT=172.18.0.4
	LAB_VIP=172.18.0.5
	LAB_CLIENT6=fd18::4
	LAB_VIP6=fd18::5
	lab__begin
	lab_in br ip link add br1 up type bridge
	lab__join client eth0 br1 18 4
	lab__join lb eth0 br1 18 5
	lab__join lb eth1 br0 17 5
	lab__join b1 eth0 br0 17 2
	lab__join b2 eth0 br0 17 3
	# The one route that backends need, so that they answer the client when nothing translates.
	for name in b1 b2; do
		lab_in "$name" ip route add 172.18.0.0/16 via "$LAB_LB"
		! lab_has_ipv6 || lab_in "$name" ip route add fd18::/64 via "$LAB_LB6"
	done
}

lab_has_ipv6() {
	[ -e /proc/sys/net/ipv6/conf ]
}

lab__begin() {
	local name
	[ "$(id -u)" = 0 ] || lab_die "network namespaces need root; use sudo"
	if [ -L "$LAB_DIR" ] || { [ -e "$LAB_DIR" ] && [ ! -O "$LAB_DIR" ]; }; then
		lab_die "$LAB_DIR belongs to somebody else"
	fi
	lab_down
	trap lab_down EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	trap 'exit 129' HUP
	mkdir -m 755 "$LAB_DIR"
	for name in br client lb b1 b2; do
		ip netns add "$LAB_PREFIX-$name"
		# A link-local address, which asks for neighbours, is usable only when this is over.
		! lab_has_ipv6 || lab__sysctl "$name" net/ipv6/conf/default/accept_dad 0
		lab_in "$name" ip link set lo up
	done
	lab_in br ip link add br0 up type bridge
	# Bridged frames don't go through netfilter, as on any host without br_netfilter.
	# shellcheck disable=SC2016
	lab_in br sh -c 'for key in /proc/sys/net/bridge/bridge-nf-call-*; do
		[ ! -e "$key" ] || echo 0 >"$key"; done'
}

# lab__sysctl NAME KEY VALUE
lab__sysctl() {
	# shellcheck disable=SC2016
	lab_in "$1" sh -c 'echo "$2" >"/proc/sys/$1"' sysctl "$2" "$3"
}

# lab__join NAME IFACE BRIDGE NET HOST: to a bridge, as 172.NET.0.HOST and fdNET::HOST.
lab__join() {
	local ns=$LAB_PREFIX-$1
	ip link add "$2" netns "$ns" type veth peer name "$1-$2" netns "$LAB_PREFIX-br"
	lab_in br ip link set "$1-$2" master "$3" up
	lab_in "$1" ip link set "$2" up
	lab_in "$1" ip addr add "172.$4.0.$5/16" dev "$2"
	! lab_has_ipv6 || lab_in "$1" ip addr add "fd$4::$5/64" dev "$2" nodad
}

# Removes the lab, and what a killed run with the same prefix left. Safe to call at any time.
lab_down() {
	local pid start name
	trap '' INT TERM HUP
	if [ -f "$LAB_DIR/pids" ]; then
		while read -r pid start; do
			[ "$(lab__start_time "$pid")" != "$start" ] || lab_stop "$pid"
		done <"$LAB_DIR/pids"
	fi
	rm -rf "$LAB_PINS"
	for name in br client lb b1 b2 far; do
		[ ! -e "/run/netns/$LAB_PREFIX-$name" ] || ip netns del "$LAB_PREFIX-$name" || true
	done
	rm -rf "$LAB_DIR"
	trap - INT TERM HUP
}

# lab_cc SOURCE: compiles one of the tree's small C programs into the lab; prints its path.
lab_cc() {
	local out
	out=$LAB_DIR/$(basename "$1" .c)
	[ -x "$out" ] || ${CC:-cc} -std=gnu11 -O2 -Wall -Wextra -Werror -o "$out" "$LAB_ROOT/$1" >&2
	echo "$out"
}

# lab_xdp NAME IFACE MODE RETURN: attaches a program that answers RETURN (2: PASS) to everything.
lab_xdp() {
	local obj=$LAB_DIR/answer$4.o
	[ -e "$obj" ] || clang -O2 -target bpf -c -o "$obj" -x c - <<-END
		__attribute__((section("xdp"), used)) int answer(void *ctx) { return $4; }
		__attribute__((section("license"), used)) char answer_license[] = "GPL";
	END
	lab_in "$1" ip -force link set dev "$2" "$3" obj "$obj" sec xdp
}

# lab_native_peers [off]: what native mode on veth needs, a program on the balancer's peers; without
# one XDP_TX is lost.
lab_native_peers() {
	local port
	while read -r port; do
		if [ "${1:-on}" = off ]; then
			lab_in br ip link set dev "$port" xdpdrv off
		else
			lab_xdp br "$port" xdpdrv 2
		fi
	done < <(lab_in br ip -o link show type veth | sed -n 's/^[0-9]*: \(lb-[^@]*\)@.*/\1/p')
}

# lab_nginx NAME: a web server of one worker in a backend. / answers the backend's name, other
# paths are files of $LAB_DIR/www, and PUT /up/FILE stores one in $LAB_DIR/NAME/up.
lab_nginx() {
	local dir=$LAB_DIR/$1
	mkdir -p "$dir/up" "$LAB_DIR/www"
	cat >"$dir/nginx.conf" <<-END
		daemon off;
		user root;
		worker_processes 1;
		pid $dir/pid;
		error_log $dir/error.log;
		events { worker_connections 8192; }
		http {
			access_log off;
			default_type text/plain;
			keepalive_requests 1000000000;
			sendfile on;
			client_body_temp_path $dir/body;
			proxy_temp_path $dir/proxy;
			fastcgi_temp_path $dir/fastcgi;
			uwsgi_temp_path $dir/uwsgi;
			scgi_temp_path $dir/scgi;
			server {
				listen 80 backlog=4096;
				$(! lab_has_ipv6 || echo 'listen [::]:80 backlog=4096;')
				root $LAB_DIR/www;
				location = / { return 200 "$1\n"; }
				location = /status { stub_status; }
				location /up/ {
					root $dir;
					client_max_body_size 0;
					dav_methods PUT;
				}
			}
		}
	END
	lab_start "$1" nginx -e "$dir/error.log" -p "$dir" -c "$dir/nginx.conf"
	lab_until 5 lab_listens "$1" 80 || lab_die "nginx did not start: $(tail -n 3 "$dir/error.log")"
}

lab_listens() {
	[ -n "$(lab_in "$1" ss -Hltn "sport = :$2")" ]
}

# lab_file NAME BYTES: a random file that both web servers offer.
lab_file() {
	mkdir -p "$LAB_DIR/www"
	head -c "$2" /dev/urandom >"$LAB_DIR/www/$1"
}

# lab_accepted NAME: connections that the web server there has accepted, but for these questions'.
# (The kernel's PassiveOpens counts some twice, when two packets of a handshake meet on two CPUs.)
lab_accepted() {
	local n
	n=$(lab_in "$1" curl -sS --max-time 5 http://127.0.0.1/status |
		awk '/^server accepts/ { getline; print $1 }')
	echo >>"$LAB_DIR/$1/asked"
	echo $((n - $(wc -l <"$LAB_DIR/$1/asked")))
}

# lab_counter NAME COUNTER: one of the kernel's TCP counters there, e.g. TcpInSegs.
lab_counter() {
	lab_in "$1" nstat -asz "$2" | awk 'NR == 2 { print $2 }'
}

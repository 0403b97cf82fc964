# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# The balancers that bench/consistency compares, each as NAME_up and NAME_down in the lab's
# balancer. Only the one that is measured is up. ${PORT[NAME]} is where it listens.

# shellcheck disable=SC2034 # used by bench/consistency
declare -A PORT=([direct]=80 [nftables]=8081 [nginx]=8082 [haproxy]=8083 [lbctl]=80
	[perpacket]=8084)

# Contenders share the balancer's address toward the backends, which keep closed connections for a
# minute: without this one would stumble over the ports of the one before it.
forget_connections() {
	local name
	for name in client lb b1 b2; do
		lab_in "$name" ss -4HtaK exclude listening >/dev/null
	done
}

# No balancer: both backends get half of the load each.
direct_up() { :; }
direct_down() { :; }

nftables_up() {
	lab_in lb sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0 \
		net.ipv4.conf.eth0.send_redirects=0
	lab_in lb nft -f - <<-END
		table ip lab {
			chain prerouting {
				type nat hook prerouting priority dstnat;
				tcp dport 8081 dnat ip to numgen inc mod 2 map {
					0 : $LAB_B1 . 80, 1 : $LAB_B2 . 80 }
			}
			chain postrouting {
				type nat hook postrouting priority srcnat;
				ip daddr { $LAB_B1, $LAB_B2 } masquerade
			}
		}
	END
}

nftables_down() {
	lab_in lb nft delete table ip lab
	lab_in lb sysctl -qw net.ipv4.ip_forward=0
}

nginx_up() {
	cat >"$LAB_DIR/stream.conf" <<-END
		load_module modules/ngx_stream_module.so;
		daemon off;
		user root;
		worker_processes auto;
		pid $LAB_DIR/stream.pid;
		error_log $LAB_DIR/stream.log;
		events { worker_connections 8192; }
		stream {
			upstream backends { server $LAB_B1:80; server $LAB_B2:80; }
			server { listen 8082 backlog=4096; proxy_pass backends; }
		}
	END
	lab_start lb nginx -e "$LAB_DIR/stream.log" -p /usr/share/nginx -c "$LAB_DIR/stream.conf"
	PROXY=$LAB_PID
	lab_until 5 lab_listens lb 8082 || lab_die "nginx: $(tail -n 3 "$LAB_DIR/stream.log")"
}

nginx_down() { lab_stop "$PROXY"; }

haproxy_up() {
	cat >"$LAB_DIR/haproxy.cfg" <<-END
		global
			maxconn 8192
		defaults
			mode tcp
			timeout connect 5s
			timeout client 60s
			timeout server 60s
		listen lab
			bind :8083 backlog 4096
			server b1 $LAB_B1:80
			server b2 $LAB_B2:80
	END
	lab_start lb haproxy -q -db -f "$LAB_DIR/haproxy.cfg"
	PROXY=$LAB_PID
	lab_until 5 lab_listens lb 8083 || lab_die "haproxy did not start"
}

haproxy_down() { lab_stop "$PROXY"; }

# lbctl with a method. Each method is a contender of its own: lbctl is fullnat, the others are named
# as they are and call these two, with what their backends need around them.
lbctl__serve() {
	[ "$MODE" != native ] || lab_native_peers
	lab_lbctl attach eth0 --mode "$MODE" >/dev/null
	lab_lbctl add-vip "$LAB_VIP:80/tcp" --method "$1" >/dev/null
	lab_lbctl add-backend "$LAB_VIP:80/tcp" "$LAB_B1" >/dev/null
	lab_lbctl add-backend "$LAB_VIP:80/tcp" "$LAB_B2" >/dev/null
}

lbctl__end() {
	lab_lbctl unload >/dev/null
	[ "$MODE" != native ] || lab_native_peers off
}

lbctl_up() { lbctl__serve fullnat; }
lbctl_down() { lbctl__end; }

# A backend at random for every packet, as a well-known tutorial has it. Not a contender: it shows
# that the proof tells right from wrong.
perpacket_up() {
	lab_in lb sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0 \
		net.ipv4.conf.eth0.send_redirects=0
	lab_in lb nft -f - <<-END
		table ip lab {
			chain prerouting {
				type filter hook prerouting priority raw;
				tcp dport 8084 ip daddr set numgen random mod 2 map {
					0 : $LAB_B1, 1 : $LAB_B2 }
				tcp dport 8084 tcp dport set 80
				ip saddr { $LAB_B1, $LAB_B2 } tcp sport 80 ip daddr set $LAB_CLIENT
			}
			chain postrouting {
				type filter hook postrouting priority raw;
				tcp dport 80 ip saddr set $LAB_LB
				tcp sport 80 ip saddr set $LAB_LB
				tcp sport 80 tcp sport set 8084
			}
		}
	END
}

perpacket_down() { nftables_down; }

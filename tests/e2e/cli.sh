# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# The command line: every wrong input has its exit status and its one line; JSON has its names.

# Exit status, command, and what the error must mention. 172.17.0.5:80/tcp has one backend, and so
# has [fd17::5]:80/tcp.
wrong_inputs() {
	cat <<-END
		2||
		2|nosuch|nosuch
		2|show|
		2|show nosuch|nosuch
		2|add-vip|
		2|add-vip 172.17.0.5:81/tcp --nosuch|--nosuch
		2|add-vip 172.17.0.5:81/tcp --method|--method
		2|add-vip 172.17.0.5:81/tcp --method nosuch|nosuch
		2|add-vip 172.17.0.5:81/tcp --persist 5|5
		2|add-vip 172.17.0.5:81/tcp --persist 25h|25h
		1|set-vip 172.17.0.5:80/tcp --scheduler wrr --hash source|maglev
		1|add-vip 172.17.0.5:81/tcp --announce nosuch|nosuch
		1|set-vip 172.17.0.5:80/tcp --announce lo|lo
		2|add-vip 172.17.0.5:81/tcp --allow 10.0.0.1/8|10.0.0.0/8
		2|add-vip 172.17.0.5:81/tcp --allow 10.0.0.0/33|33
		2|set-vip 172.17.0.5:80/tcp --new-rate -1|-1
		2|set-vip 172.17.0.5:80/tcp --new-rate 1000000001|1000000000
		2|deny add|deny add PREFIX
		2|deny block 10.0.0.0/8|block
		2|deny add 10.0.0.1/8|10.0.0.0/8
		1|deny del 10.0.0.0/8|10.0.0.0/8
		2|attach eth0 --new-rate x|x
		2|add-vip 172.17.0.5:81/tcp --scheduler nosuch|nosuch
		2|add-vip 172.17.0.5:81/tcp 172.17.0.2|add-vip
		2|add-vip 172.17.0.5:81/tcp --snat nosuch|nosuch
		2|add-vip 172.17.0.5:81/tcp --timeout nosuch=5s|nosuch
		2|add-vip 172.17.0.5:81/tcp --timeout fin=5y|5y
		2|add-vip 172.17.0.256:81/tcp|172.17.0.256
		2|add-vip 172.17.5:81/tcp|172.17.5
		2|add-vip nosuch|nosuch
		2|add-vip 172.17.0.5|172.17.0.5
		2|add-vip 172.17.0.5:|172.17.0.5:
		2|add-vip 172.17.0.5:65536/tcp|65536
		2|add-vip 172.17.0.5:0/tcp|
		2|add-vip 172.17.0.5:-1/tcp|-1
		2|add-vip 172.17.0.5:80x/tcp|80x
		2|add-vip 172.17.0.5:81/nosuch|nosuch
		2|add-vip 172.17.0.5:81/|
		2|add-vip [2001:db8::5:81/tcp|2001:db8::5
		2|add-vip 2001:db8::5:81/tcp|[2001:db8::1]:80
		2|add-vip [fe80::5]:81/tcp|link-local
		2|add-vip [fe80::5%eth0]:81/tcp|fe80::5%eth0
		2|add-vip [ff02::5]:81/tcp|multicast
		2|add-vip [::]:81/tcp|unspecified
		2|add-vip [::1]:81/tcp|loopback
		2|add-vip [::ffff:127.0.0.1]:81/tcp|loopback
		2|add-vip [2001:db8::5]:81/tcp --snat fe80::5|link-local
		1|add-vip [2001:db8::5]:81/tcp --snat 172.17.0.6|172.17.0.6
		1|add-vip 172.17.0.5:81/tcp --snat 2001:db8::6|2001:db8::6
		1|add-vip [fd17::5]:80|[fd17::5]:80
		1|add-vip [fd17:0:0::5]:80/tcp|it exists
		1|add-vip [fd17::5]:*/tcp|--force
		1|set-vip [fd17::5]:80 --snat 172.17.0.6|172.17.0.6
		1|add-vip 172.17.0.5:80/tcp|172.17.0.5:80/tcp
		1|add-vip 172.17.0.5:80|172.17.0.5:80
		1|add-vip 172.17.0.5:*/tcp|--force
		1|set-vip 172.17.0.5:81/tcp --timeout fin=5s|172.17.0.5:81/tcp
		1|del-vip 172.17.0.5:81/tcp|172.17.0.5:81/tcp
		1|del-vip 172.17.0.5:80/udp|172.17.0.5:80/udp
		2|add-backend 172.17.0.5:80/tcp|
		2|add-backend 172.17.0.5:80/tcp 172.17.0|172.17.0
		2|add-backend 172.17.0.5:80/tcp 172.17.0.3:99999|99999
		2|add-backend 172.17.0.5:80/tcp 172.17.0.3 --weight 65536|65536
		2|add-backend 172.17.0.5:80/tcp 172.17.0.3 --weight -1|-1
		2|add-backend 172.17.0.5:80/tcp 172.17.0.3 --weight 1x|1x
		1|add-backend 172.17.0.5:80/tcp 172.17.0.2|172.17.0.2
		1|add-backend 172.17.0.5:80/tcp 172.17.0.2:80|172.17.0.2:80
		1|add-backend 172.17.0.5:81/tcp 172.17.0.2|172.17.0.5:81/tcp
		1|add-backend 172.17.0.5:80/tcp [2001:db8::2]:80|2001:db8::2
		1|add-backend [fd17::5]:80/tcp 172.17.0.2|172.17.0.2
		1|add-backend [fd17::5]:80/tcp fd17::2|fd17::2
		1|add-backend [fd17::5]:80/tcp fd17::5|fd17::5
		2|add-backend [fd17::5]:80/tcp fe80::2|link-local
		2|add-backend [fd17::5]:80/tcp [fd17::2|fd17::2
		1|set-backend 172.17.0.5:80/tcp 172.17.0.3 --weight 2|172.17.0.3
		2|set-backend 172.17.0.5:80/tcp 172.17.0.2 --state nosuch|nosuch
		1|del-backend 172.17.0.5:80/tcp 172.17.0.3|172.17.0.3
		1|drain 172.17.0.5:80/tcp 172.17.0.3|172.17.0.3
		2|drain 172.17.0.5:80/tcp 172.17.0.2 --wait 5|5
		2|drain 172.17.0.5:80/tcp 172.17.0.2 --wait 5y|5y
		1|attach nosuch|nosuch
		2|attach|
		2|attach eth0 --mode nosuch|nosuch
		2|attach eth0 --flows x|x
		2|attach eth0 --flow-table x|x
		2|attach eth0 --flow-table|--flow-table
		1|attach eth0 --flow-table lru|assoc
		1|attach eth0 --flows 4096|262144
		1|detach nosuch|nosuch
		1|detach lo|lo
		2|show flows --limit x|x
		2|show flows --client 1.2.3|1.2.3
		2|show flows --state nosuch|nosuch
		2|-o yaml show vips|yaml
		2|--pin-dir|--pin-dir
		2|flush|
		2|flush nosuch|nosuch
		2|unload nosuch|unload
		2|help nosuch|nosuch
	END
}

# wrong STATUS MENTION COMMAND...: one line on standard error of this shape, nothing on output.
wrong() {
	local status=0 err
	"${@:3}" >"$LAB_DIR/out" 2>"$LAB_DIR/err" || status=$?
	err=$(cat "$LAB_DIR/err")
	if [ "$status" != "$1" ] || [ "$(wc -l <"$LAB_DIR/err")" != 1 ] || [ -s "$LAB_DIR/out" ] ||
		[[ $err != lbctl:\ *:\ * || $err != *"$2"* ]]; then
		echo "${*:3}: status $status, wanted $1 and one line 'lbctl: WHAT: WHY'" \
			"that names '$2'; it said: $(cat "$LAB_DIR/out") $err"
		BAD=$((BAD + 1))
	fi
}

test_wrong_inputs() {
	local status command mention before args
	BAD=0
	lab_up
	attach eth0
	lab_lbctl add-vip "$VIP"
	lab_lbctl add-backend "$VIP" "$LAB_B1"
	lab_lbctl add-vip "[$LAB_VIP6]:80"
	lab_lbctl add-backend "[$LAB_VIP6]:80" "$LAB_B1_6"
	before=$(config)
	while IFS='|' read -r status command mention; do
		read -ra args <<<"$command"
		wrong "$status" "$mention" lab_lbctl "${args[@]}"
	done < <(wrong_inputs)
	[ "$(config)" = "$before" ] || fail "a wrong input changed something: $(config)"
	[ "$BAD" = 0 ]
}

test_wrong_machine() {
	BAD=0
	lab_up
	install -m 755 "$LBCTL" "$LAB_DIR/lbctl" # where everybody may run it
	wrong 1 root lab_in lb setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all \
		"$LAB_DIR/lbctl" --pin-dir "$LAB_PINS" attach eth0
	wrong 1 /proc/lbctl lab_in lb "$LBCTL" --pin-dir /proc/lbctl attach eth0
	: >"$LAB_DIR/file"
	wrong 1 "$LAB_DIR/file" lab_in lb "$LBCTL" --pin-dir "$LAB_DIR/file" attach eth0
	[[ $(lab_in lb ip link show dev eth0) != *xdp* ]] || fail "something is attached"
	[ "$BAD" = 0 ]
}

# A full standard output is an error too, not silence.
test_output_lost() {
	local status=0
	lab_up
	lab_lbctl show vips >/dev/full 2>/dev/null || status=$?
	[ "$status" = 1 ] || fail "show vips >/dev/full: status $status"
}

test_json_names() {
	local keys='(.[0] | keys_unsorted)'
	lab_with_lbctl
	vip_up
	fetch "http://$LAB_VIP/" >/dev/null
	check "$(json show vips)" "$keys"' - ["vip","method","scheduler","hash","backends","up",
		"flows","packets","bytes","drops","announce","persist_ms","new_rate","allow"] == [] and .[0] == .[0] + {vip: "172.17.0.5:80/tcp",
		method: "fullnat", scheduler: "maglev", hash: "5tuple", backends: 2, up: 2}'
	check "$(json show backends)" 'length == 2 and .[0] == .[0] + {vip: "172.17.0.5:80/tcp",
		backend: "172.17.0.2:80", weight: 1, admin: "auto", state: "up",
		health: "unchecked"} and (map(.packets) | add) > 0'
	check "$(json show flows)" 'length == 1 and .[0].proto == "tcp" and
		.[0].vip == "172.17.0.5:80/tcp" and .[0].method == "fullnat" and
		(.[0].client | startswith("172.17.0.4:")) and .[0].packets.in > 3 and
		.[0].bytes.out > 100 and (.[0] | has("age_ms") and has("idle_ms") and
		has("expires_ms")) and (.[0].state | IN("fin", "closed"))'
	check "$(json show interfaces)" '.[0].interface == "eth0" and .[0].mode == "generic" and
		.[0].program > 0 and .[0].packets > 0'
	check "$(json show drops)" 'all(has("reason") and has("packets") and has("help"))'
	check "$(json show stats)" '.packets > 0 and .forwarded > 0 and .flows.created == 1 and
		.flows.capacity > 0 and .snat_ports.available > 0 and ([.. | numbers] | length) ==
		([paths(scalars)] | length)'
}

# same_table FILE...: these maps of a flow table are pinned, and no other's.
same_table() {
	local have
	have=$(cd "$LAB_PINS/maps" && compgen -G 'lb_flow*' | sort | xargs)
	[ "$have" = "$*" ] || fail "flow tables: $have; wanted $*"
}

# The flow table is chosen at the first attach and stays until unload.
test_flow_table_is_kept() {
	BAD=0
	lab_up
	lab_lbctl attach eth0 --flow-table lru --flows 5000
	same_table lb_flows
	wrong 1 lru lab_lbctl attach eth0 --flow-table assoc
	wrong 1 5000 lab_lbctl attach eth0 --flow-table lru --flows 5001
	lab_lbctl attach eth0
	lab_lbctl detach eth0
	wrong 1 unload lab_lbctl attach eth0 --flow-table assoc
	lab_lbctl attach eth0 --flow-table lru --flows 5000
	same_table lb_flows
	lab_lbctl unload
	lab_lbctl attach eth0
	same_table lb_flow_cold lb_flow_sets
	wrong 1 assoc lab_lbctl attach eth0 --flow-table lru
	check "$(json show stats)" '.flows.capacity == 262144'
	lab_lbctl attach eth0 --flow-table assoc
	[ "$BAD" = 0 ]
}

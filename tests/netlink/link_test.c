/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* user/netlink_link.c and user/netlink_route.c against the running kernel. Needs tc too. */
#define _GNU_SOURCE
#include "lab.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static int xdp_pass_load(void)
{
	struct bpf_insn pass[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	return bpf_prog_load(BPF_PROG_TYPE_XDP, "pass", "GPL", pass, 2, NULL);
}

static void link_get(void **state)
{
	struct nl_link link, again, peer_link = { 0 };

	(void)state;
	assert_int_equal(nl__link_get(nl, "va", &link), 0);
	assert_string_equal(link.name, "va");
	assert_string_equal(link.kind, "veth");
	assert_true(link.ethernet && link.up && link.running);
	assert_memory_equal(link.mac, "\x02\x00\x00\x77\x00\x01", 6);
	assert_int_equal(link.mtu, 1400);
	assert_true(link.link != 0 && link.link_netnsid >= 0);
	assert_int_equal(link.master, 0);
	assert_int_equal(link.gso_max_size, 65536);
	assert_int_equal(link.xdp_mode, XDP_ATTACHED_NONE);
	assert_int_equal(link.xdp_prog, 0);
	assert_int_equal(nl__link_get_index(nl, link.ifindex, &again), 0);
	assert_memory_equal(&link, &again, sizeof(link));
	assert_int_equal(nl__link_get(nl, "lo", &peer_link), 0);
	assert_int_equal(peer_link.ifindex, 1);
	assert_string_equal(peer_link.kind, "");
	assert_int_equal(peer_link.link_netnsid, -1);
}

static void link_get_by_alternative_name(void **state)
{
	struct nl_link link;

	(void)state;
	sh("ip link property add dev va altname a-name-longer-than-fifteen");
	assert_int_equal(nl__link_get(nl, "a-name-longer-than-fifteen", &link), 0);
	assert_int_equal(link.ifindex, va);
}

static void link_missing(void **state)
{
	char name[400];
	struct nl_link link;

	(void)state;
	assert_int_equal(nl__link_get(nl, "nosuch0", &link), -ENODEV);
	assert_int_equal(nl__link_get(nl, "", &link), -ENODEV);
	assert_int_equal(nl__link_get_index(nl, 0, &link), -ENODEV);
	assert_int_equal(nl__link_get_index(nl, 99999, &link), -ENODEV);
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(nl__link_get(nl, name, &link), -ENODEV);
	name[100] = '\0';
	assert_int_equal(nl__link_get(nl, name, &link), -ENODEV);
}

static void link_down(void **state)
{
	struct nl_link link;

	(void)state;
	sh("ip link set vc up; " PEER_SH "ip link set vd down", peer);
	assert_int_equal(nl__link_get(nl, "vc", &link), 0);
	assert_true(link.up && !link.running);
	sh("ip link set vc down");
	assert_int_equal(nl__link_get(nl, "vc", &link), 0);
	assert_false(link.up || link.running);
}

static void link_bridge_port(void **state)
{
	struct nl_link bridge, port;

	(void)state;
	sh("ip link add br0 type bridge && ip link set vc master br0");
	assert_int_equal(nl__link_get(nl, "br0", &bridge), 0);
	assert_string_equal(bridge.kind, "bridge");
	assert_int_equal(nl__link_get(nl, "vc", &port), 0);
	assert_int_equal(port.master, bridge.ifindex);
	sh("ip link del br0");
}

static void link_xdp_in(uint32_t flags, uint8_t mode)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = flags);
	struct bpf_prog_info info = { 0 };
	__u32 size = sizeof(info);
	struct nl_link got;
	int prog = xdp_pass_load(), link;

	assert_true(prog >= 0);
	link = bpf_link_create(prog, (int)va, BPF_XDP, &opts);
	assert_true(link >= 0);
	assert_int_equal(bpf_obj_get_info_by_fd(prog, &info, &size), 0);
	assert_int_equal(nl__link_get(nl, "va", &got), 0);
	assert_int_equal(got.xdp_mode, mode);
	assert_int_equal(got.xdp_prog, info.id);
	assert_int_equal(got.xdp_native, mode == XDP_ATTACHED_DRV ? info.id : 0);
	assert_int_equal(got.xdp_generic, mode == XDP_ATTACHED_SKB ? info.id : 0);
	close(link);
	close(prog);
	assert_int_equal(nl__link_get(nl, "va", &got), 0);
	assert_int_equal(got.xdp_prog, 0);
}

static void link_xdp(void **state)
{
	(void)state;
	link_xdp_in(XDP_FLAGS_SKB_MODE, XDP_ATTACHED_SKB);
	link_xdp_in(XDP_FLAGS_DRV_MODE, XDP_ATTACHED_DRV);
}

struct names {
	int lo, va, all;
};

static int names_count(const struct nl_link *link, void *arg)
{
	struct names *names = arg;
	struct nl_link again;

	names->all++;
	names->lo += !strcmp(link->name, "lo");
	names->va += !strcmp(link->name, "va");
	/* Asking from within a walk must not disturb it. */
	nl__link_get(nl, "lo", &again);
	return 0;
}

static int stop_at_once(const struct nl_link *link, void *arg)
{
	(void)link;
	++*(int *)arg;
	return -ECANCELED;
}

static void link_list(void **state)
{
	struct names names = { 0 };
	int n = 0;

	(void)state;
	assert_int_equal(nl__link_list(nl, names_count, &names), 0);
	assert_int_equal(names.lo, 1);
	assert_int_equal(names.va, 1);
	assert_int_equal(nl__link_list(nl, stop_at_once, &n), -ECANCELED);
	assert_int_equal(n, 1);
}

/*
 * Interfaces come and go during walks of several parts: no error other than -EAGAIN, and each
 * interface that stays is seen once.
 */
static void link_list_while_it_changes(void **state)
{
	int rounds, status, failed = 0;
	pid_t child;

	(void)state;
	sh("for i in $(seq 40); do echo link add many$i type veth peer name more$i; done |"
	   " ip -batch -");
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execlp("sh", "sh", "-c",
		       "for i in $(seq 20); do"
		       "  ip link add vx type veth peer name vy && ip link del vx; done",
		       (char *)NULL);
		_exit(127);
	}
	for (rounds = 0; waitpid(child, &status, WNOHANG) == 0; rounds++) {
		struct names names = { 0 };
		int err = nl__link_list(nl, names_count, &names);

		if (err && err != -EAGAIN)
			failed = err;
		if (!err && (names.lo != 1 || names.va != 1))
			failed = 1;
	}
	assert_int_equal(status, 0);
	assert_int_equal(failed, 0);
	assert_true(rounds > 0);
	sh("for i in $(seq 40); do echo link del many$i; done | ip -batch -");
}

static void route_direct(void **state)
{
	struct lb_addr v4 = addr("10.77.0.9"), v6 = addr("fd77::9");
	struct nl_route route;

	(void)state;
	assert_int_equal(nl__route_get(nl, &v4, &route), 0);
	assert_int_equal(route.type, RTN_UNICAST);
	assert_int_equal(route.oif, va);
	assert_false(route.has_gateway);
	assert_addr(route.nexthop, "10.77.0.9");
	assert_true(route.has_src);
	assert_addr(route.src, "10.77.0.1");
	assert_int_equal(nl__route_get(nl, &v6, &route), 0);
	assert_int_equal(route.oif, va);
	assert_false(route.has_gateway);
	assert_true(route.has_src);
	assert_addr(route.src, "fd77::1");
}

static void route_gateway(void **state)
{
	struct lb_addr v4 = addr("203.0.113.7"), v6 = addr("2001:db8::7"),
		       mixed = addr("192.0.2.1");
	struct nl_route route;

	(void)state;
	sh("ip route add 203.0.113.0/24 via 10.77.0.2 mtu 1300 && "
	   "ip route add 2001:db8::/64 via fd77::2 && "
	   "ip route add 192.0.2.0/24 via inet6 fd77::2 dev va");
	assert_int_equal(nl__route_get(nl, &v4, &route), 0);
	assert_int_equal(route.type, RTN_UNICAST);
	assert_true(route.has_gateway);
	assert_addr(route.gateway, "10.77.0.2");
	assert_addr(route.nexthop, "10.77.0.2");
	assert_int_equal(route.mtu, 1300);
	assert_int_equal(nl__route_get(nl, &v6, &route), 0);
	assert_true(route.has_gateway);
	assert_addr(route.gateway, "fd77::2");
	assert_int_equal(nl__route_get(nl, &mixed, &route), 0);
	assert_true(route.has_gateway);
	assert_addr(route.nexthop, "fd77::2");
	sh("ip route flush 203.0.113.0/24; ip -6 route flush 2001:db8::/64; "
	   "ip route flush 192.0.2.0/24");
}

static void route_local(void **state)
{
	static const char *const own[] = { "10.77.0.1", "fd77::1", "127.0.0.1", "::1" };
	struct nl_route route;
	struct lb_addr dst;
	unsigned int i;

	(void)state;
	for (i = 0; i < 4; i++) {
		dst = addr(own[i]);
		assert_int_equal(nl__route_get(nl, &dst, &route), 0);
		assert_int_equal(route.type, RTN_LOCAL);
	}
}

static void route_refused(void **state)
{
	static const struct {
		const char *word;
		int type;
	} kinds[] = {
		{ "blackhole", RTN_BLACKHOLE },
		{ "unreachable", RTN_UNREACHABLE },
		{ "prohibit", RTN_PROHIBIT },
	};
	struct lb_addr v4 = addr("198.51.100.1"), v6 = addr("2001:db8:1::1");
	struct nl_route route;
	unsigned int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		sh("ip route add %s 198.51.100.0/24 && ip route add %s 2001:db8:1::/64",
		   kinds[i].word, kinds[i].word);
		assert_int_equal(nl__route_get(nl, &v4, &route), 0);
		assert_int_equal(route.type, kinds[i].type);
		assert_int_equal(route.oif, 0);
		assert_int_equal(nl__route_get(nl, &v6, &route), 0);
		assert_int_equal(route.type, kinds[i].type);
		sh("ip route del %s 198.51.100.0/24 && ip route del %s 2001:db8:1::/64",
		   kinds[i].word, kinds[i].word);
	}
	assert_int_equal(nl__route_get(nl, &v4, &route), -ENETUNREACH);
	assert_int_equal(nl__route_get(nl, &v6, &route), -ENETUNREACH);
	sh("ip route add throw 198.51.100.0/24");
	assert_int_equal(nl__route_get(nl, &v4, &route), -ENETUNREACH);
	sh("ip route del throw 198.51.100.0/24");
}

static void route_default(void **state)
{
	struct lb_addr gw[4];
	unsigned int n;

	(void)state;
	assert_int_equal(nl__route_default(nl, va, AF_INET, gw, 4, &n), 0);
	assert_int_equal(n, 0);
	sh("ip link set vc up && ip addr add 10.78.0.1/24 dev vc && "
	   "ip route add default via 10.77.0.2 && ip route add default via 10.77.0.2 metric 7 && "
	   "ip route add default table 100 nexthop via 10.77.0.3 dev va "
	   "nexthop via 10.78.0.9 dev vc && "
	   "ip -6 route add default via fd77::2");
	assert_int_equal(nl__route_default(nl, va, AF_INET, gw, 4, &n), 0);
	assert_int_equal(n, 2);
	/* In the order of their tables. */
	assert_addr(gw[0], "10.77.0.3");
	assert_addr(gw[1], "10.77.0.2");
	assert_int_equal(nl__route_default(nl, va, AF_INET, gw, 1, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(nl__route_default(nl, va, AF_INET6, gw, 4, &n), 0);
	assert_int_equal(n, 1);
	assert_addr(gw[0], "fd77::2");
	assert_int_equal(nl__route_default(nl, 1, AF_INET, gw, 4, &n), 0);
	assert_int_equal(n, 0);
	sh("ip route flush table 100; ip route del default; ip route del default; "
	   "ip -6 route del default");
}

static void addr_is_own(void **state)
{
	static const char *const own[] = { "10.77.0.1", "fd77::1", "127.0.0.1", "::1",
					   "10.77.9.9" };
	static const char *const other[] = { "10.77.0.2", "fd77::2", "10.77.0.0", "0.0.0.0",
					     "10.77.9.8" };
	struct lb_addr a;
	uint32_t ifindex;
	unsigned int i;

	(void)state;
	/* The far end of a point-to-point address isn't ours. */
	sh("ip addr add 10.77.9.9 peer 10.77.9.8 dev va");
	for (i = 0; i < 5; i++) {
		a = addr(own[i]);
		ifindex = 0;
		assert_int_equal(nl__addr_is_own(nl, &a, &ifindex), 1);
		assert_int_equal(ifindex, i == 2 || i == 3 ? 1 : va);
		a = addr(other[i]);
		assert_int_equal(nl__addr_is_own(nl, &a, NULL), 0);
	}
	sh("ip addr del 10.77.9.9 peer 10.77.9.8 dev va");
}

static int first_but(const struct lb_addr *found, void *arg)
{
	struct lb_addr *but = arg;

	if (!memcmp(found, but, sizeof(*but)))
		return 0;
	*but = *found;
	return 1;
}

/* Only addresses that the neighbour would answer to, and that are in use. */
static void addr_toward(void **state)
{
	struct lb_addr a, to;

	(void)state;
	sh("ip addr add 10.77.0.9/24 dev va; ip addr add 10.78.0.1/24 dev va; "
	   "ip addr add fd77::9/64 dev va nodad; ip addr add fd77::8/64 dev va nodad preferred_lft 0");
	a = addr("10.77.0.1");
	to = addr("10.77.0.2");
	assert_int_equal(nl__addr_toward(nl, va, &to, first_but, &a), 1);
	assert_addr(a, "10.77.0.9");
	a = addr("10.78.0.1");
	to = addr("10.78.0.2");
	assert_int_equal(nl__addr_toward(nl, va, &to, first_but, &a), 0);
	a = addr("fd77::9");
	to = addr("fd77::2");
	assert_int_equal(nl__addr_toward(nl, va, &to, first_but, &a), 1);
	assert_addr(a, "fd77::1");
	a = addr("fd77::1");
	assert_int_equal(nl__addr_toward(nl, va, &to, first_but, &a), 1);
	assert_addr(a, "fd77::9");
	a = addr("fd77::9");
	assert_int_equal(nl__addr_toward(nl, 1, &to, first_but, &a), 0);
	sh("ip addr del 10.77.0.9/24 dev va; ip addr del 10.78.0.1/24 dev va; "
	   "ip addr del fd77::9/64 dev va; ip addr del fd77::8/64 dev va");
}

static void filter_add(int prog, enum bpf_tc_attach_point where, uint32_t priority)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)va, .attach_point = where);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = prog, .priority = priority);

	assert_int_equal(bpf_tc_attach(&hook, &opts), 0);
}

static void clsact_filters(void **state)
{
	struct bpf_insn ok[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int prog = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "ok", "GPL", ok, 2, NULL);
	struct nl_clsact clsact;

	(void)state;
	assert_true(prog >= 0);
	assert_int_equal(nl__clsact_filters(nl, va, &clsact), 0);
	assert_false(clsact.clsact || clsact.ingress);
	assert_int_equal(clsact.filters, 0);
	sh("tc qdisc add dev va clsact");
	assert_int_equal(nl__clsact_filters(nl, va, &clsact), 0);
	assert_true(clsact.clsact && !clsact.ingress);
	assert_int_equal(clsact.filters, 0);
	assert_int_equal(nl__clsact_filters(nl, 1, &clsact), 0);
	assert_false(clsact.clsact);
	filter_add(prog, BPF_TC_INGRESS, 1);
	filter_add(prog, BPF_TC_INGRESS, 9);
	filter_add(prog, BPF_TC_EGRESS, 1);
	assert_int_equal(nl__clsact_filters(nl, va, &clsact), 0);
	assert_int_equal(clsact.filters, 3);
	sh("tc qdisc del dev va clsact && tc qdisc add dev va ingress");
	filter_add(prog, BPF_TC_INGRESS, 1);
	assert_int_equal(nl__clsact_filters(nl, va, &clsact), 0);
	assert_true(clsact.ingress && !clsact.clsact);
	assert_int_equal(clsact.filters, 1);
	sh("tc qdisc del dev va ingress");
	close(prog);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(link_get),	    cmocka_unit_test(link_get_by_alternative_name),
		cmocka_unit_test(link_missing),	    cmocka_unit_test(link_down),
		cmocka_unit_test(link_bridge_port), cmocka_unit_test(link_xdp),
		cmocka_unit_test(link_list),	    cmocka_unit_test(link_list_while_it_changes),
		cmocka_unit_test(route_direct),	    cmocka_unit_test(route_gateway),
		cmocka_unit_test(route_local),	    cmocka_unit_test(route_refused),
		cmocka_unit_test(route_default),    cmocka_unit_test(addr_is_own),
		cmocka_unit_test(addr_toward),
		cmocka_unit_test(clsact_filters),
	};

	if (geteuid()) {
		puts("SKIP link_test: it needs root");
		return 77;
	}
	return cmocka_run_group_tests(tests, lab_setup, lab_teardown);
}

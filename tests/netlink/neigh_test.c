/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* user/netlink_neigh.c: what the neighbour table of the running kernel does when it is asked. */
#define _GNU_SOURCE
#include "lab.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <stdio.h>
#include <unistd.h>

#ifndef NTF_EXT_MANAGED
#define NTF_EXT_MANAGED 1
#endif

static void neigh_resolve_cold(void **state)
{
	static const char *const far[] = { "10.77.0.2", "fd77::2" };
	struct nl_neigh neigh;
	struct timespec start;
	struct lb_addr dst;
	unsigned int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		dst = addr(far[i]);
		sh("ip neigh flush all; " PEER_SH "ip neigh flush all", peer);
		assert_int_equal(nl__neigh_get(nl, va, &dst, &neigh), -ENOENT);
		clock_gettime(CLOCK_MONOTONIC, &start);
		assert_int_equal(nl__neigh_resolve(nl, va, &dst, 500, &neigh), 0);
		print_message("%s resolved within %ld ms\n", far[i], ms_since(&start));
		assert_true(nl__neigh_valid(&neigh) && neigh.has_mac);
		assert_memory_equal(neigh.mac, "\x02\x00\x00\x77\x00\x02", 6);
		assert_memory_equal(&neigh.addr, &dst, sizeof(dst));
		assert_int_equal(neigh.ifindex, va);
	}
}

static void neigh_managed_and_given_back(void **state)
{
	struct lb_addr dst = addr("10.77.0.2");
	struct nl_neigh neigh;

	(void)state;
	if (!kernel_manages()) {
		print_message("SKIP %s: NTF_EXT_MANAGED needs Linux 5.16\n", __func__);
		skip();
	}
	sh("ip neigh flush all");
	assert_int_equal(nl__neigh_resolve(nl, va, &dst, 500, &neigh), 0);
	assert_true(nl__neigh_ours(&neigh));
	/* A second time changes nothing. */
	assert_int_equal(nl__neigh_resolve(nl, va, &dst, 500, &neigh), 0);
	assert_true(nl__neigh_ours(&neigh));
	assert_int_equal(nl__neigh_unmanage(nl, va, &dst), 0);
	assert_int_equal(nl__neigh_get(nl, va, &dst, &neigh), 0);
	assert_int_equal(neigh.ext_flags & NTF_EXT_MANAGED, 0);
	assert_true(nl__neigh_valid(&neigh));
	assert_int_equal(nl__neigh_unmanage(nl, va, &dst), 0);
	sh("ip neigh flush all");
	assert_int_equal(nl__neigh_unmanage(nl, va, &dst), 0);
	assert_int_equal(nl__neigh_unmanage(nl, 99999, &dst), 0);
	/* An entry that the host had by itself becomes ours too. */
	sh("ip neigh replace 10.77.0.2 lladdr 02:00:00:77:00:02 dev va nud stale");
	assert_int_equal(nl__neigh_resolve(nl, va, &dst, 500, &neigh), 0);
	assert_true(nl__neigh_ours(&neigh));
}

/* How an entry of somebody else looks must not change by resolving or unmanaging it. */
static void neigh_stays(const char *make, bool valid)
{
	struct lb_addr dst = addr("10.77.0.5");
	struct nl_neigh before, after;

	sh("ip neigh replace 10.77.0.5 dev va %s", make);
	assert_int_equal(nl__neigh_get(nl, va, &dst, &before), 0);
	assert_int_equal(nl__neigh_resolve(nl, va, &dst, 20, &after), valid ? 0 : -EHOSTUNREACH);
	assert_false(nl__neigh_ours(&after));
	assert_int_equal(nl__neigh_unmanage(nl, va, &dst), 0);
	assert_int_equal(nl__neigh_get(nl, va, &dst, &after), 0);
	if (before.state & NUD_PERMANENT)
		assert_int_equal(after.state, NUD_PERMANENT);
	assert_int_equal(after.flags, before.flags);
	assert_int_equal(after.ext_flags, before.ext_flags);
	assert_int_equal(after.protocol, before.protocol);
	assert_memory_equal(after.mac, before.mac, 6);
	sh("ip neigh del 10.77.0.5 dev va");
}

static void neigh_of_others_untouched(void **state)
{
	(void)state;
	neigh_stays("lladdr 02:00:00:aa:aa:aa nud permanent", true);
	neigh_stays("lladdr 02:00:00:aa:aa:aa nud noarp", true);
	neigh_stays("lladdr 02:00:00:aa:aa:aa nud reachable extern_learn", true);
	neigh_stays("lladdr 02:00:00:aa:aa:aa nud stale proto zebra", true);
	if (kernel_manages())
		neigh_stays("managed", false);
}

static void neigh_unreachable(void **state)
{
	static const char *const far[] = { "10.77.0.66", "fd77::66" };
	struct nl_neigh neigh;
	struct timespec start;
	struct lb_addr dst;
	unsigned int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		dst = addr(far[i]);
		clock_gettime(CLOCK_MONOTONIC, &start);
		assert_int_equal(nl__neigh_resolve(nl, va, &dst, 100, &neigh), -EHOSTUNREACH);
		assert_in_range(ms_since(&start), 99, 400);
		assert_false(nl__neigh_valid(&neigh));
		/* The request stands: when the host comes up, nobody needs to ask again. */
		sh(PEER_SH "ip addr add %s/%d dev vb", peer, far[i], i ? 64 : 24);
		if (kernel_manages()) {
			usleep(1500000);
			assert_int_equal(nl__neigh_get(nl, va, &dst, &neigh), 0);
			assert_true(nl__neigh_valid(&neigh));
		} else {
			assert_int_equal(nl__neigh_resolve(nl, va, &dst, 2000, &neigh), 0);
		}
		sh(PEER_SH "ip addr del %s/%d dev vb", peer, far[i], i ? 64 : 24);
		/* Given back without a MAC, it goes. */
		sh("ip neigh flush all");
		assert_int_equal(nl__neigh_resolve(nl, va, &dst, 0, &neigh), -EHOSTUNREACH);
		assert_int_equal(nl__neigh_unmanage(nl, va, &dst), 0);
		if (kernel_manages())
			assert_int_equal(nl__neigh_get(nl, va, &dst, &neigh), -ENOENT);
	}
}

/* An interface that is down or gone is an error at once or after the wait, never a hang. */
static void neigh_without_link(void **state)
{
	struct lb_addr dst = addr("10.78.0.9");
	struct nl_neigh neigh;
	struct nl_link vc;
	struct timespec start;

	(void)state;
	assert_int_equal(nl__link_get(nl, "vc", &vc), 0);
	sh("ip link set vc down");
	clock_gettime(CLOCK_MONOTONIC, &start);
	assert_true(nl__neigh_resolve(nl, vc.ifindex, &dst, 50, &neigh) < 0);
	assert_true(nl__neigh_resolve(nl, 99999, &dst, 50, &neigh) < 0);
	assert_in_range(ms_since(&start), 0, 400);
}

static int neigh_count(const struct nl_neigh *neigh, void *arg)
{
	*(int *)arg += neigh->ifindex == va && (neigh->state & NUD_PERMANENT);
	return 0;
}

/* More than fits into one part of a dump. */
static void neigh_list(void **state)
{
	int n = 0;

	(void)state;
	sh("for i in $(seq 3 202); do for a in 10.77.0.$i fd77::1:$i; do"
	   " echo neigh replace $a lladdr 02:00:00:aa:aa:aa dev va nud permanent;"
	   " done; done | ip -batch -");
	assert_int_equal(nl__neigh_list(nl, neigh_count, &n), 0);
	assert_int_equal(n, 400);
	sh("ip neigh flush all nud permanent");
}

/* The kernel's own text comes with an error, and doesn't outlive it. */
static void error_text(void **state)
{
	struct lb_addr dst = addr("10.77.0.99");
	struct nl_neigh neigh;
	struct nl_link link;

	(void)state;
	assert_int_equal(nl__neigh_get(nl, va, &dst, &neigh), -ENOENT);
	assert_string_not_equal(nl__error(nl), "");
	print_message("the kernel says: %s\n", nl__error(nl));
	assert_int_equal(nl__link_get(nl, "lo", &link), 0);
	assert_string_equal(nl__error(nl), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(neigh_resolve_cold),
		cmocka_unit_test(neigh_managed_and_given_back),
		cmocka_unit_test(neigh_of_others_untouched),
		cmocka_unit_test(neigh_unreachable),
		cmocka_unit_test(neigh_without_link),
		cmocka_unit_test(neigh_list),
		cmocka_unit_test(error_text),
	};

	if (geteuid()) {
		puts("SKIP neigh_test: it needs root");
		return 77;
	}
	return cmocka_run_group_tests(tests, lab_setup, lab_teardown);
}

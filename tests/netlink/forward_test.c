// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* user/host_forward.c: routes that a router advertised outlive the forwarding switch of lo. */
#define _GNU_SOURCE
#include <net/if.h> /* linux/if.h, which lab.h brings, goes behind it */
#include <netinet/icmp6.h>

#include "lab.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../user/host.h"

#define ACCEPT_RA "net/ipv6/conf/va/accept_ra"

/* In the peer's namespace: it is a router. */
static int advertise(void)
{
	struct nd_router_advert advert = { .nd_ra_type = ND_ROUTER_ADVERT };
	struct sockaddr_in6 to = {
		.sin6_family = AF_INET6,
		.sin6_addr.s6_addr = { 0xff, 2, [15] = 1 }, /* all nodes */
	};
	int fd, hops = 255;
	char path[32];

	advert.nd_ra_curhoplimit = 64; /* these two are of one union */
	advert.nd_ra_router_lifetime = htons(1800);
	snprintf(path, sizeof(path), "/proc/%d/ns/net", peer);
	if (setns(open(path, O_RDONLY), CLONE_NEWNET))
		return 1;
	to.sin6_scope_id = if_nametoindex("vb");
	fd = socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof(hops)))
		return 2;
	return sendto(fd, &advert, sizeof(advert), 0, (struct sockaddr *)&to, sizeof(to)) < 0 ? 3 : 0;
}

static bool advertised_route(void)
{
	return !system("ip -6 route show default dev va proto ra | grep -q via");
}

static void learn_route(void)
{
	int status, tries;
	pid_t child = fork();

	if (!child)
		_exit(advertise());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	for (tries = 0; tries < 100 && !advertised_route(); tries++)
		usleep(10000);
	assert_true(advertised_route());
}

static void assert_sysctl(const char *path, long wanted)
{
	long value;

	assert_int_equal(host__sysctl_read(path, &value), 0);
	assert_int_equal(value, wanted);
}

static void switches(void **state)
{
	static const int families[] = { AF_INET, AF_INET6 };
	unsigned int i;
	int value;

	(void)state;
	for (i = 0; i < 2; i++) {
		assert_int_equal(host__forwarding_get(families[i], &value), 0);
		assert_int_equal(value, 0);
		assert_int_equal(host__forwarding_set(families[i], 1), 0);
		assert_int_equal(host__forwarding_get(families[i], &value), 0);
		assert_int_equal(value, 1);
		/* Of the loopback device and no other. */
		assert_sysctl("net/ipv4/conf/va/forwarding", 0);
		assert_sysctl("net/ipv6/conf/va/forwarding", 0);
		assert_sysctl("net/ipv6/conf/all/forwarding", 0);
		assert_int_equal(host__forwarding_set(families[i], 0), 0);
	}
}

/* The reason for all this. */
static void written_plainly_route_goes(void **state)
{
	(void)state;
	learn_route();
	assert_int_equal(host__sysctl_write("net/ipv6/conf/lo/forwarding", 1), 0);
	assert_false(advertised_route());
	assert_int_equal(host__sysctl_write("net/ipv6/conf/lo/forwarding", 0), 0);
}

static void route_stays(void **state)
{
	static const int values[] = { 1, 1, 0, 1, 0 };
	unsigned int i;

	(void)state;
	learn_route();
	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		assert_int_equal(host__forwarding_set(AF_INET6, values[i]), 0);
		assert_true(advertised_route());
		assert_sysctl(ACCEPT_RA, 1);
	}
}

/* Who wants no routers, or all of them, goes on so. */
static void other_choices_stay(void **state)
{
	long choice;

	(void)state;
	for (choice = 0; choice <= 2; choice += 2) {
		assert_int_equal(host__sysctl_write(ACCEPT_RA, choice), 0);
		assert_int_equal(host__forwarding_set(AF_INET6, 1), 0);
		assert_sysctl(ACCEPT_RA, choice);
		assert_int_equal(host__forwarding_set(AF_INET6, 0), 0);
		assert_sysctl(ACCEPT_RA, choice);
	}
	assert_int_equal(host__sysctl_write(ACCEPT_RA, 1), 0);
	assert_sysctl("net/ipv6/conf/all/accept_ra", 1);
	assert_sysctl("net/ipv6/conf/default/accept_ra", 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(switches),
		cmocka_unit_test(written_plainly_route_goes),
		cmocka_unit_test(route_stays),
		cmocka_unit_test(other_choices_stay),
	};

	if (geteuid()) {
		puts("SKIP forward_test: it needs root");
		return 77;
	}
	return cmocka_run_group_tests(tests, lab_setup, lab_teardown);
}

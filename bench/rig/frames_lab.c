// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The namespaces, and what the drivers count there. */
#define _GNU_SOURCE
#include "frames_lab.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/libbpf.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>

#include "lab.h"

/* A queue per CPU, so that two generators don't meet in one. */
#define QUEUES " numrxqueues 2 numtxqueues 2 "

int frames_lab__enter(const struct frames_lab *lab, enum frames_ns ns)
{
	return setns(lab->ns[ns], CLONE_NEWNET) ? -errno : 0;
}

/* Else the stack's own neighbour discovery would be among the frames counted. */
static void quiet(void)
{
	static const char *const paths[] = { "/proc/sys/net/ipv6/conf/all/disable_ipv6",
					     "/proc/sys/net/ipv6/conf/default/disable_ipv6" };
	size_t i;

	for (i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		int fd = open(paths[i], O_WRONLY | O_CLOEXEC);

		if (fd < 0)
			continue; /* a kernel without IPv6 */
		if (write(fd, "1", 1) != 1)
			perror(paths[i]);
		close(fd);
	}
}

static int namespaces(struct frames_lab *lab)
{
	int i, err = lab__enter();

	lab->ns[NS_BALANCER] = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (!err && lab->ns[NS_BALANCER] < 0)
		err = -errno;
	if (!err)
		quiet();
	for (i = NS_GENERATOR; i < NAMESPACES && !err; i++) {
		err = lab__netns(&lab->ns[i]);
		if (!err)
			quiet();
	}
	return err ? err : frames_lab__enter(lab, NS_BALANCER);
}

static int links(const struct frames_lab *lab)
{
	char lines[1024];
	int pid = getpid();

	snprintf(lines, sizeof(lines),
		 "link add lb0 address 02:00:0a:00:00:01" QUEUES "type veth peer name g0" QUEUES
		 "netns /proc/%d/fd/%d\n"
		 "link add lb1 address 02:00:0a:00:00:01" QUEUES "type veth peer name s0" QUEUES
		 "netns /proc/%d/fd/%d\n"
		 "link set lb0 up\n"
		 "link set lb1 up\n"
		 "address add 10.0.0.1/24 dev lb0\n",
		 pid, lab->ns[NS_GENERATOR], pid, lab->ns[NS_SINK]);
	return lab__ip(lines);
}

int frames_lab__up(struct frames_lab *lab)
{
	int err = namespaces(lab);

	if (!err)
		err = links(lab);
	lab->lb0 = if_nametoindex("lb0");
	lab->lb1 = if_nametoindex("lb1");
	if (!err)
		err = frames_lab__enter(lab, NS_GENERATOR);
	if (!err)
		err = lab__ip("link set g0 up\n");
	lab->g0 = if_nametoindex("g0");
	if (!err)
		err = frames_lab__enter(lab, NS_SINK);
	if (!err)
		err = lab__ip("link set s0 up\n");
	lab->s0 = if_nametoindex("s0");
	if (!err)
		err = frames_lab__enter(lab, NS_BALANCER);
	if (!err)
		err = lab__ip("route add 100.64.0.0/10 via 10.0.0.254\n");
	if (!err)
		err = lab__neighbours("lb0");
	return err ? err : lab__neighbours("lb1");
}

int frames_lab__arms(const struct frames_lab *lab, bool two)
{
	(void)lab;
	return lab__ip(two ? "route replace 10.0.1.0/24 dev lb1 src 10.0.0.1\n"
			   : "route replace 10.0.1.0/24 dev lb0 src 10.0.0.1\n");
}

int frames_lab__attach(const struct frames_lab *lab, enum frames_ns ns, uint32_t ifindex, int prog)
{
	int err = frames_lab__enter(lab, ns);

	if (!err)
		err = bpf_xdp_attach(ifindex, prog, XDP_FLAGS_DRV_MODE, NULL);
	if (frames_lab__enter(lab, NS_BALANCER) && !err)
		err = -EIO;
	return err;
}

/* -- Drivers' counters ------------------------------------------------------------------------- */

static int ethtool(int fd, const char *iface, void *what)
{
	struct ifreq request = { .ifr_data = what };

	strcpy(request.ifr_name, iface);
	return ioctl(fd, SIOCETHTOOL, &request) ? -errno : 0;
}

static int stats_read(int fd, const char *iface, struct frames_stats *ret)
{
	/* Their last members have no size: what they hold follows. */
	static union {
		struct ethtool_gstrings head;
		char room[sizeof(struct ethtool_gstrings) + FRAMES_STATS_MAX * ETH_GSTRING_LEN];
	} strings;
	static union {
		struct ethtool_stats head;
		char room[sizeof(struct ethtool_stats) + FRAMES_STATS_MAX * sizeof(uint64_t)];
	} stats;
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
	int err = ethtool(fd, iface, &info);

	if (!err && info.n_stats > FRAMES_STATS_MAX)
		err = -E2BIG;
	strings.head.cmd = ETHTOOL_GSTRINGS;
	strings.head.string_set = ETH_SS_STATS;
	strings.head.len = info.n_stats;
	stats.head.cmd = ETHTOOL_GSTATS;
	stats.head.n_stats = info.n_stats;
	if (!err)
		err = ethtool(fd, iface, &strings);
	if (!err)
		err = ethtool(fd, iface, &stats);
	ret->n = err ? 0 : info.n_stats;
	memcpy(ret->names, strings.room + sizeof(strings.head), ret->n * ETH_GSTRING_LEN);
	memcpy(ret->values, stats.room + sizeof(stats.head), ret->n * sizeof(uint64_t));
	return err;
}

/* Sum over queues: names are rx_queue_0_drops and the like. */
static uint64_t stats_sum(const struct frames_stats *stats, const char *direction, const char *name)
{
	uint64_t sum = 0;
	uint32_t i;

	for (i = 0; i < stats->n; i++) {
		const char *at = stats->names[i];

		if (strncmp(at, direction, 2) || strncmp(at + 2, "_queue_", 7))
			continue;
		at += 9;
		at += strspn(at, "0123456789");
		if (*at == '_' && !strcmp(at + 1, name))
			sum += stats->values[i];
	}
	return sum;
}

int frames_lab__stats(const struct frames_lab *lab, enum frames_ns ns, const char *iface,
		      struct frames_stats *ret)
{
	int err = frames_lab__enter(lab, ns), fd;

	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (!err)
		err = fd < 0 ? -errno : stats_read(fd, iface, ret);
	if (fd >= 0)
		close(fd);
	if (frames_lab__enter(lab, NS_BALANCER) && !err)
		err = -EIO;
	return err;
}

int frames_lab__losses(const struct frames_lab *lab, struct frames_losses *ret)
{
	static struct frames_stats g0, lb0, lb1;
	int err = frames_lab__stats(lab, NS_GENERATOR, "g0", &g0);

	if (!err)
		err = frames_lab__stats(lab, NS_BALANCER, "lb0", &lb0);
	if (!err)
		err = frames_lab__stats(lab, NS_BALANCER, "lb1", &lb1);
	ret->ring_full_g0 = stats_sum(&g0, "tx", "xdp_xmit_errors");
	ret->ring_full_lb0 = stats_sum(&lb0, "rx", "xdp_tx_errors");
	ret->ring_full_lb1 = stats_sum(&lb1, "tx", "xdp_xmit_errors");
	ret->dropped_lb0 = stats_sum(&lb0, "rx", "drops");
	return err;
}

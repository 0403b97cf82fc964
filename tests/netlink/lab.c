/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The lab of the netlink tests, and what they share. */
#define _GNU_SOURCE
#include "lab.h"

#include <arpa/inet.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

struct nl *nl;
pid_t peer;
uint32_t va;

void sh(const char *format, ...)
{
	char command[512];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	if (system(command))
		fail_msg("failed: %s", command);
}

struct lb_addr addr(const char *text)
{
	struct lb_addr ret = { 0 };

	if (strchr(text, ':')) {
		assert_int_equal(inet_pton(AF_INET6, text, ret.b), 1);
	} else {
		ret.w[2] = htonl(LB_V4_PREFIX);
		assert_int_equal(inet_pton(AF_INET, text, ret.b + 12), 1);
	}
	return ret;
}

long ms_since(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - start->tv_sec) * 1000 + (now.tv_nsec - start->tv_nsec) / 1000000;
}

bool kernel_manages(void)
{
	unsigned int major = 0, minor = 0;
	struct utsname uts;

	uname(&uts);
	sscanf(uts.release, "%u.%u", &major, &minor);
	return major > 5 || (major == 5 && minor >= 16);
}

static void peer_start(void)
{
	int ready[2];
	char byte;

	assert_int_equal(pipe(ready), 0);
	peer = fork();
	assert_true(peer >= 0);
	if (!peer) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) || write(ready[1], "", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
}

int lab_setup(void **state)
{
	struct lb_addr far = addr("fd77::2");
	struct nl_neigh neigh;
	struct nl_link link;

	(void)state;
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	peer_start();
	/* Without a link-local address that is ready nothing asks for neighbours. */
	sh("echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad");
	sh(PEER_SH "sh -c 'echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad'", peer);
	sh("ip link set lo up && "
	   "ip link add va mtu 1400 address 02:00:00:77:00:01 type veth "
	   "peer name vb mtu 1400 address 02:00:00:77:00:02 netns %d && "
	   "ip link add vc type veth peer name vd netns %d && "
	   "ip addr add 10.77.0.1/24 dev va && ip addr add fd77::1/64 dev va nodad && "
	   "ip link set va up",
	   peer, peer);
	sh("nsenter --net=/proc/%d/ns/net sh -c 'ip addr add 10.77.0.2/24 dev vb && "
	   "ip addr add fd77::2/64 dev vb nodad && ip link set vb up'",
	   peer);
	assert_int_equal(nl__open(&nl), 0);
	assert_int_equal(nl__link_get(nl, "va", &link), 0);
	va = link.ifindex;
	/* A new link may lose what is sent in its first second. */
	assert_int_equal(nl__neigh_resolve(nl, va, &far, 4000, &neigh), 0);
	return 0;
}

int lab_teardown(void **state)
{
	(void)state;
	nl__close(nl);
	kill(peer, SIGKILL);
	waitpid(peer, NULL, 0);
	return 0;
}

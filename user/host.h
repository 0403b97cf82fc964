/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The host around the balancer: sysctls, source ports, namespace, bpffs, the lock between lbctl
 * processes, and whether BPF can work here. Functions return 0 or -errno unless they say more.
 */
#ifndef HOST_H
#define HOST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../common/lb_abi.h"

#define HOST_SNAT_PORTS_MIN 1024

/* Sysctls of the current network namespace. path: "net/ipv4/conf/lo/forwarding", with slashes. */
int host__sysctl_read(const char *path, long *ret);
int host__sysctl_write(const char *path, long value);

/*
 * The loopback device's forwarding switch (host_forward.c). family: AF_INET or AF_INET6; -ENOENT:
 * the host doesn't have it. Routes learnt from router advertisements stay when IPv6's is set.
 */
int host__forwarding_get(int family, int *ret);
int host__forwarding_set(int family, int value);

/* ip_local_port_range: where the kernel takes the ports of its own connections from. */
int host__local_ports(struct lb_port_range *ret);
/* 1: ip_local_reserved_ports keeps the kernel from taking this port, 0: it doesn't. */
int host__port_reserved(uint16_t port);

/*
 * Source ports for fullnat: 1024 to 65535 without ip_local_port_range. *ret_n: how many; -ENOSPC:
 * fewer than HOST_SNAT_PORTS_MIN (ret and *ret_n are set also then), so that range is to shrink.
 */
int host__snat_ports(struct lb_port_range ret[LB_PORT_RANGES], unsigned int *ret_n);

int host__netns(uint64_t *ret); /* inode of the network namespace */
int host__hz(uint32_t *ret);	/* jiffies a second */

/*
 * Sees to it that dir exists and lies on bpffs; one is mounted at /sys/fs/bpf if dir belongs
 * there. Call it under the lock: two at once would mount twice, one over the other's pins.
 * -EMEDIUMTYPE: another filesystem; -ESTALE: the mount would vanish with this process;
 * host__bpffs_why() has the rest.
 */
int host__bpffs_ensure(const char *dir);
/* In words; NULL: nothing more than strerror(-err). */
const char *host__bpffs_why(int err);

/*
 * No other process is in this mount namespace, as in `ip netns exec NAME lbctl ...`: what is
 * mounted, and so every pin, goes when this process ends.
 */
bool host__mounts_vanish(void);

/*
 * One change at a time per pin directory, which need not exist yet. After 1 s of waiting calls
 * waiting() once with the holder's pid (0: not known); after 10 s returns -EBUSY. Closing *ret_fd,
 * or dying, releases the lock.
 */
int host__lock(const char *dir, void (*waiting)(pid_t holder, void *arg), void *arg, int *ret_fd);

/*
 * Can BPF work here? -EPERM: privileges are missing; -ENOTSUP: the kernel is too old; -ENOSYS: it
 * has no bpf(); -EACCES: it refuses bpf() although the privileges are there.
 */
int host__ready(void);
/* In words; NULL: nothing more than strerror(-err). */
const char *host__ready_why(int err);

#endif

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Generator, balancer and sink in namespaces of their own, joined by veth:
 *
 *   generator g0 ---- lb0 balancer lb1 ---- s0 sink
 *
 * One-armed, the backends are behind lb0 and the balancer answers by XDP_TX, so g0 is the sink.
 */
#ifndef RIG_FRAMES_LAB_H
#define RIG_FRAMES_LAB_H

#include <stdbool.h>
#include <stdint.h>

enum frames_ns {
	NS_BALANCER, /* where the calling thread is */
	NS_GENERATOR,
	NS_SINK,
	NAMESPACES,
};

struct frames_lab {
	int ns[NAMESPACES];
	uint32_t g0; /* ifindexes */
	uint32_t lb0;
	uint32_t lb1;
	uint32_t s0;
};

/* Frames that an interface has lost, as its driver counts them. */
struct frames_losses {
	uint64_t ring_full_g0;	/* on the way into lb0 */
	uint64_t ring_full_lb0; /* sent back by XDP_TX, into g0 */
	uint64_t ring_full_lb1; /* into s0 */
	uint64_t dropped_lb0;	/* redirects that failed, frames without memory */
};

int frames_lab__up(struct frames_lab *lab);

/* Where the backends are. */
int frames_lab__arms(const struct frames_lab *lab, bool two);

int frames_lab__enter(const struct frames_lab *lab, enum frames_ns ns);

/* prog -1: takes it off. */
int frames_lab__attach(const struct frames_lab *lab, enum frames_ns ns, uint32_t ifindex, int prog);

int frames_lab__losses(const struct frames_lab *lab, struct frames_losses *ret);

#define FRAMES_STATS_MAX 256
#define FRAMES_STAT_NAME 32 /* ETH_GSTRING_LEN */

/* What an interface's driver counts. */
struct frames_stats {
	uint32_t n;
	char names[FRAMES_STATS_MAX][FRAMES_STAT_NAME];
	uint64_t values[FRAMES_STATS_MAX];
};

int frames_lab__stats(const struct frames_lab *lab, enum frames_ns ns, const char *iface,
		      struct frames_stats *ret);

#endif

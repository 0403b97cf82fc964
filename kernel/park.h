/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Fragments that came before the first of their datagram: copied to the daemon, which sends them in
 * again when that one has been seen. Without a daemon the output fails, since nobody listens.
 */
#ifndef LB_PARK_H
#define LB_PARK_H

#include "admit.h"
#include "count.h"
#include "nexthop.h"

#define PARK_A_SECOND 100000 /* by each CPU: one costs most of a microsecond */

static __always_inline long park_output(struct xdp_md *ctx, struct lb_scratch *scratch, __u32 kind,
					__u64 frame_len)
{
	struct lb_event *event = &scratch->event;

	event->key = kind == LB_EVENT_NEIGHBOUR ? scratch->unresolved : scratch->fragment.key;
	event->kind = kind;
	event->ifindex = LB_INGRESS(ctx);
	event->frame_len = frame_len;
	event->generic = lb_config.generic;
	return bpf_perf_event_output(ctx, &lb_events, BPF_F_CURRENT_CPU | frame_len << 32, event,
				     sizeof(*event));
}

/* The first has come. */
static __always_inline void park_tell(struct xdp_md *ctx, struct lb_scratch *scratch)
{
	park_output(ctx, scratch, LB_EVENT_FIRST, 0);
}

/*
 * May the address be the host's own, too? Its routes know: local ones aren't answered. An address
 * without any route can't be told from that, and its packets are lost up there. What a backend of nat
 * sends may be anybody's.
 */
static __always_inline int park_is_hosts(struct xdp_md *ctx, const struct lb_addr *local, int turned)
{
	struct bpf_fib_lookup fib;

	if (turned)
		return 1;
	__builtin_memset(&fib, 0, sizeof(fib));
	fib.ifindex = LB_FIB_IFINDEX;
	if (addr_is_v4(local)) {
		fib.family = AF_INET;
		fib.ipv4_dst = local->w[3];
	} else {
		fib.family = AF_INET6;
		__builtin_memcpy(fib.ipv6_dst, local, sizeof(fib.ipv6_dst));
	}
	return bpf_fib_lookup(ctx, &fib, sizeof(fib), 0) == BPF_FIB_LKUP_RET_NOT_FWDED;
}

/* Whose it is nobody can tell yet. Not static, so that the verifier looks at it once. */
__noinline int park(struct xdp_md *ctx)
{
	__u64 frame_len = ctx->data_end - ctx->data;
	struct lb_scratch *scratch = scratch_get();
	struct lb_totals *totals = count_totals();
	struct lb_pkt *pkt;

	barrier_var(frame_len); /* else half a pointer is kept for later */
	if (!scratch || !totals)
		return LB_PASS;
	pkt = &scratch->pkt;
	if (frame_len <= LB_PARK_MAX &&
	    admit_take(&scratch->park_credit, &scratch->park_since, pkt->now, PARK_A_SECOND, 0) &&
	    !park_output(ctx, scratch, LB_EVENT_PARKED, frame_len)) {
		totals->parked++;
		return LB_PARKED;
	}
	return park_is_hosts(ctx, pkt_local(pkt), pkt_is_turned(pkt)) ? LB_PASS : lb_drop(LB_DROP_FRAGMENT_EARLY);
}

#endif

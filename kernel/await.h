/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A packet whose next hop's MAC nobody knows: it waits with the daemon, which has the kernel ask for that
 * MAC, and comes in again when it is known. A fragment doesn't: as its datagram goes, it has been seen.
 */
#ifndef LB_AWAIT_H
#define LB_AWAIT_H

#include "flow_table.h"
#include "park.h"
#include "rewrite.h"

#define AWAIT_A_SECOND 1000 /* by each CPU: a dead neighbour must not keep the daemon busy */

/* What follows in the packet when it comes in again is all there is: a checksum has to be complete. */
static __always_inline enum lb_verdict await_complete(struct xdp_md *ctx, const struct lb_pkt *pkt)
{
	__be16 *field = csum_field(ctx, pkt);

	if (!field || (pkt->ip_proto == IPPROTO_UDP && !*field))
		return LB_NEXT;
	if (lb_config.generic ? !csum_comes_partial(ctx, pkt) : !csum_is_pseudo(pkt, *field))
		return LB_NEXT;
	return csum_complete(ctx, 1);
}

/* Not static, so that the verifier looks at it once. */
__noinline int await(struct xdp_md *ctx)
{
	__u64 frame_len = ctx->data_end - ctx->data;
	struct lb_scratch *scratch = scratch_get();
	struct lb_totals *totals = count_totals();

	barrier_var(frame_len); /* else half a pointer is kept for later */
	if (!scratch || !totals || frame_len > LB_PARK_MAX ||
	    !admit_take(&scratch->await_credit, &scratch->await_since, scratch->pkt.now,
			AWAIT_A_SECOND, 0) ||
	    await_complete(ctx, &scratch->pkt) != LB_NEXT ||
	    park_output(ctx, scratch, LB_EVENT_NEIGHBOUR, frame_len))
		return lb_drop(LB_DROP_NO_NEIGHBOUR);
	totals->parked++;
	return LB_PARKED;
}

#endif

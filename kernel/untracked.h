/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Above a limit of new flows, and for RSTs of unknown ones: where the backend sees the client's own
 * packets, each goes to the backend that the hash names, and takes no place in the flow table.
 */
#ifndef LB_UNTRACKED_H
#define LB_UNTRACKED_H

#include "flow.h"
#include "nexthop.h"
#include "report.h"
#include "tunnel.h"

/* The half that flow_choose() left in the scratch, as if it were the packet's. LB_NEXT: to be sent. */
__noinline int untracked(struct xdp_md *ctx)
{
	struct lb_scratch *scratch = scratch_get();
	struct lb_totals *totals = count_totals();
	struct lb_backend *backend;
	enum lb_verdict verdict;
	struct ct_ref ref = {};
	struct lb_pkt *pkt;

	if (!scratch || !totals)
		return lb_drop(LB_DROP_FLOW_BUSY);
	pkt = &scratch->pkt;
	ref.flow = &scratch->half.flow;
	ref.ctl = ref.flow->ctl;
	backend = backend_get(ref.flow->backend, ref.flow->gen);
	verdict = flow_target(pkt, &ref, backend);
	if (verdict != LB_NEXT)
		return verdict;
	verdict = nexthop_carry(ctx, pkt, ref.flow);
	if (verdict != LB_NEXT)
		return report(ctx, pkt, verdict);
	totals->untracked++;
	return one_way(ctx, pkt);
}

#endif

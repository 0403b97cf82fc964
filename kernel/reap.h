/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Ends flows for lbctl (gc, flush flows). In the kernel, since only here deciding and removing can't
 * come apart: a packet may revive a flow between a look-up and a delete from user space.
 */
#ifndef LB_REAP_H
#define LB_REAP_H

#include "flow.h"

/* The half where lbctl saw it; in our own table by its slot, as its key may have lost its address. */
static __always_inline int reap_find(const struct lb_reap_half *half, struct ct_ref *ref)
{
	struct ct_set *set;

	if (CT_IS_LRU)
		return ct_lookup(&half->key, ref);
	set = assoc_set(half->slot / CT_WAYS);
	if (!set)
		return 0;
	ref->slot = half->slot;
	ref->flow = assoc_slot(set, half->slot);
	ref->ctl = ct_ctl_before(ref->flow);
	return (half->ctl & CT_STATE_MASK) == CT_LIVE && !ct_changed_hands(half->ctl, ref->ctl);
}

/* The scratch's. Not static, so that the verifier looks at it once. */
__noinline int reap_one(__u32 mode, __u32 now)
{
	struct lb_scratch *scratch = scratch_get();
	struct lb_totals *totals = count_totals();
	const struct lb_reap_half *half;
	struct ct_ref ref = {};
	int expired, in;

	if (!scratch || !totals)
		return 0;
	half = &scratch->reaped;
	if (!reap_find(half, &ref))
		return 0;
	expired = flow_expired(now, ref.flow, 2 * lb_config.hz);
	if (mode == LB_REAP_EXPIRED && !expired && backend_get(ref.flow->backend, ref.flow->gen))
		return 0;
	in = ct_dir(ref.flow) == CT_DIR_IN; /* a flow counts once */
	if (!ct_remove(&half->key, &ref) || !in)
		return 0;
	if (expired)
		totals->flows_expired++;
	else
		totals->flows_removed++;
	return 1;
}

/* The packet of this BPF_PROG_TEST_RUN is a struct lb_reap. Answers how many flows it ended. */
static __always_inline int reap(struct xdp_md *ctx)
{
	struct lb_scratch *scratch = scratch_get();
	struct lb_reap *req = (void *)(long)ctx->data;
	__u32 now = (__u32)bpf_jiffies64();
	int ended = 0;
	long i;

	if (!scratch || (void *)(req + 1) > (void *)(long)ctx->data_end)
		return 0;
	for (i = 0; i < LB_REAP_MAX && i < req->halves_n; i++) {
		scratch->reaped = req->halves[i];
		ended += reap_one(req->mode, now);
	}
	return ended;
}

#endif

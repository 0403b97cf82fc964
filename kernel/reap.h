/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Ends flows for lbctl (gc, flush flows). In the kernel, since only here deciding and removing can't
 * come apart: a packet may revive a flow between a look-up and a delete from user space.
 */
#ifndef LB_REAP_H
#define LB_REAP_H

#include "flow.h"

static __always_inline int reap_one(const struct ct_key *key, __u32 mode, __u32 now)
{
	struct ct_flow *flow = ct_find(key);
	struct lb_totals *totals = count_totals();
	int expired;

	if (!flow || !totals)
		return 0;
	expired = ct_expired(now, flow->last_seen, flow->timeout, 2 * lb_config.hz);
	if (mode == LB_REAP_EXPIRED && !expired && backend_get(&flow->backend))
		return 0;
	mode = flow->dir;
	if (!ct_remove(key, flow) || mode == CT_DIR_OUT) /* a flow counts once */
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
	struct lb_reap *req = (void *)(long)ctx->data;
	__u32 now = (__u32)bpf_jiffies64();
	int ended = 0;
	__u32 i;

	if ((void *)(req + 1) > (void *)(long)ctx->data_end)
		return 0;
	for (i = 0; i < LB_REAP_MAX && i < req->keys_n; i++) {
		struct ct_key key = req->keys[i];

		ended += reap_one(&key, req->mode, now);
	}
	return ended;
}

#endif

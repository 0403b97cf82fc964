/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Which new flows are let in: lists of clients' prefixes, and limits of how many a second. */
#ifndef LB_ADMIT_H
#define LB_ADMIT_H

#include "maps.h"
#include "ct_slot.h"
#include "pkt.h"
#include "retry.h"

static __noinline int admit_listed(const struct lb_addr *client, __u32 list)
{
	struct lb_prefix prefix = { .bits = LB_PREFIX_BITS, .list = list, .addr = *client };

	if (!addr_is_v4(client))
		prefix.list |= LB_LIST_V6;
	return bpf_map_lookup_elem(&lb_prefixes, &prefix) != NULL;
}

static __always_inline enum lb_verdict admit_client(const struct lb_addr *client,
						    const struct lb_vip *vip)
{
	struct lb_settings *settings = settings_get();

	if (unlikely(!addr_is_host(client)))
		return lb_drop(LB_DROP_MALFORMED);
	if (unlikely(settings && settings->deny) && admit_listed(client, LB_LIST_DENY))
		return lb_drop(LB_DROP_DENIED);
	if (unlikely(vip->allow) && !admit_listed(client, vip->allow))
		return lb_drop(LB_DROP_NOT_ALLOWED);
	return LB_NEXT;
}

/* Takes one out of a bucket that rate flows a second fill, if there is one in it and so many others. */
static __always_inline int admit_take(__u64 *credit, __u32 *since, __u32 now, __u32 rate,
				      __u32 spared)
{
	__u64 full = (__u64)rate * lb_config.hz, have = *credit;
	__u32 elapsed = now - *since;

	if (elapsed <= -lb_config.hz) { /* else another CPU, a bit ahead, was here before */
		have += (__u64)rate * elapsed;
		*since = now;
	}
	if (have > full)
		have = full;
	if (have < (spared + 1ULL) * lb_config.hz) {
		*credit = have;
		return 0;
	}
	*credit = have - lb_config.hz;
	return 1;
}

/*
 * rate: of the packet's VIP. spare: half of what a bucket holds is left for others. Not static, so that the
 * verifier looks at it once.
 */
__noinline int admit_buckets(__u32 rate, int spare)
{
	struct lb_settings *settings = settings_get();
	struct lb_scratch *scratch = scratch_get();
	struct lb_bucket *bucket;
	__u32 now, id, all;
	int taken;

	if (!scratch || !settings)
		return 1;
	now = scratch->pkt.now;
	id = scratch->pkt.vip;
	/* The VIP's first: what it refuses takes nothing of what other VIPs may have of this CPU. */
	bucket = unlikely(rate) ? bpf_map_lookup_elem(&lb_vip_buckets, &id) : NULL;
	if (bucket) {
		bpf_spin_lock(&bucket->lock);
		taken = admit_take(&bucket->credit, &bucket->since, now, rate, spare ? rate / 2 : 0);
		bpf_spin_unlock(&bucket->lock);
		if (!taken)
			return 0;
	}
	all = settings->new_rate;
	return !all || admit_take(&scratch->new_credit, &scratch->new_since, now, all,
				  spare ? all / 2 : 0);
}

/*
 * May one more flow be tracked? Of those that would be dropped else, TCP's have half of the limit, and all
 * of it when they try again.
 */
static __always_inline int admit_flow(const struct lb_pkt *pkt, const struct lb_vip *vip)
{
	int again = pkt->ip_proto == IPPROTO_TCP && ct_pairs(vip->method) &&
		    pkt->tcp_flags & LB_TCP_SYN;

	return admit_buckets(vip->new_rate, again) ||
	       (again && retry_is() && admit_buckets(vip->new_rate, 0));
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Which new flows are let in: lists of clients' prefixes, and limits of how many a second. */
#ifndef LB_ADMIT_H
#define LB_ADMIT_H

#include "maps.h"
#include "pkt.h"

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

	if (unlikely(settings && settings->deny) && admit_listed(client, LB_LIST_DENY))
		return lb_drop(LB_DROP_DENIED);
	if (unlikely(vip->allow) && !admit_listed(client, vip->allow))
		return lb_drop(LB_DROP_NOT_ALLOWED);
	return LB_NEXT;
}

/* Takes one out of a bucket that rate flows a second fill, if there is one in it. */
static __always_inline int admit_take(__u64 *credit, __u32 *since, __u32 now, __u32 rate)
{
	__u64 full = (__u64)rate * lb_config.hz, have = *credit;
	__u32 elapsed = now - *since;

	if (elapsed <= -lb_config.hz) { /* else another CPU, a bit ahead, was here before */
		have += (__u64)rate * elapsed;
		*since = now;
	}
	if (have > full)
		have = full;
	if (have < lb_config.hz) {
		*credit = have;
		return 0;
	}
	*credit = have - lb_config.hz;
	return 1;
}

/* May one more flow be tracked? */
static __always_inline int admit_flow(struct lb_scratch *scratch, const struct lb_vip *vip)
{
	struct lb_settings *settings = settings_get();
	__u32 now = scratch->pkt.now, id = vip->id, rate = vip->new_rate;
	struct lb_bucket *bucket;
	int taken;

	/* The VIP's first: what it refuses takes nothing of what other VIPs may have of this CPU. */
	bucket = unlikely(rate) ? bpf_map_lookup_elem(&lb_vip_buckets, &id) : NULL;
	if (bucket) {
		bpf_spin_lock(&bucket->lock);
		taken = admit_take(&bucket->credit, &bucket->since, now, rate);
		bpf_spin_unlock(&bucket->lock);
		if (!taken)
			return 0;
	}
	return !settings || !settings->new_rate ||
	       admit_take(&scratch->new_credit, &scratch->new_since, now, settings->new_rate);
}

#endif

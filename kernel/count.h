/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Per-CPU counters: XDP doesn't nest, so plain additions are exact. */
#ifndef LB_COUNT_H
#define LB_COUNT_H

#include "maps.h"
#include "pkt.h"

static __always_inline struct lb_totals *count_totals(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&lb_totals, &zero);
}

static __always_inline void count_drop(struct lb_pkt *pkt, __u32 reason)
{
	__u64 *drops = bpf_map_lookup_elem(&lb_drops, &reason);
	__u32 vip = pkt->vip;

	if (drops)
		(*drops)++;
	drops = bpf_map_lookup_elem(&lb_vip_drops, &vip);
	if (drops && pkt->has_vip)
		(*drops)++;
}

/* Behind the first probe: interfaces whose numbers are equal modulo the size. */
static __noinline struct lb_iface_stats *count_iface_search(__u32 ifindex)
{
	struct lb_iface_stats *stats;
	__u32 i, slot, none = 0;

	for (i = 1; i < LB_IFACE_PROBES; i++) {
		slot = (ifindex + i) & (LB_IFACE_SLOTS - 1);
		stats = bpf_map_lookup_elem(&lb_iface_stats, &slot);
		if (stats && stats->ifindex == ifindex)
			return stats;
	}
	return bpf_map_lookup_elem(&lb_iface_stats, &none);
}

static __always_inline struct lb_iface_stats *count_iface(const struct xdp_md *ctx)
{
	__u32 ifindex = LB_INGRESS(ctx), slot = ifindex & (LB_IFACE_SLOTS - 1);
	struct lb_iface_stats *stats = bpf_map_lookup_elem(&lb_iface_stats, &slot);

	if (likely(stats && stats->ifindex == ifindex))
		return stats;
	return count_iface_search(ifindex);
}

/* Every packet ends here, once: one that is parked, when it comes again. frame_len: bytes, as it came. */
static __always_inline void count_verdict(const struct xdp_md *ctx, __u32 verdict, __u32 frame_len)
{
	struct lb_iface_stats *stats = count_iface(ctx);

	if (!stats || unlikely(verdict == LB_PARKED))
		return;
	stats->bytes += frame_len;
	if (verdict == LB_PASS)
		stats->passed++;
	else if (verdict < LB_DROP)
		stats->forwarded++;
	else
		stats->dropped++;
}

#endif

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
	struct lb_vip_stats *stats;

	if (drops)
		(*drops)++;
	if (!pkt->has_vip)
		return;
	stats = bpf_map_lookup_elem(&lb_vip_stats, &vip);
	if (stats)
		stats->drops++;
}

/* A packet of a flow, in either direction, that leaves. */
static __always_inline void count_carried(struct lb_pkt *pkt)
{
	__u32 backend = pkt->backend;
	struct lb_count *count = bpf_map_lookup_elem(&lb_backend_stats, &backend);
	__u32 vip = pkt->vip;
	struct lb_vip_stats *stats = bpf_map_lookup_elem(&lb_vip_stats, &vip);

	if (count) {
		count->packets++;
		count->bytes += pkt->l3_len;
	}
	if (stats) {
		stats->carried.packets++;
		stats->carried.bytes += pkt->l3_len;
	}
}

static __always_inline struct lb_iface_seen *count_iface(const struct lb_pkt *pkt)
{
	__u32 ifindex = pkt->ctx->ingress_ifindex;

	return bpf_map_lookup_elem(&lb_iface_packets, &ifindex);
}

/* Every packet ends here, once. frame_len: bytes, as it came. */
static __always_inline void count_verdict(struct lb_pkt *pkt, __u32 verdict, __u32 frame_len)
{
	struct lb_totals *totals = count_totals();
	struct lb_iface_seen *iface = count_iface(pkt);

	if (iface)
		iface->packets++;
	if (!totals)
		return;
	totals->seen.packets++;
	totals->seen.bytes += frame_len;
	if (verdict == LB_PASS)
		totals->passed++;
	else if (verdict < LB_DROP)
		totals->forwarded++;
	else
		totals->dropped++;
}

#endif

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The way of a packet, top to bottom. Each stage is a header of its own that looks at one struct
 * lb_pkt and answers a verdict; only the entry turns a verdict into an XDP action, and counts it.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

#include "announce.h"
#include "await.h"
#include "count.h"
#include "flow.h"
#include "fragment.h"
#include "icmp.h"
#include "maps.h"
#include "nexthop.h"
#include "open.h"
#include "parse.h"
#include "pkt.h"
#include "reap.h"
#include "report.h"
#include "reset.h"
#include "rewrite.h"
#include "service.h"
#include "tunnel.h"
#include "unpark.h"
#include "untracked.h"

/* A transport header that lies is dropped where a VIP would have had it; else it is the host's. */
__noinline int malformed(__be16 port)
{
	struct lb_scratch *scratch = scratch_get();

	if (scratch && (pkt_is_turned(&scratch->pkt) ||
			(port && !service_find(&scratch->pkt.tuple.dst, port, scratch->pkt.ip_proto))))
		return LB_PASS;
	return lb_drop(LB_DROP_MALFORMED);
}

static __always_inline enum lb_verdict send(struct xdp_md *ctx, struct lb_pkt *pkt)
{
	struct lb_meta *meta;

	if (pkt->nexthop.ifindex == LB_INGRESS(ctx))
		return LB_TX;
	if (!lb_config.clsact_egress)
		return LB_REDIRECT;
	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*meta)))
		return lb_drop(LB_DROP_OUTPUT);
	meta = (void *)(long)ctx->data_meta;
	if ((void *)(meta + 1) > pkt_data(ctx))
		return lb_drop(LB_DROP_OUTPUT);
	meta->magic = LB_META_MAGIC;
	meta->ifindex = pkt->nexthop.ifindex;
	return LB_HANDOVER;
}

static __always_inline enum lb_verdict icmp_or_nd(struct xdp_md *ctx, struct lb_pkt *pkt)
{
	enum lb_verdict verdict = icmp(ctx);

	if (verdict == LB_NEXT)
		return send(ctx, pkt);
	return verdict == LB_PASS ? announce(ctx) : verdict;
}

/* What a function that the verifier looks at by itself answered. */
static __always_inline enum lb_verdict send_next(struct xdp_md *ctx, struct lb_pkt *pkt,
						 enum lb_verdict verdict)
{
	return verdict == LB_NEXT ? send(ctx, pkt) : verdict;
}

/* Down to a packet that may have a flow: all others leave on the way. */
static __always_inline enum lb_verdict parse(struct xdp_md *ctx, struct lb_pkt *pkt)
{
	enum lb_verdict verdict = parse_addrs(ctx, pkt);

	if (verdict != LB_NEXT)
		return announce(ctx);
	verdict = local_find(ctx, pkt);
	if (verdict != LB_NEXT)
		return verdict;
	verdict = parse_ip(ctx, pkt);
	if (verdict != LB_NEXT)
		return pkt_is_turned(pkt) ? LB_PASS : verdict;
	if (unlikely(pkt->frag))
		return fragment(ctx);
	verdict = parse_transport(ctx, pkt);
	if (unlikely(verdict == lb_drop(LB_DROP_MALFORMED)))
		return malformed(pkt->tuple.dport);
	if (verdict == LB_PASS && icmp_is(pkt))
		return icmp_or_nd(ctx, pkt);
	if (verdict != LB_NEXT)
		return verdict;
	return local_wants(pkt);
}

static __always_inline enum lb_verdict open(struct xdp_md *ctx, struct lb_pkt *pkt)
{
	__u64 hash = open_hash(pkt);
	enum lb_verdict verdict;

	ct_prefetch(pkt);
	verdict = flow_choose(ctx, (__u32)hash);
	if (verdict == LB_NEXT && pkt->untracked)
		return send_next(ctx, pkt, untracked(ctx));
	if (verdict == LB_NEXT)
		return flow_open(hash >> 32);
	if (verdict == LB_TX)
		return reset_client(ctx);
	return verdict == LB_PASS ? open_not_ours(ctx) : verdict;
}

/* The packet's flow and its backend; a new flow if it has none. */
static __always_inline enum lb_verdict track(struct xdp_md *ctx, struct lb_pkt *pkt,
					     struct ct_ref *ref, struct lb_backend **ret_backend)
{
	enum lb_verdict verdict;

	pkt->now = (__u32)bpf_jiffies64();
	flow_key(pkt);
	verdict = flow_find(pkt, ref, ret_backend);
	if (verdict != LB_NEXT)
		return verdict;
	if (likely(ref->flow && !flow_restarts(pkt, ref)))
		return LB_NEXT;
	if (!ref->flow || !flow_restart(pkt->now))
		verdict = open(ctx, pkt);
	if (verdict != LB_NEXT)
		return verdict;
	ct_find_pkt(pkt, ref);
	if (!ref->flow)
		return lb_drop(LB_DROP_FLOW_BUSY);
	*ret_backend = backend_get(ref->flow->backend, ref->flow->gen);
	return LB_NEXT;
}

/* No way on: somebody may have to know, or it can wait. */
static __always_inline enum lb_verdict stay(struct xdp_md *ctx, const struct lb_pkt *pkt,
					    enum lb_verdict verdict)
{
	if (verdict == lb_drop(LB_DROP_NO_NEIGHBOUR) && !pkt->frag)
		return await(ctx);
	return report(ctx, pkt, verdict);
}

static __always_inline enum lb_verdict change(struct xdp_md *ctx, const struct lb_pkt *pkt,
					      struct ct_flow *flow)
{
	if (!ct_pairs(pkt->method))
		return one_way(ctx, pkt);
	return unlikely(pkt->frag) ? rewrite_fragment(ctx) : rewrite(ctx, pkt, flow);
}

static __always_inline enum lb_verdict journey(struct xdp_md *ctx, struct lb_pkt *pkt)
{
	struct lb_backend *backend = NULL;
	struct lb_backend_stats *stats;
	enum lb_verdict verdict;
	struct ct_ref ref = {};

	verdict = parse(ctx, pkt);
	if (verdict != LB_NEXT)
		return verdict;
	verdict = track(ctx, pkt, &ref, &backend);
	if (verdict != LB_NEXT)
		return verdict;
	verdict = flow_target(pkt, &ref, backend);
	if (verdict != LB_NEXT)
		return verdict;
	stats = bpf_map_lookup_elem(&lb_backend_stats, &pkt->backend);
	if (!stats)
		return lb_drop(LB_DROP_FLOW_BUSY);
	verdict = nexthop_find(ctx, pkt, ref.flow, stats);
	if (verdict != LB_NEXT)
		return stay(ctx, pkt, verdict);
	verdict = change(ctx, pkt, ref.flow);
	if (verdict != LB_NEXT)
		return verdict;
	flow_track(pkt, &ref);
	stats->carried.packets++;
	stats->carried.bytes += pkt->l3_len;
	return send(ctx, pkt);
}

SEC("xdp")
int lb_xdp(struct xdp_md *ctx)
{
	__u64 frame_len = ctx->data_end - ctx->data;
	struct lb_scratch *scratch;
	struct lb_pkt *pkt;
	__u32 verdict;

	barrier_var(frame_len); /* else half a pointer is kept for later */
	scratch = scratch_get();
	if (!scratch)
		return XDP_PASS;
	pkt = &scratch->pkt;
	pkt->has_vip = 0;
	pkt->is_new = 0;
	verdict = journey(ctx, pkt);
	count_verdict(ctx, verdict, frame_len);
	switch (verdict) {
	case LB_PASS:
	case LB_HANDOVER:
		return XDP_PASS;
	case LB_TX:
		return XDP_TX;
	case LB_PARKED:
		return XDP_DROP;
	case LB_REDIRECT:
		return bpf_redirect(pkt->nexthop.ifindex, 0);
	default:
		count_drop(pkt, (verdict & ~LB_ANSWERED) - LB_DROP);
		return verdict & LB_ANSWERED ? XDP_TX : XDP_DROP;
	}
}

/* Behind generic XDP: sends what it handed over. A redirect from there would drop GSO frames. */
SEC("tc")
int lb_clsact(struct __sk_buff *skb)
{
	struct lb_meta *meta = (void *)(long)skb->data_meta;

	if ((void *)(meta + 1) > (void *)(long)skb->data || meta->magic != LB_META_MAGIC)
		return TC_ACT_UNSPEC;
	return bpf_redirect(meta->ifindex, 0);
}

SEC("xdp")
int lb_reap(struct xdp_md *ctx)
{
	return reap(ctx);
}

SEC("xdp")
int lb_unpark(struct xdp_md *ctx)
{
	return unpark(ctx);
}

/* How the daemon sends a packet in where the generic program is attached, which takes it behind this. */
SEC("xdp")
int lb_send_in(struct xdp_md *ctx __attribute__((unused)))
{
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

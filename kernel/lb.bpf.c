// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The way of a packet, top to bottom. Each stage is a header of its own that looks at one struct
 * lb_pkt and answers a verdict; only the entry turns a verdict into an XDP action, and counts it.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

#include "count.h"
#include "flow.h"
#include "maps.h"
#include "nexthop.h"
#include "open.h"
#include "parse.h"
#include "pkt.h"
#include "reap.h"
#include "reset.h"
#include "rewrite.h"

/* Is the destination an address that VIPs or SNAT use? All others are none of our business. */
static __always_inline enum lb_verdict local_find(struct lb_pkt *pkt)
{
	struct lb_local *local = bpf_map_lookup_elem(&lb_locals, &pkt->tuple.dst);

	if (!local)
		return LB_PASS;
	pkt->local = local->id;
	pkt->local_flags = local->flags;
	return LB_NEXT;
}

/*
 * Fragments have a flow only with their ports, so later ones can't be told apart from the host's
 * own and go to it; a first one for a VIP, or of a backend's reply, is useless without them and is
 * dropped by name.
 */
static __noinline enum lb_verdict fragment_check(struct lb_pkt *pkt)
{
	if (likely(!pkt->frag))
		return LB_NEXT;
	if (pkt->frag & LB_IP_OFFSET || parse_transport(pkt) != LB_NEXT)
		return LB_PASS;
	if (!service_find(&pkt->tuple.dst, pkt->tuple.dport, pkt->ip_proto) &&
	    open_not_ours(pkt) == LB_PASS)
		return LB_PASS;
	return lb_drop(LB_DROP_FRAGMENT);
}

/* A transport header that lies is dropped where a VIP would have had it; else it is the host's. */
static __always_inline enum lb_verdict transport_check(struct lb_pkt *pkt)
{
	enum lb_verdict verdict = parse_transport(pkt);

	if (unlikely(verdict == lb_drop(LB_DROP_MALFORMED)) && pkt->tuple.dport &&
	    !service_find(&pkt->tuple.dst, pkt->tuple.dport, pkt->ip_proto))
		return LB_PASS;
	return verdict;
}

static __always_inline enum lb_verdict send(struct lb_pkt *pkt)
{
	struct lb_meta *meta;

	if (pkt->nexthop.ifindex == pkt->ctx->ingress_ifindex)
		return LB_TX;
	if (!lb_config.clsact_egress)
		return LB_REDIRECT;
	if (bpf_xdp_adjust_meta(pkt->ctx, -(int)sizeof(*meta)))
		return lb_drop(LB_DROP_OUTPUT);
	meta = (void *)(long)pkt->ctx->data_meta;
	if ((void *)(meta + 1) > pkt_data(pkt))
		return lb_drop(LB_DROP_OUTPUT);
	meta->magic = LB_META_MAGIC;
	meta->ifindex = pkt->nexthop.ifindex;
	return LB_HANDOVER;
}

static __always_inline enum lb_verdict journey(struct lb_pkt *pkt)
{
	struct ct_key key;
	struct ct_flow *flow;
	enum lb_verdict verdict;

	verdict = parse_addrs(pkt);
	if (verdict != LB_NEXT)
		return verdict;
	verdict = local_find(pkt);
	if (verdict != LB_NEXT)
		return verdict;
	verdict = parse_ip(pkt);
	if (verdict != LB_NEXT)
		return verdict;
	verdict = fragment_check(pkt);
	if (verdict != LB_NEXT)
		return verdict;
	verdict = transport_check(pkt);
	if (verdict != LB_NEXT)
		return verdict;

	pkt->now = (__u32)bpf_jiffies64();
	flow_key(pkt, &key);
	flow = flow_find(pkt, &key);
	if (flow && unlikely(flow_restarts(pkt, flow)) && !flow_restart(pkt, &key, flow))
		flow = NULL;
	if (unlikely(!flow)) {
		verdict = flow_open(pkt, &key);
		if (verdict == LB_TX)
			return reset_client(pkt);
		if (verdict != LB_NEXT)
			return verdict;
		flow = ct_find(&key);
		if (!flow)
			return lb_drop(LB_DROP_FLOW_BUSY);
	}
	verdict = flow_target(pkt, &key, flow);
	if (verdict != LB_NEXT)
		return verdict;
	verdict = nexthop_find(pkt, flow);
	if (verdict != LB_NEXT)
		return verdict;
	verdict = rewrite(pkt, flow);
	if (verdict != LB_NEXT)
		return verdict;
	verdict = flow_track(pkt, &key, flow);
	if (verdict != LB_NEXT)
		return verdict;
	count_carried(pkt);
	return send(pkt);
}

SEC("xdp")
int lb_xdp(struct xdp_md *ctx)
{
	struct lb_pkt pkt = { .ctx = ctx };
	__u32 frame_len = ctx->data_end - ctx->data;
	__u32 verdict = journey(&pkt);

	count_verdict(&pkt, verdict, frame_len);
	switch (verdict) {
	case LB_PASS:
	case LB_HANDOVER:
		return XDP_PASS;
	case LB_TX:
		return XDP_TX;
	case LB_REDIRECT:
		return bpf_redirect(pkt.nexthop.ifindex, 0);
	default:
		count_drop(&pkt, verdict - LB_DROP);
		return XDP_DROP;
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

char LICENSE[] SEC("license") = "Dual BSD/GPL";

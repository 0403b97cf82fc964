/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Method ipip (RFC 2003): the packet as it came, behind an outer header to the backend. Its transport
 * checksum stays what it was; one that a local stack left partial is completed in native mode, see
 * rewrite.h.
 */
#ifndef LB_TUNNEL_H
#define LB_TUNNEL_H

#include "rewrite.h"

/* RFC 2003, 3.1: a hop like any other. */
static __always_inline void tunnel_inner(struct iphdr *ip)
{
	__be16 word = *(__be16 *)&ip->ttl;

	ip->ttl--;
	ip->check = ~csum_fold((__u16)~ip->check + csum_replace16(word, word - bpf_htons(0x100)));
}

static __always_inline void tunnel_outer(struct iphdr *ip, const struct lb_pkt *pkt)
{
	__be16 tot_len = bpf_htons(pkt->l3_len + sizeof(*ip));
	__be32 *words = (void *)ip;

	words[0] = bpf_htonl(0x45000000 | (__u32)pkt->tos << 16 | (pkt->l3_len + sizeof(*ip)));
	words[1] = bpf_htonl(LB_IP_DF); /* and the identification 0: nobody needs it, RFC 6864 */
	words[2] = bpf_htonl(LB_OUTER_TTL << 24 | IPPROTO_IPIP << 16) |
		   bpf_htonl((__u16)~bpf_ntohs(csum_fold((__u64)pkt->outer_sum + tot_len +
							 bpf_htons(pkt->tos))));
	ip->saddr = pkt->to.src.w[3];
	ip->daddr = pkt->to.dst.w[3];
}

/* Only native mode: a generic program's skb goes on saying where its checksum is to be put. */
static __always_inline enum lb_verdict tunnel_complete(struct xdp_md *ctx, const struct lb_pkt *pkt)
{
	__be16 *field = csum_field(ctx, pkt);

	if (!field)
		return lb_drop(LB_DROP_OUTPUT);
	if (likely(!csum_is_pseudo(pkt, *field)) || (pkt->ip_proto == IPPROTO_UDP && !*field))
		return LB_NEXT;
	return csum_complete(ctx, 1);
}

static __always_inline enum lb_verdict tunnel(struct xdp_md *ctx, const struct lb_pkt *pkt)
{
	enum lb_verdict verdict = lb_config.generic ? LB_NEXT : tunnel_complete(ctx, pkt);
	struct ethhdr *eth;
	struct iphdr *ip;

	if (verdict != LB_NEXT)
		return verdict;
	if (pkt->l3_len + sizeof(*ip) > 0xffff) /* a merged one in generic mode */
		return lb_drop(LB_DROP_TOO_BIG);
	if (bpf_xdp_adjust_head(ctx, -(int)sizeof(*ip)))
		return lb_drop(LB_DROP_OUTPUT);
	eth = pkt_data(ctx);
	ip = (void *)(eth + 1);
	if ((void *)(ip + 2) > pkt_end(ctx))
		return lb_drop(LB_DROP_OUTPUT);
	rewrite_macs(eth, &pkt->nexthop);
	*((__be16 *)ip - 1) = bpf_htons(ETH_P_IP);
	tunnel_outer(ip, pkt);
	tunnel_inner(ip + 1);
	return LB_NEXT;
}

#endif

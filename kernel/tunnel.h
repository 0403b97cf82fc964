/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Methods that leave the packet as it came, but for its TTL: ipip, behind an outer header to the
 * backend, of any family in any (RFC 2003, RFC 2473); gue, with UDP between, whose source port shows
 * the flow to whoever spreads packets on the way; and dsr, to its MAC. The transport checksum stays
 * what it was; one that a local stack left partial is completed in native mode, see rewrite.h.
 */
#ifndef LB_TUNNEL_H
#define LB_TUNNEL_H

#include "rewrite.h"

/* A hop like any other (RFC 2003, 3.1). */
static __always_inline enum lb_verdict tunnel_hop(const struct xdp_md *ctx, const struct lb_pkt *pkt,
						  void *at)
{
	struct ipv6hdr *ip6 = at;
	struct iphdr *ip = at;
	__be16 word;

	if (pkt->family == AF_INET6) {
		if ((void *)(ip6 + 1) > pkt_end(ctx))
			return lb_drop(LB_DROP_OUTPUT);
		ip6->hop_limit--;
		return LB_NEXT;
	}
	if ((void *)(ip + 1) > pkt_end(ctx))
		return lb_drop(LB_DROP_OUTPUT);
	word = *(__be16 *)&ip->ttl;
	ip->ttl--;
	ip->check = ~csum_fold((__u16)~ip->check + csum_replace16(word, word - bpf_htons(0x100)));
	return LB_NEXT;
}

/* len: of what follows. */
static __always_inline void tunnel_outer6(struct ipv6hdr *ip, const struct lb_pkt *pkt, __u32 len)
{
	__be32 *words = (void *)ip;

	/* The flow's label, for who spreads packets by it: RFC 6438, 3. */
	words[0] = bpf_htonl(6u << 28 | (__u32)pkt->tos << 20 | (__u32)(pkt->hash >> 44));
	words[1] = bpf_htonl(len << 16 | (__u32)pkt_outer_proto(pkt) << 8 | LB_OUTER_TTL);
	__builtin_memcpy(&ip->saddr, &pkt->to.src, sizeof(pkt->to.src));
	__builtin_memcpy(&ip->daddr, &pkt->to.dst, sizeof(pkt->to.dst));
}

static __always_inline void tunnel_outer4(struct iphdr *ip, const struct lb_pkt *pkt, __u32 len)
{
	__be16 tot_len = bpf_htons(len + sizeof(*ip));
	__be32 *words = (void *)ip;

	words[0] = bpf_htonl(0x45000000 | (__u32)pkt->tos << 16 | (len + sizeof(*ip)));
	words[1] = bpf_htonl(LB_IP_DF); /* and the identification 0: nobody needs it, RFC 6864 */
	words[2] = bpf_htonl(LB_OUTER_TTL << 24 | (__u32)pkt_outer_proto(pkt) << 16) |
		   bpf_htonl((__u16)~bpf_ntohs(csum_fold((__u64)pkt->outer_sum +
							 pkt->to.src.w[3] + tot_len +
							 bpf_htons(pkt->tos))));
	ip->saddr = pkt->to.src.w[3];
	ip->daddr = pkt->to.dst.w[3];
}

/* Only native mode: a generic program's skb goes on saying where its checksum is to be put. */
static __always_inline enum lb_verdict tunnel_complete(struct xdp_md *ctx, const struct lb_pkt *pkt)
{
	__be16 *field;

	if (lb_config.generic || unlikely(pkt->frag))
		return LB_NEXT;
	field = csum_field(ctx, pkt);
	if (!field)
		return lb_drop(LB_DROP_OUTPUT);
	if (likely(!csum_is_pseudo(pkt, *field)) || (pkt->ip_proto == IPPROTO_UDP && !*field))
		return LB_NEXT;
	return csum_complete(ctx, 1);
}

/*
 * Does the transport checksum tell the segment's sum? UDP may have none, or end before the packet does;
 * a fragment's is of its whole datagram.
 */
static __always_inline int tunnel_sound(const struct xdp_md *ctx, const struct lb_pkt *pkt)
{
	struct udphdr *udp = pkt_l4(ctx, pkt);

	if (pkt->frag)
		return 0;
	if (pkt->ip_proto != IPPROTO_UDP)
		return 1;
	return (void *)(udp + 1) <= pkt_end(ctx) && udp->check &&
	       bpf_ntohs(udp->len) == pkt->l3_len - (pkt->l4_off - pkt->l3_off);
}

/*
 * The packet's sum, for the checksum of the UDP around it. icmp: an error, of which only the quote was
 * parsed. Not static, so that the verifier looks at it once.
 */
__noinline __s64 tunnel_sum(struct xdp_md *ctx, int icmp)
{
	struct lb_scratch *scratch = scratch_get();
	struct lb_pkt *pkt;

	if (!scratch)
		return -1;
	pkt = &scratch->pkt;
	return csum_packet(ctx, pkt, pkt->l3_off, pkt->l3_len, !icmp && tunnel_sound(ctx, pkt));
}

/* inner: what tunnel_sum() answered. In IPv4 the checksum is left out (RFC 768), as for IPv4 alone. */
static __always_inline void tunnel_gue(struct lb_gue *gue, const struct lb_pkt *pkt, int v4,
				       __s64 inner)
{
	__u16 len = pkt->l3_len + sizeof(*gue);
	__u64 sum;

	gue->udp.source = bpf_htons(LB_GUE_SPORT | (pkt->hash >> 32 & ~LB_GUE_SPORT & 0xffff));
	gue->udp.dest = bpf_htons(LB_GUE_PORT);
	gue->udp.len = bpf_htons(len);
	gue->udp.check = 0;
	gue->variant_hlen = 0;
	gue->proto = pkt_as_payload(pkt);
	gue->flags = 0;
	if (v4)
		return;
	sum = inner + csum_addr(&pkt->to.src, 0) + csum_addr(&pkt->to.dst, 0) +
	      bpf_htons(IPPROTO_UDP) + 2 * (__u64)bpf_htons(len) + gue->udp.source + gue->udp.dest +
	      bpf_htons(gue->proto);
	len = ~csum_fold(sum);
	gue->udp.check = len ? len : 0xffff;
}

static __always_inline enum lb_verdict tunnel(struct xdp_md *ctx, const struct lb_pkt *pkt, int icmp)
{
	int v4 = addr_is_v4(&pkt->to.dst), gue = pkt->method == LB_METHOD_GUE;
	__u32 len = pkt->l3_len + (gue ? sizeof(struct lb_gue) : 0);
	struct ethhdr *eth = pkt_data(ctx);
	enum lb_verdict verdict;
	__s64 sum = 0;
	void *ip;

	/* A merged one in generic mode; IPv6 doesn't count its own header. */
	if (len + (v4 ? sizeof(struct iphdr) : 0) > 0xffff)
		return lb_drop(LB_DROP_TOO_BIG);
	if ((void *)(eth + 1) > pkt_end(ctx))
		return lb_drop(LB_DROP_OUTPUT);
	verdict = tunnel_hop(ctx, pkt, eth + 1);
	if (verdict != LB_NEXT)
		return verdict;
	if (gue && !v4)
		sum = tunnel_sum(ctx, icmp);
	if (sum < 0)
		return lb_drop(LB_DROP_CHECKSUM);
	if (bpf_xdp_adjust_head(ctx, -(int)pkt_overhead(pkt)))
		return lb_drop(LB_DROP_OUTPUT);
	eth = pkt_data(ctx);
	ip = eth + 1;
	if (ip + sizeof(struct ipv6hdr) > pkt_end(ctx)) /* or an IPv4 header and more */
		return lb_drop(LB_DROP_OUTPUT);
	rewrite_macs(eth, &pkt->nexthop);
	if (v4) {
		*((__be16 *)ip - 1) = bpf_htons(ETH_P_IP);
		tunnel_outer4(ip, pkt, len);
		ip += sizeof(struct iphdr);
	} else {
		*((__be16 *)ip - 1) = bpf_htons(ETH_P_IPV6);
		tunnel_outer6(ip, pkt, len);
		ip += sizeof(struct ipv6hdr);
	}
	if (!gue)
		return LB_NEXT;
	if (ip + sizeof(struct lb_gue) > pkt_end(ctx))
		return lb_drop(LB_DROP_OUTPUT);
	tunnel_gue(ip, pkt, v4, sum);
	return LB_NEXT;
}

static __always_inline enum lb_verdict direct(struct xdp_md *ctx, const struct lb_pkt *pkt)
{
	struct ethhdr *eth = pkt_data(ctx);

	if ((void *)(eth + 1) > pkt_end(ctx))
		return lb_drop(LB_DROP_OUTPUT);
	rewrite_macs(eth, &pkt->nexthop);
	return tunnel_hop(ctx, pkt, eth + 1);
}

static __always_inline enum lb_verdict one_way(struct xdp_md *ctx, const struct lb_pkt *pkt)
{
	enum lb_verdict verdict = tunnel_complete(ctx, pkt);

	if (verdict != LB_NEXT)
		return verdict;
	return pkt->method == LB_METHOD_DSR ? direct(ctx, pkt) : tunnel(ctx, pkt, 0);
}

#endif

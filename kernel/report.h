/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Tells the sender of a packet that is dropped why, where it needs to know: too big for the way on (path
 * MTU discovery, RFC 1191 and RFC 8201), or its TTL ran out (traceroute). The error comes from the
 * address that the packet was sent to and goes back the way it came.
 */
#ifndef LB_REPORT_H
#define LB_REPORT_H

#include "icmp.h"

#define REPORT_A_SECOND 1000 /* by each CPU; as much as Linux does: icmp_msgs_per_sec */
#define REPORT_TOS	0xc0 /* internetwork control: RFC 1812, 4.3.2.5 */
#define REPORT_V4_MAX	(576 - sizeof(struct iphdr) - sizeof(struct icmp_start)) /* 4.3.2.3 */
#define REPORT_V6_MAX	(1280 - sizeof(struct ipv6hdr) - sizeof(struct icmp_start)) /* RFC 4443, 2.4 */

/* Type and code of what a drop is reported as; 0: it isn't. */
static __always_inline __u32 report_kind(const struct lb_pkt *pkt, enum lb_verdict verdict)
{
	int v4 = pkt->family == AF_INET;

	if (v4 && pkt->frag & LB_IP_OFFSET) /* RFC 1122, 3.2.2 */
		return 0;
	if (verdict == lb_drop(LB_DROP_TTL))
		return (v4 ? ICMP_TIME_EXCEEDED : ICMPV6_TIME_EXCEED) << 8;
	if (verdict == lb_drop(LB_DROP_TOO_BIG))
		return v4 ? ICMP_DEST_UNREACH << 8 | ICMP_FRAG_NEEDED : ICMPV6_PKT_TOOBIG << 8;
	return 0;
}

static __always_inline int report_allowed(struct lb_scratch *scratch)
{
	if (scratch->pkt.now - scratch->report_since >= lb_config.hz) {
		scratch->report_since = scratch->pkt.now;
		scratch->report_n = 0;
	}
	return scratch->report_n++ < REPORT_A_SECOND;
}

/* Outer header, in front of the quote. */
static __always_inline void report_ip4(struct iphdr *ip, const struct lb_pkt *pkt, __u32 len)
{
	__u64 sum = 0;
	int i;

	ip->version = 4;
	ip->ihl = sizeof(*ip) / 4;
	ip->tos = REPORT_TOS;
	ip->tot_len = bpf_htons(sizeof(*ip) + len);
	ip->id = 0;
	ip->frag_off = bpf_htons(LB_IP_DF); /* so the identification may be 0, RFC 6864 */
	ip->ttl = ICMP_TTL;
	ip->protocol = IPPROTO_ICMP;
	ip->check = 0;
	ip->saddr = pkt->tuple.dst.w[3];
	ip->daddr = pkt->tuple.src.w[3];
	for (i = 0; i < (int)sizeof(*ip) / 4; i++)
		sum += ((__u32 *)ip)[i];
	ip->check = ~csum_fold(sum);
}

static __always_inline void report_ip6(struct ipv6hdr *ip, const struct lb_pkt *pkt, __u32 len)
{
	*(__be32 *)ip = bpf_htonl(6u << 28 | REPORT_TOS << 20);
	ip->payload_len = bpf_htons(len);
	ip->nexthdr = IPPROTO_ICMPV6;
	ip->hop_limit = ICMP_TTL;
	__builtin_memcpy(&ip->saddr, &pkt->tuple.dst, sizeof(ip->saddr));
	__builtin_memcpy(&ip->daddr, &pkt->tuple.src, sizeof(ip->daddr));
}

/* Cuts the packet to what is quoted and makes room in front; answers the quote's length, 0: it can't. */
static __always_inline __u32 report_cut(struct xdp_md *ctx, const struct lb_pkt *pkt)
{
	int v4 = pkt->family == AF_INET;
	__u32 max = v4 ? REPORT_V4_MAX : REPORT_V6_MAX;
	__u32 len = pkt->l3_len < max ? pkt->l3_len : max;
	__u32 room = sizeof(struct icmp_start) + (v4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr));
	__u64 frame_len = ctx->data_end - ctx->data;

	barrier_var(frame_len); /* else half a pointer is kept for later */
	if (bpf_xdp_adjust_tail(ctx, (int)(len + pkt->l3_off - frame_len)) ||
	    bpf_xdp_adjust_head(ctx, -(int)room))
		return 0;
	return len;
}

/* macs: source and destination of the packet as it came. */
static __noinline int report_write(struct xdp_md *ctx, const struct lb_scratch *scratch,
				   const __u8 *macs, __u32 len, __u32 quote_sum)
{
	const struct lb_pkt *pkt = &scratch->pkt;
	struct ethhdr *eth = pkt_data(ctx);
	__u64 sum = quote_sum;
	struct icmp_start *icmp;
	void *ip = eth + 1;

	len += sizeof(*icmp);
	if (ip + sizeof(struct ipv6hdr) + sizeof(*icmp) > pkt_end(ctx))
		return 0;
	__builtin_memcpy(eth->h_dest, macs, ETH_ALEN);
	__builtin_memcpy(eth->h_source, macs + ETH_ALEN, ETH_ALEN);
	if (pkt->family == AF_INET) {
		*((__be16 *)ip - 1) = bpf_htons(ETH_P_IP);
		report_ip4(ip, pkt, len);
		icmp = ip + sizeof(struct iphdr);
	} else {
		*((__be16 *)ip - 1) = bpf_htons(ETH_P_IPV6);
		report_ip6(ip, pkt, len);
		icmp = ip + sizeof(struct ipv6hdr);
		sum += csum_addr(&pkt->tuple.src, 0) + csum_addr(&pkt->tuple.dst, 0) +
		       bpf_htonl(len) + bpf_htons(IPPROTO_ICMPV6);
	}
	icmp->type = scratch->report_kind >> 8;
	icmp->code = scratch->report_kind & 0xff;
	icmp->check = 0;
	icmp->rest = bpf_htonl(scratch->report_rest);
	icmp->check = ~csum_fold(sum + *(__be32 *)icmp + icmp->rest);
	return 1;
}

/* The verdict again, marked if its answer is to be sent. Not static: see icmp(). */
__noinline int report_send(struct xdp_md *ctx, int verdict)
{
	struct lb_scratch *scratch = scratch_get();
	__u8 macs[2 * ETH_ALEN];
	struct ethhdr *eth;
	struct lb_pkt *pkt;
	__u32 header, len;
	int partial;
	__s64 sum;

	if (!scratch || !report_allowed(scratch))
		return verdict;
	pkt = &scratch->pkt;
	header = pkt->family == AF_INET ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
	partial = lb_config.generic && csum_comes_partial(ctx, pkt);
	eth = pkt_data(ctx);
	if ((void *)(eth + 1) > pkt_end(ctx))
		return verdict;
	__builtin_memcpy(macs, eth->h_source, ETH_ALEN);
	__builtin_memcpy(macs + ETH_ALEN, eth->h_dest, ETH_ALEN);
	len = report_cut(ctx, pkt);
	if (!len)
		return verdict;
	/* A partial checksum in the quote will be completed behind us. */
	sum = csum_packet(ctx, pkt, sizeof(*eth) + header + sizeof(struct icmp_start), len, partial);
	if (sum < 0 || !report_write(ctx, scratch, macs, len, csum_fold(sum)))
		return verdict;
	return verdict | LB_ANSWERED;
}

static __always_inline enum lb_verdict report(struct xdp_md *ctx, const struct lb_pkt *pkt,
					      enum lb_verdict verdict)
{
	__u32 kind = report_kind(pkt, verdict);
	struct lb_scratch *scratch;

	if (!kind)
		return verdict;
	scratch = scratch_get();
	if (!scratch)
		return verdict;
	scratch->report_kind = kind;
	scratch->report_rest = verdict == lb_drop(LB_DROP_TOO_BIG) ? pkt->path_mtu : 0;
	return report_send(ctx, verdict);
}

#endif

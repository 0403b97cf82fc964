/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * ICMP (RFC 792) and ICMPv6 (RFC 4443) to our addresses. Echo to a VIP is answered here, whether or
 * not an interface has its address. An error about a packet of a flow quotes it as it left here, so
 * the reply to it would find the flow: the error goes where that reply would go, and its quote becomes
 * what that side has sent (RFC 5508, 4.2). All else is the host's.
 */
#ifndef LB_ICMP_H
#define LB_ICMP_H

#include "flow.h"
#include "nexthop.h"
#include "parse.h"
#include "rewrite.h"
#include "service.h"
#include "tunnel.h"

#define ICMP_TTL 64

/* <linux/icmp.h> doesn't compile for BPF. */
enum icmp_type {
	ICMP_ECHOREPLY = 0,
	ICMP_DEST_UNREACH = 3,
	ICMP_ECHO = 8,
	ICMP_TIME_EXCEEDED = 11,
	ICMP_PARAMETERPROB = 12,
	ICMP_FRAG_NEEDED = 4, /* code */
	ICMPV6_DEST_UNREACH = 1,
	ICMPV6_PKT_TOOBIG = 2,
	ICMPV6_TIME_EXCEED = 3,
	ICMPV6_PARAMPROB = 4,
	ICMPV6_ECHO_REQUEST = 128,
	ICMPV6_ECHO_REPLY = 129,
};

/* The header of both, as far as it is looked at here; behind it is the quote. */
struct icmp_start {
	__u8 type;
	__u8 code;
	__sum16 check;
	__be32 rest;
};

static __always_inline int icmp_is(const struct lb_pkt *pkt)
{
	return pkt->ip_proto == (pkt->family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6);
}

static __always_inline int icmp_is_error(const struct lb_pkt *pkt, __u8 type)
{
	if (pkt->family == AF_INET6)
		return type >= ICMPV6_DEST_UNREACH && type <= ICMPV6_PARAMPROB;
	return type == ICMP_DEST_UNREACH || type == ICMP_TIME_EXCEEDED ||
	       type == ICMP_PARAMETERPROB;
}

static __always_inline int icmp_is_echo(const struct lb_pkt *pkt, __u8 type)
{
	return type == (pkt->family == AF_INET ? ICMP_ECHO : ICMPV6_ECHO_REQUEST);
}

static __always_inline struct icmp_start *icmp_at(const struct xdp_md *ctx, const struct lb_pkt *pkt)
{
	return pkt_data(ctx) + (*(volatile __u16 *)&pkt->icmp_off & PKT_L4_OFF_MAX);
}

/* The way it came, from the address that was asked; exchanging addresses changes no checksum. */
static __always_inline enum lb_verdict icmp_answer(const struct xdp_md *ctx, struct lb_pkt *pkt)
{
	struct icmp_start *icmp = icmp_at(ctx, pkt);
	struct ethhdr *eth = pkt_data(ctx);
	struct ipv6hdr *ip6 = (void *)(eth + 1);
	struct iphdr *ip = (void *)(eth + 1);
	__u8 mac[ETH_ALEN];
	__be16 was;

	if ((void *)(icmp + 1) > pkt_end(ctx) || (void *)(ip + 1) > pkt_end(ctx))
		return LB_PASS;
	was = *(__be16 *)icmp;
	icmp->type = pkt->family == AF_INET ? ICMP_ECHOREPLY : ICMPV6_ECHO_REPLY;
	icmp->check = ~csum_fold((__u16)~icmp->check + csum_replace16(was, *(__be16 *)icmp));
	if (!icmp->check)
		icmp->check = 0xffff; /* as right, also for a reply of zeros, whose sum is no 0xffff */
	__builtin_memcpy(mac, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, mac, ETH_ALEN);
	pkt->to.src = pkt->tuple.dst;
	pkt->to.dst = pkt->tuple.src;
	if (pkt->family == AF_INET) {
		was = *(__be16 *)&ip->ttl;
		ip->ttl = ICMP_TTL + 1; /* rewrite_ip4() takes one */
		rewrite_ip4(ip, &pkt->to, csum_replace16(was, *(__be16 *)&ip->ttl));
	} else if ((void *)(ip6 + 1) > pkt_end(ctx)) {
		return lb_drop(LB_DROP_OUTPUT);
	} else {
		ip6->hop_limit = ICMP_TTL + 1;
		rewrite_ip6(ip6, &pkt->to);
	}
	return LB_TX;
}

/* What the quote is of: the packet's tuple is then that of the reply to it, and l4_off the quote's. */
static __always_inline enum lb_verdict icmp_quoted(struct xdp_md *ctx, struct lb_pkt *pkt)
{
	void *at = (void *)(icmp_at(ctx, pkt) + 1);
	struct ipv6hdr *ip6 = at;
	struct iphdr *ip = at;
	__be16 *ports;

	pkt->frag = 0;
	pkt->frag_off = 0;
	if (pkt->family == AF_INET6) {
		if ((void *)(ip6 + 1) > pkt_end(ctx))
			return LB_PASS;
		addr_from_v6(&pkt->tuple.src, ip6->daddr.in6_u.u6_addr32);
		addr_from_v6(&pkt->tuple.dst, ip6->saddr.in6_u.u6_addr32);
		pkt->ip_proto = ip6->nexthdr;
		pkt->l4_off = pkt->icmp_off + sizeof(struct icmp_start) + sizeof(*ip6);
		if (parse_extensions(ctx) != LB_NEXT)
			return LB_PASS;
	} else {
		if ((void *)(ip + 1) > pkt_end(ctx) || ip->version != 4 || ip->ihl < 5)
			return LB_PASS;
		addr_from_v4(&pkt->tuple.src, ip->daddr);
		addr_from_v4(&pkt->tuple.dst, ip->saddr);
		pkt->ip_proto = ip->protocol;
		pkt->frag = bpf_ntohs(ip->frag_off) & LB_IP_OFFSET;
		pkt->l4_off = pkt->icmp_off + sizeof(struct icmp_start) + ip->ihl * 4;
	}
	if (pkt->frag & LB_IP_OFFSET ||
	    (pkt->ip_proto != IPPROTO_TCP && pkt->ip_proto != IPPROTO_UDP))
		return LB_PASS;
	ports = pkt_l4(ctx, pkt);
	if ((void *)(ports + 4) > pkt_end(ctx) || pkt->l4_off + 8 > pkt->l3_off + pkt->l3_len)
		return LB_PASS;
	pkt->tuple.sport = ports[1];
	pkt->tuple.dport = ports[0];
	return LB_NEXT;
}

/* Of the quoted transport header, if it is in the quote and was made. Answers what that adds. */
static __always_inline __u64 icmp_fix_csum(const struct xdp_md *ctx, const struct lb_pkt *pkt,
					   __u64 delta)
{
	__be16 *field = csum_field(ctx, pkt), was;
	int udp = pkt->ip_proto == IPPROTO_UDP;
	__u32 end = pkt->l4_off + (udp ? 8 : 18);

	/* 0 is none, or what short quotes are filled up with (RFC 4884, 4). */
	if (!field || end > pkt->l3_off + pkt->l3_len || !*field)
		return 0;
	was = *field;
	*field = ~csum_fold((__u16)~was + delta);
	if (udp && !*field)
		*field = 0xffff;
	return csum_replace16(was, *field);
}

/*
 * The quote becomes what the other side has sent. Answers what that adds to the ICMP checksum. A
 * function of its own, like that below: else the compiler keeps half of ctx->data from one to the
 * other, which the verifier refuses.
 */
static __noinline __u64 icmp_rewrite_quote(const struct xdp_md *ctx, const struct lb_pkt *pkt)
{
	void *at = (void *)(icmp_at(ctx, pkt) + 1);
	__u64 addrs = rewrite_addrs_delta(pkt), ports = rewrite_ports_delta(pkt);
	__be16 *l4 = pkt_l4(ctx, pkt);

	if ((void *)(l4 + 2) > pkt_end(ctx))
		return 0;
	l4[0] = pkt->to.dport;
	l4[1] = pkt->to.sport;
	if (pkt->family == AF_INET) {
		struct iphdr *ip = at;

		if ((void *)(ip + 1) > pkt_end(ctx))
			return 0;
		ip->saddr = pkt->to.dst.w[3];
		ip->daddr = pkt->to.src.w[3];
		ip->check = ~csum_fold((__u16)~ip->check + addrs); /* takes back what they add */
		return ports + icmp_fix_csum(ctx, pkt, addrs + ports);
	} else {
		struct ipv6hdr *ip = at;

		if ((void *)(ip + 1) > pkt_end(ctx))
			return 0;
		__builtin_memcpy(&ip->saddr, &pkt->to.dst, sizeof(pkt->to.dst));
		__builtin_memcpy(&ip->daddr, &pkt->to.src, sizeof(pkt->to.src));
		return addrs + ports + icmp_fix_csum(ctx, pkt, addrs + ports);
	}
}

/*
 * fullnat, nat. quote: what icmp_rewrite_quote() answered. ICMPv6's checksum is of the outer addresses,
 * too.
 */
static __noinline int icmp_rewrite_outer(const struct xdp_md *ctx, const struct lb_pkt *pkt,
					 const struct lb_tuple *outer, __u64 quote)
{
	int v4 = pkt->family == AF_INET;
	__u64 addrs = csum_replace_addr(&outer->src, &pkt->to.src, v4) +
		      csum_replace_addr(&outer->dst, &pkt->to.dst, v4);
	struct icmp_start *icmp = icmp_at(ctx, pkt);
	struct ethhdr *eth = pkt_data(ctx);
	void *ip = eth + 1;

	if (ip + sizeof(struct ipv6hdr) > pkt_end(ctx) || (void *)(icmp + 1) > pkt_end(ctx))
		return lb_drop(LB_DROP_OUTPUT);
	icmp->check = ~csum_fold((__u16)~icmp->check + quote + (v4 ? 0 : addrs));
	rewrite_macs(eth, &pkt->nexthop);
	if (v4)
		rewrite_ip4(ip, &pkt->to, addrs);
	else
		rewrite_ip6(ip, &pkt->to);
	return LB_NEXT;
}

static __always_inline enum lb_verdict icmp_rewrite(const struct xdp_md *ctx,
						    struct lb_scratch *scratch)
{
	struct lb_pkt *pkt = &scratch->pkt;
	__u64 quote = icmp_rewrite_quote(ctx, pkt);

	/* The backend sees its clients, and who is on the way to them. */
	if (pkt->method == LB_METHOD_NAT && pkt->dir == CT_DIR_IN)
		pkt->to.src = scratch->outer.src;
	return icmp_rewrite_outer(ctx, pkt, &scratch->outer, quote);
}

/* LB_NEXT: to be sent. */
static __always_inline enum lb_verdict icmp_error(struct xdp_md *ctx, struct lb_scratch *scratch)
{
	struct lb_pkt *pkt = &scratch->pkt;
	struct lb_backend *backend;
	enum lb_verdict verdict;
	struct ct_ref ref = {};

	scratch->outer = pkt->tuple;
	if (icmp_quoted(ctx, pkt) != LB_NEXT ||
	    !addr_same(&pkt->tuple.dst, &scratch->outer.dst)) /* whose id pkt->local is */
		return LB_PASS;
	if (pkt_is_turned(pkt) && local_find_turned(pkt) != LB_NEXT)
		return LB_PASS;
	flow_key(pkt);
	ct_find_pkt(pkt, &ref);
	if (!ref.flow)
		return LB_PASS;
	backend = backend_get(ref.flow->backend, ref.flow->gen);
	if (!backend)
		return LB_PASS;
	pkt->now = (__u32)bpf_jiffies64();
	verdict = flow_target(pkt, &ref, backend);
	if (verdict != LB_NEXT)
		return verdict;
	verdict = nexthop_carry(ctx, pkt, ref.flow);
	if (verdict != LB_NEXT)
		return verdict;
	if (ct_pairs(pkt->method))
		return icmp_rewrite(ctx, scratch);
	return pkt->method == LB_METHOD_DSR ? direct(ctx, pkt) : tunnel(ctx, pkt, 1);
}

/* LB_NEXT: to be sent. Not static, so that the verifier looks at it once. */
__noinline int icmp(struct xdp_md *ctx)
{
	struct lb_scratch *scratch = scratch_get();
	struct icmp_start *icmp;
	struct lb_pkt *pkt;

	if (!scratch)
		return LB_PASS;
	pkt = &scratch->pkt;
	pkt->icmp_off = pkt->l4_off;
	icmp = icmp_at(ctx, pkt);
	if ((void *)(icmp + 1) > pkt_end(ctx) || pkt_l4_len(pkt) < sizeof(*icmp))
		return LB_PASS;
	if (icmp_is_echo(pkt, icmp->type) && pkt->local_flags & LB_LOCAL_VIP &&
	    addr_is_host(&pkt->tuple.src))
		return icmp_answer(ctx, pkt);
	return icmp_is_error(pkt, icmp->type) ? icmp_error(ctx, scratch) : LB_PASS;
}

#endif

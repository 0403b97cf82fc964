/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * VIPs that no interface has: who asks for their MAC on an interface where they are announced gets ours, by
 * ARP (RFC 826, RFC 5227) or neighbour discovery (RFC 4861, 7.2). Everybody else's questions are the host's.
 */
#ifndef LB_ANNOUNCE_H
#define LB_ANNOUNCE_H

#include "csum.h"
#include "maps.h"
#include "pkt.h"

#define ARP_REQUEST 1
#define ARP_REPLY   2

/* For IPv4 over Ethernet; all of it in words of two bytes, as it lies behind the Ethernet header. */
struct announce_arp {
	__be16 hardware;
	__be16 protocol;
	__be16 lengths;
	__be16 op;
	__be16 sender_mac[3];
	__be16 sender[2];
	__be16 target_mac[3];
	__be16 target[2];
};

#define ND_SOLICITATION	 135
#define ND_ADVERTISEMENT 136
#define ND_HOP_LIMIT	 255 /* nobody but neighbours can send it */
#define ND_SOLICITED	 0x40000000
#define ND_OVERRIDE	 0x20000000
#define ND_TARGET_MAC	 0x0201 /* option: target link-layer address, 8 bytes */

/* A solicitation without options; an advertisement has room for one. */
struct announce_nd {
	__u8 type;
	__u8 code;
	__sum16 check;
	__be32 flags;
	__be32 target[4];
};

struct announce_nd_option {
	__be16 kind;
	__be16 mac[3];
};

static __always_inline struct lb_announced *announce_find(struct xdp_md *ctx, const struct lb_addr *addr)
{
	struct lb_announced_key key = { .addr = *addr, .ifindex = LB_INGRESS(ctx) };

	return bpf_map_lookup_elem(&lb_announced, &key);
}

static __always_inline __be32 announce_v4(const __be16 *words)
{
	__be32 addr;

	__builtin_memcpy(&addr, words, sizeof(addr));
	return addr;
}

/* A probe (sender 0) is answered like a question; of one who announces the VIP himself the host may tell. */
static __always_inline enum lb_verdict announce_arp(struct xdp_md *ctx, struct ethhdr *eth)
{
	struct announce_arp *arp = (void *)(eth + 1);
	struct lb_announced *own;
	struct lb_addr target;
	__be16 word;
	int i;

	if ((void *)(arp + 1) > pkt_end(ctx) || arp->hardware != bpf_htons(1) ||
	    arp->protocol != bpf_htons(ETH_P_IP) || arp->lengths != bpf_htons(0x0604) ||
	    arp->op != bpf_htons(ARP_REQUEST) ||
	    announce_v4(arp->sender) == announce_v4(arp->target))
		return LB_PASS;
	addr_from_v4(&target, announce_v4(arp->target));
	own = announce_find(ctx, &target);
	if (!own)
		return LB_PASS;
	arp->op = bpf_htons(ARP_REPLY);
	__builtin_memcpy(arp->target_mac, arp->sender_mac, ETH_ALEN);
	__builtin_memcpy(arp->sender_mac, own->mac, ETH_ALEN);
	for (i = 0; i < 2; i++) {
		word = arp->sender[i];
		arp->sender[i] = arp->target[i];
		arp->target[i] = word;
	}
	__builtin_memcpy(eth->h_dest, arp->target_mac, ETH_ALEN);
	__builtin_memcpy(eth->h_source, own->mac, ETH_ALEN);
	return LB_TX;
}

/* to: of who asked; the unspecified address, while it tries whether the VIP is free: then all are told. */
static __always_inline void announce_nd_to(struct ethhdr *eth, struct lb_addr *to, __be32 *ret_flags)
{
	*ret_flags = bpf_htonl(ND_SOLICITED | ND_OVERRIDE);
	if (to->q[0] || to->q[1]) {
		__builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
		return;
	}
	*ret_flags = bpf_htonl(ND_OVERRIDE);
	to->w[0] = bpf_htonl(0xff020000);
	to->w[3] = bpf_htonl(1);
	__builtin_memcpy(eth->h_dest, (__u8[]){ 0x33, 0x33, 0, 0, 0, 1 }, ETH_ALEN);
}

/* The solicitation becomes the advertisement, which has another length. */
static __always_inline enum lb_verdict announce_nd_answer(struct xdp_md *ctx, struct lb_addr *to,
							  const struct lb_addr *own_addr,
							  const struct lb_announced *own)
{
	__u32 len = sizeof(struct announce_nd) + sizeof(struct announce_nd_option);
	__u64 frame_len = ctx->data_end - ctx->data;
	struct announce_nd_option *option;
	struct announce_nd *nd;
	struct ipv6hdr *ip;
	struct ethhdr *eth;
	__u64 sum;

	barrier_var(frame_len); /* else half a pointer is kept for later */
	if (bpf_xdp_adjust_tail(ctx, (int)(sizeof(*eth) + sizeof(*ip) + len - frame_len)))
		return LB_PASS;
	eth = pkt_data(ctx);
	ip = (void *)(eth + 1);
	nd = (void *)(ip + 1);
	option = (void *)(nd + 1);
	if ((void *)(option + 1) > pkt_end(ctx))
		return lb_drop(LB_DROP_OUTPUT);
	announce_nd_to(eth, to, &nd->flags);
	__builtin_memcpy(eth->h_source, own->mac, ETH_ALEN);
	*(__be32 *)ip = bpf_htonl(6u << 28);
	ip->payload_len = bpf_htons(len);
	ip->hop_limit = ND_HOP_LIMIT;
	__builtin_memcpy(&ip->saddr, own_addr, sizeof(ip->saddr));
	__builtin_memcpy(&ip->daddr, to, sizeof(ip->daddr));
	nd->type = ND_ADVERTISEMENT;
	option->kind = bpf_htons(ND_TARGET_MAC);
	__builtin_memcpy(option->mac, own->mac, ETH_ALEN);
	/* The target is the source: both count. */
	sum = 2 * csum_addr(own_addr, 0) + csum_addr(to, 0) + bpf_htonl(len) +
	      bpf_htons(IPPROTO_ICMPV6) + bpf_htons(ND_ADVERTISEMENT << 8) + nd->flags + option->kind +
	      option->mac[0] + option->mac[1] + option->mac[2];
	nd->check = ~csum_fold(sum);
	return LB_TX;
}

static __always_inline enum lb_verdict announce_nd(struct xdp_md *ctx, struct ethhdr *eth)
{
	struct ipv6hdr *ip = (void *)(eth + 1);
	struct announce_nd *nd = (void *)(ip + 1);
	struct lb_announced *own;
	struct lb_addr target, from;

	if ((void *)(nd + 1) > pkt_end(ctx) || ip->version != 6 || ip->nexthdr != IPPROTO_ICMPV6 ||
	    ip->hop_limit != ND_HOP_LIMIT || nd->type != ND_SOLICITATION || nd->code)
		return LB_PASS;
	addr_from_v6(&target, nd->target);
	own = announce_find(ctx, &target);
	if (!own)
		return LB_PASS;
	addr_from_v6(&from, ip->saddr.in6_u.u6_addr32);
	return announce_nd_answer(ctx, &from, &target, own);
}

/* What is no packet to one of our addresses, or a question about one. Not static: see icmp(). */
__noinline int announce(struct xdp_md *ctx)
{
	struct ethhdr *eth = pkt_data(ctx);
	__be16 type;

	if ((void *)(eth + 1) > pkt_end(ctx))
		return LB_PASS;
	type = *((__be16 *)(eth + 1) - 1);
	if (type == bpf_htons(ETH_P_ARP))
		return announce_arp(ctx, eth);
	return type == bpf_htons(ETH_P_IPV6) ? announce_nd(ctx, eth) : LB_PASS;
}

#endif

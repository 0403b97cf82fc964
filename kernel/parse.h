/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Parsing, in two steps so that traffic that isn't for us leaves early: addresses first, then, for
 * a destination that is ours, everything that has to hold before a packet may be rewritten.
 */
#ifndef LB_PARSE_H
#define LB_PARSE_H

#include "maps.h"
#include "pkt.h"

#define PARSE_EXTENSIONS 8

/* A mapped IPv4 address on the wire would be taken for that IPv4 address. */
static __always_inline enum lb_verdict parse_addrs6(const struct xdp_md *ctx, struct lb_pkt *pkt)
{
	struct ipv6hdr *ip = pkt_data(ctx) + sizeof(struct ethhdr);

	if ((void *)(ip + 1) > pkt_end(ctx) || ip->version != 6)
		return LB_PASS;
	pkt->family = AF_INET6;
	addr_from_v6(&pkt->tuple.src, ip->saddr.in6_u.u6_addr32);
	addr_from_v6(&pkt->tuple.dst, ip->daddr.in6_u.u6_addr32);
	return addr_is_v4(&pkt->tuple.src) || addr_is_v4(&pkt->tuple.dst) ? LB_PASS : LB_NEXT;
}

/* Answers LB_PASS for all that can't be a unicast IP packet. */
static __always_inline enum lb_verdict parse_addrs(const struct xdp_md *ctx, struct lb_pkt *pkt)
{
	struct ethhdr *eth = pkt_data(ctx);
	struct iphdr *ip = (void *)(eth + 1);
	__be16 type;

	if ((void *)(ip + 1) > pkt_end(ctx) || (eth->h_dest[0] & 1))
		return LB_PASS;
	pkt->l3_off = sizeof(*eth);
	type = *((__be16 *)ip - 1); /* not by name: the struct is packed, so byte by byte */
	if (type == bpf_htons(ETH_P_IPV6))
		return parse_addrs6(ctx, pkt);
	if (type != bpf_htons(ETH_P_IP) || ip->version != 4)
		return LB_PASS;
	pkt->family = AF_INET;
	addr_from_v4(&pkt->tuple.src, ip->saddr);
	addr_from_v4(&pkt->tuple.dst, ip->daddr);
	return LB_NEXT;
}

/*
 * Extension headers (RFC 8200, section 4) down to the transport's or that of a later fragment, whose
 * bytes are in the middle of something. A packet on a way that isn't over (4.4) is the host's, and so
 * is one under an authentication header, which a rewritten packet would break: that is a protocol
 * like others, and more headers than are looked behind. Not static, so that the verifier looks at it once.
 */
__noinline int parse_extensions(struct xdp_md *ctx)
{
	struct lb_scratch *scratch = scratch_get();
	struct lb_pkt *pkt;
	__u32 offset;
	__u16 frag;
	__u8 *next;
	long i;

	if (!scratch)
		return LB_PASS;
	pkt = &scratch->pkt;
	for (i = 0; i <= PARSE_EXTENSIONS; i++) {
		switch (pkt->ip_proto) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
		case IPPROTO_FRAGMENT:
			break;
		default:
			return LB_NEXT;
		}
		next = pkt_l4(ctx, pkt);
		if ((void *)(next + 8) > pkt_end(ctx))
			return lb_drop(LB_DROP_MALFORMED);
		offset = pkt->l4_off + 8;
		if (pkt->ip_proto == IPPROTO_FRAGMENT) {
			if (pkt->frag_off)
				return LB_PASS;
			pkt->frag_off = pkt->l4_off;
			frag = (__u16)next[2] << 8 | next[3];
			pkt->frag = frag >> 3 | (frag & 1 ? LB_IP_MF : 0);
		} else {
			offset += next[1] * 8;
			if (pkt->ip_proto == IPPROTO_ROUTING && next[3])
				return LB_PASS;
		}
		pkt->ip_proto = next[0];
		if (offset - pkt->l3_off > pkt->l3_len)
			return lb_drop(LB_DROP_MALFORMED);
		if (offset > PKT_L4_OFF_MAX)
			break;
		pkt->l4_off = offset;
		if (pkt->frag & LB_IP_OFFSET)
			return LB_NEXT;
	}
	return LB_PASS; /* whose it is can't be told */
}

/* RFC 8200, section 3: payload length, hop limit, traffic class. */
static __always_inline enum lb_verdict parse_ip6(struct xdp_md *ctx, struct lb_pkt *pkt)
{
	struct ipv6hdr *ip = pkt_data(ctx) + sizeof(struct ethhdr);
	__u32 frame_len;

	if ((void *)(ip + 1) > pkt_end(ctx))
		return lb_drop(LB_DROP_MALFORMED);
	frame_len = (__u32)(pkt_end(ctx) - (void *)ip);
	pkt->l3_len = bpf_ntohs(ip->payload_len) + sizeof(*ip);
	if (lb_config.generic && !ip->payload_len && frame_len > 0xffff)
		pkt->l3_len = frame_len; /* BIG TCP: longer than the field can say */
	if (pkt->l3_len > frame_len)
		return lb_drop(LB_DROP_MALFORMED);
	pkt->l4_off = pkt->l3_off + sizeof(*ip);
	pkt->ip_proto = ip->nexthdr;
	pkt->ttl = ip->hop_limit;
	pkt->tos = bpf_ntohs(*(__be16 *)ip) >> 4;
	pkt->frag = 0;
	pkt->frag_off = 0;
	return likely(pkt->ip_proto == IPPROTO_TCP || pkt->ip_proto == IPPROTO_UDP) ?
		       LB_NEXT :
		       parse_extensions(ctx);
}

/* RFC 791, 3.1: header length, total length, time to live, fragment fields. */
static __always_inline enum lb_verdict parse_ip4(const struct xdp_md *ctx, struct lb_pkt *pkt)
{
	struct iphdr *ip = pkt_data(ctx) + sizeof(struct ethhdr);
	__u32 frame_len, header_len;

	if ((void *)(ip + 1) > pkt_end(ctx))
		return lb_drop(LB_DROP_MALFORMED);
	frame_len = (__u32)(pkt_end(ctx) - (void *)ip);
	header_len = ip->ihl * 4;
	pkt->l3_len = bpf_ntohs(ip->tot_len);
	if (lb_config.generic && !pkt->l3_len && frame_len > 0xffff)
		pkt->l3_len = frame_len; /* BIG TCP: longer than the field can say */
	if (header_len < sizeof(*ip) || pkt->l3_len < header_len || pkt->l3_len > frame_len)
		return lb_drop(LB_DROP_MALFORMED);
	pkt->l4_off = pkt->l3_off + header_len;
	pkt->ip_proto = ip->protocol;
	pkt->ttl = ip->ttl;
	pkt->tos = ip->tos;
	pkt->frag = bpf_ntohs(ip->frag_off) & (LB_IP_MF | LB_IP_OFFSET);
	return LB_NEXT;
}

static __always_inline enum lb_verdict parse_ip(struct xdp_md *ctx, struct lb_pkt *pkt)
{
	return pkt->family == AF_INET ? parse_ip4(ctx, pkt) : parse_ip6(ctx, pkt);
}

static __always_inline enum lb_verdict parse_tcp(const struct xdp_md *ctx, struct lb_pkt *pkt,
						  __u32 l4_len)
{
	struct tcphdr *tcp = pkt_l4(ctx, pkt);
	__u32 doff;

	if ((void *)(tcp + 1) > pkt_end(ctx))
		return lb_drop(LB_DROP_MALFORMED);
	pkt->tuple.ports = *(__be32 *)tcp;
	doff = tcp->doff * 4;
	if (doff < sizeof(*tcp) || doff > l4_len)
		return lb_drop(LB_DROP_MALFORMED);
	pkt->tcp_seq = bpf_ntohl(tcp->seq);
	pkt->tcp_ack = bpf_ntohl(tcp->ack_seq);
	pkt->tcp_flags = ((__u8 *)tcp)[13];
	return LB_NEXT;
}

static __always_inline enum lb_verdict parse_udp(const struct xdp_md *ctx, struct lb_pkt *pkt,
						  __u32 l4_len)
{
	struct udphdr *udp = pkt_l4(ctx, pkt);
	__u32 len;

	if ((void *)(udp + 1) > pkt_end(ctx))
		return lb_drop(LB_DROP_MALFORMED);
	pkt->tuple.ports = *(__be32 *)udp;
	pkt->tcp_seq = 0; /* else that of the packet before is followed */
	len = bpf_ntohs(udp->len);
	/* A first fragment holds less than the datagram's length says. */
	if (l4_len < sizeof(*udp) || len < sizeof(*udp) || (len > l4_len && !pkt->frag))
		return lb_drop(LB_DROP_MALFORMED);
	return LB_NEXT;
}

/* Ports and what else the transport header says. LB_PASS: not a protocol that we balance. */
static __always_inline enum lb_verdict parse_transport(const struct xdp_md *ctx, struct lb_pkt *pkt)
{
	__u32 l4_len = pkt_l4_len(pkt);

	pkt->tuple.ports = 0; /* else those of the packet before, when this one has none */
	switch (pkt->ip_proto) {
	case IPPROTO_TCP:
		return parse_tcp(ctx, pkt, l4_len);
	case IPPROTO_UDP:
		return parse_udp(ctx, pkt, l4_len);
	default:
		return LB_PASS;
	}
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Parsing, in two steps so that traffic that isn't for us leaves early: addresses first, then, for
 * a destination that is ours, everything that has to hold before a packet may be rewritten.
 */
#ifndef LB_PARSE_H
#define LB_PARSE_H

#include "pkt.h"

#ifndef AF_INET
#define AF_INET 2 /* <sys/socket.h> doesn't compile for BPF */
#endif

/* Answers LB_PASS for all that can't be a unicast IPv4 packet. */
static __always_inline enum lb_verdict parse_addrs(const struct xdp_md *ctx, struct lb_pkt *pkt)
{
	struct ethhdr *eth = pkt_data(ctx);
	struct iphdr *ip = (void *)(eth + 1);

	if ((void *)(ip + 1) > pkt_end(ctx))
		return LB_PASS;
	/* Not by name: the struct is packed, so that would be read byte by byte. */
	if (*((__be16 *)ip - 1) != bpf_htons(ETH_P_IP) || ip->version != 4 || (eth->h_dest[0] & 1))
		return LB_PASS;
	pkt->family = AF_INET;
	pkt->l3_off = sizeof(*eth);
	addr_from_v4(&pkt->tuple.src, ip->saddr);
	addr_from_v4(&pkt->tuple.dst, ip->daddr);
	return LB_NEXT;
}

/* RFC 791, 3.1: header length, total length, time to live, fragment fields. */
static __always_inline enum lb_verdict parse_ip(const struct xdp_md *ctx, struct lb_pkt *pkt)
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
	len = bpf_ntohs(udp->len);
	/* A first fragment holds less than the datagram's length says. */
	if (len < sizeof(*udp) || (len > l4_len && !pkt->frag))
		return lb_drop(LB_DROP_MALFORMED);
	return LB_NEXT;
}

/* Ports and what else the transport header says. LB_PASS: not a protocol that we balance. */
static __always_inline enum lb_verdict parse_transport(const struct xdp_md *ctx, struct lb_pkt *pkt)
{
	__u32 l4_len = pkt->l3_len - (pkt->l4_off - pkt->l3_off);

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

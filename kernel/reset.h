/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Turns a TCP packet around into the RST that answers it (RFC 9293, 3.10.7.1), for clients of
 * connections that nobody knows any more. It goes back the way the packet came.
 */
#ifndef LB_RESET_H
#define LB_RESET_H

#include "count.h"
#include "rewrite.h"

#define RESET_TTL 64

static __always_inline void reset_ip6(struct ipv6hdr *ip, const struct lb_pkt *pkt)
{
	__builtin_memset(ip, 0, sizeof(*ip));
	ip->version = 6;
	ip->payload_len = bpf_htons(sizeof(struct tcphdr));
	ip->nexthdr = IPPROTO_TCP;
	ip->hop_limit = RESET_TTL;
	__builtin_memcpy(&ip->saddr, &pkt->tuple.dst, sizeof(ip->saddr));
	__builtin_memcpy(&ip->daddr, &pkt->tuple.src, sizeof(ip->daddr));
}

static __always_inline void reset_ip4(struct iphdr *ip, const struct lb_pkt *pkt)
{
	__u64 sum = 0;
	int i;

	ip->version = 4;
	ip->ihl = sizeof(*ip) / 4;
	ip->tos = 0;
	ip->tot_len = bpf_htons(sizeof(*ip) + sizeof(struct tcphdr));
	ip->id = 0;
	ip->frag_off = bpf_htons(LB_IP_DF); /* so the identification may be 0, RFC 6864 */
	ip->ttl = RESET_TTL;
	ip->check = 0;
	ip->saddr = pkt->tuple.dst.w[3];
	ip->daddr = pkt->tuple.src.w[3];
	for (i = 0; i < (int)sizeof(*ip) / 4; i++)
		sum += ((__u32 *)ip)[i];
	ip->check = ~csum_fold(sum);
}

static __always_inline void reset_tcp(struct tcphdr *tcp, const struct lb_pkt *pkt, int partial)
{
	int i, v4 = pkt->family == AF_INET;
	__u64 sum = csum_addr(&pkt->tuple.src, v4) + csum_addr(&pkt->tuple.dst, v4) +
		    bpf_htons(IPPROTO_TCP) + bpf_htons(sizeof(*tcp));

	__builtin_memset(tcp, 0, sizeof(*tcp));
	tcp->source = pkt->tuple.dport;
	tcp->dest = pkt->tuple.sport;
	tcp->seq = bpf_htonl(pkt->tcp_ack);
	tcp->doff = sizeof(*tcp) / 4;
	tcp->rst = 1;
	if (partial) {
		tcp->check = csum_fold(sum);
		return;
	}
	for (i = 0; i < (int)sizeof(*tcp) / 4; i++)
		sum += ((__u32 *)tcp)[i];
	tcp->check = ~csum_fold(sum);
}

/*
 * Only for packets with an ACK, whose number is the RST's sequence number. IPv4's options and IPv6's
 * extension headers go: the TCP header moves down, which a partial checksum's skb could not follow, so
 * such a packet is dropped.
 */
__noinline int reset_client(struct xdp_md *ctx)
{
	__u64 frame_len = ctx->data_end - ctx->data;
	struct lb_scratch *scratch;
	struct lb_totals *totals = count_totals();
	const struct lb_pkt *pkt;
	struct ethhdr *eth;
	__u32 ip_len, len;
	int partial;
	void *ip;
	__u8 mac[ETH_ALEN];

	barrier_var(frame_len); /* else half a pointer is kept for later */
	scratch = scratch_get();
	if (!scratch)
		return lb_drop(LB_DROP_OUTPUT);
	pkt = &scratch->pkt;
	partial = lb_config.generic && csum_comes_partial(ctx, pkt);
	ip_len = pkt->family == AF_INET ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
	len = sizeof(*eth) + ip_len + sizeof(struct tcphdr);
	if (partial && pkt->l4_off != sizeof(*eth) + ip_len)
		return lb_drop(LB_DROP_TCP_FLAGS);
	if (bpf_xdp_adjust_tail(ctx, (int)(len - frame_len)))
		return lb_drop(LB_DROP_OUTPUT);
	eth = pkt_data(ctx);
	ip = eth + 1;
	if (ip + sizeof(struct iphdr) + sizeof(struct tcphdr) > pkt_end(ctx))
		return lb_drop(LB_DROP_OUTPUT);
	__builtin_memcpy(mac, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, mac, ETH_ALEN);
	if (pkt->family == AF_INET) {
		reset_ip4(ip, pkt);
		reset_tcp(ip + sizeof(struct iphdr), pkt, partial);
	} else if (ip + sizeof(struct ipv6hdr) + sizeof(struct tcphdr) > pkt_end(ctx)) {
		return lb_drop(LB_DROP_OUTPUT);
	} else {
		reset_ip6(ip, pkt);
		reset_tcp(ip + sizeof(struct ipv6hdr), pkt, partial);
	}
	if (totals)
		totals->resets++;
	return LB_TX;
}

#endif

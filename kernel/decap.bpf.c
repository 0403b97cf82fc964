// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * For backends without a tunnel driver: takes packets for this host's VIPs out of methods ipip and gue, and
 * hands them to the host as if they had come so. All else passes as it came, and whatever isn't quite right
 * too: the host's own tunnels may know it, or the host drops it.
 *
 * Whom the outer header was sent to is not asked: who reaches this host's MAC with a packet in a tunnel
 * reaches it with that packet, too. Nor is GUE's checksum: the packet has its own.
 */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "csum.h"
#include "decap_abi.h"
#include "pkt.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DECAP_MAX_VIPS);
	__type(key, struct lb_addr);
	__type(value, __u32);
} decap_vips SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, DECAP_MAX_IFACES);
	__type(key, __u32); /* ifindex */
	__type(value, struct decap_counts);
} decap_counts SEC(".maps");

/* What is in the tunnel. */
struct wrapped {
	__u32 outer;  /* bytes in front of it */
	__u32 holds;  /* bytes of it, as the outer header says; 0: it is no tunnel of ours */
	__u8 proto;   /* IPPROTO_IPIP or IPPROTO_IPV6 */
	__u8 ecn;     /* of the outer header */
};

static __always_inline int sound_ip4(const struct iphdr *ip)
{
	const __u32 *words = (const void *)ip;
	__u64 sum = 0;
	int i;

	for (i = 0; i < (int)sizeof(*ip) / 4; i++)
		sum += words[i];
	return ip->version == 4 && ip->ihl == 5 && csum_fold(sum) == 0xffff &&
	       !(ip->frag_off & bpf_htons(LB_IP_MF | LB_IP_OFFSET));
}

/* Behind UDP: variant 0, data, no options (draft-ietf-intarea-gue-09, 3.1). */
static __always_inline void unwrap_gue(const struct lb_gue *gue, const void *end, struct wrapped *in)
{
	if ((const void *)(gue + 1) > end || gue->udp.dest != bpf_htons(LB_GUE_PORT) ||
	    bpf_ntohs(gue->udp.len) != in->holds || in->holds < sizeof(*gue) || gue->variant_hlen ||
	    gue->flags) {
		in->holds = 0;
		return;
	}
	in->proto = gue->proto;
	in->outer += sizeof(*gue);
	in->holds -= sizeof(*gue);
}

/* The outer headers. frame_len: behind the link layer. */
static __always_inline void look_outside(const struct ethhdr *eth, const void *end, __u32 frame_len,
					 struct wrapped *in)
{
	const struct ipv6hdr *ip6 = (const void *)(eth + 1);
	const struct iphdr *ip = (const void *)(eth + 1);

	in->holds = 0;
	if (eth->h_proto == bpf_htons(ETH_P_IP) && (const void *)(ip + 1) <= end && sound_ip4(ip)) {
		in->outer = sizeof(*ip);
		in->proto = ip->protocol;
		in->ecn = ip->tos & 3;
		in->holds = bpf_ntohs(ip->tot_len) - sizeof(*ip);
	} else if (eth->h_proto == bpf_htons(ETH_P_IPV6) && (const void *)(ip6 + 1) <= end &&
		   ip6->version == 6) {
		in->outer = sizeof(*ip6);
		in->proto = ip6->nexthdr;
		in->ecn = bpf_ntohs(*(const __be16 *)ip6) >> 4 & 3;
		in->holds = bpf_ntohs(ip6->payload_len);
	}
	if (in->proto == IPPROTO_UDP)
		unwrap_gue((const void *)(eth + 1) + in->outer, end, in);
	if (in->outer + in->holds > frame_len)
		in->holds = 0;
}

/* Not inlined, like those that follow: else half a pointer is kept from one to the other. */
static __noinline __u32 decap_look(const struct xdp_md *ctx, struct wrapped *in)
{
	const struct ethhdr *eth = pkt_data(ctx);
	__u32 frame_len = pkt_end(ctx) - pkt_data(ctx);

	in->outer = 0;
	in->proto = 0;
	in->ecn = 0;
	in->holds = 0;
	if ((void *)(eth + 1) > pkt_end(ctx) || eth->h_dest[0] & 1)
		return 0;
	look_outside(eth, pkt_end(ctx), frame_len - sizeof(*eth), in);
	return in->holds && (in->proto == IPPROTO_IPIP || in->proto == IPPROTO_IPV6);
}

/* RFC 6040, 4.2: what the inner ECN field becomes; -1: the packet has to be dropped. */
static __always_inline int ecn_inside(__u8 inner, __u8 outer)
{
	if (outer == 3)
		return inner ? 3 : -1;
	return inner == 2 && outer == 1 ? 1 : inner;
}

/* Is the inner packet one of ours? Marks congestion in it. */
static __noinline int decap_inside(const struct xdp_md *ctx, const struct wrapped *in)
{
	void *at = pkt_data(ctx) + sizeof(struct ethhdr) + (in->outer & 0x7f);
	struct ipv6hdr *ip6 = at;
	struct lb_addr dst = {};
	struct iphdr *ip = at;
	int ecn;

	if (in->proto == IPPROTO_IPIP) {
		__be16 was;

		if ((void *)(ip + 1) > pkt_end(ctx) || ip->version != 4 || ip->ihl < 5 ||
		    bpf_ntohs(ip->tot_len) != in->holds)
			return DECAP_PASSED;
		addr_from_v4(&dst, ip->daddr);
		if (!bpf_map_lookup_elem(&decap_vips, &dst))
			return DECAP_OTHER;
		ecn = ecn_inside(ip->tos & 3, in->ecn);
		if (ecn < 0)
			return DECAP_CONGESTED;
		was = *(__be16 *)ip;
		ip->tos = (ip->tos & ~3) | ecn;
		ip->check = ~csum_fold((__u16)~ip->check + csum_replace16(was, *(__be16 *)ip));
		return DECAP_UNWRAPPED;
	}
	if ((void *)(ip6 + 1) > pkt_end(ctx) || ip6->version != 6 ||
	    bpf_ntohs(ip6->payload_len) + sizeof(*ip6) != in->holds)
		return DECAP_PASSED;
	addr_from_v6(&dst, ip6->daddr.in6_u.u6_addr32);
	if (!bpf_map_lookup_elem(&decap_vips, &dst))
		return DECAP_OTHER;
	ecn = ecn_inside(bpf_ntohs(*(__be16 *)ip6) >> 4 & 3, in->ecn);
	if (ecn < 0)
		return DECAP_CONGESTED;
	*(__be16 *)ip6 = (*(__be16 *)ip6 & ~bpf_htons(0x30)) | bpf_htons(ecn << 4);
	return DECAP_UNWRAPPED;
}

/* The outer headers go, the link layer's moves up to what was inside. */
static __noinline int decap_cut(struct xdp_md *ctx, const struct wrapped *in)
{
	struct ethhdr *eth = pkt_data(ctx), kept;

	if ((void *)(eth + 1) > pkt_end(ctx))
		return 0;
	kept = *eth;
	kept.h_proto = in->proto == IPPROTO_IPIP ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
	if (bpf_xdp_adjust_head(ctx, in->outer))
		return 0;
	eth = pkt_data(ctx);
	if ((void *)(eth + 1) > pkt_end(ctx))
		return 0;
	*eth = kept;
	return 1;
}

SEC("xdp")
int lb_decap(struct xdp_md *ctx)
{
	__u32 ifindex = ctx->ingress_ifindex, what;
	struct decap_counts *counts;
	struct wrapped in;

	if (!decap_look(ctx, &in))
		return XDP_PASS;
	what = decap_inside(ctx, &in);
	if (what == DECAP_UNWRAPPED && !decap_cut(ctx, &in))
		what = DECAP_PASSED;
	counts = bpf_map_lookup_elem(&decap_counts, &ifindex);
	if (counts)
		counts->packets[what & (DECAP_WHATS_MAX - 1)]++;
	return what == DECAP_CONGESTED ? XDP_DROP : XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * What a backend of methods ipip and gue needs, for machines without tunnel devices: takes either family
 * out of either. Looks at the outer header as the kernel would, so that a wrong one is lost.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* The length of what it holds; 0: there is something wrong with it. */
static __always_inline __u32 payload4(const struct iphdr *ip)
{
	const __u16 *words = (const void *)ip;
	__u32 sum = 0;
	int i;

	for (i = 0; i < (int)sizeof(*ip) / 2; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ip->version == 4 && ip->ihl == 5 && sum == 0xffff ?
		       bpf_ntohs(ip->tot_len) - sizeof(*ip) :
		       0;
}

/* Is the inner packet as long as the outer one says? */
static __always_inline int sound(const void *inner, const void *end, __u8 proto, __u32 holds)
{
	const struct ipv6hdr *ip6 = inner;
	const struct iphdr *ip = inner;

	if (proto == IPPROTO_IPIP)
		return (const void *)(ip + 1) <= end && bpf_ntohs(ip->tot_len) == holds;
	return (const void *)(ip6 + 1) <= end && bpf_ntohs(ip6->payload_len) + sizeof(*ip6) == holds;
}

struct gue {
	struct udphdr udp;
	__u8 variant_hlen;
	__u8 proto;
	__be16 flags;
};

/* What GUE says that it holds; 0: it isn't GUE, or not as it should be. v6: has to have a checksum. */
static __always_inline __u8 gue_proto(const struct gue *gue, const void *end, __u32 holds, int v6)
{
	if ((const void *)(gue + 1) > end || gue->udp.dest != bpf_htons(6080) ||
	    bpf_ntohs(gue->udp.source) < 0xc000 || bpf_ntohs(gue->udp.len) != holds ||
	    !gue->udp.check != !v6 || gue->variant_hlen || gue->flags)
		return 0;
	return gue->proto;
}

/* Takes the outer header off, of which the inner one's family is told by proto. */
static __always_inline int unwrap(struct xdp_md *ctx, int outer_len, __u8 proto)
{
	struct ethhdr *eth = (void *)(long)ctx->data, saved;

	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	saved = *eth;
	saved.h_proto = proto == IPPROTO_IPIP ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
	if (bpf_xdp_adjust_head(ctx, outer_len))
		return XDP_DROP;
	eth = (void *)(long)ctx->data;
	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	*eth = saved;
	return XDP_PASS;
}

SEC("xdp")
int decap(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct iphdr *ip = (void *)(eth + 1);
	struct ipv6hdr *ip6 = (void *)(eth + 1);
	__u32 room, holds;
	__u8 proto;
	int len;

	if ((void *)(ip + 1) + sizeof(*ip) > end)
		return XDP_PASS;
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		proto = ip->protocol;
		len = sizeof(*ip);
		holds = payload4(ip);
	} else if (eth->h_proto == bpf_htons(ETH_P_IPV6) && (void *)(ip6 + 1) <= end) {
		proto = ip6->nexthdr;
		len = sizeof(*ip6);
		holds = ip6->version == 6 ? bpf_ntohs(ip6->payload_len) : 0;
	} else {
		return XDP_PASS;
	}
	if (proto == IPPROTO_UDP) {
		proto = gue_proto((void *)ip + len, end, holds, len == sizeof(*ip6));
		len += sizeof(struct gue);
		holds -= sizeof(struct gue);
	}
	if (proto != IPPROTO_IPIP && proto != IPPROTO_IPV6)
		return XDP_PASS;
	room = (__u32)(end - (void *)ip) - len;
	if (!holds || holds > room || !sound((void *)ip + len, end, proto, holds))
		return XDP_DROP;
	return unwrap(ctx, len, proto);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

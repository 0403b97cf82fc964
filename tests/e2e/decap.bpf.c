// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * What a backend of method ipip needs, for machines without the ipip device: takes IPv4 out of
 * IPv4. Looks at the outer header as the kernel would, so that a wrong one is lost.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

static __always_inline int sound(const struct iphdr *ip, __u64 room)
{
	const __u16 *words = (const void *)ip;
	__u32 sum = 0;
	int i;

	for (i = 0; i < (int)sizeof(*ip) / 2; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ip->version == 4 && ip->ihl == 5 && sum == 0xffff && bpf_ntohs(ip->tot_len) <= room;
}

SEC("xdp")
int decap(struct xdp_md *ctx)
{
	__u64 room = ctx->data_end - ctx->data - sizeof(struct ethhdr);
	struct ethhdr *eth = (void *)(long)ctx->data, saved;
	struct iphdr *outer = (void *)(eth + 1), *inner = outer + 1;

	if ((void *)(inner + 1) > (void *)(long)ctx->data_end ||
	    eth->h_proto != bpf_htons(ETH_P_IP) || outer->protocol != IPPROTO_IPIP)
		return XDP_PASS;
	if (!sound(outer, room) ||
	    bpf_ntohs(inner->tot_len) + sizeof(*outer) != bpf_ntohs(outer->tot_len))
		return XDP_DROP;
	saved = *eth;
	if (bpf_xdp_adjust_head(ctx, sizeof(*outer)))
		return XDP_DROP;
	eth = (void *)(long)ctx->data;
	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	*eth = saved;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What a backend of method ipip needs, for machines without the ipip device: takes IPv4 out of IPv4.
 * Looks at the outer header as the kernel would, so that a wrong one is lost. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct frame {
	struct ethhdr eth;
	struct iphdr outer;
	struct iphdr inner;
} __attribute__((packed));

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
	struct frame *frame = (void *)(long)ctx->data;
	struct ethhdr eth;

	if ((void *)(frame + 1) > (void *)(long)ctx->data_end ||
	    frame->eth.h_proto != bpf_htons(ETH_P_IP) || frame->outer.protocol != IPPROTO_IPIP)
		return XDP_PASS;
	if (!sound(&frame->outer, room) ||
	    bpf_ntohs(frame->inner.tot_len) + sizeof(frame->outer) != bpf_ntohs(frame->outer.tot_len))
		return XDP_DROP;
	eth = frame->eth;
	if (bpf_xdp_adjust_head(ctx, sizeof(frame->outer)))
		return XDP_DROP;
	frame = (void *)(long)ctx->data;
	if ((void *)(&frame->eth + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	frame->eth = eth;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Makes of each frame that a test run puts in a spoofed packet, as one sender after another of 198.18.0.0/15
 * (RFC 2544), and sends it out by an interface: a TCP segment, a fragment of one, or an ICMP error, whose
 * checksum doesn't cover addresses.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define FRAME_LEN 70

struct frame {
	struct ethhdr eth;
	struct iphdr ip;
	struct tcphdr tcp;
	__u8 rest[FRAME_LEN - sizeof(struct ethhdr) - sizeof(struct iphdr) - sizeof(struct tcphdr)];
} __attribute__((packed));

/* Set before loading: bytes of the frame, and the interface. */
const volatile struct {
	__u8 frame[FRAME_LEN + 2];
	__u32 ifindex;
} flood_config;

static __always_inline __u16 fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static __always_inline __u32 sum_words(const void *at, int bytes)
{
	const __u16 *words = at;
	__u32 sum = 0;
	int i;

	for (i = 0; i < bytes / 2; i++)
		sum += words[i];
	return sum;
}

SEC("xdp")
int flood(struct xdp_md *ctx)
{
	struct frame *frame = (void *)(long)ctx->data;
	__u32 random = bpf_get_prandom_u32(), sum;
	int whole, i;

	if ((void *)(frame + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	/* Its memory was a frame before, and is as the balancer left it. */
	for (i = 0; i < FRAME_LEN; i++)
		((__u8 *)frame)[i] = flood_config.frame[i];
	frame->ip.saddr = bpf_htonl(0xc6120000 | (random & 0x1ffff));
	whole = !(frame->ip.frag_off & bpf_htons(0x3fff));
	if (!whole)
		frame->ip.id = bpf_get_prandom_u32();
	frame->ip.check = fold(sum_words(&frame->ip, sizeof(frame->ip)));
	if (frame->ip.protocol != IPPROTO_TCP || !whole)
		return bpf_redirect(flood_config.ifindex, 0);
	frame->tcp.source = bpf_htons(1024 | random >> 17);
	frame->tcp.seq = bpf_get_prandom_u32();
	sum = sum_words(&frame->ip.saddr, 8) + bpf_htons(IPPROTO_TCP) +
	      bpf_htons(FRAME_LEN - sizeof(frame->eth) - sizeof(frame->ip)) +
	      sum_words(&frame->tcp, FRAME_LEN - sizeof(frame->eth) - sizeof(frame->ip));
	frame->tcp.check = fold(sum);
	return bpf_redirect(flood_config.ifindex, 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

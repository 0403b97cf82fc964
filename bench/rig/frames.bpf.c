// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The programs around the balancer when real frames are measured: generator, sink, and those that
 * take the balancer's place to show what the way alone costs.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>

#include <bpf/bpf_helpers.h>

#include "frames.h"
#include "source.h"

struct frames_gen gens[FRAMES_CPUS];
struct frames_count sink[FRAMES_CPUS];
__u32 egress;

/* Of this CPU; the mask shows the verifier what the rig made sure of. */
static __always_inline __u32 slot(void)
{
	return bpf_get_smp_processor_id() & (FRAMES_CPUS - 1);
}

/* Run with live frames, by a thread that stays on its CPU. */
SEC("xdp")
int frames_generate(struct xdp_md *ctx)
{
	struct frames_gen *gen = &gens[slot()];
	void *data;
	__u32 i;

	if (bpf_xdp_adjust_tail(ctx, -FRAMES_TAIL))
		return XDP_ABORTED;
	data = (void *)(long)ctx->data;
	if (data + RIG_FRAME_LEN > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	if (gen->vary == RIG_NEW) {
		i = gen->next++;
	} else {
		gen->random = xorshift(gen->random);
		i = gen->base + ((gen->random >> 3) & gen->mask);
	}
	frame_copy(data, &gen->frame);
	frame_put(data, &gen->frame, client_addr(i), client_port(i), 0);
	gen->sent++;
	return XDP_TX;
}

SEC("xdp")
int frames_sink(struct xdp_md *ctx)
{
	(void)ctx;
	sink[slot()].packets++;
	return XDP_DROP;
}

/* The MACs as a forwarder writes them; what they are doesn't matter to the sink. */
static __always_inline int rewrite_macs(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;

	if (data + ETH_HLEN > (void *)(long)ctx->data_end)
		return -1;
	WORD(data, 0) = 0x00000002;
	HALF(data, 4) = 0x0100;
	WORD(data, 6) = 0x00000002;
	HALF(data, 10) = 0x0200;
	return 0;
}

SEC("xdp")
int frames_tx(struct xdp_md *ctx)
{
	return rewrite_macs(ctx) ? XDP_ABORTED : XDP_TX;
}

SEC("xdp")
int frames_redirect(struct xdp_md *ctx)
{
	return rewrite_macs(ctx) ? XDP_ABORTED : bpf_redirect(egress, 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The wrapper that the program under test is measured in: restores the packet, gives it a source,
 * and tail-calls the program. Time is read in here, once at either end of a run.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>

#include <bpf/bpf_helpers.h>

#include "source.h"
#include "wrap.h"

#define ENCAP_LEN 20

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} rig_target SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, RIG_FLOWS_MAX);
	__type(key, __u32);
	__type(value, struct rig_flow);
} rig_flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, RIG_LIST_LEN);
	__type(key, __u32);
	__type(value, struct rig_flow);
} rig_list SEC(".maps");

struct rig_run run;
struct rig_open open;

/* The frame as it was: start, length, bytes. NULL if that fails. */
static __always_inline void *frame_restore(struct xdp_md *ctx, const struct rig_frame *frame,
					   __u64 head)
{
	volatile __u64 at = ctx->data; /* by way of memory it becomes a number */
	__u32 len = ctx->data_end - ctx->data;
	int moved = (int)(head - at), longer;
	void *data;

	if (moved && bpf_xdp_adjust_head(ctx, moved))
		return NULL;
	longer = RIG_FRAME_LEN - (int)(len - moved);
	if (longer && bpf_xdp_adjust_tail(ctx, longer))
		return NULL;
	data = (void *)(long)ctx->data;
	if (data + RIG_FRAME_LEN > (void *)(long)ctx->data_end)
		return NULL;
	frame_copy(data, frame);
	return data;
}

static __always_inline void vary(void *data)
{
	struct rig_flow *flow;
	__u32 i;

	switch (run.vary) {
	case RIG_RANDOM:
		run.random = xorshift(run.random);
		i = (run.random >> 3) & run.mask;
		break;
	case RIG_NEW:
		i = run.next++;
		break;
	case RIG_LIST:
		i = run.done & (RIG_LIST_LEN - 1);
		flow = bpf_map_lookup_elem(&rig_list, &i);
		if (flow)
			frame_put(data, &run.frame, flow->backend, flow->port, 1);
		return;
	default:
		return;
	}
	frame_put(data, &run.frame, client_addr(i), client_port(i), 0);
}

/* Not inlined, so that the program comes back here: its answer is this function's. */
static __noinline int call_target(struct xdp_md *ctx)
{
	volatile int answer = XDP_ABORTED;

	bpf_tail_call_static(ctx, &rig_target, 0);
	return answer;
}

/* A batch, since the kernel's own work between two runs costs more than many a program. */
SEC("xdp")
int rig_wrap(struct xdp_md *ctx)
{
	int i;

	if (!run.done) {
		volatile __u64 at = ctx->data;

		run.head = at;
		run.start_ns = bpf_ktime_get_ns();
	}
	for (i = 0; i < RIG_BATCH; i++) {
		void *data = frame_restore(ctx, &run.frame, run.head);

		if (!data)
			break;
		vary(data);
		if (call_target(ctx) == run.expect)
			run.met++;
		run.done++;
	}
	if (run.done >= run.packets)
		run.end_ns = bpf_ktime_get_ns();
	return XDP_PASS;
}

static __always_inline void flow_learn(struct xdp_md *ctx, struct rig_flow *flow)
{
	void *data = (void *)(long)ctx->data;

	if (data + RIG_FRAME_LEN > (void *)(long)ctx->data_end)
		return;
	flow->backend = WORD(data, IP_OFF + 16);
	flow->port = HALF(data, L4_OFF);
}

/* One client's flow, as far as it goes in one direction after the other. */
SEC("xdp")
int rig_open_flow(struct xdp_md *ctx)
{
	__u32 i = open.next++, slot = i & (RIG_FLOWS_MAX - 1), step;
	struct rig_flow *flow = bpf_map_lookup_elem(&rig_flows, &slot);
	volatile __u64 head = ctx->data;
	void *data;
	int answer;

	if (!flow)
		return XDP_ABORTED;
	if (!i)
		run.head = head;
	for (step = 0; step < RIG_STEPS_MAX; step++) {
		if (step >= open.steps_n)
			break;
		data = frame_restore(ctx, &open.frames[step], run.head);
		if (!data) {
			open.broken++;
			return XDP_ABORTED;
		}
		if (open.from[step] == RIG_FROM_CLIENT)
			frame_put(data, &open.frames[step], client_addr(i), client_port(i), 0);
		else
			frame_put(data, &open.frames[step], flow->backend, flow->port, 1);
		answer = call_target(ctx);
		open.answers[answer & 7]++;
		if (!step && open.rewritten)
			flow_learn(ctx, flow);
	}
	return XDP_PASS;
}

/* What the program is compared with. */
SEC("xdp")
int rig_empty(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

/* Makes room in front, as encapsulation does, and nothing else. */
SEC("xdp")
int rig_encap(struct xdp_md *ctx)
{
	return bpf_xdp_adjust_head(ctx, -ENCAP_LEN) ? XDP_ABORTED : XDP_PASS;
}

SEC("xdp")
int rig_swap(struct xdp_md *ctx)
{
	struct ethhdr *eth = (void *)(long)ctx->data;
	__u8 mac[ETH_ALEN];

	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	__builtin_memcpy(mac, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, mac, ETH_ALEN);
	return XDP_TX;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

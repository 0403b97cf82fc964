/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The generator's packets: which flow is next, and what of it, on both CPUs in step. */
#ifndef STRESS_GENERATE_H
#define STRESS_GENERATE_H

#include "packet.h"

#define WAIT_TRIES 3000

struct flow {
	__u32 client;
	__u32 conn;
	__u32 saddr;
	__u16 sport;
	__u16 vip;
	__u8 flags;
	__u8 firm;
};

static __always_inline __u32 random(struct stress_gen *gen)
{
	gen->random ^= gen->random << 13;
	gen->random ^= gen->random >> 17;
	gen->random ^= gen->random << 5;
	return gen->random >> 3;
}

/* The next batch, begun by both CPUs in the same moment; one that fell behind leaves some out. */
static __always_inline void batch_begin(struct stress_gen *gen, volatile struct stress_gen *other)
{
	__u32 batch = gen->batch + 1;
	int i;

	if ((__s32)(other->batch - batch) > 0)
		batch = other->batch;
	__sync_lock_test_and_set(&gen->batch, batch);
	for (i = 0; i < WAIT_TRIES; i++)
		if ((__s32)(other->batch - batch) >= 0)
			return;
	gen->alone++;
}

/* Flow j of a window; step: of its script. */
static __always_inline void window_flow(struct flow *flow, __u32 window, __u32 step, __u32 j,
					__u32 other_batch)
{
	__u32 restarted = step >= conf.restart;
	__u32 opened = window * conf.steps + (restarted ? conf.restart : 0);

	flow->client = STRESS_LONG + (window * STRESS_WINDOW + j) %
					     (STRESS_CLIENTS - STRESS_LONG - STRESS_HOT_MAX);
	flow->conn = 2 * window + restarted + 2;
	flow->saddr = STRESS_CLIENT + flow->client;
	flow->sport = 1024 + flow->client % 60000;
	flow->vip = conf.window_vip < VIPS ? conf.window_vip : j % VIPS;
	flow->flags = conf.script[step & (STRESS_STEPS - 1)];
	flow->firm = (__s32)(other_batch - opened) >= 2;
}

static __always_inline void window(struct flow *flow, const struct stress_gen *gen, __u32 at,
				   __u32 cpu, __u32 other_batch)
{
	__u32 window = gen->batch / conf.steps, j = at % STRESS_WINDOW;

	/* Every other window in opposite directions: then different flows meet. */
	if (cpu && window & 1)
		j = STRESS_WINDOW - 1 - j;
	window_flow(flow, window, gen->batch % conf.steps, j, other_batch);
}

static __always_inline void old(struct flow *flow, struct stress_gen *gen, __u32 other_batch)
{
	__u32 window = gen->batch / conf.steps, back = 2 + random(gen) % conf.old_span;

	window = window > back ? window - back : 0;
	window_flow(flow, window, 0, random(gen) % STRESS_WINDOW, other_batch);
	flow->flags = STEP_DATA;
}

static __always_inline void lasting(struct flow *flow, __u32 client, __u8 flags)
{
	flow->client = client;
	flow->conn = 1;
	flow->saddr = STRESS_CLIENT + client;
	flow->sport = 1024 + client;
	flow->vip = conf.window_vip < VIPS ? conf.window_vip : client % VIPS;
	flow->flags = flags;
	flow->firm = 1;
}

static __always_inline void hot(struct flow *flow, struct stress_gen *gen)
{
	__u32 i = random(gen) % conf.hot_n & (STRESS_HOT_MAX - 1);

	flow->client = STRESS_HOT_FIRST + i;
	flow->conn = 1;
	flow->saddr = bpf_ntohl(conf.hot[i]);
	flow->sport = STRESS_HOT_PORT;
	flow->vip = VIP_IPIP;
	flow->flags = random(gen) & 3 ? STEP_DATA : STEP_SYN;
}

static __always_inline void flood(struct flow *flow, struct stress_gen *gen)
{
	flow->client = STRESS_NOBODY;
	flow->saddr = STRESS_FLOOD + (random(gen) & 0xfffff);
	flow->sport = random(gen);
	flow->vip = random(gen) & 1 ? VIP_MANY : VIP_IPIP;
	flow->flags = STEP_SYN;
}

static __always_inline void packet_write(struct packet *packet, const struct flow *flow)
{
	__builtin_memset(packet, 0, sizeof(packet->ip) + sizeof(packet->tcp));
	packet->ip.version = 4;
	packet->ip.ihl = 5;
	packet->ip.ttl = TTL;
	packet->ip.protocol = IPPROTO_TCP;
	packet->ip.tot_len = bpf_htons(sizeof(*packet));
	packet->ip.saddr = bpf_htonl(flow->saddr);
	packet->ip.daddr = bpf_htonl(STRESS_VIP);
	packet->tcp.source = bpf_htons(flow->sport);
	packet->tcp.dest = bpf_htons(STRESS_VIP_PORT + flow->vip);
	packet->tcp.seq = bpf_htonl(flow->conn << 8);
	if (flow->flags != STEP_SYN)
		packet->tcp.ack_seq = bpf_htonl(isn(flow->client, flow->conn) + 1);
	packet->tcp.doff = 5;
	((__u8 *)&packet->tcp)[13] = flow->flags;
}

static __always_inline void id_write(struct packet *packet, const struct flow *flow, __u32 batch,
				     __u32 kind, __u32 cpu)
{
	packet->id.magic = STRESS_MAGIC;
	packet->id.client = flow->client;
	packet->id.conn = flow->conn;
	packet->id.batch = batch;
	packet->id.saddr = packet->ip.saddr;
	packet->id.sport = packet->tcp.source;
	packet->id.dport = packet->tcp.dest;
	packet->id.kind = kind;
	packet->id.cpu = cpu;
	packet->id.flags = flow->flags;
	packet->id.firm = flow->firm;
}

static __always_inline void choose(struct flow *flow, struct stress_gen *gen, __u32 at, __u32 cpu,
				   __u32 other_batch)
{
	switch (conf.kinds[at]) {
	case KIND_WINDOW:
		window(flow, gen, at, cpu, other_batch);
		break;
	case KIND_LONG:
		lasting(flow, random(gen) % STRESS_LONG, STEP_DATA);
		break;
	case KIND_WARM:
		lasting(flow, gen->next++ % STRESS_LONG, conf.warm_flags);
		break;
	case KIND_OLD:
		old(flow, gen, other_batch);
		break;
	case KIND_HOT:
		hot(flow, gen);
		break;
	default:
		flood(flow, gen);
	}
}

#endif

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Both ends of the stress test. The generator sends, on two CPUs in step, packets that carry whose
 * they are; at the backends and at the clients a checker knows where each belongs.
 */
#include "generate.h"

/* Run with live frames, by a thread that stays on its CPU. */
SEC("xdp")
int stress_generate(struct xdp_md *ctx)
{
	__u32 cpu = cpu_slot(), at, other_batch;
	struct stress_gen *gen = &gens[cpu];
	struct ethhdr *eth;
	struct packet *packet;
	struct flow flow = {};

	if (!conf.steps || !conf.hot_n || !conf.old_span || bpf_xdp_adjust_tail(ctx, -STRESS_TAIL))
		return XDP_ABORTED;
	eth = (void *)(long)ctx->data;
	packet = (void *)(eth + 1);
	if ((void *)(packet + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	at = gen->at++ & (STRESS_BATCH - 1);
	if (!at)
		batch_begin(gen, &gens[!cpu]);
	other_batch = *(volatile __u32 *)&gens[!cpu].batch;
	choose(&flow, gen, at, cpu, other_batch);
	mac_write(eth->h_dest, STRESS_VIP);
	mac_write(eth->h_source, STRESS_GATEWAY);
	eth->h_proto = bpf_htons(ETH_P_IP);
	packet_write(packet, &flow);
	id_write(packet, &flow, gen->batch, conf.kinds[at], cpu);
	sums_write(packet);
	gen->sent++;
	return XDP_TX;
}

/* -- Checkers ---------------------------------------------------------------------------------- */

static __always_inline void error(struct stress_count *count, __u32 error,
				  const struct packet *packet, __u64 known, __u64 seen)
{
	__u32 i = __sync_fetch_and_add(&samples_n, 1);
	struct stress_sample *sample;

	count->errors[error]++;
	if (i >= STRESS_SAMPLES)
		return;
	sample = &samples[i];
	sample->error = error;
	sample->id = packet->id;
	sample->saddr = packet->ip.saddr;
	sample->daddr = packet->ip.daddr;
	sample->sport = packet->tcp.source;
	sample->dport = packet->tcp.dest;
	sample->known = known;
	sample->seen = seen;
}

static __always_inline int is_whole(const struct packet *packet)
{
	const struct iphdr *ip = &packet->ip;

	return ip->version == 4 && ip->ihl == 5 && ip->protocol == IPPROTO_TCP &&
	       ip->ttl == TTL - 1 && ip->tot_len == bpf_htons(sizeof(*packet)) &&
	       csum_fold(sum(ip, sizeof(*ip))) == 0xffff &&
	       csum_fold(sum_tcp(ip, &packet->tcp)) == 0xffff && packet->id.magic == STRESS_MAGIC;
}

/* A backend of the packet's VIP, told by its address and its MAC. 0: none. */
static __always_inline __u32 backend_of(const __u8 *dmac, __be32 daddr, const struct stress_id *id)
{
	__u32 addr = bpf_ntohl(daddr), backend = addr - STRESS_BACKEND;
	__u32 vip = bpf_ntohs(id->dport) - STRESS_VIP_PORT;

	if (backend >= STRESS_BACKENDS || vip >= VIPS || !mac_is(dmac, addr) ||
	    backend < conf.backends[vip][0] || backend > conf.backends[vip][1])
		return 0;
	return backend;
}

/*
 * Puts value there unless what is there is as new; high halves are connections. Answers what is
 * there of the same connection, 0 if value is too old to tell.
 */
static __always_inline __u64 known_of(__u64 *place, __u64 value)
{
	__u64 known = *(volatile __u64 *)place;
	int i;

	for (i = 0; i < 4; i++) {
		__u64 seen;

		if (known >> 32 == value >> 32)
			return known;
		if (known >> 32 > value >> 32)
			return 0;
		seen = __sync_val_compare_and_swap(place, known, value);
		if (seen == known)
			return value;
		known = seen;
	}
	return 0;
}

/* A packet whose CPU was stopped: its flow may be over, and another one live in its place. */
static __always_inline int is_late(const struct stress_id *id)
{
	return (__s32)(*(volatile __u32 *)&gens[!(id->cpu & 1)].batch - id->batch) > 1;
}

static __always_inline void judge_port(struct stress_count *count, const struct packet *packet,
				       __u32 backend)
{
	__u32 place = (backend & (STRESS_BACKENDS - 1)) << 16 | bpf_ntohs(packet->tcp.source);
	const struct stress_id *id = &packet->id;
	__u64 mine = (__u64)id->conn << 32 | id->client, known;
	__u64 *at = &port_known[place & ((STRESS_BACKENDS << 16) - 1)];

	known = *(volatile __u64 *)at;
	/* A port of a long flow is nobody else's in the whole phase. */
	if (!known || known >> 32 != 1)
		known = known_of(at, mine);
	if (known && (__u32)known != id->client)
		error(count, STRESS_SHARED, packet, known, mine);
}

static __always_inline void judge_fullnat(struct stress_count *count, const struct packet *packet,
					  __u32 backend)
{
	const struct stress_id *id = &packet->id;
	__u64 seen, known;

	if (id->client >= STRESS_CLIENTS)
		return;
	if (id->flags == STEP_SYN ? !conf.strict || is_late(id) : !id->firm)
		return;
	count->judged++;
	seen = (__u64)id->conn << 32 | backend << 16 | bpf_ntohs(packet->tcp.source);
	known = known_of(&flow_known[id->client & (STRESS_CLIENTS - 1)], seen);
	if (known && known != seen)
		error(count, STRESS_SPLIT, packet, known, seen);
	if (conf.strict && !is_late(id))
		judge_port(count, packet, backend);
}

static __always_inline void judge_ipip(struct stress_count *count, const struct packet *packet,
				       __u32 backend)
{
	__u32 client = packet->id.client, known;

	if (conf.moves || client >= STRESS_CLIENTS)
		return;
	count->judged++;
	known = __sync_val_compare_and_swap(&flow_backend[client & (STRESS_CLIENTS - 1)], 0,
					    backend);
	if (known && known != backend)
		error(count, STRESS_SPLIT, packet, known, backend);
}

static __always_inline int from_client(const struct packet *packet)
{
	return packet->ip.saddr == packet->id.saddr && packet->ip.daddr == bpf_htonl(STRESS_VIP) &&
	       packet->tcp.source == packet->id.sport && packet->tcp.dest == packet->id.dport;
}

static __always_inline void check_ipip(struct stress_count *count, const struct ethhdr *eth)
{
	const struct iphdr *outer = (const void *)(eth + 1);
	const struct packet *packet = (const void *)(outer + 1);
	__u32 backend;

	if (!is_whole(packet) || outer->protocol != IPPROTO_IPIP || outer->ttl != TTL ||
	    outer->tot_len != bpf_htons(sizeof(*outer) + sizeof(*packet)) ||
	    csum_fold(sum(outer, sizeof(*outer))) != 0xffff) {
		error(count, STRESS_BROKEN, packet, 0, 0);
		return;
	}
	backend = backend_of(eth->h_dest, outer->daddr, &packet->id);
	if (!backend || outer->saddr != bpf_htonl(STRESS_VIP) || !from_client(packet))
		error(count, STRESS_TORN, packet, 0, outer->daddr);
	else
		judge_ipip(count, packet, backend);
}

/* The backend's answer to a client's packet, in its place. */
static __always_inline void reply_write(struct ethhdr *eth, struct packet *packet)
{
	__be32 addr = packet->ip.saddr;
	__be16 port = packet->tcp.source;
	__u8 flags = packet->id.flags;

	mac_write(eth->h_dest, STRESS_VIP);
	mac_write(eth->h_source, bpf_ntohl(packet->ip.daddr));
	packet->ip.saddr = packet->ip.daddr;
	packet->ip.daddr = addr;
	packet->ip.ttl = TTL;
	packet->tcp.source = packet->tcp.dest;
	packet->tcp.dest = port;
	packet->tcp.ack_seq = packet->tcp.seq;
	packet->tcp.seq = bpf_htonl(isn(packet->id.client, packet->id.conn) + (flags != STEP_SYN));
	((__u8 *)&packet->tcp)[13] = flags | STEP_ACK;
	sums_write(packet);
}

static __always_inline int check_fullnat(struct stress_count *count, struct ethhdr *eth)
{
	struct packet *packet = (void *)(eth + 1);
	const struct stress_id *id = &packet->id;
	__u32 backend;

	if (!is_whole(packet)) {
		error(count, STRESS_BROKEN, packet, 0, 0);
		return XDP_DROP;
	}
	backend = backend_of(eth->h_dest, packet->ip.daddr, id);
	if (!backend || packet->ip.saddr != bpf_htonl(STRESS_VIP) ||
	    packet->tcp.dest != id->dport) {
		error(count, STRESS_TORN, packet, 0, 0);
		return XDP_DROP;
	}
	judge_fullnat(count, packet, backend);
	if (id->client >= STRESS_CLIENTS || id->flags == STEP_RST || id->flags == STEP_ACK)
		return XDP_DROP;
	reply_write(eth, packet);
	count->replies++;
	return XDP_TX;
}

SEC("xdp")
int stress_backend(struct xdp_md *ctx)
{
	struct stress_count *count = &counts[cpu_slot()];
	struct ethhdr *eth = (void *)(long)ctx->data;
	void *packet = eth + 1, *end = (void *)(long)ctx->data_end;
	__u64 len = ctx->data_end - ctx->data;

	count->backend++;
	if (len == ETH_HLEN + sizeof(struct iphdr) + sizeof(struct packet) &&
	    packet + sizeof(struct iphdr) + sizeof(struct packet) <= end) {
		check_ipip(count, eth);
		return XDP_DROP;
	}
	if (len == ETH_HLEN + sizeof(struct packet) && packet + sizeof(struct packet) <= end)
		return check_fullnat(count, eth);
	count->errors[STRESS_BROKEN]++;
	return XDP_DROP;
}

/* The balancer's own answer to a client whose flow it doesn't know. Only headers. */
static __always_inline void check_reset(struct stress_count *count, const struct iphdr *ip,
					const struct tcphdr *tcp)
{
	__u32 client = bpf_ntohl(ip->daddr) - STRESS_CLIENT;
	__u32 i;

	count->resets++;
	if (!tcp->rst || csum_fold(sum(ip, sizeof(*ip))) != 0xffff) {
		count->errors[STRESS_BROKEN]++;
	} else if (conf.strict && client < STRESS_LONG) {
		count->errors[STRESS_LOST]++;
		i = __sync_fetch_and_add(&samples_n, 1);
		if (i < STRESS_SAMPLES) {
			samples[i].error = STRESS_LOST;
			samples[i].id.client = client;
			samples[i].dport = tcp->dest;
		}
	}
}

static __always_inline void check_reply(struct stress_count *count, const struct ethhdr *eth)
{
	const struct packet *packet = (const void *)(eth + 1);
	const struct stress_id *id = &packet->id;

	if (!is_whole(packet)) {
		error(count, STRESS_BROKEN, packet, 0, 0);
	} else if (packet->ip.saddr != bpf_htonl(STRESS_VIP) || packet->tcp.source != id->dport ||
		   packet->ip.daddr != id->saddr || packet->tcp.dest != id->sport ||
		   !mac_is(eth->h_dest, STRESS_GATEWAY)) {
		if (conf.strict && !is_late(id))
			error(count, STRESS_TORN, packet, 0, 0);
		else
			count->strays++;
	}
}

SEC("xdp")
int stress_client(struct xdp_md *ctx)
{
	struct stress_count *count = &counts[cpu_slot()];
	struct ethhdr *eth = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = (void *)(eth + 1);
	struct tcphdr *tcp = (void *)(ip + 1);
	__u64 len = ctx->data_end - ctx->data;

	count->client++;
	if (len == ETH_HLEN + sizeof(struct packet) && (void *)ip + sizeof(struct packet) <= end)
		check_reply(count, eth);
	else if (len == ETH_HLEN + sizeof(*ip) + sizeof(*tcp) && (void *)(tcp + 1) <= end)
		check_reset(count, ip, tcp);
	else
		count->errors[STRESS_BROKEN]++;
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

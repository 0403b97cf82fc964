// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The same random packets through both flow tables: the same becomes of each, to the byte. It needs
 * two fixtures, so it runs once per attach mode, with our own table's.
 */
#include "tables.h"

#include <string.h>

#include <linux/bpf.h>

#include "maps.h"
#include "random.h"

#define PACKETS 6000
#define CLIENTS 12
#define TALKS	(CLIENTS * EQUAL_SERVICES)

static const enum service_id equal_services[] = { SVC_TCP,  SVC_UDP,	  SVC_ANY,  SVC_FAR,
						  SVC_SOLO, SVC_IPIP_UDP, SVC_IPIP, SVC_SNATS };

#define EQUAL_SERVICES (sizeof(equal_services) / sizeof(*equal_services))

static uint32_t random_state;

static uint32_t random_below(uint32_t n)
{
	return random__below(&random_state, n);
}

static void vary(struct run *run, struct frame *frame)
{
	frame->csum = random_below(3) ? run->csum : CSUM_PARTIAL;
	frame->payload = random_below(8) ? random_below(120) : random_below(1500);
	frame->ip_options = random_below(9) ? 0 : 4 * random_below(11);
	frame->tos = random_below(256);
	frame->ttl = random_below(20) ? 64 : random_below(3);
	frame->seed = random_below(1 << 30);
	switch (random_below(40)) { /* nonsense now and then */
	case 0:
		frame->frag = random_below(2) ? 0x2000 : random_below(65536);
		break;
	case 1:
		frame->ihl = random_below(16);
		break;
	case 2:
		frame->doff = random_below(16);
		break;
	case 3:
		frame->tot_len = random_below(200);
		break;
	case 4:
		frame->cut = random_below(80) < 14 ? 14 : 14 + random_below(60);
		break;
	case 5:
		frame->proto = random_below(256); /* ICMP among them */
		break;
	case 6:
		frame->dport = random_below(65536);
		break;
	case 7:
		frame->csum_error = random_below(65536);
		break;
	}
}

/* What its first forwarded packet shows of where a talk goes on. */
static void learn(struct run *talk, const struct outcome *out)
{
	const uint8_t *ip = out->bytes + ETH_LEN, *ports = ip + (ip[0] & 15) * 4;

	if (!run__is_pair(talk) || out->len < ETH_LEN + IP_LEN + 4 || out->action == XDP_DROP)
		return;
	talk->snat = (uint32_t)ip[12] << 24 | ip[13] << 16 | ip[14] << 8 | ip[15];
	talk->backend = (uint32_t)ip[16] << 24 | ip[17] << 16 | ip[18] << 8 | ip[19];
	talk->snat_port = ports[0] << 8 | ports[1];
	talk->backend_port = ports[2] << 8 | ports[3];
}

/* A reply has only where to go to. */
static struct frame make(struct run *talk, bool *ret_in)
{
	static const uint8_t kinds[] = { FLAG_SYN, FLAG_SYN, FLAG_ACK, FLAG_ACK,
					 FLAG_ACK, FLAG_ACK, FLAG_ACK, FLAG_FIN | FLAG_ACK,
					 FLAG_RST };
	uint8_t flags = random_below(30) ? kinds[random_below(sizeof(kinds))] : random_below(256);
	uint32_t seq = 1000 + random_below(3), ack = 5000 + random_below(3);
	struct frame frame;

	*ret_in = !talk->backend || random_below(5) < 3;
	if (*ret_in)
		frame = run__from_client(talk, flags, seq, ack);
	else
		frame = run__from_backend(talk, flags == FLAG_SYN ? FLAG_SYN | FLAG_ACK : flags,
					  ack, seq);
	vary(talk, &frame);
	return frame;
}

static bool same(const struct outcome *a, const struct outcome *b)
{
	return a->action == b->action && a->len == b->len && a->meta_len == b->meta_len &&
	       !memcmp(a->meta, b->meta, a->meta_len) && !memcmp(a->bytes, b->bytes, a->len);
}

/* By what the flow is called, and how far it has come: but for when it was seen last. */
static void compare_halves(struct run *run, struct fixture *other, const struct ct_key *key)
{
	struct half a, b;
	enum half_place place = half__get(run->fx, key, &a);

	if (place != half__get(other, key, &b))
		run__fail(run, "a half has another place in each table");
	if (place == FLOW_NONE)
		return;
	if (((a.flow.ctl ^ b.flow.ctl) & (CT_PHASES_MASK | CT_HALF_OPEN)) ||
	    a.flow.timeout != b.flow.timeout || ct_bytes(&a.flow) != ct_bytes(&b.flow) ||
	    ct_packets(&a.flow) != ct_packets(&b.flow) ||
	    ct_peer_ends(&a.flow) != ct_peer_ends(&b.flow))
		run__fail(run, "a half is another in each table");
}

/* Not of flows that ended unseen: our own table counts these when it takes their places. */
static void compare_counters(struct run *run, const struct counters *before, struct fixture *other,
			     const struct counters *other_before)
{
	struct counters a, b;
	int i;

	fixture__read(run->fx, &a);
	fixture__read(other, &b);
	for (i = 0; i < LB_DROPS; i++)
		RUN_CHECK(run,
			  a.drops[i] - before->drops[i] == b.drops[i] - other_before->drops[i]);
	RUN_CHECK(run, a.totals.flows_created - before->totals.flows_created ==
			       b.totals.flows_created - other_before->totals.flows_created);
	RUN_CHECK(run, a.totals.ports_reused - before->totals.ports_reused ==
			       b.totals.ports_reused - other_before->totals.ports_reused);
	RUN_CHECK(run, a.totals.resets - before->totals.resets ==
			       b.totals.resets - other_before->totals.resets);
}

static void see_last(struct run *talk, struct fixture *fx, const struct ct_key *key, uint32_t at)
{
	struct half half;

	if (!half__get(fx, key, &half))
		return;
	half.flow.last_seen = at;
	if (half__put(fx, &half))
		run__fail(talk, "the flow could not be written");
}

/*
 * For a while that may end the flow, or not. In whole seconds and a half, since time-outs are whole
 * seconds and the tables get a packet one after the other: nothing ends in between.
 */
static void age(struct run *talk, struct fixture *other)
{
	uint32_t seconds = random_below(4) ? random_below(200) : random_below(8000);
	struct ct_key keys[2] = { run__client_key(talk), run__reply_key(talk) };
	uint32_t hz = talk->fx->hz, now, idle;
	struct half half;
	int i;

	if (maps__now(&now))
		run__fail(talk, "the time could not be read");
	for (i = 0; i < 2 && !talk->failed; i++) {
		if (!half__get(talk->fx, &keys[i], &half))
			continue;
		idle = (now - half.flow.last_seen) / hz + seconds;
		see_last(talk, talk->fx, &keys[i], now - idle * hz - hz / 2);
		see_last(talk, other, &keys[i], now - idle * hz - hz / 2);
	}
}

static void remove_backend(struct run *run, struct fixture *other)
{
	enum service_id id = equal_services[random_below(EQUAL_SERVICES)];
	int n = services[id].backends[1].ip ? random_below(2) : 0;
	int both = services[id].backends[1].ip != 0;

	fixture__bump_backend(run->fx, id, n, 1);
	fixture__set_weights(run->fx, id, 1, both);
	fixture__bump_backend(other, id, n, 1);
	fixture__set_weights(other, id, 1, both);
}

static void begin(struct run *talks, const struct run *run)
{
	static const uint32_t clients[] = { LAB_CLIENT, LAB_REMOTE, LAB_FAR_CLIENT };
	size_t i;

	for (i = 0; i < TALKS; i++) {
		talks[i] = *run;
		run__talk(&talks[i], equal_services[i % EQUAL_SERVICES], clients[i % 3],
			  1024 + 977 * i);
	}
}

static void same_in_both(struct run *run)
{
	static struct run talks[TALKS];
	struct fixture *other = run->fx->other;
	struct counters before, other_before;
	struct outcome out;
	uint8_t bytes[FRAME_MAX];
	struct frame frame;
	struct run *talk;
	uint32_t neighbour;
	struct ct_key key;
	bool in;
	size_t len;
	int i, err;

	if (!other)
		return; /* it is the other */
	RUN_CHECK(run, !fixture__reset(other));
	RUN_CHECK(run, !fixture__forget_datagrams(run->fx) && !fixture__forget_datagrams(other));
	fixture__set_ports(run->fx, 50000, 50007, 0, 0); /* so that they run short */
	fixture__set_ports(other, 50000, 50007, 0, 0);
	before = run__counters(run);
	fixture__read(other, &other_before);
	begin(talks, run);
	random_state = 88172645;
	for (i = 0; i < PACKETS && !run->failed; i++) {
		talk = &talks[random_below(TALKS)];
		run->step = i;
		if (!random_below(12))
			age(talk, other);
		if (!random_below(400))
			remove_backend(run, other);
		frame = make(talk, &in);
		len = frame__build(&frame, bytes);
		lab__way_to(frame.src, &neighbour);
		err = fixture__run(run->fx, bytes, len,
				   lab_ifindex[lab__way_to(frame.src, &neighbour)], &run->out);
		if (!err)
			err = fixture__run(other, bytes, len,
					   lab_ifindex[lab__way_to(frame.src, &neighbour)], &out);
		RUN_CHECK(run, !err && !talk->failed);
		if (!same(&run->out, &out))
			run__fail(run, "actions %d and %d, lengths %zu and %zu, or other bytes",
				  run->out.action, out.action, run->out.len, out.len);
		if (in && frame.dport == talk->vip_port)
			learn(talk, &out);
		key = run__client_key(talk);
		compare_halves(run, other, &key);
	}
	compare_counters(run, &before, other, &other_before);
}

static const struct scenario scenarios[] = {
	{ "random packets", .body = same_in_both },
};

TABLE_V4(equal, scenarios);

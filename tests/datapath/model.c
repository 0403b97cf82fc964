// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Random packets of some hundred flows against a simple model: which flow is in which phase, and
 * where it went. The engine checks each packet's bytes against the flow's first.
 */
#include "tables.h"

#include "random.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define FLOWS	300
#define PACKETS 12000
#define SECONDS 8

enum phase {
	UNKNOWN,
	PICKED_UP, /* in its middle, by nat */
	OPENED,	  /* SYN, or a datagram, from the client */
	ANSWERED, /* SYN-ACK */
	ESTABLISHED,
	FIN_IN,
	FIN_OUT,
	CLOSED,
};

struct talk {
	struct run run;
	enum phase phase;
	uint32_t seq, ack;
	bool partial[BACKEND + 1]; /* by who: a stack leaves the checksums of all its packets alike */
};

static uint32_t random_state;

static uint32_t random_below(uint32_t n)
{
	return random__below(&random_state, n);
}

static void vary(struct frame *frame, bool partial)
{
	frame->csum = partial ? CSUM_PARTIAL : CSUM_COMPLETE;
	if (frame->proto == UDP && !random_below(4))
		frame->csum = CSUM_NONE;
	frame->payload = random_below(8) ? random_below(120) : random_below(1380);
	frame->ip_options = random_below(6) ? 0 : 4 * random_below(11);
	frame->tcp_options = frame->proto == TCP && random_below(2) ? 12 : 0;
	frame->padding = random_below(4) ? 0 : random_below(20);
	frame->tos = random_below(256) & ~3;
	frame->id = random_below(65536);
	frame->ttl = 2 + random_below(254);
	frame->seed = random_below(1 << 30);
}

static void send(struct talk *talk, enum who who, uint8_t flags, enum expect expect, int drop)
{
	struct run *run = &talk->run;
	struct frame frame = who == CLIENT
				     ? run__from_client(run, flags, talk->seq, talk->ack + 1)
				     : run__from_backend(run, flags, talk->ack, talk->seq + 1);
	uint32_t neighbour;

	vary(&frame, talk->partial[who]);
	if (expect == RESET)
		frame.ip_options = 0; /* see "an unknown flow, IP options" */
	run__send(run, &frame,
		  who == CLIENT ? run->client_iface : lab__way_to(run->backend, &neighbour), expect,
		  drop);
}

static bool opens_again(enum phase phase)
{
	return phase == UNKNOWN || phase == FIN_IN || phase == FIN_OUT || phase == CLOSED;
}

/* From the client: SYN, ACK, FIN, RST. What the model says must come of it, comes. */
static void tcp_in(struct talk *talk)
{
	static const uint8_t kinds[] = {
		FLAG_SYN, FLAG_ACK, FLAG_ACK, FLAG_ACK, FLAG_ACK | FLAG_PSH, FLAG_FIN | FLAG_ACK,
		FLAG_RST
	};
	uint8_t flags = kinds[random_below(sizeof(kinds))];

	if (flags & FLAG_RST && random_below(4))
		flags = FLAG_ACK;
	if (flags == FLAG_SYN) {
		if (opens_again(talk->phase)) {
			talk->seq = random_below(1 << 30);
			talk->ack = random_below(1 << 30);
			talk->phase = OPENED;
		}
		send(talk, CLIENT, flags, FORWARDED, 0);
		return;
	}
	if (talk->phase == UNKNOWN && fixture_nat && flags & FLAG_ACK) {
		send(talk, CLIENT, flags, FORWARDED, 0);
		talk->phase = PICKED_UP;
		return;
	}
	if (talk->phase == UNKNOWN) {
		send(talk, CLIENT, flags, flags & FLAG_RST ? DROPPED : RESET, LB_DROP_TCP_FLAGS);
		return;
	}
	send(talk, CLIENT, flags, FORWARDED, 0);
	if (flags & FLAG_RST)
		talk->phase = CLOSED;
	else if (talk->phase == ANSWERED)
		talk->phase = ESTABLISHED;
	if (flags & FLAG_FIN)
		talk->phase = talk->phase == FIN_OUT ? CLOSED : FIN_IN;
}

static void tcp_out(struct talk *talk)
{
	switch (talk->phase) {
	case UNKNOWN:
		break;
	case OPENED:
		send(talk, BACKEND, FLAG_SYN | FLAG_ACK, FORWARDED, 0);
		talk->phase = ANSWERED;
		break;
	default:
		if (random_below(8)) {
			send(talk, BACKEND, FLAG_ACK, FORWARDED, 0);
		} else {
			send(talk, BACKEND, FLAG_FIN | FLAG_ACK, FORWARDED, 0);
			talk->phase = talk->phase == FIN_IN ? CLOSED : FIN_OUT;
		}
	}
}

static void udp(struct talk *talk)
{
	if (talk->phase == UNKNOWN || random_below(2))
		send(talk, CLIENT, 0, FORWARDED, 0);
	else
		send(talk, BACKEND, 0, FORWARDED, 0);
	talk->phase = OPENED;
}

/* Something that no VIP, and no flow, knows. */
static void stray(struct run *run)
{
	static const uint32_t hosts[] = { LAB_HOST, LAB_HOST, LAB_VIP2, LAB_SNAT_A, LAB_GATEWAY };
	struct frame frame = frame__make(random_below(2) ? TCP : UDP, random_below(1u << 31),
					 random_below(65536), hosts[random_below(5)],
					 200 + random_below(9000));

	lab__own_mac(LAB_NEAR, frame.dmac);
	frame.flags = random_below(256);
	if (frame.dst == LAB_VIP2)
		frame.proto = 1;
	vary(&frame, random_below(2));
	if (frame.proto == 1)
		frame.word = 0; /* no question, which would be answered */
	if (!random_below(3) && frame.dst == LAB_HOST) /* the host's own address */
		frame.frag = random_below(65536);
	run__send(run, &frame, LAB_NEAR, PASSED, 0);
}

static void begin(struct talk *talk, const struct run *run, unsigned int n)
{
	static const enum service_id ids[] = { SVC_TCP, SVC_UDP,  SVC_ANY, SVC_SNATS,	SVC_FAR,
					       SVC_UDP, SVC_SOLO, SVC_TCP, SVC_WEIGHTED };
	static const uint32_t clients[] = { LAB_CLIENT, LAB_REMOTE, LAB_FAR_CLIENT, LAB_DARK };

	memset(talk, 0, sizeof(*talk));
	talk->run = *run;
	run__talk(&talk->run, ids[n % 9], clients[n / 9 % 4], 1024 + 131 * n);
	talk->partial[CLIENT] = random_below(2);
	talk->partial[BACKEND] = random_below(2);
}

/* No two flows may share what the backend sees of them. */
static bool all_distinct(const struct talk *talks)
{
	int i, j;

	for (i = 0; i < FLOWS; i++) {
		for (j = 0; j < i; j++) {
			const struct run *a = &talks[i].run, *b = &talks[j].run;

			if (a->learnt && b->learnt && a->snat == b->snat &&
			    a->snat_port == b->snat_port && a->backend == b->backend &&
			    a->backend_port == b->backend_port &&
			    services[a->svc].proto == services[b->svc].proto)
				return false;
		}
	}
	return true;
}

static void random_packets(struct run *run)
{
	static struct talk talks[FLOWS];
	time_t end = time(NULL) + SECONDS / (run__by_turns() ? 2 : 1);
	struct talk *talk;
	int i;

	RUN_CHECK(run, !fixture__forget_datagrams(run->fx));
	random_state = 2463534242u;
	for (i = 0; i < FLOWS; i++)
		begin(&talks[i], run, i);
	for (i = 0; i < PACKETS && !run->failed && time(NULL) <= end; i++) {
		talk = &talks[random_below(FLOWS)];
		talk->run.step = i;
		if (!random_below(20))
			stray(&talk->run);
		else if (services[talk->run.svc].proto == UDP)
			udp(talk);
		else if (random_below(2))
			tcp_in(talk);
		else
			tcp_out(talk);
		if (talk->run.failed) {
			fprintf(stderr, "  service %d, phase %d\n", talk->run.svc, talk->phase);
			run->failed = true;
		}
	}
	RUN_CHECK(run, all_distinct(talks));
}

static const struct scenario scenarios[] = {
	{ "random packets", .body = random_packets, .once = true },
};

TABLE_PAIRS(model, scenarios);

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Which backend: weights, draining, removal. */
#include "tables.h"

static void no_backend(struct run *run)
{
	run__say(run, CLIENT, FLAG_SYN, 1000, 0, DROPPED, LB_DROP_NO_BACKEND);
	run__say(run, CLIENT, FLAG_ACK, 1001, 5001, RESET, 0);
	run__expect_state(run, NO_FLOW);
}

static void no_snat(struct run *run)
{
	run__say(run, CLIENT, FLAG_SYN, 1000, 0, DROPPED, LB_DROP_NO_SNAT);
	run__expect_state(run, NO_FLOW);
}

static unsigned int share_of_first(struct run *run, unsigned int flows)
{
	unsigned int i, first = 0;

	for (i = 0; i < flows && !run->failed; i++) {
		run__talk(run, run->svc, LAB_CLIENT, 1024 + 7 * i);
		run__say(run, CLIENT, FLAG_SYN, 1000, 0, FORWARDED, 0);
		first += run->backend_n == 0;
	}
	return first;
}

static void shares(struct run *run)
{
	unsigned int first = share_of_first(run, 1000);

	RUN_CHECK(run, run->svc == SVC_WEIGHTED ? first > 700 && first < 800
						: first > 450 && first < 550);
}

/* All flows of a client to one backend, and clients to both. */
static void by_client(struct run *run)
{
	int client, flow, backend = 0, first = 0;

	for (client = 0; client < 200 && !run->failed; client++) {
		for (flow = 0; flow < 5; flow++) {
			run__talk(run, run->svc, (LAB_REMOTE & ~255u) + client, 1024 + 977 * flow);
			run__say(run, CLIENT, FLAG_SYN, 1000, 0, FORWARDED, 0);
			RUN_CHECK(run, !flow || run->backend_n == backend);
			backend = run->backend_n;
		}
		first += !backend;
	}
	RUN_CHECK(run, first > 70 && first < 130);
}

/* Its next connection from the same port, while the last is closing, stays there, too. */
static void by_client_again(struct run *run)
{
	run__handshake(run);
	run__say(run, CLIENT, FLAG_RST, 1001, 0, FORWARDED, 0);
	run__handshake(run);
}

static void all_to_one(struct run *run)
{
	RUN_CHECK(run, !fixture__set_weights(run->fx, SVC_TCP, 0, 5));
	RUN_CHECK(run, share_of_first(run, 50) == 0);
	RUN_CHECK(run, !fixture__set_weights(run->fx, SVC_TCP, 1, 0));
	run__talk(run, SVC_TCP, LAB_CLIENT, 40000);
	run__handshake(run);
	RUN_CHECK(run, run->backend_n == 0);
}

/* Only what begins a flow takes a turn. */
static void by_turns(struct run *run)
{
	int i;

	RUN_CHECK(run, !fixture__set_turns(run->fx, SVC_TCP, 3));
	for (i = 0; i < 12 && !run->failed; i++) {
		run__talk(run, SVC_TCP, LAB_CLIENT, 40000 + i);
		run__handshake(run);
		run__say(run, CLIENT, FLAG_SYN, 1000, 0, FORWARDED, 0);
		RUN_CHECK(run, run->backend_n == (i % 4 == 3));
	}
	run__say(run, CLIENT, FLAG_RST, 1001, 0, FORWARDED, 0);
	run->learnt = false;
	run__handshake(run); /* the next connection of its port */
	RUN_CHECK(run, run->backend_n == 0);
}

/* A client stays at its backend for a time after its last new flow, while that takes any. */
static void persistence(struct run *run)
{
	int i;

	RUN_CHECK(run, !fixture__set_turns(run->fx, SVC_TCP, 1));
	RUN_CHECK(run, !fixture__set_persist(run->fx, SVC_TCP, 10));
	for (i = 0; i < 5 && !run->failed; i++) {
		run__talk(run, SVC_TCP, LAB_CLIENT, 40000 + i);
		run__handshake(run);
		RUN_CHECK(run, run->backend_n == 0);
		fixture__age_persist(run->fx, 6);
	}
	run__talk(run, SVC_TCP, LAB_FAR_CLIENT, 40000); /* its turn is the second */
	run__handshake(run);
	RUN_CHECK(run, run->backend_n == 1);
	fixture__age_persist(run->fx, 11);
	run__talk(run, SVC_TCP, LAB_FAR_CLIENT, 40001);
	run__handshake(run);
	RUN_CHECK(run, run->backend_n == 0);
	RUN_CHECK(run, !fixture__close_backend(run->fx, SVC_TCP, 0));
	run__talk(run, SVC_TCP, LAB_FAR_CLIENT, 40002);
	run__handshake(run);
	RUN_CHECK(run, run->backend_n == 1);
	RUN_CHECK(run, !fixture__bump_backend(run->fx, SVC_TCP, 1, 1));
	RUN_CHECK(run, !fixture__set_weights(run->fx, SVC_TCP, 1, 0));
	run__talk(run, SVC_TCP, LAB_FAR_CLIENT, 40003); /* it isn't the one that it knew */
	run__handshake(run);
	RUN_CHECK(run, run->backend_n == 0);
}

/* No new flows any more; those that are there go on. */
static void drained(struct run *run)
{
	run__handshake(run);
	RUN_CHECK(run, !fixture__set_weights(run->fx, SVC_TCP, 0, 0));
	run__say(run, CLIENT, FLAG_ACK, 1001, 5001, FORWARDED, 0);
	run__say(run, BACKEND, FLAG_ACK, 5001, 1001, FORWARDED, 0);
	run__talk(run, SVC_TCP, LAB_CLIENT, 40001);
	no_backend(run);
}

/* A client's next connection from the same port leaves a backend that takes no new flows. */
static void syn_on_closed_of_drained(struct run *run)
{
	int before;

	run__handshake(run);
	run__say(run, CLIENT, FLAG_RST, 1001, 0, FORWARDED, 0);
	before = run->backend_n;
	RUN_CHECK(run, !fixture__set_weights(run->fx, SVC_TCP, before, !before));
	run->learnt = false;
	run__handshake(run);
	RUN_CHECK(run, run->backend_n != before);
	run__expect_state(run, IN_FLOWS(CT_ESTABLISHED));
}

/* In the order of lbctl: first out of the pool, then gone. */
static int remove_backend(struct run *run)
{
	int gone = run->backend_n;

	RUN_CHECK(run, !fixture__set_weights(run->fx, run->svc, gone, !gone));
	RUN_CHECK(run, !fixture__bump_backend(run->fx, run->svc, gone, 0));
	return gone;
}

static void removed(struct run *run)
{
	struct counters before;
	int gone;

	run__handshake(run);
	gone = remove_backend(run);
	before = run__counters(run);
	run__say(run, CLIENT, FLAG_ACK, 1001, 5001, RESET, 0);
	RUN_CHECK(run, run__counters(run).totals.flows_removed - before.totals.flows_removed == 1);
	run__expect_state(run, NO_FLOW);
	run->learnt = false;
	run__handshake(run);
	RUN_CHECK(run, run->backend_n != gone);
}

static void removed_answers(struct run *run)
{
	run__handshake(run);
	remove_backend(run);
	run__say(run, BACKEND, FLAG_ACK, 5001, 1001, DROPPED, LB_DROP_REPLY_NO_FLOW);
	run__expect_state(run, NO_FLOW);
}

static void removed_udp(struct run *run)
{
	int gone;

	run__say(run, CLIENT, 0, 0, 0, FORWARDED, 0);
	run__say(run, BACKEND, 0, 0, 0, FORWARDED, 0);
	gone = remove_backend(run);
	run->learnt = false;
	run__say(run, CLIENT, 0, 0, 0, FORWARDED, 0);
	RUN_CHECK(run, run->backend_n != gone);
	run__expect_state(run, IN_HALF_OPEN(CT_UDP_NEW));
	run__say(run, BACKEND, 0, 0, 0, FORWARDED, 0);
}

/* A packet that still sees the pool of before: its slot's generation is over. */
static void removed_but_in_the_pool(struct run *run)
{
	RUN_CHECK(run, !fixture__bump_backend(run->fx, SVC_SOLO, 0, 0));
	no_backend(run);
}

/* Removed, and its index given to the next: flows of the old don't go there. */
static void index_reused(struct run *run)
{
	run__handshake(run);
	RUN_CHECK(run, !fixture__bump_backend(run->fx, SVC_SOLO, 0, 1));
	run__say(run, CLIENT, FLAG_ACK, 1001, 5001, RESET, 0);
	run__say(run, CLIENT, FLAG_SYN, 1000, 0, DROPPED, LB_DROP_NO_BACKEND);
	RUN_CHECK(run, !fixture__set_weights(run->fx, SVC_SOLO, 1, 0));
	run__handshake(run);
}

/* The VIP for every port leaves to another the one that has a VIP of its own. */
static void most_exact_first(struct run *run)
{
	run__handshake(run);
	RUN_CHECK(run, run->backend == LAB_BACKEND_B);
	run__talk(run, SVC_ANY, LAB_CLIENT, 40000);
	run__handshake(run);
	RUN_CHECK(run, run->backend == LAB_BACKEND_A && run->backend_port == 7777);
	run->vip_port = 81;
	run->learnt = false;
	run__handshake(run);
	RUN_CHECK(run, run->backend == LAB_BACKEND_A && run->backend_port == 81);
}

/* The same client to two VIPs, and TCP and UDP, are flows of their own. */
static void same_client_several_vips(struct run *run)
{
	static const enum service_id ids[] = { SVC_SOLO, SVC_SOLO_UDP, SVC_TCP, SVC_UDP, SVC_ANY };
	struct run talks[5];
	int i, round;

	for (round = 0; round < 2; round++) {
		for (i = 0; i < 5; i++) {
			if (!round)
				run__talk(run, ids[i], LAB_CLIENT, 40000);
			else
				*run = talks[i];
			run__say(run, CLIENT, round ? FLAG_ACK : FLAG_SYN, 1000, 5001, FORWARDED,
				 0);
			run__say(run, BACKEND, FLAG_SYN | FLAG_ACK, 5000, 1001, FORWARDED, 0);
			talks[i] = *run;
			if (run->failed)
				return;
		}
	}
}

static const struct scenario scenarios[] = {
	{ "no backend", SVC_EMPTY, .body = no_backend },
	{ "no source address", SVC_NO_SNAT, .body = no_snat },
	{ "equal shares", SVC_TCP, .body = shares, .once = true },
	{ "shares by weight", SVC_WEIGHTED, .body = shares, .once = true },
	{ "by the client's address", SVC_SOURCE, .body = by_client, .once = true },
	{ "by the client's address, again", SVC_SOURCE, .body = by_client_again, .once = true },
	{ "weight 0", SVC_TCP, .body = all_to_one, .once = true },
	{ "by turns", SVC_TCP, .body = by_turns },
	{ "persistence", SVC_TCP, .body = persistence },
	{ "drained", SVC_TCP, .body = drained },
	{ "SYN on a closed flow of a drained backend", SVC_TCP, .body = syn_on_closed_of_drained },
	{ "removed", SVC_TCP, .body = removed },
	{ "removed, and answers", SVC_TCP, .body = removed_answers },
	{ "removed, UDP", SVC_UDP, .body = removed_udp },
	{ "removed, but in the pool", SVC_SOLO, .body = removed_but_in_the_pool },
	{ "an index is used again", SVC_SOLO, .body = index_reused },
	{ "the most exact VIP first", SVC_ANY_80, .body = most_exact_first },
	{ "one client, several VIPs", SVC_SOLO, .body = same_client_several_vips, .once = true },
};

TABLE(backends, scenarios);

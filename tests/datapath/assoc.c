// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Our own flow table when it is crowded: where halves go, who is evicted for whom, and that counts
 * of a slot return to what they were. In a table of two sets each half may lie in any of its slots.
 */
#include "tables.h"

#include <string.h>

#define SLOTS (2 * CT_WAYS)

static uint16_t next_port; /* no two talks of a scenario are equal */

static void begin(struct run *run)
{
	next_port = 2048;
	RUN_CHECK(run, !half__count(run->fx, NULL));
}

/* A conversation whose client's half is at home there; in any way if way is negative. */
static void talk_at(struct run *run, enum service_id svc, uint32_t set, int way)
{
	struct ct_place home;
	struct ct_key key;

	do {
		run__talk(run, svc, LAB_CLIENT, next_port++);
		key = run__client_key(run);
		home = half__home(run->fx, &key);
	} while (home.set != set || (way >= 0 && home.way != (uint32_t)way));
}

static void talk(struct run *run, enum service_id svc)
{
	run__talk(run, svc, LAB_CLIENT, next_port++);
}

static void syn(struct run *run)
{
	run__say(run, CLIENT, FLAG_SYN, 1000, 0, FORWARDED, 0);
}

static void ack(struct run *run)
{
	run__say(run, CLIENT, FLAG_ACK, 1001, 5001, FORWARDED, 0);
}

static bool is_there(const struct run *run)
{
	struct ct_key key = run__client_key(run);
	struct half half;

	return half__get(run->fx, &key, &half);
}

/* Both halves of a pair. */
static bool is_whole(const struct run *run)
{
	struct ct_key key = run__reply_key(run);
	struct half half;

	return is_there(run) && half__get(run->fx, &key, &half);
}

/* Goes on with a conversation that was set aside. */
static void resume(struct run *run, const struct run *talk)
{
	bool failed = run->failed;
	int step = run->step;

	*run = *talk;
	run->failed = failed;
	run->step = step;
}

/* One side established, as far as the client's packets can tell. */
static struct run open_one_sided(struct run *run)
{
	talk(run, SVC_IPIP_SOLO);
	syn(run);
	ack(run);
	run__expect_state(run, IN_FLOWS(CT_ESTABLISHED));
	return *run;
}

static struct run open_pair(struct run *run)
{
	talk(run, SVC_SOLO);
	run__handshake(run);
	run__expect_state(run, IN_FLOWS(CT_ESTABLISHED));
	return *run;
}

static uint32_t near_of(struct run *run, uint32_t set, uint32_t way)
{
	return (run->fx->sets[set].ways[way].ctl & CT_NEAR_MASK) / CT_NEAR_ONE;
}

static uint32_t away_of(struct run *run, uint32_t set, uint32_t way)
{
	return (run->fx->sets[set].ways[way].ctl & CT_AWAY_MASK) / CT_AWAY_ONE;
}

static void check_table(struct run *run)
{
	const char *error = half__check_table(run->fx);

	if (error)
		run__fail(run, "%s", error);
}

static void check_place(struct run *run, uint32_t set, uint32_t way, uint32_t distance, bool away)
{
	struct half half = run__half(run, CLIENT);

	RUN_CHECK(run, half.slot == set * CT_WAYS + way);
	RUN_CHECK(run, ct_distance(half.flow.ctl) == distance);
	RUN_CHECK(run, !(half.flow.ctl & CT_AWAY) == !away);
}

/* Twelve flows of one home slot: in it, in the rest of its set, then in the other one. */
static void crowded_home(struct run *run)
{
	struct run talks[12];
	struct ct_key key;
	uint32_t i;

	begin(run);
	for (i = 0; i < 12; i++) {
		talk_at(run, SVC_IPIP_UDP, 1, 5);
		syn(run);
		check_place(run, i < CT_WAYS, (5 + i) % CT_WAYS, i % CT_WAYS, i >= CT_WAYS);
		RUN_CHECK(run, near_of(run, 1, 5) == (i < CT_WAYS ? i : CT_WAYS - 1));
		RUN_CHECK(run, away_of(run, 1, 5) == (i < CT_WAYS ? 0 : i - CT_WAYS + 1));
		talks[i] = *run;
	}
	for (i = 0; i < 12; i++) { /* all are found */
		resume(run, &talks[i]);
		ack(run);
		run__expect_state(run, IN_FLOWS(CT_UDP_ASSURED));
	}
	for (i = 0; i < 12; i++) { /* in an order of its own */
		key = run__client_key(&talks[i * 5 % 12]);
		RUN_CHECK(run, !half__evict(run->fx, &key));
		check_table(run);
	}
	RUN_CHECK(run, !near_of(run, 1, 5) && !away_of(run, 1, 5));
	RUN_CHECK(run, !half__count(run->fx, NULL));
}

/* From seven on, what lives in the other set isn't counted any more. */
static void many_away(struct run *run)
{
	struct run talks[SLOTS];
	struct ct_key key;
	int i;

	begin(run);
	for (i = 0; i < SLOTS; i++) {
		talk_at(run, SVC_IPIP_UDP, 0, 2);
		syn(run);
		talks[i] = *run;
	}
	RUN_CHECK(run, away_of(run, 0, 2) == 7 && near_of(run, 0, 2) == 7);
	for (i = 0; i < SLOTS; i++) {
		key = run__client_key(&talks[i]);
		RUN_CHECK(run, !half__evict(run->fx, &key));
		check_table(run);
	}
	RUN_CHECK(run, away_of(run, 0, 2) == 7);
	resume(run, &talks[3]); /* what is looked for there in vain is opened anew */
	syn(run);
	check_place(run, 0, 2, 0, false);
}

/* As many pairs as there is room for. */
static void full_of_pairs(struct run *run)
{
	struct counters before = run__counters(run);
	struct run talks[SLOTS / 2];
	int i;

	begin(run);
	for (i = 0; i < SLOTS / 2; i++)
		talks[i] = open_pair(run);
	for (i = 0; i < SLOTS / 2; i++) {
		resume(run, &talks[i]);
		ack(run);
		run__say(run, BACKEND, FLAG_ACK, 5001, 1001, FORWARDED, 0);
		run__expect_state(run, IN_FLOWS(CT_ESTABLISHED));
	}
	RUN_CHECK(run, half__count(run->fx, NULL) == SLOTS);
	RUN_CHECK(run, run__counters(run).totals.flows_evicted == before.totals.flows_evicted);
}

/* Of a full table: each new flow takes the place of the one that comes next. */
static void order_of_eviction(struct run *run)
{
	struct run expired, closed, half_open[2], one_sided[2], fresh[8], pairs[4];
	const struct run *order[] = { NULL,	     &expired,	    &closed,	   &half_open[1],
				      &half_open[0], &one_sided[1], &one_sided[0], &fresh[0] };
	struct counters before, after;
	int i;

	begin(run);
	for (i = 0; i < 4; i++)
		pairs[i] = open_pair(run);
	expired = open_one_sided(run);
	closed = open_one_sided(run);
	run__say(run, CLIENT, FLAG_RST, 1001, 0, FORWARDED, 0);
	for (i = 0; i < 2; i++) {
		talk(run, SVC_IPIP_SOLO);
		syn(run);
		half_open[i] = *run;
		one_sided[i] = open_one_sided(run);
	}
	run__age(&expired, PAST(CT_ESTABLISHED));
	run__age(&half_open[1], 20);
	run__age(&half_open[0], 10);
	run__age(&one_sided[1], 300);
	run__age(&one_sided[0], 200);
	for (i = 0; i < 4; i++)
		run__age(&pairs[i], 1000);
	talk(run, SVC_IPIP_SOLO); /* one more, so that one place is left */
	syn(run);
	ack(run);
	run__age(run, 5);
	RUN_CHECK(run, half__count(run->fx, NULL) == SLOTS - 1);
	for (i = 0; i < 7; i++) {
		before = run__counters(run);
		fresh[i] = open_one_sided(run);
		run__age(&fresh[i], 100 - i);
		after = run__counters(run);
		RUN_CHECK(run, !order[i] || !is_there(order[i]));
		RUN_CHECK(run, is_there(order[i + 1]));
		RUN_CHECK(run, after.totals.flows_expired - before.totals.flows_expired ==
				       (order[i] == &expired));
		RUN_CHECK(run, after.totals.flows_evicted - before.totals.flows_evicted ==
				       (order[i] && order[i] != &expired && order[i] != &closed));
		check_table(run);
	}
	for (i = 0; i < 4; i++)
		RUN_CHECK(run, is_whole(&pairs[i]));
}

/* Only flows whose both sides were seen are left: the one idle longest goes, half by half. */
static void pairs_are_evicted_last(struct run *run)
{
	struct run pairs[SLOTS / 2];
	struct counters before;
	int i;

	begin(run);
	for (i = 0; i < SLOTS / 2; i++) {
		pairs[i] = open_pair(run);
		run__age(run, 100 + 10 * (i * 3 % 8));
	}
	before = run__counters(run);
	open_one_sided(run);
	RUN_CHECK(run, !is_whole(&pairs[5])); /* 15 % 8 = 7, the largest */
	for (i = 0; i < SLOTS / 2; i++)
		RUN_CHECK(run, i == 5 || is_whole(&pairs[i]));
	RUN_CHECK(run, run__counters(run).totals.flows_evicted - before.totals.flows_evicted ==
			       !is_there(&pairs[5]));
}

/* One half-open place is enough for any number of SYNs. */
static void syn_flood(struct run *run)
{
	struct run talks[SLOTS - 1];
	struct counters before;
	int i;

	begin(run);
	for (i = 0; i < SLOTS - 1; i++) {
		talks[i] = open_one_sided(run);
		run__age(run, 3000);
	}
	before = run__counters(run);
	for (i = 0; i < 300; i++) {
		talk(run, SVC_IPIP_SOLO);
		syn(run);
	}
	for (i = 0; i < SLOTS - 1; i++)
		RUN_CHECK(run, is_there(&talks[i]));
	RUN_CHECK(run, is_there(run));
	RUN_CHECK(run,
		  run__counters(run).totals.flows_evicted - before.totals.flows_evicted == 299);
}

/* The same to fullnat, which needs two places. */
static void syn_flood_pairs(struct run *run)
{
	struct run talks[SLOTS / 2 - 1];
	int i;

	begin(run);
	for (i = 0; i < SLOTS / 2 - 1; i++) {
		talks[i] = open_pair(run);
		run__age(run, 3000);
	}
	for (i = 0; i < 300; i++) {
		talk(run, SVC_SOLO);
		syn(run);
	}
	for (i = 0; i < SLOTS / 2 - 1; i++)
		RUN_CHECK(run, is_whole(&talks[i]));
}

/* All flows of a removed backend are free places. */
static void stale_are_reused(struct run *run)
{
	struct counters before, after;
	struct run talks[SLOTS];
	int i, stale;

	begin(run);
	for (i = 0; i < SLOTS; i++)
		open_one_sided(run);
	RUN_CHECK(run, !fixture__replace_backend(run->fx, SVC_IPIP_SOLO, 0, LAB_BACKEND_A));
	RUN_CHECK(run, !fixture__set_weights(run->fx, SVC_IPIP_SOLO, 1, 0));
	RUN_CHECK(run, half__count(run->fx, &stale) == SLOTS && stale == SLOTS);
	before = run__counters(run);
	for (i = 0; i < SLOTS; i++)
		talks[i] = open_one_sided(run);
	after = run__counters(run);
	for (i = 0; i < SLOTS; i++)
		RUN_CHECK(run, is_there(&talks[i]));
	RUN_CHECK(run, half__count(run->fx, &stale) == SLOTS && !stale);
	RUN_CHECK(run, after.totals.flows_evicted == before.totals.flows_evicted);
	RUN_CHECK(run, after.totals.flows_expired == before.totals.flows_expired);
	RUN_CHECK(run, after.totals.flows_removed - before.totals.flows_removed == SLOTS);
}

/* Reply halves lose their remote address with their backend: their counts have to fit all the same.
 */
static void stale_pairs_are_reused(struct run *run)
{
	int i, stale;

	begin(run);
	for (i = 0; i < SLOTS / 2; i++)
		open_pair(run);
	RUN_CHECK(run, !fixture__replace_backend(run->fx, SVC_SOLO, 0, LAB_BACKEND_B));
	check_table(run);
	for (i = 0; i < SLOTS; i++) {
		open_one_sided(run);
		check_table(run);
	}
	RUN_CHECK(run, half__count(run->fx, &stale) == SLOTS && !stale);
}

/* Of a pair that has to go, both halves do: else one would send from a port that is free to take. */
static void evicted_pair_goes_whole(struct run *run)
{
	struct run pairs[SLOTS / 2], victim;
	int i;

	begin(run);
	for (i = 0; i < SLOTS / 2; i++) {
		pairs[i] = open_pair(run);
		run__age(run, i == 3 ? 500 : 100);
	}
	victim = pairs[3];
	talk(run, SVC_IPIP_SOLO);
	syn(run);
	for (i = 0; i < SLOTS / 2; i++)
		RUN_CHECK(run, is_whole(&pairs[i]) == (i != 3));
	resume(run, &victim);
	run__expect_state(run, NO_FLOW);
	run__say(run, CLIENT, FLAG_ACK, 1001, 5001, RESET, 0);
}

/* It has touched a flow in a tick that this one has not seen yet: that isn't idle for long. */
static void clock_ahead(struct run *run)
{
	struct run talks[SLOTS];
	struct half half;
	int i;

	begin(run);
	for (i = 0; i < SLOTS; i++) {
		talks[i] = open_one_sided(run);
		run__age(run, 1);
	}
	for (i = 0; i < SLOTS; i++) {
		if (i == 4)
			continue;
		resume(run, &talks[i]);
		half = run__half(run, CLIENT);
		half.flow.last_seen += 2 * run->fx->hz;
		half__put(run->fx, &half);
	}
	open_one_sided(run);
	for (i = 0; i < SLOTS; i++)
		RUN_CHECK(run, is_there(&talks[i]) == (i != 4));
}

/* Another CPU is at work at a flow's home slot and doesn't get ready. */
static void locked(struct run *run)
{
	uint32_t *ctl = &run->fx->sets[1].ways[3].ctl;

	begin(run);
	talk_at(run, SVC_IPIP_SOLO, 1, 3);
	*ctl |= CT_LOCK;
	run__say(run, CLIENT, FLAG_SYN, 1000, 0, DROPPED, LB_DROP_FLOW_BUSY);
	RUN_CHECK(run, *ctl & CT_LOCK && !half__count(run->fx, NULL));
	*ctl &= ~CT_LOCK;
	syn(run);
	*ctl |= CT_LOCK; /* which stops only those who create */
	ack(run);
	run__expect_state(run, IN_FLOWS(CT_ESTABLISHED));
	run__say(run, CLIENT, FLAG_FIN | FLAG_ACK, 1001, 5001, FORWARDED, 0);
	run__expect_state(run, IN_HALF_OPEN(CT_FIN));
	*ctl &= ~CT_LOCK;
}

static const struct scenario scenarios[] = {
	{ "a crowded home", .body = crowded_home, .tiny = true },
	{ "many in the other set", .body = many_away, .tiny = true, .once = true },
	{ "full of pairs", .body = full_of_pairs, .tiny = true },
	{ "order of eviction", .body = order_of_eviction, .tiny = true, .once = true, .v4 = true },
	{ "pairs are evicted last", .body = pairs_are_evicted_last, .tiny = true, .once = true },
	{ "a flood of SYNs", .body = syn_flood, .tiny = true, .once = true },
	{ "a flood of SYNs, pairs", .body = syn_flood_pairs, .tiny = true, .once = true },
	{ "stale halves are used again", .body = stale_are_reused, .tiny = true, .once = true },
	{ "stale pairs are used again", .body = stale_pairs_are_reused, .tiny = true,
	  .once = true },
	{ "an evicted pair goes whole", .body = evicted_pair_goes_whole, .tiny = true },
	{ "another CPU's clock is ahead", .body = clock_ahead, .tiny = true, .once = true },
	{ "a locked slot", .body = locked, .tiny = true, .once = true },
};

TABLE(assoc, scenarios);

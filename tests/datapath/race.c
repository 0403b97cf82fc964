// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Two CPUs with packets of the same flow, or for the same source port, at the same time. */
#define _GNU_SOURCE
#include "race.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <linux/bpf.h>

#include "tables.h"

#define RACES 2000
#define BYTES 54

static atomic_uint arrivals;

void race__meet(void)
{
	unsigned int mine = atomic_fetch_add(&arrivals, 1);

	while (atomic_load(&arrivals) / RACERS <= mine / RACERS)
		sched_yield();
}

struct racer {
	void (*work)(void *arg, int number);
	void *arg;
	int number;
};

static void *racer_run(void *arg)
{
	struct racer *racer = arg;
	cpu_set_t cpu;

	CPU_ZERO(&cpu);
	CPU_SET(racer->number, &cpu);
	sched_setaffinity(0, sizeof(cpu), &cpu);
	racer->work(racer->arg, racer->number);
	return NULL;
}

void race__run(void (*work)(void *arg, int number), void *arg)
{
	struct racer racers[RACERS];
	pthread_t threads[RACERS];
	int i;

	atomic_store(&arrivals, 0);
	for (i = 0; i < RACERS; i++) {
		racers[i] = (struct racer){ work, arg, i };
		pthread_create(&threads[i], NULL, racer_run, &racers[i]);
	}
	for (i = 0; i < RACERS; i++)
		pthread_join(threads[i], NULL);
}

/* In each race both racers send one frame at the same moment. */
struct duels {
	struct fixture *fx;
	int races;
	struct duel {
		uint8_t frame[RACERS][BYTES];
		int action[RACERS];
		uint8_t out[RACERS][BYTES];
	} duels[RACES];
};

static void duel(void *arg, int number)
{
	struct duels *duels = arg;
	struct outcome out;
	struct duel *duel;
	int i;

	for (i = 0; i < duels->races; i++) {
		duel = &duels->duels[i];
		race__meet();
		duel->action[number] = -1;
		if (fixture__run(duels->fx, duel->frame[number], BYTES, lab_ifindex[LAB_NEAR],
				 &out))
			continue;
		duel->action[number] = out.action;
		memcpy(duel->out[number], out.bytes, BYTES);
	}
}

static struct duels *duels_of(struct run *run, int races)
{
	static struct duels duels; /* large */

	duels.fx = run->fx;
	duels.races = races;
	return &duels;
}

static void build(struct frame frame, uint8_t *ret)
{
	frame.payload = frame.proto == UDP ? TCP_LEN - UDP_LEN : 0;
	frame__build(&frame, ret);
}

static void check_table(struct run *run)
{
	const char *error = half__check_table(run->fx);

	if (error)
		run__fail(run, "%s", error);
}

/* Both came out the same; or one was dropped, as busy, and the sender would send it again. */
static void compare(struct run *run, const struct duels *duels)
{
	const struct duel *duel = duels->duels;
	int i, dropped = 0;

	for (i = 0; i < duels->races && !run->failed; i++, duel++) {
		dropped += duel->action[0] == XDP_DROP || duel->action[1] == XDP_DROP;
		if (duel->action[0] == XDP_TX && duel->action[1] == XDP_TX)
			RUN_CHECK(run, !memcmp(duel->out[0], duel->out[1], BYTES));
		RUN_CHECK(run, duel->action[0] == XDP_TX || duel->action[1] == XDP_TX);
	}
	RUN_CHECK(run, dropped < duels->races / 50);
}

static int count_lonely(struct fixture *fx, const struct half *half, void *arg)
{
	struct lb_backend backend = fixture__backend(fx, half->flow.backend);
	struct ct_key peer_key;
	struct half peer;

	ct_peer_key(&half->flow, &backend, &peer_key);
	if (!half__get(fx, &peer_key, &peer) || !ct_is_pair(&half->flow, &peer.flow))
		++*(int *)arg;
	return 0;
}

/* Of those opened: on a slow machine the first are over before the last are opened. */
static int flows_there(const struct counters *counters)
{
	const struct lb_totals *totals = &counters->totals;

	return (int)(totals->flows_created - totals->flows_expired - totals->flows_removed -
		     totals->flows_evicted);
}

/* A flow opened twice at once is one flow: one backend, one port, and no half left over. */
static void opened_twice(struct run *run)
{
	struct counters before = run__counters(run), after;
	struct duels *duels = duels_of(run, RACES);
	int i, n, lonely = 0;

	for (i = 0; i < RACES; i++) {
		run__talk(run, run->svc, LAB_CLIENT, 1024 + i);
		build(run__from_client(run, FLAG_SYN, 1000, 0), duels->duels[i].frame[0]);
		build(run__from_client(run, FLAG_SYN, 1000, 0), duels->duels[i].frame[1]);
	}
	race__run(duel, duels);
	compare(run, duels);
	after = run__counters(run);
	for (i = 0; i < LB_DROPS; i++)
		RUN_CHECK(run, i == LB_DROP_FLOW_BUSY || after.drops[i] == before.drops[i]);
	/* Across a tick the second may end what the first has just made, and make it anew. */
	RUN_CHECK(run, after.totals.flows_created - before.totals.flows_created - RACES < 50);
	n = half__count(run->fx, NULL);
	if (run__is_pair(run))
		half__each(run->fx, count_lonely, &lonely);
	if (lonely ||
	    n != (flows_there(&after) - flows_there(&before)) * (run__is_pair(run) ? 2 : 1))
		run__fail(run, "%d halves, %d of them alone; %d packets were dropped as busy", n,
			  lonely,
			  (int)(after.drops[LB_DROP_FLOW_BUSY] - before.drops[LB_DROP_FLOW_BUSY]));
	check_table(run);
}

/* Two clients for few ports: no two flows get the same, and who loses one loses the flow. */
static void claimed_at_once(struct run *run)
{
	struct duels *duels = duels_of(run, RACES);
	int i, lonely = 0;

	fixture__set_ports(run->fx, 50000, 50031, 0, 0);
	for (i = 0; i < RACES; i++) {
		run__talk(run, run->svc, LAB_CLIENT, 1024 + i);
		build(run__from_client(run, FLAG_SYN, 1000, 0), duels->duels[i].frame[0]);
		run__talk(run, run->svc, LAB_REMOTE, 1024 + i);
		build(run__from_client(run, FLAG_SYN, 1000, 0), duels->duels[i].frame[1]);
	}
	race__run(duel, duels);
	half__each(run->fx, count_lonely, &lonely);
	RUN_CHECK(run, half__count(run->fx, NULL) - lonely <= 64);
	RUN_CHECK(run, half__count(run->fx, NULL) - lonely >= 60);
	/* One that had its port taken before its second half was made learns so a second later. */
	if (lonely > RACES / 50)
		run__fail(run, "%d halves without another", lonely);
	check_table(run);
}

static bool half_is_in(struct run *run, const struct ct_key *key, enum ct_state state, bool open)
{
	struct half half;

	return half__get(run->fx, key, &half) == (open ? FLOW_ESTABLISHED : FLOW_HALF_OPEN) &&
	       half__state(&half) == state &&
	       half.flow.timeout == ct_timeout_pack(fixture_timeout_s[state] * run->fx->hz);
}

static bool flow_is_in(struct run *run, const struct run *talk, enum ct_state state, bool open)
{
	struct ct_key client = run__client_key(talk), reply = run__reply_key(talk);

	return half_is_in(run, &client, state, open) && half_is_in(run, &reply, state, open);
}

/*
 * The same moment, from both sides of many conversations. before: brings them to where they race.
 * The kernel's LRU maps move an entry by copying it, so what the other CPU writes just then may be
 * lost in one half.
 */
static void both_sides(struct run *run, void (*before)(struct run *), uint8_t client_flags,
		       uint8_t backend_flags, enum ct_state state, bool open)
{
	static struct run talks[RACES / 2];
	struct duels *duels = duels_of(run, RACES / 2);
	int i, lost = 0, lost_max = run->fx->table == LB_TABLE_LRU ? RACES / 2 / 50 : 0;
	struct counters was, now;

	for (i = 0; i < duels->races && !run->failed; i++) {
		run__talk(run, run->svc, LAB_CLIENT, 1024 + i);
		before(run);
		talks[i] = *run;
		build(run__from_client(run, client_flags, 1001, 5001), duels->duels[i].frame[0]);
		build(run__from_backend(run, backend_flags, 5000, 1001), duels->duels[i].frame[1]);
	}
	was = run__counters(run);
	race__run(duel, duels);
	now = run__counters(run);
	for (i = 0; i < LB_DROPS; i++) {
		if (now.drops[i] != was.drops[i])
			run__fail(run, "%d packets dropped for reason %d",
				  (int)(now.drops[i] - was.drops[i]), i);
	}
	for (i = 0; i < duels->races; i++)
		lost += !flow_is_in(run, &talks[i], state, open);
	if (lost > lost_max)
		run__fail(run, "%d of %d flows are not as both sides left them", lost,
			  duels->races);
	check_table(run);
}

static void until_syn_ack(struct run *run)
{
	run__say(run, CLIENT, FLAG_SYN, 1000, 0, FORWARDED, 0);
	run__say(run, BACKEND, FLAG_SYN | FLAG_ACK, 5000, 1001, FORWARDED, 0);
}

static void until_half_closed(struct run *run)
{
	run__handshake(run);
	run__say(run, BACKEND, FLAG_FIN | FLAG_ACK, 5001, 1001, FORWARDED, 0);
}

static void fins_cross(struct run *run)
{
	both_sides(run, run__handshake, FLAG_FIN | FLAG_ACK, FLAG_FIN | FLAG_ACK, CT_CLOSED, false);
}

static void resets_cross(struct run *run)
{
	both_sides(run, run__handshake, FLAG_RST, FLAG_RST | FLAG_ACK, CT_CLOSED, false);
}

static void ack_crosses_syn_ack(struct run *run)
{
	both_sides(run, until_syn_ack, FLAG_ACK, FLAG_SYN | FLAG_ACK, CT_ESTABLISHED, true);
}

static void fin_crosses_fin_again(struct run *run)
{
	both_sides(run, until_half_closed, FLAG_FIN | FLAG_ACK, FLAG_FIN | FLAG_ACK, CT_CLOSED,
		   false);
}

static const struct scenario scenarios[] = {
	{ "opened twice", SVC_TCP, .body = opened_twice, .races = true, .once = true },
	{ "opened twice, one backend", SVC_SOLO, .body = opened_twice, .races = true,
	  .once = true },
	{ "opened twice, UDP", SVC_UDP, .body = opened_twice, .races = true, .once = true },
	{ "opened twice, ipip", SVC_IPIP, .body = opened_twice, .races = true, .once = true },
	{ "a port claimed at once", SVC_SOLO, .body = claimed_at_once, .races = true,
	  .once = true },
	{ "FINs cross", SVC_TCP, .body = fins_cross, .races = true, .once = true },
	{ "RSTs cross", SVC_TCP, .body = resets_cross, .races = true, .once = true },
	{ "ACK and SYN-ACK cross", SVC_TCP, .body = ack_crosses_syn_ack, .races = true,
	  .once = true },
	{ "FIN and repeated FIN cross", SVC_TCP, .body = fin_crosses_fin_again, .races = true,
	  .once = true },
};

TABLE_V4(race, scenarios);

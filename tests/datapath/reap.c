// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* lb_reap: what gc and flush ask the kernel to end. */
#include "tables.h"

#include <string.h>

static void reap(struct run *run, enum lb_reap_mode mode, int ended)
{
	struct ct_key keys[2] = { run__client_key(run), run__reply_key(run) };

	RUN_CHECK(run, half__reap(run->fx, mode, keys, 2) == ended);
}

static void alive(struct run *run)
{
	run__handshake(run);
	reap(run, LB_REAP_EXPIRED, 0);
	run__age(run, WITHIN(CT_ESTABLISHED));
	reap(run, LB_REAP_EXPIRED, 0);
	run__expect_state(run, IN_FLOWS(CT_ESTABLISHED));
	run__say(run, BACKEND, FLAG_ACK, 5001, 1001, FORWARDED, 0);
}

static void expired(struct run *run)
{
	struct counters before, after;

	run__handshake(run);
	run__age(run, PAST(CT_ESTABLISHED) + 1);
	before = run__counters(run);
	reap(run, LB_REAP_EXPIRED, 1);
	after = run__counters(run);
	RUN_CHECK(run, after.totals.flows_expired - before.totals.flows_expired == 1);
	RUN_CHECK(run, after.totals.flows_removed == before.totals.flows_removed);
	run__expect_state(run, NO_FLOW);
	reap(run, LB_REAP_EXPIRED, 0);
}

static void expired_half_open(struct run *run)
{
	run__say(run, CLIENT, FLAG_SYN, 1000, 0, FORWARDED, 0);
	run__age(run, PAST(CT_SYN) + 1);
	reap(run, LB_REAP_EXPIRED, 1);
	run__expect_state(run, NO_FLOW);
}

static void forced(struct run *run)
{
	struct counters before, after;

	run__handshake(run);
	before = run__counters(run);
	reap(run, LB_REAP_FORCE, 1);
	after = run__counters(run);
	RUN_CHECK(run, after.totals.flows_removed - before.totals.flows_removed == 1);
	run__expect_state(run, NO_FLOW);
	run__say(run, CLIENT, FLAG_ACK, 1001, 5001, RESET, 0);
	run__say(run, BACKEND, FLAG_ACK, 5001, 1001, DROPPED, LB_DROP_REPLY_NO_FLOW);
}

static void stale(struct run *run)
{
	run__handshake(run);
	fixture__bump_backend(run->fx, SVC_TCP, !run->backend_n, 0);
	reap(run, LB_REAP_EXPIRED, 0);
	fixture__bump_backend(run->fx, SVC_TCP, run->backend_n, 1);
	reap(run, LB_REAP_EXPIRED, 1);
	run__expect_state(run, NO_FLOW);
}

/* What lies beyond the count isn't looked at, and a flow counts once. */
static void many(struct run *run)
{
	struct ct_key keys[LB_REAP_MAX];
	int i;

	for (i = 0; i < LB_REAP_MAX / 2; i++) {
		run__talk(run, SVC_TCP, LAB_CLIENT, 30000 + i);
		run__say(run, CLIENT, FLAG_SYN, 1000, 0, FORWARDED, 0);
		keys[2 * i] = run__reply_key(run);
		keys[2 * i + 1] = run__client_key(run);
	}
	RUN_CHECK(run, half__reap(run->fx, LB_REAP_FORCE, keys, 0) == 0);
	RUN_CHECK(run, half__reap(run->fx, LB_REAP_FORCE, keys, 4) == 2);
	RUN_CHECK(run, half__count(run->fx, NULL) == LB_REAP_MAX - 4);
	RUN_CHECK(run,
		  half__reap(run->fx, LB_REAP_FORCE, keys, LB_REAP_MAX) == LB_REAP_MAX / 2 - 2);
	RUN_CHECK(run, half__count(run->fx, NULL) == 0);
}

static const struct scenario scenarios[] = {
	{ "alive", SVC_TCP, .body = alive },
	{ "expired", SVC_TCP, .body = expired },
	{ "expired, half-open", SVC_TCP, .body = expired_half_open },
	{ "forced", SVC_TCP, .body = forced },
	{ "backend gone", SVC_TCP, .body = stale },
	{ "many", SVC_TCP, .body = many, .once = true },
};

TABLE(reap, scenarios);

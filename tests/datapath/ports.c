// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Source ports: claimed, run out of, used again, adopted. All flows go to the only backend. */
#include "tables.h"

#include <string.h>

#define SLOTS 64

static void one_port(struct run *run)
{
	RUN_CHECK(run, !fixture__set_ports(run->fx, 50000, 50000, 0, 0));
}

/* Halves that packets can find. */
static int alive(struct run *run)
{
	int stale, n = half__count(run->fx, &stale);

	return n - stale;
}

static void talk(struct run *run, uint16_t client_port)
{
	run__talk(run, run->svc, LAB_CLIENT, client_port);
}

static void open_flow(struct run *run)
{
	if (services[run->svc].proto == TCP) {
		run__handshake(run);
		return;
	}
	run__say(run, CLIENT, 0, 0, 0, FORWARDED, 0);
	run__say(run, BACKEND, 0, 0, 0, FORWARDED, 0);
}

static void refused(struct run *run)
{
	struct counters before = run__counters(run), after;

	run__say(run, CLIENT, FLAG_SYN, 1000, 0, DROPPED, LB_DROP_NO_PORT);
	after = run__counters(run);
	RUN_CHECK(run, after.totals.ports_failed > before.totals.ports_failed);
	RUN_CHECK(run, after.totals.flows_created == before.totals.flows_created);
}

static void run_out(struct run *run)
{
	one_port(run);
	open_flow(run);
	talk(run, 40001);
	refused(run);
	run__expect_state(run, NO_FLOW);
	talk(run, 40000);
	run__say(run, CLIENT, FLAG_ACK, 1001, 5001, FORWARDED, 0); /* the first goes on */
	RUN_CHECK(run, run->snat_port == 50000);
}

/* Each number of ports serves as many flows, whatever the clients, and not one more. */
static void every_port_is_found(struct run *run)
{
	static const uint16_t sizes[] = { 1, 2, 3, 4, 5, 6, 7, 9, 12, 15, 16, 21, 27, 30, 31, 32 };
	uint16_t client_port = 1024, flow;
	uint8_t used[SLOTS];
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(*sizes) && !run->failed; i++) {
		fixture__reset(run->fx);
		if (sizes[i] >
		    2) /* the first range from slot 0 of used[] on, the second from 32 on */
			fixture__set_ports(run->fx, 50048, 50048 + sizes[i] / 2, 60000,
					   60000 + (sizes[i] - 1) / 2 - 1);
		else
			fixture__set_ports(run->fx, 50048, 50048 + sizes[i] - 1, 0, 0);
		memset(used, 0, sizeof(used));
		for (flow = 0; flow < sizes[i]; flow++) {
			talk(run, client_port += 37);
			open_flow(run);
			RUN_CHECK(run, !used[run->snat_port % SLOTS]++);
		}
		talk(run, client_port += 37);
		refused(run);
	}
}

static void closed_is_reused(struct run *run)
{
	struct counters before, after;

	one_port(run);
	run__handshake(run);
	run__say(run, CLIENT, FLAG_RST, 1001, 0, FORWARDED, 0);
	before = run__counters(run);
	talk(run, 40001);
	run__handshake(run);
	run__expect_state(run, IN_FLOWS(CT_ESTABLISHED));
	after = run__counters(run);
	RUN_CHECK(run, after.totals.ports_reused - before.totals.ports_reused == 1);
	RUN_CHECK(run, after.totals.flows_removed - before.totals.flows_removed == 1);
	RUN_CHECK(run, alive(run) == 2);
	talk(run, 40000);
	run__say(run, CLIENT, FLAG_ACK, 1001, 5001, RESET, 0);
}

static void half_open_is_taken(struct run *run)
{
	struct counters before, after;

	one_port(run);
	run__say(run, CLIENT, FLAG_SYN, 1000, 0, FORWARDED, 0);
	before = run__counters(run);
	talk(run, 40001);
	run__handshake(run);
	run__expect_state(run, IN_FLOWS(CT_ESTABLISHED));
	after = run__counters(run);
	RUN_CHECK(run, after.totals.ports_reused == before.totals.ports_reused);
	RUN_CHECK(run, alive(run) == 2);
	talk(run, 40000);
	run__say(run, CLIENT, FLAG_ACK, 1001, 5001, RESET, 0);
}

static void closed_goes_before_half_open(struct run *run)
{
	struct counters before;

	fixture__set_ports(run->fx, 50000, 50001, 0, 0);
	run__say(run, CLIENT, FLAG_SYN, 1000, 0, FORWARDED, 0);
	talk(run, 40001);
	run__handshake(run);
	run__say(run, BACKEND, FLAG_RST, 5001, 0, FORWARDED, 0);
	before = run__counters(run);
	talk(run, 40002);
	run__handshake(run);
	RUN_CHECK(run, run__counters(run).totals.ports_reused - before.totals.ports_reused == 1);
	talk(run, 40000);
	run__say(run, CLIENT, FLAG_SYN, 1000, 0, FORWARDED, 0);
	run__expect_state(run, IN_HALF_OPEN(CT_SYN));
}

static void expired_is_taken(struct run *run)
{
	struct counters before, after;

	one_port(run);
	run__handshake(run);
	run__age(run, PAST(CT_ESTABLISHED));
	before = run__counters(run);
	talk(run, 40001);
	run__handshake(run);
	after = run__counters(run);
	RUN_CHECK(run, after.totals.ports_reused == before.totals.ports_reused);
	RUN_CHECK(run, after.totals.flows_expired - before.totals.flows_expired == 1);
	RUN_CHECK(run, alive(run) == 2);
}

static void removed_backends_is_taken(struct run *run)
{
	one_port(run);
	run__handshake(run);
	RUN_CHECK(run, !fixture__bump_backend(run->fx, SVC_SOLO, 0, 1));
	RUN_CHECK(run, !fixture__set_weights(run->fx, SVC_SOLO, 1, 0));
	talk(run, 40001);
	run__handshake(run);
	RUN_CHECK(run, alive(run) == 2);
}

static void no_ports_at_all(struct run *run)
{
	fixture__set_ports(run->fx, 0, 0, 0, 0);
	run__say(run, CLIENT, FLAG_SYN, 1000, 0, DROPPED, LB_DROP_NO_PORT);
}

static void only_the_second_range(struct run *run)
{
	fixture__set_ports(run->fx, 0, 0, 50000, 50003);
	run__handshake(run);
}

/* Ports of both ranges and both addresses are used, and no two flows share one. */
static void spread(struct run *run)
{
	unsigned int low = 0, first = 0, i, j;
	uint64_t seen[200];

	for (i = 0; i < 200 && !run->failed; i++) {
		talk(run, 20000 + 11 * i);
		run__say(run, CLIENT, FLAG_SYN, 1000, 0, FORWARDED, 0);
		low += run->snat_port < PORT_HI;
		first += run->snat == LAB_SNAT_A;
		seen[i] = (uint64_t)run->snat << 16 | run->snat_port;
		for (j = 0; j < i; j++)
			RUN_CHECK(run, seen[i] != seen[j]);
	}
	RUN_CHECK(run, low > 100 && low < 170); /* 10000 of 14536 */
	RUN_CHECK(run, run->svc != SVC_SNATS || (first > 60 && first < 140));
}

/* The client's half goes, the reply half stays; the client comes again, to the same port. */
static void adopted(struct run *run)
{
	struct ct_key key = run__client_key(run);

	RUN_CHECK(run, !half__evict(run->fx, &key));
	if (services[run->svc].proto == UDP) {
		run__say(run, CLIENT, 0, 0, 0, FORWARDED, 0);
		run__expect_state(run, IN_HALF_OPEN(CT_UDP_NEW));
		run__say(run, BACKEND, 0, 0, 0, FORWARDED, 0);
		run__expect_state(run, IN_FLOWS(CT_UDP_ASSURED));
		return;
	}
	run__handshake(run);
	run__expect_state(run, IN_FLOWS(CT_ESTABLISHED));
}

static void adopted_fresh(struct run *run)
{
	run__say(run, CLIENT, FLAG_SYN, 1000, 0, FORWARDED, 0);
	adopted(run);
}

/* The same in the sight of a CPU whose clock is a tick ahead of the one that opened it: it stays as it is. */
static void adopted_a_tick_later(struct run *run)
{
	struct ct_key client, reply, again;
	struct half half, now;

	run__say(run, CLIENT, FLAG_SYN, 1000, 0, FORWARDED, 0);
	client = run__client_key(run);
	reply = run__reply_key(run);
	RUN_CHECK(run, half__get(run->fx, &reply, &half) == FLOW_HALF_OPEN);
	half.cold.created -= 3;
	RUN_CHECK(run, !half__put(run->fx, &half) && !half__evict(run->fx, &client));
	run__say(run, CLIENT, FLAG_SYN, 1000, 0, FORWARDED, 0);
	again = run__reply_key(run);
	RUN_CHECK(run, !memcmp(&again, &reply, sizeof(reply)));
	RUN_CHECK(run, half__get(run->fx, &reply, &now) == FLOW_HALF_OPEN);
	RUN_CHECK(run, now.cold.created == half.cold.created);
}

static void adopted_open(struct run *run)
{
	open_flow(run);
	adopted(run);
}

static void adopted_closed(struct run *run)
{
	open_flow(run);
	run__say(run, CLIENT, FLAG_FIN | FLAG_ACK, 1001, 5001, FORWARDED, 0);
	run__say(run, BACKEND, FLAG_FIN | FLAG_ACK, 5001, 1002, FORWARDED, 0);
	adopted(run);
}

static void adopted_expired(struct run *run)
{
	open_flow(run);
	run__age(run, 10000);
	adopted(run);
}

/* Removed, and another took its place: the old reply half leads to nobody. */
static void adopted_of_old_backend(struct run *run)
{
	open_flow(run);
	fixture__bump_backend(run->fx, run->svc, 0, 1);
	fixture__set_weights(run->fx, run->svc, 1, 0);
	adopted(run);
}

static const struct scenario scenarios[] = {
	{ "run out", SVC_SOLO, .body = run_out },
	{ "run out, UDP", SVC_SOLO_UDP, .body = run_out },
	{ "every port is found", SVC_SOLO, .body = every_port_is_found, .once = true },
	{ "every port is found, UDP", SVC_SOLO_UDP, .body = every_port_is_found, .once = true },
	{ "a closed flow's is used again", SVC_SOLO, .body = closed_is_reused },
	{ "a half-open flow's is taken", SVC_SOLO, .body = half_open_is_taken },
	{ "closed goes before half-open", SVC_SOLO, .body = closed_goes_before_half_open },
	{ "an expired flow's is taken", SVC_SOLO, .body = expired_is_taken },
	{ "a removed backend's is taken", SVC_SOLO, .body = removed_backends_is_taken },
	{ "no ports at all", SVC_SOLO, .body = no_ports_at_all },
	{ "only the second range", SVC_SOLO, .body = only_the_second_range },
	{ "spread", SVC_SOLO, .body = spread, .once = true },
	{ "spread over two addresses", SVC_SNATS, .body = spread, .once = true },
	{ "adopted, fresh", SVC_SOLO, .body = adopted_fresh },
	{ "adopted, fresh, UDP", SVC_SOLO_UDP, .body = adopted_fresh },
	{ "adopted, a tick later", SVC_SOLO, .body = adopted_a_tick_later },
	{ "adopted, established", SVC_SOLO, .body = adopted_open },
	{ "adopted, assured", SVC_SOLO_UDP, .body = adopted_open },
	{ "adopted, closed", SVC_SOLO, .body = adopted_closed },
	{ "adopted, expired", SVC_SOLO, .body = adopted_expired },
	{ "adopted, expired, UDP", SVC_SOLO_UDP, .body = adopted_expired },
	{ "adopted, of a removed backend", SVC_SOLO, .body = adopted_of_old_backend },
	{ "adopted, of a removed backend, UDP", SVC_SOLO_UDP, .body = adopted_of_old_backend },
};

TABLE(ports, scenarios);

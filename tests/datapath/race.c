// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Two CPUs with packets of the same flow at the same time. */
#define _GNU_SOURCE
#include "tables.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <linux/bpf.h>

#define RACES  5000
#define RACERS 2
#define BYTES  54

struct racer {
	struct fixture *fx;
	const uint8_t *frames; /* one for each race */
	atomic_int *at_start;
	int number;
	int err;
	struct result {
		int action;
		uint8_t bytes[BYTES];
	} results[RACES];
};

static void *racer_run(void *arg)
{
	struct racer *racer = arg;
	struct outcome out;
	cpu_set_t cpu;
	int i;

	CPU_ZERO(&cpu);
	CPU_SET(racer->number, &cpu);
	sched_setaffinity(0, sizeof(cpu), &cpu);
	for (i = 0; i < RACES && !racer->err; i++) {
		atomic_fetch_add(racer->at_start, 1);
		while (atomic_load(racer->at_start) < RACERS * (i + 1))
			sched_yield();
		racer->err = fixture__run(racer->fx, racer->frames + i * BYTES, BYTES,
					  lab_ifindex[LAB_NEAR], &out);
		racer->results[i].action = out.action;
		memcpy(racer->results[i].bytes, out.bytes, BYTES);
	}
	atomic_fetch_add(racer->at_start, RACERS * RACES); /* nobody waits for who gave up */
	return NULL;
}

static void make_frames(struct run *run, uint8_t *frames)
{
	struct frame frame;
	int i;

	for (i = 0; i < RACES; i++) {
		run__talk(run, run->svc, LAB_CLIENT, 1024 + i);
		frame = run__from_client(run, FLAG_SYN, 1000, 0);
		frame.payload = services[run->svc].proto == UDP ? TCP_LEN - UDP_LEN : 0;
		frame__build(&frame, frames + i * BYTES);
	}
}

/* Both came out the same; or one was dropped, as busy, and the sender would send it again. */
static void compare(struct run *run, struct racer *racers)
{
	struct result *a, *b;
	int i, dropped = 0;

	for (i = 0; i < RACES && !run->failed; i++) {
		a = &racers[0].results[i];
		b = &racers[1].results[i];
		dropped += a->action == XDP_DROP || b->action == XDP_DROP;
		if (a->action == XDP_TX && b->action == XDP_TX)
			RUN_CHECK(run, !memcmp(a->bytes, b->bytes, BYTES));
		RUN_CHECK(run, a->action == XDP_TX || b->action == XDP_TX);
	}
	RUN_CHECK(run, dropped < RACES / 10);
}

/* A flow opened twice at once is one flow: one backend, one port, and no half left over. */
static void opened_twice(struct run *run)
{
	struct racer *racers = calloc(RACERS, sizeof(*racers));
	uint8_t *frames = malloc(RACES * BYTES);
	struct counters before = run__counters(run), after;
	atomic_int at_start = 0;
	pthread_t threads[RACERS];
	int i;

	make_frames(run, frames);
	for (i = 0; i < RACERS; i++) {
		racers[i].fx = run->fx;
		racers[i].frames = frames;
		racers[i].at_start = &at_start;
		racers[i].number = i;
		pthread_create(&threads[i], NULL, racer_run, &racers[i]);
	}
	for (i = 0; i < RACERS; i++) {
		pthread_join(threads[i], NULL);
		RUN_CHECK(run, !racers[i].err);
	}
	compare(run, racers);
	after = run__counters(run);
	for (i = 0; i < LB_DROPS; i++)
		RUN_CHECK(run, i == LB_DROP_FLOW_BUSY || after.drops[i] == before.drops[i]);
	/* Across a tick the second may end what the first has just made, and make it anew. */
	RUN_CHECK(run, after.totals.flows_created - before.totals.flows_created - RACES < 50);
	RUN_CHECK(run, fixture__flows_n(run->fx) == 2 * RACES);
	free(frames);
	free(racers);
}

static const struct scenario scenarios[] = {
	{ "opened twice", SVC_TCP, .body = opened_twice, .once = true },
	{ "opened twice, one backend", SVC_SOLO, .body = opened_twice, .once = true },
	{ "opened twice, UDP", SVC_UDP, .body = opened_twice, .once = true },
};

TABLE(race, scenarios);

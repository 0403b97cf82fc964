/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Times maglev__build() alone; linked with user/maglev.c. Prints JSON, times in milliseconds. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lb_abi.h"
#include "maglev.h"

#define RUNS 15

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e3 + ts.tv_nsec / 1e6;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Every member has its share, to within a hundredth of all slots. */
static bool shares_even(const uint32_t *slots, size_t n)
{
	uint32_t *share = calloc(n, sizeof(*share));
	bool even = share;

	for (uint32_t i = 0; even && i < LB_MAGLEV_SLOTS; i++) {
		even = slots[i] < n;
		if (even)
			share[slots[i]]++;
	}
	for (size_t i = 0; even && i < n; i++)
		even = labs((long)share[i] - (long)(LB_MAGLEV_SLOTS / n)) <= LB_MAGLEV_SLOTS / 100;
	free(share);
	return even;
}

static int build_timed(const struct maglev_member *members, size_t n, uint32_t *slots)
{
	double ms[RUNS];
	int i, err;

	for (i = 0; i < RUNS; i++) {
		double start = now_ms();

		err = maglev__build(members, n, LB_MAGLEV_SLOTS, slots);
		ms[i] = now_ms() - start;
		if (err)
			return err;
	}
	if (!shares_even(slots, n))
		return -1;
	qsort(ms, RUNS, sizeof(ms[0]), by_value);
	printf("{\"backends\":%zu,\"slots\":%u,\"min_ms\":%.3f,\"median_ms\":%.3f}\n", n,
	       LB_MAGLEV_SLOTS, ms[0], ms[RUNS / 2]);
	return 0;
}

int main(int argc, char **argv)
{
	size_t n = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
	struct maglev_member *members;
	char(*names)[32];
	uint32_t *slots;
	int err;

	if (!n || n > LB_POOL_MAX) {
		fprintf(stderr, "usage: control_maglev BACKENDS (up to %d)\n", LB_POOL_MAX);
		return 2;
	}
	members = calloc(n, sizeof(*members));
	names = calloc(n, sizeof(*names));
	slots = calloc(LB_MAGLEV_SLOTS, sizeof(*slots));
	if (!members || !names || !slots) {
		perror("control_maglev");
		return 1;
	}
	for (size_t i = 0; i < n; i++) {
		snprintf(names[i], sizeof(names[i]), "10.64.%zu.%zu:7", i / 250, i % 250 + 1);
		members[i] = (struct maglev_member){ .name = names[i], .weight = 1 };
	}
	err = build_timed(members, n, slots);
	if (err)
		fprintf(stderr, "control_maglev: the table is wrong or was not built\n");
	free(slots);
	free(names);
	free(members);
	return err ? 1 : 0;
}

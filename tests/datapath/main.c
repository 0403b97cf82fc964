// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Packets in, packets out: runs every table of scenarios through the real programs, as both attach
 * modes and with both flow tables. An argument is a pattern of test names (tcp*) to run only those.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tables.h"

#define SKIPPED	 77
#define FIXTURES (VARIANTS * FLOW_TABLES)

struct test {
	const struct table *table;
	struct fixture *fx;
};

static struct fixture fixtures[FIXTURES], tiny[VARIANTS];

/* Reasons that one frame at a time, of at most a page, can't meet. */
static const struct {
	int drop;
	const char *why;
} unreachable[] = {
	{ LB_DROP_CHECKSUM, "needs a frame longer than test runs take" },
	{ LB_DROP_OUTPUT, "needs a frame whose headroom is used up" },
};

static void test_table(void **state)
{
	const struct test *test = *state;

	if (!strcmp(test->table->name, "race") && run__by_turns()) {
		print_message("these CPUs are emulated by turns, so no two packets meet\n");
		skip();
	}
	assert_int_equal(run__table(test->table, test->fx), 0);
}

static const char *why_unreachable(int drop)
{
	size_t i;

	for (i = 0; i < sizeof(unreachable) / sizeof(*unreachable); i++) {
		if (unreachable[i].drop == drop)
			return unreachable[i].why;
	}
	return NULL;
}

static void test_all_reasons_met(void **state)
{
	static const char *const names[] = {
#define DROP_NAME(name, text, help) [LB_DROP_##name] = text,
		LB_DROP_REASONS(DROP_NAME)
#undef DROP_NAME
	};
	int i, missed = 0;

	(void)state;
	for (i = 0; i < LB_DROPS; i++) {
		if (run_reached[i] || why_unreachable(i))
			continue;
		fprintf(stderr, "no scenario was dropped as %s\n", names[i]);
		missed++;
	}
	assert_int_equal(missed, 0);
}

static int setup(void **state)
{
	int i, err = 0;

	(void)state;
	for (i = 0; i < FIXTURES && !err; i++)
		err = fixture__open(&fixtures[i], i % VARIANTS, i / VARIANTS, SETS_BITS);
	for (i = 0; i < VARIANTS && !err; i++) {
		err = fixture__open(&tiny[i], i, LB_TABLE_ASSOC, TINY_SETS_BITS);
		fixtures[LB_TABLE_ASSOC * VARIANTS + i].tiny = &tiny[i];
		fixtures[LB_TABLE_ASSOC * VARIANTS + i].other =
			&fixtures[LB_TABLE_LRU * VARIANTS + i];
	}
	if (err)
		fprintf(stderr, "the data path could not be loaded: %s\n", strerror(-err));
	return err ? -1 : 0;
}

/* What is kept and hinted at is so per CPU: all packets of one conversation go by the same. */
static void stay_on_one_cpu(void)
{
	cpu_set_t cpus;
	int cpu = sched_getcpu();

	CPU_ZERO(&cpus);
	CPU_SET(cpu < 0 ? 0 : cpu, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
}

static int teardown(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < FIXTURES; i++)
		fixture__close(&fixtures[i]);
	for (i = 0; i < VARIANTS; i++)
		fixture__close(&tiny[i]);
	return 0;
}

#define TABLE_ADDRESS(name) &name##_table,
static const struct table *const tables[] = { TABLES(TABLE_ADDRESS) };
#undef TABLE_ADDRESS

#define TABLES_N (sizeof(tables) / sizeof(*tables))

int main(int argc, char **argv)
{
	static struct test states[TABLES_N * FIXTURES];
	static struct CMUnitTest tests[TABLES_N * FIXTURES + 1];
	static char names[TABLES_N * FIXTURES][64];
	size_t n;
	int err;

	err = lab__enter();
	if (err) {
		fprintf(stderr,
			"%s: data-path tests: a network namespace could not be made: %s%s\n",
			geteuid() ? "SKIP" : "FAIL", strerror(-err),
			geteuid() ? "; run as root" : "");
		return geteuid() ? SKIPPED : EXIT_FAILURE;
	}
	stay_on_one_cpu();
	for (n = 0; n < TABLES_N * FIXTURES; n++) {
		states[n].table = tables[n / FIXTURES];
		states[n].fx = &fixtures[n % FIXTURES];
		snprintf(names[n], sizeof(names[n]), "%s, %s, %s", states[n].table->name,
			 n % VARIANTS == GENERIC ? "generic" : "native",
			 n % FIXTURES / VARIANTS == LB_TABLE_ASSOC ? "assoc" : "lru");
		tests[n] = (struct CMUnitTest){ names[n], test_table, NULL, NULL, &states[n] };
	}
	tests[n] = (struct CMUnitTest){ "all drop reasons met", test_all_reasons_met, NULL, NULL,
					NULL };
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("datapath", tests, setup, teardown);
}

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Packets in, packets out: runs every table of scenarios through the real programs, as both attach
 * modes load them. An argument is a pattern of test names (tcp*) to run only those.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tables.h"

#define SKIPPED 77

struct test {
	const struct table *table;
	struct fixture *fx;
};

static struct fixture fixtures[VARIANTS];

/* Reasons that one frame at a time, of at most a page, can't meet. */
static const struct {
	int drop;
	const char *why;
} unreachable[] = {
	{ LB_DROP_FLOW_BUSY, "needs two CPUs in the same flow at once" },
	{ LB_DROP_CHECKSUM, "needs a frame longer than test runs take" },
	{ LB_DROP_OUTPUT, "needs a frame whose headroom is used up" },
};

static void test_table(void **state)
{
	const struct test *test = *state;

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
	int i, err;

	(void)state;
	for (i = 0; i < VARIANTS; i++) {
		err = fixture__open(&fixtures[i], i);
		if (err) {
			fprintf(stderr, "the data path could not be loaded: %s\n", strerror(-err));
			return -1;
		}
	}
	return 0;
}

static int teardown(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < VARIANTS; i++)
		fixture__close(&fixtures[i]);
	return 0;
}

#define TABLE_ADDRESS(name) &name##_table,
static const struct table *const tables[] = { TABLES(TABLE_ADDRESS) };
#undef TABLE_ADDRESS

#define TABLES_N (sizeof(tables) / sizeof(*tables))

int main(int argc, char **argv)
{
	static struct test states[TABLES_N * VARIANTS];
	static struct CMUnitTest tests[TABLES_N * VARIANTS + 1];
	static char names[TABLES_N * VARIANTS][64];
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
	for (n = 0; n < TABLES_N * VARIANTS; n++) {
		states[n].table = tables[n / VARIANTS];
		states[n].fx = &fixtures[n % VARIANTS];
		snprintf(names[n], sizeof(names[n]), "%s, %s", states[n].table->name,
			 n % VARIANTS == GENERIC ? "generic" : "native");
		tests[n] = (struct CMUnitTest){ names[n], test_table, NULL, NULL, &states[n] };
	}
	tests[n] = (struct CMUnitTest){ "all drop reasons met", test_all_reasons_met, NULL, NULL,
					NULL };
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("datapath", tests, setup, teardown);
}

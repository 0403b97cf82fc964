// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Weighted round robin: shares, order, limits. */
#include "unit.h"

#include <string.h>

#include "wrr.h"

#define TURNS 4096

static uint32_t turns[TURNS];

static void expect(const uint16_t *weights, size_t n, const char *order)
{
	size_t i, turns_n = wrr__build(weights, n, TURNS, turns);

	assert_int_equal(turns_n, strlen(order));
	for (i = 0; i < turns_n; i++)
		assert_int_equal(turns[i], order[i] - 'a');
}

static void test_order(void **state)
{
	(void)state;
	expect((uint16_t[]){ 1 }, 1, "a");
	expect((uint16_t[]){ 1, 1 }, 2, "ab");
	expect((uint16_t[]){ 7, 7, 7 }, 3, "abc");
	expect((uint16_t[]){ 5, 1, 1 }, 3, "aabacaa");
	expect((uint16_t[]){ 30, 10 }, 2, "aaba");
	expect((uint16_t[]){ 0, 2, 0, 4 }, 4, "dbd");
	expect((uint16_t[]){ 0, 0 }, 2, "");
	expect(NULL, 0, "");
}

static void shares(const uint16_t *weights, size_t n, uint32_t *ret)
{
	size_t i, turns_n = wrr__build(weights, n, TURNS, turns);

	assert_in_range(turns_n, 1, TURNS);
	memset(ret, 0, n * sizeof(*ret));
	for (i = 0; i < turns_n; i++) {
		assert_in_range(turns[i], 0, n - 1);
		ret[turns[i]]++;
	}
}

/* What doesn't fit is rounded, and nobody with a weight is left out. */
static void test_limits(void **state)
{
	static uint16_t weights[1024];
	static uint32_t got[1024];
	size_t i;

	(void)state;
	for (i = 0; i < 1024; i++)
		weights[i] = i == 7 ? 65535 : i == 8 ? 0 : 1;
	shares(weights, 1024, got);
	for (i = 0; i < 1024; i++)
		assert_true(i == 8 ? !got[i] : got[i] >= 1);
	assert_in_range(got[7], 2900, 3100);
	for (i = 0; i < 1024; i++)
		weights[i] = 65535;
	shares(weights, 1024, got);
	for (i = 0; i < 1024; i++)
		assert_int_equal(got[i], 1);
	shares((uint16_t[]){ 65535, 65534 }, 2, got);
	assert_in_range(got[0], 2047, 2049);
	assert_in_range(got[1], 2046, 2048);
	shares((uint16_t[]){ 65535, 1 }, 2, got);
	assert_int_equal(got[1], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

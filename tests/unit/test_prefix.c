/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Prefixes: text to what the kernel compares, and back. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "text.h"

static const struct {
	const char *text;
	const char *canonical; /* NULL: refused */
	const char *why;       /* part of the message */
	unsigned int bits;
} cases[] = {
	{ "10.0.0.0/8", "10.0.0.0/8", NULL, 32 + 96 + 8 },
	{ "10.1.2.3", "10.1.2.3/32", NULL, 32 + 128 },
	{ "0.0.0.0/0", "0.0.0.0/0", NULL, 32 + 96 },
	{ "10.1.2.128/25", "10.1.2.128/25", NULL, 32 + 96 + 25 },
	{ "2001:DB8::/32", "2001:db8::/32", NULL, 32 + 32 },
	{ "2001:db8::1", "2001:db8::1/128", NULL, 32 + 128 },
	{ "::/0", "::/0", NULL, 32 },
	{ "fe80::/10", "fe80::/10", NULL, 32 + 10 },
	{ "10.0.0.1/8", NULL, "the network is 10.0.0.0/8", 0 },
	{ "10.1.2.129/25", NULL, "the network is 10.1.2.128/25", 0 },
	{ "2001:db8::1/127", NULL, "the network is 2001:db8::/127", 0 },
	{ "10.0.0.0/33", NULL, "from 0 to 32", 0 },
	{ "::/129", NULL, "from 0 to 128", 0 },
	{ "10.0.0.0/", NULL, "bad prefix length", 0 },
	{ "10.0.0.0/08", NULL, "bad prefix length", 0 },
	{ "10.0.0.0/8/8", NULL, "bad prefix length", 0 },
	{ "10.0.0.0/-1", NULL, "bad prefix length", 0 },
	{ "10.0.0/8", NULL, "bad address", 0 },
	{ "/8", NULL, "bad address", 0 },
	{ "", NULL, "bad address", 0 },
	{ "10.0.0.0 /8", NULL, "bad address", 0 },
	{ "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc/1", NULL, "bad address", 0 },
};

static void test_cases(void **state)
{
	struct text_error error;
	char text[TEXT_PREFIX_MAX];
	struct lb_prefix prefix;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int err = text__parse_prefix(cases[i].text, &prefix, &error);

		if (cases[i].canonical) {
			assert_int_equal(err, 0);
			assert_int_equal(prefix.bits, cases[i].bits);
			assert_int_equal(prefix.list, strchr(cases[i].text, ':') ? LB_LIST_V6 : 0);
			assert_string_equal(text__format_prefix(&prefix, text, sizeof(text)),
					    cases[i].canonical);
		} else {
			assert_int_equal(err, -EINVAL);
			if (!strstr(error.why, cases[i].why))
				fail_msg("%s: %s", cases[i].text, error.why);
		}
	}
}

static void test_list(void **state)
{
	struct lb_prefix list[2];
	struct text_error error;
	size_t n = 0;

	(void)state;
	assert_int_equal(text__parse_prefix_list("10.0.0.0/8,::/0", list, 2, &n, &error), 0);
	assert_int_equal(n, 2);
	assert_int_equal(text__parse_prefix_list("10.0.0.1,10.0.0.1/32", list, 2, &n, &error), -EINVAL);
	assert_non_null(strstr(error.why, "twice"));
	assert_int_equal(text__parse_prefix_list("1.0.0.0,2.0.0.0,3.0.0.0", list, 2, &n, &error),
			 -EINVAL);
	assert_non_null(strstr(error.why, "at most 2"));
	assert_int_equal(text__parse_prefix_list("10.0.0.1,", list, 2, &n, &error), -EINVAL);
	assert_int_equal(text__parse_prefix_list("", list, 2, &n, &error), -EINVAL);
}

static void test_overlap(void **state)
{
	static const struct {
		const char *a, *b;
		bool overlap;
	} pairs[] = {
		{ "10.0.0.0/8", "10.1.2.3", true },	{ "10.1.2.3", "10.0.0.0/8", true },
		{ "10.0.0.0/8", "11.0.0.0/8", false },	{ "0.0.0.0/0", "10.0.0.0/8", true },
		{ "::/0", "10.0.0.0/8", false },	{ "::/0", "2001:db8::1", true },
		{ "2001:db8::/33", "2001:db8:8000::/33", false },
	};
	struct lb_prefix a, b;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		assert_int_equal(text__parse_prefix(pairs[i].a, &a, NULL), 0);
		assert_int_equal(text__parse_prefix(pairs[i].b, &b, NULL), 0);
		assert_int_equal(lb_prefix__overlap(&a, &b), pairs[i].overlap);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_overlap),
	};

	return cmocka_run_group_tests_name("prefix", tests, NULL, NULL);
}

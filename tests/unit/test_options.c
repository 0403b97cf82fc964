/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Options: where they may stand, what is refused and how, help from the same table. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

#define ARGS_MAX 16

struct demo_options {
	uint16_t weight;
	uint32_t wait_ms;
	uint32_t flows;
	int mode;
	bool all;
	int calls;
	struct service vip;
	const char *reload;
};

static int count_call(const char *text, void *into, struct text_error *error)
{
	if (!strcmp(text, "bad"))
		return text_error__set(error, "never \"bad\"");
	++*(int *)into;
	return 0;
}

/* clang-format off */
static const struct option_def demo_defs[] = {
	{ .name = "weight", .arg = "N", .help = "share of new flows", .parse = option__parse_weight,
	  .offset = offsetof(struct demo_options, weight) },
	{ .name = "wait", .arg = "DURATION", .help = "how long", .parse = option__parse_duration,
	  .offset = offsetof(struct demo_options, wait_ms) },
	{ .name = "flows", .arg = "N", .help = "capacity", .parse = option__parse_count,
	  .offset = offsetof(struct demo_options, flows) },
	{ .name = "mode", .arg = "auto|native|generic", .help = "how to attach",
	  .offset = offsetof(struct demo_options, mode) },
	{ .name = "all", .help = "everything", .offset = offsetof(struct demo_options, all) },
	{ .name = "timeout", .arg = "STATE=DURATION", .help = "a state's timeout", .many = true,
	  .parse = count_call, .offset = offsetof(struct demo_options, calls) },
	{ .name = "vip", .arg = "VIP", .help = "only this VIP", .parse = option__parse_vip,
	  .offset = offsetof(struct demo_options, vip) },
	{ .name = "reload", .arg = "FILE", .help = "from", .letter = 'r',
	  .parse = option__parse_text, .offset = offsetof(struct demo_options, reload) },
};
/* clang-format on */

/* One parsed command line; words are split at blanks, and "''" is an empty one. */
struct line {
	char text[256];
	char *argv[ARGS_MAX];
	int argc;
	int operand;
	struct demo_options demo;
	struct global_options global;
	struct option_set sets[2];
	struct text_error error;
};

static int line_parse(struct line *line, const char *text, bool stop_at_operand, bool with_demo)
{
	*line = (struct line){};
	line->sets[0] =
		(struct option_set){ global_option_defs, GLOBAL_OPTIONS_N, &line->global, 0 };
	line->sets[1] = (struct option_set){ demo_defs, ARRAY_SIZE(demo_defs), &line->demo, 0 };
	snprintf(line->text, sizeof(line->text), "lbctl %s", text);
	for (char *word = strtok(line->text, " "); word; word = strtok(NULL, " "))
		line->argv[line->argc++] = strcmp(word, "''") ? word : word + 2;
	return options__parse(line->argc, line->argv, stop_at_operand, line->sets,
			      with_demo ? 2 : 1, &line->operand, &line->error);
}

static void operands_check(const struct line *line, const char *expected)
{
	char joined[256] = "";

	for (int i = line->operand; i < line->argc; i++)
		snprintf(joined + strlen(joined), sizeof(joined) - strlen(joined), "%s%s",
			 i > line->operand ? " " : "", line->argv[i]);
	assert_string_equal(joined, expected);
}

static void test_values(void **state)
{
	struct line line;

	(void)state;
	assert_int_equal(line_parse(&line,
				    "--weight=5 --wait 3s --flows 4096 --mode native --all "
				    "--vip 10.0.0.1:80",
				    false, true),
			 0);
	assert_int_equal(line.demo.weight, 5);
	assert_int_equal(line.demo.wait_ms, 3000);
	assert_int_equal(line.demo.flows, 4096);
	assert_int_equal(line.demo.mode, 1);
	assert_true(line.demo.all);
	assert_int_equal(line.demo.vip.port, 80);
	assert_true(options__seen(&line.sets[1], "weight"));
	assert_true(options__seen(&line.sets[1], "vip"));
	assert_false(options__seen(&line.sets[1], "timeout"));
	assert_false(options__seen(&line.sets[1], "nonsense"));
	assert_int_equal(line.sets[0].seen, 0);
	operands_check(&line, "");
	assert_int_equal(line_parse(&line, "", false, true), 0);
	assert_int_equal(line.sets[1].seen, 0);
}

static void test_places(void **state)
{
	struct line line;

	(void)state;
	assert_int_equal(line_parse(&line, "10.0.0.1:80 --weight 5 10.0.0.2 -o json", false, true),
			 0);
	operands_check(&line, "10.0.0.1:80 10.0.0.2");
	assert_int_equal(line.demo.weight, 5);
	assert_int_equal(line.global.format, OUT_JSON);
	assert_int_equal(line_parse(&line, "a --all -- --weight -v", false, true), 0);
	operands_check(&line, "a --weight -v");
	assert_false(line.global.verbose);
	assert_int_equal(line_parse(&line, "- a", false, true), 0);
	operands_check(&line, "- a");
}

/* First the global options up to the command, then all of them behind it. */
static void test_two_steps(void **state)
{
	struct line line;
	int command;

	(void)state;
	assert_int_equal(line_parse(&line, "--pin-dir /x attach eth0 --mode generic -v eth1 -ojson",
				    true, false),
			 0);
	assert_string_equal(line.global.pin_dir, "/x");
	operands_check(&line, "attach eth0 --mode generic -v eth1 -ojson");
	command = line.operand;
	assert_int_equal(options__parse(line.argc - command, line.argv + command, false, line.sets,
					2, &line.operand, &line.error),
			 0);
	line.operand += command;
	operands_check(&line, "eth0 eth1");
	assert_int_equal(line.demo.mode, 2);
	assert_true(line.global.verbose);
	assert_int_equal(line.global.format, OUT_JSON);
}

/* A global option before and after the command is one too many. */
static void test_twice_in_two_steps(void **state)
{
	struct line line;
	int command;

	(void)state;
	assert_int_equal(line_parse(&line, "--pin-dir /x show --pin-dir /y", true, false), 0);
	command = line.operand;
	assert_int_equal(options__parse(line.argc - command, line.argv + command, false, line.sets,
					2, &line.operand, &line.error),
			 -EINVAL);
	assert_string_equal(line.error.why, "--pin-dir is given twice");
}

static void test_many(void **state)
{
	struct line line;

	(void)state;
	assert_int_equal(line_parse(&line, "--timeout a=1s --timeout=b=2s -v -v -vv", false, true),
			 0);
	assert_int_equal(line.demo.calls, 2);
	assert_true(line.global.verbose);
}

static void test_refusals(void **state)
{
	static const struct {
		const char *line;
		const char *why;
	} cases[] = {
		{ "--nonsense", "unknown option --nonsense" },
		{ "--nonsense=1", "unknown option --nonsense" },
		{ "-x", "unknown option -x" },
		{ "-vx", "unknown option -x" },
		{ "--weigh 5", "unknown option --weigh" },
		{ "--weigh=5", "unknown option --weigh" },
		{ "--weigh", "unknown option --weigh" },
		{ "--w 5", "unknown option --w" },
		{ "--al", "unknown option --al" },
		{ "--al=1", "unknown option --al" },
		{ "--we=5", "unknown option --we" },
		{ "--weights 5", "unknown option --weights" },
		{ "a --weight", "--weight needs an argument: N" },
		{ "-o", "-o needs an argument: table|json" },
		{ "--all=yes", "--all takes no argument" },
		{ "--weight 5 --weight 6", "--weight is given twice" },
		{ "-o json --output table", "--output is given twice" },
		{ "--weight x", "--weight: bad weight \"x\": a number from 0 to 65535" },
		{ "--weight=", "--weight: bad weight \"\": a number from 0 to 65535" },
		{ "--weight -1", "--weight: bad weight \"-1\": a number from 0 to 65535" },
		{ "--flows 0", "--flows: bad number \"0\": a number from 1 to 4294967295" },
		{ "--mode nativ", "--mode: \"nativ\" is not one of auto|native|generic" },
		{ "--mode ''", "--mode: \"\" is not one of auto|native|generic" },
		{ "--mode auto|native",
		  "--mode: \"auto|native\" is not one of auto|native|generic" },
		{ "--timeout bad", "--timeout: never \"bad\"" },
		{ "--pin-dir ''", "--pin-dir: the argument is empty" },
		{ "-oxml", "--output: \"xml\" is not one of table|json" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct line line;

		if (line_parse(&line, cases[i].line, false, true) != -EINVAL)
			fail_msg("%s was taken", cases[i].line);
		assert_string_equal(line.error.why, cases[i].why);
	}
}

/* Random words out of pieces of good ones: no crash, and every answer is 0 or has words. */
static void test_random_lines(void **state)
{
	static const char *const words[] = {
		"--weight", "--weight=7", "5",	 "--wait", "3s",   "--mode", "native", "--all",
		"--all=1",  "-v",	  "-vo", "-o",	   "json", "--",     "-",      "--timeout",
		"a",	    "--w",	  "-r",	 "-rx",	   "''",   "-h",
	};
	uint64_t seed = 4;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		size_t n = unit_random(&seed) % 8;
		char text[256] = "";
		struct line line;
		int err;

		for (size_t j = 0; j < n; j++) {
			strcat(text, words[unit_random(&seed) % ARRAY_SIZE(words)]);
			strcat(text, " ");
		}
		err = line_parse(&line, text, i % 2, i % 3);
		assert_true(err ? err == -EINVAL && line.error.why[0] : line.operand <= line.argc);
	}
}

static void test_help(void **state)
{
	static const char *const lines[] = {
		"      --weight N                  share of new flows\n",
		"      --mode auto|native|generic  how to attach\n",
		"      --all                       everything\n",
		"  -r, --reload FILE               from\n",
	};
	char *text;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	(void)state;
	assert_non_null(to);
	options__help(demo_defs, ARRAY_SIZE(demo_defs), to);
	fclose(to);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		assert_non_null(strstr(text, lines[i]));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),	     cmocka_unit_test(test_places),
		cmocka_unit_test(test_two_steps),    cmocka_unit_test(test_twice_in_two_steps),
		cmocka_unit_test(test_many),	     cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_random_lines), cmocka_unit_test(test_help),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

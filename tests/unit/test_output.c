/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Tables and JSON from the same rows, streaming, write errors. */
#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "output.h"

static const struct out_column columns[] = {
	{ "VIP", "vip", OUT_TEXT },
	{ "STATE", "state", OUT_STATE },
	{ "PACKETS IN", "packets.in", OUT_COUNT },
	{ "BYTES", "bytes", OUT_BYTES },
	{ "IDLE", "idle_ms", OUT_DURATION },
	{ NULL, "hidden", OUT_TEXT },
	{ "NOTE", "note", OUT_TEXT },
};

static json_t *row_make(const char *vip, json_int_t packets, json_int_t bytes, json_int_t ms)
{
	return json_pack("{s:s, s:s, s:{s:I, s:I}, s:I, s:I, s:s, s:n}", "vip", vip, "state", "up",
			 "packets", "in", packets, "out", packets, "bytes", bytes, "idle_ms", ms,
			 "hidden", "secret", "note");
}

/* What a format makes of rows_n rows; to be freed. */
static char *rows_print(enum out_format format, int rows_n)
{
	struct out *out;
	char *text;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	assert_non_null(to);
	assert_int_equal(out__open(format, columns, ARRAY_SIZE(columns), to, &out), 0);
	for (int i = 0; i < rows_n; i++)
		assert_int_equal(out__row(out, row_make("10.0.0.1:80/tcp", 1234567 + i, 1536, 250)),
				 0);
	assert_int_equal(out__close(out), 0);
	fclose(to);
	return text;
}

static void test_table(void **state)
{
	char *text = rows_print(OUT_TABLE, 2);

	(void)state;
	assert_string_equal(text, "VIP              STATE  PACKETS IN    BYTES   IDLE  NOTE\n"
				  "10.0.0.1:80/tcp  up      1,234,567  1.5 KiB  250ms  -\n"
				  "10.0.0.1:80/tcp  up      1,234,568  1.5 KiB  250ms  -\n");
	free(text);
}

static void test_empty(void **state)
{
	char *text = rows_print(OUT_JSON, 0);

	(void)state;
	assert_string_equal(text, "[]\n");
	free(text);
	text = rows_print(OUT_TABLE, 0);
	assert_string_equal(text, "VIP  STATE  PACKETS IN  BYTES  IDLE  NOTE\n");
	free(text);
}

static void test_json(void **state)
{
	static const int sizes[] = { 1, 2, 1000 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		char *text = rows_print(OUT_JSON, sizes[i]);
		json_t *array = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
		json_t *last = json_array_get(array, (size_t)sizes[i] - 1);

		assert_non_null(array);
		assert_int_equal(json_array_size(array), sizes[i]);
		assert_string_equal(json_string_value(json_object_get(last, "hidden")), "secret");
		assert_int_equal(json_integer_value(
					 json_object_get(json_object_get(last, "packets"), "out")),
				 1234567 + sizes[i] - 1);
		/* keys as they were put in */
		assert_true(strstr(text, "\"vip\"") < strstr(text, "\"state\""));
		assert_true(strstr(text, "\"state\"") < strstr(text, "\"bytes\""));
		json_decref(array);
		free(text);
	}
}

/* Past the buffered rows widths are fixed: a longer cell shifts its line, nothing is cut. */
static void test_streamed_table(void **state)
{
	struct out *out;
	char *text, *line;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	(void)state;
	assert_non_null(to);
	assert_int_equal(out__open(OUT_TABLE, columns, 1, to, &out), 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(out__row(out, row_make("short", 1, 1, 1)), 0);
	fflush(to);
	assert_true(size > 0); /* it did not wait for the end */
	assert_int_equal(out__row(out, row_make("a-longer-one-than-all-before", 1, 1, 1)), 0);
	assert_int_equal(out__close(out), 0);
	fclose(to);
	line = strstr(text, "a-longer-one-than-all-before\n");
	assert_non_null(line);
	assert_int_equal(size, strlen("VIP\n") + 1000 * strlen("short\n") + strlen(line));
	free(text);
}

struct cell_case {
	enum out_kind kind;
	json_int_t value;
	const char *text;
};

static const struct cell_case cell_cases[] = {
	{ OUT_TEXT, 1234567, "1234567" },
	{ OUT_COUNT, 0, "0" },
	{ OUT_COUNT, 999, "999" },
	{ OUT_COUNT, 1000, "1,000" },
	{ OUT_COUNT, 12345678, "12,345,678" },
	{ OUT_COUNT, -1234, "-1,234" },
	{ OUT_COUNT, -123, "-123" },
	{ OUT_COUNT, INT64_MAX, "9,223,372,036,854,775,807" },
	{ OUT_COUNT, INT64_MIN, "-9,223,372,036,854,775,808" },
	{ OUT_BYTES, 0, "0 B" },
	{ OUT_BYTES, 1023, "1023 B" },
	{ OUT_BYTES, 1024, "1.0 KiB" },
	{ OUT_BYTES, 1048575, "1.0 MiB" },
	{ OUT_BYTES, 1610612736, "1.5 GiB" },
	{ OUT_BYTES, INT64_MAX, "8.0 EiB" },
	{ OUT_DURATION, 0, "0ms" },
	{ OUT_DURATION, 999, "999ms" },
	{ OUT_DURATION, 3250, "3.2s" },
	{ OUT_DURATION, 59999, "59.9s" },
	{ OUT_DURATION, 60000, "1m00s" },
	{ OUT_DURATION, 312000, "5m12s" },
	{ OUT_DURATION, 3720000, "1h02m" },
	{ OUT_DURATION, 604800000, "168h00m" },
	{ OUT_DURATION, INT64_MAX, "2562047788015h12m" },
};

static void test_cells(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cell_cases); i++) {
		struct out_column column = { "X", "x", cell_cases[i].kind };
		char *text;
		size_t size;
		FILE *to = open_memstream(&text, &size);
		char expected[64];

		assert_non_null(to);
		assert_int_equal(out__object(OUT_TABLE, &column, 1, to,
					     json_pack("{s:I}", "x", cell_cases[i].value)),
				 0);
		fclose(to);
		snprintf(expected, sizeof(expected), "X  %s\n", cell_cases[i].text);
		assert_string_equal(text, expected);
		free(text);
	}
}

static void test_object(void **state)
{
	static const struct out_column stats[] = {
		{ "packets", "packets", OUT_COUNT },
		{ "flows now", "flows.now", OUT_COUNT },
		{ "flows lost", "flows.lost", OUT_COUNT },
		{ "deep", "flows.now.deeper", OUT_COUNT },
		{ NULL, "hidden", OUT_COUNT },
	};
	char *text;
	size_t size;
	FILE *to = open_memstream(&text, &size);
	json_t *object = json_pack("{s:i, s:{s:i}}", "packets", 5, "flows", "now", 7), *back;

	(void)state;
	assert_non_null(to);
	json_incref(object);
	assert_int_equal(out__object(OUT_TABLE, stats, ARRAY_SIZE(stats), to, object), 0);
	fclose(to);
	assert_string_equal(text, "packets     5\nflows now   7\nflows lost  -\ndeep        -\n");
	free(text);

	to = open_memstream(&text, &size);
	assert_non_null(to);
	json_incref(object);
	assert_int_equal(out__object(OUT_JSON, stats, ARRAY_SIZE(stats), to, object), 0);
	fclose(to);
	back = json_loads(text, 0, NULL);
	assert_true(json_equal(object, back));
	json_decref(back);
	json_decref(object);
	free(text);
}

static void test_other_values(void **state)
{
	static const struct out_column values[] = {
		{ "YES", "yes", OUT_TEXT },
		{ "NO", "no", OUT_TEXT },
		{ "REAL", "real", OUT_TEXT },
		{ "ARRAY", "array", OUT_TEXT },
	};
	char *text;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	(void)state;
	assert_non_null(to);
	assert_int_equal(out__object(OUT_TABLE, values, ARRAY_SIZE(values), to,
				     json_pack("{s:b, s:b, s:f, s:[]}", "yes", 1, "no", 0, "real",
					       0.5, "array")),
			 0);
	fclose(to);
	assert_string_equal(text, "YES    yes\nNO     no\nREAL   0.50\nARRAY  -\n");
	free(text);
}

/* Rows until a write error shows; a stream may buffer some first. */
static int write_until_error(enum out_format format, FILE *to, int rows_n, int *ret_close)
{
	struct out *out;
	int err = 0;

	assert_int_equal(out__open(format, columns, ARRAY_SIZE(columns), to, &out), 0);
	for (int i = 0; !err && i < rows_n; i++)
		err = out__row(out, row_make("10.0.0.1:80/tcp", 1, 1, 1));
	*ret_close = out__close(out);
	return err;
}

static void test_disk_full(void **state)
{
	(void)state;
	for (int format = OUT_TABLE; format <= OUT_JSON; format++) {
		FILE *to = fopen("/dev/full", "w");
		int close_err;

		if (!to)
			skip();
		assert_int_equal(write_until_error(format, to, 10000, &close_err), -ENOSPC);
		assert_int_equal(close_err, -ENOSPC);
		fclose(to);
		/* so little that only the flush finds out */
		to = fopen("/dev/full", "w");
		assert_non_null(to);
		assert_int_equal(write_until_error(format, to, 1, &close_err), 0);
		assert_int_equal(close_err, -ENOSPC);
		fclose(to);
		to = fopen("/dev/full", "w");
		assert_non_null(to);
		assert_int_equal(out__object(format, columns, 1, to, row_make("x", 1, 1, 1)),
				 -ENOSPC);
		fclose(to);
	}
}

static void test_broken_pipe(void **state)
{
	int fds[2], close_err;
	FILE *to;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe(fds), 0);
	close(fds[0]);
	to = fdopen(fds[1], "w");
	assert_non_null(to);
	assert_int_equal(write_until_error(OUT_TABLE, to, 10000, &close_err), -EPIPE);
	assert_int_equal(close_err, -EPIPE);
	fclose(to);
	signal(SIGPIPE, SIG_DFL);
}

/* A row that could not be made is an error, not a hole. */
static void test_no_row(void **state)
{
	struct out *out;
	FILE *to = fopen("/dev/null", "w");

	(void)state;
	assert_non_null(to);
	assert_int_equal(out__open(OUT_TABLE, columns, 1, to, &out), 0);
	assert_int_equal(out__row(out, row_make("x", 1, 1, 1)), 0);
	assert_int_equal(out__row(out, NULL), -ENOMEM);
	assert_int_equal(out__close(out), -ENOMEM);
	fclose(to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),	     cmocka_unit_test(test_empty),
		cmocka_unit_test(test_json),	     cmocka_unit_test(test_streamed_table),
		cmocka_unit_test(test_cells),	     cmocka_unit_test(test_object),
		cmocka_unit_test(test_other_values), cmocka_unit_test(test_disk_full),
		cmocka_unit_test(test_broken_pipe),  cmocka_unit_test(test_no_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Tables and JSON; see output.h. */
#include "output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROWS_BUFFERED 256 /* rows that the widths of a table are made of */
#define CELL_MAX      48  /* of a formatted number */

#define COLOUR_RESET "\033[0m"
#define COLOUR_BOLD  "\033[1m"

struct out {
	enum out_format format;
	const struct out_column *columns;
	size_t columns_n;
	FILE *to;
	bool colour;
	bool started; /* something was printed: "[" or the header */
	int err;      /* the first one, sticky */
	json_t *rows[ROWS_BUFFERED];
	size_t rows_n;
	int widths[]; /* per column */
};

/* -- Cells ------------------------------------------------------------------------------------- */

/* Follows a dotted key into nested objects; NULL when there is no such value. */
static const json_t *value_find(const json_t *row, const char *key)
{
	while (row) {
		size_t len = strcspn(key, ".");
		char part[CELL_MAX];

		snprintf(part, sizeof(part), "%.*s", (int)len, key);
		row = json_object_get(row, part);
		if (!key[len])
			break;
		key += len + 1;
	}
	return row;
}

static void count_format(json_int_t count, char *buf)
{
	char digits[CELL_MAX];
	int len = snprintf(digits, sizeof(digits), "%" JSON_INTEGER_FORMAT, count);

	for (int i = 0; i < len; i++) {
		if (i > (digits[0] == '-') && (len - i) % 3 == 0)
			*buf++ = ',';
		*buf++ = digits[i];
	}
	*buf = '\0';
}

static void bytes_format(json_int_t bytes, char *buf)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 1023.95 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1024;
		unit++;
	}
	snprintf(buf, CELL_MAX, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

static void duration_format(json_int_t ms, char *buf)
{
	json_int_t s = ms / 1000;

	if (ms < 1000)
		snprintf(buf, CELL_MAX, "%" JSON_INTEGER_FORMAT "ms", ms);
	else if (s < 60)
		snprintf(buf, CELL_MAX, "%d.%ds", (int)s, (int)(ms % 1000 / 100));
	else if (s < 3600)
		snprintf(buf, CELL_MAX, "%dm%02ds", (int)(s / 60), (int)(s % 60));
	else
		snprintf(buf, CELL_MAX, "%" JSON_INTEGER_FORMAT "h%02dm", s / 3600,
			 (int)(s / 60 % 60));
}

static void integer_format(enum out_kind kind, json_int_t value, char *buf)
{
	switch (kind) {
	case OUT_COUNT:
		count_format(value, buf);
		break;
	case OUT_BYTES:
		bytes_format(value, buf);
		break;
	case OUT_DURATION:
		duration_format(value, buf);
		break;
	default:
		snprintf(buf, CELL_MAX, "%" JSON_INTEGER_FORMAT, value);
	}
}

/* The cell's text: the row's own string, or buf. */
static const char *cell_text(const struct out_column *column, const json_t *row, char *buf)
{
	const json_t *value = value_find(row, column->key);

	if (json_is_string(value))
		return json_string_value(value);
	if (json_is_integer(value))
		integer_format(column->kind, json_integer_value(value), buf);
	else if (json_is_real(value))
		snprintf(buf, CELL_MAX, "%.2f", json_real_value(value));
	else if (json_is_boolean(value))
		snprintf(buf, CELL_MAX, "%s", json_is_true(value) ? "yes" : "no");
	else
		snprintf(buf, CELL_MAX, "-");
	return buf;
}

/* Characters on the screen: bytes that don't continue a UTF-8 sequence. */
static int text_width(const char *text)
{
	int width = 0;

	for (; *text; text++)
		width += (*text & 0xc0) != 0x80;
	return width;
}

static const char *state_colour(const char *text)
{
	static const struct {
		const char *state, *colour;
	} colours[] = {
		{ "up", "\033[32m" },
		{ "drain", "\033[33m" },
		{ "down", "\033[31m" },
	};

	for (size_t i = 0; i < sizeof(colours) / sizeof(colours[0]); i++) {
		if (!strcmp(text, colours[i].state))
			return colours[i].colour;
	}
	return NULL;
}

static bool use_colour(FILE *to)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return !(no_color && *no_color) && term && strcmp(term, "dumb") && isatty(fileno(to));
}

/* -- Tables ------------------------------------------------------------------------------------ */

static bool column_right(const struct out_column *column)
{
	return column->kind >= OUT_COUNT;
}

/* One cell and the gap before it; no blanks at the end of a line. */
static void cell_print(struct out *out, size_t i, const char *text, const char *colour, bool first,
		       bool last)
{
	bool right = column_right(&out->columns[i]);
	int pad = out->widths[i] - text_width(text);

	fprintf(out->to, "%*s", (first ? 0 : 2) + (right && pad > 0 ? pad : 0), "");
	if (colour)
		fprintf(out->to, "%s%s" COLOUR_RESET, colour, text);
	else
		fputs(text, out->to);
	if (!right && !last && pad > 0)
		fprintf(out->to, "%*s", pad, "");
}

/* The header line when row is NULL. */
static void line_print(struct out *out, const json_t *row)
{
	size_t last = 0;
	bool first = true;

	for (size_t i = 0; i < out->columns_n; i++) {
		if (out->columns[i].header)
			last = i;
	}
	for (size_t i = 0; i < out->columns_n; i++) {
		const struct out_column *column = &out->columns[i];
		const char *text, *colour = NULL;
		char buf[CELL_MAX];

		if (!column->header)
			continue;
		text = row ? cell_text(column, row, buf) : column->header;
		if (out->colour && !row)
			colour = COLOUR_BOLD;
		else if (out->colour && column->kind == OUT_STATE)
			colour = state_colour(text);
		cell_print(out, i, text, colour, first, i == last);
		first = false;
	}
	fputc('\n', out->to);
}

static void widths_grow(struct out *out, const json_t *row)
{
	for (size_t i = 0; i < out->columns_n; i++) {
		const struct out_column *column = &out->columns[i];
		char buf[CELL_MAX];
		int width;

		if (!column->header)
			continue;
		width = text_width(row ? cell_text(column, row, buf) : column->header);
		if (width > out->widths[i])
			out->widths[i] = width;
	}
}

/* Fixes the widths, prints what was buffered. */
static void table_start(struct out *out)
{
	widths_grow(out, NULL);
	for (size_t i = 0; i < out->rows_n; i++)
		widths_grow(out, out->rows[i]);
	line_print(out, NULL);
	for (size_t i = 0; i < out->rows_n; i++) {
		line_print(out, out->rows[i]);
		json_decref(out->rows[i]);
	}
	out->rows_n = 0;
	out->started = true;
}

/* -- Rows -------------------------------------------------------------------------------------- */

/* Keeps the first error of a stream; errno is that of the write which just failed. */
static int error_note(struct out *out)
{
	if (!out->err && ferror(out->to))
		out->err = errno ? -errno : -EIO;
	return out->err;
}

int out__open(enum out_format format, const struct out_column *columns, size_t columns_n, FILE *to,
	      struct out **ret_out)
{
	struct out *out = calloc(1, sizeof(*out) + columns_n * sizeof(out->widths[0]));

	if (!out)
		return -ENOMEM;
	out->format = format;
	out->columns = columns;
	out->columns_n = columns_n;
	out->to = to;
	out->colour = format == OUT_TABLE && use_colour(to);
	*ret_out = out;
	return 0;
}

int out__row(struct out *out, json_t *row)
{
	if (!row && !out->err)
		out->err = -ENOMEM; /* jansson's only reason not to make an object */
	if (out->err) {
		json_decref(row);
		return out->err;
	}
	errno = 0;
	if (out->format == OUT_JSON) {
		fputs(out->started ? ",\n  " : "[\n  ", out->to);
		if (json_dumpf(row, out->to, JSON_PRESERVE_ORDER) && !ferror(out->to))
			out->err = -ENOMEM;
		out->started = true;
	} else if (out->started) {
		line_print(out, row);
	} else {
		out->rows[out->rows_n++] = json_incref(row);
		if (out->rows_n == ROWS_BUFFERED)
			table_start(out);
	}
	json_decref(row);
	return error_note(out);
}

int out__close(struct out *out)
{
	int err;

	errno = 0;
	if (out->err) {
		while (out->rows_n)
			json_decref(out->rows[--out->rows_n]);
	} else if (out->format == OUT_JSON) {
		fputs(out->started ? "\n]\n" : "[]\n", out->to);
	} else if (!out->started) {
		table_start(out);
	}
	fflush(out->to);
	err = error_note(out);
	free(out);
	return err;
}

int out__object(enum out_format format, const struct out_column *columns, size_t columns_n,
		FILE *to, json_t *object)
{
	int width = 0, err = object ? 0 : -ENOMEM;

	errno = 0;
	if (!err && format == OUT_JSON) {
		if (json_dumpf(object, to, JSON_PRESERVE_ORDER | JSON_INDENT(2)) && !ferror(to))
			err = -ENOMEM;
		fputc('\n', to);
	}
	for (size_t i = 0; i < columns_n; i++) {
		if (columns[i].header && text_width(columns[i].header) > width)
			width = text_width(columns[i].header);
	}
	for (size_t i = 0; !err && format == OUT_TABLE && i < columns_n; i++) {
		char buf[CELL_MAX];

		if (columns[i].header)
			fprintf(to, "%s%*s  %s\n", columns[i].header,
				width - text_width(columns[i].header), "",
				cell_text(&columns[i], object, buf));
	}
	if (fflush(to) || ferror(to))
		err = err ? err : errno ? -errno : -EIO;
	json_decref(object);
	return err;
}

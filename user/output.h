/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Results, as a table for people or as JSON for programs. A row is a JSON object that is built
 * once: JSON prints it as it is, a table picks its columns from it. Rows are streamed: a table
 * looks at the first some hundreds to find its widths, and nothing holds them all.
 */
#ifndef OUTPUT_H
#define OUTPUT_H

#include <stddef.h>
#include <stdio.h>

#include <jansson.h>

enum out_format {
	OUT_TABLE,
	OUT_JSON,
};

/* How a table shows a value. Numbers are aligned right, all else left; a missing value is "-". */
enum out_kind {
	OUT_TEXT,     /* strings, and numbers as they are */
	OUT_STATE,    /* text with a colour: up, drain, down */
	OUT_COUNT,    /* 1,234,567 */
	OUT_BYTES,    /* 1.2 MiB */
	OUT_DURATION, /* milliseconds: 250ms, 3.2s, 5m12s, 1h02m */
};

struct out_column {
	const char *header; /* NULL: not in the table */
	const char *key;    /* of the row; "packets.in" goes one object deeper */
	enum out_kind kind;
};

struct out;

/*
 * Columns are kept by reference until out__close(). Functions return 0 or -errno; a write error
 * (-ENOSPC; -EPIPE where SIGPIPE is ignored) comes back from out__row() as soon as it is known,
 * and again from out__close(), which always frees.
 */
int out__open(enum out_format format, const struct out_column *columns, size_t columns_n, FILE *to,
	      struct out **ret_out);
int out__row(struct out *out, json_t *row); /* takes over the reference, also when it fails */
int out__close(struct out *out);

/* One object: JSON as it is, or a line of header and value per column. Takes the reference over. */
int out__object(enum out_format format, const struct out_column *columns, size_t columns_n,
		FILE *to, json_t *object);

#endif

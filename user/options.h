/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Command line options as data: one table both parses them and prints their help. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "output.h"
#include "text.h"

#define OPTIONS_MAX 64 /* of all sets of one call together */

struct option_def {
	const char *name; /* without the dashes */
	const char *arg;  /* NULL: a flag, stored as a bool */
	const char *help;
	/* NULL, with an arg "a|b|c": one of these words, its position stored as an int */
	int (*parse)(const char *text, void *into, struct text_error *error);
	size_t offset; /* in the options struct */
	char letter;   /* the short form; 0: none */
	bool many;     /* may be given several times: parse is called for each */
};

/* A table and the struct that it fills. */
struct option_set {
	const struct option_def *defs;
	size_t defs_n;
	void *into;
	uint64_t seen; /* bit per def: it was given */
};

/*
 * Parses argv[1..argc) by all sets. Options may stand anywhere up to "--", operands are moved
 * behind them: argv[*ret_operand..argc). With stop_at_operand nothing behind the first operand is
 * looked at, nor moved. Returns -EINVAL and fills error.
 */
int options__parse(int argc, char **argv, bool stop_at_operand, struct option_set *sets,
		   size_t sets_n, int *ret_operand, struct text_error *error);

bool options__seen(const struct option_set *set, const char *name);

/* Aligned lines, one per option. */
void options__help(const struct option_def *defs, size_t defs_n, FILE *to);

/*
 * Parsers for option_def.parse. They store: text const char *, count uint32_t (from 1 on), rate
 * uint32_t (a second; 0: none), weight uint16_t, duration uint32_t (ms), proto uint8_t, vip struct service, the rest struct endpoint.
 */
int option__parse_text(const char *text, void *into, struct text_error *error);
int option__parse_count(const char *text, void *into, struct text_error *error);
int option__parse_weight(const char *text, void *into, struct text_error *error);
int option__parse_rate(const char *text, void *into, struct text_error *error);
int option__parse_duration(const char *text, void *into, struct text_error *error);
int option__parse_proto(const char *text, void *into, struct text_error *error);
int option__parse_vip(const char *text, void *into, struct text_error *error);
int option__parse_backend(const char *text, void *into, struct text_error *error);
int option__parse_client(const char *text, void *into, struct text_error *error);

/* Options of every command, before and after it. */
struct global_options {
	const char *pin_dir; /* NULL: not given */
	int format;	     /* enum out_format */
	bool verbose;
	bool help;
};

#define GLOBAL_OPTIONS_N 4
extern const struct option_def global_option_defs[GLOBAL_OPTIONS_N];

#endif

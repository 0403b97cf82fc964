// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What commands share: reporting, and reading operands. */
#include "command.h"

#include <stdio.h>

/* An error is one line of text, whatever was typed. */
static void put_clean(const char *text)
{
	for (; *text; text++)
		fputc((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text, stderr);
}

static void report(const struct call *call, const struct text_error *error)
{
	int i;

	fprintf(stderr, "lbctl: %s", call->command->name);
	for (i = 0; i < call->operands_n; i++) {
		fputc(' ', stderr);
		put_clean(call->operands[i]);
	}
	fputs(": ", stderr);
	put_clean(error->why[0] ? error->why : "failed");
	fputc('\n', stderr);
}

int call__failed(const struct call *call, const struct text_error *error)
{
	report(call, error);
	return EXIT_FAILED;
}

int call__usage(const struct call *call, const struct text_error *error)
{
	report(call, error);
	return EXIT_USAGE;
}

void command__note(const char *text)
{
	fprintf(stderr, "lbctl: note: %s\n", text);
}

void command__say(const char *text)
{
	puts(text);
}

int call__vip(const struct call *call, int operand, struct service *ret)
{
	struct text_error error = {};

	return text__parse_vip(call->operands[operand], ret, &error) ? call__usage(call, &error) : 0;
}

int call__backend(const struct call *call, int operand, struct endpoint *ret)
{
	struct text_error error = {};

	return text__parse_backend(call->operands[operand], ret, &error) ?
		       call__usage(call, &error) : 0;
}

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Command line options as data; see options.h. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

/* What getopt_long() answers for a long option: this plus the position in the list. */
#define LONG_BASE 256

const struct option_def global_option_defs[GLOBAL_OPTIONS_N] = {
	{ .name = "pin-dir",
	  .arg = "DIR",
	  .parse = option__parse_text,
	  .offset = offsetof(struct global_options, pin_dir),
	  .help = "the balancer's pins (else $LBCTL_PIN_DIR, else /sys/fs/bpf/lbctl)" },
	{ .name = "output",
	  .letter = 'o',
	  .arg = "table|json",
	  .offset = offsetof(struct global_options, format),
	  .help = "text for people (the default) or JSON for programs" },
	{ .name = "verbose",
	  .letter = 'v',
	  .offset = offsetof(struct global_options, verbose),
	  .help = "show the messages of libbpf and the verifier, and all drop reasons" },
	{ .name = "help",
	  .letter = 'h',
	  .offset = offsetof(struct global_options, help),
	  .help = "print help and end" },
};

/* The sets of one call as getopt_long() wants them, and the way back. */
struct option_list {
	struct {
		struct option_set *set;
		size_t index; /* of the def in its set */
	} items[OPTIONS_MAX];
	size_t n;
	struct option longs[OPTIONS_MAX + 1];
	char shorts[2 + 2 * OPTIONS_MAX + 1];
};

static int list_fill(struct option_list *list, struct option_set *sets, size_t sets_n,
		     bool stop_at_operand)
{
	char *letter = list->shorts;

	*list = (struct option_list){};
	if (stop_at_operand)
		*letter++ = '+';
	*letter++ = ':'; /* tells a missing argument from an unknown option */
	for (size_t i = 0; i < sets_n; i++) {
		for (size_t j = 0; j < sets[i].defs_n; j++) {
			const struct option_def *def = &sets[i].defs[j];

			if (list->n == OPTIONS_MAX)
				return -E2BIG;
			list->items[list->n].set = &sets[i];
			list->items[list->n].index = j;
			list->longs[list->n] = (struct option){
				.name = def->name,
				.has_arg = def->arg ? required_argument : no_argument,
				.val = LONG_BASE + (int)list->n,
			};
			list->n++;
			if (def->letter)
				*letter++ = def->letter;
			if (def->letter && def->arg)
				*letter++ = ':';
		}
	}
	return 0;
}

static const struct option_def *list_def(const struct option_list *list, size_t i)
{
	return &list->items[i].set->defs[list->items[i].index];
}

/* The list position of what getopt_long() answered. */
static size_t list_find(const struct option_list *list, int answer)
{
	size_t i = 0;

	if (answer >= LONG_BASE)
		return (size_t)(answer - LONG_BASE);
	while (i < list->n && list_def(list, i)->letter != answer)
		i++;
	return i;
}

/* A word of "a|b|c" is stored as its position. */
static int choice_parse(const char *choices, const char *text, int *ret_choice,
			struct text_error *error)
{
	size_t text_len = strlen(text);
	int i = 0;

	for (const char *word = choices;; i++) {
		size_t len = strcspn(word, "|");

		if (len == text_len && !strncmp(word, text, len)) {
			*ret_choice = i;
			return 0;
		}
		if (!word[len])
			return text_error__set(error, "\"%.40s\" is not one of %s", text, choices);
		word += len + 1;
	}
}

static int def_apply(const struct option_def *def, const char *text, void *options,
		     struct text_error *error)
{
	void *into = (char *)options + def->offset;
	struct text_error inner = {};
	int err;

	if (!def->arg) {
		*(bool *)into = true;
		return 0;
	}
	if (def->parse)
		err = def->parse(text, into, &inner);
	else
		err = choice_parse(def->arg, text, into, &inner);
	if (err)
		text_error__set(error, "--%s: %.150s", def->name, inner.why);
	return err;
}

/* getopt_long() takes any unambiguous beginning of a long option; a script should not. */
static bool is_abbreviated(const struct option_def *def, const char *given)
{
	size_t len = strlen(def->name);

	return strncmp(given, "--", 2) || strncmp(given + 2, def->name, len) ||
	       (given[2 + len] && given[2 + len] != '=');
}

static int unknown_option(const struct option_list *list, const char *given,
			  struct text_error *error)
{
	const struct option_def *def;

	/* optopt is the letter, or for a long option the list position, or 0 if unknown. */
	if (optopt && optopt < LONG_BASE)
		return text_error__set(error, "unknown option -%c", optopt);
	if (optopt >= LONG_BASE) {
		def = list_def(list, list_find(list, optopt));
		if (!is_abbreviated(def, given))
			return text_error__set(error, "--%s takes no argument", def->name);
	}
	return text_error__set(error, "unknown option %.*s", (int)strcspn(given, "="), given);
}

static int missing_argument(const struct option_list *list, const char *given,
			    struct text_error *error)
{
	const struct option_def *def = list_def(list, list_find(list, optopt));

	if (optopt >= LONG_BASE && is_abbreviated(def, given))
		return text_error__set(error, "unknown option %.60s", given);
	if (optopt >= LONG_BASE)
		return text_error__set(error, "--%s needs an argument: %s", def->name, def->arg);
	return text_error__set(error, "-%c needs an argument: %s", optopt, def->arg);
}

static int answer_apply(const struct option_list *list, int answer, char **argv,
			struct text_error *error)
{
	const char *given = argv[optind - 1];
	const struct option_def *def;
	struct option_set *set;
	uint64_t bit;
	size_t i;
	int err;

	if (answer == '?')
		return unknown_option(list, given, error);
	if (answer == ':')
		return missing_argument(list, given, error);
	i = list_find(list, answer);
	def = list_def(list, i);
	set = list->items[i].set;
	bit = UINT64_C(1) << list->items[i].index;
	if (optarg == given)
		given = argv[optind - 2];
	if (answer >= LONG_BASE && is_abbreviated(def, given))
		return text_error__set(error, "unknown option %.*s", (int)strcspn(given, "="),
				       given);
	if (def->arg && !def->many && (set->seen & bit))
		return text_error__set(error, "--%s is given twice", def->name);
	err = def_apply(def, optarg, set->into, error);
	if (!err)
		set->seen |= bit;
	return err;
}

int options__parse(int argc, char **argv, bool stop_at_operand, struct option_set *sets,
		   size_t sets_n, int *ret_operand, struct text_error *error)
{
	struct option_list list;
	int answer, err;

	err = list_fill(&list, sets, sets_n, stop_at_operand);
	if (err)
		return err;
	opterr = 0;
	optind = 0; /* glibc: start anew */
	for (;;) {
		answer = getopt_long(argc, argv, list.shorts, list.longs, NULL);
		if (answer == -1)
			break;
		err = answer_apply(&list, answer, argv, error);
		if (err)
			return err;
	}
	*ret_operand = optind;
	return 0;
}

bool options__seen(const struct option_set *set, const char *name)
{
	for (size_t i = 0; i < set->defs_n; i++) {
		if (!strcmp(set->defs[i].name, name))
			return set->seen & (UINT64_C(1) << i);
	}
	return false;
}

static int left_width(const struct option_def *def)
{
	return (int)strlen(def->name) + (def->arg ? 1 + (int)strlen(def->arg) : 0);
}

void options__help(const struct option_def *defs, size_t defs_n, FILE *to)
{
	int width = 0;

	for (size_t i = 0; i < defs_n; i++)
		width = left_width(&defs[i]) > width ? left_width(&defs[i]) : width;
	for (size_t i = 0; i < defs_n; i++) {
		const struct option_def *def = &defs[i];

		if (def->letter)
			fprintf(to, "  -%c, ", def->letter);
		else
			fprintf(to, "      ");
		fprintf(to, "--%s%s%s%*s  %s\n", def->name, def->arg ? " " : "",
			def->arg ? def->arg : "", width - left_width(def), "", def->help);
	}
}

/* -- Parsers ----------------------------------------------------------------------------------- */

int option__parse_text(const char *text, void *into, struct text_error *error)
{
	if (!*text)
		return text_error__set(error, "the argument is empty");
	*(const char **)into = text;
	return 0;
}

int option__parse_count(const char *text, void *into, struct text_error *error)
{
	uint64_t number = 0;
	int err = text__parse_number(text, "number", 1, UINT32_MAX, &number, error);

	if (!err)
		*(uint32_t *)into = (uint32_t)number;
	return err;
}

int option__parse_rate(const char *text, void *into, struct text_error *error)
{
	uint64_t number = 0;
	int err = text__parse_number(text, "rate", 0, LB_RATE_MAX, &number, error);

	if (!err)
		*(uint32_t *)into = (uint32_t)number;
	return err;
}

int option__parse_weight(const char *text, void *into, struct text_error *error)
{
	return text__parse_weight(text, into, error);
}

int option__parse_duration(const char *text, void *into, struct text_error *error)
{
	return text__parse_duration(text, into, error);
}

int option__parse_proto(const char *text, void *into, struct text_error *error)
{
	return text__parse_proto(text, into, error);
}

int option__parse_vip(const char *text, void *into, struct text_error *error)
{
	return text__parse_vip(text, into, error);
}

int option__parse_backend(const char *text, void *into, struct text_error *error)
{
	return text__parse_backend(text, into, error);
}

int option__parse_client(const char *text, void *into, struct text_error *error)
{
	return text__parse_client(text, into, error);
}

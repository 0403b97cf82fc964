// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* deny: clients that open no flows. */
#include <errno.h>
#include <string.h>

#include "command.h"

static const struct out_column columns[] = { { "PREFIX", "prefix", OUT_TEXT } };

struct listing {
	struct out *out;
	const struct lb_prefix *within; /* NULL: all */
};

static int list_prefix(const struct lb_prefix *prefix, void *arg)
{
	struct listing *list = arg;
	char text[TEXT_PREFIX_MAX];

	if ((prefix->list & ~LB_LIST_V6) != LB_LIST_DENY ||
	    (list->within && !lb_prefix__overlap(prefix, list->within)))
		return 0;
	return out__row(list->out, json_pack("{s:s}", "prefix",
					     text__format_prefix(prefix, text, sizeof(text))));
}

static int show(struct call *call, const struct lb_prefix *within)
{
	struct listing list = { .within = within };
	struct text_error error = {};
	struct balancer b;
	int err, end;

	if (balancer__open(&b, call->pin_dir, &error))
		return call__failed(call, &error);
	err = out__open(call->global->format, columns, sizeof(columns) / sizeof(columns[0]), stdout,
			&list.out);
	if (!err) {
		err = maps__prefix_each(&b.maps, list_prefix, &list);
		end = out__close(list.out);
		err = err ? err : end;
	}
	balancer__close(&b);
	if (!err)
		return EXIT_DONE;
	text_error__set(&error, "%s", strerror(-err));
	return call__failed(call, &error);
}

static int change(struct call *call, bool add, const struct lb_prefix *prefix)
{
	struct text_error error = {};
	struct balancer b;
	int err;

	if (balancer__open_locked(&b, call->pin_dir, add, command__note, &error))
		return call__failed(call, &error);
	err = add ? balancer__deny_add(&b, prefix, &error) : balancer__deny_del(&b, prefix, &error);
	b.failed = err;
	balancer__close(&b);
	return err ? call__failed(call, &error) : EXIT_DONE;
}

static int run_deny(struct call *call)
{
	const char *what = call->operands[0];
	struct text_error error = {};
	struct lb_prefix prefix;
	bool named = call->operands_n > 1, shows = !strcmp(what, "show");

	if (!shows && strcmp(what, "add") && strcmp(what, "del")) {
		text_error__set(&error, "deny what? add PREFIX, del PREFIX or show [PREFIX]");
		return call__usage(call, &error);
	}
	if (!shows && !named) {
		text_error__set(&error, "something is missing; usage: lbctl deny %s PREFIX", what);
		return call__usage(call, &error);
	}
	if (named && text__parse_prefix(call->operands[1], &prefix, &error))
		return call__usage(call, &error);
	if (shows)
		return show(call, named ? &prefix : NULL);
	return change(call, !strcmp(what, "add"), &prefix);
}

static const char *const notes[] = {
	"PREFIX: ADDRESS[/LENGTH], such as 192.0.2.0/24 or 2001:db8::/32. New flows of these clients are",
	"dropped (show drops: denied), whatever the VIP and its --allow. Flows that exist go on; lbctl",
	"flush flows --client ADDRESS ends a client's. show PREFIX: those that have to do with it.",
	NULL,
};

const struct command cmd_deny = {
	.name = "deny",
	.operands = "add|del|show [PREFIX]",
	.help = "drop new flows of clients",
	.operands_min = 1,
	.operands_max = 2,
	.notes = notes,
	.run = run_deny,
};

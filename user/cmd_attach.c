// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* attach, detach, unload. */
#include <errno.h>
#include <string.h>

#include "command.h"

static struct attach_wish attach_wish = { .table = -1 };

/* 16 million flows are some 6 GB. */
static int parse_flows(const char *text, void *into, struct text_error *error)
{
	uint64_t flows;
	int err = text__parse_number(text, "number of flows", 4096, 1 << 24, &flows, error);

	if (!err)
		*(uint32_t *)into = flows;
	return err;
}

static int parse_new_rate(const char *text, void *into, struct text_error *error)
{
	struct attach_wish *wish = into;

	wish->has_new_rate = true;
	return option__parse_rate(text, &wish->new_rate, error);
}

static const struct option_def attach_defs[] = {
	{ .name = "mode",
	  .arg = "auto|native|generic",
	  .offset = offsetof(struct attach_wish, mode),
	  .help = "auto (the default): native where the driver does it well, else generic" },
	{ .name = "flow-table",
	  .arg = "assoc|lru",
	  .offset = offsetof(struct attach_wish, table),
	  .help = "assoc (the default): lbctl's own; lru: the kernel's LRU hash. Chosen at the "
		  "first attach" },
	{ .name = "flows",
	  .arg = "N",
	  .parse = parse_flows,
	  .offset = offsetof(struct attach_wish, flows),
	  .help = "flows that the table holds, chosen at the first attach (default 262144)" },
	{ .name = "new-rate",
	  .arg = "N",
	  .parse = parse_new_rate,
	  .help = "new flows a second that each CPU tracks, of all VIPs (default 500000; 0: no limit); "
		  "see add-vip --new-rate" },
};

/* Reports an error as that of one operand. */
static int failed_at(struct call *call, int operand, struct text_error *error)
{
	struct call one = *call;

	one.operands = &call->operands[operand];
	one.operands_n = 1;
	return call__failed(&one, error);
}

/* All operands pass a check before the first is touched, so that a failure leaves nothing half done. */
static int check_all(struct call *call, struct balancer *b,
		     int (*check)(struct balancer *, const char *, struct text_error *))
{
	struct text_error error = {};
	int i, j;

	if (balancer__links_sync(b, &error))
		return call__failed(call, &error);
	for (i = 0; i < call->operands_n; i++) {
		for (j = 0; j < i; j++) {
			if (strcmp(call->operands[i], call->operands[j]))
				continue;
			text_error__set(&error, "named twice");
			return failed_at(call, i, &error);
		}
		if (check(b, call->operands[i], &error))
			return failed_at(call, i, &error);
	}
	return EXIT_DONE;
}

static int attach_all(struct call *call, struct balancer *b)
{
	bool is_new[call->operands_n];
	struct text_error error = {}, ignored;
	int i, status = check_all(call, b, balancer__attach_check);

	for (i = 0; !status && i < call->operands_n; i++)
		if (balancer__attach(b, call->operands[i], &attach_wish, command__say,
				     &is_new[i], &error))
			status = failed_at(call, i, &error);
	if (status == EXIT_DONE && attach_wish.has_new_rate &&
	    balancer__set_new_rate(b, attach_wish.new_rate, &error))
		status = call__failed(call, &error);
	else if (status)
		i--; /* the one that failed */
	if (status == EXIT_DONE)
		balancer__attach_notes(b);
	if (status == EXIT_DONE)
		return status;
	for (i--; i >= 0; i--)
		if (is_new[i])
			balancer__detach(b, call->operands[i], &ignored);
	return status;
}

static int run_attach(struct call *call)
{
	struct text_error error = {};
	struct balancer b;
	int status;

	if (balancer__open_locked(&b, call->pin_dir, true, command__note, &error))
		return call__failed(call, &error);
	status = attach_all(call, &b);
	b.failed = status;
	balancer__close(&b);
	return status;
}

static const char *const attach_notes[] = {
	"Puts the balancer on interfaces that clients' packets and backends' replies come in by.",
	"On an interface that has it already, replaces the program by this build's and keeps all",
	"flows. Sets net.ipv4.conf.lo.forwarding and net.ipv6.conf.lo.forwarding, which route",
	"look-ups need; unload puts them back.",
	NULL,
};

const struct command cmd_attach = {
	.name = "attach",
	.operands = "IFACE...",
	.help = "put the balancer on interfaces",
	.operands_min = 1,
	.operands_max = -1,
	.options = attach_defs,
	.options_n = sizeof(attach_defs) / sizeof(attach_defs[0]),
	.into = &attach_wish,
	.notes = attach_notes,
	.run = run_attach,
};

static struct detach_options {
	bool all;
} detach_options;

static const struct option_def detach_defs[] = {
	{ .name = "all",
	  .offset = offsetof(struct detach_options, all),
	  .help = "every interface it is on" },
};

static int run_detach(struct call *call)
{
	struct text_error error = {};
	struct balancer b;
	int i, status;

	if (!call->operands_n == !detach_options.all) {
		text_error__set(&error, "name interfaces, or --all");
		return call__usage(call, &error);
	}
	if (balancer__open_locked(&b, call->pin_dir, false, command__note, &error))
		return call__failed(call, &error);
	status = check_all(call, &b, balancer__detach_check);
	if (!status && detach_options.all && balancer__detach_all(&b, &error))
		status = call__failed(call, &error);
	for (i = 0; !status && i < call->operands_n; i++)
		if (balancer__detach(&b, call->operands[i], &error))
			status = failed_at(call, i, &error);
	balancer__close(&b);
	return status;
}

const struct command cmd_detach = {
	.name = "detach",
	.operands = "IFACE...|--all",
	.help = "take it off interfaces; VIPs and flows stay",
	.operands_max = -1,
	.options = detach_defs,
	.options_n = sizeof(detach_defs) / sizeof(detach_defs[0]),
	.into = &detach_options,
	.run = run_detach,
};

static int run_unload(struct call *call)
{
	struct text_error error = {};

	return balancer__unload(call->pin_dir, command__note, &error) ? call__failed(call, &error) :
									EXIT_DONE;
}

const struct command cmd_unload = {
	.name = "unload",
	.operands = "",
	.help = "detach everywhere and remove all state",
	.run = run_unload,
};

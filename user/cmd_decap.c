// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* decap: unwrapping of ipip and gue, on backends. */
#include <errno.h>
#include <string.h>

#include "command.h"
#include "decap.h"
#include "output.h"

static struct decap_wish wish;

static int parse_vips(const char *text, void *into, struct text_error *error)
{
	struct decap_wish *to = into;

	return text__parse_addr_list(text, to->vips, DECAP_MAX_VIPS, &to->vips_n, error);
}

static const struct option_def defs[] = {
	{ .name = "mode",
	  .arg = "auto|native|generic",
	  .offset = offsetof(struct decap_wish, mode),
	  .help = "auto (the default): native where the driver does it well, else generic" },
	{ .name = "vip",
	  .arg = "ADDRESS[,ADDRESS...]",
	  .parse = parse_vips,
	  .help = "the VIPs of this host (default: the addresses of lo that aren't local ones)" },
};

static const struct out_column columns[] = {
	{ "INTERFACE", "interface", OUT_TEXT },	  { "MODE", "mode", OUT_TEXT },
	{ "UNWRAPPED", "unwrapped", OUT_COUNT },  { "OTHER", "other", OUT_COUNT },
	{ "MALFORMED", "malformed", OUT_COUNT }, { "CONGESTED", "congested", OUT_COUNT },
};

static int list_row(const struct decap_row *row, void *arg)
{
	const __u64 *n = row->counts.packets;

	return out__row(arg, json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "interface", row->iface,
				       "mode", row->mode == LB_MODE_NATIVE ? "native" : "generic",
				       "unwrapped", (json_int_t)n[DECAP_UNWRAPPED], "other",
				       (json_int_t)n[DECAP_OTHER], "malformed",
				       (json_int_t)n[DECAP_PASSED], "congested",
				       (json_int_t)n[DECAP_CONGESTED]));
}

static int show(struct call *call)
{
	struct text_error error = {};
	struct out *out;
	int err, end;

	err = out__open(call->global->format, columns, sizeof(columns) / sizeof(columns[0]), stdout,
			&out);
	if (!err) {
		err = decap__each(call->pin_dir, list_row, out, &error);
		end = out__close(out);
		err = err ? err : end;
	}
	if (!err)
		return EXIT_DONE;
	if (!error.why[0])
		text_error__set(&error, "%s", strerror(-err));
	return call__failed(call, &error);
}

static int run_decap(struct call *call)
{
	const char *what = call->operands[0];
	bool attaches = !strcmp(what, "attach");
	struct text_error error = {};
	int err;

	if (!strcmp(what, "show") && call->operands_n == 1)
		return show(call);
	if (!attaches && strcmp(what, "detach")) {
		text_error__set(&error, "decap what? attach IFACE, detach IFACE or show");
		return call__usage(call, &error);
	}
	if (call->operands_n < 2) {
		text_error__set(&error, "something is missing; usage: lbctl decap %s IFACE", what);
		return call__usage(call, &error);
	}
	err = attaches ? decap__attach(call->pin_dir, call->operands[1], &wish, command__say,
				       command__note, &error) :
			 decap__detach(call->pin_dir, call->operands[1], command__note, &error);
	return err ? call__failed(call, &error) : EXIT_DONE;
}

static const char *const notes[] = {
	"On a backend of methods ipip and gue that has no tunnel device: takes packets for its VIPs out of",
	"their tunnel, of either family in either, before the host sees them. All else passes as it came.",
	"VIPs are those of the host, as they are when it is attached: again after they have changed. show:",
	"what was unwrapped, was for another address, was malformed (both pass), or dropped as congested.",
	NULL,
};

const struct command cmd_decap = {
	.name = "decap",
	.operands = "attach|detach|show [IFACE]",
	.help = "unwrap ipip and gue on a backend",
	.operands_min = 1,
	.operands_max = 2,
	.options = defs,
	.options_n = sizeof(defs) / sizeof(defs[0]),
	.into = &wish,
	.notes = notes,
	.run = run_decap,
};

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* add-vip, set-vip, del-vip. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "names.h"

#define PERSIST_MAX_MS (24 * 3600 * 1000) /* jiffies wrap at 2^32 */

static struct vip_options vip_options = { .method = -1, .scheduler = -1, .hash = -1 };

static int parse_snat(const char *text, void *into, struct text_error *error)
{
	struct vip_options *options = into;

	options->has_snat = true;
	return text__parse_addr_list(text, options->snat, LB_SNAT_MAX, &options->snat_n, error);
}

static int parse_announce(const char *text, void *into, struct text_error *error)
{
	struct vip_options *options = into;

	(void)error;
	options->announce = text;
	return 0;
}

/* "any": everybody */
static int parse_allow(const char *text, void *into, struct text_error *error)
{
	struct vip_options *options = into;

	options->has_allow = true;
	options->allow_n = 0;
	if (!strcmp(text, "any"))
		return 0;
	return text__parse_prefix_list(text, options->allow, BALANCER_ALLOW_MAX, &options->allow_n,
				       error);
}

static int parse_persist(const char *text, void *into, struct text_error *error)
{
	struct vip_options *options = into;

	options->has_persist = true;
	options->persist_ms = 0;
	if (!strcmp(text, "none"))
		return 0;
	if (text__parse_duration(text, &options->persist_ms, error))
		return -EINVAL;
	if (options->persist_ms < 1000 || options->persist_ms > PERSIST_MAX_MS)
		return text_error__set(error, "bad persistence \"%s\": 1s to 24h, or none", text);
	return 0;
}

static int parse_new_rate(const char *text, void *into, struct text_error *error)
{
	struct vip_options *options = into;

	options->has_new_rate = true;
	return option__parse_rate(text, &options->new_rate, error);
}

/* STATE=DURATION */
static int parse_timeout(const char *text, void *into, struct text_error *error)
{
	struct vip_options *options = into;
	const char *equals = strchr(text, '=');
	uint32_t ms;
	int state;

	state = equals ? names__find(ct_state_names, CT_STATES, text, equals - text) : -1;
	if (state < 0)
		return text_error__set(error, "bad timeout \"%s\": STATE=DURATION, such as "
					      "established=1h; STATE is syn, established, fin, "
					      "closed, new or assured", text);
	if (text__parse_duration(equals + 1, &ms, error))
		return -EINVAL;
	if (ms < 1000)
		return text_error__set(error, "bad timeout \"%s\": at least 1s", text);
	options->timeout_ms[state] = ms;
	return 0;
}

static const struct option_def vip_defs[] = {
	{ .name = "method",
	  .arg = "fullnat|nat|ipip|dsr|gue",
	  .offset = offsetof(struct vip_options, method),
	  .help = "how packets reach backends. fullnat rewrites both addresses and needs nothing "
		  "there; nat leaves the client's, and backends answer through this host, as their "
		  "gateway; with the others the backend has the VIP and answers the client itself: "
		  "dsr sends to the MAC of one on the same link, ipip through an IP tunnel, gue in UDP" },
	{ .name = "scheduler",
	  .arg = "maglev|wrr",
	  .offset = offsetof(struct vip_options, scheduler),
	  .help = "how a new flow's backend is chosen: by consistent hashing, or by turns" },
	{ .name = "hash",
	  .arg = "5tuple|source",
	  .offset = offsetof(struct vip_options, hash),
	  .help = "what of a packet chooses it; source: all flows of a client go to one backend" },
	{ .name = "persist",
	  .arg = "DURATION|none",
	  .parse = parse_persist,
	  .help = "a client's new flows go to the backend of its last one, if that began no longer "
		  "ago (default none)" },
	{ .name = "snat",
	  .arg = "ADDRESS[,ADDRESS...]",
	  .parse = parse_snat,
	  .help = "source addresses toward backends (fullnat, and of ipip's and gue's outer headers); "
		  "default: what the route to each gives, or another if that is a VIP; up to 8" },
	{ .name = "announce",
	  .arg = "IFACE|none",
	  .parse = parse_announce,
	  .help = "answer ARP and neighbour discovery for it there, though no interface has the "
		  "address (default none)" },
	{ .name = "allow",
	  .arg = "PREFIX[,PREFIX...]|any",
	  .parse = parse_allow,
	  .help = "clients whose new flows it takes, up to 256 prefixes; any: everybody (the default)" },
	{ .name = "new-rate",
	  .arg = "N",
	  .parse = parse_new_rate,
	  .help = "new flows a second that are tracked; above it fullnat and nat drop them, the other "
		  "methods go on without a flow. 0: no limit (the default)" },
	{ .name = "timeout",
	  .arg = "STATE=DURATION",
	  .parse = parse_timeout,
	  .many = true,
	  .help = "idle time that ends a flow: syn, established, fin, closed (TCP), new, assured "
		  "(UDP); may be repeated" },
	{ .name = "force",
	  .offset = offsetof(struct vip_options, force),
	  .help = "take every port of an address that this host uses itself" },
};


static int run_on_vip(struct call *call, bool create,
		      int (*change)(struct balancer *, const struct service *,
				    const struct vip_options *, struct text_error *))
{
	struct text_error error = {};
	struct service service;
	struct balancer b;
	int err, status = call__vip(call, 0, &service);

	if (status)
		return status;
	if (balancer__open_locked(&b, call->pin_dir, create, command__note, &error))
		return call__failed(call, &error);
	err = change(&b, &service, &vip_options, &error);
	b.failed = err;
	balancer__close(&b);
	return err ? call__failed(call, &error) : EXIT_DONE;
}

static int run_add_vip(struct call *call)
{
	return run_on_vip(call, true, balancer__add_vip);
}

static int run_set_vip(struct call *call)
{
	struct text_error error = {};

	if (!call->options->seen) {
		text_error__set(&error, "nothing to change; lbctl help set-vip lists the options");
		return call__usage(call, &error);
	}
	return run_on_vip(call, false, balancer__set_vip);
}

static int del_vip(struct balancer *b, const struct service *service,
		   const struct vip_options *options, struct text_error *error)
{
	(void)options;
	return balancer__del_vip(b, service, error);
}

static int run_del_vip(struct call *call)
{
	return run_on_vip(call, false, del_vip);
}

static const char *const vip_notes[] = {
	"VIP: ADDRESS:PORT[/tcp|/udp], or ADDRESS:*[/tcp|/udp] for every port; IPv6 in brackets, as in",
	"'[2001:db8::5]:80'.",
	NULL,
};

const struct command cmd_add_vip = {
	.name = "add-vip",
	.operands = "VIP",
	.help = "serve an address and port",
	.operands_min = 1,
	.operands_max = 1,
	.options = vip_defs,
	.options_n = sizeof(vip_defs) / sizeof(vip_defs[0]),
	.into = &vip_options,
	.notes = vip_notes,
	.run = run_add_vip,
};

const struct command cmd_set_vip = {
	.name = "set-vip",
	.operands = "VIP",
	.help = "change a VIP's options",
	.operands_min = 1,
	.operands_max = 1,
	.options = vip_defs,
	.options_n = sizeof(vip_defs) / sizeof(vip_defs[0]),
	.into = &vip_options,
	.notes = vip_notes,
	.run = run_set_vip,
};

const struct command cmd_del_vip = {
	.name = "del-vip",
	.operands = "VIP",
	.help = "stop serving it; its flows end",
	.operands_min = 1,
	.operands_max = 1,
	.run = run_del_vip,
};

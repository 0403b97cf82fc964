// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* daemon: what needs a process that stays. */
#include <stdio.h>

#include "command.h"
#include "daemon.h"

static struct daemon_options options = { .park_time_ms = 1000, .park_packets = 16384 };

static const struct option_def defs[] = {
	{ .name = "park-time",
	  .arg = "DURATION",
	  .parse = option__parse_duration,
	  .offset = offsetof(struct daemon_options, park_time_ms),
	  .help = "how long packets wait (default 1s)" },
	{ .name = "park-packets",
	  .arg = "N",
	  .parse = option__parse_count,
	  .offset = offsetof(struct daemon_options, park_packets),
	  .help = "how many fragments may wait (default 16384), in at most 2 KB each on average" },
};

static void say(const char *text)
{
	command__say(text);
	fflush(stdout); /* to a log, too */
}

static int run_daemon(struct call *call)
{
	struct text_error error = {};

	if (daemon__run(call->pin_dir, &options, say, command__note, &error))
		return call__failed(call, &error);
	return EXIT_DONE;
}

static const char *const notes[] = {
	"Keeps fragments that arrive before the first of their datagram, which alone tells whose it is, and",
	"sends them in again when that has come. Without it they are dropped (show drops: fragment_early) or,",
	"where the VIP is an address of this host, are the host's. Keeps packets whose next hop's MAC is unknown",
	"(no_neighbour without it), and has the kernel ask for that. Stays in the foreground until SIGINT or",
	"SIGTERM; may be stopped, killed and started at any time. Waits for a balancer that is not there yet.",
	NULL,
};

const struct command cmd_daemon = {
	.name = "daemon",
	.operands = "",
	.help = "keep what has to wait: early fragments, unresolved next hops",
	.options = defs,
	.options_n = sizeof(defs) / sizeof(defs[0]),
	.into = &options,
	.notes = notes,
	.run = run_daemon,
};

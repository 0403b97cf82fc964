// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* help and version. */
#include <stdio.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "build_id.h"
#include "command.h"
#include "output.h"

static void help_all(void)
{
	const struct command *const *command;
	char usage[80];

	puts("lbctl: a stateful layer-4 load balancer in XDP\n\n"
	     "usage: lbctl [OPTIONS] COMMAND ...\n");
	for (command = commands; *command; command++) {
		snprintf(usage, sizeof(usage), "%s %s", (*command)->name, (*command)->operands);
		if (strlen(usage) > 32)
			printf("  %s\n  %-34s %s\n", usage, "", (*command)->help);
		else
			printf("  %-34s %s\n", usage, (*command)->help);
	}
	puts("\nOptions of every command:");
	options__help(global_option_defs, GLOBAL_OPTIONS_N, stdout);
	puts("\nlbctl help COMMAND tells a command's options. A web service in three commands:\n\n"
	     "  lbctl attach eth0\n"
	     "  lbctl add-vip 192.0.2.10:80/tcp\n"
	     "  lbctl add-backend 192.0.2.10:80/tcp 192.0.2.21:8080");
}

static void help_one(const struct command *command)
{
	const char *const *note;

	printf("usage: lbctl %s%s%s%s\n\n  %s\n", command->name, *command->operands ? " " : "",
	       command->operands, command->options_n ? " [OPTIONS]" : "", command->help);
	if (command->options_n) {
		puts("\nOptions:");
		options__help(command->options, command->options_n, stdout);
	}
	if (command->notes)
		puts("");
	for (note = command->notes; note && *note; note++)
		puts(*note);
}

static int run_help(struct call *call)
{
	const struct command *const *command;
	struct text_error error = {};

	if (!call->operands_n) {
		help_all();
		return EXIT_DONE;
	}
	for (command = commands; *command; command++) {
		if (strcmp((*command)->name, call->operands[0]))
			continue;
		help_one(*command);
		return EXIT_DONE;
	}
	text_error__set(&error, "no such command; lbctl help lists them");
	return call__usage(call, &error);
}

const struct command cmd_help = {
	.name = "help",
	.operands = "[COMMAND]",
	.help = "print help",
	.operands_max = 1,
	.run = run_help,
};

static const struct out_column version_columns[] = {
	{ "lbctl", "version", OUT_TEXT },
	{ "build", "build", OUT_TEXT },
	{ "libbpf", "libbpf", OUT_TEXT },
	{ "layout", "layout", OUT_TEXT },
	{ "linking", "linking", OUT_TEXT },
	{ "netlink", "netlink", OUT_TEXT },
};

static int run_version(struct call *call)
{
#ifdef LBCTL_STATIC
	const char *linking = "static";
#else
	const char *linking = "dynamic";
#endif
#ifdef LBCTL_NETLINK_BUILTIN
	const char *netlink = "built-in";
#else
	const char *netlink = "libmnl";
#endif
	char libbpf[32];
	int err;

	snprintf(libbpf, sizeof(libbpf), "%u.%u", libbpf_major_version(), libbpf_minor_version());
	err = out__object(call->global->format, version_columns,
			  sizeof(version_columns) / sizeof(version_columns[0]), stdout,
			  json_pack("{s:s, s:s, s:s, s:i, s:s, s:s}", "version", LBCTL_VERSION,
				    "build", LBCTL_BUILD_ID, "libbpf", libbpf, "layout",
				    LB_LAYOUT_VERSION, "linking", linking, "netlink", netlink));
	return err ? EXIT_FAILED : EXIT_DONE;
}

const struct command cmd_version = {
	.name = "version",
	.operands = "",
	.help = "print the version",
	.run = run_version,
};

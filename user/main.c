// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* lbctl: finds the command, parses its options by its table, runs it. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "loader.h"

const struct command *const commands[] = {
	&cmd_attach,	  &cmd_detach,	    &cmd_unload,      &cmd_add_vip,	&cmd_set_vip,
	&cmd_del_vip,	  &cmd_add_backend, &cmd_set_backend, &cmd_del_backend, &cmd_drain,
	&cmd_deny, &cmd_decap,	  &cmd_daemon,	    &cmd_show,	      &cmd_flush,	&cmd_gc,
	&cmd_version,	  &cmd_help,	    NULL,
};

static const struct command *command_find(const char *name)
{
	const struct command *const *command;

	for (command = commands; *command; command++)
		if (!strcmp((*command)->name, name))
			return *command;
	return NULL;
}

static int usage(const char *what, const char *why)
{
	fprintf(stderr, "lbctl: %s: %s; lbctl help lists the commands\n", what, why);
	return EXIT_USAGE;
}

static const char *pin_dir(const struct global_options *global)
{
	const char *dir = global->pin_dir ? global->pin_dir : getenv("LBCTL_PIN_DIR");

	return dir && *dir ? dir : "/sys/fs/bpf/lbctl";
}

/* argv[0] is the command's name; what is before it is parsed. */
static int command_run(const struct command *command, int argc, char **argv,
		       struct option_set *global_set, struct global_options *global)
{
	struct option_set sets[] = {
		*global_set,
		{ .defs = command->options, .defs_n = command->options_n, .into = command->into },
	};
	struct call call = { .command = command, .global = global, .options = &sets[1] };
	struct text_error error = {};
	int operand, n;

	if (options__parse(argc, argv, false, sets, 2, &operand, &error))
		return call__usage(&call, &error);
	if (global->help) {
		char *name[] = { (char *)command->name };

		call.operands = name;
		call.operands_n = 1;
		return cmd_help.run(&call);
	}
	n = argc - operand;
	call.operands = argv + operand;
	call.operands_n = n;
	call.pin_dir = pin_dir(global);
	if (n < command->operands_min || (command->operands_max >= 0 && n > command->operands_max)) {
		text_error__set(&error, "%s; usage: lbctl %s%s%s",
				n < command->operands_min ? "something is missing" : "too many words",
				command->name, *command->operands ? " " : "", command->operands);
		call.operands_n = 0;
		return call__usage(&call, &error);
	}
	loader__verbose(global->verbose);
	return command->run(&call);
}

/* What was printed may not have arrived: a full disk, a closed pipe. */
static int finish(int status)
{
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	if (status == EXIT_DONE)
		fprintf(stderr, "lbctl: standard output: %s\n", strerror(errno));
	return status == EXIT_DONE ? EXIT_FAILED : status;
}

int main(int argc, char **argv)
{
	struct global_options global = {};
	struct option_set global_set = {
		.defs = global_option_defs,
		.defs_n = GLOBAL_OPTIONS_N,
		.into = &global,
	};
	const struct command *command;
	struct text_error error = {};
	int at;

	signal(SIGPIPE, SIG_IGN); /* a write error instead */
	unsetenv("POSIXLY_CORRECT"); /* options may stand anywhere */
	if (options__parse(argc, argv, true, &global_set, 1, &at, &error))
		return usage("usage", error.why);
	if (at >= argc && !global.help)
		return usage("usage", "no command");
	command = at < argc ? command_find(argv[at]) : &cmd_help;
	if (!command)
		return usage(argv[at], "no such command");
	if (at >= argc) {
		struct call call = { .command = command, .global = &global };

		return finish(command->run(&call));
	}
	return finish(command_run(command, argc - at, argv + at, &global_set, &global));
}

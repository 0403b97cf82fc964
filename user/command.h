/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What a command is to main(), and what commands share. */
#ifndef LBCTL_COMMAND_H
#define LBCTL_COMMAND_H

#include "balancer.h"
#include "options.h"
#include "text.h"

enum exit_status {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
};

struct command;

/* One run of a command. */
struct call {
	const struct command *command;
	const struct global_options *global;
	const char *pin_dir; /* resolved */
	struct option_set *options;
	int operands_n;
	char **operands;
};

struct command {
	const char *name;
	const char *operands; /* as in the help; "" if none */
	const char *help;
	int operands_min;
	int operands_max;
	const struct option_def *options;
	size_t options_n;
	void *into;	       /* the options' struct */
	const char *const *notes; /* lines below the options in the help; NULL or NULL-terminated */
	int (*run)(struct call *call);
};

extern const struct command *const commands[]; /* NULL-terminated */

/* "lbctl: WHAT: WHY" on standard error; what: the command and its operands. Answers the status. */
int call__failed(const struct call *call, const struct text_error *error);
int call__usage(const struct call *call, const struct text_error *error);

/* "lbctl: note: TEXT" on standard error, "TEXT" on standard output. */
void command__note(const char *text);
void command__say(const char *text);

/* Operands. 0, or EXIT_USAGE, already reported. */
int call__vip(const struct call *call, int operand, struct service *ret);
int call__backend(const struct call *call, int operand, struct endpoint *ret);

extern const struct command cmd_attach, cmd_detach, cmd_unload, cmd_add_vip, cmd_set_vip, cmd_del_vip,
	cmd_add_backend, cmd_set_backend, cmd_del_backend, cmd_drain, cmd_deny, cmd_decap, cmd_daemon, cmd_show,
	cmd_flush, cmd_gc, cmd_version, cmd_help;

#endif

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* add-backend, set-backend, del-backend, drain. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "command.h"

static struct {
	uint16_t weight;
} add_options = { .weight = 1 };

static struct {
	uint16_t weight;
	int state; /* position in "auto|up|drain|down": enum lb_admin */
} set_options;

static struct {
	uint32_t wait_ms;
} drain_options;

static const struct option_def add_defs[] = {
	{ .name = "weight",
	  .arg = "N",
	  .parse = option__parse_weight,
	  .help = "its share of new flows beside the others' (0 to 65535, default 1; 0: none)" },
};

static const struct option_def set_defs[] = {
	{ .name = "weight",
	  .arg = "N",
	  .parse = option__parse_weight,
	  .help = "its share of new flows beside the others' (0 to 65535; 0: none)" },
	{ .name = "state",
	  .arg = "auto|up|drain|down",
	  .offset = offsetof(__typeof__(set_options), state),
	  .help = "drain: no new flows; down: and its UDP flows go elsewhere; auto, up: as usual" },
};

static const struct option_def drain_defs[] = {
	{ .name = "wait",
	  .arg = "DURATION",
	  .parse = option__parse_duration,
	  .help = "return when its flows are gone; exit 1 if some are left after this time" },
};

/* Both operands of one call, and the balancer under its lock. */
struct target {
	struct service service;
	struct endpoint backend;
	struct balancer b;
};

static int target_open(struct call *call, struct target *target)
{
	struct text_error error = {};
	int status = call__vip(call, 0, &target->service);

	if (!status)
		status = call__backend(call, 1, &target->backend);
	if (status)
		return status;
	if (balancer__open_locked(&target->b, call->pin_dir, false, command__note, &error))
		return call__failed(call, &error);
	return 0;
}

static int run_add_backend(struct call *call)
{
	struct text_error error = {};
	struct target target;
	int err, status = target_open(call, &target);

	if (status)
		return status;
	err = balancer__add_backend(&target.b, &target.service, &target.backend, add_options.weight,
				    &error);
	balancer__close(&target.b);
	return err ? call__failed(call, &error) : EXIT_DONE;
}

static int run_set_backend(struct call *call)
{
	struct backend_options options = {
		.has_weight = options__seen(call->options, "weight"),
		.has_admin = options__seen(call->options, "state"),
		.weight = set_options.weight,
		.admin = set_options.state,
	};
	struct text_error error = {};
	struct target target;
	int err, status;

	if (!options.has_weight && !options.has_admin) {
		text_error__set(&error, "nothing to change; --weight N or --state S");
		return call__usage(call, &error);
	}
	status = target_open(call, &target);
	if (status)
		return status;
	err = balancer__set_backend(&target.b, &target.service, &target.backend, &options, &error);
	balancer__close(&target.b);
	return err ? call__failed(call, &error) : EXIT_DONE;
}

static int run_del_backend(struct call *call)
{
	struct text_error error = {};
	struct target target;
	int err, status = target_open(call, &target);

	if (status)
		return status;
	err = balancer__del_backend(&target.b, &target.service, &target.backend, &error);
	balancer__close(&target.b);
	return err ? call__failed(call, &error) : EXIT_DONE;
}

struct left {
	struct lb_backend_ref ref;
	unsigned long long n;
};

static int count_left(const struct flow *flow, void *arg)
{
	struct left *left = arg;

	if (!flow->expired && flow->state != CT_CLOSED &&
	    flow->backend.index == left->ref.index && flow->backend.gen == left->ref.gen)
		left->n++;
	return 0;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ULL + now.tv_nsec / 1000000;
}

/* Without the lock: others may go on changing things. */
static int drain_wait(struct call *call, const struct lb_backend_ref *ref)
{
	const struct timespec pause = { .tv_nsec = 200 * 1000000 };
	uint64_t until = now_ms() + drain_options.wait_ms;
	struct text_error error = {};
	struct balancer b;
	struct left left;
	int err;

	if (balancer__open(&b, call->pin_dir, &error))
		return call__failed(call, &error);
	for (;;) {
		left = (struct left){ .ref = *ref };
		err = maps__flow_each(&b.maps, false, count_left, &left);
		if (err == -ENOENT)
			err = 0;
		if (err || !left.n || now_ms() >= until)
			break;
		nanosleep(&pause, NULL);
	}
	balancer__close(&b);
	if (!err && !left.n)
		return EXIT_DONE;
	if (err)
		text_error__set(&error, "can't count its flows: %s", strerror(-err));
	else
		text_error__set(&error, "%llu flow%s left; it goes on draining", left.n,
				left.n == 1 ? " is" : "s are");
	return call__failed(call, &error);
}

static int run_drain(struct call *call)
{
	struct backend_options options = { .has_admin = true, .admin = LB_ADMIN_DRAIN };
	struct lb_pool_member member;
	struct text_error error = {};
	struct target target;
	int err, status = target_open(call, &target);

	if (status)
		return status;
	err = balancer__set_backend(&target.b, &target.service, &target.backend, &options, &error);
	if (!err)
		err = balancer__find_backend(&target.b, &target.service, &target.backend, &member,
					     &error);
	balancer__close(&target.b);
	if (err)
		return call__failed(call, &error);
	return options__seen(call->options, "wait") ? drain_wait(call, &member.ref) : EXIT_DONE;
}

static const char *const backend_notes[] = {
	"BACKEND: ADDRESS[:PORT], of the VIP's family; without a port, the VIP's.",
	NULL,
};

const struct command cmd_add_backend = {
	.name = "add-backend",
	.operands = "VIP BACKEND",
	.help = "add a backend to a VIP",
	.operands_min = 2,
	.operands_max = 2,
	.options = add_defs,
	.options_n = sizeof(add_defs) / sizeof(add_defs[0]),
	.into = &add_options,
	.notes = backend_notes,
	.run = run_add_backend,
};

const struct command cmd_set_backend = {
	.name = "set-backend",
	.operands = "VIP BACKEND",
	.help = "change its weight or state",
	.operands_min = 2,
	.operands_max = 2,
	.options = set_defs,
	.options_n = sizeof(set_defs) / sizeof(set_defs[0]),
	.into = &set_options,
	.notes = backend_notes,
	.run = run_set_backend,
};

const struct command cmd_del_backend = {
	.name = "del-backend",
	.operands = "VIP BACKEND",
	.help = "remove it; its flows go elsewhere at their next packet",
	.operands_min = 2,
	.operands_max = 2,
	.notes = backend_notes,
	.run = run_del_backend,
};

const struct command cmd_drain = {
	.name = "drain",
	.operands = "VIP BACKEND",
	.help = "give it no new flows",
	.operands_min = 2,
	.operands_max = 2,
	.options = drain_defs,
	.options_n = sizeof(drain_defs) / sizeof(drain_defs[0]),
	.into = &drain_options,
	.notes = backend_notes,
	.run = run_drain,
};

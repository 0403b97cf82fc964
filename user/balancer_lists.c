// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Lists of clients: those that are denied, and those that a VIP allows. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "balancer.h"

struct sought {
	const struct lb_prefix *prefix;
	bool found;
	bool any_denied;
	uint32_t last; /* the highest number of a list */
};

static int seek(const struct lb_prefix *prefix, void *arg)
{
	struct sought *sought = arg;
	uint32_t number = prefix->list & ~LB_LIST_V6;

	sought->found |= sought->prefix && !memcmp(prefix, sought->prefix, sizeof(*prefix));
	sought->any_denied |= number == LB_LIST_DENY;
	if (number > sought->last)
		sought->last = number;
	return 0;
}

/* Packets look at the list only if this is said. */
static int say_denied(struct balancer *b, bool any)
{
	struct lb_settings settings;
	int err = maps__settings(&b->maps, &settings);

	if (err || settings.deny == any)
		return err;
	settings.deny = any;
	return maps__settings_put(&b->maps, &settings);
}

static int full(struct text_error *error)
{
	text_error__set(error, "there are %d prefixes already, of all lists", LB_MAX_PREFIXES);
	return -ENOSPC;
}

int balancer__deny_add(struct balancer *b, const struct lb_prefix *prefix, struct text_error *error)
{
	struct sought sought = { .prefix = prefix };
	int err = 0;

	/* A longer match may be another prefix: only then all have to be looked at. */
	if (maps__prefix_matches(&b->maps, prefix))
		err = maps__prefix_each(&b->maps, seek, &sought);
	if (!err && sought.found) {
		text_error__set(error, "it is denied already");
		return -EEXIST;
	}
	if (!err)
		err = say_denied(b, true);
	if (!err)
		err = maps__prefix_put(&b->maps, prefix);
	if (err == -ENOSPC)
		return full(error);
	if (err)
		text_error__set(error, "%s", strerror(-err));
	return err;
}

int balancer__deny_del(struct balancer *b, const struct lb_prefix *prefix, struct text_error *error)
{
	struct sought sought = {};
	int err = maps__prefix_del(&b->maps, prefix);

	if (err == -ENOENT) {
		text_error__set(error, "it is not denied; lbctl deny show lists what is");
		return err;
	}
	if (!err)
		err = maps__prefix_each(&b->maps, seek, &sought);
	if (!err)
		err = say_denied(b, sought.any_denied);
	if (err)
		text_error__set(error, "%s", strerror(-err));
	return err;
}

int balancer__allow_make(struct balancer *b, const struct lb_prefix *prefixes, size_t n,
			 uint32_t *ret_list, struct text_error *error)
{
	struct lb_prefix prefix;
	struct sought sought = {};
	size_t i;
	int err;

	*ret_list = 0;
	if (!n)
		return 0;
	err = maps__prefix_each(&b->maps, seek, &sought);
	for (i = 0; !err && i < n; i++) {
		prefix = prefixes[i];
		prefix.list += sought.last + 1;
		err = maps__prefix_put(&b->maps, &prefix);
	}
	*ret_list = sought.last + 1;
	if (err == -ENOSPC)
		return full(error);
	if (err)
		text_error__set(error, "%s", strerror(-err));
	return err;
}

struct used {
	struct balancer *b;
	const uint32_t *lists;
	size_t n;
	bool any_denied;
};

static int drop_unused(const struct lb_prefix *prefix, void *arg)
{
	struct used *used = arg;
	size_t i;

	if ((prefix->list & ~LB_LIST_V6) == LB_LIST_DENY) {
		used->any_denied = true;
		return 0;
	}
	for (i = 0; i < used->n; i++)
		if (used->lists[i] == (prefix->list & ~LB_LIST_V6))
			return 0;
	return maps__prefix_del(&used->b->maps, prefix);
}

int balancer__lists_sync(struct balancer *b, const uint32_t *lists, size_t n)
{
	struct used used = { .b = b, .lists = lists, .n = n };
	int err = maps__prefix_each(&b->maps, drop_unused, &used);

	return err ? err : say_denied(b, used.any_denied);
}

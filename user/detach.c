// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* detach and unload: interfaces given back, the host as it was found. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "balancer.h"
#include "host.h"

/* The qdisc goes only if it is ours and nobody else's filter hangs on it. */
void balancer__clsact_remove(struct balancer *b, uint32_t ifindex, bool made_qdisc)
{
	struct nl_clsact clsact;
	bool last = !nl__clsact_filters(b->nl, ifindex, &clsact) && clsact.filters <= 1;

	loader__clsact_detach(ifindex, made_qdisc && last);
}

int balancer__detach_link(struct balancer *b, const char *iface, const struct loader_link *link)
{
	struct lb_iface kept = {};
	int err;

	if (link->ifindex)
		maps__iface_get(&b->maps, link->ifindex, &kept);
	err = loader__detach(b->dir, iface);
	if (err || !link->ifindex)
		return err;
	if (kept.mode == LB_MODE_GENERIC)
		balancer__clsact_remove(b, link->ifindex, kept.clsact);
	return maps__iface_del(&b->maps, link->ifindex);
}

struct modes_used {
	struct balancer *b;
	bool used[2]; /* by enum lb_mode */
};

static int mark_mode(const char *iface, const struct loader_link *link, void *arg)
{
	struct modes_used *modes = arg;
	struct lb_iface entry = {};

	(void)iface;
	if (!maps__iface_get(&modes->b->maps, link->ifindex, &entry))
		modes->used[entry.mode & 1] = true;
	return 0;
}

/* Only programs that some interface runs stay pinned. */
void balancer__unpin_unused(struct balancer *b)
{
	struct modes_used modes = { .b = b };

	if (loader__link_each(b->dir, mark_mode, &modes))
		return;
	if (!modes.used[LB_MODE_NATIVE])
		loader__unpin_program(b->dir, LB_MODE_NATIVE);
	if (!modes.used[LB_MODE_GENERIC])
		loader__unpin_program(b->dir, LB_MODE_GENERIC);
}

/* The pin of an interface, which may be called by an alternative name. */
static int find_pin(struct balancer *b, const char *iface, struct nl_link *ret_link,
		    struct loader_link *ret)
{
	int err = nl__link_get(b->nl, iface, ret_link);

	if (!err)
		err = loader__link_get(b->dir, ret_link->name, ret);
	return err == -ENODEV ? -ENOENT : err;
}

int balancer__detach_check(struct balancer *b, const char *iface, struct text_error *error)
{
	struct loader_link pinned;
	struct nl_link link;
	int err = find_pin(b, iface, &link, &pinned);

	if (err == -ENOENT)
		text_error__set(error, "not attached; lbctl show interfaces lists what is");
	else if (err)
		text_error__set(error, "%s", strerror(-err));
	return err;
}

int balancer__detach(struct balancer *b, const char *iface, struct text_error *error)
{
	struct loader_link pinned;
	struct nl_link link;
	int err = find_pin(b, iface, &link, &pinned);

	if (!err)
		err = balancer__detach_link(b, link.name, &pinned);
	if (err)
		text_error__set(error, "%s", strerror(-err));
	else
		balancer__unpin_unused(b);
	return err;
}

static int detach_each(const char *iface, const struct loader_link *link, void *arg)
{
	return balancer__detach_link(arg, iface, link);
}

int balancer__detach_all(struct balancer *b, struct text_error *error)
{
	int err = loader__link_each(b->dir, detach_each, b);

	if (err)
		text_error__set(error, "%s", strerror(-err));
	else
		balancer__unpin_unused(b);
	return err;
}

static int unmanage_each(const struct nl_neigh *neigh, void *arg)
{
	if (nl__neigh_ours(neigh))
		nl__neigh_unmanage(arg, neigh->ifindex, &neigh->addr);
	return 0;
}

static void forwarding_restore(struct lb_settings *settings, int family)
{
	int found = *balancer__lo_forwarding(settings, family);

	if (found >= 0)
		host__forwarding_set(family, found);
}

/*
 * The last balancer of the namespace puts back what the first one found. This one counts as gone from
 * here on: the kernel still lists its maps for some milliseconds after the last pin is removed.
 */
static void host_restore(struct balancer *b)
{
	struct lb_settings settings, other;
	uint64_t netns, of;
	int fd;

	if (maps__settings(&b->maps, &settings) || host__netns(&netns))
		return;
	of = settings.netns;
	settings.netns = 0;
	maps__settings_put(&b->maps, &settings);
	if (of != netns)
		return;
	if (!maps__other_balancer(netns, b->maps.fd[MAP_SETTINGS], &other, &fd)) {
		close(fd);
		return;
	}
	nl__neigh_list(b->nl, unmanage_each, b->nl);
	forwarding_restore(&settings, AF_INET);
	forwarding_restore(&settings, AF_INET6);
}

int balancer__unload(const char *dir, void (*note)(const char *text), struct text_error *error)
{
	struct balancer b;
	int err = balancer__open_locked(&b, dir, false, note, error);

	if (!err) {
		balancer__announce_end(&b);
		err = balancer__detach_all(&b, error);
		if (!err)
			host_restore(&b);
		if (!err && (err = loader__remove_pins(dir)))
			text_error__set(error, "can't remove the pins: %s", strerror(-err));
		balancer__close(&b);
		return err;
	}
	if (err != -EPROTO && err != -ENOENT)
		return err;
	/* Another layout, or the rest of an unload cut short: the pins are all there is to know. */
	if (access(dir, F_OK))
		return err;
	error->why[0] = '\0';
	err = loader__remove_pins(dir);
	if (err)
		text_error__set(error, "can't remove the pins: %s", strerror(-err));
	return err;
}

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* attach: which mode and why, the host's switches, words about both. */
#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attach.h"
#include "balancer.h"
#include "ct_slot.h"
#include "host.h"
#include "loader.h"
#include "names.h"

#define FLOWS_DEFAULT 262144

bool attach__generic_is_better(const struct nl_link *link)
{
	return !strcmp(link->kind, "veth");
}

int attach__refuse_foreign(const struct nl_link *link, struct text_error *error)
{
	char name[32] = "?";

	loader__prog_name(link->xdp_prog, name, sizeof(name));
	text_error__set(error,
			"it holds XDP program %u (%s); ip link set dev %s xdp%s off removes it, if "
			"nobody needs it (a pinned link: remove its pin)",
			link->xdp_prog, name, link->name,
			link->xdp_mode == XDP_ATTACHED_SKB ? "generic" : "");
	return -EBUSY;
}

/* Ours in which mode? -ENOENT: not ours. */
static int own_mode(struct balancer *b, const struct nl_link *link, enum lb_mode *ret)
{
	struct loader_link pinned;
	int err = loader__link_get(b->dir, link->name, &pinned);

	if (err)
		return err;
	if (pinned.ifindex != link->ifindex) /* of an interface that is gone */
		return -ENOENT;
	*ret = link->xdp_native && link->xdp_native == pinned.prog ? LB_MODE_NATIVE :
								      LB_MODE_GENERIC;
	return 0;
}

/* Route look-ups need one forwarding switch on: that of lo, so that no interface routes. */
static int fib_enable(struct balancer *b, int family, struct lb_settings *settings,
		      struct text_error *error)
{
	struct lb_settings other;
	__s32 *found = balancer__lo_forwarding(settings, family);
	int fd, value, err = host__forwarding_get(family, &value);
	char note[192];

	if (err == -ENOENT && family == AF_INET6) /* a host without IPv6 */
		return 0;
	if (!err && *found < 0) {
		*found = value;
		/* Another balancer found it before us; what it found is what was there. */
		if (!maps__other_balancer(settings->netns, b->maps.fd[MAP_SETTINGS], &other, &fd)) {
			if (*balancer__lo_forwarding(&other, family) >= 0)
				*found = *balancer__lo_forwarding(&other, family);
			close(fd);
		}
		err = maps__settings_put(&b->maps, settings); /* before the change it undoes */
	}
	if (!err && !value)
		err = host__forwarding_set(family, 1);
	if (err && family == AF_INET6) { /* IPv4 does without */
		snprintf(note, sizeof(note),
			 "IPv6 will be dropped as fwd_disabled: can't set "
			 "net.ipv6.conf.lo.forwarding: %s", strerror(-err));
		b->note(note);
		return 0;
	}
	if (err)
		text_error__set(error, "can't set net.ipv4.conf.lo.forwarding: %s", strerror(-err));
	return err;
}

/* One balancer belongs to one network namespace as long as it is attached there. */
static int claim_netns(struct balancer *b, struct lb_settings *settings, struct text_error *error)
{
	struct lb_settings other;
	uint64_t netns;
	int fd, err = host__netns(&netns);

	if (err) {
		text_error__set(error, "%s", strerror(-err));
		return err;
	}
	if (settings->netns != netns &&
	    !maps__other_balancer(netns, b->maps.fd[MAP_SETTINGS], &other, &fd)) {
		b->note("another balancer is attached in this namespace: the two need different SNAT "
			"addresses (set-vip --snat)");
		close(fd);
	}
	settings->netns = netns;
	return 0;
}

/* The flow table is the balancer's, made by its first attach. */
static int choose_table(struct balancer *b, struct lb_settings *settings,
			const struct attach_wish *wish, struct text_error *error)
{
	bool made = maps__table_exists(&b->maps);

	if (!made) {
		settings->flows = wish->flows ? wish->flows : FLOWS_DEFAULT;
		settings->table = wish->table < 0 ? LB_TABLE_ASSOC : (uint32_t)wish->table;
		/* Two slots for each half of a pair. */
		for (settings->sets = 2; settings->sets * CT_WAYS < 4 * settings->flows;)
			settings->sets *= 2;
		return 0;
	}
	if (wish->flows && wish->flows != settings->flows) {
		text_error__set(error,
				"the flow table was made for %u flows; lbctl unload removes it with "
				"all state", settings->flows);
		return -EBUSY;
	}
	if (wish->table >= 0 && (uint32_t)wish->table != settings->table) {
		text_error__set(error,
				"the flow table is %s; lbctl unload removes it with all state",
				lb_table_names[settings->table & 1]);
		return -EBUSY;
	}
	return 0;
}

/* Backends that had no route when they were added, and neighbours that were flushed. */
static void refresh_backends(struct balancer *b)
{
	struct lb_nexthop nexthop = {};
	struct lb_addr source;
	uint32_t i;

	for (i = 0; i < LB_MAX_BACKENDS; i++) {
		struct lb_backend *backend = &b->maps.backends[i];

		if (!maps__backend_used(&b->maps, i))
			continue;
		if (!balancer__resolve(b, &backend->addr, &nexthop))
			maps__backend_nexthop_put(&b->maps, i, &nexthop);
		if (!backend->snat && !balancer__source(b, &backend->addr, &source))
			maps__local_get(&b->maps, &source, LB_LOCAL_SNAT, 0, &backend->snat);
	}
}

static void resolve_gateways(struct balancer *b, const struct nl_link *link, int family)
{
	struct lb_addr gateways[8];
	struct nl_neigh neigh;
	unsigned int i, n = 0;

	if (nl__route_default(b->nl, link->ifindex, family, gateways, 8, &n))
		return;
	for (i = 0; i < n && i < 8; i++)
		nl__neigh_resolve(b->nl, link->ifindex, &gateways[i], 0, &neigh);
}

/* Entries of interfaces that are gone. */
static void forget_ifaces(struct balancer *b)
{
	uint32_t ifindex, next;
	struct nl_link link;
	int err = maps__iface_next(&b->maps, NULL, &next);

	while (!err) {
		ifindex = next;
		err = maps__iface_next(&b->maps, &ifindex, &next);
		if (nl__link_get_index(b->nl, ifindex, &link) == -ENODEV)
			maps__iface_del(&b->maps, ifindex);
	}
}

/* clsact first: without it the generic program's packets would enter the host rewritten. */
static int clsact_add(struct balancer *b, const struct nl_link *link, struct lb_iface *iface,
		      struct text_error *error)
{
	bool made = false;
	int err = loader__clsact_attach(b->dir, link->ifindex, &made);

	iface->clsact |= made;
	if (err)
		text_error__set(error, "can't put the clsact filter there: %s; the kernel needs "
				       "CONFIG_NET_CLS_BPF and CONFIG_NET_SCH_INGRESS",
				strerror(-err));
	return err;
}

/* The kernel takes one mode at a time: the other one's link has to go right before. */
static int switch_link(struct balancer *b, const struct nl_link *link, enum lb_mode from,
		       enum lb_mode to)
{
	int err = loader__detach(b->dir, link->name);

	if (!err)
		err = loader__attach(b->dir, link->name, link->ifindex, to, false);
	if (err) /* as it was; that mode's program is still pinned */
		loader__attach(b->dir, link->name, link->ifindex, from, false);
	return err;
}

/*
 * What remains of an attempt: the filter only where generic mode is, and the entry of what holds now
 * (NULL: nothing). tried tells whether the qdisc is ours.
 */
static int settle_iface(struct balancer *b, uint32_t ifindex, const struct lb_iface *before,
			const struct lb_iface *now, const struct lb_iface *tried)
{
	struct lb_iface entry = now ? *now : (struct lb_iface){ .mode = LB_MODE_NATIVE };
	bool was_generic = (before && before->mode == LB_MODE_GENERIC) ||
			   tried->mode == LB_MODE_GENERIC;

	if (was_generic && entry.mode == LB_MODE_NATIVE) {
		balancer__clsact_remove(b, ifindex, tried->clsact);
		entry.clsact = 0;
	}
	return now ? maps__iface_put(&b->maps, ifindex, &entry) : maps__iface_del(&b->maps, ifindex);
}

/* before: the entry of an interface that is ours already, NULL if it isn't. */
static int attach_mode(struct balancer *b, const struct nl_link *link, enum lb_mode mode,
		       const struct lb_settings *settings, const struct lb_iface *before,
		       struct text_error *error)
{
	struct lb_iface iface = { .mode = mode, .clsact = before ? before->clsact : 0 };
	int err = loader__load(b->dir, mode, true, settings, error);

	if (!err && mode == LB_MODE_GENERIC)
		err = clsact_add(b, link, &iface, error);
	if (err)
		return err;
	err = maps__iface_put(&b->maps, link->ifindex, &iface);
	if (!err && before && before->mode != mode)
		err = switch_link(b, link, before->mode, mode);
	else if (!err)
		err = loader__attach(b->dir, link->name, link->ifindex, mode, before);
	if (err)
		text_error__set(error, "the kernel refuses %s mode: %s%s",
				mode == LB_MODE_GENERIC ? "generic" : "native", strerror(-err),
				err == -EEXIST ? "; a device on top of it has a program: detach that "
						 "one first" : "");
	if (settle_iface(b, link->ifindex, before, err ? before : &iface, &iface) && !err)
		err = -EIO;
	return err;
}

static void native_notes(struct balancer *b, const struct nl_link *link)
{
	char text[320];

	if (strcmp(link->kind, "veth"))
		return;
	snprintf(text, sizeof(text),
		 "native on veth: what is sent back out of %s is lost unless its peer has an XDP "
		 "program too, and the peer's segmentation offload is off; generic needs neither",
		 link->name);
	b->note(text);
}

static const char *choose_mode(const struct nl_link *link, enum attach_mode mode, int own,
			       enum lb_mode own_mode, enum lb_mode *ret)
{
	if (mode != ATTACH_AUTO) {
		*ret = mode == ATTACH_NATIVE ? LB_MODE_NATIVE : LB_MODE_GENERIC;
		return "as asked";
	}
	if (own) {
		*ret = own_mode;
		return "as before";
	}
	*ret = attach__generic_is_better(link) ? LB_MODE_GENERIC : LB_MODE_NATIVE;
	return *ret == LB_MODE_GENERIC ?
		       "on veth native mode is slower and needs a cooperating peer" :
		       "the driver does it";
}

int attach__find_link(struct nl *nl, const char *iface, struct nl_link *ret,
		      struct text_error *error)
{
	int err = nl__link_get(nl, iface, ret);

	if (err == -ENODEV)
		text_error__set(error, "no such interface; ip link lists them");
	else if (err)
		text_error__set(error, "can't look it up: %s", strerror(-err));
	return err;
}

static int link_name(uint32_t ifindex, char *ret, size_t size, void *arg)
{
	struct nl_link link;
	int err = nl__link_get_index(arg, ifindex, &link);

	if (!err)
		snprintf(ret, size, "%s", link.name);
	return err;
}

int balancer__links_sync(struct balancer *b, struct text_error *error)
{
	int err = loader__links_sync(b->dir, link_name, b->nl);

	if (err)
		text_error__set(error, "can't name the links: %s", strerror(-err));
	return err;
}

int balancer__attach_check(struct balancer *b, const char *iface, struct text_error *error)
{
	enum lb_mode mode;
	struct nl_link link;
	int err = attach__find_link(b->nl, iface, &link, error);

	if (!err && link.xdp_prog && own_mode(b, &link, &mode))
		err = attach__refuse_foreign(&link, error);
	return err;
}

int balancer__attach(struct balancer *b, const char *iface, const struct attach_wish *wish,
		     void (*say)(const char *text), bool *ret_new, struct text_error *error)
{
	enum lb_mode own_mode_was = LB_MODE_NATIVE, mode;
	struct lb_iface entry = {}, *before = NULL;
	struct lb_settings settings;
	struct nl_link link;
	const char *why;
	char text[256], reason[96];
	int err, own;

	err = attach__find_link(b->nl, iface, &link, error);
	if (err)
		return err;
	own = !own_mode(b, &link, &own_mode_was);
	if (!own && link.xdp_prog)
		return attach__refuse_foreign(&link, error);
	if (own) {
		maps__iface_get(&b->maps, link.ifindex, &entry);
		entry.mode = own_mode_was;
		before = &entry;
	}
	*ret_new = !own;
	why = choose_mode(&link, wish->mode, own, own_mode_was, &mode);
	err = maps__settings(&b->maps, &settings);
	if (!err)
		err = claim_netns(b, &settings, error);
	if (!err)
		err = choose_table(b, &settings, wish, error);
	if (!err)
		err = maps__settings_put(&b->maps, &settings);
	if (!err)
		err = balancer__refresh_ports(b, error);
	if (!err)
		err = maps__settings(&b->maps, &settings);
	if (!err)
		err = fib_enable(b, AF_INET, &settings, error);
	if (!err)
		err = fib_enable(b, AF_INET6, &settings, error);
	if (err)
		return err;
	err = attach_mode(b, &link, mode, &settings, before, error);
	if (err && wish->mode == ATTACH_AUTO && mode == LB_MODE_NATIVE && !own) {
		snprintf(reason, sizeof(reason), "native was refused: %s", strerror(-err));
		why = reason;
		mode = LB_MODE_GENERIC;
		err = attach_mode(b, &link, mode, &settings, NULL, error);
	}
	if (err)
		return err;
	forget_ifaces(b);
	balancer__unpin_unused(b);
	refresh_backends(b);
	balancer__announce_sync(b, link.ifindex);
	resolve_gateways(b, &link, AF_INET);
	resolve_gateways(b, &link, AF_INET6);
	if (mode == LB_MODE_NATIVE)
		native_notes(b, &link);
	attach__vlan_notes(b, &link);
	if (own && own_mode_was != mode)
		b->note("the kernel takes one mode at a time: packets that came in during the change met "
			"this host, which may have reset their connections");
	snprintf(text, sizeof(text), "%s: %s, %s mode (%s)", link.name,
		 own && own_mode_was == mode ? "program replaced" : "attached",
		 mode == LB_MODE_NATIVE ? "native" : "generic", why);
	say(text);
	return 0;
}

int balancer__set_new_rate(struct balancer *b, uint32_t rate, struct text_error *error)
{
	struct lb_settings settings;
	int err = maps__settings(&b->maps, &settings);

	settings.new_rate = rate;
	if (!err)
		err = maps__settings_put(&b->maps, &settings);
	if (err)
		text_error__set(error, "%s", strerror(-err));
	return err;
}

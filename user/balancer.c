// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Opening a balancer under its lock, clearing up, and what the host contributes. */
#include "balancer.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host.h"
#include "loader.h"
#include "local_table.h"

/* A next hop that answers does so within milliseconds; a packet has its own fallbacks. */
#define RESOLVE_MS 300

static int open_failed(const char *dir, int err, uint32_t layout, struct text_error *error)
{
	const char *why = host__ready_why(err);
	char number[24];

	snprintf(number, sizeof(number), "the %u.", layout);
	if (err == -ENOENT)
		text_error__set(error, "no balancer at %s; lbctl add-vip or lbctl attach makes one",
				dir);
	else if (err == -EPROTO)
		text_error__set(error,
				"the maps at %s have %s layout, this lbctl knows %u; use the lbctl "
				"that made them, or lbctl unload, which removes all state",
				dir, layout ? number : "another", LB_LAYOUT_VERSION);
	else if (err == -EPERM || err == -EACCES)
		text_error__set(error, "%s", why ? why : "needs root; try sudo");
	else
		text_error__set(error, "can't open the maps at %s: %s", dir, strerror(-err));
	return err;
}

static int prepare(struct balancer *b, const char *dir, struct text_error *error)
{
	const char *why;
	int err = host__ready();

	memset(b, 0, sizeof(*b));
	b->lock = -1;
	loader__quiet();
	if (snprintf(b->dir, sizeof(b->dir), "%s", dir) >= (int)sizeof(b->dir)) {
		text_error__set(error, "the pin directory's name is too long");
		return -ENAMETOOLONG;
	}
	if (err) {
		why = host__ready_why(err);
		text_error__set(error, "%s", why ? why : strerror(-err));
	}
	return err;
}

int balancer__open(struct balancer *b, const char *dir, struct text_error *error)
{
	uint32_t layout;
	int err;

	err = prepare(b, dir, error);
	if (!err && (err = maps__open(dir, &b->maps, &layout)))
		open_failed(dir, err, layout, error);
	return err;
}

struct waiting {
	void (*note)(const char *text);
};

static void lock_waiting(pid_t holder, void *arg)
{
	struct waiting *waiting = arg;
	char text[96];

	snprintf(text, sizeof(text), "waiting for another lbctl (process %d) to finish", (int)holder);
	waiting->note(text);
}

static int first_settings(struct lb_settings *ret)
{
	uint32_t hz;
	int i, err = host__hz(&hz);

	memset(ret, 0, sizeof(*ret));
	ret->layout = LB_LAYOUT_VERSION;
	ret->lo_forwarding = ret->lo_forwarding6 = -1;
	ret->fib_generation = 1;
	ret->new_rate = BALANCER_NEW_RATE;
	for (i = 0; !err && i < CT_STATES; i++)
		ret->timeout[i] = ct_timeout_pack(ct_timeout_s[i] * hz);
	if (!err && getrandom(&ret->seed, sizeof(ret->seed), 0) != sizeof(ret->seed))
		err = -EIO;
	return err;
}

static int create_maps(struct balancer *b, uint32_t *ret_layout, struct text_error *error)
{
	struct lb_settings settings;
	const char *why;
	int err = host__bpffs_ensure(b->dir);

	if (err) {
		why = host__bpffs_why(err);
		text_error__set(error, "%s: %s", b->dir, why ? why : strerror(-err));
		return err;
	}
	err = first_settings(&settings);
	if (!err)
		err = loader__create(b->dir, &settings, error);
	if (err)
		return err;
	err = maps__open(b->dir, &b->maps, ret_layout);
	return err ? open_failed(b->dir, err, *ret_layout, error) : 0;
}

/* Before the first step of a change: if this process dies, the next one knows. */
static int begin(struct balancer *b)
{
	struct lb_settings settings;
	int err = maps__settings(&b->maps, &settings);

	if (!err && settings.dirty)
		err = balancer__sync(b);
	if (err)
		return err;
	settings.dirty = 1;
	return maps__settings_put(&b->maps, &settings);
}

static void end(struct balancer *b)
{
	struct lb_settings settings;

	if (maps__settings(&b->maps, &settings))
		return;
	settings.dirty = 0;
	/* Routes and neighbours may be others by now: ask for all of them again. */
	if (!++settings.fib_generation)
		settings.fib_generation = 1;
	maps__settings_put(&b->maps, &settings);
}

static int link_alive(const char *iface, const struct loader_link *link, void *arg)
{
	(void)iface;
	*(bool *)arg |= link->ifindex != 0;
	return 0;
}

/* Addresses, routes and neighbours are those of one network namespace. */
static int check_netns(struct balancer *b, struct text_error *error)
{
	struct lb_settings settings;
	bool attached = false;
	uint64_t netns;
	int err = maps__settings(&b->maps, &settings);

	if (!err)
		err = host__netns(&netns);
	if (!err)
		err = loader__link_each(b->dir, link_alive, &attached);
	if (err)
		text_error__set(error, "%s", strerror(-err));
	else if (settings.netns && settings.netns != netns && attached) {
		text_error__set(error, "this balancer is attached in another network namespace; run "
				       "lbctl there (nsenter --net=...), or use another --pin-dir");
		err = -EXDEV;
	}
	return err;
}

int balancer__open_locked(struct balancer *b, const char *dir, bool create,
			  void (*note)(const char *text), struct text_error *error)
{
	struct waiting waiting = { .note = note };
	uint32_t layout = 0;
	int err = prepare(b, dir, error);

	if (err)
		return err;
	b->note = note;
	err = host__lock(dir, lock_waiting, &waiting, &b->lock);
	if (err) {
		if (err == -EBUSY)
			text_error__set(error, "another lbctl holds the lock for over 10 s; try again");
		else
			text_error__set(error, "can't take the lock in /run/lbctl: %s", strerror(-err));
		return err;
	}
	err = maps__open(dir, &b->maps, &layout);
	if (err == -ENOENT && create) {
		b->created = true;
		err = create_maps(b, &layout, error);
	}
	else if (err)
		open_failed(dir, err, layout, error);
	if (!err)
		err = check_netns(b, error);
	if (!err && ((err = nl__open(&b->nl)) || (err = begin(b))))
		text_error__set(error, "%s", strerror(-err));
	if (err) {
		maps__close(&b->maps);
		nl__close(b->nl);
		if (b->created)
			loader__remove_pins(dir);
		close(b->lock);
		b->lock = -1;
	}
	return err;
}

void balancer__close(struct balancer *b)
{
	if (b->lock >= 0 && b->maps.fd[MAP_SETTINGS] >= 0)
		end(b);
	maps__close(&b->maps);
	if (b->nl)
		nl__close(b->nl);
	if (b->created && b->failed)
		loader__remove_pins(b->dir);
	if (b->lock >= 0)
		close(b->lock);
	b->lock = -1;
}

/* What the published VIPs refer to. */
struct sync {
	struct balancer *b;
	struct lb_pool *pool;
	bool vips[LB_MAX_VIPS];
	bool backends[LB_MAX_BACKENDS];
	uint32_t lists[LB_MAX_VIPS];
	size_t lists_n;
	uint16_t locals[LB_MAX_LOCALS]; /* flags */
	uint64_t ports[LB_MAX_LOCALS];	/* lb_local.ports */
};

uint64_t balancer__port_bits(const struct lb_service_key *key)
{
	return key->port ? local_port_bit(key->port, key->ip_proto) : ~0ULL;
}

static int sync_vip(const struct lb_service_key *key, const struct lb_vip *vip, void *arg)
{
	struct sync *sync = arg;
	struct maps *maps = &sync->b->maps;
	const struct lb_backend *backend;
	uint16_t id;
	uint32_t i;
	int err = maps__local_get(maps, &key->addr, LB_LOCAL_VIP, balancer__port_bits(key), &id);

	if (err)
		return err;
	sync->vips[vip->id] = true;
	if (vip->allow && sync->lists_n < LB_MAX_VIPS)
		sync->lists[sync->lists_n++] = vip->allow;
	sync->locals[id] |= LB_LOCAL_VIP;
	sync->ports[id] |= balancer__port_bits(key);
	for (i = 0; i < vip->snat_n && i < LB_SNAT_MAX; i++)
		sync->locals[vip->snat[i]] |= LB_LOCAL_SNAT;
	err = maps__pool_get(maps, vip->id, sync->pool);
	if (err)
		return err == -ENOENT ? 0 : err;
	for (i = 0; i < sync->pool->members_n; i++) {
		const struct lb_backend_ref *ref = &sync->pool->members[i].ref;

		if (ref->index >= LB_MAX_BACKENDS)
			continue;
		backend = &maps->backends[ref->index];
		sync->backends[ref->index] = backend->gen == ref->gen;
		sync->locals[backend->snat] |= LB_LOCAL_SNAT;
		if (vip->method == LB_METHOD_NAT)
			sync->locals[backend->own] |= LB_LOCAL_NAT;
	}
	return 0;
}

/* The kernel need not keep resolving a removed backend's neighbour, unless it is another's too. */
static void sync_neighbour(struct sync *sync, const struct lb_addr *addr)
{
	struct maps *maps = &sync->b->maps;
	struct lb_settings settings, other;
	struct nl_route route;
	uint32_t i;
	int fd;

	if (maps__settings(maps, &settings))
		return;
	if (!maps__other_balancer(settings.netns, maps->fd[MAP_SETTINGS], &other, &fd)) {
		close(fd);
		return; /* it may need the same one */
	}
	if (!sync->b->nl || nl__route_get(sync->b->nl, addr, &route) || route.has_gateway)
		return; /* a gateway serves others, too */
	for (i = 0; i < LB_MAX_BACKENDS; i++)
		if (maps__backend_used(maps, i) && lb_addr__equal(&maps->backends[i].addr, addr))
			return;
	nl__neigh_unmanage(sync->b->nl, route.oif, addr);
}

static int sync_flow(const struct flow *flow, void *arg)
{
	struct sync *sync = arg;

	uint16_t local = ct_pairs(flow->method) ? flow->peer.local : flow->outer;

	if (!flow->expired && local && local < LB_MAX_LOCALS)
		sync->locals[local] |= flow->method == LB_METHOD_NAT ? LB_LOCAL_NAT : LB_LOCAL_SNAT;
	return 0;
}

/* A SNAT address that nobody names any more is still needed by the flows that have it. */
static int sync_locals(struct sync *sync)
{
	struct maps *maps = &sync->b->maps;
	struct lb_local local;
	bool unused = false, nat = false;
	uint32_t id;
	int err;

	sync->locals[0] = 0;
	for (id = 1; id < LB_MAX_LOCALS && !unused; id++)
		unused = !sync->locals[id] && maps->local_addrs[id].w[2] &&
			 !maps__local_find(maps, &maps->local_addrs[id], &local);
	if (unused) {
		err = maps__flow_each(maps, false, sync_flow, sync);
		if (err && err != -ENOENT)
			return err;
	}
	maps__locals_sync(maps, sync->locals, sync->ports);
	for (id = 1; id < LB_MAX_LOCALS && !nat; id++)
		nat = sync->locals[id] & LB_LOCAL_NAT;
	return balancer__nat_use(sync->b, nat);
}

int balancer__sync(struct balancer *b)
{
	struct sync *sync = calloc(1, sizeof(*sync));
	uint32_t i;
	int err = -ENOMEM;

	if (!sync)
		return err;
	sync->b = b;
	sync->pool = calloc(1, sizeof(*sync->pool));
	if (!sync->pool)
		goto out;
	err = maps__vip_each(&b->maps, sync_vip, sync);
	if (err)
		goto out;
	for (i = 0; i < LB_MAX_VIPS; i++)
		if (!sync->vips[i] && maps__pool_used(&b->maps, i))
			maps__pool_del(&b->maps, i);
	for (i = 0; i < LB_MAX_BACKENDS; i++) {
		if (sync->backends[i] || !maps__backend_used(&b->maps, i))
			continue;
		maps__backend_del(&b->maps, i);
		maps__backend_port_sync(&b->maps, &b->maps.backends[i]);
		sync_neighbour(sync, &b->maps.backends[i].addr);
	}
	err = sync_locals(sync);
	if (!err)
		err = balancer__lists_sync(b, sync->lists, sync->lists_n);
	if (!err && b->nl)
		err = balancer__announce_sync(b, 0);
out:
	free(sync->pool);
	free(sync);
	return err;
}

/* Flows that exist keep their ports, so replies to all that were ever given out are looked at. */
static void widen(struct lb_port_range *range, const struct lb_port_range *by)
{
	if (!by->lo)
		return;
	if (!range->lo || by->lo < range->lo)
		range->lo = by->lo;
	if (by->hi > range->hi)
		range->hi = by->hi;
}

int balancer__refresh_ports(struct balancer *b, struct text_error *error)
{
	struct lb_port_range ports[LB_PORT_RANGES];
	struct lb_settings settings;
	unsigned int n;
	int err = host__snat_ports(ports, &n);

	if (err == -ENOSPC) {
		text_error__set(error,
				"ip_local_port_range leaves %u source ports for fullnat; sysctl "
				"net.ipv4.ip_local_port_range=\"32768 60999\" leaves 36304", n);
		return err;
	}
	if (!err)
		err = maps__settings(&b->maps, &settings);
	if (!err) {
		memcpy(settings.ports, ports, sizeof(ports));
		for (n = 0; n < LB_PORT_RANGES; n++)
			widen(&settings.reply_ports[n], &ports[n]);
		err = maps__settings_put(&b->maps, &settings);
	}
	if (err)
		text_error__set(error, "can't tell the source ports: %s", strerror(-err));
	return err;
}

int balancer__resolve(struct balancer *b, const struct lb_addr *addr, struct lb_nexthop *ret)
{
	char text[192], name[64], hop[64];
	struct nl_route route;
	struct nl_neigh neigh;
	struct nl_link link;
	int err = nl__route_get(b->nl, addr, &route);

	text__format_addr(addr, name, sizeof(name));
	if (err || route.type != RTN_UNICAST) {
		snprintf(text, sizeof(text), "no route to %s: packets for it are dropped until "
					     "there is one", name);
		b->note(text);
		return -ENETUNREACH;
	}
	err = nl__neigh_resolve(b->nl, route.oif, &route.nexthop, RESOLVE_MS, &neigh);
	if (nl__link_get_index(b->nl, route.oif, &link))
		snprintf(link.name, sizeof(link.name), "%u", route.oif);
	else if (!err && neigh.has_mac) {
		ret->ifindex = route.oif;
		memcpy(ret->dmac, neigh.mac, sizeof(ret->dmac));
		memcpy(ret->smac, link.mac, sizeof(ret->smac));
	}
	if (!err)
		return 0;
	snprintf(text, sizeof(text), "%s on %s doesn't answer%s: packets for %s are dropped until "
				     "it does",
		 text__format_addr(&route.nexthop, hop, sizeof(hop)), link.name,
		 err == -EHOSTUNREACH ? "" : " (can't be asked)", name);
	b->note(text);
	return err;
}

static bool is_vip(struct balancer *b, const struct lb_addr *addr)
{
	struct lb_local local;

	return !maps__local_find(&b->maps, addr, &local) && local.flags & LB_LOCAL_VIP;
}

struct source {
	struct balancer *b;
	struct lb_addr *ret;
};

static int source_take(const struct lb_addr *addr, void *arg)
{
	struct source *source = arg;

	/* The way may lead by a router of the other family. */
	if (lb_addr__is_v4(addr) != lb_addr__is_v4(source->ret) || is_vip(source->b, addr))
		return 0;
	*source->ret = *addr;
	return 1;
}

int balancer__source(struct balancer *b, const struct lb_addr *addr, struct lb_addr *ret)
{
	struct source source = { b, ret };
	struct nl_route route;

	/* Replies to a link-local address would name no interface, or not pass a router. */
	if (nl__route_get(b->nl, addr, &route) || route.type != RTN_UNICAST || !route.has_src ||
	    lb_addr__is_link_local(&route.src))
		return -ENETUNREACH;
	*ret = route.src;
	/* A backend that has the VIP itself takes nothing from there. IPv6 prefers the longest match. */
	if (is_vip(b, &route.src))
		nl__addr_toward(b->nl, route.oif, &route.nexthop, source_take, &source);
	return 0;
}

__s32 *balancer__lo_forwarding(struct lb_settings *settings, int family)
{
	return family == AF_INET6 ? &settings->lo_forwarding6 : &settings->lo_forwarding;
}

/* Replies that come in where no program is would go to the host, which knows nothing of them. */
void balancer__note_unattached(struct balancer *b, uint32_t ifindex)
{
	struct lb_iface iface;
	struct nl_link link;
	char text[192];

	if (!maps__iface_get(&b->maps, ifindex, &iface) ||
	    nl__link_get_index(b->nl, ifindex, &link))
		return;
	snprintf(text, sizeof(text), "backends answer by %s, where the balancer is not attached; "
				     "lbctl attach %s", link.name, link.name);
	b->note(text);
}

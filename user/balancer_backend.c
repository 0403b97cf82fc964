// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Backends of a VIP: each change makes a new pool and publishes it. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "balancer.h"
#include "ct_slot.h"
#include "maglev.h"
#include "names.h"
#include "wrr.h"

enum lb_admin balancer__member_state(const struct lb_pool_member *member)
{
	if (member->admin == LB_ADMIN_DOWN || member->health == LB_HEALTH_DOWN)
		return LB_ADMIN_DOWN;
	if (member->admin == LB_ADMIN_DRAIN || !member->weight)
		return LB_ADMIN_DRAIN;
	return LB_ADMIN_UP;
}

/* The VIP, and a copy of its pool to change. */
struct change {
	struct lb_vip vip;
	struct lb_pool *pool;
};

static int change_open(struct balancer *b, const struct service *service, struct change *change,
		       struct text_error *error)
{
	int err;

	change->pool = NULL;
	err = balancer__find_vip(b, service, &change->vip, error);
	if (err)
		return err;
	change->pool = calloc(1, sizeof(*change->pool));
	err = change->pool ? maps__pool_get(&b->maps, change->vip.id, change->pool) : -ENOMEM;
	if (err)
		text_error__set(error, "can't read its backends: %s", strerror(-err));
	return err;
}

static void member_name(struct balancer *b, const struct lb_pool_member *member, char *ret,
			size_t size)
{
	const struct lb_backend *backend = &b->maps.backends[member->ref.index];
	struct endpoint endpoint = { .addr = backend->addr, .port = ntohs(backend->port) };

	text__format_endpoint(&endpoint, ret, size);
}

/* Makes the Maglev table of the members that take new flows. */
static int pool_build(struct balancer *b, struct lb_pool *pool)
{
	struct maglev_member *members = calloc(pool->members_n + 1, sizeof(*members));
	char(*names)[64] = calloc(pool->members_n + 1, sizeof(*names));
	uint32_t *slots = calloc(LB_MAGLEV_SLOTS, sizeof(*slots)), i;
	int err = members && names && slots ? 0 : -ENOMEM;

	for (i = 0; !err && i < pool->members_n; i++) {
		struct lb_pool_member *member = &pool->members[i];

		member_name(b, member, names[i], sizeof(names[i]));
		members[i].name = names[i];
		if (balancer__member_state(member) == LB_ADMIN_UP)
			members[i].weight = member->weight;
	}
	if (!err)
		err = maglev__build(members, pool->members_n, LB_MAGLEV_SLOTS, slots);
	pool->slots_n = err ? 0 : LB_MAGLEV_SLOTS;
	for (i = 0; !err && i < LB_MAGLEV_SLOTS; i++)
		pool->slots[i] = pool->members[slots[i]].ref;
	free(slots);
	free(names);
	free(members);
	return err == -ENOENT ? 0 : err; /* nobody takes new flows: an empty table */
}

/* The turns of those members. */
static int pool_take_turns(struct lb_pool *pool, uint8_t scheduler)
{
	uint16_t *weights = calloc(pool->members_n + 1, sizeof(*weights));
	uint32_t *turns = calloc(LB_TURNS_MAX, sizeof(*turns)), i;
	int err = weights && turns ? 0 : -ENOMEM;

	pool->turns_n = 0;
	for (i = 0; !err && i < pool->members_n; i++)
		if (balancer__member_state(&pool->members[i]) == LB_ADMIN_UP)
			weights[i] = pool->members[i].weight;
	if (!err && scheduler == LB_SCHED_WRR)
		pool->turns_n = wrr__build(weights, pool->members_n, LB_TURNS_MAX, turns);
	for (i = 0; !err && i < pool->turns_n; i++)
		pool->turns[i] = pool->members[turns[i]].ref;
	free(turns);
	free(weights);
	return err;
}

/* Before the pool: who comes back by persistence doesn't look into it. */
static void members_close(struct balancer *b, const struct lb_pool *pool)
{
	uint32_t i;

	for (i = 0; i < pool->members_n; i++)
		b->maps.backends[pool->members[i].ref.index].closed =
			balancer__member_state(&pool->members[i]) != LB_ADMIN_UP;
}

static int pool_publish(struct balancer *b, struct change *change, struct text_error *error)
{
	int err = pool_build(b, change->pool);

	if (!err)
		err = pool_take_turns(change->pool, change->vip.scheduler);
	if (!err)
		members_close(b, change->pool);
	if (!err)
		err = maps__pool_put(&b->maps, change->vip.id, change->pool);
	if (err)
		text_error__set(error, "can't publish its backends: %s", strerror(-err));
	return err;
}

int balancer__reschedule(struct balancer *b, const struct service *service, struct text_error *error)
{
	struct change change;
	int err = change_open(b, service, &change, error);

	if (!err)
		err = pool_publish(b, &change, error);
	free(change.pool);
	return err;
}

static struct lb_pool_member *pool_find(struct balancer *b, struct lb_pool *pool,
					const struct lb_addr *addr, uint16_t port)
{
	uint32_t i;

	for (i = 0; i < pool->members_n; i++) {
		const struct lb_backend *backend = &b->maps.backends[pool->members[i].ref.index];

		if (lb_addr__equal(&backend->addr, addr) && ntohs(backend->port) == port)
			return &pool->members[i];
	}
	return NULL;
}

static uint16_t backend_port(const struct service *service, const struct endpoint *backend)
{
	return backend->port ? backend->port : service->port;
}

static int find_member(struct balancer *b, struct lb_pool *pool, const struct service *service,
		       const struct endpoint *backend, struct lb_pool_member **ret,
		       struct text_error *error)
{
	*ret = pool_find(b, pool, &backend->addr, backend_port(service, backend));
	if (*ret)
		return 0;
	text_error__set(error, "the VIP has no such backend; lbctl show backends lists them");
	return -ENOENT;
}

int balancer__find_backend(struct balancer *b, const struct service *service,
			   const struct endpoint *backend, struct lb_pool_member *ret,
			   struct text_error *error)
{
	struct lb_pool_member *member;
	struct change change;
	int err = change_open(b, service, &change, error);

	if (!err)
		err = find_member(b, change.pool, service, backend, &member, error);
	if (!err)
		*ret = *member;
	free(change.pool);
	return err;
}

int balancer__method_fits(struct balancer *b, const struct service *service, enum lb_method method,
			  const struct lb_addr *backend, uint16_t port, struct text_error *error)
{
	bool v4 = lb_addr__is_v4(&service->addr);
	char name[64], gateway[64];
	struct nl_route route;

	text__format_addr(backend, name, sizeof(name));
	if (method != LB_METHOD_IPIP && method != LB_METHOD_GUE &&
	    lb_addr__is_v4(backend) != v4) {
		text_error__set(error, "method %s has an %s VIP served by %s backends only, not by %s",
				lb_method_names[method], v4 ? "IPv4" : "IPv6",
				v4 ? "IPv4" : "IPv6", name);
		return -EAFNOSUPPORT;
	}
	if (ct_pairs(method))
		return 0;
	if (port != service->port) {
		text_error__set(error, "method %s leaves the port as it is, and %s would be asked at "
				       "another than the VIP's", lb_method_names[method], name);
		return -EINVAL;
	}
	if (method != LB_METHOD_DSR || nl__route_get(b->nl, backend, &route) || !route.has_gateway)
		return 0;
	text__format_addr(&route.gateway, gateway, sizeof(gateway));
	text_error__set(error, "method dsr reaches backends on the same link only, and the way to %s "
			       "is by the router %s", name, gateway);
	return -EHOSTUNREACH;
}

static int backend_check(struct balancer *b, struct change *change, const struct service *service,
			 const struct endpoint *backend, struct text_error *error)
{
	int err = balancer__method_fits(b, service, change->vip.method, &backend->addr,
					backend_port(service, backend), error);

	if (err)
		return err;
	if (pool_find(b, change->pool, &backend->addr, backend_port(service, backend))) {
		text_error__set(error, "it exists; lbctl set-backend changes it");
		return -EEXIST;
	}
	if (change->pool->members_n == LB_POOL_MAX) {
		text_error__set(error, "the VIP has %d backends already", LB_POOL_MAX);
		return -ENOSPC;
	}
	if (nl__addr_is_own(b->nl, &backend->addr, NULL) == 1) {
		text_error__set(error, "it is an address of this host, and packets to this host "
				       "itself can't be forwarded by XDP yet");
		return -EADDRINUSE;
	}
	return 0;
}

/* Keeps the source address toward the backend for its packets. */
static int backend_snat(struct balancer *b, struct lb_backend *backend, struct text_error *error)
{
	struct lb_addr source;
	int err = balancer__source(b, &backend->addr, &source);

	if (err)
		return 0; /* later: attach looks again, and packets say no_snat until then */
	err = maps__local_get(&b->maps, &source, LB_LOCAL_SNAT, 0, &backend->snat);
	if (err)
		text_error__set(error, "can't keep SNAT address: %s", strerror(-err));
	return err;
}

int balancer__add_backend(struct balancer *b, const struct service *service,
			  const struct endpoint *endpoint, uint16_t weight,
			  struct text_error *error)
{
	struct lb_pool_member member = { .weight = weight };
	struct lb_backend backend = {
		.addr = endpoint->addr,
		.port = htons(backend_port(service, endpoint)),
		.ip_proto = service->ip_proto,
	};
	struct lb_nexthop nexthop = {};
	struct change change;
	uint32_t attached;
	int err = change_open(b, service, &change, error);

	if (!err)
		err = backend_check(b, &change, service, endpoint, error);
	if (!err)
		err = balancer__refresh_ports(b, error);
	if (err)
		goto out;
	balancer__resolve(b, &endpoint->addr, &nexthop);
	backend.vip = change.vip.id;
	err = backend_snat(b, &backend, error);
	if (!err && change.vip.method == LB_METHOD_NAT)
		err = balancer__nat_backend(b, &endpoint->addr, &backend.own, error);
	if (!err) {
		err = maps__backend_add(&b->maps, &backend, &nexthop, &member.ref);
		if (err == -ENOSPC)
			text_error__set(error, "there are %d backends already", LB_MAX_BACKENDS);
	}
	if (!err)
		err = maps__backend_port_sync(&b->maps, &backend);
	if (!err) {
		change.pool->members[change.pool->members_n++] = member;
		err = pool_publish(b, &change, error);
	}
	if (err)
		balancer__sync(b);
	else if (nexthop.ifindex && ct_pairs(change.vip.method) &&
		 !maps__iface_next(&b->maps, NULL, &attached))
		balancer__note_unattached(b, nexthop.ifindex);
out:
	free(change.pool);
	return err;
}

static bool flow_is_udp_of(const struct flow *flow, void *arg)
{
	const struct lb_backend_ref *ref = arg;

	return flow->key.ip_proto == IPPROTO_UDP && flow->backend.index == ref->index &&
	       flow->backend.gen == ref->gen;
}

int balancer__set_backend(struct balancer *b, const struct service *service,
			  const struct endpoint *endpoint, const struct backend_options *options,
			  struct text_error *error)
{
	struct lb_pool_member *member;
	struct change change;
	uint64_t ended;
	int err = change_open(b, service, &change, error);

	if (!err)
		err = find_member(b, change.pool, service, endpoint, &member, error);
	if (err)
		goto out;
	if (options->has_weight)
		member->weight = options->weight;
	if (options->has_admin)
		member->admin = options->admin;
	err = pool_publish(b, &change, error);
	/* Down: TCP flows are kept, UDP flows pick another backend at their next packet. */
	if (!err && balancer__member_state(member) == LB_ADMIN_DOWN)
		maps__flow_reap(&b->maps, LB_REAP_FORCE, flow_is_udp_of, &member->ref, &ended);
out:
	free(change.pool);
	return err;
}

int balancer__del_backend(struct balancer *b, const struct service *service,
			  const struct endpoint *endpoint, struct text_error *error)
{
	struct lb_pool_member *member;
	struct change change;
	int err = change_open(b, service, &change, error);

	if (!err)
		err = find_member(b, change.pool, service, endpoint, &member, error);
	if (err)
		goto out;
	*member = change.pool->members[--change.pool->members_n];
	/* Publishing waits for packets that still look at the old pool; only then its flows end. */
	err = pool_publish(b, &change, error);
	if (!err && (err = balancer__sync(b)))
		text_error__set(error, "%s", strerror(-err));
out:
	free(change.pool);
	return err;
}

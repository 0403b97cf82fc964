// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* VIPs of a balancer: add, change, delete, and what to say about their addresses. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "balancer.h"
#include "host.h"
#include "names.h"

int balancer__find_vip(struct balancer *b, const struct service *service, struct lb_vip *ret,
		       struct text_error *error)
{
	struct lb_service_key key;
	int err;

	service__to_key(service, &key);
	err = maps__vip_get(&b->maps, &key, ret);
	if (err == -ENOENT)
		text_error__set(error, "no such VIP; lbctl show vips lists them");
	else if (err)
		text_error__set(error, "%s", strerror(-err));
	return err;
}

static int vip_id_mark(const struct lb_service_key *key, const struct lb_vip *vip, void *arg)
{
	(void)key;
	((bool *)arg)[vip->id] = true;
	return 0;
}

static int vip_id_free(struct balancer *b, uint16_t *ret)
{
	bool used[LB_MAX_VIPS] = {};
	int i, err = maps__vip_each(&b->maps, vip_id_mark, used);

	if (err)
		return err;
	for (i = 0; i < LB_MAX_VIPS; i++) {
		if (used[i])
			continue;
		*ret = i;
		return 0;
	}
	return -ENOSPC;
}

/* What would cut the operator off. */
static int vip_check(struct balancer *b, const struct service *service,
		     const struct vip_options *options, struct text_error *error)
{
	struct lb_local local = {};
	char addr[64];
	int own;

	own = nl__addr_is_own(b->nl, &service->addr, NULL);
	if (own < 0) {
		text_error__set(error, "can't list this host's addresses: %s", nl__error(b->nl));
		return own;
	}
	if (service->port || options->force)
		return 0;
	maps__local_find(&b->maps, &service->addr, &local);
	if (own || local.flags & LB_LOCAL_SNAT) {
		text_error__set(error,
				"%s is %s, so every port of it would be taken, ssh's too; add "
				"--force to do so",
				text__format_addr(&service->addr, addr, sizeof(addr)),
				own ? "this host's own address" : "used for SNAT");
		return -EADDRINUSE;
	}
	return 0;
}

static void vip_notes(struct balancer *b, const struct service *service)
{
	struct lb_port_range range;
	struct endpoint here = { .addr = service->addr, .port = service->port };
	char text[256], name[TEXT_SERVICE_MAX];

	if (nl__addr_is_own(b->nl, &service->addr, NULL) != 1)
		return;
	snprintf(text, sizeof(text),
		 "clients on this host itself don't pass XDP: to them %s is what listens here",
		 text__format_endpoint(&here, name, sizeof(name)));
	if (service->port)
		b->note(text);
	if (!service->port || host__local_ports(&range) || service->port < range.lo ||
	    service->port > range.hi || host__port_reserved(service->port) == 1)
		return;
	snprintf(text, sizeof(text),
		 "port %u lies in ip_local_port_range, so this host's own connections may use it; "
		 "sysctl net.ipv4.ip_local_reserved_ports=%u keeps them off it",
		 service->port, service->port);
	b->note(text);
}

static bool is_tunnel(uint8_t method)
{
	return method == LB_METHOD_IPIP || method == LB_METHOD_GUE;
}

/*
 * Replies to it have to come here, and not all of them may be some VIP's. A tunnel's is of the backend's
 * family, which may be either.
 */
static int snat_check(struct balancer *b, const struct service *service, uint8_t method,
		      const struct lb_addr *addr, bool force, struct text_error *error)
{
	char text[192], name[64];
	struct lb_service_key key = { .addr = *addr, .ip_proto = IPPROTO_TCP };
	struct lb_vip vip;

	text__format_addr(addr, name, sizeof(name));
	if (!is_tunnel(method) && lb_addr__is_v4(addr) != lb_addr__is_v4(&service->addr)) {
		text_error__set(error, "SNAT address %s is not of the VIP's family, %s", name,
				lb_addr__is_v4(&service->addr) ? "IPv4" : "IPv6");
		return -EAFNOSUPPORT;
	}
	if (!force && (!maps__vip_get(&b->maps, &key, &vip) ||
		       (key.ip_proto = IPPROTO_UDP, !maps__vip_get(&b->maps, &key, &vip)))) {
		text_error__set(error, "%s has a VIP for every port, which would take this host's own "
				       "traffic too; add --force to do so", name);
		return -EADDRINUSE;
	}
	if (nl__addr_is_own(b->nl, addr, NULL) == 0) {
		snprintf(text, sizeof(text), "this host doesn't have SNAT address %s: replies come back "
					     "only if backends route it here", name);
		b->note(text);
	}
	return 0;
}

static int vip_snat(struct balancer *b, const struct service *service,
		    const struct vip_options *options, struct lb_vip *vip, struct text_error *error)
{
	size_t i;
	int err;

	if (!options->has_snat)
		return 0;
	for (i = 0; i < options->snat_n; i++) {
		err = snat_check(b, service, vip->method, &options->snat[i], options->force, error);
		if (err)
			return err;
		err = maps__local_get(&b->maps, &options->snat[i], LB_LOCAL_SNAT, 0,
				      &vip->snat[i]);
		if (err) {
			text_error__set(error, "can't keep SNAT address: %s", strerror(-err));
			return err;
		}
	}
	vip->snat_n = options->snat_n;
	return 0;
}

/* Those that it had, under another method. */
static int snat_fits(struct balancer *b, const struct service *service, const struct lb_vip *vip,
		     struct text_error *error)
{
	const struct lb_addr *addr;
	char name[64];
	int i;

	for (i = 0; i < vip->snat_n && !is_tunnel(vip->method); i++) {
		addr = &b->maps.local_addrs[vip->snat[i]];
		if (lb_addr__is_v4(addr) == lb_addr__is_v4(&service->addr))
			continue;
		text__format_addr(addr, name, sizeof(name));
		text_error__set(error, "its SNAT address %s is not of its own family; name others: "
				       "--snat ADDRESS", name);
		return -EAFNOSUPPORT;
	}
	return 0;
}

static int vip_apply(struct balancer *b, const struct service *service,
		     const struct vip_options *options, struct lb_vip *vip,
		     struct text_error *error)
{
	bool udp = service->ip_proto == IPPROTO_UDP;
	uint32_t hz;
	int i, err = host__hz(&hz);

	if (err)
		return err;
	for (i = 0; i < CT_STATES; i++) {
		if (!options->timeout_ms[i] || udp == (i >= CT_UDP_NEW))
			continue;
		text_error__set(error, "flows of %s have no state \"%s\"", udp ? "UDP" : "TCP",
				ct_state_names[i]);
		return -EINVAL;
	}
	if (options->method >= 0)
		vip->method = options->method;
	if (options->scheduler >= 0)
		vip->scheduler = options->scheduler;
	if (options->hash >= 0)
		vip->hash = options->hash;
	if (vip->scheduler == LB_SCHED_WRR && vip->hash == LB_HASH_SOURCE) {
		text_error__set(error, "hash source needs scheduler maglev: by turns a client's flows go "
				       "to all backends");
		return -EINVAL;
	}
	for (i = 0; i < CT_STATES; i++)
		if (options->timeout_ms[i])
			vip->timeout[i] = ct_timeout_pack(
				((uint64_t)options->timeout_ms[i] * hz + 999) / 1000);
	if (options->has_persist)
		vip->persist = ((uint64_t)options->persist_ms * hz + 999) / 1000;
	if (options->has_new_rate)
		vip->new_rate = options->new_rate;
	err = vip_snat(b, service, options, vip, error);
	if (!err)
		err = snat_fits(b, service, vip, error);
	if (!err && options->announce)
		err = balancer__announce_on(b, &service->addr, options->announce, &vip->announce, error);
	if (!err && options->has_allow)
		err = balancer__allow_make(b, options->allow, options->allow_n, &vip->allow, error);
	return err;
}

int balancer__add_vip(struct balancer *b, const struct service *service,
		      const struct vip_options *options, struct text_error *error)
{
	struct lb_pool *empty;
	struct lb_service_key key;
	struct lb_vip vip = {};
	uint16_t local;
	int err;

	service__to_key(service, &key);
	if (!maps__vip_get(&b->maps, &key, &vip)) {
		text_error__set(error, "it exists; lbctl set-vip changes it");
		return -EEXIST;
	}
	err = vip_check(b, service, options, error);
	if (!err)
		err = balancer__refresh_ports(b, error);
	if (err)
		return err;
	empty = calloc(1, sizeof(*empty));
	if (!empty)
		return -ENOMEM;
	err = vip_id_free(b, &vip.id);
	if (err == -ENOSPC)
		text_error__set(error, "there are %d VIPs already", LB_MAX_VIPS);
	if (!err)
		err = vip_apply(b, service, options, &vip, error);
	if (!err)
		err = maps__vip_stats_clear(&b->maps, vip.id);
	if (!err)
		err = maps__pool_put(&b->maps, vip.id, empty);
	if (!err)
		err = maps__local_get(&b->maps, &service->addr, LB_LOCAL_VIP,
				      balancer__port_bits(&key), &local);
	if (!err)
		err = maps__vip_put(&b->maps, &key, &vip);
	free(empty);
	if (err) {
		if (!error->why[0])
			text_error__set(error, "%s", strerror(-err));
		balancer__sync(b);
		return err;
	}
	if (vip.announce)
		balancer__announce_sync(b, 0);
	vip_notes(b, service);
	return 0;
}

/* The backends that there are have to fit a VIP's new method, and be prepared for it. */
static int method_prepare(struct balancer *b, const struct service *service,
			  const struct lb_vip *vip, struct text_error *error)
{
	struct lb_pool *pool = calloc(1, sizeof(*pool));
	int err = pool ? maps__pool_get(&b->maps, vip->id, pool) : -ENOMEM;
	struct lb_backend *backend;
	uint32_t i;

	for (i = 0; !err && i < pool->members_n; i++) {
		backend = &b->maps.backends[pool->members[i].ref.index];
		err = balancer__method_fits(b, service, vip->method, &backend->addr,
					    ntohs(backend->port), error);
		if (!err && vip->method == LB_METHOD_NAT)
			err = balancer__nat_backend(b, &backend->addr, &backend->own, error);
	}
	if (err && !error->why[0])
		text_error__set(error, "%s", strerror(-err));
	free(pool);
	return err;
}

int balancer__set_vip(struct balancer *b, const struct service *service,
		      const struct vip_options *options, struct text_error *error)
{
	struct lb_service_key key;
	uint8_t scheduler;
	struct lb_vip vip;
	int err = balancer__find_vip(b, service, &vip, error);

	if (err)
		return err;
	scheduler = vip.scheduler;
	err = vip_apply(b, service, options, &vip, error);
	if (!err)
		err = method_prepare(b, service, &vip, error);
	if (!err) {
		service__to_key(service, &key);
		err = maps__vip_put(&b->maps, &key, &vip);
		if (err)
			text_error__set(error, "%s", strerror(-err));
	}
	if (!err && vip.scheduler != scheduler)
		err = balancer__reschedule(b, service, error);
	balancer__sync(b);
	return err;
}

int balancer__del_vip(struct balancer *b, const struct service *service, struct text_error *error)
{
	struct lb_service_key key;
	struct lb_vip vip;
	int err = balancer__find_vip(b, service, &vip, error);

	if (err)
		return err;
	service__to_key(service, &key);
	err = maps__vip_del(&b->maps, &key);
	if (!err)
		err = balancer__sync(b);
	if (err)
		text_error__set(error, "%s", strerror(-err));
	return err;
}

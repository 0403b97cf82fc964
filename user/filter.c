// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Filters as options, and what they match. */
#include "filter.h"

#include <arpa/inet.h>
#include <string.h>

#include "names.h"

struct filter filter_options;

static int parse_vip(const char *text, void *into, struct text_error *error)
{
	struct filter *filter = into;

	filter->has_vip = true;
	return text__parse_vip(text, &filter->vip, error);
}

static int parse_backend(const char *text, void *into, struct text_error *error)
{
	struct filter *filter = into;

	filter->has_backend = true;
	return text__parse_backend(text, &filter->backend, error);
}

static int parse_client(const char *text, void *into, struct text_error *error)
{
	struct filter *filter = into;

	filter->has_client = true;
	return text__parse_client(text, &filter->client, error);
}

static int parse_proto(const char *text, void *into, struct text_error *error)
{
	struct filter *filter = into;

	filter->has_proto = true;
	return text__parse_proto(text, &filter->proto, error);
}

static int parse_state(const char *text, void *into, struct text_error *error)
{
	struct filter *filter = into;
	size_t len = strlen(text);

	filter->has_state = true;
	filter->state = text;
	filter->flow_state = names__find(ct_state_names, CT_STATES, text, len) >= 0;
	if (!filter->flow_state &&
	    names__find(lb_admin_names + LB_ADMIN_UP, 3, text, len) < 0)
		return text_error__set(error, "bad state \"%s\": syn, established, fin, closed, "
					      "new or assured for flows, up, drain or down for "
					      "backends", text);
	return 0;
}

const struct option_def filter_option_defs[FILTER_OPTIONS_N] = {
	{ .name = "vip", .arg = "VIP", .parse = parse_vip, .help = "only of this VIP" },
	{ .name = "backend",
	  .arg = "BACKEND",
	  .parse = parse_backend,
	  .help = "only of this backend; without a port, of all at its address" },
	{ .name = "client",
	  .arg = "ADDRESS[:PORT]",
	  .parse = parse_client,
	  .help = "only flows of this client" },
	{ .name = "state", .arg = "STATE", .parse = parse_state, .help = "only in this state" },
	{ .name = "proto", .arg = "tcp|udp", .parse = parse_proto, .help = "only this protocol" },
	{ .name = "limit",
	  .arg = "N",
	  .parse = option__parse_count,
	  .offset = offsetof(struct filter, limit),
	  .help = "at most so many rows" },
};

static bool endpoint_matches(const struct endpoint *want, const struct lb_addr *addr, __be16 port)
{
	return lb_addr__equal(&want->addr, addr) && (!want->port || want->port == ntohs(port));
}

bool filter__flow(const struct filter *filter, const struct maps *maps, const struct flow *flow)
{
	if (filter->has_proto && filter->proto != flow->key.ip_proto)
		return false;
	if (filter->has_client &&
	    !endpoint_matches(&filter->client, &flow->key.remote, flow->key.remote_port))
		return false;
	if (filter->has_backend &&
	    !endpoint_matches(&filter->backend, &flow->to, flow->to_port))
		return false;
	if (filter->has_vip &&
	    (filter->vip.ip_proto != flow->key.ip_proto || flow->key.local >= LB_MAX_LOCALS ||
	     !lb_addr__equal(&filter->vip.addr, &maps->local_addrs[flow->key.local]) ||
	     (filter->vip.port && filter->vip.port != ntohs(flow->key.local_port))))
		return false;
	return !filter->has_state || !strcmp(filter->state, ct_state_names[flow->state]);
}

bool filter__service(const struct filter *filter, const struct service *service)
{
	if (filter->has_proto && filter->proto != service->ip_proto)
		return false;
	return !filter->has_vip || (filter->vip.ip_proto == service->ip_proto &&
				    filter->vip.port == service->port &&
				    lb_addr__equal(&filter->vip.addr, &service->addr));
}

bool filter__backend(const struct filter *filter, const struct lb_backend *backend)
{
	return !filter->has_backend ||
	       endpoint_matches(&filter->backend, &backend->addr, backend->port);
}

struct fill {
	struct vip_names *names;
};

static int fill_one(const struct lb_service_key *key, const struct lb_vip *vip, void *arg)
{
	struct fill *fill = arg;

	fill->names->known[vip->id] = true;
	service__from_key(key, &fill->names->service[vip->id]);
	return 0;
}

int vip_names__fill(struct vip_names *names, struct maps *maps)
{
	struct fill fill = { .names = names };

	memset(names, 0, sizeof(*names));
	return maps__vip_each(maps, fill_one, &fill);
}

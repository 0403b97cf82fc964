/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* FILTERS: which flows and backends a command means. */
#ifndef LBCTL_FILTER_H
#define LBCTL_FILTER_H

#include "maps.h"
#include "options.h"

struct filter {
	bool has_vip, has_backend, has_client, has_state, has_proto;
	struct service vip;
	struct endpoint backend;
	struct endpoint client;
	const char *state;
	bool flow_state; /* of a flow, not of a backend */
	uint8_t proto;
	uint32_t limit; /* 0: none */
};

#define FILTER_OPTIONS_N 6
extern const struct option_def filter_option_defs[FILTER_OPTIONS_N]; /* the limit is the last */
extern struct filter filter_options;

bool filter__flow(const struct filter *filter, const struct maps *maps, const struct flow *flow);
bool filter__service(const struct filter *filter, const struct service *service);
bool filter__backend(const struct filter *filter, const struct lb_backend *backend);

/* The VIP that a flow of a port wildcard belongs to has no port, so an id is looked up here. */
struct vip_names {
	bool known[LB_MAX_VIPS];
	struct service service[LB_MAX_VIPS];
};

int vip_names__fill(struct vip_names *names, struct maps *maps);

#endif

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* show flows, show stats, flush flows, gc: everything that walks the flow table. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd_show.h"
#include "host.h"
#include "names.h"

#define LISTED 1 /* ends a walk when the limit is reached */

static const struct out_column flow_columns[] = {
	{ "PROTO", "proto", OUT_TEXT },	     { "CLIENT", "client", OUT_TEXT },
	{ "VIP", "vip", OUT_TEXT },	     { "BACKEND", "backend", OUT_TEXT },
	{ "METHOD", "method", OUT_TEXT },	     { "STATE", "state", OUT_STATE },
	{ "AGE", "age_ms", OUT_DURATION },     { "IDLE", "idle_ms", OUT_DURATION },
	{ "EXPIRES", "expires_ms", OUT_DURATION },
	{ "PACKETS IN", "packets.in", OUT_COUNT }, { "OUT", "packets.out", OUT_COUNT },
	{ "BYTES IN", "bytes.in", OUT_BYTES }, { "OUT", "bytes.out", OUT_BYTES },
};

struct flow_list {
	struct maps *maps;
	struct vip_names *names;
	struct out *out;
	const struct filter *filter;
	uint32_t now;
	uint32_t hz;
	uint32_t rows;
};

static json_int_t to_ms(const struct flow_list *list, uint32_t jiffies)
{
	return (uint64_t)jiffies * 1000 / list->hz;
}

static const char *flow_vip_name(const struct flow_list *list, const struct flow *flow, char *buf,
				 size_t size)
{
	struct service service = { .port = ntohs(flow->key.local_port),
				   .ip_proto = flow->key.ip_proto };

	if (flow->vip < LB_MAX_VIPS && list->names->known[flow->vip])
		return text__format_service(&list->names->service[flow->vip], buf, size);
	if (flow->key.local < LB_MAX_LOCALS)
		service.addr = list->maps->local_addrs[flow->key.local];
	return text__format_service(&service, buf, size);
}

static json_t *flow_row(const struct flow_list *list, const struct flow *flow)
{
	struct endpoint client = { flow->key.remote, ntohs(flow->key.remote_port) };
	struct endpoint backend = { flow->to, ntohs(flow->to_port) };
	uint32_t left = flow->timeout > flow->idle ? flow->timeout - flow->idle : 0;
	char proto[16], from[80], vip[80], to[80];
	int32_t age = (int32_t)(list->now - flow->created);

	if (age < (int32_t)flow->idle) /* two clock readings, a tick apart */
		age = flow->idle;
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:{s:I, s:I}, s:{s:I, s:I}}",
			 "proto", text__format_proto(flow->key.ip_proto, proto, sizeof(proto)),
			 "client", text__format_endpoint(&client, from, sizeof(from)), "vip",
			 flow_vip_name(list, flow, vip, sizeof(vip)), "backend",
			 text__format_endpoint(&backend, to, sizeof(to)), "method",
			 lb_method_names[flow->method % LB_METHODS], "state", ct_state_names[flow->state],
			 "age_ms", to_ms(list, age), "idle_ms",
			 to_ms(list, flow->idle), "expires_ms", to_ms(list, left), "packets", "in",
			 (json_int_t)flow->in.packets, "out", (json_int_t)flow->out.packets, "bytes",
			 "in", (json_int_t)flow->in.bytes, "out", (json_int_t)flow->out.bytes);
}

static int list_flow(const struct flow *flow, void *arg)
{
	struct flow_list *list = arg;
	int err;

	if (flow->expired || !filter__flow(list->filter, list->maps, flow))
		return 0;
	err = out__row(list->out, flow_row(list, flow));
	if (err)
		return err;
	return list->filter->limit && ++list->rows >= list->filter->limit ? LISTED : 0;
}

int show_flows(struct call *call, struct balancer *b, const struct filter *filter)
{
	struct flow_list list = { .maps = &b->maps, .filter = filter };
	int end, err = host__hz(&list.hz);

	if (!err)
		err = maps__now(&list.now);
	list.names = calloc(1, sizeof(*list.names));
	if (!err)
		err = list.names ? vip_names__fill(list.names, &b->maps) : -ENOMEM;
	if (!err)
		err = out__open(call->global->format, flow_columns,
				sizeof(flow_columns) / sizeof(flow_columns[0]), stdout, &list.out);
	if (!err) {
		err = maps__flow_each(&b->maps, true, list_flow, &list);
		if (err == -ENOENT || err == LISTED) /* never attached; enough */
			err = 0;
		end = out__close(list.out);
		err = err ? err : end;
	}
	free(list.names);
	return err;
}

static const struct out_column stats_columns[] = {
	{ "packets", "packets", OUT_COUNT },
	{ "bytes", "bytes", OUT_BYTES },
	{ "passed", "passed", OUT_COUNT },
	{ "forwarded", "forwarded", OUT_COUNT },
	{ "dropped", "dropped", OUT_COUNT },
	{ "flows now", "flows.now", OUT_COUNT },
	{ "flows half-open", "flows.half_open", OUT_COUNT },
	{ "flows capacity", "flows.capacity", OUT_COUNT },
	{ "flows created", "flows.created", OUT_COUNT },
	{ "flows evicted", "flows.evicted", OUT_COUNT },
	{ "flows expired", "flows.expired", OUT_COUNT },
	{ "source ports used", "snat_ports.used", OUT_COUNT },
	{ "source ports available", "snat_ports.available", OUT_COUNT },
	{ "source ports reused early", "snat_ports.reused", OUT_COUNT },
	{ "resets sent", "resets", OUT_COUNT },
	{ "forwarded untracked", "untracked", OUT_COUNT },
	{ "parked", "parked", OUT_COUNT },
};

struct flow_count {
	uint64_t all; /* past their time ones too: they hold entries and ports until collected */
	uint64_t ports;
	uint64_t live;
	uint64_t half_open;
};

static int count_flow(const struct flow *flow, void *arg)
{
	struct flow_count *count = arg;

	count->all++;
	count->ports += flow->method == LB_METHOD_FULLNAT && flow->peer.local;
	count->live += !flow->expired;
	count->half_open += !flow->expired && flow->half_open && flow->state != CT_CLOSED;
	return 0;
}

struct port_space {
	struct balancer *b;
	struct lb_pool *pool;
	uint64_t ports; /* per source address and backend */
	uint64_t sum;
};

static int add_ports(const struct lb_service_key *key, const struct lb_vip *vip, void *arg)
{
	struct port_space *space = arg;

	(void)key;
	if (vip->method == LB_METHOD_FULLNAT &&
	    !maps__pool_get(&space->b->maps, vip->id, space->pool))
		space->sum += space->ports * (vip->snat_n ? vip->snat_n : 1) * space->pool->members_n;
	return 0;
}

/* Source ports that all backends together can be reached from. */
static int port_space(struct balancer *b, const struct lb_settings *settings, uint64_t *ret)
{
	struct port_space space = { .b = b };
	int i, err;

	for (i = 0; i < LB_PORT_RANGES; i++)
		if (settings->ports[i].lo)
			space.ports += settings->ports[i].hi - settings->ports[i].lo + 1;
	space.pool = calloc(1, sizeof(*space.pool));
	if (!space.pool)
		return -ENOMEM;
	err = maps__vip_each(&b->maps, add_ports, &space);
	free(space.pool);
	*ret = space.sum;
	return err;
}

int show_stats(struct call *call, struct balancer *b, const struct filter *filter)
{
	struct flow_count count = {};
	struct lb_settings settings;
	struct maps_totals totals;
	uint64_t ports = 0, gone, evicted;
	int err = maps__settings(&b->maps, &settings);

	(void)filter;
	if (!err)
		err = maps__totals(&b->maps, &totals);
	if (!err)
		err = port_space(b, &settings, &ports);
	if (!err)
		err = maps__flow_each(&b->maps, false, count_flow, &count);
	if (err && err != -ENOENT)
		return err;
	evicted = totals.rare.flows_evicted;
	/* An LRU map evicts silently: what was made, wasn't removed and isn't there was evicted. */
	gone = totals.rare.flows_expired + totals.rare.flows_removed + count.all;
	if (settings.table == LB_TABLE_LRU)
		evicted = totals.rare.flows_created > gone ? totals.rare.flows_created - gone : 0;
	return out__object(
		call->global->format, stats_columns,
		sizeof(stats_columns) / sizeof(stats_columns[0]), stdout,
		json_pack("{s:I, s:I, s:I, s:I, s:I, s:{s:I, s:I, s:I, s:I, s:I, s:I}, s:{s:I, s:I, s:I}, s:I, s:I, s:I}",
			  "packets", (json_int_t)totals.packets, "bytes",
			  (json_int_t)totals.bytes, "passed", (json_int_t)totals.passed,
			  "forwarded", (json_int_t)totals.forwarded, "dropped",
			  (json_int_t)totals.dropped, "flows", "now", (json_int_t)count.live,
			  "half_open", (json_int_t)count.half_open, "capacity",
			  (json_int_t)settings.flows, "created", (json_int_t)totals.rare.flows_created,
			  "evicted", (json_int_t)evicted, "expired",
			  (json_int_t)totals.rare.flows_expired, "snat_ports", "used",
			  (json_int_t)count.ports, "available",
			  (json_int_t)(ports > count.ports ? ports - count.ports : 0), "reused",
			  (json_int_t)totals.rare.ports_reused, "resets", (json_int_t)totals.rare.resets,
			  "untracked", (json_int_t)totals.rare.untracked, "parked",
			  (json_int_t)totals.rare.parked));
}

static const struct out_column reaped_columns[] = { { "flows ended", "flows", OUT_COUNT } };

struct match {
	struct maps *maps;
	const struct filter *filter;
};

static bool match_filter(const struct flow *flow, void *arg)
{
	struct match *match = arg;

	return filter__flow(match->filter, match->maps, flow);
}

static bool match_expired(const struct flow *flow, void *arg)
{
	(void)arg;
	return flow->expired;
}

static int run_reap(struct call *call, enum lb_reap_mode mode,
		    bool (*matches)(const struct flow *, void *))
{
	struct match match = { .filter = &filter_options };
	struct text_error error = {};
	struct balancer b;
	uint64_t n = 0;
	int err;

	if (balancer__open_locked(&b, call->pin_dir, false, command__note, &error))
		return call__failed(call, &error);
	match.maps = &b.maps;
	err = maps__flow_reap(&b.maps, mode, matches, &match, &n);
	balancer__close(&b);
	if (err == -ENOENT) /* never attached */
		err = 0;
	if (!err)
		err = out__object(call->global->format, reaped_columns, 1, stdout,
				  json_pack("{s:I}", "flows", (json_int_t)n));
	if (!err)
		return EXIT_DONE;
	text_error__set(&error, "%s", strerror(-err));
	return call__failed(call, &error);
}

static int run_flush(struct call *call)
{
	struct text_error error = {};

	if (filter_options.has_state && !filter_options.flow_state) {
		text_error__set(&error, "bad state \"%s\": syn, established, fin, closed, new or "
					"assured", filter_options.state);
		return call__usage(call, &error);
	}
	if (!strcmp(call->operands[0], "flows"))
		return run_reap(call, LB_REAP_FORCE, match_filter);
	text_error__set(&error, "flush what? flows");
	return call__usage(call, &error);
}

const struct command cmd_flush = {
	.name = "flush",
	.operands = "flows",
	.help = "forget flows; open TCP connections of them are reset",
	.operands_min = 1,
	.operands_max = 1,
	.options = filter_option_defs,
	.options_n = FILTER_OPTIONS_N - 1, /* a limit makes no sense here */
	.into = &filter_options,
	.run = run_flush,
};

static int run_gc(struct call *call)
{
	return run_reap(call, LB_REAP_EXPIRED, match_expired);
}

const struct command cmd_gc = {
	.name = "gc",
	.operands = "",
	.help = "remove flows that are past their time, once",
	.run = run_gc,
};

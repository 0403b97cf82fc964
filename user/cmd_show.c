// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* show: what is configured and counted. Flows have a file of their own (cmd_flows.c). */
#include "cmd_show.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "announce.h"
#include "host.h"
#include "loader.h"
#include "names.h"

/* Live flows by VIP and by backend. Closed ones, kept for their ports' sake, don't count. */
struct tally {
	struct maps *maps;
	uint64_t vips[LB_MAX_VIPS];
	uint64_t backends[LB_MAX_BACKENDS];
};

static int tally_flow(const struct flow *flow, void *arg)
{
	struct tally *tally = arg;

	if (flow->expired || flow->state == CT_CLOSED)
		return 0;
	tally->backends[flow->backend.index]++; /* below the limit, else it were expired */
	if (flow->vip < LB_MAX_VIPS)
		tally->vips[flow->vip]++;
	return 0;
}

static int tally_make(struct maps *maps, struct tally **ret)
{
	struct tally *tally = calloc(1, sizeof(*tally));
	int err;

	if (!tally)
		return -ENOMEM;
	tally->maps = maps;
	err = maps__flow_each(maps, false, tally_flow, tally);
	if (err && err != -ENOENT) {
		free(tally);
		return err;
	}
	*ret = tally;
	return 0;
}

static const struct out_column vip_columns[] = {
	{ "VIP", "vip", OUT_TEXT },	      { "METHOD", "method", OUT_TEXT },
	{ "SCHEDULER", "scheduler", OUT_TEXT }, { "HASH", "hash", OUT_TEXT },
	{ "BACKENDS", "backends", OUT_COUNT },  { "UP", "up", OUT_COUNT },
	{ "FLOWS", "flows", OUT_COUNT },	      { "PACKETS", "packets", OUT_COUNT },
	{ "BYTES", "bytes", OUT_BYTES },	      { "DROPS", "drops", OUT_COUNT },
};

static const struct out_column backend_columns[] = {
	{ "VIP", "vip", OUT_TEXT },	  { "BACKEND", "backend", OUT_TEXT },
	{ "WEIGHT", "weight", OUT_COUNT },  { "ADMIN", "admin", OUT_TEXT },
	{ "STATE", "state", OUT_STATE },	  { "HEALTH", "health", OUT_STATE },
	{ "FLOWS", "flows", OUT_COUNT },	  { "PACKETS", "packets", OUT_COUNT },
	{ "BYTES", "bytes", OUT_BYTES },
};

/* One walk over VIPs serves both lists. */
struct listing {
	struct maps *maps;
	struct tally *tally;
	struct lb_pool *pool;
	struct out *out;
	const struct filter *filter;
	json_t *allowed; /* prefixes, by the number of their list */
	bool backends;
	uint32_t hz;
	uint32_t rows;
};

static int list_full(struct listing *list)
{
	return list->filter->limit && list->rows >= list->filter->limit;
}

/* What all its backends carried, those that it had before too. */
static int vip_carried(struct listing *list, uint16_t id, struct lb_count *ret)
{
	struct lb_count count;
	uint32_t i;
	int err = maps__vip_past(list->maps, id, ret);

	for (i = 0; !err && i < list->pool->members_n; i++) {
		err = maps__backend_stats(list->maps, list->pool->members[i].ref.index, &count);
		ret->packets += count.packets;
		ret->bytes += count.bytes;
	}
	return err;
}

/* Prefixes by the number of their list, for VIPs to name. */
static int allowed_add(const struct lb_prefix *prefix, void *arg)
{
	char text[TEXT_PREFIX_MAX], number[16];
	json_t *lists = arg, *list;

	snprintf(number, sizeof(number), "%u", prefix->list & ~LB_LIST_V6);
	list = json_object_get(lists, number);
	if (!list)
		json_object_set_new(lists, number, list = json_array());
	json_array_append_new(list, json_string(text__format_prefix(prefix, text, sizeof(text))));
	return 0;
}

/* What the table has no room for. */
static void vip_more(struct listing *list, const struct lb_vip *vip, json_t *row)
{
	char number[16], iface[IFNAMSIZ];
	json_t *allowed;

	snprintf(number, sizeof(number), "%u", vip->allow);
	allowed = vip->allow ? json_object_get(list->allowed, number) : NULL;
	json_object_set_new(row, "announce",
			    vip->announce && announce__iface(vip->announce, iface) ? json_string(iface) :
										     json_null());
	json_object_set_new(row, "persist_ms",
			    json_integer((json_int_t)vip->persist * 1000 / list->hz));
	json_object_set_new(row, "new_rate", json_integer(vip->new_rate));
	json_object_set_new(row, "allow", allowed ? json_incref(allowed) : json_array());
}

static int list_vip(struct listing *list, const struct service *service, const struct lb_vip *vip)
{
	struct lb_count carried;
	uint32_t i, up = 0;
	uint64_t drops;
	char name[80];
	json_t *row;
	int err = vip_carried(list, vip->id, &carried);

	if (!err)
		err = maps__vip_drops(list->maps, vip->id, &drops);
	if (err)
		return err;
	for (i = 0; i < list->pool->members_n; i++)
		up += balancer__member_state(&list->pool->members[i]) == LB_ADMIN_UP;
	list->rows++;
	row = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "vip",
			text__format_service(service, name, sizeof(name)), "method",
			lb_method_names[vip->method % LB_METHODS], "scheduler",
			lb_scheduler_names[vip->scheduler], "hash", lb_hash_names[vip->hash],
			"backends", (json_int_t)list->pool->members_n, "up", (json_int_t)up, "flows",
			(json_int_t)list->tally->vips[vip->id], "packets",
			(json_int_t)carried.packets, "bytes", (json_int_t)carried.bytes, "drops",
			(json_int_t)drops);
	vip_more(list, vip, row);
	return out__row(list->out, row);
}

static int list_backend(struct listing *list, const struct service *service,
			const struct lb_pool_member *member)
{
	const struct lb_backend *backend = &list->maps->backends[member->ref.index];
	const char *state = lb_admin_names[balancer__member_state(member)];
	struct endpoint endpoint = { .addr = backend->addr, .port = ntohs(backend->port) };
	struct lb_count count;
	char vip[80], name[80];
	int err;

	if (!filter__backend(list->filter, backend) ||
	    (list->filter->has_state && strcmp(list->filter->state, state)))
		return 0;
	err = maps__backend_stats(list->maps, member->ref.index, &count);
	if (err)
		return err;
	list->rows++;
	return out__row(list->out,
			json_pack("{s:s, s:s, s:I, s:s, s:s, s:s, s:I, s:I, s:I}", "vip",
				  text__format_service(service, vip, sizeof(vip)), "backend",
				  text__format_endpoint(&endpoint, name, sizeof(name)), "weight",
				  (json_int_t)member->weight, "admin", lb_admin_names[member->admin],
				  "state", state, "health", lb_health_names[member->health], "flows",
				  (json_int_t)list->tally->backends[member->ref.index], "packets",
				  (json_int_t)count.packets, "bytes", (json_int_t)count.bytes));
}

static int list_each(const struct lb_service_key *key, const struct lb_vip *vip, void *arg)
{
	struct listing *list = arg;
	struct service service;
	uint32_t i;
	int err;

	service__from_key(key, &service);
	if (!filter__service(list->filter, &service) || list_full(list))
		return 0;
	err = maps__pool_get(list->maps, vip->id, list->pool);
	if (err)
		return err == -ENOENT ? 0 : err; /* deleted meanwhile */
	if (!list->backends)
		return list_vip(list, &service, vip);
	for (i = 0; !err && i < list->pool->members_n && !list_full(list); i++)
		err = list_backend(list, &service, &list->pool->members[i]);
	return err;
}

static int show_list(struct call *call, struct balancer *b, const struct filter *filter,
		     bool backends)
{
	struct listing list = { .maps = &b->maps, .filter = filter, .backends = backends };
	int err, end;

	list.pool = calloc(1, sizeof(*list.pool));
	list.allowed = json_object();
	err = list.pool ? host__hz(&list.hz) : -ENOMEM;
	if (!err)
		err = tally_make(&b->maps, &list.tally);
	if (!err && !backends && call->global->format == OUT_JSON)
		err = maps__prefix_each(&b->maps, allowed_add, list.allowed);
	if (!err) {
		err = out__open(call->global->format, backends ? backend_columns : vip_columns,
				backends ? sizeof(backend_columns) / sizeof(backend_columns[0]) :
					   sizeof(vip_columns) / sizeof(vip_columns[0]),
				stdout, &list.out);
	}
	if (!err) {
		err = maps__vip_each(&b->maps, list_each, &list);
		end = out__close(list.out);
		err = err ? err : end;
	}
	json_decref(list.allowed);
	free(list.tally);
	free(list.pool);
	return err;
}

static int show_vips(struct call *call, struct balancer *b, const struct filter *filter)
{
	return show_list(call, b, filter, false);
}

static int show_backends(struct call *call, struct balancer *b, const struct filter *filter)
{
	return show_list(call, b, filter, true);
}

static const struct out_column interface_columns[] = {
	{ "INTERFACE", "interface", OUT_TEXT },
	{ "MODE", "mode", OUT_TEXT },
	{ "PROGRAM", "program", OUT_TEXT },
	{ "PACKETS", "packets", OUT_COUNT },
};

struct interfaces {
	struct maps *maps;
	struct out *out;
};

static int list_interface(const char *name, const struct loader_link *link, void *arg)
{
	struct interfaces *list = arg;
	struct lb_iface iface = {};
	uint64_t packets = 0;

	if (!link->ifindex) /* the interface is gone; attach and detach clear the pin */
		return 0;
	maps__iface_get(list->maps, link->ifindex, &iface);
	maps__iface_packets(list->maps, link->ifindex, &packets);
	return out__row(list->out, json_pack("{s:s, s:s, s:I, s:I}", "interface", name, "mode",
					     lb_mode_names[iface.mode & 1], "program",
					     (json_int_t)link->prog, "packets", (json_int_t)packets));
}

static int show_interfaces(struct call *call, struct balancer *b, const struct filter *filter)
{
	struct interfaces list = { .maps = &b->maps };
	int end, err = out__open(call->global->format, interface_columns,
				 sizeof(interface_columns) / sizeof(interface_columns[0]), stdout,
				 &list.out);

	(void)filter;
	if (err)
		return err;
	err = loader__link_each(b->dir, list_interface, &list);
	end = out__close(list.out);
	return err ? err : end;
}

static const struct out_column drop_columns[] = {
	{ "REASON", "reason", OUT_TEXT },
	{ "PACKETS", "packets", OUT_COUNT },
	{ "HELP", "help", OUT_TEXT },
};

static const struct {
	const char *reason;
	const char *help;
} drop_texts[LB_DROPS] = {
#define DROP_TEXT(name, reason, help) { reason, help },
	LB_DROP_REASONS(DROP_TEXT)
#undef DROP_TEXT
};

/* JSON has every reason, a table those that happened, or with -v all. */
static int show_drops(struct call *call, struct balancer *b, const struct filter *filter)
{
	uint64_t drops[LB_DROPS];
	struct out *out;
	int i, end, err = maps__drops(&b->maps, drops);

	(void)filter;
	if (!err)
		err = out__open(call->global->format, drop_columns,
				sizeof(drop_columns) / sizeof(drop_columns[0]), stdout, &out);
	if (err)
		return err;
	for (i = 0; !err && i < LB_DROPS; i++) {
		if (!drops[i] && call->global->format == OUT_TABLE && !call->global->verbose)
			continue;
		err = out__row(out, json_pack("{s:s, s:I, s:s}", "reason", drop_texts[i].reason,
					      "packets", (json_int_t)drops[i], "help",
					      drop_texts[i].help));
	}
	end = out__close(out);
	return err ? err : end;
}

static const struct show {
	const char *name;
	int (*show)(struct call *call, struct balancer *b, const struct filter *filter);
	const char *filters; /* that mean something to it, each between spaces */
} shows[] = {
	{ "vips", show_vips, " vip proto limit " },
	{ "backends", show_backends, " vip backend state proto limit " },
	{ "flows", show_flows, " vip backend client state proto limit " },
	{ "interfaces", show_interfaces, "" },
	{ "drops", show_drops, "" },
	{ "stats", show_stats, "" },
};

static const struct show *show_find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(shows) / sizeof(shows[0]); i++)
		if (!strcmp(shows[i].name, name))
			return &shows[i];
	return NULL;
}

/* A filter without a meaning is refused: it would seem to have matched everything. */
static int check_filters(struct call *call, const struct show *show)
{
	struct text_error error = {};
	char word[32];
	size_t i;

	for (i = 0; i < FILTER_OPTIONS_N; i++) {
		snprintf(word, sizeof(word), " %s ", filter_option_defs[i].name);
		if (!options__seen(call->options, filter_option_defs[i].name) ||
		    strstr(show->filters, word))
			continue;
		text_error__set(&error, "--%s means nothing to it", filter_option_defs[i].name);
		return call__usage(call, &error);
	}
	if (filter_options.has_state &&
	    filter_options.flow_state != (show->show == show_flows)) {
		text_error__set(&error, "bad state \"%s\": %s", filter_options.state,
				show->show == show_flows ?
					"syn, established, fin, closed, new or assured" :
					"up, drain or down");
		return call__usage(call, &error);
	}
	return 0;
}

static int read_vip(struct call *call, const struct show *show)
{
	struct text_error error = {};
	int status;

	if (call->operands_n < 2)
		return 0;
	if (!*show->filters || filter_options.has_vip) {
		text_error__set(&error, *show->filters ? "one VIP, please" :
							 "it is kept for the whole balancer, not "
							 "by VIP");
		return call__usage(call, &error);
	}
	status = call__vip(call, 1, &filter_options.vip);
	filter_options.has_vip = !status;
	return status;
}

static int run_show(struct call *call)
{
	const struct show *show = show_find(call->operands[0]);
	struct text_error error = {};
	struct balancer b;
	int status, err;

	if (!show) {
		text_error__set(&error, "show what? vips, backends, flows, interfaces, drops or stats");
		return call__usage(call, &error);
	}
	status = check_filters(call, show);
	if (!status)
		status = read_vip(call, show);
	if (status)
		return status;
	if (balancer__open(&b, call->pin_dir, &error))
		return call__failed(call, &error);
	err = show->show(call, &b, &filter_options);
	balancer__close(&b);
	if (!err)
		return EXIT_DONE;
	text_error__set(&error, "%s", strerror(-err));
	return call__failed(call, &error);
}

static const char *const show_notes[] = {
	"vips, backends and flows can be narrowed to a VIP and by filters; interfaces, drops and",
	"stats stand for the whole balancer. FLOWS of a VIP or backend leaves closed ones out.",
	NULL,
};

const struct command cmd_show = {
	.name = "show",
	.operands = "vips|backends|flows|interfaces|drops|stats [VIP]",
	.help = "list what is configured, and what happens",
	.operands_min = 1,
	.operands_max = 2,
	.options = filter_option_defs,
	.options_n = FILTER_OPTIONS_N,
	.into = &filter_options,
	.notes = show_notes,
	.run = run_show,
};

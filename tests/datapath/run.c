// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The engine of the scenarios. */
#include "run.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/bpf.h>

#define CLIENT_PORT 40000

bool run_reached[LB_DROPS];

static const char *const drop_names[] = {
#define DROP_NAME(name, text, help) [LB_DROP_##name] = text,
	LB_DROP_REASONS(DROP_NAME)
#undef DROP_NAME
};

static const char *const expect_names[] = { "forwarded", "passed", "answered by RST", "dropped",
					    "reported" };

void run__fail(struct run *run, const char *format, ...)
{
	va_list args;

	if (run->failed)
		return;
	run->failed = true;
	fprintf(stderr, "%s/%s [IPv%c%s%s, %s, %s, %s checksums]", run->table, run->name,
		frame_v6 ? '6' : '4', fixture_nat ? ", nat" : "",
		(const char *[]){ "", " in the other", ", direct", ", gue", ", gue in the other" }[fixture_one_way],
		run->fx->variant == GENERIC ? "generic" : "native",
		run->fx->table == LB_TABLE_ASSOC ? "assoc" : "lru",
		run->csum == CSUM_PARTIAL ? "partial" : "complete");
	if (run->step >= 0)
		fprintf(stderr, " packet %d", run->step);
	fprintf(stderr, ": ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
}

static void print_bytes(const char *what, const uint8_t *bytes, size_t len)
{
	size_t i;

	fprintf(stderr, "  %-8s %4zu:", what, len);
	for (i = 0; i < len && i < 80; i++)
		fprintf(stderr, "%s%02x", i == 14 || i == 34 ? " | " : i % 2 ? "" : " ", bytes[i]);
	fprintf(stderr, "\n");
}

static void compare(struct run *run, const uint8_t *bytes, size_t len)
{
	size_t i;

	if (run->out.len == len && !memcmp(run->out.bytes, bytes, len))
		return;
	if (run->failed)
		return;
	for (i = 0; i < len && i < run->out.len && run->out.bytes[i] == bytes[i]; i++)
		;
	run__fail(run, "other bytes than expected, from byte %zu on", i);
	print_bytes("expected", bytes, len);
	print_bytes("got", run->out.bytes, run->out.len);
}

void run__talk(struct run *run, enum service_id svc, uint32_t client, uint16_t port)
{
	uint32_t neighbour;

	run->svc = svc;
	run->client = client;
	run->client_port = port;
	run->client_iface = lab__way_to(client, &neighbour);
	run->vip_port = services[svc].port ? services[svc].port : 7777;
	run->learnt = false;
	run->backend = 0;
}

static void address(struct frame *frame, enum lab_iface iface)
{
	uint32_t neighbour;

	lab__way_to(frame->src, &neighbour);
	lab__mac_of(neighbour, frame->smac);
	lab__own_mac(iface, frame->dmac);
}

struct frame run__from_client(struct run *run, uint8_t flags, uint32_t seq, uint32_t ack)
{
	const struct service *service = &services[run->svc];
	struct frame frame = frame__make(service->proto, run->client, run->client_port,
					 service->vip, run->vip_port);

	frame.flags = flags;
	frame.seq = seq;
	frame.ack = ack;
	frame.csum = run->csum;
	frame.seed = run->step + 1;
	address(&frame, run->client_iface);
	return frame;
}

struct frame run__from_backend(struct run *run, uint8_t flags, uint32_t seq, uint32_t ack)
{
	struct frame frame = frame__make(services[run->svc].proto, run->backend, run->backend_port,
					 run->snat, run->snat_port);
	uint32_t neighbour;

	frame.flags = flags;
	frame.seq = seq;
	frame.ack = ack;
	frame.csum = run->csum;
	frame.seed = run->step + 77;
	address(&frame, lab__way_to(run->backend, &neighbour));
	return frame;
}

static bool port_in_range(struct run *run, uint16_t port)
{
	const uint16_t *ports = run->fx->ports;

	return (ports[0] && port >= ports[0] && port <= ports[1]) ||
	       (ports[2] && port >= ports[2] && port <= ports[3]);
}

/* What the first packet shows of the flow, if it is what the service allows. */
static void learn(struct run *run, const struct frame *sent, const uint8_t *bytes)
{
	const struct service *service = &services[run->svc];
	const uint8_t *ip = bytes + ETH_LEN, *ports = ip + frame__ip_len(sent);
	uint16_t port;
	int n;

	run->learnt = true;
	run->snat = frame__src(ip);
	run->backend = frame__dst(ip);
	if (fixture__method(run->svc) == LB_METHOD_DSR) {
		run->snat = 0;
		run->backend = lab__ip_of(bytes);
	}
	run->snat_port = run__is_pair(run) ? ports[0] << 8 | ports[1] : 0;
	run->backend_port = run__is_pair(run) ? ports[2] << 8 | ports[3] : run->vip_port;
	for (n = 0; n < SERVICE_BACKENDS; n++) {
		port = service->backends[n].port ? service->backends[n].port : run->vip_port;
		if (run->backend == service->backends[n].ip && run->backend_port == port)
			break;
	}
	if (n == SERVICE_BACKENDS)
		run__fail(run, "sent to %08x:%u, which is no backend", run->backend,
			  run->backend_port);
	run->backend_n = n;
	run->outer_port = 0;
	run->outer_label = 0;
	if (fixture__is_tunnel(run->svc) && fixture__backends_v6(run->svc))
		run->outer_label = (ip[1] & 15) << 16 | ip[2] << 8 | ip[3];
	if (fixture__method(run->svc) == LB_METHOD_GUE) {
		ip += fixture__backends_v6(run->svc) ? IP6_LEN : IP_LEN;
		run->outer_port = ip[0] << 8 | ip[1];
		if (run->outer_port < 0xc000)
			run__fail(run, "outer source port %u", run->outer_port);
	}
	if (run__is_pair(run) && !port_in_range(run, run->snat_port) && !run__is_nat(run))
		run__fail(run, "source port %u is not of our ranges", run->snat_port);
	if (fixture__method(run->svc) == LB_METHOD_DSR)
		return;
	if (run__is_nat(run)) {
		if (run->snat != run->client || run->snat_port != run->client_port)
			run__fail(run, "the client's address or port is changed");
		return;
	}
	if (service->snat[0] ? run->snat != service->snat[0] && run->snat != service->snat[1]
			     : run->snat != LAB_HOST && run->snat != LAB_FAR_HOST)
		run__fail(run, "source address %08x is not of the service", run->snat);
}

bool run__is_pair(const struct run *run)
{
	return services[run->svc].method == LB_METHOD_FULLNAT;
}

bool run__is_nat(const struct run *run)
{
	return fixture__method(run->svc) == LB_METHOD_NAT;
}

enum lab_iface run__translate(struct run *run, const struct frame *frame, struct frame *ret)
{
	uint32_t neighbour, to = run->backend;
	enum lab_iface egress;

	*ret = *frame;
	if (fixture__is_tunnel(run->svc)) {
		ret->outer_label = run->outer_label;
		ret->outer_sport = run->outer_port;
		ret->outer_src = run->snat;
		ret->outer_dst = run->backend;
		ret->outer_v6 = fixture__backends_v6(run->svc);
	} else if (!run__is_pair(run)) {
		/* as it came */
	} else if (frame->src == run->client && frame->sport == run->client_port) {
		ret->src = run->snat;
		ret->sport = run->snat_port;
		ret->dst = run->backend;
		ret->dport = run->backend_port;
	} else {
		ret->src = services[run->svc].vip;
		ret->sport = run->vip_port;
		ret->dst = to = run->client;
		ret->dport = run->client_port;
	}
	egress = lab__way_to(to, &neighbour);
	lab__mac_of(neighbour, ret->dmac);
	lab__own_mac(egress, ret->smac);
	ret->ttl--;
	if (run->fx->variant == NATIVE && ret->csum == CSUM_PARTIAL)
		ret->csum = CSUM_COMPLETE;
	return egress;
}

uint32_t run__path_mtu(struct run *run, const struct frame *frame)
{
	struct frame after;

	if (!run->fx->says_mtu)
		return frame->v6 ? 1280 : 0;
	run__translate(run, frame, &after);
	return LAB_MTU - (after.outer_src ? after.outer_v6 ? IP6_LEN : IP_LEN : 0) -
	       (after.outer_sport ? GUE_LEN : 0);
}

/* A fragment's identification is changed, to which one the scenario looks after. */
static void expect_new_id(struct run *run, struct frame *expected)
{
	const uint8_t *at = run->out.bytes + ETH_LEN + (expected->v6 ? IP6_LEN + 4 : 4);

	run->out_id = at[0] << 8 | at[1];
	expected->id = expected->v6 ? expected->id : run->out_id;
	if (expected->v6)
		expected->frag_id = run->out_id = run->out_id << 16 | at[2] << 8 | at[3];
}

static void check_forwarded(struct run *run, const struct frame *frame, enum lab_iface iface)
{
	uint8_t bytes[FRAME_MAX];
	struct frame expected;
	enum lab_iface egress;
	struct lb_meta meta;
	int action;

	if (!run->learnt && frame->dst == services[run->svc].vip)
		learn(run, frame, run->out.bytes);
	egress = run__translate(run, frame, &expected);
	if (frame->whole && run__is_pair(run))
		expect_new_id(run, &expected);
	action = egress == iface ? XDP_TX : run->fx->variant == GENERIC ? XDP_PASS : XDP_REDIRECT;
	if (run->out.action != action)
		run__fail(run, "XDP action %d instead of %d", run->out.action, action);
	if (action == XDP_PASS && run->fx->has_context) {
		memcpy(&meta, run->out.meta, sizeof(meta));
		if (run->out.meta_len != sizeof(meta) || meta.magic != LB_META_MAGIC ||
		    meta.ifindex != lab_ifindex[egress])
			run__fail(run, "metadata does not name the egress");
	} else if (run->out.meta_len) {
		run__fail(run, "metadata where none is due");
	}
	compare(run, bytes, frame__build(&expected, bytes));
}

static void check_reset(struct run *run, const struct frame *frame)
{
	struct frame rst = frame__make(TCP, frame->dst, frame->dport, frame->src, frame->sport);
	uint8_t bytes[FRAME_MAX];

	memcpy(rst.dmac, frame->smac, 6);
	memcpy(rst.smac, frame->dmac, 6);
	rst.id = 0;
	rst.window = 0;
	rst.seq = frame->ack;
	rst.flags = FLAG_RST;
	rst.csum = run->fx->variant == NATIVE ? CSUM_COMPLETE : frame->csum;
	if (run->out.action != XDP_TX)
		run__fail(run, "XDP action %d instead of TX", run->out.action);
	compare(run, bytes, frame__build(&rst, bytes));
}

static bool is_drop(enum expect expect)
{
	return expect == DROPPED || expect == REPORTED;
}

/* The ICMP error: what it quotes, and from whom it comes. */
static void check_report(struct run *run, const struct frame *frame, int drop)
{
	struct frame about = frame__make(ICMP, frame->dst, 0, frame->src, 0), whole = *frame;
	uint8_t bytes[FRAME_MAX], quoted[FRAME_MAX], summed[FRAME_MAX];
	size_t max = frame->v6 ? 1280 - IP6_LEN - ICMP_LEN : 576 - IP_LEN - ICMP_LEN;
	struct frame_icmp icmp = { .data = quoted + ETH_LEN, .summed = summed + ETH_LEN };
	bool ttl = drop == LB_DROP_TTL;

	memcpy(about.dmac, frame->smac, 6);
	memcpy(about.smac, frame->dmac, 6);
	about.tos = 0xc0;
	about.id = 0;
	whole.padding = 0;
	icmp.len = frame__build(&whole, quoted) - ETH_LEN;
	if (icmp.len > max)
		icmp.len = max;
	memcpy(summed, quoted, sizeof(quoted));
	if (run->fx->variant == GENERIC && frame->csum == CSUM_PARTIAL)
		frame__complete(&whole, summed, ETH_LEN + icmp.len); /* as the stack will */
	icmp.type = frame->v6 ? (ttl ? 3 : 2) : ttl ? 11 : 3;
	icmp.code = frame->v6 || ttl ? 0 : 4;
	if (!ttl)
		icmp.rest = run__path_mtu(run, frame);
	if (run->out.action != XDP_TX)
		run__fail(run, "XDP action %d instead of TX", run->out.action);
	compare(run, bytes, frame__build_icmp(&about, &icmp, bytes));
}

static void check_drops(struct run *run, const struct counters *before,
			const struct counters *after, enum expect expect, int drop)
{
	int i;

	for (i = 0; i < LB_DROPS; i++) {
		if (after->drops[i] == before->drops[i])
			continue;
		run_reached[i] = true;
		if (!is_drop(expect) || i != drop)
			run__fail(run, "dropped as %s instead of %s%s%s", drop_names[i],
				  expect_names[expect], is_drop(expect) ? " as " : "",
				  is_drop(expect) ? drop_names[drop] : "");
	}
	if (is_drop(expect) && after->drops[drop] - before->drops[drop] != 1)
		run__fail(run, "not dropped as %s once", drop_names[drop]);
}

static void check_counters(struct run *run, const struct counters *before,
			   const struct counters *after, enum lab_iface iface, enum expect expect,
			   size_t len)
{
	const struct lb_iface_stats *a = &before->ifaces[iface], *b = &after->ifaces[iface];
	const struct lb_iface_stats *other = &before->ifaces[!iface];

	if (b->bytes - a->bytes != len)
		run__fail(run, "not seen once with %zu bytes", len);
	if (b->passed - a->passed != (expect == PASSED) ||
	    b->forwarded - a->forwarded != (expect == FORWARDED || expect == RESET) ||
	    b->dropped - a->dropped != is_drop(expect) ||
	    after->totals.resets - before->totals.resets != (expect == RESET))
		run__fail(run, "counted otherwise than %s (passed %d, forwarded %d, dropped %d, resets %d)",
			  expect_names[expect], (int)(b->passed - a->passed),
			  (int)(b->forwarded - a->forwarded), (int)(b->dropped - a->dropped),
			  (int)(after->totals.resets - before->totals.resets));
	if (memcmp(other, &after->ifaces[!iface], sizeof(*other)) ||
	    memcmp(&before->stray, &after->stray, sizeof(before->stray)))
		run__fail(run, "counted at another interface");
}

void run__send_bytes(struct run *run, const uint8_t *bytes, size_t len, enum lab_iface iface,
		     enum expect expect, int drop)
{
	struct counters before, after;
	int err;

	if (run->failed)
		return;
	run->step++;
	err = fixture__read(run->fx, &before);
	if (!err && expect == REPORTED)
		err = fixture__forget_reports(run->fx);
	if (!err)
		err = fixture__run(run->fx, bytes, len, lab_ifindex[iface], &run->out);
	if (!err)
		err = fixture__read(run->fx, &after);
	if (err) {
		run__fail(run, "could not be run: %s", strerror(-err));
		return;
	}
	check_drops(run, &before, &after, expect, drop);
	check_counters(run, &before, &after, iface, expect, len);
	if (expect == DROPPED && run->out.action != XDP_DROP)
		run__fail(run, "XDP action %d instead of DROP", run->out.action);
	if (expect != PASSED)
		return;
	if (run->out.action != XDP_PASS || run->out.meta_len)
		run__fail(run, "XDP action %d instead of PASS", run->out.action);
	compare(run, bytes, len);
}

void run__send(struct run *run, const struct frame *frame, enum lab_iface iface, enum expect expect,
	       int drop)
{
	uint8_t bytes[FRAME_MAX];

	run__send_bytes(run, bytes, frame__build(frame, bytes), iface, expect, drop);
	if (run->failed)
		return;
	if (expect == FORWARDED)
		check_forwarded(run, frame, iface);
	if (expect == RESET)
		check_reset(run, frame);
	if (expect == REPORTED)
		check_report(run, frame, drop);
}

static enum lab_iface iface_of(struct run *run, enum who who)
{
	uint32_t neighbour;

	return who == CLIENT ? run->client_iface : lab__way_to(run->backend, &neighbour);
}

void run__say(struct run *run, enum who who, uint8_t flags, uint32_t seq, uint32_t ack,
	      enum expect expect, int drop)
{
	struct frame frame = who == CLIENT ? run__from_client(run, flags, seq, ack)
					   : run__from_backend(run, flags, seq, ack);

	run__send(run, &frame, iface_of(run, who), expect, drop);
}

void run__handshake(struct run *run)
{
	run__say(run, CLIENT, FLAG_SYN, 1000, 0, FORWARDED, 0);
	run__say(run, BACKEND, FLAG_SYN | FLAG_ACK, 5000, 1001, FORWARDED, 0);
	run__say(run, CLIENT, FLAG_ACK, 1001, 5001, FORWARDED, 0);
}

struct ct_key run__client_key(const struct run *run)
{
	return fixture__key(services[run->svc].proto, run->client, run->client_port,
			    services[run->svc].vip, run->vip_port);
}

struct ct_key run__reply_key(const struct run *run)
{
	struct ct_key key;

	if (!run__is_nat(run))
		return fixture__key(services[run->svc].proto, run->backend, run->backend_port,
				    run->snat, run->snat_port);
	key = fixture__key(services[run->svc].proto, run->client, run->client_port, run->backend,
			   run->backend_port);
	key.turned = 1;
	return key;
}

static void check_half(struct run *run, const struct ct_key *key, const struct ct_key *peer_key,
		       int dir, int state)
{
	uint32_t index = fixture__backend_index(run->svc, run->backend_n);
	enum half_place place = state & 0x100 ? FLOW_ESTABLISHED : FLOW_HALF_OPEN;
	struct lb_backend backend = fixture__backend(run->fx, index);
	const char *name = dir == CT_DIR_IN ? "client's" : "reply";
	enum ct_state wanted = (state & 0xff) - 1;
	struct half half = {};
	struct ct_key leads_to;

	if (half__get(run->fx, key, &half) != place) {
		run__fail(run, "%s half is not among the %s", name,
			  place == FLOW_ESTABLISHED ? "established" : "half-open");
		return;
	}
	if (half.flow.timeout != ct_timeout_pack(fixture_timeout_s[wanted] * run->fx->hz))
		run__fail(run, "%s half times out after %u s, not %u", name,
			  ct_timeout_unpack(half.flow.timeout) / run->fx->hz,
			  fixture_timeout_s[wanted]);
	if (half__state(&half) != wanted)
		run__fail(run, "%s half is in state %d, not %d", name, half__state(&half), wanted);
	ct_peer_key(&half.flow, &backend, &leads_to);
	if (ct_dir(&half.flow) != dir ||
	    (peer_key && memcmp(&leads_to, peer_key, sizeof(leads_to))))
		run__fail(run, "%s half does not lead to the other", name);
	if (!peer_key && half.flow.peer_local)
		run__fail(run, "%s half leads to another", name);
	if (half.flow.backend != index || half.flow.gen != backend.gen ||
	    ct_method(&half.flow) != fixture__method(run->svc) ||
	    !(half.flow.ctl & CT_HALF_OPEN) != (place == FLOW_ESTABLISHED))
		run__fail(run, "%s half has a wrong backend, method, mark or place", name);
}

void run__expect_state(struct run *run, int state)
{
	struct ct_key client = run__client_key(run), reply = run__reply_key(run);
	struct half half;

	if (run->failed)
		return;
	if (state == NO_FLOW) {
		if (half__get(run->fx, &client, &half) ||
		    (run->backend && half__get(run->fx, &reply, &half)))
			run__fail(run, "a half of the flow is still there");
		return;
	}
	check_half(run, &client, run__is_pair(run) ? &reply : NULL, CT_DIR_IN, state);
	if (run__is_pair(run))
		check_half(run, &reply, &client, CT_DIR_OUT, state);
	else if (half__get(run->fx, &reply, &half))
		run__fail(run, "there is a second half");
}

struct half run__half(struct run *run, enum who whose)
{
	struct ct_key key = whose == CLIENT ? run__client_key(run) : run__reply_key(run);
	struct half half = {};

	if (!half__get(run->fx, &key, &half))
		run__fail(run, "a half is not there");
	return half;
}

void run__age(struct run *run, uint32_t seconds)
{
	struct ct_key keys[2] = { run__client_key(run), run__reply_key(run) };
	struct half half;
	int i;

	for (i = 0; i < 2 && !run->failed; i++) {
		if (!half__get(run->fx, &keys[i], &half))
			continue;
		half.flow.last_seen -= seconds * run->fx->hz;
		if (half__put(run->fx, &half))
			run__fail(run, "the flow could not be written");
	}
}

/* Ticks are where bits of the clock change: shortly before one, that is waited for. */
void run__avoid_tick(struct run *run)
{
	uint32_t hz = run->fx->hz, left, tick = 1;

	while (2 * tick <= hz)
		tick *= 2;
	left = tick - run__half(run, CLIENT).flow.last_seen % tick;
	if (left < hz / 10)
		usleep((left + 2) * (1000000 / hz));
}

struct counters run__counters(struct run *run)
{
	struct counters now;

	if (fixture__read(run->fx, &now))
		run__fail(run, "the counters could not be read");
	return now;
}

static bool step_is_last(const struct step *step)
{
	return step->who == NOBODY && !step->act;
}

static void run_steps(struct run *run, const struct step *step)
{
	struct frame frame;

	for (; !step_is_last(step) && !run->failed; step++) {
		if (step->act)
			step->act(run);
		if (step->who != NOBODY) {
			frame = step->who == CLIENT
					? run__from_client(run, step->flags, step->seq, step->ack)
					: run__from_backend(run, step->flags, step->seq, step->ack);
			frame.payload = step->payload;
			if (step->change)
				step->change(&frame);
			run__send(run, &frame, iface_of(run, step->who), step->expect, step->drop);
		}
		if (step->state)
			run__expect_state(run, step->state);
	}
}

static int run_scenario(const struct table *table, const struct scenario *scenario,
			struct fixture *fx, enum frame_csum csum)
{
	static struct run run;
	int err = fixture__reset(fx);
	const char *error;

	run = (struct run){
		.fx = fx,
		.table = table->name,
		.name = scenario->name,
		.csum = csum,
	};
	run__talk(&run, scenario->svc, scenario->client ? scenario->client : LAB_CLIENT,
		  CLIENT_PORT);
	if (err)
		run__fail(&run, "the maps could not be written: %s", strerror(-err));
	else if (scenario->body)
		scenario->body(&run);
	else
		run_steps(&run, scenario->steps);
	/* The LRU maps reuse memory under those who hold a reference: a race may leave an entry dead
	 * or in the other map until its key is created again. Ours may not. */
	error = scenario->races && fx->table == LB_TABLE_LRU ? NULL : half__check_table(fx);
	if (!error && !scenario->races)
		error = half__check_pairs(fx);
	if (error)
		run__fail(&run, "afterwards, %s", error);
	return run.failed;
}

static int run_family(const struct table *table, struct fixture *fx)
{
	const struct scenario *scenario;
	int failed = 0;

	for (scenario = table->scenarios; scenario < table->scenarios + table->n; scenario++) {
		struct fixture *its = scenario->tiny ? fx->tiny : fx;

		if (!its || (frame_v6 && scenario->v4) || (fixture_nat && scenario->fullnat))
			continue;
		failed += run_scenario(table, scenario, its, CSUM_COMPLETE);
		if (!scenario->once)
			failed += run_scenario(table, scenario, its, CSUM_PARTIAL);
	}
	return failed;
}

bool run__by_turns(void)
{
	return getenv("DATAPATH_BY_TURNS") != NULL;
}

int run__table(const struct table *table, struct fixture *fx)
{
	int failed = 0, way;

	/* Where it takes long, nat has its own tables only. */
	const int ways[] = { [FULLNAT] = 1,
			     [PAIRS] = run__by_turns() ? 1 : 2,
			     [NAT] = 2,
			     [ONE_WAY] = ONE_WAYS };

	for (way = table->methods == NAT; way < ways[table->methods]; way++) {
		fixture_one_way = table->methods == ONE_WAY ? way : TUNNEL;
		fixture_nat = table->methods != ONE_WAY && way;
		frame_v6 = false;
		if (table->families != ONLY_V6)
			failed += run_family(table, fx);
		frame_v6 = true;
		if (table->families != ONLY_V4)
			failed += run_family(table, fx);
	}
	frame_v6 = false;
	fixture_one_way = TUNNEL;
	fixture_nat = false;
	return failed;
}

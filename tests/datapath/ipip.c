// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Methods by which replies don't pass here: ipip, the packet as it came in another, of its family and
 * of the other; and dsr, the packet as it came. Each scenario runs for each.
 */
#include "tables.h"

#define SYN FLAG_SYN
#define ACK FLAG_ACK
#define FIN FLAG_FIN
#define RST FLAG_RST
#define PSH FLAG_PSH

static const struct step whole_connection[] = {
	{ CLIENT, SYN, .seq = 100, .state = IN_HALF_OPEN(CT_SYN) },
	{ CLIENT, SYN, .seq = 100, .state = IN_HALF_OPEN(CT_SYN) },
	{ CLIENT, ACK, .seq = 101, .ack = 501, .state = IN_FLOWS(CT_ESTABLISHED) },
	{ CLIENT, PSH | ACK, .seq = 101, .ack = 501, .payload = 700 },
	{ CLIENT, SYN, .seq = 4000, .state = IN_FLOWS(CT_ESTABLISHED) },
	{ CLIENT, FIN | ACK, .seq = 801, .ack = 501, .state = IN_HALF_OPEN(CT_FIN) },
	{ CLIENT, ACK, .seq = 802, .ack = 502, .state = IN_HALF_OPEN(CT_FIN) },
	{},
};

static const struct step opens_with_data[] = {
	{ CLIENT, SYN, .seq = 100 },
	{ CLIENT, PSH | ACK, .seq = 101, .ack = 501, .payload = 9,
	  .state = IN_FLOWS(CT_ESTABLISHED) },
	{},
};

static const struct step no_ack_promotes_nothing[] = {
	{ CLIENT, SYN, .seq = 100 },
	{ CLIENT, 0, .seq = 101, .state = IN_HALF_OPEN(CT_SYN) },
	{ CLIENT, PSH, .seq = 101, .state = IN_HALF_OPEN(CT_SYN) },
	{ CLIENT, SYN | ACK, .seq = 101, .state = IN_HALF_OPEN(CT_SYN) },
	{ CLIENT, ACK, .seq = 101, .ack = 501, .state = IN_FLOWS(CT_ESTABLISHED) },
	{},
};

static const struct step reset[] = {
	{ CLIENT, SYN, .seq = 100 },
	{ CLIENT, ACK, .seq = 101, .ack = 501 },
	{ CLIENT, RST, .seq = 101, .state = IN_HALF_OPEN(CT_CLOSED) },
	{ CLIENT, RST, .seq = 101, .state = IN_HALF_OPEN(CT_CLOSED) },
	{},
};

static const struct step again_after_fin[] = {
	{ CLIENT, SYN, .seq = 100 },
	{ CLIENT, ACK, .seq = 101, .ack = 501 },
	{ CLIENT, FIN | ACK, .seq = 101, .ack = 501, .state = IN_HALF_OPEN(CT_FIN) },
	{ CLIENT, SYN, .seq = 9000, .state = IN_HALF_OPEN(CT_SYN) }, /* backend stays */
	{ CLIENT, ACK, .seq = 9001, .ack = 701, .state = IN_FLOWS(CT_ESTABLISHED) },
	{},
};

static const struct step again_after_rst[] = {
	{ CLIENT, SYN, .seq = 100 },
	{ CLIENT, ACK, .seq = 101, .ack = 501 },
	{ CLIENT, RST, .seq = 101, .state = IN_HALF_OPEN(CT_CLOSED) },
	{ CLIENT, SYN, .seq = 9000, .state = IN_HALF_OPEN(CT_SYN) },
	{ CLIENT, ACK, .seq = 9001, .ack = 701, .state = IN_FLOWS(CT_ESTABLISHED) },
	{},
};

/* After a restart, or from another balancer: on probation until the second packet. */
static const struct step picked_up[] = {
	{ CLIENT, ACK, .seq = 5000, .ack = 7000, .payload = 40, .state = IN_HALF_OPEN(CT_SYN) },
	{ CLIENT, PSH | ACK, .seq = 5040, .ack = 7000, .payload = 40,
	  .state = IN_FLOWS(CT_ESTABLISHED) },
	{},
};

static const struct step picked_up_at_its_end[] = {
	{ CLIENT, FIN | ACK, .seq = 5000, .ack = 7000 },
	{ CLIENT, ACK, .seq = 5001, .ack = 7001 },
	{},
};

#define OPENS_NOTHING(bits)                                         \
	{                                                           \
		CLIENT, bits, DROPPED, LB_DROP_TCP_FLAGS, .ack = 77 \
	}

static const struct step opens_nothing[] = {
	OPENS_NOTHING(0),	  OPENS_NOTHING(RST | ACK | FIN),
	OPENS_NOTHING(SYN | RST), OPENS_NOTHING(SYN | ACK),
	OPENS_NOTHING(SYN | FIN), OPENS_NOTHING(FIN),
	OPENS_NOTHING(PSH),	  {},
};

/* The backend may have the connection that it ends. */
static const struct step reset_of_an_unknown_flow[] = {
	{ CLIENT, RST, .seq = 77, .state = NO_FLOW },
	{ CLIENT, RST | ACK, .seq = 77, .ack = 9, .state = NO_FLOW },
	{},
};

static const struct step udp_exchange[] = {
	{ CLIENT, .payload = 30, .state = IN_HALF_OPEN(CT_UDP_NEW) },
	{ CLIENT, .payload = 31, .state = IN_FLOWS(CT_UDP_ASSURED) },
	{ CLIENT, .payload = 0, .state = IN_FLOWS(CT_UDP_ASSURED) },
	{},
};

static struct frame next(struct run *run)
{
	return run__from_client(run, ACK, 101, 501);
}

static void forwarded(struct run *run, const struct frame *frame)
{
	run__send(run, frame, run->client_iface, FORWARDED, 0);
}

static void open_flow(struct run *run)
{
	run__say(run, CLIENT, SYN, 100, 0, FORWARDED, 0);
	run__say(run, CLIENT, ACK, 101, 501, FORWARDED, 0);
}

static void time_to_live(struct run *run)
{
	struct frame frame;
	int ttl;

	open_flow(run);
	frame = next(run);
	for (ttl = 0; ttl < 256; ttl += ttl < 5 ? 1 : 25) {
		frame.ttl = ttl;
		run__send(run, &frame, LAB_NEAR, ttl < 2 ? REPORTED : FORWARDED, LB_DROP_TTL);
	}
}

/* Whole, with the bits of ECN (RFC 6040, 4.1: normal mode). */
static void type_of_service(struct run *run)
{
	struct frame frame;
	int tos;

	open_flow(run);
	frame = next(run);
	for (tos = 0; tos < 256; tos += 5) {
		frame.tos = tos;
		forwarded(run, &frame);
	}
}

static void inner_fields(struct run *run)
{
	struct frame frame;
	int i;

	open_flow(run);
	for (i = 0; i <= 40; i += 4) {
		frame = next(run);
		frame.ip_options = i;
		frame.tcp_options = frame.proto == TCP ? 40 - i : 0;
		frame.payload = i;
		frame.padding = i / 3;
		frame.id = 0x101 * i;
		frame.frag = i & 4 ? 0x4000 : 0;
		forwarded(run, &frame);
	}
}

/* In generic mode frames longer than the MTU that they come in by were merged, and are cut to size later. */
static bool merged(const struct run *run, const struct frame *frame)
{
	return run->fx->variant == GENERIC &&
	       (!run->fx->says_mtu || frame__ip_len(frame) + frame__l4_len(frame) > LAB_MTU);
}

static void mtu(struct run *run)
{
	struct frame frame;
	size_t headers;

	open_flow(run);
	frame = next(run);
	headers = frame__ip_len(&frame) + frame__l4_len(&frame);
	if (fixture_one_way != DIRECT)
		headers += fixture__backends_v6(run->svc) ? IP6_LEN : IP_LEN;
	if (fixture__method(run->svc) == LB_METHOD_GUE)
		headers += GUE_LEN;
	frame.payload = LAB_MTU - headers;
	forwarded(run, &frame);
	for (frame.payload++; frame.payload <= LAB_MTU - headers + 21; frame.payload++)
		run__send(run, &frame, LAB_NEAR, merged(run, &frame) ? FORWARDED : REPORTED,
			  LB_DROP_TOO_BIG);
	frame.payload = LAB_MTU - headers;
	forwarded(run, &frame);
}

static void lengths(struct run *run)
{
	struct frame frame;
	uint16_t len;

	open_flow(run);
	for (len = 0; len < 300; len += 7) {
		frame = next(run);
		frame.payload = len;
		forwarded(run, &frame);
	}
}

static void without_csum(struct run *run)
{
	struct frame frame;
	int i;

	for (i = 0; i < 3; i++) {
		frame = next(run);
		frame.csum = CSUM_NONE;
		frame.payload = 10 + i;
		forwarded(run, &frame);
	}
}

/* Behind the datagram there are bytes that its checksum doesn't cover (RFC 9868 has a use for them). */
static void udp_ends_early(struct run *run)
{
	struct frame frame = next(run);

	for (frame.payload = 40; frame.payload < 43; frame.payload++) {
		frame.udp_len = UDP_LEN + frame.payload - 9;
		forwarded(run, &frame);
	}
}

static void damaged(struct run *run)
{
	struct frame frame;

	open_flow(run);
	frame = next(run);
	frame.payload = 10;
	frame.csum_error = 0x5555;
	forwarded(run, &frame);
	frame.csum_error = 0;
	frame.ip_csum_error = 0x0102;
	forwarded(run, &frame);
}

/* Of gue's UDP in IPv6: 0 would say that there is none. Depends on no payload, but on the flow label. */
static void outer_csum_of_zero(struct run *run)
{
	uint8_t bytes[FRAME_MAX], *udp = bytes + ETH_LEN + IP6_LEN;
	struct frame frame, out;
	uint32_t id;

	open_flow(run);
	frame = next(run);
	run__translate(run, &frame, &out);
	if (!out.outer_sport || !out.outer_v6 || !frame.v6 || run__by_turns())
		return;
	for (id = 0; id < 65536; id++) {
		out.id = frame.id = id;
		frame__build(&out, bytes);
		if (udp[6] == 0xff && udp[7] == 0xff)
			break;
	}
	RUN_CHECK(run, id < 65536);
	forwarded(run, &frame);
}

static void no_snat(struct run *run)
{
	if (fixture_one_way == DIRECT) { /* which needs none */
		run__say(run, CLIENT, SYN, 100, 0, FORWARDED, 0);
		return;
	}
	run__say(run, CLIENT, SYN, 100, 0, DROPPED, LB_DROP_NO_SNAT);
	run__expect_state(run, NO_FLOW);
}

/* Flows are spread over the outer sources and labels, and each keeps its own. */
static void outer_sources(struct run *run)
{
	uint32_t labels = 0, last = 0;
	int a = 0, b = 0, n;

	for (n = 0; n < 32 && !run->failed; n++) {
		run__talk(run, SVC_IPIP_SNATS, LAB_CLIENT, 41000 + n);
		run__say(run, CLIENT, SYN, 100, 0, FORWARDED, 0);
		run__say(run, CLIENT, ACK, 101, 501, FORWARDED, 0);
		a += run->snat == LAB_SNAT_A;
		b += run->snat == LAB_SNAT_B;
		labels += run->outer_label != last;
		last = run->outer_label;
	}
	if (fixture_one_way == DIRECT)
		return;
	RUN_CHECK(run, a + b == n && a > n / 8 && b > n / 8);
	RUN_CHECK(run, labels >= (fixture__backends_v6(SVC_IPIP_SNATS) ? 31 : 0));
}

static void no_backend(struct run *run)
{
	RUN_CHECK(run, !fixture__set_weights(run->fx, run->svc, 0, 0));
	run__say(run, CLIENT, SYN, 100, 0, DROPPED, LB_DROP_NO_BACKEND);
	run__say(run, CLIENT, ACK, 100, 1, DROPPED, LB_DROP_NO_BACKEND);
}

static void drained(struct run *run)
{
	open_flow(run);
	RUN_CHECK(run, !fixture__set_weights(run->fx, run->svc, 0, 0));
	run__say(run, CLIENT, ACK, 101, 501, FORWARDED, 0);
	run__talk(run, run->svc, LAB_CLIENT, 40001);
	no_backend(run);
}

/* The hash finds another at once, in the middle of the connection. */
static void removed(struct run *run)
{
	struct counters before;
	int gone;

	open_flow(run);
	gone = run->backend_n;
	RUN_CHECK(run, !fixture__set_weights(run->fx, run->svc, gone, !gone));
	RUN_CHECK(run, !fixture__bump_backend(run->fx, run->svc, gone, 0));
	before = run__counters(run);
	run->learnt = false;
	run__say(run, CLIENT, ACK, 101, 501, FORWARDED, 0);
	RUN_CHECK(run, run->backend_n != gone);
	RUN_CHECK(run, run__counters(run).totals.flows_created - before.totals.flows_created == 1);
	if (services[run->svc].proto == TCP)
		run__expect_state(run, IN_HALF_OPEN(CT_SYN));
	else
		run__expect_state(run, IN_HALF_OPEN(CT_UDP_NEW));
}

/* Found past its time, it is opened anew; and in time it isn't. */
static void expires(struct run *run)
{
	bool tcp = services[run->svc].proto == TCP;
	enum ct_state state = tcp ? CT_ESTABLISHED : CT_UDP_ASSURED;
	struct counters before = run__counters(run), after;

	open_flow(run);
	run__age(run, WITHIN(state));
	run__say(run, CLIENT, ACK, 101, 501, FORWARDED, 0);
	run__expect_state(run, IN_FLOWS(state));
	run__age(run, PAST(state));
	run__say(run, CLIENT, ACK, 101, 501, FORWARDED, 0);
	run__expect_state(run, IN_HALF_OPEN(tcp ? CT_SYN : CT_UDP_NEW));
	after = run__counters(run);
	RUN_CHECK(run, after.totals.flows_expired - before.totals.flows_expired == 1);
	RUN_CHECK(run, after.totals.flows_created - before.totals.flows_created == 2);
}

static void counted(struct run *run)
{
	struct lb_count before[2], after;
	struct frame frame;
	struct half half;
	uint64_t bytes;
	int n;

	for (n = 0; n < 2; n++)
		before[n] = fixture__backend_count(run->fx, fixture__backend_index(run->svc, n));
	open_flow(run);
	frame = next(run);
	frame.payload = 100;
	frame.padding = 7;
	forwarded(run, &frame);
	frame.ttl = 1;
	run__send(run, &frame, LAB_NEAR, REPORTED, LB_DROP_TTL);
	n = run->backend_n;
	after = fixture__backend_count(run->fx, fixture__backend_index(run->svc, n));
	RUN_CHECK(run, after.packets - before[n].packets == 3);
	bytes = 3 * (frame__ip_len(&frame) + TCP_LEN) + 100;
	RUN_CHECK(run, after.bytes - before[n].bytes == bytes);
	half = run__half(run, CLIENT);
	RUN_CHECK(run, ct_packets(&half.flow) == 3 && ct_bytes(&half.flow) == bytes);
}

/* What a backend of this method sends here is the host's, with or without a flow. */
static void backend_talks_to_the_host(struct run *run)
{
	struct frame frame;

	open_flow(run);
	frame = run__from_backend(run, ACK, 1, 2);
	frame.dport = 45000;
	run__send(run, &frame, LAB_NEAR, PASSED, 0);
}

/* Shares of the backends, and the same one for a client whichever of its packets comes first. */
static void same_choice(struct run *run)
{
	unsigned int i, first = 0, backend;

	for (i = 0; i < 200 && !run->failed; i++) {
		run__talk(run, run->svc, LAB_CLIENT, 1024 + 7 * i);
		run__say(run, CLIENT, SYN, 100, 0, FORWARDED, 0);
		first += !run->backend_n;
		backend = run->backend_n;
		half__clear(run->fx);
		run->learnt = false;
		run__say(run, CLIENT, ACK, 101, 501, FORWARDED, 0);
		RUN_CHECK(run, backend == (unsigned int)run->backend_n);
	}
	RUN_CHECK(run, first > 70 && first < 130);
}

static const struct scenario scenarios[] = {
	{ "a whole connection", SVC_IPIP, .steps = whole_connection },
	{ "a whole connection, client behind a router", SVC_IPIP, .steps = whole_connection,
	  .client = LAB_REMOTE },
	{ "a whole connection, backend behind the other interface", SVC_IPIP_FAR,
	  .steps = whole_connection },
	{ "a whole connection, client behind the other interface", SVC_IPIP,
	  .steps = whole_connection, .client = LAB_FAR_CLIENT },
	{ "a whole connection, both behind the other interface", SVC_IPIP_FAR,
	  .steps = whole_connection, .client = LAB_FAR_CLIENT },
	{ "a whole connection, client without route", SVC_IPIP, .steps = whole_connection,
	  .client = LAB_NOWHERE },
	{ "data comes with the handshake's ACK", SVC_IPIP, .steps = opens_with_data },
	{ "without ACK nothing is promoted", SVC_IPIP, .steps = no_ack_promotes_nothing },
	{ "RST", SVC_IPIP, .steps = reset },
	{ "again after a FIN", SVC_IPIP, .steps = again_after_fin },
	{ "again after a RST", SVC_IPIP, .steps = again_after_rst },
	{ "picked up", SVC_IPIP, .steps = picked_up },
	{ "picked up at its end", SVC_IPIP, .steps = picked_up_at_its_end },
	{ "flags that open nothing", SVC_IPIP, .steps = opens_nothing },
	{ "a datagram that ends before its packet", SVC_IPIP_UDP, .body = udp_ends_early,
	  .once = true },
	{ "an outer checksum of zero", SVC_IPIP, .body = outer_csum_of_zero, .once = true },
	{ "RST of an unknown flow", SVC_IPIP, .steps = reset_of_an_unknown_flow },
	{ "UDP", SVC_IPIP_UDP, .steps = udp_exchange },
	{ "UDP, client behind the other interface", SVC_IPIP_UDP, .steps = udp_exchange,
	  .client = LAB_FAR_CLIENT },
	{ "UDP without checksum", SVC_IPIP_UDP, .body = without_csum, .once = true },
	{ "time to live", SVC_IPIP, .body = time_to_live },
	{ "type of service", SVC_IPIP, .body = type_of_service },
	{ "type of service, UDP", SVC_IPIP_UDP, .body = type_of_service },
	{ "inner fields stay", SVC_IPIP, .body = inner_fields },
	{ "inner fields stay, UDP", SVC_IPIP_UDP, .body = inner_fields },
	{ "MTU", SVC_IPIP, .body = mtu },
	{ "MTU, UDP", SVC_IPIP_UDP, .body = mtu },
	{ "lengths", SVC_IPIP, .body = lengths },
	{ "lengths, UDP", SVC_IPIP_UDP, .body = lengths },
	{ "damaged", SVC_IPIP, .body = damaged, .once = true },
	{ "no source address", SVC_IPIP_NO_SNAT, .body = no_snat },
	{ "sources and labels of flows", SVC_IPIP_SNATS, .body = outer_sources },
	{ "no backend", SVC_IPIP, .body = no_backend },
	{ "drained", SVC_IPIP, .body = drained },
	{ "removed", SVC_IPIP, .body = removed },
	{ "removed, UDP", SVC_IPIP_UDP, .body = removed },
	{ "expires", SVC_IPIP, .body = expires },
	{ "expires, UDP", SVC_IPIP_UDP, .body = expires },
	{ "counted", SVC_IPIP, .body = counted },
	{ "the backend talks to the host", SVC_IPIP, .body = backend_talks_to_the_host },
	{ "the same choice", SVC_IPIP, .body = same_choice, .once = true },
};

TABLE_ONE_WAY(ipip, scenarios);

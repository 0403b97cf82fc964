// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * ICMP and ICMPv6: echo to a VIP, and errors that quote a packet of a flow. What a router quotes is
 * built as it saw it, and what has to arrive as the other side sent it.
 */
#include "tables.h"

#include <string.h>

#include <linux/bpf.h>

#include "maps.h"

#define QUOTE_LEAST 8 /* bytes of the transport header: RFC 792 */

#define CUT_CSUM    17
#define REPORTS_MAX 1000

struct error {
	uint8_t type;
	uint8_t code;
	uint32_t rest;
};

/* Unreachable, too big, time exceeded, parameter problem. */
static const struct error errors_v4[] = { { 3, 1, 0 },	 { 3, 3, 0 },  { 3, 4, 1400 }, { 3, 13, 0 },
					  { 11, 0, 0 }, { 11, 1, 0 }, { 12, 0, 0 } };
static const struct error errors_v6[] = { { 1, 0, 0 }, { 1, 4, 0 }, { 2, 0, 1400 },
					  { 3, 0, 0 }, { 3, 1, 0 }, { 4, 1, 40 } };

#define ERRORS_N (sizeof(errors_v4) / sizeof(*errors_v4))

static const struct error *error_of(size_t i)
{
	return frame_v6 ? &errors_v6[i % (sizeof(errors_v6) / sizeof(*errors_v6))] : &errors_v4[i];
}

static const struct error *too_big(void)
{
	return error_of(2);
}

static size_t build(const struct frame *about, const struct error *error, const uint8_t *data,
		    size_t data_len, uint8_t *ret)
{
	struct frame_icmp icmp = { .type = error->type,
				   .code = error->code,
				   .rest = error->rest,
				   .data = data,
				   .len = data_len };

	return frame__build_icmp(about, &icmp, ret);
}

/* Addressed as the engine does, from somebody on the way. */
static struct frame from(uint32_t src, uint32_t dst, uint32_t by)
{
	struct frame frame = frame__make(ICMP, src, 0, dst, 0);
	uint32_t neighbour;

	lab__mac_of(by, frame.smac);
	lab__own_mac(lab__way_to(by, &neighbour), frame.dmac);
	frame.tos = 0xc0;
	return frame;
}

/* The first bytes of a packet's IP header and what follows, without link layer. */
static size_t quote(const struct frame *frame, size_t l4_bytes, uint8_t *ret)
{
	uint8_t bytes[FRAME_MAX];
	size_t len = frame__build(frame, bytes) - ETH_LEN;

	if (len > frame__ip_len(frame) + l4_bytes)
		len = frame__ip_len(frame) + l4_bytes;
	memcpy(ret, bytes + ETH_LEN, len);
	return len;
}

/* sent: by whom the error has to reach; seen: the same as it left here. */
struct about {
	struct frame sent, seen;
	uint32_t router; /* who sends the error */
	uint32_t to;	 /* where it goes */
	uint16_t padding;
};

static struct about about_client(struct run *run)
{
	struct about about = { .router = run->backend, .to = run->client };

	about.sent = run__from_client(run, FLAG_ACK, 1001, 5001);
	about.sent.payload = 64;
	run__translate(run, &about.sent, &about.seen);
	return about;
}

static struct about about_backend(struct run *run)
{
	struct about about = { .router = run->client, .to = run->backend };

	about.sent = run__from_backend(run, FLAG_ACK, 5001, 1001);
	about.sent.payload = 64;
	run__translate(run, &about.sent, &about.seen);
	return about;
}

/* Sends it, and compares what leaves with the error that the sender has to get. */
static void carried(struct run *run, const struct about *about, const struct error *error,
		    size_t l4_bytes)
{
	struct frame out = from(about->sent.dst, about->sent.src, about->router), quoted;
	uint8_t in[FRAME_MAX], expected[FRAME_MAX], bytes[FRAME_MAX];
	struct frame error_in = from(about->router, about->seen.src, about->router);
	enum lab_iface iface, egress;
	uint32_t neighbour;
	size_t len;

	if (run->failed)
		return;
	error_in.padding = out.padding = about->padding;
	if (run__is_nat(run) && about->to == run->backend) /* which sees who is on the way */
		out.src = about->router;
	iface = lab__way_to(about->router, &neighbour);
	len = quote(&about->seen, l4_bytes, bytes);
	len = build(&error_in, error, bytes, len, in);
	run__send_bytes(run, in, len, iface, FORWARDED, 0);
	quoted = about->seen;
	quoted.src = about->sent.src;
	quoted.sport = about->sent.sport;
	quoted.dst = about->sent.dst;
	quoted.dport = about->sent.dport;
	egress = lab__way_to(about->to, &neighbour);
	lab__mac_of(neighbour, out.dmac);
	lab__own_mac(egress, out.smac);
	out.ttl--;
	len = quote(&quoted, l4_bytes, bytes);
	len = build(&out, error, bytes, len, expected);
	RUN_CHECK(run, run->out.action == (egress == iface ? XDP_TX :
					   run->fx->variant == GENERIC ? XDP_PASS : XDP_REDIRECT));
	RUN_CHECK(run, run->out.len == len);
	RUN_CHECK(run, !memcmp(run->out.bytes, expected, len));
}

static void all_errors(struct run *run, struct about (*about_of)(struct run *run))
{
	struct about about;
	size_t i, l4_bytes;

	about = about_of(run);
	for (i = 0; i < ERRORS_N; i++)
		carried(run, &about, error_of(i), 500);
	for (l4_bytes = QUOTE_LEAST; l4_bytes < 90; l4_bytes++) {
		if (l4_bytes != CUT_CSUM) /* half a checksum stays what it was */
			carried(run, &about, too_big(), l4_bytes);
	}
}

static void open_flow(struct run *run)
{
	if (services[run->svc].proto == TCP) {
		run__handshake(run);
		return;
	}
	run__say(run, CLIENT, 0, 0, 0, FORWARDED, 0);
	run__say(run, BACKEND, 0, 0, 0, FORWARDED, 0);
}

static void errors(struct run *run)
{
	open_flow(run);
	all_errors(run, about_client);
	all_errors(run, about_backend);
	if (services[run->svc].proto == TCP)
		run__expect_state(run, IN_FLOWS(CT_ESTABLISHED));
}

/* Of somebody on the way, whose address no flow has. */
static void errors_of_routers(struct run *run)
{
	struct about about;
	size_t i;

	open_flow(run);
	for (i = 0; i < ERRORS_N; i++) {
		about = about_client(run);
		about.router = LAB_GATEWAY;
		carried(run, &about, error_of(i), 60);
		about = about_backend(run);
		about.router = LAB_GATEWAY;
		carried(run, &about, error_of(i), 60);
	}
}

/* The sender made no checksum, so the quote has none. */
static void without_csum(struct run *run)
{
	struct about about;

	open_flow(run);
	about = about_client(run);
	about.seen.csum = CSUM_NONE;
	carried(run, &about, too_big(), 8);
	carried(run, &about, too_big(), 60);
}

static void with_options(struct run *run)
{
	struct about about;

	open_flow(run);
	about = about_client(run);
	if (frame_v6) {
		about.seen.extensions[0] = 60;
		about.seen.extensions[1] = 43;
	} else {
		about.seen.ip_options = 40;
	}
	carried(run, &about, too_big(), 8);
	carried(run, &about, too_big(), 60);
}

/* All that follows is the host's: passed(run, about, error) sends it. */
static void passed(struct run *run, const struct about *about, const struct error *error)
{
	struct frame in = from(about->router, about->seen.src, about->router);
	uint8_t bytes[FRAME_MAX], quoted[FRAME_MAX];
	uint32_t neighbour;
	size_t len;

	len = quote(&about->seen, 60, quoted);
	len = build(&in, error, quoted, len, bytes);
	run__send_bytes(run, bytes, len, lab__way_to(about->router, &neighbour), PASSED, 0);
}

static void other_types(struct run *run)
{
	static const uint8_t v4[] = { 0, 4, 5, 9, 10, 13, 14, 17, 18, 40, 255 };
	static const uint8_t v6[] = { 0, 5, 100, 127, 129, 133, 134, 135, 136, 137, 255 };
	struct about about;
	struct error error = {};
	size_t i;

	open_flow(run);
	about = about_client(run);
	for (i = 0; i < sizeof(v4); i++) {
		error.type = frame_v6 ? v6[i] : v4[i];
		passed(run, &about, &error);
	}
}

static void no_flows(struct run *run)
{
	struct about about, good;

	open_flow(run);
	about = good = about_client(run);
	about.seen.sport++; /* another flow's */
	passed(run, &about, too_big());
	about = good;
	about.seen.dst = LAB_GATEWAY;
	passed(run, &about, too_big());
	about = good;
	about.seen.proto = TCP + UDP - about.seen.proto;
	passed(run, &about, too_big());
	about.seen.proto = 132;
	passed(run, &about, too_big());
	about = good; /* not its beginning */
	about.seen.frag = 0x0010;
	about.seen.extensions[0] = frame_v6 ? 44 : 0;
	passed(run, &about, too_big());
	half__clear(run->fx);
	passed(run, &good, too_big());
}

/* Sent to another address of ours than the one that it quotes. */
static void to_another(struct run *run)
{
	struct frame in;
	struct about about;
	uint8_t bytes[FRAME_MAX], quoted[FRAME_MAX];
	size_t len;

	open_flow(run);
	about = about_client(run);
	len = quote(&about.seen, 60, quoted);
	in = from(about.router, LAB_VIP2, about.router);
	len = build(&in, too_big(), quoted, len, bytes);
	run__send_bytes(run, bytes, len, LAB_NEAR, PASSED, 0);
}

/* Wherever it ends, nothing is read behind; from the quoted ports' end on it is carried. */
static void truncated(struct run *run)
{
	struct about about;
	struct frame in;
	uint8_t bytes[FRAME_MAX], quoted[FRAME_MAX];
	size_t len, least, n;

	open_flow(run);
	about = about_client(run);
	in = from(about.router, about.seen.src, about.router);
	least = frame__ip_len(&about.seen) + QUOTE_LEAST;
	for (n = 0; n < least; n++) {
		quote(&about.seen, 60, quoted);
		len = build(&in, too_big(), quoted, n, bytes);
		run__send_bytes(run, bytes, len, LAB_NEAR, PASSED, 0);
		in.padding = 60 - in.padding; /* the next one's isn't taken for the quote */
	}
	about.padding = 60;
	for (n = QUOTE_LEAST; n < CUT_CSUM; n++)
		carried(run, &about, too_big(), n);
}

static void time_to_live(struct run *run)
{
	struct about about;
	struct frame in;
	uint8_t bytes[FRAME_MAX], quoted[FRAME_MAX];
	size_t len;

	open_flow(run);
	about = about_client(run);
	in = from(about.router, about.seen.src, about.router);
	in.ttl = 1;
	len = quote(&about.seen, 60, quoted);
	len = build(&in, too_big(), quoted, len, bytes);
	run__send_bytes(run, bytes, len, LAB_NEAR, DROPPED, LB_DROP_TTL);
}

static size_t build_echo(uint32_t to, size_t payload, bool reply, uint8_t *ret)
{
	struct error echo = { .type = frame_v6 ? 128 + reply : reply ? 0 : 8, .rest = 0x12340001 };
	struct frame in = from(LAB_CLIENT, to, LAB_CLIENT);
	uint8_t data[1500];

	memset(data, 0x5a, sizeof(data));
	in.ttl = 3;
	if (reply) {
		in = from(to, LAB_CLIENT, LAB_CLIENT);
		lab__mac_of(LAB_CLIENT, in.dmac);
		lab__own_mac(LAB_NEAR, in.smac);
		in.ttl = 64;
	}
	return build(&in, &echo, data, payload, ret);
}

static void echo(struct run *run)
{
	uint8_t in[FRAME_MAX], expected[FRAME_MAX];
	size_t payload, len;

	for (payload = 0; payload < 1400; payload += payload < 70 ? 1 : 133) {
		len = build_echo(LAB_HOST, payload, false, in);
		run__send_bytes(run, in, len, LAB_NEAR, FORWARDED, 0);
		len = build_echo(LAB_HOST, payload, true, expected);
		RUN_CHECK(run, run->out.action == XDP_TX && run->out.len == len &&
				       !memcmp(run->out.bytes, expected, len));
	}
	len = build_echo(LAB_VIP2, 56, false, in);
	run__send_bytes(run, in, len, LAB_NEAR, FORWARDED, 0);
	len = build_echo(LAB_SNAT_A, 56, false, in); /* no VIP */
	run__send_bytes(run, in, len, LAB_NEAR, PASSED, 0);
	len = build_echo(LAB_GATEWAY, 56, false, in);
	run__send_bytes(run, in, len, LAB_NEAR, PASSED, 0);
	len = build_echo(LAB_HOST, 56, false, in);
	run__send_bytes(run, in, ETH_LEN + (frame_v6 ? IP6_LEN : IP_LEN) + 7, LAB_NEAR, DROPPED,
			LB_DROP_MALFORMED);
}

/* By a CPU in a second, of any packets. */
static void limited(struct run *run)
{
	struct frame frame = run__from_client(run, FLAG_SYN, 1000, 0);
	int i, answered = 0, dropped = 0;
	uint8_t bytes[FRAME_MAX];
	uint32_t begin, end;
	size_t len;

	frame.ttl = 1;
	len = frame__build(&frame, bytes);
	RUN_CHECK(run, !fixture__forget_reports(run->fx) && !maps__now(&begin));
	for (i = 0; i < 3 * REPORTS_MAX; i++) {
		RUN_CHECK(run, !fixture__run(run->fx, bytes, len, lab_ifindex[LAB_NEAR], &run->out));
		answered += run->out.action == XDP_TX;
		dropped += run->out.action == XDP_DROP;
	}
	RUN_CHECK(run, !maps__now(&end));
	RUN_CHECK(run, answered >= REPORTS_MAX && answered + dropped == i);
	RUN_CHECK(run, answered <= (int)((end - begin) / run->fx->hz + 2) * REPORTS_MAX);
	RUN_CHECK(run, dropped || end - begin >= run->fx->hz);
}

static const struct scenario scenarios[] = {
	{ "errors", SVC_TCP, .body = errors, .once = true },
	{ "errors, UDP", SVC_UDP, .body = errors, .once = true },
	{ "errors, backend behind the other interface", SVC_FAR, .body = errors, .once = true },
	{ "errors, client behind the other interface", SVC_TCP, .client = LAB_FAR_CLIENT,
	  .body = errors, .once = true },
	{ "errors, two source addresses", SVC_SNATS, .body = errors, .once = true },
	{ "errors of routers", SVC_TCP, .body = errors_of_routers, .once = true },
	{ "errors of routers, UDP", SVC_UDP, .body = errors_of_routers, .once = true },
	{ "a quote without checksum", SVC_UDP, .body = without_csum, .once = true },
	{ "a quote with options", SVC_TCP, .body = with_options, .once = true },
	{ "a quote with options, UDP", SVC_UDP, .body = with_options, .once = true },
	{ "other types", SVC_TCP, .body = other_types, .once = true },
	{ "no flows of ours", SVC_TCP, .body = no_flows, .once = true },
	{ "to another address", SVC_TCP, .body = to_another, .once = true },
	{ "truncated", SVC_TCP, .body = truncated, .once = true },
	{ "truncated, UDP", SVC_UDP, .body = truncated, .once = true },
	{ "time to live", SVC_TCP, .body = time_to_live, .once = true },
	{ "echo", SVC_TCP, .body = echo, .once = true },
	{ "errors that are made here are limited", SVC_TCP, .body = limited, .once = true },
};

TABLE_PAIRS(icmp, scenarios);

/* About what a backend sent to the client by itself: the error goes to that backend as it came. */
static void error_to_backend(struct run *run)
{
	struct frame reply, in, out;
	uint8_t bytes[FRAME_MAX], expected[FRAME_MAX], quoted[FRAME_MAX];
	uint32_t neighbour;
	size_t i, len;

	run__say(run, CLIENT, FLAG_SYN, 100, 0, FORWARDED, 0);
	reply = frame__make(services[run->svc].proto, services[run->svc].vip, run->vip_port,
			    run->client, run->client_port);
	reply.payload = 64; /* more than is quoted */
	in = from(LAB_GATEWAY, services[run->svc].vip, LAB_GATEWAY);
	for (i = 0; i < ERRORS_N; i++) {
		len = quote(&reply, QUOTE_LEAST + i, quoted);
		run__translate(run, &in, &out);
		run__send_bytes(run, bytes, build(&in, error_of(i), quoted, len, bytes), LAB_NEAR,
				FORWARDED, 0);
		len = build(&out, error_of(i), quoted, len, expected);
		RUN_CHECK(run, lab__way_to(run->backend, &neighbour) != LAB_NEAR ||
				       run->out.action == XDP_TX);
		RUN_CHECK(run, run->out.len == len && !memcmp(run->out.bytes, expected, len));
	}
}

static const struct scenario one_way_scenarios[] = {
	{ "to the backend", SVC_IPIP, .body = error_to_backend, .once = true },
	{ "to the backend, UDP", SVC_IPIP_UDP, .body = error_to_backend, .once = true },
	{ "to a backend behind the other interface", SVC_IPIP_FAR, .body = error_to_backend,
	  .once = true },
};

TABLE_ONE_WAY(icmp_one_way, one_way_scenarios);

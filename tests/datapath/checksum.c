// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Checksums, complete and partial, of every length that test runs take (up to 3.5 KB). */
#include "tables.h"

#define LEN_MAX 3400

static void send_both_ways(struct run *run, uint16_t payload)
{
	struct frame frame = run__from_client(run, FLAG_ACK, 1001, 5001);

	frame.payload = payload;
	run__send(run, &frame, LAB_NEAR, FORWARDED, 0);
	frame = run__from_backend(run, FLAG_ACK, 5001, 1001);
	frame.payload = payload;
	run__send(run, &frame, LAB_NEAR, FORWARDED, 0);
}

static void open_flow(struct run *run)
{
	if (services[run->svc].proto == TCP)
		run__handshake(run);
	else
		run__say(run, CLIENT, 0, 0, 0, FORWARDED, 0);
}

static void short_lengths(struct run *run)
{
	uint16_t len, max = frame_v6 ? 1440 : 1460;

	open_flow(run);
	for (len = 0; len <= 300; len++)
		send_both_ways(run, len);
	for (len = max - 20; len <= max; len++)
		send_both_ways(run, len);
}

/* Above the MTU: as GSO frames are in generic mode; on native links of a larger MTU. */
static void long_lengths(struct run *run)
{
	uint16_t len;

	if (run->fx->variant == NATIVE) /* before any packet: no answer of the FIB is kept */
		RUN_CHECK(run, !lab__ip("link set near mtu 4000"));
	open_flow(run);
	for (len = 1461; len < LEN_MAX - 60 && !run->failed; len += 59)
		send_both_ways(run, len);
	for (len = LEN_MAX - 40; len <= LEN_MAX; len++)
		send_both_ways(run, len);
	if (run->fx->variant == NATIVE)
		lab__ip("link set near mtu 1500");
}

static void with_options(struct run *run)
{
	struct frame frame;
	int i;

	open_flow(run);
	for (i = 0; i <= 40; i += 4) {
		frame = run__from_client(run, FLAG_ACK, 1001, 5001);
		frame.ip_options = i;
		frame.tcp_options = frame.proto == TCP ? 40 - i : 0;
		frame.payload = 64 + i + 1;
		run__send(run, &frame, LAB_NEAR, FORWARDED, 0);
	}
}

/* What came damaged has to arrive damaged, so that the receiver finds out. */
static void damaged(struct run *run)
{
	static const uint16_t errors[] = { 1, 0x0100, 0x8000, 0x5555, 0xfffe };
	struct frame frame;
	size_t i;

	open_flow(run);
	for (i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		frame = run__from_client(run, FLAG_ACK, 1001, 5001);
		frame.payload = 10;
		frame.csum_error = errors[i];
		run__send(run, &frame, LAB_NEAR, FORWARDED, 0);
		frame = run__from_backend(run, FLAG_ACK, 5001, 1001);
		frame.payload = 11;
		frame.csum_error = errors[i];
		run__send(run, &frame, LAB_NEAR, FORWARDED, 0);
		frame.csum_error = 0;
		frame.ip_csum_error = errors[i];
		run__send(run, &frame, LAB_NEAR, FORWARDED, 0);
	}
}

static void send_ambiguous(struct run *run, struct frame frame)
{
	frame.payload = 100;
	frame__make_ambiguous(&frame);
	run__send(run, &frame, LAB_NEAR, FORWARDED, 0);
}

/*
 * The complete checksum equals the pseudo-header sum: complete or partial? The packets of the same
 * sender before tell.
 */
static void ambiguous(struct run *run)
{
	int i;

	open_flow(run);
	send_both_ways(run, 20);
	for (i = 0; i < 3; i++) {
		send_ambiguous(run, run__from_client(run, FLAG_ACK, 1001, 5001));
		send_ambiguous(run, run__from_backend(run, FLAG_ACK, 5001, 1001));
	}
	send_both_ways(run, 20);
}

/* No packet of the flow before: those of other flows on the interface tell. */
static void ambiguous_first(struct run *run)
{
	open_flow(run);
	run__talk(run, run->svc, LAB_CLIENT, 40001);
	send_ambiguous(run, run__from_client(run, FLAG_SYN, 1000, 0));
}

/* A client whose packets are complete among others whose are not. */
static void mixed(struct run *run)
{
	enum frame_csum other = run->csum == CSUM_PARTIAL ? CSUM_COMPLETE : CSUM_PARTIAL;
	struct frame frame;

	open_flow(run);
	frame = run__from_backend(run, FLAG_ACK, 5001, 1001);
	frame.csum = other;
	run__send(run, &frame, LAB_NEAR, FORWARDED, 0);
	frame = run__from_client(run, FLAG_ACK, 1001, 5001);
	frame.csum = other;
	frame.payload = 77;
	run__send(run, &frame, LAB_NEAR, FORWARDED, 0);
	send_both_ways(run, 33);
}

static const struct scenario scenarios[] = {
	{ "short", SVC_TCP, .body = short_lengths },
	{ "short, UDP", SVC_UDP, .body = short_lengths },
	{ "long", SVC_TCP, .body = long_lengths },
	{ "long, UDP", SVC_UDP, .body = long_lengths },
	{ "with options", SVC_TCP, .body = with_options },
	{ "with options, UDP", SVC_UDP, .body = with_options },
	{ "damaged", SVC_TCP, .body = damaged, .once = true },
	{ "damaged, UDP", SVC_UDP, .body = damaged, .once = true },
	{ "ambiguous", SVC_TCP, .body = ambiguous },
	{ "ambiguous, UDP", SVC_UDP, .body = ambiguous },
	{ "ambiguous, first of a flow", SVC_TCP, .body = ambiguous_first },
	{ "ambiguous, first of a flow, UDP", SVC_UDP, .body = ambiguous_first },
	{ "complete and partial mixed", SVC_TCP, .body = mixed },
	{ "complete and partial mixed, UDP", SVC_UDP, .body = mixed },
};

TABLE_PAIRS(checksum, scenarios);

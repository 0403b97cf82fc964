// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* UDP: flows without a handshake, and datagrams without checksum. */
#include "tables.h"

static void no_csum(struct frame *frame)
{
	frame->csum = CSUM_NONE;
}

static void add_ip_options(struct frame *frame)
{
	frame->ip_options = 40;
}

static void add_padding(struct frame *frame)
{
	frame->padding = 17;
}

static void unknown_port(struct frame *frame)
{
	frame->dport = 65535;
}

static const struct step exchange[] = {
	{ CLIENT, .payload = 30, .state = IN_HALF_OPEN(CT_UDP_NEW) },
	{ CLIENT, .payload = 31, .state = IN_HALF_OPEN(CT_UDP_NEW) },
	{ BACKEND, .payload = 400, .state = IN_FLOWS(CT_UDP_ASSURED) },
	{ CLIENT, .payload = 0, .state = IN_FLOWS(CT_UDP_ASSURED) },
	{ BACKEND, .payload = 1, .state = IN_FLOWS(CT_UDP_ASSURED) },
	{ CLIENT, .payload = 30, .change = add_ip_options },
	{ CLIENT, .payload = 1, .change = add_padding },
	{ BACKEND, .payload = 3, .change = add_padding },
	{},
};

static const struct step without_csum[] = {
	{ CLIENT, .payload = 30, .change = no_csum },
	{ BACKEND, .payload = 400, .change = no_csum, .state = IN_FLOWS(CT_UDP_ASSURED) },
	{ CLIENT, .payload = 30 },
	{ BACKEND, .payload = 3, .change = no_csum },
	{},
};

static const struct step reply_without_flow[] = {
	{ CLIENT, .payload = 30 }, /* to learn a backend */
	{ BACKEND, .payload = 400, .expect = DROPPED, .drop = LB_DROP_REPLY_NO_FLOW,
	  .change = unknown_port },
	{},
};

/* The field of 0 means "none", so a sum of 0 has to be written as ones (RFC 768). */
static void csum_comes_out_as_zero(struct run *run)
{
	struct frame frame, after;
	uint8_t bytes[FRAME_MAX], *field;
	int i;

	run__say(run, CLIENT, 0, 0, 0, FORWARDED, 0);
	for (i = 0; i < 2; i++) {
		frame = run__from_client(run, 0, 0, 0);
		frame.payload = 30 + i;
		after = frame;
		after.src = run->snat;
		after.sport = run->snat_port;
		after.dst = run->backend;
		after.dport = run->backend_port;
		after.csum = CSUM_COMPLETE;
		frame__aim_csum(&after, 0);
		frame__build(&after, bytes);
		field = bytes + ETH_LEN + frame__ip_len(&after) + 6;
		RUN_CHECK(run, field[0] == 0xff && field[1] == 0xff);
		frame.word = after.word;
		run__send(run, &frame, LAB_NEAR, FORWARDED, 0);
	}
}

/* And the other way round: a field of ones comes in. */
static void csum_comes_in_as_ones(struct run *run)
{
	struct frame frame;

	run__say(run, CLIENT, 0, 0, 0, FORWARDED, 0);
	frame = run__from_client(run, 0, 0, 0);
	frame.payload = 8;
	frame__aim_csum(&frame, 0);
	run__send(run, &frame, LAB_NEAR, FORWARDED, 0);
}

static const struct scenario scenarios[] = {
	{ "an exchange", SVC_UDP, .steps = exchange },
	{ "an exchange, client behind a router", SVC_UDP, .steps = exchange, .client = LAB_REMOTE },
	{ "an exchange, client behind the other interface", SVC_UDP, .steps = exchange,
	  .client = LAB_FAR_CLIENT },
	{ "an exchange, client without neighbour entry", SVC_UDP, .steps = exchange,
	  .client = LAB_DARK },
	{ "an exchange, every port", SVC_ANY_UDP, .steps = exchange },
	{ "without checksum", SVC_UDP, .steps = without_csum },
	{ "reply without flow", SVC_UDP, .steps = reply_without_flow, .fullnat = true },
	{ "reply without flow, every port", SVC_ANY_UDP, .steps = reply_without_flow, .fullnat = true },
	{ "a checksum comes out as 0", SVC_UDP, .body = csum_comes_out_as_zero },
	{ "a checksum comes in as ffff", SVC_UDP, .body = csum_comes_in_as_ones },
};

TABLE_PAIRS(udp, scenarios);

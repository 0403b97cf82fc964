// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Headers and lengths that lie. */
#include "tables.h"

static void malformed(struct run *run, const struct frame *frame)
{
	run__send(run, frame, LAB_NEAR, DROPPED, LB_DROP_MALFORMED);
}

static void forwarded(struct run *run, const struct frame *frame)
{
	run__send(run, frame, LAB_NEAR, FORWARDED, 0);
}

static struct frame syn(struct run *run)
{
	return run__from_client(run, FLAG_SYN, 1000, 0);
}

static void header_length(struct run *run)
{
	struct frame frame = syn(run);

	for (frame.ihl = 0; frame.ihl < 5; frame.ihl++) {
		frame.ip_options = 40;
		malformed(run, &frame);
		frame.ip_options = 0;
		malformed(run, &frame);
	}
	frame.ihl = -1;
	for (frame.ip_options = 0; frame.ip_options <= 40; frame.ip_options += 4)
		forwarded(run, &frame);
	frame.ip_options = 0;
	for (frame.ihl = 6; frame.ihl < 16; frame.ihl++) /* more than there is */
		malformed(run, &frame);
	/* Nor are there ports where it says; what lies there is no VIP's. */
	frame.ihl = 6;
	frame.padding = 60;
	run__send(run, &frame, LAB_NEAR, PASSED, 0);
	frame.ihl = 15;
	malformed(run, &frame);
}

/* IPv6 counts what comes behind its header. */
static void total_length_of(struct run *run, struct frame frame, int header_len)
{
	int ip_len = frame_v6 ? 0 : IP_LEN, real = ip_len + frame__l4_len(&frame);

	for (frame.tot_len = 0; frame.tot_len < ip_len + header_len; frame.tot_len++)
		malformed(run, &frame);
	/* Shorter than the frame: the rest is padding; but UDP's own length is part of its words.
	 */
	for (; frame.tot_len <= real; frame.tot_len++) {
		frame.udp_len = frame.tot_len - ip_len;
		if (run->csum == CSUM_COMPLETE || frame.tot_len == real)
			forwarded(run, &frame);
	}
	for (frame.tot_len = real + 1; frame.tot_len < real + 20; frame.tot_len++)
		malformed(run, &frame);
	frame.tot_len = 65535;
	malformed(run, &frame);
}

static void total_length(struct run *run)
{
	struct frame frame = syn(run);

	frame.payload = 16;
	total_length_of(run, frame, TCP_LEN);
}

static void total_length_udp(struct run *run)
{
	struct frame frame = run__from_client(run, 0, 0, 0);

	frame.payload = 16;
	total_length_of(run, frame, UDP_LEN);
}

/* The frame ends early; with the total length of before, and with one that fits. */
static void truncated_at(struct run *run, struct frame frame, int header_len)
{
	int start = ETH_LEN + (frame_v6 ? IP6_LEN : IP_LEN);

	for (frame.cut = start; frame.cut < start + header_len; frame.cut++) {
		frame.tot_len = -1;
		malformed(run, &frame);
		frame.tot_len = frame.cut - (frame_v6 ? start : ETH_LEN);
		malformed(run, &frame);
	}
	run__expect_state(run, NO_FLOW);
}

static void truncated(struct run *run)
{
	struct frame frame = syn(run);

	truncated_at(run, frame, TCP_LEN);
	if (frame_v6)
		return;
	frame.ip_options = 8;
	frame.tcp_options = 12;
	truncated_at(run, frame, 8 + TCP_LEN + 12);
}

static void truncated_udp(struct run *run)
{
	struct frame frame = run__from_client(run, 0, 0, 0);

	truncated_at(run, frame, UDP_LEN);
	if (frame_v6)
		return;
	frame.ip_options = 40;
	truncated_at(run, frame, 40 + UDP_LEN);
}

static void tcp_header_length(struct run *run)
{
	struct frame frame = syn(run);

	frame.payload = 8;
	for (frame.doff = 0; frame.doff < 16; frame.doff++) {
		if (frame.doff < 5 || frame.doff > 7)
			malformed(run, &frame);
		else
			forwarded(run, &frame);
	}
	frame.padding = 40; /* isn't of the segment */
	for (frame.doff = 8; frame.doff < 16; frame.doff++)
		malformed(run, &frame);
	frame.padding = 0;
	frame.payload = 0;
	frame.doff = -1;
	for (frame.tcp_options = 0; frame.tcp_options <= 40; frame.tcp_options += 4)
		forwarded(run, &frame);
}

static void udp_length(struct run *run)
{
	struct frame frame = run__from_client(run, 0, 0, 0);

	frame.payload = 12;
	frame.padding = 30;
	for (frame.udp_len = 0; frame.udp_len < 40; frame.udp_len++) {
		if (frame.udp_len < UDP_LEN || frame.udp_len > UDP_LEN + 12)
			malformed(run, &frame);
		else if (run->csum == CSUM_COMPLETE)
			forwarded(run, &frame);
	}
	frame.udp_len = 65535;
	malformed(run, &frame);
}

static void padding(struct run *run)
{
	struct frame frame = syn(run);

	for (frame.padding = 0; frame.padding < 40; frame.padding++) {
		frame.payload = frame.padding & 1;
		forwarded(run, &frame);
	}
}

static void time_to_live(struct run *run)
{
	struct frame frame = syn(run);

	for (frame.ttl = 0; frame.ttl < 2; frame.ttl++)
		run__send(run, &frame, LAB_NEAR, REPORTED, LB_DROP_TTL);
	for (; frame.ttl; frame.ttl++)
		forwarded(run, &frame);
	frame = run__from_backend(run, FLAG_SYN | FLAG_ACK, 5000, 1001);
	frame.ttl = 1;
	run__send(run, &frame, LAB_NEAR, REPORTED, LB_DROP_TTL);
	frame.ttl = 2;
	forwarded(run, &frame);
}

/* A dropped packet moves no state. */
static void on_a_flow(struct run *run)
{
	struct frame frame;

	run__handshake(run);
	frame = run__from_client(run, FLAG_RST, 1001, 0);
	frame.doff = 4;
	malformed(run, &frame);
	frame.doff = -1;
	frame.ttl = 1;
	run__send(run, &frame, LAB_NEAR, REPORTED, LB_DROP_TTL);
	run__expect_state(run, IN_FLOWS(CT_ESTABLISHED));
	run__say(run, BACKEND, FLAG_ACK, 5001, 1001, FORWARDED, 0);
}

static const struct scenario scenarios[] = {
	{ "IP header length", SVC_TCP, .body = header_length, .v4 = true },
	{ "IP header length, UDP", SVC_UDP, .body = header_length, .v4 = true },
	{ "total length", SVC_TCP, .body = total_length },
	{ "total length, UDP", SVC_UDP, .body = total_length_udp },
	{ "truncated", SVC_TCP, .body = truncated },
	{ "truncated, UDP", SVC_UDP, .body = truncated_udp },
	{ "TCP header length", SVC_TCP, .body = tcp_header_length },
	{ "UDP length", SVC_UDP, .body = udp_length },
	{ "padding", SVC_TCP, .body = padding },
	{ "padding, UDP", SVC_UDP, .body = padding },
	{ "time to live", SVC_TCP, .body = time_to_live },
	{ "time to live, UDP", SVC_UDP, .body = time_to_live },
	{ "a malformed packet on a flow", SVC_TCP, .body = on_a_flow },
};

TABLE_PAIRS(validate, scenarios);

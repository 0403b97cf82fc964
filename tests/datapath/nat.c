// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * What method nat does otherwise than fullnat: it goes on in the middle of a connection, knows replies
 * by their source, and leaves to its backends what they do beside.
 */
#include "tables.h"

#include <string.h>

#define ICMP 1

#define SYN FLAG_SYN
#define ACK FLAG_ACK
#define FIN FLAG_FIN
#define RST FLAG_RST

static const struct step picked_up[] = {
	{ CLIENT, ACK, .seq = 7000, .ack = 500, .payload = 9, .state = IN_HALF_OPEN(CT_SYN) },
	{ CLIENT, ACK, .seq = 7009, .ack = 501, .state = IN_HALF_OPEN(CT_SYN) }, /* tells nothing */
	{ BACKEND, ACK, .seq = 501, .ack = 7009, .payload = 4, .state = IN_FLOWS(CT_ESTABLISHED) },
	{ CLIENT, FIN | ACK, .seq = 7009, .ack = 505, .state = IN_FLOWS(CT_FIN) },
	{ BACKEND, FIN | ACK, .seq = 505, .ack = 7010, .state = IN_HALF_OPEN(CT_CLOSED) },
	{},
};

static const struct step picked_up_at_its_end[] = {
	{ CLIENT, FIN | ACK, .seq = 7000, .ack = 500, .state = IN_HALF_OPEN(CT_SYN) },
	{ BACKEND, FIN | ACK, .seq = 500, .ack = 7001, .state = IN_HALF_OPEN(CT_FIN) },
	{},
};

static const struct step picked_up_in_vain[] = {
	{ CLIENT, ACK, .seq = 7000, .ack = 500, .state = IN_HALF_OPEN(CT_SYN) },
	{ BACKEND, RST, .seq = 500, .state = IN_HALF_OPEN(CT_CLOSED) },
	{},
};

static const struct step reset_opens_nothing[] = {
	{ CLIENT, RST, DROPPED, LB_DROP_TCP_FLAGS, .seq = 7000, .state = NO_FLOW },
	{ CLIENT, SYN | ACK, DROPPED, LB_DROP_TCP_FLAGS, .seq = 7000, .state = NO_FLOW },
	{ CLIENT, 0, DROPPED, LB_DROP_TCP_FLAGS, .seq = 7000, .state = NO_FLOW },
	{},
};

/* A backend that holds the port in TIME_WAIT answers a SYN so (RFC 9293, 3.10.7.4). */
static const struct step ack_for_a_syn[] = {
	{ CLIENT, SYN, .seq = 100, .state = IN_HALF_OPEN(CT_SYN) },
	{ BACKEND, ACK, .seq = 500, .ack = 90, .state = IN_HALF_OPEN(CT_SYN) },
	{ CLIENT, RST, .seq = 90, .state = IN_HALF_OPEN(CT_CLOSED) },
	{ CLIENT, SYN, .seq = 100, .state = IN_HALF_OPEN(CT_SYN) },
	{ BACKEND, SYN | ACK, .seq = 900, .ack = 101 },
	{ CLIENT, ACK, .seq = 101, .ack = 901, .state = IN_FLOWS(CT_ESTABLISHED) },
	{},
};

static const struct step udp[] = {
	{ CLIENT, .payload = 5, .state = IN_HALF_OPEN(CT_UDP_NEW) },
	{ CLIENT, .payload = 5, .state = IN_HALF_OPEN(CT_UDP_NEW) },
	{ BACKEND, .payload = 5, .state = IN_FLOWS(CT_UDP_ASSURED) },
	{},
};

static void reply(struct run *run, enum expect expect)
{
	run__say(run, BACKEND, services[run->svc].proto == TCP ? ACK : 0, 5001, 1001, expect, 0);
}

static void again(struct run *run)
{
	run__say(run, CLIENT, services[run->svc].proto == TCP ? ACK : 0, 1001, 5001, FORWARDED, 0);
}

static void begin(struct run *run)
{
	if (services[run->svc].proto == TCP) {
		run__handshake(run);
		return;
	}
	again(run);
	reply(run, FORWARDED);
}

/* The host is the backend's gateway for all that it does. */
static void expired(struct run *run)
{
	bool tcp = services[run->svc].proto == TCP;

	begin(run);
	run__age(run, WITHIN(tcp ? CT_ESTABLISHED : CT_UDP_ASSURED));
	reply(run, FORWARDED);
	run__age(run, PAST(tcp ? CT_ESTABLISHED : CT_UDP_ASSURED));
	reply(run, PASSED);
	run__expect_state(run, NO_FLOW);
	again(run);
	run__expect_state(run, IN_HALF_OPEN(tcp ? CT_SYN : CT_UDP_NEW));
	reply(run, FORWARDED);
	run__expect_state(run, IN_FLOWS(tcp ? CT_ESTABLISHED : CT_UDP_ASSURED));
}

static void backend_removed(struct run *run)
{
	begin(run);
	RUN_CHECK(run, !fixture__bump_backend(run->fx, run->svc, 0, 0));
	reply(run, PASSED);
	run__say(run, CLIENT, services[run->svc].proto == TCP ? ACK : 0, 1001, 5001, DROPPED,
		 LB_DROP_NO_BACKEND);
}

static const struct step unknown_backend[] = {
	{ CLIENT, SYN, DROPPED, LB_DROP_NO_SNAT, .seq = 7000, .state = NO_FLOW },
	{},
};

static void reply_half_evicted(struct run *run)
{
	struct ct_key key;

	begin(run);
	run__avoid_tick(run);
	key = run__reply_key(run);
	RUN_CHECK(run, !half__evict(run->fx, &key));
	reply(run, PASSED);
	run__age(run, 2);
	again(run);
	reply(run, FORWARDED);
}

static void clients_half_evicted(struct run *run)
{
	struct ct_key key = run__client_key(run);

	begin(run);
	RUN_CHECK(run, !half__evict(run->fx, &key));
	run__age(run, 2);
	reply(run, FORWARDED);
	again(run);
	reply(run, FORWARDED);
}

/* Two VIPs share a backend, and the client uses one port for both. */
static void port_of_another_flow(struct run *run)
{
	struct ct_key key = run__client_key(run);
	bool tcp = services[run->svc].proto == TCP;
	struct run other = *run;
	struct half gone;

	run__talk(&other, tcp ? SVC_ANY : SVC_ANY_UDP, run->client, run->client_port);
	other.vip_port = 92;
	begin(run);
	run__say(&other, CLIENT, tcp ? SYN : 0, 1000, 0, DROPPED, LB_DROP_NO_PORT);
	reply(run, FORWARDED);
	run__age(run, PAST(tcp ? CT_ESTABLISHED : CT_UDP_ASSURED));
	begin(&other);
	run__expect_state(&other, IN_FLOWS(tcp ? CT_ESTABLISHED : CT_UDP_ASSURED));
	RUN_CHECK(run, !other.failed && !half__get(run->fx, &key, &gone));
}

static void port_of_a_half_open_flow(struct run *run)
{
	struct run other = *run;

	run__talk(&other, SVC_ANY, run->client, run->client_port);
	other.vip_port = 92;
	run__say(run, CLIENT, SYN, 1000, 0, FORWARDED, 0);
	begin(&other);
	RUN_CHECK(run, !other.failed);
}

static void client_is_a_backend(struct run *run)
{
	run__talk(run, SVC_SOLO, LAB_BACKEND_B, 40000);
	begin(run);
	run__expect_state(run, IN_FLOWS(CT_ESTABLISHED));
	run__talk(run, SVC_SOLO_UDP, LAB_BACKEND_B, 40000);
	begin(run);
}

static struct frame stray(uint8_t proto, uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport)
{
	struct frame frame = frame__make(proto, src, sport, dst, dport);

	lab__mac_of(src, frame.smac);
	lab__own_mac(LAB_NEAR, frame.dmac);
	frame.payload = 40;
	return frame;
}

static void passes(struct run *run, const struct frame *frame)
{
	run__send(run, frame, LAB_NEAR, PASSED, 0);
}

static void beside(struct run *run)
{
	static const uint8_t flags[] = { SYN, SYN | ACK, ACK, RST, FIN | ACK, 0 };
	struct frame frame;
	size_t i;

	begin(run);
	for (i = 0; i < sizeof(flags); i++) {
		frame = stray(TCP, LAB_BACKEND_A, 45000, LAB_REMOTE, 443);
		frame.flags = flags[i];
		passes(run, &frame);
		frame = stray(TCP, LAB_BACKEND_A, 92, LAB_REMOTE, 40000); /* a client without balancer */
		frame.flags = flags[i];
		passes(run, &frame);
		frame = stray(TCP, LAB_REMOTE, 40000, LAB_BACKEND_A, 92);
		frame.flags = flags[i];
		passes(run, &frame);
	}
	frame = stray(UDP, LAB_BACKEND_A, 53, LAB_REMOTE, 53);
	passes(run, &frame);
	frame.dport = 0;
	passes(run, &frame);
	frame.proto = 47;
	passes(run, &frame);
	frame = stray(ICMP, LAB_BACKEND_A, 0, LAB_REMOTE, 0);
	passes(run, &frame);
	frame = stray(UDP, LAB_BACKEND_A, 92, LAB_REMOTE, 53);
	frame.whole = 2000;
	frame.payload = 800;
	frame.extensions[0] = frame.v6 ? 44 : 0;
	for (i = 0; i < 2000; i += 800) {
		frame.at = i;
		frame.payload = i + 800 > 2000 ? 2000 - i : 800;
		frame.frag = i / 8 | (i + 800 < 2000 ? 0x2000 : 0);
		passes(run, &frame);
	}
	frame.id++; /* its first is not seen */
	frame.frag_id++;
	passes(run, &frame);
}

/* Wherever it ends, it is the host's as it came. */
static void beside_truncated(struct run *run)
{
	struct frame frame = stray(TCP, LAB_BACKEND_A, 92, LAB_REMOTE, 40000);
	uint8_t bytes[FRAME_MAX];
	size_t len = frame__build(&frame, bytes), n;

	for (n = ETH_LEN; n < len; n++)
		run__send_bytes(run, bytes, n, LAB_NEAR, PASSED, 0);
}

/* A length that lies, and the port that stands for every one. */
static void beside_malformed(struct run *run)
{
	struct frame frame = stray(UDP, LAB_BACKEND_A, 92, LAB_REMOTE, 0);
	uint8_t bytes[FRAME_MAX];
	size_t len = frame__build(&frame, bytes);

	bytes[ETH_LEN + frame__ip_len(&frame) + 5] = 7;
	run__send_bytes(run, bytes, len, LAB_NEAR, PASSED, 0);
}

/* Without the switch nobody looks at sources. */
static void switched_off(struct run *run)
{
	begin(run);
	fixture_nat = false;
	RUN_CHECK(run, !fixture__set_reply_ports(run->fx, PORT_LO, PORT_HI));
	fixture_nat = true;
	reply(run, PASSED);
	RUN_CHECK(run, !fixture__set_ports(run->fx, PORT_LO, PORT_MID, PORT_HI, 65535));
	reply(run, FORWARDED);
}

static void method_changes(struct run *run)
{
	struct run next = *run;

	begin(run);
	RUN_CHECK(run, !fixture__set_method(run->fx, run->svc, LB_METHOD_FULLNAT));
	again(run);
	reply(run, FORWARDED);
	run__talk(&next, run->svc, run->client, run->client_port + 1);
	fixture_nat = false;
	begin(&next);
	fixture_nat = true;
	RUN_CHECK(run, !next.failed);
	reply(run, FORWARDED);
}

static const struct scenario scenarios[] = {
	{ "picked up", SVC_TCP, .steps = picked_up },
	{ "picked up at its end", SVC_TCP, .steps = picked_up_at_its_end },
	{ "picked up in vain", SVC_TCP, .steps = picked_up_in_vain },
	{ "a RST opens nothing", SVC_TCP, .steps = reset_opens_nothing },
	{ "an ACK for a SYN", SVC_TCP, .steps = ack_for_a_syn },
	{ "UDP", SVC_UDP, .steps = udp },
	{ "every port", SVC_ANY, .steps = picked_up },
	{ "expired", SVC_TCP, .body = expired },
	{ "expired, UDP", SVC_UDP, .body = expired },
	{ "the backend is removed", SVC_SOLO, .body = backend_removed },
	{ "the backend is removed, UDP", SVC_SOLO_UDP, .body = backend_removed },
	{ "the reply half is evicted", SVC_TCP, .body = reply_half_evicted },
	{ "the reply half is evicted, UDP", SVC_UDP, .body = reply_half_evicted },
	{ "the client's half is evicted", SVC_TCP, .body = clients_half_evicted },
	{ "the port is another flow's", SVC_SOLO, .body = port_of_another_flow },
	{ "the port is another flow's, UDP", SVC_SOLO_UDP, .body = port_of_another_flow },
	{ "the port is a half-open flow's", SVC_SOLO, .body = port_of_a_half_open_flow },
	{ "a backend whose address isn't kept", SVC_NO_SNAT, .steps = unknown_backend },
	{ "a client that is a backend", SVC_SOLO, .body = client_is_a_backend },
	{ "what backends do beside", SVC_SOLO, .body = beside },
	{ "the same, truncated", SVC_SOLO, .body = beside_truncated, .once = true },
	{ "the same, malformed", SVC_SOLO, .body = beside_malformed, .once = true },
	{ "switched off", SVC_TCP, .body = switched_off },
	{ "fullnat beside it", SVC_TCP, .body = method_changes },
};

TABLE_NAT(nat, scenarios);

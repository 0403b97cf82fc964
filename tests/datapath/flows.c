// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Flows that expire, lose a half to eviction, or are counted. */
#include "tables.h"

#include <string.h>

static void say(struct run *run, enum who who, enum expect expect, int drop)
{
	if (who == CLIENT)
		run__say(run, CLIENT, FLAG_ACK, 1001, 5001, expect, drop);
	else
		run__say(run, BACKEND, FLAG_ACK, 5001, 1001, expect, drop);
}

static void idle(struct run *run, uint32_t seconds, uint64_t expired, enum who who,
		 enum expect expect, int drop)
{
	struct counters before = run__counters(run);

	run__age(run, seconds);
	say(run, who, expect, drop);
	RUN_CHECK(run,
		  run__counters(run).totals.flows_expired - before.totals.flows_expired == expired);
}

static void tcp_expires(struct run *run)
{
	run__handshake(run);
	idle(run, WITHIN(CT_ESTABLISHED), 0, CLIENT, FORWARDED, 0);
	idle(run, WITHIN(CT_ESTABLISHED), 0, BACKEND, FORWARDED, 0);
	idle(run, PAST(CT_ESTABLISHED), 1, CLIENT, RESET, 0);
	run__expect_state(run, NO_FLOW);
	run__handshake(run);
	idle(run, PAST(CT_ESTABLISHED), 1, BACKEND, DROPPED, LB_DROP_REPLY_NO_FLOW);
	run__expect_state(run, NO_FLOW);
	run__handshake(run);
	run__age(run, PAST(CT_ESTABLISHED));
	run__handshake(run); /* a SYN on an expired flow */
	run__expect_state(run, IN_FLOWS(CT_ESTABLISHED));
}

static void half_open_expires(struct run *run)
{
	run__say(run, CLIENT, FLAG_SYN, 1000, 0, FORWARDED, 0);
	run__age(run, WITHIN(CT_SYN));
	run__say(run, CLIENT, FLAG_SYN, 1000, 0, FORWARDED, 0);
	run__age(run, PAST(CT_SYN));
	run__say(run, BACKEND, FLAG_SYN | FLAG_ACK, 5000, 1001, DROPPED, LB_DROP_REPLY_NO_FLOW);
	run__expect_state(run, NO_FLOW);
}

static void closed_expires(struct run *run)
{
	run__handshake(run);
	run__say(run, CLIENT, FLAG_FIN | FLAG_ACK, 1001, 5001, FORWARDED, 0);
	idle(run, WITHIN(CT_FIN), 0, BACKEND, FORWARDED, 0);
	run__say(run, BACKEND, FLAG_FIN | FLAG_ACK, 5001, 1002, FORWARDED, 0);
	idle(run, WITHIN(CT_CLOSED), 0, CLIENT, FORWARDED, 0);
	idle(run, PAST(CT_CLOSED), 1, CLIENT, RESET, 0);
}

static void udp_expires(struct run *run)
{
	struct counters before = run__counters(run);

	run__say(run, CLIENT, 0, 0, 0, FORWARDED, 0);
	idle(run, WITHIN(CT_UDP_NEW), 0, CLIENT, FORWARDED, 0);
	idle(run, PAST(CT_UDP_NEW), 1, CLIENT, FORWARDED,
	     0); /* a new flow, and the same port again */
	run__expect_state(run, IN_HALF_OPEN(CT_UDP_NEW));
	run__say(run, BACKEND, 0, 0, 0, FORWARDED, 0);
	idle(run, WITHIN(CT_UDP_ASSURED), 0, CLIENT, FORWARDED, 0);
	idle(run, PAST(CT_UDP_ASSURED), 1, BACKEND, DROPPED, LB_DROP_REPLY_NO_FLOW);
	RUN_CHECK(run, run__counters(run).totals.flows_created - before.totals.flows_created == 2);
}

static void vip_has_its_own_time(struct run *run)
{
	RUN_CHECK(run, !fixture__set_timeout(run->fx, SVC_TCP, CT_ESTABLISHED, 10));
	run__handshake(run);
	idle(run, 9, 0, CLIENT, FORWARDED, 0);
	idle(run, 13, 1, CLIENT, RESET, 0);
}

/* The client alone sends: the reply half must not look idle meanwhile, nor the other way round. */
static void one_way(struct run *run, enum who who)
{
	int i;

	for (i = 0; i < 5; i++) {
		run__age(run, 25);
		say(run, who, FORWARDED, 0);
	}
	say(run, who == CLIENT ? BACKEND : CLIENT, FORWARDED, 0);
}

static void one_way_udp(struct run *run)
{
	run__say(run, CLIENT, 0, 0, 0, FORWARDED, 0);
	one_way(run, CLIENT);
	run__expect_state(run, IN_FLOWS(CT_UDP_ASSURED));
	one_way(run, BACKEND);
}

static void evict(struct run *run, enum who whose)
{
	struct ct_key key = whose == CLIENT ? run__client_key(run) : run__reply_key(run);

	RUN_CHECK(run, !half__evict(run->fx, &key));
}

static void reply_half_evicted(struct run *run)
{
	struct half half;

	run__handshake(run);
	run__avoid_tick(run);
	say(run, CLIENT, FORWARDED, 0);
	evict(run, BACKEND);
	say(run, CLIENT, FORWARDED, 0);
	say(run, BACKEND, DROPPED, LB_DROP_REPLY_NO_FLOW); /* its second isn't over */
	run__age(run, 2);
	say(run, CLIENT, FORWARDED, 0);
	run__expect_state(run, IN_FLOWS(CT_ESTABLISHED));
	half = run__half(run, BACKEND);
	RUN_CHECK(run, !ct_packets(&half.flow) && !ct_bytes(&half.flow));
	say(run, BACKEND, FORWARDED, 0);
	run__say(run, BACKEND, FLAG_FIN | FLAG_ACK, 5001, 1001, FORWARDED, 0);
	run__say(run, CLIENT, FLAG_FIN | FLAG_ACK, 1001, 5002, FORWARDED, 0);
	run__expect_state(run, IN_HALF_OPEN(CT_CLOSED));
}

static void clients_half_evicted(struct run *run)
{
	run__handshake(run);
	evict(run, CLIENT);
	run__age(run, 2);
	say(run, BACKEND, FORWARDED, 0);
	run__expect_state(run, IN_FLOWS(CT_ESTABLISHED));
	say(run, CLIENT, FORWARDED, 0);
	run__say(run, CLIENT, FLAG_RST, 1001, 0, FORWARDED, 0);
	run__expect_state(run, IN_HALF_OPEN(CT_CLOSED));
}

static void evicted_while_half_open(struct run *run)
{
	run__say(run, CLIENT, FLAG_SYN, 1000, 0, FORWARDED, 0);
	evict(run, BACKEND);
	run__age(run, 2);
	run__handshake(run);
	run__expect_state(run, IN_FLOWS(CT_ESTABLISHED));
}

/* In between SYN-ACK and ACK: what the ACK has to be isn't lost with the client's half. */
static void evicted_before_the_ack(struct run *run)
{
	run__say(run, CLIENT, FLAG_SYN, 1000, 0, FORWARDED, 0);
	run__say(run, BACKEND, FLAG_SYN | FLAG_ACK, 5000, 1001, FORWARDED, 0);
	evict(run, BACKEND);
	run__age(run, 2);
	run__say(run, CLIENT, FLAG_ACK, 1001, 5001, FORWARDED, 0);
	run__expect_state(run, IN_FLOWS(CT_ESTABLISHED));
}

static void reply_half_evicted_udp(struct run *run)
{
	run__say(run, CLIENT, 0, 0, 0, FORWARDED, 0);
	run__say(run, BACKEND, 0, 0, 0, FORWARDED, 0);
	evict(run, BACKEND);
	run__age(run, 2);
	run__say(run, CLIENT, 0, 0, 0, FORWARDED, 0);
	run__expect_state(run, IN_FLOWS(CT_UDP_ASSURED));
	run__say(run, BACKEND, 0, 0, 0, FORWARDED, 0);
}

/* The only port goes to another client while the reply half is away. */
static void port_lost(struct run *run)
{
	bool tcp = services[run->svc].proto == TCP;

	fixture__set_ports(run->fx, 50000, 50000, 0, 0);
	run__say(run, CLIENT, FLAG_SYN, 1000, 0, FORWARDED, 0);
	run__say(run, BACKEND, FLAG_SYN | FLAG_ACK, 5000, 1001, FORWARDED, 0);
	run__say(run, CLIENT, FLAG_ACK, 1001, 5001, FORWARDED, 0);
	evict(run, BACKEND);
	run__age(run, 2);
	run__talk(run, run->svc, LAB_CLIENT, 40001);
	run__say(run, CLIENT, FLAG_SYN, 1000, 0, FORWARDED, 0);
	run__say(run, BACKEND, FLAG_SYN | FLAG_ACK, 5000, 1001, FORWARDED, 0);
	run__say(run, CLIENT, FLAG_ACK, 1001, 5001, FORWARDED, 0);
	run__talk(run, run->svc, LAB_CLIENT, 40000);
	say(run, CLIENT, DROPPED, LB_DROP_PORT_LOST);
	say(run, CLIENT, tcp ? RESET : DROPPED, LB_DROP_NO_PORT);
	run__talk(run, run->svc, LAB_CLIENT, 40001);
	say(run, CLIENT, FORWARDED, 0);
	run__expect_state(run, tcp ? IN_FLOWS(CT_ESTABLISHED) : IN_FLOWS(CT_UDP_ASSURED));
	say(run, BACKEND, FORWARDED, 0);
}

/* Packets of 40, 40, 50 bytes in, 60 and 70 out */
static void counted(struct run *run)
{
	uint32_t index;
	uint64_t drops_before = fixture__vip_drops(run->fx, run->svc);
	struct lb_count count_before[2], count;
	uint64_t ip_len = frame_v6 ? IP6_LEN : IP_LEN;
	struct frame frame;
	struct half half;
	int n;

	for (n = 0; n < 2; n++)
		count_before[n] =
			fixture__backend_count(run->fx, fixture__backend_index(run->svc, n));
	run__say(run, CLIENT, FLAG_SYN, 1000, 0, FORWARDED, 0);
	frame = run__from_backend(run, FLAG_SYN | FLAG_ACK, 5000, 1001);
	frame.tcp_options = 20;
	frame.padding = 9;
	run__send(run, &frame, LAB_NEAR, FORWARDED, 0);
	run__say(run, CLIENT, FLAG_ACK, 1001, 5001, FORWARDED, 0);
	frame = run__from_client(run, FLAG_ACK, 1001, 5001);
	frame.payload = 10;
	run__send(run, &frame, LAB_NEAR, FORWARDED, 0);
	frame = run__from_backend(run, FLAG_ACK, 5001, 1011);
	frame.payload = 30;
	run__send(run, &frame, LAB_NEAR, FORWARDED, 0);
	frame.ttl = 1;
	run__send(run, &frame, LAB_NEAR, REPORTED, LB_DROP_TTL);
	index = fixture__backend_index(run->svc, run->backend_n);
	count = fixture__backend_count(run->fx, index);
	RUN_CHECK(run, count.packets - count_before[run->backend_n].packets == 5);
	RUN_CHECK(run, count.bytes - count_before[run->backend_n].bytes == 160 + 5 * ip_len);
	RUN_CHECK(run, fixture__vip_drops(run->fx, run->svc) - drops_before == 1);
	half = run__half(run, CLIENT);
	RUN_CHECK(run, ct_packets(&half.flow) == 3 && ct_bytes(&half.flow) == 70 + 3 * ip_len);
	half = run__half(run, BACKEND);
	RUN_CHECK(run, ct_packets(&half.flow) == 2 && ct_bytes(&half.flow) == 90 + 2 * ip_len);
}

static const struct scenario scenarios[] = {
	{ "established expires", SVC_TCP, .body = tcp_expires },
	{ "half-open expires", SVC_TCP, .body = half_open_expires },
	{ "closed expires", SVC_TCP, .body = closed_expires },
	{ "UDP expires", SVC_UDP, .body = udp_expires },
	{ "a VIP has its own time", SVC_TCP, .body = vip_has_its_own_time },
	{ "one way, UDP", SVC_UDP, .body = one_way_udp },
	{ "the reply half is evicted", SVC_TCP, .body = reply_half_evicted },
	{ "the client's half is evicted", SVC_TCP, .body = clients_half_evicted },
	{ "the reply half is evicted, half-open", SVC_TCP, .body = evicted_while_half_open },
	{ "the reply half is evicted before the ACK", SVC_TCP, .body = evicted_before_the_ack },
	{ "the reply half is evicted, UDP", SVC_UDP, .body = reply_half_evicted_udp },
	{ "the port is lost", SVC_SOLO, .body = port_lost },
	{ "the port is lost, UDP", SVC_SOLO_UDP, .body = port_lost },
	{ "counted", SVC_TCP, .body = counted },
};

TABLE(flows, scenarios);

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What leaves early because of its destination alone, and what must not. */
#include "tables.h"

#include <arpa/inet.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "lb.skel.h"
#include "local_table.h"

static bool is_vip_port(uint32_t ip, uint8_t proto, uint32_t port)
{
	int i;

	for (i = 0; i < SERVICES; i++) {
		if (services[i].vip == ip && services[i].proto == proto &&
		    (!services[i].port || services[i].port == port))
			return true;
	}
	return false;
}

/* To every port of an address: what no VIP wants passes, unread, whatever its flags. */
static void every_port(struct run *run, uint32_t ip, uint8_t proto)
{
	struct frame frame = frame__make(proto, LAB_CLIENT, 5555, ip, 0);
	struct counters before = run__counters(run), after;
	uint8_t bytes[FRAME_MAX];
	uint64_t strays = 0;
	uint32_t port;
	size_t len;

	frame.flags = FLAG_ACK;
	lab__own_mac(LAB_NEAR, frame.dmac);
	frame.payload = 3;
	for (port = 1; port < 65536 && !run->failed; port += run__by_turns() ? 7 : 1) {
		if (is_vip_port(ip, proto, port))
			continue;
		frame.dport = port;
		len = frame__build(&frame, bytes);
		RUN_CHECK(run,
			  !fixture__run(run->fx, bytes, len, lab_ifindex[LAB_NEAR], &run->out));
		if (run->out.action != XDP_PASS || run->out.len != len ||
		    memcmp(run->out.bytes, bytes, len))
			run__fail(run, "a packet to port %u did not pass as it came", port);
		strays++;
	}
	after = run__counters(run);
	RUN_CHECK(run, after.ifaces[LAB_NEAR].passed - before.ifaces[LAB_NEAR].passed == strays);
	RUN_CHECK(run, !memcmp(&after.totals, &before.totals, sizeof(after.totals)));
	RUN_CHECK(run, !half__count(run->fx, NULL));
}

static void every_port_of_a_vip(struct run *run)
{
	every_port(run, LAB_HOST, TCP);
	every_port(run, LAB_HOST, UDP);
}

static void every_port_of_a_snat_address(struct run *run)
{
	every_port(run, LAB_SNAT_A, TCP);
}

/* Each port of a wildcard VIP is its own, those of source ports too. */
static void every_port_of_a_wildcard(struct run *run)
{
	static const uint16_t ports[] = { 1,	   22,	     79,    81,	     443,  9999,
					  PORT_LO, PORT_MID, 32768, PORT_HI, 65535 };
	size_t i;

	for (i = 0; i < sizeof(ports) / sizeof(*ports); i++) {
		run__talk(run, run->svc, LAB_CLIENT, 40000 + i);
		run->vip_port = ports[i];
		run__handshake(run);
		run__expect_state(run, run->svc == SVC_ANY ? IN_FLOWS(CT_ESTABLISHED)
							   : IN_FLOWS(CT_UDP_ASSURED));
	}
}

/* New flows take other ports by now; replies to those of before still come in. */
static void ports_changed(struct run *run)
{
	run__handshake(run);
	fixture__set_ports(run->fx, 50000, 50100, 0, 0);
	fixture__set_reply_ports(run->fx, PORT_LO, 65535);
	run__say(run, BACKEND, FLAG_ACK, 5001, 1001, FORWARDED, 0);
	run__say(run, CLIENT, FLAG_ACK, 1001, 5001, FORWARDED, 0);
	run__talk(run, run->svc, LAB_CLIENT, 40001);
	run__handshake(run);
}

/* Of a port that is no longer given out, and has no flow: the host may use it itself. */
static void port_given_back(struct run *run)
{
	struct frame frame;

	run__handshake(run);
	frame = run__from_backend(run, FLAG_ACK, 5001, 1001);
	frame.dport = PORT_LO;
	run__send(run, &frame, LAB_NEAR, DROPPED, LB_DROP_REPLY_NO_FLOW);
	fixture__set_ports(run->fx, 50000, 50100, 0, 0);
	run__send(run, &frame, LAB_NEAR, PASSED, 0);
	fixture__set_reply_ports(run->fx, PORT_LO, 65535);
	run__send(run, &frame, LAB_NEAR, PASSED, 0);
}

static int write_slot(struct run *run, uint32_t slot, const struct lb_local *local)
{
	return bpf_map_update_elem(bpf_map__fd(run->fx->skel->maps.lb_locals), &slot, local,
				   BPF_ANY);
}

/* Another address lies where the VIP's should: the search goes on behind it. */
static void crowded_table(struct run *run)
{
	struct lb_addr addr = fixture__addr(services[run->svc].vip);
	struct lb_local ours, other = {}, none = {};
	uint32_t slot = local_slot(&addr, 0), ip = IP(9, 0, 0, 0), i;
	struct frame frame;

	do
		other.addr = fixture__addr(++ip);
	while (local_slot(&other.addr, 0) != slot);
	other.id = LB_MAX_LOCALS - 1;
	other.flags = LB_LOCAL_SNAT | LB_LOCAL_MORE;
	RUN_CHECK(run,
		  !bpf_map_lookup_elem(bpf_map__fd(run->fx->skel->maps.lb_locals), &slot, &ours));
	for (i = 1; i < LOCAL_PROBES; i++) {
		struct lb_local between = { .flags = LB_LOCAL_MORE }; /* one that was removed */

		RUN_CHECK(run, !write_slot(run, slot, &other));
		RUN_CHECK(run, i == 1 || !write_slot(run, slot + i - 1, &between));
		RUN_CHECK(run, !write_slot(run, slot + i, &ours));
		run__talk(run, run->svc, LAB_CLIENT, 40000 + i);
		run__handshake(run);
	}
	frame = run__from_client(run, FLAG_SYN, 1, 0);
	frame.dst = ip;
	run__send(run, &frame, LAB_NEAR, PASSED, 0);
	for (i = 1; i < LOCAL_PROBES; i++)
		RUN_CHECK(run, !write_slot(run, slot + i, &none));
	RUN_CHECK(run, !write_slot(run, slot, &none));
	frame.dst = services[run->svc].vip;
	run__send(run, &frame, LAB_NEAR, PASSED, 0); /* an address that isn't ours any more */
}

/* A frame of an interface that nothing is known of counts, too. */
static void unknown_interface(struct run *run)
{
	struct frame frame = run__from_client(run, FLAG_SYN, 1000, 0);
	struct counters before = run__counters(run), after;
	uint8_t bytes[FRAME_MAX];
	size_t len = frame__build(&frame, bytes);

	RUN_CHECK(run, !fixture__run(run->fx, bytes, len, 1, &run->out)); /* lo */
	after = run__counters(run);
	RUN_CHECK(run, after.stray.forwarded - before.stray.forwarded == 1);
	RUN_CHECK(run, after.stray.bytes - before.stray.bytes == len);
}

static const struct scenario scenarios[] = {
	{ "every port of a VIP's address", .body = every_port_of_a_vip, .once = true },
	{ "every port of a source address", .body = every_port_of_a_snat_address, .once = true },
	{ "every port of a wildcard VIP", SVC_ANY, .body = every_port_of_a_wildcard },
	{ "every port of a wildcard VIP, UDP", SVC_ANY_UDP, .body = every_port_of_a_wildcard },
	{ "the ports change", SVC_SOLO, .body = ports_changed },
	{ "a port is given back", SVC_SOLO, .body = port_given_back },
	{ "a crowded table of addresses", SVC_SOLO, .body = crowded_table, .once = true },
	{ "an unknown interface", SVC_SOLO, .body = unknown_interface, .once = true },
};

TABLE(filter, scenarios);

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Routes and neighbours: by which way packets leave, and when they can't. */
#include "tables.h"

#include <string.h>

/* As lbctl does when it hears of a change. */
static void tell(struct run *run, int err)
{
	RUN_CHECK(run, !err);
	RUN_CHECK(run, !fixture__new_routes(run->fx));
}

static void give_back(struct run *run)
{
	uint8_t mac[6];

	lab__mac_of(LAB_BACKEND_A, mac);
	tell(run, lab__set_neighbour(LAB_BACKEND_A, mac));
}

static void set_forwarding(struct run *run, int on)
{
	tell(run, lab__set_forwarding(on));
}

static void syn_is_dropped(struct run *run, int drop)
{
	run__say(run, CLIENT, FLAG_SYN, 1000, 0, DROPPED, drop);
}

static void no_neighbour(struct run *run)
{
	syn_is_dropped(run, LB_DROP_NO_NEIGHBOUR);
	run__say(run, CLIENT, FLAG_SYN, 1000, 0, DROPPED, LB_DROP_NO_NEIGHBOUR);
}

static void no_route(struct run *run)
{
	syn_is_dropped(run, LB_DROP_NO_ROUTE);
}

/* For the VIP's address the router would send the packet back here. */
static void not_on_link(struct run *run)
{
	syn_is_dropped(run, LB_DROP_NOT_ON_LINK);
	run__say(run, CLIENT, FLAG_ACK, 1001, 5001, DROPPED, LB_DROP_NOT_ON_LINK);
}

static void route_rejects(struct run *run)
{
	syn_is_dropped(run, LB_DROP_ROUTE_REJECT);
}

/* The neighbour entry goes while packets flow: its last MAC serves until it is back. */
static void last_mac_of_backend(struct run *run)
{
	run__handshake(run);
	tell(run, lab__del_neighbour(LAB_BACKEND_A));
	run__say(run, CLIENT, FLAG_ACK, 1001, 5001, FORWARDED, 0);
	run__say(run, BACKEND, FLAG_ACK, 5001, 1001, FORWARDED, 0);
	run__talk(run, SVC_SOLO, LAB_CLIENT, 40001);
	run__say(run, CLIENT, FLAG_SYN, 1000, 0, FORWARDED, 0);
	give_back(run);
}

static void new_mac_of_backend(struct run *run)
{
	static const uint8_t mac[6] = { 2, 0xbb, 1, 2, 3, 4 };
	struct frame frame;
	uint8_t bytes[FRAME_MAX];
	size_t len;

	run__handshake(run);
	tell(run, lab__set_neighbour(LAB_BACKEND_A, mac));
	frame = run__from_client(run, FLAG_ACK, 1001, 5001);
	len = frame__build(&frame, bytes);
	RUN_CHECK(run, !fixture__run(run->fx, bytes, len, lab_ifindex[LAB_NEAR], &run->out));
	RUN_CHECK(run, !memcmp(run->out.bytes, mac, sizeof(mac)));
	give_back(run);
	run__say(run, CLIENT, FLAG_ACK, 1001, 5001, FORWARDED, 0);
}

/* Its packets come by one interface, the way back is by another: their MAC is of no use there. */
static void client_from_elsewhere(struct run *run)
{
	run->client_iface = LAB_FAR;
	run__say(run, CLIENT, FLAG_SYN, 1000, 0, FORWARDED, 0);
	run__say(run, BACKEND, FLAG_SYN | FLAG_ACK, 5000, 1001, DROPPED, LB_DROP_NO_NEIGHBOUR);
}

static void client_without_route(struct run *run)
{
	run__say(run, CLIENT, FLAG_SYN, 1000, 0, FORWARDED, 0);
	run__say(run, BACKEND, FLAG_SYN | FLAG_ACK, 5000, 1001, DROPPED, LB_DROP_NO_ROUTE);
}

static void client_rejected(struct run *run)
{
	run__say(run, CLIENT, FLAG_SYN, 1000, 0, FORWARDED, 0);
	run__say(run, BACKEND, FLAG_SYN | FLAG_ACK, 5000, 1001, DROPPED, LB_DROP_ROUTE_REJECT);
}

static void forwarding_off(struct run *run)
{
	set_forwarding(run, 0);
	syn_is_dropped(run, LB_DROP_FWD_DISABLED);
	set_forwarding(run, 1);
	run__handshake(run);
	set_forwarding(run, 0);
	run__say(run, CLIENT, FLAG_ACK, 1001, 5001, DROPPED, LB_DROP_FWD_DISABLED);
	run__say(run, BACKEND, FLAG_ACK, 5001, 1001, DROPPED, LB_DROP_FWD_DISABLED);
	set_forwarding(run, 1);
	run__say(run, CLIENT, FLAG_ACK, 1001, 5001, FORWARDED, 0);
}

/* Generic programs see frames before they are cut to size, so they don't look. */
static void mtu(struct run *run)
{
	struct frame in, out;

	run__handshake(run);
	in = run__from_client(run, FLAG_ACK, 1001, 5001);
	out = run__from_backend(run, FLAG_ACK, 5001, 1001);
	in.payload = LAB_MTU - frame__ip_len(&in) - TCP_LEN;
	out.payload = in.payload;
	run__send(run, &in, LAB_NEAR, FORWARDED, 0);
	run__send(run, &out, LAB_NEAR, FORWARDED, 0);
	in.payload++;
	out.payload++;
	run__send(run, &in, LAB_NEAR, run->fx->variant == GENERIC ? FORWARDED : REPORTED,
		  LB_DROP_TOO_BIG);
	run__send(run, &out, LAB_NEAR, run->fx->variant == GENERIC ? FORWARDED : REPORTED,
		  LB_DROP_TOO_BIG);
}

static void egress_down(struct run *run)
{
	run__handshake(run);
	tell(run, lab__set_far(0));
	run__say(run, CLIENT, FLAG_ACK, 1001, 5001, DROPPED, LB_DROP_NO_ROUTE);
	tell(run, lab__set_far(1));
	run__say(run, CLIENT, FLAG_ACK, 1001, 5001, FORWARDED, 0);
}

static const struct scenario scenarios[] = {
	{ "backend without neighbour entry", SVC_DARK, .body = no_neighbour },
	{ "a backend's neighbour entry goes", SVC_SOLO, .body = last_mac_of_backend },
	{ "a backend's MAC changes", SVC_SOLO, .body = new_mac_of_backend },
	{ "client without neighbour entry comes from elsewhere", SVC_TCP, .client = LAB_DARK,
	  .body = client_from_elsewhere },
	{ "client without route", SVC_TCP, .client = LAB_NOWHERE, .body = client_without_route },
	{ "client behind a blackhole", SVC_TCP, .client = LAB_BLACKHOLE, .body = client_rejected },
	{ "backend without route", SVC_NOWHERE, .body = no_route },
	{ "the backend is the host", SVC_LOCAL, .body = no_route },
	{ "a router on the way to a direct backend", SVC_DSR_ROUTED, .body = not_on_link },
	{ "blackhole", SVC_BLACKHOLE, .body = route_rejects },
	{ "unreachable", SVC_UNREACHABLE, .body = route_rejects },
	{ "prohibit", SVC_PROHIBIT, .body = route_rejects },
	{ "forwarding is off", SVC_TCP, .body = forwarding_off },
	{ "MTU", SVC_TCP, .body = mtu },
	{ "the egress goes down", SVC_FAR, .body = egress_down },
};

TABLE_PAIRS(nexthop, scenarios);

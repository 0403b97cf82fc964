// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What isn't for a VIP passes to the host as it came. */
#include "tables.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ICMP 1

static struct frame stray(uint8_t proto, uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport)
{
	struct frame frame = frame__make(proto, src, sport, dst, dport);

	lab__mac_of(src, frame.smac);
	lab__own_mac(LAB_NEAR, frame.dmac);
	frame.flags = FLAG_SYN;
	frame.payload = 12;
	return frame;
}

static void passes(struct run *run, const struct frame *frame)
{
	run__send(run, frame, LAB_NEAR, PASSED, 0);
	run__expect_state(run, NO_FLOW);
}

static void own_connections(struct run *run)
{
	static const uint8_t flags[] = { FLAG_SYN, FLAG_SYN | FLAG_ACK, FLAG_ACK,
					 FLAG_RST, FLAG_FIN | FLAG_ACK, 0 };
	struct frame frame;
	size_t i;

	for (i = 0; i < sizeof(flags); i++) {
		/* to a backend's port, from a port that is the host's to choose */
		frame = stray(TCP, LAB_BACKEND_A, 8080, LAB_HOST, 45000);
		frame.flags = flags[i];
		frame.csum = run->csum;
		passes(run, &frame);
		/* from one of our ports, but to somebody else */
		frame = stray(TCP, LAB_CLIENT, 443, LAB_HOST, PORT_LO + 3);
		frame.flags = flags[i];
		passes(run, &frame);
		frame = stray(TCP, LAB_CLIENT, 55555, LAB_HOST, 22);
		frame.flags = flags[i];
		passes(run, &frame);
	}
	frame = stray(UDP, LAB_BACKEND_A, 5353, LAB_HOST, 45000);
	passes(run, &frame);
	frame = stray(UDP, LAB_GATEWAY, 53, LAB_HOST, 33333);
	passes(run, &frame);
	frame = stray(UDP, LAB_CLIENT, 40000, LAB_HOST, 80); /* the VIP is TCP's */
	passes(run, &frame);
	frame = stray(TCP, LAB_CLIENT, 40000, LAB_FAR_HOST, 80); /* no VIP, a source address */
	passes(run, &frame);
}

static void own_socket_on_our_port(struct run *run)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(PORT_LO + 9) };
	struct sockaddr_in6 at6 = { .sin6_family = AF_INET6, .sin6_port = at.sin_port };
	struct frame frame = stray(UDP, LAB_BACKEND_A, 5353, LAB_HOST, PORT_LO + 9);
	struct lb_addr addr = fixture__addr(LAB_HOST);
	int fd = socket(frame_v6 ? AF_INET6 : AF_INET, SOCK_DGRAM, 0);

	at.sin_addr.s_addr = addr.w[3];
	memcpy(&at6.sin6_addr, &addr, sizeof(addr));
	run__send(run, &frame, LAB_NEAR, DROPPED, LB_DROP_REPLY_NO_FLOW);
	RUN_CHECK(run, !bind(fd, frame_v6 ? (struct sockaddr *)&at6 : (struct sockaddr *)&at,
			     frame_v6 ? sizeof(at6) : sizeof(at)));
	passes(run, &frame);
	close(fd);
	run__send(run, &frame, LAB_NEAR, DROPPED, LB_DROP_REPLY_NO_FLOW);
}

static void other_protocols(struct run *run)
{
	static const uint8_t protos[] = { 0, ICMP, 2, 4, 41, 47, 50, 132, 136, 255 };
	struct frame frame;
	size_t i;

	for (i = frame_v6; i < sizeof(protos); i++) { /* IPv6's 0 is another header's */
		frame = stray(protos[i], LAB_CLIENT, 0, LAB_HOST, 0);
		frame.payload = 64;
		passes(run, &frame);
		frame = stray(protos[i], LAB_BACKEND_A, 0, LAB_VIP2, 0);
		frame.payload = 8;
		passes(run, &frame);
	}
}

static void other_ethertypes(struct run *run)
{
	static const uint16_t types[] = { 0x0806, 0x88cc, 0x8100, 0x88a8, 0x8847, 0x0000, 0x05dc };
	struct frame frame;
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(*types); i++) {
		frame = stray(TCP, LAB_CLIENT, 40000, LAB_HOST, 80);
		frame.eth_type = types[i];
		passes(run, &frame);
	}
	frame = stray(TCP, LAB_CLIENT, 40000, LAB_HOST, 80);
	frame.eth_type = frame_v6 ? 0x0800 : 0x86dd;
	passes(run, &frame);
	frame = stray(TCP, LAB_CLIENT, 40000, LAB_HOST, 80);
	frame.version = frame_v6 ? 4 : 6;
	passes(run, &frame);
	frame.version = 0;
	passes(run, &frame);
}

/* Links' broadcast and multicast are never answered: RFC 1122, 3.3.6. */
static void group_addresses(struct run *run)
{
	struct frame frame = stray(TCP, LAB_CLIENT, 40000, LAB_HOST, 80);

	memset(frame.dmac, 0xff, 6);
	passes(run, &frame);
	memcpy(frame.dmac, (uint8_t[]){ 1, 0, 0x5e, 0, 0, 1 }, 6);
	passes(run, &frame);
	frame = stray(UDP, LAB_CLIENT, 5353, IP(224, 0, 0, 251), 5353);
	passes(run, &frame);
	frame = stray(UDP, LAB_CLIENT, 53, IP(255, 255, 255, 255), 53);
	passes(run, &frame);
}

static void other_destinations(struct run *run)
{
	static const uint32_t destinations[] = { LAB_GATEWAY,	      LAB_CLIENT, LAB_BACKEND_A,
						 IP(172, 17, 0, 255), 0,	  IP(127, 0, 0, 1),
						 IP(5, 0, 17, 172) };
	struct frame frame;
	size_t i;

	for (i = 0; i < sizeof(destinations) / sizeof(*destinations); i++) {
		frame = stray(TCP, LAB_REMOTE, 40000, destinations[i], 80);
		passes(run, &frame);
		frame.ihl = 15; /* nor is what it says looked at */
		frame.tot_len = 7;
		frame.ttl = 0;
		passes(run, &frame);
	}
}

static void short_frames(struct run *run)
{
	struct frame frame = stray(TCP, LAB_CLIENT, 40000, LAB_HOST, 80);

	for (frame.cut = ETH_LEN; frame.cut < ETH_LEN + (int)frame__ip_len(&frame); frame.cut++)
		passes(run, &frame);
}

/* frag: as IPv4 would say it. */
static void cut_up(struct frame *frame, uint16_t frag)
{
	frame->frag = frag;
	frame->extensions[0] = frame_v6 ? 44 : 0;
}

/* Nothing of them changes. Those whose first has not come may be the host's as well: its address is the VIP's. */
static void fragments(struct run *run)
{
	struct frame frame = stray(UDP, LAB_CLIENT, 40000, LAB_HOST, 33);

	cut_up(&frame, 0x2000);
	frame.payload = 200;
	frame.udp_len = 3000;
	passes(run, &frame);
	cut_up(&frame, 0x201a);
	passes(run, &frame);
	cut_up(&frame, 0x0100);
	passes(run, &frame);
	frame.id++;
	passes(run, &frame);
	frame = stray(TCP, LAB_CLIENT, 40000, LAB_HOST, 22);
	frame.payload = 4;
	cut_up(&frame, 0x2000);
	passes(run, &frame);
	frame = stray(ICMP, LAB_CLIENT, 0, LAB_HOST, 0);
	frame.payload = 16;
	cut_up(&frame, 0x2000);
	passes(run, &frame);
	cut_up(&frame, 0x0010);
	passes(run, &frame);
}

/* What the host makes of such packets is its own affair. */
static void odd_but_not_ours(struct run *run)
{
	struct frame frame = stray(UDP, LAB_CLIENT, 40000, LAB_HOST, 33);

	frame.ttl = 1;
	passes(run, &frame);
	frame.ttl = 0;
	passes(run, &frame);
	frame.udp_len = 2000;
	passes(run, &frame);
	frame.udp_len = 3;
	passes(run, &frame);
	frame = stray(TCP, LAB_CLIENT, 40000, LAB_HOST, 22);
	frame.doff = 15;
	passes(run, &frame);
	frame.doff = 0;
	passes(run, &frame);
	frame.doff = 5;
	frame.csum_error = 0x1111;
	frame.ip_csum_error = 0x2222;
	passes(run, &frame);
}

static const struct scenario scenarios[] = {
	{ "the host's own connections", .body = own_connections },
	{ "a socket of the host on one of our ports", .body = own_socket_on_our_port },
	{ "other protocols", .body = other_protocols, .once = true },
	{ "other ethertypes", .body = other_ethertypes, .once = true },
	{ "group addresses", .body = group_addresses, .once = true },
	{ "other destinations", .body = other_destinations, .once = true },
	{ "short frames", .body = short_frames, .once = true },
	{ "fragments", .body = fragments, .once = true },
	{ "odd, but not for a VIP", .body = odd_but_not_ours, .once = true },
};

TABLE_PAIRS(host, scenarios);

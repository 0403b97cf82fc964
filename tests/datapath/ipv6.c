// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What only IPv6 has: extension headers, flow labels, and addresses that stand for IPv4's. */
#include "tables.h"

#include <string.h>

#define ROUTING	     43
#define FRAGMENT     44
#define AH	     51
#define ICMPV6	     58
#define NO_NEXT	     59
#define DEST_OPTIONS 60

#define EXTENSIONS_MAX 8 /* that are looked behind */

static struct frame behind(struct run *run, const uint8_t *extensions, size_t n)
{
	struct frame frame = run__from_client(run, FLAG_SYN, 1000, 0);

	memcpy(frame.extensions, extensions, n);
	return frame;
}

static void send_behind(struct run *run, const uint8_t *extensions, size_t n, enum expect expect,
			int drop)
{
	struct frame frame = behind(run, extensions, n);

	run__send(run, &frame, LAB_NEAR, expect, drop);
}

/* Client's and backend's packets, and all that belongs to the header stays as it was. */
static void forwarded_behind(struct run *run)
{
	static const uint8_t chains[][4] = {
		{ DEST_OPTIONS },
		{ ROUTING },
		{ FRAGMENT }, /* atomic: RFC 6946 */
		{ ROUTING, DEST_OPTIONS },
		{ DEST_OPTIONS, ROUTING, FRAGMENT, DEST_OPTIONS },
	};
	struct frame frame;
	size_t i;

	for (i = 0; i < sizeof(chains) / sizeof(*chains); i++) {
		send_behind(run, chains[i], sizeof(chains[i]), FORWARDED, 0);
		frame = run__from_backend(run, FLAG_SYN | FLAG_ACK, 5000, 1001);
		memcpy(frame.extensions, chains[i], sizeof(chains[i]));
		frame.payload = 33;
		run__send(run, &frame, LAB_NEAR, FORWARDED, 0);
	}
	frame = run__from_client(run, FLAG_SYN, 1000, 0);
	frame.hop_by_hop = true;
	frame.extensions[1] = DEST_OPTIONS;
	run__send(run, &frame, LAB_NEAR, FORWARDED, 0);
}

static void many(struct run *run)
{
	uint8_t chain[EXTENSIONS_MAX + 1];
	size_t n;

	memset(chain, DEST_OPTIONS, sizeof(chain));
	for (n = 1; n <= EXTENSIONS_MAX; n++)
		send_behind(run, chain, n, FORWARDED, 0);
	send_behind(run, chain, n, PASSED, 0);
}

static void longer(struct run *run)
{
	struct frame frame = behind(run, (uint8_t[]){ DEST_OPTIONS }, 1);

	for (frame.extension_len = 8; frame.extension_len <= 200; frame.extension_len += 8)
		run__send(run, &frame, LAB_NEAR, FORWARDED, 0);
	for (; frame.extension_len <= 320; frame.extension_len += 8)
		run__send(run, &frame, LAB_NEAR, PASSED, 0);
}

/* The frame ends within the headers; with the length of before, and with one that fits. */
static void truncated(struct run *run)
{
	struct frame frame = behind(run, (uint8_t[]){ DEST_OPTIONS, FRAGMENT }, 2);
	int ip_end = ETH_LEN + IP6_LEN;

	for (frame.cut = ETH_LEN; frame.cut < ip_end; frame.cut++)
		run__send(run, &frame, LAB_NEAR, PASSED, 0);
	for (; frame.cut < ip_end + 16 + TCP_LEN; frame.cut++) {
		frame.tot_len = -1;
		run__send(run, &frame, LAB_NEAR, DROPPED, LB_DROP_MALFORMED);
		frame.tot_len = frame.cut - ip_end;
		run__send(run, &frame, LAB_NEAR, DROPPED, LB_DROP_MALFORMED);
	}
	frame.cut = -1; /* the length alone */
	for (frame.tot_len = 0; frame.tot_len < 16 + TCP_LEN; frame.tot_len++)
		run__send(run, &frame, LAB_NEAR, DROPPED, LB_DROP_MALFORMED);
	run__expect_state(run, NO_FLOW);
}

/* What follows in the middle of a datagram is no header, whatever it is called. */
static void fragments(struct run *run)
{
	struct frame frame = behind(run, (uint8_t[]){ FRAGMENT, DEST_OPTIONS }, 2);

	frame.frag = 0x0100;
	frame.cut = ETH_LEN + IP6_LEN + 8 + 4;
	frame.tot_len = 8 + 4;
	run__send(run, &frame, LAB_NEAR, PASSED, 0);
}

/* Not the last stop of a source route (RFC 8200, 4.4). */
static void on_its_way(struct run *run)
{
	struct frame frame = behind(run, (uint8_t[]){ ROUTING }, 1);
	uint8_t bytes[FRAME_MAX];
	size_t len = frame__build(&frame, bytes);

	bytes[ETH_LEN + IP6_LEN + 3] = 1;
	run__send_bytes(run, bytes, len, LAB_NEAR, PASSED, 0);
}

static void others_protocols(struct run *run)
{
	static const uint8_t protocols[] = { AH, ICMPV6, NO_NEXT, 132, 4, 41, 135, 139, 140, 253 };
	struct frame frame = behind(run, (uint8_t[]){ DEST_OPTIONS }, 1);
	size_t i;

	for (i = 0; i < sizeof(protocols); i++) {
		frame.proto = protocols[i];
		frame.payload = 40;
		run__send(run, &frame, LAB_NEAR, PASSED, 0);
	}
}

/* Of the IPv4 VIP and client on the wire (RFC 4291, 2.5.5.2). */
static void mapped(struct run *run)
{
	struct frame frame = run__from_client(run, FLAG_SYN, 1000, 0);
	size_t len, i, offsets[] = { 8, 24 };
	uint8_t bytes[FRAME_MAX], *addr;

	for (i = 0; i < 2; i++) {
		len = frame__build(&frame, bytes);
		addr = bytes + ETH_LEN + offsets[i];
		memset(addr, 0, 10);
		memset(addr + 10, 0xff, 2);
		run__send_bytes(run, bytes, len, LAB_NEAR, PASSED, 0);
	}
}

static void other_versions(struct run *run)
{
	struct frame frame = run__from_client(run, FLAG_SYN, 1000, 0);

	for (frame.version = 0; frame.version < 16; frame.version++)
		run__send(run, &frame, LAB_NEAR, frame.version == 6 ? FORWARDED : PASSED, 0);
}

static void class_and_label(struct run *run)
{
	struct frame frame = run__from_client(run, FLAG_SYN, 1000, 0);
	int tos;

	for (tos = 0; tos < 256; tos++) {
		frame.tos = tos;
		frame.id = tos * 257;
		run__send(run, &frame, LAB_NEAR, FORWARDED, 0);
	}
}

/* The RST has no extension headers; a partial checksum's skb couldn't follow that. */
static void reset_without(struct run *run)
{
	struct frame frame = behind(run, (uint8_t[]){ DEST_OPTIONS }, 1);
	bool generic = run->fx->variant == GENERIC;

	frame.flags = FLAG_ACK;
	frame.ack = 77;
	if (generic && run->csum == CSUM_PARTIAL)
		run__send(run, &frame, LAB_NEAR, DROPPED, LB_DROP_TCP_FLAGS);
	else
		run__send(run, &frame, LAB_NEAR, RESET, 0);
}

static const struct scenario scenarios[] = {
	{ "behind extension headers", SVC_TCP, .body = forwarded_behind },
	{ "behind extension headers, UDP", SVC_UDP, .body = forwarded_behind },
	{ "many extension headers", SVC_TCP, .body = many },
	{ "long extension headers", SVC_UDP, .body = longer },
	{ "truncated", SVC_TCP, .body = truncated },
	{ "fragments", SVC_UDP, .body = fragments },
	{ "a source route", SVC_TCP, .body = on_its_way },
	{ "other protocols", SVC_TCP, .body = others_protocols },
	{ "mapped addresses", SVC_TCP, .body = mapped },
	{ "other versions", SVC_TCP, .body = other_versions },
	{ "traffic class and flow label", SVC_TCP, .body = class_and_label },
	{ "reset", SVC_TCP, .body = reset_without },
};

TABLE_V6(ipv6, scenarios);

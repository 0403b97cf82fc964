// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The list of cases, their packets, and what has to become of these. */
#include "cases.h"

#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/ip_icmp.h>

#include <linux/bpf.h>

#define VIP_PORT   80
#define OTHER_PORT 22
#define CHECKS	   8  /* flows that are looked at */
#define FLOOD	   64 /* packets that use a cap of new flows up */

static const struct {
	const char *name;
	uint32_t flows;
} sizes[] = {
	{ "1", 1 }, { "1k", 1 << 10 }, { "32k", 1 << 15 }, { "131k", 1 << 17 }, { "1M", 1 << 20 },
};

static const char *const methods[] = { "fullnat", "ipip" };

static struct rig_case *add(struct rig_case *c, const char *name, enum kind kind, uint32_t flows,
			    enum rig_vary vary)
{
	*c = (struct rig_case){
		.kind = kind,
		.proto = PACKET_TCP,
		.flows = flows,
		.vary = vary,
	};
	snprintf(c->name, sizeof(c->name), "%s", name);
	return c + 1;
}

static struct rig_case *add_balanced(struct rig_case *c, enum method method, uint8_t proto,
				     const char *what, enum kind kind, uint32_t flows,
				     enum rig_vary vary)
{
	char name[32];

	snprintf(name, sizeof(name), "%s/%s/%s", methods[method],
		 proto == PACKET_TCP ? "tcp" : "udp", what);
	add(c, name, kind, flows, vary);
	c->method = method;
	c->proto = proto;
	return c + 1;
}

static struct rig_case *add_established(struct rig_case *c, enum method method, uint8_t proto)
{
	char what[16];
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		snprintf(what, sizeof(what), "in/%s", sizes[i].name);
		c = add_balanced(c, method, proto, what, KIND_IN, sizes[i].flows,
				 i ? RIG_RANDOM : RIG_FIXED);
		if (method != METHOD_FULLNAT)
			continue; /* replies go around the balancer */
		snprintf(what, sizeof(what), "out/%s", sizes[i].name);
		c = add_balanced(c, method, proto, what, KIND_OUT, sizes[i].flows, RIG_LIST);
	}
	return c;
}

unsigned int cases__all(struct rig_case *ret)
{
	struct rig_case *c = ret;
	int method;

	c = add(c, "floor/swap/fixed", KIND_SWAP, 1, RIG_FIXED);
	c = add(c, "floor/swap/random", KIND_SWAP, RIG_FLOWS_MAX, RIG_RANDOM);
	c = add(c, "floor/encap/fixed", KIND_ENCAP, 1, RIG_FIXED);
	for (method = 0; method < METHODS; method++) {
		c = add_established(c, method, PACKET_TCP);
		c = add_established(c, method, PACKET_UDP);
		c = add_balanced(c, method, PACKET_TCP, "new", KIND_NEW, RIG_FLOWS_MAX, RIG_NEW);
		c = add_balanced(c, method, PACKET_UDP, "new", KIND_NEW, RIG_FLOWS_MAX, RIG_NEW);
		c = add_balanced(c, method, PACKET_TCP, "flood", KIND_FLOOD, RIG_FLOWS_MAX,
				 RIG_NEW);
	}
	c = add(c, "pass/address/1", KIND_OTHER, 1, RIG_FIXED);
	c = add(c, "pass/address/random", KIND_OTHER, RIG_FLOWS_MAX, RIG_RANDOM);
	c = add(c, "pass/port/1", KIND_PORT, 1, RIG_FIXED);
	c = add(c, "pass/port/random", KIND_PORT, RIG_FLOWS_MAX, RIG_RANDOM);
	c = add(c, "pass/arp", KIND_ARP, 1, RIG_FIXED);
	c = add(c, "answer/echo", KIND_ECHO, 1, RIG_FIXED);
	return c - ret;
}

/* -- Packets ----------------------------------------------------------------------------------- */

static struct packet from_client(const struct rig_case *c, uint32_t i)
{
	struct packet packet = packet__make(c->proto, packet__client(i), packet__client_port(i),
					    LAB_HOST, VIP_PORT);

	if (c->kind == KIND_OTHER)
		packet.dst = LAB_STRANGER;
	if (c->kind == KIND_PORT)
		packet.dport = OTHER_PORT;
	if (c->kind == KIND_NEW || c->kind == KIND_FLOOD) {
		packet.flags = PACKET_SYN;
		packet.seq = 1000;
		packet.ack = 0;
	}
	return packet;
}

static struct packet from_backend(const struct rig_case *c, const struct rig_flow *flow)
{
	struct packet packet =
		packet__make(c->proto, ntohl(flow->backend), VIP_PORT, LAB_HOST, ntohs(flow->port));

	packet.seq = 5001;
	packet.ack = 1001;
	return packet;
}

/* As it leaves toward a backend. */
static struct packet to_backend(const struct packet *in, const struct rig_flow *flow)
{
	struct packet out = *in;

	out.src = LAB_HOST;
	out.dst = ntohl(flow->backend);
	out.sport = ntohs(flow->port);
	out.ttl--;
	lab__mac_of(out.dst, out.dmac);
	lab__mac_of(LAB_HOST, out.smac);
	return out;
}

static struct packet to_client(const struct packet *in, uint32_t i)
{
	struct packet out = *in;

	out.src = LAB_HOST;
	out.dst = packet__client(i);
	out.sport = VIP_PORT;
	out.dport = packet__client_port(i);
	out.ttl--;
	lab__mac_of(LAB_GATEWAY, out.dmac);
	lab__mac_of(LAB_HOST, out.smac);
	return out;
}

void case__frame(const struct rig *rig, const struct rig_case *c, struct rig_frame *ret)
{
	struct packet packet = from_client(c, 0);

	if (c->vary == RIG_LIST) {
		packet = from_backend(c, &rig->flows[0]);
		packet.src = 0;
		packet.dport = 0;
	} else if (c->vary != RIG_FIXED) {
		packet.src = 0;
		packet.sport = 0;
	}
	packet__frame(&packet, ret);
	if (c->kind == KIND_ARP)
		packet__arp(ret->bytes);
	if (c->kind == KIND_ECHO)
		packet__echo(ICMP_ECHO, packet__client(0), LAB_HOST, ret->bytes);
}

/* -- Checks ------------------------------------------------------------------------------------ */

/* An unknown flow's backend and port, as a fullnat packet shows them. */
static const char *learn(const uint8_t *out, size_t len, struct rig_flow *ret)
{
	if (len != RIG_FRAME_LEN)
		return "the packet's length has changed";
	memcpy(&ret->backend, out + 30, 4);
	memcpy(&ret->port, out + 34, 2);
	if (ntohl(ret->backend) - LAB_BACKEND >= LAB_BACKENDS)
		return "it was not sent to a backend";
	return ntohs(ret->port) < 1024 ? "the source port is below 1024" : NULL;
}

static const char *check_balanced(struct rig *rig, const struct rig_case *c, uint32_t i)
{
	struct packet in = from_client(c, i), expected;
	uint8_t bytes[RIG_FRAME_LEN], out[RIG_FRAME_LEN + 64];
	struct rig_flow flow = rig->flows[i % RIG_FLOWS_MAX];
	const char *wrong = NULL;
	uint32_t backend;
	size_t len;
	int answer;

	if (c->kind == KIND_OUT)
		in = from_backend(c, &flow);
	packet__build(&in, bytes);
	answer = rig__once(rig, bytes, out, sizeof(out), &len);
	if (c->kind == KIND_FLOOD && c->method == METHOD_FULLNAT)
		return answer == XDP_DROP ? NULL : "it is not dropped above the cap";
	if (answer != XDP_TX)
		return "the answer is not XDP_TX";
	if (c->method == METHOD_IPIP)
		return packet__expect_encap(out, len, bytes, &backend);
	if (c->kind == KIND_NEW)
		wrong = learn(out, len, &flow);
	expected = c->kind == KIND_OUT ? to_client(&in, i) : to_backend(&in, &flow);
	return wrong ? wrong : packet__expect(out, len, &expected);
}

static const char *check_passed(struct rig *rig, const struct rig_case *c)
{
	uint8_t out[RIG_FRAME_LEN + 64];
	struct rig_case one = *c;
	struct rig_frame frame;
	size_t len;

	one.vary = RIG_FIXED;
	case__frame(rig, &one, &frame);
	if (rig__once(rig, frame.bytes, out, sizeof(out), &len) != XDP_PASS)
		return "the answer is not XDP_PASS";
	return len != sizeof(frame.bytes) || memcmp(out, frame.bytes, len)
		       ? "it does not pass as it came"
		       : NULL;
}

static const char *check_answered(struct rig *rig, const struct rig_case *c)
{
	uint8_t out[RIG_FRAME_LEN + 64], expected[RIG_FRAME_LEN];
	struct rig_frame frame;
	size_t len;

	case__frame(rig, c, &frame);
	packet__echo(ICMP_ECHOREPLY, LAB_HOST, packet__client(0), expected);
	if (rig__once(rig, frame.bytes, out, sizeof(out), &len) != XDP_TX)
		return "the answer is not XDP_TX";
	return len != sizeof(expected) || memcmp(out, expected, len)
		       ? "it is not the echo's reply"
		       : NULL;
}

const char *case__check(struct rig *rig, const struct rig_case *c)
{
	const char *wrong = NULL;
	uint32_t i;

	if (c->kind == KIND_SWAP || c->kind == KIND_ENCAP)
		return NULL;
	if (c->kind == KIND_ECHO)
		return check_answered(rig, c);
	if (c->kind > KIND_FLOOD)
		return check_passed(rig, c);
	for (i = 0; c->kind == KIND_FLOOD && i < FLOOD; i++)
		check_balanced(rig, c, (1u << 29) + i);
	/* Spread over the flows; new ones beyond those that the wrapper sends. */
	for (i = 0; i < CHECKS && !wrong; i++)
		wrong = check_balanced(rig, c,
				       c->kind >= KIND_NEW ? (1u << 30) + i
							   : (uint64_t)c->flows * i / CHECKS);
	return wrong;
}

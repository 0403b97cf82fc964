// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Building and judging frames. */
#include "packet.h"

#include <stdbool.h>
#include <string.h>

#include "lab.h"

#define ETH_LEN 14
#define IP_LEN	20
#define TCP_LEN 20
#define UDP_LEN 8

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value);
}

static uint16_t get16(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}

/* Ones' complement sum of bytes (RFC 1071) on top of sum, folded. */
static uint16_t sum_of(const uint8_t *bytes, size_t len, uint32_t sum)
{
	size_t i;

	for (i = 0; i < len; i++)
		sum += i & 1 ? bytes[i] : (uint32_t)bytes[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Sum of a transport segment with its pseudo-header. */
static uint16_t sum_l4(const uint8_t *ip)
{
	size_t len = get16(ip + 2) - IP_LEN;

	return sum_of(ip + IP_LEN, len, sum_of(ip + 12, 8, ip[9] + len));
}

uint32_t packet__client(uint32_t i)
{
	return LAB_CLIENT + (i & 0xffff);
}

uint16_t packet__client_port(uint32_t i)
{
	return 1024 + (((i >> 16) + i) & 0x7fff);
}

/* Clients come by way of the gateway. */
static uint32_t neighbour_of(uint32_t ip)
{
	return ip >> 22 == LAB_CLIENT >> 22 ? LAB_GATEWAY : ip;
}

struct packet packet__make(uint8_t proto, uint32_t src, uint16_t sport, uint32_t dst,
			   uint16_t dport)
{
	struct packet packet = {
		.src = src,
		.dst = dst,
		.sport = sport,
		.dport = dport,
		.proto = proto,
		.ttl = 64,
		.flags = PACKET_ACK | PACKET_PSH,
		.seq = 1001,
		.ack = 5001,
	};

	lab__mac_of(neighbour_of(dst), packet.dmac);
	lab__mac_of(neighbour_of(src), packet.smac);
	return packet;
}

static void ip_build(uint8_t *ip, const struct packet *packet)
{
	ip[0] = 0x45;
	put16(ip + 2, RIG_FRAME_LEN - ETH_LEN);
	put16(ip + 4, 0x1234);
	put16(ip + 6, 0x4000); /* don't fragment */
	ip[8] = packet->ttl;
	ip[9] = packet->proto;
	put32(ip + 12, packet->src);
	put32(ip + 16, packet->dst);
	put16(ip + 10, ~sum_of(ip, IP_LEN, 0));
}

static size_t l4_build(uint8_t *l4, const struct packet *packet)
{
	put16(l4, packet->sport);
	put16(l4 + 2, packet->dport);
	if (packet->proto == PACKET_UDP) {
		put16(l4 + 4, RIG_FRAME_LEN - ETH_LEN - IP_LEN);
		return UDP_LEN;
	}
	put32(l4 + 4, packet->seq);
	put32(l4 + 8, packet->ack);
	l4[12] = TCP_LEN / 4 << 4;
	l4[13] = packet->flags;
	put16(l4 + 14, 0xfaf0);
	return TCP_LEN;
}

void packet__build(const struct packet *packet, uint8_t ret[RIG_FRAME_LEN])
{
	uint8_t *ip = ret + ETH_LEN, *l4 = ip + IP_LEN, *check;
	size_t i;

	memset(ret, 0, RIG_FRAME_LEN);
	memcpy(ret, packet->dmac, 6);
	memcpy(ret + 6, packet->smac, 6);
	put16(ret + 12, 0x0800);
	ip_build(ip, packet);
	for (i = ETH_LEN + IP_LEN + l4_build(l4, packet); i < RIG_FRAME_LEN; i++)
		ret[i] = i;
	check = l4 + (packet->proto == PACKET_UDP ? 6 : 16);
	put16(check, ~sum_l4(ip));
	if (packet->proto == PACKET_UDP && !get16(check))
		put16(check, 0xffff); /* RFC 768 */
}

void packet__frame(const struct packet *packet, struct rig_frame *ret)
{
	const uint8_t *ip = ret->bytes + ETH_LEN;
	uint16_t check;

	packet__build(packet, ret->bytes);
	memcpy(&check, ip + 10, 2);
	ret->ip_sum = (uint16_t)~check;
	memcpy(&check, ip + IP_LEN + (packet->proto == PACKET_UDP ? 6 : 16), 2);
	ret->l4_sum = (uint16_t)~check;
}

void packet__arp(uint8_t ret[RIG_FRAME_LEN])
{
	static const uint8_t request[] = { 0, 1, 8, 0, 6, 4, 0, 1 };

	memset(ret, 0, RIG_FRAME_LEN);
	memset(ret, 0xff, 6);
	lab__mac_of(LAB_BACKEND, ret + 6);
	put16(ret + 12, 0x0806);
	memcpy(ret + 14, request, sizeof(request));
	lab__mac_of(LAB_BACKEND, ret + 22);
	put32(ret + 28, LAB_BACKEND);
	put32(ret + 38, LAB_HOST);
}

void packet__echo(uint8_t type, uint32_t src, uint32_t dst, uint8_t ret[RIG_FRAME_LEN])
{
	struct packet packet = packet__make(1, src, type << 8, dst, 0);
	uint8_t *icmp = ret + ETH_LEN + IP_LEN;

	packet.flags = 0;
	packet__build(&packet, ret);
	memset(icmp + 2, 0, RIG_FRAME_LEN - ETH_LEN - IP_LEN - 2);
	icmp[5] = 7; /* identifier */
	put16(icmp + 2, ~sum_of(icmp, RIG_FRAME_LEN - ETH_LEN - IP_LEN, 0));
}

static const char *name_difference(size_t off)
{
	if (off < 12)
		return "the MACs are not those of the next hop";
	if (off < ETH_LEN + 12)
		return off == ETH_LEN + 8 ? "the TTL is not one less"
					  : "the IP header is not as expected (or its checksum)";
	if (off < ETH_LEN + IP_LEN)
		return "the addresses are not those expected";
	if (off < ETH_LEN + IP_LEN + 4)
		return "the ports are not those expected";
	return "the transport checksum or what it covers is wrong";
}

const char *packet__expect(const uint8_t *output, size_t len, const struct packet *expected)
{
	uint8_t bytes[RIG_FRAME_LEN];
	size_t off;

	packet__build(expected, bytes);
	if (len != RIG_FRAME_LEN)
		return "the packet's length has changed";
	for (off = 0; off < len; off++) {
		if (output[off] != bytes[off])
			return name_difference(off);
	}
	return NULL;
}

/* The inner packet as it came, or with one hop less (RFC 2003, 3.1, leaves both open). */
static bool is_inner(const uint8_t *ip, const uint8_t *input)
{
	uint8_t bytes[RIG_FRAME_LEN - ETH_LEN];

	memcpy(bytes, input + ETH_LEN, sizeof(bytes));
	if (!memcmp(ip, bytes, sizeof(bytes)))
		return true;
	bytes[8]--;
	put16(bytes + 10, 0);
	put16(bytes + 10, ~sum_of(bytes, IP_LEN, 0));
	return !memcmp(ip, bytes, sizeof(bytes));
}

const char *packet__expect_encap(const uint8_t *output, size_t len, const uint8_t *input,
				 uint32_t *ret_backend)
{
	const uint8_t *outer = output + ETH_LEN;
	uint8_t mac[6];

	if (len != RIG_FRAME_LEN + PACKET_OUTER)
		return "the packet is not longer by an outer header";
	if (get16(output + 12) != 0x0800 || outer[0] != 0x45 || outer[9] != 4)
		return "the outer header is not IPv4 with IPv4 inside";
	if (get16(outer + 2) != len - ETH_LEN)
		return "the outer header's length is wrong";
	if (get16(outer + 6) & 0xbfff)
		return "the outer header is a fragment's";
	if (!outer[8])
		return "the outer header's TTL is 0";
	if (sum_of(outer, IP_LEN, 0) != 0xffff)
		return "the outer header's checksum is wrong";
	if (!is_inner(outer + IP_LEN, input))
		return "the inner packet has changed";
	*ret_backend = get32(outer + 16);
	if (*ret_backend - LAB_BACKEND >= LAB_BACKENDS)
		return "it was not sent to a backend";
	if (!get32(outer + 12))
		return "the outer header has no source address";
	lab__mac_of(*ret_backend, mac);
	if (memcmp(output, mac, 6))
		return "the destination MAC is not the backend's";
	lab__mac_of(LAB_HOST, mac);
	return memcmp(output + 6, mac, 6) ? "the source MAC is not the balancer's" : NULL;
}

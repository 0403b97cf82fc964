/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Frames by description, and what the balancer has to make of them. Checksums are summed from
 * scratch, so they owe nothing to the arithmetic of the data path. Numbers are in host order.
 */
#ifndef RIG_PACKET_H
#define RIG_PACKET_H

#include <stddef.h>
#include <stdint.h>

#include "wrap.h"

#define PACKET_TCP 6
#define PACKET_UDP 17
#define PACKET_SYN 0x02
#define PACKET_PSH 0x08
#define PACKET_ACK 0x10

#define PACKET_OUTER 20 /* an IPv4 header around the packet */

struct packet {
	uint8_t dmac[6];
	uint8_t smac[6];
	uint32_t src;
	uint32_t dst;
	uint16_t sport;
	uint16_t dport;
	uint8_t proto;
	uint8_t ttl;
	uint8_t flags; /* TCP's */
	uint32_t seq;
	uint32_t ack;
};

/* From a client or backend to the balancer; MACs as they have there. */
struct packet packet__make(uint8_t proto, uint32_t src, uint16_t sport, uint32_t dst,
			   uint16_t dport);
void packet__build(const struct packet *packet, uint8_t ret[RIG_FRAME_LEN]);

/* The same with the sums that the wrapper needs. What it puts in has to be 0. */
void packet__frame(const struct packet *packet, struct rig_frame *ret);

void packet__arp(uint8_t ret[RIG_FRAME_LEN]);

/* type: ICMP_ECHO or ICMP_ECHOREPLY. */
void packet__echo(uint8_t type, uint32_t src, uint32_t dst, uint8_t ret[RIG_FRAME_LEN]);

/* Client i of the wrapper. */
uint32_t packet__client(uint32_t i);
uint16_t packet__client_port(uint32_t i);

/* NULL, or what is wrong: output is not the packet as it should leave the balancer. */
const char *packet__expect(const uint8_t *output, size_t len, const struct packet *expected);

/* The same for a packet in IPv4 to a backend, which *ret_backend names. */
const char *packet__expect_encap(const uint8_t *output, size_t len, const uint8_t *input,
				 uint32_t *ret_backend);

#endif

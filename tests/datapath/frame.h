/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Ethernet frames by description, of both families: an address is a number, IPv4's or the last word of
 * one in 2001:db8::/96. Checksums are summed from scratch, byte by byte, so that what a
 * test expects owes nothing to the arithmetic of the data path. Numbers are in host order.
 */
#ifndef FRAME_H
#define FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_MAX 3600

#define ETH_LEN	 14
#define IP_LEN	 20
#define IP6_LEN	 40
#define TCP_LEN	 20
#define UDP_LEN	 8
#define TCP	 6
#define UDP	 17
#define OUTER	 4 /* IPv4 in something */
#define OUTER6	 41
#define ICMP	 1
#define ICMPV6	 58
#define ICMP_LEN 8
#define FLAG_FIN 0x01
#define FLAG_SYN 0x02
#define FLAG_RST 0x04
#define FLAG_PSH 0x08
#define FLAG_ACK 0x10

#define GUE_LEN	 12 /* with UDP */
#define GUE_PORT 6080

#define EXTENSIONS 12

/* The family that frames are made of, and that all numbers of addresses stand for. */
extern bool frame_v6;

enum frame_csum {
	CSUM_COMPLETE,
	CSUM_PARTIAL, /* the folded pseudo-header sum, the rest is left to the device */
	CSUM_NONE,    /* UDP: the sender made none */
};

struct frame {
	uint8_t dmac[6];
	uint8_t smac[6];
	uint16_t eth_type;
	uint32_t src;
	uint32_t dst;
	uint16_t sport;
	uint16_t dport;
	uint8_t proto;
	uint8_t ttl;
	uint8_t tos;
	uint8_t flags; /* TCP's */
	uint32_t id; /* of IPv6, the flow label */
	uint16_t frag; /* flags and offset */
	uint16_t window;
	uint32_t seq;
	uint32_t ack;
	uint16_t ip_options; /* bytes, a multiple of 4; IPv4 only */
	bool v6;
	uint8_t extensions[EXTENSIONS]; /* their types (RFC 8200, 4.1), up to the first zero ... */
	bool hop_by_hop;		/* ... behind one of type zero */
	uint16_t extension_len;		/* of each, a multiple of 8; 0: 8 */
	uint16_t tcp_options;
	uint16_t payload;
	uint16_t whole; /* 0, or a fragment of a datagram with this payload: then payload is ... */
	uint16_t at;	/* ... all bytes behind the IP header, which begin here in the segment */
	uint32_t frag_id; /* of IPv6; 0: id */
	uint32_t seed;	  /* of the payload */
	int word;	  /* first two bytes of the payload; -1: as the seed says */
	uint16_t padding; /* behind the IP packet */
	enum frame_csum csum;
	uint32_t outer_label;
	uint32_t outer_src; /* 0: no outer header (RFC 2003, RFC 2473) */
	uint32_t outer_dst;
	bool outer_v6;
	uint16_t outer_sport; /* 0: no UDP in the outer header; else GUE */

	/* Deviations. Checksums of IP hold in spite of them, unless *_error is added to them. */
	int version;
	int ihl; /* -1: the right one; so below */
	int doff;
	int tot_len;
	int udp_len;
	int cut; /* length of the frame */
	uint16_t csum_error;
	uint16_t ip_csum_error;
};

struct frame frame__make(uint8_t proto, uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport);

/* Writes the frame's bytes, at most FRAME_MAX, and answers how many. */
size_t frame__build(const struct frame *frame, uint8_t *ret);

/* An ICMP message of the family. data: behind its header; summed: if not NULL, for the checksum. */
struct frame_icmp {
	uint8_t type;
	uint8_t code;
	uint32_t rest;
	const uint8_t *data, *summed;
	size_t len;
};

/* The same for a packet that holds this; about says all but what is ICMP's. */
size_t frame__build_icmp(const struct frame *about, const struct frame_icmp *icmp, uint8_t *ret);

/* Big-endian ones' complement sum (RFC 1071) of bytes on top of sum, folded. */
uint16_t frame__sum(const uint8_t *bytes, size_t len, uint32_t sum);

/* Makes the partial checksum of its first len bytes complete, as a device does. */
void frame__complete(const struct frame *frame, uint8_t *bytes, size_t len);

size_t frame__l4_len(const struct frame *frame);

/* Of the IP header, with what belongs to it. */
size_t frame__ip_len(const struct frame *frame);

/* The numbers of a packet's addresses. */
uint32_t frame__src(const uint8_t *ip);
uint32_t frame__dst(const uint8_t *ip);

/*
 * Makes the complete checksum equal to the folded pseudo-header sum, by the payload's first word:
 * what one packet in 65536 is by chance. Needs a payload of two bytes.
 */
void frame__make_ambiguous(struct frame *frame);

/* Makes the complete checksum come out as want. */
void frame__aim_csum(struct frame *frame, uint16_t want);

#endif

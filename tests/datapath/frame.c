// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Builds frames from descriptions. */
#include "frame.h"

#include <string.h>

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = value >> 8;
	at[1] = value & 0xff;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value & 0xffff);
}

struct frame frame__make(uint8_t proto, uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport)
{
	return (struct frame){
		.eth_type = 0x0800,
		.src = src,
		.dst = dst,
		.sport = sport,
		.dport = dport,
		.proto = proto,
		.ttl = 64,
		.id = 0x1234,
		.frag = 0x4000,
		.window = 502,
		.seed = 1,
		.word = -1,
		.version = 4,
		.ihl = -1,
		.doff = -1,
		.tot_len = -1,
		.udp_len = -1,
		.cut = -1,
	};
}

uint16_t frame__sum(const uint8_t *bytes, size_t len, uint32_t sum)
{
	size_t i;

	for (i = 0; i < len; i++) {
		sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

static uint16_t add(uint16_t a, uint16_t b)
{
	uint32_t sum = (uint32_t)a + b;

	return (sum & 0xffff) + (sum >> 16);
}

static size_t l4_header_len(const struct frame *frame)
{
	if (frame->proto == TCP)
		return TCP_LEN + frame->tcp_options;
	return frame->proto == UDP ? UDP_LEN : 0;
}

size_t frame__l4_len(const struct frame *frame)
{
	return l4_header_len(frame) + frame->payload;
}

static uint16_t pseudo_sum(const struct frame *frame)
{
	uint8_t header[12];

	put32(header, frame->src);
	put32(header + 4, frame->dst);
	put16(header + 8, frame->proto);
	put16(header + 10, frame__l4_len(frame));
	return frame__sum(header, sizeof(header), 0);
}

static void build_payload(const struct frame *frame, uint8_t *at)
{
	uint32_t state = frame->seed * 2654435761u + 1;
	size_t i;

	for (i = 0; i < frame->payload; i++) {
		state = state * 1664525 + 1013904223;
		at[i] = state >> 24;
	}
	if (frame->word >= 0 && frame->payload >= 2)
		put16(at, frame->word);
}

static void build_csum(const struct frame *frame, uint8_t *l4, uint8_t *field)
{
	uint16_t sum = pseudo_sum(frame);

	if (frame->csum == CSUM_NONE)
		return;
	if (frame->csum == CSUM_PARTIAL) {
		put16(field, add(sum, frame->csum_error));
		return;
	}
	sum = ~frame__sum(l4, frame__l4_len(frame), sum);
	if (frame->proto == UDP && !sum)
		sum = 0xffff;
	put16(field, frame->csum_error ? add(sum, frame->csum_error) : sum);
}

static void build_l4(const struct frame *frame, uint8_t *l4)
{
	size_t header_len = l4_header_len(frame);
	int doff = frame->doff < 0 ? (int)(header_len / 4) : frame->doff;
	int udp_len = frame->udp_len < 0 ? (int)frame__l4_len(frame) : frame->udp_len;

	memset(l4, 0, header_len);
	build_payload(frame, l4 + header_len);
	if (frame->proto != TCP && frame->proto != UDP)
		return;
	put16(l4, frame->sport);
	put16(l4 + 2, frame->dport);
	if (frame->proto == UDP) {
		put16(l4 + 4, udp_len);
		build_csum(frame, l4, l4 + 6);
		return;
	}
	put32(l4 + 4, frame->seq);
	put32(l4 + 8, frame->ack);
	l4[12] = doff << 4;
	l4[13] = frame->flags;
	put16(l4 + 14, frame->window);
	memset(l4 + TCP_LEN, 1, frame->tcp_options); /* no operation */
	build_csum(frame, l4, l4 + 16);
}

static void build_ip(const struct frame *frame, uint8_t *ip, size_t ip_len, size_t len)
{
	int ihl = frame->ihl < 0 ? (int)(ip_len / 4) : frame->ihl;

	memset(ip, 0, ip_len);
	ip[0] = frame->version << 4 | ihl;
	ip[1] = frame->tos;
	put16(ip + 2, frame->tot_len < 0 ? (int)len : frame->tot_len);
	put16(ip + 4, frame->id);
	put16(ip + 6, frame->frag);
	ip[8] = frame->ttl;
	ip[9] = frame->proto;
	put32(ip + 12, frame->src);
	put32(ip + 16, frame->dst);
	memset(ip + IP_LEN, 1, frame->ip_options);
	put16(ip + 10, add(~frame__sum(ip, ip_len, 0), frame->ip_csum_error));
}

/* Answers the length of the outer header. */
static size_t build_outer(const struct frame *frame, uint8_t *ip, size_t inner_len)
{
	struct frame outer = frame__make(OUTER, frame->outer_src, 0, frame->outer_dst, 0);

	if (!frame->outer_src)
		return 0;
	outer.tos = frame->tos;
	outer.id = 0;
	outer.tot_len = IP_LEN + (frame->tot_len < 0 ? (int)inner_len : frame->tot_len);
	build_ip(&outer, ip, IP_LEN, 0);
	return IP_LEN;
}

size_t frame__build(const struct frame *frame, uint8_t *ret)
{
	size_t ip_len = IP_LEN + frame->ip_options, len = ip_len + frame__l4_len(frame);
	uint8_t *ip = ret + ETH_LEN;

	memcpy(ret, frame->dmac, 6);
	memcpy(ret + 6, frame->smac, 6);
	put16(ret + 12, frame->eth_type);
	ip += build_outer(frame, ip, len);
	build_ip(frame, ip, ip_len, len);
	build_l4(frame, ip + ip_len);
	memset(ip + len, 0xee, frame->padding);
	len += ip - ret + frame->padding;
	return frame->cut >= 0 && (size_t)frame->cut < len ? (size_t)frame->cut : len;
}

void frame__aim_csum(struct frame *frame, uint16_t want)
{
	uint8_t bytes[FRAME_MAX], *l4 = bytes + ETH_LEN + IP_LEN + frame->ip_options;
	uint16_t now;

	/* Each unit more in a word of the payload is one less in the checksum. */
	frame->word = 0;
	frame__build(frame, bytes);
	memset(l4 + (frame->proto == TCP ? 16 : 6), 0, 2);
	now = ~frame__sum(l4, frame__l4_len(frame), pseudo_sum(frame));
	frame->word = add(now, ~want);
}

void frame__make_ambiguous(struct frame *frame)
{
	frame__aim_csum(frame, pseudo_sum(frame));
}

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Builds frames from descriptions. */
#include "frame.h"

#include <string.h>

#define HOP_BY_HOP 0
#define ROUTING	   43
#define FRAGMENT   44

bool frame_v6;

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
		.eth_type = frame_v6 ? 0x86dd : 0x0800,
		.v6 = frame_v6,
		.src = src,
		.dst = dst,
		.sport = sport,
		.dport = dport,
		.proto = proto,
		.ttl = 64,
		.id = 0x1234,
		.frag = frame_v6 ? 0 : 0x4000,
		.window = 502,
		.seed = 1,
		.word = -1,
		.version = frame_v6 ? 6 : 4,
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
	return frame->whole ? frame->payload : l4_header_len(frame) + frame->payload;
}

static size_t extensions_n(const struct frame *frame)
{
	size_t n = frame->hop_by_hop;

	while (n < EXTENSIONS && frame->extensions[n])
		n++;
	return n;
}

static size_t extension_len(const struct frame *frame)
{
	return frame->extension_len ? frame->extension_len : 8;
}

size_t frame__ip_len(const struct frame *frame)
{
	if (frame->v6)
		return IP6_LEN + extensions_n(frame) * extension_len(frame);
	return IP_LEN + frame->ip_options;
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3];
}

uint32_t frame__src(const uint8_t *ip)
{
	return get32(ip + (ip[0] >> 4 == 6 ? 20 : 12));
}

uint32_t frame__dst(const uint8_t *ip)
{
	return get32(ip + (ip[0] >> 4 == 6 ? 36 : 16));
}

static void put_v6(uint8_t *at, uint32_t number)
{
	memset(at, 0, 12);
	put32(at, 0x20010db8);
	put32(at + 12, number);
}

/* RFC 9293, 3.1, and RFC 8200, 8.1. */
static uint16_t pseudo_sum(const struct frame *frame)
{
	uint8_t header[40] = {};

	if (frame->v6) {
		put_v6(header, frame->src);
		put_v6(header + 16, frame->dst);
		put32(header + 32, frame__l4_len(frame));
		put32(header + 36, frame->proto);
		return frame__sum(header, sizeof(header), 0);
	}
	put32(header, frame->src);
	put32(header + 4, frame->dst);
	put16(header + 8, frame->proto);
	put16(header + 10, frame__l4_len(frame));
	return frame__sum(header, 12, 0);
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

static void build_l4(const struct frame *frame, uint8_t *l4);

/* A part of the whole segment, whose checksum is in its first. */
static void build_piece(const struct frame *frame, uint8_t *l4)
{
	struct frame whole = *frame;
	uint8_t bytes[FRAME_MAX];

	whole.whole = 0;
	whole.payload = frame->whole;
	build_l4(&whole, bytes);
	memcpy(l4, bytes + frame->at, frame->payload);
}

static void build_l4(const struct frame *frame, uint8_t *l4)
{
	size_t header_len = l4_header_len(frame);
	int doff = frame->doff < 0 ? (int)(header_len / 4) : frame->doff;
	int udp_len = frame->udp_len < 0 ? (int)frame__l4_len(frame) : frame->udp_len;

	if (frame->whole) {
		build_piece(frame, l4);
		return;
	}
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

/* Options are padding; the fragment header says what frame->frag does, as IPv4 would. */
static void build_extensions(const struct frame *frame, uint8_t *at)
{
	size_t i, n = extensions_n(frame), len = extension_len(frame);

	for (i = 0; i < n; i++, at += len) {
		memset(at, 0, len);
		at[0] = i + 1 < n ? frame->extensions[i + 1] : frame->proto;
		if (frame->extensions[i] == FRAGMENT) {
			put16(at + 2, frame->frag << 3 | (frame->frag & 0x2000 ? 1 : 0));
			put32(at + 4, frame->frag_id ? frame->frag_id : frame->id);
			continue;
		}
		at[1] = len / 8 - 1;
		if (frame->extensions[i] != ROUTING) {
			at[2] = 1; /* PadN */
			at[3] = len - 4;
		}
	}
}

static void build_ip6(const struct frame *frame, uint8_t *ip, size_t len)
{
	memset(ip, 0, IP6_LEN);
	put32(ip, (uint32_t)frame->version << 28 | frame->tos << 20 | frame->id);
	put16(ip + 4, frame->tot_len < 0 ? (int)(len - IP6_LEN) : frame->tot_len);
	ip[6] = extensions_n(frame) ? frame->extensions[0] : frame->proto;
	ip[7] = frame->ttl;
	put_v6(ip + 8, frame->src);
	put_v6(ip + 24, frame->dst);
	build_extensions(frame, ip + IP6_LEN);
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
	struct frame outer = frame__make(frame->v6 ? OUTER6 : OUTER, frame->outer_src, 0,
					 frame->outer_dst, 0);
	size_t gue_len = frame->outer_sport ? GUE_LEN : 0;

	if (!frame->outer_src)
		return 0;
	if (gue_len)
		outer.proto = UDP;
	if (frame->tot_len >= 0)
		inner_len = frame->tot_len + (frame->v6 ? IP6_LEN : 0);
	outer.tos = frame->tos;
	outer.id = 0;
	if (frame->outer_v6) {
		outer.version = 6;
		outer.id = frame->outer_label;
		build_ip6(&outer, ip, IP6_LEN + gue_len + inner_len);
		return IP6_LEN + gue_len;
	}
	outer.version = 4;
	outer.frag = 0x4000;
	build_ip(&outer, ip, IP_LEN, IP_LEN + gue_len + inner_len);
	return IP_LEN + gue_len;
}

/* The UDP of GUE in front of an inner packet, from the bytes that this is or has to become. */
static void build_gue(const struct frame *frame, uint8_t *gue, const uint8_t *inner, size_t len)
{
	uint8_t pseudo[32];
	uint16_t check;

	put16(gue, frame->outer_sport);
	put16(gue + 2, GUE_PORT);
	put16(gue + 4, GUE_LEN + len);
	put16(gue + 6, 0);
	put32(gue + 8, (uint32_t)(frame->v6 ? OUTER6 : OUTER) << 16);
	if (!frame->outer_v6)
		return;
	put_v6(pseudo, frame->outer_src);
	put_v6(pseudo + 16, frame->outer_dst);
	check = frame__sum(pseudo, sizeof(pseudo), UDP + GUE_LEN + len);
	check = ~frame__sum(inner, len, frame__sum(gue, GUE_LEN, check));
	put16(gue + 6, check ? check : 0xffff);
}

/* Its checksum holds for the inner packet as it was: whoever damaged that one did so later. */
static void build_gue_sound(const struct frame *frame, uint8_t *gue, size_t len)
{
	struct frame sound = *frame;
	uint8_t inner[FRAME_MAX];

	sound.outer_src = 0;
	sound.csum_error = 0;
	if (sound.csum == CSUM_PARTIAL)
		sound.csum = CSUM_COMPLETE;
	frame__build(&sound, inner);
	build_gue(frame, gue, inner + ETH_LEN, len);
}

size_t frame__build(const struct frame *frame, uint8_t *ret)
{
	size_t ip_len = frame__ip_len(frame), len = ip_len + frame__l4_len(frame);
	uint8_t *ip = ret + ETH_LEN;

	memcpy(ret, frame->dmac, 6);
	memcpy(ret + 6, frame->smac, 6);
	put16(ret + 12, !frame->outer_src ? frame->eth_type :
			frame->outer_v6	  ? 0x86dd :
					    0x0800);
	ip += build_outer(frame, ip, len);
	if (frame->v6)
		build_ip6(frame, ip, len);
	else
		build_ip(frame, ip, ip_len, len);
	build_l4(frame, ip + ip_len);
	if (frame->outer_src && frame->outer_sport)
		build_gue_sound(frame, ip - GUE_LEN, len);
	memset(ip + len, 0xee, frame->padding);
	len += ip - ret + frame->padding;
	return frame->cut >= 0 && (size_t)frame->cut < len ? (size_t)frame->cut : len;
}

void frame__aim_csum(struct frame *frame, uint16_t want)
{
	uint8_t bytes[FRAME_MAX], *l4 = bytes + ETH_LEN + frame__ip_len(frame);
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

size_t frame__build_icmp(const struct frame *about, const struct frame_icmp *icmp, uint8_t *ret)
{
	struct frame frame = *about;
	uint8_t *at, pseudo[32] = {};
	uint16_t sum = 0;
	size_t len;

	frame.proto = frame.v6 ? ICMPV6 : ICMP;
	frame.payload = ICMP_LEN + icmp->len;
	len = frame__build(&frame, ret);
	at = ret + len - frame.padding - frame.payload;
	memset(at, 0, ICMP_LEN);
	at[0] = icmp->type;
	at[1] = icmp->code;
	put32(at + 4, icmp->rest);
	memcpy(at + ICMP_LEN, icmp->summed ? icmp->summed : icmp->data, icmp->len);
	if (frame.v6) {
		put_v6(pseudo, frame.src);
		put_v6(pseudo + 16, frame.dst);
		sum = frame__sum(pseudo, sizeof(pseudo), frame.proto + frame.payload);
	}
	put16(at + 2, ~frame__sum(at, frame.payload, sum));
	memcpy(at + ICMP_LEN, icmp->data, icmp->len);
	at -= frame__ip_len(&frame);
	if (frame.outer_src && frame.outer_sport)
		build_gue(&frame, at - GUE_LEN, at, frame__ip_len(&frame) + frame.payload);
	return len;
}

void frame__complete(const struct frame *frame, uint8_t *bytes, size_t len)
{
	uint8_t *l4 = bytes + ETH_LEN + frame__ip_len(frame);
	uint8_t *field = l4 + (frame->proto == TCP ? 16 : 6);

	put16(field, ~frame__sum(l4, len - (l4 - bytes), 0)); /* over the pseudo header's in it */
}

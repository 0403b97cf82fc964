/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Packets as the rig's BPF programs write them: a frame, with a client or a reply put in. */
#ifndef RIG_SOURCE_H
#define RIG_SOURCE_H

#include <linux/if_ether.h>
#include <linux/in.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "wrap.h"

#define CLIENTS_BASE 0x64400000 /* 100.64.0.0, see lab.h */
#define IP_OFF	     ETH_HLEN
#define L4_OFF	     (ETH_HLEN + 20)

/* Address and port of client i; all differ below 2^31. */
static __always_inline __be32 client_addr(__u32 i)
{
	return bpf_htonl(CLIENTS_BASE + (i & 0xffff));
}

static __always_inline __be16 client_port(__u32 i)
{
	return bpf_htons(1024 + (((i >> 16) + i) & 0x7fff));
}

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

#define WORD(at, off) (*(__u32 *)((void *)(at) + (off)))
#define HALF(at, off) (*(__u16 *)((void *)(at) + (off)))

/*
 * By fields and words of the IP header on, and never parts of them: a program that reads a word of
 * which two stores are under way waits for them, which no packet from a device makes it do.
 */
static __always_inline void frame_copy(void *data, const struct rig_frame *frame)
{
	int off;

	WORD(data, 0) = WORD(frame->bytes, 0);
	HALF(data, 4) = HALF(frame->bytes, 4);
	WORD(data, 6) = WORD(frame->bytes, 6);
	HALF(data, 10) = HALF(frame->bytes, 10);
	HALF(data, 12) = HALF(frame->bytes, 12);
#pragma unroll
	for (off = ETH_HLEN; off < RIG_FRAME_LEN - 2; off += 4)
		WORD(data, off) = WORD(frame->bytes, off);
	HALF(data, RIG_FRAME_LEN - 2) = HALF(frame->bytes, RIG_FRAME_LEN - 2);
}

/* Little-endian, as the machines are that this was written for. */
static __always_inline __u32 ports_word(const struct rig_frame *frame, __be16 port, int which)
{
	__u32 ports = WORD(frame->bytes, L4_OFF);

	return which ? (ports & 0xffff) | (__u32)port << 16 : (ports & 0xffff0000) | port;
}

/* Puts in the source address, one port (0: source, 1: destination), and both checksums. */
static __always_inline void frame_put(void *data, const struct rig_frame *frame, __be32 addr,
				      __be16 port, int which)
{
	__u32 check = (__u16)~fold((__u64)frame->l4_sum + addr + port);
	__u32 ip_check = (__u16)~fold((__u64)frame->ip_sum + addr);

	WORD(data, IP_OFF + 8) = (WORD(frame->bytes, IP_OFF + 8) & 0xffff) | ip_check << 16;
	WORD(data, IP_OFF + 12) = addr;
	WORD(data, L4_OFF) = ports_word(frame, port, which);
	if (frame->bytes[IP_OFF + 9] == IPPROTO_TCP)
		WORD(data, L4_OFF + 16) = check; /* the urgent pointer is 0 */
	else
		WORD(data, L4_OFF + 4) = (WORD(frame->bytes, L4_OFF + 4) & 0xffff) | check << 16;
}

static __always_inline __u32 xorshift(__u32 x)
{
	x ^= x << 13;
	x ^= x >> 17;
	return x ^ x << 5;
}

#endif

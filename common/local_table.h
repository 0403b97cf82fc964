/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * lb_locals, a hash table with open addressing in an array: which addresses are ours, and which of
 * their ports may be a VIP's. One probe tells most packets that aren't for us. Written by lbctl
 * alone, while packets read it.
 */
#ifndef LOCAL_TABLE_H
#define LOCAL_TABLE_H

#include "hash.h"
#include "lb_abi.h"

#define LOCAL_BITS   14
#define LOCAL_SLOTS  (1 << LOCAL_BITS) /* four times LB_MAX_LOCALS */
#define LOCAL_PROBES 16

static inline __u32 local_slot(const struct lb_addr *addr, __u32 probe)
{
	__u64 h = addr->q[0] * LB_HASH_K1 + addr->q[1] * LB_HASH_K2;

	return ((__u32)(h >> (64 - LOCAL_BITS)) + probe) & (LOCAL_SLOTS - 1);
}

/* Bit of a VIP's port in lb_local.ports; a wildcard VIP has them all. */
static inline __u64 local_port_bit(__be16 port, __u8 ip_proto)
{
	return 1ULL << (((__u32)(port ^ (__u16)ip_proto << 5) * 0x9e3779b1u) >> 26);
}

#endif

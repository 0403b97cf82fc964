/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Hashes of flows: pure code, the same in the data path and in tests. */
#ifndef LB_HASH_H
#define LB_HASH_H

#include "lb_abi.h"

/* Odd constants from the fraction of the golden ratio and of sqrt(2). */
#define LB_HASH_K1 0x9e3779b97f4a7c15ULL
#define LB_HASH_K2 0x6a09e667f3bcc909ULL

/* One multiply-and-fold round; every input bit reaches the low half of the next round. */
static inline __u64 lb_hash_mix(__u64 h, __u64 word)
{
	h = (h ^ word) * LB_HASH_K1;
	return h ^ (h >> 29);
}

static inline __u64 lb_hash_addr(__u64 h, const struct lb_addr *addr)
{
	h = lb_hash_mix(h, ((__u64)addr->w[0] << 32) | addr->w[1]);
	return lb_hash_mix(h, ((__u64)addr->w[2] << 32) | addr->w[3]);
}

/*
 * Hash of a client's 5-tuple. The same on every balancer, so that several with the same backends
 * choose alike: no seed, no local numbers. The low half picks the Maglev slot, the high half where
 * the search for a source port starts.
 */
static inline __u64 lb_hash_5tuple(const struct lb_addr *src, __be16 sport,
				   const struct lb_addr *dst, __be16 dport, __u8 ip_proto)
{
	__u64 h = lb_hash_addr(LB_HASH_K2, src);

	h = lb_hash_addr(h, dst);
	h = lb_hash_mix(h, ((__u64)ip_proto << 32) | ((__u32)sport << 16) | dport);
	return lb_hash_mix(h, LB_HASH_K2);
}

/* Of the client's address alone: all its flows go to one backend. The same on every balancer, too. */
static inline __u64 lb_hash_source(const struct lb_addr *src)
{
	return lb_hash_mix(lb_hash_addr(LB_HASH_K2, src), LB_HASH_K2);
}

#endif

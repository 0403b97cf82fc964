/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Internet checksum arithmetic (RFC 1071, incremental update RFC 1624), pure code. A sum is a
 * 64-bit accumulator of words as they lie in memory; it is folded once, at the end.
 */
#ifndef LB_CSUM_H
#define LB_CSUM_H

#include "lb_abi.h"

/* Of a sum below 2^48. */
static inline __u16 csum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32); /* below 2^33 */
	sum = (sum & 0xffff) + (sum >> 16);	/* below 2^18 */
	sum = (sum & 0xffff) + (sum >> 16);	/* at most 0x10002 */
	return (__u16)((sum & 0xffff) + (sum >> 16));
}

/* What replacing one word by another adds to a sum (RFC 1624: ~m + m'). */
static inline __u64 csum_replace32(__be32 from, __be32 to)
{
	return (__u64)(__u32)~from + to;
}

static inline __u64 csum_replace16(__be16 from, __be16 to)
{
	return (__u64)(__u16)~from + to;
}

/*
 * Mapped IPv4 addresses share the other words: these cancel out, and 0xffff, which is 0 to a sum of
 * ones' complements, adds nothing.
 */
static inline __u64 csum_replace_addr(const struct lb_addr *from, const struct lb_addr *to, int v4)
{
	__u64 sum = csum_replace32(from->w[3], to->w[3]);

	if (!v4)
		sum += csum_replace32(from->w[0], to->w[0]) +
		       csum_replace32(from->w[1], to->w[1]) + csum_replace32(from->w[2], to->w[2]);
	return sum;
}

static inline __u64 csum_addr(const struct lb_addr *addr, int v4)
{
	return v4 ? addr->w[3] : (__u64)addr->w[0] + addr->w[1] + addr->w[2] + addr->w[3];
}

#endif

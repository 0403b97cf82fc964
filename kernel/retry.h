/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * SYNs that a limit has turned away: who sends one again, as every client does after a second (RFC 6298,
 * 2.1), is one that waits for an answer. Spoofed ones are each of another sender. (docs/adr/0017)
 */
#ifndef LB_RETRY_H
#define LB_RETRY_H

#include "maps.h"
#include "pkt.h"

/* Time in units of 16 to 64 ms, of which 16 bits are kept. */
static __always_inline __u32 retry_units(__u32 jiffies)
{
	return jiffies >> (lb_config.tick_shift - 4);
}

/*
 * Has this SYN been turned away before, half a second to 16 seconds ago? Else it is noted now, in the place
 * of the oldest of its set. Not static, so that the verifier looks at it once.
 */
__noinline int retry_is(void)
{
	struct lb_scratch *scratch = scratch_get();
	__u32 index, now, tag, age, i, oldest = 0, oldest_age = 0;
	struct lb_syn_set *set;
	struct lb_pkt *pkt;

	if (!scratch)
		return 0;
	pkt = &scratch->pkt;
	index = pkt->hash >> (64 - LB_SYN_BITS);
	set = bpf_map_lookup_elem(&lb_syns, &index);
	if (!set)
		return 0;
	now = retry_units(pkt->now);
	tag = (__u32)(pkt->hash >> 16) ^ pkt->tcp_seq * 0x9e3779b1u;
	for (i = 0; i < LB_SYN_WAYS; i++) {
		age = (now - set->seen[i]) & 0xffff;
		if (!((set->seen[i] ^ tag) >> 16) && age < retry_units(16 * lb_config.hz))
			return age >= retry_units(lb_config.hz / 2);
		if (age >= oldest_age) {
			oldest_age = age;
			oldest = i;
		}
	}
	set->seen[oldest & (LB_SYN_WAYS - 1)] = (tag & 0xffff0000) | (now & 0xffff);
	return 0;
}

#endif

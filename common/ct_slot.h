/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Slots of the flow table: what the bits of ct_flow.ctl mean, where a key's slots are, how halves
 * and keys belong together. Pure code for the data path, lbctl and the tests. How the table works,
 * and its races: ARCHITECTURE.md.
 */
#ifndef CT_SLOT_H
#define CT_SLOT_H

#include "hash.h"
#include "lb_abi.h"

/*
 *  31          21 20 18 17 15  14  13..12 11..9    8..6    5..3     2    1..0
 * +--------------+-----+-----+----+------+--------+-------+-------+-----+-----+
 * |   version    | away| near|lock|which |distance| phase | phase |half-|state|
 * |              |     |     |    | set  |        |  out  |  in   |open |     |
 * +--------------+-----+-----+----+------+--------+-------+-------+-----+-----+
 *                |<--- place --->|<------------------ half ------------------>|
 *
 * The bits of the half are changed by compare and swap, which fails when the version is another:
 * then the slot is another half's. Those of the place outlive its halves: a lock for creating halves
 * whose home slot this is, and how many of these live in other ways of the set, or in other sets.
 */
#define CT_STATE_MASK 0x3u
#define CT_FREE	      0x0u
#define CT_BUSY	      0x1u /* claimed, being written or given up */
#define CT_LIVE	      0x3u
#define CT_HALF_OPEN  0x4u /* not established yet, or closed: goes first */

#define CT_PHASE_IN_SHIFT  3
#define CT_PHASE_OUT_SHIFT 6
#define CT_PHASES_MASK	   (0x3fu << CT_PHASE_IN_SHIFT)
#define CT_DISTANCE_SHIFT  9 /* ways from where its search begins */
#define CT_WHICH_SHIFT	   12 /* which of the key's sets; 0: home */
#define CT_AWAY		   (3u << CT_WHICH_SHIFT)
#define CT_LOCK		   0x4000u
#define CT_NEAR_ONE	   0x8000u
#define CT_NEAR_MASK	   (7 * CT_NEAR_ONE)
#define CT_AWAY_ONE	   0x40000u
#define CT_AWAY_MASK	   (7 * CT_AWAY_ONE) /* 7: or more, forever */
#define CT_PLACE_MASK	   (CT_LOCK | CT_NEAR_MASK | CT_AWAY_MASK)
#define CT_VERSION_ONE	   0x200000u
#define CT_VERSION_MASK	   (0x7ffu * CT_VERSION_ONE)

static inline __u32 ct_phase_shift(__u32 dir)
{
	return dir == CT_DIR_IN ? CT_PHASE_IN_SHIFT : CT_PHASE_OUT_SHIFT;
}

static inline __u8 ct_phase(__u32 ctl, __u32 dir)
{
	return (ctl >> ct_phase_shift(dir)) & 7;
}

static inline __u32 ct_phases(__u8 in, __u8 out)
{
	return (__u32)in << CT_PHASE_IN_SHIFT | (__u32)out << CT_PHASE_OUT_SHIFT;
}

static inline __u32 ct_distance(__u32 ctl)
{
	return (ctl >> CT_DISTANCE_SHIFT) & (CT_WAYS - 1);
}

static inline __u32 ct_which(__u32 ctl)
{
	return (ctl >> CT_WHICH_SHIFT) & (CT_SETS - 1);
}

#define CT_HOLDER_MASK (CT_VERSION_MASK | CT_STATE_MASK)

/* Does another half hold the slot by now? */
static inline int ct_changed_hands(__u32 before, __u32 now)
{
	return ((before ^ now) & CT_HOLDER_MASK) != 0;
}

#define CT_KIND_NAT 0x80 /* the method once more, as a bit: branches cost the verifier dearly */

static inline __u8 ct_kind(__u8 dir, __u8 method)
{
	return dir | method << 1 | (method == LB_METHOD_NAT ? CT_KIND_NAT : 0);
}

static inline __u8 ct_dir(const struct ct_flow *flow)
{
	return flow->kind & 1;
}

static inline __u8 ct_method(const struct ct_flow *flow)
{
	return (flow->kind & ~CT_KIND_NAT) >> 1;
}

/* Methods whose replies pass here: their flows have two halves. */
static inline int ct_pairs(__u8 method)
{
	return method <= LB_METHOD_NAT;
}

static inline __u8 ct_ends_proto(__u64 ends)
{
	struct ct_key key;

	key.ends = ends;
	return key.ip_proto;
}

/* Where a key's half may be: any way of four sets, first the home slot. */
struct ct_place {
	__u32 set;
	__u32 way;
};

/* 48 bits of each: the volume's upper 16 are the packets'. */
#define CT_VOLUME_BITS 48

static inline __u64 ct_packets(const struct ct_flow *flow)
{
	return flow->volume >> CT_VOLUME_BITS << 32 | flow->packets;
}

static inline __u64 ct_bytes(const struct ct_flow *flow)
{
	return flow->volume & ((1ULL << CT_VOLUME_BITS) - 1);
}

static inline void ct_count(struct ct_flow *flow, __u32 bytes)
{
	if (!++flow->packets)
		flow->volume += 1ULL << CT_VOLUME_BITS;
	flow->volume += bytes;
}

/*
 * TCP's sequence numbers in blocks of 64 KiB: is this one near the last that this half's sender has used? A
 * step is at most what one packet carries (BIG TCP), and who guesses has one chance in 7,000.
 */
#define CT_SEQ_NEAR 4

static inline __u16 ct_seq_block(__u32 seq)
{
	return seq >> 16;
}

static inline int ct_seq_fits(const struct ct_flow *flow, __u32 seq)
{
	return (__u16)(ct_seq_block(seq) - flow->seq_block + CT_SEQ_NEAR) <= 2 * CT_SEQ_NEAR;
}

/*
 * A way as a flow names it: the low 12 bits are an index into lb_ways, the others those of the
 * fib_generation that it was found under. 0: none.
 */
static inline __u16 ct_way_make(__u32 index, __u32 fib_generation)
{
	return (__u16)(fib_generation << 12 | index);
}

/* Ports and protocol, as they lie in ct_key.ends, without the local id; and ct_key.turned. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define CT_ENDS_FLOW   (~(0xffffULL << 32))
#define CT_ENDS_TURNED (1ULL << 56)
#else
#define CT_ENDS_FLOW   (~(0xffffULL << 16))
#define CT_ENDS_TURNED 1ULL
#endif

/* Eight bytes of an address as they are written. */
static inline __u64 ct_number(__u64 word)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return __builtin_bswap64(word);
#else
	return word;
#endif
}

/*
 * Multiply-shift over the words (Dietzfelbinger et al., 1997; all products at once, no round waits
 * for the one before); only the highest bits are good. The multipliers are secret, so that nobody
 * outside can choose flows that fall into one set. Remote addresses count as numbers, with what hosts
 * and networks differ by in the low bits: those reach all bits of a product, the highest ones only its
 * highest. Of the local address and not of its id, so that a packet's set can be fetched while its
 * address is still being looked up.
 */
static inline __u64 ct_hash(const struct lb_addr *remote, const struct lb_addr *local, __u64 ends,
			    const volatile __u64 *factors)
{
	return ct_number(remote->q[0]) * factors[0] + ct_number(remote->q[1]) * factors[1] +
	       local->q[0] * factors[2] + local->q[1] * factors[3] +
	       (ends & CT_ENDS_FLOW) * factors[4];
}

/* The multipliers of a seed. */
static inline void ct_hash_factors(__u64 seed, __u64 *ret)
{
	int i;

	for (i = 0; i < CT_HASH_WORDS; i++) {
		seed = lb_hash_mix(seed + LB_HASH_K2, i + 1);
		ret[i] = lb_hash_mix(seed, LB_HASH_K2) | 1;
	}
}

static inline struct ct_place ct_home(__u64 hash, __u32 sets_bits)
{
	return (struct ct_place){ .set = hash >> (64 - sets_bits),
				  .way = (hash >> (61 - sets_bits)) & (CT_WAYS - 1) };
}

/*
 * A key's other sets, from its home, and back: which is 1 to 3. Told from the ends alone, which every
 * slot holds, so that a half's home can be found when its remote address can't (its backend was
 * removed).
 */
static inline __u32 ct_other_set(__u32 set, __u64 ends, __u32 which, __u32 sets_bits)
{
	return set ^ ((__u32)(lb_hash_mix(LB_HASH_K2 * which, ends) >> (64 - sets_bits)) | 1);
}

/* Is the remote end of this half the client? */
static inline int ct_remote_is_client(const struct ct_flow *flow)
{
	return (flow->kind & CT_KIND_NAT) | (~flow->kind & CT_DIR_OUT);
}

/* And of the other half? */
static inline int ct_peer_remote_is_client(const struct ct_flow *flow)
{
	return (flow->kind & CT_KIND_NAT) | (flow->kind & CT_DIR_OUT);
}

/* Two ports in one word change places, or don't. */
static inline __be32 ct_turn_ports(__be32 ports, __u32 turned)
{
	return ports << turned * 16 | ports >> turned * 16;
}

/* The other half's ends, as they lie in its key. */
static inline __u64 ct_peer_ends(const struct ct_flow *flow)
{
	struct ct_key key;

	key.turned = flow->kind / CT_KIND_NAT & ~flow->kind & 1;
	key.ports = ct_turn_ports(flow->peer_ports, !key.turned);
	key.local = flow->peer_local;
	key.ip_proto = ct_ends_proto(flow->ends);
	return key.ends;
}

/* Key of the other half. backend: whom flow->backend names; its address stays when it is removed. */
static inline void ct_peer_key(const struct ct_flow *flow, const struct lb_backend *backend,
			       struct ct_key *ret)
{
	ret->remote = ct_peer_remote_is_client(flow) ? flow->client : backend->addr;
	ret->ends = ct_peer_ends(flow);
}

static inline void ct_own_key(const struct ct_flow *flow, const struct lb_backend *backend,
			      struct ct_key *ret)
{
	ret->remote = ct_remote_is_client(flow) ? flow->client : backend->addr;
	ret->ends = flow->ends;
}

/* Makes of a half the other one. */
static inline void ct_turn(struct ct_flow *flow)
{
	struct ct_key key;
	__u64 ends = ct_peer_ends(flow);

	key.ends = flow->ends;
	flow->peer_ports = ct_turn_ports(key.ports, !key.turned);
	flow->peer_local = key.local;
	flow->ends = ends;
	flow->kind ^= 1;
}

/* Are these the two halves of one flow? */
static inline int ct_is_pair(const struct ct_flow *a, const struct ct_flow *b)
{
	return (a->kind ^ b->kind) == 1 && a->backend == b->backend && a->gen == b->gen &&
	       a->client.q[0] == b->client.q[0] && a->client.q[1] == b->client.q[1] &&
	       ct_peer_ends(a) == b->ends && ct_peer_ends(b) == a->ends;
}

/*
 * A time in 16 bits: mantissa of 11, exponent of 5. Rounded up, by less than one part in 1000.
 */
static inline __u16 ct_timeout_pack(__u32 jiffies)
{
	__u32 exponent = 0, up = 0;

	while (jiffies > 2047 - up) {
		up |= jiffies & 1;
		jiffies >>= 1;
		exponent++;
	}
	return exponent << 11 | (jiffies + up);
}

static inline __u32 ct_timeout_unpack(__u16 packed)
{
	return (__u32)(packed & 2047) << (packed >> 11);
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Fragments (RFC 791, 2.3; RFC 8200, 4.5). Only the first has the ports; what it says is kept with
 * its datagram's identification for those that follow, which then go the way of any packet of their
 * flow. One that comes before its first is parked, see park.h. Whose a datagram is, the host's or a
 * VIP's, its ports tell as for whole packets: so all to our addresses are followed.
 */
#ifndef LB_FRAGMENT_H
#define LB_FRAGMENT_H

#include "flow.h"
#include "parse.h"
#include "park.h"
#include "service.h"

#define DATAGRAM_IDLE_S 2 /* then its identification may be another's */

/* The datagram's set, which its key's hash names. */
static __always_inline struct lb_datagram_set *datagram_set(const struct lb_datagram_key *key,
							    const struct lb_addr *local)
{
	__u64 hash = ct_hash(&key->src, local, key->rest, lb_config.factors);
	__u32 index = hash >> (64 - LB_DATAGRAM_BITS);

	return bpf_map_lookup_elem(&lb_datagrams, &index);
}

static __always_inline int datagram_is(const struct lb_datagram *datagram,
				       const struct lb_datagram_key *key)
{
	return addr_same(&datagram->key.src, &key->src) && datagram->key.rest == key->rest;
}

/* The way of the set that has the key, or the one that is worth least. Under the set's lock. */
static __always_inline __u32 datagram_way(const struct lb_datagram_set *set,
					  const struct lb_datagram_key *key, __u32 now,
					  int *ret_found)
{
	__u32 best = 0, best_idle = 0, idle, i;

	*ret_found = 0;
	for (i = 0; i < LB_DATAGRAM_WAYS; i++) {
		const struct lb_datagram *datagram = &set->ways[i];

		if (datagram->state != LB_DATAGRAM_NONE && datagram_is(datagram, key)) {
			*ret_found = 1;
			return i;
		}
		idle = datagram->state == LB_DATAGRAM_NONE || datagram->state == LB_DATAGRAM_DONE
			       ? ~0u >> 1
			       : now - datagram->at;
		if ((__s32)idle > (__s32)best_idle) {
			best_idle = idle;
			best = i;
		}
	}
	return best;
}

static __always_inline void datagram_clear(struct lb_datagram *datagram)
{
	__u32 i;

	datagram->units = 0;
	datagram->end = 0;
	for (i = 0; i < LB_DATAGRAM_WORDS; i++)
		datagram->seen[i] = 0;
}

/* The fragment's units that lie in a word of its datagram's. */
static __always_inline __u64 datagram_mask(const struct lb_fragment *fragment, __u32 word)
{
	__u32 start = word * 64, from = 0, behind = 0;

	if (fragment->from > start)
		from = fragment->from - start;
	if (fragment->to < start + 64)
		behind = start + 64 - fragment->to;
	return ~0ULL << (from & 63) & ~0ULL >> (behind & 63);
}

/*
 * How many words, for a loop's end: as a number that has nothing to do with n, so that the verifier
 * doesn't look at what follows once for each n.
 */
static __always_inline __u32 datagram_words(__u32 n)
{
	barrier_var(n);
	return n & (2 * LB_DATAGRAM_WORDS - 1);
}

/* Takes note of the fragment's bytes. Under the set's lock. 0: some, or all, were there before. */
static __always_inline int datagram_add(struct lb_datagram *datagram,
					const struct lb_fragment *fragment)
{
	__u32 first = fragment->from / 64, n = (fragment->to - 1) / 64 - first + 1, i, word;
	__u64 had = 0, missing = 0;

	for (i = 0; i < LB_DATAGRAM_WORDS && i < datagram_words(n); i++) {
		word = (first + i) & (LB_DATAGRAM_WORDS - 1);
		had |= datagram->seen[word] & datagram_mask(fragment, first + i);
		missing |= ~datagram->seen[word] & datagram_mask(fragment, first + i);
	}
	if (had) {
		if (missing) /* no repetition, but an overlap: RFC 5722 */
			datagram->state = LB_DATAGRAM_BROKEN;
		return 0;
	}
	for (i = 0; i < LB_DATAGRAM_WORDS && i < datagram_words(n); i++) {
		word = (first + i) & (LB_DATAGRAM_WORDS - 1);
		datagram->seen[word] |= datagram_mask(fragment, first + i);
	}
	datagram->units += fragment->to - fragment->from;
	if (fragment->last)
		datagram->end = fragment->to;
	if (datagram->end && datagram->units >= datagram->end)
		datagram->state = LB_DATAGRAM_DONE;
	return 1;
}

/*
 * What is known of the fragment's datagram; OPEN for a first one, which fragment_mark() opens. Not
 * static, so that the verifier looks at it once; two steps, so that it does so at the loops of the
 * second.
 */
__noinline int fragment_follow(__u32 now)
{
	struct lb_scratch *scratch = scratch_get();
	int found, known = LB_DATAGRAM_NONE;
	struct lb_datagram *datagram;
	struct lb_fragment *fragment;
	struct lb_datagram_set *set;

	if (!scratch)
		return LB_DATAGRAM_NONE;
	fragment = &scratch->fragment;
	set = datagram_set(&fragment->key, pkt_local(&scratch->pkt));
	if (!set)
		return LB_DATAGRAM_NONE;
	bpf_spin_lock(&set->lock);
	fragment->way = datagram_way(set, &fragment->key, now, &found);
	datagram = &set->ways[fragment->way & (LB_DATAGRAM_WAYS - 1)];
	if (found && now - datagram->at + lb_config.hz < (DATAGRAM_IDLE_S + 1) * lb_config.hz)
		known = datagram->state;
	/* A first one may be a repetition; else it is the next datagram with this identification.
	 */
	if (fragment->first ? known != LB_DATAGRAM_OPEN || datagram->ports != fragment->ports ||
				      !(datagram->seen[0] & 1) || datagram->lossy
			    : known == LB_DATAGRAM_NONE || known == LB_DATAGRAM_DONE) {
		if (known != LB_DATAGRAM_AWAITED) {
			datagram->parked = 0;
			datagram->lossy = 0;
		}
		datagram->key = fragment->key;
		known = LB_DATAGRAM_AWAITED;
		datagram->state = known;
	}
	datagram->at = now;
	if (fragment->first) {
		known = LB_DATAGRAM_OPEN;
	} else {
		datagram->parked += known == LB_DATAGRAM_AWAITED;
		fragment->ports = datagram->ports;
		fragment->ip_proto = datagram->ip_proto;
		fragment->id = datagram->id;
	}
	bpf_spin_unlock(&set->lock);
	return known;
}

/* Opens the datagram if this is its first fragment. Answers OPEN, or BROKEN: bytes overlap. */
__noinline int fragment_mark(void)
{
	struct lb_scratch *scratch = scratch_get();
	struct lb_datagram *datagram;
	struct lb_fragment *fragment;
	struct lb_datagram_set *set;
	int known = LB_DATAGRAM_OPEN;

	if (!scratch)
		return LB_DATAGRAM_BROKEN;
	fragment = &scratch->fragment;
	set = datagram_set(&fragment->key, pkt_local(&scratch->pkt));
	if (!set)
		return LB_DATAGRAM_BROKEN;
	bpf_spin_lock(&set->lock);
	datagram = &set->ways[fragment->way & (LB_DATAGRAM_WAYS - 1)];
	if (datagram_is(datagram, &fragment->key)) { /* else another came between */
		if (fragment->first && datagram->state == LB_DATAGRAM_AWAITED) {
			fragment->awaited = !!datagram->parked;
			datagram->ports = fragment->ports;
			datagram->ip_proto = fragment->ip_proto;
			datagram->id = fragment->id;
			datagram_clear(datagram);
			datagram->state = LB_DATAGRAM_OPEN;
		}
		if (datagram->state == LB_DATAGRAM_OPEN && !datagram_add(datagram, fragment))
			known = LB_DATAGRAM_BROKEN;
	}
	bpf_spin_unlock(&set->lock);
	return known;
}

/*
 * A new identification for the datagrams of fullnat, whose receivers know many senders by one
 * address: unique among all of them, as the counter is one for all (RFC 6864, 4.1).
 */
static __always_inline __be32 fragment_new_id(const struct lb_pkt *pkt)
{
	__u32 zero = 0, *last = bpf_map_lookup_elem(&lb_datagram_ids, &zero);
	__u32 id = last ? atomic_add(last, 1) : 0;

	return pkt->family == AF_INET ? bpf_htonl(id & 0xffff) : bpf_htonl(id);
}

/* What names the datagram, and which of its bytes these are. 0: they can't be. */
static __always_inline int fragment_read(const struct xdp_md *ctx, const struct lb_pkt *pkt,
					 struct lb_fragment *fragment)
{
	__u32 offset = pkt->frag & LB_IP_OFFSET, start, len;
	void *at = pkt_data(ctx) + sizeof(struct ethhdr);

	__builtin_memset(&fragment->key, 0, sizeof(fragment->key));
	fragment->key.src = *pkt_remote(pkt);
	fragment->key.local = pkt->local;
	fragment->key.turned = pkt_is_turned(pkt);
	start = pkt->family == AF_INET ? pkt->l4_off : pkt->frag_off + 8;
	if (pkt->family == AF_INET) {
		struct iphdr *ip = at;

		if ((void *)(ip + 1) > pkt_end(ctx))
			return 0;
		fragment->key.id = bpf_htonl(bpf_ntohs(ip->id));
		fragment->key.ip_proto = pkt->ip_proto;
	} else {
		__be32 *header = pkt_fragment(ctx, pkt);

		if ((void *)(header + 2) > pkt_end(ctx))
			return 0;
		fragment->key.id = header[1];
	}
	len = pkt->l3_off + pkt->l3_len - start;
	fragment->first = !offset;
	fragment->last = !(pkt->frag & LB_IP_MF);
	fragment->from = offset;
	fragment->to = offset + (len + 7) / 8;
	fragment->ip_proto = pkt->ip_proto;
	return len && offset * 8 + len <= 0xffff && (fragment->last || !(len & 7));
}

/* Not sent on, and not parked either. */
static __always_inline void fragment_lose(const struct lb_scratch *scratch)
{
	const struct lb_fragment *fragment = &scratch->fragment;
	struct lb_datagram_set *set = datagram_set(&fragment->key, pkt_local(&scratch->pkt));
	struct lb_datagram *datagram;

	if (!set)
		return;
	bpf_spin_lock(&set->lock);
	datagram = &set->ways[fragment->way & (LB_DATAGRAM_WAYS - 1)];
	if (datagram_is(datagram, &fragment->key))
		datagram->lossy = 1;
	bpf_spin_unlock(&set->lock);
}

static __always_inline int fragment_has_ports(const struct lb_pkt *pkt)
{
	return pkt->ip_proto == IPPROTO_TCP || pkt->ip_proto == IPPROTO_UDP;
}

/* Before one is dropped: is it really not the host's? */
static __always_inline int fragment_is_ours(struct lb_pkt *pkt)
{
	struct ct_ref ref = {};

	if (!fragment_has_ports(pkt))
		return 0;
	if (service_find(&pkt->tuple.dst, pkt->tuple.dport, pkt->ip_proto))
		return 1;
	flow_key(pkt);
	ct_find_pkt(pkt, &ref);
	return ref.flow != NULL;
}

static __always_inline enum lb_verdict fragment_park(struct xdp_md *ctx,
						     const struct lb_scratch *scratch)
{
	int verdict = park(ctx);

	if (verdict != LB_PARKED)
		fragment_lose(scratch);
	return verdict;
}

/* The first has its ports, those that follow have their first's: LB_NEXT, as for a whole packet. */
__noinline int fragment(struct xdp_md *ctx)
{
	struct lb_scratch *scratch = scratch_get();
	enum lb_verdict verdict = LB_NEXT;
	struct lb_fragment *fragment;
	struct lb_pkt *pkt;
	int known, sound, ours;
	__be32 *ports;

	if (!scratch)
		return LB_PASS;
	pkt = &scratch->pkt;
	fragment = &scratch->fragment;
	pkt->now = (__u32)bpf_jiffies64();
	pkt->tcp_flags = 0;
	sound = fragment_read(ctx, pkt, fragment);
	if (pkt->family == AF_INET && !fragment_has_ports(pkt))
		return LB_PASS;
	if (fragment->first) {
		verdict = parse_transport(ctx, pkt);
		ports = pkt_l4(ctx, pkt); /* are there, even if not all of the header is */
		if (verdict != LB_NEXT && (void *)(ports + 1) <= pkt_end(ctx))
			pkt->tuple.ports = pkt_l4_len(pkt) < sizeof(*ports) ? 0 : *ports;
		fragment->ports = pkt->tuple.ports;
		fragment->id = fragment_new_id(pkt);
	}
	if (!sound) {
		ours = fragment->first ? fragment_is_ours(pkt)
				       : !park_is_hosts(ctx, pkt_local(pkt), pkt_is_turned(pkt));
		return ours ? lb_drop(LB_DROP_MALFORMED) : LB_PASS;
	}
	fragment->awaited = 0;
	known = fragment_follow(pkt->now);
	if (known == LB_DATAGRAM_OPEN)
		known = fragment_mark();
	if (fragment->awaited)
		park_tell(ctx, scratch);
	if (known == LB_DATAGRAM_AWAITED)
		return fragment_park(ctx, scratch);
	if (known == LB_DATAGRAM_HOST)
		return LB_PASS;
	pkt->tuple.ports = fragment->ports;
	pkt->ip_proto = fragment->ip_proto;
	if (known == LB_DATAGRAM_BROKEN || verdict != LB_NEXT) {
		if (!fragment_is_ours(pkt))
			return LB_PASS;
		/* Else its transport header isn't whole: RFC 1858. */
		return lb_drop(known == LB_DATAGRAM_BROKEN ? LB_DROP_FRAGMENT_OVERLAP
							   : LB_DROP_FRAGMENT_TINY);
	}
	return fragment_has_ports(pkt) ? local_wants(pkt) : LB_PASS;
}

#endif

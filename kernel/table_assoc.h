/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Our own flow table: set-associative, in an array. A key's half lies in one of the eight ways of its
 * home set, looked at from its home slot on, or of three other sets. The home slot counts how many
 * of its halves lie elsewhere, so most look-ups, of keys that are there and of others, read one cache
 * line. Layout of a slot: common/ct_slot.h; life of a slot and races: ARCHITECTURE.md.
 */
#ifndef LB_TABLE_ASSOC_H
#define LB_TABLE_ASSOC_H

#include "count.h"
#include "ct_state.h"
#include "ct_table.h"

#define ASSOC_LOCK_TRIES  64
#define ASSOC_PICKS	 3

static __always_inline struct ct_set *assoc_set(__u32 set)
{
	return bpf_map_lookup_elem(&lb_flow_sets, &set);
}

static __always_inline struct ct_flow *assoc_slot(struct ct_set *set, __u32 way)
{
	return &set->ways[way & (CT_WAYS - 1)];
}

static __always_inline struct ct_cold *assoc_cold(__u32 slot)
{
	__u32 index = slot / CT_WAYS;
	struct ct_cold_set *set = bpf_map_lookup_elem(&lb_flow_cold, &index);

	if (!set)
		return NULL;
	barrier_var(slot); /* else the compiler counts on from NULL, which the verifier refuses */
	return &set->ways[slot & (CT_WAYS - 1)];
}

/* Of a key that isn't a packet's: its local address has to be looked up. */
static __always_inline struct ct_place assoc_home(const struct ct_key *key)
{
	__u32 local = key->local;
	struct lb_addr *addr = bpf_map_lookup_elem(&lb_local_addrs, &local);
	struct ct_place home;

	if (!addr)
		return (struct ct_place){};
	home = ct_home(ct_hash(&key->remote, addr, key->ends, lb_config.factors),
		       lb_config.sets_bits);
	barrier_var(home.way); /* else both are masked in one word, which 6.1 loses */
	return home;
}

/* The n ways of a set from way on. */
static __always_inline void assoc_find_in(__u32 index, __u32 way, int n, const struct ct_key *key,
					  struct ct_ref *ref)
{
	struct ct_set *set = assoc_set(index);
	struct ct_flow *flow;
	__u32 ctl;
	long i;

	if (!set)
		return;
	for (i = 0; i < n; i++) {
		flow = assoc_slot(set, way + i);
		ctl = ct_ctl_before(flow);
		if (!ct_matches(flow, ctl, key))
			continue;
		ref->flow = flow;
		ref->ctl = ctl;
		ref->slot = index * CT_WAYS + ((way + i) & (CT_WAYS - 1));
		return;
	}
}

/*
 * Finds the scratch's sought key elsewhere than in its home slot; counts: that one's control word.
 * Not static, so that the verifier looks at it once.
 */
__noinline int assoc_locate(__u32 counts)
{
	struct lb_scratch *scratch = scratch_get();
	struct ct_place home;
	struct ct_ref ref = {};
	long which;

	if (!scratch)
		return 0;
	home = assoc_home(&scratch->sought);
	if (counts & CT_NEAR_MASK)
		assoc_find_in(home.set, home.way + 1, CT_WAYS - 1, &scratch->sought, &ref);
	for (which = 1; counts & CT_AWAY_MASK && !ref.flow && which < CT_SETS; which++)
		assoc_find_in(ct_other_set(home.set, scratch->sought.ends, which,
					   lb_config.sets_bits),
			      home.way, CT_WAYS, &scratch->sought, &ref);
	scratch->found_slot = ref.slot;
	scratch->found_ctl = ref.ctl;
	return ref.flow != NULL;
}

static __always_inline int assoc_find_behind(const struct ct_key *key, __u32 counts,
					     struct ct_ref *ref)
{
	struct lb_scratch *scratch = scratch_get();
	struct ct_set *set;

	ref->flow = NULL;
	if (!scratch)
		return 0;
	scratch->sought = *key;
	if (!assoc_locate(counts))
		return 0;
	ref->slot = scratch->found_slot;
	ref->ctl = scratch->found_ctl;
	set = assoc_set(ref->slot / CT_WAYS);
	if (!set)
		return 0;
	ref->flow = assoc_slot(set, ref->slot);
	return 1;
}

static __always_inline void assoc_find_at(struct ct_place home, const struct ct_key *key,
					  struct ct_ref *ref)
{
	struct ct_set *set = assoc_set(home.set);
	struct ct_flow *flow;

	ref->flow = NULL;
	if (!set)
		return;
	flow = assoc_slot(set, home.way);
	ref->ctl = ct_ctl_before(flow);
	if (likely(ct_matches(flow, ref->ctl, key))) {
		ref->flow = flow;
		ref->slot = home.set * CT_WAYS + home.way;
		return;
	}
	if (ref->ctl & (CT_NEAR_MASK | CT_AWAY_MASK))
		assoc_find_behind(key, ref->ctl, ref);
}

static __always_inline void assoc_find(const struct ct_key *key, struct ct_ref *ref)
{
	assoc_find_at(assoc_home(key), key, ref);
}

/* Not once it was full, as it doesn't say any more how many there are. */
static __always_inline void assoc_leave_away(struct ct_flow *home)
{
	__u32 now = *(volatile __u32 *)&home->ctl, seen;
	long i;

	for (i = 0; i < CT_CHANGE_TRIES; i++) {
		if ((now & CT_AWAY_MASK) == CT_AWAY_MASK)
			return;
		seen = atomic_cas(&home->ctl, now, now - CT_AWAY_ONE);
		if (seen == now)
			return;
		now = seen;
	}
}

/*
 * One half less elsewhere of those at home in a slot, for the half that the claimed slot held.
 * Before the slot can be another's: so there are never more counted than there are ways.
 */
static __always_inline void assoc_leave(const struct ct_ref *ref)
{
	__u32 set = ref->slot / CT_WAYS, way = ref->slot - ct_distance(ref->ctl);
	struct ct_set *home;
	struct ct_flow *flow;

	if (!(ref->ctl & CT_AWAY) && !ct_distance(ref->ctl))
		return;
	if (ref->ctl & CT_AWAY)
		set = ct_other_set(set, ref->flow->ends, ct_which(ref->ctl), lb_config.sets_bits);
	home = assoc_set(set);
	if (!home)
		return;
	flow = assoc_slot(home, way);
	if (ref->ctl & CT_AWAY)
		assoc_leave_away(flow);
	else
		atomic_add(&flow->ctl, -CT_NEAR_ONE);
}

/* Gives up a claimed slot. */
static __always_inline void assoc_free(const struct ct_ref *ref)
{
	assoc_leave(ref);
	atomic_and(&ref->flow->ctl, ~CT_STATE_MASK);
}

/* Who goes first, from the best to the worst. */
enum assoc_rank {
	ASSOC_FREE,
	ASSOC_STALE,	 /* its backend is gone */
	ASSOC_OVER,	 /* past its time */
	ASSOC_CLOSED,
	ASSOC_HALF_OPEN,
	ASSOC_ONE_SIDED, /* established, as far as the client's packets alone can tell */
	ASSOC_ESTABLISHED,
	ASSOC_NEVER,	 /* being written */
};

static __always_inline enum assoc_rank assoc_rank(const struct ct_flow *flow, __u32 ctl, __u32 now)
{
	struct lb_backend *backend;

	if ((ctl & CT_STATE_MASK) == CT_FREE)
		return ASSOC_FREE;
	if ((ctl & CT_STATE_MASK) == CT_BUSY)
		return ASSOC_NEVER;
	backend = backend_at(flow->backend);
	if (!backend || backend->gen != flow->gen)
		return ASSOC_STALE;
	if (ct_expired(now, flow->last_seen, ct_timeout_unpack(flow->timeout), lb_config.hz))
		return ASSOC_OVER;
	if (ctl & CT_HALF_OPEN)
		return ct_state_of(ct_ends_proto(flow->ends), ct_phase(ctl, CT_DIR_IN),
				   ct_phase(ctl, CT_DIR_OUT)) == CT_CLOSED ?
			       ASSOC_CLOSED :
			       ASSOC_HALF_OPEN;
	return flow->peer_local ? ASSOC_ESTABLISHED : ASSOC_ONE_SIDED;
}

/* Looks at a set's ways in the order of the search, up to one that costs nobody anything. */
static __always_inline void assoc_pick_in(struct lb_scratch *scratch, __u32 index, __u32 which,
					  __u32 way, __u32 now)
{
	struct ct_set *set = assoc_set(index);
	struct ct_flow *flow;
	__u32 ctl, idle;
	__u64 score;
	long i;

	if (!set)
		return;
	for (i = 0; i < CT_WAYS && scratch->pick_score >> 32 > ASSOC_OVER; i++) {
		flow = assoc_slot(set, way + i);
		ctl = ct_ctl_before(flow);
		idle = now - flow->last_seen;
		if ((__s32)idle < 0) /* another CPU's clock ticked first */
			idle = 0;
		score = (__u64)assoc_rank(flow, ctl, now) << 32 | (__u32)~idle;
		if (score >= scratch->pick_score)
			continue;
		/* Never the other half of the same flow. */
		if (score >> 32 > ASSOC_CLOSED && ct_is_pair(flow, &scratch->half.flow))
			continue;
		scratch->pick_score = score;
		scratch->pick_slot = index * CT_WAYS + ((way + i) & (CT_WAYS - 1));
		scratch->pick_ctl = ctl;
		scratch->pick_which = which;
	}
}

/*
 * Picks a slot for the half that is to be created: the one whose half goes first; of equal ranks the
 * one idle longest. Further sets only for what established halves would have to go for: so a flood
 * costs no more than two. Not static, so that the verifier looks at it once.
 */
__noinline int assoc_pick(__u32 now)
{
	struct lb_scratch *scratch = scratch_get();
	__u32 index, enough = ASSOC_OVER;
	struct ct_place home;
	long which;

	if (!scratch)
		return 0;
	home = assoc_home(&scratch->key);
	scratch->pick_score = (__u64)ASSOC_NEVER << 32;
	for (which = 0; which < CT_SETS && scratch->pick_score >> 32 > enough; which++) {
		index = home.set;
		if (which) {
			index = ct_other_set(home.set, scratch->key.ends, which,
					     lb_config.sets_bits);
			enough = ASSOC_HALF_OPEN;
		}
		assoc_pick_in(scratch, index, which, home.way, now);
	}
	scratch->picked = 1;
	return 1;
}

/*
 * Takes the slot that was picked. 0: somebody else had it first, or what was judged has changed. What
 * went for it is the scratch's gone: its other half goes too, see ct_part().
 */
static __always_inline int assoc_take(struct lb_scratch *scratch, struct ct_ref *ref)
{
	struct ct_set *set = assoc_set(scratch->pick_slot / CT_WAYS);
	__u32 rank = scratch->pick_score >> 32;

	if (!set || rank >= ASSOC_NEVER)
		return 0;
	ref->flow = assoc_slot(set, scratch->pick_slot);
	ref->slot = scratch->pick_slot;
	ref->ctl = scratch->pick_ctl;
	if (!ct_claim(ref, ~CT_PLACE_MASK))
		return 0;
	if (rank == ASSOC_FREE)
		return 1;
	assoc_leave(ref);
	scratch->gone = *ref->flow;
	scratch->gone_why = rank == ASSOC_OVER	 ? CT_GONE_EXPIRED :
			    rank <= ASSOC_CLOSED ? CT_GONE_REMOVED :
						   CT_GONE_EVICTED;
	return 1;
}

/* Writes a half into a slot that was taken, and shows it to the others. */
static __always_inline void assoc_fill(struct ct_flow *home, __u32 home_slot, const struct ct_ref *ref,
				       __u32 which, const struct ct_entry *half)
{
	__u32 bits = (half->flow.ctl & CT_PHASES_MASK) | CT_HALF_OPEN | CT_LIVE;
	struct ct_flow *flow = ref->flow;
	struct ct_cold *cold = assoc_cold(ref->slot);

	flow->last_seen = half->flow.last_seen;
	flow->ends = half->flow.ends;
	flow->client = half->flow.client;
	flow->peer_ports = half->flow.peer_ports;
	flow->peer_local = half->flow.peer_local;
	flow->timeout = half->flow.timeout;
	flow->gen = half->flow.gen;
	flow->backend = half->flow.backend;
	flow->kind = half->flow.kind;
	flow->partial = half->flow.partial;
	flow->packets = 0;
	flow->way = 0;
	flow->volume = 0;
	if (cold)
		*cold = half->cold;
	bits |= ((ref->slot - home_slot) & (CT_WAYS - 1)) << CT_DISTANCE_SHIFT;
	/* The count first: a search that sees the half must have been told to look for it. */
	if (which) {
		bits |= which << CT_WHICH_SHIFT;
		if ((*(volatile __u32 *)&home->ctl & CT_AWAY_MASK) != CT_AWAY_MASK)
			atomic_add(&home->ctl, CT_AWAY_ONE);
	} else if (ref->slot != home_slot) {
		atomic_add(&home->ctl, CT_NEAR_ONE);
	}
	/* Those bits are zero since it was taken; atomic, since counts may change beside them. */
	atomic_or(&flow->ctl, bits);
}

/*
 * The usual case, in one step: the home slot is free, not locked, and none at home there is
 * elsewhere. So the key is nowhere, and as long as the slot is busy nobody else creates it.
 */
static __always_inline int assoc_claim_home(struct ct_flow *home, struct ct_ref *ref)
{
	__u32 ctl = *(volatile __u32 *)&home->ctl;

	if (ctl & (CT_STATE_MASK | CT_PLACE_MASK))
		return 0;
	ref->flow = home;
	ref->ctl = ctl;
	return atomic_cas(&home->ctl, ctl, (ctl & CT_VERSION_MASK) + CT_VERSION_ONE + CT_BUSY) == ctl;
}

static __always_inline int assoc_is_busy(struct ct_flow *home)
{
	long i;

	for (i = 0; i < ASSOC_LOCK_TRIES; i++) {
		if ((ct_ctl_before(home) & CT_STATE_MASK) != CT_BUSY)
			return 0;
		bpf_ktime_get_ns(); /* a pause: reading alone would be over before a miss is */
	}
	return 1;
}

/* Is the key there, or may it be made just now? Certain only with the home slot locked. */
static __always_inline int assoc_is_there(struct lb_scratch *scratch, struct ct_flow *home)
{
	struct ct_ref ref;
	__u32 counts;

	if (assoc_is_busy(home))
		return -EBUSY;
	counts = ct_ctl_before(home);
	if (ct_matches(home, counts, &scratch->key))
		return -EEXIST;
	if (counts & (CT_NEAR_MASK | CT_AWAY_MASK) &&
	    assoc_find_behind(&scratch->key, counts, &ref))
		return -EEXIST;
	return 0;
}

static __always_inline int assoc_lock(struct ct_flow *home)
{
	long i;

	for (i = 0; i < ASSOC_LOCK_TRIES; i++) {
		if (!(atomic_or(&home->ctl, CT_LOCK) & CT_LOCK))
			return 1;
		bpf_ktime_get_ns();
	}
	return 0;
}

static __always_inline void assoc_unlock(struct ct_flow *home)
{
	atomic_and(&home->ctl, ~CT_LOCK);
}

/*
 * -EAGAIN: it needs a slot to be picked, or picked once more. Who puts a half anywhere but in its free
 * home slot locks that: so whoever else wants to create the same key waits for it.
 */
static __always_inline int assoc_create(struct lb_scratch *scratch)
{
	struct ct_place at = assoc_home(&scratch->key);
	struct ct_set *set = assoc_set(at.set);
	__u32 slot = at.set * CT_WAYS + at.way, which = 0;
	struct ct_ref ref = { .slot = slot };
	struct ct_flow *home;
	int err = 0, locked = 0;

	if (!set)
		return -EBUSY;
	home = assoc_slot(set, at.way);
	if (!assoc_claim_home(home, &ref)) {
		locked = scratch->picked;
		if (locked && !assoc_lock(home))
			return -EBUSY;
		err = assoc_is_there(scratch, home);
		if (!err && (!locked || !assoc_take(scratch, &ref)))
			err = -EAGAIN;
		which = scratch->pick_which;
	}
	if (!err)
		assoc_fill(home, slot, &ref, which, &scratch->half);
	if (locked)
		assoc_unlock(home);
	return err;
}

#endif

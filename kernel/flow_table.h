/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The flow table: find, create if absent, change, settle, remove. Two tables stand behind it, of
 * which the verifier keeps the one that the balancer has: table_assoc.h (ours) and table_lru.h
 * (BPF_MAP_TYPE_LRU_HASH, the reference).
 */
#ifndef LB_FLOW_TABLE_H
#define LB_FLOW_TABLE_H

#include "count.h"
#include "ct_table.h"
#include "table_assoc.h"
#include "table_lru.h"

#define CT_IS_LRU (lb_config.table == LB_TABLE_LRU)

/* The packet's half; ref->flow is NULL when there is none. */
static __always_inline void ct_find_pkt(const struct lb_pkt *pkt, struct ct_ref *ref)
{
	if (CT_IS_LRU)
		lru_find(&pkt->key, ref);
	else
		assoc_find_at(ct_home(pkt->hash, lb_config.sets_bits), &pkt->key, ref);
}

/*
 * The packet is about to create its half, most likely in its home slot. Fetches what of it isn't in
 * the cache yet beside the other work; later each atomic would wait for it.
 */
static __always_inline void ct_prefetch(const struct lb_pkt *pkt)
{
	struct ct_place home = ct_home(pkt->hash, lb_config.sets_bits);
	struct ct_cold *cold;
	__u32 word;

	if (CT_IS_LRU)
		return;
	cold = assoc_cold(home.set * CT_WAYS + home.way);
	if (!cold)
		return;
	word = *(volatile __u32 *)&cold->created;
	barrier_var(word);
}

/* Any key's. */
static __always_inline void ct_find(const struct ct_key *key, struct ct_ref *ref)
{
	if (CT_IS_LRU)
		lru_find(key, ref);
	else
		assoc_find(key, ref);
}

/* The same as an answer. */
static __always_inline int ct_lookup(const struct ct_key *key, struct ct_ref *ref)
{
	ct_find(key, ref);
	return ref->flow != NULL;
}

/* Whose change ct_move() has to follow: in the LRU table half-open halves have a map of their own. */
#define CT_MOVES (CT_IS_LRU ? CT_HALF_OPEN : 0)

/* Its control word says half-open now, or no more. */
static __always_inline void ct_move(const struct ct_key *key, struct ct_ref *ref)
{
	if (CT_IS_LRU)
		lru_move(key, ref);
}

/* Marks a half as established. */
static __always_inline void ct_settle(const struct ct_key *key, struct ct_ref *ref)
{
	if (ref->ctl & CT_HALF_OPEN && ct_change(ref, CT_HALF_OPEN, 0))
		ct_move(key, ref);
}

/* Removes the half, once, if these bits of its control word are as they were found. */
static __always_inline int ct_remove_if(const struct ct_key *key, struct ct_ref *ref, __u32 kept)
{
	if (!ct_claim(ref, kept))
		return 0;
	if (CT_IS_LRU)
		lru_delete(key, ref->ctl);
	else
		assoc_free(ref);
	return 1;
}

/* Removes the half, once: answers whether it was this caller who did. */
static __always_inline int ct_remove(const struct ct_key *key, struct ct_ref *ref)
{
	return ct_remove_if(key, ref, CT_HOLDER_MASK);
}

/* A flow is counted when its client's half goes. */
static __always_inline void ct_count_gone(const struct ct_flow *flow, __u32 why)
{
	struct lb_totals *totals = count_totals();

	if (!totals || ct_dir(flow) != CT_DIR_IN)
		return;
	if (why == CT_GONE_EVICTED)
		totals->flows_evicted++;
	else if (why == CT_GONE_EXPIRED)
		totals->flows_expired++;
	else
		totals->flows_removed++;
}

/*
 * The scratch's half is gone: so goes the other one. Else it would go on sending from a port that is
 * free for others to take.
 */
__noinline int ct_part(void)
{
	struct lb_scratch *scratch = scratch_get();
	struct lb_backend *backend;
	struct ct_ref peer = {};

	if (!scratch)
		return 0;
	ct_count_gone(&scratch->gone, scratch->gone_why);
	backend = backend_at(scratch->gone.backend);
	if (!backend || !scratch->gone.peer_local)
		return 0;
	ct_peer_key(&scratch->gone, backend, &scratch->part);
	if (!ct_lookup(&scratch->part, &peer) || !ct_is_pair(peer.flow, &scratch->gone))
		return 0;
	scratch->gone.kind ^= 1; /* the other's direction, for the count */
	if (ct_remove(&scratch->part, &peer))
		ct_count_gone(&scratch->gone, scratch->gone_why);
	return 1;
}

/* A step of ct_create(). */
__noinline int ct_put(void)
{
	struct lb_scratch *scratch = scratch_get();

	if (!scratch)
		return -EBUSY;
	return CT_IS_LRU ? lru_create(scratch) : assoc_create(scratch);
}

/*
 * Creates the half that the scratch describes (key, half), half-open. 0, -EEXIST, or another error:
 * other CPUs are at work there. Its steps aren't static, so that the verifier looks at each once, and follow
 * each other, since the stacks of functions within each other add up.
 */
static __always_inline int ct_create(struct lb_scratch *scratch, __u32 now)
{
	int err;
	long i;

	scratch->gone_why = CT_GONE_NOT;
	scratch->picked = 0;
	err = ct_put();
	for (i = 0; !CT_IS_LRU && err == -EAGAIN && i < ASSOC_PICKS; i++) {
		assoc_pick(now);
		err = ct_put();
	}
	if (scratch->gone_why)
		ct_part();
	return err;
}

/* What only rare packets need. NULL never comes back for a half that is there. */
static __always_inline struct ct_cold *ct_cold(const struct ct_ref *ref)
{
	if (CT_IS_LRU)
		return &((struct ct_entry *)ref->flow)->cold;
	return assoc_cold(ref->slot);
}

#endif

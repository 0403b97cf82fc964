/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The reference flow table, on two BPF_MAP_TYPE_LRU_HASH: lb_flows for established flows,
 * lb_half_open for those that aren't yet or not any more. These evict only each other.
 *
 * Memory of an evicted element is used again at once, also while another CPU reads it. Its control
 * word's version is made of the key's hash, so that most of such cases show; not all.
 */
#ifndef LB_TABLE_LRU_H
#define LB_TABLE_LRU_H

#include "ct_table.h"

static __always_inline __u32 lru_version(const struct ct_key *key)
{
	return ct_hash(&key->remote, &key->remote, key->ends, lb_config.factors) >> 32 &
	       CT_VERSION_MASK;
}

static __always_inline void lru_find(const struct ct_key *key, struct ct_ref *ref)
{
	struct ct_entry *entry = bpf_map_lookup_elem(&lb_flows, key);

	ref->flow = NULL;
	if (!entry)
		entry = bpf_map_lookup_elem(&lb_half_open, key);
	if (!entry) /* promoted between the two looks */
		entry = bpf_map_lookup_elem(&lb_flows, key);
	if (!entry)
		return;
	ref->ctl = ct_ctl_before(&entry->flow);
	if ((ref->ctl & (CT_VERSION_MASK | CT_STATE_MASK)) == (lru_version(key) | CT_LIVE) &&
	    entry->flow.ends == key->ends)
		ref->flow = &entry->flow;
}

/* Taken off by somebody with a reference to what was in the same memory before. */
static __always_inline int lru_is_dead(const struct ct_key *key)
{
	struct ct_entry *entry = bpf_map_lookup_elem(&lb_half_open, key);

	return entry && (entry->flow.ctl & CT_STATE_MASK) != CT_LIVE;
}

/*
 * The second look closes the gap in which another CPU promotes the same key: it inserts into
 * lb_flows before it removes from lb_half_open, so one of both shows.
 */
static __always_inline int lru_create(struct lb_scratch *scratch)
{
	int err; /* not long: kernels up to 6.3 zero-extend a helper's error */

	if (bpf_map_lookup_elem(&lb_flows, &scratch->key))
		return -EEXIST;
	scratch->half.flow.ctl &= CT_PHASES_MASK;
	scratch->half.flow.ctl |= lru_version(&scratch->key) | CT_HALF_OPEN | CT_LIVE;
	err = bpf_map_update_elem(&lb_half_open, &scratch->key, &scratch->half, BPF_NOEXIST);
	if (err == -EEXIST && lru_is_dead(&scratch->key)) {
		bpf_map_delete_elem(&lb_half_open, &scratch->key);
		err = bpf_map_update_elem(&lb_half_open, &scratch->key, &scratch->half, BPF_NOEXIST);
	}
	if (err)
		return err;
	if (bpf_map_lookup_elem(&lb_flows, &scratch->key)) {
		bpf_map_delete_elem(&lb_half_open, &scratch->key);
		return -EEXIST;
	}
	return 0;
}

static __always_inline void lru_delete(const struct ct_key *key, __u32 ctl)
{
	if (ctl & CT_HALF_OPEN)
		bpf_map_delete_elem(&lb_half_open, key);
	else
		bpf_map_delete_elem(&lb_flows, key);
}

/*
 * To the table that its control word names by now. The new entry is there before the old goes, so
 * that the key is never free between; the reference is to the old one.
 */
static __always_inline void lru_move(const struct ct_key *key, struct ct_ref *ref)
{
	struct lb_scratch *scratch = scratch_get();
	__u32 half_open = ref->ctl & CT_HALF_OPEN, phases;
	struct ct_ref moved = {};
	int err;

	if (!scratch)
		return;
	scratch->moved = *(struct ct_entry *)ref->flow;
	if (!ct_still(ref))
		return;
	if (half_open)
		err = bpf_map_update_elem(&lb_half_open, key, &scratch->moved, BPF_NOEXIST);
	else
		err = bpf_map_update_elem(&lb_flows, key, &scratch->moved, BPF_NOEXIST);
	if (err && err != -EEXIST)
		return;
	phases = ct_ctl_after(ref->flow) & CT_PHASES_MASK;
	lru_delete(key, half_open ^ CT_HALF_OPEN);
	/* What another CPU changed while this one copied; between these two lines it is lost. */
	if (phases == (scratch->moved.flow.ctl & CT_PHASES_MASK))
		return;
	lru_find(key, &moved);
	if (moved.flow)
		ct_change(&moved, CT_PHASES_MASK, phases);
}

#endif

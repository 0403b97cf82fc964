/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The flow table: find, create if absent, move, remove. Here on two BPF_MAP_TYPE_LRU_HASH: lb_flows
 * for established flows, lb_half_open for those that aren't yet or not any more. These evict only
 * each other, so neither a flood of SYNs nor of short connections costs an established flow.
 *
 * Memory of an evicted LRU element is used again at once, also while another CPU reads it. So every
 * entry carries the hash of its own key, and whoever copied from an entry checks it afterwards.
 */
#ifndef LB_FLOW_TABLE_H
#define LB_FLOW_TABLE_H

#include <linux/errno.h>

#include "hash.h"
#include "maps.h"
#include "pkt.h"

#ifndef READ_ONCE
#define READ_ONCE(x) (*(volatile typeof(x) *)&(x))
#endif

static __always_inline int ct_key_equal(const struct ct_key *a, const struct ct_key *b)
{
	return addr_equal(&a->remote, &b->remote) && a->remote_port == b->remote_port &&
	       a->local_port == b->local_port && a->local == b->local && a->ip_proto == b->ip_proto;
}

/* Is this still the entry that was looked up under the key? */
static __always_inline int ct_is(const struct ct_flow *flow, const struct ct_key *key)
{
	return READ_ONCE(flow->tag) == lb_hash_key(key);
}

static __always_inline struct ct_flow *ct_find(const struct ct_key *key)
{
	struct ct_flow *flow = bpf_map_lookup_elem(&lb_flows, key);

	if (!flow)
		flow = bpf_map_lookup_elem(&lb_half_open, key);
	if (!flow || !ct_is(flow, key))
		return NULL;
	return flow;
}

/*
 * 0 or -EEXIST. The second look closes the gap in which another CPU promotes the same key: it
 * inserts into lb_flows before it removes from lb_half_open, so one of both shows.
 */
static __always_inline int ct_create(const struct ct_key *key, struct ct_flow *flow)
{
	int err; /* not long: kernels up to 6.3 zero-extend a helper's error */

	if (bpf_map_lookup_elem(&lb_flows, key))
		return -EEXIST;
	flow->tag = lb_hash_key(key);
	flow->half_open = 1;
	err = bpf_map_update_elem(&lb_half_open, key, flow, BPF_NOEXIST);
	if (err)
		return err;
	if (bpf_map_lookup_elem(&lb_flows, key)) {
		bpf_map_delete_elem(&lb_half_open, key);
		return -EEXIST;
	}
	return 0;
}

/*
 * Moves an entry to the other table: up when it is established, down when it is closed. The new one
 * is there before the old goes, so that the key is never free between. Whoever holds a pointer to
 * the entry holds the old one from here on.
 */
static __always_inline void ct_move(const struct ct_key *key, const struct ct_flow *flow,
				    __u8 half_open)
{
	struct lb_scratch *scratch = scratch_get();
	struct ct_flow *copy;
	int err;

	if (!scratch || flow->half_open == half_open)
		return;
	copy = &scratch->moved;
	*copy = *flow;
	if (copy->tag != lb_hash_key(key) || copy->dead)
		return;
	copy->half_open = half_open;
	if (half_open) {
		err = bpf_map_update_elem(&lb_half_open, key, copy, BPF_NOEXIST);
		if (!err)
			bpf_map_delete_elem(&lb_flows, key);
	} else {
		err = bpf_map_update_elem(&lb_flows, key, copy, BPF_NOEXIST);
		if (!err || err == -EEXIST)
			bpf_map_delete_elem(&lb_half_open, key);
	}
}

/*
 * Removes an entry, once: of several CPUs (or lb_reap) that decide so at the same time, the one
 * that turns dead from 0 to 1 deletes, the others leave their hands off, so that nobody deletes a
 * successor under the same key. Answers whether it was this caller.
 */
static __always_inline int ct_remove(const struct ct_key *key, struct ct_flow *flow)
{
	if (!ct_is(flow, key) || __sync_val_compare_and_swap(&flow->dead, 0, 1))
		return 0;
	if (flow->half_open)
		bpf_map_delete_elem(&lb_half_open, key);
	else
		bpf_map_delete_elem(&lb_flows, key);
	return 1;
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What both flow tables share: references to halves, and changes of a slot's control word. */
#ifndef LB_CT_TABLE_H
#define LB_CT_TABLE_H

#include <linux/errno.h>

#include "atomic.h"
#include "ct_slot.h"
#include "maps.h"
#include "pkt.h"

#define CT_CHANGE_TRIES 8

/* A half that was found. Its slot may become another's at any time: ct_still() tells. */
struct ct_ref {
	struct ct_flow *flow;
	__u32 ctl;  /* as it was found */
	__u32 slot; /* LB_TABLE_ASSOC: set * CT_WAYS + way */
};

/*
 * A look at the control word that all reads before it are done by. x86 reads in order; others need a
 * barrier, which in BPF is an atomic that answers.
 */
static __always_inline __u32 ct_ctl_after(struct ct_flow *flow)
{
	if (lb_config.weak_order)
		return atomic_or(&flow->ctl, 0);
	return *(volatile __u32 *)&flow->ctl;
}

/* And one before all reads that follow. */
static __always_inline __u32 ct_ctl_before(struct ct_flow *flow)
{
	return ct_ctl_after(flow);
}

/* Is what was read from the half since it was found its own? */
static __always_inline int ct_still(const struct ct_ref *ref)
{
	return !ct_changed_hands(ref->ctl, ct_ctl_after(ref->flow));
}

static __always_inline struct lb_backend *backend_at(__u32 index)
{
	return bpf_map_lookup_elem(&lb_backends, &index);
}

static __always_inline int addr_same(const struct lb_addr *a, const struct lb_addr *b)
{
	return !((a->q[0] ^ b->q[0]) | (a->q[1] ^ b->q[1]));
}

/*
 * Is the slot this key's? A half of replies doesn't hold its remote address: that is its backend's,
 * unless the backend was removed.
 */
static __always_inline int ct_matches(struct ct_flow *flow, __u32 ctl, const struct ct_key *key)
{
	struct lb_backend *backend;

	if (flow->ends != key->ends || (ctl & CT_STATE_MASK) != CT_LIVE)
		return 0;
	if (ct_remote_is_client(flow))
		return addr_same(&flow->client, &key->remote);
	backend = backend_at(flow->backend);
	return backend && *(volatile __u32 *)&backend->gen == flow->gen &&
	       addr_same(&backend->addr, &key->remote);
}

/*
 * Changes the bits in mask of a half's control word, whatever others change beside them. 0: the slot
 * isn't the half's any more, or too many others wanted the word at once.
 */
static __always_inline int ct_change(struct ct_ref *ref, __u32 mask, __u32 bits)
{
	__u32 now = *(volatile __u32 *)&ref->flow->ctl, seen;
	long i;

	for (i = 0; i < CT_CHANGE_TRIES; i++) {
		if (ct_changed_hands(ref->ctl, now))
			return 0;
		seen = atomic_cas(&ref->flow->ctl, now, (now & ~mask) | bits);
		if (seen == now) {
			ref->ctl = (now & ~mask) | bits;
			return 1;
		}
		now = seen;
	}
	return 0;
}

/*
 * Takes the slot from its half, or from nobody: it is busy then. Of several that try, one succeeds;
 * ref->ctl is what the half had last. kept: bits that must be as they were found.
 */
static __always_inline int ct_claim(struct ct_ref *ref, __u32 kept)
{
	__u32 now = *(volatile __u32 *)&ref->flow->ctl, next, seen;
	long i;

	for (i = 0; i < CT_CHANGE_TRIES; i++) {
		if ((ref->ctl ^ now) & kept)
			return 0;
		next = (now & (CT_PLACE_MASK | CT_VERSION_MASK)) + CT_VERSION_ONE;
		seen = atomic_cas(&ref->flow->ctl, now, next | CT_BUSY);
		if (seen == now) {
			ref->ctl = now;
			return 1;
		}
		now = seen;
	}
	return 0;
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Source addresses and ports of fullnat. A port is claimed by creating the reply half under it:
 * the table itself is the allocator, so two CPUs can't claim the same one.
 */
#ifndef LB_SNAT_H
#define LB_SNAT_H

#include "count.h"
#include "flow.h"

/* Ports tried before one is taken from a flow that is closed or half-open. */
#define SNAT_TRIES 32
#define SNAT_NONE  (~0U)

struct snat_space {
	struct lb_port_range low, high;
	__u32 ports_n;
	__u32 addrs_n;
};

static __always_inline int snat_space(const struct lb_vip *vip, struct snat_space *ret)
{
	__u32 zero = 0;
	struct lb_settings *settings = bpf_map_lookup_elem(&lb_settings, &zero);

	if (!settings)
		return 0;
	ret->low = settings->ports[0];
	ret->high = settings->ports[1];
	ret->ports_n = 0;
	if (ret->low.lo)
		ret->ports_n += ret->low.hi - ret->low.lo + 1;
	if (ret->high.lo)
		ret->ports_n += ret->high.hi - ret->high.lo + 1;
	ret->addrs_n = vip->snat_n ? vip->snat_n : 1;
	return ret->ports_n;
}

/* The n-th port of the space, host order. */
static __always_inline __u16 snat_port(const struct snat_space *space, __u32 n)
{
	__u32 low_n = space->low.lo ? space->low.hi - space->low.lo + 1 : 0;

	return n < low_n ? space->low.lo + n : space->high.lo + (n - low_n);
}

/* Is a destination port one that we allocate? */
static __always_inline int snat_owns(__be16 port_be)
{
	__u32 zero = 0;
	struct lb_settings *settings = bpf_map_lookup_elem(&lb_settings, &zero);
	__u16 port = bpf_ntohs(port_be);

	return settings && ((settings->ports[0].lo && port >= settings->ports[0].lo &&
			     port <= settings->ports[0].hi) ||
			    (settings->ports[1].lo && port >= settings->ports[1].lo &&
			     port <= settings->ports[1].hi));
}

enum snat_claim {
	SNAT_CLAIMED,
	SNAT_TAKEN,
	SNAT_EXPIRED,	/* by a flow that is past its time, or whose backend is gone */
	SNAT_CLOSED,	/* by a flow that is over, which the backend may hold in TIME_WAIT */
	SNAT_HALF_OPEN, /* by a flow that isn't established */
	SNAT_CLAIMS,
};

/*
 * Tries the port of the scratch's reply key. Our own reply half found there was made by another CPU
 * that opens the same flow now, or outlived its other half: it is ours to use if it leads to the
 * same backend. Not static, so that the verifier looks at it once and not once per try.
 */
__noinline int snat_try(__u32 now)
{
	struct lb_scratch *scratch = scratch_get();
	const struct ct_flow *half;
	struct ct_flow *other;

	if (!scratch)
		return SNAT_TAKEN;
	half = &scratch->half;
	if (!ct_create(&scratch->reply, &scratch->half))
		return SNAT_CLAIMED;
	other = ct_find(&scratch->reply);
	if (!other || other->dead)
		return SNAT_TAKEN;
	if (ct_key_equal(&other->peer, &half->peer) && other->backend.gen == half->backend.gen &&
	    other->backend.index == half->backend.index)
		return SNAT_CLAIMED;
	if (flow_expired(now, other) || !backend_get(&other->backend))
		return SNAT_EXPIRED;
	if (ct_state_of(scratch->reply.ip_proto, other->phase[CT_DIR_IN],
			other->phase[CT_DIR_OUT]) == CT_CLOSED)
		return SNAT_CLOSED;
	return other->half_open ? SNAT_HALF_OPEN : SNAT_TAKEN;
}

/* Ends the flow that holds the port and claims it. 0: claimed. */
static __always_inline int snat_take(struct lb_scratch *scratch)
{
	struct ct_flow *other = ct_find(&scratch->reply);

	if (other)
		flow_end(&scratch->reply, other, 0);
	return ct_create(&scratch->reply, &scratch->half);
}

static __always_inline void snat_set(struct ct_key *key, const struct snat_space *space,
				     const struct lb_vip *vip, __u32 n)
{
	__u32 addr = n / space->ports_n % LB_SNAT_MAX;

	if (vip->snat_n)
		key->local = vip->snat[addr];
	key->local_port = bpf_htons(snat_port(space, n % space->ports_n));
}

/*
 * Claims a source address and port toward the backend for the pair in the scratch: the reply half,
 * and its key all but the local side, are filled in. The search starts where the client's
 * 5-tuple says, so a client that comes back finds its own port; each goes its own way from there.
 * LB_NEXT, or why not.
 */
static __always_inline enum lb_verdict snat_claim(struct lb_pkt *pkt, const struct lb_vip *vip,
						  __u32 hash, struct lb_scratch *scratch)
{
	struct lb_totals *totals = count_totals();
	__u32 n, total, step, closed = SNAT_NONE, half_open = SNAT_NONE;
	struct snat_space space = {};
	int i, claim;

	if (!snat_space(vip, &space) || !totals)
		return lb_drop(LB_DROP_NO_PORT);
	total = space.ports_n * space.addrs_n;
	n = hash % total;
	step = (hash >> 16 | 1) % total;
	for (i = 0; i < SNAT_TRIES; i++) {
		snat_set(&scratch->reply, &space, vip, n);
		claim = snat_try(pkt->now);
		if (claim == SNAT_CLAIMED)
			return LB_NEXT;
		if (claim == SNAT_EXPIRED)
			goto take;
		if (claim == SNAT_CLOSED)
			closed = n;
		if (claim == SNAT_HALF_OPEN)
			half_open = n;
		totals->ports_failed++;
		n += step;
		if (n >= total)
			n -= total;
	}
	n = closed != SNAT_NONE ? closed : half_open;
	if (n == SNAT_NONE)
		return lb_drop(LB_DROP_NO_PORT);
	if (closed != SNAT_NONE)
		totals->ports_reused++;
	snat_set(&scratch->reply, &space, vip, n);
take:
	return snat_take(scratch) ? lb_drop(LB_DROP_NO_PORT) : LB_NEXT;
}

#endif

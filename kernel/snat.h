/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Source addresses and ports of fullnat. A port is claimed by creating the reply half under it:
 * the table itself is the allocator, so two CPUs can't claim the same one. nat claims the one that the
 * client has: another VIP's flow may have it toward the same backend.
 */
#ifndef LB_SNAT_H
#define LB_SNAT_H

#include "count.h"
#include "flow.h"

/* Ports tried before one is taken from a flow that is closed or half-open. */
#define SNAT_TRIES 32

static __always_inline __u32 snat_ports_n(const struct lb_port_range *range)
{
	return range->lo ? range->hi - range->lo + 1 : 0;
}

/* ports_n is 0 if there are none. */
static __always_inline void snat_space(const struct lb_vip *vip, const struct lb_backend *backend,
				       struct lb_snat_space *ret)
{
	struct lb_settings *settings = settings_get();

	ret->ports_n = 0;
	if (!settings)
		return;
	ret->low = settings->ports[0];
	ret->high = settings->ports[1];
	ret->ports_n = snat_ports_n(&ret->low) + snat_ports_n(&ret->high);
	ret->addrs_n = vip->snat_n ? vip->snat_n : 1;
	__builtin_memcpy(ret->addrs, vip->snat, sizeof(ret->addrs));
	if (!vip->snat_n)
		ret->addrs[0] = backend->snat;
}

/* nat: the key of its reply half is that of the packet to the backend, turned around. */
static __always_inline void snat_space_nat(const struct ct_flow *half, struct lb_snat_space *ret)
{
	ret->low.lo = bpf_ntohs(half->peer_remote_port);
	ret->low.hi = ret->low.lo;
	ret->high.lo = 0;
	ret->ports_n = 1;
	ret->addrs_n = 1;
	ret->addrs[0] = half->peer_local;
}

/* Is a destination port one that we allocate? */
static __always_inline int snat_owns(__be16 port)
{
	struct lb_settings *settings = settings_get();

	return settings && port_in(settings->ports, bpf_ntohs(port));
}

/* From the worst to the best that a port can be. */
enum snat_claim {
	SNAT_TAKEN,
	SNAT_HALF_OPEN, /* by a flow that isn't established */
	SNAT_CLOSED,	/* by a flow that is over, which the backend may hold in TIME_WAIT */
	SNAT_EXPIRED,	/* by a flow that is past its time, or whose backend is gone */
	SNAT_CLAIMED,
};

/*
 * Our own reply half is there already. Another CPU opens the same flow now: then its forward half is
 * there too, or is about to be and this one is new. Otherwise it outlived its forward half, and what
 * it knows is of another connection. Clocks of CPUs differ by a tick at least: who takes a half for old
 * that isn't pulls it away from under the other CPU, so one without an answer is new for a second.
 */
static __always_inline int snat_own(struct ct_ref *own, const struct lb_scratch *scratch)
{
	struct ct_cold *cold = ct_cold(own);
	struct ct_ref in;

	if (ct_lookup(&scratch->pkt.key, &in))
		return SNAT_CLAIMED;
	return cold && scratch->half.cold.created - cold->created + lb_config.hz < 2 * lb_config.hz &&
			       ct_phase(own->ctl, CT_DIR_OUT) == CT_PHASE_NONE ?
		       SNAT_CLAIMED :
		       SNAT_EXPIRED;
}

/* Is the half of the same client and VIP as the one to be created, and on the same backend? */
static __always_inline int snat_is_own(const struct ct_flow *own, const struct ct_flow *half)
{
	return addr_same(&own->client, &half->client) && ct_peer_ends(own) == ct_peer_ends(half) &&
	       own->backend == half->backend && own->gen == half->gen;
}

/* What may become of a port that another half has. */
static __always_inline int snat_judge(struct ct_ref *other, const struct lb_scratch *scratch,
				      __u32 now)
{
	if (snat_is_own(other->flow, &scratch->half.flow))
		return snat_own(other, scratch);
	if (flow_expired(now, other->flow, lb_config.hz) ||
	    !backend_get(other->flow->backend, other->flow->gen))
		return SNAT_EXPIRED;
	if (ct_state_of(scratch->key.ip_proto, ct_phase(other->ctl, CT_DIR_IN),
			ct_phase(other->ctl, CT_DIR_OUT)) == CT_CLOSED)
		return SNAT_CLOSED;
	return other->ctl & CT_HALF_OPEN ? SNAT_HALF_OPEN : SNAT_TAKEN;
}

/*
 * Tries the port of the scratch's key. Not static, so that the verifier looks at it once and not
 * once per try.
 */
__noinline int snat_try(__u32 now)
{
	struct lb_scratch *scratch = scratch_get();
	struct ct_ref other = {};

	if (!scratch)
		return SNAT_TAKEN;
	scratch->claimed = !ct_create(scratch, now);
	if (scratch->claimed)
		return SNAT_CLAIMED;
	return ct_lookup(&scratch->key, &other) ? snat_judge(&other, scratch, now) : SNAT_TAKEN;
}

/*
 * Takes the port of the scratch's key from the half that has it, if that is still as good to take as
 * claim says: exactly the half that is judged here goes, not one that came after it. Its forward half
 * goes after it: so its creator, who looks for the reply half once more after making that one, or
 * ct_part() sees the other's work. 0: somebody else was faster.
 */
__noinline int snat_take(__u32 now, int claim)
{
	struct lb_scratch *scratch = scratch_get();
	struct ct_ref other = {};
	int judged;

	if (!scratch)
		return 0;
	if (ct_lookup(&scratch->key, &other)) {
		judged = snat_judge(&other, scratch, now);
		if (judged == SNAT_CLAIMED) /* another CPU has opened this very flow meanwhile */
			return 1;
		if (judged < claim)
			return 0;
		scratch->gone = *other.flow;
		if (!ct_remove_if(&scratch->key, &other, ~CT_PLACE_MASK))
			return 0;
		scratch->gone_why = claim == SNAT_EXPIRED ? CT_GONE_EXPIRED : CT_GONE_REMOVED;
		ct_part();
	}
	scratch->claimed = !ct_create(scratch, now);
	return scratch->claimed;
}

/*
 * The way from one try to the next. Differs by client, so that a full spot doesn't grow, and comes
 * back to where it began only after more than SNAT_TRIES.
 */
static __always_inline __u32 snat_step(__u32 hash, __u32 total)
{
	return total < 61 * SNAT_TRIES ? 1 : 1 + hash % 61;
}

/* Puts the n-th address and port of the space into the key. */
static __always_inline void snat_set(struct lb_scratch *scratch, __u32 n)
{
	const struct lb_snat_space *space = &scratch->space;
	__u32 addr = n / space->ports_n % LB_SNAT_MAX, port = n % space->ports_n;
	__u32 low_n = snat_ports_n(&space->low);

	scratch->key.local = space->addrs[addr];
	scratch->key.local_port =
		bpf_htons(port < low_n ? space->low.lo + port : space->high.lo + port - low_n);
	scratch->half.flow.ends = scratch->key.ends;
}

/*
 * Looks for a port, leaving it in the scratch's key; SNAT_TAKEN: none of those tried will do. It starts
 * where the client's 5-tuple says, so a client that comes back finds its own. Not static: see
 * snat_try().
 */
__noinline int snat_search(__u32 hash, __u32 now)
{
	struct lb_scratch *scratch = scratch_get();
	struct lb_totals *totals = count_totals();
	__u32 n, total, step, best_n = 0;
	int claim, best = SNAT_TAKEN;
	long i;

	if (!scratch || !totals || !scratch->space.ports_n)
		return SNAT_TAKEN;
	total = scratch->space.ports_n * scratch->space.addrs_n;
	n = hash % total;
	step = snat_step(hash >> 16, total);
	for (i = 0; i < SNAT_TRIES; i++) {
		snat_set(scratch, n);
		claim = snat_try(now);
		if (claim == SNAT_CLAIMED || claim == SNAT_EXPIRED)
			return claim;
		if (claim > best) {
			best = claim;
			best_n = n;
		}
		totals->ports_failed++;
		if (total == 1)
			break;
		n += step;
		if (n >= total)
			n -= total;
	}
	snat_set(scratch, best_n);
	return best;
}

#define SNAT_SEARCHES 3

/*
 * Claims a source address and port toward the backend for the pair in the scratch, whose reply half
 * and key, all but the local side, are filled in. What is in the way of the best port found ends.
 * LB_NEXT, or why not.
 */
static __always_inline enum lb_verdict snat_claim(struct lb_scratch *scratch, __u32 hash)
{
	struct lb_totals *totals = count_totals();
	int claim;
	long i;

	for (i = 0; totals && i < SNAT_SEARCHES; i++) {
		claim = snat_search(hash, scratch->pkt.now);
		if (claim == SNAT_CLAIMED)
			return LB_NEXT;
		if (claim == SNAT_TAKEN)
			break;
		if (!snat_take(scratch->pkt.now, claim))
			continue; /* another CPU took it */
		if (claim == SNAT_CLOSED)
			totals->ports_reused++;
		return LB_NEXT;
	}
	return lb_drop(LB_DROP_NO_PORT);
}

#endif

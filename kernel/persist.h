/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Clients that come back to the backend they were at (--persist): remembered by address and VIP, for a time
 * after their last new flow. Who is forgotten early, since there are too many, is chosen for anew.
 */
#ifndef LB_PERSIST_H
#define LB_PERSIST_H

#include "maps.h"
#include "pkt.h"
#include "service.h"

static __always_inline void persist_key(const struct lb_pkt *pkt, struct lb_persist_key *ret)
{
	__builtin_memset(ret, 0, sizeof(*ret));
	ret->client = pkt->tuple.src;
	ret->vip = pkt->vip;
}

/*
 * 1: the packet's client was at the backend that is now the scratch's chosen, at most so many jiffies ago, and
 * it takes new flows. Not static, for the stack's sake; the same below.
 */
__noinline int persist_find(__u32 duration)
{
	struct lb_scratch *scratch = scratch_get();
	struct lb_persist_key key;
	struct lb_backend *backend;
	struct lb_persist *known;

	if (!scratch)
		return 0;
	persist_key(&scratch->pkt, &key);
	known = bpf_map_lookup_elem(&lb_persists, &key);
	if (!known || scratch->pkt.now - known->at > duration)
		return 0;
	scratch->chosen = known->ref;
	backend = backend_get(scratch->chosen.index, scratch->chosen.gen);
	return backend && !backend->closed;
}

__noinline int persist_keep(void)
{
	struct lb_scratch *scratch = scratch_get();
	struct lb_persist_key key;
	struct lb_persist known = {};

	if (!scratch)
		return 0;
	persist_key(&scratch->pkt, &key);
	known.ref = scratch->chosen;
	known.at = scratch->pkt.now;
	bpf_map_update_elem(&lb_persists, &key, &known, BPF_ANY);
	return 0;
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Which VIP a packet is for, and which backend a new flow of it goes to. New flows only. */
#ifndef LB_SERVICE_H
#define LB_SERVICE_H

#include "maps.h"
#include "pkt.h"

/* Most exact first: address and port, then every port. */
static __always_inline struct lb_vip *service_find(const struct lb_addr *addr, __be16 port,
						   __u8 ip_proto)
{
	struct lb_service_key key = { .addr = *addr, .port = port, .ip_proto = ip_proto };
	struct lb_vip *vip = bpf_map_lookup_elem(&lb_vips, &key);

	if (vip)
		return vip;
	key.port = 0;
	return bpf_map_lookup_elem(&lb_vips, &key);
}

/* The backend that a reference means, or NULL if it was removed since. */
static __always_inline struct lb_backend *backend_get(const struct lb_backend_ref *ref)
{
	__u32 index = ref->index;
	struct lb_backend *backend = bpf_map_lookup_elem(&lb_backends, &index);

	if (!backend || *(volatile __u32 *)&backend->gen != ref->gen)
		return NULL;
	return backend;
}

/*
 * One look at one pool: the inner map is swapped whole, so its slots are of one making. A backend
 * removed after the swap that this packet missed shows by its generation.
 */
static __always_inline struct lb_backend *backend_select(const struct lb_vip *vip, __u32 hash,
							 struct lb_backend_ref *ret_ref)
{
	__u32 id = vip->id, zero = 0, slot = ((__u64)hash * LB_MAGLEV_SLOTS) >> 32;
	void *inner = bpf_map_lookup_elem(&lb_pools, &id);
	struct lb_pool *pool;

	if (!inner)
		return NULL;
	pool = bpf_map_lookup_elem(inner, &zero);
	barrier_var(slot); /* else the compiler drops the check that the verifier wants */
	if (!pool || !pool->slots_n || slot >= LB_MAGLEV_SLOTS)
		return NULL;
	*ret_ref = pool->slots[slot];
	return ret_ref->gen ? backend_get(ret_ref) : NULL;
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Which VIP a packet is for, and which backend a new flow of it goes to. */
#ifndef LB_SERVICE_H
#define LB_SERVICE_H

#include "atomic.h"
#include "ct_table.h"
#include "hash.h"
#include "maps.h"
#include "pkt.h"

/*
 * Behind the first probe of lb_locals: where one of the packet's addresses is, LOCAL_SLOTS if nowhere. Not
 * static, so that the verifier looks at it once.
 */
__noinline int local_search(__u32 which)
{
	struct lb_scratch *scratch = scratch_get();
	const struct lb_addr *addr;
	struct lb_local *local;
	__u32 i, slot;

	if (!scratch)
		return LOCAL_SLOTS;
	addr = &scratch->pkt.tuple.addrs[which & 1];
	for (i = 1; i < LOCAL_PROBES; i++) {
		slot = local_slot(addr, i);
		local = bpf_map_lookup_elem(&lb_locals, &slot);
		if (local && local->id && addr_same(&local->addr, addr))
			return slot;
		if (!local || !(local->flags & LB_LOCAL_MORE))
			break;
	}
	return LOCAL_SLOTS;
}

/* What the packet's source (0) or destination (1) is to us. */
static __always_inline struct lb_local *local_at(const struct lb_pkt *pkt, __u32 which)
{
	const struct lb_addr *addr = &pkt->tuple.addrs[which];
	__u32 slot = local_slot(addr, 0);
	struct lb_local *local = bpf_map_lookup_elem(&lb_locals, &slot);

	if (!local || likely(local->id && addr_same(&local->addr, addr)))
		return local;
	if (likely(!(local->flags & LB_LOCAL_MORE)))
		return NULL;
	slot = local_search(which);
	return bpf_map_lookup_elem(&lb_locals, &slot);
}

/* Is the packet's source a backend of method nat? */
static __always_inline enum lb_verdict local_find_turned(struct lb_pkt *pkt)
{
	struct lb_local *local = local_at(pkt, 0);

	if (!local || !(local->flags & LB_LOCAL_NAT))
		return LB_PASS;
	pkt->local = local->id;
	return LB_NEXT;
}

/*
 * To none of our addresses, but maybe a reply of method nat; or an ICMP error about one, from anywhere on
 * the way: then the quote has to tell (local 0). Not static, so that the verifier looks at it once.
 */
__noinline int local_turned(struct xdp_md *ctx)
{
	struct lb_settings *settings = settings_get();
	struct lb_scratch *scratch = scratch_get();
	struct ipv6hdr *ip6 = pkt_data(ctx) + sizeof(struct ethhdr);
	struct iphdr *ip = (void *)ip6;
	struct lb_pkt *pkt;

	if (!settings || !settings->nat || !scratch)
		return LB_PASS;
	pkt = &scratch->pkt;
	pkt->local = 0;
	pkt->local_flags = LB_LOCAL_NAT;
	if (local_find_turned(pkt) == LB_NEXT)
		return LB_NEXT;
	if (pkt->family == AF_INET)
		return (void *)(ip + 1) <= pkt_end(ctx) && ip->protocol == IPPROTO_ICMP ? LB_NEXT :
											  LB_PASS;
	return (void *)(ip6 + 1) <= pkt_end(ctx) && ip6->nexthdr == IPPROTO_ICMPV6 ? LB_NEXT : LB_PASS;
}

/* Is the destination an address that VIPs or SNAT use? Nearly all others are none of our business. */
static __always_inline enum lb_verdict local_find(struct xdp_md *ctx, struct lb_pkt *pkt)
{
	struct lb_local *local = local_at(pkt, 1);

	if (!local || !(local->flags & (LB_LOCAL_VIP | LB_LOCAL_SNAT)))
		return local_turned(ctx);
	pkt->local = local->id;
	pkt->local_flags = local->flags & (LB_LOCAL_VIP | LB_LOCAL_SNAT);
	pkt->local_ports = local->ports;
	return LB_NEXT;
}

static __always_inline int port_in(const struct lb_port_range *ranges, __u16 port)
{
	return (ranges[0].lo && port >= ranges[0].lo && port <= ranges[0].hi) ||
	       (ranges[1].lo && port >= ranges[1].lo && port <= ranges[1].hi);
}

/*
 * May the packet be for a VIP, or be a reply to a port that we gave out? Tells from the address alone
 * that the host's ssh is the host's.
 */
static __always_inline enum lb_verdict local_wants(const struct lb_pkt *pkt)
{
	struct lb_settings *settings;

	if (pkt_is_turned(pkt))
		return LB_NEXT;
	if (pkt->local_ports & local_port_bit(pkt->tuple.dport, pkt->ip_proto))
		return LB_NEXT;
	settings = settings_get();
	if (pkt->local_flags & LB_LOCAL_SNAT && settings &&
	    port_in(settings->reply_ports, bpf_ntohs(pkt->tuple.dport)))
		return LB_NEXT;
	return LB_PASS;
}

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
static __always_inline struct lb_backend *backend_get(__u32 index, __u32 gen)
{
	struct lb_backend *backend = backend_at(index);

	if (!backend || *(volatile __u32 *)&backend->gen != gen)
		return NULL;
	return backend;
}

static __always_inline struct lb_pool *pool_get(__u32 vip)
{
	void *inner = bpf_map_lookup_elem(&lb_pools, &vip);
	__u32 zero = 0;

	return inner ? bpf_map_lookup_elem(inner, &zero) : NULL;
}

static __always_inline void pool_by_hash(const struct lb_pool *pool, __u32 hash,
					 struct lb_backend_ref *ret_ref)
{
	__u32 slot = ((__u64)hash * LB_MAGLEV_SLOTS) >> 32;

	barrier_var(slot); /* else the compiler drops the check that the verifier wants */
	if (pool->slots_n && slot < LB_MAGLEV_SLOTS)
		*ret_ref = pool->slots[slot];
}

static __always_inline void pool_by_turn(struct lb_pool *pool, struct lb_backend_ref *ret_ref)
{
	__u32 turn = atomic_add(&pool->turn, 1) % pool->turns_n;

	*ret_ref = pool->turns[turn & (LB_TURNS_MAX - 1)];
}

/*
 * One look at one pool: the inner map is swapped whole, so what it holds is of one making. A backend
 * removed after the swap that this packet missed shows by its generation. hash: of the 5-tuple. fresh: a flow
 * begins, so that it may go to anyone; else the hash finds again whom another balancer has chosen.
 */
static __always_inline struct lb_backend *backend_select(const struct lb_vip *vip,
							 const struct lb_addr *client, __u32 hash,
							 int fresh, struct lb_backend_ref *ret_ref)
{
	struct lb_pool *pool = pool_get(vip->id);

	if (!pool)
		return NULL;
	if (vip->hash == LB_HASH_SOURCE)
		hash = (__u32)lb_hash_source(client);
	if (fresh && pool->turns_n)
		pool_by_turn(pool, ret_ref);
	else
		pool_by_hash(pool, hash, ret_ref);
	return ret_ref->gen ? backend_get(ret_ref->index, ret_ref->gen) : NULL;
}

#endif

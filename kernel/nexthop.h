/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The way out: egress interface and MACs from the kernel's FIB, or the best that is known. Answers
 * are kept for a second: toward a backend beside its counters, by each CPU for itself; toward a
 * client with the flow, as the number of a way that it shares with others.
 */
#ifndef LB_NEXTHOP_H
#define LB_NEXTHOP_H

#include "ct_table.h"
#include "csum.h"
#include "maps.h"
#include "pkt.h"

/* Asked by way of the loopback device, whose forwarding switch alone is on (attach sets it), so
 * that the host doesn't become a router. */
#define LB_FIB_IFINDEX 1

static __always_inline int mac_equal(const __u8 *a, const __u8 *b)
{
	const __u16 *x = (const void *)a, *y = (const void *)b; /* aligned in struct lb_nexthop */

	return !((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]));
}

static __always_inline int nexthop_equal(const struct lb_nexthop *a, const struct lb_nexthop *b)
{
	return a->ifindex == b->ifindex && mac_equal(a->dmac, b->dmac) && mac_equal(a->smac, b->smac);
}

/* Kept per backend for the time when its neighbour entry is gone. */
static __always_inline void nexthop_remember(__u32 backend, const struct lb_nexthop *found)
{
	struct lb_nexthop *last = bpf_map_lookup_elem(&lb_backend_nexthops, &backend);

	/* Written only when it changed: many CPUs read this line. */
	if (last && !nexthop_equal(last, found))
		*last = *found;
}

/*
 * No neighbour entry. Toward a backend: its last one. Toward a client whose packets come in by the
 * interface that leads to it: the MAC they come from.
 */
static __always_inline enum lb_verdict nexthop_fallback(struct lb_pkt *pkt, __u32 ifindex)
{
	const struct lb_nexthop *known = NULL;
	__u32 backend = pkt->backend;
	struct ct_ref ref = {};
	struct ct_cold *cold;

	if (pkt->dir == CT_DIR_IN) {
		known = bpf_map_lookup_elem(&lb_backend_nexthops, &backend);
	} else if (ct_lookup(&pkt->key, &ref)) {
		cold = ct_cold(&ref);
		if (cold)
			known = &cold->came_from;
	}
	if (!known || known->ifindex != ifindex)
		return lb_drop(LB_DROP_NO_NEIGHBOUR);
	pkt->nexthop = *known;
	return LB_NEXT;
}

/* The neighbour that is to be asked for: as the FIB says, which names a router instead of what was asked for. */
static __always_inline void nexthop_unresolved(const struct bpf_fib_lookup *fib,
					       struct lb_datagram_key *ret)
{
	ret->rest = 0;
	ret->id = fib->ifindex;
	if (fib->family == AF_INET)
		addr_from_v4(&ret->src, fib->ipv4_dst);
	else
		addr_from_v6(&ret->src, fib->ipv6_dst);
}

/* Outer headers to a backend are the same but for their source (RFC 2003, 3.1). */
static __always_inline __u32 nexthop_outer_sum(const struct lb_pkt *pkt)
{
	return csum_fold(csum_addr(&pkt->to.dst, 1) + bpf_htons(0x4500) + bpf_htons(LB_IP_DF) +
			 bpf_htons(LB_OUTER_TTL << 8 | pkt_outer_proto(pkt)));
}

/* Asked for: where the packet goes as it will be. */
static __always_inline void nexthop_question(const struct lb_pkt *pkt, struct bpf_fib_lookup *fib)
{
	/* Not by an initializer, which leaves holes that kernels before 6.1 refuse to read. */
	__builtin_memset(fib, 0, sizeof(*fib));
	fib->l4_protocol = pkt_is_tunneled(pkt) ? pkt_outer_proto(pkt) : pkt->ip_proto;
	if (ct_pairs(pkt->method)) {
		fib->sport = pkt->to.sport;
		fib->dport = pkt->to.dport;
	}
	fib->ifindex = LB_FIB_IFINDEX;
	if (addr_is_v4(&pkt->to.dst)) {
		fib->family = AF_INET;
		fib->tos = pkt->tos;
		fib->ipv4_src = pkt->to.src.w[3];
		fib->ipv4_dst = pkt->to.dst.w[3];
	} else {
		fib->family = AF_INET6;
		fib->flowinfo = bpf_htonl((__u32)pkt->tos << 20);
		__builtin_memcpy(fib->ipv6_src, &pkt->to.src, sizeof(fib->ipv6_src));
		__builtin_memcpy(fib->ipv6_dst, &pkt->to.dst, sizeof(fib->ipv6_dst));
	}
	/* In generic mode the answer is compared here, see nexthop_is_merged(). */
	if (!lb_config.generic)
		fib->tot_len = pkt->l3_len + pkt_overhead(pkt);
	else
		fib->tot_len = lb_config.says_mtu;
}

/*
 * Generic mode sees frames that GRO has merged, or that are to be cut up later (GSO): those are longer than
 * the MTU of the interface that they come in by, and will be cut for the way out. Not inlined: it is rare.
 */
static __noinline int nexthop_is_merged(struct xdp_md *ctx, __u32 l3_len)
{
	__u32 mtu = 0;

	if (!lb_config.generic)
		return 0;
	if (!lb_config.says_mtu)
		return 1;
	bpf_check_mtu(ctx, 0, &mtu, 0, 0);
	return l3_len > mtu;
}

/* mtu: longest l3 length, as the packet came. */
static __always_inline int nexthop_too_big(struct xdp_md *ctx, const struct lb_pkt *pkt, __u32 mtu)
{
	return unlikely(pkt->l3_len > mtu) && !nexthop_is_merged(ctx, pkt->l3_len);
}

/* Kernels before 5.12 don't say: 0 is IPv4's way to say so, too (RFC 1191, 5). */
static __always_inline __u32 nexthop_path_mtu(const struct lb_pkt *pkt,
					      const struct bpf_fib_lookup *fib)
{
	__u32 overhead = pkt_overhead(pkt);

	if (fib->tot_len >= pkt->l3_len + overhead)
		return pkt->family == AF_INET ? 0 : 1280;
	return fib->tot_len - overhead;
}

/* An answer by way of a router names that one instead of what was asked for. */
static __always_inline int nexthop_on_link(const struct lb_pkt *pkt, const struct bpf_fib_lookup *fib)
{
	if (addr_is_v4(&pkt->to.dst))
		return fib->family == AF_INET && fib->ipv4_dst == pkt->to.dst.w[3];
	return !((fib->ipv6_dst[0] ^ pkt->to.dst.w[0]) | (fib->ipv6_dst[1] ^ pkt->to.dst.w[1]) |
		 (fib->ipv6_dst[2] ^ pkt->to.dst.w[2]) | (fib->ipv6_dst[3] ^ pkt->to.dst.w[3]));
}

static __always_inline void nexthop_keep(const struct lb_pkt *pkt, __u32 fib_generation, __u32 mtu)
{
	struct lb_backend_stats *stats = bpf_map_lookup_elem(&lb_backend_stats, &pkt->backend);
	struct lb_kept *kept;

	if (!stats)
		return;
	kept = &stats->kept;
	kept->nexthop = pkt->nexthop;
	kept->at = pkt->now;
	kept->owner = pkt->backend_gen;
	kept->method = pkt->method;
	kept->mtu = mtu;
	kept->outer_sum = pkt->outer_sum;
	kept->fib_generation = fib_generation;
}

#define WAY_PROBES 8

/* The number of a way, which is made if there is none like it yet. 0: there are too many. */
static __always_inline __u32 way_number(const struct lb_nexthop *nexthop, __u32 mtu)
{
	const __u32 *words = (const void *)nexthop;
	__u64 hash = lb_hash_mix((__u64)words[0] << 32 | mtu, (__u64)words[1] << 32 | words[2]);
	__u32 index, start = lb_hash_mix(hash, words[3]) >> 32;
	struct lb_way *way;
	long i;

	for (i = 0; i < WAY_PROBES; i++) {
		index = (start + i) & (LB_WAYS - 1);
		way = bpf_map_lookup_elem(&lb_ways, &index);
		if (!way || !index)
			continue;
		if (atomic_cas(&way->state, LB_WAY_FREE, LB_WAY_BUSY) == LB_WAY_FREE) {
			way->mtu = mtu;
			way->nexthop = *nexthop;
			atomic_cas(&way->state, LB_WAY_BUSY, LB_WAY_READY);
			return index;
		}
		if (*(volatile __u32 *)&way->state == LB_WAY_READY && way->mtu == mtu &&
		    nexthop_equal(&way->nexthop, nexthop))
			return index;
	}
	return 0;
}

/* Toward a client: kept with the flow. */
static __always_inline void nexthop_keep_way(const struct lb_pkt *pkt, __u32 fib_generation,
					     __u32 mtu)
{
	__u32 index = way_number(&pkt->nexthop, mtu);
	struct ct_ref ref = {};

	if (index && ct_lookup(&pkt->key, &ref))
		ref.flow->way = ct_way_make(index, fib_generation);
}

/* Every answer of bpf_fib_lookup(), see bpf-helpers(7) and enum BPF_FIB_LKUP_RET_*. */
__noinline int nexthop_ask(struct xdp_md *ctx, __u32 fib_generation)
{
	struct lb_scratch *scratch = scratch_get();
	struct bpf_fib_lookup fib;
	struct lb_pkt *pkt;
	int answer;
	__u32 mtu;

	if (!scratch)
		return lb_drop(LB_DROP_FLOW_BUSY);
	pkt = &scratch->pkt;
	if (pkt_is_tunneled(pkt))
		pkt->outer_sum = nexthop_outer_sum(pkt);
	nexthop_question(pkt, &fib);
	answer = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	if (pkt->method == LB_METHOD_DSR && answer == BPF_FIB_LKUP_RET_SUCCESS &&
	    !nexthop_on_link(pkt, &fib))
		return lb_drop(LB_DROP_NOT_ON_LINK);
	switch (answer) {
	case BPF_FIB_LKUP_RET_SUCCESS:
		pkt->nexthop.ifindex = fib.ifindex;
		__builtin_memcpy(pkt->nexthop.dmac, fib.dmac, ETH_ALEN);
		__builtin_memcpy(pkt->nexthop.smac, fib.smac, ETH_ALEN);
		/* The route's MTU; kernels before 5.12 leave there what was asked for. */
		mtu = lb_config.generic && !lb_config.says_mtu ? ~0u : fib.tot_len;
		if (lb_config.generic && nexthop_too_big(ctx, pkt, mtu - pkt_overhead(pkt))) {
			pkt->path_mtu = mtu - pkt_overhead(pkt);
			return lb_drop(LB_DROP_TOO_BIG);
		}
		if (pkt->dir == CT_DIR_OUT) {
			nexthop_keep_way(pkt, fib_generation, mtu);
			return LB_NEXT;
		}
		nexthop_remember(pkt->backend, &pkt->nexthop);
		nexthop_keep(pkt, fib_generation, mtu - pkt_overhead(pkt));
		return LB_NEXT;
	case BPF_FIB_LKUP_RET_NO_NEIGH:
		nexthop_unresolved(&fib, &scratch->unresolved);
		return nexthop_fallback(pkt, fib.ifindex);
	case BPF_FIB_LKUP_RET_FRAG_NEEDED:
		pkt->path_mtu = nexthop_path_mtu(pkt, &fib);
		return lb_drop(LB_DROP_TOO_BIG);
	case BPF_FIB_LKUP_RET_FWD_DISABLED:
		return lb_drop(LB_DROP_FWD_DISABLED);
	case BPF_FIB_LKUP_RET_BLACKHOLE:
	case BPF_FIB_LKUP_RET_UNREACHABLE:
	case BPF_FIB_LKUP_RET_PROHIBIT:
		return lb_drop(LB_DROP_ROUTE_REJECT);
	default: /* NOT_FWDED, UNSUPP_LWT */
		return lb_drop(LB_DROP_NO_ROUTE);
	}
}

/* Toward the backend, if what this CPU keeps is of this generation and less than a second old. */
static __always_inline int nexthop_kept(struct xdp_md *ctx, struct lb_pkt *pkt,
					const struct lb_kept *kept, __u32 fib_generation)
{
	if (unlikely(kept->fib_generation != fib_generation || kept->owner != pkt->backend_gen ||
		     kept->method != pkt->method || pkt->now - kept->at >= lb_config.hz ||
		     nexthop_too_big(ctx, pkt, kept->mtu)))
		return 0;
	pkt->nexthop = kept->nexthop;
	pkt->outer_sum = kept->outer_sum;
	return 1;
}

/* Toward the client; flow_tick() lets it go every second. */
static __always_inline int nexthop_way(struct xdp_md *ctx, struct lb_pkt *pkt,
				       const struct ct_flow *flow, __u32 fib_generation)
{
	__u32 known = flow->way, index = known & (LB_WAYS - 1);
	struct lb_way *way = bpf_map_lookup_elem(&lb_ways, &index);

	if (unlikely(!way || !index || known != ct_way_make(index, fib_generation) ||
		     nexthop_too_big(ctx, pkt, way->mtu)))
		return 0;
	pkt->nexthop = way->nexthop;
	return 1;
}

/* stats: the backend's of this CPU. */
static __always_inline enum lb_verdict nexthop_find(struct xdp_md *ctx, struct lb_pkt *pkt,
						    const struct ct_flow *flow,
						    struct lb_backend_stats *stats)
{
	struct lb_settings *settings = settings_get();
	__u32 fib_generation;

	if (unlikely(pkt->ttl <= 1))
		return lb_drop(LB_DROP_TTL);
	if (!settings)
		return lb_drop(LB_DROP_FLOW_BUSY);
	fib_generation = *(volatile __u32 *)&settings->fib_generation;
	if (pkt->dir == CT_DIR_IN ? nexthop_kept(ctx, pkt, &stats->kept, fib_generation) :
				    nexthop_way(ctx, pkt, flow, fib_generation))
		return LB_NEXT;
	return nexthop_ask(ctx, fib_generation);
}

/* Off the main road: the same, and counts the packet as carried. */
static __always_inline enum lb_verdict nexthop_carry(struct xdp_md *ctx, struct lb_pkt *pkt,
						     const struct ct_flow *flow)
{
	struct lb_backend_stats *stats = bpf_map_lookup_elem(&lb_backend_stats, &pkt->backend);
	enum lb_verdict verdict;

	if (!stats)
		return lb_drop(LB_DROP_FLOW_BUSY);
	verdict = nexthop_find(ctx, pkt, flow, stats);
	if (verdict != LB_NEXT)
		return verdict;
	stats->carried.packets++;
	stats->carried.bytes += pkt->l3_len;
	return LB_NEXT;
}

#endif

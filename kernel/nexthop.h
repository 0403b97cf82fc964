/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The way out: egress interface and MACs from the kernel's FIB, or the best that is known. */
#ifndef LB_NEXTHOP_H
#define LB_NEXTHOP_H

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

/* Kept per backend for the time when its neighbour entry is gone. */
static __always_inline void nexthop_remember(__u32 backend, const struct lb_nexthop *found)
{
	struct lb_nexthop *last = bpf_map_lookup_elem(&lb_backend_nexthops, &backend);

	/* Written only when it changed: many CPUs read this line. */
	if (last && (last->ifindex != found->ifindex || !mac_equal(last->dmac, found->dmac) ||
		     !mac_equal(last->smac, found->smac)))
		*last = *found;
}

/*
 * No neighbour entry. Toward a backend: its last one. Toward a client whose packets come in by the
 * interface that leads to it: the MAC they come from.
 */
static __always_inline enum lb_verdict nexthop_fallback(struct lb_pkt *pkt,
							const struct ct_flow *flow, __u32 ifindex)
{
	__u32 backend = flow->backend.index;
	const struct lb_nexthop *known = &flow->came_from;

	if (flow->dir == CT_DIR_IN)
		known = bpf_map_lookup_elem(&lb_backend_nexthops, &backend);
	if (!known || known->ifindex != ifindex)
		return lb_drop(LB_DROP_NO_NEIGHBOUR);
	pkt->nexthop = *known;
	return LB_NEXT;
}

/* Every answer of bpf_fib_lookup(), see bpf-helpers(7) and enum BPF_FIB_LKUP_RET_*. */
static __noinline enum lb_verdict nexthop_find(struct lb_pkt *pkt, const struct ct_flow *flow)
{
	struct bpf_fib_lookup fib;
	int answer;

	if (pkt->ttl <= 1)
		return lb_drop(LB_DROP_TTL);
	/* Not by an initializer, which leaves holes that kernels before 6.1 refuse to read. */
	__builtin_memset(&fib, 0, sizeof(fib));
	fib.family = pkt->family;
	fib.l4_protocol = pkt->ip_proto;
	fib.sport = pkt->to.sport;
	fib.dport = pkt->to.dport;
	fib.ifindex = LB_FIB_IFINDEX;
	fib.tos = pkt->tos;
	fib.ipv4_src = pkt->to.src.w[3];
	fib.ipv4_dst = pkt->to.dst.w[3];
	/* A generic program sees GSO frames, longer than any MTU, that are cut up later. */
	if (!lb_config.generic)
		fib.tot_len = pkt->l3_len;
	answer = bpf_fib_lookup(pkt->ctx, &fib, sizeof(fib), 0);
	switch (answer) {
	case BPF_FIB_LKUP_RET_SUCCESS:
		pkt->nexthop.ifindex = fib.ifindex;
		__builtin_memcpy(pkt->nexthop.dmac, fib.dmac, ETH_ALEN);
		__builtin_memcpy(pkt->nexthop.smac, fib.smac, ETH_ALEN);
		if (flow->dir == CT_DIR_IN)
			nexthop_remember(flow->backend.index, &pkt->nexthop);
		return LB_NEXT;
	case BPF_FIB_LKUP_RET_NO_NEIGH:
		return nexthop_fallback(pkt, flow, fib.ifindex);
	case BPF_FIB_LKUP_RET_FRAG_NEEDED:
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

#endif

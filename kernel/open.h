/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A packet without a flow: is it for a VIP, which backend, and the new pair of halves. */
#ifndef LB_OPEN_H
#define LB_OPEN_H

#include "admit.h"
#include "flow.h"
#include "hash.h"
#include "persist.h"
#include "service.h"
#include "snat.h"

/* The low half chooses the backend, the high half the source port. */
static __always_inline __u64 open_hash(const struct lb_pkt *pkt)
{
	return lb_hash_5tuple(&pkt->tuple.src, pkt->tuple.sport, &pkt->tuple.dst, pkt->tuple.dport,
			      pkt->ip_proto);
}

static __always_inline int open_from_backend(const struct lb_pkt *pkt)
{
	struct lb_service_key key = {
		.addr = pkt->tuple.src,
		.port = pkt->tuple.sport,
		.ip_proto = pkt->ip_proto,
	};

	if (bpf_map_lookup_elem(&lb_backend_ports, &key))
		return 1;
	key.port = 0; /* of a port wildcard */
	return bpf_map_lookup_elem(&lb_backend_ports, &key) != NULL;
}

/* Has the host a socket of its own for this packet? A connection bound to one of our ports has. */
static __always_inline int open_host_wants(struct xdp_md *ctx, const struct lb_pkt *pkt)
{
	struct bpf_sock_tuple tuple = {};
	__u32 size = sizeof(tuple.ipv6);
	struct bpf_sock *sk;
	int wants;

	if (pkt->family == AF_INET) {
		size = sizeof(tuple.ipv4);
		tuple.ipv4.saddr = pkt->tuple.src.w[3];
		tuple.ipv4.daddr = pkt->tuple.dst.w[3];
		tuple.ipv4.sport = pkt->tuple.sport;
		tuple.ipv4.dport = pkt->tuple.dport;
	} else {
		__builtin_memcpy(tuple.ipv6.saddr, &pkt->tuple.src, sizeof(pkt->tuple.src));
		__builtin_memcpy(tuple.ipv6.daddr, &pkt->tuple.dst, sizeof(pkt->tuple.dst));
		tuple.ipv6.sport = pkt->tuple.sport;
		tuple.ipv6.dport = pkt->tuple.dport;
	}
	if (pkt->ip_proto == IPPROTO_TCP)
		sk = bpf_sk_lookup_tcp(ctx, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	else
		sk = bpf_sk_lookup_udp(ctx, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return 0;
	wants = sk->state != BPF_TCP_LISTEN || (pkt->tcp_flags & LB_TCP_SYN);
	bpf_sk_release(sk);
	return wants;
}

/*
 * A backend's packet to a port that only we allocate, without a flow: the host must not see it, it
 * would answer with a RST. Everything else that no VIP wants is the host's.
 */
__noinline int open_not_ours(struct xdp_md *ctx)
{
	struct lb_scratch *scratch = scratch_get();

	if (scratch && (scratch->pkt.local_flags & LB_LOCAL_SNAT) &&
	    snat_owns(scratch->pkt.tuple.dport) && open_from_backend(&scratch->pkt) &&
	    !open_host_wants(ctx, &scratch->pkt))
		return lb_drop(LB_DROP_REPLY_NO_FLOW);
	return LB_PASS;
}

static __always_inline int open_is_reset(__u8 flags)
{
	return (flags & (LB_TCP_SYN | LB_TCP_FIN | LB_TCP_RST)) == LB_TCP_RST;
}

/*
 * What may open a flow. In the middle of a TCP connection fullnat can't find the source port that
 * the backend knows it by, so the client is told at once (LB_TX: by a RST, see reset.h). Where the
 * backend sees the client's own packets, the hash finds it again; a RST gets there, and opens nothing.
 */
static __always_inline enum lb_verdict open_allowed(const struct lb_pkt *pkt, __u8 method)
{
	__u8 flags = pkt->tcp_flags & (LB_TCP_SYN | LB_TCP_FIN | LB_TCP_RST | LB_TCP_ACK);

	if (pkt->ip_proto != IPPROTO_TCP || flags == LB_TCP_SYN)
		return LB_NEXT;
	if (flags == LB_TCP_ACK || flags == (LB_TCP_ACK | LB_TCP_FIN))
		return method == LB_METHOD_FULLNAT ? LB_TX : LB_NEXT;
	if (!ct_pairs(method) && open_is_reset(flags))
		return LB_NEXT;
	return lb_drop(LB_DROP_TCP_FLAGS);
}

/* Else it was somebody's before, or isn't tracked: then each packet has to find the same backend. */
static __always_inline int open_begins(const struct lb_pkt *pkt)
{
	return !pkt->untracked && (pkt->ip_proto != IPPROTO_TCP || pkt->tcp_flags & LB_TCP_SYN);
}

static __always_inline int open_has_source(const struct lb_vip *vip, const struct lb_backend *backend,
					   const struct ct_flow *half)
{
	switch (vip->method) {
	case LB_METHOD_DSR:
		return 1;
	case LB_METHOD_NAT:
		return backend->own;
	case LB_METHOD_FULLNAT:
		return vip->snat_n || backend->snat;
	default:
		return half->outer;
	}
}

/* The MACs that a client's packets come with serve until its neighbour is resolved. */
static __always_inline void open_came_from(struct xdp_md *ctx, struct lb_nexthop *came_from)
{
	struct ethhdr *eth = pkt_data(ctx);

	if ((void *)(eth + 1) > pkt_end(ctx))
		return;
	came_from->ifindex = LB_INGRESS(ctx);
	__builtin_memcpy(came_from->dmac, eth->h_source, ETH_ALEN);
	__builtin_memcpy(came_from->smac, eth->h_dest, ETH_ALEN);
}

/*
 * Of a tunnel: the outer source, which is the flow's, so that who spreads packets by addresses alone spreads
 * flows. One of the VIP's that is of the backend's family, or what the route says.
 */
static __always_inline __u16 open_outer(const struct lb_pkt *pkt, const struct lb_vip *vip,
					const struct lb_backend *backend)
{
	__u32 n = vip->snat_n, start, local;
	struct lb_addr *addr;
	__u32 i;

	start = ((pkt->hash >> 32) * n) >> 32;
	for (i = 0; i < LB_SNAT_MAX && i < n; i++, start++) {
		if (start >= n)
			start = 0;
		local = vip->snat[start & (LB_SNAT_MAX - 1)];
		addr = bpf_map_lookup_elem(&lb_local_addrs, &local);
		if (addr && addr_is_v4(addr) == addr_is_v4(&backend->addr))
			return local;
	}
	return backend->snat;
}

/* The half that the client's packets find, without the other's local side. */
static __always_inline void open_half(const struct lb_pkt *pkt, const struct lb_vip *vip,
				      const struct lb_backend_ref *ref,
				      const struct lb_backend *backend, struct ct_entry *half)
{
	int udp = pkt->ip_proto == IPPROTO_UDP, nat = vip->method == LB_METHOD_NAT;
	int middle = nat && !(pkt->tcp_flags & LB_TCP_SYN); /* see flow_completes() */

	__builtin_memset(half, 0, sizeof(*half));
	half->flow.ctl = ct_phases(udp || middle ? CT_PHASE_OPEN : CT_PHASE_SYN, CT_PHASE_NONE);
	half->flow.last_seen = pkt->now;
	half->flow.ends = pkt->key.ends;
	half->flow.client = pkt->key.remote;
	half->flow.peer_remote_port = backend->port ? backend->port : pkt->key.local_port;
	half->flow.timeout = flow_timeout(vip, udp ? CT_UDP_NEW : CT_SYN);
	half->flow.backend = ref->index;
	half->flow.gen = ref->gen;
	half->flow.kind = ct_kind(CT_DIR_IN, vip->method);
	if (nat) {
		half->flow.peer_local = backend->own;
		half->flow.peer_local_port = pkt->key.remote_port;
	}
	if (!ct_pairs(vip->method))
		half->flow.outer = open_outer(pkt, vip, backend);
	half->cold.created = pkt->now;
}

/*
 * The forward half, which decides: if it is there already, another CPU has opened this flow in the
 * same instant, and its backend and port hold. 0: it is; 1: this one was made.
 */
static __always_inline int open_forward(struct lb_scratch *scratch)
{
	struct lb_totals *totals = count_totals();

	scratch->key = scratch->pkt.key;
	if (ct_create(scratch, scratch->pkt.now))
		return 0;
	scratch->pkt.is_new = 1;
	if (totals)
		totals->flows_created++;
	return 1;
}

#define OPEN_TRIES 4

/*
 * The scratch's half is made: is its reply half there still? Another CPU may have taken the port before this
 * one was there to be seen. Not static, for the stack's sake.
 */
__noinline int open_settled(void)
{
	struct lb_scratch *scratch = scratch_get();
	struct lb_backend *backend;
	struct ct_ref reply = {};

	if (!scratch)
		return lb_drop(LB_DROP_FLOW_BUSY);
	backend = backend_at(scratch->half.flow.backend);
	if (!backend)
		return lb_drop(LB_DROP_FLOW_BUSY);
	ct_peer_key(&scratch->half.flow, backend, &scratch->key);
	if (ct_lookup(&scratch->key, &reply) && ct_is_pair(reply.flow, &scratch->half.flow))
		return LB_NEXT;
	flow_end_key(&scratch->pkt.key, 0);
	return lb_drop(LB_DROP_FLOW_BUSY);
}

/* What was claimed here for a half that another CPU has made meanwhile. Not static, for the stack's sake. */
__noinline int open_give_back(void)
{
	struct lb_scratch *scratch = scratch_get();
	struct lb_backend *backend;
	struct ct_ref mine = {};

	if (!scratch || !scratch->claimed)
		return 0;
	backend = backend_at(scratch->half.flow.backend);
	if (!backend)
		return 0;
	ct_peer_key(&scratch->half.flow, backend, &scratch->key);
	return ct_lookup(&scratch->key, &mine) && ct_is_pair(mine.flow, &scratch->half.flow) &&
	       ct_remove(&scratch->key, &mine);
}

/*
 * Makes a pair: the reply half first, whose key but for the port is the scratch's, since it claims the port;
 * then the forward half. If that one is there already, or can't be made, what was claimed here is given back.
 */
static __always_inline enum lb_verdict open_pair(struct lb_scratch *scratch, __u32 hash)
{
	struct ct_flow *half = &scratch->half.flow;
	struct ct_ref other = {};
	enum lb_verdict verdict;
	long i;

	ct_turn(half);
	verdict = snat_claim(scratch, hash);
	if (verdict != LB_NEXT)
		return verdict;
	ct_turn(half);
	/* Another CPU that is at work on this slot will be done, and may have made this very half. */
	for (i = 0; i < OPEN_TRIES && !other.flow; i++) {
		if (open_forward(scratch))
			return open_settled();
		ct_lookup(&scratch->pkt.key, &other);
	}
	if (other.flow && ct_peer_ends(other.flow) == ct_peer_ends(half) &&
	    other.flow->backend == half->backend)
		return LB_NEXT;
	open_give_back();
	return other.flow ? LB_NEXT : lb_drop(LB_DROP_FLOW_BUSY);
}

/* The second half of opening: what flow_choose() left in the scratch goes into the table. */
__noinline int flow_open(__u32 hash)
{
	struct lb_scratch *scratch = scratch_get();

	if (!scratch)
		return lb_drop(LB_DROP_FLOW_BUSY);
	if (ct_pairs(ct_method(&scratch->half.flow)))
		return open_pair(scratch, hash);
	open_forward(scratch);
	return LB_NEXT;
}

/* Leaves its reference in the scratch. */
static __always_inline struct lb_backend *open_choose(struct lb_scratch *scratch, const struct lb_vip *vip,
						      __u32 hash)
{
	const struct lb_pkt *pkt = &scratch->pkt;
	int begins = open_begins(pkt);
	struct lb_backend *backend;

	scratch->chosen.gen = 0;
	if (likely(!vip->persist || !begins))
		return backend_select(vip, &pkt->tuple.src, hash, begins, &scratch->chosen);
	if (persist_find(vip->persist)) {
		backend = backend_get(scratch->chosen.index, scratch->chosen.gen);
	} else {
		scratch->chosen.gen = 0;
		backend = backend_select(vip, &pkt->tuple.src, hash, begins, &scratch->chosen);
	}
	if (backend)
		persist_keep();
	return backend;
}

/*
 * VIP and backend for the packet, which has no flow. LB_NEXT: flow_open() makes it, or untracked() sends
 * it on without. LB_TX: the packet
 * is to be answered with a RST. LB_PASS: it is no VIP's.
 */
__noinline int flow_choose(struct xdp_md *ctx, __u32 hash)
{
	struct lb_scratch *scratch = scratch_get();
	struct lb_backend *backend;
	enum lb_verdict verdict;
	struct lb_pkt *pkt;
	struct lb_vip *vip;
	int later;

	if (!scratch)
		return LB_PASS;
	pkt = &scratch->pkt;
	vip = service_find(&pkt->tuple.dst, pkt->tuple.dport, pkt->ip_proto);
	if (!vip)
		return LB_PASS;
	pkt->vip = vip->id;
	pkt->has_vip = 1;
	verdict = admit_client(&pkt->tuple.src, vip);
	if (verdict == LB_NEXT && !(pkt->frag & LB_IP_OFFSET))
		verdict = open_allowed(pkt, vip->method);
	if (verdict != LB_NEXT)
		return verdict;
	later = pkt->frag & LB_IP_OFFSET;
	pkt->untracked = later || (pkt->ip_proto == IPPROTO_TCP && open_is_reset(pkt->tcp_flags)) ||
			 !admit_flow(pkt, vip);
	if (pkt->untracked && ct_pairs(vip->method))
		return lb_drop(later ? LB_DROP_FRAGMENT : LB_DROP_NEW_RATE);
	backend = open_choose(scratch, vip, hash);
	if (!backend)
		return lb_drop(LB_DROP_NO_BACKEND);
	open_half(pkt, vip, &scratch->chosen, backend, &scratch->half);
	if (!open_has_source(vip, backend, &scratch->half.flow))
		return lb_drop(LB_DROP_NO_SNAT);
	open_came_from(ctx, &scratch->half.cold.came_from);
	ct_peer_key(&scratch->half.flow, backend, &scratch->key);
	if (vip->method == LB_METHOD_NAT)
		snat_space_nat(&scratch->half.flow, &scratch->space);
	else
		snat_space(vip, backend, &scratch->space);
	return LB_NEXT;
}

/*
 * A client's next connection from the same port, while the last one is closing: it keeps backend and
 * source port, whose sequence numbers the backend can tell apart by (RFC 6191), unless new flows of
 * this client go elsewhere by now: then the flow ends here, and a new one is to be opened.
 */
__noinline int flow_restart(__u32 now)
{
	struct lb_scratch *scratch = scratch_get();
	struct lb_backend_ref chosen = {};
	struct ct_ref ref = {}, peer = {};
	struct ct_cold *cold;
	struct lb_vip *vip;
	int pair;

	if (!scratch || !ct_lookup(&scratch->pkt.key, &ref))
		return 0;
	pair = flow_peer(&ref, &scratch->key, &peer);
	vip = service_find(&scratch->pkt.tuple.dst, scratch->pkt.tuple.dport,
			   scratch->pkt.ip_proto);
	if (!vip || pair != flow_is_pair(ref.flow) ||
	    admit_client(&scratch->pkt.tuple.src, vip) != LB_NEXT ||
	    !backend_select(vip, &scratch->pkt.tuple.src, (__u32)open_hash(&scratch->pkt),
			    0, &chosen) ||
	    chosen.index != ref.flow->backend || chosen.gen != ref.flow->gen ||
	    ct_method(ref.flow) != vip->method) {
		flow_end_key(&scratch->pkt.key, 0);
		return 0;
	}
	cold = ct_cold(&ref);
	if (cold)
		cold->created = now;
	cold = pair ? ct_cold(&peer) : NULL;
	if (cold)
		cold->created = now;
	scratch->news.phases_mask = CT_PHASES_MASK;
	scratch->news.phases = ct_phases(CT_PHASE_SYN, CT_PHASE_NONE);
	scratch->news.expect_ack = 0;
	scratch->news.open = 0;
	flow_learn(0);
	if (pair)
		flow_learn(1);
	return 1;
}

#endif

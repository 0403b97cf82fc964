/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A packet without a flow: is it for a VIP, which backend, and the new pair of halves. */
#ifndef LB_OPEN_H
#define LB_OPEN_H

#include "flow.h"
#include "hash.h"
#include "service.h"
#include "snat.h"

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
static __always_inline int open_host_wants(struct lb_pkt *pkt)
{
	struct bpf_sock_tuple tuple = {
		.ipv4.saddr = pkt->tuple.src.w[3],
		.ipv4.daddr = pkt->tuple.dst.w[3],
		.ipv4.sport = pkt->tuple.sport,
		.ipv4.dport = pkt->tuple.dport,
	};
	struct bpf_sock *sk;
	int wants;

	if (pkt->ip_proto == IPPROTO_TCP)
		sk = bpf_sk_lookup_tcp(pkt->ctx, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	else
		sk = bpf_sk_lookup_udp(pkt->ctx, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
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
static __always_inline enum lb_verdict open_not_ours(struct lb_pkt *pkt)
{
	if ((pkt->local_flags & LB_LOCAL_SNAT) && snat_owns(pkt->tuple.dport) &&
	    open_from_backend(pkt) && !open_host_wants(pkt))
		return lb_drop(LB_DROP_REPLY_NO_FLOW);
	return LB_PASS;
}

/*
 * What may open a flow. In the middle of a TCP connection nothing leads back to the source port
 * that its backend knows it by, so the client is told at once (LB_TX: by a RST, see reset.h).
 */
static __always_inline enum lb_verdict open_allowed(const struct lb_pkt *pkt)
{
	__u8 flags = pkt->tcp_flags & (LB_TCP_SYN | LB_TCP_FIN | LB_TCP_RST | LB_TCP_ACK);

	if (pkt->ip_proto != IPPROTO_TCP || flags == LB_TCP_SYN)
		return LB_NEXT;
	if (flags == LB_TCP_ACK || flags == (LB_TCP_ACK | LB_TCP_FIN))
		return LB_TX;
	return lb_drop(LB_DROP_TCP_FLAGS);
}

/* The MACs that a client's packets come with serve until its neighbour is resolved. */
static __always_inline void open_came_from(struct lb_pkt *pkt, struct ct_flow *half)
{
	struct ethhdr *eth = pkt_data(pkt);

	if ((void *)(eth + 1) > pkt_end(pkt))
		return;
	half->came_from.ifindex = pkt->ctx->ingress_ifindex;
	__builtin_memcpy(half->came_from.dmac, eth->h_source, ETH_ALEN);
	__builtin_memcpy(half->came_from.smac, eth->h_dest, ETH_ALEN);
}

static __always_inline void open_half(struct lb_pkt *pkt, const struct lb_vip *vip,
				      struct ct_flow *half)
{
	__u32 state = pkt->ip_proto == IPPROTO_UDP ? CT_UDP_NEW : CT_SYN;

	__builtin_memset(half, 0, sizeof(*half));
	half->created = pkt->now;
	half->last_seen = pkt->now;
	half->refreshed = pkt->now;
	half->timeout = flow_timeout(vip, state);
	half->vip = vip->id;
	half->phase[CT_DIR_IN] = pkt->ip_proto == IPPROTO_UDP ? CT_PHASE_OPEN : CT_PHASE_SYN;
	open_came_from(pkt, half);
}

/*
 * Makes the pair: the reply half first, since it claims the port, then the forward half. If that
 * one is there already, another CPU has opened this flow in the same instant; its backend and port
 * hold, and what was claimed here is given back.
 */
static __always_inline enum lb_verdict open_pair(struct lb_pkt *pkt, const struct lb_vip *vip,
						 const struct ct_key *key, __u64 hash,
						 const struct lb_backend *backend,
						 struct lb_scratch *scratch)
{
	struct lb_totals *totals = count_totals();
	struct ct_flow *half = &scratch->half, *other, *mine;
	struct ct_key *reply = &scratch->reply;
	enum lb_verdict verdict;

	if (!vip->snat_n && !backend->snat)
		return lb_drop(LB_DROP_NO_SNAT);
	*reply = (struct ct_key){
		.remote = backend->addr,
		.remote_port = backend->port ? backend->port : pkt->tuple.dport,
		.ip_proto = pkt->ip_proto,
	};
	half->peer = *key;
	half->dir = CT_DIR_OUT;
	verdict = snat_claim(pkt, vip, backend, hash >> 32, scratch);
	if (verdict != LB_NEXT)
		return verdict;
	half->peer = *reply;
	half->dir = CT_DIR_IN;
	if (!ct_create(key, half)) {
		if (totals)
			totals->flows_created++;
		return LB_NEXT;
	}
	other = ct_find(key);
	if (!other || ct_key_equal(&other->peer, reply))
		return LB_NEXT;
	mine = ct_find(reply);
	if (mine && ct_key_equal(&mine->peer, key))
		ct_remove(reply, mine);
	return LB_NEXT;
}

/*
 * Opens a flow for a packet that has none. LB_NEXT: it is in the table now. LB_TX: the packet is to
 * be answered with a RST.
 */
static __noinline enum lb_verdict flow_open(struct lb_pkt *pkt, const struct ct_key *key)
{
	struct lb_vip *vip = service_find(&pkt->tuple.dst, pkt->tuple.dport, pkt->ip_proto);
	struct lb_scratch *scratch = scratch_get();
	struct lb_backend_ref ref = {};
	struct lb_backend *backend;
	enum lb_verdict verdict;
	__u64 hash;

	if (!vip || !scratch)
		return open_not_ours(pkt);
	pkt->vip = vip->id;
	pkt->has_vip = 1;
	verdict = open_allowed(pkt);
	if (verdict != LB_NEXT)
		return verdict;
	hash = lb_hash_5tuple(&pkt->tuple.src, pkt->tuple.sport, &pkt->tuple.dst, pkt->tuple.dport,
			      pkt->ip_proto);
	backend = backend_select(vip, (__u32)hash, &ref);
	if (!backend)
		return lb_drop(LB_DROP_NO_BACKEND);
	open_half(pkt, vip, &scratch->half);
	scratch->half.backend = ref;
	return open_pair(pkt, vip, key, hash, backend, scratch);
}

/*
 * A client's next connection from the same port, while the last one is closing: it keeps backend and
 * source port, whose sequence numbers the backend can tell apart by (RFC 6191), unless new flows of
 * this client go elsewhere by now. 1: the flow starts again; 0: it was ended, open a new one.
 */
static __noinline int flow_restart(struct lb_pkt *pkt, const struct ct_key *key,
				   struct ct_flow *flow)
{
	struct lb_vip *vip = service_find(&pkt->tuple.dst, pkt->tuple.dport, pkt->ip_proto);
	struct lb_backend_ref ref = {};
	struct ct_flow *peer = flow_peer(key, flow);
	__u64 hash = lb_hash_5tuple(&pkt->tuple.src, pkt->tuple.sport, &pkt->tuple.dst,
				    pkt->tuple.dport, pkt->ip_proto);
	struct flow_news news = { .open = 1, .phase = { CT_PHASE_SYN, CT_PHASE_NONE } };

	if (!vip || !peer || !backend_select(vip, (__u32)hash, &ref) ||
	    ref.index != flow->backend.index || ref.gen != flow->backend.gen) {
		flow_end(key, flow, 0);
		return 0;
	}
	news.timeout = flow_timeout(vip, CT_SYN);
	flow_learn(flow, &news);
	flow_learn(peer, &news);
	flow->created = pkt->now;
	peer->created = pkt->now;
	return 1;
}

#endif

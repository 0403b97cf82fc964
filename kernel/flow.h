/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Life of a flow that exists: found, refreshed, its TCP or UDP state followed, ended.
 * Rare events (SYN, handshake, FIN, RST, once a second) touch both halves; other packets only
 * their own. Flows whose replies don't pass here have one half.
 *
 * What rare packets need are functions that aren't static: the verifier looks at them once.
 */
#ifndef LB_FLOW_H
#define LB_FLOW_H

#include "count.h"
#include "ct_state.h"
#include "flow_table.h"
#include "maps.h"
#include "pkt.h"
#include "service.h"

static __always_inline int flow_is_pair(const struct ct_flow *flow)
{
	return flow->peer_local != 0;
}

/* The other half, if it is there and still belongs to this one. */
static __always_inline int flow_peer(const struct ct_ref *ref, struct ct_key *ret_key,
				     struct ct_ref *ret)
{
	struct lb_backend *backend = backend_at(ref->flow->backend);

	if (!backend || !flow_is_pair(ref->flow))
		return 0;
	ct_peer_key(ref->flow, backend, ret_key);
	return ct_lookup(ret_key, ret) && ct_is_pair(ret->flow, ref->flow);
}

static __always_inline int flow_expired(__u32 now, const struct ct_flow *flow, __u32 slack)
{
	return ct_expired(now, flow->last_seen, ct_timeout_unpack(flow->timeout), slack);
}

/* Idleness that a flow's state allows, packed: the VIP's setting, else the general one. */
static __always_inline __u16 flow_timeout(const struct lb_vip *vip, __u32 state)
{
	struct lb_settings *settings = settings_get();
	__u16 own = 0;

	if (vip) {
		barrier_var(vip); /* else it is counted on from NULL, which the verifier refuses */
		own = vip->timeout[state & (CT_STATES_MAX - 1)];
	}
	if (own)
		return own;
	return settings ? settings->timeout[state & (CT_STATES_MAX - 1)] : 0;
}

/* Ends both halves of the flow that the scratch's ended names one of. */
__noinline int flow_end(int expired)
{
	struct lb_scratch *scratch = scratch_get();
	struct lb_totals *totals = count_totals();
	struct ct_ref ref = {}, peer = {};
	struct ct_key peer_key;

	if (!scratch || !totals || !ct_lookup(&scratch->ended, &ref))
		return 0;
	if (flow_peer(&ref, &peer_key, &peer))
		ct_remove(&peer_key, &peer);
	if (!ct_remove(&scratch->ended, &ref))
		return 0;
	if (expired)
		totals->flows_expired++;
	else
		totals->flows_removed++;
	return 1;
}

static __always_inline void flow_end_key(const struct ct_key *key, int expired)
{
	struct lb_scratch *scratch = scratch_get();

	if (!scratch)
		return;
	scratch->ended = *key;
	flow_end(expired);
}

/* Puts the other half back, which was evicted. 0, or -errno: its place is taken. */
static __always_inline int flow_rebuild(struct lb_scratch *scratch, const struct ct_ref *ref)
{
	struct ct_cold *cold = ct_cold(ref);
	struct ct_ref peer = {};

	if (!cold)
		return -EBUSY;
	scratch->half.flow = *ref->flow;
	scratch->half.cold = *cold;
	if (!ct_still(ref))
		return -EBUSY;
	ct_turn(&scratch->half.flow);
	scratch->half.flow.last_seen = scratch->pkt.now;
	scratch->half.flow.packets = 0;
	scratch->half.flow.way = 0;
	scratch->half.flow.volume = 0;
	if (ct_create(scratch, scratch->pkt.now))
		return -EEXIST;
	if (!(ref->ctl & CT_HALF_OPEN) && ct_lookup(&scratch->key, &peer))
		ct_settle(&scratch->key, &peer);
	return 0;
}

/*
 * The first packet of a flow in a while: its flow may be past its time. Else keeps the other half
 * from looking idle, and puts it back if it was evicted. If its place was taken meanwhile (another
 * flow has the source port), this flow can't go on. Answers a verdict; the flow may be gone.
 */
__noinline int flow_tick(__u32 now)
{
	struct lb_scratch *scratch = scratch_get();
	struct ct_ref ref = {}, peer = {};
	struct lb_backend *backend;
	struct lb_pkt *pkt;

	if (!scratch)
		return lb_drop(LB_DROP_FLOW_BUSY);
	pkt = &scratch->pkt;
	if (!ct_lookup(&pkt->key, &ref))
		return LB_NEXT;
	if (flow_expired(now, ref.flow, lb_config.hz)) {
		flow_end_key(&pkt->key, 1);
		return LB_NEXT;
	}
	ref.flow->way = 0; /* the FIB is asked again */
	backend = backend_at(ref.flow->backend);
	if (!backend || !flow_is_pair(ref.flow))
		return LB_NEXT;
	ct_peer_key(ref.flow, backend, &scratch->key);
	if (ct_lookup(&scratch->key, &peer)) {
		if (ct_is_pair(peer.flow, ref.flow)) {
			peer.flow->last_seen = now;
			peer.flow->way = 0; /* it won't come here itself in this second */
			return LB_NEXT;
		}
	} else if (!flow_rebuild(scratch, &ref)) {
		return LB_NEXT;
	} else if (!ct_still(&ref)) {
		return lb_drop(LB_DROP_FLOW_BUSY);
	}
	flow_end_key(&pkt->key, 0);
	return lb_drop(LB_DROP_PORT_LOST);
}

/* Under which its half lies in the flow table. */
static __always_inline void flow_key(struct lb_pkt *pkt)
{
	__be32 ports = ct_turn_ports(pkt->tuple.ports, pkt_is_turned(pkt));
	__u64 turned = pkt_is_turned(pkt) * CT_ENDS_TURNED;

	pkt->key.remote = *pkt_remote(pkt);
	pkt->key.ends = pkt_ends(ports, pkt->local, pkt->ip_proto) | turned;
	pkt->hash = ct_hash(pkt_remote(pkt), pkt_local(pkt),
			    pkt_ends(ports, 0, pkt->ip_proto) | turned, lb_config.factors);
}

/*
 * The packet's flow: ref->flow is NULL if it has none that is alive. One past its time, or whose
 * backend was removed, counts as none and is ended here: correctness never waits for garbage
 * collection. What is done once a second is done by the first packet after a boundary.
 */
static __always_inline enum lb_verdict flow_find(struct lb_pkt *pkt, struct ct_ref *ref,
						 struct lb_backend **ret_backend)
{
	enum lb_verdict verdict;

	ct_find_pkt(pkt, ref);
	if (unlikely(!ref->flow))
		return LB_NEXT;
	*ret_backend = backend_get(ref->flow->backend, ref->flow->gen);
	if (unlikely(!*ret_backend)) {
		flow_end_key(&pkt->key, 0);
		ref->flow = NULL;
		return LB_NEXT;
	}
	if (likely(!((pkt->now ^ ref->flow->last_seen) >> lb_config.tick_shift)))
		return LB_NEXT;
	verdict = flow_tick(pkt->now);
	if (!ct_still(ref))
		ref->flow = NULL;
	return verdict;
}

/* Copies what the packet becomes. LB_DROP if the slot changed hands meanwhile. */
static __always_inline enum lb_verdict flow_target(struct lb_pkt *pkt, const struct ct_ref *ref,
						   const struct lb_backend *backend)
{
	const struct ct_flow *flow = ref->flow;
	struct lb_addr *addr;
	__u32 local;

	if (!flow || !backend)
		return lb_drop(LB_DROP_FLOW_BUSY);
	local = flow->peer_local;
	pkt->method = ct_method(flow);
	pkt->dir = ct_dir(flow);
	pkt->backend = flow->backend;
	pkt->backend_gen = flow->gen;
	pkt->vip = backend->vip;
	pkt->has_vip = 1;
	pkt->to.dst = ct_dir(flow) == CT_DIR_IN ? backend->addr : flow->client;
	pkt->to.ports = flow->peer_ports;
	if (!local)
		local = flow->outer;
	addr = bpf_map_lookup_elem(&lb_local_addrs, &local);
	if (!addr)
		return lb_drop(LB_DROP_FLOW_BUSY);
	pkt->to.src = *addr;
	if (unlikely(pkt->method == LB_METHOD_NAT && pkt->dir == CT_DIR_IN))
		pkt->to.src = flow->client;
	return ct_still(ref) ? LB_NEXT : lb_drop(LB_DROP_FLOW_BUSY);
}

/* The VIP that a flow belongs to: it holds the time-outs. */
static __always_inline struct lb_vip *flow_vip(const struct ct_key *key, const struct ct_flow *flow)
{
	int in = ct_dir(flow) == CT_DIR_IN;
	__u32 local = in ? key->local : flow->peer_local;
	struct lb_addr *addr = bpf_map_lookup_elem(&lb_local_addrs, &local);

	return addr ? service_find(addr, in ? key->local_port : flow->peer_local_port,
				   key->ip_proto) :
		      NULL;
}

/* With the phases goes whether the half is half-open: not established yet, or over. */
static __always_inline __u32 flow_settled(const struct ct_flow *flow, __u32 ctl, __u32 open,
					  __u32 *ret_state)
{
	__u32 state = ct_state_of(ct_ends_proto(flow->ends), ct_phase(ctl, CT_DIR_IN),
				  ct_phase(ctl, CT_DIR_OUT));

	*ret_state = state;
	/* Where replies don't pass, the client's FIN is the last that is seen of most flows. */
	if (state == CT_CLOSED || (state == CT_FIN && !flow_is_pair(flow)))
		return ctl | CT_HALF_OPEN;
	if (open || state == CT_ESTABLISHED || state == CT_UDP_ASSURED)
		return ctl & ~CT_HALF_OPEN;
	return ctl;
}

/*
 * One half learns of the scratch's news: that of the packet, or the other, whose key is the
 * scratch's. Only the own direction's phase is changed, and what follows from both is told from the
 * word as it becomes: so both directions may change at once on two CPUs.
 */
__noinline int flow_learn(int other)
{
	struct lb_scratch *scratch = scratch_get();
	const struct ct_key *key;
	struct ct_ref ref = {};
	struct ct_cold *cold;
	__u32 now, next, seen, state;
	struct lb_vip *vip;
	long i;

	if (!scratch)
		return 0;
	key = other ? &scratch->key : &scratch->pkt.key;
	if (!ct_lookup(key, &ref))
		return 0;
	vip = flow_vip(key, ref.flow);
	cold = ct_cold(&ref);
	if (cold)
		cold->expect_ack = scratch->news.expect_ack;
	now = ref.ctl;
	for (i = 0; i < CT_CHANGE_TRIES; i++) {
		if (ct_changed_hands(ref.ctl, now))
			return 0;
		next = (now & ~scratch->news.phases_mask) | scratch->news.phases;
		next = flow_settled(ref.flow, next, scratch->news.open, &state);
		seen = atomic_cas(&ref.flow->ctl, now, next);
		if (seen == now) {
			ref.flow->timeout = flow_timeout(vip, state);
			ref.ctl = next;
			if ((now ^ next) & CT_MOVES)
				break;
			/* Once more if the other direction's CPU came between word and time-out;
			 * an atomic, so that this look isn't earlier than that write. */
			seen = atomic_or(&ref.flow->ctl, 0);
			if (!((seen ^ next) & CT_PHASES_MASK))
				return 1;
		}
		now = seen;
	}
	if (i == CT_CHANGE_TRIES)
		return 0;
	ct_move(key, &ref);
	return 1;
}

static __always_inline enum ct_event flow_event(const struct lb_pkt *pkt)
{
	if (pkt->ip_proto == IPPROTO_UDP)
		return pkt->dir == CT_DIR_OUT ? CT_EVENT_OPEN : CT_EVENT_DATA;
	if (likely(!(pkt->tcp_flags & (LB_TCP_SYN | LB_TCP_FIN | LB_TCP_RST))))
		return CT_EVENT_DATA;
	if (pkt->tcp_flags & LB_TCP_RST)
		return CT_EVENT_RST;
	return pkt->tcp_flags & LB_TCP_SYN ? CT_EVENT_SYN : CT_EVENT_FIN;
}

/*
 * The handshake is complete when the client acknowledges the number that the backend chose: who
 * doesn't see the replies can't forge that. Some data may already be acknowledged with it (TCP Fast
 * Open, RFC 7413), at most an initial window (RFC 6928: 10 segments). Where replies don't pass here,
 * any packet that follows the first has to do. A connection that nat has picked up in its middle is one
 * if the backend goes on with it.
 */
static __always_inline int flow_completes(const struct lb_pkt *pkt, const struct ct_ref *ref,
					  __u32 event, __u32 expect_ack)
{
	int pair = flow_is_pair(ref->flow);

	if (pair && pkt->dir == CT_DIR_OUT)
		return event == CT_EVENT_DATA && pkt->ip_proto == IPPROTO_TCP &&
		       ct_phase(ref->ctl, CT_DIR_IN) == CT_PHASE_OPEN &&
		       ct_phase(ref->ctl, CT_DIR_OUT) == CT_PHASE_NONE;
	if (pkt->ip_proto == IPPROTO_UDP)
		return !pair && ct_packets(ref->flow);
	if (pkt->dir != CT_DIR_IN || !(pkt->tcp_flags & LB_TCP_ACK) ||
	    pkt->tcp_flags & (LB_TCP_SYN | LB_TCP_RST))
		return 0;
	if (!pair)
		return ct_packets(ref->flow) && ct_phase(ref->ctl, CT_DIR_IN) == CT_PHASE_SYN;
	return ct_phase(ref->ctl, CT_DIR_OUT) == CT_PHASE_SYN && pkt->tcp_ack - expect_ack < 16384;
}

/* Works out what an event means. 0: nothing new. */
static __always_inline int flow_judge(const struct lb_pkt *pkt, const struct ct_ref *ref,
				      __u32 event, struct lb_news *news)
{
	__u8 in = ct_phase(ref->ctl, CT_DIR_IN), out = ct_phase(ref->ctl, CT_DIR_OUT);
	struct ct_cold *cold = ct_cold(ref);
	int open = event == CT_EVENT_OPEN;

	if (!cold)
		return 0;
	news->expect_ack = cold->expect_ack;
	if (pkt->dir == CT_DIR_OUT)
		out = ct_phase_next(out, event);
	else
		in = ct_phase_next(in, event);
	if (event == CT_EVENT_SYN && pkt->dir == CT_DIR_OUT)
		news->expect_ack = pkt->tcp_seq + 1;
	if (flow_completes(pkt, ref, event, cold->expect_ack)) {
		open = 1;
		in = ct_phase_next(CT_PHASE_OPEN, event);
		out = CT_PHASE_OPEN;
	}
	news->open = open;
	news->phases_mask = open ? CT_PHASES_MASK : 7u << ct_phase_shift(pkt->dir);
	news->phases = ct_phases(in, out) & news->phases_mask;
	return news->phases != (ref->ctl & news->phases_mask) ||
	       news->expect_ack != cold->expect_ack;
}

/* Anything that may change the packet's flow's state: written to both halves. */
__noinline int flow_step(__u32 event)
{
	struct lb_scratch *scratch = scratch_get();
	struct ct_ref ref = {}, peer = {};
	int pair;

	if (!scratch || !ct_lookup(&scratch->pkt.key, &ref) ||
	    !flow_judge(&scratch->pkt, &ref, event, &scratch->news))
		return 0;
	pair = flow_peer(&ref, &scratch->key, &peer);
	flow_learn(0);
	if (pair)
		flow_learn(1);
	return 1;
}

/*
 * Follows the sequence numbers of TCP in steps that one packet may make. A sender may begin anywhere, and so
 * may a half that has seen none.
 */
static __always_inline void flow_follow_seq(const struct lb_pkt *pkt, struct ct_flow *flow, int begins)
{
	if (likely(ct_seq_block(pkt->tcp_seq) == flow->seq_block))
		return;
	if (ct_seq_fits(flow, pkt->tcp_seq) || begins || !ct_packets(flow))
		flow->seq_block = ct_seq_block(pkt->tcp_seq);
}

/*
 * A RST whose number is nowhere near those of its sender is a blind guess, which the other end doesn't heed
 * either (RFC 5961, 3.2): it goes on its way, and changes nothing here.
 */
static __always_inline int flow_is_blind(const struct lb_pkt *pkt, const struct ct_flow *flow, int begins)
{
	return pkt->ip_proto == IPPROTO_TCP && pkt->tcp_flags & LB_TCP_RST && !begins &&
	       ct_packets(flow) && !ct_seq_fits(flow, pkt->tcp_seq);
}

/*
 * Accounts a packet that leaves to its flow and lets the flow's state follow it. That comes last,
 * since it may void the reference.
 */
static __always_inline void flow_track(struct lb_pkt *pkt, struct ct_ref *ref)
{
	enum ct_event event = flow_event(pkt);
	__u32 open = ct_phases(CT_PHASE_OPEN, CT_PHASE_OPEN);
	int begins = 0;

	if (unlikely(event > CT_EVENT_OPEN || (ref->ctl & CT_PHASES_MASK) != open)) {
		begins = ct_phase(ref->ctl, pkt->dir) < CT_PHASE_OPEN;
		if (flow_is_blind(pkt, ref->flow, begins))
			return;
		if (!pkt->is_new && flow_step(event) && CT_IS_LRU && !ct_lookup(&pkt->key, ref))
			return; /* it may have moved */
	}
	flow_follow_seq(pkt, ref->flow, begins);
	ref->flow->last_seen = pkt->now;
	ct_count(ref->flow, pkt->l3_len);
}

/* A SYN from the client of a flow that is closing: the start of the next one (RFC 9293, 3.6.1). */
static __always_inline int flow_restarts(const struct lb_pkt *pkt, const struct ct_ref *ref)
{
	__u32 state;

	if (pkt->ip_proto != IPPROTO_TCP || ct_dir(ref->flow) != CT_DIR_IN ||
	    (pkt->tcp_flags & (LB_TCP_SYN | LB_TCP_ACK | LB_TCP_RST | LB_TCP_FIN)) != LB_TCP_SYN)
		return 0;
	state = ct_state_of(pkt->ip_proto, ct_phase(ref->ctl, CT_DIR_IN),
			    ct_phase(ref->ctl, CT_DIR_OUT));
	return state == CT_FIN || state == CT_CLOSED;
}

#endif

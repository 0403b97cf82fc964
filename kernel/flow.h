/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Life of a flow that exists: found, refreshed, its TCP or UDP state followed, ended.
 * Rare events (SYN, handshake, FIN, RST, once a second) touch both halves; other packets only
 * their own.
 */
#ifndef LB_FLOW_H
#define LB_FLOW_H

#include "count.h"
#include "ct_state.h"
#include "flow_table.h"
#include "maps.h"
#include "pkt.h"
#include "service.h"

static __always_inline void flow_key(const struct lb_pkt *pkt, struct ct_key *key)
{
	*key = (struct ct_key){
		.remote = pkt->tuple.src,
		.remote_port = pkt->tuple.sport,
		.local_port = pkt->tuple.dport,
		.local = pkt->local,
		.ip_proto = pkt->ip_proto,
	};
}

/* The other half, if it is there and still belongs to this one. */
static __always_inline struct ct_flow *flow_peer(const struct ct_key *key,
						 const struct ct_flow *flow)
{
	struct ct_key peer_key = flow->peer;
	struct ct_flow *peer = ct_find(&peer_key);

	return peer && ct_key_equal(&peer->peer, key) ? peer : NULL;
}

static __always_inline int flow_expired(__u32 now, const struct ct_flow *flow)
{
	return ct_expired(now, flow->last_seen, flow->timeout, lb_config.hz);
}

/* Jiffies of idleness that a flow's state allows: the VIP's setting, else the general one. */
static __always_inline __u32 flow_timeout(const struct lb_vip *vip, __u32 state)
{
	__u32 zero = 0;
	struct lb_settings *settings = bpf_map_lookup_elem(&lb_settings, &zero);

	if (vip && vip->timeout[state & (CT_STATES_MAX - 1)])
		return vip->timeout[state & (CT_STATES_MAX - 1)];
	return settings ? settings->timeout[state & (CT_STATES_MAX - 1)] : 60 * lb_config.hz;
}

/* Ends both halves. */
static __noinline void flow_end(const struct ct_key *key, struct ct_flow *flow, int expired)
{
	struct ct_flow *peer = flow_peer(key, flow);
	struct lb_totals *totals = count_totals();

	if (peer) {
		struct ct_key peer_key = flow->peer;

		ct_remove(&peer_key, peer);
	}
	if (!ct_remove(key, flow) || !totals)
		return;
	if (expired)
		totals->flows_expired++;
	else
		totals->flows_removed++;
}

/* Copies what the packet becomes: the peer's key is it. LB_DROP if the entry changed meanwhile. */
static __always_inline enum lb_verdict flow_target(struct lb_pkt *pkt, const struct ct_key *key,
						   const struct ct_flow *flow)
{
	__u32 local = flow->peer.local;
	struct lb_addr *addr = bpf_map_lookup_elem(&lb_local_addrs, &local);

	if (!addr)
		return lb_drop(LB_DROP_FLOW_BUSY);
	pkt->to.src = *addr;
	pkt->to.sport = flow->peer.local_port;
	pkt->to.dst = flow->peer.remote;
	pkt->to.dport = flow->peer.remote_port;
	pkt->vip = flow->vip;
	pkt->has_vip = 1;
	pkt->backend = flow->backend.index;
	return ct_is(flow, key) ? LB_NEXT : lb_drop(LB_DROP_FLOW_BUSY);
}

/*
 * The packet's flow, if it has one that is alive. One past its time, or whose backend was removed,
 * counts as none and is ended here: correctness never waits for garbage collection.
 */
static __always_inline struct ct_flow *flow_find(struct lb_pkt *pkt, const struct ct_key *key)
{
	struct ct_flow *flow = ct_find(key);
	int expired;

	if (!flow)
		return NULL;
	expired = flow_expired(pkt->now, flow);
	if (likely(!expired && !flow->dead && backend_get(&flow->backend)))
		return flow;
	flow_end(key, flow, expired);
	return NULL;
}

/* The VIP that a flow belongs to: it holds the time-outs. */
static __always_inline struct lb_vip *flow_vip(const struct ct_key *key, const struct ct_flow *flow)
{
	const struct ct_key *client_side = flow->dir == CT_DIR_IN ? key : &flow->peer;
	__u32 local = client_side->local;
	struct lb_addr *addr = bpf_map_lookup_elem(&lb_local_addrs, &local);

	return addr ? service_find(addr, client_side->local_port, client_side->ip_proto) : NULL;
}

/* What both halves learn of an event. */
struct flow_news {
	__u32 timeout;
	__u32 expect_ack;
	__u8 dir;
	__u8 open;
	__u8 phase[2];
};

/* Only the own direction's phase is written, so that both may change at once on two CPUs. */
static __always_inline void flow_learn(struct ct_flow *flow, const struct flow_news *news)
{
	if (news->dir == CT_DIR_IN || news->open)
		flow->phase[CT_DIR_IN] = news->phase[CT_DIR_IN];
	if (news->dir == CT_DIR_OUT || news->open)
		flow->phase[CT_DIR_OUT] = news->phase[CT_DIR_OUT];
	flow->timeout = news->timeout;
	flow->expect_ack = news->expect_ack;
}

static __always_inline enum ct_event flow_event(const struct lb_pkt *pkt, const struct ct_flow *flow)
{
	if (pkt->ip_proto == IPPROTO_UDP)
		return flow->dir == CT_DIR_OUT ? CT_EVENT_OPEN : CT_EVENT_DATA;
	if (likely(!(pkt->tcp_flags & (LB_TCP_SYN | LB_TCP_FIN | LB_TCP_RST))))
		return CT_EVENT_DATA;
	if (pkt->tcp_flags & LB_TCP_RST)
		return CT_EVENT_RST;
	return pkt->tcp_flags & LB_TCP_SYN ? CT_EVENT_SYN : CT_EVENT_FIN;
}

/*
 * The handshake is complete when the client acknowledges the number that the backend chose: who
 * doesn't see the replies can't forge that. Some data may already be acknowledged with it (TCP Fast
 * Open, RFC 7413), at most an initial window (RFC 6928: 10 segments).
 */
static __always_inline int flow_completes(const struct lb_pkt *pkt, const struct ct_flow *flow)
{
	return flow->dir == CT_DIR_IN && (pkt->tcp_flags & LB_TCP_ACK) &&
	       flow->phase[CT_DIR_OUT] == CT_PHASE_SYN && pkt->tcp_ack - flow->expect_ack < 16384;
}

/* Anything that may change the state: works it out once and writes it to both halves. */
static __noinline void flow_step(struct lb_pkt *pkt, const struct ct_key *key, struct ct_flow *flow,
				 __u32 event)
{
	struct flow_news news = {
		.timeout = flow->timeout,
		.expect_ack = flow->expect_ack,
		.dir = flow->dir,
		.open = event == CT_EVENT_OPEN,
		.phase = { flow->phase[CT_DIR_IN], flow->phase[CT_DIR_OUT] },
	};
	struct ct_key peer_key = flow->peer;
	struct ct_flow *peer;
	__u32 state;

	if (news.dir == CT_DIR_OUT)
		news.phase[CT_DIR_OUT] = ct_phase_next(news.phase[CT_DIR_OUT], event);
	else
		news.phase[CT_DIR_IN] = ct_phase_next(news.phase[CT_DIR_IN], event);
	if (event == CT_EVENT_SYN && news.dir == CT_DIR_OUT)
		news.expect_ack = pkt->tcp_seq + 1;
	if (pkt->ip_proto == IPPROTO_TCP && event != CT_EVENT_RST && flow_completes(pkt, flow)) {
		news.open = 1;
		news.phase[CT_DIR_IN] = ct_phase_next(CT_PHASE_OPEN, event);
		news.phase[CT_DIR_OUT] = CT_PHASE_OPEN;
	}
	if (news.phase[CT_DIR_IN] == flow->phase[CT_DIR_IN] &&
	    news.phase[CT_DIR_OUT] == flow->phase[CT_DIR_OUT] &&
	    news.expect_ack == flow->expect_ack)
		return;
	state = ct_state_of(pkt->ip_proto, news.phase[CT_DIR_IN], news.phase[CT_DIR_OUT]);
	news.timeout = flow_timeout(flow_vip(key, flow), state);
	peer = flow_peer(key, flow);
	flow_learn(flow, &news);
	if (peer)
		flow_learn(peer, &news);
	if (state != CT_CLOSED && state != CT_ESTABLISHED && !news.open)
		return;
	if (peer)
		ct_move(&peer_key, peer, state == CT_CLOSED);
	ct_move(key, flow, state == CT_CLOSED);
}

/*
 * Once a second: keeps the other half from looking idle, and puts it back if it was evicted. If its
 * place was taken meanwhile (another flow has the source port), this flow can't go on.
 */
static __noinline enum lb_verdict flow_refresh(struct lb_pkt *pkt, const struct ct_key *key,
					       struct ct_flow *flow)
{
	struct ct_key peer_key = flow->peer;
	struct ct_flow *peer = ct_find(&peer_key);
	struct lb_scratch *scratch = scratch_get();
	struct ct_flow *copy;

	flow->refreshed = pkt->now;
	if (peer) {
		if (!ct_key_equal(&peer->peer, key))
			goto lost;
		peer->last_seen = pkt->now;
		return LB_NEXT;
	}
	if (!scratch)
		return lb_drop(LB_DROP_FLOW_BUSY);
	copy = &scratch->half;
	*copy = *flow;
	if (!ct_is(copy, key))
		return lb_drop(LB_DROP_FLOW_BUSY);
	copy->peer = *key;
	copy->dir = !copy->dir;
	copy->packets = 0;
	copy->bytes = 0;
	copy->dead = 0;
	if (ct_create(&peer_key, copy))
		goto lost;
	peer = ct_find(&peer_key);
	if (peer && !flow->half_open)
		ct_move(&peer_key, peer, 0);
	return LB_NEXT;
lost:
	flow_end(key, flow, 0);
	return lb_drop(LB_DROP_PORT_LOST);
}

/*
 * Accounts a packet to its flow and lets the flow's state follow it. That comes last, since it may
 * move the entry.
 */
static __always_inline enum lb_verdict flow_track(struct lb_pkt *pkt, const struct ct_key *key,
						  struct ct_flow *flow)
{
	enum ct_event event = flow_event(pkt, flow);
	enum lb_verdict verdict = LB_NEXT;

	flow->last_seen = pkt->now;
	flow->packets++;
	flow->bytes += pkt->l3_len;
	if (pkt->now - flow->refreshed > lb_config.hz)
		verdict = flow_refresh(pkt, key, flow);
	if (verdict != LB_NEXT)
		return verdict;
	if (unlikely(event > CT_EVENT_OPEN || flow->phase[CT_DIR_IN] != CT_PHASE_OPEN ||
		     flow->phase[CT_DIR_OUT] != CT_PHASE_OPEN))
		flow_step(pkt, key, flow, event);
	return LB_NEXT;
}

/* A SYN from the client of a flow that is closing: the start of the next one (RFC 9293, 3.6.1). */
static __always_inline int flow_restarts(const struct lb_pkt *pkt, const struct ct_flow *flow)
{
	__u32 state;

	if (pkt->ip_proto != IPPROTO_TCP || flow->dir != CT_DIR_IN ||
	    (pkt->tcp_flags & (LB_TCP_SYN | LB_TCP_ACK | LB_TCP_RST | LB_TCP_FIN)) != LB_TCP_SYN)
		return 0;
	state = ct_state_of(pkt->ip_proto, flow->phase[CT_DIR_IN], flow->phase[CT_DIR_OUT]);
	return state == CT_FIN || state == CT_CLOSED;
}

#endif

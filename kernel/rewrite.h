/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Rewriting: MACs, addresses, ports, TTL and checksums (RFC 1624).
 *
 * A packet that a local stack sent over veth, or that GRO has merged, carries a *partial* checksum:
 * its field holds only the folded pseudo-header sum, and the rest is summed at the far end of the
 * stack. A generic program must leave it so, since the skb still says so; a native one must
 * complete it, since that mark is lost. (Documentation/networking/checksum-offloads.rst)
 */
#ifndef LB_REWRITE_H
#define LB_REWRITE_H

#include "count.h"
#include "csum.h"
#include "pkt.h"

#define CSUM_BLOCK 256
#define CSUM_CHUNK 32
#define CSUM_MAX   (16 * CSUM_BLOCK) /* bytes; partial checksums come in by veth, up to 3.5 KB */
#define CSUM_OFFSET_MASK 0x1fff

/*
 * The next bytes to sum, or NULL. Found from the start each time, through a mask that changes
 * nothing, so that the verifier forgets how far the loops before have come and doesn't look at what
 * follows once for each way to get there.
 */
static __always_inline void *csum_at(struct xdp_md *ctx, __u32 offset, __u32 bytes)
{
	void *at;

	barrier_var(offset);
	at = (void *)(long)ctx->data + (offset & CSUM_OFFSET_MASK);
	return pkt_beyond(at, bytes, (void *)(long)ctx->data_end) ? NULL : at;
}

/*
 * Sums the bytes from an offset on: blocks, chunks, words. -1 if longer than CSUM_MAX. Not static,
 * so that the verifier looks at it once and not on every path that leads here.
 */
__noinline __s64 csum_bytes(struct xdp_md *ctx, __u32 offset, __u32 left)
{
	__u64 sum = 0;
	void *at;
	int i, j;

	for (i = 0; i < CSUM_MAX / CSUM_BLOCK && left >= CSUM_BLOCK; i++) {
		at = csum_at(ctx, offset, CSUM_BLOCK);
		if (!at)
			return -1;
		sum += (__u32)bpf_csum_diff(NULL, 0, at, CSUM_BLOCK, 0);
		offset += CSUM_BLOCK;
		left -= CSUM_BLOCK;
	}
	for (i = 0; i < CSUM_BLOCK / CSUM_CHUNK && left >= CSUM_CHUNK; i++) {
		at = csum_at(ctx, offset, CSUM_CHUNK);
		if (!at)
			return -1;
		for (j = 0; j < CSUM_CHUNK / 4; j++)
			sum += ((__u32 *)at)[j];
		offset += CSUM_CHUNK;
		left -= CSUM_CHUNK;
	}
	for (i = 0; i < CSUM_CHUNK / 2 && left >= 2; i++) {
		at = csum_at(ctx, offset, 2);
		if (!at)
			return -1;
		sum += *(__u16 *)at;
		offset += 2;
		left -= 2;
	}
	if (left == 1) {
		at = csum_at(ctx, offset, 1);
		if (!at)
			return -1;
		sum += bpf_htons(*(__u8 *)at << 8); /* RFC 1071: padded with a zero byte */
	}
	return left > 1 ? -1 : (__s64)sum;
}

static __always_inline __s64 csum_transport(struct xdp_md *ctx, const struct lb_pkt *pkt)
{
	return csum_bytes(ctx, pkt->l4_off, pkt->l3_len - (pkt->l4_off - pkt->l3_off));
}

static __always_inline __u64 csum_pseudo(const struct lb_pkt *pkt, const struct lb_addr *src,
					 const struct lb_addr *dst)
{
	__u32 l4_len = pkt->l3_len - (pkt->l4_off - pkt->l3_off);

	int v4 = pkt->family == AF_INET;

	return csum_addr(src, v4) + csum_addr(dst, v4) + bpf_htons(pkt->ip_proto) +
	       bpf_htonl(l4_len);
}

/*
 * The sum of the packet as it came, of which len bytes lie at the offset now. sound: its transport
 * checksum is right, or will be made so; then its segment's sum is that of the pseudo header, negative
 * (checksum-offloads.rst, "LCO: Local Checksum Offload").
 */
static __always_inline __s64 csum_packet(struct xdp_md *ctx, const struct lb_pkt *pkt, __u32 offset,
					 __u32 len, int sound)
{
	__s64 sum;

	if (!sound)
		return csum_bytes(ctx, offset, len);
	sum = csum_bytes(ctx, offset, pkt->l4_off - pkt->l3_off);
	return sum < 0 ? sum :
			 sum + (__u16)~csum_fold(csum_pseudo(pkt, &pkt->tuple.src, &pkt->tuple.dst));
}

static __always_inline int csum_is_pseudo(const struct lb_pkt *pkt, __u16 field)
{
	return field == csum_fold(csum_pseudo(pkt, &pkt->tuple.src, &pkt->tuple.dst));
}

/*
 * Generic mode: is a field that equals the pseudo-header sum a partial checksum, or a complete one
 * that is equal by chance (1 in 65536)? If the complete sum doesn't verify, it is partial; a frame
 * too long to sum was merged or is yet to be cut, so it is partial, too. If it does verify, both
 * readings hold, and it is as packets are that come this way: hint.
 */
static __always_inline int csum_is_partial(struct xdp_md *ctx, const struct lb_pkt *pkt,
					   int hint)
{
	__s64 sum = csum_transport(ctx, pkt);

	if (sum < 0)
		return 1;
	if (csum_fold(sum + csum_pseudo(pkt, &pkt->tuple.src, &pkt->tuple.dst)) != 0xffff)
		return 1;
	return hint;
}

/* The first packet of a half. GRO doesn't merge these, so they tell how packets come this way. */
static __always_inline int csum_is_first(const struct lb_pkt *pkt, const struct ct_flow *flow)
{
	return pkt->ip_proto == IPPROTO_TCP ? pkt->tcp_flags & LB_TCP_SYN : !ct_packets(flow);
}

/*
 * A sender that left the first checksum partial leaves all so: no need to sum again. The others'
 * hint for the first packet is what the interface's last first packet was.
 */
static __always_inline int csum_kind(struct xdp_md *ctx, const struct lb_pkt *pkt,
				     struct ct_flow *flow, __u16 field)
{
	int equal = csum_is_pseudo(pkt, field), partial;
	struct lb_iface_stats *iface;

	if (likely(!csum_is_first(pkt, flow)))
		return equal && (flow->partial || csum_is_partial(ctx, pkt, 0));
	iface = count_iface(ctx);
	partial = equal && csum_is_partial(ctx, pkt, iface && iface->partial);
	flow->partial = partial;
	if (iface)
		iface->partial = partial;
	return partial;
}

static __always_inline __be16 *csum_field(const struct xdp_md *ctx, const struct lb_pkt *pkt)
{
	void *l4 = pkt_l4(ctx, pkt);
	__u32 offset = pkt->ip_proto == IPPROTO_TCP ? offsetof(struct tcphdr, check) :
						      offsetof(struct udphdr, check);

	return l4 + offset + 2 > pkt_end(ctx) ? NULL : l4 + offset;
}

/* Generic mode: the same for a packet that isn't carried. */
static __always_inline int csum_comes_partial(struct xdp_md *ctx, const struct lb_pkt *pkt)
{
	__be16 *field = csum_field(ctx, pkt);
	struct lb_iface_stats *iface = count_iface(ctx);

	return field && !pkt->frag && csum_is_pseudo(pkt, *field) &&
	       csum_is_partial(ctx, pkt, iface && iface->partial);
}

/* What addresses and ports add to a sum. */
static __always_inline __u64 rewrite_addrs_delta(const struct lb_pkt *pkt)
{
	int v4 = pkt->family == AF_INET;

	return csum_replace_addr(&pkt->tuple.src, &pkt->to.src, v4) +
	       csum_replace_addr(&pkt->tuple.dst, &pkt->to.dst, v4);
}

static __always_inline __u64 rewrite_ports_delta(const struct lb_pkt *pkt)
{
	return csum_replace32(pkt->tuple.ports, pkt->to.ports);
}

/* 12 bytes at once, as they lie in struct lb_nexthop. */
static __always_inline void rewrite_macs(struct ethhdr *eth, const struct lb_nexthop *nexthop)
{
	const __u32 *from = (const void *)nexthop->dmac;
	__u32 *to = (void *)eth;

	to[0] = from[0];
	to[1] = from[1];
	to[2] = from[2];
}

static __always_inline void rewrite_ip4(struct iphdr *ip, const struct lb_tuple *to,
					__u64 addrs_delta)
{
	__be16 ttl_word = *(__be16 *)&ip->ttl;

	ip->check = ~csum_fold((__u16)~ip->check + addrs_delta +
			       csum_replace16(ttl_word, ttl_word - bpf_htons(0x100)));
	ip->ttl--;
	ip->saddr = to->src.w[3];
	ip->daddr = to->dst.w[3];
}

static __always_inline void rewrite_ip6(struct ipv6hdr *ip, const struct lb_tuple *to)
{
	ip->hop_limit--;
	__builtin_memcpy(&ip->saddr, &to->src, sizeof(to->src));
	__builtin_memcpy(&ip->daddr, &to->dst, sizeof(to->dst));
}

/* Writes addresses and ports; the transport checksum comes apart. addrs_delta: what they add. */
static __always_inline enum lb_verdict rewrite_headers(const struct xdp_md *ctx,
						       const struct lb_pkt *pkt, __u64 addrs_delta)
{
	struct ethhdr *eth = pkt_data(ctx);
	void *ip = eth + 1;
	__be32 *ports = pkt_l4(ctx, pkt);

	if (ip + sizeof(struct iphdr) > pkt_end(ctx) || (void *)(ports + 1) > pkt_end(ctx))
		return lb_drop(LB_DROP_OUTPUT);
	rewrite_macs(eth, &pkt->nexthop);
	*ports = pkt->to.ports;
	if (likely(pkt->family == AF_INET)) {
		rewrite_ip4(ip, &pkt->to, addrs_delta);
		return LB_NEXT;
	}
	if (ip + sizeof(struct ipv6hdr) > pkt_end(ctx))
		return lb_drop(LB_DROP_OUTPUT);
	rewrite_ip6(ip, &pkt->to);
	return LB_NEXT;
}

/*
 * Native mode: the complete checksum, summed over the packet with a field of zero. inner: with the
 * addresses that it came with.
 */
__noinline int csum_complete(struct xdp_md *ctx, int inner)
{
	struct lb_scratch *scratch = scratch_get();
	const struct lb_tuple *tuple;
	const struct lb_pkt *pkt;
	__be16 *field;
	__u16 check;
	__s64 sum;

	if (!scratch)
		return lb_drop(LB_DROP_OUTPUT);
	pkt = &scratch->pkt;
	tuple = inner ? &pkt->tuple : &pkt->to;
	field = csum_field(ctx, pkt);
	if (!field)
		return lb_drop(LB_DROP_OUTPUT);
	*field = 0;
	sum = csum_transport(ctx, pkt);
	if (sum < 0)
		return lb_drop(LB_DROP_CHECKSUM);
	check = ~csum_fold(sum + csum_pseudo(pkt, &tuple->src, &tuple->dst));
	field = csum_field(ctx, pkt);
	if (!field)
		return lb_drop(LB_DROP_OUTPUT);
	*field = check || pkt->ip_proto != IPPROTO_UDP ? check : 0xffff;
	return LB_NEXT;
}

/* fullnat, nat: other addresses and ports. */
static __always_inline enum lb_verdict rewrite(struct xdp_md *ctx, const struct lb_pkt *pkt,
					       struct ct_flow *flow)
{
	__u64 addrs_delta = rewrite_addrs_delta(pkt);
	__be16 *field = csum_field(ctx, pkt);
	enum lb_verdict verdict;
	int partial;
	__u16 old;

	if (!field)
		return lb_drop(LB_DROP_OUTPUT);
	old = *field;
	partial = lb_config.generic ? csum_kind(ctx, pkt, flow, old) : csum_is_pseudo(pkt, old);
	verdict = rewrite_headers(ctx, pkt, addrs_delta);
	if (verdict != LB_NEXT)
		return verdict;
	if (pkt->ip_proto == IPPROTO_UDP && !old)
		return LB_NEXT; /* RFC 768: the sender made none */
	if (unlikely(partial) && !lb_config.generic)
		return csum_complete(ctx, 0);
	field = csum_field(ctx, pkt);
	if (!field)
		return lb_drop(LB_DROP_OUTPUT);
	if (partial) {
		*field = csum_fold(old + addrs_delta);
		return LB_NEXT;
	}
	old = ~csum_fold((__u16)~old + addrs_delta + rewrite_ports_delta(pkt));
	*field = old || pkt->ip_proto != IPPROTO_UDP ? old : 0xffff;
	return LB_NEXT;
}

/*
 * A fragment's identification, which is its datagram's alone among all whose addresses become these.
 * Answers what that adds to IPv4's header checksum.
 */
static __always_inline __u64 rewrite_id(const struct xdp_md *ctx, const struct lb_pkt *pkt, __be32 id)
{
	struct iphdr *ip = pkt_data(ctx) + sizeof(struct ethhdr);
	__be32 *header;
	__be16 was;

	if (pkt->family == AF_INET6) {
		header = pkt_fragment(ctx, pkt);
		if ((void *)(header + 2) <= pkt_end(ctx))
			header[1] = id;
		return 0;
	}
	if ((void *)(ip + 1) > pkt_end(ctx))
		return 0;
	was = ip->id;
	ip->id = bpf_htons(bpf_ntohl(id) & 0xffff);
	return csum_replace16(was, ip->id);
}

/*
 * The same of a fragment: ports only in the first, whose checksum is its whole datagram's and so never
 * partial. Not static, so that the verifier looks at it once.
 */
__noinline int rewrite_fragment(struct xdp_md *ctx)
{
	struct lb_scratch *scratch = scratch_get();
	struct ethhdr *eth = pkt_data(ctx);
	__u64 addrs_delta, id_delta;
	struct lb_pkt *pkt;
	__be32 *ports;
	__be16 *field;
	void *ip;
	__u16 sum;

	if (!scratch)
		return lb_drop(LB_DROP_OUTPUT);
	pkt = &scratch->pkt;
	addrs_delta = rewrite_addrs_delta(pkt);
	id_delta = rewrite_id(ctx, pkt, scratch->fragment.id);
	ip = eth + 1;
	if (ip + sizeof(struct iphdr) > pkt_end(ctx))
		return lb_drop(LB_DROP_OUTPUT);
	rewrite_macs(eth, &pkt->nexthop);
	if (pkt->family == AF_INET)
		rewrite_ip4(ip, &pkt->to, addrs_delta + id_delta);
	else if (ip + sizeof(struct ipv6hdr) > pkt_end(ctx))
		return lb_drop(LB_DROP_OUTPUT);
	else
		rewrite_ip6(ip, &pkt->to);
	if (pkt->frag & LB_IP_OFFSET)
		return LB_NEXT;
	ports = pkt_l4(ctx, pkt);
	field = csum_field(ctx, pkt);
	if (!field || (void *)(ports + 1) > pkt_end(ctx))
		return lb_drop(LB_DROP_OUTPUT);
	*ports = pkt->to.ports;
	if (pkt->ip_proto == IPPROTO_UDP && !*field)
		return LB_NEXT;
	sum = ~csum_fold((__u16)~*field + addrs_delta + rewrite_ports_delta(pkt));
	*field = sum || pkt->ip_proto != IPPROTO_UDP ? sum : 0xffff;
	return LB_NEXT;
}

#endif

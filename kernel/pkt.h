/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The packet on its journey, and the verdicts that stages answer. */
#ifndef LB_PKT_H
#define LB_PKT_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include <stddef.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "lb_abi.h"
#include "lb_drops.h"

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#ifndef LB_INGRESS /* test runs of old kernels can't say it */
#define LB_INGRESS(ctx) ((ctx)->ingress_ifindex)
#endif

#ifndef AF_INET /* <sys/socket.h> doesn't compile for BPF */
#define AF_INET	 2
#define AF_INET6 10
#endif

#define LB_IP_DF     0x4000 /* RFC 791, 3.1: don't fragment, more fragments */
#define LB_IP_MF     0x2000
#define LB_IP_OFFSET 0x1fff
#define LB_OUTER_TTL 64

enum lb_verdict {
	LB_NEXT, /* on to the next stage */
	LB_PASS, /* not for us: to the host, as it came */
	LB_TX,
	LB_REDIRECT,
	LB_HANDOVER, /* to the clsact program, which redirects it */
	LB_PARKED,   /* to the daemon, which sends it in again */
	LB_DROP,     /* LB_DROP + enum lb_drop */
	LB_ANSWERED = 0x100, /* with a drop: the packet has become the answer to its sender */
};

static __always_inline enum lb_verdict lb_drop(enum lb_drop reason)
{
	return LB_DROP + reason;
}

/* Where a packet goes on to: what its addresses and ports become. */
struct lb_tuple {
	union {
		struct {
			struct lb_addr src;
			struct lb_addr dst;
		};
		struct lb_addr addrs[2];
	};
	union {
		struct {
			__be16 sport;
			__be16 dport;
		};
		__be32 ports;
	};
};

enum lb_tcp_flags {
	LB_TCP_FIN = 0x01,
	LB_TCP_SYN = 0x02,
	LB_TCP_RST = 0x04,
	LB_TCP_ACK = 0x10,
};

/*
 * Parsed once; later stages look here and not at the headers. Lengths and offsets in bytes. In memory
 * of the CPU and not on the stack, which is small and which the verifier follows field by field.
 */
struct lb_pkt {
	struct ct_key key;     /* of its half */
	__u64 hash;	       /* ct_hash() of the key */
	struct lb_tuple tuple; /* as it came */
	struct lb_tuple to;    /* as it leaves; of a tunnel, the outer addresses */
	__u64 local_ports;     /* of the destination address: lb_local.ports */
	struct lb_nexthop nexthop;
	__u32 now;	       /* low 32 bits of jiffies */
	__u32 tcp_seq;	       /* host order */
	__u32 tcp_ack;	       /* host order */
	__u32 l3_len;	       /* without link layer and padding */
	__u32 backend;	       /* index and generation, once the flow is known */
	__u32 backend_gen;
	__u32 outer_sum;       /* lb_kept.outer_sum */
	__u32 path_mtu;	       /* of a packet that is dropped as too big */
	__u16 l4_off;
	__u16 icmp_off; /* of an error, which l4_off is the quote's of */
	__u16 local; /* local id of the destination address */
	__u16 vip;   /* id, when has_vip */
	__u16 frag;  /* host order: LB_IP_MF and offset */
	__u16 frag_off; /* of IPv6's fragment header; 0: it has none */
	__u8 l3_off;
	__u8 family; /* AF_INET or AF_INET6 */
	__u8 ip_proto;
	__u8 ttl;
	__u8 tos;
	__u8 tcp_flags;
	__u8 local_flags; /* enum lb_local_flags */
	__u8 has_vip;
	__u8 method; /* these two once the flow is known */
	__u8 dir;
	__u8 is_new; /* it has just opened its flow */
	__u8 untracked; /* it opens none: above a limit, or a RST */
};

static __always_inline void *pkt_data(const struct xdp_md *ctx)
{
	return (void *)(long)ctx->data;
}

static __always_inline void *pkt_end(const struct xdp_md *ctx)
{
	return (void *)(long)ctx->data_end;
}

static __always_inline int pkt_beyond(void *at, __u32 bytes, void *end)
{
	at += bytes;
	barrier_var(at); /* else the compiler computes with end, which the verifier refuses */
	return at > end;
}

static __always_inline __u32 pkt_l4_len(const struct lb_pkt *pkt)
{
	return pkt->l3_len - (pkt->l4_off - pkt->l3_off);
}

#define PKT_L4_OFF_MAX 0xff

/* The mask, which changes nothing, shows the verifier what the parser made sure of. */
static __always_inline void *pkt_l4(const struct xdp_md *ctx, const struct lb_pkt *pkt)
{
	return pkt_data(ctx) + (*(volatile __u16 *)&pkt->l4_off & PKT_L4_OFF_MAX);
}

/* IPv6's fragment header, behind the fixed one as most are. */
static __always_inline void *pkt_fragment(const struct xdp_md *ctx, const struct lb_pkt *pkt)
{
	return pkt_data(ctx) + (*(volatile __u16 *)&pkt->frag_off & PKT_L4_OFF_MAX);
}

/*
 * Written as two words, as it is read: a load of what two stores have just written has to wait until
 * both have left the store buffer.
 */
static __always_inline void addr_from_v4(struct lb_addr *addr, __be32 v4)
{
	addr->q[0] = 0;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	addr->q[1] = (__u64)v4 << 32 | bpf_htonl(LB_V4_PREFIX);
#else
	addr->q[1] = (__u64)LB_V4_PREFIX << 32 | v4;
#endif
}

/* v6: four words, as they lie in the packet. */
static __always_inline void addr_from_v6(struct lb_addr *addr, const __be32 *v6)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	addr->q[0] = (__u64)v6[1] << 32 | v6[0];
	addr->q[1] = (__u64)v6[3] << 32 | v6[2];
#else
	addr->q[0] = (__u64)v6[0] << 32 | v6[1];
	addr->q[1] = (__u64)v6[2] << 32 | v6[3];
#endif
}

static __always_inline int addr_is_v4(const struct lb_addr *addr)
{
	return !addr->q[0] && addr->w[2] == bpf_htonl(LB_V4_PREFIX);
}

/* Can it be somebody's alone (RFC 1122, 3.2.1.3; RFC 4291, 2.4)? Others open no flow and get no answer. */
static __always_inline int addr_is_host(const struct lb_addr *addr)
{
	if (addr_is_v4(addr))
		return addr->b[12] && addr->b[12] != 127 && addr->b[12] < 224;
	return addr->b[0] != 0xff &&
	       (addr->q[0] || addr->w[2] || (addr->w[3] & ~bpf_htonl(1)));
}

/* Of the packet as it came, as the header of a tunnel names it (RFC 2003, RFC 2473). */
static __always_inline __u8 pkt_as_payload(const struct lb_pkt *pkt)
{
	return pkt->family == AF_INET ? IPPROTO_IPIP : IPPROTO_IPV6;
}

/*
 * Between the outer header of method gue and the packet: UDP, and four bytes that say what follows
 * (draft-ietf-intarea-gue-09, 3.1; variant 0, a data message without extensions).
 */
#define LB_GUE_PORT  6080
#define LB_GUE_SPORT 0xc000 /* with 14 bits of the flow's hash: the dynamic ports, RFC 6335 */

struct lb_gue {
	struct udphdr udp;
	__u8 variant_hlen;
	__u8 proto;
	__be16 flags;
};

/*
 * 1: a packet that may be a reply of method nat, whose source is the local end, and not its destination.
 * Found by index: a branch would have the verifier look at all that follows twice.
 */
static __always_inline __u32 pkt_is_turned(const struct lb_pkt *pkt)
{
	return pkt->local_flags / LB_LOCAL_NAT & 1;
}

static __always_inline const struct lb_addr *pkt_remote(const struct lb_pkt *pkt)
{
	return &pkt->tuple.addrs[pkt_is_turned(pkt)];
}

static __always_inline const struct lb_addr *pkt_local(const struct lb_pkt *pkt)
{
	return &pkt->tuple.addrs[!pkt_is_turned(pkt)];
}

static __always_inline int pkt_is_tunneled(const struct lb_pkt *pkt)
{
	return pkt->method == LB_METHOD_IPIP || pkt->method == LB_METHOD_GUE;
}

/* What the outer header names as its payload. */
static __always_inline __u8 pkt_outer_proto(const struct lb_pkt *pkt)
{
	return pkt->method == LB_METHOD_GUE ? IPPROTO_UDP : pkt_as_payload(pkt);
}

/* Bytes that its method puts in front of a packet toward this address. */
static __always_inline __u32 pkt_overhead(const struct lb_pkt *pkt)
{
	if (!pkt_is_tunneled(pkt))
		return 0;
	return (addr_is_v4(&pkt->to.dst) ? sizeof(struct iphdr) : sizeof(struct ipv6hdr)) +
	       (pkt->method == LB_METHOD_GUE ? sizeof(struct lb_gue) : 0);
}

/* ct_key.ends in one piece, for the same reason. ports: source and destination as in the packet. */
static __always_inline __u64 pkt_ends(__be32 ports, __u16 local, __u8 ip_proto)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return (__u64)ip_proto << 48 | (__u64)local << 32 | ports;
#else
	return (__u64)ports << 32 | (__u32)local << 16 | (__u32)ip_proto << 8;
#endif
}

#endif

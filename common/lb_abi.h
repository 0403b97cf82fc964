/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What the data path and lbctl agree on: keys and values of the pinned maps, their limits and
 * enums. Fixed widths, explicit padding, sizes asserted. Change a layout: bump LB_LAYOUT_VERSION.
 */
#ifndef LB_ABI_H
#define LB_ABI_H

#include <linux/types.h>

#define LB_LAYOUT_VERSION 1

#define LB_MAX_VIPS	4096
#define LB_MAX_BACKENDS 16384 /* all VIPs together */
#define LB_MAX_LOCALS	4096  /* VIP and SNAT addresses */
#define LB_MAX_IFACES	256
#define LB_POOL_MAX	1024  /* backends of one VIP */
#define LB_MAGLEV_SLOTS 65537 /* prime; Maglev (NSDI '16) section 3.4 */
#define LB_SNAT_MAX	8
#define LB_PORT_RANGES	2

/* One address type for both families: IPv4 lies in it as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2). */
struct lb_addr {
	union {
		__u8 b[16];
		__be32 w[4];
	};
};

#define LB_V4_PREFIX 0xffff /* host order; the third word of a mapped address */

/* An address, port and protocol that is served: key of lb_vips and of lb_backend_ports. */
struct lb_service_key {
	struct lb_addr addr;
	__be16 port; /* 0 in lb_vips: every port */
	__u8 ip_proto;
	__u8 pad;
};

/* Addresses that packets for us are sent to: VIPs, and SNAT addresses that replies come back to. */
enum lb_local_flags {
	LB_LOCAL_VIP = 1,
	LB_LOCAL_SNAT = 2,
};

struct lb_local {
	__u16 id; /* index into lb_local_addrs; 16 bits stand for the address in ct_key */
	__u16 flags;
};

enum lb_method {
	LB_METHOD_FULLNAT,
};

enum lb_scheduler {
	LB_SCHED_MAGLEV,
};

enum lb_hash_kind {
	LB_HASH_5TUPLE,
};

/* What an operator sees of a flow. Order is part of the layout: timeouts are indexed by it. */
enum ct_state {
	CT_SYN,
	CT_ESTABLISHED,
	CT_FIN,
	CT_CLOSED,
	CT_UDP_NEW,
	CT_UDP_ASSURED,
	CT_STATES,
	CT_STATES_MAX = 8, /* arrays are indexed through a mask, which every verifier understands */
};

/* Value of lb_vips. Replaced whole, so a packet sees either the old or the new. */
struct lb_vip {
	__u16 id; /* index into lb_pools and lb_vip_stats */
	__u8 method;
	__u8 scheduler;
	__u8 hash;
	__u8 snat_n; /* 0: each backend's own, chosen by its route */
	__u8 pad[2];
	__u16 snat[LB_SNAT_MAX];   /* local ids */
	__u32 timeout[CT_STATES_MAX]; /* jiffies; 0: that of lb_settings */
};

/* A backend as a Maglev slot and a flow name it. A removed backend's generation is gone for good. */
struct lb_backend_ref {
	__u32 index;
	__u32 gen; /* 0: none */
};

enum lb_admin {
	LB_ADMIN_AUTO,
	LB_ADMIN_UP,
	LB_ADMIN_DRAIN,
	LB_ADMIN_DOWN,
};

enum lb_health {
	LB_HEALTH_UNCHECKED,
	LB_HEALTH_UP,
	LB_HEALTH_DOWN,
};

struct lb_pool_member {
	struct lb_backend_ref ref;
	__u16 weight;
	__u8 admin;
	__u8 health;
	__u32 pad;
};

/*
 * A VIP's pool: its members and the Maglev table made of them. The one value of an inner map of
 * lb_pools; published by swapping that inner map, which is the commit of any change to backends.
 */
struct lb_pool {
	__u32 members_n;
	__u32 slots_n; /* 0: no backend takes new flows */
	struct lb_pool_member members[LB_POOL_MAX];
	struct lb_backend_ref slots[LB_MAGLEV_SLOTS];
	__u32 pad;
};

/* Value of lb_backends. Everything but gen is written while no packet can reach it. */
struct lb_backend {
	struct lb_addr addr;
	__be16 port; /* 0: as the packet's (port wildcard VIP) */
	__u16 vip;
	__u32 gen;   /* odd: in use; even: free. Bumped on add and on delete. */
	__u16 snat;  /* local id for fullnat unless the VIP names some; 0: none known */
	__u8 ip_proto;
	__u8 pad[5];
	__u64 freed_ns; /* CLOCK_MONOTONIC; indexes are reused oldest first */
};

struct lb_nexthop {
	__u32 ifindex;
	__u8 dmac[6];
	__u8 smac[6];
};

/*
 * Half of a flow, named by where it arrives: remote is who sent the packet, local where it was
 * sent to. A fullnat flow is a pair of halves (client to VIP, backend to SNAT address) and each
 * holds the other's key, which is also what its packets are rewritten to.
 */
struct ct_key {
	struct lb_addr remote;
	__be16 remote_port;
	__be16 local_port;
	__u16 local; /* local id */
	__u8 ip_proto;
	__u8 pad;
};

enum ct_dir {
	CT_DIR_IN,  /* client to backend */
	CT_DIR_OUT, /* backend to client */
};

/* How far one direction of a flow has come; see common/ct_state.h. */
enum ct_phase {
	CT_PHASE_NONE,
	CT_PHASE_SYN,
	CT_PHASE_OPEN,
	CT_PHASE_FIN,
	CT_PHASE_RST,
	CT_PHASES,
};

/* Value of lb_flows and lb_half_open. Times are the low 32 bits of jiffies. */
struct ct_flow {
	/* Hash of this half's own key: a reused LRU element shows by it. The first member, so that it
	 * is overwritten first: who reads others and then finds it unchanged has read the old ones. */
	__u32 tag;
	struct ct_key peer;
	__u32 dead;	 /* 0 or 1; who turns it removes the entry (compare-and-swap) */
	__u32 created;
	__u32 last_seen; /* of the pair, at most CT_REFRESH old */
	__u32 refreshed; /* when this half last looked at its peer */
	__u32 timeout;	 /* jiffies of idleness that end it, see ct_expired() */
	struct lb_backend_ref backend;
	__u16 vip;
	__u8 dir;
	__u8 phase[2]; /* by ct_dir; each written by packets of its direction only */
	__u8 half_open; /* 1: in lb_half_open (or closed), 0: in lb_flows */
	__u8 partial;	/* this half's first packet had a partial checksum, see rewrite.h */
	__u8 pad;
	__u32 expect_ack; /* host order; the number that a client's ACK must have to be promoted */
	struct lb_nexthop came_from; /* toward the client while its neighbour is unresolved */
	__u32 pad2;
	__u64 packets;
	__u64 bytes;
};

/*
 * What lb_reap is asked: end these halves, or only those of them that are past their time or whose
 * backend is gone. The program's return value is the number of flows that it ended.
 */
#define LB_REAP_MAX 64

enum lb_reap_mode {
	LB_REAP_EXPIRED,
	LB_REAP_FORCE,
};

struct lb_reap {
	__u32 mode;
	__u32 keys_n;
	struct ct_key keys[LB_REAP_MAX];
};

struct lb_port_range {
	__u16 lo; /* host order, inclusive; 0 and 0: unused */
	__u16 hi;
};

/* The one value of lb_settings. */
struct lb_settings {
	__u32 layout;
	__u32 flows; /* capacity asked for at the first attach; 0: none yet */
	struct lb_port_range ports[LB_PORT_RANGES]; /* source ports of fullnat */
	__u32 timeout[CT_STATES_MAX]; /* jiffies */
	__u64 netns;		  /* inode of the network namespace; 0: not attached yet */
	__s32 lo_forwarding;	  /* value found before attach; -1: not touched */
	__u32 dirty; /* 1: a change has begun; found so by the next lbctl, it was cut short */
};

struct lb_count {
	__u64 packets;
	__u64 bytes;
};

struct lb_vip_stats {
	struct lb_count carried; /* both directions */
	__u64 drops;
};

/* The one value of lb_totals, per CPU. */
struct lb_totals {
	struct lb_count seen;
	__u64 passed;
	__u64 forwarded;
	__u64 dropped;
	__u64 flows_created;
	__u64 flows_expired; /* found or collected after their time */
	__u64 flows_removed; /* replaced, flushed, or their backend gone */
	__u64 ports_reused;  /* source ports taken again while the backend may hold them in TIME_WAIT */
	__u64 ports_failed;  /* tries that found the port taken */
	__u64 resets;	     /* RSTs sent to clients of unknown TCP flows */
};

/* Value of lb_iface_packets, per CPU. */
struct lb_iface_seen {
	__u64 packets;
	__u64 partial; /* 1: the last first packet of a flow had a partial checksum */
};

/* Value of lb_ifaces. */
struct lb_iface {
	__u32 mode; /* enum lb_mode */
	__u32 clsact; /* 1: the clsact qdisc was made by us */
};

enum lb_mode {
	LB_MODE_NATIVE,
	LB_MODE_GENERIC,
};

/* In front of a packet that the generic XDP program hands to the clsact program (data_meta). */
#define LB_META_MAGIC 0x6c626374 /* "lbct" */

struct lb_meta {
	__u32 magic;
	__u32 ifindex; /* egress */
};

/* Load-time constants (.rodata of the object): a load per attach mode. */
struct lb_config {
	__u32 hz;	    /* jiffies a second */
	__u8 generic;	    /* packets carry skb metadata: partial checksums, GSO lengths */
	__u8 clsact_egress; /* redirects leave by the clsact program */
	__u8 pad[2];
};

#define LB_ASSERT_SIZE(type, bytes) _Static_assert(sizeof(struct type) == (bytes), #type " layout")

LB_ASSERT_SIZE(lb_service_key, 20);
LB_ASSERT_SIZE(lb_vip, 56);
LB_ASSERT_SIZE(lb_pool_member, 16);
LB_ASSERT_SIZE(lb_backend, 40);
LB_ASSERT_SIZE(ct_key, 24);
LB_ASSERT_SIZE(ct_flow, 104);
LB_ASSERT_SIZE(lb_settings, 64);

#endif

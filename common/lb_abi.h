/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What the data path and lbctl agree on: keys and values of the pinned maps, their limits and
 * enums. Fixed widths, explicit padding, sizes asserted. Change a layout: bump LB_LAYOUT_VERSION.
 */
#ifndef LB_ABI_H
#define LB_ABI_H

#include <linux/types.h>

#define LB_LAYOUT_VERSION 7

#define LB_MAX_VIPS	4096
#define LB_MAX_BACKENDS 16384 /* all VIPs together */
#define LB_MAX_LOCALS	4096  /* VIP and SNAT addresses */
#define LB_MAX_IFACES	256
#define LB_IFACE_SLOTS	1024 /* of lb_iface_stats; a power of two */
#define LB_IFACE_PROBES 4    /* elements that an interface's may be */
#define LB_WAYS		4096 /* a power of two; 12 bits of ct_flow.way */
#define LB_POOL_MAX	1024  /* backends of one VIP */
#define LB_MAGLEV_SLOTS 65537 /* prime; Maglev (NSDI '16) section 3.4 */
#define LB_TURNS_MAX	4096  /* a power of two */
#define LB_SNAT_MAX	8
#define LB_PORT_RANGES	2
#define LB_RATE_MAX	1000000000 /* times 32 bits of jiffies it fits into 64 */

/* One address type for both families: IPv4 lies in it as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2). */
struct lb_addr {
	union {
		__u8 b[16];
		__be32 w[4];
		__u64 q[2]; /* as it lies in memory */
	};
};

#define LB_V4_PREFIX 0xffff /* host order; the third word of a mapped address */

/* An address, port and protocol that is served: key of lb_vips and of lb_backend_ports. */
struct lb_service_key {
	struct lb_addr addr;
	__be16 port; /* 0 in lb_vips: every port */
	__u8 ip_proto;
	__u8 pad[5];
};

/*
 * An address that packets for us are sent to: a VIP, or a SNAT address that replies come back to; or one
 * that they are sent from: a backend of method nat, whose replies go to the client. Element of lb_locals, a hash table of its own: see common/local_table.h.
 */
enum lb_local_flags {
	LB_LOCAL_VIP = 1,
	LB_LOCAL_SNAT = 2,
	LB_LOCAL_NAT = 4,
	LB_LOCAL_MORE = 0x8000, /* of the place: a search goes on behind it */
};

struct lb_local {
	struct lb_addr addr;
	__u64 ports; /* Bloom filter of the VIPs' ports, see local_port_bit() */
	__u16 id;    /* index into lb_local_addrs, stands for the address in ct_key; 0: free */
	__u16 flags;
	__u32 pad;
};

enum lb_method {
	LB_METHOD_FULLNAT,
	LB_METHOD_NAT, /* up to here replies pass here, see ct_pairs() */
	LB_METHOD_IPIP,
	LB_METHOD_DSR,
	LB_METHOD_GUE,
	LB_METHODS,
};

enum lb_scheduler {
	LB_SCHED_MAGLEV,
	LB_SCHED_WRR, /* by turns, see struct lb_pool */
};

enum lb_hash_kind {
	LB_HASH_5TUPLE,
	LB_HASH_SOURCE, /* a client's address: all its flows go to one backend */
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
	__u16 id; /* index into lb_pools, lb_vip_drops and lb_vip_past */
	__u8 method;
	__u8 scheduler;
	__u8 hash;
	__u8 snat_n; /* 0: each backend's own, chosen by its route */
	__u8 pad[2];
	__u16 snat[LB_SNAT_MAX];   /* local ids */
	__u16 timeout[CT_STATES_MAX]; /* ct_timeout_pack(); 0: that of lb_settings */
	__u32 new_rate; /* flows a second that are tracked; 0: no limit */
	__u32 allow;	/* the list that clients have to be on; 0: none */
	__u32 announce; /* ifindex of where its address is announced; 0: nowhere */
	__u32 persist;	/* jiffies that a client's next flow goes to the same backend; 0: none */
};

/* Which backend a client was at, for VIPs with persist. */
struct lb_persist_key {
	struct lb_addr client;
	__u16 vip; /* id */
	__u16 pad[3];
};

/*
 * Key of lb_prefixes, a longest-prefix match: clients that are on a list. VIPs name theirs by number, and
 * a changed list is one of a new number, so that the VIP's entry switches from all of it to all of that.
 */
#define LB_LIST_DENY 0 /* new flows of these clients are dropped, whatever the VIP */
#define LB_LIST_V6   0x80000000 /* with the number: its IPv6 part, for ::/0 is not 0.0.0.0/0, too */

struct lb_prefix {
	__u32 bits; /* that count: 32 of the list and those of the address; IPv4's from 128 on */
	__u32 list; /* number, and LB_LIST_V6 */
	struct lb_addr addr;
};

#define LB_PREFIX_BITS	(32 + 128)
#define LB_MAX_PREFIXES 65536
#define LB_MAX_PERSISTS 65536 /* clients that are remembered; they share the map with all VIPs */

/* A backend as a Maglev slot and a flow name it. A removed backend's generation is gone for good. */
struct lb_backend_ref {
	__u32 index;
	__u32 gen; /* 0: none */
};

struct lb_persist {
	struct lb_backend_ref ref;
	__u32 at; /* of the last new flow, low 32 bits of jiffies */
	__u32 pad;
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
 * A VIP's pool: its members and the Maglev table made of them; with scheduler wrr also the order of turns that
 * new flows take. The one value of an inner map of lb_pools; published by swapping that inner map, which is
 * the commit of any change to backends.
 */
struct lb_pool {
	__u32 members_n;
	__u32 slots_n; /* 0: no backend takes new flows */
	struct lb_pool_member members[LB_POOL_MAX];
	struct lb_backend_ref slots[LB_MAGLEV_SLOTS];
	struct lb_backend_ref turns[LB_TURNS_MAX];
	__u32 turns_n; /* 0: by hash */
	__u32 turn;    /* the next one, counted by the data path */
};

/* Value of lb_backends, a cache line. All but gen and closed is written while no packet can reach it. */
struct lb_backend {
	struct lb_addr addr;
	__be16 port; /* 0: as the packet's (port wildcard VIP) */
	__u16 vip;
	__u32 gen;   /* odd: in use; even: free. Bumped on add and on delete. */
	__u16 snat;  /* local id for fullnat unless the VIP names some; 0: none known */
	__u8 ip_proto;
	__u8 closed; /* 1: takes no new flows, not even of clients who were there */
	__u8 pad[2];
	__u16 own;   /* local id of its address, while its VIP's method is nat */
	__u64 freed_ns; /* CLOCK_MONOTONIC; indexes are reused oldest first */
	__u64 pad2[3];
};

struct lb_nexthop {
	__u32 ifindex;
	__u8 dmac[6];
	__u8 smac[6];
};

/*
 * An answer of the FIB, kept by each CPU for itself for a second, while lb_settings.fib_generation
 * stays the same.
 */
struct lb_kept {
	struct lb_nexthop nexthop;
	__u32 at;	      /* low 32 bits of jiffies */
	__u32 fib_generation; /* 0: nothing is kept */
	__u32 owner;	      /* generation of the backend */
	__u32 mtu;	      /* longest l3 length that it holds for */
	__u32 outer_sum;      /* of a tunnel's outer IPv4 header, without length, TOS and source */
	__u32 method;	      /* enum lb_method: each has its source address */
};

struct lb_count {
	__u64 packets;
	__u64 bytes;
};

/* Value of lb_backend_stats, per CPU: all that a packet of an established flow writes or reads. */
struct lb_backend_stats {
	struct lb_count carried; /* both directions */
	struct lb_kept kept;	 /* way to the backend */
};

/*
 * Value of lb_ways: an answer of the FIB that flows toward clients share. Written once and never
 * again, so that a flow may name it by its number.
 */
struct lb_way {
	__u32 state; /* enum lb_way_state */
	__u32 mtu;
	struct lb_nexthop nexthop;
	__u64 pad;
};

enum lb_way_state {
	LB_WAY_FREE,
	LB_WAY_BUSY, /* being written */
	LB_WAY_READY,
};

/*
 * Half of a flow, named by where it arrives: remote is who sent the packet, local where it was
 * sent to. A fullnat flow is a pair of halves (client to VIP, backend to SNAT address) and each
 * holds the other's key, which is also what its packets are rewritten to. Replies of nat are sent to
 * the client: their half is turned around, the backend is its local end.
 */
struct ct_key {
	struct lb_addr remote;
	union {
		struct {
			union {
				struct {
					__be16 remote_port;
					__be16 local_port;
				};
				__be32 ports;
			};
			__u16 local; /* local id */
			__u8 ip_proto;
			__u8 turned; /* 1: remote is who its packets are sent to */
		};
		__u64 ends; /* all of that, as it lies in memory */
	};
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

/*
 * A half in the flow table: one cache line, all that its packets need. Both halves of a pair know
 * the whole flow. Changes of ctl, and who may write what when: common/ct_slot.h. Times are the low
 * 32 bits of jiffies.
 */
struct ct_flow {
	__u32 ctl;
	__u32 last_seen; /* of the pair, at most a second old */
	__u64 ends;	 /* of the own key */
	struct lb_addr client;
	union { /* of the other half's key; nat's replies: turned around */
		struct {
			union {
				__be16 peer_local_port;
				__u16 outer; /* of a tunnel: local id of its outer source */
			};
			__be16 peer_remote_port;
		};
		__be32 peer_ports; /* as they go into the packet */
	};
	__u16 peer_local; /* 0: there is no other half */
	__u16 timeout;	  /* idleness that ends it, ct_timeout_pack() */
	__u32 gen;	  /* the backend's */
	__u16 backend;	  /* index */
	__u8 kind;	  /* ct_kind(): direction, method */
	__u8 partial;	  /* its first packet had a partial checksum, see rewrite.h */
	__u32 packets;	  /* see ct_packets() */
	__u16 seq_block;  /* where the sender's sequence numbers are, see ct_seq_fits() */
	__u16 way;	  /* to the client, if one is kept: ct_way_make() */
	__u64 volume;	  /* see ct_bytes() */
};

/* What only rare packets of a half need. */
struct ct_cold {
	__u32 created;
	__u32 expect_ack; /* host order; the number that a client's ACK must have to be promoted */
	struct lb_nexthop came_from; /* toward the client while its neighbour is unresolved */
};

/* The flow table is made of one of these two, chosen at the first attach. */
enum lb_table {
	LB_TABLE_ASSOC, /* lb_flow_sets and lb_flow_cold */
	LB_TABLE_LRU,	/* lb_flows and lb_half_open: ct_key -> struct ct_entry */
};

#define CT_WAYS	      8 /* of a set */
#define CT_SETS	      4 /* where a key may be */
#define CT_HASH_WORDS 5

/* Values of lb_flow_sets and lb_flow_cold. */
struct ct_set {
	struct ct_flow ways[CT_WAYS];
};

struct ct_cold_set {
	struct ct_cold ways[CT_WAYS];
};

struct ct_entry {
	struct ct_flow flow;
	struct ct_cold cold;
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

struct lb_reap_half {
	struct ct_key key;
	__u32 slot; /* where it was found: set * CT_WAYS + way */
	__u32 ctl;  /* with this ctl */
};

struct lb_reap {
	__u32 mode;
	__u32 halves_n;
	struct lb_reap_half halves[LB_REAP_MAX];
};

/*
 * A datagram whose fragments are followed, in lb_datagrams: what names it (RFC 791, 2.3; RFC 8200, 4.5),
 * what its first fragment said, and which of its units of 8 bytes have been seen.
 */
#define LB_DATAGRAM_BITS  11 /* 2^11 sets */
#define LB_DATAGRAM_WAYS  4
#define LB_DATAGRAM_WORDS 128 /* times 64 units: 64 KiB */

struct lb_datagram_key {
	struct lb_addr src;
	union {
		struct {
			__be32 id;     /* IPv4's, too */
			__u16 local;   /* id of the destination address */
			__u8 ip_proto; /* 0: IPv6, of which fragments needn't agree on it */
			__u8 turned;   /* 1: src is the destination, and local the source: see ct_key */
		};
		__u64 rest; /* all of that, as it lies in memory */
	};
};

enum lb_datagram_state {
	LB_DATAGRAM_NONE,
	LB_DATAGRAM_AWAITED, /* its first fragment, that is: others are parked */
	LB_DATAGRAM_OPEN,
	LB_DATAGRAM_BROKEN, /* fragments overlap */
	LB_DATAGRAM_HOST,   /* its first didn't come in time: handed up */
	LB_DATAGRAM_DONE,   /* all of it was seen: the next of this key is another */
};

struct lb_datagram {
	struct lb_datagram_key key;
	__u32 state;
	__u32 at;    /* of its last fragment, low 32 bits of jiffies */
	__be32 ports;
	__be32 id;   /* of fullnat: as it leaves; IPv4's in the last two bytes */
	__u32 units; /* seen so far */
	__u32 end;   /* in units; 0: the last fragment has not come */
	__u32 parked;
	__u8 ip_proto;
	__u8 lossy; /* some came early and nobody kept them: it will not be complete */
	__u8 pad[2];
	__u64 seen[LB_DATAGRAM_WORDS];
};

#define LB_PARK_MAX 3408 /* longest frame that can be sent in again: it has to fit a page */

/* In front of a packet, and alone: what lb_events says to the daemon. */
enum lb_event_kind {
	LB_EVENT_PARKED, /* a fragment that came before its datagram's first: frame_len bytes follow */
	LB_EVENT_FIRST,	 /* that one has come */
	LB_EVENT_NEIGHBOUR, /* the next hop's MAC isn't known: frame_len bytes follow, as they came */
};

struct lb_event {
	struct lb_datagram_key key; /* of a neighbour: src is its address, id its interface, host order */
	__u32 kind;
	__u32 ifindex; /* ingress */
	__u32 frame_len;
	__u32 generic; /* 1: of a generic program */
};

/*
 * What lb_unpark is asked: what a datagram is by now, enum lb_datagram_state. give_up: its first fragment
 * has not come in time; then HOST means that its parked fragments are to be handed up, DONE that they
 * were counted as dropped.
 */
struct lb_unpark {
	struct lb_datagram_key key;
	__u32 parked; /* packets */
	__u32 give_up;
	__u32 kind; /* LB_EVENT_PARKED; LB_EVENT_NEIGHBOUR: only counts them as dropped */
	__u32 pad;
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
	struct lb_port_range reply_ports[LB_PORT_RANGES]; /* these, and those of earlier flows */
	__u16 timeout[CT_STATES_MAX]; /* ct_timeout_pack() */
	__u64 netns;		  /* inode of the network namespace; 0: not attached yet */
	__u64 seed;		  /* of the flow table's hash */
	__u32 table;		  /* enum lb_table */
	__u32 sets;		  /* of LB_TABLE_ASSOC; a power of two */
	__u32 fib_generation;	  /* never 0; a change makes all that is kept of the FIB void */
	__s32 lo_forwarding6;	  /* IPv6, and */
	__s32 lo_forwarding;	  /* IPv4: value found before attach; -1: not touched */
	__u32 new_rate; /* flows a second and CPU that are tracked; 0: no limit */
	__u32 deny;	/* 1: there may be prefixes in LB_LIST_DENY */
	__u32 dirty; /* 1: a change has begun; found so by the next lbctl, it was cut short */
	__u32 nat;   /* 1: there may be addresses with LB_LOCAL_NAT */
	__u32 pad;
};

/* The one value of lb_totals, per CPU: rare events. */
struct lb_totals {
	__u64 flows_created;
	__u64 flows_evicted; /* alive when another took their place; LB_TABLE_LRU: not seen */
	__u64 flows_expired; /* found or collected after their time */
	__u64 flows_removed; /* replaced, flushed, or their backend gone */
	__u64 ports_reused;  /* source ports taken again while the backend may hold them in TIME_WAIT */
	__u64 ports_failed;  /* tries that found the port taken */
	__u64 resets;	     /* RSTs sent to clients of unknown TCP flows */
	__u64 untracked;     /* packets forwarded by the hash alone, see kernel/untracked.h */
	__u64 parked;	     /* packets handed to the daemon, which sends them in again */
};

/*
 * Value of lb_iface_stats, per CPU: what became of an interface's packets. The sum over all is the
 * balancer's; an element keeps its counts when its interface goes.
 */
struct lb_iface_stats {
	__u32 ifindex; /* 0: nobody's */
	__u32 partial; /* 1: the last first packet of a flow had a partial checksum */
	__u64 passed;
	__u64 forwarded;
	__u64 dropped;
	__u64 bytes;
	__u64 before; /* packets of earlier users of this element */
};

/* Value of lb_ifaces. */
struct lb_iface {
	__u32 mode; /* enum lb_mode */
	__u32 clsact; /* 1: the clsact qdisc was made by us */
};

/* A VIP's address, on an interface where we answer for it; and that interface's MAC. */
struct lb_announced_key {
	struct lb_addr addr;
	__u32 ifindex;
	__u32 pad;
};

struct lb_announced {
	__u8 mac[6];
	__u8 pad[2];
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
	__u32 tick_shift;   /* 2^tick_shift jiffies are at most a second */
	__u64 factors[CT_HASH_WORDS]; /* ct_hash_factors() */
	__u32 sets_bits;    /* of LB_TABLE_ASSOC: 2^sets_bits sets */
	__u8 table;
	__u8 generic;	    /* packets carry skb metadata: partial checksums, GSO lengths */
	__u8 clsact_egress; /* redirects leave by the clsact program */
	__u8 weak_order;    /* the CPU may read out of order, see ct_still() */
	__u8 says_mtu;	    /* bpf_fib_lookup() answers the route's, and there is bpf_check_mtu(): 5.12 */
	__u8 pad[7];
};

#define LB_ASSERT_SIZE(type, bytes) _Static_assert(sizeof(struct type) == (bytes), #type " layout")

LB_ASSERT_SIZE(lb_service_key, 24);
LB_ASSERT_SIZE(lb_local, 32);
LB_ASSERT_SIZE(lb_vip, 56);
LB_ASSERT_SIZE(lb_announced_key, 24);
LB_ASSERT_SIZE(lb_announced, 8);
LB_ASSERT_SIZE(lb_persist_key, 24);
LB_ASSERT_SIZE(lb_persist, 16);
LB_ASSERT_SIZE(lb_prefix, 24);
LB_ASSERT_SIZE(lb_pool_member, 16);
LB_ASSERT_SIZE(lb_backend, 64);
LB_ASSERT_SIZE(lb_kept, 40);
LB_ASSERT_SIZE(lb_way, 32);
LB_ASSERT_SIZE(ct_key, 24);
LB_ASSERT_SIZE(lb_datagram_key, 24);
LB_ASSERT_SIZE(lb_datagram, 1080);
LB_ASSERT_SIZE(lb_event, 40);
LB_ASSERT_SIZE(lb_unpark, 40);
LB_ASSERT_SIZE(ct_flow, 64);
LB_ASSERT_SIZE(ct_cold, 24);
LB_ASSERT_SIZE(lb_reap_half, 32);
LB_ASSERT_SIZE(lb_settings, 96);
LB_ASSERT_SIZE(lb_config, 64);

#endif

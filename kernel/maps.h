/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The pinned maps: all state there is. Written by lbctl except where a line says so. */
#ifndef LB_MAPS_H
#define LB_MAPS_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "lb_abi.h"
#include "lb_drops.h"
#include "local_table.h"
#include "pkt.h"

/* Set by the loader before the program is verified: branches on it cost nothing. */
const volatile struct lb_config lb_config = {};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lb_settings);
} lb_settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, LOCAL_SLOTS);
	__type(key, __u32);
	__type(value, struct lb_local);
} lb_locals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, LB_MAX_LOCALS);
	__type(key, __u32);
	__type(value, struct lb_addr);
} lb_local_addrs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, LB_MAX_VIPS);
	__type(key, struct lb_service_key);
	__type(value, struct lb_vip);
} lb_vips SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, LB_MAX_PREFIXES);
	__type(key, struct lb_prefix);
	__type(value, __u32);
} lb_prefixes SEC(".maps");

/* SYNs that were turned away, see retry.h: each half a hash, and half a time. */
#define LB_SYN_BITS 18 /* 2^18 sets: 4 MiB, 5 s of a flood of 200,000 a second */
#define LB_SYN_WAYS 4

struct lb_syn_set {
	__u32 seen[LB_SYN_WAYS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << LB_SYN_BITS);
	__type(key, __u32);
	__type(value, struct lb_syn_set);
} lb_syns SEC(".maps");

/* New flows that may be tracked now, times hz: a second's at most. Of a CPU, or of a VIP for all CPUs. */
struct lb_bucket {
	struct bpf_spin_lock lock;
	__u32 since; /* low 32 bits of jiffies */
	__u64 credit;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LB_MAX_VIPS);
	__type(key, __u32);
	__type(value, struct lb_bucket);
} lb_vip_buckets SEC(".maps");

struct lb_pool_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct lb_pool)); /* clang 14 emits no BTF for it as a __type */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, LB_MAX_VIPS);
	__type(key, __u32);
	__array(values, struct lb_pool_map);
} lb_pools SEC(".maps");

/* For lbctl alone: ids of the maps in lb_pools, 0: none. Asking that map takes an RCU grace period. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, LB_MAX_VIPS);
	__type(key, __u32);
	__type(value, __u32);
} lb_pool_ids SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, LB_MAX_BACKENDS);
	__type(key, __u32);
	__type(value, struct lb_backend);
} lb_backends SEC(".maps");

/* Addresses and ports that backends answer from; port 0: any. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, LB_MAX_BACKENDS);
	__type(key, struct lb_service_key);
	__type(value, __u32);
} lb_backend_ports SEC(".maps");

/* Written by the data path: the last next hop that the FIB gave for a backend. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LB_MAX_BACKENDS);
	__type(key, __u32);
	__type(value, struct lb_nexthop);
} lb_backend_nexthops SEC(".maps");

/* Flow state, written by the data path: two of these four are made, sized by the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE); /* page-aligned, so a slot is a cache line */
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ct_set);
} lb_flow_sets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ct_cold_set);
} lb_flow_cold SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct ct_key);
	__type(value, struct ct_entry);
} lb_flows SEC(".maps"), lb_half_open SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LB_WAYS);
	__type(key, __u32);
	__type(value, struct lb_way);
} lb_ways SEC(".maps");

struct lb_datagram_set {
	struct bpf_spin_lock lock;
	__u32 pad;
	struct lb_datagram ways[LB_DATAGRAM_WAYS];
};

/* Written by the data path: datagrams whose fragments come by. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << LB_DATAGRAM_BITS);
	__type(key, __u32);
	__type(value, struct lb_datagram_set);
} lb_datagrams SEC(".maps");

/* The last identification that a datagram was given. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} lb_datagram_ids SEC(".maps");

/* To the daemon: struct lb_event. By CPU; more than any machine has. */
struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(max_entries, 4096);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} lb_events SEC(".maps");

/* A fragment, between the functions that look at it. */
struct lb_fragment {
	struct lb_datagram_key key;
	__u32 from, to; /* its units of 8 bytes */
	__be32 ports;
	__be32 id;	/* as it leaves, if its addresses change */
	__u8 ip_proto;	/* of the datagram */
	__u8 first;
	__u8 last;
	__u8 awaited;	/* others of its datagram are parked */
	__u32 way;	/* of the datagram's set */
};

/* Source addresses and ports that a new flow may take. */
struct lb_snat_space {
	struct lb_port_range low, high;
	__u32 ports_n; /* per address */
	__u32 addrs_n;
	__u16 addrs[LB_SNAT_MAX]; /* local ids */
};

enum ct_gone {
	CT_GONE_NOT,
	CT_GONE_EVICTED,
	CT_GONE_EXPIRED,
	CT_GONE_REMOVED,
};

/* What both halves of a flow learn of an event. */
struct lb_news {
	__u32 phases_mask; /* of the control word, what of phases counts */
	__u32 phases;
	__u32 expect_ack;
	__u32 open; /* 1: the handshake is complete */
};

/*
 * One packet's work, and what functions that the verifier looks at one by one (not static) hand to
 * each other: they take numbers only.
 */
struct lb_scratch {
	struct lb_pkt pkt;
	struct lb_snat_space space;
	struct lb_backend_ref chosen; /* flow_choose() */
	struct ct_key key;	/* of the half to be created */
	struct ct_entry half;	/* its content */
	struct ct_entry moved;	/* between the LRU tables */
	struct ct_key sought;	/* assoc_locate(): asked, and found */
	__u32 found_slot;
	__u32 found_ctl;
	struct ct_key ended;	/* flow_end() */
	__u64 pick_score;	/* assoc_pick(): the best slot so far; lower is better */
	__u32 pick_slot;
	__u32 pick_ctl;
	__u32 pick_which;
	__u32 picked; /* assoc_create(): there is a slot to take */
	__u32 claimed; /* snat_claim(): the reply half was made here, not found */
	struct ct_flow gone;	/* ct_part(): a half that went, and why */
	struct ct_key part;
	__u32 gone_why; /* enum ct_gone */
	__u32 pad;
	struct lb_reap_half reaped;
	struct lb_news news; /* flow_learn() */
	struct lb_tuple outer; /* icmp_error(): the addresses that the error came with */
	struct lb_fragment fragment;
	struct lb_event event;
	struct lb_datagram_key unresolved; /* nexthop_ask(): a next hop's address; id: its interface */
	__u64 park_credit; /* park(): of this CPU, as in struct lb_bucket */
	__u64 await_credit; /* await(): the same */
	__u32 park_since;
	__u32 await_since;
	__u32 new_since; /* admit_flow(): of this CPU, as in struct lb_bucket */
	__u32 pad2;
	__u64 new_credit;
	__u32 report_since;    /* report(): the second's begin, low 32 bits of jiffies, and ... */
	__u32 report_n;	       /* ... how many in it */
	__u32 report_kind;     /* type and code */
	__u32 report_rest;     /* of its header */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lb_scratch);
} lb_scratch SEC(".maps");

static __always_inline struct lb_scratch *scratch_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&lb_scratch, &zero);
}

/* Counters, written by the data path, one copy per CPU and so without atomics. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LB_MAX_BACKENDS);
	__type(key, __u32);
	__type(value, struct lb_backend_stats);
} lb_backend_stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LB_MAX_VIPS);
	__type(key, __u32);
	__type(value, __u64);
} lb_vip_drops SEC(".maps");

/* What removed backends of a VIP had carried: lbctl's alone. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LB_MAX_VIPS);
	__type(key, __u32);
	__type(value, struct lb_count);
} lb_vip_past SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LB_DROPS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} lb_drops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lb_totals);
} lb_totals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, LB_MAX_IFACES);
	__type(key, __u32); /* ifindex */
	__type(value, struct lb_iface);
} lb_ifaces SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, LB_MAX_PERSISTS);
	__type(key, struct lb_persist_key);
	__type(value, struct lb_persist);
} lb_persists SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, LB_MAX_VIPS);
	__type(key, struct lb_announced_key);
	__type(value, struct lb_announced);
} lb_announced SEC(".maps");

/* By ifindex modulo its size, or one of the elements behind it; element 0: of no interface known. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LB_IFACE_SLOTS);
	__type(key, __u32);
	__type(value, struct lb_iface_stats);
} lb_iface_stats SEC(".maps");

static __always_inline struct lb_settings *settings_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&lb_settings, &zero);
}

#endif

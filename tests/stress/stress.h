/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What the BPF programs share with the program that runs them. Addresses are in host order. */
#ifndef STRESS_H
#define STRESS_H

#include <linux/types.h>

#define STRESS_CPUS  2
#define STRESS_BATCH 32 /* frames that a CPU sends at once */
#define STRESS_TAIL  4	/* cut off by the generator, see bench/rig/frames.h */

#define STRESS_VIP	0x0a000001 /* 10.0.0.1, also the source address toward backends */
#define STRESS_GATEWAY	0x0a0000fe
#define STRESS_BACKEND	0x0a000100 /* 10.0.1.0/24 */
#define STRESS_CLIENT	0x64400000 /* client i has this address + i */
#define STRESS_FLOOD	0x64600000 /* 2^20 addresses of the flood */
#define STRESS_HOT	0x64700000 /* those of them whose flows share a set of the table */
#define STRESS_HOT_PORT 7777

#define STRESS_BACKENDS	 32
#define STRESS_HOT_MAX	 64
#define STRESS_LONG	 384	   /* clients that stay for a whole phase */
#define STRESS_CLIENTS	 (1 << 20) /* the first are the long ones, the last the hot ones */
#define STRESS_HOT_FIRST (STRESS_CLIENTS - STRESS_HOT_MAX)
#define STRESS_NOBODY	 0xffffffff /* client of the flood */
#define STRESS_MAGIC	 0x6c625374

#define STRESS_WINDOW 24 /* flows that live at the same time, all in the same step */
#define STRESS_STEPS  16

enum stress_vip {
	VIP_FEW,  /* fullnat, one backend: all clients want its ports */
	VIP_MANY, /* fullnat, some backends */
	VIP_IPIP,
	VIPS,
};

#define STRESS_VIP_PORT 80 /* and following */

/* What a frame of a batch is. */
enum stress_kind {
	KIND_WINDOW, /* the flows that both CPUs open, use and close in the same moment */
	KIND_LONG,   /* established before all others */
	KIND_WARM,   /* opens these, one after the other */
	KIND_OLD,    /* flows of earlier windows that may be gone by now */
	KIND_HOT,    /* flows that fight for the few slots of a set */
	KIND_FLOOD,  /* SYNs from anywhere */
};

enum stress_step {
	STEP_SYN = 0x02,
	STEP_ACK = 0x10,
	STEP_DATA = 0x18,
	STEP_FIN = 0x11,
	STEP_RST = 0x14,
};

/* Payload: whose packet this is. */
struct stress_id {
	__u32 magic;
	__u32 client;
	__u32 conn; /* grows with time */
	__u32 batch;
	__be32 saddr; /* as the client has sent it */
	__be16 sport;
	__be16 dport;
	__u8 kind;
	__u8 cpu;
	__u8 flags;
	__u8 firm; /* no SYN of its connection can be on its way any more */
};

/* What a phase is like. */
struct stress_conf {
	__u8 kinds[STRESS_BATCH];
	__u8 script[STRESS_STEPS]; /* enum stress_step, of a window */
	__u32 steps;
	__u32 restart;	  /* step where the second connection begins; steps: there is none */
	__u32 window_vip; /* VIPS: all in turn */
	__u32 old_span;	  /* windows */
	__u32 hot_n;
	__u32 strict; /* no flow is evicted that isn't closed: ports have one user at a time */
	__u32 moves;  /* pools change: ipip may choose anew */
	__u32 warm_flags;
	__u32 cpus[STRESS_CPUS];
	__be32 hot[STRESS_HOT_MAX];
	__u8 backends[VIPS][2]; /* first and last of 10.0.1.0/24 */
};

struct stress_gen {
	__u32 at;    /* in the batch */
	__u32 batch; /* read by the other CPU */
	__u32 next;
	__u32 random;
	__u64 sent;
	__u64 alone; /* batches for which the other CPU didn't come in time */
} __attribute__((aligned(64)));

#define STRESS_ERRORS(X)                                                 \
	X(BROKEN, "headers, length or checksums are wrong")              \
	X(TORN, "addresses, ports or MACs of another flow")              \
	X(SPLIT, "left a connection for another backend or source port") \
	X(SHARED, "two clients on one source port")                      \
	X(LOST, "an established flow was reset")

enum stress_error {
#define STRESS_ENUM(name, text) STRESS_##name,
	STRESS_ERRORS(STRESS_ENUM)
#undef STRESS_ENUM
	STRESS_ERRORS_N,
};

/* Counted by the checkers, by CPU. */
struct stress_count {
	__u64 backend; /* frames that came out there */
	__u64 client;
	__u64 judged; /* of these, compared with what is known of their flow */
	__u64 replies;
	__u64 resets;
	__u64 strays; /* replies of a port that has changed hands, where that may happen */
	__u64 errors[STRESS_ERRORS_N];
} __attribute__((aligned(64)));

#define STRESS_SAMPLES 8

struct stress_sample {
	struct stress_id id;
	__u32 error; /* enum stress_error */
	__be32 saddr;
	__be32 daddr;
	__be16 sport;
	__be16 dport;
	__u64 known;
	__u64 seen;
};

#endif

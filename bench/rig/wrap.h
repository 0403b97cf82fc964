/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What the wrapper of the cost rig and its user-space side share. Compiles for BPF and host. */
#ifndef RIG_WRAP_H
#define RIG_WRAP_H

#include <linux/types.h>

#define RIG_FRAME_LEN 64
#define RIG_FLOWS_MAX (1 << 20)
#define RIG_LIST_LEN  (1 << 17)
#define RIG_BATCH     32 /* a program run may make 33 tail calls */

/* Which source the packets of a run have. */
enum rig_vary {
	RIG_FIXED,  /* as the frame says */
	RIG_RANDOM, /* a client among 2^n, at random */
	RIG_NEW,    /* a client that was never seen */
	RIG_LIST,   /* a reply: backend and SNAT port from the list */
};

/* A frame, and its ones' complement sums for those whose addresses and ports are put in. */
struct rig_frame {
	__u8 bytes[RIG_FRAME_LEN];
	__u32 ip_sum;
	__u32 l4_sum;
};

/* Where the program under test has sent a flow's first packet. */
struct rig_flow {
	__be32 backend;
	__be16 port; /* SNAT port; that of the client, where it isn't changed */
	__u16 pad;
};

/* The timed run: packets / RIG_BATCH times a batch. */
struct rig_run {
	__u32 vary;
	__u32 mask; /* RIG_RANDOM: clients - 1 */
	__u32 next; /* RIG_NEW: client of the next packet; goes on from run to run */
	__u32 random;
	__u64 packets;
	__u64 done;
	__u64 start_ns;
	__u64 end_ns;
	__u64 head; /* where the frame started */
	__u64 met;  /* packets that were answered by the XDP action expected */
	__s32 expect;
	struct rig_frame frame;
};

enum rig_step_from {
	RIG_FROM_CLIENT,
	RIG_FROM_BACKEND,
};

#define RIG_STEPS_MAX 3

/* The opening of flows: each client's packets, one after the other. */
struct rig_open {
	__u32 next; /* client */
	__u32 steps_n;
	__u32 rewritten; /* 1: the first packet's output tells the flow's SNAT port */
	__u32 from[RIG_STEPS_MAX];
	struct rig_frame frames[RIG_STEPS_MAX];
	__u64 answers[8]; /* by XDP action, 7: others */
	__u64 broken;
};

#endif

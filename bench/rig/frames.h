/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What the generator and sink programs share with their user-space side. */
#ifndef RIG_FRAMES_H
#define RIG_FRAMES_H

#include <linux/types.h>

#include "wrap.h"

#define FRAMES_CPUS 64 /* a power of two; machines with more use only these */

/*
 * Cut off by the generator, so that the kernel writes the frame's length anew each time. It
 * recycles frames, and one that was cut on its way (a RST is shorter than the packet it answers)
 * would stay short.
 */
#define FRAMES_TAIL 4

/* A generator, one per CPU, on cache lines of its own. */
struct frames_gen {
	__u32 vary; /* RIG_NEW, else random */
	__u32 base; /* of its clients */
	__u32 mask;
	__u32 next;
	__u32 random;
	__u32 pad;
	__u64 sent;
	struct rig_frame frame;
} __attribute__((aligned(64)));

struct frames_count {
	__u64 packets;
} __attribute__((aligned(64)));

#endif

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Sends frames through the lab and counts where they end. */
#ifndef RIG_FRAMES_RUN_H
#define RIG_FRAMES_RUN_H

#include "frames.h"
#include "frames_lab.h"

#define FRAMES_THREADS 2

struct frames {
	struct frames_lab lab;
	struct frames_bpf *skel;
	int cpus[FRAMES_THREADS];
	unsigned int cpus_n; /* how many there are, at most FRAMES_THREADS */
};

struct frames_load {
	unsigned int threads;
	enum rig_vary vary; /* RIG_NEW, else RIG_RANDOM */
	uint32_t flows;	    /* of all threads, each has its own */
	uint64_t packets;   /* of each thread; 0: enough for a quarter of a second */
	const struct rig_frame *frame;
};

struct frames_result {
	double mpps; /* received by the sink */
	uint64_t sent;
	uint64_t received;
};

int frames__open(struct frames *frames);
int frames__run(struct frames *frames, const struct frames_load *load, struct frames_result *ret);

#endif

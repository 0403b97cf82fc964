/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Retired instructions and cycles that the calling thread spends in the kernel. */
#ifndef RIG_PERF_H
#define RIG_PERF_H

#include <stdint.h>

struct perf {
	int insns_fd; /* -1: the machine has no counters */
	int cycles_fd;
};

struct perf_count {
	uint64_t insns;
	uint64_t cycles;
};

/* -errno: there are none, and reading answers 0. */
int perf__open(struct perf *perf);
struct perf_count perf__read(const struct perf *perf);

#endif

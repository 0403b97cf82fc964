/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What became of a phase's frames, by all who count. */
#ifndef STRESS_REPORT_H
#define STRESS_REPORT_H

#include <jansson.h>

#include "load.h"

struct report {
	uint64_t sent; /* by clients and backends */
	struct stress_count counts;
	uint64_t alone;	 /* batches without the other CPU */
	int64_t lost;	 /* by the drivers: full rings */
	int64_t dropped; /* by the balancer */
	int64_t passed;
	int64_t created, evicted, expired;
	json_t *reasons; /* of drops */
};

/* Drivers count on from phase to phase. */
int64_t report__lost(const struct frames_lab *lab);

int report__take(struct report *report, const struct load *load, int64_t lost_before);
void report__print(const struct report *report, const char *phase, double seconds);

/* How much is wrong; says what. */
int report__judge(const struct report *report, const struct load *load, bool passes);

#endif

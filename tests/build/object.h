/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The BPF object as lbctl loads it, once for each attach mode and flow table. */
#ifndef BUILD_OBJECT_H
#define BUILD_OBJECT_H

#include <stdbool.h>
#include <stddef.h>

#include "programs.h"

struct variant {
	const char *name;
	bool generic;
	enum lb_table table;
};

#define VARIANTS_N 4
extern const struct variant variants[VARIANTS_N];

/* One of the two objects with load-time constants and sizes of maps; not loaded. */
int object__open(const struct variant *variant, bool spin_lock, struct lb_bpf **ret);

#endif

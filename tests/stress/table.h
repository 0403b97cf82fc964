/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What has to hold of the balancer's flow table at rest. */
#ifndef STRESS_TABLE_H
#define STRESS_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "lb_abi.h"

#define TABLE_PINS "/sys/fs/bpf/lbctl/maps/"

/* Multipliers and size of the table's hash; sets_bits 0: it isn't our own. */
struct table_hash {
	__u64 factors[CT_HASH_WORDS];
	uint32_t sets_bits;
};

int table__hash(struct table_hash *ret);

/* NULL, or what is wrong. strict: no port of an established flow may have become another's. */
const char *table__check(bool strict, uint64_t *ret_flows);

#endif

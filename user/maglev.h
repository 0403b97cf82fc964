/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Weighted Maglev hashing (Eisenbud et al., NSDI '16, section 3.4), pure code. */
#ifndef MAGLEV_H
#define MAGLEV_H

#include <stddef.h>
#include <stdint.h>

struct maglev_member {
	const char *name; /* the same on every balancer: the canonical ADDRESS:PORT */
	uint16_t weight;  /* 0: takes no slot */
};

/*
 * Fills ret_slots[slots_n] with positions in members. The result depends on names and weights only,
 * not on the order of members. Returns -ENOENT when no member has weight, -EINVAL when slots_n is
 * no prime or two members have one name, -ENOMEM.
 */
int maglev__build(const struct maglev_member *members, size_t n, uint32_t slots_n,
		  uint32_t *ret_slots);

#endif

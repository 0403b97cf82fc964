/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Halves of flows as the flow table holds them, whichever of the two it is. */
#ifndef HALF_H
#define HALF_H

#include "fixture.h"

enum half_place {
	FLOW_NONE,
	FLOW_HALF_OPEN,
	FLOW_ESTABLISHED,
};

struct half {
	struct ct_key key;
	struct ct_flow flow;
	struct ct_cold cold;
	uint32_t slot; /* LB_TABLE_ASSOC: set * CT_WAYS + way */
};

/* Halves of a removed backend are none, since no packet finds them; half__find_stale() does. */
enum half_place half__get(struct fixture *fx, const struct ct_key *key, struct half *ret);
enum half_place half__find_stale(struct fixture *fx, const struct ct_key *key, struct half *ret);

/* Puts back what half__get() gave and the test has changed: all but its key. */
int half__put(struct fixture *fx, const struct half *half);

/* Takes one half away, as an eviction does. */
int half__evict(struct fixture *fx, const struct ct_key *key);

/* How many there are, and how many of them belong to removed backends. */
int half__count(struct fixture *fx, int *ret_stale);

/* lb_reap: how many flows it ended, or -errno. */
int half__reap(struct fixture *fx, enum lb_reap_mode mode, const struct ct_key *keys,
	       unsigned int n);

enum ct_state half__state(const struct half *half);

/* Where a key's halves begin to be looked for. */
struct ct_place half__home(struct fixture *fx, const struct ct_key *key);

/* The sets that they may be in, each once: answers how many. */
uint32_t half__sets(struct fixture *fx, const struct ct_key *key, uint32_t ret[CT_SETS]);

/* Calls each for every half that there is; stops when it answers other than 0, and answers that. */
int half__each(struct fixture *fx, int (*each)(struct fixture *, const struct half *, void *),
	       void *arg);

int half__clear(struct fixture *fx);

/*
 * What has to hold of the whole table while no packet is under way: no key twice, no slot locked or
 * half written, all counts right. NULL, or what doesn't.
 */
const char *half__check_table(struct fixture *fx);

/* The halves of each pair say the same of their flow. */
const char *half__check_pairs(struct fixture *fx);

#endif

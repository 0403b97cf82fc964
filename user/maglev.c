/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Weighted Maglev hashing; see maglev.h. */
#include "maglev.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define SLOT_EMPTY UINT32_MAX

/* A member's walk over all slots: each step goes skip slots on, modulo their number. */
struct walk {
	const char *name;
	uint32_t member; /* position given by the caller */
	uint32_t weight;
	uint32_t credit; /* a turn costs twice the greatest weight, a round earns twice the own */
	uint32_t slot;
	uint32_t skip;
};

/* Only of a prime do all skips visit every slot. */
static bool is_prime(uint32_t n)
{
	for (uint32_t i = 2; i <= n / i; i++) {
		if (n % i == 0)
			return false;
	}
	return n >= 2;
}

/* FNV-1a over the name, then a finalizer that spreads each bit over all 64. */
static uint64_t name_hash(const char *name, uint64_t seed)
{
	uint64_t h = 0xcbf29ce484222325ULL ^ seed;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 0x100000001b3ULL;
	h = (h ^ (h >> 32)) * 0x9e3779b97f4a7c15ULL;
	h = (h ^ (h >> 29)) * 0x9e3779b97f4a7c15ULL;
	return h ^ (h >> 32);
}

static int walk_compare(const void *a, const void *b)
{
	const struct walk *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* Fills walks with the members that have weight, in an order that all balancers share. */
static size_t walks_init(struct walk *walks, const struct maglev_member *members, size_t n,
			 uint32_t slots_n)
{
	size_t walks_n = 0;

	for (size_t i = 0; i < n; i++) {
		if (!members[i].weight)
			continue;
		walks[walks_n++] = (struct walk){
			.name = members[i].name,
			.member = (uint32_t)i,
			.weight = members[i].weight,
			.credit = 0,
			.slot = (uint32_t)(name_hash(members[i].name, 0) % slots_n),
			.skip = (uint32_t)(name_hash(members[i].name, 1) % (slots_n - 1)) + 1,
		};
	}
	qsort(walks, walks_n, sizeof(*walks), walk_compare);
	return walks_n;
}

static void slot_take(struct walk *walk, uint32_t slots_n, uint32_t *ret_slots)
{
	while (ret_slots[walk->slot] != SLOT_EMPTY) {
		walk->slot += walk->skip;
		if (walk->slot >= slots_n)
			walk->slot -= slots_n;
	}
	ret_slots[walk->slot] = walk->member;
}

/* The heaviest member takes a slot in every round, so there are at most slots_n rounds. */
static void slots_fill(struct walk *walks, size_t n, uint32_t slots_n, uint32_t *ret_slots)
{
	uint32_t filled = 0, heaviest = 0;

	for (size_t i = 0; i < n; i++)
		heaviest = walks[i].weight > heaviest ? walks[i].weight : heaviest;
	/* Half a turn to begin with rounds shares to the nearest; twice makes half whole. */
	for (size_t i = 0; i < n; i++)
		walks[i].credit = heaviest;
	for (;;) {
		for (size_t i = 0; i < n; i++) {
			walks[i].credit += 2 * walks[i].weight;
			if (walks[i].credit < 2 * heaviest)
				continue;
			walks[i].credit -= 2 * heaviest;
			slot_take(&walks[i], slots_n, ret_slots);
			if (++filled == slots_n)
				return;
		}
	}
}

int maglev__build(const struct maglev_member *members, size_t n, uint32_t slots_n,
		  uint32_t *ret_slots)
{
	struct walk *walks;
	size_t walks_n;
	int err = 0;

	if (!is_prime(slots_n) || n >= SLOT_EMPTY)
		return -EINVAL;
	walks = calloc(n ? n : 1, sizeof(*walks));
	if (!walks)
		return -ENOMEM;
	walks_n = walks_init(walks, members, n, slots_n);
	for (size_t i = 1; i < walks_n; i++) {
		if (!strcmp(walks[i - 1].name, walks[i].name))
			err = -EINVAL;
	}
	if (!walks_n)
		err = -ENOENT;
	if (!err) {
		memset(ret_slots, 0xff, sizeof(*ret_slots) * slots_n);
		slots_fill(walks, walks_n, slots_n, ret_slots);
	}
	free(walks);
	return err;
}

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Numbers that look random and are the same in each run: xorshift (Marsaglia 2003). */
#ifndef RANDOM_H
#define RANDOM_H

#include <stdint.h>

/* From 0 to n - 1. state: not 0. */
static inline uint32_t random__below(uint32_t *state, uint32_t n)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state % n;
}

#endif

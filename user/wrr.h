/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Smooth weighted round robin, as a list of turns, pure code. */
#ifndef WRR_H
#define WRR_H

#include <stddef.h>
#include <stdint.h>

/*
 * Fills ret_turns with positions in weights, each as often as its weight says and spread evenly; answers how
 * many there are, 0 if nobody has weight. Weights that need more than max turns are rounded to what fits;
 * who has any keeps a turn (n <= max).
 */
size_t wrr__build(const uint16_t *weights, size_t n, size_t max, uint32_t *ret_turns);

#endif

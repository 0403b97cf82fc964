// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * At each turn everybody gets credit as his weight says, and who has most pays for the turn with the sum of
 * all. Equal weights alternate, and nobody has two turns in a row while others wait.
 */
#include "wrr.h"

#include <stdlib.h>

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
	uint32_t rest;

	while (b) {
		rest = a % b;
		a = b;
		b = rest;
	}
	return a;
}

/* The smallest weights of these proportions, which sum up to at most max. Answers the sum. */
static uint64_t reduce(const uint16_t *weights, size_t n, size_t max, uint32_t *ret)
{
	uint64_t sum = 0, all = 0;
	uint32_t divisor = 0;
	size_t i, some = 0;

	for (i = 0; i < n; i++) {
		divisor = common_divisor(divisor, weights[i]);
		all += weights[i];
		some += weights[i] != 0;
	}
	for (i = 0; i < n && divisor; i++) {
		ret[i] = weights[i] / divisor;
		if (all / divisor > max && weights[i]) /* one for each, and shares of what is left */
			ret[i] = 1 + (uint64_t)weights[i] * (max - some) / all;
		sum += ret[i];
	}
	return sum;
}

size_t wrr__build(const uint16_t *weights, size_t n, size_t max, uint32_t *ret_turns)
{
	uint32_t *shares = calloc(n + 1, sizeof(*shares));
	int64_t *credit = calloc(n + 1, sizeof(*credit));
	uint64_t sum = shares && credit ? reduce(weights, n, max, shares) : 0, turn;
	size_t i, best;

	for (turn = 0; turn < sum; turn++) {
		best = n;
		for (i = 0; i < n; i++) {
			credit[i] += shares[i];
			if (shares[i] && (best == n || credit[i] > credit[best]))
				best = i;
		}
		credit[best] -= (int64_t)sum;
		ret_turns[turn] = (uint32_t)best;
	}
	free(credit);
	free(shares);
	return sum;
}

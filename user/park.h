/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Packets that wait for something, such as the first fragment of their datagram, which their event's key
 * names: in order, for a bounded time and in bounded memory. Pure code; times in milliseconds of any clock
 * that goes forward.
 */
#ifndef LBCTL_PARK_H
#define LBCTL_PARK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lb_abi.h"

struct parked {
	struct parked *next;
	struct lb_event event;
	uint8_t frame[]; /* event.frame_len bytes */
};

struct park;

/* packets, bytes: at most so many; of_one: of a key. NULL: no memory. */
struct park *park__new(size_t packets, size_t bytes, size_t of_one);
void park__free(struct park *park);

/* Are there packets of the datagram? */
bool park__has(const struct park *park, const struct lb_datagram_key *key);

/* Takes a copy. -ENOSPC: it is full; park__oldest() names who should go. -EDQUOT: of this key there are enough. */
int park__put(struct park *park, const struct lb_event *event, const void *frame, uint64_t now_ms);

/* The datagram's packets, in the order they came, to be freed by park__drop(); NULL: none. */
struct parked *park__take(struct park *park, const struct lb_datagram_key *key, size_t *ret_n);
void park__drop(struct parked *packets);

/* The datagram that waits longest, and since when. NULL: none. Valid until the next change. */
const struct lb_datagram_key *park__oldest(const struct park *park, uint64_t *ret_since_ms);

size_t park__packets(const struct park *park);

#endif

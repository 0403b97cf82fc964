// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What is waited for in a hash table, and in a queue, for the time. */
#include "park.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"

#define PARK_BUCKETS 4096 /* a power of two */

struct datagram {
	struct datagram *next_in_bucket;
	struct datagram *older, *newer;
	struct lb_datagram_key key;
	uint64_t since_ms;
	struct parked *first, **end;
	size_t n;
};

struct park {
	struct datagram *buckets[PARK_BUCKETS];
	struct datagram *oldest, *newest;
	size_t packets, packets_max;
	size_t bytes, bytes_max;
	size_t of_one;
};

struct park *park__new(size_t packets, size_t bytes, size_t of_one)
{
	struct park *park = calloc(1, sizeof(*park));

	if (park) {
		park->packets_max = packets;
		park->bytes_max = bytes;
		park->of_one = of_one;
	}
	return park;
}

static struct datagram **bucket_of(struct park *park, const struct lb_datagram_key *key)
{
	uint64_t hash = lb_hash_mix(lb_hash_addr(LB_HASH_K2, &key->src), key->rest);

	return &park->buckets[(hash >> 32) & (PARK_BUCKETS - 1)];
}

/* Where the datagram is, or would be, linked in its bucket. */
static struct datagram **place_of(const struct park *park, const struct lb_datagram_key *key)
{
	struct datagram **place = bucket_of((struct park *)park, key);

	while (*place && memcmp(&(*place)->key, key, sizeof(*key)))
		place = &(*place)->next_in_bucket;
	return place;
}

bool park__has(const struct park *park, const struct lb_datagram_key *key)
{
	return *place_of(park, key) != NULL;
}

static struct datagram *datagram_add(struct park *park, struct datagram **place,
				     const struct lb_datagram_key *key, uint64_t now_ms)
{
	struct datagram *datagram = calloc(1, sizeof(*datagram));

	if (!datagram)
		return NULL;
	datagram->key = *key;
	datagram->since_ms = now_ms;
	datagram->end = &datagram->first;
	datagram->older = park->newest;
	*(park->newest ? &park->newest->newer : &park->oldest) = datagram;
	park->newest = datagram;
	*place = datagram;
	return datagram;
}

static size_t cost_of(const struct parked *packet)
{
	return sizeof(*packet) + packet->event.frame_len;
}

int park__put(struct park *park, const struct lb_event *event, const void *frame, uint64_t now_ms)
{
	struct datagram **place = place_of(park, &event->key), *datagram = *place;
	struct parked *packet;

	if (datagram && datagram->n >= park->of_one)
		return -EDQUOT;
	if (park->packets >= park->packets_max ||
	    park->bytes + sizeof(*packet) + event->frame_len > park->bytes_max)
		return -ENOSPC;
	packet = malloc(sizeof(*packet) + event->frame_len);
	if (packet && !datagram)
		datagram = datagram_add(park, place, &event->key, now_ms);
	if (!packet || !datagram) {
		free(packet);
		return -ENOMEM;
	}
	packet->next = NULL;
	packet->event = *event;
	memcpy(packet->frame, frame, event->frame_len);
	*datagram->end = packet;
	datagram->end = &packet->next;
	datagram->n++;
	park->packets++;
	park->bytes += cost_of(packet);
	return 0;
}

struct parked *park__take(struct park *park, const struct lb_datagram_key *key, size_t *ret_n)
{
	struct datagram **place = place_of(park, key), *datagram = *place;
	struct parked *packet, *first;

	*ret_n = 0;
	if (!datagram)
		return NULL;
	*place = datagram->next_in_bucket;
	*(datagram->older ? &datagram->older->newer : &park->oldest) = datagram->newer;
	*(datagram->newer ? &datagram->newer->older : &park->newest) = datagram->older;
	first = datagram->first;
	*ret_n = datagram->n;
	free(datagram);
	for (packet = first; packet; packet = packet->next) {
		park->packets--;
		park->bytes -= cost_of(packet);
	}
	return first;
}

void park__drop(struct parked *packets)
{
	struct parked *next;

	for (; packets; packets = next) {
		next = packets->next;
		free(packets);
	}
}

const struct lb_datagram_key *park__oldest(const struct park *park, uint64_t *ret_since_ms)
{
	if (!park->oldest)
		return NULL;
	*ret_since_ms = park->oldest->since_ms;
	return &park->oldest->key;
}

size_t park__packets(const struct park *park)
{
	return park->packets;
}

void park__free(struct park *park)
{
	size_t n;

	while (park && park->oldest) {
		struct lb_datagram_key key = park->oldest->key;

		park__drop(park__take(park, &key, &n));
	}
	free(park);
}

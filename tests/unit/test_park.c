/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Parked packets: their order, their bounds, nothing left behind. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "park.h"

static struct lb_event event_of(uint32_t datagram, uint32_t len)
{
	struct lb_event event = { .kind = LB_EVENT_PARKED, .frame_len = len };

	event.key.src.w[3] = datagram / 3;
	event.key.id = datagram;
	return event;
}

static int put(struct park *park, uint32_t datagram, uint8_t mark, uint32_t len, uint64_t now)
{
	struct lb_event event = event_of(datagram, len);
	uint8_t frame[4096];

	memset(frame, mark, sizeof(frame));
	return park__put(park, &event, frame, now);
}

/* Takes a datagram and checks which packets it has, by their marks. */
static void take(struct park *park, uint32_t datagram, const char *marks, uint32_t len)
{
	struct lb_event event = event_of(datagram, 0);
	struct parked *packets, *packet;
	size_t n;

	assert_int_equal(park__has(park, &event.key), *marks != 0);
	packets = park__take(park, &event.key, &n);
	assert_int_equal(n, strlen(marks));
	for (packet = packets; packet; packet = packet->next, marks++) {
		assert_int_equal(packet->event.frame_len, len);
		assert_int_equal(packet->frame[0], *marks);
		assert_int_equal(packet->frame[len - 1], *marks);
	}
	assert_int_equal(*marks, 0);
	assert_false(park__has(park, &event.key));
	park__drop(packets);
}

static void test_order(void **state)
{
	struct park *park = park__new(100, 1 << 20, SIZE_MAX);

	(void)state;
	assert_int_equal(put(park, 1, 'a', 1500, 10), 0);
	assert_int_equal(put(park, 2, 'x', 60, 11), 0);
	assert_int_equal(put(park, 1, 'b', 1500, 12), 0);
	assert_int_equal(put(park, 1, 'c', 1500, 13), 0);
	assert_int_equal(park__packets(park), 4);
	take(park, 1, "abc", 1500);
	take(park, 1, "", 1500);
	take(park, 2, "x", 60);
	assert_int_equal(park__packets(park), 0);
	park__free(park);
}

/* Who waits longest is told by its first packet; who was taken doesn't wait. */
static void test_oldest(void **state)
{
	struct park *park = park__new(100, 1 << 20, SIZE_MAX);
	uint64_t since;

	(void)state;
	assert_null(park__oldest(park, &since));
	put(park, 5, 'a', 60, 100);
	put(park, 6, 'b', 60, 101);
	put(park, 7, 'c', 60, 102);
	put(park, 5, 'd', 60, 103);
	assert_int_equal(park__oldest(park, &since)->id, 5);
	assert_int_equal(since, 100);
	take(park, 6, "b", 60);
	take(park, 5, "ad", 60);
	assert_int_equal(park__oldest(park, &since)->id, 7);
	assert_int_equal(since, 102);
	put(park, 5, 'e', 60, 104);
	take(park, 7, "c", 60);
	assert_int_equal(park__oldest(park, &since)->id, 5);
	assert_int_equal(since, 104);
	park__free(park);
}

static void test_bounds(void **state)
{
	struct park *park = park__new(3, 1 << 20, SIZE_MAX);

	(void)state;
	assert_int_equal(put(park, 1, 'a', 60, 0), 0);
	assert_int_equal(put(park, 1, 'b', 60, 0), 0);
	assert_int_equal(put(park, 2, 'c', 60, 0), 0);
	assert_int_equal(put(park, 3, 'd', 60, 0), -ENOSPC);
	take(park, 3, "", 60);
	take(park, 1, "ab", 60);
	assert_int_equal(put(park, 3, 'd', 60, 0), 0);
	park__free(park);
	park = park__new(100, 4000, SIZE_MAX);
	assert_int_equal(put(park, 1, 'a', 1800, 0), 0);
	assert_int_equal(put(park, 1, 'b', 1800, 0), 0);
	assert_int_equal(put(park, 2, 'c', 1800, 0), -ENOSPC);
	take(park, 1, "ab", 1800);
	assert_int_equal(put(park, 2, 'c', 1800, 0), 0);
	park__free(park);
	park = park__new(100, 1 << 20, 2);
	assert_int_equal(put(park, 1, 'a', 60, 0), 0);
	assert_int_equal(put(park, 1, 'b', 60, 0), 0);
	assert_int_equal(put(park, 1, 'c', 60, 0), -EDQUOT);
	assert_int_equal(put(park, 2, 'd', 60, 0), 0);
	take(park, 1, "ab", 60);
	park__free(park);
}

/* Thousands, in an order that hits every place in the queue. */
static void test_many(void **state)
{
	struct park *park = park__new(20000, 64 << 20, SIZE_MAX);
	uint32_t i;

	(void)state;
	for (i = 0; i < 10000; i++) {
		assert_int_equal(put(park, i, 'a', 100, i), 0);
		assert_int_equal(put(park, i / 2, 'b', 100, i), 0);
	}
	for (i = 0; i < 10000; i++)
		take(park, i * 7919 % 10000, i * 7919 % 10000 < 5000 ? "abb" : "a", 100);
	assert_int_equal(park__packets(park), 0);
	park__free(park);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_oldest),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Pure code that the data path runs too: flow states and expiry, checksums, hashes. */
#include "unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "csum.h"
#include "ct_state.h"
#include "hash.h"
#include "lb_drops.h"
#include "text.h"

#define FUZZ_RUNS 20000

/* -- Flow states ------------------------------------------------------------------------------- */

#define NONE CT_PHASE_NONE
#define SYN  CT_PHASE_SYN
#define OPEN CT_PHASE_OPEN
#define FIN  CT_PHASE_FIN
#define RST  CT_PHASE_RST

struct phase_case {
	enum ct_phase from;
	enum ct_event event;
	enum ct_phase to;
};

static const struct phase_case phase_cases[] = {
	/* data opens nothing: only a completed handshake does */
	{ NONE, CT_EVENT_DATA, NONE },
	{ SYN, CT_EVENT_DATA, SYN },
	{ NONE, CT_EVENT_SYN, SYN },
	{ NONE, CT_EVENT_OPEN, OPEN },
	{ SYN, CT_EVENT_OPEN, OPEN },
	/* a repeated or forged SYN demotes nothing */
	{ SYN, CT_EVENT_SYN, SYN },
	{ OPEN, CT_EVENT_SYN, OPEN },
	{ FIN, CT_EVENT_SYN, FIN },
	{ RST, CT_EVENT_SYN, RST },
	{ OPEN, CT_EVENT_DATA, OPEN },
	{ OPEN, CT_EVENT_OPEN, OPEN },
	{ OPEN, CT_EVENT_FIN, FIN },
	{ OPEN, CT_EVENT_RST, RST },
	{ NONE, CT_EVENT_FIN, FIN },
	{ SYN, CT_EVENT_FIN, FIN },
	{ NONE, CT_EVENT_RST, RST },
	{ SYN, CT_EVENT_RST, RST },
	/* retransmissions after a FIN leave it */
	{ FIN, CT_EVENT_DATA, FIN },
	{ FIN, CT_EVENT_OPEN, FIN },
	{ FIN, CT_EVENT_FIN, FIN },
	{ FIN, CT_EVENT_RST, RST },
	/* whoever goes on sending did not mean its RST */
	{ RST, CT_EVENT_DATA, OPEN },
	{ RST, CT_EVENT_OPEN, OPEN },
	{ RST, CT_EVENT_FIN, FIN },
	{ RST, CT_EVENT_RST, RST },
};

_Static_assert(ARRAY_SIZE(phase_cases) == CT_PHASES * CT_EVENTS, "a case for each cell");

static void test_phases(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(phase_cases); i++) {
		const struct phase_case *c = &phase_cases[i];

		if (ct_phase_next((__u8)c->from, c->event) != c->to)
			fail_msg("phase %d, event %d", c->from, c->event);
	}
	/* bytes that are no phase lead to one, and to nothing behind the tables */
	for (int phase = 0; phase < 256; phase++) {
		for (int event = 0; event < CT_EVENTS; event++)
			assert_in_range(ct_phase_next((__u8)phase, event), 0, CT_PHASES - 1);
	}
}

/* By rule, not by the table: any RST closes, then FINs count, then both have to be open. */
static enum ct_state tcp_state_expected(int in, int out)
{
	if (in == RST || out == RST || (in == FIN && out == FIN))
		return CT_CLOSED;
	if (in == FIN || out == FIN)
		return CT_FIN;
	return in == OPEN && out == OPEN ? CT_ESTABLISHED : CT_SYN;
}

static void test_tcp_states(void **state)
{
	(void)state;
	for (int in = 0; in < CT_PHASES; in++) {
		for (int out = 0; out < CT_PHASES; out++) {
			if (ct_state_of(IPPROTO_TCP, (__u8)in, (__u8)out) !=
			    tcp_state_expected(in, out))
				fail_msg("in %d, out %d", in, out);
		}
	}
	for (int in = 0; in < 256; in++) {
		for (int out = 0; out < 256; out++)
			assert_in_range(ct_state_of(IPPROTO_TCP, (__u8)in, (__u8)out), 0,
					CT_STATES - 1);
	}
}

static void test_udp_states(void **state)
{
	(void)state;
	assert_int_equal(ct_state_of(IPPROTO_UDP, NONE, NONE), CT_UDP_NEW);
	assert_int_equal(ct_state_of(IPPROTO_UDP, OPEN, NONE), CT_UDP_NEW);
	assert_int_equal(ct_state_of(IPPROTO_UDP, NONE, OPEN), CT_UDP_ASSURED);
	assert_int_equal(ct_state_of(IPPROTO_UDP, OPEN, OPEN), CT_UDP_ASSURED);
}

/* A whole connection, one direction's walk at a time. */
static void test_tcp_life(void **state)
{
	__u8 in = NONE, out = NONE;

	(void)state;
	in = ct_phase_next(in, CT_EVENT_SYN);
	assert_int_equal(ct_state_of(IPPROTO_TCP, in, out), CT_SYN);
	out = ct_phase_next(out, CT_EVENT_SYN);
	assert_int_equal(ct_state_of(IPPROTO_TCP, in, out), CT_SYN);
	in = ct_phase_next(in, CT_EVENT_OPEN);
	out = ct_phase_next(out, CT_EVENT_OPEN);
	assert_int_equal(ct_state_of(IPPROTO_TCP, in, out), CT_ESTABLISHED);
	out = ct_phase_next(out, CT_EVENT_FIN);
	assert_int_equal(ct_state_of(IPPROTO_TCP, in, out), CT_FIN);
	in = ct_phase_next(in, CT_EVENT_DATA);
	assert_int_equal(ct_state_of(IPPROTO_TCP, in, out), CT_FIN);
	in = ct_phase_next(in, CT_EVENT_FIN);
	assert_int_equal(ct_state_of(IPPROTO_TCP, in, out), CT_CLOSED);
}

static void test_timeouts(void **state)
{
	(void)state;
	for (int i = 0; i < CT_STATES; i++)
		assert_in_range(ct_timeout_s[i], 1, TEXT_DURATION_LIMIT_MS / 1000);
	assert_in_range(ct_timeout_s[CT_ESTABLISHED], 7440, UINT32_MAX); /* RFC 5382, REQ-5 */
	assert_in_range(ct_timeout_s[CT_UDP_ASSURED], 120, UINT32_MAX);	 /* RFC 4787, REQ-5 */
}

static void test_expiry(void **state)
{
	static const __u32 starts[] = {
		0, 1, 1000, 0x7fffff00, 0x80000000, 0xffffff00, 0xffffffff
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
		__u32 seen = starts[i];

		assert_false(ct_expired(seen, seen, 300, 50));
		assert_false(ct_expired(seen + 300, seen, 300, 0));
		assert_true(ct_expired(seen + 301, seen, 300, 0));
		assert_false(ct_expired(seen + 350, seen, 300, 50));
		assert_true(ct_expired(seen + 351, seen, 300, 50));
		/* idle for just under half a turn */
		assert_true(ct_expired(seen + 0x7fffffff, seen, 300, 50));
		/* another CPU's clock read was later than ours */
		assert_false(ct_expired(seen - 5, seen, 300, 0));
		assert_false(ct_expired(seen - 5, seen, 0, 0));
		/* the longest timeout that may be asked for, at the highest HZ */
		assert_false(ct_expired(seen + TEXT_DURATION_LIMIT_MS, seen, TEXT_DURATION_LIMIT_MS,
					2000));
		assert_true(ct_expired(seen + TEXT_DURATION_LIMIT_MS + 2001, seen,
				       TEXT_DURATION_LIMIT_MS, 2000));
	}
}

/* -- Checksums --------------------------------------------------------------------------------- */

/* RFC 1071 as it is written: 16-bit words, end-around carry. */
static uint16_t sum_slowly(const void *data, size_t words)
{
	const uint8_t *bytes = data;
	uint32_t sum = 0;

	for (size_t i = 0; i < words; i++) {
		uint16_t word;

		memcpy(&word, bytes + 2 * i, sizeof(word));
		sum += word;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)sum;
}

/* 0 and 0xffff are the same number in one's complement. */
static bool sums_equal(uint16_t a, uint16_t b)
{
	return a % 0xffff == b % 0xffff;
}

static void test_csum_fold(void **state)
{
	uint64_t seed = 1;

	(void)state;
	assert_int_equal(csum_fold(0), 0);
	assert_int_equal(csum_fold(0xffff), 0xffff);
	assert_int_equal(csum_fold(0x10000), 1);
	assert_int_equal(csum_fold(0x1fffe), 0xffff);
	assert_int_equal(csum_fold(UINT64_MAX), 0xffff);
	assert_int_equal(csum_fold(0xffffffff00000001ULL), 1);
	for (int i = 0; i < FUZZ_RUNS; i++) {
		uint64_t sum = unit_random(&seed);

		assert_true(sums_equal(csum_fold(sum), sum_slowly(&sum, sizeof(sum) / 2)));
		/* folded once is folded for good */
		assert_int_equal(csum_fold(csum_fold(sum)), csum_fold(sum));
	}
}

/* Rewriting both addresses and both ports by differences gives what a new sum over all gives. */
static void test_csum_replace(void **state)
{
	struct {
		struct lb_addr src, dst;
		uint16_t sport, dport;
		uint16_t payload[20];
	} before, after;
	uint64_t seed = 2;

	(void)state;
	for (int i = 0; i < FUZZ_RUNS; i++) {
		uint64_t sum;
		uint16_t check;

		for (size_t j = 0; j < sizeof(before) / 2; j++) {
			uint64_t word = unit_random(&seed);

			/* many zeros and ones, where carries go wrong */
			((uint16_t *)&before)[j] = word & 0x10000   ? (uint16_t)word
						   : word & 0x20000 ? 0xffff
								    : 0;
		}
		after = before;
		after.src = lb_addr__from_v4((__be32)unit_random(&seed));
		after.dst.w[i % 4] = (__be32)unit_random(&seed);
		after.sport = (uint16_t)unit_random(&seed);
		after.dport = i % 3 ? 0xffff : 0;

		check = (uint16_t)~sum_slowly(&before, sizeof(before) / 2);
		sum = (uint16_t)~check;
		sum += csum_replace_addr(&before.src, &after.src);
		sum += csum_replace_addr(&before.dst, &after.dst);
		sum += csum_replace16(before.sport, after.sport);
		sum += csum_replace16(before.dport, after.dport);
		assert_true(sums_equal(csum_fold(sum), sum_slowly(&after, sizeof(after) / 2)));

		sum = csum_replace32(before.src.w[0], after.src.w[0]) + before.src.w[0];
		assert_true(sums_equal(csum_fold(sum), sum_slowly(&after.src.w[0], 2)));
		assert_true(
			sums_equal(csum_fold(csum_addr(&after.dst)), sum_slowly(&after.dst, 8)));
	}
}

/* -- Hashes ------------------------------------------------------------------------------------ */

#define BUCKETS 16
#define HASHES	65536

/* 65536 clients or ports over 16 buckets: each within 5 % (a random hash strays by about 1.5 %). */
static void buckets_check(const uint32_t *buckets)
{
	for (size_t i = 0; i < BUCKETS; i++)
		assert_in_range(buckets[i], HASHES / BUCKETS * 95 / 100,
				HASHES / BUCKETS * 105 / 100);
}

static void test_hash_5tuple(void **state)
{
	struct lb_addr vip = lb_addr__from_v4(htonl(0xac110005)), client;
	uint32_t low[BUCKETS] = {}, high[BUCKETS] = {}, maglev[BUCKETS] = {};

	(void)state;
	client = lb_addr__from_v4(htonl(0xac110004));
	for (uint32_t i = 0; i < HASHES; i++) {
		uint64_t h =
			lb_hash_5tuple(&client, htons((uint16_t)i), &vip, htons(80), IPPROTO_TCP);

		low[(uint32_t)h % BUCKETS]++;
		high[(h >> 32) % BUCKETS]++;
		maglev[(uint32_t)h % LB_MAGLEV_SLOTS % BUCKETS]++;
	}
	buckets_check(low);
	buckets_check(high);
	buckets_check(maglev);
	memset(low, 0, sizeof(low));
	for (uint32_t i = 0; i < HASHES; i++) {
		client = lb_addr__from_v4(htonl(0x0a000000 + i));
		low[(uint32_t)lb_hash_5tuple(&client, htons(1234), &vip, htons(80), IPPROTO_TCP) %
		    BUCKETS]++;
	}
	buckets_check(low);
}

/* Each part of a flow's name counts, and no two parts can be swapped unnoticed. */
static void test_hash_parts(void **state)
{
	struct lb_addr a = lb_addr__from_v4(htonl(0x0a000001)),
		       b = lb_addr__from_v4(htonl(0x0a000002));
	uint64_t h = lb_hash_5tuple(&a, 1, &b, 2, IPPROTO_TCP);
	struct ct_key key = {
		.remote = a, .remote_port = 1, .local_port = 2, .local = 3, .ip_proto = IPPROTO_TCP
	};
	struct ct_key other;

	(void)state;
	assert_true(h == lb_hash_5tuple(&a, 1, &b, 2, IPPROTO_TCP));
	assert_true(h != lb_hash_5tuple(&b, 1, &a, 2, IPPROTO_TCP));
	assert_true(h != lb_hash_5tuple(&a, 2, &b, 1, IPPROTO_TCP));
	assert_true(h != lb_hash_5tuple(&a, 1, &b, 2, IPPROTO_UDP));
	for (size_t i = 0; i < offsetof(struct ct_key, pad) * 8; i++) {
		other = key;
		((uint8_t *)&other)[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_int_not_equal(lb_hash_key(&key), lb_hash_key(&other));
	}
}

/* -- Drop reasons ------------------------------------------------------------------------------ */

static void test_drop_reasons(void **state)
{
#define DROP_TEXT(name, text, help) { text, help },
	static const char *const reasons[][2] = { LB_DROP_REASONS(DROP_TEXT) };
#undef DROP_TEXT

	(void)state;
	assert_int_equal(ARRAY_SIZE(reasons), LB_DROPS);
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		assert_int_equal(strspn(reasons[i][0], "abcdefghijklmnopqrstuvwxyz_"),
				 strlen(reasons[i][0]));
		assert_in_range(strlen(reasons[i][1]), 10, 200);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(reasons[i][0], reasons[j][0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_phases),	     cmocka_unit_test(test_tcp_states),
		cmocka_unit_test(test_udp_states),   cmocka_unit_test(test_tcp_life),
		cmocka_unit_test(test_timeouts),     cmocka_unit_test(test_expiry),
		cmocka_unit_test(test_csum_fold),    cmocka_unit_test(test_csum_replace),
		cmocka_unit_test(test_hash_5tuple),  cmocka_unit_test(test_hash_parts),
		cmocka_unit_test(test_drop_reasons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

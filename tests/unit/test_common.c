/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Pure code that the data path runs too: flow states and expiry, slots and keys, checksums, hashes.
 */
#include "unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "csum.h"
#include "ct_slot.h"
#include "ct_state.h"
#include "hash.h"
#include "lb_drops.h"
#include "local_table.h"
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

static void test_packed_timeouts(void **state)
{
	uint64_t seed = 3;

	(void)state;
	for (__u32 i = 0; i < 5000; i++)
		assert_true(ct_timeout_unpack(ct_timeout_pack(i)) >= i);
	for (__u32 i = 0; i <= 2047; i++)
		assert_int_equal(ct_timeout_unpack(ct_timeout_pack(i)), i);
	for (int i = 0; i < FUZZ_RUNS; i++) {
		__u32 jiffies = (__u32)unit_random(&seed) >> (1 + i % 30);
		__u32 back = ct_timeout_unpack(ct_timeout_pack(jiffies));

		assert_true(back >= jiffies && back - jiffies <= jiffies / 1000);
		assert_int_equal(ct_timeout_pack(back), ct_timeout_pack(jiffies));
	}
}

/* -- Slots and keys of the flow table ---------------------------------------------------------- */

static void test_control_word(void **state)
{
	static const __u32 fields[] = { CT_STATE_MASK,	CT_HALF_OPEN,
					CT_PHASES_MASK, (CT_WAYS - 1) << CT_DISTANCE_SHIFT,
					CT_AWAY,	CT_LOCK,
					CT_NEAR_MASK,	CT_AWAY_MASK,
					CT_VERSION_MASK };
	__u32 all = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		assert_int_equal(all & fields[i], 0);
		all |= fields[i];
	}
	assert_int_equal(all, UINT32_MAX);
	assert_int_equal(CT_PLACE_MASK, CT_LOCK | CT_NEAR_MASK | CT_AWAY_MASK);
	for (__u8 in = 0; in < CT_PHASES; in++) {
		for (__u8 out = 0; out < CT_PHASES; out++) {
			assert_int_equal(ct_phase(ct_phases(in, out) | ~CT_PHASES_MASK, CT_DIR_IN),
					 in);
			assert_int_equal(ct_phase(ct_phases(in, out) | ~CT_PHASES_MASK, CT_DIR_OUT),
					 out);
		}
	}
	for (__u32 i = 0; i < CT_WAYS; i++)
		assert_int_equal(ct_distance(i << CT_DISTANCE_SHIFT | CT_AWAY | CT_PHASES_MASK), i);
	for (__u32 i = 0; i < CT_SETS; i++)
		assert_int_equal(ct_which(i << CT_WHICH_SHIFT | CT_LOCK), i);
	/* what changes while a half lives, and what only when it goes */
	assert_false(ct_changed_hands(CT_LIVE, CT_LIVE | CT_PLACE_MASK | CT_PHASES_MASK));
	assert_true(ct_changed_hands(CT_LIVE, CT_FREE));
	assert_true(ct_changed_hands(CT_LIVE, CT_LIVE + CT_VERSION_ONE));
}

static struct ct_flow random_flow(uint64_t *seed, struct lb_backend *backend)
{
	__u8 dir = unit_random(seed) & 1;
	__u8 method = unit_random(seed) & 1 ? LB_METHOD_NAT : LB_METHOD_FULLNAT;
	struct ct_key key = { .remote_port = (__be16)unit_random(seed),
			      .local_port = (__be16)unit_random(seed),
			      .local = (__u16)unit_random(seed),
			      .ip_proto = IPPROTO_TCP,
			      .turned = dir == CT_DIR_OUT && method == LB_METHOD_NAT };
	struct ct_flow flow = { .ends = key.ends,
				.client = lb_addr__from_v4((__be32)unit_random(seed)),
				.peer_local_port = (__be16)unit_random(seed),
				.peer_remote_port = (__be16)unit_random(seed),
				.peer_local = (__u16)unit_random(seed),
				.gen = 7,
				.backend = 5,
				.kind = ct_kind(dir, method) };

	backend->addr = lb_addr__from_v4((__be32)unit_random(seed));
	return flow;
}

static void test_halves(void **state)
{
	struct lb_backend backend = { .gen = 7 };
	struct ct_flow flow, turned, again;
	struct ct_key own, peer, key;
	uint64_t seed = 4;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		flow = random_flow(&seed, &backend);
		turned = flow;
		ct_turn(&turned);
		assert_true(ct_is_pair(&flow, &turned) && ct_is_pair(&turned, &flow));
		assert_false(ct_is_pair(&flow, &flow));
		ct_own_key(&flow, &backend, &own);
		ct_peer_key(&flow, &backend, &peer);
		ct_own_key(&turned, &backend, &key);
		assert_memory_equal(&key, &peer, sizeof(key));
		ct_peer_key(&turned, &backend, &key);
		assert_memory_equal(&key, &own, sizeof(key));
		assert_true(ct_peer_ends(&flow) == turned.ends);
		assert_int_equal(ct_ends_proto(flow.ends), IPPROTO_TCP);
		again = turned;
		ct_turn(&again);
		assert_memory_equal(&again, &flow, sizeof(flow));
		turned.gen++;
		assert_false(ct_is_pair(&flow, &turned));
		turned.gen--;
		turned.client.w[3]++;
		assert_false(ct_is_pair(&flow, &turned));
	}
}

/* The key of nat's replies is that of the packet to the backend, turned around. */
static void test_turned_half(void **state)
{
	struct lb_backend backend = { .addr = lb_addr__from_v4(htonl(0xac110002)) };
	struct ct_flow flow = { .client = lb_addr__from_v4(htonl(0xac110004)),
				.peer_local_port = htons(40000), /* as the backend sees them */
				.peer_remote_port = htons(8080),
				.peer_local = 7,
				.kind = ct_kind(CT_DIR_IN, LB_METHOD_NAT) };
	struct ct_key key = { .ip_proto = IPPROTO_UDP };

	(void)state;
	flow.ends = key.ends;
	assert_int_equal(ct_method(&flow), LB_METHOD_NAT);
	assert_int_equal(ct_dir(&flow), CT_DIR_IN);
	ct_peer_key(&flow, &backend, &key);
	assert_memory_equal(&key.remote, &flow.client, sizeof(key.remote));
	assert_int_equal(key.remote_port, htons(40000));
	assert_int_equal(key.local_port, htons(8080));
	assert_int_equal(key.local, 7);
	assert_int_equal(key.turned, 1);
	assert_int_equal(key.ip_proto, IPPROTO_UDP);
}

static void test_places(void **state)
{
	struct lb_addr vip = lb_addr__from_v4(htonl(0xac110005)), client;
	__u64 factors[CT_HASH_WORDS], others[CT_HASH_WORDS], ends;
	uint32_t slots[16] = {};
	struct ct_place place;
	struct ct_key key = { .local_port = htons(80), .ip_proto = IPPROTO_TCP };
	size_t differ = 0;

	(void)state;
	ct_hash_factors(1, factors);
	ct_hash_factors(2, others);
	for (__u32 i = 0; i < 65536; i++) {
		client = lb_addr__from_v4(htonl(0x0a000000 + i / 7));
		key.remote_port = htons((__u16)(1024 + i));
		key.local = (__u16)i; /* doesn't count: the address does */
		place = ct_home(ct_hash(&client, &vip, key.ends, factors), 1 + i % 20);
		assert_true(place.set < 1u << (1 + i % 20) && place.way < CT_WAYS);
		place = ct_home(ct_hash(&client, &vip, key.ends, factors), 1);
		slots[place.set * CT_WAYS + place.way]++;
		ends = key.ends;
		key.local = 0;
		assert_true(ct_hash(&client, &vip, ends, factors) ==
			    ct_hash(&client, &vip, key.ends, factors));
		differ += ct_hash(&client, &vip, ends, factors) >> 56 !=
			  ct_hash(&client, &vip, ends, others) >> 56;
		for (__u32 bits = 1; bits < 21; bits += 5) {
			__u32 set = i & ((1u << bits) - 1), which = 1 + i % (CT_SETS - 1);
			__u32 other = ct_other_set(set, ends, which, bits);

			assert_true(other != set && other < 1u << bits);
			assert_int_equal(ct_other_set(other, ends, which, bits), set);
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(slots); i++)
		assert_in_range(slots[i], 4096 * 95 / 100, 4096 * 105 / 100);
	assert_true(differ > 65000);
}

/* Addresses that differ in two of the bytes that hosts and their networks do. */
static void test_clients_spread(void **state)
{
	static uint8_t seen[65536];
	struct lb_addr vip = {}, client = { .b = { 0x20, 0x01, 0x0d, 0xb8 } };
	__u64 factors[CT_HASH_WORDS];
	uint32_t a, b, i, sets;

	(void)state;
	vip.b[0] = 0x20;
	for (a = 3; a < 16; a++) {
		for (b = a + 1; b < 16; b++) {
			ct_hash_factors(a << 8 | b, factors);
			memset(seen, 0, sizeof(seen));
			for (i = sets = 0; i < 65536; i++) {
				client.b[a] = i >> 8;
				client.b[b] = (uint8_t)i;
				sets += !seen[ct_hash(&client, &vip, 1234, factors) >> 48]++;
			}
			client.b[a] = client.b[b] = 0;
			if (sets < 65536 / 8)
				fail_msg("bytes %u and %u: %u sets", a, b, sets);
		}
	}
}

static void test_local_table(void **state)
{
	uint64_t seed = 5, seen = 0;

	(void)state;
	for (__u32 i = 0; i < 65536; i++) {
		struct lb_addr addr = lb_addr__from_v4((__be32)unit_random(&seed));
		uint64_t tcp = local_port_bit(htons((__u16)i), IPPROTO_TCP);

		assert_true(tcp && !(tcp & (tcp - 1)));
		seen |= tcp;
		assert_true(local_slot(&addr, i % LOCAL_PROBES) < LOCAL_SLOTS);
		assert_int_equal((local_slot(&addr, 0) + 3) % LOCAL_SLOTS, local_slot(&addr, 3));
	}
	assert_true(seen == UINT64_MAX);
	assert_true(local_port_bit(htons(53), IPPROTO_TCP) !=
		    local_port_bit(htons(53), IPPROTO_UDP));
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
	assert_int_equal(csum_fold(0xffffffffffffULL), 0xffff);
	assert_int_equal(csum_fold(0xffff00000001ULL), 1);
	for (int i = 0; i < FUZZ_RUNS; i++) {
		uint64_t sum = unit_random(&seed) >> 16;

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
		int v4 = i % 2;
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
		if (v4) {
			before.src = lb_addr__from_v4(before.src.w[3]);
			before.dst = lb_addr__from_v4(before.dst.w[3]);
			after.dst = lb_addr__from_v4(after.dst.w[3]);
		}

		check = (uint16_t)~sum_slowly(&before, sizeof(before) / 2);
		sum = (uint16_t)~check;
		sum += csum_replace_addr(&before.src, &after.src, v4);
		sum += csum_replace_addr(&before.dst, &after.dst, v4);
		sum += csum_replace16(before.sport, after.sport);
		sum += csum_replace16(before.dport, after.dport);
		assert_true(sums_equal(csum_fold(sum), sum_slowly(&after, sizeof(after) / 2)));

		sum = csum_replace32(before.src.w[0], after.src.w[0]) + before.src.w[0];
		assert_true(sums_equal(csum_fold(sum), sum_slowly(&after.src.w[0], 2)));
		assert_true(sums_equal(csum_fold(csum_addr(&after.dst, v4)),
				       sum_slowly(&after.dst, 8)));
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

	(void)state;
	assert_true(h == lb_hash_5tuple(&a, 1, &b, 2, IPPROTO_TCP));
	assert_true(h != lb_hash_5tuple(&b, 1, &a, 2, IPPROTO_TCP));
	assert_true(h != lb_hash_5tuple(&a, 2, &b, 1, IPPROTO_TCP));
	assert_true(h != lb_hash_5tuple(&a, 1, &b, 2, IPPROTO_UDP));
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
		cmocka_unit_test(test_phases),		cmocka_unit_test(test_tcp_states),
		cmocka_unit_test(test_udp_states),	cmocka_unit_test(test_tcp_life),
		cmocka_unit_test(test_timeouts),	cmocka_unit_test(test_expiry),
		cmocka_unit_test(test_packed_timeouts), cmocka_unit_test(test_control_word),
		cmocka_unit_test(test_halves),
		cmocka_unit_test(test_turned_half),		cmocka_unit_test(test_places),
		cmocka_unit_test(test_clients_spread),
		cmocka_unit_test(test_local_table),	cmocka_unit_test(test_csum_fold),
		cmocka_unit_test(test_csum_replace),	cmocka_unit_test(test_hash_5tuple),
		cmocka_unit_test(test_hash_parts),	cmocka_unit_test(test_drop_reasons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

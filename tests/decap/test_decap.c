// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Packets through kernel/decap.bpf.c: what it takes out of tunnels, byte for byte, and what it leaves. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "decap.skel.h"
#include "decap_abi.h"
#include "frame.h"
#include "lb_abi.h"

#define SKIPPED	  77
#define IP(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))
#define CLIENT	  IP(172, 17, 0, 4)
#define VIP	  IP(172, 17, 0, 9)
#define BALANCER  IP(172, 17, 0, 5)
#define BACKEND   IP(172, 17, 0, 2)
#define LOOPBACK  1 /* ifindex of test runs */

static struct decap_bpf *skel;

struct result {
	uint32_t action;
	size_t len;
	uint8_t bytes[FRAME_MAX];
};

static struct result run(const uint8_t *bytes, size_t len)
{
	struct result ret = {};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = bytes, .data_size_in = len,
		    .data_out = ret.bytes, .data_size_out = sizeof(ret.bytes));

	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(skel->progs.lb_decap), &opts), 0);
	ret.action = opts.retval;
	ret.len = opts.data_size_out;
	return ret;
}

static void left_alone(const uint8_t *bytes, size_t len)
{
	struct result got = run(bytes, len);

	assert_int_equal(got.action, XDP_PASS);
	assert_int_equal(got.len, len);
	assert_memory_equal(got.bytes, bytes, len);
}

static void becomes(const uint8_t *bytes, size_t len, const struct frame *plain)
{
	uint8_t expected[FRAME_MAX];
	size_t expected_len = frame__build(plain, expected);
	struct result got = run(bytes, len);

	assert_int_equal(got.action, XDP_PASS);
	assert_int_equal(got.len, expected_len);
	assert_memory_equal(got.bytes, expected, expected_len);
}

/* Every family in every, by ipip and gue. */
#define WAYS 8

static struct frame plain_of(int way, uint32_t dst)
{
	struct frame frame;

	frame_v6 = way & 1;
	frame = frame__make(way & 2 ? TCP : UDP, CLIENT, 40000, dst, 80);
	frame.payload = 33;
	return frame;
}

static struct frame wrapped_of(int way, uint32_t dst)
{
	struct frame frame = plain_of(way, dst);

	frame.outer_src = BALANCER;
	frame.outer_dst = BACKEND;
	frame.outer_v6 = way & 2;
	frame.outer_sport = way & 4 ? 0xc123 : 0;
	return frame;
}

static uint64_t count(enum decap_what what)
{
	int cpus = libbpf_num_possible_cpus(), cpu;
	struct decap_counts counts[256] = {};
	uint32_t ifindex = LOOPBACK;
	uint64_t sum = 0;

	assert_in_range(cpus, 1, 256);
	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(skel->maps.decap_counts), &ifindex, counts), 0);
	for (cpu = 0; cpu < cpus; cpu++)
		sum += counts[cpu].packets[what];
	return sum;
}

static void test_unwrapped(void **state)
{
	struct frame frame, plain;
	uint8_t bytes[FRAME_MAX];
	int way, payload;

	(void)state;
	for (way = 0; way < WAYS; way++) {
		for (payload = 0; payload < 1400; payload += 67) {
			uint64_t before = count(DECAP_UNWRAPPED);

			frame = wrapped_of(way, VIP);
			plain = plain_of(way, VIP);
			frame.payload = plain.payload = payload;
			frame.tos = plain.tos = 0xb8;
			becomes(bytes, frame__build(&frame, bytes), &plain);
			assert_int_equal(count(DECAP_UNWRAPPED) - before, 1);
		}
	}
}

static void test_other_address(void **state)
{
	struct frame frame;
	uint8_t bytes[FRAME_MAX];
	uint64_t before;
	int way;

	(void)state;
	for (way = 0; way < WAYS; way++) {
		before = count(DECAP_OTHER);
		frame = wrapped_of(way, BACKEND);
		left_alone(bytes, frame__build(&frame, bytes));
		assert_int_equal(count(DECAP_OTHER) - before, 1);
		frame = plain_of(way, VIP);
		left_alone(bytes, frame__build(&frame, bytes));
		frame = wrapped_of(way, VIP);
		frame.dmac[0] |= 1; /* to many */
		left_alone(bytes, frame__build(&frame, bytes));
	}
}

static void test_truncated(void **state)
{
	struct frame frame;
	uint8_t bytes[FRAME_MAX];
	size_t len, n;
	int way;

	(void)state;
	for (way = 0; way < WAYS; way++) {
		frame = wrapped_of(way, VIP);
		len = frame__build(&frame, bytes);
		for (n = ETH_LEN; n < len; n++)
			left_alone(bytes, n);
	}
}

/* Bytes of the outer header that have to be so, and the inner lengths: from the IP header on. */
static void test_broken(void **state)
{
	struct frame frame;
	uint8_t bytes[FRAME_MAX];
	size_t len, outer, at;
	int way;

	(void)state;
	for (way = 0; way < WAYS; way++) {
		frame = wrapped_of(way, VIP);
		len = frame__build(&frame, bytes);
		outer = frame.outer_v6 ? IP6_LEN : IP_LEN;
		for (at = 0; at < (frame.outer_v6 ? 7 : IP_LEN); at++) {
			if (frame.outer_v6 && at > 0 && at < 4)
				continue; /* traffic class, flow label */
			bytes[ETH_LEN + at] ^= 0x11;
			left_alone(bytes, len);
			bytes[ETH_LEN + at] ^= 0x11;
		}
		if (frame.outer_sport) {
			for (at = 2; at < GUE_LEN; at++) {
				if (at == 6 || at == 7)
					continue; /* its checksum */
				bytes[ETH_LEN + outer + at] ^= 0x41;
				left_alone(bytes, len);
				bytes[ETH_LEN + outer + at] ^= 0x41;
			}
			outer += GUE_LEN;
		}
		bytes[ETH_LEN + outer] ^= 0x30; /* version */
		left_alone(bytes, len);
		bytes[ETH_LEN + outer] ^= 0x30;
		at = ETH_LEN + outer + (frame.v6 ? 5 : 3);
		bytes[at]--; /* length */
		left_alone(bytes, len);
		bytes[at] += 2;
		left_alone(bytes, len);
	}
}

static void set_word(uint8_t *at, uint16_t value)
{
	at[0] = value >> 8;
	at[1] = value;
}

/* With a header checksum that holds. */
static void set_outer4(uint8_t *ip, uint16_t frag, uint8_t tos)
{
	ip[1] = tos;
	set_word(ip + 6, frag);
	set_word(ip + 10, 0);
	set_word(ip + 10, ~frame__sum(ip, IP_LEN, 0));
}

static void test_fragments(void **state)
{
	static const uint16_t frags[] = { 0x2000, 0x2001, 0x0001, 0x1fff };
	struct frame frame;
	uint8_t bytes[FRAME_MAX];
	size_t len, i;
	int way;

	(void)state;
	for (way = 0; way < WAYS; way++) {
		frame = wrapped_of(way, VIP);
		if (frame.outer_v6)
			continue;
		len = frame__build(&frame, bytes);
		for (i = 0; i < sizeof(frags) / sizeof(*frags); i++) {
			set_outer4(bytes + ETH_LEN, frags[i], 0);
			left_alone(bytes, len);
		}
	}
}

/* RFC 6040, figure 4: [inner][outer], by value of the field; -1: dropped. */
static void test_congestion(void **state)
{
	static const int table[4][4] = {
		{ 0, 0, 0, -1 }, /* Not-ECT */
		{ 1, 1, 1, 3 },	 /* ECT(1) */
		{ 2, 1, 2, 3 },	 /* ECT(0) */
		{ 3, 3, 3, 3 },	 /* CE */
	};
	struct frame frame, plain;
	uint8_t bytes[FRAME_MAX];
	int way, inner, outer;
	uint64_t before;
	size_t len;

	(void)state;
	for (way = 0; way < WAYS; way++) {
		for (inner = 0; inner < 4; inner++) {
			for (outer = 0; outer < 4; outer++) {
				frame = wrapped_of(way, VIP);
				plain = plain_of(way, VIP);
				frame.tos = 0x28 | inner;
				plain.tos = 0x28 | table[inner][outer];
				len = frame__build(&frame, bytes);
				if (frame.outer_v6)
					bytes[ETH_LEN + 1] = (bytes[ETH_LEN + 1] & 0xcf) | outer << 4;
				else
					set_outer4(bytes + ETH_LEN, 0x4000, 0x28 | outer);
				before = count(DECAP_CONGESTED);
				if (table[inner][outer] >= 0)
					becomes(bytes, len, &plain);
				else
					assert_int_equal(run(bytes, len).action, XDP_DROP);
				assert_int_equal(count(DECAP_CONGESTED) - before, table[inner][outer] < 0);
			}
		}
	}
}

/* A tunnel to the VIP in a tunnel: one is taken off. */
static void test_nested(void **state)
{
	uint8_t bytes[FRAME_MAX], inside[FRAME_MAX];
	struct frame frame, outer;
	size_t len;

	(void)state;
	frame_v6 = false;
	frame = wrapped_of(0, VIP);
	frame.outer_dst = VIP;
	len = frame__build(&frame, inside);
	outer = wrapped_of(0, VIP);
	outer.payload = len - ETH_LEN - IP_LEN - UDP_LEN;
	assert_int_equal(frame__build(&outer, bytes), len + IP_LEN);
	memcpy(bytes + ETH_LEN + IP_LEN, inside + ETH_LEN, len - ETH_LEN);
	assert_int_equal(run(bytes, len + IP_LEN).len, len);
	assert_memory_equal(run(bytes, len + IP_LEN).bytes + ETH_LEN, inside + ETH_LEN, len - ETH_LEN);
}

static int setup(void **state)
{
	struct decap_counts none[256] = {};
	uint32_t one = 1, ifindex = LOOPBACK;
	struct lb_addr v4 = {}, v6 = {};

	(void)state;
	v4.w[2] = htonl(LB_V4_PREFIX);
	v6.w[0] = htonl(0x20010db8);
	v4.w[3] = v6.w[3] = htonl(VIP);
	skel = decap_bpf__open_and_load();
	if (!skel)
		return -1;
	return bpf_map_update_elem(bpf_map__fd(skel->maps.decap_vips), &v4, &one, 0) ||
	       bpf_map_update_elem(bpf_map__fd(skel->maps.decap_vips), &v6, &one, 0) ||
	       bpf_map_update_elem(bpf_map__fd(skel->maps.decap_counts), &ifindex, none, 0);
}

static int teardown(void **state)
{
	(void)state;
	decap_bpf__destroy(skel);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unwrapped),  cmocka_unit_test(test_other_address),
		cmocka_unit_test(test_truncated),  cmocka_unit_test(test_broken),
		cmocka_unit_test(test_fragments),  cmocka_unit_test(test_congestion),
		cmocka_unit_test(test_nested),
	};

	if (geteuid()) {
		fprintf(stderr, "SKIP: tests of unwrapping: run as root\n");
		return SKIPPED;
	}
	return cmocka_run_group_tests_name("decap", tests, setup, teardown);
}

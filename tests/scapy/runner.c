// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * runner DIR MODE: runs packets through the program that lbctl has pinned in DIR for MODE, native
 * or generic. Each line in is "IFINDEX HEX", a frame and where it comes in; each line out is
 * "ACTION EGRESS DROPS HEX": what became of it, the interface that the handed-over one names (0:
 * none), the drop reasons that were counted ("-": none).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/bpf.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "lb_abi.h"
#include "lb_drops.h"

#define FRAME_MAX 3520 /* what the kernel takes in one piece */
#define CPUS_MAX  256
#define ROOM	  256 /* for outer headers and metadata */

static const char *const drop_names[] = {
#define DROP_NAME(name, text, help) text,
	LB_DROP_REASONS(DROP_NAME)
#undef DROP_NAME
};

static const char *const action_names[] = { "aborted", "drop", "pass", "tx", "redirect" };

static int cpus;

static int open_pin(const char *dir, const char *what, const char *name)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s/%s", dir, what, name);
	fd = bpf_obj_get(path);
	if (fd < 0)
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
	return fd;
}

static int read_drops(int map, uint64_t ret[LB_DROPS])
{
	uint64_t each[CPUS_MAX];
	uint32_t i;
	int cpu;

	for (i = 0; i < LB_DROPS; i++) {
		if (bpf_map_lookup_elem(map, &i, each))
			return -errno;
		ret[i] = 0;
		for (cpu = 0; cpu < cpus; cpu++)
			ret[i] += each[cpu];
	}
	return 0;
}

static void print_drops(const uint64_t before[LB_DROPS], const uint64_t after[LB_DROPS])
{
	const char *comma = "";
	uint64_t n;
	int i;

	for (i = 0; i < LB_DROPS; i++) {
		for (n = before[i]; n < after[i]; n++) {
			printf("%s%s", comma, drop_names[i]);
			comma = ",";
		}
	}
	printf("%s ", *comma ? "" : "-");
}

static int nibble(char c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c) : NULL;

	return at ? at - digits : -1;
}

static size_t from_hex(const char *hex, uint8_t *ret)
{
	size_t n;

	for (n = 0; n < FRAME_MAX && nibble(hex[0]) >= 0 && nibble(hex[1]) >= 0; n++, hex += 2)
		ret[n] = nibble(hex[0]) << 4 | nibble(hex[1]);
	return n;
}

/* 0, or -errno: the kernel didn't run it. */
static int run(int prog, int drops, uint32_t ifindex, const uint8_t *bytes, size_t len)
{
	struct xdp_md ctx = { .data_end = len, .ingress_ifindex = ifindex }, ctx_out = {};
	uint64_t before[LB_DROPS], after[LB_DROPS];
	uint8_t out[FRAME_MAX + ROOM];
	struct lb_meta meta = {};
	uint32_t i, meta_len;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = bytes, .data_size_in = len, .data_out = out,
		    .data_size_out = sizeof(out), .ctx_in = &ctx, .ctx_size_in = sizeof(ctx),
		    .ctx_out = &ctx_out, .ctx_size_out = sizeof(ctx_out));

	if (read_drops(drops, before) || bpf_prog_test_run_opts(prog, &opts) ||
	    read_drops(drops, after))
		return -errno;
	meta_len = ctx_out.data - ctx_out.data_meta;
	if (meta_len && (meta_len != sizeof(meta) || opts.data_size_out < meta_len))
		return -EPROTO;
	memcpy(&meta, out, meta_len);
	if (meta_len && meta.magic != LB_META_MAGIC)
		return -EPROTO;
	printf("%s %u ", opts.retval < 5 ? action_names[opts.retval] : "?", meta.ifindex);
	print_drops(before, after);
	for (i = meta_len; i < opts.data_size_out; i++)
		printf("%02x", out[i]);
	printf("\n");
	return 0;
}

/* What is kept per CPU is the same for all packets. */
static void stay_on_one_cpu(void)
{
	int cpu = sched_getcpu();
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu < 0 ? 0 : cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

int main(int argc, char **argv)
{
	static char line[2 * FRAME_MAX + 64];
	uint8_t bytes[FRAME_MAX];
	int prog, drops, err;
	uint32_t ifindex;
	char name[64];
	size_t len;

	if (argc != 3) {
		fprintf(stderr, "usage: runner DIR native|generic\n");
		return EXIT_FAILURE;
	}
	snprintf(name, sizeof(name), "lb_xdp_%s", argv[2]);
	prog = open_pin(argv[1], "programs", name);
	drops = open_pin(argv[1], "maps", "lb_drops");
	cpus = libbpf_num_possible_cpus();
	if (prog < 0 || drops < 0 || cpus < 0 || cpus > CPUS_MAX)
		return EXIT_FAILURE;
	stay_on_one_cpu();
	while (fgets(line, sizeof(line), stdin)) {
		char *hex;

		ifindex = strtoul(line, &hex, 10);
		hex += *hex == ' ';
		len = from_hex(hex, bytes);
		err = run(prog, drops, ifindex, bytes, len);
		if (err) {
			fprintf(stderr, "%zu bytes: %s\n", len, strerror(-err));
			return EXIT_FAILURE;
		}
		fflush(stdout);
	}
	return EXIT_SUCCESS;
}

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Loads the programs, runs them, and reads their counters. */
#include "fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "programs.h"

#include "old.skel.h"

#define SEED 0x5eed5eed5eedULL

static uint32_t tick_shift(uint32_t hz)
{
	uint32_t shift = 0;

	while (2u << shift <= hz)
		shift++;
	return shift;
}

/* Of the other table no map is made. */
static int size_table(struct fixture *fx)
{
	struct bpf_map *assoc[] = { fx->skel->maps.lb_flow_sets, fx->skel->maps.lb_flow_cold };
	struct bpf_map *lru[] = { fx->skel->maps.lb_flows, fx->skel->maps.lb_half_open };
	int i, err = 0;

	for (i = 0; i < 2 && !err; i++) {
		err = bpf_map__set_max_entries(
			assoc[i], fx->table == LB_TABLE_ASSOC ? 1 << fx->sets_bits : 1);
		if (!err)
			err = bpf_map__set_max_entries(
				lru[i], fx->table == LB_TABLE_LRU ? CT_WAYS << fx->sets_bits : 1);
	}
	return err;
}

static void *map_memory(struct bpf_map *map, size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	return at == MAP_FAILED ? NULL : at;
}

static bool runs_take_context(void)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	uint8_t bytes[64] = {};
	struct xdp_md ctx = { .data_end = sizeof(bytes) };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = bytes, .data_size_in = sizeof(bytes),
		    .ctx_in = &ctx, .ctx_size_in = sizeof(ctx));
	int err, fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "probe", "GPL", insns, 2, NULL);

	if (fd < 0)
		return false;
	err = bpf_prog_test_run_opts(fd, &opts);
	close(fd);
	return !err;
}

static struct lb_bpf *open_programs(bool old)
{
	const void *elf;
	size_t size;

	if (!old)
		return programs__open(!programs__have_atomics());
	elf = old_bpf__elf_bytes(&size);
	return programs__open_elf(elf, size);
}

static int load(struct fixture *fx)
{
	struct lb_config config = {
		.hz = fx->hz,
		.tick_shift = tick_shift(fx->hz),
		.sets_bits = fx->sets_bits,
		.table = fx->table,
		.generic = fx->variant == GENERIC,
		.clsact_egress = fx->variant == GENERIC,
#if !defined(__x86_64__) && !defined(__i386__)
		.weak_order = 1,
#endif
	};
	bool old;
	int err;

	fx->has_context = runs_take_context();
	/* Of the same series as the answer's MTU. */
	fx->says_mtu = libbpf_probe_bpf_helper(BPF_PROG_TYPE_XDP, BPF_FUNC_check_mtu, NULL) == 1;
	old = !fx->has_context || getenv("DATAPATH_OLD");

	config.says_mtu = fx->says_mtu;
	ct_hash_factors(SEED, fx->factors);
	memcpy(config.factors, fx->factors, sizeof(config.factors));
	fx->skel = open_programs(old);
	if (!fx->skel)
		return -errno;
	memcpy((void *)&fx->skel->rodata->lb_config, &config, sizeof(config));
	err = size_table(fx);
	if (!err)
		err = lb_bpf__load(fx->skel);
	fx->ingress_fd = old ? bpf_object__find_map_fd_by_name(fx->skel->obj, "lb_bpf.bss") : -1;
	if (err || fx->table == LB_TABLE_LRU)
		return err;
	fx->sets = map_memory(fx->skel->maps.lb_flow_sets, sizeof(*fx->sets) << fx->sets_bits);
	fx->cold = map_memory(fx->skel->maps.lb_flow_cold, sizeof(*fx->cold) << fx->sets_bits);
	return fx->sets && fx->cold ? 0 : -ENOMEM;
}

static int make_pools(struct fixture *fx)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	int outer = bpf_map__fd(fx->skel->maps.lb_pools), i;

	for (i = 0; i < SERVICES; i++) {
		uint32_t id = i;

		fx->pools[i] = bpf_map_create(BPF_MAP_TYPE_ARRAY, "pool", sizeof(uint32_t),
					      sizeof(struct lb_pool), 1, &opts);
		if (fx->pools[i] < 0)
			return -errno;
		if (bpf_map_update_elem(outer, &id, &fx->pools[i], BPF_ANY))
			return -errno;
	}
	return 0;
}

int fixture__open(struct fixture *fx, enum variant variant, enum lb_table table, uint32_t sets_bits)
{
	struct timespec res;
	int err;

	memset(fx, 0, sizeof(*fx));
	clock_getres(CLOCK_MONOTONIC_COARSE, &res);
	fx->hz = (1000000000 + res.tv_nsec / 2) / res.tv_nsec;
	fx->variant = variant;
	fx->table = table;
	fx->sets_bits = sets_bits;
	fx->cpus = libbpf_num_possible_cpus();
	fx->pool = malloc(sizeof(*fx->pool));
	if (!fx->pool)
		return -ENOMEM;
	if (fx->cpus < 0 || fx->cpus > CPUS_MAX)
		return -E2BIG;
	err = load(fx);
	if (!err)
		err = make_pools(fx);
	return err;
}

void fixture__close(struct fixture *fx)
{
	int i;

	for (i = 0; i < SERVICES; i++) {
		if (fx->pools[i] > 0)
			close(fx->pools[i]);
	}
	if (fx->sets)
		munmap(fx->sets, sizeof(*fx->sets) << fx->sets_bits);
	if (fx->cold)
		munmap(fx->cold, sizeof(*fx->cold) << fx->sets_bits);
	lb_bpf__destroy(fx->skel);
	free(fx->pool);
}

int fixture__set_ingress(struct fixture *fx, uint32_t ifindex)
{
	uint32_t zero = 0;

	if (fx->ingress_fd < 0)
		return 0;
	return bpf_map_update_elem(fx->ingress_fd, &zero, &ifindex, BPF_ANY);
}

int fixture__run(struct fixture *fx, const uint8_t *bytes, size_t len, uint32_t ifindex,
		 struct outcome *ret)
{
	struct xdp_md ctx = { .data_end = len, .ingress_ifindex = ifindex }, ctx_out = {};
	uint8_t out[4096 + 64];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = bytes, .data_size_in = len, .data_out = out,
		    .data_size_out = sizeof(out), .ctx_in = &ctx, .ctx_size_in = sizeof(ctx),
		    .ctx_out = &ctx_out, .ctx_size_out = sizeof(ctx_out));

	if (!fx->has_context) {
		opts.ctx_in = opts.ctx_out = NULL;
		opts.ctx_size_in = opts.ctx_size_out = 0;
	}
	if (fixture__set_ingress(fx, ifindex))
		return -errno;
	if (bpf_prog_test_run_opts(bpf_program__fd(fx->skel->progs.lb_xdp), &opts))
		return -errno;
	ret->action = opts.retval;
	ret->meta_len = ctx_out.data - ctx_out.data_meta;
	if (ret->meta_len > sizeof(ret->meta) || opts.data_size_out < ret->meta_len)
		return -EMSGSIZE;
	ret->len = opts.data_size_out - ret->meta_len;
	if (ret->len > sizeof(ret->bytes))
		return -EMSGSIZE;
	memcpy(ret->meta, out, ret->meta_len);
	memcpy(ret->bytes, out + ret->meta_len, ret->len);
	return 0;
}

/* All of a CPU's scratch: nothing else in it outlives a packet. */
int fixture__forget_reports(struct fixture *fx)
{
	const struct bpf_map *map = fx->skel->maps.lb_scratch;
	void *zeros = calloc(fx->cpus, (bpf_map__value_size(map) + 7) / 8 * 8);
	uint32_t key = 0;
	int err;

	if (!zeros)
		return -ENOMEM;
	err = bpf_map_update_elem(bpf_map__fd(map), &key, zeros, BPF_ANY) ? -errno : 0;
	free(zeros);
	return err;
}

static int read_totals(struct fixture *fx, struct lb_totals *ret)
{
	struct lb_totals totals[CPUS_MAX] = {};
	uint64_t *to = (void *)ret;
	uint32_t key = 0;
	size_t i;
	int cpu;

	if (bpf_map_lookup_elem(bpf_map__fd(fx->skel->maps.lb_totals), &key, totals))
		return -errno;
	for (cpu = 0; cpu < fx->cpus; cpu++) {
		const uint64_t *from = (const void *)&totals[cpu];

		for (i = 0; i < sizeof(*ret) / sizeof(*to); i++)
			to[i] += from[i];
	}
	return 0;
}

static int read_iface(struct fixture *fx, uint32_t element, struct lb_iface_stats *ret)
{
	struct lb_iface_stats stats[CPUS_MAX] = {};
	int cpu;

	if (bpf_map_lookup_elem(bpf_map__fd(fx->skel->maps.lb_iface_stats), &element, stats))
		return -errno;
	for (cpu = 0; cpu < fx->cpus; cpu++) {
		ret->passed += stats[cpu].passed;
		ret->forwarded += stats[cpu].forwarded;
		ret->dropped += stats[cpu].dropped;
		ret->bytes += stats[cpu].bytes;
	}
	return 0;
}

int fixture__read(struct fixture *fx, struct counters *ret)
{
	uint64_t drops[CPUS_MAX];
	int cpu, i, err;
	uint32_t key;

	memset(ret, 0, sizeof(*ret));
	err = read_totals(fx, &ret->totals);
	if (!err)
		err = read_iface(fx, 0, &ret->stray);
	for (i = 0; i < LAB_IFACES && !err; i++)
		err = read_iface(fx, lab_ifindex[i] % LB_IFACE_SLOTS, &ret->ifaces[i]);
	for (key = 0; key < LB_DROPS && !err; key++) {
		if (bpf_map_lookup_elem(bpf_map__fd(fx->skel->maps.lb_drops), &key, drops))
			err = -errno;
		for (cpu = 0; cpu < fx->cpus; cpu++)
			ret->drops[key] += drops[cpu];
	}
	return err;
}

struct lb_count fixture__backend_count(struct fixture *fx, uint32_t index)
{
	struct lb_backend_stats stats[CPUS_MAX] = {};
	struct lb_count sum = {};
	int cpu;

	bpf_map_lookup_elem(bpf_map__fd(fx->skel->maps.lb_backend_stats), &index, stats);
	for (cpu = 0; cpu < fx->cpus; cpu++) {
		sum.packets += stats[cpu].carried.packets;
		sum.bytes += stats[cpu].carried.bytes;
	}
	return sum;
}

uint64_t fixture__vip_drops(struct fixture *fx, enum service_id id)
{
	uint64_t drops[CPUS_MAX] = {}, sum = 0;
	uint32_t key = id;
	int cpu;

	bpf_map_lookup_elem(bpf_map__fd(fx->skel->maps.lb_vip_drops), &key, drops);
	for (cpu = 0; cpu < fx->cpus; cpu++)
		sum += drops[cpu];
	return sum;
}

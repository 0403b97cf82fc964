// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Loads the programs, runs them, and reads and writes flows and counters. */
#include "fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "lb.skel.h"

#define FLOWS_MAX 32768

static int load(struct fixture *fx)
{
	struct lb_config config = {
		.hz = fx->hz,
		.generic = fx->variant == GENERIC,
		.clsact_egress = fx->variant == GENERIC,
	};

	fx->skel = lb_bpf__open();
	if (!fx->skel)
		return -errno;
	memcpy((void *)&fx->skel->rodata->lb_config, &config, sizeof(config));
	bpf_map__set_max_entries(fx->skel->maps.lb_flows, FLOWS_MAX);
	bpf_map__set_max_entries(fx->skel->maps.lb_half_open, FLOWS_MAX);
	return lb_bpf__load(fx->skel);
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

int fixture__open(struct fixture *fx, enum variant variant)
{
	struct timespec res;
	int err;

	memset(fx, 0, sizeof(*fx));
	clock_getres(CLOCK_MONOTONIC_COARSE, &res);
	fx->hz = (1000000000 + res.tv_nsec / 2) / res.tv_nsec;
	fx->variant = variant;
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
	lb_bpf__destroy(fx->skel);
	free(fx->pool);
}

int fixture__run(struct fixture *fx, const uint8_t *bytes, size_t len, uint32_t ifindex,
		 struct outcome *ret)
{
	struct xdp_md ctx = { .data_end = len, .ingress_ifindex = ifindex }, ctx_out = {};
	uint8_t out[4096 + 64];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = bytes, .data_size_in = len, .data_out = out,
		    .data_size_out = sizeof(out), .ctx_in = &ctx, .ctx_size_in = sizeof(ctx),
		    .ctx_out = &ctx_out, .ctx_size_out = sizeof(ctx_out));

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

int fixture__reap(struct fixture *fx, enum lb_reap_mode mode, const struct ct_key *keys,
		  unsigned int n)
{
	struct lb_reap req = { .mode = mode, .keys_n = n };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = &req, .data_size_in = sizeof(req));

	if (n > LB_REAP_MAX)
		return -E2BIG;
	memcpy(req.keys, keys, n * sizeof(*keys));
	if (bpf_prog_test_run_opts(bpf_program__fd(fx->skel->progs.lb_reap), &opts))
		return -errno;
	return opts.retval;
}

static void add_totals(struct lb_totals *sum, const struct lb_totals *one)
{
	uint64_t *to = (void *)sum;
	const uint64_t *from = (const void *)one;
	size_t i;

	for (i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += from[i];
}

int fixture__read(struct fixture *fx, struct counters *ret)
{
	struct lb_totals totals[CPUS_MAX] = {};
	uint64_t drops[CPUS_MAX];
	uint32_t key = 0;
	int cpu;

	memset(ret, 0, sizeof(*ret));
	if (bpf_map_lookup_elem(bpf_map__fd(fx->skel->maps.lb_totals), &key, totals))
		return -errno;
	for (cpu = 0; cpu < fx->cpus; cpu++)
		add_totals(&ret->totals, &totals[cpu]);
	for (key = 0; key < LB_DROPS; key++) {
		if (bpf_map_lookup_elem(bpf_map__fd(fx->skel->maps.lb_drops), &key, drops))
			return -errno;
		for (cpu = 0; cpu < fx->cpus; cpu++)
			ret->drops[key] += drops[cpu];
	}
	return 0;
}

struct lb_count fixture__backend_count(struct fixture *fx, uint32_t index)
{
	struct lb_count counts[CPUS_MAX] = {}, sum = {};
	int cpu;

	bpf_map_lookup_elem(bpf_map__fd(fx->skel->maps.lb_backend_stats), &index, counts);
	for (cpu = 0; cpu < fx->cpus; cpu++) {
		sum.packets += counts[cpu].packets;
		sum.bytes += counts[cpu].bytes;
	}
	return sum;
}

struct lb_vip_stats fixture__vip_stats(struct fixture *fx, enum service_id id)
{
	struct lb_vip_stats stats[CPUS_MAX] = {}, sum = {};
	uint32_t key = id;
	int cpu;

	bpf_map_lookup_elem(bpf_map__fd(fx->skel->maps.lb_vip_stats), &key, stats);
	for (cpu = 0; cpu < fx->cpus; cpu++) {
		sum.carried.packets += stats[cpu].carried.packets;
		sum.carried.bytes += stats[cpu].carried.bytes;
		sum.drops += stats[cpu].drops;
	}
	return sum;
}

uint64_t fixture__iface_packets(struct fixture *fx, enum lab_iface iface)
{
	struct lb_iface_seen seen[CPUS_MAX] = {};
	uint64_t sum = 0;
	int cpu;

	bpf_map_lookup_elem(bpf_map__fd(fx->skel->maps.lb_iface_packets), &lab_ifindex[iface],
			    seen);
	for (cpu = 0; cpu < fx->cpus; cpu++)
		sum += seen[cpu].packets;
	return sum;
}

static int flows_fd(struct fixture *fx, enum flow_place place)
{
	return bpf_map__fd(place == FLOW_ESTABLISHED ? fx->skel->maps.lb_flows
						     : fx->skel->maps.lb_half_open);
}

enum flow_place fixture__flow_get(struct fixture *fx, const struct ct_key *key, struct ct_flow *ret)
{
	if (!bpf_map_lookup_elem(flows_fd(fx, FLOW_ESTABLISHED), key, ret))
		return FLOW_ESTABLISHED;
	if (!bpf_map_lookup_elem(flows_fd(fx, FLOW_HALF_OPEN), key, ret))
		return FLOW_HALF_OPEN;
	return FLOW_NONE;
}

int fixture__flow_set(struct fixture *fx, const struct ct_key *key, const struct ct_flow *flow)
{
	int fd = flows_fd(fx, flow->half_open ? FLOW_HALF_OPEN : FLOW_ESTABLISHED);

	return bpf_map_update_elem(fd, key, flow, BPF_EXIST) ? -errno : 0;
}

int fixture__flow_delete(struct fixture *fx, const struct ct_key *key)
{
	int a = bpf_map_delete_elem(flows_fd(fx, FLOW_ESTABLISHED), key);
	int b = bpf_map_delete_elem(flows_fd(fx, FLOW_HALF_OPEN), key);

	return a && b ? -ENOENT : 0;
}

static int keys_n(int fd)
{
	struct ct_key key, next;
	void *at = NULL;
	int n = 0;

	while (!bpf_map_get_next_key(fd, at, &next)) {
		key = next;
		at = &key;
		n++;
	}
	return n;
}

int fixture__flows_n(struct fixture *fx)
{
	return keys_n(flows_fd(fx, FLOW_ESTABLISHED)) + keys_n(flows_fd(fx, FLOW_HALF_OPEN));
}

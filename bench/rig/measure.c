// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Timing: the program and an empty one, interleaved run by run. */
#include "measure.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "wrap.skel.h"

#define RUN_NS	    20000000.0
#define WRAPPER_NS  4000000.0
#define TRY_PACKETS 2048 /* this and the next two are whole batches */
#define PACKETS_MAX (1 << 20)
#define NEW_PACKETS (1 << 15) /* of new flows: all runs together fit the table */

struct samples {
	double ns[RUNS_MAX];
	double insns[RUNS_MAX];
	double cycles[RUNS_MAX];
};

static void *map_view(const struct bpf_map *map, size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	return at == MAP_FAILED ? NULL : at;
}

int rig__open(struct rig *rig, uint32_t ifindex)
{
	rig->ifindex = ifindex;
	rig->target = -1;
	rig->skel = wrap_bpf__open_and_load();
	if (!rig->skel)
		return -errno;
	rig->flows = map_view(rig->skel->maps.rig_flows, RIG_FLOWS_MAX * sizeof(*rig->flows));
	rig->list = map_view(rig->skel->maps.rig_list, RIG_LIST_LEN * sizeof(*rig->list));
	rig->skel->bss->run.random = 2463534242; /* any but 0 */
	rig->skel->bss->run.next = RIG_FLOWS_MAX;
	perf__open(&rig->perf);
	return rig->flows && rig->list ? 0 : -ENOMEM;
}

int rig__target(struct rig *rig, const char *pin)
{
	if (rig->target >= 0)
		close(rig->target);
	rig->target = bpf_obj_get(pin);
	return rig->target < 0 ? -errno : 0;
}

static int put_target(struct rig *rig, int prog)
{
	uint32_t zero = 0;

	return bpf_map_update_elem(bpf_map__fd(rig->skel->maps.rig_target), &zero, &prog, BPF_ANY)
		       ? -errno
		       : 0;
}

static int run_program(struct rig *rig, int prog, const uint8_t *bytes, uint32_t repeat)
{
	struct xdp_md ctx = { .data_end = RIG_FRAME_LEN, .ingress_ifindex = rig->ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = bytes, .data_size_in = RIG_FRAME_LEN,
		    .ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .repeat = repeat);

	return bpf_prog_test_run_opts(prog, &opts) ? -errno : 0;
}

int rig__once(struct rig *rig, const uint8_t *bytes, uint8_t *ret, size_t size, size_t *ret_len)
{
	struct xdp_md ctx = { .data_end = RIG_FRAME_LEN, .ingress_ifindex = rig->ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = bytes, .data_size_in = RIG_FRAME_LEN,
		    .data_out = ret, .data_size_out = size, .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx));

	if (bpf_prog_test_run_opts(rig->target, &opts))
		return -errno;
	*ret_len = opts.data_size_out;
	return opts.retval;
}

int rig__open_flows(struct rig *rig, uint32_t n)
{
	struct rig_open *open = &rig->skel->bss->open;
	int err = put_target(rig, rig->target);

	open->next = 0;
	open->broken = 0;
	memset(open->answers, 0, sizeof(open->answers));
	if (!err)
		err = run_program(rig, bpf_program__fd(rig->skel->progs.rig_open_flow),
				  open->frames[0].bytes, n);
	return err ? err : open->broken ? -EPROTO : 0;
}

static void fill_list(struct rig *rig, uint32_t flows)
{
	uint32_t i;

	for (i = 0; i < RIG_LIST_LEN; i++)
		rig->list[i] = rig->flows[(uint32_t)random() & (flows - 1)];
}

/* One run, whose samples are of one packet. */
static int run_once(struct rig *rig, const struct source *source, int prog, int action,
		    uint64_t packets, struct samples *samples, unsigned int n)
{
	struct rig_run *run = &rig->skel->bss->run;
	struct perf_count before, after;
	int err = put_target(rig, prog);

	if (err)
		return err;
	run->vary = source->vary;
	run->mask = source->flows - 1;
	run->packets = packets;
	run->done = 0;
	run->met = 0;
	run->expect = action;
	run->frame = *source->frame;
	before = perf__read(&rig->perf);
	err = run_program(rig, bpf_program__fd(rig->skel->progs.rig_wrap), source->frame->bytes,
			  packets / RIG_BATCH);
	after = perf__read(&rig->perf);
	if (!err && run->done != packets)
		err = -EPROTO;
	samples->ns[n] = (double)(run->end_ns - run->start_ns) / packets;
	samples->insns[n] = (double)(after.insns - before.insns) / packets;
	samples->cycles[n] = (double)(after.cycles - before.cycles) / packets;
	return err;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static struct cost cost_of(struct samples *samples, unsigned int n)
{
	qsort(samples->ns, n, sizeof(*samples->ns), by_size);
	qsort(samples->insns, n, sizeof(*samples->insns), by_size);
	qsort(samples->cycles, n, sizeof(*samples->cycles), by_size);
	return (struct cost){
		.ns_min = samples->ns[0],
		.ns_median = samples->ns[n / 2],
		.insns = samples->insns[0],
		.cycles = samples->cycles[0],
	};
}

static struct cost cost_minus(const struct cost *a, const struct cost *b)
{
	return (struct cost){
		.ns_min = a->ns_min - b->ns_min,
		.ns_median = a->ns_median - b->ns_median,
		.insns = a->insns - b->insns,
		.cycles = a->cycles - b->cycles,
	};
}

static uint64_t packets_in(double run_ns, double packet_ns, const struct source *source)
{
	uint64_t n = run_ns / (packet_ns > 1 ? packet_ns : 1);

	/* A list that is gone through twice would be warm the second time. */
	if (source->vary == RIG_LIST && source->flows >= RIG_LIST_LEN && n > RIG_LIST_LEN)
		return RIG_LIST_LEN;
	return n > PACKETS_MAX ? PACKETS_MAX : (n + RIG_BATCH - 1) / RIG_BATCH * RIG_BATCH;
}

static int measure(struct rig *rig, const struct source *source, int prog, struct measured *ret)
{
	static struct samples tested, empty;
	int empty_prog = bpf_program__fd(source->encap ? rig->skel->progs.rig_encap
						       : rig->skel->progs.rig_empty);
	struct source plain = *source;
	uint64_t packets, others;
	unsigned int i;
	int err;

	/* Only the program under test is to see new clients. */
	plain.vary = source->vary == RIG_NEW ? RIG_RANDOM : source->vary;
	plain.flows = source->vary == RIG_NEW ? RIG_FLOWS_MAX : source->flows;
	if (source->vary == RIG_LIST)
		fill_list(rig, source->flows);
	err = run_once(rig, source, prog, source->action, TRY_PACKETS, &tested, 0);
	if (!err)
		err = run_once(rig, &plain, empty_prog, XDP_PASS, TRY_PACKETS, &empty, 0);
	packets = source->vary == RIG_NEW ? NEW_PACKETS : packets_in(RUN_NS, tested.ns[0], source);
	others = packets_in(WRAPPER_NS, empty.ns[0], source);
	if (!err)
		err = run_once(rig, source, prog, source->action, packets, &tested,
			       0); /* warms up */
	ret->packets = 0;
	ret->met = 0;
	for (i = 0; i < rig->runs && !err; i++) {
		if (source->vary == RIG_LIST)
			fill_list(rig, source->flows);
		err = run_once(rig, &plain, empty_prog, XDP_PASS, others, &empty, i);
		if (!err)
			err = run_once(rig, source, prog, source->action, packets, &tested, i);
		ret->packets += packets;
		ret->met += rig->skel->bss->run.met;
	}
	if (err)
		return err;
	ret->runs = rig->runs;
	ret->net = cost_of(&tested, rig->runs);
	ret->wrapper = cost_of(&empty, rig->runs);
	ret->net = cost_minus(&ret->net, &ret->wrapper);
	return 0;
}

int rig__measure(struct rig *rig, const struct source *source, struct measured *ret)
{
	return measure(rig, source, rig->target, ret);
}

int rig__measure_floor(struct rig *rig, const struct source *source, enum floor floor,
		       struct measured *ret)
{
	return measure(rig, source,
		       bpf_program__fd(floor == FLOOR_SWAP ? rig->skel->progs.rig_swap
							   : rig->skel->progs.rig_encap),
		       ret);
}

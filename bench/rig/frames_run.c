// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The generator's threads. Each stays on its CPU, and so does all that its frames set off. */
#define _GNU_SOURCE
#include "frames_run.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "frames.skel.h"

#define TRY_PACKETS 65536
#define RUN_NS	    250000000ULL
#define PACKETS_MAX (1 << 23)

struct thread {
	pthread_t id;
	struct frames *frames;
	const struct rig_frame *frame;
	pthread_barrier_t *barrier;
	int cpu;
	uint64_t packets;
	uint64_t start_ns;
	uint64_t end_ns;
	int err;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

int frames__open(struct frames *frames)
{
	cpu_set_t allowed;
	int cpu, err;

	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		return -errno;
	for (cpu = FRAMES_CPUS - 1; cpu >= 0 && frames->cpus_n < FRAMES_THREADS; cpu--) {
		if (CPU_ISSET(cpu, &allowed))
			frames->cpus[frames->cpus_n++] = cpu;
	}
	frames->skel = frames_bpf__open_and_load();
	if (!frames->skel)
		return -errno;
	frames->skel->bss->egress = frames->lab.lb1;
	for (cpu = 0; cpu < FRAMES_CPUS; cpu++) {
		frames->skel->bss->gens[cpu].random = 2463534242 + cpu;
		frames->skel->bss->gens[cpu].next = ((cpu + 1) % FRAMES_CPUS) << 24;
	}
	err = frames_lab__attach(&frames->lab, NS_GENERATOR, frames->lab.g0,
				 bpf_program__fd(frames->skel->progs.frames_sink));
	return err ? err
		   : frames_lab__attach(&frames->lab, NS_SINK, frames->lab.s0,
					bpf_program__fd(frames->skel->progs.frames_sink));
}

static int generate(struct thread *thread)
{
	struct frames *frames = thread->frames;
	uint8_t bytes[RIG_FRAME_LEN + FRAMES_TAIL] = {};
	struct xdp_md ctx = { .data_end = sizeof(bytes), .ingress_ifindex = frames->lab.g0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = bytes, .data_size_in = sizeof(bytes),
		    .ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .flags = BPF_F_TEST_XDP_LIVE_FRAMES,
		    .repeat = thread->packets);

	if (bpf_prog_test_run_opts(bpf_program__fd(frames->skel->progs.frames_generate), &opts))
		return -errno;
	return 0;
}

static void *thread_main(void *arg)
{
	struct thread *thread = arg;
	cpu_set_t cpu;

	CPU_ZERO(&cpu);
	CPU_SET(thread->cpu, &cpu);
	thread->err = sched_setaffinity(0, sizeof(cpu), &cpu) ? -errno : 0;
	if (!thread->err)
		thread->err = frames_lab__enter(&thread->frames->lab, NS_GENERATOR);
	pthread_barrier_wait(thread->barrier);
	thread->start_ns = now_ns();
	if (!thread->err)
		thread->err = generate(thread);
	thread->end_ns = now_ns();
	return NULL;
}

static uint64_t count_sent(const struct frames *frames)
{
	uint64_t sum = 0;
	int i;

	for (i = 0; i < FRAMES_CPUS; i++)
		sum += *(volatile __u64 *)&frames->skel->bss->gens[i].sent;
	return sum;
}

static uint64_t count_received(const struct frames *frames)
{
	uint64_t sum = 0;
	int i;

	for (i = 0; i < FRAMES_CPUS; i++)
		sum += *(volatile __u64 *)&frames->skel->bss->sink[i].packets;
	return sum;
}

/* Until nothing more arrives. */
static uint64_t settle(const struct frames *frames)
{
	uint64_t before, now = count_received(frames);

	do {
		before = now;
		usleep(10000);
		now = count_received(frames);
	} while (now != before);
	return now;
}

static void prepare(struct frames *frames, const struct frames_load *load, unsigned int i)
{
	struct frames_gen *gen = &frames->skel->bss->gens[frames->cpus[i]];
	uint32_t each = load->flows / load->threads;

	if (!each)
		each = 1;
	gen->vary = load->vary;
	gen->base = i * each;
	gen->mask = each - 1;
	gen->frame = *load->frame;
}

/* packets each; the time from the first start to the last end. */
static int run_threads(struct frames *frames, const struct frames_load *load, uint64_t packets,
		       uint64_t *ret_ns)
{
	struct thread threads[FRAMES_THREADS] = {};
	pthread_barrier_t barrier;
	uint64_t start = UINT64_MAX, end = 0;
	unsigned int i;
	int err = 0;

	pthread_barrier_init(&barrier, NULL, load->threads);
	for (i = 0; i < load->threads; i++) {
		prepare(frames, load, i);
		threads[i].frames = frames;
		threads[i].frame = load->frame;
		threads[i].barrier = &barrier;
		threads[i].cpu = frames->cpus[i];
		threads[i].packets = packets;
	}
	for (i = 0; i < load->threads; i++) {
		if (pthread_create(&threads[i].id, NULL, thread_main, &threads[i]))
			return -EAGAIN; /* fatal: the barrier holds those that were made */
	}
	for (i = 0; i < load->threads; i++) {
		pthread_join(threads[i].id, NULL);
		if (threads[i].err)
			err = threads[i].err;
		start = threads[i].start_ns < start ? threads[i].start_ns : start;
		end = threads[i].end_ns > end ? threads[i].end_ns : end;
	}
	pthread_barrier_destroy(&barrier);
	*ret_ns = end - start;
	return err;
}

int frames__run(struct frames *frames, const struct frames_load *load, struct frames_result *ret)
{
	uint64_t sent = count_sent(frames), received = count_received(frames);
	uint64_t packets = load->packets, before, ns;
	int err = 0;

	if (!packets) {
		err = run_threads(frames, load, TRY_PACKETS, &ns);
		packets = TRY_PACKETS * RUN_NS / (ns + 1);
		packets = packets < PACKETS_MAX ? packets : PACKETS_MAX;
	}
	before = settle(frames);
	if (!err)
		err = run_threads(frames, load, packets, &ns);
	if (err)
		return err;
	ret->received = settle(frames);
	ret->mpps = (ret->received - before) * 1000.0 / ns;
	ret->sent = count_sent(frames) - sent;
	ret->received -= received;
	return 0;
}

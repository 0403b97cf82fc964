// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The generator's threads. Each stays on its CPU, and so does all that its frames set off. */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "stress.skel.h"

#define RUN_FRAMES (1024 * STRESS_BATCH) /* between two looks at the clock */
#define FRAME_LEN  (14 + 20 + 20 + sizeof(struct stress_id) + STRESS_TAIL)

struct thread {
	pthread_t id;
	struct load *load;
	const volatile bool *stop;
	double until;
	int cpu;
	int err;
};

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

int load__open(struct load *load)
{
	struct stress_bpf *skel;
	cpu_set_t allowed;
	int cpu, n = 0, err;

	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		return -errno;
	for (cpu = 0; cpu < CPU_SETSIZE && n < STRESS_CPUS; cpu++) {
		if (CPU_ISSET(cpu, &allowed))
			load->cpus[n++] = cpu;
	}
	if (n < STRESS_CPUS)
		return -ENODEV;
	skel = stress_bpf__open_and_load();
	if (!skel)
		return -errno;
	load->skel = skel;
	err = frames_lab__attach(&load->lab, NS_GENERATOR, load->lab.g0,
				 bpf_program__fd(skel->progs.stress_client));
	return err ? err
		   : frames_lab__attach(&load->lab, NS_SINK, load->lab.s0,
					bpf_program__fd(skel->progs.stress_backend));
}

void load__reset(struct load *load, const struct stress_conf *conf)
{
	int i;

	memset(load->skel->bss, 0, sizeof(*load->skel->bss));
	load->skel->bss->conf = *conf;
	for (i = 0; i < STRESS_CPUS; i++) {
		load->skel->bss->conf.cpus[i] = load->cpus[i];
		load->skel->bss->gens[i].random = 2463534242 + i;
	}
}

static int generate(struct load *load, uint32_t frames)
{
	uint8_t bytes[FRAME_LEN] = {};
	struct xdp_md ctx = { .data_end = sizeof(bytes), .ingress_ifindex = load->lab.g0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = bytes, .data_size_in = sizeof(bytes),
		    .ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .flags = BPF_F_TEST_XDP_LIVE_FRAMES,
		    .batch_size = STRESS_BATCH, .repeat = frames);

	return bpf_prog_test_run_opts(bpf_program__fd(load->skel->progs.stress_generate), &opts)
		       ? -errno
		       : 0;
}

static int stay(struct load *load, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		return -errno;
	return frames_lab__enter(&load->lab, NS_GENERATOR);
}

static void *thread_main(void *arg)
{
	struct thread *thread = arg;

	thread->err = stay(thread->load, thread->cpu);
	while (!thread->err && !*thread->stop && now_s() < thread->until)
		thread->err = generate(thread->load, RUN_FRAMES);
	return NULL;
}

static void *warm_main(void *arg)
{
	struct thread *thread = arg;

	thread->err = stay(thread->load, thread->cpu);
	if (!thread->err)
		thread->err = generate(thread->load, STRESS_LONG);
	return NULL;
}

/* Until nothing more arrives. */
static void settle(const struct load *load)
{
	const volatile struct stress_count *counts = load->skel->bss->counts;
	uint64_t before, now = 0;
	int i;

	do {
		before = now;
		usleep(20000);
		for (now = 0, i = 0; i < STRESS_CPUS; i++)
			now += counts[i].backend + counts[i].client;
	} while (now != before);
}

static int run(struct load *load, int threads_n, void *(*main)(void *), double until,
	       const volatile bool *stop)
{
	struct thread threads[STRESS_CPUS] = {};
	int i, err = 0;

	for (i = 0; i < threads_n && !err; i++) {
		threads[i] = (struct thread){ .load = load, .stop = stop, .until = until };
		threads[i].cpu = load->cpus[i];
		err = -pthread_create(&threads[i].id, NULL, main, &threads[i]);
	}
	for (threads_n = err ? i - 1 : i, i = 0; i < threads_n; i++) {
		pthread_join(threads[i].id, NULL);
		if (threads[i].err)
			err = threads[i].err;
	}
	settle(load);
	return err;
}

int load__warm(struct load *load, enum stress_step flags)
{
	struct stress_conf conf = load->skel->bss->conf;
	int err;

	memset(load->skel->bss->conf.kinds, KIND_WARM, STRESS_BATCH);
	load->skel->bss->conf.warm_flags = flags;
	err = run(load, 1, warm_main, 0, NULL);
	load->skel->bss->conf = conf;
	return err;
}

int load__run(struct load *load, double seconds, const volatile bool *stop)
{
	return run(load, STRESS_CPUS, thread_main, now_s() + seconds, stop);
}

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Runs the generator on two CPUs at once. */
#ifndef STRESS_LOAD_H
#define STRESS_LOAD_H

#include "frames_lab.h"
#include "stress.h"

struct stress_bpf;

struct load {
	struct frames_lab lab;
	struct stress_bpf *skel;
	int cpus[STRESS_CPUS];
};

/* -ENODEV: fewer CPUs than it takes. */
int load__open(struct load *load);

/* A phase begins: nothing is known of any flow. */
void load__reset(struct load *load, const struct stress_conf *conf);

/* On one CPU, one packet for each long client, with these flags. */
int load__warm(struct load *load, enum stress_step flags);

/* On both, until the time is over or *stop. */
int load__run(struct load *load, double seconds, const volatile bool *stop);

#endif

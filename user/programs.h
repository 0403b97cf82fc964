/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The BPF programs as an object that the running kernel can load: lbctl carries two. */
#ifndef LBCTL_PROGRAMS_H
#define LBCTL_PROGRAMS_H

#include <stdbool.h>
#include <stddef.h>

#include "lb_abi.h"

#include "lb.skel.h"

/* Whether BPF programs have atomics that answer here, compare-and-swap among them (Linux 5.12). */
bool programs__have_atomics(void);

/*
 * The programs, opened; spin_lock: those that do with a lock what needs such atomics. NULL: errno. To
 * be destroyed by lb_bpf__destroy().
 */
struct lb_bpf *programs__open(bool spin_lock);

/* The same of another object file, which has these programs and maps, and may have more. */
struct lb_bpf *programs__open_elf(const void *elf, size_t size);

#endif

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Hardware counters by perf_event_open(2). */
#include "perf.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/perf_event.h>

static int counter_open(uint64_t config, int group)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(attr),
		.config = config,
		.exclude_user = 1,
		.exclude_hv = 1,
		.read_format = PERF_FORMAT_GROUP,
	};

	return syscall(SYS_perf_event_open, &attr, 0, -1, group, PERF_FLAG_FD_CLOEXEC);
}

int perf__open(struct perf *perf)
{
	int err;

	perf->cycles_fd = -1;
	perf->insns_fd = counter_open(PERF_COUNT_HW_INSTRUCTIONS, -1);
	if (perf->insns_fd < 0)
		return -errno;
	perf->cycles_fd = counter_open(PERF_COUNT_HW_CPU_CYCLES, perf->insns_fd);
	if (perf->cycles_fd >= 0 && perf__read(perf).insns)
		return 0;
	err = perf->cycles_fd < 0 ? -errno : -ENODEV;
	close(perf->insns_fd);
	perf->insns_fd = -1;
	return err;
}

struct perf_count perf__read(const struct perf *perf)
{
	uint64_t values[3]; /* how many, then each */

	if (perf->insns_fd < 0 || read(perf->insns_fd, values, sizeof(values)) != sizeof(values))
		return (struct perf_count){};
	return (struct perf_count){ .insns = values[1], .cycles = values[2] };
}

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The buffer of lb_events, and runs of the programs that are made for the daemon. */
#include "maps_events.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "maps.h"

#define BUFFER_BYTES	 (32 << 20) /* of all CPUs together */
#define BUFFER_PAGES_MAX 1024	    /* of a CPU */
#define BUFFER_PAGES_MIN 16

struct maps_events {
	char dir[256];
	int map_fd;
	uint32_t map_id;
	int unpark_fd;
	struct perf_buffer *buffer;
	void (*event)(const struct lb_event *, const void *, void *);
	void (*lost)(uint64_t, void *);
	void *arg;
};

static void on_sample(void *arg, int cpu, void *data, uint32_t size)
{
	struct maps_events *events = arg;
	const struct lb_event *event = data;

	(void)cpu;
	if (size >= sizeof(*event) && size - sizeof(*event) >= event->frame_len)
		events->event(event, event + 1, events->arg);
}

static void on_lost(void *arg, int cpu, __u64 n)
{
	struct maps_events *events = arg;

	(void)cpu;
	events->lost(n, events->arg);
}

static int pinned(const char *dir, const char *what, const char *name)
{
	char path[512];
	int err = maps__path(dir, what, name, path, sizeof(path));

	return err ? err : bpf_obj_get(path);
}

static int map_id(int fd, uint32_t *ret)
{
	struct bpf_map_info info = {};
	uint32_t size = sizeof(info);
	int err = bpf_obj_get_info_by_fd(fd, &info, &size);

	*ret = info.id;
	return err;
}

/* As much as there may be: without CAP_IPC_LOCK what is locked counts, see perf_event_mlock_kb. */
static int buffer_open(struct maps_events *events)
{
	size_t pages = BUFFER_PAGES_MAX;
	int cpus = libbpf_num_possible_cpus();

	while (cpus > 0 && pages > BUFFER_PAGES_MIN && pages * 4096 * cpus > BUFFER_BYTES)
		pages /= 2;
	for (; pages >= BUFFER_PAGES_MIN; pages /= 2) {
		events->buffer =
			perf_buffer__new(events->map_fd, pages, on_sample, on_lost, events, NULL);
		if (events->buffer)
			return 0;
		if (errno != EPERM && errno != ENOMEM)
			break;
	}
	return -errno;
}

static int send_in(int prog_fd, uint32_t ifindex, const void *frame, uint32_t len)
{
	struct xdp_md ctx = { .data_end = len, .ingress_ifindex = ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = len, .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .repeat = 1, .batch_size = 1,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES);

	return bpf_prog_test_run_opts(prog_fd, &run);
}

/* Tried with a program that drops what it gets. */
static bool can_send_in(void)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = XDP_DROP },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "lb_probe", "GPL", insns,
			       sizeof(insns) / sizeof(*insns), NULL);
	uint8_t frame[64] = {};
	bool can = fd >= 0 && !send_in(fd, 1, frame, sizeof(frame));

	if (fd >= 0)
		close(fd);
	return can;
}

int maps__events_open(const char *dir,
		      void (*event)(const struct lb_event *, const void *frame, void *),
		      void (*lost)(uint64_t n, void *), void *arg, struct maps_events **ret)
{
	struct maps_events *events = calloc(1, sizeof(*events));
	int err;

	if (!events || strlen(dir) >= sizeof(events->dir)) {
		free(events);
		return events ? -ENAMETOOLONG : -ENOMEM;
	}
	strcpy(events->dir, dir);
	events->event = event;
	events->lost = lost;
	events->arg = arg;
	events->unpark_fd = -1;
	events->map_fd = pinned(dir, "maps", "lb_events");
	err = events->map_fd < 0 ? events->map_fd : map_id(events->map_fd, &events->map_id);
	if (!err) {
		events->unpark_fd = pinned(dir, "programs", "lb_unpark");
		err = events->unpark_fd < 0 ? events->unpark_fd : 0;
	}
	if (!err)
		err = can_send_in() ? buffer_open(events) : -ENOTSUP;
	if (err)
		maps__events_close(events);
	else
		*ret = events;
	return err;
}

void maps__events_close(struct maps_events *events)
{
	if (!events)
		return;
	perf_buffer__free(events->buffer);
	if (events->unpark_fd >= 0)
		close(events->unpark_fd);
	if (events->map_fd >= 0)
		close(events->map_fd);
	free(events);
}

bool maps__events_current(const struct maps_events *events)
{
	int fd = pinned(events->dir, "maps", "lb_events");
	uint32_t id = 0;
	bool same;

	if (fd < 0)
		return false;
	same = !map_id(fd, &id) && id == events->map_id;
	close(fd);
	return same;
}

int maps__events_fd(const struct maps_events *events)
{
	return perf_buffer__epoll_fd(events->buffer);
}

/* Not by asking which CPUs have some: a perf event says so only once, which poll() here was. */
int maps__events_consume(struct maps_events *events)
{
	return perf_buffer__consume(events->buffer);
}

static int unpark(struct maps_events *events, const struct lb_unpark *req)
{
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = req, .data_size_in = sizeof(*req));
	int err = bpf_prog_test_run_opts(events->unpark_fd, &run);

	return err ? err : (int)run.retval;
}

int maps__unpark_neighbour(struct maps_events *events, uint32_t packets)
{
	struct lb_unpark req = { .kind = LB_EVENT_NEIGHBOUR, .parked = packets };

	return unpark(events, &req);
}

int maps__unpark(struct maps_events *events, const struct lb_datagram_key *key, bool give_up,
		 uint32_t parked)
{
	struct lb_unpark req = { .key = *key, .parked = parked, .give_up = give_up };

	return unpark(events, &req);
}

/* Where the native program is attached, its own result counts; the generic one comes behind a pass.
 */
int maps__send_in(struct maps_events *events, const struct lb_event *event, const void *frame)
{
	int fd = pinned(events->dir, "programs", event->generic ? "lb_send_in" : "lb_xdp_native");
	int err;

	if (fd < 0)
		return fd;
	err = send_in(fd, event->ifindex, frame, event->frame_len);
	close(fd);
	return err;
}

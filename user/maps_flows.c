// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Walking the flow table, and having flows ended in the kernel. */
#include "maps.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "host.h"

#define WALK_BATCH 4096

int maps__now(uint32_t *ret)
{
	/* A program of its own, so that it works before anything is attached. */
	static const struct bpf_insn insns[] = {
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_jiffies64 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	char packet[64] = {};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet, .data_size_in = sizeof(packet));
	int fd, err;

	fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "lb_now", "GPL", insns,
			   sizeof(insns) / sizeof(insns[0]), NULL);
	if (fd < 0)
		return fd;
	err = bpf_prog_test_run_opts(fd, &run);
	close(fd);
	if (err)
		return err;
	*ret = run.retval;
	return 0;
}

struct walk {
	struct maps *maps;
	uint32_t now;
	uint32_t hz;
	struct ct_key *keys;
	struct ct_flow *values;
};

static int walk_open(struct walk *walk, struct maps *maps)
{
	int err;

	memset(walk, 0, sizeof(*walk));
	walk->maps = maps;
	if (maps->fd[MAP_FLOWS] < 0 || maps->fd[MAP_HALF_OPEN] < 0)
		return -ENOENT;
	err = maps__now(&walk->now);
	if (!err)
		err = host__hz(&walk->hz);
	if (err)
		return err;
	walk->keys = calloc(WALK_BATCH, sizeof(*walk->keys));
	walk->values = calloc(WALK_BATCH, sizeof(*walk->values));
	return walk->keys && walk->values ? 0 : -ENOMEM;
}

static void walk_close(struct walk *walk)
{
	free(walk->keys);
	free(walk->values);
}

/* Every entry of one table, in batches. What is added or removed meanwhile may be missed. */
static int walk_table(struct walk *walk, enum maps_id id, int (*each)(struct walk *, const struct ct_key *, const struct ct_flow *, void *), void *arg)
{
	uint32_t in, out, n, i;
	void *from = NULL;
	int end, err = 0;

	do {
		n = WALK_BATCH;
		end = bpf_map_lookup_batch(walk->maps->fd[id], from, &out, walk->keys, walk->values,
					   &n, NULL);
		if (end && end != -ENOENT)
			return end;
		for (i = 0; !err && i < n; i++)
			err = each(walk, &walk->keys[i], &walk->values[i], arg);
		in = out;
		from = &in;
	} while (!err && !end);
	return err;
}

static int walk_both(struct walk *walk, int (*each)(struct walk *, const struct ct_key *, const struct ct_flow *, void *), void *arg)
{
	int err = walk_table(walk, MAP_HALF_OPEN, each, arg);

	return err ? err : walk_table(walk, MAP_FLOWS, each, arg);
}

static uint32_t half_idle(const struct walk *walk, const struct ct_flow *half)
{
	int32_t idle = (int32_t)(walk->now - half->last_seen);

	return idle < 0 ? 0 : idle; /* seen after the walk began */
}

static bool half_stale(const struct walk *walk, const struct ct_flow *half)
{
	const struct lb_backend_ref *ref = &half->backend;

	return ref->index >= LB_MAX_BACKENDS || walk->maps->backends[ref->index].gen != ref->gen;
}

static void flow_fill(struct walk *walk, const struct ct_key *key, const struct ct_flow *half,
		      struct flow *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->key = *key;
	ret->in = *half;
	ret->idle = half_idle(walk, half);
	ret->half_open = half->half_open;
	ret->state = ct_state_of(key->ip_proto, half->phase[CT_DIR_IN], half->phase[CT_DIR_OUT]);
}

static void flow_add_peer(struct walk *walk, struct flow *flow)
{
	uint32_t idle;
	struct ct_flow peer;

	if (bpf_map_lookup_elem(walk->maps->fd[MAP_FLOWS], &flow->in.peer, &peer) &&
	    bpf_map_lookup_elem(walk->maps->fd[MAP_HALF_OPEN], &flow->in.peer, &peer))
		return;
	if (memcmp(&peer.peer, &flow->key, sizeof(flow->key)))
		return;
	flow->out = (struct lb_count){ .packets = peer.packets, .bytes = peer.bytes };
	idle = half_idle(walk, &peer);
	if (idle < flow->idle)
		flow->idle = idle;
}

struct each_flow {
	bool with_out;
	int (*each)(const struct flow *, void *);
	void *arg;
};

static int each_half(struct walk *walk, const struct ct_key *key, const struct ct_flow *half,
		     void *arg)
{
	struct each_flow *to = arg;
	struct flow flow;

	if (half->dir != CT_DIR_IN || half->dead)
		return 0;
	flow_fill(walk, key, half, &flow);
	if (to->with_out)
		flow_add_peer(walk, &flow);
	flow.expired = half_stale(walk, half) || flow.idle > half->timeout + walk->hz;
	return to->each(&flow, to->arg);
}

int maps__flow_each(struct maps *maps, bool with_out, int (*each)(const struct flow *, void *),
		    void *arg)
{
	struct each_flow to = { .with_out = with_out, .each = each, .arg = arg };
	struct walk walk;
	int err = walk_open(&walk, maps);

	if (!err)
		err = walk_both(&walk, each_half, &to);
	walk_close(&walk);
	return err;
}

struct reaper {
	struct lb_reap req;
	int prog_fd;
	bool (*match)(const struct flow *, void *);
	void *arg;
	uint64_t ended;
};

static int reaper_run(struct reaper *reaper)
{
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = &reaper->req,
		    .data_size_in = sizeof(reaper->req));
	int err;

	if (!reaper->req.keys_n)
		return 0;
	err = bpf_prog_test_run_opts(reaper->prog_fd, &run);
	reaper->req.keys_n = 0;
	if (!err)
		reaper->ended += run.retval;
	return err;
}

/* A reply half is matched as its flow: turned around, so that filters see the client's side. */
static void flow_turn(struct flow *flow)
{
	struct ct_key key = flow->key;

	flow->key = flow->in.peer;
	flow->in.peer = key;
}

static int reap_half(struct walk *walk, const struct ct_key *key, const struct ct_flow *half,
		     void *arg)
{
	struct reaper *reaper = arg;
	struct flow flow;

	flow_fill(walk, key, half, &flow);
	if (half->dir == CT_DIR_OUT)
		flow_turn(&flow);
	/* Only a hint: lb_reap decides again, where no packet can come between. */
	flow.expired = half_stale(walk, half) || flow.idle > half->timeout + 2 * walk->hz;
	if (!reaper->match(&flow, reaper->arg))
		return 0;
	reaper->req.keys[reaper->req.keys_n++] = *key;
	return reaper->req.keys_n == LB_REAP_MAX ? reaper_run(reaper) : 0;
}

int maps__flow_reap(struct maps *maps, enum lb_reap_mode mode,
		    bool (*match)(const struct flow *, void *), void *arg, uint64_t *ret_n)
{
	struct reaper reaper = { .req.mode = mode, .match = match, .arg = arg };
	struct walk walk;
	char path[512];
	int err;

	*ret_n = 0;
	err = maps__path(maps->dir, "programs", "lb_reap", path, sizeof(path));
	if (err)
		return err;
	reaper.prog_fd = bpf_obj_get(path);
	if (reaper.prog_fd < 0)
		return reaper.prog_fd;
	err = walk_open(&walk, maps);
	if (!err)
		err = walk_both(&walk, reap_half, &reaper);
	if (!err)
		err = reaper_run(&reaper);
	*ret_n = reaper.ended;
	walk_close(&walk);
	close(reaper.prog_fd);
	return err;
}

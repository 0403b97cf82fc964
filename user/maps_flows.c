// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Flows: the halves of the table as what they are part of, and having them ended in the kernel. */
#include "maps.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "host.h"

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
	struct maps_table *table;
	uint32_t now;
	uint32_t hz;
};

static int walk_open(struct walk *walk, struct maps *maps)
{
	int err;

	memset(walk, 0, sizeof(*walk));
	walk->maps = maps;
	err = maps__now(&walk->now);
	if (!err)
		err = host__hz(&walk->hz);
	return err ? err : maps__table_open(maps, &walk->table);
}

static void walk_close(struct walk *walk)
{
	if (walk->table)
		maps__table_close(walk->table);
}

static uint32_t half_idle(const struct walk *walk, const struct ct_flow *half)
{
	int32_t idle = (int32_t)(walk->now - half->last_seen);

	return idle < 0 ? 0 : idle; /* seen after the walk began */
}

static bool half_stale(const struct walk *walk, const struct ct_flow *half)
{
	return walk->maps->backends[half->backend].gen != half->gen;
}

/* As a flow, whichever half it is: filters see the client's side. */
static void flow_fill(struct walk *walk, const struct maps_half *half, struct flow *ret)
{
	const struct lb_backend *backend = &walk->maps->backends[half->flow.backend];
	bool in = ct_dir(&half->flow) == CT_DIR_IN;

	memset(ret, 0, sizeof(*ret));
	ct_peer_key(&half->flow, backend, in ? &ret->peer : &ret->key);
	*(in ? &ret->key : &ret->peer) = half->key;
	ret->backend = (struct lb_backend_ref){ half->flow.backend, half->flow.gen };
	ret->to = backend->addr;
	ret->to_port = ret->peer.turned ? ret->peer.local_port : ret->peer.remote_port;
	ret->vip = backend->vip;
	ret->method = ct_method(&half->flow);
	ret->outer = ct_pairs(ret->method) ? 0 : half->flow.outer;
	ret->created = half->cold.created;
	ret->idle = half_idle(walk, &half->flow);
	ret->timeout = ct_timeout_unpack(half->flow.timeout);
	*(in ? &ret->in : &ret->out) =
		(struct lb_count){ ct_packets(&half->flow), ct_bytes(&half->flow) };
	ret->half_open = half->flow.ctl & CT_HALF_OPEN;
	ret->state = ct_state_of(half->key.ip_proto, ct_phase(half->flow.ctl, CT_DIR_IN),
				 ct_phase(half->flow.ctl, CT_DIR_OUT));
}

static void flow_add_peer(struct walk *walk, const struct maps_half *half, struct flow *flow)
{
	struct ct_flow peer;
	uint32_t idle;

	if (!flow->peer.local || maps__table_find(walk->table, &flow->peer, &peer) ||
	    !ct_is_pair(&peer, &half->flow))
		return;
	flow->out = (struct lb_count){ .packets = ct_packets(&peer), .bytes = ct_bytes(&peer) };
	idle = half_idle(walk, &peer);
	if (idle < flow->idle)
		flow->idle = idle;
}

struct each_flow {
	struct walk walk;
	bool with_out;
	int (*each)(const struct flow *, void *);
	void *arg;
};

static int each_half(const struct maps_half *half, void *arg)
{
	struct each_flow *to = arg;
	struct flow flow;

	if (ct_dir(&half->flow) != CT_DIR_IN)
		return 0;
	flow_fill(&to->walk, half, &flow);
	if (to->with_out)
		flow_add_peer(&to->walk, half, &flow);
	flow.expired = half_stale(&to->walk, &half->flow) ||
		       flow.idle > flow.timeout + to->walk.hz;
	return to->each(&flow, to->arg);
}

int maps__flow_each(struct maps *maps, bool with_out, int (*each)(const struct flow *, void *),
		    void *arg)
{
	struct each_flow to = { .with_out = with_out, .each = each, .arg = arg };
	int err = walk_open(&to.walk, maps);

	if (!err)
		err = maps__table_each(to.walk.table, each_half, &to);
	walk_close(&to.walk);
	return err;
}

struct reaper {
	struct walk walk;
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

	if (!reaper->req.halves_n)
		return 0;
	err = bpf_prog_test_run_opts(reaper->prog_fd, &run);
	reaper->req.halves_n = 0;
	if (!err)
		reaper->ended += run.retval;
	return err;
}

static int reap_half(const struct maps_half *half, void *arg)
{
	struct reaper *reaper = arg;
	struct flow flow;

	flow_fill(&reaper->walk, half, &flow);
	/* Only a hint: lb_reap decides again, where no packet can come between. */
	flow.expired = half_stale(&reaper->walk, &half->flow) ||
		       flow.idle > flow.timeout + 2 * reaper->walk.hz;
	if (!reaper->match(&flow, reaper->arg))
		return 0;
	reaper->req.halves[reaper->req.halves_n++] = (struct lb_reap_half){
		.key = half->key,
		.slot = half->slot,
		.ctl = half->flow.ctl,
	};
	return reaper->req.halves_n == LB_REAP_MAX ? reaper_run(reaper) : 0;
}

int maps__flow_reap(struct maps *maps, enum lb_reap_mode mode,
		    bool (*match)(const struct flow *, void *), void *arg, uint64_t *ret_n)
{
	struct reaper reaper = { .req.mode = mode, .match = match, .arg = arg };
	char path[512];
	int err;

	*ret_n = 0;
	err = maps__path(maps->dir, "programs", "lb_reap", path, sizeof(path));
	if (err)
		return err;
	reaper.prog_fd = bpf_obj_get(path);
	if (reaper.prog_fd < 0)
		return reaper.prog_fd;
	err = walk_open(&reaper.walk, maps);
	if (!err)
		err = maps__table_each(reaper.walk.table, reap_half, &reaper);
	if (!err)
		err = reaper_run(&reaper);
	*ret_n = reaper.ended;
	walk_close(&reaper.walk);
	close(reaper.prog_fd);
	return err;
}

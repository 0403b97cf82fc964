// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Finds, counts and changes halves in both kinds of flow table. */
#include "half.h"

#include <errno.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "ct_state.h"
#include "lb.skel.h"

static int lru_fd(struct fixture *fx, enum half_place place)
{
	return bpf_map__fd(place == FLOW_ESTABLISHED ? fx->skel->maps.lb_flows
						     : fx->skel->maps.lb_half_open);
}

enum ct_state half__state(const struct half *half)
{
	return ct_state_of(half->key.ip_proto, ct_phase(half->flow.ctl, CT_DIR_IN),
			   ct_phase(half->flow.ctl, CT_DIR_OUT));
}

struct ct_place half__home(struct fixture *fx, const struct ct_key *key)
{
	struct lb_addr local = fixture__local_addr(key->local);

	return ct_home(ct_hash(&key->remote, &local, key->ends, fx->factors), fx->sets_bits);
}

uint32_t half__sets(struct fixture *fx, const struct ct_key *key, uint32_t ret[CT_SETS])
{
	uint32_t which, i, n = 1;

	ret[0] = half__home(fx, key).set;
	for (which = 1; which < CT_SETS; which++) {
		ret[n] = ct_other_set(ret[0], key->ends, which, fx->sets_bits);
		for (i = 0; i < n && ret[i] != ret[n]; i++)
			;
		n += i == n;
	}
	return n;
}

static bool is_stale(struct fixture *fx, const struct ct_flow *flow)
{
	return fixture__backend(fx, flow->backend).gen != flow->gen;
}

static void take_slot(struct fixture *fx, uint32_t slot, struct half *ret)
{
	struct lb_backend backend;

	ret->slot = slot;
	ret->flow = fx->sets[slot / CT_WAYS].ways[slot % CT_WAYS];
	ret->cold = fx->cold[slot / CT_WAYS].ways[slot % CT_WAYS];
	backend = fixture__backend(fx, ret->flow.backend);
	ct_own_key(&ret->flow, &backend, &ret->key);
}

static int assoc_each(struct fixture *fx,
		      int (*each)(struct fixture *, const struct half *, void *), void *arg)
{
	uint32_t slot, slots = CT_WAYS << fx->sets_bits;
	struct half half;
	int err = 0;

	for (slot = 0; slot < slots && !err; slot++) {
		if ((fx->sets[slot / CT_WAYS].ways[slot % CT_WAYS].ctl & CT_STATE_MASK) ==
		    CT_LIVE) {
			take_slot(fx, slot, &half);
			err = each(fx, &half, arg);
		}
	}
	return err;
}

static int lru_each(struct fixture *fx, enum half_place place,
		    int (*each)(struct fixture *, const struct half *, void *), void *arg)
{
	int fd = lru_fd(fx, place), err = 0;
	struct ct_entry entry;
	struct half half = {};
	void *at = NULL;
	struct ct_key next;

	while (!err && !bpf_map_get_next_key(fd, at, &next)) {
		half.key = next;
		at = &half.key;
		if (bpf_map_lookup_elem(fd, &next, &entry))
			continue;
		half.flow = entry.flow;
		half.cold = entry.cold;
		err = each(fx, &half, arg);
	}
	return err;
}

int half__each(struct fixture *fx, int (*each)(struct fixture *, const struct half *, void *),
	       void *arg)
{
	int err;

	if (fx->table == LB_TABLE_ASSOC)
		return assoc_each(fx, each, arg);
	err = lru_each(fx, FLOW_ESTABLISHED, each, arg);
	return err ? err : lru_each(fx, FLOW_HALF_OPEN, each, arg);
}

static bool assoc_find(struct fixture *fx, const struct ct_key *key, bool stale, struct half *ret)
{
	uint32_t sets[CT_SETS], i, sets_n = half__sets(fx, key, sets);

	for (i = 0; i < sets_n * CT_WAYS; i++) {
		uint32_t slot = sets[i / CT_WAYS] * CT_WAYS + i % CT_WAYS;

		if ((fx->sets[slot / CT_WAYS].ways[slot % CT_WAYS].ctl & CT_STATE_MASK) != CT_LIVE)
			continue;
		take_slot(fx, slot, ret);
		if (!memcmp(&ret->key, key, sizeof(*key)) && is_stale(fx, &ret->flow) == stale)
			return true;
	}
	return false;
}

static bool lru_find(struct fixture *fx, const struct ct_key *key, enum half_place place,
		     bool stale, struct half *ret)
{
	struct ct_entry entry;

	if (bpf_map_lookup_elem(lru_fd(fx, place), key, &entry))
		return false;
	*ret = (struct half){ .key = *key, .flow = entry.flow, .cold = entry.cold };
	return is_stale(fx, &ret->flow) == stale;
}

static enum half_place find(struct fixture *fx, const struct ct_key *key, bool stale,
			    struct half *ret)
{
	if (fx->table == LB_TABLE_ASSOC) {
		if (!assoc_find(fx, key, stale, ret))
			return FLOW_NONE;
		return ret->flow.ctl & CT_HALF_OPEN ? FLOW_HALF_OPEN : FLOW_ESTABLISHED;
	}
	if (lru_find(fx, key, FLOW_ESTABLISHED, stale, ret))
		return FLOW_ESTABLISHED;
	return lru_find(fx, key, FLOW_HALF_OPEN, stale, ret) ? FLOW_HALF_OPEN : FLOW_NONE;
}

enum half_place half__get(struct fixture *fx, const struct ct_key *key, struct half *ret)
{
	return find(fx, key, false, ret);
}

enum half_place half__find_stale(struct fixture *fx, const struct ct_key *key, struct half *ret)
{
	return find(fx, key, true, ret);
}

int half__put(struct fixture *fx, const struct half *half)
{
	struct ct_entry entry = { .flow = half->flow, .cold = half->cold };
	enum half_place place = half->flow.ctl & CT_HALF_OPEN ? FLOW_HALF_OPEN : FLOW_ESTABLISHED;

	if (fx->table == LB_TABLE_ASSOC) {
		fx->sets[half->slot / CT_WAYS].ways[half->slot % CT_WAYS] = half->flow;
		fx->cold[half->slot / CT_WAYS].ways[half->slot % CT_WAYS] = half->cold;
		return 0;
	}
	return bpf_map_update_elem(lru_fd(fx, place), &half->key, &entry, BPF_EXIST) ? -errno : 0;
}

int half__reap(struct fixture *fx, enum lb_reap_mode mode, const struct ct_key *keys,
	       unsigned int n)
{
	struct lb_reap req = { .mode = mode, .halves_n = n };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = &req, .data_size_in = sizeof(req));
	struct half half;
	unsigned int i;

	for (i = 0; i < n && i < LB_REAP_MAX; i++) {
		req.halves[i].key = keys[i];
		if (!half__get(fx, &keys[i], &half) && !half__find_stale(fx, &keys[i], &half))
			continue;
		req.halves[i].slot = half.slot;
		req.halves[i].ctl = half.flow.ctl;
	}
	if (bpf_prog_test_run_opts(bpf_program__fd(fx->skel->progs.lb_reap), &opts))
		return -errno;
	return opts.retval;
}

int half__evict(struct fixture *fx, const struct ct_key *key)
{
	struct half half;

	if (!half__get(fx, key, &half) && !half__find_stale(fx, key, &half))
		return -ENOENT;
	if (half__reap(fx, LB_REAP_FORCE, key, 1) < 0)
		return -EIO;
	return half__get(fx, key, &half) ? -EBUSY : 0;
}

static int count(struct fixture *fx, const struct half *half, void *arg)
{
	int *n = arg;

	n[0]++;
	n[1] += is_stale(fx, &half->flow);
	return 0;
}

int half__count(struct fixture *fx, int *ret_stale)
{
	int n[2] = {};

	half__each(fx, count, n);
	if (ret_stale)
		*ret_stale = n[1];
	return n[0];
}

static int lru_clear(int fd)
{
	struct ct_key key;

	while (!bpf_map_get_next_key(fd, NULL, &key)) {
		if (bpf_map_delete_elem(fd, &key))
			return -errno;
	}
	return 0;
}

int half__clear(struct fixture *fx)
{
	int err;

	if (fx->table == LB_TABLE_ASSOC) {
		memset(fx->sets, 0, sizeof(*fx->sets) << fx->sets_bits);
		memset(fx->cold, 0, sizeof(*fx->cold) << fx->sets_bits);
		return 0;
	}
	err = lru_clear(lru_fd(fx, FLOW_ESTABLISHED));
	return err ? err : lru_clear(lru_fd(fx, FLOW_HALF_OPEN));
}

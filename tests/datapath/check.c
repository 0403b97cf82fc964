// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What has to hold of a flow table at rest, whatever has happened to it. */
#include "half.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../slots.h"
#include "lb.skel.h"

struct walk {
	struct slot_counts *elsewhere; /* by home slot */
	const char *error;
};

static const struct ct_flow *slot_at(struct fixture *fx, uint32_t slot)
{
	return &fx->sets[slot / CT_WAYS].ways[slot % CT_WAYS];
}

/* The home slot of a half as its control word tells it. */
static uint32_t told_home(struct fixture *fx, const struct half *half)
{
	uint32_t set = half->slot / CT_WAYS, way = half->slot - ct_distance(half->flow.ctl);

	if (half->flow.ctl & CT_AWAY)
		set = ct_other_set(set, half->flow.ends, ct_which(half->flow.ctl), fx->sets_bits);
	return set * CT_WAYS + way % CT_WAYS;
}

static int count_matches(struct fixture *fx, const struct half *half)
{
	uint32_t sets[CT_SETS], i, sets_n = half__sets(fx, &half->key, sets);
	int n = 0;

	for (i = 0; i < sets_n * CT_WAYS; i++) {
		const struct ct_flow *flow = &fx->sets[sets[i / CT_WAYS]].ways[i % CT_WAYS];
		struct lb_backend backend = fixture__backend(fx, flow->backend);
		struct ct_key key;

		ct_own_key(flow, &backend, &key);
		n += (flow->ctl & CT_STATE_MASK) == CT_LIVE && backend.gen == flow->gen &&
		     !memcmp(&key, &half->key, sizeof(key));
	}
	return n;
}

static int walk_slot(struct fixture *fx, const struct half *half, void *arg)
{
	uint32_t told = told_home(fx, half);
	struct ct_place home = half__home(fx, &half->key);
	struct walk *walk = arg;

	if (half->flow.ctl & CT_AWAY)
		walk->elsewhere[told].away++;
	else if (told != half->slot)
		walk->elsewhere[told].near++;
	if (fixture__backend(fx, half->flow.backend).gen != half->flow.gen)
		return 0; /* nobody finds it */
	if (told != home.set * CT_WAYS + home.way)
		walk->error = "a half does not know its home slot";
	if (count_matches(fx, half) != 1)
		walk->error = "a key has two slots";
	return walk->error != NULL;
}

static const char *check_assoc(struct fixture *fx)
{
	uint32_t slots = CT_WAYS << fx->sets_bits, slot;
	struct walk walk = { calloc(slots, sizeof(struct slot_counts)), NULL };

	if (!walk.elsewhere)
		return "no memory";
	half__each(fx, walk_slot, &walk);
	for (slot = 0; slot < slots && !walk.error; slot++)
		walk.error = slot_error(slot_at(fx, slot)->ctl, &walk.elsewhere[slot]);
	free(walk.elsewhere);
	return walk.error;
}

static const char *check_lru_map(struct fixture *fx, struct bpf_map *map, struct bpf_map *other,
				 uint32_t half_open)
{
	struct ct_entry entry;
	void *at = NULL;
	struct ct_key key, next;
	uint32_t version;

	while (!bpf_map_get_next_key(bpf_map__fd(map), at, &next)) {
		key = next;
		at = &key;
		if (bpf_map_lookup_elem(bpf_map__fd(map), &key, &entry))
			continue;
		version = ct_hash(&key.remote, &key.remote, key.ends, fx->factors) >> 32;
		if ((entry.flow.ctl & (CT_STATE_MASK | CT_HALF_OPEN)) != (CT_LIVE | half_open))
			return "an entry is in the wrong map, or not alive";
		if ((entry.flow.ctl ^ version) & CT_VERSION_MASK || entry.flow.ends != key.ends)
			return "an entry is not its key's";
		if (!bpf_map_lookup_elem(bpf_map__fd(other), &key, &entry))
			return "a key is in both maps";
	}
	return NULL;
}

const char *half__check_table(struct fixture *fx)
{
	struct bpf_map *flows = fx->skel->maps.lb_flows, *half_open = fx->skel->maps.lb_half_open;
	const char *error;

	if (fx->table == LB_TABLE_ASSOC)
		return check_assoc(fx);
	error = check_lru_map(fx, flows, half_open, 0);
	return error ? error : check_lru_map(fx, half_open, flows, CT_HALF_OPEN);
}

static int check_pair(struct fixture *fx, const struct half *half, void *arg)
{
	struct lb_backend backend = fixture__backend(fx, half->flow.backend);
	const char **error = arg;
	struct ct_key peer_key;
	struct half peer;

	if (!half->flow.peer_local || backend.gen != half->flow.gen)
		return 0;
	ct_peer_key(&half->flow, &backend, &peer_key);
	/* Another flow may have taken its place meanwhile. */
	if (!half__get(fx, &peer_key, &peer) || !ct_is_pair(&peer.flow, &half->flow))
		return 0;
	/* A move between the LRU maps may lose a phase that doesn't count any more. */
	if (half__state(&peer) != half__state(half) ||
	    (peer.flow.ctl ^ half->flow.ctl) & CT_HALF_OPEN ||
	    (fx->table == LB_TABLE_ASSOC && (peer.flow.ctl ^ half->flow.ctl) & CT_PHASES_MASK))
		*error = "the halves of a flow are in different states";
	else if (peer.flow.timeout != half->flow.timeout)
		*error = "the halves of a flow have different timeouts";
	else if (peer.cold.expect_ack != half->cold.expect_ack)
		*error = "the halves of a flow expect different ACKs";
	return *error != NULL;
}

const char *half__check_pairs(struct fixture *fx)
{
	const char *error = NULL;

	half__each(fx, check_pair, &error);
	return error;
}

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Both kinds of flow table as lbctl sees them: ours by mmap, the kernel's LRU maps in batches. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <bpf/bpf.h>

#include "maps.h"

#define WALK_BATCH 4096

struct maps_table {
	struct maps *maps;
	__u64 factors[CT_HASH_WORDS];
	uint32_t sets_n; /* 0: LRU */
	uint32_t sets_bits;
	struct ct_set *sets;
	struct ct_cold_set *cold;
};

int maps__table_open(struct maps *maps, struct maps_table **ret)
{
	struct lb_settings settings;
	struct maps_table *table;
	int err = maps__settings(maps, &settings);

	if (err)
		return err;
	if (!maps__table_exists(maps))
		return -ENOENT;
	table = calloc(1, sizeof(*table));
	if (!table)
		return -ENOMEM;
	table->maps = maps;
	ct_hash_factors(settings.seed, table->factors);
	if (maps->fd[MAP_FLOW_SETS] >= 0) {
		table->sets_n = settings.sets;
		table->sets_bits = __builtin_ctz(settings.sets);
		table->sets = maps__mmap(maps->fd[MAP_FLOW_SETS],
					 table->sets_n * sizeof(*table->sets), PROT_READ);
		table->cold = maps__mmap(maps->fd[MAP_FLOW_COLD],
					 table->sets_n * sizeof(*table->cold), PROT_READ);
		if (!table->sets || !table->cold) {
			err = -errno;
			maps__table_close(table);
			return err;
		}
	}
	*ret = table;
	return 0;
}

void maps__table_close(struct maps_table *table)
{
	if (table->sets)
		munmap(table->sets, table->sets_n * sizeof(*table->sets));
	if (table->cold)
		munmap(table->cold, table->sets_n * sizeof(*table->cold));
	free(table);
}

/* A copy of a slot while packets change it. False: nobody's, or it changed hands meanwhile. */
static bool slot_copy(const struct ct_flow *slot, struct ct_flow *ret)
{
	uint32_t ctl = __atomic_load_n(&slot->ctl, __ATOMIC_ACQUIRE);

	if ((ctl & CT_STATE_MASK) != CT_LIVE)
		return false;
	*ret = *slot;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return !ct_changed_hands(ctl, __atomic_load_n(&slot->ctl, __ATOMIC_RELAXED)) &&
	       ret->backend < LB_MAX_BACKENDS;
}

static int each_assoc(struct maps_table *table, int (*each)(const struct maps_half *, void *),
		      void *arg)
{
	struct maps_half half;
	uint32_t set, way;
	int err;

	for (set = 0; set < table->sets_n; set++) {
		for (way = 0; way < CT_WAYS; way++) {
			if (!slot_copy(&table->sets[set].ways[way], &half.flow))
				continue;
			half.slot = set * CT_WAYS + way;
			half.cold = table->cold[set].ways[way];
			ct_own_key(&half.flow, &table->maps->backends[half.flow.backend], &half.key);
			err = each(&half, arg);
			if (err)
				return err;
		}
	}
	return 0;
}

static int each_lru(struct maps_table *table, enum maps_id id, struct ct_key *keys,
		    struct ct_entry *values, int (*each)(const struct maps_half *, void *),
		    void *arg)
{
	struct maps_half half = {};
	uint32_t in, out, n, i;
	void *from = NULL;
	int end, err = 0;

	do {
		n = WALK_BATCH;
		end = bpf_map_lookup_batch(table->maps->fd[id], from, &out, keys, values, &n, NULL);
		if (end && end != -ENOENT)
			return end;
		for (i = 0; !err && i < n; i++) {
			half.key = keys[i];
			half.flow = values[i].flow;
			half.cold = values[i].cold;
			if ((half.flow.ctl & CT_STATE_MASK) == CT_LIVE &&
			    half.flow.backend < LB_MAX_BACKENDS)
				err = each(&half, arg);
		}
		in = out;
		from = &in;
	} while (!err && !end);
	return err;
}

int maps__table_each(struct maps_table *table, int (*each)(const struct maps_half *, void *),
		     void *arg)
{
	struct ct_entry *values;
	struct ct_key *keys;
	int err = -ENOMEM;

	if (table->sets_n)
		return each_assoc(table, each, arg);
	keys = calloc(WALK_BATCH, sizeof(*keys));
	values = calloc(WALK_BATCH, sizeof(*values));
	if (keys && values)
		err = each_lru(table, MAP_HALF_OPEN, keys, values, each, arg);
	if (!err)
		err = each_lru(table, MAP_FLOWS, keys, values, each, arg);
	free(values);
	free(keys);
	return err;
}

static int find_in(struct maps_table *table, uint32_t set, const struct ct_key *key,
		   struct ct_flow *ret)
{
	struct ct_key own;
	uint32_t way;

	for (way = 0; way < CT_WAYS; way++) {
		const struct ct_flow *slot = &table->sets[set].ways[way];

		if (slot->ends != key->ends || !slot_copy(slot, ret))
			continue;
		ct_own_key(ret, &table->maps->backends[ret->backend], &own);
		if (!memcmp(&own, key, sizeof(own)))
			return 0;
	}
	return -ENOENT;
}

int maps__table_find(struct maps_table *table, const struct ct_key *key, struct ct_flow *ret)
{
	struct ct_entry entry;
	struct ct_place home;
	uint32_t which;
	int err;

	if (table->sets_n) {
		if (key->local >= LB_MAX_LOCALS)
			return -ENOENT;
		home = ct_home(ct_hash(&key->remote, &table->maps->local_addrs[key->local],
				       key->ends, table->factors),
			       table->sets_bits);
		err = find_in(table, home.set, key, ret);
		for (which = 1; err && which < CT_SETS; which++)
			err = find_in(table,
				      ct_other_set(home.set, key->ends, which, table->sets_bits),
				      key, ret);
		return err;
	}
	err = bpf_map_lookup_elem(table->maps->fd[MAP_FLOWS], key, &entry);
	if (err)
		err = bpf_map_lookup_elem(table->maps->fd[MAP_HALF_OPEN], key, &entry);
	if (!err)
		*ret = entry.flow;
	return err;
}

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Walks the flow table: counts, locks and keys have to fit each other. */
#include "table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "../slots.h"
#include "ct_state.h"

struct table {
	struct table_hash hash;
	struct ct_set *sets;
	struct lb_backend *backends;
	struct lb_addr *locals;
	struct slot_counts *counts; /* of halves elsewhere, by home slot */
};

static void *map_of(const char *pin, size_t size)
{
	int fd = bpf_obj_get(pin);
	void *at;

	if (fd < 0)
		return NULL;
	at = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	return at == MAP_FAILED ? NULL : at;
}

int table__hash(struct table_hash *ret)
{
	struct lb_settings settings;
	uint32_t zero = 0;
	int fd = bpf_obj_get(TABLE_PINS "lb_settings"), err;

	if (fd < 0)
		return -errno;
	err = bpf_map_lookup_elem(fd, &zero, &settings) ? -errno : 0;
	close(fd);
	if (err)
		return err;
	ct_hash_factors(settings.seed, ret->factors);
	ret->sets_bits = settings.table == LB_TABLE_ASSOC ? __builtin_ctz(settings.sets) : 0;
	return 0;
}

static size_t sets_size(const struct table *table)
{
	return sizeof(struct ct_set) << table->hash.sets_bits;
}

static bool table_open(struct table *table)
{
	table->sets = map_of(TABLE_PINS "lb_flow_sets", sets_size(table));
	table->backends =
		map_of(TABLE_PINS "lb_backends", sizeof(struct lb_backend) * LB_MAX_BACKENDS);
	table->locals = map_of(TABLE_PINS "lb_local_addrs", sizeof(struct lb_addr) * LB_MAX_LOCALS);
	table->counts = calloc(CT_WAYS << table->hash.sets_bits, sizeof(*table->counts));
	return table->sets && table->backends && table->locals && table->counts;
}

static void table_close(struct table *table)
{
	if (table->sets)
		munmap(table->sets, sets_size(table));
	if (table->backends)
		munmap(table->backends, sizeof(struct lb_backend) * LB_MAX_BACKENDS);
	if (table->locals)
		munmap(table->locals, sizeof(struct lb_addr) * LB_MAX_LOCALS);
	free(table->counts);
}

static const struct ct_flow *slot_at(const struct table *table, uint32_t slot)
{
	return &table->sets[slot / CT_WAYS].ways[slot % CT_WAYS];
}

static bool is_live(const struct table *table, const struct ct_flow *flow)
{
	return (flow->ctl & CT_STATE_MASK) == CT_LIVE && flow->backend < LB_MAX_BACKENDS &&
	       table->backends[flow->backend].gen == flow->gen;
}

static struct ct_place home_of(const struct table *table, const struct ct_key *key)
{
	return ct_home(ct_hash(&key->remote, &table->locals[key->local], key->ends,
			       table->hash.factors),
		       table->hash.sets_bits);
}

static bool has_key(const struct table *table, const struct ct_flow *flow, const struct ct_key *key)
{
	struct ct_key own;

	if (!is_live(table, flow))
		return false;
	ct_own_key(flow, &table->backends[flow->backend], &own);
	return !memcmp(&own, key, sizeof(own));
}

/* How many slots have the key; the last of them. */
static int find(const struct table *table, const struct ct_key *key, const struct ct_flow **ret)
{
	struct ct_place home = home_of(table, key);
	uint32_t sets[CT_SETS] = { home.set }, n = 1, which, i;
	int found = 0;

	for (which = 1; which < CT_SETS; which++) {
		sets[n] = ct_other_set(home.set, key->ends, which, table->hash.sets_bits);
		for (i = 0; i < n && sets[i] != sets[n]; i++)
			;
		n += i == n;
	}
	for (i = 0; i < n * CT_WAYS; i++) {
		const struct ct_flow *flow = &table->sets[sets[i / CT_WAYS]].ways[i % CT_WAYS];

		if (has_key(table, flow, key)) {
			*ret = flow;
			found++;
		}
	}
	return found;
}

/* The home slot of a half as its control word tells it. */
static uint32_t told_home(const struct table *table, const struct ct_flow *flow, uint32_t slot)
{
	uint32_t set = slot / CT_WAYS, way = slot - ct_distance(flow->ctl);

	if (flow->ctl & CT_AWAY)
		set = ct_other_set(set, flow->ends, ct_which(flow->ctl), table->hash.sets_bits);
	return set * CT_WAYS + way % CT_WAYS;
}

static const char *check_peer(const struct table *table, const struct ct_flow *flow)
{
	const struct ct_flow *peer;
	struct ct_key key;

	if (!flow->peer_local || flow->ctl & CT_HALF_OPEN)
		return NULL;
	ct_peer_key(flow, &table->backends[flow->backend], &key);
	if (find(table, &key, &peer) && !ct_is_pair(peer, flow))
		return "the source port of an established flow is another flow's";
	return NULL;
}

static const char *check_half(struct table *table, uint32_t slot, bool strict)
{
	const struct ct_flow *flow = slot_at(table, slot), *found;
	uint32_t told = told_home(table, flow, slot);
	struct ct_place home;
	struct ct_key key;

	if (flow->ctl & CT_AWAY)
		table->counts[told].away++;
	else if (told != slot)
		table->counts[told].near++;
	if (!is_live(table, flow))
		return NULL; /* its backend is gone: nobody finds it */
	ct_own_key(flow, &table->backends[flow->backend], &key);
	home = home_of(table, &key);
	if (told != home.set * CT_WAYS + home.way)
		return "a half does not know its home slot";
	if (find(table, &key, &found) != 1)
		return "a key has two slots";
	return strict ? check_peer(table, flow) : NULL;
}

static const char *check_assoc(struct table *table, bool strict, uint64_t *ret_flows)
{
	uint32_t slots = CT_WAYS << table->hash.sets_bits, slot;
	const char *error = NULL;

	for (slot = 0; slot < slots && !error; slot++) {
		const struct ct_flow *flow = slot_at(table, slot);

		if ((flow->ctl & CT_STATE_MASK) != CT_LIVE)
			continue;
		*ret_flows += ct_dir(flow) == CT_DIR_IN;
		error = check_half(table, slot, strict);
	}
	for (slot = 0; slot < slots && !error; slot++)
		error = slot_error(slot_at(table, slot)->ctl, &table->counts[slot]);
	return error;
}

/* The kernel's LRU maps, established and half-open: no key in both. */
static const char *check_lru(uint64_t *ret_flows)
{
	int maps[2] = { bpf_obj_get(TABLE_PINS "lb_flows"),
			bpf_obj_get(TABLE_PINS "lb_half_open") };
	const char *error = maps[0] < 0 || maps[1] < 0 ? "it could not be opened" : NULL;
	struct ct_entry entry;
	struct ct_key key, next;
	void *at;
	int i;

	for (i = 0; i < 2 && !error; i++) {
		for (at = NULL; !error && !bpf_map_get_next_key(maps[i], at, &next); at = &key) {
			key = next;
			if (bpf_map_lookup_elem(maps[i], &key, &entry))
				continue;
			*ret_flows += ct_dir(&entry.flow) == CT_DIR_IN;
			if (entry.flow.ends != key.ends)
				error = "an entry is not its key's";
			if (!bpf_map_lookup_elem(maps[!i], &key, &entry))
				error = "a key is in both maps";
		}
	}
	for (i = 0; i < 2; i++) {
		if (maps[i] >= 0)
			close(maps[i]);
	}
	return error;
}

const char *table__check(bool strict, uint64_t *ret_flows)
{
	struct table table = {};
	const char *error;

	*ret_flows = 0;
	if (table__hash(&table.hash))
		return "its settings could not be read";
	if (!table.hash.sets_bits)
		return check_lru(ret_flows);
	error = table_open(&table) ? check_assoc(&table, strict, ret_flows)
				   : "it could not be mapped";
	table_close(&table);
	return error;
}

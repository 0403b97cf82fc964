// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Pools, backends and local addresses in the pinned maps. */
#include "maps.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "local_table.h"

bool maps__pool_used(const struct maps *maps, uint16_t vip_id)
{
	return maps->pool_ids[vip_id] != 0;
}

/*
 * By lb_pool_ids, which names the published pool, or, before it is published, the next. It names a map
 * that is gone where a reader was overtaken or a writer killed, and then lb_pools is asked: up to Linux
 * 6.7 a look at it waits for an RCU grace period, 10 to 20 ms.
 */
static int pool_open(struct maps *maps, uint16_t vip_id)
{
	uint32_t key = vip_id, id = maps->pool_ids[vip_id];
	int fd, err;

	if (!id)
		return -ENOENT;
	fd = bpf_map_get_fd_by_id(id);
	if (fd != -ENOENT)
		return fd;
	err = bpf_map_lookup_elem(maps->fd[MAP_POOLS], &key, &id);
	return err ? err : bpf_map_get_fd_by_id(id);
}

int maps__pool_get(struct maps *maps, uint16_t vip_id, struct lb_pool *ret)
{
	int fd = pool_open(maps, vip_id);
	struct lb_pool *pool;

	if (fd < 0)
		return fd;
	pool = maps__mmap(fd, sizeof(*pool), PROT_READ);
	close(fd);
	if (!pool)
		return -ENOMEM;
	memcpy(ret, pool, offsetof(struct lb_pool, slots));
	munmap(pool, sizeof(*pool));
	return ret->members_n > LB_POOL_MAX ? -EPROTO : 0;
}

int maps__pool_put(struct maps *maps, uint16_t vip_id, const struct lb_pool *pool)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	uint32_t key = vip_id, was = maps->pool_ids[vip_id], size = sizeof(struct bpf_map_info);
	struct bpf_map_info info = {};
	struct lb_pool *inner;
	int fd, err;

	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "lb_pool", sizeof(key), sizeof(*pool), 1, &opts);
	if (fd < 0)
		return fd;
	err = bpf_obj_get_info_by_fd(fd, &info, &size);
	inner = err ? NULL : maps__mmap(fd, sizeof(*inner), PROT_READ | PROT_WRITE);
	if (inner) {
		memcpy(inner, pool, sizeof(*pool));
		munmap(inner, sizeof(*inner));
		maps->pool_ids[vip_id] = info.id;
		/* The kernel waits for an RCU grace period here (maybe_wait_bpf_programs()). */
		err = bpf_map_update_elem(maps->fd[MAP_POOLS], &key, &fd, BPF_ANY);
		if (err)
			maps->pool_ids[vip_id] = was;
	} else if (!err) {
		err = -ENOMEM;
	}
	close(fd);
	return err;
}

int maps__pool_del(struct maps *maps, uint16_t vip_id)
{
	uint32_t key = vip_id;
	int err = bpf_map_delete_elem(maps->fd[MAP_POOLS], &key);

	if (err && err != -ENOENT)
		return err;
	maps->pool_ids[vip_id] = 0;
	return 0;
}

int maps__backend_nexthop_put(struct maps *maps, uint32_t index, const struct lb_nexthop *nexthop)
{
	return bpf_map_update_elem(maps->fd[MAP_BACKEND_NEXTHOPS], &index, nexthop, BPF_ANY);
}

int maps__backend_add(struct maps *maps, const struct lb_backend *backend,
		      const struct lb_nexthop *nexthop, struct lb_backend_ref *ret_ref)
{
	uint32_t i, best = LB_MAX_BACKENDS, gen;
	struct lb_backend *slot;

	for (i = 0; i < LB_MAX_BACKENDS; i++)
		if (!maps__backend_used(maps, i) &&
		    (best == LB_MAX_BACKENDS ||
		     maps->backends[i].freed_ns < maps->backends[best].freed_ns))
			best = i;
	if (best == LB_MAX_BACKENDS)
		return -ENOSPC;
	slot = &maps->backends[best];
	gen = slot->gen;
	maps__backend_nexthop_put(maps, best, nexthop);
	maps__backend_stats_clear(maps, best);
	*slot = *backend;
	slot->gen = gen; /* still even: no packet can mean it */
	__atomic_store_n(&slot->gen, gen + 1, __ATOMIC_RELEASE);
	*ret_ref = (struct lb_backend_ref){ .index = best, .gen = gen + 1 };
	return 0;
}

/* What it carried stays the VIP's. */
static void backend_stats_keep(struct maps *maps, uint32_t index)
{
	uint32_t vip = maps->backends[index].vip;
	struct lb_count count, past;

	if (maps__backend_stats(maps, index, &count) || maps__vip_past(maps, vip, &past))
		return;
	past.packets += count.packets;
	past.bytes += count.bytes;
	bpf_map_update_elem(maps->fd[MAP_VIP_PAST], &vip, &past, BPF_ANY);
}

void maps__backend_del(struct maps *maps, uint32_t index)
{
	struct lb_backend *slot = &maps->backends[index];
	struct timespec now;

	if (!maps__backend_used(maps, index))
		return;
	backend_stats_keep(maps, index);
	clock_gettime(CLOCK_MONOTONIC, &now);
	slot->freed_ns = now.tv_sec * 1000000000ULL + now.tv_nsec;
	__atomic_store_n(&slot->gen, slot->gen + 1, __ATOMIC_RELEASE);
}

static void backend_port_key(const struct lb_backend *backend, struct lb_service_key *ret)
{
	*ret = (struct lb_service_key){
		.addr = backend->addr,
		.port = backend->port,
		.ip_proto = backend->ip_proto,
	};
}

/* Is it some backend's? */
static bool backend_port_wanted(struct maps *maps, const struct lb_service_key *key)
{
	struct lb_service_key other;
	uint32_t i;

	for (i = 0; i < LB_MAX_BACKENDS; i++) {
		if (!maps__backend_used(maps, i))
			continue;
		backend_port_key(&maps->backends[i], &other);
		if (!memcmp(&other, key, sizeof(other)))
			return true;
	}
	return false;
}

int maps__backend_port_sync(struct maps *maps, const struct lb_backend *backend)
{
	struct lb_service_key key;
	uint32_t one = 1;
	int err;

	backend_port_key(backend, &key);
	if (backend_port_wanted(maps, &key))
		return bpf_map_update_elem(maps->fd[MAP_BACKEND_PORTS], &key, &one, BPF_ANY);
	err = bpf_map_delete_elem(maps->fd[MAP_BACKEND_PORTS], &key);
	return err == -ENOENT ? 0 : err;
}

static struct lb_local *local_at(struct maps *maps, const struct lb_addr *addr)
{
	struct lb_local *local;
	uint32_t i;

	for (i = 0; i < LOCAL_PROBES; i++) {
		local = &maps->locals[local_slot(addr, i)];
		if (local->id && !memcmp(&local->addr, addr, sizeof(*addr)))
			return local;
		if (!(local->flags & LB_LOCAL_MORE))
			return NULL;
	}
	return NULL;
}

int maps__local_find(struct maps *maps, const struct lb_addr *addr, struct lb_local *ret)
{
	struct lb_local *local = local_at(maps, addr);

	if (!local)
		return -ENOENT;
	*ret = *local;
	return 0;
}

static bool local_used(struct maps *maps, uint32_t id)
{
	struct lb_local *local = local_at(maps, &maps->local_addrs[id]);

	return local && local->id == id;
}

/* An address that was here before gets its old id again, which its flows still know. */
static int local_new_id(struct maps *maps, const struct lb_addr *addr, uint16_t *ret_id)
{
	static const struct lb_addr none;
	uint32_t id, free_id = 0;

	for (id = 1; id < LB_MAX_LOCALS; id++) {
		if (!memcmp(&maps->local_addrs[id], addr, sizeof(*addr))) {
			*ret_id = id;
			return 0;
		}
		if (!free_id && !memcmp(&maps->local_addrs[id], &none, sizeof(none)))
			free_id = id;
	}
	for (id = 1; !free_id && id < LB_MAX_LOCALS; id++)
		if (!local_used(maps, id))
			free_id = id;
	if (!free_id)
		return -ENOSPC;
	maps->local_addrs[free_id] = *addr;
	*ret_id = free_id;
	return 0;
}

/* Packets look at a place's id before all else, so it is written last. */
static int local_insert(struct maps *maps, const struct lb_addr *addr, uint16_t flags,
			uint64_t ports, uint16_t id)
{
	struct lb_local *local;
	uint32_t i, j;

	for (i = 0; i < LOCAL_PROBES; i++) {
		local = &maps->locals[local_slot(addr, i)];
		if (local->id)
			continue;
		local->addr = *addr;
		local->ports = ports;
		local->flags = flags | (local->flags & LB_LOCAL_MORE);
		__atomic_store_n(&local->id, id, __ATOMIC_RELEASE);
		for (j = 0; j < i; j++)
			maps->locals[local_slot(addr, j)].flags |= LB_LOCAL_MORE;
		return 0;
	}
	return -ENOSPC;
}

int maps__local_get(struct maps *maps, const struct lb_addr *addr, uint16_t flags, uint64_t ports,
		    uint16_t *ret_id)
{
	struct lb_local *local = local_at(maps, addr);
	int err;

	if (local) {
		*ret_id = local->id;
		local->ports |= ports;
		local->flags |= flags;
		return 0;
	}
	err = local_new_id(maps, addr, ret_id);
	return err ? err : local_insert(maps, addr, flags, ports, *ret_id);
}

void maps__locals_sync(struct maps *maps, const uint16_t *flags, const uint64_t *ports)
{
	struct lb_local *local;
	uint32_t i;

	for (i = 0; i < LOCAL_SLOTS; i++) {
		local = &maps->locals[i];
		if (!local->id)
			continue;
		local->flags = flags[local->id] | (local->flags & LB_LOCAL_MORE);
		local->ports = ports[local->id];
		if (!flags[local->id])
			__atomic_store_n(&local->id, 0, __ATOMIC_RELEASE);
	}
}

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Counters, which each CPU keeps for itself, and interfaces. */
#include "maps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

/* The CPUs' copies of a value; NULL: errno. To be freed. */
static void *percpu_get(struct maps *maps, enum maps_id id, const void *key, size_t size)
{
	void *copies = calloc(maps->cpus, size);

	if (copies && bpf_map_lookup_elem(maps->fd[id], key, copies)) {
		free(copies);
		return NULL;
	}
	return copies;
}

/* Adds the CPUs' copies up, as an array of u64 each. */
static int percpu_sum(struct maps *maps, enum maps_id id, const void *key, void *ret, size_t size)
{
	uint64_t *sum = ret, *copies = percpu_get(maps, id, key, size);
	size_t i, words = size / sizeof(*sum);
	int cpu;

	memset(ret, 0, size);
	if (!copies)
		return -errno;
	for (cpu = 0; cpu < maps->cpus; cpu++)
		for (i = 0; i < words; i++)
			sum[i] += copies[cpu * words + i];
	free(copies);
	return 0;
}

static int percpu_clear(struct maps *maps, enum maps_id id, uint32_t key, size_t size)
{
	void *copies = calloc(maps->cpus, size);
	int err;

	if (!copies)
		return -ENOMEM;
	err = bpf_map_update_elem(maps->fd[id], &key, copies, BPF_ANY);
	free(copies);
	return err;
}

int maps__totals(struct maps *maps, struct maps_totals *ret)
{
	struct lb_iface_stats *stats;
	uint32_t i = 0;
	int cpu, err;

	memset(ret, 0, sizeof(*ret));
	err = percpu_sum(maps, MAP_TOTALS, &i, &ret->rare, sizeof(ret->rare));
	for (i = 0; !err && i < LB_IFACE_SLOTS; i++) {
		stats = percpu_get(maps, MAP_IFACE_STATS, &i, sizeof(*stats));
		if (!stats)
			return -errno;
		for (cpu = 0; cpu < maps->cpus; cpu++) {
			ret->passed += stats[cpu].passed;
			ret->forwarded += stats[cpu].forwarded;
			ret->dropped += stats[cpu].dropped;
			ret->bytes += stats[cpu].bytes;
		}
		free(stats);
	}
	ret->packets = ret->passed + ret->forwarded + ret->dropped;
	return err;
}

int maps__drops(struct maps *maps, uint64_t ret[LB_DROPS])
{
	uint32_t i;
	int err;

	for (i = 0; i < LB_DROPS; i++) {
		err = percpu_sum(maps, MAP_DROPS, &i, &ret[i], sizeof(ret[i]));
		if (err)
			return err;
	}
	return 0;
}

int maps__vip_drops(struct maps *maps, uint32_t id, uint64_t *ret)
{
	return percpu_sum(maps, MAP_VIP_DROPS, &id, ret, sizeof(*ret));
}

int maps__vip_past(struct maps *maps, uint32_t id, struct lb_count *ret)
{
	return bpf_map_lookup_elem(maps->fd[MAP_VIP_PAST], &id, ret);
}

int maps__vip_stats_clear(struct maps *maps, uint32_t id)
{
	struct lb_count none = {};
	int err = bpf_map_update_elem(maps->fd[MAP_VIP_PAST], &id, &none, BPF_ANY);

	return err ? err : percpu_clear(maps, MAP_VIP_DROPS, id, sizeof(uint64_t));
}

int maps__backend_stats(struct maps *maps, uint32_t index, struct lb_count *ret)
{
	struct lb_backend_stats *stats;
	int cpu;

	memset(ret, 0, sizeof(*ret));
	stats = percpu_get(maps, MAP_BACKEND_STATS, &index, sizeof(*stats));
	if (!stats)
		return -errno;
	for (cpu = 0; cpu < maps->cpus; cpu++) {
		ret->packets += stats[cpu].carried.packets;
		ret->bytes += stats[cpu].carried.bytes;
	}
	free(stats);
	return 0;
}

int maps__backend_stats_clear(struct maps *maps, uint32_t index)
{
	return percpu_clear(maps, MAP_BACKEND_STATS, index, sizeof(struct lb_backend_stats));
}

/* The interface's element, or a free one for it: the CPUs' copies. 0: there is none. */
static uint32_t iface_stats_find(struct maps *maps, uint32_t ifindex, bool make,
				 struct lb_iface_stats **ret)
{
	uint32_t i, slot, want;

	for (want = ifindex;; want = 0) {
		for (i = 0; i < LB_IFACE_PROBES; i++) {
			slot = (ifindex + i) & (LB_IFACE_SLOTS - 1);
			if (!slot)
				continue;
			*ret = percpu_get(maps, MAP_IFACE_STATS, &slot, sizeof(**ret));
			if (*ret && (*ret)->ifindex == want)
				return slot;
			free(*ret);
		}
		if (!want || !make)
			return 0;
	}
}

/* Names the element after its interface, or nobody. Its counts stay: they are of the whole. */
static int iface_stats_name(struct maps *maps, uint32_t ifindex, bool there)
{
	struct lb_iface_stats *stats;
	uint32_t slot = iface_stats_find(maps, ifindex, there, &stats);
	int cpu, err;

	if (!slot)
		return 0; /* five interfaces whose numbers are equal modulo 1024: counted as one */
	for (cpu = 0; cpu < maps->cpus; cpu++) {
		if (!stats[cpu].ifindex)
			stats[cpu].before =
				stats[cpu].passed + stats[cpu].forwarded + stats[cpu].dropped;
		stats[cpu].ifindex = there ? ifindex : 0;
	}
	err = bpf_map_update_elem(maps->fd[MAP_IFACE_STATS], &slot, stats, BPF_ANY);
	free(stats);
	return err;
}

int maps__iface_packets(struct maps *maps, uint32_t ifindex, uint64_t *ret)
{
	struct lb_iface_stats *stats;
	int cpu;

	*ret = 0;
	if (!iface_stats_find(maps, ifindex, false, &stats))
		return 0;
	for (cpu = 0; cpu < maps->cpus; cpu++)
		*ret += stats[cpu].passed + stats[cpu].forwarded + stats[cpu].dropped -
			stats[cpu].before;
	free(stats);
	return 0;
}

int maps__iface_get(struct maps *maps, uint32_t ifindex, struct lb_iface *ret)
{
	return bpf_map_lookup_elem(maps->fd[MAP_IFACES], &ifindex, ret);
}

int maps__iface_put(struct maps *maps, uint32_t ifindex, const struct lb_iface *iface)
{
	struct lb_iface old;
	int err = 0;

	if (maps__iface_get(maps, ifindex, &old)) /* no packets of it yet */
		err = iface_stats_name(maps, ifindex, true);
	return err ? err : bpf_map_update_elem(maps->fd[MAP_IFACES], &ifindex, iface, BPF_ANY);
}

int maps__iface_del(struct maps *maps, uint32_t ifindex)
{
	int err = bpf_map_delete_elem(maps->fd[MAP_IFACES], &ifindex);

	iface_stats_name(maps, ifindex, false);
	return err == -ENOENT ? 0 : err;
}

int maps__iface_next(struct maps *maps, const uint32_t *ifindex, uint32_t *ret_next)
{
	return bpf_map_get_next_key(maps->fd[MAP_IFACES], ifindex, ret_next);
}

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Opening the pinned maps; settings, VIPs, interfaces and counters in them. */
#include "maps.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "local_table.h"

const char *const map_names[MAPS] = {
	[MAP_SETTINGS] = "lb_settings",
	[MAP_LOCALS] = "lb_locals",
	[MAP_LOCAL_ADDRS] = "lb_local_addrs",
	[MAP_VIPS] = "lb_vips",
	[MAP_POOLS] = "lb_pools",
	[MAP_POOL_IDS] = "lb_pool_ids",
	[MAP_PREFIXES] = "lb_prefixes",
	[MAP_BACKENDS] = "lb_backends",
	[MAP_BACKEND_PORTS] = "lb_backend_ports",
	[MAP_BACKEND_NEXTHOPS] = "lb_backend_nexthops",
	[MAP_VIP_DROPS] = "lb_vip_drops",
	[MAP_VIP_PAST] = "lb_vip_past",
	[MAP_BACKEND_STATS] = "lb_backend_stats",
	[MAP_DROPS] = "lb_drops",
	[MAP_TOTALS] = "lb_totals",
	[MAP_IFACES] = "lb_ifaces",
	[MAP_ANNOUNCED] = "lb_announced",
	[MAP_IFACE_STATS] = "lb_iface_stats",
	[MAP_WAYS] = "lb_ways",
	[MAP_FLOW_SETS] = "lb_flow_sets",
	[MAP_FLOW_COLD] = "lb_flow_cold",
	[MAP_FLOWS] = "lb_flows",
	[MAP_HALF_OPEN] = "lb_half_open",
};

int maps__path(const char *dir, const char *what, const char *name, char *ret, size_t size)
{
	int n = snprintf(ret, size, "%s/%s%s%s", dir, what, name ? "/" : "", name ? name : "");

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static int map_open(const char *dir, enum maps_id id)
{
	char path[512];
	int err = maps__path(dir, "maps", map_names[id], path, sizeof(path));

	return err ? err : bpf_obj_get(path);
}

void *maps__mmap(int fd, size_t size, int prot)
{
	void *at = mmap(NULL, size, prot, MAP_SHARED, fd, 0);

	return at == MAP_FAILED ? NULL : at;
}

static int maps_map_arrays(struct maps *maps)
{
	int prot = PROT_READ | PROT_WRITE;

	maps->backends = maps__mmap(maps->fd[MAP_BACKENDS],
				    LB_MAX_BACKENDS * sizeof(*maps->backends), prot);
	maps->pool_ids = maps__mmap(maps->fd[MAP_POOL_IDS],
				    LB_MAX_VIPS * sizeof(*maps->pool_ids), prot);
	maps->local_addrs = maps__mmap(maps->fd[MAP_LOCAL_ADDRS],
				       LB_MAX_LOCALS * sizeof(*maps->local_addrs), prot);
	maps->locals =
		maps__mmap(maps->fd[MAP_LOCALS], LOCAL_SLOTS * sizeof(*maps->locals), prot);
	return maps->backends && maps->pool_ids && maps->local_addrs && maps->locals ? 0 : -ENOMEM;
}

int maps__open(const char *dir, struct maps *ret, uint32_t *ret_layout)
{
	struct lb_settings settings;
	int err, i;

	memset(ret, 0, sizeof(*ret));
	*ret_layout = 0;
	for (i = 0; i < MAPS; i++)
		ret->fd[i] = -1;
	if (snprintf(ret->dir, sizeof(ret->dir), "%s", dir) >= (int)sizeof(ret->dir))
		return -ENAMETOOLONG;
	ret->cpus = libbpf_num_possible_cpus();
	if (ret->cpus < 0)
		return ret->cpus;
	for (i = 0; i < MAPS; i++) {
		ret->fd[i] = map_open(dir, i);
		if (ret->fd[i] >= 0)
			continue;
		err = ret->fd[i];
		ret->fd[i] = -1;
		if (err == -ENOENT && i >= MAP_FLOW_SETS)
			continue; /* not attached yet */
		/* lb_settings is pinned last, so without the others it is another layout's */
		err = err == -ENOENT && i > MAP_SETTINGS ? -EPROTO : err;
		goto fail;
	}
	err = maps__settings(ret, &settings);
	if (err) {
		err = -EPROTO;
		goto fail;
	}
	*ret_layout = settings.layout;
	err = settings.layout == LB_LAYOUT_VERSION ? maps_map_arrays(ret) : -EPROTO;
	if (!err)
		return 0;
fail:
	maps__close(ret);
	return err;
}

void maps__close(struct maps *maps)
{
	int i;

	if (maps->backends)
		munmap(maps->backends, LB_MAX_BACKENDS * sizeof(*maps->backends));
	if (maps->pool_ids)
		munmap(maps->pool_ids, LB_MAX_VIPS * sizeof(*maps->pool_ids));
	if (maps->local_addrs)
		munmap(maps->local_addrs, LB_MAX_LOCALS * sizeof(*maps->local_addrs));
	if (maps->locals)
		munmap(maps->locals, LOCAL_SLOTS * sizeof(*maps->locals));
	maps->backends = NULL;
	maps->pool_ids = NULL;
	maps->local_addrs = NULL;
	maps->locals = NULL;
	for (i = 0; i < MAPS; i++) {
		if (maps->fd[i] >= 0)
			close(maps->fd[i]);
		maps->fd[i] = -1;
	}
}

int maps__settings(struct maps *maps, struct lb_settings *ret)
{
	struct bpf_map_info info = {};
	uint32_t zero = 0, size = sizeof(info);
	int err = bpf_obj_get_info_by_fd(maps->fd[MAP_SETTINGS], &info, &size);

	if (err)
		return err;
	if (info.value_size != sizeof(*ret)) /* the kernel would write its size, not ours */
		return -EPROTO;
	return bpf_map_lookup_elem(maps->fd[MAP_SETTINGS], &zero, ret);
}

int maps__settings_put(struct maps *maps, const struct lb_settings *settings)
{
	uint32_t zero = 0;

	return bpf_map_update_elem(maps->fd[MAP_SETTINGS], &zero, settings, BPF_ANY);
}

int maps__vip_get(struct maps *maps, const struct lb_service_key *key, struct lb_vip *ret)
{
	return bpf_map_lookup_elem(maps->fd[MAP_VIPS], key, ret);
}

int maps__vip_put(struct maps *maps, const struct lb_service_key *key, const struct lb_vip *vip)
{
	return bpf_map_update_elem(maps->fd[MAP_VIPS], key, vip, BPF_ANY);
}

int maps__vip_del(struct maps *maps, const struct lb_service_key *key)
{
	return bpf_map_delete_elem(maps->fd[MAP_VIPS], key);
}

int maps__vip_each(struct maps *maps,
		   int (*each)(const struct lb_service_key *key, const struct lb_vip *vip, void *arg),
		   void *arg)
{
	struct lb_service_key key, *at = NULL;
	struct lb_vip vip;
	unsigned int n = 0;
	int err;

	/* Bounded: a walk that restarts because its key was deleted under it must end. */
	while (n++ < 4 * LB_MAX_VIPS) {
		err = bpf_map_get_next_key(maps->fd[MAP_VIPS], at, &key);
		if (err)
			return err == -ENOENT ? 0 : err;
		at = &key;
		if (maps__vip_get(maps, &key, &vip))
			continue;
		err = each(&key, &vip, arg);
		if (err)
			return err;
	}
	return -EAGAIN;
}

static int settings_of(uint32_t map_id, struct lb_settings *ret, int *ret_fd)
{
	struct bpf_map_info info = {};
	uint32_t zero = 0, size = sizeof(info);
	int fd = bpf_map_get_fd_by_id(map_id), err;

	if (fd < 0)
		return fd;
	err = bpf_obj_get_info_by_fd(fd, &info, &size);
	if (!err && (strcmp(info.name, map_names[MAP_SETTINGS]) || info.value_size != sizeof(*ret)))
		err = -ENOENT;
	if (!err)
		err = bpf_map_lookup_elem(fd, &zero, ret);
	if (err)
		close(fd);
	else
		*ret_fd = fd;
	return err;
}

int maps__other_balancer(uint64_t netns, int own_settings_fd, struct lb_settings *ret, int *ret_fd)
{
	struct bpf_map_info own = {};
	uint32_t id = 0, size = sizeof(own);
	int err = bpf_obj_get_info_by_fd(own_settings_fd, &own, &size);

	while (!err && !(err = bpf_map_get_next_id(id, &id))) {
		if (id == own.id || settings_of(id, ret, ret_fd))
			continue;
		if (ret->netns == netns)
			return 0;
		close(*ret_fd);
	}
	return err;
}

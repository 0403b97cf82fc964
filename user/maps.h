/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The pinned maps, which are all the state there is. Only maps*.c and loader.c call bpf(2).
 * Functions return 0 or -errno unless they say more. Changes are made under the lock.
 */
#ifndef LBCTL_MAPS_H
#define LBCTL_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ct_slot.h"
#include "ct_state.h"
#include "lb_abi.h"
#include "lb_drops.h"

enum maps_id {
	MAP_SETTINGS,
	MAP_LOCALS,
	MAP_LOCAL_ADDRS,
	MAP_VIPS,
	MAP_POOLS,
	MAP_POOL_IDS,
	MAP_PREFIXES,
	MAP_BACKENDS,
	MAP_BACKEND_PORTS,
	MAP_BACKEND_NEXTHOPS,
	MAP_VIP_DROPS,
	MAP_VIP_PAST,
	MAP_BACKEND_STATS,
	MAP_DROPS,
	MAP_TOTALS,
	MAP_IFACES,
	MAP_ANNOUNCED,
	MAP_IFACE_STATS,
	MAP_WAYS,
	MAP_FLOW_SETS, /* from the first attach on there are two of these four */
	MAP_FLOW_COLD,
	MAP_FLOWS,
	MAP_HALF_OPEN,
	MAPS,
};

extern const char *const map_names[MAPS];

struct maps {
	char dir[256];
	int fd[MAPS];		      /* -1: not there */
	struct lb_backend *backends;  /* mapped, LB_MAX_BACKENDS */
	uint32_t *pool_ids;	      /* mapped, LB_MAX_VIPS; see maps__pool_get() */
	struct lb_addr *local_addrs;  /* mapped, LB_MAX_LOCALS */
	struct lb_local *locals;      /* mapped, LOCAL_SLOTS */
	int cpus;		      /* possible CPUs: copies of a per-CPU value */
};

/* DIR/maps/NAME and so on; what: "maps", "programs", "links". -ENAMETOOLONG. */
int maps__path(const char *dir, const char *what, const char *name, char *ret, size_t size);

/*
 * -ENOENT: no balancer there. -EPROTO: maps of another layout (*ret_layout is theirs, 0 if not
 * even that can be read).
 */
int maps__open(const char *dir, struct maps *ret, uint32_t *ret_layout);
void maps__close(struct maps *maps);

/* A map's memory; NULL: errno. To be unmapped. */
void *maps__mmap(int fd, size_t size, int prot);

int maps__settings(struct maps *maps, struct lb_settings *ret);
int maps__settings_put(struct maps *maps, const struct lb_settings *settings);

/* VIPs. put creates or replaces in one step. */
int maps__vip_get(struct maps *maps, const struct lb_service_key *key, struct lb_vip *ret);
int maps__vip_put(struct maps *maps, const struct lb_service_key *key, const struct lb_vip *vip);
int maps__vip_del(struct maps *maps, const struct lb_service_key *key);
/* What each() returns, if not 0, ends the walk and is returned. */
int maps__vip_each(struct maps *maps,
		   int (*each)(const struct lb_service_key *key, const struct lb_vip *vip, void *arg),
		   void *arg);

/*
 * Pools. put publishes a new one in one step, and returns when no packet uses the old one any more.
 * get reads the members and slots_n only, not the slots. -ENOENT.
 */
int maps__pool_get(struct maps *maps, uint16_t vip_id, struct lb_pool *ret);
int maps__pool_put(struct maps *maps, uint16_t vip_id, const struct lb_pool *pool);
int maps__pool_del(struct maps *maps, uint16_t vip_id);
/* Whether there may be a pool: true also where a command was killed while it made or removed one. */
bool maps__pool_used(const struct maps *maps, uint16_t vip_id);

/* Lists of prefixes (maps_lists.c). matches: it, or one that holds it. del: -ENOENT. put: -ENOSPC. */
bool maps__prefix_matches(struct maps *maps, const struct lb_prefix *prefix);
int maps__prefix_put(struct maps *maps, const struct lb_prefix *prefix);
int maps__prefix_del(struct maps *maps, const struct lb_prefix *prefix);
/* each() may remove them. */
int maps__prefix_each(struct maps *maps, int (*each)(const struct lb_prefix *, void *), void *arg);

/* Where VIPs are announced. -ENOENT. */
int maps__announced_get(struct maps *maps, const struct lb_announced_key *key, struct lb_announced *ret);
int maps__announced_put(struct maps *maps, const struct lb_announced_key *key,
			const struct lb_announced *announced);
int maps__announced_del(struct maps *maps, const struct lb_announced_key *key);
/* each() may remove its own. What it returns, if not 0, ends the walk and is returned. */
int maps__announced_each(struct maps *maps, int (*each)(const struct lb_announced_key *, void *),
			 void *arg);

/* Backends. add takes the free index that has been free longest; -ENOSPC. */
int maps__backend_add(struct maps *maps, const struct lb_backend *backend,
		      const struct lb_nexthop *nexthop, struct lb_backend_ref *ret_ref);
/* The next hop that serves while the kernel has no neighbour entry; ifindex 0: none. */
int maps__backend_nexthop_put(struct maps *maps, uint32_t index, const struct lb_nexthop *nexthop);
void maps__backend_del(struct maps *maps, uint32_t index); /* its flows are stale from now on */
static inline bool maps__backend_used(const struct maps *maps, uint32_t index)
{
	return index < LB_MAX_BACKENDS && maps->backends[index].gen & 1;
}

/* Whether a backend's address and port is one that backends answer from, after it came or went. */
int maps__backend_port_sync(struct maps *maps, const struct lb_backend *backend);

/*
 * Local ids. get makes one if there is none and adds flags, and bits for ports of VIPs, to it. 0 is
 * never given out.
 */
int maps__local_get(struct maps *maps, const struct lb_addr *addr, uint16_t flags, uint64_t ports,
		    uint16_t *ret_id);
/* -ENOENT */
int maps__local_find(struct maps *maps, const struct lb_addr *addr, struct lb_local *ret);
/* Sets the flags and ports of all, by id: flags 0 removes the address. LB_MAX_LOCALS elements. */
void maps__locals_sync(struct maps *maps, const uint16_t *flags, const uint64_t *ports);

/* Counters, summed over CPUs. */
struct maps_totals {
	struct lb_totals rare;
	uint64_t packets;
	uint64_t bytes;
	uint64_t passed;
	uint64_t forwarded;
	uint64_t dropped;
};

int maps__totals(struct maps *maps, struct maps_totals *ret);
int maps__drops(struct maps *maps, uint64_t ret[LB_DROPS]);
int maps__vip_drops(struct maps *maps, uint32_t id, uint64_t *ret);
/* Carried by backends that the VIP has no more. */
int maps__vip_past(struct maps *maps, uint32_t id, struct lb_count *ret);
int maps__backend_stats(struct maps *maps, uint32_t index, struct lb_count *ret);
int maps__vip_stats_clear(struct maps *maps, uint32_t id);
int maps__backend_stats_clear(struct maps *maps, uint32_t index);
int maps__iface_packets(struct maps *maps, uint32_t ifindex, uint64_t *ret);

int maps__iface_get(struct maps *maps, uint32_t ifindex, struct lb_iface *ret);
int maps__iface_put(struct maps *maps, uint32_t ifindex, const struct lb_iface *iface);
int maps__iface_del(struct maps *maps, uint32_t ifindex);
int maps__iface_next(struct maps *maps, const uint32_t *ifindex, uint32_t *ret_next); /* -ENOENT */

/* Flows (maps_flows.c). */
struct flow {
	struct ct_key key;  /* the half that clients' packets find */
	struct ct_key peer; /* the other; local 0: there is none */
	struct lb_backend_ref backend;
	struct lb_addr to; /* the backend's address and port */
	__be16 to_port;
	uint16_t vip;
	uint16_t outer; /* local id of a tunnel's outer source */
	uint8_t method;
	uint32_t created; /* low 32 bits of jiffies */
	uint32_t idle;	  /* jiffies, of the pair */
	uint32_t timeout; /* jiffies */
	struct lb_count in;
	struct lb_count out;
	bool expired; /* or its backend is gone; awaits collection */
	bool half_open;
	enum ct_state state;
};

/* Low 32 bits of the kernel's jiffies. */
int maps__now(uint32_t *ret);
/* Every flow once. -ENOENT: never attached. with_out: look the other half up, too. */
int maps__flow_each(struct maps *maps, bool with_out, int (*each)(const struct flow *, void *),
		    void *arg);
/* Ends the halves for which match() is true, in the kernel. *ret_n: flows (pairs) ended. */
int maps__flow_reap(struct maps *maps, enum lb_reap_mode mode,
		    bool (*match)(const struct flow *, void *), void *arg, uint64_t *ret_n);

/* The flow table as such (maps_table.c): every half, of either kind of table. */
struct maps_half {
	struct ct_key key;
	uint32_t slot; /* LB_TABLE_ASSOC */
	struct ct_flow flow;
	struct ct_cold cold;
};

struct maps_table;

/* -ENOENT: there is none yet. */
int maps__table_open(struct maps *maps, struct maps_table **ret);
void maps__table_close(struct maps_table *table);
/* What is added or removed meanwhile may be missed. */
int maps__table_each(struct maps_table *table, int (*each)(const struct maps_half *, void *),
		     void *arg);
int maps__table_find(struct maps_table *table, const struct ct_key *key, struct ct_flow *ret);
static inline bool maps__table_exists(const struct maps *maps)
{
	return maps->fd[MAP_FLOW_SETS] >= 0 || maps->fd[MAP_FLOWS] >= 0;
}

/* Of another balancer in this network namespace: the first found. -ENOENT: there is none. */
int maps__other_balancer(uint64_t netns, int own_settings_fd, struct lb_settings *ret,
			 int *ret_fd);

#endif

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What a balancer can be told, between commands and maps. Every change is published by one step
 * (the VIP's entry, or its pool), what it needs being there before and what it leaves being cleared
 * after; a change cut short is cleared up by whoever comes next. Functions return 0 or -errno and
 * say why in error; notes for the operator go through note().
 */
#ifndef LBCTL_BALANCER_H
#define LBCTL_BALANCER_H

#include <stdbool.h>
#include <stdint.h>

#include "loader.h"
#include "maps.h"
#include "netlink.h"
#include "text.h"

struct balancer {
	struct maps maps;
	struct nl *nl; /* NULL when only reading */
	int lock;      /* -1: not held */
	bool created;  /* by this call: a change that fails leaves none behind */
	bool failed;   /* set by whoever made the change */
	char dir[256];
	void (*note)(const char *text); /* what the operator should know; never NULL when writing */
};

/* For looking: no lock, nothing is changed. -ENOENT: there is no balancer. */
int balancer__open(struct balancer *b, const char *dir, struct text_error *error);

/* For changing: takes the lock. create: makes the balancer if there is none yet. */
int balancer__open_locked(struct balancer *b, const char *dir, bool create,
			  void (*note)(const char *text), struct text_error *error);
void balancer__close(struct balancer *b);

/* Bits of lb_local.ports that let a VIP's packets in. */
uint64_t balancer__port_bits(const struct lb_service_key *key);

/* Removes what no VIP refers to: backends, pools, addresses. */
int balancer__sync(struct balancer *b);

/* New flows a second and CPU, unless attach says otherwise: what takes a CPU a third of its time. */
#define BALANCER_NEW_RATE 500000

#define BALANCER_ALLOW_MAX 256 /* prefixes of a VIP */

/* Options of add-vip and set-vip. */
struct vip_options {
	int method;
	int scheduler;
	int hash;
	bool force;
	bool has_snat;
	struct lb_addr snat[LB_SNAT_MAX];
	size_t snat_n;
	uint32_t timeout_ms[CT_STATES]; /* 0: as it is */
	bool has_persist;
	uint32_t persist_ms; /* 0: none */
	bool has_new_rate;
	uint32_t new_rate; /* 0: no limit */
	const char *announce; /* interface, or "none"; NULL: as it is */
	bool has_allow;
	struct lb_prefix allow[BALANCER_ALLOW_MAX];
	size_t allow_n; /* 0: everybody */
};

int balancer__add_vip(struct balancer *b, const struct service *service,
		      const struct vip_options *options, struct text_error *error);
int balancer__set_vip(struct balancer *b, const struct service *service,
		      const struct vip_options *options, struct text_error *error);
int balancer__del_vip(struct balancer *b, const struct service *service, struct text_error *error);

/*
 * Has the announced addresses be what VIPs say, and tells neighbours of what is new; on this interface (0:
 * none) of all.
 */
int balancer__announce_sync(struct balancer *b, uint32_t ifindex);
/* Before everything goes. */
void balancer__announce_end(struct balancer *b);
/* Looks up where a VIP is to be announced; "none": 0. */
int balancer__announce_on(struct balancer *b, const struct lb_addr *addr, const char *iface,
			  uint32_t *ret_ifindex, struct text_error *error);

/* Clients that open no flows; a prefix of LB_LIST_DENY. -EEXIST, -ENOENT. */
int balancer__deny_add(struct balancer *b, const struct lb_prefix *prefix, struct text_error *error);
int balancer__deny_del(struct balancer *b, const struct lb_prefix *prefix, struct text_error *error);
/* A new list, for a VIP's entry to name; n 0: list 0, which allows everybody. */
int balancer__allow_make(struct balancer *b, const struct lb_prefix *prefixes, size_t n,
			 uint32_t *ret_list, struct text_error *error);
/* Removes what is on no list but these n. */
int balancer__lists_sync(struct balancer *b, const uint32_t *lists, size_t n);

int balancer__add_backend(struct balancer *b, const struct service *service,
			  const struct endpoint *backend, uint16_t weight,
			  struct text_error *error);

struct backend_options {
	bool has_weight;
	bool has_admin;
	uint16_t weight;
	enum lb_admin admin;
};

int balancer__set_backend(struct balancer *b, const struct service *service,
			  const struct endpoint *backend, const struct backend_options *options,
			  struct text_error *error);
int balancer__del_backend(struct balancer *b, const struct service *service,
			  const struct endpoint *backend, struct text_error *error);

/* Finds a VIP, or a member of its pool; the errors name the one that is missing. */
int balancer__find_vip(struct balancer *b, const struct service *service, struct lb_vip *ret,
		       struct text_error *error);
int balancer__find_backend(struct balancer *b, const struct service *service,
			   const struct endpoint *backend, struct lb_pool_member *ret,
			   struct text_error *error);

/* Publishes a VIP's pool again, as its scheduler wants it. */
int balancer__reschedule(struct balancer *b, const struct service *service, struct text_error *error);

enum lb_admin balancer__member_state(const struct lb_pool_member *member);

/* Writes what the host says of source ports to the settings. */
int balancer__refresh_ports(struct balancer *b, struct text_error *error);

/*
 * Next hop of an address: asked for, and kept resolved where the kernel can. Notes what fails; ret is
 * written on success only.
 */
int balancer__resolve(struct balancer *b, const struct lb_addr *addr, struct lb_nexthop *ret);

/*
 * The address that this host would use toward a backend, so that replies come back here; if that is a VIP,
 * another of the same link, where there is one.
 * -ENETUNREACH: it has none that the backend could answer to.
 */
int balancer__source(struct balancer *b, const struct lb_addr *addr, struct lb_addr *ret);

/* Whether a VIP of this method can have such a backend; else error says why not. port: host order. */
int balancer__method_fits(struct balancer *b, const struct service *service, enum lb_method method,
			  const struct lb_addr *backend, uint16_t port, struct text_error *error);

/* Of a family, what attach found there. */
__s32 *balancer__lo_forwarding(struct lb_settings *settings, int family);

/* Notes an interface toward backends that the balancer isn't attached to. */
void balancer__note_unattached(struct balancer *b, uint32_t ifindex);

enum attach_mode {
	ATTACH_AUTO,
	ATTACH_NATIVE,
	ATTACH_GENERIC,
};

/* What attach is asked for. */
struct attach_wish {
	int mode;	/* enum attach_mode */
	uint32_t flows; /* 0: not given */
	int table;	/* enum lb_table; -1: not given */
	bool has_new_rate;
	uint32_t new_rate; /* 0: no limit */
};

/*
 * attach.c. say() gets the line that tells mode and reason. *ret_new: it was not attached before. check: whether the interface is there, and free or ours.
 */
/* Of all interfaces of one attach, when they are on. */
void balancer__attach_notes(struct balancer *b);
int balancer__links_sync(struct balancer *b, struct text_error *error); /* before the others */
int balancer__attach_check(struct balancer *b, const char *iface, struct text_error *error);
int balancer__attach(struct balancer *b, const char *iface, const struct attach_wish *wish,
		     void (*say)(const char *text), bool *ret_new, struct text_error *error);
/* New flows a second and CPU that are tracked; 0: no limit. */
/* May packets from backends' addresses be replies of method nat? */
int balancer__nat_use(struct balancer *b, bool use);

/* Before a VIP's method becomes nat: keeps a backend's address as one that its replies come from. */
int balancer__nat_backend(struct balancer *b, const struct lb_addr *addr, uint16_t *ret_own,
			  struct text_error *error);

int balancer__set_new_rate(struct balancer *b, uint32_t rate, struct text_error *error);
int balancer__detach_check(struct balancer *b, const char *iface, struct text_error *error);
int balancer__detach(struct balancer *b, const char *iface, struct text_error *error);
int balancer__detach_all(struct balancer *b, struct text_error *error);
/* detach.c: one pinned link, and the programs that no interface runs. */
void balancer__clsact_remove(struct balancer *b, uint32_t ifindex, bool made_qdisc);
int balancer__detach_link(struct balancer *b, const char *iface, const struct loader_link *link);
void balancer__unpin_unused(struct balancer *b);
int balancer__unload(const char *dir, void (*note)(const char *text), struct text_error *error);

#endif

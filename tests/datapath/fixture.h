/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The real programs, loaded as one attach mode loads them, with state written straight into their
 * maps: services, backends, flows, settings.
 */
#ifndef FIXTURE_H
#define FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lb_abi.h"
#include "lb_drops.h"
#include "lab.h"

enum variant {
	NATIVE,
	GENERIC,
	VARIANTS,
};

/* The services; each has what its scenarios need. */
enum service_id {
	SVC_TCP,
	SVC_UDP,
	SVC_ANY, /* every port of LAB_VIP2 */
	SVC_ANY_UDP,
	SVC_ANY_80,  /* one port of it apart */
	SVC_FAR,     /* backend behind the other interface */
	SVC_EMPTY,   /* no backend */
	SVC_NO_SNAT, /* no source address known */
	SVC_DARK,    /* backend without neighbour entry */
	SVC_BLACKHOLE,
	SVC_UNREACHABLE,
	SVC_PROHIBIT,
	SVC_NOWHERE,
	SVC_LOCAL,    /* the backend is the host itself */
	SVC_SNATS,    /* two source addresses */
	SVC_WEIGHTED, /* 3 : 1 */
	SVC_SOLO,     /* one backend: all flows compete for its ports */
	SVC_SOLO_UDP,
	SERVICES,
};

#define SERVICE_BACKENDS 2

struct service {
	uint32_t vip;
	uint16_t port;
	uint8_t proto;
	bool no_snat;
	uint32_t snat[2]; /* 0: the backend's */
	struct {
		uint32_t ip; /* 0: none */
		uint16_t port;
		uint16_t weight; /* 0: 1 */
	} backends[SERVICE_BACKENDS];
};

extern const struct service services[SERVICES];

/* Seconds; different for each state, so that a flow's timeout tells its state. */
extern const uint32_t fixture_timeout_s[CT_STATES];

#define CPUS_MAX 256

#define PORT_LO	 10000
#define PORT_MID 19999
#define PORT_HI	 61000 /* to 65535 */

struct fixture {
	struct lb_bpf *skel;
	enum variant variant;
	uint32_t hz;
	int cpus;
	uint32_t gen[SERVICES][SERVICE_BACKENDS];
	int pools[SERVICES];  /* inner maps */
	bool clean[SERVICES]; /* pool as at the start */
	uint16_t ports[4];    /* lo, hi, lo, hi */
	struct lb_pool *pool; /* scratch */
};

/* Counters, summed over the CPUs. */
struct counters {
	struct lb_totals totals;
	uint64_t drops[LB_DROPS];
};

int fixture__open(struct fixture *fx, enum variant variant);
void fixture__close(struct fixture *fx);

/* Everything as at the start: no flows, all backends there, default settings. */
int fixture__reset(struct fixture *fx);

int fixture__set_ports(struct fixture *fx, uint16_t lo, uint16_t hi, uint16_t lo2, uint16_t hi2);

/* Stamps a backend's generation anew: 0 removes it, 1 removes it and adds it again. */
int fixture__bump_backend(struct fixture *fx, enum service_id id, int n, int back);

/* A pool of these weights; 0 and 0: no slots. */
int fixture__set_weights(struct fixture *fx, enum service_id id, unsigned int a, unsigned int b);

/* A VIP's own idle time for a state; 0: the general one. */
int fixture__set_timeout(struct fixture *fx, enum service_id id, enum ct_state state,
			 uint32_t seconds);

int fixture__read(struct fixture *fx, struct counters *ret);
struct lb_count fixture__backend_count(struct fixture *fx, uint32_t index);
struct lb_vip_stats fixture__vip_stats(struct fixture *fx, enum service_id id);

uint64_t fixture__iface_packets(struct fixture *fx, enum lab_iface iface);

uint32_t fixture__backend_index(enum service_id id, int n);
uint16_t fixture__local_id(uint32_t ip);
struct ct_key fixture__key(uint8_t proto, uint32_t remote, uint16_t remote_port, uint32_t local,
			   uint16_t local_port);

/* What running the packet path once gave. */
struct outcome {
	int action; /* enum xdp_action */
	size_t len;
	size_t meta_len;
	uint8_t meta[64];
	uint8_t bytes[4096];
};

int fixture__run(struct fixture *fx, const uint8_t *bytes, size_t len, uint32_t ifindex,
		 struct outcome *ret);

/* lb_reap: how many flows it ended, or -errno. */
int fixture__reap(struct fixture *fx, enum lb_reap_mode mode, const struct ct_key *keys,
		  unsigned int n);

enum flow_place {
	FLOW_NONE,
	FLOW_HALF_OPEN,
	FLOW_ESTABLISHED,
};

enum flow_place fixture__flow_get(struct fixture *fx, const struct ct_key *key,
				  struct ct_flow *ret);
int fixture__flow_set(struct fixture *fx, const struct ct_key *key, const struct ct_flow *flow);
int fixture__flow_delete(struct fixture *fx, const struct ct_key *key);
int fixture__flows_n(struct fixture *fx);

#endif

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The real programs, loaded as one attach mode and one flow table load them, with state written
 * straight into their maps: services, backends, flows, settings.
 */
#ifndef FIXTURE_H
#define FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ct_slot.h"
#include "lb_abi.h"
#include "lb_drops.h"
#include "lab.h"

enum variant {
	NATIVE,
	GENERIC,
	VARIANTS,
};

#define FLOW_TABLES 2 /* enum lb_table */

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
	SVC_IPIP, /* method ipip, as those that follow */
	SVC_IPIP_UDP,
	SVC_IPIP_FAR,
	SVC_IPIP_SOLO,
	SVC_IPIP_NO_SNAT,
	SVC_IPIP_SNATS,
	SVC_DSR_ROUTED, /* method dsr, and a router on the way to the backend */
	SVC_SOURCE, /* a client's flows go to one backend */
	SERVICES,
};

#define SERVICE_BACKENDS 2

/* How packets go to backends of method ipip's services; what replies they have don't pass here. */
enum one_way {
	TUNNEL,	      /* in an outer header of their own family */
	TUNNEL_OTHER, /* of the other */
	DIRECT,	      /* by method dsr instead */
	UDP_TUNNEL,   /* by gue */
	UDP_TUNNEL_OTHER,
	ONE_WAYS,
};

extern enum one_way fixture_one_way;

/* Services of method fullnat have method nat. */
extern bool fixture_nat;

struct service {
	uint32_t vip;
	uint16_t port;
	uint8_t proto;
	uint8_t method;
	uint8_t hash;
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

/* Seconds that are longer than such a timeout, however it was rounded, and short of it. */
#define PAST(state)   (fixture_timeout_s[state] + fixture_timeout_s[state] / 1000 + 3)
#define WITHIN(state) (fixture_timeout_s[state] - 1)

#define CPUS_MAX 256

#define PORT_LO	 10000
#define PORT_MID 19999
#define PORT_HI	 61000 /* to 65535 */

#define SETS_BITS      12 /* of the flow table: 32768 slots */
#define TINY_SETS_BITS 1

struct fixture {
	struct lb_bpf *skel;
	bool has_context; /* test runs take a struct xdp_md here, and give it back */
	bool says_mtu;	  /* bpf_fib_lookup() answers the route's MTU (Linux 5.12) */
	int ingress_fd;	  /* old.bpf.c: the map that tells the interface; else -1 */
	enum variant variant;
	enum lb_table table;
	uint32_t sets_bits;
	__u64 factors[CT_HASH_WORDS];
	struct ct_set *sets; /* LB_TABLE_ASSOC: mapped */
	struct ct_cold_set *cold;
	struct fixture *other; /* LB_TABLE_ASSOC: the same with the other kind of flow table */
	struct fixture *tiny;  /* LB_TABLE_ASSOC: the same with a flow table of two sets */
	uint32_t hz;
	int cpus;
	uint32_t fib_generation;
	uint32_t gen[SERVICES][SERVICE_BACKENDS];
	int pools[SERVICES];  /* inner maps */
	bool clean[SERVICES]; /* pool as at the start */
	uint16_t ports[4];    /* lo, hi, lo, hi */
	uint16_t reply_ports[4];
	struct lb_pool *pool; /* scratch */
};

/* Counters, summed over the CPUs. */
struct counters {
	struct lb_totals totals;
	uint64_t drops[LB_DROPS];
	struct lb_iface_stats ifaces[LAB_IFACES];
	struct lb_iface_stats stray; /* of an interface that has no counters */
};

int fixture__open(struct fixture *fx, enum variant variant, enum lb_table table,
		  uint32_t sets_bits);
void fixture__close(struct fixture *fx);

/* Everything as at the start: no flows, all backends there, default settings. */
int fixture__reset(struct fixture *fx);

int fixture__set_ports(struct fixture *fx, uint16_t lo, uint16_t hi, uint16_t lo2, uint16_t hi2);

/* Where replies are looked for; after set_ports, which makes it the same. */
int fixture__set_reply_ports(struct fixture *fx, uint16_t lo, uint16_t hi);

/* Says that routes or neighbours have changed, as lbctl does. */
int fixture__new_routes(struct fixture *fx);

/* Stamps a backend's generation anew: 0 removes it, 1 removes it and adds it again. */
int fixture__bump_backend(struct fixture *fx, enum service_id id, int n, int back);

/* The same, and another address stands at its index now. */
int fixture__replace_backend(struct fixture *fx, enum service_id id, int n, uint32_t ip);

/* A pool of these weights; 0 and 0: no slots. */
int fixture__set_weights(struct fixture *fx, enum service_id id, unsigned int a, unsigned int b);
/* Seconds, until the next scenario; and makes what is remembered of clients older. */
int fixture__set_persist(struct fixture *fx, enum service_id id, uint32_t seconds);
void fixture__age_persist(struct fixture *fx, uint32_t seconds);
int fixture__close_backend(struct fixture *fx, enum service_id id, int n);
/* The first backend by hash; by turns so many times the first, then once the second. */
int fixture__set_turns(struct fixture *fx, enum service_id id, unsigned int first);

/* A VIP's own idle time for a state; 0: the general one. */
int fixture__set_timeout(struct fixture *fx, enum service_id id, enum ct_state state,
			 uint32_t seconds);

/* The method of a VIP's new flows. */
int fixture__set_method(struct fixture *fx, enum service_id id, enum lb_method method);

/* Datagrams in fragments and their identifications as at the start; not part of the reset, since it takes long. */
int fixture__forget_datagrams(struct fixture *fx);

/* The limit of ICMP errors begins anew. */
int fixture__forget_reports(struct fixture *fx);

int fixture__read(struct fixture *fx, struct counters *ret);
struct lb_count fixture__backend_count(struct fixture *fx, uint32_t index);
uint64_t fixture__vip_drops(struct fixture *fx, enum service_id id);

/* The method of a service's new flows, and whether its backends have IPv6 addresses. */
enum lb_method fixture__method(enum service_id id);
bool fixture__is_tunnel(enum service_id id);
bool fixture__backends_v6(enum service_id id);

uint32_t fixture__backend_index(enum service_id id, int n);
struct lb_backend fixture__backend(struct fixture *fx, uint32_t index);
uint16_t fixture__local_id(uint32_t ip);
struct lb_addr fixture__addr(uint32_t ip);
struct lb_addr fixture__local_addr(uint16_t id);
struct ct_key fixture__key(uint8_t proto, uint32_t remote, uint16_t remote_port, uint32_t local,
			   uint16_t local_port);

/* What running the packet path once gave. */
struct outcome {
	int action; /* enum xdp_action */
	size_t len;
	size_t meta_len; /* 0 without has_context */
	uint8_t meta[64];
	uint8_t bytes[4096];
};

/* On which interface the packets of test runs come in; 0: frames come in on real ones now. */
int fixture__set_ingress(struct fixture *fx, uint32_t ifindex);

int fixture__run(struct fixture *fx, const uint8_t *bytes, size_t len, uint32_t ifindex,
		 struct outcome *ret);

#endif

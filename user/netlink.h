/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What lbctl asks the kernel over rtnetlink: links, routes, neighbours, addresses, clsact. All
 * functions return 0 or -errno unless they say more; nl__error() holds the kernel's own words.
 */
#ifndef NETLINK_H
#define NETLINK_H

#include <linux/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "../common/lb_abi.h"

struct nl;

int nl__open(struct nl **ret);
void nl__close(struct nl *nl);
/* What the kernel said about the last request that failed; "" if it said nothing. */
const char *nl__error(const struct nl *nl);

struct nl_link {
	uint32_t ifindex;
	char name[IFNAMSIZ];
	char kind[16]; /* "veth", "bridge", ...; "": none, such as a physical device or lo */
	bool ethernet; /* frames have Ethernet headers, so mac is valid; lo too */
	uint8_t mac[6];
	uint32_t mtu;
	bool up;	       /* by the administrator */
	bool running;	       /* up and has carrier */
	uint32_t link;	       /* ifindex of a veth's peer, of a macvlan's lower device; 0: none */
	int32_t link_netnsid;  /* of that interface; -1: this namespace */
	uint32_t master;       /* ifindex of the bridge it is a port of; 0: none */
	uint32_t gso_max_size; /* 0: not told */
	uint8_t xdp_mode;      /* XDP_ATTACHED_*; several modes at once: XDP_ATTACHED_MULTI */
	uint32_t xdp_prog;     /* id of the program, of any one of them if several; 0: none */
	uint32_t xdp_native;   /* ids by mode; 0: none */
	uint32_t xdp_generic;
	uint32_t xdp_offload;
};

/* -ENODEV: there is none. An alternative name will do too. */
int nl__link_get(struct nl *nl, const char *name, struct nl_link *ret);
int nl__link_get_index(struct nl *nl, uint32_t ifindex, struct nl_link *ret);

/*
 * The lists are taken whole, then handed out: a callback may use nl itself. What it returns, if
 * not 0, ends the walk and is returned.
 */
int nl__link_list(struct nl *nl, int (*each)(const struct nl_link *link, void *arg), void *arg);

struct nl_route {
	uint8_t type; /* RTN_UNICAST, RTN_LOCAL, RTN_BLACKHOLE, RTN_UNREACHABLE, RTN_PROHIBIT, ...
		       */
	uint32_t oif; /* 0 where packets are refused */
	bool has_gateway;
	struct lb_addr gateway; /* may be IPv6 for an IPv4 destination */
	struct lb_addr nexthop; /* whose MAC packets need: the gateway, else the destination */
	bool has_src;
	struct lb_addr src; /* the address this host would send from */
	uint32_t mtu;	    /* of the route or of the path; 0: the interface's */
};

/* -ENETUNREACH: no route. A route that refuses packets is an answer: see type. */
int nl__route_get(struct nl *nl, const struct lb_addr *dst, struct nl_route *ret);

/*
 * Gateways of the default routes out of an interface, of all tables, each once. family: AF_INET
 * or AF_INET6. *ret_n: how many there are, at most max.
 */
int nl__route_default(struct nl *nl, uint32_t ifindex, int family, struct lb_addr *ret,
		      unsigned int max, unsigned int *ret_n);

struct nl_neigh {
	uint32_t ifindex;
	struct lb_addr addr;
	uint16_t state;	    /* NUD_* */
	uint8_t flags;	    /* NTF_* */
	uint32_t ext_flags; /* NTF_EXT_* */
	uint8_t protocol;   /* who made it: RTPROT_*, 0: the kernel by itself */
	bool has_mac;
	uint8_t mac[6];
};

/* Its MAC can be used now. */
bool nl__neigh_valid(const struct nl_neigh *neigh);
/* The kernel keeps it resolved because lbctl asked for it. */
bool nl__neigh_ours(const struct nl_neigh *neigh);

/* -ENOENT: the table has no such entry. */
int nl__neigh_get(struct nl *nl, uint32_t ifindex, const struct lb_addr *addr,
		  struct nl_neigh *ret);
int nl__neigh_list(struct nl *nl, int (*each)(const struct nl_neigh *neigh, void *arg), void *arg);

/*
 * Has the kernel resolve it and, from 5.16 on, keep it so, also when this process is gone. An
 * entry that somebody else manages stays as it is. Waits up to wait_ms for a MAC; -EHOSTUNREACH:
 * none came, and the request stands. *ret is the entry as last seen, also then.
 */
int nl__neigh_resolve(struct nl *nl, uint32_t ifindex, const struct lb_addr *addr,
		      unsigned int wait_ms, struct nl_neigh *ret);

/*
 * Has the kernel ask for it once more, now; what somebody else manages is left alone. Doesn't wait.
 */
int nl__neigh_use(struct nl *nl, uint32_t ifindex, const struct lb_addr *addr);

/* A socket of its own that hears of each change to a neighbour; readable when there are some. */
int nl__neigh_watch(struct nl **ret);
int nl__fd(const struct nl *nl);
/* Those since the last time. -ENOBUFS: some were missed. */
int nl__neigh_changes(struct nl *nl, void (*each)(const struct nl_neigh *neigh, void *arg), void *arg);

/*
 * Ends the management. Leaves everything but our own entries alone, so it may be called for any; but ours are
 * shared by all balancers of the namespace.
 */
int nl__neigh_unmanage(struct nl *nl, uint32_t ifindex, const struct lb_addr *addr);

/* 1: an interface of this namespace has this address, 0: none has. ret_ifindex may be NULL. */
int nl__addr_is_own(struct nl *nl, const struct lb_addr *addr, uint32_t *ret_ifindex);

/*
 * Addresses of an interface that packets to a neighbour on its link may come from: of a prefix that holds
 * that one (NULL: any), and in use. What each() returns, if not 0, ends that and is returned.
 */
int nl__addr_toward(struct nl *nl, uint32_t ifindex, const struct lb_addr *neighbour,
		    int (*each)(const struct lb_addr *addr, void *arg), void *arg);

struct nl_clsact {
	bool clsact;	      /* there is a clsact qdisc */
	bool ingress;	      /* there is an ingress qdisc, in the place of a clsact one */
	unsigned int filters; /* of both directions, whoever's they are */
};

int nl__clsact_filters(struct nl *nl, uint32_t ifindex, struct nl_clsact *ret);

#endif

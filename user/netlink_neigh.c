/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Neighbours: resolved and kept so by the kernel, never taken from who else manages them. */
#include "netlink_msg.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <time.h>

#ifndef NTF_EXT_MANAGED /* headers before Linux 5.16 */
#define NTF_EXT_MANAGED 1
#define NDA_FLAGS_EXT	15
#endif

#define NEIGH_TRIES   5
#define NEIGH_POLL_NS 1000000
#define NEIGH_MARK    76 /* our entries' protocol: a number that no routing daemon has */

bool nl__neigh_valid(const struct nl_neigh *neigh)
{
	return neigh->state &
	       (NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE);
}

bool nl__neigh_ours(const struct nl_neigh *neigh)
{
	return (neigh->ext_flags & NTF_EXT_MANAGED) && neigh->protocol == NEIGH_MARK;
}

/* Any change of ours would take such an entry away from who made it. */
static bool neigh_is_foreign(const struct nl_neigh *neigh)
{
	return (neigh->state & (NUD_PERMANENT | NUD_NOARP)) || (neigh->flags & NTF_EXT_LEARNED) ||
	       ((neigh->ext_flags & NTF_EXT_MANAGED) && neigh->protocol != NEIGH_MARK);
}

static bool neigh_parse(const struct nlmsghdr *nlh, struct nl_neigh *ret)
{
	const struct nlattr *tb[NDA_FLAGS_EXT + 1];
	const struct ndmsg *ndm = nl_parse(nlh, RTM_NEWNEIGH, sizeof(*ndm), tb, NDA_FLAGS_EXT);

	if (!ndm || (ndm->ndm_family != AF_INET && ndm->ndm_family != AF_INET6))
		return false;
	*ret = (struct nl_neigh){
		.ifindex = (uint32_t)ndm->ndm_ifindex,
		.state = ndm->ndm_state,
		.flags = ndm->ndm_flags,
		.ext_flags = nl_u32(tb[NDA_FLAGS_EXT]),
		.protocol = nl_u8(tb[NDA_PROTOCOL]),
	};
	ret->has_mac = nl_mac(tb[NDA_LLADDR], ret->mac);
	return nl_addr(tb[NDA_DST], &ret->addr);
}

static int neigh_take(const struct nlmsghdr *nlh, void *arg)
{
	neigh_parse(nlh, arg);
	return 0;
}

static struct ndmsg *neigh_request(struct nl_request *req, uint16_t type, uint16_t flags,
				   uint32_t ifindex, const struct lb_addr *addr)
{
	struct ndmsg *ndm = nl_request_init(req, type, NLM_F_ACK | flags, sizeof(*ndm));

	ndm->ndm_family = nl_addr_family(addr);
	ndm->ndm_ifindex = (int)ifindex;
	nl_put_addr(req, NDA_DST, addr);
	return ndm;
}

int nl__neigh_get(struct nl *nl, uint32_t ifindex, const struct lb_addr *addr, struct nl_neigh *ret)
{
	struct nl_neigh neigh = { 0 };
	struct nl_request req;
	int err;

	neigh_request(&req, RTM_GETNEIGH, 0, ifindex, addr);
	err = nl_ask(nl, &req, neigh_take, &neigh);
	if (err)
		return err;
	if (!neigh.ifindex)
		return -EBADMSG;
	*ret = neigh;
	return 0;
}

struct neigh_walk {
	int (*each)(const struct nl_neigh *neigh, void *arg);
	void *arg;
};

static int neigh_each(const struct nlmsghdr *nlh, void *arg)
{
	struct neigh_walk *walk = arg;
	struct nl_neigh neigh;

	return neigh_parse(nlh, &neigh) ? walk->each(&neigh, walk->arg) : 0;
}

int nl__neigh_list(struct nl *nl, int (*each)(const struct nl_neigh *neigh, void *arg), void *arg)
{
	struct neigh_walk walk = { each, arg };
	struct nl_request req;

	nl_request_init(&req, RTM_GETNEIGH, NLM_F_DUMP, sizeof(struct ndmsg));
	return nl_ask(nl, &req, neigh_each, &walk);
}

/*
 * NTF_USE resolves once, on every kernel; those before 5.16 don't see the rest. NTF_EXT_MANAGED
 * over a PERMANENT entry would destroy it, hence the look first: an entry made since then fails
 * the request (NLM_F_EXCL) and is looked at in its turn.
 */
static int neigh_ask(struct nl *nl, uint32_t ifindex, const struct lb_addr *addr)
{
	struct nl_neigh old;
	struct nl_request req;
	struct ndmsg *ndm;
	bool found;
	int tries, err;

	for (tries = 0; tries < NEIGH_TRIES; tries++) {
		err = nl__neigh_get(nl, ifindex, addr, &old);
		if (err && err != -ENOENT)
			return err;
		found = !err;
		if (found &&
		    (neigh_is_foreign(&old) || (nl__neigh_ours(&old) && nl__neigh_valid(&old))))
			return 0;
		ndm = neigh_request(&req, RTM_NEWNEIGH, found ? 0 : NLM_F_CREATE | NLM_F_EXCL,
				    ifindex, addr);
		ndm->ndm_flags = NTF_USE;
		if (!found || !old.protocol || old.protocol == NEIGH_MARK) {
			mnl_attr_put_u32(&req.nlh, NDA_FLAGS_EXT, NTF_EXT_MANAGED);
			mnl_attr_put_u8(&req.nlh, NDA_PROTOCOL, NEIGH_MARK);
		}
		err = nl_ask(nl, &req, NULL, NULL);
		if (err != -EEXIST && err != -ENOENT)
			return err;
	}
	return err;
}

int nl__neigh_use(struct nl *nl, uint32_t ifindex, const struct lb_addr *addr)
{
	struct nl_neigh old;
	struct nl_request req;
	int err = nl__neigh_get(nl, ifindex, addr, &old);

	if (err && err != -ENOENT)
		return err;
	if (!err && (neigh_is_foreign(&old) || nl__neigh_valid(&old)))
		return 0;
	if (!err && nl__neigh_ours(&old))
		return neigh_ask(nl, ifindex, addr);
	neigh_request(&req, RTM_NEWNEIGH, NLM_F_CREATE, ifindex, addr)->ndm_flags = NTF_USE;
	return nl_ask(nl, &req, NULL, NULL);
}

int nl__neigh_watch(struct nl **ret)
{
	return nl_open_groups(ret, RTMGRP_NEIGH);
}

struct neigh_changes {
	void (*each)(const struct nl_neigh *neigh, void *arg);
	void *arg;
};

static void neigh_change(const struct nlmsghdr *nlh, void *arg)
{
	struct neigh_changes *changes = arg;
	struct nl_neigh neigh;

	if (neigh_parse(nlh, &neigh))
		changes->each(&neigh, changes->arg);
}

int nl__neigh_changes(struct nl *nl, void (*each)(const struct nl_neigh *neigh, void *arg), void *arg)
{
	struct neigh_changes changes = { each, arg };

	return nl_hear(nl, neigh_change, &changes);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int nl__neigh_resolve(struct nl *nl, uint32_t ifindex, const struct lb_addr *addr,
		      unsigned int wait_ms, struct nl_neigh *ret)
{
	uint64_t deadline = now_ms() + wait_ms;
	int err = neigh_ask(nl, ifindex, addr);

	*ret = (struct nl_neigh){ .ifindex = ifindex, .addr = *addr };
	while (!err) {
		err = nl__neigh_get(nl, ifindex, addr, ret);
		if (!err && nl__neigh_valid(ret))
			return 0;
		if (!err && ret->state & NUD_FAILED)
			return -EHOSTUNREACH;
		if (err == -ENOENT) /* lost its carrier, or the table is full */
			err = 0;
		if (!err && now_ms() >= deadline)
			return -EHOSTUNREACH;
		if (!err)
			nanosleep(&(struct timespec){ .tv_nsec = NEIGH_POLL_NS }, NULL);
	}
	return err;
}

/*
 * NTF_USE without NTF_EXT_MANAGED takes the management away and keeps the MAC. An entry that has
 * none was only ours: it goes.
 */
int nl__neigh_unmanage(struct nl *nl, uint32_t ifindex, const struct lb_addr *addr)
{
	struct nl_neigh old;
	struct nl_request req;
	int err = nl__neigh_get(nl, ifindex, addr, &old);

	if (!err && nl__neigh_ours(&old)) {
		if (nl__neigh_valid(&old))
			neigh_request(&req, RTM_NEWNEIGH, 0, ifindex, addr)->ndm_flags = NTF_USE;
		else
			neigh_request(&req, RTM_DELNEIGH, 0, ifindex, addr);
		err = nl_ask(nl, &req, NULL, NULL);
	}
	/* Gone already, or its interface is. */
	return err == -ENOENT || err == -ENODEV || err == -ENXIO ? 0 : err;
}

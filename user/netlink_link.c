/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What hangs on an interface: its link, addresses and clsact filters. */
#include "netlink_msg.h"

#include <errno.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <stdio.h>
#include <string.h>

static void link_parse_xdp(const struct nlattr *nest, struct nl_link *ret)
{
	const struct nlattr *tb[IFLA_XDP_HW_PROG_ID + 1];

	nl_parse_nested(nest, tb, IFLA_XDP_HW_PROG_ID);
	ret->xdp_mode = nl_u8(tb[IFLA_XDP_ATTACHED]);
	ret->xdp_native = nl_u32(tb[IFLA_XDP_DRV_PROG_ID]);
	ret->xdp_generic = nl_u32(tb[IFLA_XDP_SKB_PROG_ID]);
	ret->xdp_offload = nl_u32(tb[IFLA_XDP_HW_PROG_ID]);
	ret->xdp_prog = nl_u32(tb[IFLA_XDP_PROG_ID]);
	if (!ret->xdp_prog)
		ret->xdp_prog = ret->xdp_native	   ? ret->xdp_native
				: ret->xdp_offload ? ret->xdp_offload
						   : ret->xdp_generic;
}

static bool link_parse(const struct nlmsghdr *nlh, struct nl_link *ret)
{
	const struct nlattr *tb[IFLA_XDP + 1], *info[IFLA_INFO_KIND + 1];
	const struct ifinfomsg *ifi = nl_parse(nlh, RTM_NEWLINK, sizeof(*ifi), tb, IFLA_XDP);

	if (!ifi)
		return false;
	nl_parse_nested(tb[IFLA_LINKINFO], info, IFLA_INFO_KIND);
	*ret = (struct nl_link){
		.ifindex = (uint32_t)ifi->ifi_index,
		.mtu = nl_u32(tb[IFLA_MTU]),
		.up = ifi->ifi_flags & IFF_UP,
		.running = (ifi->ifi_flags & IFF_UP) && (ifi->ifi_flags & IFF_RUNNING),
		.link = nl_u32(tb[IFLA_LINK]),
		.link_netnsid = tb[IFLA_LINK_NETNSID] ? (int32_t)nl_u32(tb[IFLA_LINK_NETNSID]) : -1,
		.master = nl_u32(tb[IFLA_MASTER]),
		.gso_max_size = nl_u32(tb[IFLA_GSO_MAX_SIZE]),
	};
	ret->ethernet = (ifi->ifi_type == ARPHRD_ETHER || ifi->ifi_type == ARPHRD_LOOPBACK) &&
			nl_mac(tb[IFLA_ADDRESS], ret->mac);
	nl_str(tb[IFLA_IFNAME], ret->name, sizeof(ret->name));
	nl_str(info[IFLA_INFO_KIND], ret->kind, sizeof(ret->kind));
	link_parse_xdp(tb[IFLA_XDP], ret);
	return true;
}

static int link_take(const struct nlmsghdr *nlh, void *arg)
{
	link_parse(nlh, arg);
	return 0;
}

static int link_get(struct nl *nl, const char *name, uint32_t ifindex, struct nl_link *ret)
{
	struct nl_request req;
	struct ifinfomsg *ifi = nl_request_init(&req, RTM_GETLINK, NLM_F_ACK, sizeof(*ifi));
	struct nl_link link = { 0 };
	int err;

	ifi->ifi_index = (int)ifindex;
	if (name)
		mnl_attr_put_strz(&req.nlh, strlen(name) < IFNAMSIZ ? IFLA_IFNAME : IFLA_ALT_IFNAME,
				  name);
	mnl_attr_put_u32(&req.nlh, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	err = nl_ask(nl, &req, link_take, &link);
	if (err)
		return err;
	if (!link.ifindex)
		return -EBADMSG;
	*ret = link;
	return 0;
}

int nl__link_get(struct nl *nl, const char *name, struct nl_link *ret)
{
	if (!*name || strlen(name) > 127) /* ALTIFNAMSIZ - 1 */
		return -ENODEV;
	return link_get(nl, name, 0, ret);
}

int nl__link_get_index(struct nl *nl, uint32_t ifindex, struct nl_link *ret)
{
	return ifindex ? link_get(nl, NULL, ifindex, ret) : -ENODEV;
}

struct link_walk {
	int (*each)(const struct nl_link *link, void *arg);
	void *arg;
};

static int link_each(const struct nlmsghdr *nlh, void *arg)
{
	struct link_walk *walk = arg;
	struct nl_link link;

	return link_parse(nlh, &link) ? walk->each(&link, walk->arg) : 0;
}

int nl__link_list(struct nl *nl, int (*each)(const struct nl_link *link, void *arg), void *arg)
{
	struct link_walk walk = { each, arg };
	struct nl_request req;

	nl_request_init(&req, RTM_GETLINK, NLM_F_DUMP, sizeof(struct ifinfomsg));
	mnl_attr_put_u32(&req.nlh, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	return nl_ask(nl, &req, link_each, &walk);
}

struct addr_search {
	const struct lb_addr *addr;
	uint32_t ifindex; /* 0: not found */
};

static int addr_take(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *tb[IFA_LOCAL + 1];
	const struct ifaddrmsg *ifa = nl_parse(nlh, RTM_NEWADDR, sizeof(*ifa), tb, IFA_LOCAL);
	struct addr_search *search = arg;
	struct lb_addr addr;

	/* Where both are given, IFA_ADDRESS is the far end's. */
	if (ifa && nl_addr(tb[IFA_LOCAL] ? tb[IFA_LOCAL] : tb[IFA_ADDRESS], &addr) &&
	    nl_addr_equal(&addr, search->addr))
		search->ifindex = ifa->ifa_index;
	return 0;
}

int nl__addr_is_own(struct nl *nl, const struct lb_addr *addr, uint32_t *ret_ifindex)
{
	struct addr_search search = { .addr = addr };
	struct nl_request req;
	struct ifaddrmsg *ifa = nl_request_init(&req, RTM_GETADDR, NLM_F_DUMP, sizeof(*ifa));
	int err;

	ifa->ifa_family = nl_addr_family(addr);
	err = nl_ask(nl, &req, addr_take, &search);
	if (err)
		return err;
	if (search.ifindex && ret_ifindex)
		*ret_ifindex = search.ifindex;
	return search.ifindex != 0;
}

struct addr_walk {
	const struct lb_addr *neighbour;
	uint32_t ifindex;
	int (*each)(const struct lb_addr *addr, void *arg);
	void *arg;
};

static bool same_prefix(const struct lb_addr *a, const struct lb_addr *b, unsigned int bits)
{
	unsigned int bytes = bits / 8, rest = bits % 8;

	return !memcmp(a->b, b->b, bytes) &&
	       (!rest || (a->b[bytes] ^ b->b[bytes]) >> (8 - rest) == 0);
}

static int addr_toward(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *tb[IFA_LOCAL + 1];
	const struct ifaddrmsg *ifa = nl_parse(nlh, RTM_NEWADDR, sizeof(*ifa), tb, IFA_LOCAL);
	struct addr_walk *walk = arg;
	struct lb_addr addr;
	unsigned int bits;

	if (!ifa || ifa->ifa_index != walk->ifindex || ifa->ifa_scope != RT_SCOPE_UNIVERSE ||
	    ifa->ifa_flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_DEPRECATED) ||
	    /* A privacy address won't stay (RFC 8981); in IPv4 that bit means a secondary one. */
	    (ifa->ifa_family == AF_INET6 && ifa->ifa_flags & IFA_F_TEMPORARY) ||
	    !nl_addr(tb[IFA_LOCAL] ? tb[IFA_LOCAL] : tb[IFA_ADDRESS], &addr))
		return 0;
	bits = ifa->ifa_prefixlen + (ifa->ifa_family == AF_INET ? 96 : 0);
	return bits <= 128 && (!walk->neighbour || same_prefix(&addr, walk->neighbour, bits)) ?
		       walk->each(&addr, walk->arg) : 0;
}

int nl__addr_toward(struct nl *nl, uint32_t ifindex, const struct lb_addr *neighbour,
		    int (*each)(const struct lb_addr *addr, void *arg), void *arg)
{
	struct addr_walk walk = { neighbour, ifindex, each, arg };
	struct nl_request req;
	struct ifaddrmsg *ifa = nl_request_init(&req, RTM_GETADDR, NLM_F_DUMP, sizeof(*ifa));

	ifa->ifa_family = neighbour ? nl_addr_family(neighbour) : AF_UNSPEC;
	return nl_ask(nl, &req, addr_toward, &walk);
}

struct tc_search {
	uint32_t ifindex;
	struct nl_clsact *ret;
};

static int qdisc_take(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *tb[TCA_KIND + 1];
	const struct tcmsg *tcm = nl_parse(nlh, RTM_NEWQDISC, sizeof(*tcm), tb, TCA_KIND);
	struct tc_search *search = arg;
	char kind[16];

	if (!tcm || (uint32_t)tcm->tcm_ifindex != search->ifindex)
		return 0;
	nl_str(tb[TCA_KIND], kind, sizeof(kind));
	if (!strcmp(kind, "clsact"))
		search->ret->clsact = true;
	else if (!strcmp(kind, "ingress"))
		search->ret->ingress = true;
	return 0;
}

static int filter_take(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *tb[TCA_KIND + 1];
	const struct tcmsg *tcm = nl_parse(nlh, RTM_NEWTFILTER, sizeof(*tcm), tb, TCA_KIND);
	struct nl_clsact *ret = arg;

	/* Without a handle it is the head of a list of filters, not one of them. */
	if (tcm && tcm->tcm_handle)
		ret->filters++;
	return 0;
}

static int filter_count(struct nl *nl, uint32_t ifindex, uint32_t minor, struct nl_clsact *ret)
{
	struct nl_request req;
	struct tcmsg *tcm = nl_request_init(&req, RTM_GETTFILTER, NLM_F_DUMP, sizeof(*tcm));

	tcm->tcm_family = AF_UNSPEC;
	tcm->tcm_ifindex = (int)ifindex;
	tcm->tcm_parent = TC_H_MAKE(TC_H_CLSACT, minor);
	return nl_ask(nl, &req, filter_take, ret);
}

int nl__clsact_filters(struct nl *nl, uint32_t ifindex, struct nl_clsact *ret)
{
	struct tc_search search = { .ifindex = ifindex, .ret = ret };
	struct nl_request req;
	int err;

	*ret = (struct nl_clsact){ 0 };
	nl_request_init(&req, RTM_GETQDISC, NLM_F_DUMP, sizeof(struct tcmsg));
	err = nl_ask(nl, &req, qdisc_take, &search);
	if (!err && (ret->clsact || ret->ingress))
		err = filter_count(nl, ifindex, TC_H_MIN_INGRESS, ret);
	if (!err && ret->clsact) /* an ingress qdisc has one list, whatever minor is asked for */
		err = filter_count(nl, ifindex, TC_H_MIN_EGRESS, ret);
	return err;
}

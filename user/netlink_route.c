/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Which way packets go: route look-ups and default gateways. */
#include "netlink_msg.h"

#include <errno.h>

/* IPv4 routes may go by an IPv6 gateway (RFC 8950): that is RTA_VIA. */
static bool route_parse_gateway(const struct nlattr *gateway, const struct nlattr *via,
				struct lb_addr *ret)
{
	const struct rtvia *rtvia;

	if (nl_addr(gateway, ret))
		return true;
	if (!via || mnl_attr_get_payload_len(via) < sizeof(*rtvia))
		return false;
	rtvia = mnl_attr_get_payload(via);
	return nl_addr_bytes(rtvia->rtvia_addr, mnl_attr_get_payload_len(via) - sizeof(*rtvia),
			     ret);
}

static int route_take(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *tb[RTA_VIA + 1], *metrics[RTAX_MTU + 1];
	const struct rtmsg *rtm = nl_parse(nlh, RTM_NEWROUTE, sizeof(*rtm), tb, RTA_VIA);
	struct nl_route *ret = arg;

	if (!rtm)
		return 0;
	nl_parse_nested(tb[RTA_METRICS], metrics, RTAX_MTU);
	ret->type = rtm->rtm_type;
	ret->oif = nl_u32(tb[RTA_OIF]);
	ret->has_gateway = route_parse_gateway(tb[RTA_GATEWAY], tb[RTA_VIA], &ret->gateway);
	if (ret->has_gateway)
		ret->nexthop = ret->gateway;
	ret->has_src = nl_addr(tb[RTA_PREFSRC], &ret->src);
	ret->mtu = nl_u32(metrics[RTAX_MTU]);
	return 0;
}

int nl__route_get(struct nl *nl, const struct lb_addr *dst, struct nl_route *ret)
{
	struct nl_request req;
	struct rtmsg *rtm = nl_request_init(&req, RTM_GETROUTE, NLM_F_ACK, sizeof(*rtm));
	struct nl_route route = { .nexthop = *dst };
	int err;

	rtm->rtm_family = nl_addr_family(dst);
	rtm->rtm_dst_len = rtm->rtm_family == AF_INET ? 32 : 128;
	nl_put_addr(&req, RTA_DST, dst);
	err = nl_ask(nl, &req, route_take, &route);
	switch (err) {
	case 0:
		break;
	/* Linux answers for a route that refuses packets with the error that its sender gets. */
	case -EINVAL:
		route.type = RTN_BLACKHOLE;
		break;
	case -EHOSTUNREACH:
		route.type = RTN_UNREACHABLE;
		break;
	case -EACCES:
		route.type = RTN_PROHIBIT;
		break;
	case -EAGAIN: /* a throw route that nothing follows */
		return -ENETUNREACH;
	default:
		return err;
	}
	if (route.type == RTN_UNSPEC)
		return -EBADMSG;
	*ret = route;
	return 0;
}

struct route_gateways {
	uint32_t ifindex;
	struct lb_addr *ret;
	unsigned int max;
	unsigned int n;
};

static void gateways_add(struct route_gateways *gateways, const struct lb_addr *addr)
{
	unsigned int i;

	for (i = 0; i < gateways->n; i++) {
		if (nl_addr_equal(&gateways->ret[i], addr))
			return;
	}
	if (gateways->n < gateways->max)
		gateways->ret[gateways->n++] = *addr;
}

static void gateways_add_multipath(struct route_gateways *gateways, const struct nlattr *multipath)
{
	const struct rtnexthop *hop = mnl_attr_get_payload(multipath);
	size_t rest = mnl_attr_get_payload_len(multipath), len;
	const struct nlattr *attr, *gateway, *via;
	struct lb_addr addr;
	int attrs;

	while (rest >= sizeof(*hop) && hop->rtnh_len >= sizeof(*hop) && hop->rtnh_len <= rest) {
		gateway = via = NULL;
		attr = (const struct nlattr *)(hop + 1);
		attrs = (int)(hop->rtnh_len - sizeof(*hop));
		for (; mnl_attr_ok(attr, attrs); attr = mnl_attr_next(attr)) {
			attrs -= MNL_ALIGN(attr->nla_len);
			if (mnl_attr_get_type(attr) == RTA_GATEWAY)
				gateway = attr;
			else if (mnl_attr_get_type(attr) == RTA_VIA)
				via = attr;
		}
		if ((uint32_t)hop->rtnh_ifindex == gateways->ifindex &&
		    route_parse_gateway(gateway, via, &addr))
			gateways_add(gateways, &addr);
		len = MNL_ALIGN(hop->rtnh_len);
		if (len > rest)
			break;
		rest -= len;
		hop = (const struct rtnexthop *)((const char *)hop + len);
	}
}

static int gateways_take(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *tb[RTA_VIA + 1];
	const struct rtmsg *rtm = nl_parse(nlh, RTM_NEWROUTE, sizeof(*rtm), tb, RTA_VIA);
	struct route_gateways *gateways = arg;
	struct lb_addr addr;

	if (!rtm || rtm->rtm_dst_len || rtm->rtm_type != RTN_UNICAST ||
	    (rtm->rtm_flags & RTM_F_CLONED))
		return 0;
	if (nl_u32(tb[RTA_OIF]) == gateways->ifindex &&
	    route_parse_gateway(tb[RTA_GATEWAY], tb[RTA_VIA], &addr))
		gateways_add(gateways, &addr);
	if (tb[RTA_MULTIPATH])
		gateways_add_multipath(gateways, tb[RTA_MULTIPATH]);
	return 0;
}

int nl__route_default(struct nl *nl, uint32_t ifindex, int family, struct lb_addr *ret,
		      unsigned int max, unsigned int *ret_n)
{
	struct route_gateways gateways = { .ifindex = ifindex, .ret = ret, .max = max };
	struct nl_request req;
	struct rtmsg *rtm = nl_request_init(&req, RTM_GETROUTE, NLM_F_DUMP, sizeof(*rtm));
	int err;

	rtm->rtm_family = (uint8_t)family;
	mnl_attr_put_u32(&req.nlh, RTA_OIF, ifindex);
	err = nl_ask(nl, &req, gateways_take, &gateways);
	*ret_n = err ? 0 : gateways.n;
	return err;
}

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* rtnetlink through libmnl: the exchange with the kernel, and attributes by their lengths. */
#include "netlink_msg.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#define NL_TIMEOUT_S 2
#define NL_TRIES     5

struct nl {
	struct mnl_socket *sock;
	unsigned int portid;
	uint32_t seq;
	char error[128];
	/* Holds the largest part of a dump that Linux makes. */
	char buf[32768] __attribute__((aligned(8)));
};

struct nl_reply {
	char *data;
	size_t len;
};

static int nl_connect(struct nl *nl, unsigned int groups)
{
	struct timeval timeout = { .tv_sec = NL_TIMEOUT_S };
	int on = 1, err;

	nl->sock = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!nl->sock)
		return -errno;
	if (mnl_socket_bind(nl->sock, groups, MNL_SOCKET_AUTOPID) < 0 ||
	    setsockopt(mnl_socket_get_fd(nl->sock), SOL_SOCKET, SO_RCVTIMEO, &timeout,
		       sizeof(timeout)) < 0) {
		err = -errno;
		mnl_socket_close(nl->sock);
		nl->sock = NULL;
		return err;
	}
	nl->portid = mnl_socket_get_portid(nl->sock);
	/* Texts with errors, and dumps filtered by the kernel; it works without either. */
	mnl_socket_setsockopt(nl->sock, NETLINK_EXT_ACK, &on, sizeof(on));
	mnl_socket_setsockopt(nl->sock, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	return 0;
}

static void nl_disconnect(struct nl *nl)
{
	if (nl->sock)
		mnl_socket_close(nl->sock);
	nl->sock = NULL;
}

int nl_open_groups(struct nl **ret, unsigned int groups)
{
	struct nl *nl = calloc(1, sizeof(*nl));
	int err;

	if (!nl)
		return -ENOMEM;
	err = nl_connect(nl, groups);
	if (err) {
		free(nl);
		return err;
	}
	*ret = nl;
	return 0;
}

int nl__open(struct nl **ret)
{
	return nl_open_groups(ret, 0);
}

int nl__fd(const struct nl *nl)
{
	return mnl_socket_get_fd(nl->sock);
}

int nl_hear(struct nl *nl, void (*each)(const struct nlmsghdr *nlh, void *arg), void *arg)
{
	const struct nlmsghdr *nlh;
	ssize_t bytes;
	int rest;

	for (;;) {
		bytes = recv(nl__fd(nl), nl->buf, sizeof(nl->buf), MSG_DONTWAIT);
		if (bytes < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		rest = (int)bytes;
		for (nlh = (void *)nl->buf; mnl_nlmsg_ok(nlh, rest); nlh = mnl_nlmsg_next(nlh, &rest))
			each(nlh, arg);
	}
}

void nl__close(struct nl *nl)
{
	if (!nl)
		return;
	nl_disconnect(nl);
	free(nl);
}

const char *nl__error(const struct nl *nl)
{
	return nl->error;
}

static void nl_save_text(struct nl *nl, const struct nlmsghdr *nlh, size_t offset)
{
	const struct nlattr *attr;

	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	mnl_attr_for_each(attr, nlh, offset) {
		if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG &&
		    mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) == 0)
			snprintf(nl->error, sizeof(nl->error), "%s", mnl_attr_get_str(attr));
	}
}

/* 0: an ACK, or a dump's regular end. */
static int nl_end(struct nl *nl, const struct nlmsghdr *nlh)
{
	const struct nlmsgerr *msg = mnl_nlmsg_get_payload(nlh);
	size_t offset = sizeof(msg->error);

	if (mnl_nlmsg_get_payload_len(nlh) < offset)
		return nlh->nlmsg_type == NLMSG_DONE ? 0 : -EBADMSG;
	if (nlh->nlmsg_type == NLMSG_ERROR) {
		offset = sizeof(*msg);
		if (mnl_nlmsg_get_payload_len(nlh) < offset)
			return -EBADMSG;
		if (!(nlh->nlmsg_flags & NLM_F_CAPPED)) /* then the request follows */
			offset += msg->msg.nlmsg_len - sizeof(msg->msg);
	}
	if (msg->error < 0)
		nl_save_text(nl, nlh, offset);
	return msg->error < 0 ? msg->error : 0;
}

static int nl_append(struct nl_reply *reply, const struct nlmsghdr *nlh)
{
	size_t len = MNL_ALIGN(nlh->nlmsg_len);
	char *data = realloc(reply->data, reply->len + len);

	if (!data)
		return -ENOMEM;
	reply->data = data;
	memset(data + reply->len + len - MNL_ALIGNTO, 0, MNL_ALIGNTO);
	memcpy(data + reply->len, nlh, nlh->nlmsg_len);
	reply->len += len;
	return 0;
}

/* One datagram. 1: more is to come, 0: the answer is complete, -ERESTART: it has a gap. */
static int nl_take(struct nl *nl, size_t bytes, struct nl_reply *reply)
{
	const struct nlmsghdr *nlh = (const struct nlmsghdr *)nl->buf;
	int rest = (int)bytes, err;

	for (; mnl_nlmsg_ok(nlh, rest); nlh = mnl_nlmsg_next(nlh, &rest)) {
		if (nlh->nlmsg_seq != nl->seq || nlh->nlmsg_pid != nl->portid)
			continue; /* late, for a request that was given up */
		if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
			return -ERESTART;
		if (nlh->nlmsg_type == NLMSG_ERROR || nlh->nlmsg_type == NLMSG_DONE)
			return nl_end(nl, nlh);
		if (nlh->nlmsg_type < NLMSG_MIN_TYPE)
			continue;
		err = nl_append(reply, nlh);
		if (err)
			return err;
	}
	return 1;
}

static int nl_exchange(struct nl *nl, struct nlmsghdr *nlh, struct nl_reply *reply)
{
	ssize_t n;
	int err;

	if (!nl->seq)
		nl->seq = (uint32_t)time(NULL);
	nlh->nlmsg_seq = ++nl->seq;
	reply->len = 0;
	if (mnl_socket_sendto(nl->sock, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	do {
		n = mnl_socket_recvfrom(nl->sock, nl->buf, sizeof(nl->buf));
		if (n < 0 && errno == EINTR) {
			err = 1;
			continue;
		}
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : errno == ENOBUFS ? -ERESTART : -errno;
		err = nl_take(nl, (size_t)n, reply);
	} while (err > 0);
	return err;
}

/*
 * An answer with a gap, or of a table that changed under way, is asked for again on a fresh
 * socket, since the old one may still have a dump running.
 */
int nl_ask(struct nl *nl, struct nl_request *req,
	   int (*each)(const struct nlmsghdr *nlh, void *arg), void *arg)
{
	struct nl_reply reply = { 0 };
	const struct nlmsghdr *nlh;
	int tries, rest, err = -ERESTART;

	nl->error[0] = '\0';
	for (tries = 0; tries < NL_TRIES && err == -ERESTART; tries++) {
		err = nl->sock ? 0 : nl_connect(nl, 0);
		if (!err)
			err = nl_exchange(nl, &req->nlh, &reply);
		if (err == -ERESTART)
			nl_disconnect(nl);
	}
	rest = (int)reply.len;
	nlh = (const struct nlmsghdr *)reply.data;
	for (; !err && each && mnl_nlmsg_ok(nlh, rest); nlh = mnl_nlmsg_next(nlh, &rest))
		err = each(nlh, arg);
	free(reply.data);
	return err == -ERESTART ? -EAGAIN : err;
}

void *nl_request_init(struct nl_request *req, uint16_t type, uint16_t flags, size_t header)
{
	mnl_nlmsg_put_header(req);
	req->nlh.nlmsg_type = type;
	req->nlh.nlmsg_flags = NLM_F_REQUEST | flags;
	return mnl_nlmsg_put_extra_header(&req->nlh, header);
}

const void *nl_parse(const struct nlmsghdr *nlh, uint16_t type, size_t header,
		     const struct nlattr **tb, unsigned int max)
{
	const struct nlattr *attr;

	memset(tb, 0, (max + 1) * sizeof(*tb));
	if (nlh->nlmsg_type != type || mnl_nlmsg_get_payload_len(nlh) < header)
		return NULL;
	mnl_attr_for_each(attr, nlh, header) {
		if (mnl_attr_get_type(attr) <= max)
			tb[mnl_attr_get_type(attr)] = attr;
	}
	return mnl_nlmsg_get_payload(nlh);
}

void nl_parse_nested(const struct nlattr *nest, const struct nlattr **tb, unsigned int max)
{
	const struct nlattr *attr;

	memset(tb, 0, (max + 1) * sizeof(*tb));
	if (!nest)
		return;
	mnl_attr_for_each_nested(attr, nest) {
		if (mnl_attr_get_type(attr) <= max)
			tb[mnl_attr_get_type(attr)] = attr;
	}
}

uint32_t nl_u32(const struct nlattr *attr)
{
	return attr && mnl_attr_get_payload_len(attr) == 4 ? mnl_attr_get_u32(attr) : 0;
}

uint8_t nl_u8(const struct nlattr *attr)
{
	return attr && mnl_attr_get_payload_len(attr) == 1 ? mnl_attr_get_u8(attr) : 0;
}

void nl_str(const struct nlattr *attr, char *ret, size_t size)
{
	int len = attr ? mnl_attr_get_payload_len(attr) : 0;

	snprintf(ret, size, "%.*s", len, len ? mnl_attr_get_str(attr) : "");
}

bool nl_mac(const struct nlattr *attr, uint8_t *ret)
{
	if (!attr || mnl_attr_get_payload_len(attr) != 6)
		return false;
	memcpy(ret, mnl_attr_get_payload(attr), 6);
	return true;
}

bool nl_addr_bytes(const void *bytes, size_t len, struct lb_addr *ret)
{
	struct lb_addr addr = { 0 };

	if (len == 4)
		addr.w[2] = htonl(LB_V4_PREFIX);
	else if (len != 16)
		return false;
	memcpy(addr.b + 16 - len, bytes, len);
	*ret = addr;
	return true;
}

bool nl_addr(const struct nlattr *attr, struct lb_addr *ret)
{
	return attr &&
	       nl_addr_bytes(mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr), ret);
}

uint8_t nl_addr_family(const struct lb_addr *addr)
{
	bool v4 = !addr->w[0] && !addr->w[1] && addr->w[2] == htonl(LB_V4_PREFIX);

	return v4 ? AF_INET : AF_INET6;
}

void nl_put_addr(struct nl_request *req, uint16_t type, const struct lb_addr *addr)
{
	size_t len = nl_addr_family(addr) == AF_INET ? 4 : 16;

	mnl_attr_put(&req->nlh, type, len, addr->b + 16 - len);
}

bool nl_addr_equal(const struct lb_addr *a, const struct lb_addr *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Requests and attributes, shared by the netlink_*.c files only. */
#ifndef NETLINK_MSG_H
#define NETLINK_MSG_H

#include "netlink.h"

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <sys/socket.h>

struct nl_request {
	struct nlmsghdr nlh;
	char room[256]; /* more than any request needs */
};

/* A request with its family header; answers where that header is. */
void *nl_request_init(struct nl_request *req, uint16_t type, uint16_t flags, size_t header);
void nl_put_addr(struct nl_request *req, uint16_t type, const struct lb_addr *addr);

/* One that hears of what these groups (RTMGRP_*) are told, and never waits. */
int nl_open_groups(struct nl **ret, unsigned int groups);
/* What it has heard: 0, or -ENOBUFS: some was missed. */
int nl_hear(struct nl *nl, void (*each)(const struct nlmsghdr *nlh, void *arg), void *arg);

/*
 * Sends a request, gathers its answer whole and hands out its messages; what each() returns, if
 * not 0, ends that and is returned. -EAGAIN: what was listed kept changing.
 */
int nl_ask(struct nl *nl, struct nl_request *req,
	   int (*each)(const struct nlmsghdr *nlh, void *arg), void *arg);

/* Attributes by type, up to max; who reads them checks their lengths. NULL: no such message. */
const void *nl_parse(const struct nlmsghdr *nlh, uint16_t type, size_t header,
		     const struct nlattr **tb, unsigned int max);
void nl_parse_nested(const struct nlattr *nest, const struct nlattr **tb, unsigned int max);

/* 0, "" or false where the attribute is missing or of another length. */
uint32_t nl_u32(const struct nlattr *attr);
uint8_t nl_u8(const struct nlattr *attr);
void nl_str(const struct nlattr *attr, char *ret, size_t size);
bool nl_mac(const struct nlattr *attr, uint8_t *ret);
bool nl_addr(const struct nlattr *attr, struct lb_addr *ret);
bool nl_addr_bytes(const void *bytes, size_t len, struct lb_addr *ret);

uint8_t nl_addr_family(const struct lb_addr *addr);
bool nl_addr_equal(const struct lb_addr *a, const struct lb_addr *b);

#endif

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What attaching the balancer and the unwrapping program have in common. */
#ifndef LBCTL_ATTACH_H
#define LBCTL_ATTACH_H

#include <stdbool.h>

#include "netlink.h"
#include "text.h"

struct balancer;

/* Devices whose native XDP is slower than generic between local sockets, or isn't there. */
bool attach__generic_is_better(const struct nl_link *link);

/* -EBUSY: says whose program is on it, and how to go on. */
int attach__refuse_foreign(const struct nl_link *link, struct text_error *error);

int attach__find_link(struct nl *nl, const char *iface, struct nl_link *ret,
		      struct text_error *error);

/* Notes VLAN devices on top of an interface, whose tags XDP has to see. */
void attach__vlan_notes(struct balancer *b, const struct nl_link *link);

#endif

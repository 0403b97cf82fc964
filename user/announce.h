/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What is said and heard on a link about an address that no interface has. 0, or -errno. */
#ifndef LBCTL_ANNOUNCE_H
#define LBCTL_ANNOUNCE_H

#include <stdbool.h>
#include <stdint.h>

#include "lb_abi.h"

/* Tells all neighbours, unasked, that the address is at this MAC (6 bytes). */
int announce__tell(uint32_t ifindex, const uint8_t *mac, const struct lb_addr *addr);

/*
 * Has the interface take in frames to the group in which neighbours ask for the address (IPv6; for IPv4
 * nothing is to be done), or no longer. Outlives this process.
 */
int announce__join(const char *iface, const struct lb_addr *addr, bool join);

/* Name of an interface of this namespace, up to 16 bytes with its NUL. false: it is gone. */
bool announce__iface(uint32_t ifindex, char *ret);

#endif

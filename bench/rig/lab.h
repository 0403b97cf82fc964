/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A network and a bpffs of the process's own, which end with it however it ends, and lbctl in it.
 * Addresses are in host order.
 */
#ifndef RIG_LAB_H
#define RIG_LAB_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#define LAB_IFACE    "lb0"
#define LAB_PROGRAMS "/sys/fs/bpf/lbctl/programs/"

#define LAB_HOST     0x0a000001 /* 10.0.0.1/16: the balancer, the VIP and the SNAT address */
#define LAB_GATEWAY  0x0a0000fe /* to the clients, 100.64.0.0/10 */
#define LAB_BACKENDS 64
#define LAB_BACKEND  0x0a000101 /* 10.0.1.1 and following */
#define LAB_STRANGER 0x0a000009 /* an address that no VIP has */
#define LAB_CLIENT   0x64400000

/* A new network namespace with lo up, an own mount namespace, an empty bpffs. */
int lab__enter(void);

/* Another network namespace for the calling thread; *ret_fd keeps it. */
int lab__netns(int *ret_fd);

/* Lines for ip -batch. */
int lab__ip(const char *lines);

/* Permanent neighbour entries of the gateway and the backends. */
int lab__neighbours(const char *iface);

void lab__mac_of(uint32_t ip, uint8_t ret[6]);

/* The one interface of a balancer that answers clients and backends there. */
int lab__one_armed(void);

#define LAB_WORDS 256

/* Runs lbctl; not 0: failed, and words tell why. */
int lab__lbctl(char words[LAB_WORDS], const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* What lbctl -o json prints; NULL if it fails. */
json_t *lab__show(const char *what);

#endif

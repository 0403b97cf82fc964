/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A network namespace of the test's own: interfaces, routes and neighbours that the route look-up
 * of the data path finds there. It goes when the test does.
 */
#ifndef LAB_H
#define LAB_H

#include <stdint.h>

#define IP(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))

/* On lab's near interface: 172.17.0.0/24, the far one: 10.2.0.0/24 */
#define LAB_HOST	IP(172, 17, 0, 5)
#define LAB_VIP2	IP(172, 17, 0, 6)
#define LAB_SNAT_A	IP(172, 17, 0, 7)
#define LAB_SNAT_B	IP(172, 17, 0, 8)
#define LAB_FAR_HOST	IP(10, 2, 0, 1)
#define LAB_CLIENT	IP(172, 17, 0, 4)
#define LAB_BACKEND_A	IP(172, 17, 0, 2)
#define LAB_BACKEND_B	IP(172, 17, 0, 3)
#define LAB_GATEWAY	IP(172, 17, 0, 1)
#define LAB_REMOTE	IP(198, 51, 100, 7) /* by the gateway */
#define LAB_FAR_BACKEND IP(10, 2, 0, 2)
#define LAB_FAR_CLIENT	IP(10, 2, 0, 9)
#define LAB_DARK	IP(172, 17, 0, 99) /* no neighbour entry */
#define LAB_DARK_SERVER IP(172, 17, 0, 98)
#define LAB_BLACKHOLE	IP(203, 0, 113, 1)
#define LAB_UNREACHABLE IP(203, 0, 113, 2)
#define LAB_PROHIBIT	IP(203, 0, 113, 3)
#define LAB_NOWHERE	IP(192, 0, 2, 1)

#define LAB_MTU 1500

enum lab_iface {
	LAB_NEAR,
	LAB_FAR,
	LAB_IFACES,
};

extern uint32_t lab_ifindex[LAB_IFACES];

/* -errno; -EPERM without the rights. */
int lab__enter(void);

/* A permanent neighbour entry, made at once: what is kept lives for a second. */
int lab__set_neighbour(uint32_t ip, const uint8_t mac[6]);

/* No entry for it any more. */
int lab__del_neighbour(uint32_t ip);

/* The far interface goes down, or up again as it was at the start. */
int lab__set_far(int up);

/* Runs `ip ARGS`. */
int lab__ip(const char *args);
int lab__set_forwarding(int on); /* of the family */

/* MAC of a host on the link, and of our interface. */
void lab__mac_of(uint32_t ip, uint8_t ret[6]);
uint32_t lab__ip_of(const uint8_t mac[6]);
void lab__own_mac(enum lab_iface iface, uint8_t ret[6]);

/* By which interface, and by which neighbour, an address is reached: as the lab was laid out. */
enum lab_iface lab__way_to(uint32_t ip, uint32_t *ret_neighbour);

#endif

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What the data path tells the daemon, and what the daemon asks of it: events, the state of datagrams,
 * packets sent in again. Functions return 0 or -errno unless they say more.
 */
#ifndef LBCTL_MAPS_EVENTS_H
#define LBCTL_MAPS_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lb_abi.h"

struct maps_events;

/*
 * From now on the events of the balancer at dir come here. event(): frame holds event->frame_len bytes;
 * lost(): so many were lost. -ENOENT: it isn't attached. -EPERM: no memory for them may be locked.
 * -ENOTSUP: this kernel can't send packets in (before Linux 5.18).
 */
int maps__events_open(const char *dir, void (*event)(const struct lb_event *, const void *frame, void *),
		      void (*lost)(uint64_t n, void *), void *arg, struct maps_events **ret);
void maps__events_close(struct maps_events *events);

/* Is that still the balancer at dir? It may have been unloaded, and another made. */
bool maps__events_current(const struct maps_events *events);

/* Readable when there are events. */
int maps__events_fd(const struct maps_events *events);
int maps__events_consume(struct maps_events *events);

/* Packets that nobody sends in again, since their next hop didn't answer: counted as dropped. */
int maps__unpark_neighbour(struct maps_events *events, uint32_t packets);

/* What lb_unpark answers: enum lb_datagram_state. */
int maps__unpark(struct maps_events *events, const struct lb_datagram_key *key, bool give_up,
		 uint32_t parked);

/*
 * A frame comes in by its interface, as if for the first time. In the interface's network namespace only.
 * -ENODEV: the interface is gone.
 */
int maps__send_in(struct maps_events *events, const struct lb_event *event, const void *frame);

#endif

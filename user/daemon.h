/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The daemon: a loop that watches the balancer at a pin directory and may die at any time, since
 * all state is in the maps. Today it keeps fragments that came before the first of their datagram.
 */
#ifndef LBCTL_DAEMON_H
#define LBCTL_DAEMON_H

#include <stdint.h>

#include "text.h"

struct daemon_options {
	uint32_t park_time_ms;
	uint32_t park_packets;
};

/* Until SIGINT or SIGTERM. say(): what it does; note(): what goes wrong and may get better. */
int daemon__run(const char *dir, const struct daemon_options *options,
		void (*say)(const char *text), void (*note)(const char *text),
		struct text_error *error);

#endif

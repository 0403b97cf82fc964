/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Two network namespaces joined by a veth pair, for tests of netlink against the running kernel.
 * Both have no name, so they go with the process however it ends. Needs root, ip and nsenter.
 *
 *	va 10.77.0.1/24 fd77::1/64 02:00:00:77:00:01 --- vb .2 ::2 :02 (peer)
 *	vc, down                                     --- vd (peer)
 */
#ifndef LAB_H
#define LAB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

/* cmocka.h wants the first three before it. */
#include <cmocka.h>

#include "../../user/netlink.h"

extern struct nl *nl;
extern pid_t peer;  /* sleeps in the far namespace and so keeps it */
extern uint32_t va; /* ifindex */

int lab_setup(void **state);
int lab_teardown(void **state);

/* Runs a shell command, which must do. */
void sh(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define PEER_SH "nsenter --net=/proc/%d/ns/net "

struct lb_addr addr(const char *text);

#define assert_addr(a, text)                                            \
	do {                                                            \
		struct lb_addr expected = addr(text);                   \
		assert_memory_equal(&(a), &expected, sizeof(expected)); \
	} while (0)

long ms_since(const struct timespec *start);
bool kernel_manages(void); /* it has NTF_EXT_MANAGED */

#endif

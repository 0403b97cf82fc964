/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The words for the enums of lb_abi.h, by value. */
#ifndef LBCTL_NAMES_H
#define LBCTL_NAMES_H

#include <string.h>

#include "lb_abi.h"

static const char *const ct_state_names[CT_STATES] = {
	[CT_SYN] = "syn",	[CT_ESTABLISHED] = "established", [CT_FIN] = "fin",
	[CT_CLOSED] = "closed", [CT_UDP_NEW] = "new",		  [CT_UDP_ASSURED] = "assured",
};

static const char *const lb_admin_names[] = {
	[LB_ADMIN_AUTO] = "auto",
	[LB_ADMIN_UP] = "up",
	[LB_ADMIN_DRAIN] = "drain",
	[LB_ADMIN_DOWN] = "down",
};

static const char *const lb_health_names[] = {
	[LB_HEALTH_UNCHECKED] = "unchecked",
	[LB_HEALTH_UP] = "up",
	[LB_HEALTH_DOWN] = "down",
};

static const char *const lb_method_names[LB_METHODS] = {
	[LB_METHOD_FULLNAT] = "fullnat",
	[LB_METHOD_NAT] = "nat",
	[LB_METHOD_IPIP] = "ipip",
	[LB_METHOD_DSR] = "dsr",
	[LB_METHOD_GUE] = "gue",
};

static const char *const lb_table_names[] = {
	[LB_TABLE_ASSOC] = "assoc",
	[LB_TABLE_LRU] = "lru",
};

static const char *const lb_scheduler_names[] = { [LB_SCHED_MAGLEV] = "maglev",
						       [LB_SCHED_WRR] = "wrr" };
static const char *const lb_hash_names[] = {
	[LB_HASH_5TUPLE] = "5tuple",
	[LB_HASH_SOURCE] = "source",
};

static const char *const lb_mode_names[] = {
	[LB_MODE_NATIVE] = "native",
	[LB_MODE_GENERIC] = "generic",
};

/* Position of the word of that length, or -1. */
static inline int names__find(const char *const *names, int names_n, const char *word, size_t len)
{
	int i;

	for (i = 0; i < names_n; i++)
		if (strlen(names[i]) == len && !memcmp(names[i], word, len))
			return i;
	return -1;
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* All tables of scenarios, in the order in which they run. */
#ifndef TABLES_H
#define TABLES_H

#include "run.h"

#define TABLES(X)   \
	X(tcp)      \
	X(udp)      \
	X(host)     \
	X(validate) \
	X(checksum) \
	X(nexthop)  \
	X(kept)     \
	X(filter)   \
	X(ipip)     \
	X(ports)    \
	X(flows)    \
	X(backends) \
	X(reap)     \
	X(assoc)    \
	X(wire)     \
	X(race)     \
	X(storm)    \
	X(model)    \
	X(equal)

#define TABLE_DECLARE(name) extern const struct table name##_table;
TABLES(TABLE_DECLARE)
#undef TABLE_DECLARE

#define TABLE(name, list) \
	const struct table name##_table = { #name, list, sizeof(list) / sizeof(*(list)) }

#endif

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* All tables of scenarios, in the order in which they run. */
#ifndef TABLES_H
#define TABLES_H

#include "run.h"

#define TABLES(X)   \
	X(tcp)      \
	X(udp)      \
	X(ipv6)     \
	X(fragments) \
	X(fragments_one_way) \
	X(fragments_nat) \
	X(icmp)     \
	X(icmp_one_way) \
	X(host)     \
	X(validate) \
	X(checksum) \
	X(nexthop)  \
	X(kept)     \
	X(filter)   \
	X(admit)    \
	X(admit_one_way) \
	X(ipip)     \
	X(nat)      \
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

#define TABLE_OF(name, list, families, methods)                                        \
	const struct table name##_table = { #name, list, sizeof(list) / sizeof(*(list)), \
					    families, methods }
#define TABLE(name, list)	  TABLE_OF(name, list, BOTH_FAMILIES, FULLNAT)
#define TABLE_V4(name, list)	  TABLE_OF(name, list, ONLY_V4, FULLNAT)
#define TABLE_V6(name, list)	  TABLE_OF(name, list, ONLY_V6, FULLNAT)
#define TABLE_PAIRS(name, list)	  TABLE_OF(name, list, BOTH_FAMILIES, PAIRS)
#define TABLE_NAT(name, list)	  TABLE_OF(name, list, BOTH_FAMILIES, NAT)
#define TABLE_ONE_WAY(name, list) TABLE_OF(name, list, BOTH_FAMILIES, ONE_WAY)

#endif

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What people type and read: addresses, VIPs, backends, durations, numbers. Pure parsing and
 * formatting; parse(format(x)) is x, and format() is the one canonical text.
 *
 * Parsers take the whole text or nothing. They return 0, or -EINVAL and say in error (unless that
 * is NULL) what is wrong and what would be right.
 */
#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lb_abi.h"

#define TEXT_ADDR_MAX	  48 /* longest text and its NUL, of text__format_addr() */
#define TEXT_SERVICE_MAX  64 /* of text__format_service() and _endpoint() */
#define TEXT_DURATION_MAX 16
#define TEXT_PROTO_MAX	  8
#define TEXT_PREFIX_MAX	  52 /* of text__format_prefix() */

/* A week: far below half a turn of 32-bit jiffies at any HZ. */
#define TEXT_DURATION_LIMIT_MS (7u * 24 * 3600 * 1000)

struct text_error {
	char why[192];
};

/* Fills error, if there is one. Always returns -EINVAL. */
__attribute__((format(printf, 2, 3))) int text_error__set(struct text_error *error,
							  const char *format, ...);

/* A VIP as people name it. Ports here are in host order. */
struct service {
	struct lb_addr addr;
	uint16_t port; /* 0: every port */
	uint8_t ip_proto;
};

/* ADDRESS[:PORT]: a backend, or a client to filter by. */
struct endpoint {
	struct lb_addr addr;
	uint16_t port; /* 0: not given */
};

void service__to_key(const struct service *service, struct lb_service_key *ret_key);
void service__from_key(const struct lb_service_key *key, struct service *ret_service);

struct lb_addr lb_addr__from_v4(__be32 v4);
bool lb_addr__is_v4(const struct lb_addr *addr);
bool lb_addr__is_link_local(const struct lb_addr *addr); /* fe80::/10 */
__be32 lb_addr__v4(const struct lb_addr *addr); /* only if it is one */
bool lb_addr__equal(const struct lb_addr *a, const struct lb_addr *b);

int text__parse_addr(const char *s, struct lb_addr *ret_addr, struct text_error *error);

/* Unicast addresses, ADDRESS[,ADDRESS...], no two the same; at most max. */
int text__parse_addr_list(const char *s, struct lb_addr *ret_addrs, size_t max, size_t *ret_n,
			  struct text_error *error);

/* ADDRESS[/LENGTH], with no bits behind; list is LB_LIST_V6 or 0. A list as above (text_prefix.c). */
int text__parse_prefix(const char *s, struct lb_prefix *ret_prefix, struct text_error *error);
int text__parse_prefix_list(const char *s, struct lb_prefix *ret_prefixes, size_t max, size_t *ret_n,
			    struct text_error *error);
const char *text__format_prefix(const struct lb_prefix *prefix, char *buf, size_t size);
/* Whether one holds the other. */
bool lb_prefix__overlap(const struct lb_prefix *a, const struct lb_prefix *b);

/* ADDRESS:PORT[/PROTO], an address that can be served: what can't is refused by its kind. */
int text__parse_vip(const char *s, struct service *ret_service, struct text_error *error);

/* ADDRESS[:PORT], an address that packets can be sent to over a wire. */
int text__parse_backend(const char *s, struct endpoint *ret_endpoint, struct text_error *error);

/* ADDRESS[:PORT], any address. */
int text__parse_client(const char *s, struct endpoint *ret_endpoint, struct text_error *error);

int text__parse_proto(const char *s, uint8_t *ret_ip_proto, struct text_error *error);
int text__parse_port(const char *s, uint16_t *ret_port, struct text_error *error);
int text__parse_weight(const char *s, uint16_t *ret_weight, struct text_error *error);
int text__parse_duration(const char *s, uint32_t *ret_ms, struct text_error *error);

/* A decimal number from min to max; what names it in the error. */
int text__parse_number(const char *s, const char *what, uint64_t min, uint64_t max,
		       uint64_t *ret_number, struct text_error *error);

/* All return buf, for use as an argument. A buffer too short gets a truncated text. */
const char *text__format_addr(const struct lb_addr *addr, char *buf, size_t size);
const char *text__format_service(const struct service *service, char *buf, size_t size);
const char *text__format_endpoint(const struct endpoint *endpoint, char *buf, size_t size);
const char *text__format_proto(uint8_t ip_proto, char *buf, size_t size);
const char *text__format_duration(uint32_t ms, char *buf, size_t size);

#endif

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Prefixes of clients' addresses as people write them; see text.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "text.h"

#define V4_BITS 96 /* in front of an IPv4 address, as struct lb_addr has it */

/* Zeroes all bits behind the first bits. */
static struct lb_addr addr_mask(const struct lb_addr *addr, unsigned int bits)
{
	struct lb_addr masked = *addr;

	for (unsigned int i = 0; i < sizeof(masked.b); i++) {
		if (bits < 8 * (i + 1))
			masked.b[i] &= bits <= 8 * i ? 0 : 0xff00 >> (bits - 8 * i);
	}
	return masked;
}

int text__parse_prefix(const char *s, struct lb_prefix *ret, struct text_error *error)
{
	size_t len = strcspn(s, "/");
	char part[TEXT_ADDR_MAX], right[TEXT_PREFIX_MAX];
	struct lb_addr masked;
	uint64_t bits, before;

	*ret = (struct lb_prefix){};
	snprintf(part, sizeof(part), "%.*s", (int)(len < sizeof(part) ? len : sizeof(part)), s);
	if (text__parse_addr(part, &ret->addr, error))
		return -EINVAL;
	before = lb_addr__is_v4(&ret->addr) ? V4_BITS : 0;
	bits = 128 - before;
	if (s[len] && text__parse_number(s + len + 1, "prefix length", 0, bits, &bits, error))
		return -EINVAL;
	ret->bits = 32 + before + bits;
	ret->list = before ? 0 : LB_LIST_V6;
	masked = addr_mask(&ret->addr, before + bits);
	if (lb_addr__equal(&masked, &ret->addr))
		return 0;
	ret->addr = masked;
	return text_error__set(error, "bad prefix \"%.60s\": bits behind its length are set; the network is %s", s,
			       text__format_prefix(ret, right, sizeof(right)));
}

const char *text__format_prefix(const struct lb_prefix *prefix, char *buf, size_t size)
{
	char addr[TEXT_ADDR_MAX];

	snprintf(buf, size, "%s/%u", text__format_addr(&prefix->addr, addr, sizeof(addr)),
		 prefix->bits - 32 - (lb_addr__is_v4(&prefix->addr) ? V4_BITS : 0));
	return buf;
}

int text__parse_prefix_list(const char *s, struct lb_prefix *ret, size_t max, size_t *ret_n,
			    struct text_error *error)
{
	size_t n = 0;

	for (;; s++) {
		size_t len = strcspn(s, ",");
		char part[TEXT_PREFIX_MAX];

		snprintf(part, sizeof(part), "%.*s", (int)(len < sizeof(part) ? len : sizeof(part)),
			 s);
		if (n == max)
			return text_error__set(error, "too many prefixes: at most %zu", max);
		if (text__parse_prefix(part, &ret[n], error))
			return -EINVAL;
		for (size_t i = 0; i < n; i++) {
			if (!memcmp(&ret[i], &ret[n], sizeof(*ret)))
				return text_error__set(error, "prefix %s is named twice", part);
		}
		n++;
		s += len;
		if (!*s)
			break;
	}
	*ret_n = n;
	return 0;
}

/* Prefixes of two families never do: IPv4 lies in ::/0 only as it is written here. */
bool lb_prefix__overlap(const struct lb_prefix *a, const struct lb_prefix *b)
{
	unsigned int bits = (a->bits < b->bits ? a->bits : b->bits) - 32;
	struct lb_addr left = addr_mask(&a->addr, bits), right = addr_mask(&b->addr, bits);

	return a->list == b->list && lb_addr__equal(&left, &right);
}

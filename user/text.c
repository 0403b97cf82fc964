/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What people type and read; see text.h. */
#include "text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int text_error__set(struct text_error *error, const char *format, ...)
{
	va_list args;

	if (!error)
		return -EINVAL;
	va_start(args, format);
	vsnprintf(error->why, sizeof(error->why), format, args);
	va_end(args);
	/* The text may quote anything: a terminal must not obey it, nor a line end in it. */
	for (char *c = error->why; *c; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	}
	return -EINVAL;
}

static const struct {
	const char *name;
	uint8_t ip_proto;
} protos[] = {
	{ "tcp", IPPROTO_TCP },
	{ "udp", IPPROTO_UDP },
};

static const struct {
	const char *name;
	uint32_t ms;
} units[] = {
	{ "h", 3600 * 1000 },
	{ "m", 60 * 1000 },
	{ "s", 1000 },
	{ "ms", 1 },
};

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

void service__to_key(const struct service *service, struct lb_service_key *ret_key)
{
	*ret_key = (struct lb_service_key){
		.addr = service->addr,
		.port = htons(service->port),
		.ip_proto = service->ip_proto,
	};
}

void service__from_key(const struct lb_service_key *key, struct service *ret_service)
{
	*ret_service = (struct service){
		.addr = key->addr,
		.port = ntohs(key->port),
		.ip_proto = key->ip_proto,
	};
}

struct lb_addr lb_addr__from_v4(__be32 v4)
{
	return (struct lb_addr){ .w = { 0, 0, htonl(LB_V4_PREFIX), v4 } };
}

bool lb_addr__is_v4(const struct lb_addr *addr)
{
	return !addr->w[0] && !addr->w[1] && addr->w[2] == htonl(LB_V4_PREFIX);
}

bool lb_addr__is_link_local(const struct lb_addr *addr)
{
	return addr->b[0] == 0xfe && (addr->b[1] & 0xc0) == 0x80;
}

__be32 lb_addr__v4(const struct lb_addr *addr)
{
	return addr->w[3];
}

bool lb_addr__equal(const struct lb_addr *a, const struct lb_addr *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/* -- Numbers ----------------------------------------------------------------------------------- */

/* Digits only, no needless zero in front; -ERANGE when it is a number, but above max. */
static int digits_parse(const char *s, size_t len, uint64_t max, uint64_t *ret_number)
{
	uint64_t number = 0;
	bool above = false;

	if (!len || (len > 1 && s[0] == '0'))
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		unsigned int digit = (unsigned char)s[i] - '0';

		if (digit > 9)
			return -EINVAL;
		if (above || number > (max - digit) / 10 || digit > max)
			above = true;
		else
			number = number * 10 + digit;
	}
	if (above)
		return -ERANGE;
	*ret_number = number;
	return 0;
}

int text__parse_number(const char *s, const char *what, uint64_t min, uint64_t max,
		       uint64_t *ret_number, struct text_error *error)
{
	uint64_t number;

	if (digits_parse(s, strlen(s), max, &number) || number < min)
		return text_error__set(error,
				       "bad %s \"%.40s\": a number from %" PRIu64 " to %" PRIu64,
				       what, s, min, max);
	*ret_number = number;
	return 0;
}

int text__parse_port(const char *s, uint16_t *ret_port, struct text_error *error)
{
	uint64_t number = 0;
	int err = text__parse_number(s, "port", 1, UINT16_MAX, &number, error);

	if (!err)
		*ret_port = (uint16_t)number;
	return err;
}

int text__parse_weight(const char *s, uint16_t *ret_weight, struct text_error *error)
{
	uint64_t number = 0;
	int err = text__parse_number(s, "weight", 0, UINT16_MAX, &number, error);

	if (!err)
		*ret_weight = (uint16_t)number;
	return err;
}

int text__parse_duration(const char *s, uint32_t *ret_ms, struct text_error *error)
{
	size_t len = strspn(s, "0123456789");
	uint64_t number;

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		int err;

		if (strcmp(s + len, units[i].name))
			continue;
		err = digits_parse(s, len, TEXT_DURATION_LIMIT_MS / units[i].ms, &number);
		if (err == -ERANGE)
			return text_error__set(error, "bad duration \"%.40s\": at most %uh", s,
					       TEXT_DURATION_LIMIT_MS / units[0].ms);
		if (err)
			break;
		*ret_ms = (uint32_t)number * units[i].ms;
		return 0;
	}
	return text_error__set(error,
			       "bad duration \"%.40s\": a number and its unit, as in 500ms, "
			       "3s, 5m, 1h",
			       s);
}

const char *text__format_duration(uint32_t ms, char *buf, size_t size)
{
	size_t i = ms ? 0 : 2; /* zero: 0s */

	while (ms % units[i].ms)
		i++;
	snprintf(buf, size, "%" PRIu32 "%s", ms / units[i].ms, units[i].name);
	return buf;
}

int text__parse_proto(const char *s, uint8_t *ret_ip_proto, struct text_error *error)
{
	for (size_t i = 0; i < ARRAY_SIZE(protos); i++) {
		if (strcmp(s, protos[i].name))
			continue;
		*ret_ip_proto = protos[i].ip_proto;
		return 0;
	}
	return text_error__set(error, "bad protocol \"%.40s\": tcp or udp", s);
}

const char *text__format_proto(uint8_t ip_proto, char *buf, size_t size)
{
	for (size_t i = 0; i < ARRAY_SIZE(protos); i++) {
		if (ip_proto == protos[i].ip_proto) {
			snprintf(buf, size, "%s", protos[i].name);
			return buf;
		}
	}
	snprintf(buf, size, "%u", ip_proto);
	return buf;
}

/* -- Addresses --------------------------------------------------------------------------------- */

int text__parse_addr(const char *s, struct lb_addr *ret_addr, struct text_error *error)
{
	struct lb_addr addr;
	struct in_addr v4;

	/* inet_pton() takes neither zero-padded octets nor anything before or behind. */
	if (inet_pton(AF_INET, s, &v4) == 1)
		addr = lb_addr__from_v4(v4.s_addr);
	else if (inet_pton(AF_INET6, s, &addr) != 1)
		return text_error__set(error,
				       "bad address \"%.50s\": an IPv4 address as in 10.0.0.1, "
				       "or an IPv6 address as in 2001:db8::1",
				       s);
	*ret_addr = addr;
	return 0;
}

const char *text__format_addr(const struct lb_addr *addr, char *buf, size_t size)
{
	char text[INET6_ADDRSTRLEN];

	if (lb_addr__is_v4(addr))
		inet_ntop(AF_INET, &addr->w[3], text, sizeof(text));
	else
		inet_ntop(AF_INET6, addr, text, sizeof(text));
	snprintf(buf, size, "%s", text);
	return buf;
}

/* The kind of an address that no packet can be sent to over a wire, or NULL. */
static const char *addr_unfit(const struct lb_addr *addr)
{
	static const struct lb_addr any, loopback = { .b = { [15] = 1 } };

	if (lb_addr__is_v4(addr)) {
		uint32_t v4 = ntohl(lb_addr__v4(addr));

		if (v4 >> 24 == 0)
			return "the unspecified address or network 0.0.0.0/8";
		if (v4 >> 24 == 127)
			return "a loopback address";
		if (v4 >> 28 == 0xe)
			return "a multicast address";
		if (v4 == UINT32_MAX)
			return "the broadcast address";
		if (v4 >> 28 == 0xf)
			return "a reserved address";
		return NULL;
	}
	if (lb_addr__equal(addr, &any))
		return "the unspecified address";
	if (lb_addr__equal(addr, &loopback))
		return "a loopback address";
	if (lb_addr__is_link_local(addr))
		return "a link-local address, which doesn't tell the interface";
	return addr->b[0] == 0xff ? "a multicast address" : NULL;
}

static int unicast_check(const struct lb_addr *addr, const char *what, struct text_error *error)
{
	const char *unfit = addr_unfit(addr);
	char text[TEXT_ADDR_MAX];

	if (!unfit)
		return 0;
	return text_error__set(error,
			       "bad %s \"%s\": %s; use a unicast address that clients or "
			       "backends can reach",
			       what, text__format_addr(addr, text, sizeof(text)), unfit);
}

int text__parse_addr_list(const char *s, struct lb_addr *ret_addrs, size_t max, size_t *ret_n,
			  struct text_error *error)
{
	size_t n = 0;

	for (;; s++) {
		size_t len = strcspn(s, ",");
		char part[TEXT_ADDR_MAX];
		int err;

		snprintf(part, sizeof(part), "%.*s", (int)(len < sizeof(part) ? len : sizeof(part)),
			 s);
		if (n == max)
			return text_error__set(error, "too many addresses: at most %zu", max);
		err = text__parse_addr(part, &ret_addrs[n], error);
		if (!err)
			err = unicast_check(&ret_addrs[n], "address", error);
		if (err)
			return err;
		for (size_t i = 0; i < n; i++) {
			if (lb_addr__equal(&ret_addrs[i], &ret_addrs[n]))
				return text_error__set(error, "address %s is named twice", part);
		}
		n++;
		s += len;
		if (!*s)
			break;
	}
	*ret_n = n;
	return 0;
}

/* -- ADDRESS, ADDRESS:PORT, ADDRESS:PORT/PROTO ------------------------------------------------- */

/*
 * Splits ADDRESS, ADDRESS:PORT, [ADDRESS] and [ADDRESS]:PORT in place; *ret_port is NULL without a
 * port. More than one colon and no brackets is an IPv6 address: which colon would be the port's?
 */
static int host_split(char *s, char **ret_host, char **ret_port, struct text_error *error)
{
	char *colon = strchr(s, ':'), *close;

	*ret_host = s;
	*ret_port = NULL;
	if (s[0] == '[') {
		close = strchr(s, ']');
		if (!close || (close[1] && close[1] != ':') || !memchr(s, ':', (size_t)(close - s)))
			return text_error__set(error,
					       "bad address \"%.60s\": brackets go around an "
					       "IPv6 address, as in [2001:db8::1]:80",
					       s);
		*ret_host = s + 1;
		*close = '\0';
		if (close[1])
			*ret_port = close + 2;
	} else if (colon && !strchr(colon + 1, ':')) {
		*colon = '\0';
		*ret_port = colon + 1;
	}
	return 0;
}

static int copy_check(const char *s, const char *what, char *buf, size_t size,
		      struct text_error *error)
{
	if (!*s)
		return text_error__set(error, "empty %s: an address and a port, as in 10.0.0.1:80",
				       what);
	if ((size_t)snprintf(buf, size, "%s", s) >= size)
		return text_error__set(error, "bad %s \"%.40s...\": too long", what, s);
	return 0;
}

/* Parses ADDRESS[:PORT]. */
static int endpoint_parse(const char *s, const char *what, struct endpoint *ret_endpoint,
			  struct text_error *error)
{
	struct endpoint endpoint = {};
	char buf[TEXT_SERVICE_MAX];
	char *host, *port;
	int err;

	err = copy_check(s, what, buf, sizeof(buf), error);
	if (!err)
		err = host_split(buf, &host, &port, error);
	if (!err)
		err = text__parse_addr(host, &endpoint.addr, error);
	if (!err && port)
		err = text__parse_port(port, &endpoint.port, error);
	if (!err)
		*ret_endpoint = endpoint;
	return err;
}

int text__parse_backend(const char *s, struct endpoint *ret_endpoint, struct text_error *error)
{
	struct endpoint endpoint;
	int err = endpoint_parse(s, "backend", &endpoint, error);

	if (!err)
		err = unicast_check(&endpoint.addr, "backend", error);
	if (!err)
		*ret_endpoint = endpoint;
	return err;
}

int text__parse_client(const char *s, struct endpoint *ret_endpoint, struct text_error *error)
{
	return endpoint_parse(s, "client", ret_endpoint, error);
}

int text__parse_vip(const char *s, struct service *ret_service, struct text_error *error)
{
	struct service service = { .ip_proto = IPPROTO_TCP };
	char buf[TEXT_SERVICE_MAX];
	char *host, *port, *slash;
	int err;

	err = copy_check(s, "VIP", buf, sizeof(buf), error);
	if (err)
		return err;
	slash = strrchr(buf, '/');
	if (slash) {
		*slash = '\0';
		err = text__parse_proto(slash + 1, &service.ip_proto, error);
	}
	if (!err)
		err = host_split(buf, &host, &port, error);
	if (!err)
		err = text__parse_addr(host, &service.addr, error);
	if (err)
		return err;
	if (!port)
		return text_error__set(
			error,
			"bad VIP \"%.60s\": a port must follow the address, as "
			"in 10.0.0.1:80/tcp or [2001:db8::1]:80/tcp (* is every port)",
			s);
	if (strcmp(port, "*"))
		err = text__parse_port(port, &service.port, error);
	if (!err)
		err = unicast_check(&service.addr, "VIP", error);
	if (!err)
		*ret_service = service;
	return err;
}

/* Brackets only where a port follows an IPv6 address. */
static const char *host_port_format(const struct lb_addr *addr, const char *port, char *buf,
				    size_t size)
{
	char host[TEXT_ADDR_MAX];
	bool v4 = lb_addr__is_v4(addr);

	text__format_addr(addr, host, sizeof(host));
	snprintf(buf, size, v4 ? "%s:%s" : "[%s]:%s", host, port);
	return buf;
}

const char *text__format_endpoint(const struct endpoint *endpoint, char *buf, size_t size)
{
	char port[8];

	if (!endpoint->port)
		return text__format_addr(&endpoint->addr, buf, size);
	snprintf(port, sizeof(port), "%u", endpoint->port);
	return host_port_format(&endpoint->addr, port, buf, size);
}

const char *text__format_service(const struct service *service, char *buf, size_t size)
{
	char port[16] = "*", proto[TEXT_PROTO_MAX];

	if (service->port)
		snprintf(port, sizeof(port), "%u", service->port);
	text__format_proto(service->ip_proto, proto, sizeof(proto));
	strcat(strcat(port, "/"), proto);
	return host_port_format(&service->addr, port, buf, size);
}

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Parsing and formatting of what people type. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "text.h"

#define FUZZ_RUNS 20000

/* Text, its canonical form (NULL: refused), and what the message must then contain. */
struct text_case {
	const char *text;
	const char *canonical;
	const char *why;
};

static const struct text_case vip_cases[] = {
	{ "172.17.0.5:80/tcp", "172.17.0.5:80/tcp", NULL },
	{ "172.17.0.5:80", "172.17.0.5:80/tcp", NULL },
	{ "10.0.0.1:*/tcp", "10.0.0.1:*/tcp", NULL },
	{ "10.0.0.1:*", "10.0.0.1:*/tcp", NULL },
	{ "10.0.0.1:65535/udp", "10.0.0.1:65535/udp", NULL },
	{ "[2001:db8::5]:53/udp", "[2001:db8::5]:53/udp", NULL },
	{ "[2001:0DB8:0:0::5]:53", "[2001:db8::5]:53/tcp", NULL },
	{ "[::ffff:10.0.0.1]:80", "10.0.0.1:80/tcp", NULL },
	{ "[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535/tcp", NULL, "multicast" },
	{ "", NULL, "empty VIP" },
	{ "10.0.0.1", NULL, "a port must follow" },
	{ "10.0.0.1/tcp", NULL, "a port must follow" },
	{ "10.0.0.1:", NULL, "bad port \"\"" },
	{ "10.0.0.1:80x", NULL, "bad port \"80x\": a number from 1 to 65535" },
	{ "10.0.0.1:0", NULL, "bad port" },
	{ "10.0.0.1:65536", NULL, "bad port" },
	{ "10.0.0.1:18446744073709551617", NULL, "bad port" },
	{ "10.0.0.1:+80", NULL, "bad port" },
	{ "10.0.0.1:-1", NULL, "bad port" },
	{ "10.0.0.1:080", NULL, "bad port" },
	{ "10.0.0.1: 80", NULL, "bad port" },
	{ "10.0.0.1:80 ", NULL, "bad port" },
	{ "10.0.0.1:**", NULL, "bad port" },
	{ "10.0.0.1:80/", NULL, "bad protocol \"\"" },
	{ "10.0.0.1:80/sctp", NULL, "tcp or udp" },
	{ "10.0.0.1:80/TCP", NULL, "tcp or udp" },
	{ "10.0.0.1:80/tcp/udp", NULL, "bad port" },
	{ "10.0.0.1:80/tcp ", NULL, "bad protocol" },
	{ "10.0.0.1:80:90/tcp", NULL, "bad address" },
	{ "10.0.0.256:80", NULL, "bad address" },
	{ "10.0.0.01:80", NULL, "bad address" },
	{ "10.0.0:80", NULL, "bad address" },
	{ "+10.0.0.1:80", NULL, "bad address" },
	{ " 10.0.0.1:80", NULL, "bad address" },
	{ "www.example.org:80", NULL, "bad address" },
	{ "10.0.0.0/24:80/tcp", NULL, "bad address" },
	{ "*:80", NULL, "bad address" },
	{ ":80", NULL, "bad address" },
	{ "2001:db8::5:53/udp", NULL, "[2001:db8::1]:80" },
	{ "[2001:db8::5]53", NULL, "brackets" },
	{ "[2001:db8::5:53", NULL, "brackets" },
	{ "[2001:db8::5]", NULL, "a port must follow" },
	{ "[10.0.0.1]:80", NULL, "brackets" },
	{ "[]:80", NULL, "brackets" },
	{ "[fe80::1%eth0]:80", NULL, "bad address" },
	{ "0.0.0.0:80", NULL, "unspecified" },
	{ "0.1.2.3:80", NULL, "0.0.0.0/8" },
	{ "127.0.0.1:80", NULL, "loopback" },
	{ "224.0.0.1:80", NULL, "multicast" },
	{ "239.255.255.255:80", NULL, "multicast" },
	{ "255.255.255.255:80", NULL, "broadcast" },
	{ "240.0.0.1:80", NULL, "reserved" },
	{ "[::]:80", NULL, "unspecified" },
	{ "[::1]:80", NULL, "loopback" },
	{ "[ff02::1]:80", NULL, "multicast" },
	{ "[::ffff:127.0.0.1]:80", NULL, "loopback" },
	{ "[fe80::1]:80", NULL, "link-local" },
	{ "[febf:ffff::1]:80/udp", NULL, "link-local" },
	{ "[fe7f::1]:80", "[fe7f::1]:80/tcp", NULL },
	{ "[fec0::1]:*/udp", "[fec0::1]:*/udp", NULL },
	{ "[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:65535/tcp0123456789012345678901234567890", NULL,
	  "too long" },
};

static const struct text_case backend_cases[] = {
	{ "172.17.0.2", "172.17.0.2", NULL },
	{ "172.17.0.2:8080", "172.17.0.2:8080", NULL },
	{ "2001:db8::2", "2001:db8::2", NULL },
	{ "[2001:db8::2]", "2001:db8::2", NULL },
	{ "[2001:db8::2]:8080", "[2001:db8::2]:8080", NULL },
	{ "", NULL, "empty backend" },
	{ "172.17.0.2:", NULL, "bad port" },
	{ "172.17.0.2:*", NULL, "bad port" },
	{ "172.17.0.2:0", NULL, "bad port" },
	{ "172.17.0.2:80/tcp", NULL, "bad port" },
	{ "127.0.0.1:80", NULL, "loopback" },
	{ "0.0.0.0", NULL, "unspecified" },
	{ "224.1.1.1:80", NULL, "multicast" },
	{ "::", NULL, "unspecified" },
	{ "::1", NULL, "loopback" },
	{ "[ff02::1]:80", NULL, "multicast" },
	{ "fe80::2", NULL, "link-local" },
	{ "[fe80::2]:80", NULL, "link-local" },
	{ "localhost", NULL, "bad address" },
};

/* clang-format off */
static const struct text_case duration_cases[] = {
	{ "500ms", "500ms", NULL },	{ "3s", "3s", NULL },
	{ "5m", "5m", NULL },		{ "1h", "1h", NULL },
	{ "0s", "0s", NULL },		{ "0ms", "0s", NULL },
	{ "60s", "1m", NULL },		{ "90s", "90s", NULL },
	{ "1500ms", "1500ms", NULL },	{ "168h", "168h", NULL },
	{ "604800000ms", "168h", NULL }, { "169h", NULL, "at most 168h" },
	{ "604800001ms", NULL, "at most" }, { "99999999999999999999999h", NULL, "at most" },
	{ "", NULL, "bad duration" },	{ "5", NULL, "its unit" },
	{ "s", NULL, "its unit" },	{ "-1s", NULL, "its unit" },
	{ "+1s", NULL, "its unit" },	{ "01s", NULL, "its unit" },
	{ "1.5s", NULL, "its unit" },	{ "1 s", NULL, "its unit" },
	{ "1sec", NULL, "its unit" },	{ "1h30m", NULL, "its unit" },
	{ "1S", NULL, "its unit" },	{ "1d", NULL, "its unit" },
};
/* clang-format on */

static int vip_canonical(const char *text, char *buf, size_t size, struct text_error *error)
{
	struct service service;
	int err = text__parse_vip(text, &service, error);

	if (!err)
		text__format_service(&service, buf, size);
	return err;
}

static int backend_canonical(const char *text, char *buf, size_t size, struct text_error *error)
{
	struct endpoint endpoint;
	int err = text__parse_backend(text, &endpoint, error);

	if (!err)
		text__format_endpoint(&endpoint, buf, size);
	return err;
}

static int duration_canonical(const char *text, char *buf, size_t size, struct text_error *error)
{
	uint32_t ms;
	int err = text__parse_duration(text, &ms, error);

	if (!err)
		text__format_duration(ms, buf, size);
	return err;
}

static void cases_check(const struct text_case *cases, size_t n,
			int (*canonical)(const char *, char *, size_t, struct text_error *))
{
	for (size_t i = 0; i < n; i++) {
		struct text_error error = {};
		char buf[TEXT_SERVICE_MAX];
		int err = canonical(cases[i].text, buf, sizeof(buf), &error);

		if (cases[i].canonical) {
			if (err)
				fail_msg("\"%s\" was refused: %s", cases[i].text, error.why);
			assert_string_equal(buf, cases[i].canonical);
			continue;
		}
		if (err != -EINVAL || !strstr(error.why, cases[i].why))
			fail_msg("\"%s\": %d, \"%s\"", cases[i].text, err, error.why);
		assert_int_equal(canonical(cases[i].text, buf, sizeof(buf), NULL), -EINVAL);
	}
}

static void test_vips(void **state)
{
	(void)state;
	cases_check(vip_cases, ARRAY_SIZE(vip_cases), vip_canonical);
}

static void test_backends(void **state)
{
	(void)state;
	cases_check(backend_cases, ARRAY_SIZE(backend_cases), backend_canonical);
}

static void test_durations(void **state)
{
	(void)state;
	cases_check(duration_cases, ARRAY_SIZE(duration_cases), duration_canonical);
}

static void test_addresses(void **state)
{
	struct lb_addr addr;
	char buf[TEXT_ADDR_MAX];

	(void)state;
	assert_int_equal(text__parse_addr("10.1.2.3", &addr, NULL), 0);
	assert_true(lb_addr__is_v4(&addr));
	assert_int_equal(lb_addr__v4(&addr), htonl(0x0a010203));
	assert_int_equal(addr.b[10], 0xff);
	assert_int_equal(addr.b[9], 0);
	assert_string_equal(text__format_addr(&addr, buf, sizeof(buf)), "10.1.2.3");
	assert_int_equal(text__parse_addr("2001:db8::1", &addr, NULL), 0);
	assert_false(lb_addr__is_v4(&addr));
	assert_int_equal(text__parse_addr("", &addr, NULL), -EINVAL);
	/* not the mapped prefix */
	assert_int_equal(text__parse_addr("::fffe:10.1.2.3", &addr, NULL), 0);
	assert_false(lb_addr__is_v4(&addr));
	assert_int_equal(text__parse_addr("::10.1.2.3", &addr, NULL), 0);
	assert_false(lb_addr__is_v4(&addr));
}

static void test_address_lists(void **state)
{
	struct text_error error;
	struct lb_addr addrs[2];
	size_t n = 99;

	(void)state;
	assert_int_equal(text__parse_addr_list("10.0.0.1", addrs, 2, &n, &error), 0);
	assert_int_equal(n, 1);
	assert_int_equal(text__parse_addr_list("10.0.0.1,10.0.0.2", addrs, 2, &n, &error), 0);
	assert_int_equal(n, 2);
	assert_int_equal(lb_addr__v4(&addrs[1]), htonl(0x0a000002));
	assert_int_equal(text__parse_addr_list("10.0.0.1,10.0.0.1", addrs, 2, &n, &error), -EINVAL);
	assert_non_null(strstr(error.why, "twice"));
	assert_int_equal(text__parse_addr_list("10.0.0.1,10.0.0.2,10.0.0.3", addrs, 2, &n, &error),
			 -EINVAL);
	assert_non_null(strstr(error.why, "at most 2"));
	assert_int_equal(text__parse_addr_list("10.0.0.1,", addrs, 2, &n, &error), -EINVAL);
	assert_int_equal(text__parse_addr_list(",10.0.0.1", addrs, 2, &n, &error), -EINVAL);
	assert_int_equal(text__parse_addr_list("", addrs, 2, &n, &error), -EINVAL);
	assert_int_equal(text__parse_addr_list("127.0.0.1", addrs, 2, &n, &error), -EINVAL);
	assert_non_null(strstr(error.why, "loopback"));
	assert_int_equal(text__parse_addr_list("2001:db8::1,fe80::1", addrs, 2, &n, &error), -EINVAL);
	assert_non_null(strstr(error.why, "link-local"));
	assert_int_equal(text__parse_addr_list("2001:db8::1,2001:db8::2", addrs, 2, &n, &error), 0);
	assert_int_equal(n, 2);
}

static void test_clients(void **state)
{
	struct endpoint endpoint;
	struct text_error error;

	(void)state;
	assert_int_equal(text__parse_client("127.0.0.1:1", &endpoint, &error), 0);
	assert_int_equal(endpoint.port, 1);
	assert_int_equal(text__parse_client("10.0.0.1", &endpoint, &error), 0);
	assert_int_equal(endpoint.port, 0);
	assert_int_equal(text__parse_client("", &endpoint, &error), -EINVAL);
	assert_non_null(strstr(error.why, "empty client"));
}

static void test_numbers(void **state)
{
	struct text_error error;
	uint16_t weight;
	uint64_t number;

	(void)state;
	assert_int_equal(text__parse_weight("0", &weight, &error), 0);
	assert_int_equal(weight, 0);
	assert_int_equal(text__parse_weight("65535", &weight, &error), 0);
	assert_int_equal(weight, 65535);
	assert_int_equal(text__parse_weight("65536", &weight, &error), -EINVAL);
	assert_string_equal(error.why, "bad weight \"65536\": a number from 0 to 65535");
	assert_int_equal(text__parse_weight("00", &weight, &error), -EINVAL);
	assert_int_equal(text__parse_weight("0x1", &weight, &error), -EINVAL);
	assert_int_equal(
		text__parse_number("18446744073709551615", "n", 0, UINT64_MAX, &number, &error), 0);
	assert_true(number == UINT64_MAX);
	assert_int_equal(text__parse_number("18446744073709551616", "n", 0, UINT64_MAX, &number,
					    &error),
			 -EINVAL);
	assert_int_equal(text__parse_number("7", "n", 0, 5, &number, &error), -EINVAL);
	assert_int_equal(text__parse_number("5", "n", 0, 5, &number, &error), 0);
	assert_int_equal(text__parse_number("2", "n", 3, 5, &number, &error), -EINVAL);
}

static void test_keys(void **state)
{
	struct service service, back;
	struct lb_service_key key;

	(void)state;
	memset(&key, 0xff, sizeof(key));
	assert_int_equal(text__parse_vip("10.0.0.1:8080/udp", &service, NULL), 0);
	service__to_key(&service, &key);
	assert_int_equal(key.port, htons(8080));
	assert_int_equal(key.ip_proto, IPPROTO_UDP);
	for (size_t i = 0; i < sizeof(key.pad); i++)
		assert_int_equal(key.pad[i], 0);
	service__from_key(&key, &back);
	assert_true(lb_addr__equal(&service.addr, &back.addr));
	assert_int_equal(back.port, 8080);
	assert_int_equal(back.ip_proto, IPPROTO_UDP);
}

/* Nothing that a user typed may move a terminal's cursor or end the line. */
static void test_errors_are_printable(void **state)
{
	struct text_error error;
	struct service service;

	(void)state;
	assert_int_equal(text__parse_vip("\033[2J\n10.0.0.1:80", &service, &error), -EINVAL);
	for (const char *c = error.why; *c; c++)
		assert_true((unsigned char)*c >= ' ');
}

static struct lb_addr random_addr(uint64_t *seed)
{
	struct lb_addr addr;

	if (unit_random(seed) % 2)
		return lb_addr__from_v4((__be32)unit_random(seed));
	for (size_t i = 0; i < sizeof(addr.b); i++)
		addr.b[i] = unit_random(seed) % 3 ? (uint8_t)unit_random(seed) : 0;
	return addr;
}

static void test_parse_format(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (int i = 0; i < FUZZ_RUNS; i++) {
		struct endpoint endpoint = { random_addr(&seed), (uint16_t)unit_random(&seed) };
		struct service service = { random_addr(&seed), (uint16_t)unit_random(&seed),
					   unit_random(&seed) % 2 ? IPPROTO_TCP : IPPROTO_UDP };
		uint32_t ms = (uint32_t)(unit_random(&seed) % (TEXT_DURATION_LIMIT_MS + 1)),
			 ms_back;
		struct endpoint endpoint_back;
		struct service service_back;
		char text[TEXT_SERVICE_MAX];
		struct text_error error;

		text__format_endpoint(&endpoint, text, sizeof(text));
		if (text__parse_client(text, &endpoint_back, &error))
			fail_msg("%s", error.why);
		assert_true(lb_addr__equal(&endpoint.addr, &endpoint_back.addr));
		assert_int_equal(endpoint.port, endpoint_back.port);

		text__format_service(&service, text, sizeof(text));
		if (!text__parse_vip(text, &service_back, &error)) {
			assert_true(lb_addr__equal(&service.addr, &service_back.addr));
			assert_int_equal(service.port, service_back.port);
			assert_int_equal(service.ip_proto, service_back.ip_proto);
		} else if (!strstr(error.why, "unicast")) {
			fail_msg("%s", error.why);
		}

		text__format_duration(ms, text, TEXT_DURATION_MAX);
		assert_int_equal(text__parse_duration(text, &ms_back, &error), 0);
		assert_int_equal(ms, ms_back);
	}
}

/* Random text of characters that matter, and at times of any: no crash; what passes is canonical.
 */
static void test_random_text(void **state)
{
	static const char alphabet[] = "0123456789.:/[]*abcdeftcpudpms, +-%";
	uint64_t seed = 2;

	(void)state;
	for (int i = 0; i < FUZZ_RUNS; i++) {
		size_t len = unit_random(&seed) % 80;
		char text[80], buf[TEXT_SERVICE_MAX], again[TEXT_SERVICE_MAX];
		struct text_error error;
		struct lb_addr addrs[4];
		size_t n;

		for (size_t j = 0; j < len; j++)
			text[j] = unit_random(&seed) % 16
					  ? alphabet[unit_random(&seed) % (sizeof(alphabet) - 1)]
					  : (char)unit_random(&seed);
		text[len] = '\0';
		text__parse_addr_list(text, addrs, ARRAY_SIZE(addrs), &n, &error);
		if (!vip_canonical(text, buf, sizeof(buf), &error)) {
			assert_int_equal(vip_canonical(buf, again, sizeof(again), &error), 0);
			assert_string_equal(buf, again);
		}
		if (!backend_canonical(text, buf, sizeof(buf), &error)) {
			assert_int_equal(backend_canonical(buf, again, sizeof(again), &error), 0);
			assert_string_equal(buf, again);
		}
		if (!duration_canonical(text, buf, sizeof(buf), &error)) {
			assert_int_equal(duration_canonical(buf, again, sizeof(again), &error), 0);
			assert_string_equal(buf, again);
		}
	}
}

/* Good texts with one byte changed, so that the deep ends of the parsers are reached. */
static void test_mutated_text(void **state)
{
	uint64_t seed = 3;

	(void)state;
	for (int i = 0; i < FUZZ_RUNS; i++) {
		const char *from = vip_cases[unit_random(&seed) % 8].text;
		size_t at = unit_random(&seed) % strlen(from);
		char text[TEXT_SERVICE_MAX], buf[TEXT_SERVICE_MAX], again[TEXT_SERVICE_MAX];
		struct text_error error;

		snprintf(text, sizeof(text), "%s", from);
		text[at] = (char)(' ' + unit_random(&seed) % 95);
		if (!vip_canonical(text, buf, sizeof(buf), &error)) {
			assert_int_equal(vip_canonical(buf, again, sizeof(again), &error), 0);
			assert_string_equal(buf, again);
		}
		backend_canonical(text, buf, sizeof(buf), &error);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vips),
		cmocka_unit_test(test_backends),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_address_lists),
		cmocka_unit_test(test_clients),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_errors_are_printable),
		cmocka_unit_test(test_parse_format),
		cmocka_unit_test(test_random_text),
		cmocka_unit_test(test_mutated_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

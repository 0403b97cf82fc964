/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Opens many HTTP connections, one request each, so many at a time, and says as JSON how long
 * connects took, what failed, and which backend (the body's text) answered: what wrk can't tell.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TIMEOUT_US (10 * 1000000ULL)
#define SLOW_US	   500000
#define BACKENDS   16

enum failure { REFUSED, RESET, TIMEOUT, SHORT, OTHER, FAILURES };

static const char *const failure_names[FAILURES] = { "refused", "reset", "timeout", "short",
						     "other" };

struct conn {
	int fd; /* -1: idle */
	bool connected;
	uint64_t start_us;
	size_t len;
	char buf[2048];
};

struct load {
	struct sockaddr_in to;
	struct conn *conns;
	int epoll;
	unsigned int total, started, running, done;
	uint32_t *connect_us;
	unsigned int connects;
	unsigned int failures[FAILURES];
	struct {
		char name[32];
		unsigned int count;
	} backends[BACKENDS];
};

static const char request[] = "GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n";

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ULL + ts.tv_nsec / 1000;
}

static enum failure failure_of(int err)
{
	switch (err) {
	case ECONNREFUSED:
		return REFUSED;
	case ECONNRESET:
	case EPIPE:
		return RESET;
	case ETIMEDOUT:
		return TIMEOUT;
	default:
		return OTHER;
	}
}

static void conn_end(struct load *load, struct conn *conn)
{
	if (conn->fd >= 0)
		close(conn->fd);
	conn->fd = -1;
	load->running--;
	load->done++;
}

static void conn_fail(struct load *load, struct conn *conn, enum failure failure)
{
	load->failures[failure]++;
	conn_end(load, conn);
}

static void conn_start(struct load *load, struct conn *conn)
{
	struct epoll_event event = { .events = EPOLLOUT, .data.ptr = conn };

	load->started++;
	load->running++;
	conn->connected = false;
	conn->len = 0;
	conn->start_us = now_us();
	conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (conn->fd < 0 || epoll_ctl(load->epoll, EPOLL_CTL_ADD, conn->fd, &event)) {
		conn_fail(load, conn, OTHER);
		return;
	}
	if (connect(conn->fd, (struct sockaddr *)&load->to, sizeof(load->to)) &&
	    errno != EINPROGRESS)
		conn_fail(load, conn, failure_of(errno));
}

static void conn_connected(struct load *load, struct conn *conn)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = conn };
	socklen_t len = sizeof(int);
	int err = 0;

	getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &err, &len);
	if (err) {
		conn_fail(load, conn, failure_of(err));
		return;
	}
	conn->connected = true;
	load->connect_us[load->connects++] = now_us() - conn->start_us;
	if (send(conn->fd, request, sizeof(request) - 1, MSG_NOSIGNAL) != sizeof(request) - 1)
		conn_fail(load, conn, failure_of(errno));
	else if (epoll_ctl(load->epoll, EPOLL_CTL_MOD, conn->fd, &event))
		conn_fail(load, conn, OTHER);
}

/* A whole answer: 200, and one short line, the backend's name. */
static void conn_answered(struct load *load, struct conn *conn)
{
	char *body, *end;
	int i;

	conn->buf[conn->len] = 0;
	body = strstr(conn->buf, "\r\n\r\n");
	end = body ? strchr(body + 4, '\n') : NULL;
	if (!end || end == body + 4 || end - body - 4 >= 32 ||
	    strncmp(conn->buf, "HTTP/1.1 200", 12)) {
		conn_fail(load, conn, SHORT);
		return;
	}
	*end = 0;
	for (i = 0; i < BACKENDS; i++) {
		if (!load->backends[i].count)
			strcpy(load->backends[i].name, body + 4);
		if (!strcmp(load->backends[i].name, body + 4)) {
			load->backends[i].count++;
			conn_end(load, conn);
			return;
		}
	}
	conn_fail(load, conn, OTHER);
}

static void conn_readable(struct load *load, struct conn *conn)
{
	ssize_t n = recv(conn->fd, conn->buf + conn->len, sizeof(conn->buf) - 1 - conn->len, 0);

	if (n > 0)
		conn->len += n;
	else if (n == 0)
		conn_answered(load, conn);
	else if (errno != EAGAIN)
		conn_fail(load, conn, failure_of(errno));
}

static void load_expire(struct load *load, unsigned int conns)
{
	uint64_t now = now_us();
	unsigned int i;

	for (i = 0; i < conns; i++) {
		if (load->conns[i].fd >= 0 && now - load->conns[i].start_us > TIMEOUT_US)
			conn_fail(load, &load->conns[i], TIMEOUT);
	}
}

static void load_run(struct load *load, unsigned int conns)
{
	struct epoll_event events[64];
	uint64_t checked = now_us();
	unsigned int i;
	int n;

	while (load->done < load->total) {
		for (i = 0; load->running < conns && load->started < load->total; i++) {
			if (load->conns[i % conns].fd < 0)
				conn_start(load, &load->conns[i % conns]);
		}
		n = epoll_wait(load->epoll, events, 64, 1000);
		while (n-- > 0) {
			struct conn *conn = events[n].data.ptr;

			if (conn->connected)
				conn_readable(load, conn);
			else
				conn_connected(load, conn);
		}
		if (now_us() - checked > 1000000) {
			load_expire(load, conns);
			checked = now_us();
		}
	}
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void load_print(struct load *load, double seconds)
{
	uint32_t *us = load->connect_us;
	unsigned int i, n = load->connects, slow = 0, failed = 0;
	const char *comma = "";

	qsort(us, n, sizeof(*us), by_value);
	for (i = n; i > 0 && us[i - 1] > SLOW_US; i--)
		slow++;
	printf("{\"connections\":%u,\"per_second\":%.0f,\"errors\":{", load->total,
	       load->total / seconds);
	for (i = 0; i < FAILURES; i++) {
		printf("\"%s\":%u,", failure_names[i], load->failures[i]);
		failed += load->failures[i];
	}
	printf("\"all\":%u},\"slow_connects\":%u,\"connect_us\":{\"p50\":%u,\"p99\":%u,\"max\":%u},",
	       failed, slow, n ? us[n / 2] : 0, n ? us[n - 1 - n / 100] : 0, n ? us[n - 1] : 0);
	printf("\"backends\":{");
	for (i = 0; i < BACKENDS && load->backends[i].count; i++) {
		printf("%s\"%s\":%u", comma, load->backends[i].name, load->backends[i].count);
		comma = ",";
	}
	printf("}}\n");
}

int main(int argc, char **argv)
{
	struct rlimit files = { .rlim_cur = 65536, .rlim_max = 65536 };
	struct load load = { .to.sin_family = AF_INET };
	unsigned int i, conns;
	uint64_t start;

	if (argc != 5 || inet_pton(AF_INET, argv[1], &load.to.sin_addr) != 1 ||
	    atoi(argv[2]) <= 0 || atoi(argv[3]) <= 0 || atoi(argv[4]) <= 0) {
		fprintf(stderr, "usage: conn_load ADDRESS PORT CONNECTIONS AT-A-TIME\n");
		return 2;
	}
	load.to.sin_port = htons(atoi(argv[2]));
	load.total = atoi(argv[3]);
	conns = atoi(argv[4]);
	setrlimit(RLIMIT_NOFILE, &files); /* a few hundred fit the usual limit anyway */
	load.epoll = epoll_create1(0);
	load.conns = calloc(conns, sizeof(*load.conns));
	load.connect_us = calloc(load.total, sizeof(*load.connect_us));
	if (load.epoll < 0 || !load.conns || !load.connect_us) {
		perror("conn_load");
		return 1;
	}
	for (i = 0; i < conns; i++)
		load.conns[i].fd = -1;
	start = now_us();
	load_run(&load, conns);
	load_print(&load, (now_us() - start) / 1e6);
	return 0;
}

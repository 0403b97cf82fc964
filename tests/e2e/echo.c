/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * An echo server on TCP and UDP that puts its name before what it echoes; a long session that
 * talks to it all the time, as ssh does; and many UDP clients that watch which server answers.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REPLY_MS   2000
#define NAME_LEN   8
#define CLIENTS    2048
#define SIZE_MAX_SENT 1360 /* with headers and the name less than any MTU that tests set */
#define AT_A_TIME  100
#define LOST_MAX   5 /* so many lost, and it is of no use to wait for more */
#define NO_CHECK   'n' /* a datagram that begins so is answered without a checksum */

static volatile sig_atomic_t stopped;

static void on_signal(int signal)
{
	(void)signal;
	stopped = 1;
}

static void die(const char *what)
{
	fprintf(stderr, "echo: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ULL + ts.tv_nsec / 1000;
}

/* Of either family. */
struct address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
	socklen_t len;
};

static struct address address(const char *host, const char *port)
{
	struct address ret = { .v4.sin_port = htons(atoi(port)) }; /* where IPv6 has it, too */

	_Static_assert(offsetof(struct sockaddr_in, sin_port) ==
		       offsetof(struct sockaddr_in6, sin6_port), "one place for the port");
	ret.len = strchr(host, ':') ? sizeof(ret.v6) : sizeof(ret.v4);
	ret.any.sa_family = strchr(host, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(ret.any.sa_family, host, strchr(host, ':') ? (void *)&ret.v6.sin6_addr :
								   (void *)&ret.v4.sin_addr) != 1 ||
	    !ret.v4.sin_port) {
		fprintf(stderr, "echo: wrong address: %s %s\n", host, port);
		exit(2);
	}
	return ret;
}

static int bound_socket(int type, const struct address *addr)
{
	int fd = socket(addr->any.sa_family, type, 0), one = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(fd, &addr->any, addr->len))
		die("bind");
	return fd;
}

/* Each message is answered by the name, padded to NAME_LEN, and the message. */
static void serve_udp(int fd, const char *name)
{
	char buf[NAME_LEN + 65536];
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	int no_check;
	ssize_t n;

	n = recvfrom(fd, buf + NAME_LEN, sizeof(buf) - NAME_LEN, 0, (struct sockaddr *)&from, &len);
	if (n < 0)
		return;
	memcpy(buf, name, NAME_LEN);
	no_check = n > 0 && buf[NAME_LEN] == NO_CHECK;
	setsockopt(fd, SOL_SOCKET, SO_NO_CHECK, &no_check, sizeof(no_check));
	sendto(fd, buf, n + NAME_LEN, 0, (struct sockaddr *)&from, len);
}

static bool serve_tcp(int fd, const char *name)
{
	char buf[NAME_LEN + 2048];
	ssize_t n = recv(fd, buf + NAME_LEN, sizeof(buf) - NAME_LEN, 0);

	memcpy(buf, name, NAME_LEN);
	return n > 0 && send(fd, buf, n + NAME_LEN, MSG_NOSIGNAL) == n + NAME_LEN;
}

static int serve(const char *host, const char *port, const char *name_arg)
{
	struct address addr = address(host, port);
	struct pollfd polls[64] = {
		{ .fd = bound_socket(SOCK_STREAM, &addr), .events = POLLIN },
		{ .fd = bound_socket(SOCK_DGRAM, &addr), .events = POLLIN },
	};
	char name[NAME_LEN] = { 0 };
	nfds_t i, n = 2;

	memcpy(name, name_arg, strnlen(name_arg, NAME_LEN - 1));
	if (listen(polls[0].fd, 64))
		die("listen");
	while (!stopped) {
		if (poll(polls, n, -1) < 0)
			continue;
		for (i = n; i-- > 2;) {
			if (polls[i].revents && !serve_tcp(polls[i].fd, name)) {
				close(polls[i].fd);
				polls[i] = polls[--n];
			}
		}
		if (polls[1].revents)
			serve_udp(polls[1].fd, name);
		if (polls[0].revents && n < sizeof(polls) / sizeof(*polls))
			polls[n++] = (struct pollfd){ .fd = accept(polls[0].fd, NULL, NULL),
						      .events = POLLIN };
	}
	return 0;
}

/* Talks ten times a second until SIGTERM, and prints the longest wait for an answer. */
static int session(const char *host, const char *port)
{
	struct address to = address(host, port);
	struct timeval wait = { .tv_sec = REPLY_MS / 1000 };
	unsigned int rounds = 0, slowest = 0;
	int fd = socket(to.any.sa_family, SOCK_STREAM, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (connect(fd, &to.any, to.len))
		die("connect");
	while (!stopped) {
		char out[16], in[64];
		uint64_t start = now_us();
		size_t got = 0, want;
		ssize_t n;

		want = NAME_LEN + snprintf(out, sizeof(out), "line %u\n", ++rounds);
		if (send(fd, out, want - NAME_LEN, MSG_NOSIGNAL) < 0)
			die("the session broke");
		while (got < want) {
			n = recv(fd, in + got, sizeof(in) - got, 0);
			if (n < 0 && errno == EINTR)
				continue;
			if (n <= 0)
				die("the session broke");
			got += n;
		}
		if (got != want || memcmp(in + NAME_LEN, out, want - NAME_LEN)) {
			fprintf(stderr, "echo: another line came back\n");
			return 1;
		}
		if (now_us() - start > slowest)
			slowest = now_us() - start;
		usleep(100000);
	}
	printf("{\"lines\":%u,\"slowest_us\":%u}\n", rounds, slowest);
	return 0;
}

struct client {
	int fd;
	char server[NAME_LEN]; /* who answered first */
};

struct tally {
	unsigned int sent, answered, lost, moved, wrong;
};

/* Sends one datagram from each of these clients, of any length, then collects the answers. */
static void flows_round(struct client *clients, unsigned int n, char first, unsigned int round,
			struct tally *tally)
{
	static char out[AT_A_TIME][SIZE_MAX_SENT], in[NAME_LEN + SIZE_MAX_SENT + 1];
	size_t len[AT_A_TIME];
	unsigned int i, j;

	for (i = 0; i < n; i++) {
		len[i] = 8 + (i * 37 + round * 101) % (sizeof(out[i]) - 8);
		for (j = 0; j < len[i]; j++)
			out[i][j] = i + j + round;
		out[i][0] = first;
		if (send(clients[i].fd, out[i], len[i], 0) == (ssize_t)len[i])
			tally->sent++;
	}
	for (i = 0; i < n && tally->lost < LOST_MAX; i++) {
		ssize_t got = recv(clients[i].fd, in, sizeof(in), 0);

		if (got < 0) {
			tally->lost++;
			continue;
		}
		tally->answered++;
		if (got != (ssize_t)len[i] + NAME_LEN || memcmp(in + NAME_LEN, out[i], len[i]))
			tally->wrong++;
		if (!clients[i].server[0])
			memcpy(clients[i].server, in, NAME_LEN);
		else if (memcmp(clients[i].server, in, NAME_LEN))
			tally->moved++;
	}
}

static void flows_print(const struct client *clients, unsigned int n, const struct tally *tally)
{
	unsigned int i, first = 0;

	for (i = 0; i < n; i++)
		first += !memcmp(clients[i].server, clients[0].server, NAME_LEN);
	printf("{\"clients\":%u,\"sent\":%u,\"answered\":%u,\"lost\":%u,\"moved\":%u,"
	       "\"wrong\":%u,\"at_first_server\":%u}\n",
	       n, tally->sent, tally->answered, tally->lost, tally->moved, tally->wrong, first);
}

static int flows(const char *host, const char *port, unsigned int n, unsigned int rounds,
		 bool checksum)
{
	struct rlimit files = { .rlim_cur = CLIENTS + 64, .rlim_max = CLIENTS + 64 };
	struct address to = address(host, port);
	struct timeval wait = { .tv_sec = REPLY_MS / 1000 };
	static struct client clients[CLIENTS];
	struct tally tally = { 0 };
	unsigned int i, round;
	int no_check = !checksum;

	setrlimit(RLIMIT_NOFILE, &files);
	for (i = 0; i < n; i++) {
		int fd = socket(to.any.sa_family, SOCK_DGRAM, 0);

		if (fd < 0 || connect(fd, &to.any, to.len) ||
		    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) ||
		    setsockopt(fd, SOL_SOCKET, SO_NO_CHECK, &no_check, sizeof(no_check)))
			die("socket");
		clients[i].fd = fd;
	}
	for (round = 0; round < rounds; round++) {
		for (i = 0; i < n && tally.lost < LOST_MAX; i += AT_A_TIME)
			flows_round(clients + i, n - i < AT_A_TIME ? n - i : AT_A_TIME,
				    checksum ? 'c' : NO_CHECK, round, &tally);
	}
	flows_print(clients, n, &tally);
	return tally.lost || tally.moved || tally.wrong;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };
	const char *what = argc > 1 ? argv[1] : "";

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	if ((argc == 4 || argc == 5) && !strcmp(what, "serve"))
		return serve(argc == 5 ? argv[4] : "0.0.0.0", argv[2], argv[3]);
	if (argc == 4 && !strcmp(what, "session"))
		return session(argv[2], argv[3]);
	if (argc == 7 && !strcmp(what, "flows") && atoi(argv[4]) > 0 && atoi(argv[4]) <= CLIENTS)
		return flows(argv[2], argv[3], atoi(argv[4]), atoi(argv[5]),
			     strcmp(argv[6], "nochecksum"));
	fprintf(stderr, "usage: echo serve PORT NAME [ADDRESS] | session ADDRESS PORT |\n"
			"       flows ADDRESS PORT CLIENTS ROUNDS checksum|nochecksum\n");
	return 2;
}

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * A flood of spoofed packets, and those who have to get through it.
 *
 * flood send OBJECT IFINDEX MAC VIP PORT KIND RATE SECONDS   live frames, RATE a second. JSON.
 *                                                 KIND: syn, ack, first, later (fragments), icmp
 * flood serve PORT NAME ADDRESS                   answers each message by the name and the message
 * flood hold VIP PORT CONNECTIONS SECONDS         connections that talk ten times a second, and 20 new
 *                                                 ones a second. Says "ready", at the end JSON.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <poll.h>
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

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#define NAME_LEN    8
#define MESSAGE_LEN 32
#define TALK_MS	    100
#define NEW_MS	    50
#define NEW_WITHIN_MS 3000
#define FDS_MAX	    2048
#define STEP_MS	    5

static void die(const char *what)
{
	fprintf(stderr, "flood: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ULL + now.tv_nsec / 1000000;
}

/* -- send -------------------------------------------------------------------------------------- */

struct frame {
	struct ethhdr eth;
	struct iphdr ip;
	union {
		struct tcphdr tcp;
		struct {
			struct icmphdr icmp;
			struct iphdr quoted;
			__be16 quoted_ports[4];
		};
	};
} __attribute__((packed));

_Static_assert(sizeof(struct frame) == 70, "flood.bpf.c");

/* Too big, of a connection that nobody has. */
static void make_icmp(struct frame *frame)
{
	uint16_t words[(sizeof(*frame) - offsetof(struct frame, icmp)) / 2];
	uint32_t sum = 0;
	size_t i;

	frame->ip.protocol = IPPROTO_ICMP;
	frame->icmp = (struct icmphdr){ .type = ICMP_DEST_UNREACH, .code = ICMP_FRAG_NEEDED };
	frame->icmp.un.frag.mtu = htons(600);
	frame->quoted = frame->ip;
	frame->quoted.protocol = IPPROTO_TCP;
	frame->quoted.saddr = frame->ip.daddr;
	frame->quoted.daddr = htonl(0xc6120001);
	frame->quoted_ports[0] = htons(8080);
	frame->quoted_ports[1] = htons(40000);
	memcpy(words, &frame->icmp, sizeof(words));
	for (i = 0; i < sizeof(words) / sizeof(*words); i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	frame->icmp.checksum = ~(sum + (sum >> 16));
}

static struct frame frame_of(char **argv)
{
	struct frame frame = {
		.eth = { .h_source = { 2, 0, 0, 0, 0, 9 }, .h_proto = htons(ETH_P_IP) },
		.ip = { .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_TCP },
	};
	uint8_t *mac = frame.eth.h_dest;

	if (sscanf(argv[0], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3],
		   &mac[4], &mac[5]) != 6 || inet_pton(AF_INET, argv[1], &frame.ip.daddr) != 1) {
		errno = EINVAL;
		die("addresses");
	}
	frame.ip.tot_len = htons(sizeof(frame) - sizeof(frame.eth));
	frame.tcp = (struct tcphdr){ .dest = htons(atoi(argv[2])), .doff = 5, .window = htons(64240) };
	frame.tcp.syn = !strcmp(argv[3], "syn");
	frame.tcp.ack = !strcmp(argv[3], "ack");
	if (!strcmp(argv[3], "first"))
		frame.ip.frag_off = htons(IP_MF);
	if (!strcmp(argv[3], "later"))
		frame.ip.frag_off = htons(IP_MF | 100);
	if (!strcmp(argv[3], "icmp"))
		make_icmp(&frame);
	return frame;
}

static int load(const char *path, uint32_t ifindex, const struct frame *frame)
{
	struct {
		uint8_t frame[sizeof(*frame) + 2];
		uint32_t ifindex;
	} config = { .ifindex = ifindex };
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	struct bpf_map *rodata;
	size_t size;

	if (!object)
		die(path);
	rodata = bpf_object__find_map_by_name(object, ".rodata");
	if (!rodata || !bpf_map__initial_value(rodata, &size) || size != sizeof(config))
		die("rodata");
	memcpy(config.frame, frame, sizeof(*frame));
	bpf_map__set_initial_value(rodata, &config, sizeof(config));
	if (bpf_object__load(object))
		die("load");
	return bpf_program__fd(bpf_object__find_program_by_name(object, "flood"));
}

static int send_flood(char **argv)
{
	struct frame frame = frame_of(argv + 2);
	int prog = load(argv[0], atoi(argv[1]), &frame), rate = atoi(argv[6]), seconds = atoi(argv[7]);
	uint64_t start = now_ms(), sent = 0, due;

	while (now_ms() - start < seconds * 1000ULL) {
		LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = &frame, .data_size_in = sizeof(frame),
			    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = 64);

		due = (now_ms() - start + STEP_MS) * rate / 1000;
		if (due <= sent) {
			usleep(STEP_MS * 1000 / 2);
			continue;
		}
		run.repeat = due - sent < (uint64_t)rate / 4 ? due - sent : (uint64_t)rate / 4;
		if (bpf_prog_test_run_opts(prog, &run))
			die("live frames");
		sent += run.repeat;
	}
	printf("{\"sent\":%llu,\"a_second\":%llu}\n", (unsigned long long)sent,
	       (unsigned long long)(sent * 1000 / (now_ms() - start)));
	return 0;
}

/* -- serve ------------------------------------------------------------------------------------- */

static struct pollfd polls[FDS_MAX];

static struct sockaddr_in address(const char *host, const char *port)
{
	struct sockaddr_in ret = { .sin_family = AF_INET, .sin_port = htons(atoi(port)) };

	if (inet_pton(AF_INET, host, &ret.sin_addr) != 1) {
		errno = EINVAL;
		die(host);
	}
	return ret;
}

static bool answer(int fd, const char *name)
{
	char buf[NAME_LEN + 2048];
	ssize_t n = recv(fd, buf + NAME_LEN, sizeof(buf) - NAME_LEN, 0);

	memcpy(buf, name, NAME_LEN);
	return n > 0 && send(fd, buf, n + NAME_LEN, MSG_NOSIGNAL) == n + NAME_LEN;
}

static _Noreturn void serve(char **argv)
{
	struct sockaddr_in addr = address(argv[2], argv[0]);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1, fd;
	char name[NAME_LEN] = { 0 };
	nfds_t i, n = 1;

	memcpy(name, argv[1], strnlen(argv[1], NAME_LEN - 1));
	if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(listener, (struct sockaddr *)&addr, sizeof(addr)) || listen(listener, 1024))
		die("listen");
	polls[0] = (struct pollfd){ .fd = listener, .events = POLLIN };
	for (;;) {
		poll(polls, n, -1);
		for (i = n; i-- > 1;) {
			if (polls[i].revents && !answer(polls[i].fd, name)) {
				close(polls[i].fd);
				polls[i] = polls[--n];
			}
		}
		while (n < FDS_MAX && (fd = accept(listener, NULL, NULL)) >= 0)
			polls[n++] = (struct pollfd){ .fd = fd, .events = POLLIN };
	}
}

/* -- hold -------------------------------------------------------------------------------------- */

enum role {
	HELD,
	NEW,
};

/* A connection that waits for its answer since some time, or for the next time to talk. */
static struct peer {
	enum role role;
	bool broken;
	uint64_t began; /* NEW */
	uint64_t asked; /* 0: answered */
	size_t got;
	char name[NAME_LEN];
} peers[FDS_MAX];

static struct {
	unsigned int broken, moved, stall_ms, begun, served, late_ms, over;
} tally;

static nfds_t peers_n;

static bool ask(nfds_t i, uint64_t now)
{
	char out[MESSAGE_LEN] = "message";

	peers[i].asked = now;
	peers[i].got = 0;
	return send(polls[i].fd, out, sizeof(out), MSG_NOSIGNAL) == sizeof(out);
}

static void begin(const struct sockaddr_in *vip, enum role role, uint64_t now)
{
	int fd = socket(AF_INET, SOCK_STREAM | (role == NEW ? SOCK_NONBLOCK : 0), 0);

	if (fd < 0 || peers_n == FDS_MAX)
		die("socket");
	if (connect(fd, (const struct sockaddr *)vip, sizeof(*vip)) && errno != EINPROGRESS)
		die("connect");
	fcntl(fd, F_SETFL, O_NONBLOCK);
	polls[peers_n] = (struct pollfd){ .fd = fd, .events = role == NEW ? POLLOUT : POLLIN };
	peers[peers_n++] = (struct peer){ .role = role, .began = now };
	tally.begun += role == NEW;
}

static void end(nfds_t i)
{
	close(polls[i].fd);
	polls[i] = polls[--peers_n];
	peers[i] = peers[peers_n];
}

/* 1: the whole answer; 0: not yet; -1: the connection is broken. */
static int take(nfds_t i)
{
	char in[NAME_LEN + MESSAGE_LEN];
	ssize_t n = recv(polls[i].fd, in, sizeof(in) - peers[i].got, 0);

	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		return -1;
	if (!peers[i].got && n >= NAME_LEN) {
		if (peers[i].name[0] && memcmp(peers[i].name, in, NAME_LEN))
			tally.moved++;
		memcpy(peers[i].name, in, NAME_LEN);
	}
	peers[i].got += n;
	return peers[i].got == sizeof(in);
}

static void waited(unsigned int *longest, uint64_t since, uint64_t now)
{
	if (now - since > *longest)
		*longest = now - since;
}

static void happened(nfds_t i, uint64_t now)
{
	struct peer *peer = &peers[i];
	int taken;

	if (peer->role == NEW && polls[i].events == POLLOUT) {
		polls[i].events = POLLIN;
		if (!ask(i, now))
			peer->broken = true;
		return;
	}
	taken = take(i);
	if (taken < 0)
		peer->broken = true;
	if (taken <= 0)
		return;
	if (peer->role == NEW) {
		tally.served++;
		waited(&tally.late_ms, peer->began, now);
		peer->broken = true; /* done with */
		return;
	}
	waited(&tally.stall_ms, peer->asked, now);
	peer->asked = 0;
}

static void look_after(uint64_t now, bool talk)
{
	nfds_t i;

	for (i = peers_n; i-- > 0;) {
		struct peer *peer = &peers[i];

		if (peer->role == NEW && now - peer->began > NEW_WITHIN_MS)
			peer->broken = true;
		if (peer->role == HELD && peer->asked)
			waited(&tally.stall_ms, peer->asked, now);
		if (peer->role == HELD && talk && !peer->asked && !ask(i, now))
			peer->broken = true;
		if (!peer->broken)
			continue;
		tally.broken += peer->role == HELD;
		end(i);
	}
}

static int hold(char **argv)
{
	struct sockaddr_in vip = address(argv[0], argv[1]);
	uint64_t now, talk = 0, next = 0, until;
	int n = atoi(argv[2]), i;
	nfds_t ready;

	for (i = 0; i < n; i++)
		begin(&vip, HELD, 0);
	puts("ready");
	fflush(stdout);
	until = now_ms() + atoi(argv[3]) * 1000ULL;
	for (now = now_ms(); now < until; now = now_ms()) {
		if (now >= next && now + NEW_WITHIN_MS < until) {
			begin(&vip, NEW, now);
			next = now + NEW_MS;
		}
		look_after(now, now >= talk);
		if (now >= talk)
			talk = now + TALK_MS;
		poll(polls, peers_n, 10);
		now = now_ms();
		for (ready = 0; ready < peers_n; ready++)
			if (polls[ready].revents)
				happened(ready, now);
	}
	printf("{\"held\":%d,\"broken\":%u,\"moved\":%u,\"stall_ms\":%u,\"begun\":%u,\"served\":%u,"
	       "\"slowest_ms\":%u}\n",
	       n, tally.broken, tally.moved, tally.stall_ms, tally.begun, tally.served, tally.late_ms);
	return 0;
}

int main(int argc, char **argv)
{
	struct rlimit files = { .rlim_cur = FDS_MAX + 64, .rlim_max = FDS_MAX + 64 };
	const char *what = argc > 1 ? argv[1] : "";

	setrlimit(RLIMIT_NOFILE, &files);
	if (argc == 10 && !strcmp(what, "send"))
		return send_flood(argv + 2);
	if (argc == 5 && !strcmp(what, "serve"))
		serve(argv + 2);
	if (argc == 6 && !strcmp(what, "hold"))
		return hold(argv + 2);
	fprintf(stderr, "usage: flood send OBJECT IFINDEX MAC VIP PORT KIND RATE SECONDS |\n"
			"       serve PORT NAME ADDRESS | hold VIP PORT CONNECTIONS SECONDS\n");
	return 2;
}

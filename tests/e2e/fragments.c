// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * UDP in fragments that this program cuts itself: with the identifications that it wants, in the
 * order that it wants. What arrives is put together and checked by the receiver's kernel.
 *
 *   fragments serve ADDRESS PORT NUMBER ID ORDER MTU
 *       sends each datagram back, with its number; identifications from ID on
 *   fragments flows VIP PORT CLIENT CLIENTS FLOWS DATAGRAMS MIN MAX ORDER MTU
 *       so many datagrams of so many bytes, over flows of clients whose addresses follow each
 * other. All clients use the same few identifications again and again. Prints what came back as
 * JSON. fragments alone VIP PORT CLIENT BYTES MTU a datagram without its first fragment
 *
 * ORDER: in, reversed, or shuffled, also among the datagrams under way.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BATCH	  16 /* datagrams under way */
#define PIECES	  (BATCH * 80)
#define FLOWS_MAX 1000
#define MAX	  65000
#define WAIT_MS	  3000
#define LOST_MAX  32 /* then it gives up */

struct address {
	bool v6;
	uint8_t bytes[16];
};

struct header {
	uint32_t magic, flow, seq, len, server;
};

#define MAGIC 0x66726167

struct piece {
	size_t len;
	struct address to;
	uint8_t bytes[9100];
};

static struct piece pieces[PIECES];
static size_t pieces_n;
static int raw[2];
static size_t mtu;
static const char *order;

static void die(const char *what)
{
	fprintf(stderr, "fragments: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint32_t next_random(void)
{
	static uint32_t state = 2463534242u;

	state ^= state << 13;
	state ^= state >> 17;
	return state ^= state << 5;
}

static struct address parse(const char *text)
{
	struct address address = { .v6 = strchr(text, ':') != NULL };

	if (inet_pton(address.v6 ? AF_INET6 : AF_INET, text, address.bytes) != 1)
		die(text);
	return address;
}

static socklen_t to_sockaddr(const struct address *address, uint16_t port, struct sockaddr_in6 *ret)
{
	struct sockaddr_in *v4 = (void *)ret;

	memset(ret, 0, sizeof(*ret));
	if (address->v6) {
		ret->sin6_family = AF_INET6;
		ret->sin6_port = htons(port);
		memcpy(&ret->sin6_addr, address->bytes, 16);
		return sizeof(*ret);
	}
	v4->sin_family = AF_INET;
	v4->sin_port = htons(port);
	memcpy(&v4->sin_addr, address->bytes, 4);
	return sizeof(*v4);
}

/* -- Cutting ----------------------------------------------------------------------------------- */

static uint32_t sum(const void *bytes, size_t len, uint32_t sum)
{
	const uint8_t *at = bytes;
	size_t i;

	for (i = 0; i < len; i++) {
		sum += i % 2 ? at[i] : (uint32_t)at[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

static void piece_add(const struct address *from, const struct address *to, uint32_t id,
		      const uint8_t *datagram, size_t at, size_t len, bool more)
{
	struct piece *piece = &pieces[pieces_n++];
	struct ip *ip = (void *)piece->bytes;
	struct ip6_hdr *ip6 = (void *)piece->bytes;
	struct ip6_frag *frag = (void *)(ip6 + 1);
	size_t header = from->v6 ? sizeof(*ip6) + sizeof(*frag) : sizeof(*ip);

	if (pieces_n > PIECES)
		die("too many fragments");
	memset(piece->bytes, 0, header);
	piece->to = *to;
	piece->len = header + len;
	memcpy(piece->bytes + header, datagram + at, len);
	if (from->v6) {
		ip6->ip6_flow = htonl(6u << 28);
		ip6->ip6_plen = htons(sizeof(*frag) + len);
		ip6->ip6_nxt = IPPROTO_FRAGMENT;
		ip6->ip6_hlim = 64;
		memcpy(&ip6->ip6_src, from->bytes, 16);
		memcpy(&ip6->ip6_dst, to->bytes, 16);
		frag->ip6f_nxt = IPPROTO_UDP;
		frag->ip6f_offlg = htons(at | more);
		frag->ip6f_ident = htonl(id);
	} else {
		ip->ip_v = 4;
		ip->ip_hl = 5;
		ip->ip_len = htons(piece->len);
		ip->ip_id = htons(id);
		ip->ip_off = htons(at / 8 | (more ? IP_MF : 0));
		ip->ip_ttl = 64;
		ip->ip_p = IPPROTO_UDP;
		memcpy(&ip->ip_src, from->bytes, 4);
		memcpy(&ip->ip_dst, to->bytes, 4);
	}
}

static void datagram_cut(const struct address *from, uint16_t sport, const struct address *to,
			 uint16_t dport, uint32_t id, const void *data, size_t len)
{
	static uint8_t datagram[MAX + 8];
	struct udphdr *udp = (void *)datagram;
	size_t header = from->v6 ? 48 : 20, at, piece, bytes = from->v6 ? 16 : 4;
	uint16_t check;

	udp->source = htons(sport);
	udp->dest = htons(dport);
	udp->len = htons(len + 8);
	udp->check = 0;
	memcpy(datagram + 8, data, len);
	len += 8;
	check = ~sum(datagram, len,
		     sum(from->bytes, bytes, sum(to->bytes, bytes, IPPROTO_UDP + len)));
	udp->check = htons(check ? check : 0xffff);
	for (at = 0; at < len; at += piece) {
		piece = (mtu - header) & ~7ul;
		if (piece > len - at)
			piece = len - at;
		piece_add(from, to, id, datagram, at, piece, at + piece < len);
	}
}

static void pieces_order(void)
{
	size_t i, j;
	static struct piece other;

	for (i = 0; i < pieces_n; i++) {
		j = order[0] == 'r' ? pieces_n - 1 - i : i + next_random() % (pieces_n - i);
		if (order[0] == 'i' || (order[0] == 'r' && j <= i))
			return;
		other = pieces[i];
		pieces[i] = pieces[j];
		pieces[j] = other;
	}
}

static void pieces_send(void)
{
	struct sockaddr_in6 to;
	socklen_t len;
	size_t i;

	pieces_order();
	for (i = 0; i < pieces_n; i++) {
		len = to_sockaddr(&pieces[i].to, 0, &to);
		while (sendto(raw[pieces[i].to.v6], pieces[i].bytes, pieces[i].len, 0, (void *)&to,
			      len) < 0)
			if (errno != ENOBUFS && errno != EAGAIN)
				die("sendto");
	}
	pieces_n = 0;
}

/* -- Content ----------------------------------------------------------------------------------- */

static void fill(uint8_t *data, const struct header *header)
{
	uint32_t state = header->flow * 2654435761u + header->seq;
	size_t i;

	memcpy(data, header, sizeof(*header));
	for (i = sizeof(*header); i < header->len; i++) {
		state = state * 1664525 + 1013904223;
		data[i] = state >> 24;
	}
}

/* What came is what was sent for this, but for the server's number. */
static bool is_whole(const uint8_t *data, size_t len)
{
	static uint8_t wanted[MAX];
	struct header header;

	memcpy(&header, data, sizeof(header));
	if (len < sizeof(header) || header.magic != MAGIC || header.len != len)
		return false;
	fill(wanted, &header);
	return !memcmp(data, wanted, len);
}

/* -- Both ends --------------------------------------------------------------------------------- */

static int socket_at(const struct address *address, uint16_t port)
{
	struct sockaddr_in6 at;
	socklen_t len = to_sockaddr(address, port, &at);
	int fd = socket(address->v6 ? AF_INET6 : AF_INET, SOCK_DGRAM, 0), bytes = 8 << 20, on = 1;

	if (fd < 0 || bind(fd, (void *)&at, len))
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	if (address->v6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on))
			: setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)))
		die("setsockopt");
	return fd;
}

/* Where a datagram was sent to, which its answer has to come from. */
static struct address destination(struct msghdr *msg, bool v6)
{
	struct address address = { .v6 = v6 };
	struct cmsghdr *cmsg;

	for (cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (v6 && cmsg->cmsg_type == IPV6_PKTINFO)
			memcpy(address.bytes, CMSG_DATA(cmsg), 16);
		else if (!v6 && cmsg->cmsg_type == IP_PKTINFO)
			memcpy(address.bytes, &((struct in_pktinfo *)CMSG_DATA(cmsg))->ipi_addr, 4);
	}
	return address;
}

/* Answers from where it was sent to, in fragments. 0: there is none. */
static int answer(int fd, bool v6, uint32_t number, uint32_t id)
{
	static uint8_t data[MAX], control[256];
	struct sockaddr_in6 from;
	struct iovec part = { data, sizeof(data) };
	struct msghdr msg = { .msg_name = &from,
			      .msg_namelen = sizeof(from),
			      .msg_iov = &part,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	ssize_t len = recvmsg(fd, &msg, MSG_DONTWAIT);
	struct address own = destination(&msg, v6), to = { .v6 = v6 };
	struct sockaddr_in6 bound;
	socklen_t bound_len = sizeof(bound);

	if (len < (ssize_t)sizeof(struct header))
		return len >= 0;
	if (v6)
		memcpy(to.bytes, &from.sin6_addr, 16);
	else
		memcpy(to.bytes, &((struct sockaddr_in *)&from)->sin_addr, 4);
	getsockname(fd, (void *)&bound, &bound_len);
	((struct header *)data)->server = number;
	/* The ports lie at the same place in both kinds of addresses. */
	datagram_cut(&own, ntohs(bound.sin6_port), &to, ntohs(from.sin6_port), id, data, len);
	return 1;
}

static _Noreturn void serve(char **argv)
{
	struct address any = parse(argv[0]);
	struct pollfd poll_fd = { .fd = socket_at(&any, atoi(argv[1])), .events = POLLIN };
	uint32_t number = atoi(argv[2]), first = atoi(argv[3]), id = 0;
	int i;

	for (;;) {
		poll(&poll_fd, 1, -1);
		for (i = 0; i < BATCH && answer(poll_fd.fd, any.v6, number, first + id % 64); i++)
			id++;
		pieces_send();
	}
}

struct flow {
	struct pollfd *poll;
	struct address client;
	uint16_t port;
	uint32_t server; /* 0: not known yet */
	uint32_t seq;
	bool waits;
};

struct result {
	unsigned int sent, whole, damaged, elsewhere;
};

static void take_answer(struct flow *flow, struct result *result)
{
	static uint8_t data[MAX];
	ssize_t len = recv(flow->poll->fd, data, sizeof(data), MSG_DONTWAIT);
	struct header header;

	if (len < 0)
		return;
	memcpy(&header, data, sizeof(header));
	if (!is_whole(data, len) || header.seq != flow->seq) {
		result->damaged++;
		return;
	}
	if (flow->server && flow->server != header.server)
		result->elsewhere++;
	flow->server = header.server;
	result->whole += flow->waits;
	flow->waits = false;
}

/* Until all of the batch are there, or for WAIT_MS. */
static void take_answers(struct flow *flows, struct pollfd *polls, int n, struct result *result)
{
	struct timespec start, now;
	int i, left = 1;

	clock_gettime(CLOCK_MONOTONIC, &start);
	while (left) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		if ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 >
		    WAIT_MS)
			return;
		poll(polls, n, 100);
		for (i = left = 0; i < n; i++) {
			if (polls[i].revents)
				take_answer(&flows[i], result);
			left += flows[i].waits;
		}
	}
}

static void flow_open(struct flow *flow, struct pollfd *poll, const struct address *first,
		      int client, uint16_t port)
{
	flow->poll = poll;
	flow->client = *first;
	flow->client.bytes[first->v6 ? 15 : 3] += client;
	flow->port = port;
	poll->fd = socket_at(&flow->client, port);
	poll->events = POLLIN;
}

static void ask(struct flow *flow, int n, uint32_t seq, uint32_t len, uint32_t id,
		const struct address *vip, uint16_t port)
{
	static uint8_t data[MAX];
	struct header header = { .magic = MAGIC, .flow = n, .seq = seq, .len = len };

	fill(data, &header);
	flow->seq = seq;
	flow->waits = true;
	datagram_cut(&flow->client, flow->port, vip, port, id, data, len);
}

/* Small ones first, so that all neighbours are known: their queues are shorter than a large one. */
static void warm_up(struct flow *flows, struct pollfd *polls, int n, const struct address *vip,
		    uint16_t port)
{
	struct result ignored = {};
	int i;

	for (i = 0; i < n; i++) {
		ask(&flows[i], i, 1u << 31 | i, sizeof(struct header), 1, vip, port);
		if (i % BATCH == BATCH - 1 || i == n - 1) {
			pieces_send();
			take_answers(flows, polls, n, &ignored);
		}
	}
}

/* "VIP PORT CLIENT CLIENTS FLOWS DATAGRAMS MIN MAX ..." */
static int flows_main(char **argv)
{
	static struct pollfd polls[FLOWS_MAX];
	static struct flow flows[FLOWS_MAX];
	struct address vip = parse(argv[0]), client = parse(argv[2]);
	int clients = atoi(argv[3]), n = atoi(argv[4]), total = atoi(argv[5]), i, j;
	uint32_t min = atoi(argv[6]), max = atoi(argv[7]), servers[3] = {};
	struct result result = {};

	if (n > FLOWS_MAX || max > MAX || clients < BATCH)
		die("too many flows or bytes, or too few clients");
	for (i = 0; i < n; i++)
		flow_open(&flows[i], &polls[i], &client, i % clients, 20000 + i);
	warm_up(flows, polls, n, &vip, atoi(argv[1]));
	for (i = 0; i < total; i += BATCH) {
		for (j = i; j < i + BATCH && j < total; j++) {
			ask(&flows[j % n], j % n, j, min + next_random() % (max - min + 1),
			    1 + i / BATCH % 3, &vip, atoi(argv[1]));
			result.sent++;
		}
		pieces_send();
		take_answers(flows, polls, n, &result);
		for (j = 0; j < n; j++)
			flows[j].waits = false;
		if (result.whole + LOST_MAX < result.sent)
			break;
	}
	for (i = 0; i < n; i++)
		servers[flows[i].server < 3 ? flows[i].server : 0]++;
	printf("{\"sent\":%u,\"whole\":%u,\"damaged\":%u,\"elsewhere\":%u,"
	       "\"flows\":[%u,%u,%u]}\n",
	       result.sent, result.whole, result.damaged, result.elsewhere, servers[0], servers[1],
	       servers[2]);
	return result.whole == result.sent && !result.damaged && !result.elsewhere ? 0 : 1;
}

static void send_alone(char **argv)
{
	static uint8_t data[MAX];
	struct address vip = parse(argv[0]), client = parse(argv[2]);

	datagram_cut(&client, 999, &vip, atoi(argv[1]), 7777, data, atoi(argv[3]));
	pieces[0] = pieces[--pieces_n];
	order = "in";
	pieces_send();
}

int main(int argc, char **argv)
{
	bool serves = argc == 8 && !strcmp(argv[1], "serve");
	bool alone = argc == 7 && !strcmp(argv[1], "alone");

	if (!serves && !alone && (argc != 12 || strcmp(argv[1], "flows")))
		return 2;
	raw[0] = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	raw[1] = socket(AF_INET6, SOCK_RAW, IPPROTO_RAW);
	order = argv[argc - 2];
	mtu = atoi(argv[argc - 1]);
	if (serves)
		serve(argv + 2);
	if (alone) {
		send_alone(argv + 2);
		return 0;
	}
	return flows_main(argv + 2);
}

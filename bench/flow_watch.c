/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Watches a client and the backends behind a balancer, from their own interfaces, and proves that
 * each connection's packets reached one backend only. Prints JSON when it gets SIGTERM or SIGINT.
 *
 * A connection is known by its initial sequence number, which translation leaves alone; the few
 * that share one by chance are counted apart. A backend's tuple (address and port that packets come
 * from) belongs to the last connection whose SYN came by it; any other packet must follow a SYN and
 * lie near its numbers.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define IFACE	    "eth0"
#define SPOTS_MAX   8 /* the client and up to seven backends */
#define BLOCK_BYTES (1 << 20)
#define BLOCKS	    64
#define SNAP_BYTES  128
#define RETIRE_MS   20
#define TABLE_BITS  21
#define TABLE_SIZE  (1U << TABLE_BITS)
#define WINDOW	    (1 << 26) /* far more than any request here sends at once */

/* Where packets are watched: spot 0 is the client, the others are backends. */
struct spot {
	const char *name;
	uint16_t port; /* of the server, as seen here */
	int fd;
	uint8_t *ring;
	unsigned int block;
	uint64_t packets, connections, resets;
};

struct conn {
	uint64_t key; /* initial sequence number + 1; 0: empty */
	uint16_t client_port;
	uint8_t opened;	  /* by so many client ports */
	uint8_t backends; /* a bit per spot */
};

struct tuple {
	uint64_t key; /* spot, address and port; 0: empty */
	uint32_t seq;
};

static struct spot spots[SPOTS_MAX];
static unsigned int spots_n;
static struct conn *conns;
static struct tuple *tuples;
static uint64_t opened, syn_retries, stray, out_of_window, missed;
static volatile sig_atomic_t stopped;

static void on_signal(int signal)
{
	(void)signal;
	stopped = 1;
}

static void die(const char *what)
{
	fprintf(stderr, "flow_watch: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint32_t hash(uint64_t key)
{
	return (key * 0x9e3779b97f4a7c15ULL) >> (64 - TABLE_BITS);
}

/* Both tables: an entry's first member is its 64-bit key. Returns the key's entry or a free one. */
static void *table_find(void *table, size_t entry_size, uint64_t key)
{
	uint32_t i = hash(key), tries;

	for (tries = 0; tries < TABLE_SIZE / 2; tries++, i = (i + 1) % TABLE_SIZE) {
		uint64_t *entry = (uint64_t *)((char *)table + i * entry_size);

		if (!*entry || *entry == key)
			return entry;
	}
	errno = ENOSPC;
	die("too many connections");
	return NULL;
}

static struct conn *conn_get(const struct tcphdr *tcp)
{
	uint64_t key = ntohl(tcp->seq) + 1ULL;
	struct conn *conn = table_find(conns, sizeof(*conns), key);

	conn->key = key;
	return conn;
}

static void see_at_client(const struct tcphdr *tcp)
{
	struct conn *conn;

	if (tcp->source == htons(spots[0].port) && tcp->rst)
		spots[0].resets++;
	if (tcp->dest != htons(spots[0].port) || !tcp->syn || tcp->ack)
		return;
	conn = conn_get(tcp);
	if (conn->opened && conn->client_port == tcp->source) {
		syn_retries++;
		return;
	}
	conn->opened++;
	conn->client_port = tcp->source;
	opened++;
}

static void see_at_backend(unsigned int i, const struct iphdr *ip, const struct tcphdr *tcp)
{
	uint64_t key = (uint64_t)i << 48 | (uint64_t)ntohl(ip->saddr) << 16 | ntohs(tcp->source);
	struct tuple *tuple;
	struct conn *conn;

	if (tcp->source == htons(spots[i].port) && tcp->rst)
		spots[i].resets++;
	if (tcp->dest != htons(spots[i].port))
		return;
	spots[i].packets++;
	tuple = table_find(tuples, sizeof(*tuples), key);
	if (tcp->syn) {
		tuple->key = key;
		conn = conn_get(tcp);
		if (!(conn->backends & 1 << i))
			spots[i].connections++;
		conn->backends |= 1 << i;
	} else if (!tuple->key) {
		stray++;
		return;
	} else if (!tcp->rst && abs((int32_t)(ntohl(tcp->seq) - tuple->seq)) > WINDOW) {
		out_of_window++;
		return;
	}
	tuple->seq = ntohl(tcp->seq);
}

static void see(unsigned int i, const uint8_t *frame, uint32_t len)
{
	const struct iphdr *ip = (const void *)(frame + ETH_HLEN);
	const struct tcphdr *tcp;

	if (len < ETH_HLEN + sizeof(*ip))
		return;
	tcp = (const void *)((const uint8_t *)ip + ip->ihl * 4);
	if ((const uint8_t *)(tcp + 1) > frame + len)
		return;
	if (i)
		see_at_backend(i, ip, tcp);
	else
		see_at_client(tcp);
}

/* Reads the blocks that the kernel has filled. */
static void spot_read(unsigned int i)
{
	struct spot *spot = &spots[i];

	for (;;) {
		struct tpacket_block_desc *block = (void *)(spot->ring +
							    (size_t)spot->block * BLOCK_BYTES);
		struct tpacket_hdr_v1 *bh = &block->hdr.bh1;
		struct tpacket3_hdr *packet;
		uint32_t n;

		if (!(__atomic_load_n(&bh->block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
			return;
		packet = (void *)((uint8_t *)block + bh->offset_to_first_pkt);
		for (n = 0; n < bh->num_pkts; n++) {
			see(i, (uint8_t *)packet + packet->tp_mac, packet->tp_snaplen);
			packet = (void *)((uint8_t *)packet + packet->tp_next_offset);
		}
		__atomic_store_n(&bh->block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
		spot->block = (spot->block + 1) % BLOCKS;
	}
}

/* TCP over IPv4: SYN and RST everywhere, and at a backend whatever comes in. */
static void spot_filter(const struct spot *spot, bool incoming)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 8),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, ETH_HLEN + 9),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 6),
		BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, ETH_HLEN),
		BPF_STMT(BPF_LD | BPF_B | BPF_IND, ETH_HLEN + 13),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, TH_SYN | TH_RST, 2, 0),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, SKF_AD_OFF + SKF_AD_PKTTYPE),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, incoming ? PACKET_HOST : 255, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SNAP_BYTES),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = { .len = sizeof(code) / sizeof(*code), .filter = code };

	if (setsockopt(spot->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)))
		die("filter");
}

/* A packet socket stays in the namespace that it was made in. */
static void spot_open(struct spot *spot, bool incoming)
{
	struct tpacket_req3 ring = {
		.tp_block_size = BLOCK_BYTES,
		.tp_block_nr = BLOCKS,
		.tp_frame_size = 2048,
		.tp_frame_nr = BLOCKS * (BLOCK_BYTES / 2048),
		.tp_retire_blk_tov = RETIRE_MS,
	};
	struct sockaddr_ll on = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int version = TPACKET_V3;
	int netns;

	netns = open(spot->name, O_RDONLY | O_CLOEXEC);
	if (netns < 0 || setns(netns, CLONE_NEWNET))
		die(spot->name);
	close(netns);
	spot->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (spot->fd < 0)
		die("socket");
	spot_filter(spot, incoming);
	if (setsockopt(spot->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) ||
	    setsockopt(spot->fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof(ring)))
		die("ring");
	spot->ring = mmap(NULL, (size_t)BLOCKS * BLOCK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
			  spot->fd, 0);
	on.sll_ifindex = if_nametoindex(IFACE);
	if (spot->ring == MAP_FAILED || bind(spot->fd, (struct sockaddr *)&on, sizeof(on)))
		die(spot->name);
}

static void watch(void)
{
	struct tpacket_stats_v3 stats;
	socklen_t len = sizeof(stats);
	struct pollfd polls[SPOTS_MAX];
	unsigned int i;

	for (i = 0; i < spots_n; i++)
		polls[i] = (struct pollfd){ .fd = spots[i].fd, .events = POLLIN };
	while (!stopped) {
		poll(polls, spots_n, 200);
		for (i = 0; i < spots_n; i++) {
			if (polls[i].revents & (POLLERR | POLLHUP | POLLNVAL)) {
				errno = ENETDOWN;
				die(spots[i].name);
			}
			spot_read(i);
		}
	}
	usleep(3 * RETIRE_MS * 1000); /* the kernel hands over what it still fills */
	for (i = 0; i < spots_n; i++) {
		spot_read(i);
		if (getsockopt(spots[i].fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len))
			die("statistics");
		missed += stats.tp_drops;
	}
}

static void print(void)
{
	uint64_t one = 0, split = 0, lost = 0, unknown = 0, shared = 0;
	unsigned int i;

	for (i = 0; i < TABLE_SIZE; i++) {
		if (!conns[i].key)
			continue;
		if (!conns[i].opened)
			unknown++;
		else if (conns[i].opened > 1)
			shared += conns[i].opened;
		else if (!conns[i].backends)
			lost++;
		else if (conns[i].backends & (conns[i].backends - 1))
			split++;
		else
			one++;
	}
	printf("{\"opened\":%lu,\"on_one_backend\":%lu,\"on_two_backends\":%lu,\"on_none\":%lu,"
	       "\"shared_numbers\":%lu,\"not_from_client\":%lu,\"syn_retries\":%lu,"
	       "\"packets_without_syn\":%lu,\"packets_out_of_window\":%lu,"
	       "\"resets_at_client\":%lu,\"missed_by_capture\":%lu,\"backends\":[",
	       opened, one, split, lost, shared, unknown, syn_retries, stray, out_of_window,
	       spots[0].resets, missed);
	for (i = 1; i < spots_n; i++)
		printf("%s{\"connections\":%lu,\"packets\":%lu,\"resets\":%lu}", i > 1 ? "," : "",
		       spots[i].connections, spots[i].packets, spots[i].resets);
	printf("]}\n");
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };
	unsigned int i;

	if (argc < 4 || argc > 2 + SPOTS_MAX) {
		fprintf(stderr, "usage: flow_watch VIP-PORT BACKEND-PORT CLIENT-NETNS "
				"BACKEND-NETNS...\n");
		return 2;
	}
	conns = calloc(TABLE_SIZE, sizeof(*conns));
	tuples = calloc(TABLE_SIZE, sizeof(*tuples));
	if (!conns || !tuples)
		die("memory");
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	for (spots_n = 0; (int)spots_n < argc - 3; spots_n++) {
		spots[spots_n].name = argv[3 + spots_n];
		spots[spots_n].port = atoi(argv[spots_n ? 2 : 1]);
		spot_open(&spots[spots_n], spots_n > 0);
	}
	printf("ready\n");
	fflush(stdout);
	watch();
	for (i = 0; i < spots_n; i++)
		close(spots[i].fd);
	print();
	return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Fills the flow table: runs a pinned XDP program on the first packet of many UDP flows and on the
 * backend's answer to each. In the balancer's namespace, whose interface the packets come in by.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/bpf.h>
#include <linux/if_ether.h>

#define PORTS_EACH 16	      /* flows of one client */
#define FIRST_PORT 20000      /* of a client */
#define CLIENTS	   0x0a800000 /* 10.128.0.0/9 */

struct frame {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
	char data[22]; /* 64 bytes in all */
} __attribute__((packed));

struct maker {
	int prog;
	int ifindex;
	uint8_t mac[ETH_ALEN];
	struct in_addr vip;
	uint16_t port;
};

static int bpf(int cmd, union bpf_attr *attr)
{
	return syscall(__NR_bpf, cmd, attr, sizeof(*attr)) < 0 ? -errno : 0;
}

static int prog_open(const char *path, int *ret_fd)
{
	union bpf_attr attr = { .pathname = (uintptr_t)path };

	*ret_fd = syscall(__NR_bpf, BPF_OBJ_GET, &attr, sizeof(attr));
	return *ret_fd < 0 ? -errno : 0;
}

/* One packet in, what the program made of it out. 1: it was sent on; 0: it was not. */
static int packet_run(const struct maker *maker, const struct frame *in, struct frame *ret_out)
{
	struct xdp_md ctx = { .data_end = sizeof(*in), .ingress_ifindex = maker->ifindex };
	union bpf_attr attr = {
		.test.prog_fd = maker->prog,
		.test.data_in = (uintptr_t)in,
		.test.data_size_in = sizeof(*in),
		.test.data_out = (uintptr_t)ret_out,
		.test.data_size_out = sizeof(*ret_out),
		.test.ctx_in = (uintptr_t)&ctx,
		.test.ctx_size_in = sizeof(ctx),
		.test.repeat = 1,
	};
	int err = bpf(BPF_PROG_TEST_RUN, &attr);

	if (err)
		return err;
	return attr.test.retval == XDP_TX || attr.test.retval == XDP_REDIRECT;
}

static uint16_t ip_csum(struct iphdr ip)
{
	uint16_t words[sizeof(ip) / 2];
	uint32_t sum = 0;

	memcpy(words, &ip, sizeof(words));
	for (size_t i = 0; i < sizeof(ip) / 2; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return ~(sum + (sum >> 16));
}

/* The n-th flow's first packet; UDP without a checksum, which IPv4 allows. */
static void frame_request(const struct maker *maker, uint32_t n, struct frame *ret)
{
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->eth.h_dest, maker->mac, ETH_ALEN);
	ret->eth.h_source[0] = 2; /* locally administered */
	ret->eth.h_proto = htons(ETH_P_IP);
	ret->ip.version = 4;
	ret->ip.ihl = 5;
	ret->ip.ttl = 64;
	ret->ip.protocol = IPPROTO_UDP;
	ret->ip.tot_len = htons(sizeof(*ret) - sizeof(ret->eth));
	ret->ip.saddr = htonl(CLIENTS + n / PORTS_EACH);
	ret->ip.daddr = maker->vip.s_addr;
	ret->ip.check = ip_csum(ret->ip);
	ret->udp.source = htons(FIRST_PORT + n % PORTS_EACH);
	ret->udp.dest = htons(maker->port);
	ret->udp.len = htons(sizeof(ret->udp) + sizeof(ret->data));
}

/* What a backend sends back on a packet that the balancer sent it. */
static void frame_answer(const struct maker *maker, const struct frame *sent, struct frame *ret)
{
	*ret = *sent;
	memcpy(ret->eth.h_dest, maker->mac, ETH_ALEN);
	memcpy(ret->eth.h_source, sent->eth.h_dest, ETH_ALEN);
	ret->ip.saddr = sent->ip.daddr;
	ret->ip.daddr = sent->ip.saddr;
	ret->udp.source = sent->udp.dest;
	ret->udp.dest = sent->udp.source;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static int flows_make(const struct maker *maker, uint32_t flows_n)
{
	struct frame in, out, back;
	uint32_t opened = 0, answered = 0;
	double start = now();
	int sent;

	for (uint32_t n = 0; n < flows_n; n++) {
		frame_request(maker, n, &in);
		sent = packet_run(maker, &in, &out);
		if (sent < 0)
			return sent;
		opened += sent;
		if (!sent)
			continue;
		frame_answer(maker, &out, &in);
		sent = packet_run(maker, &in, &back);
		if (sent < 0)
			return sent;
		answered += sent;
	}
	printf("{\"asked\":%u,\"opened\":%u,\"answered\":%u,\"seconds\":%.3f}\n", flows_n, opened,
	       answered, now() - start);
	return 0;
}

static int iface_find(const char *name, struct maker *maker)
{
	struct ifreq req = {};
	int fd = socket(AF_INET, SOCK_DGRAM, 0), err = 0;

	maker->ifindex = if_nametoindex(name);
	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", name);
	if (fd < 0 || !maker->ifindex || ioctl(fd, SIOCGIFHWADDR, &req))
		err = -errno;
	memcpy(maker->mac, req.ifr_hwaddr.sa_data, ETH_ALEN);
	if (fd >= 0)
		close(fd);
	return err;
}

int main(int argc, char **argv)
{
	struct maker maker = {};
	const char *what;
	int err;

	if (argc != 6 || inet_pton(AF_INET, argv[3], &maker.vip) != 1 || atoi(argv[4]) <= 0 ||
	    atoi(argv[5]) <= 0) {
		fprintf(stderr, "usage: control_flows PINNED-PROGRAM IFACE VIP PORT FLOWS\n");
		return 2;
	}
	maker.port = atoi(argv[4]);
	what = argv[1];
	err = prog_open(argv[1], &maker.prog);
	if (!err) {
		what = argv[2];
		err = iface_find(argv[2], &maker);
	}
	if (!err) {
		what = "test run";
		err = flows_make(&maker, atoi(argv[5]));
	}
	if (err)
		fprintf(stderr, "control_flows: %s: %s\n", what, strerror(-err));
	return err ? 1 : 0;
}

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The programs attached for real, and frames over real veths: redirects, the clsact program that
 * sends what the generic one hands over, and GSO frames, none of which test runs carry out.
 */
#include "tables.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "lb.skel.h"

#define WIRE_MAX 65536
#define MSS	 1448

/* A frame, and behind a veth what its skb says of it. */
struct wire_frame {
	struct virtio_net_hdr about;
	uint8_t bytes[WIRE_MAX];
} __attribute__((packed));

static const char *const wire_ends[LAB_IFACES] = { "near_peer", "far_peer" };

static int sockets[LAB_IFACES];

static void attach_clsact(struct run *run, uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = bpf_program__fd(run->fx->skel->progs.lb_clsact));

	RUN_CHECK(run, !bpf_tc_hook_create(&hook));
	RUN_CHECK(run, !bpf_tc_attach(&hook, &opts));
}

static void detach_clsact(uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex,
		    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);

	bpf_tc_hook_destroy(&hook);
}

static uint32_t xdp_flags(struct run *run)
{
	return run->fx->variant == GENERIC ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
}

/* The far ends of native veths need a program too, else what is redirected stays in their rings. */
static void attach(struct run *run)
{
	int fd = bpf_program__fd(run->fx->skel->progs.lb_xdp), i;

	for (i = 0; i < LAB_IFACES; i++) {
		if (run->fx->variant == GENERIC)
			attach_clsact(run, lab_ifindex[i]);
		else
			RUN_CHECK(run, !bpf_xdp_attach(if_nametoindex(wire_ends[i]), fd,
						       xdp_flags(run), NULL));
		RUN_CHECK(run, !bpf_xdp_attach(lab_ifindex[i], fd, xdp_flags(run), NULL));
	}
}

static void detach(struct run *run)
{
	int i;

	for (i = 0; i < LAB_IFACES; i++) {
		bpf_xdp_detach(lab_ifindex[i], xdp_flags(run), NULL);
		if (run->fx->variant == GENERIC)
			detach_clsact(lab_ifindex[i]);
		else
			bpf_xdp_detach(if_nametoindex(wire_ends[i]), xdp_flags(run), NULL);
	}
}

static int open_socket(const char *iface)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	struct timeval timeout = { .tv_sec = 1 };
	int fd = socket(AF_PACKET, SOCK_RAW, 0), on = 1;

	at.sll_ifindex = if_nametoindex(iface);
	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)))
		return -errno;
	return fd;
}

/* The next IPv4 frame at a veth's far end: its length, or -errno. */
static int receive(int fd, struct wire_frame *ret)
{
	ssize_t len;

	do {
		len = recv(fd, ret, sizeof(*ret), 0);
		if (len < 0)
			return -errno;
	} while (len < (ssize_t)sizeof(ret->about) + ETH_LEN + IP_LEN || ret->bytes[12] != 0x08 ||
		 ret->bytes[13] != 0x00);
	return len - sizeof(ret->about);
}

/* Sends a frame in by one interface and expects it, changed, at the far end of the other. */
static void over_the_wire(struct run *run, const struct frame *frame, enum lab_iface iface)
{
	static struct wire_frame in, out;
	static uint8_t expected_bytes[WIRE_MAX];
	struct frame expected;
	enum lab_iface egress;
	size_t len;
	int got;

	if (run->failed)
		return;
	memset(&in.about, 0, sizeof(in.about));
	if (frame->csum == CSUM_PARTIAL) {
		in.about.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		in.about.csum_start = ETH_LEN + IP_LEN;
		in.about.csum_offset = 16;
	}
	if (frame->payload > MSS) {
		in.about.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
		in.about.gso_size = MSS;
		in.about.hdr_len = ETH_LEN + IP_LEN + TCP_LEN;
	}
	len = frame__build(frame, in.bytes);
	RUN_CHECK(run, !fixture__set_ingress(run->fx, 0));
	RUN_CHECK(run, send(sockets[iface], &in, sizeof(in.about) + len, 0) ==
			       (ssize_t)(sizeof(in.about) + len));
	egress = run__translate(run, frame, &expected);
	got = receive(sockets[egress], &out);
	if (got < 0) {
		run__fail(run, "a frame of %zu bytes did not arrive: %s", len, strerror(-got));
		return;
	}
	RUN_CHECK(run, got == (int)frame__build(&expected, expected_bytes));
	RUN_CHECK(run, !memcmp(out.bytes, expected_bytes, got));
	RUN_CHECK(run, out.about.gso_type == in.about.gso_type);
	RUN_CHECK(run, out.about.gso_size == in.about.gso_size);
	RUN_CHECK(run, !(out.about.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) ==
			       (expected.csum != CSUM_PARTIAL));
}

static void both_ways(struct run *run, uint16_t payload)
{
	struct frame frame = run__from_client(run, FLAG_ACK, 1001, 5001);
	uint32_t neighbour;

	frame.payload = payload;
	over_the_wire(run, &frame, run->client_iface);
	if (!run__is_pair(run))
		return;
	frame = run__from_backend(run, FLAG_ACK, 5001, 1001);
	frame.payload = payload;
	over_the_wire(run, &frame, lab__way_to(run->backend, &neighbour));
}

static void real_frames(struct run *run)
{
	bool pair = run__is_pair(run);
	int i;

	if (pair)
		run__handshake(run);
	else
		run__say(run, CLIENT, FLAG_SYN, 1000, 0, FORWARDED, 0);
	for (i = 0; i < LAB_IFACES; i++) {
		sockets[i] = open_socket(wire_ends[i]);
		RUN_CHECK(run, sockets[i] >= 0);
	}
	attach(run);
	both_ways(run, 0);
	both_ways(run, 101);
	both_ways(run, pair ? MSS : MSS - IP_LEN);
	if (pair && run->fx->variant == GENERIC && run->csum == CSUM_PARTIAL) {
		both_ways(run, MSS + 1);
		both_ways(run, 20 * MSS + 7);
		both_ways(run, 65000);
	}
	detach(run);
	for (i = 0; i < LAB_IFACES; i++)
		close(sockets[i]);
}

/* What the generic program did not hand over is none of the clsact program's business. */
static void clsact_leaves_others(struct run *run)
{
	struct frame frame = run__from_client(run, FLAG_SYN, 1000, 0);
	uint8_t bytes[FRAME_MAX];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = bytes);

	opts.data_size_in = frame__build(&frame, bytes);
	RUN_CHECK(run,
		  !bpf_prog_test_run_opts(bpf_program__fd(run->fx->skel->progs.lb_clsact), &opts));
	RUN_CHECK(run, opts.retval == (uint32_t)-1); /* TC_ACT_UNSPEC: the next filter's */
}

static const struct scenario scenarios[] = {
	{ "out by the same interface", SVC_SOLO, .body = real_frames },
	{ "out by the other interface", SVC_FAR, .body = real_frames },
	{ "in by the other interface", SVC_SOLO, .client = LAB_FAR_CLIENT, .body = real_frames },
	{ "ipip, out by the same interface", SVC_IPIP_SOLO, .body = real_frames },
	{ "ipip, out by the other interface", SVC_IPIP_FAR, .body = real_frames },
	{ "other packets at the clsact program", SVC_TCP, .body = clsact_leaves_others },
};

TABLE_V4(wire, scenarios);

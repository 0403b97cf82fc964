// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Lays out the lab with ip(8). */
#define _GNU_SOURCE
#include "lab.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frame.h"

uint32_t lab_ifindex[LAB_IFACES];

static const char lab_layout[] =
	"link set lo up\n"
	"link add near address 02:00:00:00:00:00 type veth peer name near_peer\n"
	"link add far address 02:00:00:00:00:01 type veth peer name far_peer\n"
	"link set near up\n"
	"link set near_peer up\n"
	"link set far up\n"
	"link set far_peer up\n"
	"address add 172.17.0.5/24 dev near\n"
	"address add 10.2.0.1/24 dev far\n"
	"route add 198.51.100.0/24 via 172.17.0.1\n"
	"route add blackhole 203.0.113.1\n"
	"route add unreachable 203.0.113.2\n"
	"route add prohibit 203.0.113.3\n"
	"address add 2001:db8::ac11:5/120 dev near nodad\n"
	"address add 2001:db8::a02:1/120 dev far nodad\n"
	"route add 2001:db8::c633:6400/120 via 2001:db8::ac11:1\n"
	"route add blackhole 2001:db8::cb00:7101\n"
	"route add unreachable 2001:db8::cb00:7102\n"
	"route add prohibit 2001:db8::cb00:7103\n";

static int ask(const void *message, size_t len)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), err = 0;
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		char more[512];
	} answer;

	if (fd < 0)
		return -errno;
	if (send(fd, message, len, 0) < 0 || recv(fd, &answer, sizeof(answer), 0) < 0)
		err = -errno;
	close(fd);
	return err ? err : answer.error.error;
}

static int change_neighbour(uint16_t type, uint32_t ip, const uint8_t mac[6])
{
	uint32_t at;
	struct {
		struct nlmsghdr header;
		struct ndmsg neighbour;
		struct rtattr mac_attr;
		uint8_t mac[8];
		struct rtattr dst_attr;
		uint8_t dst[16];
	} req = {
		.header = { .nlmsg_type = type,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE |
					   NLM_F_REPLACE },
		.neighbour = { .ndm_family = frame_v6 ? AF_INET6 : AF_INET,
			       .ndm_ifindex = lab_ifindex[lab__way_to(ip, &at)],
			       .ndm_state = NUD_PERMANENT },
		.mac_attr = { RTA_LENGTH(6), NDA_LLADDR },
		.dst_attr = { RTA_LENGTH(frame_v6 ? 16 : 4), NDA_DST },
	};

	memcpy(req.mac, mac, 6);
	ip = htonl(ip);
	if (frame_v6)
		memcpy(req.dst, (uint8_t[]){ 0x20, 0x01, 0x0d, 0xb8 }, 4);
	memcpy(req.dst + (frame_v6 ? 12 : 0), &ip, 4);
	req.header.nlmsg_len = offsetof(typeof(req), dst) + (frame_v6 ? 16 : 4);
	return ask(&req, req.header.nlmsg_len);
}

int lab__set_neighbour(uint32_t ip, const uint8_t mac[6])
{
	return change_neighbour(RTM_NEWNEIGH, ip, mac);
}

int lab__del_neighbour(uint32_t ip)
{
	return change_neighbour(RTM_DELNEIGH, ip, (uint8_t[6]){});
}

static int add_neighbours(void)
{
	static const uint32_t neighbours[] = { LAB_CLIENT,  LAB_BACKEND_A,   LAB_BACKEND_B,
					       LAB_GATEWAY, LAB_FAR_BACKEND, LAB_FAR_CLIENT };
	uint8_t mac[6];
	int err = 0;
	size_t i;

	for (i = 0; i < sizeof(neighbours) / sizeof(*neighbours) && !err; i++) {
		lab__mac_of(neighbours[i], mac);
		err = lab__set_neighbour(neighbours[i], mac);
	}
	return err;
}

static int add_all_neighbours(void)
{
	bool v6 = frame_v6;
	int err;

	frame_v6 = false;
	err = add_neighbours();
	frame_v6 = true;
	if (!err)
		err = add_neighbours();
	frame_v6 = v6;
	return err;
}

/* IPv6 addresses go with the link. */
int lab__set_far(int up)
{
	if (!up)
		return lab__ip("link set far down");
	if (lab__ip("link set far up"))
		return -EIO;
	lab__ip("address add 2001:db8::a02:1/120 dev far nodad 2>/dev/null");
	return add_all_neighbours();
}

int lab__ip(const char *args)
{
	char command[256];

	snprintf(command, sizeof(command), "ip %s", args);
	return system(command) ? -EIO : 0;
}

int lab__set_forwarding(int on)
{
	FILE *file = fopen(frame_v6 ? "/proc/sys/net/ipv6/conf/lo/forwarding" :
				      "/proc/sys/net/ipv4/conf/lo/forwarding",
			   "w");

	if (!file)
		return -errno;
	fprintf(file, "%d\n", on);
	return fclose(file) ? -errno : 0;
}

int lab__enter(void)
{
	FILE *ip;
	int err;

	if (unshare(CLONE_NEWNET))
		return -errno;
	ip = popen("ip -batch -", "w");
	if (!ip)
		return -errno;
	fputs(lab_layout, ip);
	if (pclose(ip))
		return -EIO;
	lab_ifindex[LAB_NEAR] = if_nametoindex("near");
	lab_ifindex[LAB_FAR] = if_nametoindex("far");
	frame_v6 = true;
	err = lab__set_forwarding(1);
	frame_v6 = false;
	if (!err)
		err = lab__set_forwarding(1);
	return err ? err : add_all_neighbours();
}

void lab__mac_of(uint32_t ip, uint8_t ret[6])
{
	ret[0] = 0x02;
	ret[1] = 0xaa;
	ret[2] = ip >> 24;
	ret[3] = ip >> 16;
	ret[4] = ip >> 8;
	ret[5] = ip;
}

uint32_t lab__ip_of(const uint8_t mac[6])
{
	return IP(mac[2], mac[3], mac[4], mac[5]);
}

void lab__own_mac(enum lab_iface iface, uint8_t ret[6])
{
	memcpy(ret, (uint8_t[]){ 2, 0, 0, 0, 0, iface }, 6);
}

enum lab_iface lab__way_to(uint32_t ip, uint32_t *ret_neighbour)
{
	*ret_neighbour = ip >> 8 == LAB_REMOTE >> 8 ? LAB_GATEWAY : ip;
	return ip >> 8 == LAB_FAR_HOST >> 8 ? LAB_FAR : LAB_NEAR;
}

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Lays out the lab with ip(8). */
#define _GNU_SOURCE
#include "lab.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

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
	"route add prohibit 203.0.113.3\n";

int lab__set_neighbour(uint32_t ip, const uint8_t mac[6])
{
	struct arpreq req = { .arp_flags = ATF_PERM | ATF_COM };
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(ip) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = 0;
	uint32_t at;

	if (fd < 0)
		return -errno;
	memcpy(&req.arp_pa, &addr, sizeof(addr));
	req.arp_ha.sa_family = ARPHRD_ETHER;
	memcpy(req.arp_ha.sa_data, mac, 6);
	strcpy(req.arp_dev, lab__way_to(ip, &at) == LAB_NEAR ? "near" : "far");
	if (ioctl(fd, SIOCSARP, &req))
		err = -errno;
	close(fd);
	return err;
}

static int add_neighbour(uint32_t ip)
{
	uint8_t mac[6];

	lab__mac_of(ip, mac);
	return lab__set_neighbour(ip, mac);
}

int lab__ip(const char *args)
{
	char command[256];

	snprintf(command, sizeof(command), "ip %s", args);
	return system(command) ? -EIO : 0;
}

int lab__set_forwarding(int on)
{
	FILE *file = fopen("/proc/sys/net/ipv4/conf/lo/forwarding", "w");

	if (!file)
		return -errno;
	fprintf(file, "%d\n", on);
	return fclose(file) ? -errno : 0;
}

int lab__enter(void)
{
	static const uint32_t neighbours[] = { LAB_CLIENT,  LAB_BACKEND_A,   LAB_BACKEND_B,
					       LAB_GATEWAY, LAB_FAR_BACKEND, LAB_FAR_CLIENT };
	size_t i;
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
	for (i = 0; i < sizeof(neighbours) / sizeof(*neighbours); i++) {
		err = add_neighbour(neighbours[i]);
		if (err)
			return err;
	}
	return lab__set_forwarding(1);
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

void lab__own_mac(enum lab_iface iface, uint8_t ret[6])
{
	memcpy(ret, (uint8_t[]){ 2, 0, 0, 0, 0, iface }, 6);
}

enum lab_iface lab__way_to(uint32_t ip, uint32_t *ret_neighbour)
{
	*ret_neighbour = ip >> 8 == LAB_REMOTE >> 8 ? LAB_GATEWAY : ip;
	return ip >> 8 == LAB_FAR_HOST >> 8 ? LAB_FAR : LAB_NEAR;
}

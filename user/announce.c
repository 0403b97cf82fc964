// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Frames that tell neighbours of an address, and the group in which they ask for it. */
#include "announce.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/ip6.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "csum.h"
#include "text.h"

struct advertisement {
	struct ether_header eth;
	struct ip6_hdr ip;
	struct nd_neighbor_advert nd;
	struct nd_opt_hdr option;
	uint8_t mac[ETH_ALEN];
} __attribute__((packed));

struct arp_frame {
	struct ether_header eth;
	struct ether_arp arp;
} __attribute__((packed));

static int send_frame(uint32_t ifindex, const void *frame, size_t len)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = (int)ifindex };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return -errno;
	err = sendto(fd, frame, len, MSG_DONTWAIT, (void *)&to, sizeof(to)) < 0 ? -errno : 0;
	close(fd);
	return err;
}

/* RFC 5227, 2.3 */
static int send_arp(uint32_t ifindex, const uint8_t *mac, const struct lb_addr *addr)
{
	struct arp_frame frame = {
		.eth.ether_type = htons(ETHERTYPE_ARP),
		.arp.ea_hdr = { .ar_hrd = htons(ARPHRD_ETHER), .ar_pro = htons(ETHERTYPE_IP),
				.ar_hln = ETH_ALEN, .ar_pln = 4, .ar_op = htons(ARPOP_REQUEST) },
	};

	memset(frame.eth.ether_dhost, 0xff, ETH_ALEN);
	memcpy(frame.eth.ether_shost, mac, ETH_ALEN);
	memcpy(frame.arp.arp_sha, mac, ETH_ALEN);
	memcpy(frame.arp.arp_spa, &addr->w[3], 4);
	memcpy(frame.arp.arp_tpa, &addr->w[3], 4);
	return send_frame(ifindex, &frame, sizeof(frame));
}

static uint16_t icmp6_sum(const struct advertisement *frame)
{
	const uint8_t *at = (const void *)&frame->ip.ip6_src, *end = (const void *)(frame + 1);
	uint64_t sum = frame->ip.ip6_plen + htons(IPPROTO_ICMPV6);
	uint16_t word;

	for (; at < end; at += sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		sum += word;
	}
	return ~csum_fold(sum);
}

/* RFC 4861, 7.2.6 */
static int send_advertisement(uint32_t ifindex, const uint8_t *mac, const struct lb_addr *addr)
{
	struct advertisement frame = {
		.eth = { .ether_dhost = { 0x33, 0x33, 0, 0, 0, 1 },
			 .ether_type = htons(ETHERTYPE_IPV6) },
		.ip = { .ip6_plen = htons(sizeof(frame) - offsetof(struct advertisement, nd)),
			.ip6_nxt = IPPROTO_ICMPV6,
			.ip6_hlim = 255 },
		.nd = { .nd_na_type = ND_NEIGHBOR_ADVERT, .nd_na_flags_reserved = ND_NA_FLAG_OVERRIDE },
		.option = { ND_OPT_TARGET_LINKADDR, 1 },
	};

	frame.ip.ip6_vfc = 6 << 4; /* one of a union, so not above */
	memcpy(frame.eth.ether_shost, mac, ETH_ALEN);
	memcpy(&frame.ip.ip6_src, addr, 16);
	inet_pton(AF_INET6, "ff02::1", &frame.ip.ip6_dst);
	memcpy(&frame.nd.nd_na_target, addr, 16);
	memcpy(frame.mac, mac, ETH_ALEN);
	frame.nd.nd_na_cksum = icmp6_sum(&frame);
	return send_frame(ifindex, &frame, sizeof(frame));
}

int announce__tell(uint32_t ifindex, const uint8_t *mac, const struct lb_addr *addr)
{
	return lb_addr__is_v4(addr) ? send_arp(ifindex, mac, addr) :
				      send_advertisement(ifindex, mac, addr);
}

int announce__join(const char *iface, const struct lb_addr *addr, bool join)
{
	struct ifreq request = { .ifr_hwaddr.sa_data = { 0x33, 0x33, (char)0xff } };
	int fd, err;

	if (lb_addr__is_v4(addr))
		return 0; /* asked for by broadcast */
	fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", iface);
	memcpy(request.ifr_hwaddr.sa_data + 3, addr->b + 13, 3); /* RFC 4291, 2.7.1 */
	err = ioctl(fd, join ? SIOCADDMULTI : SIOCDELMULTI, &request) ? -errno : 0;
	close(fd);
	return err;
}

bool announce__iface(uint32_t ifindex, char *ret)
{
	return if_indextoname(ifindex, ret);
}

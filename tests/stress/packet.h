/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What generator and checkers have in common: the phase's state, packets, their checksums. */
#ifndef STRESS_PACKET_H
#define STRESS_PACKET_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "csum.h"
#include "stress.h"

struct stress_conf conf;
struct stress_gen gens[STRESS_CPUS];
struct stress_count counts[STRESS_CPUS];
struct stress_sample samples[STRESS_SAMPLES];
__u32 samples_n;

__u64 flow_known[STRESS_CLIENTS];	 /* fullnat: connection, backend, port */
__u32 flow_backend[STRESS_CLIENTS];	 /* ipip */
__u64 port_known[STRESS_BACKENDS << 16]; /* connection, client */

#define TTL 64

/* Behind the Ethernet header. */
struct packet {
	struct iphdr ip;
	struct tcphdr tcp;
	struct stress_id id;
};

static __always_inline __u32 cpu_slot(void)
{
	return bpf_get_smp_processor_id() == conf.cpus[0] ? 0 : 1;
}

static __always_inline void mac_write(__u8 *mac, __u32 ip)
{
	*(__be16 *)mac = bpf_htons(0x0200);
	*(__be16 *)(mac + 2) = bpf_htons(ip >> 16);
	*(__be16 *)(mac + 4) = bpf_htons(ip);
}

static __always_inline int mac_is(const __u8 *mac, __u32 ip)
{
	return *(__be16 *)mac == bpf_htons(0x0200) && *(__be16 *)(mac + 2) == bpf_htons(ip >> 16) &&
	       *(__be16 *)(mac + 4) == bpf_htons(ip);
}

static __always_inline __u64 sum(const void *at, int bytes)
{
	const __u16 *words = at;
	__u64 sum = 0;
	int i;

#pragma unroll
	for (i = 0; i < bytes / 2; i++)
		sum += words[i];
	return sum;
}

static __always_inline __u64 sum_tcp(const struct iphdr *ip, const struct tcphdr *tcp)
{
	int len = sizeof(*tcp) + sizeof(struct stress_id);

	return (__u64)ip->saddr + ip->daddr + bpf_htons(IPPROTO_TCP) + bpf_htons(len) +
	       sum(tcp, sizeof(*tcp) + sizeof(struct stress_id));
}

static __always_inline void sums_write(struct packet *packet)
{
	packet->ip.check = 0;
	packet->ip.check = ~csum_fold(sum(&packet->ip, sizeof(packet->ip)));
	packet->tcp.check = 0;
	packet->tcp.check = ~csum_fold(sum_tcp(&packet->ip, &packet->tcp));
}

/* Of the backend, so that the client's ACK can be told without having seen it. */
static __always_inline __u32 isn(__u32 client, __u32 conn)
{
	return client * 2654435761u ^ conn << 8;
}

#endif

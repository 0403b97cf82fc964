// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Two CPUs with packets of the same few flows, as fast as they can, in a flow table that is far too
 * small or while halves are taken away: whatever leaves must belong to one flow as a whole, and the
 * table must be sound in the end.
 */
#define _GNU_SOURCE
#include "race.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <linux/bpf.h>

#include "random.h"
#include "tables.h"

#define CLIENTS 48
#define PACKETS 20000 /* of each racer */

#define SMALL_SETS_BITS 4

static const enum service_id storm_services[] = { SVC_TCP, SVC_UDP, SVC_IPIP, SVC_IPIP_UDP };

#define STORM_SERVICES (sizeof(storm_services) / sizeof(*storm_services))

/* Where a racer saw a client's packets go. */
struct seen {
	uint32_t backend, snat;
	uint16_t backend_port, snat_port;
};

struct storm {
	struct fixture *fx;
	bool reaps;
	atomic_int busy;
	struct racer {
		uint32_t random;
		struct seen seen[STORM_SERVICES][CLIENTS];
		const char *wrong;
		struct outcome out;
	} racers[RACERS];
};

static uint32_t random_below(struct racer *racer, uint32_t n)
{
	return random__below(&racer->random, n);
}

/* Address and port of a client go together, so that a mixture of two shows. */
static uint32_t client_ip(uint32_t n)
{
	return (LAB_REMOTE & ~255u) + 1 + n;
}

static uint16_t client_port(uint32_t n)
{
	return 2000 + 641 * n;
}

static uint16_t get16(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}

/* Both checksums of an IPv4 packet without options. */
static bool sums_hold(const uint8_t *ip)
{
	uint16_t l4_len = get16(ip + 2) - IP_LEN;
	uint16_t pseudo = frame__sum(ip + 12, 8, ip[9] + l4_len);

	return frame__sum(ip, IP_LEN, 0) == 0xffff &&
	       frame__sum(ip + IP_LEN, l4_len, pseudo) == 0xffff;
}

static void wrong(struct racer *racer, const char *what)
{
	if (!racer->wrong)
		racer->wrong = what;
}

static bool is_backend(const struct service *service, uint32_t ip, uint16_t port)
{
	int i;

	for (i = 0; i < SERVICE_BACKENDS; i++) {
		if (service->backends[i].ip == ip && service->backends[i].port == port)
			return true;
	}
	return false;
}

/* The hash alone chooses, so a client's flows all go to one backend, whatever becomes of them. */
static void check_in(struct racer *racer, const struct service *service, struct seen *seen)
{
	const uint8_t *ip = racer->out.bytes + ETH_LEN;
	struct seen now = { .backend = get32(ip + 16), .snat = get32(ip + 12) };

	if (service->method == LB_METHOD_IPIP) {
		now.backend_port = service->port;
		if (frame__sum(ip, IP_LEN, 0) != 0xffff || ip[9] != OUTER)
			wrong(racer, "an outer header is damaged");
		ip += IP_LEN;
	} else {
		now.snat_port = get16(ip + IP_LEN);
		now.backend_port = get16(ip + IP_LEN + 2);
		if (now.snat_port < PORT_LO)
			wrong(racer, "a source port is none of ours");
	}
	if (now.snat != LAB_HOST)
		wrong(racer, "a source address is none of ours");
	if (!is_backend(service, now.backend, now.backend_port))
		wrong(racer, "a packet went to no backend");
	if (seen->backend &&
	    (now.backend != seen->backend || now.backend_port != seen->backend_port))
		wrong(racer, "a client's packets went to two backends");
	if (!sums_hold(ip))
		wrong(racer, "a checksum is wrong");
	*seen = now;
}

/* Its port may be another client's by now, but one client's it has to be. */
static void check_out(struct racer *racer, const struct service *service)
{
	const uint8_t *ip = racer->out.bytes + ETH_LEN;
	uint32_t n = get32(ip + 16) - client_ip(0);

	if (n >= CLIENTS || get16(ip + IP_LEN + 2) != client_port(n))
		wrong(racer, "a reply went to no client");
	if (get32(ip + 12) != service->vip || get16(ip + IP_LEN) != service->port)
		wrong(racer, "a reply came from no VIP");
	if (!sums_hold(ip))
		wrong(racer, "a checksum is wrong");
}

static void send(struct storm *storm, struct racer *racer, struct frame *frame)
{
	uint8_t bytes[FRAME_MAX];
	uint32_t neighbour;

	lab__way_to(frame->src, &neighbour);
	lab__mac_of(neighbour, frame->smac);
	lab__own_mac(LAB_NEAR, frame->dmac);
	frame->payload = 4 + random_below(racer, 30);
	if (fixture__run(storm->fx, bytes, frame__build(frame, bytes), lab_ifindex[LAB_NEAR],
			 &racer->out))
		wrong(racer, "the program could not be run");
}

static void packet_in(struct storm *storm, struct racer *racer, uint32_t service, uint32_t n)
{
	static const uint8_t kinds[] = {
		FLAG_SYN, FLAG_SYN, FLAG_ACK, FLAG_ACK, FLAG_ACK, FLAG_ACK, FLAG_FIN | FLAG_ACK,
		FLAG_RST
	};
	const struct service *its = &services[storm_services[service]];
	struct frame frame =
		frame__make(its->proto, client_ip(n), client_port(n), its->vip, its->port);

	frame.flags = kinds[random_below(racer, sizeof(kinds))];
	frame.seq = 1000;
	frame.ack = 5001;
	send(storm, racer, &frame);
	if (racer->out.action == XDP_DROP)
		return;
	if (racer->out.action != XDP_TX)
		wrong(racer, "a client's packet passed to the host");
	else if (get32(racer->out.bytes + ETH_LEN + 12) == LAB_HOST &&
		 get32(racer->out.bytes + ETH_LEN + 16) == client_ip(n))
		return; /* a RST */
	else
		check_in(racer, its, &racer->seen[service][n]);
}

static void packet_out(struct storm *storm, struct racer *racer, uint32_t service, uint32_t n)
{
	const struct service *its = &services[storm_services[service]];
	struct seen *seen = &racer->seen[service][n];
	struct frame frame;

	if (!seen->snat_port)
		return;
	frame = frame__make(its->proto, seen->backend, seen->backend_port, seen->snat,
			    seen->snat_port);
	frame.flags = random_below(racer, 3) ? FLAG_ACK | FLAG_SYN : FLAG_ACK;
	frame.seq = 5000;
	frame.ack = 1001;
	send(storm, racer, &frame);
	if (racer->out.action == XDP_TX)
		check_out(racer, its);
	else if (racer->out.action != XDP_DROP)
		wrong(racer, "a reply passed to the host");
}

/* As gc and flush do, of halves that packets are using. */
static void reap(struct storm *storm, struct racer *racer)
{
	struct ct_key keys[8];
	uint32_t i, n, service;
	struct half half;

	for (i = 0; i < 8; i++) {
		n = random_below(racer, CLIENTS);
		service = random_below(racer, STORM_SERVICES);
		keys[i] = fixture__key(services[storm_services[service]].proto, client_ip(n),
				       client_port(n), services[storm_services[service]].vip,
				       services[storm_services[service]].port);
		if (!racer->seen[service][n].snat_port || i % 2)
			continue;
		keys[i] = fixture__key(services[storm_services[service]].proto,
				       racer->seen[service][n].backend,
				       racer->seen[service][n].backend_port, LAB_HOST,
				       racer->seen[service][n].snat_port);
	}
	if (storm->fx->table == LB_TABLE_ASSOC && half__get(storm->fx, &keys[0], &half))
		storm->fx->sets[half.slot / CT_WAYS].ways[half.slot % CT_WAYS].last_seen -=
			8000 * storm->fx->hz;
	half__reap(storm->fx, LB_REAP_EXPIRED, keys, 1);
	half__reap(storm->fx, LB_REAP_FORCE, keys + 1, 7);
}

static void storm_run(void *arg, int number)
{
	struct storm *storm = arg;
	struct racer *racer = &storm->racers[number];
	uint32_t n, service;
	int i, packets = PACKETS / (run__by_turns() ? 2 : 1);

	race__meet();
	for (i = 0; i < packets && !racer->wrong; i++) {
		n = random_below(racer, CLIENTS);
		service = random_below(racer, STORM_SERVICES);
		if (random_below(racer, 3))
			packet_in(storm, racer, service, n);
		else
			packet_out(storm, racer, service, n);
		if (storm->reaps && number && i % 16 == 0)
			reap(storm, racer);
	}
}

static void storm(struct run *run, bool reaps)
{
	struct storm *storm = calloc(1, sizeof(*storm));
	struct counters before = run__counters(run), after;
	int i;

	storm->fx = run->fx;
	storm->reaps = reaps;
	fixture__set_ports(run->fx, PORT_LO, PORT_LO + 15, 0, 0);
	for (i = 0; i < RACERS; i++)
		storm->racers[i].random = 2463534242u + 77 * i;
	race__run(storm_run, storm);
	for (i = 0; i < RACERS; i++) {
		if (storm->racers[i].wrong)
			run__fail(run, "%s", storm->racers[i].wrong);
	}
	after = run__counters(run);
	/*
	 * Two CPUs in one flow are rare even here, where new flows evict each other's halves out of
	 * two sets: neither may go on losing packets to that.
	 */
	i = after.drops[LB_DROP_FLOW_BUSY] - before.drops[LB_DROP_FLOW_BUSY];
	if (i > PACKETS / 10)
		run__fail(run, "%d packets were dropped as flow_busy", i);
	free(storm);
}

static void packets(struct run *run)
{
	storm(run, false);
}

static void packets_and_reap(struct run *run)
{
	storm(run, true);
}

/* Each key has four sets of its own here, and there is room for a third of the halves. */
static void packets_small_table(struct run *run)
{
	static struct fixture small;
	struct fixture *fx = run->fx;
	const char *error;

	if (fx->table != LB_TABLE_ASSOC)
		return; /* the LRU maps can't be as small */
	if (fixture__open(&small, fx->variant, fx->table, SMALL_SETS_BITS) ||
	    fixture__reset(&small)) {
		run__fail(run, "a small table could not be made");
	} else {
		run->fx = &small;
		storm(run, true);
		run->fx = fx;
		error = half__check_table(&small);
		if (error)
			run__fail(run, "%s", error);
	}
	fixture__close(&small);
}

static const struct scenario scenarios[] = {
	{ "packets", .body = packets, .races = true, .once = true },
	{ "packets and reap", .body = packets_and_reap, .races = true, .once = true },
	{ "packets and reap, small table", .body = packets_small_table, .races = true,
	  .once = true },
	{ "packets, tiny table", .body = packets, .tiny = true, .races = true, .once = true },
	{ "packets and reap, tiny table", .body = packets_and_reap, .tiny = true, .races = true,
	  .once = true },
};

TABLE_V4(storm, scenarios);

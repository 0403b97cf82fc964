// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Answers of the FIB are kept: for a second, and no change that was told is missed. */
#include "tables.h"

#include <stdio.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "lb.skel.h"

static const uint8_t other_mac[6] = { 2, 0xbb, 1, 2, 3, 4 };
static bool changed;

/* Nobody tells of these changes. */
static void change(struct run *run, uint32_t ip, const uint8_t *mac)
{
	changed = true;
	RUN_CHECK(run, !lab__set_neighbour(ip, mac));
}

static void change_mtu(struct run *run, int mtu)
{
	char args[64];

	changed = true;
	snprintf(args, sizeof(args), "link set near mtu %d", mtu);
	RUN_CHECK(run, !lab__ip(args));
}

static void back_to_normal(struct run *run)
{
	static const uint32_t ips[] = { LAB_BACKEND_A, LAB_CLIENT };
	uint8_t mac[6];
	int i;

	for (i = 0; i < 2; i++) {
		lab__mac_of(ips[i], mac);
		lab__set_neighbour(ips[i], mac);
	}
	lab__ip("link set near mtu 1500");
	fixture__new_routes(run->fx);
	changed = false;
}

/* One more packet: does it go to the other MAC? */
static bool goes_to_other(struct run *run, enum who who)
{
	struct frame frame = who == CLIENT ? run__from_client(run, FLAG_ACK, 1001, 5001)
					   : run__from_backend(run, FLAG_ACK, 5001, 1001);
	uint8_t bytes[FRAME_MAX];
	size_t len = frame__build(&frame, bytes);

	if (run->failed)
		return false;
	RUN_CHECK(run, !fixture__run(run->fx, bytes, len, lab_ifindex[LAB_NEAR], &run->out));
	RUN_CHECK(run, run->out.action == XDP_TX);
	return !memcmp(run->out.bytes, other_mac, sizeof(other_mac));
}

/* Makes what is kept toward the backend older. */
static void age_kept(struct run *run, uint32_t jiffies)
{
	int fd = bpf_map__fd(run->fx->skel->maps.lb_backend_stats), cpu;
	uint32_t index = fixture__backend_index(run->svc, run->backend_n);
	struct lb_backend_stats stats[CPUS_MAX];

	RUN_CHECK(run, !bpf_map_lookup_elem(fd, &index, stats));
	for (cpu = 0; cpu < run->fx->cpus; cpu++)
		stats[cpu].kept.at -= jiffies;
	RUN_CHECK(run, !bpf_map_update_elem(fd, &index, stats, BPF_ANY));
}

static void open_flow(struct run *run)
{
	if (changed) /* by a scenario that failed */
		back_to_normal(run);
	run__say(run, CLIENT, FLAG_SYN, 1000, 0, FORWARDED, 0);
	if (run__is_pair(run))
		run__say(run, BACKEND, FLAG_SYN | FLAG_ACK, 5000, 1001, FORWARDED, 0);
	run__say(run, CLIENT, FLAG_ACK, 1001, 5001, FORWARDED, 0);
	run__avoid_tick(run);
	run__say(run, CLIENT, FLAG_ACK, 1001, 5001, FORWARDED, 0);
	if (run__is_pair(run))
		run__say(run, BACKEND, FLAG_ACK, 5001, 1001, FORWARDED, 0);
}

/* ...while the generation stays; and asked for again when it is raised. */
static void generation_to_backend(struct run *run)
{
	open_flow(run);
	change(run, LAB_BACKEND_A, other_mac);
	RUN_CHECK(run, !goes_to_other(run, CLIENT));
	RUN_CHECK(run, !goes_to_other(run, CLIENT));
	RUN_CHECK(run, !fixture__new_routes(run->fx));
	RUN_CHECK(run, goes_to_other(run, CLIENT));
	back_to_normal(run);
	RUN_CHECK(run, !goes_to_other(run, CLIENT));
}

static void generation_to_client(struct run *run)
{
	open_flow(run);
	change(run, LAB_CLIENT, other_mac);
	RUN_CHECK(run, !goes_to_other(run, BACKEND));
	RUN_CHECK(run, !fixture__new_routes(run->fx));
	RUN_CHECK(run, goes_to_other(run, BACKEND));
	RUN_CHECK(run, goes_to_other(run, BACKEND));
	back_to_normal(run);
	RUN_CHECK(run, !goes_to_other(run, BACKEND));
}

static void second_to_backend(struct run *run)
{
	open_flow(run);
	change(run, LAB_BACKEND_A, other_mac);
	age_kept(run, run->fx->hz / 2);
	RUN_CHECK(run, !goes_to_other(run, CLIENT));
	age_kept(run, run->fx->hz / 2);
	RUN_CHECK(run, goes_to_other(run, CLIENT));
	back_to_normal(run);
}

/* Whichever side's packet is the first after a second. */
static void second_to_client_after(struct run *run, enum who first)
{
	open_flow(run);
	change(run, LAB_CLIENT, other_mac);
	run__age(run, 1);
	if (first == CLIENT)
		goes_to_other(run, CLIENT);
	RUN_CHECK(run, goes_to_other(run, BACKEND));
	back_to_normal(run);
}

static void second_to_client(struct run *run)
{
	second_to_client_after(run, BACKEND);
}

static void second_to_client_that_asks(struct run *run)
{
	second_to_client_after(run, CLIENT);
}

/* Longer than the MTU it was asked for: asked again. */
static void larger_mtu(struct run *run)
{
	bool merged;
	struct frame in, out;

	open_flow(run);
	in = run__from_client(run, FLAG_ACK, 1001, 5001);
	in.payload = LAB_MTU - frame__l4_len(&in) - IP_LEN;
	if (!run__is_pair(run))
		in.payload -= IP_LEN;
	in.payload++;
	/* In generic mode one that is longer than it may come in was merged. */
	merged = run->fx->variant == GENERIC &&
		 (!run->fx->says_mtu || frame__ip_len(&in) + frame__l4_len(&in) > LAB_MTU);
	run__send(run, &in, LAB_NEAR, merged ? FORWARDED : REPORTED, LB_DROP_TOO_BIG);
	change_mtu(run, 3000);
	run__send(run, &in, LAB_NEAR, FORWARDED, 0);
	if (run__is_pair(run)) {
		out = run__from_backend(run, FLAG_ACK, 5001, 1001);
		out.payload = LAB_MTU;
		run__send(run, &out, LAB_NEAR, FORWARDED, 0);
	}
	back_to_normal(run);
}

/* A refusal is not kept. */
static void no_neighbour_yet(struct run *run)
{
	uint8_t mac[6];

	run__say(run, CLIENT, FLAG_SYN, 1000, 0, DROPPED, LB_DROP_NO_NEIGHBOUR);
	lab__mac_of(LAB_DARK_SERVER, mac);
	RUN_CHECK(run, !lab__set_neighbour(LAB_DARK_SERVER, mac));
	run__say(run, CLIENT, FLAG_SYN, 1000, 0, FORWARDED, 0);
	RUN_CHECK(run, !lab__del_neighbour(LAB_DARK_SERVER));
	fixture__new_routes(run->fx);
}

/* What was kept for the backend that was there before is not for the one that is there now. */
static void other_backend(struct run *run)
{
	struct frame frame;
	uint8_t bytes[FRAME_MAX], mac[6];
	const uint8_t *ip = run->out.bytes + ETH_LEN;
	size_t len;

	open_flow(run);
	RUN_CHECK(run, run->backend == LAB_BACKEND_A);
	RUN_CHECK(run, !fixture__replace_backend(run->fx, run->svc, 0, LAB_BACKEND_B));
	RUN_CHECK(run, !fixture__set_weights(run->fx, run->svc, 1, 0));
	run__talk(run, run->svc, LAB_CLIENT, 40001);
	frame = run__from_client(run, FLAG_SYN, 1000, 0);
	len = frame__build(&frame, bytes);
	RUN_CHECK(run, !fixture__run(run->fx, bytes, len, lab_ifindex[LAB_NEAR], &run->out));
	lab__mac_of(LAB_BACKEND_B, mac);
	RUN_CHECK(run, run->out.action == XDP_TX && !memcmp(run->out.bytes, mac, 6));
	RUN_CHECK(run, frame__dst(ip) == LAB_BACKEND_B);
	RUN_CHECK(run, frame_v6 || frame__sum(ip, IP_LEN, 0) == 0xffff);
}

/* Flows of both methods to one backend, which one's answer serves the other's, too. */
static void other_method(struct run *run)
{
	const uint8_t *ip = run->out.bytes + ETH_LEN;
	struct frame frame;
	uint8_t bytes[FRAME_MAX];
	size_t len;
	int i;

	run__talk(run, SVC_IPIP_FAR, LAB_CLIENT, 40000); /* whose outer header is another */
	run__say(run, CLIENT, FLAG_SYN, 1000, 0, FORWARDED, 0);
	run__talk(run, SVC_SOLO, LAB_CLIENT, 40000);
	open_flow(run);
	RUN_CHECK(run, !fixture__set_method(run->fx, run->svc, LB_METHOD_IPIP));
	for (i = 0; i < 2; i++) {
		frame = run__from_client(run, FLAG_SYN, 1000, 0);
		frame.sport = 40001 + i;
		len = frame__build(&frame, bytes);
		RUN_CHECK(run,
			  !fixture__run(run->fx, bytes, len, lab_ifindex[LAB_NEAR], &run->out));
		RUN_CHECK(run, run->out.action == XDP_TX && run->out.len == len + IP_LEN);
		RUN_CHECK(run, ip[9] == OUTER && frame__sum(ip, IP_LEN, 0) == 0xffff);
		fixture__new_routes(run->fx); /* and again by an answer that is its own */
	}
	run__say(run, CLIENT, FLAG_ACK, 1001, 5001, FORWARDED, 0);
}

static const struct scenario scenarios[] = {
	{ "until told, to the backend", SVC_SOLO, .body = generation_to_backend, .once = true },
	{ "until told, to the backend, ipip", SVC_IPIP_SOLO, .body = generation_to_backend,
	  .once = true },
	{ "until told, to the client", SVC_SOLO, .body = generation_to_client, .once = true },
	{ "for a second, to the backend", SVC_SOLO, .body = second_to_backend, .once = true },
	{ "for a second, to the backend, ipip", SVC_IPIP_SOLO, .body = second_to_backend,
	  .once = true },
	{ "for a second, to the client", SVC_SOLO, .body = second_to_client, .once = true },
	{ "for a second, to a client that asks", SVC_SOLO, .body = second_to_client_that_asks,
	  .once = true },
	{ "for its MTU", SVC_SOLO, .body = larger_mtu },
	{ "for its MTU, ipip", SVC_IPIP_SOLO, .body = larger_mtu },
	{ "no neighbour yet", SVC_DARK, .body = no_neighbour_yet, .once = true },
	{ "another backend at its index", SVC_SOLO, .body = other_backend, .once = true },
	{ "another method", SVC_SOLO, .body = other_method, .once = true, .v4 = true },
	{ "another backend at its index, ipip", SVC_IPIP_SOLO, .body = other_backend,
	  .once = true },
};

TABLE_PAIRS(kept, scenarios);

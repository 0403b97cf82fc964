// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Fragments: those that follow their first, those that can't, and what nobody should send. No
 * daemon listens. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "tables.h"

#include "lb.skel.h"

#define FRAGMENT 44
#define MF	 0x2000
#define WHOLE	 500 /* bytes of payload */
#define CUT	 200 /* multiple of 8 */

/* -- Maps -------------------------------------------------------------------------------------- */

/* As in kernel/maps.h. */
struct datagram_set {
	uint32_t lock;
	uint32_t pad;
	struct lb_datagram ways[LB_DATAGRAM_WAYS];
};

/* As if their last fragments were three seconds ago. */
static int age(struct run *run)
{
	int fd = bpf_map__fd(run->fx->skel->maps.lb_datagrams), way;
	struct datagram_set set;
	uint32_t i;

	for (i = 0; i < 1u << LB_DATAGRAM_BITS; i++) {
		if (bpf_map_lookup_elem(fd, &i, &set))
			return -errno;
		for (way = 0; way < LB_DATAGRAM_WAYS; way++)
			set.ways[way].at -= 3 * run->fx->hz;
		if (bpf_map_update_elem(fd, &i, &set, 0))
			return -errno;
	}
	return 0;
}

static int unpark(struct run *run, const struct frame *frame, bool give_up, uint32_t parked)
{
	struct lb_unpark req = { .parked = parked, .give_up = give_up };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = &req, .data_size_in = sizeof(req));

	req.key.src = fixture__addr(frame->src);
	req.key.id = htonl(frame->v6 && frame->frag_id ? frame->frag_id : frame->id);
	req.key.local = fixture__local_id(frame->dst);
	req.key.ip_proto = frame->v6 ? 0 : frame->proto;
	if (bpf_prog_test_run_opts(bpf_program__fd(run->fx->skel->progs.lb_unpark), &opts))
		return -errno;
	return opts.retval;
}

/* -- Pieces ------------------------------------------------------------------------------------ */

static uint32_t next_id;

/* A datagram of so much payload; its pieces are cut from this. */
static struct frame datagram(struct run *run, enum who who, uint16_t payload)
{
	struct frame frame = who == CLIENT ? run__from_client(run, FLAG_ACK, 1001, 5001)
					   : run__from_backend(run, FLAG_ACK, 5001, 1001);

	frame.csum = CSUM_COMPLETE;
	frame.whole = payload;
	frame.extensions[0] = frame.v6 ? FRAGMENT : 0;
	frame.id = next_id;
	frame.frag_id = 0x10000 + next_id;
	return frame;
}

/* Its bytes from at on, so many, or up to its end. */
static struct frame piece(const struct frame *whole, uint16_t at, uint16_t len)
{
	struct frame frame = *whole;
	uint16_t all = whole->whole + (whole->proto == TCP ? TCP_LEN : UDP_LEN);

	frame.at = at;
	frame.payload = at + len < all ? len : all - at;
	frame.frag = at / 8 | (at + len < all ? MF : 0);
	return frame;
}

static void send_piece(struct run *run, const struct frame *whole, uint16_t at, uint16_t len,
		       enum expect expect, int drop)
{
	struct frame frame = piece(whole, at, len);
	uint32_t neighbour;

	run__send(run, &frame, lab__way_to(frame.src, &neighbour), expect, drop);
}

static void forward(struct run *run, const struct frame *whole, uint16_t at, uint16_t len)
{
	send_piece(run, whole, at, len, FORWARDED, 0);
}

/* All pieces of this length; in fullnat they have one identification, which is answered. */
static uint32_t forward_all(struct run *run, const struct frame *whole, uint16_t len)
{
	uint16_t at, all = whole->whole + (whole->proto == TCP ? TCP_LEN : UDP_LEN);
	uint32_t id = 0;

	for (at = 0; at < all; at += len) {
		forward(run, whole, at, len);
		RUN_CHECK(run, !at || !run__is_pair(run) || run->out_id == id);
		id = run->out_id;
	}
	return id;
}

static void fresh(struct run *run)
{
	next_id += 100; /* of no scenario before: to clear the table takes too long */
	RUN_CHECK(run, !fixture__forget_reports(run->fx));
	if (services[run->svc].proto == TCP) {
		run__say(run, CLIENT, FLAG_SYN, 1000, 0, FORWARDED, 0);
		if (run__is_pair(run))
			run__say(run, BACKEND, FLAG_SYN | FLAG_ACK, 5000, 1001, FORWARDED, 0);
		run__say(run, CLIENT, FLAG_ACK, 1001, 5001, FORWARDED, 0);
	}
}

/* -- In order ---------------------------------------------------------------------------------- */

static void in_order(struct run *run)
{
	static const uint16_t lengths[] = { 504, 64, 72, CUT, 496 };
	struct frame whole;
	size_t i;

	fresh(run);
	for (i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		whole = datagram(run, CLIENT, WHOLE);
		forward_all(run, &whole, lengths[i]);
		if (!run__is_pair(run))
			continue;
		whole = datagram(run, BACKEND, WHOLE + 3);
		forward_all(run, &whole, lengths[i]);
	}
}

/* What the packet before said of its own flow. */
static void no_flags_of_others(struct run *run)
{
	struct run other = *run;
	struct frame whole;

	fresh(run);
	run__talk(&other, run->svc, run->client, 40001);
	run__handshake(&other);
	whole = datagram(run, CLIENT, WHOLE);
	forward(run, &whole, 0, CUT);
	run__say(&other, CLIENT, FLAG_FIN | FLAG_ACK, 1001, 5001, FORWARDED, 0);
	forward(run, &whole, CUT, CUT);
	run__expect_state(run, IN_FLOWS(CT_ESTABLISHED));
	RUN_CHECK(run, !other.failed);
}

static void without_csum(struct run *run)
{
	struct frame whole;

	if (frame_v6)
		return;
	fresh(run);
	whole = datagram(run, CLIENT, WHOLE);
	whole.csum = CSUM_NONE;
	forward_all(run, &whole, CUT);
}

/* A checksum that comes out as 0 is written as 0xffff, and one that looks partial is none. */
static void odd_csums(struct run *run)
{
	struct frame whole, plain;

	fresh(run);
	whole = datagram(run, CLIENT, WHOLE);
	forward_all(run, &whole, CUT);
	plain = whole;
	plain.whole = 0;
	plain.payload = WHOLE;
	frame__make_ambiguous(&plain);
	whole.word = plain.word;
	forward_all(run, &whole, CUT);
	run__translate(run, &plain, &plain);
	frame__aim_csum(&plain, 0xffff);
	whole.word = plain.word;
	forward_all(run, &whole, CUT);
}

/* Two clients with the same identification; and one that uses it again. */
static void identifications(struct run *run)
{
	struct run other = *run;
	struct frame a, b;
	uint32_t ids[3];

	fresh(run);
	run__talk(&other, run->svc, LAB_REMOTE, 40001);
	a = datagram(run, CLIENT, WHOLE);
	b = datagram(&other, CLIENT, WHOLE);
	forward(run, &a, 0, CUT);
	ids[0] = run->out_id;
	forward(&other, &b, 0, CUT);
	ids[1] = other.out_id;
	forward(run, &a, CUT, CUT);
	RUN_CHECK(run, run->out_id == ids[0]);
	forward(&other, &b, CUT, WHOLE);
	RUN_CHECK(run, other.out_id == ids[1]);
	forward(run, &a, 2 * CUT, CUT);
	RUN_CHECK(run, run->out_id == ids[0]);
	ids[2] = forward_all(run, &a, CUT);
	RUN_CHECK(run, ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
	RUN_CHECK(run, !other.failed);
}

/* The same client's flows, one datagram after the other, under one identification. */
static void used_again(struct run *run)
{
	struct run other = *run;
	struct frame a, b;

	fresh(run);
	run__talk(&other, run->svc, run->client, 40001);
	a = datagram(run, CLIENT, WHOLE);
	b = datagram(&other, CLIENT, WHOLE);
	forward_all(run, &a, CUT);
	forward_all(&other, &b, CUT);
	forward_all(run, &a, CUT);
	/* Not complete when the next one's first comes. */
	forward(run, &a, 0, CUT);
	forward(run, &a, CUT, CUT);
	forward_all(&other, &b, CUT);
	RUN_CHECK(run, !other.failed);
	/* Complete: what comes next is none of it. */
	send_piece(run, &a, CUT, CUT, PASSED, 0);
}

/* Clients, each with a datagram under way: more than a set holds. */
static void many(struct run *run)
{
	static struct run clients[200];
	static struct frame wholes[200];
	int i, at;

	fresh(run);
	for (i = 0; i < 200; i++) {
		clients[i] = *run;
		run__talk(&clients[i], run->svc, LAB_CLIENT + (i & 1 ? 0 : LAB_REMOTE - LAB_CLIENT),
			  30000 + i);
		wholes[i] = datagram(&clients[i], CLIENT, WHOLE);
		wholes[i].id = next_id + i;
		wholes[i].frag_id = 0x20000 + next_id + i;
	}
	for (at = 0; at < WHOLE; at += CUT) {
		for (i = 0; i < 200 && !run->failed; i++) {
			forward(&clients[i], &wholes[i], at, CUT);
			RUN_CHECK(run, !clients[i].failed);
		}
	}
	next_id += 200;
}

/* A backend answers two clients by one identification, which is new to each of them. */
static void one_id_for_two_clients(struct run *run)
{
	struct run other = *run;
	struct frame a, b;

	fresh(run);
	run__talk(&other, run->svc, LAB_REMOTE, 40001);
	run__say(run, CLIENT, 0, 0, 0, FORWARDED, 0);
	run__say(&other, CLIENT, 0, 0, 0, FORWARDED, 0);
	a = datagram(run, BACKEND, WHOLE);
	b = datagram(&other, BACKEND, WHOLE);
	forward(run, &a, 0, CUT);
	forward(&other, &b, 0, CUT);
	forward(run, &a, CUT, CUT);
	forward(&other, &b, CUT, CUT);
	RUN_CHECK(run, run->out_id != other.out_id && !other.failed);
}

/* -- Early ones -------------------------------------------------------------------------------- */

/* The address is the host's, too: it may have them. */
static void early_at_the_host(struct run *run)
{
	struct frame whole;

	fresh(run);
	whole = datagram(run, CLIENT, WHOLE);
	send_piece(run, &whole, CUT, CUT, PASSED, 0);
	send_piece(run, &whole, 2 * CUT, CUT, PASSED, 0);
	forward(run, &whole, 0, CUT);
	forward(run, &whole, CUT, CUT);
	/* Some were lost: a first one is the next datagram's. */
	forward(run, &whole, 0, CUT);
}

static void early_elsewhere(struct run *run)
{
	struct frame whole;

	fresh(run);
	whole = datagram(run, CLIENT, WHOLE);
	send_piece(run, &whole, 2 * CUT, CUT, DROPPED, LB_DROP_FRAGMENT_EARLY);
	send_piece(run, &whole, CUT, CUT, DROPPED, LB_DROP_FRAGMENT_EARLY);
	forward(run, &whole, 0, CUT);
	forward(run, &whole, CUT, CUT);
	forward(run, &whole, 2 * CUT, CUT);
}

/* Long after its last fragment an identification is another datagram's. */
static void idle(struct run *run)
{
	struct frame whole;

	fresh(run);
	whole = datagram(run, CLIENT, WHOLE);
	forward(run, &whole, 0, CUT);
	RUN_CHECK(run, !age(run));
	send_piece(run, &whole, CUT, CUT, PASSED, 0);
	forward(run, &whole, 0, CUT);
	RUN_CHECK(run, !age(run));
	forward_all(run, &whole, CUT);
}

/* What the daemon asks: is it there, and what becomes of those that waited. */
static void given_up(struct run *run)
{
	struct frame whole;
	struct counters before, after;

	fresh(run);
	whole = datagram(run, CLIENT, WHOLE);
	whole.id++;
	whole.frag_id++;
	send_piece(run, &whole, CUT, CUT, PASSED, 0);
	RUN_CHECK(run, unpark(run, &whole, false, 0) == LB_DATAGRAM_AWAITED);
	before = run__counters(run);
	RUN_CHECK(run, unpark(run, &whole, true, 3) == LB_DATAGRAM_HOST);
	after = run__counters(run);
	RUN_CHECK(run, !memcmp(before.drops, after.drops, sizeof(before.drops)));
	send_piece(run, &whole, 2 * CUT, CUT, PASSED, 0);
	RUN_CHECK(run, unpark(run, &whole, false, 0) == LB_DATAGRAM_HOST);
	forward(run, &whole, 0, CUT);
	RUN_CHECK(run, unpark(run, &whole, true, 3) == LB_DATAGRAM_OPEN);
	forward(run, &whole, CUT, CUT);
}

static void given_up_elsewhere(struct run *run)
{
	struct frame whole;
	struct counters before, after;

	fresh(run);
	whole = datagram(run, CLIENT, WHOLE);
	send_piece(run, &whole, CUT, CUT, DROPPED, LB_DROP_FRAGMENT_EARLY);
	before = run__counters(run);
	RUN_CHECK(run, unpark(run, &whole, true, 3) == LB_DATAGRAM_DONE);
	after = run__counters(run);
	RUN_CHECK(run,
		  after.drops[LB_DROP_FRAGMENT_EARLY] - before.drops[LB_DROP_FRAGMENT_EARLY] == 3);
	forward_all(run, &whole, CUT);
}

/* -- What nobody should send ------------------------------------------------------------------- */

static void repeated(struct run *run)
{
	struct frame whole;

	fresh(run);
	whole = datagram(run, CLIENT, WHOLE);
	forward(run, &whole, 0, CUT);
	send_piece(run, &whole, 0, CUT, DROPPED, LB_DROP_FRAGMENT_OVERLAP);
	forward(run, &whole, CUT, CUT);
	send_piece(run, &whole, CUT, CUT, DROPPED, LB_DROP_FRAGMENT_OVERLAP);
	forward(run, &whole, 2 * CUT, CUT);
}

static void overlapping(struct run *run)
{
	struct frame whole;

	fresh(run);
	whole = datagram(run, CLIENT, WHOLE);
	forward(run, &whole, 0, CUT);
	send_piece(run, &whole, CUT - 8, CUT, DROPPED, LB_DROP_FRAGMENT_OVERLAP);
	send_piece(run, &whole, CUT, CUT, DROPPED, LB_DROP_FRAGMENT_OVERLAP);
	send_piece(run, &whole, 2 * CUT, CUT, DROPPED, LB_DROP_FRAGMENT_OVERLAP);
	forward_all(run, &whole, CUT);
}

static void tiny(struct run *run)
{
	struct frame whole;

	fresh(run);
	whole = datagram(run, CLIENT, WHOLE);
	send_piece(run, &whole, 0, 8, DROPPED, LB_DROP_FRAGMENT_TINY);
	whole.frag_id++;
	whole.id++;
	send_piece(run, &whole, 0, 16, DROPPED, LB_DROP_FRAGMENT_TINY);
	whole.frag_id++;
	whole.id++;
	whole.doff = 15;
	send_piece(run, &whole, 0, 56, DROPPED, LB_DROP_FRAGMENT_TINY);
	whole.dport = 9; /* the host's */
	whole.frag_id++;
	whole.id++;
	send_piece(run, &whole, 0, 8, PASSED, 0);
}

static void bad_lengths(struct run *run)
{
	struct frame whole, frame;

	fresh(run);
	whole = datagram(run, CLIENT, WHOLE);
	frame = piece(&whole, 0, CUT);
	frame.payload -= 3;
	run__send(run, &frame, LAB_NEAR, DROPPED, LB_DROP_MALFORMED);
	frame.dport = 9;
	run__send(run, &frame, LAB_NEAR, PASSED, 0);
	forward(run, &whole, 0, CUT);
	frame = piece(&whole, CUT, CUT);
	frame.frag = 0x1fff;
	frame.payload = 16; /* behind 65535; whose it is is not asked */
	run__send(run, &frame, LAB_NEAR, PASSED, 0);
	frame.payload = 0;
	run__send(run, &frame, LAB_NEAR, PASSED, 0);
	frame.frag = 0x1ffe; /* up to the end */
	frame.payload = 8;
	run__send(run, &frame, LAB_NEAR, FORWARDED, 0);
}

static void truncated(struct run *run)
{
	struct frame whole, frame;
	int first, header;

	fresh(run);
	whole = datagram(run, CLIENT, WHOLE);
	for (first = 1; first >= 0; first--) {
		frame = piece(&whole, first ? 0 : CUT, CUT);
		header = ETH_LEN + frame__ip_len(&frame);
		for (frame.cut = ETH_LEN + (frame.v6 ? IP6_LEN : IP_LEN); frame.cut < header + CUT;
		     frame.cut += frame.cut < header + 24 ? 1 : 40)
			run__send(run, &frame, LAB_NEAR, DROPPED, LB_DROP_MALFORMED);
	}
}

/* Its first opened no flow, or the flow has gone since. */
static void without_flow(struct run *run)
{
	struct counters before, after;
	struct frame whole;
	struct ct_key keys[2];

	fresh(run);
	whole = datagram(run, CLIENT, WHOLE);
	forward(run, &whole, 0, CUT);
	keys[0] = run__client_key(run);
	keys[1] = run__reply_key(run);
	RUN_CHECK(run, half__reap(run->fx, LB_REAP_FORCE, keys, 1 + run__is_pair(run)) == 1);
	before = run__counters(run);
	if (run__is_pair(run))
		send_piece(run, &whole, CUT, CUT, DROPPED, LB_DROP_FRAGMENT);
	else
		forward(run, &whole, CUT, CUT);
	after = run__counters(run);
	RUN_CHECK(run, after.totals.untracked - before.totals.untracked == !run__is_pair(run));
	run__expect_state(run, NO_FLOW);
}

/* -- The host's -------------------------------------------------------------------------------- */

static void of_the_host(struct run *run)
{
	struct frame whole;
	int i;

	fresh(run);
	whole = datagram(run, CLIENT, WHOLE);
	whole.dport = 4000;
	for (i = 0; i < 2; i++) {
		send_piece(run, &whole, 0, CUT, PASSED, 0);
		send_piece(run, &whole, CUT, CUT, PASSED, 0);
		send_piece(run, &whole, CUT, CUT, PASSED, 0);
		send_piece(run, &whole, CUT - 8, CUT, PASSED, 0);
		send_piece(run, &whole, 2 * CUT, CUT, PASSED, 0);
	}
}

/* Longer than the way on takes, though it could come in. */
static void too_big(struct run *run)
{
	struct frame whole, frame;

	fresh(run);
	whole = datagram(run, CLIENT, 3000);
	frame = piece(&whole, 0, 800);
	run__send(run, &frame, LAB_NEAR, FORWARDED, 0);
	if (fixture_one_way == DIRECT || (run->fx->variant == GENERIC && !run->fx->says_mtu))
		return;
	frame = piece(&whole, 800, (LAB_MTU - frame__ip_len(&frame)) & ~7);
	run__send(run, &frame, LAB_NEAR, frame_v6 ? REPORTED : DROPPED, LB_DROP_TOO_BIG);
}

static const struct scenario scenarios[] = {
	{ "in order", SVC_UDP, .body = in_order, .once = true },
	{ "in order, TCP", SVC_TCP, .body = in_order, .once = true },
	{ "in order, two interfaces", SVC_FAR, .body = in_order, .once = true },
	{ "between packets of another flow", SVC_TCP, .body = no_flags_of_others, .once = true },
	{ "without checksum", SVC_UDP, .body = without_csum, .once = true },
	{ "odd checksums", SVC_UDP, .body = odd_csums, .once = true },
	{ "identifications", SVC_SOLO_UDP, .body = identifications, .once = true },
	{ "an identification is used again", SVC_UDP, .body = used_again, .once = true },
	{ "many at once", SVC_UDP, .body = many, .once = true },
	{ "early, at the host's address", SVC_UDP, .body = early_at_the_host, .once = true },
	{ "early, at another", SVC_ANY_UDP, .body = early_elsewhere, .once = true },
	{ "idle", SVC_UDP, .body = idle, .once = true },
	{ "given up", SVC_UDP, .body = given_up, .once = true },
	{ "given up, at another address", SVC_ANY_UDP, .body = given_up_elsewhere, .once = true },
	{ "repeated", SVC_UDP, .body = repeated, .once = true },
	{ "overlapping", SVC_UDP, .body = overlapping, .once = true },
	{ "tiny", SVC_TCP, .body = tiny, .once = true },
	{ "bad lengths", SVC_UDP, .body = bad_lengths, .once = true },
	{ "truncated", SVC_UDP, .body = truncated, .once = true },
	{ "without flow", SVC_UDP, .body = without_flow, .once = true },
	{ "the host's", SVC_UDP, .body = of_the_host, .once = true },
};

TABLE_PAIRS(fragments, scenarios);

static const struct scenario one_way_scenarios[] = {
	{ "in order", SVC_IPIP_UDP, .body = in_order, .once = true },
	{ "in order, TCP", SVC_IPIP, .body = in_order, .once = true },
	{ "without checksum", SVC_IPIP_UDP, .body = without_csum, .once = true },
	{ "odd checksums", SVC_IPIP_UDP, .body = odd_csums, .once = true },
	{ "an identification is used again", SVC_IPIP_UDP, .body = used_again, .once = true },
	{ "repeated", SVC_IPIP_UDP, .body = repeated, .once = true },
	{ "overlapping", SVC_IPIP_UDP, .body = overlapping, .once = true },
	{ "tiny", SVC_IPIP, .body = tiny, .once = true },
	{ "without flow", SVC_IPIP_UDP, .body = without_flow, .once = true },
	{ "too big", SVC_IPIP_UDP, .body = too_big, .once = true },
};

TABLE_ONE_WAY(fragments_one_way, one_way_scenarios);

static const struct scenario nat_scenarios[] = {
	{ "one identification for two clients", SVC_SOLO_UDP, .body = one_id_for_two_clients },
};

TABLE_NAT(fragments_nat, nat_scenarios);

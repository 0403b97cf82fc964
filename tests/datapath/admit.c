// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Which new flows are let in: denied and allowed prefixes, limits of new flows a second. */
#include "tables.h"

#include <arpa/inet.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "lb.skel.h"
#include "maps.h"

#define SYN FLAG_SYN
#define ACK FLAG_ACK

#define LIST	  7
#define OTHER	  8 /* a list that no VIP names */
#define A_CLIENT  (32 + 128)
#define A_NET	  (A_CLIENT - 8)
#define V4_BEFORE 96

struct bucket { /* kernel/maps.h, struct lb_bucket */
	uint32_t lock;
	uint32_t since;
	uint64_t credit;
};

/* -- Maps -------------------------------------------------------------------------------------- */

static int map_of(struct run *run, const char *name)
{
	return bpf_object__find_map_fd_by_name(run->fx->skel->obj, name);
}

/* Of SYNs: other scenarios' that were turned away are not tried again by these. */
static uint32_t first_seq = 1000;

/* Prefixes of other scenarios, and what was taken from buckets. */
static void fresh(struct run *run)
{
	int fd = map_of(run, "lb_prefixes");
	struct bucket bucket = {};
	struct lb_prefix prefix;
	uint32_t id;

	while (!bpf_map_get_next_key(fd, NULL, &prefix))
		RUN_CHECK(run, !bpf_map_delete_elem(fd, &prefix));
	for (id = 0; id < SERVICES; id++)
		RUN_CHECK(run, !bpf_map_update_elem(map_of(run, "lb_vip_buckets"), &id, &bucket, 0));
	RUN_CHECK(run, !fixture__forget_reports(run->fx));
	first_seq += 100000;
}

static bool is_v4(uint32_t ip)
{
	return fixture__addr(ip).w[2] == htonl(LB_V4_PREFIX);
}

/* bits as in struct lb_prefix. */
static void list(struct run *run, uint32_t number, uint32_t ip, uint32_t bits)
{
	struct lb_prefix prefix = { .bits = bits, .list = number, .addr = fixture__addr(ip) };
	uint32_t one = 1;
	int i;

	if (!is_v4(ip))
		prefix.list |= LB_LIST_V6;
	for (i = 0; i < 128; i++)
		if (i >= (int)bits - 32)
			prefix.addr.b[i / 8] &= ~(0x80 >> i % 8);
	RUN_CHECK(run, !bpf_map_update_elem(map_of(run, "lb_prefixes"), &prefix, &one, 0));
}

static void change_settings(struct run *run, bool deny, uint32_t new_rate)
{
	struct lb_settings settings;
	uint32_t zero = 0;
	int fd = map_of(run, "lb_settings");

	RUN_CHECK(run, !bpf_map_lookup_elem(fd, &zero, &settings));
	settings.deny = deny;
	settings.new_rate = new_rate;
	RUN_CHECK(run, !bpf_map_update_elem(fd, &zero, &settings, 0));
}

static void change_vip(struct run *run, uint32_t allow, uint32_t new_rate)
{
	struct lb_service_key key = {
		.addr = fixture__addr(services[run->svc].vip),
		.port = htons(services[run->svc].port),
		.ip_proto = services[run->svc].proto,
	};
	int fd = map_of(run, "lb_vips");
	struct lb_vip vip;

	RUN_CHECK(run, !bpf_map_lookup_elem(fd, &key, &vip));
	vip.allow = allow;
	vip.new_rate = new_rate;
	RUN_CHECK(run, !bpf_map_update_elem(fd, &key, &vip, 0));
}

static struct bucket bucket_of(struct run *run)
{
	struct bucket bucket = {};
	uint32_t id = run->svc;

	RUN_CHECK(run, !bpf_map_lookup_elem(map_of(run, "lb_vip_buckets"), &id, &bucket));
	return bucket;
}

/* As if the last new flow had been so many jiffies earlier, and had left nothing. */
static void wait_on(struct run *run, uint32_t jiffies, bool empty)
{
	struct bucket bucket = bucket_of(run);
	uint32_t id = run->svc;

	bucket.since -= jiffies;
	if (empty)
		bucket.credit = 0;
	RUN_CHECK(run, !bpf_map_update_elem(map_of(run, "lb_vip_buckets"), &id, &bucket, 0));
}

static void empty_since(struct run *run, uint32_t jiffies)
{
	wait_on(run, jiffies, true);
}

/* -- Conversations ----------------------------------------------------------------------------- */

static void talk(struct run *run, uint32_t client, uint16_t port)
{
	run__talk(run, run->svc, client, port);
}

static void begin(struct run *run, uint32_t client, uint16_t port, enum expect expect, int drop)
{
	talk(run, client, port);
	run__say(run, CLIENT, SYN, first_seq, 0, expect, drop);
}

static void let_in(struct run *run, uint32_t client, uint16_t port)
{
	begin(run, client, port, FORWARDED, 0);
}

static void open_flow(struct run *run)
{
	if (run__is_pair(run)) {
		run__handshake(run);
		return;
	}
	run__say(run, CLIENT, SYN, 1000, 0, FORWARDED, 0);
	run__say(run, CLIENT, ACK, 1001, 5001, FORWARDED, 0);
}

/* -- Lists ------------------------------------------------------------------------------------- */

static void denied(struct run *run)
{
	fresh(run);
	open_flow(run);
	list(run, LB_LIST_DENY, LAB_CLIENT, A_NET);
	change_settings(run, true, 0);
	run__say(run, CLIENT, ACK, 1001, 5001, FORWARDED, 0); /* what there is goes on */
	if (run__is_pair(run))
		run__say(run, BACKEND, ACK, 5001, 1001, FORWARDED, 0);
	begin(run, LAB_CLIENT, 40001, DROPPED, LB_DROP_DENIED);
	run__expect_state(run, NO_FLOW);
	run__say(run, CLIENT, ACK, 1001, 5001, DROPPED, LB_DROP_DENIED); /* nor a RST */
	let_in(run, LAB_REMOTE, 40000);
	change_settings(run, false, 0);
	let_in(run, LAB_CLIENT, 40001);
}

static void only_vips_deny(struct run *run)
{
	struct frame frame = frame__make(services[run->svc].proto, LAB_CLIENT, 40000,
					 services[run->svc].vip, 9);

	fresh(run);
	list(run, LB_LIST_DENY, LAB_CLIENT, A_CLIENT);
	change_settings(run, true, 0);
	lab__own_mac(LAB_NEAR, frame.dmac);
	run__send(run, &frame, LAB_NEAR, PASSED, 0);
}

static void one_address(struct run *run)
{
	fresh(run);
	list(run, LB_LIST_DENY, LAB_REMOTE, A_CLIENT);
	change_settings(run, true, 0);
	begin(run, LAB_REMOTE, 40000, DROPPED, LB_DROP_DENIED);
	let_in(run, LAB_REMOTE + 1, 40000);
	let_in(run, LAB_REMOTE - 1, 40000);
}

static void everybody(struct run *run)
{
	fresh(run);
	list(run, LB_LIST_DENY, LAB_CLIENT, 32 + (is_v4(LAB_CLIENT) ? V4_BEFORE : 0));
	change_settings(run, true, 0);
	begin(run, LAB_CLIENT, 40000, DROPPED, LB_DROP_DENIED);
	begin(run, LAB_REMOTE, 40000, DROPPED, LB_DROP_DENIED);
}

/* ::/0 is all of IPv6 and nothing of IPv4. */
static void everybody_else(struct run *run)
{
	struct lb_prefix all = { .bits = 32, .list = LB_LIST_V6 };
	uint32_t one = 1;

	fresh(run);
	RUN_CHECK(run, !bpf_map_update_elem(map_of(run, "lb_prefixes"), &all, &one, 0));
	change_settings(run, true, 0);
	if (is_v4(LAB_CLIENT))
		let_in(run, LAB_CLIENT, 40000);
	else
		begin(run, LAB_CLIENT, 40000, DROPPED, LB_DROP_DENIED);
}

static void of_another_list(struct run *run)
{
	fresh(run);
	list(run, OTHER, LAB_CLIENT, A_CLIENT);
	list(run, LIST, LAB_REMOTE, A_CLIENT);
	change_settings(run, true, 0);
	let_in(run, LAB_CLIENT, 40000);
	change_vip(run, LIST, 0);
	begin(run, LAB_CLIENT, 40001, DROPPED, LB_DROP_NOT_ALLOWED);
}

static void allowed(struct run *run)
{
	fresh(run);
	open_flow(run);
	list(run, LIST, LAB_REMOTE, A_NET);
	change_vip(run, LIST, 0);
	run__say(run, CLIENT, ACK, 1001, 5001, FORWARDED, 0);
	begin(run, LAB_CLIENT, 40001, DROPPED, LB_DROP_NOT_ALLOWED);
	run__expect_state(run, NO_FLOW);
	let_in(run, LAB_REMOTE, 40001);
	list(run, LB_LIST_DENY, LAB_REMOTE, A_CLIENT);
	change_settings(run, true, 0);
	begin(run, LAB_REMOTE, 40002, DROPPED, LB_DROP_DENIED);
	let_in(run, LAB_REMOTE + 1, 40002);
	change_vip(run, 0, 0);
	let_in(run, LAB_CLIENT, 40003);
}

/* A SYN on a flow that is over is a new flow. */
static void begins_again(struct run *run)
{
	fresh(run);
	open_flow(run);
	run__say(run, CLIENT, FLAG_RST, 1001, 0, FORWARDED, 0);
	list(run, LB_LIST_DENY, LAB_CLIENT, A_NET);
	change_settings(run, true, 0);
	run__say(run, CLIENT, SYN, 9000, 0, DROPPED, LB_DROP_DENIED);
	run__expect_state(run, NO_FLOW);
}

/* -- Limits ------------------------------------------------------------------------------------ */

static void rate_of_a_vip(struct run *run)
{
	enum service_id svc = run->svc;

	fresh(run);
	change_vip(run, 0, 1);
	open_flow(run);
	begin(run, LAB_CLIENT, 40001, DROPPED, LB_DROP_NEW_RATE);
	run__expect_state(run, NO_FLOW);
	begin(run, LAB_REMOTE, 40001, DROPPED, LB_DROP_NEW_RATE);
	run__talk(run, SVC_SOLO, LAB_CLIENT, 40001);
	run__say(run, CLIENT, SYN, 1000, 0, FORWARDED, 0); /* another VIP */
	run->svc = svc;
	empty_since(run, run->fx->hz);
	let_in(run, LAB_CLIENT, 40002);
	begin(run, LAB_CLIENT, 40003, DROPPED, LB_DROP_NEW_RATE);
	change_vip(run, 0, 0);
	let_in(run, LAB_CLIENT, 40003);
}

/* A second's worth at most, of which TCP leaves half for those who try again; half after half a second. */
static void rate_refills(struct run *run)
{
	bool tcp = services[run->svc].proto == TCP;
	uint16_t port = 40000, n;

	fresh(run);
	change_vip(run, 0, 3);
	for (n = tcp ? 1 : 0; n < 3; n++)
		let_in(run, LAB_CLIENT, port++);
	begin(run, LAB_CLIENT, port, DROPPED, LB_DROP_NEW_RATE);
	empty_since(run, 20 * run->fx->hz);
	for (n = tcp ? 1 : 0; n < 3; n++)
		let_in(run, LAB_CLIENT, port++);
	begin(run, LAB_CLIENT, port, DROPPED, LB_DROP_NEW_RATE);
	change_vip(run, 0, 4);
	empty_since(run, run->fx->hz / 2 + 1);
	for (n = tcp ? 2 : 0; n < 2; n++)
		let_in(run, LAB_CLIENT, port++);
	begin(run, LAB_CLIENT, port, DROPPED, LB_DROP_NEW_RATE);
}

/* What is refused meanwhile takes nothing of what comes in. */
static void rate_fills_under_fire(struct run *run)
{
	fresh(run);
	change_vip(run, 0, 1);
	let_in(run, LAB_CLIENT, 40000);
	empty_since(run, run->fx->hz * 6 / 10);
	begin(run, LAB_CLIENT, 40001, DROPPED, LB_DROP_NEW_RATE);
	wait_on(run, run->fx->hz * 6 / 10, false);
	let_in(run, LAB_CLIENT, 40001);
}

/* Another CPU, whose clock was read a bit later, was here before: nothing is given for that. */
static void rate_of_two_cpus(struct run *run)
{
	fresh(run);
	change_vip(run, 0, 1);
	let_in(run, LAB_CLIENT, 40000);
	empty_since(run, -(run->fx->hz - 1));
	begin(run, LAB_CLIENT, 40001, DROPPED, LB_DROP_NEW_RATE);
	RUN_CHECK(run, !bucket_of(run).credit);
}

static void rate_of_a_cpu(struct run *run)
{
	enum service_id svc = run->svc;

	fresh(run);
	change_settings(run, false, 3); /* one for those who try again */
	open_flow(run);
	run__talk(run, SVC_SOLO, LAB_CLIENT, 40001);
	run__say(run, CLIENT, SYN, 1000, 0, FORWARDED, 0);
	run->svc = svc;
	begin(run, LAB_CLIENT, 40002, DROPPED, LB_DROP_NEW_RATE);
	RUN_CHECK(run, !fixture__forget_reports(run->fx)); /* an age ago */
	let_in(run, LAB_CLIENT, 40002);
}

static void only_credit(struct run *run, uint32_t flows)
{
	struct bucket bucket = { .credit = (uint64_t)flows * run->fx->hz };
	uint32_t id = run->svc;

	RUN_CHECK(run, !maps__now(&bucket.since));
	RUN_CHECK(run, !bpf_map_update_elem(map_of(run, "lb_vip_buckets"), &id, &bucket, 0));
}

/* A client sends its SYN again after a second: half of the limit is for those who do. */
static void tries_again(struct run *run)
{
	fresh(run);
	change_vip(run, 0, 10);
	only_credit(run, 5);
	begin(run, LAB_CLIENT, 40001, DROPPED, LB_DROP_NEW_RATE);
	begin(run, LAB_REMOTE, 40001, DROPPED, LB_DROP_NEW_RATE);
	only_credit(run, 5);
	begin(run, LAB_CLIENT, 40001, DROPPED, LB_DROP_NEW_RATE); /* too soon */
	usleep(600000);
	only_credit(run, 5);
	begin(run, LAB_CLIENT, 40002, DROPPED, LB_DROP_NEW_RATE); /* for the first time */
	talk(run, LAB_REMOTE, 40001);
	run__say(run, CLIENT, SYN, first_seq + 1, 0, DROPPED, LB_DROP_NEW_RATE); /* another SYN */
	only_credit(run, 1);
	let_in(run, LAB_CLIENT, 40001);
	begin(run, LAB_REMOTE, 40001, DROPPED, LB_DROP_NEW_RATE); /* none left */
	only_credit(run, 1);
	let_in(run, LAB_REMOTE, 40001);
	only_credit(run, 6);
	let_in(run, LAB_CLIENT, 40003);
}

/* What a VIP refuses is no other VIP's loss. */
static void rates_of_both(struct run *run)
{
	uint16_t port;

	fresh(run);
	change_settings(run, false, 5);
	change_vip(run, 0, 1);
	let_in(run, LAB_CLIENT, 40000);
	for (port = 40001; port < 40009; port++)
		begin(run, LAB_CLIENT, port, DROPPED, LB_DROP_NEW_RATE);
	for (port = 40001; port < 40003; port++) {
		run__talk(run, SVC_SOLO, LAB_CLIENT, port);
		run__say(run, CLIENT, SYN, 1000, 0, FORWARDED, 0);
	}
}

/* -- Methods that need no flow ----------------------------------------------------------------- */

static uint64_t untracked(struct run *run)
{
	return run__counters(run).totals.untracked;
}

/* Above the limit they go where the hash says, each packet alike, and leave no flow. */
static void without_a_flow(struct run *run)
{
	struct counters before;
	uint16_t port;

	fresh(run);
	change_vip(run, 0, 1);
	open_flow(run);
	run__expect_state(run, IN_FLOWS(CT_ESTABLISHED));
	before = run__counters(run);
	for (port = 40001; port < 40009; port++) {
		let_in(run, LAB_CLIENT, port);
		run__say(run, CLIENT, ACK, 1001, 5001, FORWARDED, 0);
		run__say(run, CLIENT, FLAG_FIN | ACK, 1001, 5001, FORWARDED, 0);
		run__expect_state(run, NO_FLOW);
	}
	RUN_CHECK(run, untracked(run) - before.totals.untracked == 24);
	RUN_CHECK(run, run__counters(run).totals.flows_created == before.totals.flows_created);
	empty_since(run, run->fx->hz);
	talk(run, LAB_CLIENT, 40001);
	run__say(run, CLIENT, ACK, 1001, 5001, FORWARDED, 0);
	run__expect_state(run, IN_HALF_OPEN(CT_SYN)); /* picked up */
	RUN_CHECK(run, untracked(run) - before.totals.untracked == 24);
}

static void untracked_errors(struct run *run)
{
	struct frame frame;

	fresh(run);
	change_vip(run, 0, 1);
	open_flow(run);
	talk(run, LAB_CLIENT, 40001);
	run__say(run, CLIENT, SYN, 1000, 0, FORWARDED, 0);
	frame = run__from_client(run, ACK, 1001, 5001);
	frame.ttl = 1;
	run__send(run, &frame, LAB_NEAR, REPORTED, LB_DROP_TTL);
	RUN_CHECK(run, !fixture__set_weights(run->fx, run->svc, 0, 0));
	run__say(run, CLIENT, ACK, 1001, 5001, DROPPED, LB_DROP_NO_BACKEND);
}

static const struct scenario admit[] = {
	{ "denied", SVC_TCP, .body = denied, .once = true },
	{ "denied: the host's own", SVC_TCP, .body = only_vips_deny, .once = true },
	{ "one address denied", SVC_TCP, .body = one_address, .once = true },
	{ "one address denied, UDP", SVC_UDP, .body = one_address, .once = true },
	{ "everybody denied", SVC_TCP, .body = everybody, .once = true },
	{ "::/0 denied", SVC_TCP, .body = everybody_else, .once = true },
	{ "on a list that isn't asked", SVC_TCP, .body = of_another_list, .once = true },
	{ "allowed", SVC_TCP, .body = allowed, .once = true },
	{ "denied between two flows of the same ports", SVC_TCP, .body = begins_again, .once = true },
	{ "limit of a VIP", SVC_TCP, .body = rate_of_a_vip, .once = true },
	{ "limit refills", SVC_TCP, .body = rate_refills, .once = true },
	{ "limit refills, UDP", SVC_UDP, .body = rate_refills, .once = true },
	{ "limit: who tries again", SVC_TCP, .body = tries_again, .once = true },
	{ "limit refills under fire", SVC_TCP, .body = rate_fills_under_fire, .once = true },
	{ "limit, of two CPUs", SVC_TCP, .body = rate_of_two_cpus, .once = true },
	{ "limits of a VIP and a CPU", SVC_TCP, .body = rates_of_both, .once = true },
	{ "limit of a CPU", SVC_TCP, .body = rate_of_a_cpu, .once = true },
};
TABLE_PAIRS(admit, admit);

static const struct scenario admit_one_way[] = {
	{ "denied", SVC_IPIP, .body = denied, .once = true },
	{ "allowed", SVC_IPIP, .body = allowed, .once = true },
	{ "denied between two flows of the same ports", SVC_IPIP, .body = begins_again,
	  .once = true },
	{ "above the limit", SVC_IPIP, .body = without_a_flow, .once = true },
	{ "above the limit: errors", SVC_IPIP, .body = untracked_errors, .once = true },
};
TABLE_ONE_WAY(admit_one_way, admit_one_way);

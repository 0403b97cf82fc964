/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Scenarios and their engine: each packet goes through the program and is compared, byte for byte
 * and counter for counter, with what was expected. A scenario that failed says so once and sends
 * nothing more; its table goes on with the next.
 */
#ifndef RUN_H
#define RUN_H

#include "fixture.h"
#include "frame.h"
#include "half.h"

enum expect {
	FORWARDED,
	PASSED, /* as it came */
	RESET,	/* answered with a RST */
	DROPPED,
	REPORTED, /* the same, and its sender is told why by ICMP */
};

enum who {
	NOBODY,
	CLIENT,
	BACKEND,
};

/* One conversation of one client, and how its packets have to look behind the balancer. */
struct run {
	struct fixture *fx;
	const char *table;
	const char *name;
	int step;
	bool failed;
	enum frame_csum csum;

	enum service_id svc;
	uint32_t client;
	uint16_t client_port;
	uint16_t vip_port;
	enum lab_iface client_iface;

	bool learnt; /* from the first packet forwarded; then it has to stay */
	int backend_n;
	uint32_t backend;
	uint16_t backend_port;
	uint32_t snat;
	uint16_t snat_port;
	uint16_t outer_port; /* of method gue: the flow's */
	uint32_t outer_label; /* of an outer IPv6 header: the flow's */
	uint32_t out_id;     /* identification of the last fragment, as it left by fullnat */

	struct outcome out; /* of the last packet */
};

/* State of a flow after a step, and which table both halves have to be in. */
#define IN_HALF_OPEN(state) ((state) + 1)
#define IN_FLOWS(state)	    ((state) + 0x101)
#define NO_FLOW		    0x200

struct step {
	enum who who; /* NOBODY: only act */
	uint8_t flags;
	enum expect expect;
	int drop; /* enum lb_drop, for DROPPED and REPORTED */
	uint32_t seq;
	uint32_t ack;
	uint16_t payload;
	int state;		      /* 0: not looked at */
	void (*act)(struct run *run); /* before the packet */
	void (*change)(struct frame *frame);
};

struct scenario {
	const char *name;
	enum service_id svc;
	const struct step *steps;      /* the last is all zero */
	void (*body)(struct run *run); /* instead of steps */
	uint32_t client;	       /* 0: LAB_CLIENT */
	bool tiny;		       /* in our own flow table of two sets */
	bool races;		       /* what two CPUs do at once may be lost in one half */
	bool once;		       /* the body sees to the kinds of checksums itself */
	bool fullnat; /* of what nat does otherwise */
	bool v4; /* of IPv4's header, or of where its keys fall in a tiny table */
};

struct table {
	const char *name;
	const struct scenario *scenarios;
	size_t n;
	enum families {
		BOTH_FAMILIES,
		ONLY_V4,
		ONLY_V6,
	} families;
	enum {
		FULLNAT,
		PAIRS,	 /* once with fullnat, once with nat */
		NAT,
		ONE_WAY, /* once for each enum one_way */
	} methods;
};

/* Drop reasons that some scenario has met. */
extern bool run_reached[LB_DROPS];

/* $DATAPATH_BY_TURNS: an emulated machine, slow, and no two of its CPUs run at the same time. */
bool run__by_turns(void);

/* 0, or how many scenarios failed. */
int run__table(const struct table *table, struct fixture *fx);

__attribute__((format(printf, 2, 3))) void run__fail(struct run *run, const char *format, ...);

/* The next packets are a conversation of this client; nothing is known of it yet. */
void run__talk(struct run *run, enum service_id svc, uint32_t client, uint16_t port);

struct frame run__from_client(struct run *run, uint8_t flags, uint32_t seq, uint32_t ack);
struct frame run__from_backend(struct run *run, uint8_t flags, uint32_t seq, uint32_t ack);

/* Sends a frame in by an interface. drop: for DROPPED and REPORTED. */
void run__send(struct run *run, const struct frame *frame, enum lab_iface iface, enum expect expect,
	       int drop);
void run__send_bytes(struct run *run, const uint8_t *bytes, size_t len, enum lab_iface iface,
		     enum expect expect, int drop);

/* The same from who's side of the conversation. */
void run__say(struct run *run, enum who who, uint8_t flags, uint32_t seq, uint32_t ack,
	      enum expect expect, int drop);

/* SYN, SYN-ACK, ACK */
void run__handshake(struct run *run);

/* What a frame of the conversation has to become, and by which interface it leaves. */
enum lab_iface run__translate(struct run *run, const struct frame *frame, struct frame *ret);

/* What an error says: the largest packet as it came that fits the way on, if the kernel tells. */
uint32_t run__path_mtu(struct run *run, const struct frame *frame);

/* Both halves of the flow, and that they fit together. */
void run__expect_state(struct run *run, int state);

struct ct_key run__client_key(const struct run *run);
struct ct_key run__reply_key(const struct run *run);

/* Changes both halves, as if seconds had gone by since their last packet. */
void run__age(struct run *run, uint32_t seconds);

/* The next packets find the flow's second not over. After a packet of the flow. */
void run__avoid_tick(struct run *run);

/* Do replies of the service pass here? */
bool run__is_pair(const struct run *run);

/* Does the backend see the client's address? */
bool run__is_nat(const struct run *run);

struct half run__half(struct run *run, enum who whose);

/* Counter of the program, by difference: takes a copy to look back to. */
struct counters run__counters(struct run *run);

#define RUN_CHECK(run, condition)                                                            \
	do {                                                                                 \
		if (!(run)->failed && !(condition))                                          \
			run__fail(run, "%s:%d: not so: %s", __FILE__, __LINE__, #condition); \
	} while (0)

#endif

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What is measured: the cases, the balancer that each needs, and what it must do there. */
#ifndef RIG_CASES_H
#define RIG_CASES_H

#include <stdbool.h>

#include "lab.h"
#include "measure.h"
#include "packet.h"

enum method {
	METHOD_FULLNAT,
	METHOD_IPIP,
	METHODS,
};

enum kind {
	KIND_IN,    /* client to backend, established */
	KIND_OUT,   /* backend to client, established */
	KIND_NEW,   /* always the first packet of a flow */
	KIND_FLOOD, /* the same, above the cap on new flows */
	KIND_OTHER, /* to an address that no VIP has */
	KIND_PORT,  /* to the VIP's address, another port */
	KIND_ARP,
	KIND_ECHO,
	KIND_SWAP, /* floor programs */
	KIND_ENCAP,
};

struct rig_case {
	char name[32];
	enum kind kind;
	enum method method;
	uint8_t proto;
	uint32_t flows; /* open, or of the clients that send */
	enum rig_vary vary;
};

#define CASES_MAX 80

/* Fills in all there are; answers how many. */
unsigned int cases__all(struct rig_case *ret);

/* The balancer of a case. Cases of the same one need no other set-up. */
struct setup {
	bool up;
	const char *ifaces;	/* that lbctl attaches to */
	const char *flow_table; /* NULL: lbctl's own choice */
	enum method method;
	uint8_t proto;
	bool capped;
	uint32_t flows; /* table size */
	uint32_t opened;
	uint32_t found;		 /* by lbctl, after opening */
	char refused[LAB_WORDS]; /* what lbctl said when it failed; "" if it didn't */
};

/* Sets the balancer up for the case, if it isn't. -EOPNOTSUPP: this lbctl can't, see refused. */
int setup__for(struct setup *setup, struct rig *rig, const struct rig_case *c);

/* How many instructions the verifier looked at, when lbctl attached in that mode. */
int setup__verified(const char *flow_table, const char *mode, uint32_t *ret);

/* NULL, or what is wrong with what the program makes of the case's packets. */
const char *case__check(struct rig *rig, const struct rig_case *c);

/* The frame that the wrapper sends. */
void case__frame(const struct rig *rig, const struct rig_case *c, struct rig_frame *ret);

#endif

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Flow states as tables, pure code for the data path and the host's tests. Each direction walks
 * its own phase, written by its own packets only, so that FINs crossing on two CPUs lose nothing;
 * the flow's state follows from both.
 */
#ifndef CT_STATE_H
#define CT_STATE_H

#include "lb_abi.h"

/* Tables are padded to powers of two and indexed through masks, which the verifier understands. */
#define CT_PHASES_MAX 8

enum ct_event {
	CT_EVENT_DATA, /* a packet with none of the flags below */
	CT_EVENT_OPEN, /* handshake completed (TCP), a reply came (UDP); these two change no open flow */
	CT_EVENT_SYN,
	CT_EVENT_FIN,
	CT_EVENT_RST,
	CT_EVENTS,
};

/*
 * [phase][event] -> phase. A RST that its own sender contradicts with further packets was forged
 * or late: the direction is open again. A FIN stays: what follows it is retransmission.
 */
static const __u8 ct_phase_table[CT_PHASES_MAX][8] = {
	/*                    DATA           OPEN           SYN            FIN           RST */
	[CT_PHASE_NONE] = { CT_PHASE_NONE, CT_PHASE_OPEN, CT_PHASE_SYN, CT_PHASE_FIN, CT_PHASE_RST },
	[CT_PHASE_SYN] = { CT_PHASE_SYN, CT_PHASE_OPEN, CT_PHASE_SYN, CT_PHASE_FIN, CT_PHASE_RST },
	[CT_PHASE_OPEN] = { CT_PHASE_OPEN, CT_PHASE_OPEN, CT_PHASE_OPEN, CT_PHASE_FIN, CT_PHASE_RST },
	[CT_PHASE_FIN] = { CT_PHASE_FIN, CT_PHASE_FIN, CT_PHASE_FIN, CT_PHASE_FIN, CT_PHASE_RST },
	[CT_PHASE_RST] = { CT_PHASE_OPEN, CT_PHASE_OPEN, CT_PHASE_RST, CT_PHASE_FIN, CT_PHASE_RST },
};

/* [phase in][phase out] -> state of a TCP flow */
static const __u8 ct_tcp_table[CT_PHASES_MAX][CT_PHASES_MAX] = {
	/*                    NONE       SYN        OPEN            FIN        RST */
	[CT_PHASE_NONE] = { CT_SYN, CT_SYN, CT_SYN, CT_FIN, CT_CLOSED },
	[CT_PHASE_SYN] = { CT_SYN, CT_SYN, CT_SYN, CT_FIN, CT_CLOSED },
	[CT_PHASE_OPEN] = { CT_SYN, CT_SYN, CT_ESTABLISHED, CT_FIN, CT_CLOSED },
	[CT_PHASE_FIN] = { CT_FIN, CT_FIN, CT_FIN, CT_CLOSED, CT_CLOSED },
	[CT_PHASE_RST] = { CT_CLOSED, CT_CLOSED, CT_CLOSED, CT_CLOSED, CT_CLOSED },
};

/* Seconds of idleness after which a flow in a state ends. Established: RFC 5382, REQ-5 (2 h 4 min);
 * fin: a half-closed flow that still moves data isn't idle; closed: TIME_WAIT of Linux; UDP:
 * RFC 4787, REQ-5 (at least 2 min). */
static const __u32 ct_timeout_s[CT_STATES] = {
	[CT_SYN] = 60,	  [CT_ESTABLISHED] = 7440, [CT_FIN] = 120,
	[CT_CLOSED] = 60, [CT_UDP_NEW] = 30,	   [CT_UDP_ASSURED] = 180,
};

static inline __u8 ct_phase_next(__u8 phase, enum ct_event event)
{
	return ct_phase_table[phase & (CT_PHASES_MAX - 1)][event & 7];
}

static inline enum ct_state ct_state_of(__u8 ip_proto, __u8 in, __u8 out)
{
	if (ip_proto == 17 /* IPPROTO_UDP */)
		return out == CT_PHASE_OPEN ? CT_UDP_ASSURED : CT_UDP_NEW;
	return (enum ct_state)ct_tcp_table[in & (CT_PHASES_MAX - 1)][out & (CT_PHASES_MAX - 1)];
}

/*
 * now, last_seen: low 32 bits of jiffies; the difference wraps right for idle times < 2^31. slack,
 * in jiffies: a second for packets, since the busier half of a pair tells the idle one only every
 * second; two for garbage collection, so that what it ends no packet can find alive any more.
 */
static inline int ct_expired(__u32 now, __u32 last_seen, __u32 timeout, __u32 slack)
{
	return (__s32)(now - last_seen) > (__s32)(timeout + slack);
}

#endif

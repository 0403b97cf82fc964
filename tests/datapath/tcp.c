// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* TCP connections: how they open, are followed and close. */
#include "tables.h"

#define SYN FLAG_SYN
#define ACK FLAG_ACK
#define FIN FLAG_FIN
#define RST FLAG_RST
#define PSH FLAG_PSH

#define HANDSHAKE                                                                              \
	{ CLIENT, SYN, .seq = 100, .state = IN_HALF_OPEN(CT_SYN) },                            \
		{ BACKEND, SYN | ACK, .seq = 500, .ack = 101, .state = IN_HALF_OPEN(CT_SYN) }, \
	{                                                                                      \
		CLIENT, ACK, .seq = 101, .ack = 501, .state = IN_FLOWS(CT_ESTABLISHED)         \
	}

#define CLOSE                                                                                 \
	{ CLIENT, FIN | ACK, .seq = 101, .ack = 501, .state = IN_FLOWS(CT_FIN) },             \
		{ BACKEND, FIN | ACK, .seq = 501, .ack = 102, .state = IN_HALF_OPEN(CT_CLOSED) }, \
	{                                                                                     \
		CLIENT, ACK, .seq = 102, .ack = 502, .state = IN_HALF_OPEN(CT_CLOSED)             \
	}

static const struct step whole_connection[] = {
	HANDSHAKE,
	{ CLIENT, PSH | ACK, .seq = 101, .ack = 501, .payload = 7 },
	{ BACKEND, ACK, .seq = 501, .ack = 108, .payload = 1200 },
	{ BACKEND, PSH | ACK, .seq = 1701, .ack = 108, .payload = 33,
	  .state = IN_FLOWS(CT_ESTABLISHED) },
	CLOSE,
	{},
};

static const struct step backend_closes_first[] = {
	HANDSHAKE,
	{ BACKEND, FIN | ACK, .seq = 501, .ack = 101, .state = IN_FLOWS(CT_FIN) },
	{ CLIENT, ACK, .seq = 101, .ack = 502, .payload = 5, .state = IN_FLOWS(CT_FIN) },
	{ CLIENT, FIN | ACK, .seq = 106, .ack = 502, .state = IN_HALF_OPEN(CT_CLOSED) },
	{ BACKEND, ACK, .seq = 502, .ack = 107, .state = IN_HALF_OPEN(CT_CLOSED) },
	{},
};

static const struct step data_with_the_ack[] = {
	{ CLIENT, SYN, .seq = 100 },
	{ BACKEND, SYN | ACK, .seq = 500, .ack = 101 },
	{ CLIENT, PSH | ACK, .seq = 101, .ack = 501, .payload = 80,
	  .state = IN_FLOWS(CT_ESTABLISHED) },
	{},
};

static const struct step fin_with_the_ack[] = {
	{ CLIENT, SYN, .seq = 100 },
	{ BACKEND, SYN | ACK, .seq = 500, .ack = 101 },
	{ CLIENT, FIN | ACK, .seq = 101, .ack = 501, .state = IN_FLOWS(CT_FIN) },
	{},
};

static const struct step wrong_ack_promotes_nothing[] = {
	{ CLIENT, SYN, .seq = 100 },
	{ CLIENT, ACK, .seq = 101, .ack = 1, .state = IN_HALF_OPEN(CT_SYN) }, /* before SYN-ACK */
	{ BACKEND, SYN | ACK, .seq = 500, .ack = 101 },
	{ CLIENT, ACK, .seq = 101, .ack = 500, .state = IN_HALF_OPEN(CT_SYN) },
	{ CLIENT, ACK, .seq = 101, .ack = 0, .state = IN_HALF_OPEN(CT_SYN) },
	{ CLIENT, ACK, .seq = 101, .ack = 501 + 0x80000000, .state = IN_HALF_OPEN(CT_SYN) },
	{ CLIENT, 0, .seq = 101, .ack = 501, .state = IN_HALF_OPEN(CT_SYN) }, /* no ACK flag */
	{ BACKEND, ACK, .seq = 501, .ack = 101, .state = IN_HALF_OPEN(CT_SYN) },
	{ CLIENT, ACK, .seq = 101, .ack = 501, .state = IN_FLOWS(CT_ESTABLISHED) },
	{},
};

/* Its own packets don't, whatever the client sent before. */
static const struct step backend_promotes_nothing[] = {
	{ CLIENT, SYN, .seq = 100 },
	{ CLIENT, RST, .seq = 101 },
	{ CLIENT, ACK, .seq = 101, .ack = 1, .state = IN_HALF_OPEN(CT_SYN) },
	{ BACKEND, SYN | ACK, .seq = 500, .ack = 101, .state = IN_HALF_OPEN(CT_SYN) },
	{ BACKEND, ACK, .seq = 501, .ack = 101, .state = IN_HALF_OPEN(CT_SYN) },
	{},
};

static const struct step numbers_wrap[] = {
	{ CLIENT, SYN, .seq = 0xffffffff },
	{ BACKEND, SYN | ACK, .seq = 0xffffffff, .ack = 0 },
	{ CLIENT, ACK, .seq = 0, .ack = 0xffffffff, .state = IN_HALF_OPEN(CT_SYN) },
	{ CLIENT, ACK, .seq = 0, .ack = 0, .state = IN_FLOWS(CT_ESTABLISHED) },
	{},
};

static const struct step retransmissions[] = {
	{ CLIENT, SYN, .seq = 100 },
	{ CLIENT, SYN, .seq = 100, .state = IN_HALF_OPEN(CT_SYN) },
	{ BACKEND, SYN | ACK, .seq = 500, .ack = 101 },
	{ BACKEND, SYN | ACK, .seq = 500, .ack = 101, .state = IN_HALF_OPEN(CT_SYN) },
	{ CLIENT, SYN, .seq = 100, .state = IN_HALF_OPEN(CT_SYN) },
	{ CLIENT, ACK, .seq = 101, .ack = 501, .state = IN_FLOWS(CT_ESTABLISHED) },
	{ BACKEND, SYN | ACK, .seq = 500, .ack = 101, .state = IN_FLOWS(CT_ESTABLISHED) },
	{ CLIENT, ACK, .seq = 101, .ack = 501, .state = IN_FLOWS(CT_ESTABLISHED) },
	{},
};

static const struct step refused_then_again[] = {
	{ CLIENT, SYN, .seq = 100 },
	{ BACKEND, RST | ACK, .ack = 101, .state = IN_HALF_OPEN(CT_CLOSED) },
	{ CLIENT, SYN, .seq = 900, .state = IN_HALF_OPEN(CT_SYN) }, /* same backend and port */
	{ BACKEND, SYN | ACK, .seq = 700, .ack = 901 },
	{ CLIENT, ACK, .seq = 901, .ack = 701, .state = IN_FLOWS(CT_ESTABLISHED) },
	{},
};

static const struct step reset_by_client[] = {
	HANDSHAKE,
	{ CLIENT, RST, .seq = 101, .state = IN_HALF_OPEN(CT_CLOSED) },
	{},
};

static const struct step reset_by_backend[] = {
	HANDSHAKE,
	{ BACKEND, RST | ACK, .seq = 501, .ack = 101, .state = IN_HALF_OPEN(CT_CLOSED) },
	{},
};

/* Who sent it goes on: it was forged, or late. */
static const struct step forged_reset[] = {
	HANDSHAKE,
	{ CLIENT, RST, .seq = 77777, .state = IN_HALF_OPEN(CT_CLOSED) },
	{ CLIENT, ACK, .seq = 101, .ack = 501, .payload = 9, .state = IN_FLOWS(CT_ESTABLISHED) },
	{},
};

/* Numbers that are nowhere near those in use: who sends them sees nothing of the connection. */
static const struct step blind_reset[] = {
	HANDSHAKE,
	{ CLIENT, RST, .seq = 0x60000, .state = IN_FLOWS(CT_ESTABLISHED) },
	{ CLIENT, RST | ACK, .seq = 0xfffa0000, .ack = 501, .state = IN_FLOWS(CT_ESTABLISHED) },
	{ BACKEND, RST, .seq = 0x80000000, .state = IN_FLOWS(CT_ESTABLISHED) },
	/* Nor can a packet of such a number prepare the way. */
	{ CLIENT, ACK, .seq = 0x70000000, .ack = 501, .state = IN_FLOWS(CT_ESTABLISHED) },
	{ CLIENT, RST, .seq = 0x70000000, .state = IN_FLOWS(CT_ESTABLISHED) },
	{ CLIENT, FIN | ACK, .seq = 101, .ack = 501, .state = IN_FLOWS(CT_FIN) },
	{ CLIENT, RST, .seq = 0x60000, .state = IN_FLOWS(CT_FIN) },
	{ BACKEND, RST, .seq = 501, .state = IN_HALF_OPEN(CT_CLOSED) },
	{},
};

/* Far from where it began, in steps that packets make; and a bit before the last packet. */
static const struct step reset_after_transfer[] = {
	HANDSHAKE,
	{ CLIENT, ACK, .seq = 101 + 0x40000, .ack = 501 },
	{ CLIENT, ACK, .seq = 101 + 0x80000, .ack = 501 },
	{ CLIENT, ACK, .seq = 101 + 0xc0000, .ack = 501 },
	{ CLIENT, RST, .seq = 101, .state = IN_FLOWS(CT_ESTABLISHED) },
	{ CLIENT, RST, .seq = 101 + 0x80000, .state = IN_HALF_OPEN(CT_CLOSED) },
	{},
};

/* The next connection of the same ports begins anew. */
static const struct step reset_of_the_next[] = {
	HANDSHAKE,
	CLOSE,
	{ CLIENT, SYN, .seq = 0x90000000, .state = IN_HALF_OPEN(CT_SYN) },
	{ BACKEND, SYN | ACK, .seq = 0xa0000000, .ack = 0x90000001 },
	{ CLIENT, ACK, .seq = 0x90000001, .ack = 0xa0000001, .state = IN_FLOWS(CT_ESTABLISHED) },
	{ BACKEND, RST, .seq = 501, .state = IN_FLOWS(CT_ESTABLISHED) },
	{ CLIENT, RST, .seq = 103, .state = IN_FLOWS(CT_ESTABLISHED) },
	{ BACKEND, RST, .seq = 0xa0000001, .state = IN_HALF_OPEN(CT_CLOSED) },
	{},
};

/* RFC 5961: the backend's challenge to an old connection's client, and what follows. */
static const struct step challenge[] = {
	{ CLIENT, SYN, .seq = 100 },
	{ BACKEND, ACK, .seq = 9999, .ack = 8888, .state = IN_HALF_OPEN(CT_SYN) },
	{ CLIENT, RST, .seq = 8888, .state = IN_HALF_OPEN(CT_CLOSED) },
	{ CLIENT, SYN, .seq = 100, .state = IN_HALF_OPEN(CT_SYN) },
	{ BACKEND, SYN | ACK, .seq = 500, .ack = 101 },
	{ CLIENT, ACK, .seq = 101, .ack = 501, .state = IN_FLOWS(CT_ESTABLISHED) },
	{},
};

static const struct step syn_on_closed[] = {
	HANDSHAKE,
	CLOSE,
	{ CLIENT, SYN, .seq = 3000, .state = IN_HALF_OPEN(CT_SYN) }, /* backend and port stay */
	{ BACKEND, SYN | ACK, .seq = 4000, .ack = 3001, .state = IN_HALF_OPEN(CT_SYN) },
	{ CLIENT, ACK, .seq = 3001, .ack = 501, .state = IN_HALF_OPEN(CT_SYN) }, /* the old number */
	{ CLIENT, ACK, .seq = 3001, .ack = 4001, .state = IN_FLOWS(CT_ESTABLISHED) },
	{},
};

static const struct step syn_on_half_closed[] = {
	HANDSHAKE,
	{ CLIENT, FIN | ACK, .seq = 101, .ack = 501, .state = IN_FLOWS(CT_FIN) },
	{ CLIENT, SYN, .seq = 3000, .state = IN_FLOWS(CT_SYN) },
	{ BACKEND, SYN | ACK, .seq = 4000, .ack = 3001 },
	{ CLIENT, ACK, .seq = 3001, .ack = 4001, .state = IN_FLOWS(CT_ESTABLISHED) },
	{},
};

static const struct step syn_on_established[] = {
	HANDSHAKE,
	{ CLIENT, SYN, .seq = 3000, .state = IN_FLOWS(CT_ESTABLISHED) },
	{ BACKEND, ACK, .seq = 501, .ack = 101, .state = IN_FLOWS(CT_ESTABLISHED) },
	{ CLIENT, SYN | FIN, .seq = 3000, .state = IN_FLOWS(CT_ESTABLISHED) },
	{},
};

#define OPENS_NOTHING(bits)                                         \
	{                                                           \
		CLIENT, bits, DROPPED, LB_DROP_TCP_FLAGS, .ack = 77 \
	}

static const struct step opens_nothing[] = {
	OPENS_NOTHING(0),
	OPENS_NOTHING(SYN | FIN),
	OPENS_NOTHING(SYN | RST),
	OPENS_NOTHING(SYN | ACK),
	OPENS_NOTHING(SYN | FIN | ACK),
	OPENS_NOTHING(FIN),
	OPENS_NOTHING(FIN | PSH | 0x20),
	OPENS_NOTHING(RST),
	OPENS_NOTHING(RST | ACK),
	OPENS_NOTHING(RST | ACK | FIN),
	OPENS_NOTHING(PSH),
	{},
};

static void add_options(struct frame *frame)
{
	frame->tcp_options = 20;
}

static void add_ip_options(struct frame *frame)
{
	frame->ip_options = 12;
}

static void add_padding(struct frame *frame)
{
	frame->padding = 6;
}

static const struct step unknown_is_reset[] = {
	{ CLIENT, ACK, RESET, .seq = 1, .ack = 0x89abcdef },
	{ CLIENT, PSH | ACK, RESET, .seq = 1, .ack = 2, .payload = 1400 },
	{ CLIENT, FIN | ACK, RESET, .seq = 1, .ack = 0, .payload = 1 },
	{ CLIENT, ACK, RESET, .seq = 1, .ack = 3, .change = add_options },
	{ CLIENT, ACK, RESET, .seq = 1, .ack = 3, .change = add_padding },
	{},
};

/* The TCP header moves, which a partial checksum's skb can't follow. */
static void unknown_with_ip_options(struct run *run)
{
	bool stuck = run->csum == CSUM_PARTIAL && run->fx->variant == GENERIC;
	struct frame frame = run__from_client(run, ACK, 1, 2);

	add_ip_options(&frame);
	run__send(run, &frame, run->client_iface, stuck ? DROPPED : RESET, LB_DROP_TCP_FLAGS);
}

static const struct step options_stay[] = {
	{ CLIENT, SYN, .seq = 100, .change = add_options },
	{ BACKEND, SYN | ACK, .seq = 500, .ack = 101, .change = add_ip_options },
	{ CLIENT, ACK, .seq = 101, .ack = 501, .change = add_padding },
	{ CLIENT, ACK, .seq = 101, .ack = 501, .payload = 11, .change = add_ip_options,
	  .state = IN_FLOWS(CT_ESTABLISHED) },
	{},
};

static void no_ports(struct frame *frame)
{
	frame->dport = PORT_LO;
}

static const struct step reply_without_flow[] = {
	{ CLIENT, SYN, .seq = 100 }, /* to learn a backend */
	{ BACKEND, SYN | ACK, DROPPED, LB_DROP_REPLY_NO_FLOW, .change = no_ports },
	{ BACKEND, ACK, DROPPED, LB_DROP_REPLY_NO_FLOW, .payload = 40, .change = no_ports },
	{ BACKEND, RST, DROPPED, LB_DROP_REPLY_NO_FLOW, .change = no_ports },
	{},
};

static const struct scenario scenarios[] = {
	{ "a whole connection", SVC_TCP, .steps = whole_connection },
	{ "a whole connection, client behind a router", SVC_TCP, .steps = whole_connection,
	  .client = LAB_REMOTE },
	{ "a whole connection, backend behind the other interface", SVC_FAR,
	  .steps = whole_connection },
	{ "a whole connection, client behind the other interface", SVC_TCP,
	  .steps = whole_connection, .client = LAB_FAR_CLIENT },
	{ "a whole connection, both behind the other interface", SVC_FAR, .steps = whole_connection,
	  .client = LAB_FAR_CLIENT },
	{ "a whole connection, client without neighbour entry", SVC_TCP, .steps = whole_connection,
	  .client = LAB_DARK },
	{ "a whole connection, every port", SVC_ANY, .steps = whole_connection },
	{ "a whole connection, two source addresses", SVC_SNATS, .steps = whole_connection },
	{ "the backend closes first", SVC_TCP, .steps = backend_closes_first },
	{ "data comes with the handshake's ACK", SVC_TCP, .steps = data_with_the_ack },
	{ "a FIN comes with the handshake's ACK", SVC_TCP, .steps = fin_with_the_ack },
	{ "a wrong ACK number promotes nothing", SVC_TCP, .steps = wrong_ack_promotes_nothing },
	{ "the backend promotes nothing", SVC_TCP, .steps = backend_promotes_nothing },
	{ "sequence numbers wrap", SVC_TCP, .steps = numbers_wrap },
	{ "retransmissions of the handshake", SVC_TCP, .steps = retransmissions },
	{ "refused, then again", SVC_TCP, .steps = refused_then_again },
	{ "RST by the client", SVC_TCP, .steps = reset_by_client },
	{ "RST by the backend", SVC_TCP, .steps = reset_by_backend },
	{ "a forged RST ends nothing", SVC_TCP, .steps = forged_reset },
	{ "a blind RST changes nothing", SVC_TCP, .steps = blind_reset },
	{ "RST after a transfer", SVC_TCP, .steps = reset_after_transfer },
	{ "RST of the next connection", SVC_TCP, .steps = reset_of_the_next },
	{ "challenge ACK", SVC_TCP, .steps = challenge },
	{ "SYN on a closed flow", SVC_TCP, .steps = syn_on_closed },
	{ "SYN on a half-closed flow", SVC_TCP, .steps = syn_on_half_closed },
	{ "SYN on an established flow", SVC_TCP, .steps = syn_on_established },
	{ "flags that open nothing", SVC_TCP, .steps = opens_nothing },
	{ "an unknown flow is answered by RST", SVC_TCP, .steps = unknown_is_reset, .fullnat = true },
	{ "an unknown flow, IP options", SVC_TCP, .body = unknown_with_ip_options, .v4 = true, .fullnat = true },
	{ "options stay", SVC_TCP, .steps = options_stay },
	{ "reply without flow", SVC_TCP, .steps = reply_without_flow, .fullnat = true },
	{ "reply without flow, every port", SVC_ANY, .steps = reply_without_flow, .fullnat = true },
};

TABLE_PAIRS(tcp, scenarios);

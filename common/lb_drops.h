/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Every reason to drop a packet: its name, and what to do about it. One list for both sides. */
#ifndef LB_DROPS_H
#define LB_DROPS_H

/* X(NAME, "reason", "help") */
#define LB_DROP_REASONS(X)                                                                         \
	X(MALFORMED, "malformed",                                                                  \
	  "headers or lengths contradict each other, or the source is no host's address: look at " \
	  "the sender, or at a broken link")                                                       \
	X(FRAGMENT, "fragment",                                                                    \
	  "a later fragment of a datagram that has no flow, since its first was dropped: see the "   \
	  "other reasons")                                                                         \
	X(TCP_FLAGS, "tcp_flags",                                                                  \
	  "first packet of an unknown TCP flow with flags that open nothing: harmless, often a "   \
	  "scan")                                                                                  \
	X(NO_BACKEND, "no_backend",                                                                \
	  "the VIP has no backend that takes new flows: lbctl show backends, then add-backend or " \
	  "set-backend --state up or --weight")                                                    \
	X(NO_SNAT, "no_snat",                                                                      \
	  "no source address toward the backend was known when it was added: lbctl set-vip VIP "   \
	  "--snat ADDRESS, or add the route and run lbctl attach again")                           \
	X(NO_PORT, "no_port",                                                                      \
	  "every source port tried toward the backend is in use: lbctl set-vip VIP --snat A,B "    \
	  "adds addresses of about 30,000 ports each; nat: the client has this port to the "       \
	  "backend by another VIP")                                                                \
	X(PORT_LOST, "port_lost",                                                                  \
	  "the flow's source port was evicted and taken by another flow: attach with a larger "    \
	  "--flows")                                                                               \
	X(FLOW_BUSY, "flow_busy",                                                                  \
	  "two CPUs changed the same flow at once; the sender's retransmission goes through")      \
	X(REPLY_NO_FLOW, "reply_no_flow",                                                          \
	  "a backend answered to a flow that is gone (expired, flushed or evicted): if it grows, " \
	  "raise --timeout of the VIP or --flows of attach")                                       \
	X(TTL, "ttl",                                                                              \
	  "TTL ran out here, of which ICMP tells the sender: traceroute, or a routing loop")       \
	X(TOO_BIG, "too_big",                                                                      \
	  "larger than the MTU on the way out, of which ICMP tells the sender; if it goes on, "    \
	  "something on the way drops ICMP: raise that MTU, or lower the sender's")                \
	X(NO_ROUTE, "no_route",                                                                    \
	  "no route to the backend or client, or it is this host itself: ip route get ADDRESS")    \
	X(ROUTE_REJECT, "route_reject",                                                            \
	  "a blackhole, unreachable or prohibit route: ip route get ADDRESS")                      \
	X(FWD_DISABLED, "fwd_disabled",                                                            \
	  "the route look-up is switched off: lbctl attach IFACE sets "                            \
	  "net.ipv4.conf.lo.forwarding and net.ipv6.conf.lo.forwarding again (sysctl --system "    \
	  "may have reset them)")                                                                  \
	X(NO_NEIGHBOUR, "no_neighbour",                                                            \
	  "the next hop's MAC is unknown: is it up? lbctl daemon has it asked for, and keeps the "   \
	  "packet meanwhile; without one, lbctl attach IFACE asks again")                            \
	X(CHECKSUM, "checksum",                                                                    \
	  "a packet too long to complete its checksum in native mode: attach with --mode generic") \
	X(OUTPUT, "output", "the packet could not be prepared for sending: report this as a bug")    \
	X(NOT_ON_LINK, "not_on_link",                                                              \
	  "a backend of method dsr behind a router, which would send the packet back: ip route "   \
	  "get BACKEND; use fullnat, ipip or gue for it")                                               \
	X(DENIED, "denied",                                                                        \
	  "a new flow of a client that lbctl deny show lists: meant, or lbctl deny del PREFIX")    \
	X(NOT_ALLOWED, "not_allowed",                                                              \
	  "a new flow of a client that is not in the VIP's --allow: meant, or lbctl set-vip VIP "  \
	  "--allow")                                                                               \
	X(NEW_RATE, "new_rate",                                                                    \
	  "a new flow above the VIP's --new-rate or that of attach, which holds for each CPU: a "  \
	  "flood, or raise it (set-vip VIP --new-rate N, attach IFACE --new-rate N)")              \
	X(FRAGMENT_EARLY, "fragment_early",                                                        \
	  "a fragment before the first of its datagram: lbctl daemon keeps such; if it runs, the "   \
	  "first never came, or more came than it keeps: loss on the way, or an attack")             \
	X(FRAGMENT_OVERLAP, "fragment_overlap",                                                    \
	  "a fragment with bytes of its datagram that another one had: repeated on the way, or "     \
	  "an attack")                                                                             \
	X(FRAGMENT_TINY, "fragment_tiny",                                                          \
	  "a first fragment without the whole transport header: an attack, or an absurd MTU")

enum lb_drop {
#define LB_DROP_ENUM(name, text, help) LB_DROP_##name,
	LB_DROP_REASONS(LB_DROP_ENUM)
#undef LB_DROP_ENUM
	LB_DROPS,
	LB_DROPS_MAX = 64, /* size of the map, so that a reason more is no change of layout */
};

_Static_assert(LB_DROPS <= LB_DROPS_MAX, "room for the drop reasons");

#endif

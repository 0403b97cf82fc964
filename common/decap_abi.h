/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What kernel/decap.bpf.c and lbctl decap agree on. */
#ifndef DECAP_ABI_H
#define DECAP_ABI_H

#include <linux/types.h>

#define DECAP_MAX_VIPS	 4096
#define DECAP_MAX_IFACES 256

/* What became of a packet in a tunnel. */
enum decap_what {
	DECAP_UNWRAPPED,
	DECAP_OTHER,	 /* passed as it came: not for a VIP of this host */
	DECAP_PASSED,	 /* the same: what is inside isn't as the outer header says */
	DECAP_CONGESTED, /* dropped: marked on its way, which what is inside can't tell (RFC 6040, 4.2) */
	DECAP_WHATS,
	DECAP_WHATS_MAX = 4, /* a power of two */
};

/* Value of decap_counts, per interface and CPU. */
struct decap_counts {
	__u64 packets[DECAP_WHATS_MAX];
};

#endif

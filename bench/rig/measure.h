/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Runs programs in the wrapper: to time them, to open flows, or one packet to look at. */
#ifndef RIG_MEASURE_H
#define RIG_MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perf.h"
#include "wrap.h"

#define RUNS_MAX 101

/* Of one packet. */
struct cost {
	double ns_min;
	double ns_median;
	double insns; /* of the run that had fewest; 0: no counters */
	double cycles;
};

struct measured {
	struct cost net;     /* the program's own: what the wrapper costs is taken off */
	struct cost wrapper; /* around a program that does nothing, but for encap */
	unsigned int runs;
	uint64_t packets; /* of all runs */
	uint64_t met;	  /* answered by the action expected */
};

/* What the packets of a case are. */
struct source {
	enum rig_vary vary;
	uint32_t flows;
	int action; /* XDP_*, that the program has to answer */
	bool encap; /* the program makes room in front; that is taken off, too */
	const struct rig_frame *frame;
};

struct rig {
	struct wrap_bpf *skel;
	struct rig_flow *flows; /* by client */
	struct rig_flow *list;
	struct perf perf;
	uint32_t ifindex;
	int target; /* the program under test; -1: none */
	unsigned int runs;
};

int rig__open(struct rig *rig, uint32_t ifindex);

/* The program under test from its pin. */
int rig__target(struct rig *rig, const char *pin);

/* One packet through the program under test: its answer, or -errno. */
int rig__once(struct rig *rig, const uint8_t *bytes, uint8_t *ret, size_t size, size_t *ret_len);

/* Opens flows of clients 0 to n - 1; open's steps are filled in. */
int rig__open_flows(struct rig *rig, uint32_t n);

/* -EPROTO: the wrapper could not restore a packet. */
int rig__measure(struct rig *rig, const struct source *source, struct measured *ret);

/* Programs that nothing can be cheaper than. */
enum floor {
	FLOOR_SWAP,  /* swaps the MACs, XDP_TX */
	FLOOR_ENCAP, /* makes room for an outer header, which the wrapper takes away again */
};

int rig__measure_floor(struct rig *rig, const struct source *source, enum floor floor,
		       struct measured *ret);

#endif

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Opens the object for a variant; sizes and constants are those of a small balancer. */
#include "object.h"

#include <errno.h>
#include <string.h>

#define SETS_BITS 12

const struct variant variants[VARIANTS_N] = {
	{ "native, assoc", false, LB_TABLE_ASSOC },
	{ "generic, assoc", true, LB_TABLE_ASSOC },
	{ "native, lru", false, LB_TABLE_LRU },
	{ "generic, lru", true, LB_TABLE_LRU },
};

int object__open(const struct variant *variant, bool spin_lock, struct lb_bpf **ret)
{
	struct lb_bpf *skel = programs__open(spin_lock);
	struct bpf_map *map;
	struct lb_config config = {
		.hz = 250,
		.tick_shift = 7,
		.factors = { 3, 5, 7, 9, 11 },
		.sets_bits = SETS_BITS,
		.table = variant->table,
		.generic = variant->generic,
		.clsact_egress = variant->generic,
		.says_mtu = libbpf_probe_bpf_helper(BPF_PROG_TYPE_XDP, BPF_FUNC_check_mtu, NULL) == 1,
	};

	if (!skel)
		return -errno;
	memcpy((void *)&skel->rodata->lb_config, &config, sizeof(config));
	bpf_object__for_each_map(map, skel->obj) {
		if (bpf_map__max_entries(map) <= 1 && /* chosen by attach */
		    (map == skel->maps.lb_flow_sets || map == skel->maps.lb_flow_cold ||
		     map == skel->maps.lb_flows || map == skel->maps.lb_half_open))
			bpf_map__set_max_entries(map, 1 << SETS_BITS);
	}
	*ret = skel;
	return 0;
}

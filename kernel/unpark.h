/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * For the daemon: has the first fragment of a parked datagram come? That it has not in time is
 * decided in the kernel, as it may come in that very moment.
 */
#ifndef LB_UNPARK_H
#define LB_UNPARK_H

#include "fragment.h"

/* They came by an interface that isn't known any more. */
static __always_inline void unpark_count(__u32 packets, __u32 reason)
{
	__u32 none = 0;
	struct lb_iface_stats *stats = bpf_map_lookup_elem(&lb_iface_stats, &none);
	__u64 *drops = bpf_map_lookup_elem(&lb_drops, &reason);

	if (!stats || !drops)
		return;
	*drops += packets;
	stats->dropped += packets;
}

/* The packet of this BPF_PROG_TEST_RUN is a struct lb_unpark. Answers an enum lb_datagram_state. */
static __always_inline int unpark(struct xdp_md *ctx)
{
	__u32 now = (__u32)bpf_jiffies64(), local, parked, give_up, way;
	struct lb_unpark *req = (void *)(long)ctx->data;
	struct lb_datagram *datagram;
	struct lb_datagram_set *set;
	struct lb_datagram_key key;
	int found, state, hosts;
	struct lb_addr *addr;

	if ((void *)(req + 1) > (void *)(long)ctx->data_end)
		return LB_DATAGRAM_NONE;
	parked = req->parked;
	if (req->kind == LB_EVENT_NEIGHBOUR) {
		unpark_count(parked, LB_DROP_NO_NEIGHBOUR);
		return LB_DATAGRAM_NONE;
	}
	key = req->key;
	give_up = req->give_up;
	local = key.local;
	addr = bpf_map_lookup_elem(&lb_local_addrs, &local);
	set = addr ? datagram_set(&key, addr) : NULL;
	if (!set)
		return LB_DATAGRAM_NONE;
	hosts = give_up && park_is_hosts(ctx, addr, key.turned);
	bpf_spin_lock(&set->lock);
	way = datagram_way(set, &key, now, &found);
	datagram = &set->ways[way & (LB_DATAGRAM_WAYS - 1)];
	state = found ? datagram->state : LB_DATAGRAM_NONE;
	if (give_up && state != LB_DATAGRAM_OPEN && state != LB_DATAGRAM_BROKEN) {
		state = hosts ? LB_DATAGRAM_HOST : LB_DATAGRAM_DONE;
		if (found || hosts) {
			datagram->key = key;
			datagram->state = state;
			datagram->at = now;
		}
	}
	bpf_spin_unlock(&set->lock);
	if (give_up && state == LB_DATAGRAM_DONE)
		unpark_count(parked, LB_DROP_FRAGMENT_EARLY);
	return state;
}

#endif

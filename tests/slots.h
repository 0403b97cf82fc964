/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What a slot of our own flow table says of itself while no packet is under way. */
#ifndef SLOTS_H
#define SLOTS_H

#include <stdint.h>

#include "ct_slot.h"

/* How many halves at home in a slot live elsewhere: in its set, in other sets. */
struct slot_counts {
	uint16_t near, away;
};

/* NULL, or what is wrong with it. ctl: its control word; counts: what was found. */
static inline const char *slot_error(uint32_t ctl, const struct slot_counts *counts)
{
	const uint32_t many = CT_AWAY_MASK / CT_AWAY_ONE; /* this many, or more */
	uint32_t state = ctl & CT_STATE_MASK, away = (ctl & CT_AWAY_MASK) / CT_AWAY_ONE;

	if (ctl & CT_LOCK)
		return "a slot is locked";
	if (state == CT_BUSY)
		return "a slot is half written";
	if (state != CT_LIVE && state != CT_FREE)
		return "a slot has no state";
	if ((ctl & CT_NEAR_MASK) / CT_NEAR_ONE != counts->near)
		return "a slot's count of halves in its set is wrong";
	if (away != counts->away && away != many)
		return "a slot's count of halves in other sets is wrong";
	return NULL;
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The parts of show that have files of their own. All return 0 or -errno. */
#ifndef LBCTL_CMD_SHOW_H
#define LBCTL_CMD_SHOW_H

#include <stdio.h>

#include "command.h"
#include "filter.h"
#include "output.h"

int show_flows(struct call *call, struct balancer *b, const struct filter *filter);
int show_stats(struct call *call, struct balancer *b, const struct filter *filter);

#endif

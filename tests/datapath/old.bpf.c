// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The data path for kernels whose test runs take no struct xdp_md (before 5.15): the interface that a
 * packet came in on is told beside it; 0: it did come in on one.
 */
volatile unsigned int ingress;

#define LB_INGRESS(ctx) (ingress ?: (ctx)->ingress_ifindex)
#include "lb.bpf.c"

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * kernel/decap.bpf.c on a backend's interfaces. Its pins lie in decap below the pin directory, and have
 * nothing to do with a balancer's beside them. Functions return 0 or -errno, and the error has the words.
 */
#ifndef LBCTL_DECAP_H
#define LBCTL_DECAP_H

#include <stdint.h>

#include "balancer.h"
#include "decap_abi.h"
#include "text.h"

struct decap_wish {
	int mode; /* enum attach_mode */
	struct lb_addr vips[DECAP_MAX_VIPS];
	size_t vips_n; /* 0: the addresses of the loopback device */
};

/*
 * Attaches to an interface, or brings what is there up to date: program, mode, and the VIPs, which are the
 * host's and not the interface's. say() gets the line that tells mode and reason, note() warnings.
 */
int decap__attach(const char *pin_dir, const char *iface, struct decap_wish *wish,
		  void (*say)(const char *text), void (*note)(const char *text),
		  struct text_error *error);

/* -ENOENT: it isn't attached there. With the last interface all of its state goes. */
int decap__detach(const char *pin_dir, const char *iface, void (*note)(const char *text),
		  struct text_error *error);

/* An interface, and what became of its packets. */
struct decap_row {
	const char *iface;
	enum lb_mode mode;
	struct decap_counts counts;
};

/* Ends when each() answers something else than 0, which is returned. */
int decap__each(const char *pin_dir, int (*each)(const struct decap_row *row, void *arg), void *arg,
		struct text_error *error);

#endif

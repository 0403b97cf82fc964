/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Creating and pinning the maps, loading the data path, attaching it to interfaces. Functions
 * return 0 or -errno; a text_error holds words for people where a number says too little.
 */
#ifndef LBCTL_LOADER_H
#define LBCTL_LOADER_H

#include <stdbool.h>
#include <stdint.h>

#include "lb_abi.h"
#include "text.h"

/* Keeps libbpf from writing to standard error; verbose: only debug messages. */
void loader__quiet(void);
void loader__verbose(bool verbose);

/* Makes what is missing of the maps under dir, all but the flow tables. settings: their first value. */
int loader__create(const char *dir, const struct lb_settings *settings, struct text_error *error);

/*
 * Loads this build's programs for a mode, with the maps under dir, makes the flow table that the
 * settings name if there is none yet, and pins the programs in the place of older ones.
 */
int loader__load(const char *dir, enum lb_mode mode, bool clsact,
		 const struct lb_settings *settings, struct text_error *error);

/* A pinned link. */
struct loader_link {
	uint32_t ifindex; /* 0: its interface is gone */
	uint32_t prog;	  /* id */
	uint32_t id;
};

/* -ENOENT: nothing is attached to the interface of that name by us. */
int loader__link_get(const char *dir, const char *iface, struct loader_link *ret);
int loader__link_each(const char *dir, int (*each)(const char *iface, const struct loader_link *,
						   void *arg),
		      void *arg);

/*
 * Puts the mode's loaded program on an interface; update: in the place of the one that is there, in
 * one step. The errors of the kernel come back as they are: -EBUSY, -EOPNOTSUPP, -EINVAL.
 */
int loader__attach(const char *dir, const char *iface, uint32_t ifindex, enum lb_mode mode,
		   bool update);
/* The same with a program of the caller's. */
int loader__attach_prog(const char *dir, const char *iface, uint32_t ifindex, int prog,
			enum lb_mode mode, bool update);
int loader__detach(const char *dir, const char *iface);

/* The clsact program that sends what the generic program hands over. */
int loader__clsact_attach(const char *dir, uint32_t ifindex, bool *ret_made_qdisc);
int loader__clsact_detach(uint32_t ifindex, bool remove_qdisc);

int loader__prog_name(uint32_t id, char *ret, size_t size);

/*
 * Names pins by what their interfaces are called now, and removes those of interfaces that are gone.
 * name_of: 0, or -ENODEV.
 */
int loader__links_sync(const char *dir,
		       int (*name_of)(uint32_t ifindex, char *ret, size_t size, void *arg), void *arg);
/* Removes the pin of a mode's program; attached links hold it all the same. */
void loader__unpin_program(const char *dir, enum lb_mode mode);

/* Removes every pin under dir, and dir. Links first: an unpinned link detaches. */
int loader__remove_pins(const char *dir);

#endif

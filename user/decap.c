// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Unwrapping on backends: the program of kernel/decap.bpf.c, its VIPs and its counts. */
#include "decap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "attach.h"
#include "decap.skel.h"
#include "host.h"
#include "loader.h"

#define LOOPBACK 1 /* ifindex, in every namespace */

struct decap {
	char dir[256];
	int lock; /* -1: not held */
	struct nl *nl;
	struct decap_bpf *skel;
};

static void (*waiting_note)(const char *text);

static void lock_waiting(pid_t holder, void *arg)
{
	char text[96];

	(void)arg;
	snprintf(text, sizeof(text), "waiting for another lbctl (process %d) to finish", (int)holder);
	waiting_note(text);
}

static void decap_close(struct decap *d)
{
	decap_bpf__destroy(d->skel);
	if (d->nl)
		nl__close(d->nl);
	if (d->lock >= 0)
		close(d->lock);
}

static int explain(int err, const char *what, const char *why, struct text_error *error)
{
	if (err)
		text_error__set(error, "%s: %s", what, why ? why : strerror(-err));
	return err;
}

/* note: NULL to look only, without the lock. */
static int decap_open(struct decap *d, const char *pin_dir, void (*note)(const char *text),
		      struct text_error *error)
{
	int err = host__ready();

	memset(d, 0, sizeof(*d));
	d->lock = -1;
	loader__quiet();
	if (err)
		return explain(err, "can't use BPF", host__ready_why(err), error);
	if (snprintf(d->dir, sizeof(d->dir), "%s/decap", pin_dir) >= (int)sizeof(d->dir))
		return explain(-ENAMETOOLONG, "pin directory", NULL, error);
	waiting_note = note;
	if (note && (err = host__lock(pin_dir, lock_waiting, NULL, &d->lock)))
		return explain(err, "lock", err == -EBUSY ? "another lbctl holds it for over 10 s; try again" :
							    NULL, error);
	return explain(nl__open(&d->nl), "netlink", NULL, error);
}

static int map_pin_path(struct bpf_map *map, const char *dir)
{
	char path[512];
	int err = maps__path(dir, "maps", bpf_map__name(map), path, sizeof(path));

	return err ? err : bpf_map__set_pin_path(map, path);
}

static int make_dir(const char *dir, const char *kind)
{
	char path[512];
	int err = kind ? maps__path(dir, kind, NULL, path, sizeof(path)) : 0;

	if (err)
		return err;
	return mkdir(kind ? path : dir, 0700) && errno != EEXIST ? -errno : 0;
}

/* This build's program, with the maps that are there already. */
static int decap_load(struct decap *d, const char *pin_dir, struct text_error *error)
{
	int err = host__bpffs_ensure(pin_dir);

	if (err)
		return explain(err, pin_dir, host__bpffs_why(err), error);
	err = make_dir(d->dir, NULL);
	if (!err)
		err = make_dir(d->dir, "maps");
	if (err)
		return explain(err, d->dir, NULL, error);
	d->skel = decap_bpf__open();
	if (!d->skel)
		return explain(-errno, "can't open the program", NULL, error);
	err = map_pin_path(d->skel->maps.decap_vips, d->dir);
	if (!err)
		err = map_pin_path(d->skel->maps.decap_counts, d->dir);
	if (!err)
		err = decap_bpf__load(d->skel);
	return explain(err, "can't load the program", NULL, error);
}

static int take_vip(const struct lb_addr *addr, void *arg)
{
	struct decap_wish *wish = arg;

	if (wish->vips_n < DECAP_MAX_VIPS)
		wish->vips[wish->vips_n++] = *addr;
	return 0;
}

static bool is_wanted(const struct decap_wish *wish, const struct lb_addr *addr)
{
	size_t i;

	for (i = 0; i < wish->vips_n; i++)
		if (lb_addr__equal(&wish->vips[i], addr))
			return true;
	return false;
}

/* New ones first: what was served goes on being so. */
static int write_vips(struct decap *d, struct decap_wish *wish, struct text_error *error)
{
	int fd = bpf_map__fd(d->skel->maps.decap_vips), err = 0;
	struct lb_addr addr, last, *before = NULL;
	uint32_t one = 1;
	size_t i;

	if (!wish->vips_n)
		err = nl__addr_toward(d->nl, LOOPBACK, NULL, take_vip, wish);
	if (err)
		return explain(err, "can't list the addresses of lo", nl__error(d->nl), error);
	if (!wish->vips_n)
		return explain(-EADDRNOTAVAIL, "VIPs", "lo has no address of a VIP; ip address add VIP dev lo, "
						       "or name them: --vip VIP", error);
	for (i = 0; i < wish->vips_n && !err; i++)
		err = bpf_map_update_elem(fd, &wish->vips[i], &one, BPF_ANY);
	while (!err && !bpf_map_get_next_key(fd, before, &addr)) {
		if (is_wanted(wish, &addr)) {
			last = addr;
			before = &last;
		} else {
			err = bpf_map_delete_elem(fd, &addr);
		}
	}
	return explain(err, "can't write the VIPs", NULL, error);
}

static int write_counts(struct decap *d, uint32_t ifindex)
{
	int cpus = libbpf_num_possible_cpus(), err;
	struct decap_counts *none = cpus > 0 ? calloc(cpus, sizeof(*none)) : NULL;

	if (!none)
		return -ENOMEM;
	err = bpf_map_update_elem(bpf_map__fd(d->skel->maps.decap_counts), &ifindex, none, BPF_NOEXIST);
	free(none);
	return err == -EEXIST ? 0 : err;
}

static int attach_as(struct decap *d, const struct nl_link *link, enum lb_mode mode,
		     const enum lb_mode *before)
{
	int prog = bpf_program__fd(d->skel->progs.lb_decap), err = 0;

	if (before && *before != mode)
		err = loader__detach(d->dir, link->name);
	if (err)
		return err;
	return loader__attach_prog(d->dir, link->name, link->ifindex, prog, mode,
				   before && *before == mode);
}

static enum lb_mode mode_of(const struct nl_link *link, const struct loader_link *own)
{
	return link->xdp_native && link->xdp_native == own->prog ? LB_MODE_NATIVE : LB_MODE_GENERIC;
}

static int attach(struct decap *d, const struct nl_link *link, const struct decap_wish *wish,
		  void (*say)(const char *text), struct text_error *error)
{
	bool generic = attach__generic_is_better(link);
	enum lb_mode mode = wish->mode == ATTACH_GENERIC || (wish->mode == ATTACH_AUTO && generic) ?
				    LB_MODE_GENERIC :
				    LB_MODE_NATIVE,
		     was;
	const char *why = wish->mode != ATTACH_AUTO ? "as asked" :
			  generic		    ? "on veth native mode is slower" :
						      "the driver does it";
	struct loader_link own;
	char text[128];
	bool is_own = !loader__link_get(d->dir, link->name, &own) && own.ifindex == link->ifindex;
	int err;

	if (!is_own && link->xdp_prog)
		return attach__refuse_foreign(link, error);
	if (is_own) {
		was = mode_of(link, &own);
		if (wish->mode == ATTACH_AUTO) {
			mode = was;
			why = "as before";
		}
	} else {
		loader__detach(d->dir, link->name); /* of an interface that is gone */
	}
	err = attach_as(d, link, mode, is_own ? &was : NULL);
	if (err && wish->mode == ATTACH_AUTO && mode == LB_MODE_NATIVE && !is_own) {
		mode = LB_MODE_GENERIC;
		why = "native was refused";
		err = attach_as(d, link, mode, NULL);
	}
	if (err)
		return explain(err, "the kernel refuses it", NULL, error);
	snprintf(text, sizeof(text), "%s: unwrapping, %s mode (%s)", link->name,
		 mode == LB_MODE_NATIVE ? "native" : "generic", why);
	say(text);
	return 0;
}

static int any_link(const char *iface, const struct loader_link *link, void *arg)
{
	(void)iface;
	(void)link;
	*(bool *)arg = true;
	return 0;
}

/* Without an interface nothing of it stays. */
static void clear_unused(struct decap *d)
{
	bool used = false;

	if (!loader__link_each(d->dir, any_link, &used) && !used)
		loader__remove_pins(d->dir);
}

int decap__attach(const char *pin_dir, const char *iface, struct decap_wish *wish,
		  void (*say)(const char *text), void (*note)(const char *text),
		  struct text_error *error)
{
	struct nl_link link;
	struct decap d;
	int err = decap_open(&d, pin_dir, note, error);

	if (!err)
		err = attach__find_link(d.nl, iface, &link, error);
	if (!err)
		err = decap_load(&d, pin_dir, error);
	if (!err)
		err = write_vips(&d, wish, error);
	if (!err)
		err = explain(write_counts(&d, link.ifindex), "counts", NULL, error);
	if (!err)
		err = attach(&d, &link, wish, say, error);
	if (err && d.skel)
		clear_unused(&d);
	decap_close(&d);
	return err;
}

int decap__detach(const char *pin_dir, const char *iface, void (*note)(const char *text),
		  struct text_error *error)
{
	struct loader_link own;
	struct nl_link link;
	struct decap d;
	int err = decap_open(&d, pin_dir, note, error);

	if (!err)
		err = attach__find_link(d.nl, iface, &link, error);
	if (!err && loader__link_get(d.dir, link.name, &own))
		err = explain(-ENOENT, "not attached", "lbctl decap show lists where it is", error);
	if (!err)
		err = explain(loader__detach(d.dir, link.name), "can't detach", NULL, error);
	if (!err)
		clear_unused(&d);
	decap_close(&d);
	return err;
}

struct listing {
	struct decap *d;
	int counts_fd, cpus;
	int (*each)(const struct decap_row *row, void *arg);
	void *arg;
};

static int list_link(const char *iface, const struct loader_link *own, void *arg)
{
	struct listing *list = arg;
	struct decap_row row = { .iface = iface };
	struct decap_counts *counts = calloc(list->cpus, sizeof(*counts));
	struct nl_link link;
	int cpu, what, err;

	if (!counts)
		return -ENOMEM;
	if (own->ifindex && !nl__link_get_index(list->d->nl, own->ifindex, &link))
		row.mode = mode_of(&link, own);
	if (!bpf_map_lookup_elem(list->counts_fd, &own->ifindex, counts))
		for (cpu = 0; cpu < list->cpus; cpu++)
			for (what = 0; what < DECAP_WHATS; what++)
				row.counts.packets[what] += counts[cpu].packets[what];
	err = list->each(&row, list->arg);
	free(counts);
	return err;
}

int decap__each(const char *pin_dir, int (*each)(const struct decap_row *row, void *arg), void *arg,
		struct text_error *error)
{
	struct listing list = { .each = each, .arg = arg, .cpus = libbpf_num_possible_cpus() };
	struct decap d;
	char path[512];
	int err = decap_open(&d, pin_dir, NULL, error);

	if (!err)
		err = maps__path(d.dir, "maps", "decap_counts", path, sizeof(path));
	if (!err) {
		list.d = &d;
		list.counts_fd = bpf_obj_get(path);
		if (list.counts_fd >= 0) {
			err = loader__link_each(d.dir, list_link, &list);
			close(list.counts_fd);
		} else if (list.counts_fd != -ENOENT) {
			err = explain(list.counts_fd, path, NULL, error);
		}
	}
	decap_close(&d);
	return err;
}

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Attaching: pinned XDP links by interface, and the clsact program behind generic mode. */
#include "loader.h"

#include <dirent.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "maps.h"

/* Where our filter stands among others' on a clsact hook: first, since it ends a packet's way. */
#define CLSACT_PRIORITY 1
#define CLSACT_HANDLE	0x1bc7

/* bpffs keeps names with dots for itself, and no interface name has a colon. */
static void iface_to_pin(char *name)
{
	for (; *name; name++)
		if (*name == '.')
			*name = ':';
}

static void iface_from_pin(char *name)
{
	for (; *name; name++)
		if (*name == ':')
			*name = '.';
}

static int link_path(const char *dir, const char *iface, char *ret, size_t size)
{
	char name[64];

	if (snprintf(name, sizeof(name), "%s", iface) >= (int)sizeof(name))
		return -ENAMETOOLONG;
	iface_to_pin(name);
	return maps__path(dir, "links", name, ret, size);
}

static int link_open(const char *dir, const char *iface)
{
	char path[512];
	int err = link_path(dir, iface, path, sizeof(path));

	return err ? err : bpf_obj_get(path);
}

int loader__link_get(const char *dir, const char *iface, struct loader_link *ret)
{
	struct bpf_link_info info = {};
	uint32_t size = sizeof(info);
	int fd = link_open(dir, iface), err;

	if (fd < 0)
		return fd;
	err = bpf_obj_get_info_by_fd(fd, &info, &size);
	close(fd);
	if (err)
		return err;
	*ret = (struct loader_link){
		.ifindex = info.xdp.ifindex,
		.prog = info.prog_id,
		.id = info.id,
	};
	return 0;
}

/* The names of all pinned links, taken at once, since what is done with one may rename it. */
static int pins_each(const char *dir, int (*each)(char *pin, void *arg), void *arg)
{
	struct dirent **list;
	char path[512];
	int i, n, err = maps__path(dir, "links", NULL, path, sizeof(path));

	if (err)
		return err;
	n = scandir(path, &list, NULL, alphasort);
	if (n < 0)
		return errno == ENOENT ? 0 : -errno;
	for (i = 0; i < n; i++) {
		if (!err && list[i]->d_name[0] != '.')
			err = each(list[i]->d_name, arg);
		free(list[i]);
	}
	free(list);
	return err;
}

struct link_walk {
	const char *dir;
	int (*each)(const char *iface, const struct loader_link *link, void *arg);
	void *arg;
};

static int walk_link(char *pin, void *arg)
{
	struct link_walk *walk = arg;
	struct loader_link link;

	iface_from_pin(pin);
	return loader__link_get(walk->dir, pin, &link) ? 0 : walk->each(pin, &link, walk->arg);
}

int loader__link_each(const char *dir,
		      int (*each)(const char *iface, const struct loader_link *, void *arg),
		      void *arg)
{
	struct link_walk walk = { .dir = dir, .each = each, .arg = arg };

	return pins_each(dir, walk_link, &walk);
}

struct link_sync {
	const char *dir;
	int (*name_of)(uint32_t ifindex, char *ret, size_t size, void *arg);
	void *arg;
};

/* The pins under other names first, so that two interfaces may have swapped theirs. */
static int link_park(const char *iface, const struct loader_link *link, void *arg)
{
	char from[512], to[512], name[64], parked[64];
	struct link_sync *sync = arg;

	if (link_path(sync->dir, iface, from, sizeof(from)))
		return 0;
	if (!link->ifindex || sync->name_of(link->ifindex, name, sizeof(name), sync->arg)) {
		unlink(from);
		return 0;
	}
	if (!strcmp(name, iface))
		return 0;
	snprintf(parked, sizeof(parked), "::%u", link->ifindex); /* no interface's name */
	if (maps__path(sync->dir, "links", parked, to, sizeof(to)) || rename(from, to))
		return -EIO;
	return 0;
}

static int link_unpark(char *pin, void *arg)
{
	char from[512], to[512], name[64];
	struct link_sync *sync = arg;

	if (strncmp(pin, "::", 2) ||
	    sync->name_of(strtoul(pin + 2, NULL, 10), name, sizeof(name), sync->arg) ||
	    maps__path(sync->dir, "links", pin, from, sizeof(from)) ||
	    link_path(sync->dir, name, to, sizeof(to)))
		return 0;
	return rename(from, to) ? -errno : 0;
}

int loader__links_sync(const char *dir,
		       int (*name_of)(uint32_t ifindex, char *ret, size_t size, void *arg), void *arg)
{
	struct link_sync sync = { .dir = dir, .name_of = name_of, .arg = arg };
	int err = loader__link_each(dir, link_park, &sync);

	return err ? err : pins_each(dir, link_unpark, &sync);
}

static int prog_open(const char *dir, const char *name)
{
	char path[512];
	int err = maps__path(dir, "programs", name, path, sizeof(path));

	return err ? err : bpf_obj_get(path);
}

static int link_make(const char *dir, const char *iface, uint32_t ifindex, int prog,
		     enum lb_mode mode)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = mode == LB_MODE_GENERIC ?
								 XDP_FLAGS_SKB_MODE :
								 XDP_FLAGS_DRV_MODE);
	char path[512];
	int fd, err = maps__path(dir, "links", NULL, path, sizeof(path));

	if (!err && mkdir(path, 0700) && errno != EEXIST)
		err = -errno;
	if (!err)
		err = link_path(dir, iface, path, sizeof(path));
	if (err)
		return err;
	fd = bpf_link_create(prog, ifindex, BPF_XDP, &opts);
	if (fd < 0)
		return fd;
	err = bpf_obj_pin(fd, path); /* else it detaches when this process ends */
	close(fd);
	return err;
}

int loader__attach_prog(const char *dir, const char *iface, uint32_t ifindex, int prog,
			enum lb_mode mode, bool update)
{
	int link, err;

	if (!update)
		return link_make(dir, iface, ifindex, prog, mode);
	link = link_open(dir, iface);
	err = link < 0 ? link : bpf_link_update(link, prog, NULL);
	if (link >= 0)
		close(link);
	return err;
}

int loader__attach(const char *dir, const char *iface, uint32_t ifindex, enum lb_mode mode,
		   bool update)
{
	int prog = prog_open(dir, mode == LB_MODE_GENERIC ? "lb_xdp_generic" : "lb_xdp_native");
	int err;

	if (prog < 0)
		return prog;
	err = loader__attach_prog(dir, iface, ifindex, prog, mode, update);
	close(prog);
	return err;
}

int loader__detach(const char *dir, const char *iface)
{
	char path[512];
	int err = link_path(dir, iface, path, sizeof(path)), fd;

	if (err)
		return err;
	fd = bpf_obj_get(path);
	if (fd >= 0) {
		bpf_link_detach(fd); /* at once, also if somebody else holds the link open */
		close(fd);
	}
	return unlink(path) ? -errno : 0;
}

int loader__clsact_attach(const char *dir, uint32_t ifindex, bool *ret_made_qdisc)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = CLSACT_HANDLE, .priority = CLSACT_PRIORITY,
		    .flags = BPF_TC_F_REPLACE);
	int err = bpf_tc_hook_create(&hook), prog;

	*ret_made_qdisc = !err;
	if (err && err != -EEXIST)
		return err;
	prog = prog_open(dir, "lb_clsact");
	if (prog < 0)
		return prog;
	opts.prog_fd = prog;
	err = bpf_tc_attach(&hook, &opts);
	close(prog);
	return err;
}

int loader__clsact_detach(uint32_t ifindex, bool remove_qdisc)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = CLSACT_HANDLE, .priority = CLSACT_PRIORITY);
	int err = bpf_tc_detach(&hook, &opts);

	if (!remove_qdisc)
		return err;
	hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
	return bpf_tc_hook_destroy(&hook);
}

int loader__prog_name(uint32_t id, char *ret, size_t size)
{
	struct bpf_prog_info info = {};
	uint32_t info_size = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(id), err;

	if (fd < 0)
		return fd;
	err = bpf_obj_get_info_by_fd(fd, &info, &info_size);
	close(fd);
	if (!err)
		snprintf(ret, size, "%s", info.name);
	return err;
}

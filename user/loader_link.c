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

int loader__link_each(const char *dir,
		      int (*each)(const char *iface, const struct loader_link *, void *arg),
		      void *arg)
{
	struct loader_link link;
	struct dirent *entry;
	char path[512];
	int err = maps__path(dir, "links", NULL, path, sizeof(path));
	DIR *list;

	if (err)
		return err;
	list = opendir(path);
	if (!list)
		return errno == ENOENT ? 0 : -errno;
	while (!err && (entry = readdir(list))) {
		if (entry->d_name[0] == '.')
			continue;
		iface_from_pin(entry->d_name);
		if (!loader__link_get(dir, entry->d_name, &link))
			err = each(entry->d_name, &link, arg);
	}
	closedir(list);
	return err;
}

/* The pins under other names first, so that two interfaces may have swapped theirs. */
static int links_park(const char *dir,
		      int (*name_of)(uint32_t ifindex, char *ret, size_t size, void *arg), void *arg)
{
	char from[512], to[512], name[64], parked[64];
	struct loader_link link;
	struct dirent *entry;
	DIR *list;
	int err = maps__path(dir, "links", NULL, from, sizeof(from));

	if (err)
		return err;
	list = opendir(from);
	if (!list)
		return errno == ENOENT ? 0 : -errno;
	while (!err && (entry = readdir(list))) {
		if (entry->d_name[0] == '.')
			continue;
		iface_from_pin(entry->d_name);
		if (loader__link_get(dir, entry->d_name, &link) ||
		    link_path(dir, entry->d_name, from, sizeof(from)))
			continue;
		if (!link.ifindex || name_of(link.ifindex, name, sizeof(name), arg)) {
			unlink(from);
			continue;
		}
		if (!strcmp(name, entry->d_name))
			continue;
		snprintf(parked, sizeof(parked), "::%u", link.ifindex); /* no interface's name */
		if (maps__path(dir, "links", parked, to, sizeof(to)) || rename(from, to))
			err = -EIO;
	}
	closedir(list);
	return err;
}

static int links_unpark(const char *dir,
			int (*name_of)(uint32_t ifindex, char *ret, size_t size, void *arg),
			void *arg)
{
	char from[800], to[512], name[64];
	struct dirent *entry;
	DIR *list;
	int err = maps__path(dir, "links", NULL, to, sizeof(to));

	if (err)
		return err;
	list = opendir(to);
	if (!list)
		return errno == ENOENT ? 0 : -errno;
	while ((entry = readdir(list))) {
		if (strncmp(entry->d_name, "::", 2))
			continue;
		if (name_of(strtoul(entry->d_name + 2, NULL, 10), name, sizeof(name), arg) ||
		    maps__path(dir, "links", entry->d_name, from, sizeof(from)) ||
		    link_path(dir, name, to, sizeof(to)))
			continue;
		if (rename(from, to))
			err = -errno;
	}
	closedir(list);
	return err;
}

int loader__links_sync(const char *dir,
		       int (*name_of)(uint32_t ifindex, char *ret, size_t size, void *arg), void *arg)
{
	int err = links_park(dir, name_of, arg);

	return err ? err : links_unpark(dir, name_of, arg);
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

int loader__attach(const char *dir, const char *iface, uint32_t ifindex, enum lb_mode mode,
		   bool update)
{
	int link, err;
	int prog = prog_open(dir, mode == LB_MODE_GENERIC ? "lb_xdp_generic" : "lb_xdp_native");

	if (prog < 0)
		return prog;
	if (update) {
		link = link_open(dir, iface);
		err = link < 0 ? link : bpf_link_update(link, prog, NULL);
		if (link >= 0)
			close(link);
	} else {
		err = link_make(dir, iface, ifindex, prog, mode);
	}
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

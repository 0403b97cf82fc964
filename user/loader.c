// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Maps made and pinned, programs loaded with their load-time constants. Links: loader_link.c. */
#include "loader.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "host.h"
#include "maps.h"
#include "programs.h"

/* The first warning of libbpf, for the error message; with -v all go to standard error. */
static char log_tail[256];
static bool verbose_log;

static int log_keep(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level == LIBBPF_DEBUG)
		return 0;
	if (verbose_log)
		return vfprintf(stderr, format, args);
	if (level == LIBBPF_WARN && !log_tail[0])
		vsnprintf(log_tail, sizeof(log_tail), format, args);
	return 0;
}

void loader__verbose(bool verbose)
{
	verbose_log = verbose;
}

void loader__quiet(void)
{
	libbpf_set_print(log_keep);
}

static bool is_flow_table(const struct bpf_map *map)
{
	const char *name = bpf_map__name(map);

	int i;

	for (i = MAP_FLOW_SETS; i < MAPS; i++)
		if (!strcmp(name, map_names[i]))
			return true;
	return false;
}

/* Not shared between programs: constants, and memory of a single run. */
static bool is_private(const struct bpf_map *map)
{
	return bpf_map__is_internal(map) || !strcmp(bpf_map__name(map), "lb_scratch");
}

static int map_matches(const struct bpf_map *map, int fd)
{
	struct bpf_map_info info = {};
	uint32_t size = sizeof(info);
	int err = bpf_obj_get_info_by_fd(fd, &info, &size);

	if (err)
		return err;
	if (info.type != bpf_map__type(map) || info.key_size != bpf_map__key_size(map) ||
	    info.value_size != bpf_map__value_size(map) ||
	    (!is_flow_table(map) && info.max_entries != bpf_map__max_entries(map)))
		return -EPROTO;
	return 0;
}

/* Uses the pinned map if there is one. Otherwise libbpf makes it: *ret_new. */
static int map_reuse(const char *dir, struct bpf_map *map, bool *ret_new)
{
	char path[512];
	int fd, err = maps__path(dir, "maps", bpf_map__name(map), path, sizeof(path));

	*ret_new = false;
	if (err)
		return err;
	fd = bpf_obj_get(path);
	if (fd == -ENOENT) {
		*ret_new = true;
		return 0;
	}
	if (fd < 0)
		return fd;
	err = map_matches(map, fd);
	if (!err)
		err = bpf_map__reuse_fd(map, fd);
	close(fd);
	return err;
}

static int pin_dir_make(const char *dir, const char *what)
{
	char path[512];
	int err = maps__path(dir, what, NULL, path, sizeof(path));

	if (err)
		return err;
	return mkdir(path, 0700) && errno != EEXIST ? -errno : 0;
}

/* Of the flow table that the balancer hasn't. It is made small, for the programs that name it. */
static bool is_other_table(const struct lb_bpf *skel, const struct bpf_map *map, uint32_t table)
{
	bool lru = map == skel->maps.lb_flows || map == skel->maps.lb_half_open;

	return is_flow_table(map) && lru != (table == LB_TABLE_LRU);
}

/* lb_settings goes last: its pin says that all others are there. */
static int maps_pin(const char *dir, struct lb_bpf *skel, bool settings, uint32_t table)
{
	struct bpf_map *map;
	char path[512];
	int err;

	bpf_object__for_each_map(map, skel->obj) {
		if (is_private(map) || !bpf_map__autocreate(map) ||
		    is_other_table(skel, map, table) ||
		    (map == skel->maps.lb_settings) != settings)
			continue;
		err = maps__path(dir, "maps", bpf_map__name(map), path, sizeof(path));
		if (!err)
			err = bpf_obj_pin(bpf_map__fd(map), path);
		if (err && err != -EEXIST)
			return err;
	}
	return 0;
}

static int skel_open(const char *dir, struct lb_bpf **ret, bool *ret_new_settings)
{
	struct bpf_map *map;
	struct lb_bpf *skel;
	bool is_new;
	int err = 0;

	log_tail[0] = '\0';
	loader__quiet();
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	*ret_new_settings = false;
	skel = programs__open(!programs__have_atomics());
	if (!skel)
		return -errno;
	bpf_object__for_each_map(map, skel->obj) {
		if (is_private(map))
			continue;
		err = map_reuse(dir, map, &is_new);
		if (err)
			break;
		*ret_new_settings |= is_new && map == skel->maps.lb_settings;
	}
	if (err)
		lb_bpf__destroy(skel);
	else
		*ret = skel;
	return err;
}

static int explain(int err, const char *what, struct text_error *error)
{
	char *end = strchr(log_tail, '\n');

	if (end)
		*end = '\0';
	if (err == -EPROTO)
		text_error__set(error, "the pinned maps are another build's, of another layout; "
				       "lbctl unload removes them with all state, or go on "
				       "using that build");
	else
		text_error__set(error, "%s: %s%s%s", what, strerror(-err), log_tail[0] ? ": " : "",
				log_tail);
	return err;
}

int loader__create(const char *dir, const struct lb_settings *settings, struct text_error *error)
{
	struct bpf_program *prog;
	struct bpf_map *map;
	bool new_settings;
	struct lb_bpf *skel;
	uint32_t zero = 0;
	int err;

	err = skel_open(dir, &skel, &new_settings);
	if (err)
		return explain(err, "can't open the maps", error);
	bpf_object__for_each_program(prog, skel->obj)
		bpf_program__set_autoload(prog, false);
	bpf_object__for_each_map(map, skel->obj)
		if (is_flow_table(map))
			bpf_map__set_autocreate(map, false);
	err = lb_bpf__load(skel);
	if (!err && new_settings)
		err = bpf_map_update_elem(bpf_map__fd(skel->maps.lb_settings), &zero, settings, 0);
	if (!err)
		err = pin_dir_make(dir, "maps");
	if (!err)
		err = maps_pin(dir, skel, false, 0);
	if (!err)
		err = maps_pin(dir, skel, true, 0);
	lb_bpf__destroy(skel);
	return err ? explain(err, "can't make the maps", error) : 0;
}

/* In the place of an older one in one step; bpffs renames like any filesystem. */
static int prog_pin(const char *dir, const struct bpf_program *prog, const char *name)
{
	char path[512], temp[512];
	int err = maps__path(dir, "programs", name, path, sizeof(path));

	if (!err)
		err = maps__path(dir, "programs", "new", temp, sizeof(temp));
	if (err)
		return err;
	unlink(temp);
	err = bpf_obj_pin(bpf_program__fd(prog), temp);
	if (!err && rename(temp, path))
		err = -errno;
	return err;
}

/* LRU entries: two halves a flow; the map of half-open and closed ones has half of that beside. */
static void flow_table_size(struct lb_bpf *skel, const struct lb_settings *settings)
{
	if (settings->table == LB_TABLE_LRU) {
		bpf_map__set_max_entries(skel->maps.lb_flows, 2 * settings->flows);
		bpf_map__set_max_entries(skel->maps.lb_half_open, settings->flows);
	} else {
		bpf_map__set_max_entries(skel->maps.lb_flow_sets, settings->sets);
		bpf_map__set_max_entries(skel->maps.lb_flow_cold, settings->sets);
	}
}

static int config_fill(enum lb_mode mode, bool clsact, const struct lb_settings *settings,
		       struct lb_config *ret)
{
	int err;

	memset(ret, 0, sizeof(*ret));
	err = host__hz(&ret->hz);
	if (err)
		return err;
	while (2u << ret->tick_shift <= ret->hz)
		ret->tick_shift++;
	ct_hash_factors(settings->seed, ret->factors);
	while (1u << ret->sets_bits < settings->sets)
		ret->sets_bits++;
	ret->table = settings->table;
	ret->generic = mode == LB_MODE_GENERIC;
	ret->clsact_egress = ret->generic && clsact;
	ret->says_mtu = libbpf_probe_bpf_helper(BPF_PROG_TYPE_XDP, BPF_FUNC_check_mtu, NULL) == 1;
#if !defined(__x86_64__) && !defined(__i386__) && !defined(__s390x__)
	ret->weak_order = 1;
#endif
	return 0;
}

int loader__load(const char *dir, enum lb_mode mode, bool clsact,
		 const struct lb_settings *settings, struct text_error *error)
{
	struct lb_config config;
	struct lb_bpf *skel;
	bool new_settings;
	int err;

	err = config_fill(mode, clsact, settings, &config);
	if (!err)
		err = skel_open(dir, &skel, &new_settings);
	if (err)
		return explain(err, "can't open the maps", error);
	memcpy((void *)&skel->rodata->lb_config, &config, sizeof(config));
	flow_table_size(skel, settings);
	err = lb_bpf__load(skel);
	if (!err)
		err = pin_dir_make(dir, "programs");
	if (!err)
		err = maps_pin(dir, skel, false, settings->table);
	if (!err)
		err = prog_pin(dir, skel->progs.lb_reap, "lb_reap");
	if (!err)
		err = prog_pin(dir, skel->progs.lb_unpark, "lb_unpark");
	if (!err)
		err = prog_pin(dir, skel->progs.lb_send_in, "lb_send_in");
	if (!err)
		err = prog_pin(dir, skel->progs.lb_clsact, "lb_clsact");
	if (!err)
		err = prog_pin(dir, skel->progs.lb_xdp,
			       config.generic ? "lb_xdp_generic" : "lb_xdp_native");
	lb_bpf__destroy(skel);
	return err ? explain(err, "the kernel didn't take the program", error) : 0;
}

/* Removes the pins in DIR/WHAT, and that directory. */
static int pins_remove(const char *dir, const char *what)
{
	char path[512], file[800];
	struct dirent *entry;
	DIR *list;
	int err = maps__path(dir, what, NULL, path, sizeof(path));

	if (err)
		return err;
	list = opendir(path);
	if (!list)
		return errno == ENOENT ? 0 : -errno;
	while ((entry = readdir(list))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		if (unlink(file) && errno != ENOENT)
			err = -errno;
	}
	closedir(list);
	if (rmdir(path) && !err)
		err = -errno;
	return err;
}

int loader__remove_pins(const char *dir)
{
	int err = pins_remove(dir, "links");

	if (!err)
		err = pins_remove(dir, "programs");
	if (!err)
		err = pins_remove(dir, "maps");
	/* What else lies there, or a mount point, isn't ours. */
	if (!err && rmdir(dir) && errno != ENOENT && errno != ENOTEMPTY && errno != EBUSY)
		err = -errno;
	return err;
}

void loader__unpin_program(const char *dir, enum lb_mode mode)
{
	char path[512];

	if (!maps__path(dir, "programs",
			mode == LB_MODE_GENERIC ? "lb_xdp_generic" : "lb_xdp_native", path,
			sizeof(path)))
		unlink(path);
}

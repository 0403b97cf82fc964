// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Lists of clients' prefixes, and announced addresses, in their pinned maps. */
#include "maps.h"

#include <errno.h>
#include <stdlib.h>

#include <bpf/bpf.h>

bool maps__prefix_matches(struct maps *maps, const struct lb_prefix *prefix)
{
	uint32_t value;

	return !bpf_map_lookup_elem(maps->fd[MAP_PREFIXES], prefix, &value);
}

int maps__prefix_put(struct maps *maps, const struct lb_prefix *prefix)
{
	uint32_t one = 1;

	return bpf_map_update_elem(maps->fd[MAP_PREFIXES], prefix, &one, BPF_ANY);
}

int maps__prefix_del(struct maps *maps, const struct lb_prefix *prefix)
{
	return bpf_map_delete_elem(maps->fd[MAP_PREFIXES], prefix);
}

int maps__prefix_each(struct maps *maps, int (*each)(const struct lb_prefix *, void *), void *arg)
{
	struct lb_prefix *all, *grown, key;
	size_t n = 0, room = 0, i;
	int err = bpf_map_get_next_key(maps->fd[MAP_PREFIXES], NULL, &key);

	/* First the keys, then the work: a walk starts anew where its key was removed. */
	for (all = NULL; !err; err = bpf_map_get_next_key(maps->fd[MAP_PREFIXES], &all[n - 1], &key)) {
		if (n == LB_MAX_PREFIXES)
			break;
		if (n == room) {
			room = room ? 2 * room : 64;
			grown = realloc(all, room * sizeof(*all));
			if (!grown) {
				free(all);
				return -ENOMEM;
			}
			all = grown;
		}
		all[n++] = key;
	}
	err = err == -ENOENT ? 0 : err;
	for (i = 0; !err && i < n; i++)
		err = each(&all[i], arg);
	free(all);
	return err;
}

int maps__announced_get(struct maps *maps, const struct lb_announced_key *key, struct lb_announced *ret)
{
	return bpf_map_lookup_elem(maps->fd[MAP_ANNOUNCED], key, ret);
}

int maps__announced_put(struct maps *maps, const struct lb_announced_key *key,
			const struct lb_announced *announced)
{
	return bpf_map_update_elem(maps->fd[MAP_ANNOUNCED], key, announced, BPF_ANY);
}

int maps__announced_del(struct maps *maps, const struct lb_announced_key *key)
{
	return bpf_map_delete_elem(maps->fd[MAP_ANNOUNCED], key);
}

int maps__announced_each(struct maps *maps, int (*each)(const struct lb_announced_key *, void *),
			 void *arg)
{
	struct lb_announced_key *all = calloc(LB_MAX_VIPS, sizeof(*all));
	size_t n = 0, i;
	int err = all ? 0 : -ENOMEM;

	while (!err && n < LB_MAX_VIPS &&
	       !bpf_map_get_next_key(maps->fd[MAP_ANNOUNCED], n ? &all[n - 1] : NULL, &all[n]))
		n++;
	for (i = 0; !err && i < n; i++)
		err = each(&all[i], arg);
	free(all);
	return err;
}

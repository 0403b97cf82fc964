// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* VIPs that are announced on an interface, since none has their address. */
#include "balancer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "announce.h"

struct wanted {
	struct balancer *b;
	struct lb_announced_key keys[LB_MAX_VIPS];
	size_t n;
};

static int wanted_vip(const struct lb_service_key *key, const struct lb_vip *vip, void *arg)
{
	struct wanted *wanted = arg;
	size_t i;

	if (!vip->announce)
		return 0;
	for (i = 0; i < wanted->n; i++)
		if (wanted->keys[i].ifindex == vip->announce &&
		    lb_addr__equal(&wanted->keys[i].addr, &key->addr))
			return 0;
	wanted->keys[wanted->n++] =
		(struct lb_announced_key){ .addr = key->addr, .ifindex = vip->announce };
	return 0;
}

static void forget(struct balancer *b, const struct lb_announced_key *key)
{
	struct nl_link link;

	maps__announced_del(&b->maps, key);
	if (!nl__link_get_index(b->nl, key->ifindex, &link))
		announce__join(link.name, &key->addr, false);
}

static int forget_unwanted(const struct lb_announced_key *key, void *arg)
{
	struct wanted *wanted = arg;
	size_t i;

	for (i = 0; i < wanted->n; i++)
		if (!memcmp(&wanted->keys[i], key, sizeof(*key)))
			return 0;
	forget(wanted->b, key);
	return 0;
}

/* tell: also when nothing has changed. */
static int announce_one(struct balancer *b, const struct lb_announced_key *key, bool tell)
{
	struct lb_announced now = {}, before;
	struct nl_link link;
	int err = nl__link_get_index(b->nl, key->ifindex, &link);

	if (err)
		return 0; /* the interface is gone */
	memcpy(now.mac, link.mac, sizeof(now.mac));
	if (!maps__announced_get(&b->maps, key, &before) && !memcmp(&before, &now, sizeof(now)) &&
	    !tell)
		return 0;
	announce__join(link.name, &key->addr, true);
	err = maps__announced_put(&b->maps, key, &now);
	if (!err && link.up)
		announce__tell(key->ifindex, now.mac, &key->addr);
	return err;
}

int balancer__announce_sync(struct balancer *b, uint32_t ifindex)
{
	struct wanted *wanted = calloc(1, sizeof(*wanted));
	size_t i;
	int err;

	if (!wanted)
		return -ENOMEM;
	wanted->b = b;
	err = maps__vip_each(&b->maps, wanted_vip, wanted);
	if (!err)
		err = maps__announced_each(&b->maps, forget_unwanted, wanted);
	for (i = 0; !err && i < wanted->n; i++)
		err = announce_one(b, &wanted->keys[i], wanted->keys[i].ifindex == ifindex);
	free(wanted);
	return err;
}

static int forget_any(const struct lb_announced_key *key, void *arg)
{
	forget(arg, key);
	return 0;
}

void balancer__announce_end(struct balancer *b)
{
	maps__announced_each(&b->maps, forget_any, b);
}

int balancer__announce_on(struct balancer *b, const struct lb_addr *addr, const char *iface,
			  uint32_t *ret_ifindex, struct text_error *error)
{
	char text[256], name[TEXT_ADDR_MAX];
	struct lb_iface attached;
	struct nl_link link;
	int err;

	*ret_ifindex = 0;
	if (!strcmp(iface, "none"))
		return 0;
	err = nl__link_get(b->nl, iface, &link);
	if (!err && (!link.ethernet || !strcmp(link.name, "lo")))
		err = -EINVAL;
	if (err) {
		text_error__set(error, err == -EINVAL ? "can't announce it on %s: no Ethernet interface" :
							"can't announce it on %s: no such interface; "
							"ip link lists them",
				iface);
		return err;
	}
	*ret_ifindex = link.ifindex;
	if (nl__addr_is_own(b->nl, addr, NULL) == 1) {
		snprintf(text, sizeof(text), "%s is this host's own address, which the kernel announces "
					     "anyhow", text__format_addr(addr, name, sizeof(name)));
		b->note(text);
	}
	if (maps__iface_get(&b->maps, link.ifindex, &attached)) {
		snprintf(text, sizeof(text), "the balancer isn't attached to %s, so nobody answers there "
					     "yet: lbctl attach %s", link.name, link.name);
		b->note(text);
	}
	return 0;
}

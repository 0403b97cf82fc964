// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What an operator should know of the interfaces that the balancer is attached to. */
#include <stdio.h>
#include <string.h>

#include "attach.h"
#include "balancer.h"
#include "ct_slot.h"
#include "loader.h"

struct vlans {
	uint32_t ifindex; /* of the device below */
	char name[IFNAMSIZ];
};

static int vlan_of(const struct nl_link *link, void *arg)
{
	struct vlans *vlans = arg;

	if (strcmp(link->kind, "vlan") || link->link != vlans->ifindex)
		return 0;
	snprintf(vlans->name, sizeof(vlans->name), "%s", link->name);
	return 1;
}

/* A tag that was taken off before XDP is put on again behind it, also where it doesn't belong. */
void attach__vlan_notes(struct balancer *b, const struct nl_link *link)
{
	struct vlans vlans = { .ifindex = link->ifindex };
	char text[256];

	if (nl__link_list(b->nl, vlan_of, &vlans) != 1)
		return;
	snprintf(text, sizeof(text), "%s has VLAN devices (%s): XDP has to see their tags, so unless it does, "
				     "ethtool -K %s rxvlan off%s", link->name, vlans.name, link->name,
		 strcmp(link->kind, "veth") ? "" : "; on veth, txvlan off at its peer");
	b->note(text);
}

static int mark_pairs(const struct lb_service_key *key, const struct lb_vip *vip, void *arg)
{
	(void)key;
	((bool *)arg)[vip->id] = ct_pairs(vip->method);
	return 0;
}

struct attached {
	struct balancer *b;
	char native[IFNAMSIZ]; /* one of them; "": none */
	char stacked[IFNAMSIZ];
};

static int look_at(const char *name, const struct loader_link *link, void *arg)
{
	struct attached *attached = arg;
	struct lb_iface iface;
	struct nl_link its;

	(void)name;
	if (!link->ifindex || maps__iface_get(&attached->b->maps, link->ifindex, &iface) ||
	    nl__link_get_index(attached->b->nl, link->ifindex, &its))
		return 0;
	if (iface.mode == LB_MODE_NATIVE)
		snprintf(attached->native, sizeof(attached->native), "%s", its.name);
	if (!strcmp(its.kind, "vlan"))
		snprintf(attached->stacked, sizeof(attached->stacked), "%s", its.name);
	return 0;
}

/* Drivers send frames that XDP redirects; a device on top of another takes none. */
static void note_stacked(struct balancer *b)
{
	struct attached attached = { .b = b };
	char text[192];

	loader__link_each(b->dir, look_at, &attached);
	if (!attached.native[0] || !attached.stacked[0])
		return;
	snprintf(text, sizeof(text), "what comes in by %s in native mode can't leave by %s, a VLAN's device: "
				     "lbctl attach %s --mode generic",
		 attached.native, attached.stacked, attached.native);
	b->note(text);
}

void balancer__attach_notes(struct balancer *b)
{
	uint32_t noted[16], noted_n = 0, i, j;
	bool replies[LB_MAX_VIPS] = {}; /* pass here */
	struct nl_route route;

	note_stacked(b);
	maps__vip_each(&b->maps, mark_pairs, replies);
	for (i = 0; i < LB_MAX_BACKENDS && noted_n < 16; i++) {
		if (!maps__backend_used(&b->maps, i) || !replies[b->maps.backends[i].vip] ||
		    nl__route_get(b->nl, &b->maps.backends[i].addr, &route) || !route.oif)
			continue;
		for (j = 0; j < noted_n && noted[j] != route.oif; j++)
			;
		if (j < noted_n)
			continue;
		noted[noted_n++] = route.oif;
		balancer__note_unattached(b, route.oif);
	}
}

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The loopback device's forwarding switches, which route look-ups need. */
#include "host.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define CONF6 "net/ipv6/conf"

static const char *forwarding_path(int family)
{
	return family == AF_INET6 ? CONF6 "/lo/forwarding" : "net/ipv4/conf/lo/forwarding";
}

int host__forwarding_get(int family, int *ret)
{
	long value;
	int err = host__sysctl_read(forwarding_path(family), &value);

	if (!err)
		*ret = (int)value;
	return err;
}

/* Names of interfaces. */
struct names {
	char (*name)[NAME_MAX + 1];
	size_t n;
};

static int accept_ra_set(const char *name, long value)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), CONF6 "/%s/accept_ra", name);
	return host__sysctl_write(path, value);
}

/* Noted before it is changed, so that whatever was changed is put back. */
static int accept_ra_raise(const char *name, struct names *raised)
{
	void *more = realloc(raised->name, (raised->n + 1) * sizeof(*raised->name));

	if (!more)
		return -ENOMEM;
	raised->name = more;
	snprintf(raised->name[raised->n++], sizeof(*raised->name), "%s", name);
	return accept_ra_set(name, 2);
}

/* all and default are no interfaces, and lo hears no router. */
static bool hears_routers(const char *name)
{
	char path[PATH_MAX];
	long value;

	if (name[0] == '.' || !strcmp(name, "all") || !strcmp(name, "default") ||
	    !strcmp(name, "lo"))
		return false;
	snprintf(path, sizeof(path), CONF6 "/%s/accept_ra", name);
	return !host__sysctl_read(path, &value) && value == 1;
}

/*
 * Switching IPv6 forwarding on, even lo's, deletes the default routes that router advertisements
 * brought, except of interfaces whose accept_ra is 2: meanwhile those with 1 have that. Cut short,
 * this leaves a 2, with which an interface goes on listening to its routers.
 */
static int forwarding6_on(int value)
{
	struct names raised = {};
	struct dirent *entry;
	DIR *dir = opendir("/proc/sys/" CONF6);
	int err = dir ? 0 : -errno;

	while (!err && (entry = readdir(dir))) {
		if (hears_routers(entry->d_name))
			err = accept_ra_raise(entry->d_name, &raised);
		if (err == -ENOENT) /* the interface went */
			err = 0;
	}
	if (!err)
		err = host__sysctl_write(forwarding_path(AF_INET6), value);
	while (raised.n)
		accept_ra_set(raised.name[--raised.n], 1);
	free(raised.name);
	if (dir)
		closedir(dir);
	return err;
}

int host__forwarding_set(int family, int value)
{
	int now, err = host__forwarding_get(family, &now);

	if (err || now == value)
		return err;
	if (family == AF_INET6 && value)
		return forwarding6_on(value);
	return host__sysctl_write(forwarding_path(family), value);
}

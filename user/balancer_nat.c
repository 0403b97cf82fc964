// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Method nat: replies go to the client, so packets are known as such by their source. The addresses of
 * its backends are kept beside those of VIPs, and while there are any the data path looks for them.
 */
#include <string.h>

#include "balancer.h"

int balancer__nat_use(struct balancer *b, bool use)
{
	struct lb_settings settings;
	int err = maps__settings(&b->maps, &settings);

	if (err || settings.nat == use)
		return err;
	settings.nat = use;
	return maps__settings_put(&b->maps, &settings);
}

int balancer__nat_backend(struct balancer *b, const struct lb_addr *addr, uint16_t *ret_own,
			  struct text_error *error)
{
	int err = balancer__nat_use(b, true);

	if (!err)
		err = maps__local_get(&b->maps, addr, LB_LOCAL_NAT, 0, ret_own);
	if (err)
		text_error__set(error, "can't keep its address for method nat: %s", strerror(-err));
	return err;
}

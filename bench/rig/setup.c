// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The balancer of a case, made by lbctl alone, and its flows, opened by packets alone. */
#include "cases.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "wrap.skel.h"

#define FLOWS_MIN 4096 /* lbctl's smallest table */
#define CAP	  1    /* new flows a second, for the flood */

static const char *const methods[] = { "fullnat", "ipip" };

/* fullnat has some 36,000 source ports per backend. */
static uint32_t backends_for(uint32_t flows)
{
	return flows > 1 << 15 ? LAB_BACKENDS : flows > 1 ? 4 : 1;
}

static int add_vip(struct setup *setup, uint32_t backends)
{
	const char *proto = setup->proto == PACKET_TCP ? "tcp" : "udp";
	char options[64] = "";
	uint32_t i;
	int err;

	if (setup->method != METHOD_FULLNAT)
		sprintf(options, " --method %s", methods[setup->method]);
	if (setup->capped)
		sprintf(options + strlen(options), " --new-rate %d", CAP);
	err = lab__lbctl(setup->refused, "add-vip 10.0.0.1:80/%s%s", proto, options);
	for (i = 0; i < backends && !err; i++)
		err = lab__lbctl(setup->refused, "add-backend 10.0.0.1:80/%s 10.0.1.%u", proto,
				 1 + i);
	return err;
}

static int attach(const char *ifaces, const char *flow_table, const char *mode, uint32_t flows,
		  char words[LAB_WORDS])
{
	char table[64] = "";

	if (flow_table)
		snprintf(table, sizeof(table), " --flow-table %s", flow_table);
	return lab__lbctl(words, "attach %s --mode %s --flows %u%s", ifaces, mode, flows, table);
}

int setup__verified(const char *flow_table, const char *mode, uint32_t *ret)
{
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info);
	char words[LAB_WORDS], pin[128];
	int fd, err;

	lab__lbctl(words, "unload");
	err = attach(LAB_IFACE, flow_table, mode, FLOWS_MIN, words);
	if (err)
		return err;
	snprintf(pin, sizeof(pin), LAB_PROGRAMS "lb_xdp_%s", mode);
	fd = bpf_obj_get(pin);
	if (fd < 0)
		return -errno;
	err = bpf_obj_get_info_by_fd(fd, &info, &len) ? -errno : 0;
	close(fd);
	*ret = info.verified_insns;
	return err;
}

static int set_up(struct setup *setup, uint32_t flows)
{
	int err;

	if (setup->up)
		lab__lbctl(setup->refused, "unload");
	setup->up = true;
	setup->opened = 0;
	setup->found = 0;
	setup->flows = flows > FLOWS_MIN ? flows : FLOWS_MIN;
	err = attach(setup->ifaces, setup->flow_table, "native", setup->flows, setup->refused);
	if (!err)
		err = add_vip(setup, backends_for(flows));
	if (err)
		return -EOPNOTSUPP;
	setup->refused[0] = '\0';
	return 0;
}

/* The packets that make a flow established, or assured. */
static void steps_of(struct rig_open *open, const struct setup *setup)
{
	struct packet client = packet__make(setup->proto, LAB_CLIENT, 0, LAB_HOST, 80);
	struct packet reply = packet__make(setup->proto, LAB_BACKEND, 80, LAB_HOST, 0);
	uint32_t n = 0;

	client.src = 0; /* the wrapper puts them in; MACs are those of fixed neighbours */
	reply.src = 0;
	client.flags = PACKET_SYN;
	client.seq = 1000;
	client.ack = 0;
	reply.flags = PACKET_SYN | PACKET_ACK;
	reply.seq = 5000;
	reply.ack = 1001;
	open->rewritten = setup->method == METHOD_FULLNAT;
	open->from[n] = RIG_FROM_CLIENT;
	packet__frame(&client, &open->frames[n++]);
	if (setup->method == METHOD_FULLNAT) {
		open->from[n] = RIG_FROM_BACKEND;
		packet__frame(&reply, &open->frames[n++]);
	}
	if (setup->proto == PACKET_TCP) {
		client.flags = PACKET_ACK;
		client.seq = 1001;
		client.ack = 5001;
		open->from[n] = RIG_FROM_CLIENT;
		packet__frame(&client, &open->frames[n++]);
	}
	open->steps_n = n;
}

static uint32_t flows_found(const struct setup *setup)
{
	json_t *stats = lab__show("stats"), *flows = json_object_get(stats, "flows");
	json_int_t now = json_integer_value(json_object_get(flows, "now"));

	if (setup->proto == PACKET_TCP)
		now -= json_integer_value(json_object_get(flows, "half_open"));
	json_decref(stats);
	return now;
}

static int open_flows(struct setup *setup, struct rig *rig, uint32_t n)
{
	struct rig_open *open = &rig->skel->bss->open;
	uint64_t sent;
	int err;

	steps_of(open, setup);
	err = rig__open_flows(rig, n);
	if (err)
		return err;
	setup->opened = n;
	setup->found = flows_found(setup);
	sent = open->answers[XDP_TX] + open->answers[XDP_REDIRECT];
	if (sent == (uint64_t)n * open->steps_n)
		return 0;
	snprintf(setup->refused, sizeof(setup->refused),
		 "of %llu packets that open flows %llu were sent on",
		 (unsigned long long)n * open->steps_n, (unsigned long long)sent);
	return setup->found > n / 1000 * 999 ? 0 : -EPROTO;
}

int setup__for(struct setup *setup, struct rig *rig, const struct rig_case *c)
{
	bool established = c->kind == KIND_IN || c->kind == KIND_OUT;
	bool opening = c->kind == KIND_NEW || c->kind == KIND_FLOOD;
	uint32_t flows = opening ? RIG_FLOWS_MAX : established ? c->flows : 1;
	uint32_t table = flows > FLOWS_MIN ? flows : FLOWS_MIN;
	uint32_t opened = established ? c->flows : 0;
	int err;

	if (c->kind == KIND_SWAP || c->kind == KIND_ENCAP)
		return 0;
	if (setup->up && !setup->refused[0] && setup->method == c->method &&
	    setup->proto == c->proto && setup->flows == table && setup->opened == opened && !opening)
		return 0;
	setup->method = c->method;
	setup->proto = c->proto;
	setup->capped = c->kind == KIND_FLOOD;
	err = set_up(setup, flows);
	if (!err)
		err = rig__target(rig, LAB_PROGRAMS "lb_xdp_native");
	if (!err && established)
		err = open_flows(setup, rig, flows);
	return err;
}

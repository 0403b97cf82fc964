// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Two CPUs at the same flows, ports and slots at once, with live frames by the million, while the
 * table overflows and lbctl changes things. No connection may be split, no packet torn or lost.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "ct_slot.h"
#include "lab.h"
#include "load.h"
#include "report.h"
#include "table.h"

#define SKIPPED	   77
#define CHURN_US   3000
#define HOT_FLOWS  56 /* for 32 slots */
#define VIP_TEXT   "10.0.0.1:%d/tcp"
#define PHASES_MAX 8

struct options {
	const char *lbctl;
	const char *flow_table;
	double seconds;
};

/* How many frames of a batch are of a kind. */
struct mix {
	uint8_t kind;
	uint8_t n;
};

struct phase {
	const char *name;
	const char *local_ports; /* all others are source ports; NULL: the kernel's own */
	struct mix mix[6];
	uint8_t script[STRESS_STEPS]; /* up to a 0 */
	uint32_t restart;
	uint32_t window_vip;
	bool strict;
	bool moves;
	const char *const *churn; /* lbctl's, in turn, up to a NULL */
};

static const char *const churn_flows[] = {
	"gc",
	"flush flows --client 100.64.0.7",
	"show flows --limit 200",
	"flush flows --vip 10.0.0.1:82/tcp --state syn",
	"flush flows --vip 10.0.0.1:81/tcp --state established",
	NULL,
};

static const char *const churn_backends[] = {
	"set-backend 10.0.0.1:82/tcp 10.0.1.8 --weight 3",
	"del-backend 10.0.0.1:81/tcp 10.0.1.2",
	"gc",
	"add-backend 10.0.0.1:82/tcp 10.0.1.16",
	"add-backend 10.0.0.1:81/tcp 10.0.1.2",
	"set-backend 10.0.0.1:82/tcp 10.0.1.8 --weight 1",
	"del-backend 10.0.0.1:82/tcp 10.0.1.16",
	"flush flows --client 100.64.0.7",
	NULL,
};

static const struct phase phases[] = {
	{ .name = "together",
	  .mix = { { KIND_WINDOW, 24 }, { KIND_LONG, 6 }, { KIND_FLOOD, 2 } },
	  .script = { STEP_SYN, STEP_ACK, STEP_DATA, STEP_DATA, STEP_FIN, STEP_SYN, STEP_ACK,
		      STEP_DATA, STEP_DATA, STEP_RST },
	  .restart = 5,
	  .window_vip = VIPS,
	  .strict = true },
	{ .name = "ports",
	  /* Enough that none has to be taken from a half-open flow, which is no error. */
	  .local_ports = "6144 65535",
	  .mix = { { KIND_WINDOW, 24 }, { KIND_LONG, 8 } },
	  .script = { STEP_SYN, STEP_ACK, STEP_DATA, STEP_DATA, STEP_FIN, STEP_SYN, STEP_ACK,
		      STEP_DATA, STEP_DATA, STEP_RST },
	  .restart = 5,
	  .window_vip = VIP_FEW,
	  .strict = true },
	{ .name = "slots",
	  .mix = { { KIND_HOT, 32 } },
	  .script = { STEP_SYN },
	  .restart = STRESS_STEPS },
	{ .name = "evict",
	  .mix = { { KIND_WINDOW, 12 },
		   { KIND_OLD, 6 },
		   { KIND_HOT, 10 },
		   { KIND_LONG, 2 },
		   { KIND_FLOOD, 2 } },
	  .script = { STEP_SYN, STEP_ACK, STEP_DATA, STEP_DATA },
	  .restart = STRESS_STEPS,
	  .window_vip = VIPS,
	  .churn = churn_flows },
	{ .name = "backends",
	  .mix = { { KIND_WINDOW, 16 },
		   { KIND_OLD, 6 },
		   { KIND_HOT, 6 },
		   { KIND_LONG, 3 },
		   { KIND_FLOOD, 1 } },
	  .script = { STEP_SYN, STEP_ACK, STEP_DATA, STEP_DATA },
	  .restart = STRESS_STEPS,
	  .window_vip = VIPS,
	  .moves = true,
	  .churn = churn_backends },
};

#define PHASES (sizeof(phases) / sizeof(*phases))

static volatile bool stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = true;
}

/* -- The balancer ------------------------------------------------------------------------------ */

static int local_ports(const char *range)
{
	FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "w");
	int err;

	if (!file)
		return -errno;
	err = fputs(range, file) < 0 ? -EIO : 0;
	return fclose(file) ? -errno : err;
}

static int balancer_up(const struct options *options, char words[LAB_WORDS])
{
	static const struct {
		const char *method;
		int first, last;
	} vips[VIPS] = {
		[VIP_FEW] = { "fullnat", 1, 1 },
		[VIP_MANY] = { "fullnat", 2, 5 },
		[VIP_IPIP] = { "ipip", 8, 15 },
	};
	int vip, i, err;

	err = lab__lbctl(words, "attach lb0 lb1 --mode native --flows 4096 --flow-table %s",
			 options->flow_table);
	for (vip = 0; vip < VIPS && !err; vip++) {
		err = lab__lbctl(words, "add-vip " VIP_TEXT " --method %s", STRESS_VIP_PORT + vip,
				 vips[vip].method);
		for (i = vips[vip].first; i <= vips[vip].last && !err; i++)
			err = lab__lbctl(words, "add-backend " VIP_TEXT " 10.0.1.%d",
					 STRESS_VIP_PORT + vip, i);
	}
	return err;
}

/* Clients of one port whose flows all begin at home in one set. */
static int hot_clients(struct stress_conf *conf)
{
	struct lb_addr vip = { .w = { 0, 0, htonl(LB_V4_PREFIX), htonl(STRESS_VIP) } };
	struct ct_key key = { .remote.w[2] = htonl(LB_V4_PREFIX),
			      .remote_port = htons(STRESS_HOT_PORT),
			      .local_port = htons(STRESS_VIP_PORT + VIP_IPIP),
			      .ip_proto = IPPROTO_TCP };
	struct table_hash hash;
	uint32_t i, n = 0;
	int err = table__hash(&hash);

	if (err)
		return err;
	for (i = 0; n < HOT_FLOWS; i++) {
		key.remote.w[3] = htonl(STRESS_HOT + i);
		if (!hash.sets_bits ||
		    !ct_home(ct_hash(&key.remote, &vip, key.ends, hash.factors), hash.sets_bits)
			     .set)
			conf->hot[n++] = key.remote.w[3];
	}
	conf->hot_n = n;
	return 0;
}

/* -- lbctl beside the traffic ------------------------------------------------------------------ */

struct churn {
	const char *const *commands;
	volatile bool over;
	char words[LAB_WORDS]; /* of the first that failed */
	unsigned int n;
};

static void *churn_main(void *arg)
{
	struct churn *churn = arg;
	char words[LAB_WORDS];
	int i;

	while (!churn->over) {
		for (i = 0; churn->commands[i] && !churn->over; i++) {
			if (lab__lbctl(words, "%s", churn->commands[i]) && !churn->words[0])
				snprintf(churn->words, sizeof(churn->words), "%s: %.150s",
					 churn->commands[i], words);
			churn->n++;
			usleep(CHURN_US);
		}
	}
	return NULL;
}

static int run_beside(struct load *load, double seconds, struct churn *churn)
{
	pthread_t thread;
	int err;

	if (!churn->commands)
		return load__run(load, seconds, &stopped);
	err = -pthread_create(&thread, NULL, churn_main, churn);
	if (err)
		return err;
	err = load__run(load, seconds, &stopped);
	churn->over = true;
	pthread_join(thread, NULL);
	return err;
}

/* -- Phases ------------------------------------------------------------------------------------ */

static int conf_of(const struct phase *phase, struct stress_conf *ret)
{
	uint32_t i, at = 0;

	*ret = (struct stress_conf){
		.restart = phase->restart,
		.window_vip = phase->window_vip,
		.old_span = 400,
		.strict = phase->strict,
		.moves = phase->moves,
		.backends = { { 1, 1 }, { 2, 5 }, { 8, 16 } },
	};
	memcpy(ret->script, phase->script, sizeof(ret->script));
	ret->steps = strnlen((const char *)phase->script, STRESS_STEPS);
	for (i = 0; i < sizeof(phase->mix) / sizeof(*phase->mix); i++) {
		memset(ret->kinds + at, phase->mix[i].kind, phase->mix[i].n);
		at += phase->mix[i].n;
	}
	return hot_clients(ret);
}

static int traffic(const struct phase *phase, struct load *load, double seconds,
		   struct churn *churn)
{
	struct stress_conf conf;
	int err = conf_of(phase, &conf);

	if (err)
		return err;
	load__reset(load, &conf);
	err = load__warm(load, STEP_SYN);
	if (!err)
		err = load__warm(load, STEP_ACK);
	return err ? err : run_beside(load, seconds, churn);
}

/* How much is wrong, or -errno. */
static int phase_run(const struct options *options, const struct phase *phase, struct load *load)
{
	double seconds = options->seconds / PHASES;
	struct churn churn = { .commands = phase->churn };
	int64_t lost_before = report__lost(&load->lab);
	struct report report;
	char words[LAB_WORDS];
	const char *error;
	uint64_t flows;
	int err, wrong;

	err = local_ports(phase->local_ports ? phase->local_ports : "32768 60999");
	if (!err)
		err = balancer_up(options, words);
	if (err) {
		fprintf(stderr, "stress: the balancer could not be set up: %s\n", words);
		return err;
	}
	err = traffic(phase, load, seconds, &churn);
	if (!err)
		err = report__take(&report, load, lost_before);
	if (err)
		return err;
	report__print(&report, phase->name, seconds);
	wrong = report__judge(&report, load, phase->moves);
	error = table__check(phase->strict, &flows);
	if (!error && report.evicted + report.expired + (int64_t)flows > report.created)
		error = "it has more flows than were ever made";
	printf("          %llu flows in the table, %u changes by lbctl\n",
	       (unsigned long long)flows, churn.n);
	if (error)
		printf("WRONG: flow table: %s\n", error);
	if (churn.words[0])
		printf("WRONG: lbctl %s\n", churn.words);
	json_decref(report.reasons);
	lab__lbctl(words, "unload");
	return wrong + !!error + !!churn.words[0];
}

static int run_all(const struct options *options, struct load *load)
{
	int wrong = 0, n;
	size_t i;

	for (i = 0; i < PHASES && !stopped; i++) {
		n = phase_run(options, &phases[i], load);
		if (n < 0) {
			fprintf(stderr, "stress: %s: %s\n", phases[i].name, strerror(-n));
			return EXIT_FAILURE;
		}
		wrong += n;
	}
	if (wrong)
		printf("%d things are wrong\n", wrong);
	return wrong || stopped ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* -- Command line ------------------------------------------------------------------------------ */

static int usage(FILE *to)
{
	fprintf(to, "usage: sudo stress [--seconds N] [--lbctl PATH] [--flow-table assoc|lru]\n");
	return 2;
}

static int options_parse(struct options *options, int argc, char **argv)
{
	static const struct option names[] = {
		{ "seconds", required_argument, NULL, 's' },
		{ "lbctl", required_argument, NULL, 'l' },
		{ "flow-table", required_argument, NULL, 't' },
		{},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (c == 's')
			options->seconds = atof(optarg);
		else if (c == 'l')
			options->lbctl = optarg;
		else if (c == 't')
			options->flow_table = optarg;
		else
			return -EINVAL;
	}
	return optind == argc && options->seconds > 0 ? 0 : -EINVAL;
}

static int skip(const char *why)
{
	printf("skipped: %s\n", why);
	return SKIPPED;
}

int main(int argc, char **argv)
{
	struct options options = {
		.lbctl = getenv("LBCTL") ? getenv("LBCTL") : "build/lbctl",
		.flow_table = "assoc",
		.seconds = 10,
	};
	static struct load load;
	int err;

	if (options_parse(&options, argc, argv))
		return usage(stderr);
	if (geteuid())
		return skip("needs root");
	if (access(options.lbctl, X_OK)) {
		fprintf(stderr, "stress: %s: %s\n", options.lbctl, strerror(errno));
		return EXIT_FAILURE;
	}
	setenv("LBCTL", options.lbctl, 1);
	unsetenv("LBCTL_PIN_DIR");
	signal(SIGINT, stop);
	signal(SIGTERM, stop);
	err = frames_lab__up(&load.lab);
	if (!err)
		err = frames_lab__arms(&load.lab, true);
	if (!err)
		err = load__open(&load);
	if (err == -ENODEV)
		return skip("needs two CPUs");
	if (err) {
		fprintf(stderr, "stress: the lab could not be set up: %s\n", strerror(-err));
		return EXIT_FAILURE;
	}
	return run_all(&options, &load);
}

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Real frames: how many a second pass the balancer in native mode, on one core and on two, beside
 * programs that only send on or drop. Every frame sent is accounted for.
 */
#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "cases.h"
#include "frames_run.h"

#include "frames.skel.h"

#define REPEATS	    3
#define NEW_PACKETS (1 << 17) /* of new flows in a run, so that all runs together fit the table */

enum place {
	PLACE_DROP, /* a program in the balancer's place */
	PLACE_SEND,
	PLACE_FULLNAT,
	PLACE_IPIP,
	PLACES,
};

static const char *const places[] = { "drop", "send", "fullnat", "ipip" };

static const struct {
	const char *name;
	uint32_t flows; /* 0: always new ones */
} sizes[] = {
	{ "1", 1 }, { "1k", 1 << 10 }, { "131k", 1 << 17 }, { "1M", 1 << 20 }, { "new", 0 },
};

#define SIZES (sizeof(sizes) / sizeof(*sizes))

struct options {
	const char *cases;
	const char *lbctl;
	const char *flow_table;
	bool json;
};

struct bench {
	struct frames frames;
	struct rig rig; /* opens the flows */
	struct setup setup;
	const struct options *options;
	json_t *rows;
	bool failed;
};

/* What happened to all frames of a case. */
struct balance {
	uint64_t sent;
	uint64_t received;
	struct frames_losses losses;
	int64_t dropped; /* by the balancer, by its own count; so below */
	int64_t passed;
	int64_t resets;	 /* among those received, packets of flows that the balancer doesn't know */
	json_t *reasons; /* of drops */
};

static void usage(FILE *to)
{
	fprintf(to,
		"usage: sudo frames [OPTIONS]\n"
		"  --cases PATTERN           only cases whose names match (tx/*/1core)\n"
		"  --flow-table assoc|lru    given to lbctl attach\n"
		"  --lbctl PATH              the lbctl to measure ($LBCTL, else build/lbctl)\n"
		"  --json                    JSON instead of the table\n"
		"tx: the balancer answers by the interface it was asked by; redirect: it sends\n"
		"on by another one\n");
}

/* 1: help is asked for. */
static int options__parse(struct options *options, int argc, char **argv)
{
	static const struct option names[] = {
		{ "cases", required_argument, NULL, 'c' },
		{ "flow-table", required_argument, NULL, 't' },
		{ "lbctl", required_argument, NULL, 'l' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (c == 'c')
			options->cases = optarg;
		else if (c == 't')
			options->flow_table = optarg;
		else if (c == 'l')
			options->lbctl = optarg;
		else if (c == 'j')
			options->json = true;
		else
			return c == 'h' ? 1 : -EINVAL;
	}
	return optind == argc ? 0 : -EINVAL;
}

/* -- Accounting -------------------------------------------------------------------------------- */

static void losses_minus(struct frames_losses *a, const struct frames_losses *b)
{
	a->ring_full_g0 -= b->ring_full_g0;
	a->ring_full_lb0 -= b->ring_full_lb0;
	a->ring_full_lb1 -= b->ring_full_lb1;
	a->dropped_lb0 -= b->dropped_lb0;
}

/* What the balancer counts, on top of what ret holds; sign -1 takes it off. */
static void balancer_count(struct balance *ret, int sign)
{
	json_t *drops = lab__show("drops"), *stats = lab__show("stats"), *row;
	size_t i;

	json_array_foreach(drops, i, row) {
		const char *reason = json_string_value(json_object_get(row, "reason"));
		json_int_t n = sign * json_integer_value(json_object_get(row, "packets"));

		ret->dropped += n;
		n += json_integer_value(json_object_get(ret->reasons, reason));
		if (n)
			json_object_set_new(ret->reasons, reason, json_integer(n));
		else
			json_object_del(ret->reasons, reason);
	}
	ret->passed += sign * json_integer_value(json_object_get(stats, "passed"));
	ret->resets += sign * json_integer_value(json_object_get(stats, "resets"));
	json_decref(drops);
	json_decref(stats);
}

static int64_t unaccounted(const struct balance *b)
{
	return b->sent - b->received - b->losses.ring_full_g0 - b->losses.ring_full_lb0 -
	       b->losses.ring_full_lb1 - b->losses.dropped_lb0 - b->dropped - b->passed;
}

static json_t *balance_json(const struct balance *b)
{
	return json_pack("{sI sI sI sI so sI sI sI sI sI sI}", "sent", b->sent, "received",
			 b->received, "of_these_resets", b->resets, "dropped_by_balancer",
			 b->dropped, "reasons", b->reasons, "passed_by_balancer", b->passed,
			 "ring_full_into_lb0", b->losses.ring_full_g0, "ring_full_into_g0",
			 b->losses.ring_full_lb0, "ring_full_into_s0", b->losses.ring_full_lb1,
			 "dropped_by_lb0", b->losses.dropped_lb0, "unaccounted", unaccounted(b));
}

/* -- Output ------------------------------------------------------------------------------------ */

/* All that isn't 0, reasons of drops among it. */
static void print_rest(const json_t *balance)
{
	const json_t *value;
	const char *key;

	json_object_foreach((json_t *)balance, key, value) {
		if (json_is_object(value))
			print_rest(value);
		else if (json_integer_value(value) && strcmp(key, "sent") &&
			 strcmp(key, "received"))
			printf(" %s %lld", key, (long long)json_integer_value(value));
	}
}

static void print_row(const json_t *row)
{
	static const char *const texts[] = { "skipped", "error" };
	const json_t *balance = json_object_get(row, "frames");
	size_t i;

	printf("%-26s", json_string_value(json_object_get(row, "case")));
	if (balance) {
		printf(" %8.2f %8.2f %10lld %10lld ",
		       json_number_value(json_object_get(row, "mpps")),
		       json_number_value(json_object_get(row, "mpps_median")),
		       (long long)json_integer_value(json_object_get(balance, "sent")),
		       (long long)json_integer_value(json_object_get(balance, "received")));
		print_rest(balance);
	}
	for (i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		if (json_object_get(row, texts[i]))
			printf("  %s: %s", texts[i],
			       json_string_value(json_object_get(row, texts[i])));
	}
	printf("\n");
	fflush(stdout);
}

static void row_end(struct bench *bench, json_t *row)
{
	if (json_object_get(row, "error"))
		bench->failed = true;
	if (!bench->options->json)
		print_row(row);
	json_array_append_new(bench->rows, row);
}

static void row_text(struct bench *bench, const char *name, const char *key, const char *text)
{
	row_end(bench, json_pack("{ss ss}", "case", name, key, text));
}

/* -- Measuring --------------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static int run_all(struct bench *bench, const struct frames_load *load, bool balanced,
		   struct balance *ret, double mpps[REPEATS])
{
	struct frames_losses before;
	int i, err = frames_lab__losses(&bench->frames.lab, &before);

	if (balanced)
		balancer_count(ret, -1);
	for (i = 0; i < REPEATS && !err; i++) {
		struct frames_result result;

		err = frames__run(&bench->frames, load, &result);
		if (err)
			return err;
		mpps[i] = result.mpps;
		ret->sent += result.sent;
		ret->received += result.received;
	}
	if (!err)
		err = frames_lab__losses(&bench->frames.lab, &ret->losses);
	losses_minus(&ret->losses, &before);
	if (balanced)
		balancer_count(ret, 1);
	qsort(mpps, REPEATS, sizeof(*mpps), by_size);
	return err;
}

static void measure(struct bench *bench, const char *name, const struct frames_load *load,
		    bool balanced)
{
	struct balance balance = { .reasons = json_object() };
	double mpps[REPEATS];
	json_t *row;
	int err = run_all(bench, load, balanced, &balance, mpps);

	if (err) {
		row_text(bench, name, "error", strerror(-err));
		return;
	}
	row = json_pack("{ss so so so}", "case", name, "mpps",
			json_real(round(mpps[REPEATS - 1] * 100) / 100), "mpps_median",
			json_real(round(mpps[REPEATS / 2] * 100) / 100), "frames",
			balance_json(&balance));
	if (unaccounted(&balance))
		json_object_set_new(row, "error", json_string("frames are lost without a count"));
	else if (!balance.received)
		json_object_set_new(row, "error", json_string("nothing was received"));
	row_end(bench, row);
}

static bool wanted(const struct bench *bench, bool two, enum place place, const char *size,
		   unsigned int threads, char name[48])
{
	snprintf(name, 48, "%s/%s/%s/%ucore", two ? "redirect" : "tx", places[place], size,
		 threads);
	return !fnmatch(bench->options->cases, name, 0);
}

/* The packets of a case: data of open flows, or SYNs of new ones. */
static void frame_of(const struct rig *rig, bool is_new, enum method method, uint32_t flows,
		     struct rig_case *c, struct rig_frame *ret)
{
	*c = (struct rig_case){
		.kind = is_new ? KIND_NEW : KIND_IN,
		.method = method,
		.proto = PACKET_TCP,
		.flows = flows,
		.vary = is_new ? RIG_NEW : RIG_RANDOM,
	};
	case__frame(rig, c, ret);
}

static void measure_floor(struct bench *bench, bool two, enum place place)
{
	struct frames_bpf *skel = bench->frames.skel;
	const struct bpf_program *prog = place == PLACE_DROP ? skel->progs.frames_sink
					 : two		     ? skel->progs.frames_redirect
							     : skel->progs.frames_tx;
	struct rig_frame frame;
	struct rig_case c;
	struct frames_load load = { .vary = RIG_RANDOM, .flows = 1 << 20, .frame = &frame };
	char name[48];
	int err;

	frame_of(&bench->rig, false, METHOD_FULLNAT, load.flows, &c, &frame);
	for (load.threads = 1; load.threads <= bench->frames.cpus_n; load.threads++) {
		if (!wanted(bench, two, place, "any", load.threads, name))
			continue;
		err = frames_lab__attach(&bench->frames.lab, NS_BALANCER, bench->frames.lab.lb0,
					 bpf_program__fd(prog));
		if (err)
			row_text(bench, name, "error", strerror(-err));
		else
			measure(bench, name, &load, false);
		frames_lab__attach(&bench->frames.lab, NS_BALANCER, bench->frames.lab.lb0, -1);
	}
}

static void measure_balancer(struct bench *bench, bool two, enum place place, size_t size)
{
	bool is_new = !sizes[size].flows;
	struct rig_frame frame;
	struct rig_case c;
	struct frames_load load = {
		.vary = is_new ? RIG_NEW : RIG_RANDOM,
		.flows = sizes[size].flows,
		.packets = is_new ? NEW_PACKETS : 0,
		.frame = &frame,
	};
	char name[48], text[LAB_WORDS + 32];
	int err;

	/* At least a flow for each thread. */
	frame_of(&bench->rig, is_new, place == PLACE_IPIP ? METHOD_IPIP : METHOD_FULLNAT,
		 load.flows < 2 ? 2 : load.flows, &c, &frame);
	for (load.threads = 1; load.threads <= bench->frames.cpus_n; load.threads++) {
		if (!wanted(bench, two, place, sizes[size].name, load.threads, name))
			continue;
		err = setup__for(&bench->setup, &bench->rig, &c);
		snprintf(text, sizeof(text), "%s%s", err == -EOPNOTSUPP ? "lbctl refuses: " : "",
			 bench->setup.refused[0] ? bench->setup.refused : strerror(-err));
		if (err)
			row_text(bench, name, err == -EOPNOTSUPP ? "skipped" : "error", text);
		else
			measure(bench, name, &load, true);
	}
}

static void measure_all(struct bench *bench, bool two)
{
	char words[LAB_WORDS];
	enum place place;
	size_t size;

	if (frames_lab__arms(&bench->frames.lab, two)) {
		row_text(bench, two ? "redirect" : "tx", "error", "no route to the backends");
		return;
	}
	measure_floor(bench, two, PLACE_SEND);
	if (!two)
		measure_floor(bench, two, PLACE_DROP);
	for (place = PLACE_FULLNAT; place < PLACES; place++) {
		for (size = 0; size < SIZES; size++)
			measure_balancer(bench, two, place, size);
	}
	lab__lbctl(words, "unload");
	bench->setup.up = false;
}

static int die(const char *what, int err)
{
	fprintf(stderr, "frames: %s: %s%s\n", what, strerror(-err),
		geteuid() ? "; run as root" : "");
	return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	struct options options = {
		.cases = "*",
		.lbctl = getenv("LBCTL") ? getenv("LBCTL") : "build/lbctl",
	};
	static struct bench bench = { .setup.ifaces = "lb0 lb1" };
	time_t start = time(NULL);
	json_t *root;
	int err;

	err = options__parse(&options, argc, argv);
	if (err) {
		usage(err < 0 ? stderr : stdout);
		return err < 0 ? 2 : 0;
	}
	if (access(options.lbctl, X_OK))
		return die(options.lbctl, -errno);
	setenv("LBCTL", options.lbctl, 1);
	unsetenv("LBCTL_PIN_DIR");
	bench.options = &options;
	bench.setup.flow_table = options.flow_table;
	bench.rows = json_array();
	err = frames_lab__up(&bench.frames.lab);
	if (err)
		return die("the lab could not be set up", err);
	err = frames__open(&bench.frames);
	if (!err)
		err = rig__open(&bench.rig, bench.frames.lab.lb0);
	if (err)
		return die("the rig's programs could not be loaded", err);
	if (!options.json)
		printf("%-26s %8s %8s %10s %10s  %s\n", "case", "Mpps", "median", "sent",
		       "received", "the rest");
	measure_all(&bench, false);
	measure_all(&bench, true);
	root = json_pack("{ss ss so si so}", "benchmark", "frames", "lbctl", options.lbctl,
			 "flow_table",
			 options.flow_table ? json_string(options.flow_table) : json_null(),
			 "seconds", (int)(time(NULL) - start), "cases", bench.rows);
	if (options.json) {
		json_dumpf(root, stdout, JSON_INDENT(1));
		printf("\n");
	}
	json_decref(root);
	return bench.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

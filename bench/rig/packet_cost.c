// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * What a packet costs: runs the program that lbctl has pinned, packet by packet and without a
 * network, and prints nanoseconds, instructions and cycles of each case.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <math.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <linux/bpf.h>

#include "cases.h"

#define RUNS_DEFAULT 15

struct options {
	const char *cases;
	const char *lbctl;
	const char *flow_table;
	unsigned int runs;
	bool json;
};

static void usage(FILE *to)
{
	fprintf(to,
		"usage: sudo packet_cost [OPTIONS]\n"
		"  --cases PATTERN[,...]     only cases whose names match one (*/tcp/in/*)\n"
		"  --runs N                  timed runs of each case (%d)\n"
		"  --flow-table assoc|lru    given to lbctl attach\n"
		"  --lbctl PATH              the lbctl to measure ($LBCTL, else build/lbctl)\n"
		"  --json                    JSON instead of the table\n",
		RUNS_DEFAULT);
}

/* 1: help is asked for. */
static int options__parse(struct options *options, int argc, char **argv)
{
	static const struct option names[] = {
		{ "cases", required_argument, NULL, 'c' },
		{ "runs", required_argument, NULL, 'r' },
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
		else if (c == 'r')
			options->runs = strtoul(optarg, NULL, 10);
		else if (c == 't')
			options->flow_table = optarg;
		else if (c == 'l')
			options->lbctl = optarg;
		else if (c == 'j')
			options->json = true;
		else
			return c == 'h' ? 1 : -EINVAL;
	}
	if (optind != argc)
		return -EINVAL;
	if (!options->runs || options->runs > RUNS_MAX) {
		fprintf(stderr, "packet_cost: --runs: from 1 to %d\n", RUNS_MAX);
		return -EINVAL;
	}
	return 0;
}

/* -- Output ------------------------------------------------------------------------------------ */

static json_t *tenths(double value)
{
	return json_real(round(value * 10) / 10);
}

static json_t *counted(const struct rig *rig, double value)
{
	return rig->perf.insns_fd < 0 ? json_null() : tenths(value);
}

static json_t *cost_json(const struct rig *rig, const struct cost *cost)
{
	return json_pack("{so so so so}", "ns_min", tenths(cost->ns_min), "ns_median",
			 tenths(cost->ns_median), "instructions", counted(rig, cost->insns),
			 "cycles", counted(rig, cost->cycles));
}

static void print_header(void)
{
	printf("%-22s %8s %8s %7s %8s %12s  %s\n", "case", "min ns", "median", "insns", "cycles",
	       "wrapper ns", "remarks");
}

static void print_cell(const json_t *row, const char *key, int width, int digits)
{
	const json_t *value = json_object_get(row, key);

	if (json_is_number(value))
		printf(" %*.*f", width, digits, json_number_value(value));
	else
		printf(" %*s", width, "-");
}

static void print_row(const json_t *row)
{
	static const char *const remarks[] = { "skipped", "error", "remark" };
	size_t i;

	printf("%-22s", json_string_value(json_object_get(row, "case")));
	print_cell(row, "ns_min", 8, 1);
	print_cell(row, "ns_median", 8, 1);
	print_cell(row, "instructions", 7, 0);
	print_cell(row, "cycles", 8, 0);
	print_cell(json_object_get(row, "wrapper"), "ns_min", 12, 1);
	for (i = 0; i < sizeof(remarks) / sizeof(*remarks); i++) {
		const char *text = json_string_value(json_object_get(row, remarks[i]));

		if (text)
			printf("  %s%s%s", i == 2 ? "" : remarks[i], i == 2 ? "" : ": ", text);
	}
	printf("\n");
	fflush(stdout);
}

/* -- Cases ------------------------------------------------------------------------------------- */

static void put_text(json_t *row, const char *key, const char *text)
{
	json_object_set_new(row, key, json_string(text));
}

/* RSTs to clients whose flow the balancer doesn't know; they are sent as packets are. */
static json_int_t resets(void)
{
	json_t *stats = lab__show("stats");
	json_int_t n = json_integer_value(json_object_get(stats, "resets"));

	json_decref(stats);
	return n;
}

static void put_remarks(json_t *row, const struct setup *setup, const struct measured *measured,
			json_int_t resets_n)
{
	char text[200] = "";

	if (setup->found < setup->opened / 1000.0 * 999)
		snprintf(text, sizeof(text), "only %u of %u flows are in the table; ", setup->found,
			 setup->opened);
	if (measured->met < measured->packets / 1000.0 * 999)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			 "only %.1f %% of the timed packets were answered as the first; ",
			 100.0 * measured->met / measured->packets);
	if (resets_n)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			 "%.2f %% were answered by RST; ", 100.0 * resets_n / measured->packets);
	if (text[0]) {
		text[strlen(text) - 2] = '\0';
		put_text(row, "remark", text);
	}
}

static int action_of(const struct rig_case *c)
{
	if (c->kind == KIND_FLOOD && c->method == METHOD_FULLNAT)
		return XDP_DROP;
	return c->kind <= KIND_FLOOD || c->kind == KIND_SWAP || c->kind == KIND_ECHO ? XDP_TX
									     : XDP_PASS;
}

static int case_measure(struct rig *rig, const struct setup *setup, const struct rig_case *c,
			json_t *row)
{
	struct rig_frame frame;
	struct source source = {
		.vary = c->vary,
		.flows = c->flows,
		.action = action_of(c),
		.encap = c->method == METHOD_IPIP,
		.frame = &frame,
	};
	struct measured measured = {};
	json_int_t before = 0;
	int err;

	case__frame(rig, c, &frame);
	if (setup->opened)
		before = resets();
	if (c->kind == KIND_SWAP || c->kind == KIND_ENCAP)
		err = rig__measure_floor(
			rig, &source, c->kind == KIND_SWAP ? FLOOR_SWAP : FLOOR_ENCAP, &measured);
	else
		err = rig__measure(rig, &source, &measured);
	if (err)
		return err;
	json_object_update_new(row, cost_json(rig, &measured.net));
	json_object_set_new(row, "wrapper", cost_json(rig, &measured.wrapper));
	json_object_set_new(row, "runs", json_integer(measured.runs));
	json_object_set_new(row, "packets", json_integer(measured.packets));
	json_object_set_new(row, "flows", json_integer(setup->opened));
	json_object_set_new(row, "flows_found", json_integer(setup->found));
	put_remarks(row, setup, &measured, setup->opened ? resets() - before : 0);
	return 0;
}

static json_t *case_run(struct rig *rig, struct setup *setup, const struct rig_case *c,
			bool *ret_failed)
{
	json_t *row = json_pack("{ss}", "case", c->name);
	int err = setup__for(setup, rig, c);
	const char *wrong = NULL;
	char text[LAB_WORDS + 32];

	if (err == -EOPNOTSUPP) {
		snprintf(text, sizeof(text), "lbctl refuses: %s", setup->refused);
		put_text(row, "skipped", text);
		return row;
	}
	if (err && setup->refused[0])
		wrong = setup->refused;
	if (!err)
		wrong = case__check(rig, c);
	if (!err && !wrong)
		err = case_measure(rig, setup, c, row);
	if (!wrong && err)
		wrong = err == -EPROTO ? "the wrapper lost the packet" : strerror(-err);
	if (wrong) {
		put_text(row, "error", wrong);
		*ret_failed = true;
	}
	return row;
}

static bool is_wanted(const struct rig_case *c, const char *patterns)
{
	char list[256], *pattern, *rest = list;

	snprintf(list, sizeof(list), "%s", patterns);
	while ((pattern = strsep(&rest, ","))) {
		if (!fnmatch(pattern, c->name, 0))
			return true;
	}
	return false;
}

static json_t *cases_run(struct rig *rig, const struct options *options, bool *ret_failed)
{
	static struct rig_case cases[CASES_MAX];
	struct setup setup = { .ifaces = LAB_IFACE, .flow_table = options->flow_table };
	unsigned int i, n = cases__all(cases);
	json_t *rows = json_array();

	if (!options->json)
		print_header();
	for (i = 0; i < n; i++) {
		json_t *row;

		if (!is_wanted(&cases[i], options->cases))
			continue;
		row = case_run(rig, &setup, &cases[i], ret_failed);
		if (!options->json)
			print_row(row);
		json_array_append_new(rows, row);
	}
	return rows;
}

static json_t *verified(const struct options *options)
{
	static const char *const modes[] = { "native", "generic" };
	json_t *row = json_object();
	uint32_t insns;
	size_t i;

	for (i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		int err = setup__verified(options->flow_table, modes[i], &insns);

		json_object_set_new(row, modes[i], err ? json_null() : json_integer(insns));
		if (!options->json && !err)
			printf("verifier, %s: %u instructions looked at\n", modes[i], insns);
	}
	return row;
}

static int die(const char *what, int err)
{
	fprintf(stderr, "packet_cost: %s: %s%s\n", what, strerror(-err),
		geteuid() ? "; run as root" : "");
	return EXIT_FAILURE;
}

/* Nobody else on this CPU during a run, where that is allowed; not for the commands we run. */
static void go_first(void)
{
	struct sched_param param = { .sched_priority = 1 };

	sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param);
}

int main(int argc, char **argv)
{
	struct options options = {
		.cases = "*",
		.lbctl = getenv("LBCTL") ? getenv("LBCTL") : "build/lbctl",
		.runs = RUNS_DEFAULT,
	};
	struct rig rig = {};
	bool failed = false;
	time_t start = time(NULL);
	json_t *rows, *root;
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
	rig.runs = options.runs;
	err = lab__enter();
	if (!err)
		err = lab__one_armed();
	if (err)
		return die("the lab could not be set up", err);
	err = rig__open(&rig, if_nametoindex(LAB_IFACE));
	if (err)
		return die("the wrapper could not be loaded", err);
	go_first();
	rows = cases_run(&rig, &options, &failed);
	root = json_pack("{ss ss so sb so si so}", "benchmark", "packet_cost", "lbctl",
			 options.lbctl, "flow_table",
			 options.flow_table ? json_string(options.flow_table) : json_null(),
			 "counters", rig.perf.insns_fd >= 0, "verified_insns", verified(&options),
			 "seconds", (int)(time(NULL) - start), "cases", rows);
	if (options.json) {
		json_dumpf(root, stdout, JSON_INDENT(1));
		printf("\n");
	}
	json_decref(root);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

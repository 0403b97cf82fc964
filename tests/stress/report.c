// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Adds up a phase: checkers, balancer, drivers; says what doesn't fit. */
#include "report.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lab.h"
#include "stress.skel.h"

static const char *const error_names[] = {
#define NAME(name, text) #name,
	STRESS_ERRORS(NAME)
#undef NAME
};

static const char *const error_texts[] = {
#define TEXT(name, text) text,
	STRESS_ERRORS(TEXT)
#undef TEXT
};

/* -- What drivers lost ------------------------------------------------------------------------- */

static bool is_loss(const char *name)
{
	static const char *const ends[] = { "_xdp_xmit_errors", "_xdp_tx_errors", "_drops" };
	size_t i, len = strnlen(name, FRAMES_STAT_NAME);

	if (len > 10 && !memcmp(name + len - 10, "_xdp_drops", 10))
		return false; /* a program's own decision */
	for (i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		size_t end = strlen(ends[i]);

		if (len > end && !memcmp(name + len - end, ends[i], end))
			return true;
	}
	return false;
}

int64_t report__lost(const struct frames_lab *lab)
{
	static const struct {
		enum frames_ns ns;
		const char *iface;
	} places[] = { { NS_GENERATOR, "g0" },
		       { NS_SINK, "s0" },
		       { NS_BALANCER, "lb0" },
		       { NS_BALANCER, "lb1" } };
	static struct frames_stats stats;
	int64_t sum = 0;
	uint32_t j;
	size_t i;

	for (i = 0; i < sizeof(places) / sizeof(*places); i++) {
		if (frames_lab__stats(lab, places[i].ns, places[i].iface, &stats))
			continue;
		for (j = 0; j < stats.n; j++) {
			if (is_loss(stats.names[j]))
				sum += stats.values[j];
		}
	}
	return sum;
}

/* -- What checkers and balancer counted -------------------------------------------------------- */

static void take_checkers(struct report *report, const struct load *load)
{
	const struct stress_count *counts = load->skel->bss->counts;
	int i, error;

	for (i = 0; i < STRESS_CPUS; i++) {
		report->sent += load->skel->bss->gens[i].sent + counts[i].replies;
		report->alone += load->skel->bss->gens[i].alone;
		report->counts.backend += counts[i].backend;
		report->counts.client += counts[i].client;
		report->counts.judged += counts[i].judged;
		report->counts.replies += counts[i].replies;
		report->counts.resets += counts[i].resets;
		report->counts.strays += counts[i].strays;
		for (error = 0; error < STRESS_ERRORS_N; error++)
			report->counts.errors[error] += counts[i].errors[error];
	}
}

static json_int_t number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

int report__take(struct report *report, const struct load *load, int64_t lost_before)
{
	json_t *drops = lab__show("drops"), *stats = lab__show("stats"), *flows, *row;
	size_t i;

	*report = (struct report){ .reasons = json_object() };
	if (!drops || !stats)
		return -EIO;
	take_checkers(report, load);
	report->lost = report__lost(&load->lab) - lost_before;
	json_array_foreach(drops, i, row) {
		report->dropped += number(row, "packets");
		if (number(row, "packets"))
			json_object_set(report->reasons,
					json_string_value(json_object_get(row, "reason")),
					json_object_get(row, "packets"));
	}
	flows = json_object_get(stats, "flows");
	report->passed = number(stats, "passed");
	report->created = number(flows, "created");
	report->evicted = number(flows, "evicted");
	report->expired = number(flows, "expired");
	json_decref(drops);
	json_decref(stats);
	return 0;
}

/* -- Output ------------------------------------------------------------------------------------ */

void report__print(const struct report *report, const char *phase, double seconds)
{
	const json_t *value;
	const char *key;
	int i;

	printf("%-9s %5.1f s  packets %9llu  judged %9llu  replies %9llu  created %8lld  "
	       "evicted %8lld ",
	       phase, seconds, (unsigned long long)report->sent,
	       (unsigned long long)report->counts.judged,
	       (unsigned long long)report->counts.replies, (long long)report->created,
	       (long long)report->evicted);
	for (i = 0; i < STRESS_ERRORS_N; i++)
		printf(" %s %llu", error_names[i], (unsigned long long)report->counts.errors[i]);
	printf("\n          resets %llu, strays %llu, alone %llu, lost in full rings %lld; drops:",
	       (unsigned long long)report->counts.resets, (unsigned long long)report->counts.strays,
	       (unsigned long long)report->alone, (long long)report->lost);
	json_object_foreach(report->reasons, key, value)
		printf(" %s %lld", key, (long long)json_integer_value(value));
	printf("\n");
	fflush(stdout);
}

static void print_sample(const struct stress_sample *sample)
{
	char saddr[INET_ADDRSTRLEN], daddr[INET_ADDRSTRLEN], client[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &sample->saddr, saddr, sizeof(saddr));
	inet_ntop(AF_INET, &sample->daddr, daddr, sizeof(daddr));
	inet_ntop(AF_INET, &sample->id.saddr, client, sizeof(client));
	printf("  %s: client %u (%s:%u to port %u, kind %u, flags %02x, connection %u, batch %u of "
	       "CPU %u) %s:%u > %s:%u, known %llx, seen %llx\n",
	       error_names[sample->error % STRESS_ERRORS_N], sample->id.client, client,
	       ntohs(sample->id.sport), ntohs(sample->id.dport), sample->id.kind, sample->id.flags,
	       sample->id.conn, sample->id.batch, sample->id.cpu, saddr, ntohs(sample->sport),
	       daddr, ntohs(sample->dport), (unsigned long long)sample->known,
	       (unsigned long long)sample->seen);
}

/* Reasons that this traffic explains; any other is a bug. */
static bool reason_is_explained(const char *reason)
{
	static const char *const explained[] = { "tcp_flags", "no_port", "port_lost", "flow_busy",
						 "reply_no_flow" };
	size_t i;

	for (i = 0; i < sizeof(explained) / sizeof(*explained); i++) {
		if (!strcmp(reason, explained[i]))
			return true;
	}
	return false;
}

int report__judge(const struct report *report, const struct load *load, bool passes)
{
	const struct stress_count *counts = &report->counts;
	int64_t missing = report->sent - counts->backend - counts->client - report->lost -
			  report->dropped - report->passed;
	uint32_t samples_n = load->skel->bss->samples_n, sample;
	const json_t *value;
	const char *key;
	int error, wrong = 0;

	for (error = 0; error < STRESS_ERRORS_N; error++) {
		if (!counts->errors[error])
			continue;
		wrong++;
		printf("WRONG: %llu packets: %s\n", (unsigned long long)counts->errors[error],
		       error_texts[error]);
	}
	for (sample = 0; sample < samples_n && sample < STRESS_SAMPLES; sample++)
		print_sample(&load->skel->bss->samples[sample]);
	if (missing) {
		wrong++;
		printf("WRONG: %lld packets are nowhere\n", (long long)missing);
	}
	if (report->passed && !passes) {
		wrong++;
		printf("WRONG: %lld packets went up to the host\n", (long long)report->passed);
	}
	json_object_foreach(report->reasons, key, value) {
		if (reason_is_explained(key))
			continue;
		wrong++;
		printf("WRONG: %lld packets dropped as %s\n", (long long)json_integer_value(value),
		       key);
	}
	if (!counts->judged) {
		wrong++;
		printf("WRONG: nothing was judged\n");
	}
	return wrong;
}

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * What the running kernel makes of the object's programs: verifier instructions, sizes and stack, a
 * line of JSON for each program of each variant. A program that is refused: the verifier's
 * last words.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <jansson.h>

#include "object.h"

#define PROGRAMS_MAX  8
#define FUNCTIONS_MAX 256
#define INSNS_MAX     65536
#define STACK_ROUND   32 /* each frame, before Linux 6.8 */
#define LOG_STATS     4	 /* level: only what it took */
#define LOG_SIZE      32768
#define TAIL_SIZE     3000

static char logs[PROGRAMS_MAX][LOG_SIZE];
static bool spin_lock; /* which of the two objects: lbctl's choice */

/* A program as the kernel has it, without what is dead. */
struct code {
	struct bpf_insn insns[INSNS_MAX];
	struct bpf_func_info starts[FUNCTIONS_MAX];
	unsigned int depths[FUNCTIONS_MAX];
	unsigned int insns_n;
	unsigned int functions_n;
};

/* The end of what the verifier says. */
static int log_tail(enum libbpf_print_level level, const char *format, va_list args)
{
	static char text[1 << 24];
	int len;

	if (level != LIBBPF_WARN)
		return 0;
	len = vsnprintf(text, sizeof(text), format, args);
	if (len >= (int)sizeof(text))
		len = sizeof(text) - 1;
	return fprintf(stderr, "%s%s", len > TAIL_SIZE ? "...\n" : "",
		       text + (len > TAIL_SIZE ? len - TAIL_SIZE : 0));
}

/* Frames of a function and the calls below it that need most. */
static unsigned int stack_below(const struct code *code, unsigned int function)
{
	unsigned int at, end, below, deepest = 0, own = code->depths[function];

	own = own ? (own + STACK_ROUND - 1) / STACK_ROUND * STACK_ROUND : STACK_ROUND;
	at = code->starts[function].insn_off;
	end = function + 1 < code->functions_n ? code->starts[function + 1].insn_off
					       : code->insns_n;
	for (; at < end; at++) {
		const struct bpf_insn *insn = &code->insns[at];

		if (insn->code != (BPF_JMP | BPF_CALL) || insn->src_reg != BPF_PSEUDO_CALL)
			continue;
		/* In a program that was compiled by the kernel it is the function's number. */
		below = (unsigned int)insn->imm < code->functions_n ? stack_below(code, insn->imm)
								    : 0;
		if (below > deepest)
			deepest = below;
	}
	return own + deepest;
}

/*
 * "stack depth 368+0+32": a number for each function; newer kernels say "stack depth max 384", the
 * sum of the deepest chain of calls.
 */
static int stack_read(const char *log, struct code *code, json_int_t *ret)
{
	static const char words[] = "stack depth ", max[] = "max ";
	const char *at = strstr(log, words);
	unsigned int n = 0;
	char *end;

	if (!at)
		return -ENODATA;
	at += strlen(words);
	if (!strncmp(at, max, strlen(max))) {
		*ret = strtoul(at + strlen(max), NULL, 10);
		return 0;
	}
	for (;;) {
		if (n == FUNCTIONS_MAX)
			return -E2BIG;
		code->depths[n++] = strtoul(at, &end, 10);
		if (*end != '+')
			break;
		at = end + 1;
	}
	if (n != code->functions_n)
		return -EPROTO;
	*ret = stack_below(code, 0);
	return 0;
}

static int insns_read(const char *log, json_int_t *ret)
{
	const char *at = strstr(log, "processed ");

	if (!at)
		return -ENODATA;
	*ret = strtoul(at + strlen("processed "), NULL, 10);
	return 0;
}

static int print_program(const struct variant *variant, struct bpf_program *prog, const char *log)
{
	static struct code code;
	struct bpf_prog_info info = {
		.xlated_prog_insns = (uintptr_t)code.insns,
		.xlated_prog_len = sizeof(code.insns),
		.func_info = (uintptr_t)code.starts,
		.nr_func_info = FUNCTIONS_MAX,
		.func_info_rec_size = sizeof(*code.starts),
	};
	uint32_t size = sizeof(info);
	json_int_t insns = 0, stack = 0;
	json_t *row;
	int err;

	err = bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &size);
	if (err)
		return err;
	code.insns_n = info.xlated_prog_len / sizeof(*code.insns);
	code.functions_n = info.nr_func_info ? info.nr_func_info : 1;
	err = info.xlated_prog_len > sizeof(code.insns) || !info.jited_prog_len ? -EPROTO : 0;
	if (!err)
		err = stack_read(log, &code, &stack);
	if (!err)
		err = insns_read(log, &insns);
	if (err)
		return err;
	row = json_pack("{ss ss sI si si sI}", "variant", variant->name, "program",
			bpf_program__name(prog), "insns", insns, "xlated",
			(int)info.xlated_prog_len, "jited", (int)info.jited_prog_len, "stack",
			stack);
	if (!row)
		return -ENOMEM;
	json_dumpf(row, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(row);
	return 0;
}

/* Once more without a log of our own: libbpf asks for the whole then, and prints it. */
static void refused(const struct variant *variant)
{
	struct lb_bpf *skel;

	fprintf(stderr, "refused: %s\n", variant->name);
	libbpf_set_print(log_tail);
	if (!object__open(variant, spin_lock, &skel)) {
		lb_bpf__load(skel);
		lb_bpf__destroy(skel);
	}
	libbpf_set_print(NULL);
}

static int print_variant(const struct variant *variant)
{
	struct bpf_program *prog;
	struct lb_bpf *skel;
	int i = 0, err;

	err = object__open(variant, spin_lock, &skel);
	if (err)
		return err;
	memset(logs, 0, sizeof(logs));
	bpf_object__for_each_program(prog, skel->obj) {
		if (i == PROGRAMS_MAX)
			err = -E2BIG;
		else if (!bpf_program__set_log_buf(prog, logs[i++], LOG_SIZE))
			bpf_program__set_log_level(prog, LOG_STATS);
	}
	if (!err)
		err = lb_bpf__load(skel);
	if (err) {
		lb_bpf__destroy(skel);
		refused(variant);
		return err;
	}
	i = 0;
	bpf_object__for_each_program(prog, skel->obj) {
		err = print_program(variant, prog, logs[i++]);
		if (err) {
			fprintf(stderr, "figures: %s, %s: no figures: %s; the log: %s\n",
				variant->name, bpf_program__name(prog), strerror(-err),
				logs[i - 1]);
			break;
		}
	}
	lb_bpf__destroy(skel);
	return err;
}

int main(void)
{
	int i, failed = 0;

	libbpf_set_print(NULL);
	spin_lock = !programs__have_atomics();
	for (i = 0; i < VARIANTS_N; i++)
		failed |= print_variant(&variants[i]) != 0;
	return failed;
}

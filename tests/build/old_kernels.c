/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Rules of older verifiers that the running kernel no longer has, checked on the programs as
 * libbpf loads them: each compiler lays out loops and stacks in its own way.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>

#include "object.h"

#define STACK_MAX   512	   /* of a chain of calls */
#define STACK_ROUND 32	   /* each frame, before Linux 6.8 */
#define FRAMES_MAX  8	   /* calls within each other */
#define EFFORT_MAX  500000 /* half of the limit: kernels and compilers differ by up to 2 */

#define INSN_EXIT (BPF_JMP | BPF_EXIT)
#define INSN_CALL (BPF_JMP | BPF_CALL)
#define INSN_JUMP (BPF_JMP | BPF_JA)
#define INSN_IMM  (BPF_LD | BPF_IMM | BPF_DW) /* two slots */

static struct lb_bpf *skel_load(const struct variant *variant, bool spin_lock)
{
	struct lb_bpf *skel;

	assert_int_equal(object__open(variant, spin_lock, &skel), 0);
	assert_int_equal(lb_bpf__load(skel), 0);
	return skel;
}

static bool is_jump(const struct bpf_insn *insn)
{
	return BPF_CLASS(insn->code) == BPF_JMP || BPF_CLASS(insn->code) == BPF_JMP32;
}

/* A call within the program, or the address of a function of it. Answers where that is, or -1. */
static int callee(const struct bpf_insn *insns, int at)
{
	if ((insns[at].code == INSN_CALL && insns[at].src_reg == BPF_PSEUDO_CALL) ||
	    (insns[at].code == INSN_IMM && insns[at].src_reg == BPF_PSEUDO_FUNC))
		return at + 1 + insns[at].imm;
	return -1;
}

struct edge {
	int to;
	bool may_loop; /* Linux before 6.7 takes a way back only from a jump */
};

static int edges_of(const struct bpf_insn *insns, int at, struct edge *ret)
{
	const struct bpf_insn *insn = &insns[at];
	int n = 0;

	if (insn->code == INSN_EXIT)
		return 0;
	if (insn->code == INSN_JUMP) {
		ret[n++] = (struct edge){ at + 1 + insn->off, true };
		return n;
	}
	if (is_jump(insn) && insn->code != INSN_CALL) {
		ret[n++] = (struct edge){ at + 1, true };
		ret[n++] = (struct edge){ at + 1 + insn->off, true };
		return n;
	}
	ret[n++] = (struct edge){ at + (insn->code == INSN_IMM ? 2 : 1), false };
	if (callee(insns, at) >= 0)
		ret[n++] = (struct edge){ callee(insns, at), false };
	return n;
}

enum visit {
	VISIT_NEW,
	VISIT_OPEN,
	VISIT_DONE,
};

/* The verifier's walk, depth first. Answers how many ways back it would refuse. */
static unsigned int count_back_edges(const struct bpf_insn *insns, int insns_n)
{
	enum visit *state = calloc(insns_n, sizeof(*state));
	int *stack = calloc(insns_n, sizeof(*stack)), *next = calloc(insns_n, sizeof(*next));
	unsigned int bad = 0;
	struct edge edges[2], *edge;
	int depth = 1, at, n;

	assert_true(state && stack && next);
	state[0] = VISIT_OPEN;
	while (depth) {
		at = stack[depth - 1];
		n = edges_of(insns, at, edges);
		if (next[at] == n) {
			state[at] = VISIT_DONE;
			depth--;
			continue;
		}
		edge = &edges[next[at]++];
		assert_in_range(edge->to, 0, insns_n - 1);
		if (state[edge->to] == VISIT_NEW) {
			state[edge->to] = VISIT_OPEN;
			stack[depth++] = edge->to;
		} else if (state[edge->to] == VISIT_OPEN && !edge->may_loop) {
			print_message("back-edge from insn %d to %d\n", at, edge->to);
			bad++;
		}
	}
	free(state);
	free(stack);
	free(next);
	return bad;
}

/* In both objects: the one with atomics and the one with a lock. */
static void test_loops(void **state)
{
	struct bpf_program *prog;
	struct lb_bpf *skel;
	unsigned int bad = 0;
	size_t i;

	(void)state;
	for (i = 0; i < 2 * VARIANTS_N; i++) {
		skel = skel_load(&variants[i / 2], i % 2);
		bpf_object__for_each_program(prog, skel->obj)
			bad += count_back_edges(bpf_program__insns(prog),
						bpf_program__insn_cnt(prog));
		lb_bpf__destroy(skel);
	}
	assert_int_equal(bad, 0);
}

/* The deepest byte below the frame pointer that a function touches or takes the address of. */
static int frame_size(const struct bpf_insn *insns, int at, int end)
{
	bool is_frame[MAX_BPF_REG] = { false };
	int size = 1;

	for (; at < end; at++) {
		const struct bpf_insn *insn = &insns[at];
		int class = BPF_CLASS(insn->code), offset = 0;

		if ((class == BPF_LDX && insn->src_reg == BPF_REG_10) ||
		    ((class == BPF_ST || class == BPF_STX) && insn->dst_reg == BPF_REG_10))
			offset = insn->off;
		else if (insn->code == (BPF_ALU64 | BPF_ADD | BPF_K) && is_frame[insn->dst_reg])
			offset = insn->imm;
		if (class == BPF_LDX || class == BPF_LD || class == BPF_ALU || class == BPF_ALU64)
			is_frame[insn->dst_reg] = insn->code == (BPF_ALU64 | BPF_MOV | BPF_X) &&
						  insn->src_reg == BPF_REG_10;
		if (-offset > size)
			size = -offset;
		if (insn->code == INSN_IMM)
			at++;
	}
	return (size + STACK_ROUND - 1) / STACK_ROUND * STACK_ROUND;
}

static int function_end(const struct bpf_insn *insns, int insns_n, int start)
{
	int at, end = insns_n;

	for (at = 0; at < insns_n; at++) {
		if (callee(insns, at) > start && callee(insns, at) < end)
			end = callee(insns, at);
	}
	return end;
}

struct chain {
	int bytes;
	int frames[FRAMES_MAX];
	int starts[FRAMES_MAX]; /* first instruction of each function */
	int frames_n;
};

/* The calls below a function, itself included, that need the most stack; innermost first. */
static struct chain deepest_chain(const struct bpf_insn *insns, int insns_n, int start)
{
	int at, end = function_end(insns, insns_n, start), own = frame_size(insns, start, end);
	struct chain chain, deepest = { 0 };

	for (at = start; at < end; at++) {
		if (callee(insns, at) < 0)
			continue;
		chain = deepest_chain(insns, insns_n, callee(insns, at));
		if (chain.bytes > deepest.bytes)
			deepest = chain;
	}
	assert_in_range(deepest.frames_n, 0, FRAMES_MAX - 1);
	deepest.bytes += own;
	deepest.starts[deepest.frames_n] = start;
	deepest.frames[deepest.frames_n++] = own;
	return deepest;
}

static void print_chain(struct bpf_program *prog, const struct chain *chain)
{
	int i;

	print_message("%s: stack of %d bytes:", bpf_program__name(prog), chain->bytes);
	for (i = chain->frames_n - 1; i >= 0; i--)
		print_message(" %d (insn %d)", chain->frames[i], chain->starts[i]);
	print_message("\n");
}

/*
 * Of the programs as they are compiled: code of the other table or mode, which the verifier doesn't
 * enter, counts here too, so one load of each object tells for all.
 */
static void test_stack(void **state)
{
	struct bpf_program *prog;
	struct lb_bpf *skel;
	struct chain chain;
	int i, most = 0;

	(void)state;
	for (i = 0; i < 2; i++) {
		skel = skel_load(&variants[0], i);
		bpf_object__for_each_program(prog, skel->obj) {
			chain = deepest_chain(bpf_program__insns(prog), bpf_program__insn_cnt(prog),
					      0);
			print_chain(prog, &chain);
			if (chain.bytes > most)
				most = chain.bytes;
		}
		lb_bpf__destroy(skel);
	}
	assert_in_range(most, 0, STACK_MAX);
}

/* What verifying cost here, as a sign of what it costs elsewhere. */
static void test_effort(void **state)
{
	struct bpf_prog_info info;
	struct bpf_program *prog;
	struct lb_bpf *skel;
	uint32_t size;
	size_t i;
	int err;

	(void)state;
	for (i = 0; i < 2 * VARIANTS_N; i++) {
		skel = skel_load(&variants[i / 2], i % 2);
		bpf_object__for_each_program(prog, skel->obj) {
			memset(&info, 0, sizeof(info));
			size = sizeof(info);
			err = bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &size);
			assert_int_equal(err, 0);
			if (!info.verified_insns) { /* before Linux 5.16 */
				lb_bpf__destroy(skel);
				skip();
			}
			print_message("%s, %s%s: the verifier processed %u instructions\n",
				      bpf_program__name(prog), variants[i / 2].name,
				      i % 2 ? ", lock" : "", info.verified_insns);
			assert_in_range(info.verified_insns, 0, EFFORT_MAX);
		}
		lb_bpf__destroy(skel);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loops),
		cmocka_unit_test(test_stack),
		cmocka_unit_test(test_effort),
	};

	if (geteuid()) {
		puts("loading programs needs root");
		return 77;
	}
	return cmocka_run_group_tests_name("old kernels", tests, NULL, NULL);
}

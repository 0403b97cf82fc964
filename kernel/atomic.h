/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Atomics on a shared word, each in order with all reads and writes around it: in BPF only those that
 * answer are (linux/Documentation/bpf/standardization, "Atomic operations"). Kernels before 5.12 have
 * none of those; for them the object is compiled with LB_SPIN_LOCK, and one lock stands for all.
 */
#ifndef LB_ATOMIC_H
#define LB_ATOMIC_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#ifdef LB_SPIN_LOCK

struct lb_atomic {
	struct bpf_spin_lock lock;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lb_atomic);
} lb_atomic SEC(".maps");

/*
 * Becomes (word & mask) + more if it has the bits of old that same names. Answers what it was. Not
 * inlined, for its callers' stacks; without a branch, for the verifier.
 */
static __noinline __u32 atomic_change(__u32 *word, __u32 same, __u32 old, __u32 mask, __u32 more)
{
	__u32 zero = 0, seen, other;
	struct lb_atomic *atomic = bpf_map_lookup_elem(&lb_atomic, &zero);

	if (!atomic)
		return ~old; /* can't be: the element of an array */
	bpf_spin_lock(&atomic->lock);
	seen = *(volatile __u32 *)word;
	other = (seen ^ old) & same;
	other = (other | -other) >> 31;
	barrier_var(other);
	other--; /* all ones: they are the same */
	*(volatile __u32 *)word = (((seen & mask) + more) & other) | (seen & ~other);
	bpf_spin_unlock(&atomic->lock);
	return seen;
}

static __always_inline __u32 atomic_cas(__u32 *word, __u32 old, __u32 next)
{
	return atomic_change(word, ~0u, old, 0, next);
}

static __always_inline __u32 atomic_or(__u32 *word, __u32 bits)
{
	return atomic_change(word, 0, 0, ~bits, bits);
}

static __always_inline __u32 atomic_and(__u32 *word, __u32 mask)
{
	return atomic_change(word, 0, 0, mask, 0);
}

static __always_inline __u32 atomic_add(__u32 *word, __u32 more)
{
	return atomic_change(word, 0, 0, ~0u, more);
}

#else

/* Answer what the word was before; atomic_cas() changed it if that is old. */
static __always_inline __u32 atomic_cas(__u32 *word, __u32 old, __u32 next)
{
	return __sync_val_compare_and_swap(word, old, next);
}

static __always_inline __u32 atomic_or(__u32 *word, __u32 bits)
{
	__u32 seen = __sync_fetch_and_or(word, bits);

	barrier_var(seen); /* else one whose answer nobody wants becomes one that answers nothing */
	return seen;
}

static __always_inline __u32 atomic_and(__u32 *word, __u32 mask)
{
	__u32 seen = __sync_fetch_and_and(word, mask);

	barrier_var(seen);
	return seen;
}

static __always_inline __u32 atomic_add(__u32 *word, __u32 more)
{
	__u32 seen = __sync_fetch_and_add(word, more);

	barrier_var(seen);
	return seen;
}

#endif

#endif

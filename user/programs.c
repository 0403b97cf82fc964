// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Which of the two objects this kernel takes, found out by trying. */
#include "programs.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "lb_spin.skel.h"

bool programs__have_atomics(void)
{
	const struct bpf_insn insns[] = {
		/* r0 = 0; *(u64 *)(fp - 8) = r0; r0 = cmpxchg(fp - 8, r0, r0); exit */
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_STX | BPF_MEM | BPF_DW, .dst_reg = BPF_REG_10, .off = -8 },
		{ .code = BPF_STX | BPF_ATOMIC | BPF_DW, .dst_reg = BPF_REG_10, .off = -8,
		  .imm = BPF_CMPXCHG },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "lb_probe", "GPL", insns,
			       sizeof(insns) / sizeof(*insns), NULL);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

struct lb_bpf *programs__open_elf(const void *elf, size_t size)
{
	struct lb_bpf *skel = calloc(1, sizeof(*skel));
	int err;

	if (!skel)
		return NULL;
	err = lb_bpf__create_skeleton(skel);
	if (!err) {
		skel->skeleton->data = (void *)elf;
		skel->skeleton->data_sz = size;
		err = bpf_object__open_skeleton(skel->skeleton, NULL);
	}
	if (!err)
		return skel;
	lb_bpf__destroy(skel);
	errno = -err;
	return NULL;
}

struct lb_bpf *programs__open(bool spin_lock)
{
	const void *elf;
	size_t size;

	elf = spin_lock ? lb_spin_bpf__elf_bytes(&size) : lb_bpf__elf_bytes(&size);
	return programs__open_elf(elf, size);
}

// SPDX-License-Identifier: MIT
/*
 * The stack that a new program finds (System V ABI, x86-64 supplement, "Process Initialization"):
 * from the stack pointer up: argc, argv, NULL, envp, NULL, the auxiliary vector, and above them the
 * strings. getauxval(3) lists the entries.
 */
#include "proc.h"
#include <kernel/errno.h>
#include <kernel/string.h>

enum {
	AT_NULL = 0,
	AT_PHDR = 3,
	AT_PHENT = 4,
	AT_PHNUM = 5,
	AT_PAGESZ = 6,
	AT_BASE = 7,
	AT_FLAGS = 8,
	AT_ENTRY = 9,
	AT_UID = 11,
	AT_EUID = 12,
	AT_GID = 13,
	AT_EGID = 14,
	AT_PLATFORM = 15,
	AT_HWCAP = 16,
	AT_CLKTCK = 17,
	AT_SECURE = 23,
	AT_RANDOM = 25,
	AT_HWCAP2 = 26,
	AT_RSEQ_FEATURE_SIZE = 27,
	AT_RSEQ_ALIGN = 28,
	AT_EXECFN = 31,
	AT_MINSIGSTKSZ = 51,
};

#define PHDR_SIZE       56
#define HWCAP2_FSGSBASE 2
#define AUX_MAX         24

static const char platform[] = "x86_64";

struct aux {
	uint64_t v[2 * AUX_MAX];
	size_t n;
};

static void aux_add(struct aux *a, uint64_t type, uint64_t value)
{
	a->v[a->n++] = type;
	a->v[a->n++] = value;
}

static void aux_fill(
	struct aux *a, const struct elf_image *image, uint64_t path, uint64_t plat, uint64_t random)
{
	uint32_t r[4];

	cpuid(1, 0, r);
	aux_add(a, AT_HWCAP, r[3]);
	aux_add(a, AT_PAGESZ, PAGE_SIZE);
	aux_add(a, AT_CLKTCK, 100);
	aux_add(a, AT_PHDR, image->phdr);
	aux_add(a, AT_PHENT, PHDR_SIZE);
	aux_add(a, AT_PHNUM, image->phnum);
	aux_add(a, AT_BASE, 0);
	aux_add(a, AT_FLAGS, 0);
	aux_add(a, AT_ENTRY, image->entry);
	aux_add(a, AT_UID, 0);
	aux_add(a, AT_EUID, 0);
	aux_add(a, AT_GID, 0);
	aux_add(a, AT_EGID, 0);
	aux_add(a, AT_SECURE, 0);
	aux_add(a, AT_RANDOM, random);
	aux_add(a, AT_HWCAP2, cpu_features.fsgsbase ? HWCAP2_FSGSBASE : 0);
	aux_add(a, AT_MINSIGSTKSZ, signal_frame_max());
	aux_add(a, AT_RSEQ_FEATURE_SIZE, RSEQ_FEATURE_SIZE);
	aux_add(a, AT_RSEQ_ALIGN, RSEQ_AREA_SIZE);
	aux_add(a, AT_EXECFN, path);
	aux_add(a, AT_PLATFORM, plat);
	aux_add(a, AT_NULL, 0);
}

/* Much more than the pointers take below the strings: the auxiliary vector and what aligns it. */
#define STACK_EXTRA 4096

/* The stack is mapped for small argument lists; for large ones it grows now. */
static int make_room(struct mm *mm, uint64_t top, const struct exec_strings *argv,
	const struct exec_strings *envp)
{
	uint64_t need = argv->bytes + envp->bytes + (argv->count + envp->count) * 8 + STACK_EXTRA;
	struct vmt_area area;

	if (vmt_area_find(mm->space, top - PAGE_SIZE, &area) != VMT_OK)
		return -EFAULT;
	if (top - area.start >= need)
		return 0;
	return vmt_grow_down(mm->space, top - need, USER_END, 0) == VMT_OK ? 0 : -ENOMEM;
}

/* Puts bytes below *sp. */
static int push(struct mm *mm, uint64_t *sp, const void *data, size_t n)
{
	*sp -= n;
	return mm_copy_to(mm, *sp, data, n);
}

int exec_build_stack(struct mm *mm, const struct elf_image *image, const struct exec_strings *argv,
	const struct exec_strings *envp, const char *path, uint64_t *sp)
{
	uint64_t top = *sp - sizeof(uint64_t), bytes[2] = {random_u64(), random_u64()};
	uint64_t path_at, env_at, arg_at, plat_at, random_at, argc = argv->count;
	struct aux aux = {.n = 0};
	int err = make_room(mm, *sp, argv, envp);

	if (!err)
		err = push(mm, &top, path, strlen(path) + 1);
	path_at = top;
	env_at = path_at - envp->bytes;
	arg_at = env_at - argv->bytes;
	top = ALIGN_DOWN(arg_at, 16UL);
	if (!err)
		err = exec_strings_to_mm(envp, mm, env_at);
	if (!err)
		err = exec_strings_to_mm(argv, mm, arg_at);
	if (!err)
		err = push(mm, &top, platform, sizeof(platform));
	plat_at = top;
	if (!err)
		err = push(mm, &top, bytes, sizeof(bytes));
	random_at = top;
	aux_fill(&aux, image, path_at, plat_at, random_at);
	top -= (1 + argv->count + 1 + envp->count + 1 + aux.n) * sizeof(uint64_t);
	*sp = top = ALIGN_DOWN(top, 16UL);
	if (!err)
		err = mm_copy_to(mm, top, &argc, sizeof(argc));
	top += sizeof(argc);
	if (!err)
		err = exec_pointers_to_mm(argv, mm, top, arg_at);
	top += (argv->count + 1) * sizeof(uint64_t);
	if (!err)
		err = exec_pointers_to_mm(envp, mm, top, env_at);
	top += (envp->count + 1) * sizeof(uint64_t);
	return err ? err : mm_copy_to(mm, top, aux.v, aux.n * sizeof(aux.v[0]));
}

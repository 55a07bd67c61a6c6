// SPDX-License-Identifier: MIT
// Kinds of memory. AArch64 says which it finds. Others can say of an encoding only that it is not reserved; and one
// that lacks the extension for them, that each but normal memory is.
#include "judge.h"

static const char *kind_name(enum vmt_memory memory)
{
	static const char *const names[] = {"normal", "non-cached", "device"};

	return names[memory];
}

static void probe(uint64_t va, uint64_t pa, vmt_prot prot, enum vmt_memory memory)
{
	bool legal = memory == VMT_MEMORY_NORMAL || machine_has_extensions();

	judge_memory = memory;
	judge_probe(va, legal ? pa : NOWHERE, legal ? prot : 0);
	judge_memory = VMT_MEMORY_NORMAL;
}

static void kind_of_leaf(unsigned level, enum vmt_memory memory, uint64_t size)
{
	static const vmt_prot prots[] = {VMT_RWX, VMT_READ | VMT_WRITE, VMT_READ | VMT_EXEC, VMT_READ};
	uint64_t va = judge_va(level + (size > fmt_span(level)), 2), pa = judge_pa(level + (size > fmt_span(level)));
	uint64_t at = pa > JUDGE_MEMORY ? pa : JUDGE_MEMORY;
	struct vmt_tree_map map = {.addr = va, .length = size, .pa = pa, .prot = VMT_RWX, .memory = memory};
	struct vmt_translation translation;

	judge_case("%s %s memory in %sleaf %s", judge_mode(), kind_name(memory),
		   size > fmt_span(level) ? "a run, " : "", judge_size(level));
	judge_require(vmt_tree_map(judge_tree, &map, NULL) == VMT_OK);
	judge_mapped();
	judge_require(vmt_tree_translate(judge_tree, va, &translation) == VMT_OK);
	judge_require(translation.memory == memory && translation.size == size);
	for (unsigned i = 0; i < COUNT(prots); i++) {
		judge_protect(va, size, prots[i]);
		probe(va + at - pa, at, prots[i], memory);
		judge_require(vmt_tree_translate(judge_tree, va, &translation) == VMT_OK);
		judge_require(translation.memory == memory);
	}
	// What a cut makes of it is of the same kind.
	if (size > PAGE) {
		judge_unmap(va + at + PAGE - pa, PAGE);
		judge_require(vmt_tree_translate(judge_tree, va + at - pa, &translation) == VMT_OK);
		judge_require(translation.memory == memory && translation.size < size);
		probe(va + at - pa, at, VMT_READ, memory);
	}
	judge_empty();
}

static void every_kind(void)
{
	for (enum vmt_memory memory = VMT_MEMORY_NORMAL; memory <= VMT_MEMORY_DEVICE; memory++) {
		if (!(FMT_MEMORY_TYPES >> memory & 1))
			continue;
		for (unsigned level = 0; level < FMT_LEAF_LEVELS; level++) {
			uint64_t run = fmt_span(level) << fmt_run_bits(level);

			kind_of_leaf(level, memory, fmt_span(level));
			if (fmt_run_bits(level) && run <= 64 * MIB && machine_has_extensions())
				kind_of_leaf(level, memory, run);
		}
	}
}

// Each kind that the format has; and what it does not have it refuses.
void cases_memory(void)
{
	for (unsigned user = 0; user < MODES; user++) {
		judge_open_sizes(user, machine_has_extensions() ? vmt_tree_leaf_sizes() : 0);
		for (enum vmt_memory memory = VMT_MEMORY_NONCACHED; memory <= VMT_MEMORY_DEVICE; memory++) {
			struct vmt_tree_map map = {
				.length = PAGE, .pa = JUDGE_MEMORY, .prot = VMT_READ, .memory = memory,
			};

			if (FMT_MEMORY_TYPES >> memory & 1)
				continue;
			judge_case("%s memory is refused", kind_name(memory));
			judge_require(vmt_tree_map(judge_tree, &map, NULL) == VMT_ERR_ARGUMENT);
		}
		if (FMT_MEMORY_TYPES != 1u << VMT_MEMORY_NORMAL)
			every_kind();
		judge_close();
	}
}

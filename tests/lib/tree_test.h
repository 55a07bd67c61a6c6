// SPDX-License-Identifier: MIT
// What the tests of the page-table layer on its own share: a tree on a simulated machine, and the simulated machine's
// decoder as the judge of what is in it. Compiled once for each format, with TEST_DECODER its decoder and TEST_MACHINE
// its name in enum sim_format.
#ifndef TESTS_TREE_TEST_H
#define TESTS_TREE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <vmtree/port.h>
#include <vmtree/tree.h>

#include "decode.h"
#include "sim.h"
#include "sim_ops.h"

#define PAGE	   VMT_PAGE_SIZE
#define INDEX_BITS (VMT_PAGE_SHIFT - 3)
#define SLOTS	   (1u << INDEX_BITS)
#define RW	   (VMT_READ | VMT_WRITE)

// As they are with pages of 4 KiB, and as much larger as larger pages make the entries: 2 * MIB is the size of a leaf
// of level 1, GIB that of an entry of level 2.
#define MIB	 (PAGE << INDEX_BITS >> 1)
#define GIB	 (PAGE << 2 * INDEX_BITS)
#define TREE_END (32 * GIB)

// Memory that is not RAM of the machine, and has the highest bits that the format can say.
#define DEVICE	 (TEST_DECODER.va_bits == 52 ? UINT64_C(1) << 50 : VMT_PAGE_SHIFT == 16 ? 4 * GIB : 256 * GIB)

static struct sim_machine *machine;
static struct vmt_tree *tree;

// The sizes of the format's leaves that are one entry.
static inline uint64_t single_leaves(void)
{
	uint64_t sizes = 0;

	for (unsigned level = 0; level < TEST_DECODER.levels; level++)
		sizes |= UINT64_C(1) << sim_shift(&TEST_DECODER, level);
	return sizes & vmt_tree_leaf_sizes();
}

// Whether an entry of level 2 can be a leaf.
static inline bool has_gib(void)
{
	return vmt_tree_leaf_sizes() & GIB;
}

static inline void open_tree_on(const struct sim_config *on, void *owner, uint64_t leaf_sizes)
{
	struct vmt_tree_config config = {
		.start = 0, .end = TREE_END, .owner = owner, .cpus = on->cpus, .user = true, .leaf_sizes = leaf_sizes,
	};

	machine = sim_machine_create(on);
	assert_int_equal(vmt_tree_create(sim_port(machine), &config, &tree), VMT_OK);
}

static inline void open_tree_with(unsigned cpus, uint64_t leaf_sizes)
{
	open_tree_on(&(struct sim_config){.ops = sim_ops(TEST_MACHINE), .cpus = cpus,
					  .frames = 8192 * (PAGE / SIM_FRAME_SIZE), .seed = 1}, &machine, leaf_sizes);
}

// Without runs of entries: tree_run_test.c is about them.
static inline void open_tree(unsigned cpus)
{
	open_tree_with(cpus, single_leaves());
}

static inline void close_tree(void)
{
	assert_int_equal(vmt_tree_check(tree), 0);
	vmt_tree_destroy(tree);
	sim_grace_barrier(machine);
	assert_int_equal(sim_leaks(machine), 0);
	sim_machine_destroy(machine);
}

static inline enum vmt_status tree_map(uint64_t addr, uint64_t length, uint64_t pa, vmt_prot prot, uint64_t leaf,
				       uint64_t *done)
{
	struct vmt_tree_map request = {
		.addr = addr, .length = length, .pa = pa, .prot = prot, .leaf_max = leaf,
	};

	return vmt_tree_map(tree, &request, done);
}

// The entry where the hardware's way to the address ends, by the independent decoder; its level, and all that permits.
static inline uint64_t *hardware_way(uint64_t addr, struct sim_entry *entry, unsigned *level, unsigned *may)
{
	const struct sim_decoder *decoder = &TEST_DECODER;
	uint64_t table = vmt_tree_root(tree);

	*may = SIM_MAY_ALL;
	for (*level = decoder->levels - 1;; (*level)--) {
		uint64_t *entries = vmt_port_frame_ptr(sim_port(machine), table);
		uint64_t *at = &entries[sim_index(decoder, *level, addr)];

		decoder->decode(*at, *level, entry);
		assert_int_not_equal(entry->kind, SIM_ENTRY_BROKEN);
		*may &= entry->may;
		if (entry->kind != SIM_ENTRY_TABLE)
			return at;
		table = entry->pa;
	}
}

// What the hardware would find. False: nothing.
static inline bool hardware(uint64_t addr, uint64_t *pa, uint64_t *size, unsigned *may)
{
	const struct sim_decoder *decoder = &TEST_DECODER;
	struct sim_entry entry;
	unsigned level;

	hardware_way(addr, &entry, &level, may);
	if (entry.kind == SIM_ENTRY_ABSENT)
		return false;
	*size = UINT64_C(1) << (sim_shift(decoder, level) + entry.run_bits);
	*pa = sim_entry_pa(decoder, &entry, level, addr);
	return true;
}

// The address maps to `pa` with a leaf of `size` bytes, to the hardware and to the library alike. (GIB: or the largest
// leaf below, in a format that has none of that size.)
static inline void expect(uint64_t addr, uint64_t pa, uint64_t size, bool write)
{
	struct vmt_translation translation;
	uint64_t hard_pa, hard_size;
	unsigned may;

	if (size == GIB && !has_gib())
		size = 2 * MIB;
	assert_true(hardware(addr, &hard_pa, &hard_size, &may));
	assert_int_equal(hard_pa, pa);
	assert_int_equal(hard_size, size);
	assert_int_equal(!!(may & SIM_MAY_WRITE), write);
	assert_true(may & SIM_MAY_READ);
	assert_int_equal(vmt_tree_translate(tree, addr, &translation), VMT_OK);
	assert_int_equal(translation.pa, pa);
	assert_int_equal(translation.size, size);
	assert_int_equal(!!(translation.prot & VMT_WRITE), write);
}

static inline void expect_nothing(uint64_t addr)
{
	struct vmt_translation translation;
	uint64_t pa, size;
	unsigned may;

	assert_false(hardware(addr, &pa, &size, &may));
	assert_int_equal(vmt_tree_translate(tree, addr, &translation), VMT_ERR_NOT_PRESENT);
}

static inline enum vmt_status tree_replace(uint64_t addr, uint64_t length, uint64_t pa, vmt_prot prot, uint64_t leaf,
					   uint64_t *done)
{
	struct vmt_tree_map request = {
		.addr = addr, .length = length, .pa = pa, .prot = prot, .leaf_max = leaf,
	};

	return vmt_tree_replace(tree, &request, done);
}

// What the hardware does to the leaf of `addr` when it writes there.
static inline void hardware_writes(uint64_t addr)
{
	const struct sim_decoder *decoder = &TEST_DECODER;
	struct sim_entry entry;
	unsigned level, may;
	uint64_t *at = hardware_way(addr, &entry, &level, &may);

	assert_int_equal(entry.kind, SIM_ENTRY_LEAF);
	*at = (*at | decoder->accessed | decoder->dirty) & ~decoder->clean;
}

#endif

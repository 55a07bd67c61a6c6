// SPDX-License-Identifier: MIT
// What the tests of the page-table layer on its own share: a tree on a simulated machine, and the simulated machine's
// decoder as the judge of what is in it. Compiled once for each format, with TEST_DECODER its decoder.
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

#define PAGE	VMT_PAGE_SIZE
#define MIB	(UINT64_C(1) << 20)
#define GIB	(UINT64_C(1) << 30)
#define RW	(VMT_READ | VMT_WRITE)
#define DEVICE	(UINT64_C(1) << 38) // memory that is not RAM of the machine

static struct sim_machine *machine;
static struct vmt_tree *tree;

static inline void open_tree(unsigned cpus)
{
	struct vmt_tree_config config = {
		.start = 0, .end = UINT64_C(1) << 38, .owner = &machine, .cpus = cpus, .user = true,
	};

	machine = sim_machine_create(&(struct sim_config){
		.ops = sim_ops(SIM_X86_64_4), .cpus = cpus, .frames = 8192, .seed = 1});
	assert_int_equal(vmt_tree_create(sim_port(machine), &config, &tree), VMT_OK);
}

static inline void close_tree(void)
{
	assert_int_equal(vmt_tree_check(tree), 0);
	vmt_tree_destroy(tree);
	sim_grace_barrier(machine);
	assert_int_equal(sim_leaks(machine), 0);
	sim_machine_destroy(machine);
}

static inline enum vmt_status tree_map(uint64_t addr, uint64_t length, uint64_t pa, vmt_prot prot, uint64_t leaf, uint64_t *done)
{
	struct vmt_tree_map request = {
		.addr = addr, .length = length, .pa = pa, .prot = prot, .leaf_max = leaf,
	};

	return vmt_tree_map(tree, &request, done);
}

// What the hardware would find, by the independent decoder. False: nothing.
static inline bool hardware(uint64_t addr, uint64_t *pa, uint64_t *size, unsigned *may)
{
	const struct sim_decoder *decoder = &TEST_DECODER;
	uint64_t table = vmt_tree_root(tree);

	*may = SIM_MAY_ALL;
	for (unsigned level = decoder->levels - 1;; level--) {
		uint64_t *entries = vmt_port_frame_ptr(sim_port(machine), table);
		struct sim_entry entry;

		decoder->decode(entries[addr >> sim_shift(level) & 511], level, &entry);
		assert_int_not_equal(entry.kind, SIM_ENTRY_BROKEN);
		if (entry.kind == SIM_ENTRY_ABSENT)
			return false;
		*may &= entry.may;
		table = entry.pa;
		if (entry.kind == SIM_ENTRY_LEAF) {
			*size = UINT64_C(1) << sim_shift(level);
			*pa = entry.pa + (addr & (*size - 1));
			return true;
		}
	}
}

// The address maps to `pa` with a leaf of `size` bytes, to the hardware and to the library alike.
static inline void expect(uint64_t addr, uint64_t pa, uint64_t size, bool write)
{
	struct vmt_translation translation;
	uint64_t hard_pa, hard_size;
	unsigned may;

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
	uint64_t table = vmt_tree_root(tree);

	for (unsigned level = decoder->levels - 1;; level--) {
		uint64_t *entry = (uint64_t *)vmt_port_frame_ptr(sim_port(machine), table) + (addr >> sim_shift(level) & 511);
		struct sim_entry seen;

		decoder->decode(*entry, level, &seen);
		assert_int_not_equal(seen.kind, SIM_ENTRY_ABSENT);
		if (seen.kind == SIM_ENTRY_LEAF) {
			*entry = (*entry | decoder->accessed | decoder->dirty) & ~decoder->clean;
			return;
		}
		table = seen.pa;
	}
}

#endif

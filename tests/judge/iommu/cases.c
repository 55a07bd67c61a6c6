// SPDX-License-Identifier: MIT
// What only a device can ask: transfers that cross the end of a leaf, memory at every bit of the physical address,
// each access with nothing cached, and one request that takes away much of what has been used.
#include "iommu.h"

// ---- The unit itself ---------------------------------------------------------------------------------------------

// Without a tree the device does not get through: what the other cases see is not memory behind the unit's back.
static void without_tree(void)
{
	uint64_t *word = port_pointer(JUDGE_MEMORY);
	struct unit_fault fault;

	judge_case("device without a tree");
	*word = 1;
	device_store(JUDGE_MEMORY, 0, sizeof(*word));
	judge_require(*word == 1);
	fault = device_fault();
	judge_require(!unit_records_absence || fault.kind == FAULT_OTHER); // not for the lack of an entry
}

// ---- Nothing cached ----------------------------------------------------------------------------------------------

// A cached translation has the leaf's permissions. Without one the walk asks the tables above, too, and for the kind of
// access that comes first.
static void cold(unsigned level)
{
	uint64_t va = judge_va(level, 2), pa = judge_pa(level), span = fmt_span(level);

	judge_case("device leaf %s with nothing cached", judge_size(level));
	for (unsigned write = 0; write < 2; write++) {
		judge_map(va, span, pa, write ? VMT_READ | VMT_WRITE : VMT_READ, 0);
		machine_flush_all();
		judge_access(SUPERVISOR, WRITE, va, pa, write ? ALLOWED : DENIED);
		judge_access(SUPERVISOR, READ, va, pa, ALLOWED);
		machine_flush_all();
		judge_access(SUPERVISOR, READ, va, pa, ALLOWED);
		judge_access(SUPERVISOR, WRITE, va, pa, write ? ALLOWED : DENIED);
		judge_empty();
	}
}

// ---- Where a leaf ends -------------------------------------------------------------------------------------------

#define HALF 32 // bytes of a transfer on either side

static void fill(void *at, unsigned char first)
{
	for (unsigned i = 0; i < HALF; i++)
		((unsigned char *)at)[i] = (unsigned char)(first + i);
}

static bool filled(const void *at, unsigned char first)
{
	for (unsigned i = 0; i < HALF; i++)
		if (((const unsigned char *)at)[i] != (unsigned char)(first + i))
			return false;
	return true;
}

// Only what lies behind may fault, and where nothing lies there has to.
static void require_fault(uint64_t at, bool absent, bool write)
{
	struct unit_fault fault = device_fault();

	if (!absent) {
		judge_require(fault.kind == FAULT_NONE);
	} else if (unit_records_absence || fault.kind != FAULT_NONE) {
		judge_require(fault.kind == FAULT_ACCESS && fault.write == write);
		judge_require(fault.page == at);
	}
}

// A read and a write that begin before `at` and end behind it. There the memory at `behind` begins, or nothing
// (NOWHERE); before it ends the memory at `before`.
static void across(uint64_t at, uint64_t before, uint64_t behind)
{
	unsigned char *first = port_pointer(before - HALF), pattern[2 * HALF];
	unsigned char *second = behind == NOWHERE ? NULL : port_pointer(behind);
	const unsigned char *got;

	fill(first, 1);
	if (second)
		fill(second, 101);
	fill(pattern, 201);
	fill(pattern + HALF, 201);
	device_fill(0, pattern, sizeof(pattern));
	device_fetch(at - HALF, 0, sizeof(pattern));
	require_fault(at, !second, false);
	got = device_buffer(0, sizeof(pattern));
	judge_require(filled(got, 1));
	judge_require(filled(got + HALF, 101) == (second != NULL));
	fill(pattern, 51);
	fill(pattern + HALF, 151);
	device_fill(0, pattern, sizeof(pattern));
	device_store(at - HALF, 0, sizeof(pattern));
	require_fault(at, !second, true);
	judge_require(filled(first, 51));
	judge_require(!second || filled(second, 151));
}

static void edges(unsigned level)
{
	uint64_t va = judge_va(level, 2), pa = judge_pa(level), span = fmt_span(level);
	uint64_t beside = JUDGE_MEMORY + 3 * PAGE, end = pa + span;

	judge_case("device transfers across the end of a leaf %s", judge_size(level));
	judge_map(va, span, pa, VMT_READ | VMT_WRITE, 0);
	across(va + span, end, NOWHERE);
	judge_map(va + span, PAGE, beside, VMT_READ | VMT_WRITE, 0);
	across(va + span, end, beside);
	judge_map(va - PAGE, PAGE, beside + 2 * PAGE, VMT_READ | VMT_WRITE, 0);
	across(va, beside + 3 * PAGE, pa);
	if (level) { // and within it, from one page to the next
		uint64_t middle = span / 2 + PAGE;

		across(va + middle, pa + middle, pa + middle);
		judge_unmap(va + middle, PAGE);
		across(va + middle, pa + middle, NOWHERE);
	}
	judge_unmap(va + span, PAGE);
	across(va + span, end, NOWHERE);
	judge_empty();
}

// ---- Far memory --------------------------------------------------------------------------------------------------

#define FAR_ID	 UINT32_C(0x11101af4) // ivshmem-plain: 4 MiB of memory behind BAR 2
#define FAR_BAR	 0x18
#define FAR_WORD 0x1008

static void far_move(unsigned function, uint64_t pa)
{
	pci_write(function, PCI_COMMAND, 0);
	pci_write(function, FAR_BAR, (uint32_t)pa);
	pci_write(function, FAR_BAR + 4, (uint32_t)(pa >> 32));
	pci_write(function, PCI_COMMAND, PCI_MEMORY);
}

// One memory at each power of two in turn. The processor looks at it where it was before.
static void far_memory(unsigned level)
{
	unsigned function = pci_find(FAR_ID);
	uint64_t near, va = judge_va(level, 2);

	judge_case("device leaf %s for memory at every bit of the physical address", judge_size(level));
	judge_require(function != PCI_NONE);
	if (function == PCI_NONE)
		return;
	near = pci_read(function, FAR_BAR) & ~UINT32_C(0xf);
	for (unsigned bit = 31; bit < unit_address_bits; bit++) {
		uint64_t pa = UINT64_C(1) << bit, offset = level ? FAR_WORD : FAR_WORD % PAGE, got;
		volatile uint64_t *word = (volatile uint64_t *)(near + offset);

		*word = pa + 1;
		far_move(function, pa);
		judge_map(va, fmt_span(level), pa, VMT_READ | VMT_WRITE, 0);
		device_fetch(va + offset, 0, sizeof(got));
		memcpy(&got, device_buffer(0, sizeof(got)), sizeof(got));
		if (got != pa + 1)
			judge_fail("read %X at %X", got, pa);
		got = ~pa;
		device_fill(0, &got, sizeof(got));
		device_store(va + offset, 0, sizeof(got));
		far_move(function, near);
		if (*word != ~pa)
			judge_fail("wrote %X at %X", *word, pa);
		judge_require(device_fault().kind == FAULT_NONE);
		judge_unmap(va, fmt_span(level));
	}
}

// ---- Used, and then gone -----------------------------------------------------------------------------------------

enum request {
	UNMAP,
	PROTECT,
	REPLACE,
	MARK,
	REQUESTS,
};

// Every leaf has been read and written before one request takes all away: one range to flush, or several, or more than
// a request has room for. The pages differ in the lowest eight bits of their numbers, for QEMU's VT-d compares no more
// of them with those of an invalidation.
static void used_and_gone(unsigned level, unsigned count, uint64_t step, enum request request)
{
	static const char *const names[] = {"unmapped", "made read-only", "replaced", "marked"};
	uint64_t va = judge_va(2, 2), span = fmt_span(level), end = va + (count - 1) * step + span;
	uint64_t other = JUDGE_MEMORY + 256 * MIB;
	struct vmt_tree_map map = {
		.addr = va, .length = end - va, .pa = other, .prot = VMT_READ | VMT_WRITE, .leaf_max = span,
	};

	judge_case("device %u leaves %s, %s apart, used and then %s", count, judge_size(level),
		   step == span ? "nothing" : step == 2 * span ? "a leaf" : "a table", names[request]);
	for (unsigned i = 0; i < count; i++)
		judge_map(va + i * step, span, JUDGE_MEMORY + i * span, VMT_READ | VMT_WRITE, span);
	judge_map(end, PAGE, JUDGE_MEMORY + PAGE, VMT_READ, 0);
	for (unsigned i = 0; i < count; i++)
		judge_access(SUPERVISOR, WRITE, va + i * step, JUDGE_MEMORY + i * span, ALLOWED);
	if (request == UNMAP)
		judge_unmap(va, end - va);
	else if (request == PROTECT)
		judge_protect(va, end - va, VMT_READ);
	else if (request == REPLACE)
		judge_require(vmt_tree_replace(judge_tree, &map, NULL) == VMT_OK);
	else
		judge_require(vmt_tree_mark(judge_tree, va, end - va, VMT_MARKER_GUARD, 1, NULL) == VMT_OK);
	for (unsigned i = 0; i < count; i++) {
		if (request == REPLACE)
			judge_access(SUPERVISOR, WRITE, va + i * step, other + i * step, ALLOWED);
		else if (request == PROTECT)
			judge_access(SUPERVISOR, WRITE, va + i * step, JUDGE_MEMORY + i * span, DENIED);
		else
			judge_access(SUPERVISOR, WRITE, va + i * step, NOWHERE, ABSENT);
	}
	judge_access(SUPERVISOR, READ, end, JUDGE_MEMORY + PAGE, ALLOWED);
	judge_empty();
}

void cases_device(void)
{
	without_tree();
	judge_open(false);
	for (unsigned level = 0; level < FMT_LEAF_LEVELS; level++) {
		cold(level);
		edges(level);
		far_memory(level);
	}
	for (enum request request = UNMAP; request < REQUESTS; request++) {
		used_and_gone(0, 24, PAGE, request);
		used_and_gone(0, 40, 2 * PAGE, request);
		used_and_gone(0, 20, 2 * MIB + PAGE, request);
		used_and_gone(1, 20, 2 * MIB, request);
		used_and_gone(1, 20, 4 * MIB, request);
	}
	judge_close();
}

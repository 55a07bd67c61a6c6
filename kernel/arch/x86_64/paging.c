// SPDX-License-Identifier: MIT
/*
 * The kernel half of the address space, built once (kernel/memory.h). Before the frame allocator
 * exists, memory comes from early_alloc: ranges of RAM below 4 GiB, which the boot tables map.
 * Single-threaded: only the boot CPU runs.
 */
#include "arch.h"

#include <kernel/boot.h>
#include <kernel/memory.h>
#include <kernel/printk.h>
#include <kernel/string.h>

#include "../../core/core.h"

#define PTE_P 0x1UL
#define PTE_W 0x2UL
#define PTE_PCD 0x18UL /* with PWT: uncached */
#define PTE_LARGE 0x80UL
#define PTE_G 0x100UL
#define PTE_NX (1UL << 63)
#define PTE_ADDR 0x000ffffffffff000UL

#define SIZE_2M (1UL << 21)
#define SIZE_1G (1UL << 30)

extern char _kernel_start[], _text_start[], _text_end[], _rodata_end[], _kernel_end[];

static struct boot_memory early[64]; /* RAM that nobody has; start == end: unused */
static unsigned int early_count;
static uint64_t *root;
static unsigned int mmio_pages; /* from MMIO_BASE on, in the one table that the APICs' are in */

static void early_add(uint64_t start, uint64_t end)
{
	if (start >= end)
		return;
	assert(early_count < ARRAY_SIZE(early));
	early[early_count].start = start;
	early[early_count++].end = end;
}

/* Takes [start, end) out of the ranges. */
static void early_reserve(uint64_t start, uint64_t end)
{
	unsigned int n = early_count;

	for (unsigned int i = 0; i < n; i++) {
		struct boot_memory *e = &early[i];

		if (end <= e->start || start >= e->end)
			continue;
		if (start <= e->start) {
			e->start = MIN(end, e->end); /* a front part, or all */
			continue;
		}
		early_add(end, e->end);
		e->end = start;
	}
}

uint64_t early_alloc(uint64_t size, uint64_t align)
{
	size = ALIGN_UP(size, PAGE_SIZE);
	align = MAX(align, PAGE_SIZE);
	for (unsigned int i = 0; i < early_count; i++) {
		uint64_t pa = ALIGN_UP(early[i].start, align);

		if (pa + size > early[i].end || pa + size > 4 * SIZE_1G)
			continue;
		early_reserve(pa, pa + size);
		return pa;
	}
	panic("boot: not enough memory (%lu bytes of RAM)", boot_info.ram_bytes);
}

void early_release_rest(void)
{
	for (unsigned int i = 0; i < early_count; i++)
		if (early[i].start < early[i].end)
			frames_add(early[i].start, early[i].end);
	early_count = 0;
}

static uint64_t *table_alloc(uint64_t *pa)
{
	*pa = early_alloc(PAGE_SIZE, PAGE_SIZE);
	return memset(phys_to_virt(*pa), 0, PAGE_SIZE);
}

/* The entry for va at a level (0: 4 KiB, 1: 2 MiB, 2: 1 GiB), tables above it made as needed. */
static uint64_t *entry_at(uint64_t va, unsigned int level)
{
	uint64_t *table = root;

	for (unsigned int l = 3;; l--) {
		uint64_t *e = &table[va >> (12 + 9 * l) & 511];
		uint64_t pa;

		if (l == level)
			return e;
		if (!(*e & PTE_P)) {
			table_alloc(&pa);
			*e = pa | PTE_P | PTE_W;
		}
		assert(!(*e & PTE_LARGE));
		table = phys_to_virt(*e & PTE_ADDR);
	}
}

static void map_4k(uint64_t va, uint64_t pa, uint64_t end_va, uint64_t bits)
{
	for (; va < end_va; va += PAGE_SIZE, pa += PAGE_SIZE)
		*entry_at(va, 0) = pa | PTE_P | PTE_G | bits;
}

static void map_kernel_image(void)
{
	uint64_t text = (uint64_t)_text_start, text_end = (uint64_t)_text_end;
	uint64_t ro_end = (uint64_t)_rodata_end, end = (uint64_t)_kernel_end;

	map_4k(text, text - KERNEL_BASE, text_end, 0);
	map_4k(text_end, text_end - KERNEL_BASE, ro_end, PTE_NX);
	map_4k(ro_end, ro_end - KERNEL_BASE, end, PTE_W | PTE_NX);
}

/* All RAM, in the largest pages; edges are rounded outwards to 2 MiB. */
static void map_direct(uint64_t start, uint64_t end)
{
	uint64_t bits = PTE_P | PTE_W | PTE_G | PTE_NX | PTE_LARGE;

	start = ALIGN_DOWN(start, SIZE_2M);
	end = ALIGN_UP(end, SIZE_2M);
	assert(DIRECT_BASE + end <= DIRECT_END);
	while (start < end) {
		uint64_t *e = entry_at(DIRECT_BASE + start, 2);

		if (cpu_features.gbpages && IS_ALIGNED(start, SIZE_1G) && end - start >= SIZE_1G && !*e) {
			*e = start | bits;
			start += SIZE_1G;
			continue;
		}
		*entry_at(DIRECT_BASE + start, 1) = start | bits;
		start += SIZE_2M;
	}
}

/* Metadata of the frames of a range: 2 MiB pages; and their state bytes: 4 KiB pages. */
static void map_metadata(uint64_t start, uint64_t end)
{
	uint64_t first = META_BASE + (start >> PAGE_SHIFT) * 64, last = META_BASE + (end >> PAGE_SHIFT) * 64;

	for (uint64_t va = ALIGN_DOWN(first, SIZE_2M); va < last; va += SIZE_2M) {
		uint64_t *e = entry_at(va, 1);

		if (!*e)
			*e = early_alloc(SIZE_2M, SIZE_2M) | PTE_P | PTE_W | PTE_G | PTE_NX | PTE_LARGE;
	}
	first = STATE_BASE + (start >> PAGE_SHIFT);
	last = STATE_BASE + (end >> PAGE_SHIFT);
	for (uint64_t va = ALIGN_DOWN(first, PAGE_SIZE); va < last; va += PAGE_SIZE) {
		uint64_t *e = entry_at(va, 0);

		if (!*e)
			*e = early_alloc(PAGE_SIZE, PAGE_SIZE) | PTE_P | PTE_W | PTE_G | PTE_NX;
	}
}

volatile void *mmio_map(uint64_t pa)
{
	uint64_t va = MMIO_BASE + mmio_pages * PAGE_SIZE;

	if (mmio_pages == 512)
		return NULL;
	mmio_pages++;
	/* A new entry: nobody has kept that there was none. */
	*entry_at(va, 0) = pa | PTE_P | PTE_W | PTE_G | PTE_NX | PTE_PCD;
	return (volatile void *)va;
}

static void zero_metadata(uint64_t start, uint64_t end)
{
	uint64_t first = start >> PAGE_SHIFT, last = end >> PAGE_SHIFT;

	memset((void *)(META_BASE + first * 64), 0, (last - first) * 64);
	memset((void *)(STATE_BASE + first), 0, last - first);
}

void paging_load(void)
{
	write_cr3(kernel_root());
	write_cr4(read_cr4() & ~CR4_PGE); /* global entries of the boot tables go */
	write_cr4(read_cr4() | CR4_PGE);
}

void paging_setup(void)
{
	const struct boot_info *b = &boot_info;
	uint64_t initrd = virt_to_phys(b->initrd), pa;

	for (unsigned int i = 0; i < b->ram_count; i++)
		early_add(b->ram[i].start, b->ram[i].end);
	early_reserve(0, (uint64_t)_kernel_end - KERNEL_BASE);
	if (b->initrd)
		early_reserve(ALIGN_DOWN(initrd, PAGE_SIZE),
			      ALIGN_UP(initrd + b->initrd_size, PAGE_SIZE));

	root = table_alloc(&pa);
	map_kernel_image();
	mmio_map(0xfee00000); /* at MMIO_BASE: apic.c relies on the order */
	mmio_map(0xfec00000);
	for (unsigned int i = 0; i < b->ram_count; i++) {
		map_direct(b->ram[i].start, b->ram[i].end);
		map_metadata(b->ram[i].start, b->ram[i].end);
	}
	paging_load();
	for (unsigned int i = 0; i < b->ram_count; i++)
		zero_metadata(b->ram[i].start, b->ram[i].end);
}

uint64_t kernel_root(void)
{
	return virt_to_phys(root);
}

const uint64_t *kernel_root_table(void)
{
	return root;
}

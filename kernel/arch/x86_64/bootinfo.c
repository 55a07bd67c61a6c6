// SPDX-License-Identifier: MIT
/*
 * Reads what PVH boot hands over (hvm_start_info version 1: Xen's public arch-x86/hvm/start_info.h):
 * the memory map, the first module (the RAM disk), the command line, the ACPI tables. Called with the
 * boot tables, so everything below 4 GiB is at DIRECT_BASE.
 */
#include "arch.h"

#include <kernel/boot.h>
#include <kernel/memory.h>
#include <kernel/printk.h>
#include <kernel/string.h>

struct hvm_start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist, cmdline, rsdp, memmap;
	uint32_t memmap_entries, reserved;
};

struct hvm_module {
	uint64_t address, size, cmdline, reserved;
};

struct hvm_memmap {
	uint64_t address, size;
	uint32_t type, reserved;
};

#define HVM_MAGIC 0x336ec578
#define HVM_TYPE_RAM 1

struct boot_info boot_info;

static void add_ram(uint64_t start, uint64_t end)
{
	struct boot_info *b = &boot_info;

	start = ALIGN_UP(start, PAGE_SIZE);
	end = ALIGN_DOWN(end, PAGE_SIZE);
	if (start >= end)
		return;
	if (b->ram_count == ARRAY_SIZE(b->ram))
		panic("boot: more than %u ranges of RAM", b->ram_count);
	b->ram[b->ram_count].start = start;
	b->ram[b->ram_count].end = end;
	b->ram_count++;
	b->ram_bytes += end - start;
}

void bootinfo_read(uint64_t start_info)
{
	const struct hvm_start_info *s = phys_to_virt(start_info);
	const struct hvm_memmap *map;

	if (s->magic != HVM_MAGIC || s->version < 1)
		panic("boot: not started by the PVH protocol, version 1");
	map = phys_to_virt(s->memmap);
	for (uint32_t i = 0; i < s->memmap_entries; i++)
		if (map[i].type == HVM_TYPE_RAM)
			add_ram(map[i].address, map[i].address + map[i].size);
	if (s->nr_modules) {
		const struct hvm_module *m = phys_to_virt(s->modlist);

		boot_info.initrd = phys_to_virt(m->address);
		boot_info.initrd_size = m->size;
	}
	if (s->cmdline)
		strlcpy(boot_info.cmdline, phys_to_virt(s->cmdline), sizeof(boot_info.cmdline));
	boot_info.acpi = s->rsdp != 0;
	if (s->rsdp)
		boot_info.iommu = acpi_find_iommu(s->rsdp);
}

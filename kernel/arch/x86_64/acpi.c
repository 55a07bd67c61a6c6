// SPDX-License-Identifier: MIT
/*
 * The one thing that is asked of ACPI: where the IOMMU's registers are. "Advanced Configuration
 * and Power Interface Specification" 6.5, 5.2.5 (RSDP) and 5.2.7 (RSDT, XSDT); "Virtualization
 * Technology for Directed I/O" 5.10, 8.1 and 8.3 (DMAR). Called with the boot tables, which map
 * what lies below 4 GiB; what lies above is not there.
 */
#include "arch.h"

#include <kernel/memory.h>
#include <kernel/string.h>

struct rsdp {
	char signature[8];
	uint8_t checksum, oem[6], revision;
	uint32_t rsdt, length;
	uint64_t xsdt;
} __packed;

struct table {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem[26];
} __packed;

/* Behind a DMAR table's header: 12 bytes, and then structures that begin so. */
#define DMAR_FIRST (sizeof(struct table) + 12)
#define DMAR_UNIT 0 /* a remapping unit */

struct remapping_unit {
	uint16_t type, length;
	uint8_t flags, reserved;
	uint16_t segment;
	uint64_t registers;
} __packed;

#define BOOT_END (4UL << 30)

/* The table at an address if it is whole and its bytes sum up to 0. */
static const struct table *table_at(uint64_t pa, const char *signature)
{
	const struct table *t = phys_to_virt(pa);
	uint8_t sum = 0;

	if (!pa || pa > BOOT_END - sizeof(*t) || memcmp(t->signature, signature, 4) != 0)
		return NULL;
	if (t->length < sizeof(*t) || t->length > BOOT_END - pa)
		return NULL;
	for (uint32_t i = 0; i < t->length; i++)
		sum += ((const uint8_t *)t)[i];
	return sum ? NULL : t;
}

/* Of the tables that the root table names with entries of `size` bytes the one with this name. */
static const struct table *find_below(const struct table *root, size_t size, const char *signature)
{
	const struct table *found = NULL;

	for (size_t at = sizeof(*root); root && !found && at + size <= root->length; at += size) {
		uint64_t pa = 0;

		memcpy(&pa, (const char *)root + at, size);
		found = table_at(pa, signature);
	}
	return found;
}

static const struct table *find_table(uint64_t pa, const char *signature)
{
	const struct rsdp *r = phys_to_virt(pa);

	if (pa > BOOT_END - sizeof(*r) || memcmp(r->signature, "RSD PTR ", 8) != 0)
		return NULL;
	if (r->revision >= 2 && r->xsdt)
		return find_below(table_at(r->xsdt, "XSDT"), 8, signature);
	return find_below(table_at(r->rsdt, "RSDT"), 4, signature);
}

uint64_t acpi_find_iommu(uint64_t rsdp)
{
	const struct table *dmar = find_table(rsdp, "DMAR");
	struct remapping_unit u;

	if (!dmar)
		return 0;
	for (size_t at = DMAR_FIRST; at + sizeof(u) <= dmar->length; at += u.length) {
		memcpy(&u, (const char *)dmar + at, sizeof(u));
		if (u.type == DMAR_UNIT)
			return u.registers;
		if (u.length < 4)
			break;
	}
	return 0;
}

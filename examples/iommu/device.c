// SPDX-License-Identifier: MIT
// A device and the VT-d unit in front of it. It shares nothing with the library: the bits are from "Virtualization
// Technology for Directed I/O", 9.8.
//
// It is as unhelpful as hardware may be: it caches every translation that it finds and the lowest tables on the way to
// them, and forgets them only when an invalidation names them or when it has no room. So it writes to memory that was
// unmapped, and walks tables that were freed, unless the library asks for the right invalidations.
#include <stdlib.h>
#include <string.h>

#include "iommu.h"

#define ENTRY_READ    UINT64_C(0x001)
#define ENTRY_WRITE   UINT64_C(0x002)
#define ENTRY_LARGE   UINT64_C(0x080)
#define ENTRY_ADDRESS UINT64_C(0x000ffffffffff000)

void device_open(struct device *device, char *memory, uint64_t root)
{
	memset(device, 0, sizeof(*device));
	pthread_mutex_init(&device->lock, NULL);
	device->memory = memory;
	device->root = root;
}

static _Atomic uint64_t *bus(const struct device *device, uint64_t pa)
{
	if (pa - RAM_BASE >= RAM_BYTES) // nothing there: the tables are broken
		abort();
	return (_Atomic uint64_t *)(device->memory + (pa - RAM_BASE));
}

// Walks from the lowest table if its place is known, else from the root, and fills the caches. False: not present.
static bool walk(struct device *device, uint64_t iova, unsigned *slot)
{
	uint64_t region = iova & ~(2 * MIB - 1), table = device->root, entry;
	unsigned level = 3, place = (unsigned)(region / (2 * MIB) % WALK_ENTRIES);
	bool write = true;

	if (device->walk[place].valid && device->walk[place].iova == region) {
		table = device->walk[place].table;
		level = 0;
	}
	for (;; level--) {
		unsigned shift = 12 + 9 * level;

		// Acquire: hardware orders the reads of a walk by their addresses, and what the driver wrote to memory
		// comes before the entry that makes it reachable.
		entry = atomic_load_explicit(&bus(device, table)[iova >> shift & 511], memory_order_acquire);
		if (!(entry & (ENTRY_READ | ENTRY_WRITE)))
			return false;
		write = write && entry & ENTRY_WRITE;
		if (level == 0 || entry & ENTRY_LARGE) {
			*slot = device->next++ % IOTLB_ENTRIES;
			device->iotlb[*slot].size = UINT64_C(1) << shift;
			device->iotlb[*slot].iova = iova & ~((UINT64_C(1) << shift) - 1);
			device->iotlb[*slot].pa = entry & ENTRY_ADDRESS;
			device->iotlb[*slot].write = write;
			return true;
		}
		table = entry & ENTRY_ADDRESS;
		if (level == 1) {
			device->walk[place].valid = true;
			device->walk[place].iova = region;
			device->walk[place].table = table;
		}
	}
}

// Translates for one access. False: a fault.
static bool translate(struct device *device, uint64_t iova, bool write, uint64_t *pa)
{
	unsigned slot = 0;

	while (slot < IOTLB_ENTRIES && iova - device->iotlb[slot].iova >= device->iotlb[slot].size)
		slot++;
	if ((slot == IOTLB_ENTRIES && !walk(device, iova, &slot)) || (write && !device->iotlb[slot].write)) {
		device->faults++;
		return false;
	}
	*pa = device->iotlb[slot].pa + (iova - device->iotlb[slot].iova);
	return true;
}

bool device_read(struct device *device, uint64_t iova, uint64_t *word)
{
	uint64_t pa;
	bool there;

	pthread_mutex_lock(&device->lock);
	there = translate(device, iova, false, &pa);
	if (there)
		*word = atomic_load_explicit(bus(device, pa), memory_order_relaxed);
	pthread_mutex_unlock(&device->lock);
	return there;
}

bool device_write(struct device *device, uint64_t iova, uint64_t word)
{
	uint64_t pa;
	bool there;

	pthread_mutex_lock(&device->lock);
	there = translate(device, iova, true, &pa);
	if (there)
		atomic_store_explicit(bus(device, pa), word, memory_order_relaxed);
	pthread_mutex_unlock(&device->lock);
	return there;
}

static bool covers(const struct vmt_flush *flush, uint64_t iova, uint64_t size)
{
	for (unsigned i = 0; i < flush->count; i++)
		if (flush->ranges[i].start < iova + size && iova < flush->ranges[i].end)
			return true;
	return flush->all;
}

// `tables` is what the invalidation hint (IH) of a page-selective request denies: IH = 1 leaves the paging-structure
// caches alone. A real request also rounds each range to a power of two of pages (AM).
void device_invalidate(struct device *device, const struct vmt_flush *flush)
{
	pthread_mutex_lock(&device->lock);
	for (unsigned i = 0; i < IOTLB_ENTRIES; i++)
		if (covers(flush, device->iotlb[i].iova, device->iotlb[i].size))
			device->iotlb[i].size = 0;
	for (unsigned i = 0; i < WALK_ENTRIES && flush->tables; i++)
		if (covers(flush, device->walk[i].iova, 2 * MIB))
			device->walk[i].valid = false;
	atomic_fetch_add_explicit(&device->invalidations, 1, memory_order_relaxed); // a statistic
	pthread_mutex_unlock(&device->lock);
}

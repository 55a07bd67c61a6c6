// SPDX-License-Identifier: MIT
// An IOMMU driver on the page-table layer alone (vmtree/tree.h), in a process: threads stand in for CPUs, an arena
// for RAM and device.c for a device behind a VT-d unit.
//
//	../host/host.c	the port: the 17 functions of vmtree/port.h
//	device.c	the hardware: walks the tables, caches what it found, faults, answers invalidations
//	dma.c		the driver: IO addresses, map, unmap
//	main.c		what a test of a driver would do
#ifndef IOMMU_H
#define IOMMU_H

#define VMT_FORMAT vtd_ss
#include <vmtree/tree.h>

#include "../host/host.h"

#define PAGE VMT_PAGE_SIZE
#define MIB  (UINT64_C(1) << 20)

// ---- The device and the unit in front of it ----------------------------------------------------------------------

#define IOTLB_ENTRIES 256
#define WALK_ENTRIES  16

struct device {
	// Held for each access and for each invalidation: an invalidation is over when no access that began before it
	// is under way. Innermost; what the library holds does not matter to it.
	pthread_mutex_t lock;
	char *memory;	// RAM_BASE lies here
	uint64_t root;
	struct { uint64_t iova, size, pa; bool write; } iotlb[IOTLB_ENTRIES];	// size 0: unused
	struct { uint64_t iova, table; bool valid; } walk[WALK_ENTRIES];	// where the lowest table for 2 MiB lies
	unsigned next;
	uint64_t faults;
	_Atomic uint64_t invalidations;
};

void device_open(struct device *device, char *memory, uint64_t root);

// One aligned word at `iova`. False: a fault, and nothing was accessed.
bool device_read(struct device *device, uint64_t iova, uint64_t *word);
bool device_write(struct device *device, uint64_t iova, uint64_t word);

// What the driver queues and waits for: an IOTLB invalidation, and a wait descriptor that drains accesses under way.
void device_invalidate(struct device *device, const struct vmt_flush *flush);

// ---- The machine -------------------------------------------------------------------------------------------------

#define RAM_BASE     HOST_BASE
#define RAM_BYTES    (64 * MIB)
#define TABLE_FRAMES 256 // RAM begins with the frames that become tables

// ---- The driver --------------------------------------------------------------------------------------------------

#define IOVA_BASE  (UINT64_C(1) << 30)
#define IOVA_PAGES 8192

struct dma {
	struct vmt_tree *tree;
	pthread_mutex_t lock;	// guards `used`; not held over calls of the library
	bool used[IOVA_PAGES];
};

// What the port is to call for the flushes of its trees.
void dma_flush(const struct vmt_flush *flush);

enum vmt_status dma_open(struct dma *dma, struct host *host, struct device *device);
void dma_close(struct dma *dma);

// Maps `count` pages, which lie anywhere, to consecutive IO addresses. VMT_ERR_NO_MEMORY, VMT_ERR_NO_SPACE: nothing is
// mapped.
enum vmt_status dma_map_pages(struct dma *dma, const uint64_t *pages, unsigned count, vmt_prot prot, uint64_t *iova);

// Maps contiguous memory. From 2 MiB on the IO address is aligned so that large leaves fit if `pa` is aligned, too.
enum vmt_status dma_map_range(struct dma *dma, uint64_t pa, uint64_t length, vmt_prot prot, uint64_t *iova);

// When it returns the device can reach none of it any more, and the memory can be used for something else.
enum vmt_status dma_unmap(struct dma *dma, uint64_t iova, uint64_t length);

#endif

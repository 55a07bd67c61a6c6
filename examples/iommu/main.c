// SPDX-License-Identifier: MIT
// Gives buffers to the device, takes them back, and looks whether the device can reach what it may and nothing else.
#include <stdlib.h>

#include "../host/check.h"
#include "iommu.h"

#define RW	(VMT_READ | VMT_WRITE)
#define BUFFERS (RAM_BASE + 2 * MIB) // memory behind the table frames

static struct host host;
static struct device device;
static struct dma dma;

static uint64_t load(uint64_t pa)
{
	return atomic_load_explicit(host_word(&host, pa), memory_order_relaxed);
}

static void store(uint64_t pa, uint64_t word)
{
	atomic_store_explicit(host_word(&host, pa), word, memory_order_relaxed);
}

static uint64_t invalidations(void)
{
	return atomic_load_explicit(&device.invalidations, memory_order_relaxed);
}

static bool faults(uint64_t iova)
{
	uint64_t word, before = device.faults;

	return !device_read(&device, iova, &word) && device.faults == before + 1;
}

// A list of pages that lie anywhere.
static void scattered(void)
{
	uint64_t pages[8], iova, word, before = invalidations();

	for (unsigned i = 0; i < 8; i++)
		pages[i] = BUFFERS + (uint64_t)(i * 37 % 101) * PAGE;
	CHECK(dma_map_pages(&dma, pages, 8, RW, &iova) == VMT_OK);
	CHECK(vmt_tree_tables(dma.tree) == 4);
	for (unsigned i = 0; i < 8; i++) {
		CHECK(device_write(&device, iova + i * PAGE + 8 * i, 1000 + i));
		CHECK(load(pages[i] + 8 * i) == 1000 + i);
		store(pages[i], i);
		CHECK(device_read(&device, iova + i * PAGE, &word) && word == i);
	}
	CHECK(faults(iova + 8 * PAGE));
	CHECK(invalidations() == before); // nothing that was mapped anew can be in a cache
	CHECK(dma_unmap(&dma, iova, 8 * PAGE) == VMT_OK);
	CHECK(invalidations() == before + 1);
	for (unsigned i = 0; i < 8; i++)
		CHECK(faults(iova + i * PAGE));
}

// A large buffer: large leaves, of which a part can be taken away.
static void contiguous(void)
{
	uint64_t iova, before, pa = RAM_BASE + 16 * MIB;
	struct vmt_translation translation;

	CHECK(dma_map_range(&dma, pa, 4 * MIB, RW, &iova) == VMT_OK);
	CHECK(vmt_tree_translate(dma.tree, iova + 3 * MIB, &translation) == VMT_OK);
	CHECK(translation.size == 2 * MIB && translation.pa == pa + 3 * MIB);
	for (uint64_t at = 0; at < 4 * MIB; at += 64 * PAGE) {
		CHECK(device_write(&device, iova + at, at));
		CHECK(load(pa + at) == at);
	}
	before = invalidations();
	CHECK(vmt_tree_unmap(dma.tree, iova + MIB, PAGE, NULL) == VMT_OK);
	CHECK(faults(iova + MIB));
	CHECK(device_write(&device, iova + MIB - PAGE, 7) && load(pa + MIB - PAGE) == 7);
	CHECK(vmt_tree_translate(dma.tree, iova + MIB + PAGE, &translation) == VMT_OK && translation.size == PAGE);
	CHECK(vmt_tree_translate(dma.tree, iova + 2 * MIB, &translation) == VMT_OK && translation.size == 2 * MIB);
	CHECK(invalidations() > before);
	before = invalidations();
	CHECK(dma_unmap(&dma, iova, 4 * MIB) == VMT_OK);
	CHECK(invalidations() == before + 1);
	CHECK(faults(iova) && faults(iova + MIB + PAGE) && faults(iova + 3 * MIB));
}

// Memory that the device may only read.
static void permissions(void)
{
	uint64_t iova, word, page = BUFFERS + PAGE, before;

	store(page, 42);
	CHECK(dma_map_pages(&dma, &page, 1, VMT_READ, &iova) == VMT_OK);
	CHECK(device_read(&device, iova, &word) && word == 42);
	CHECK(!device_write(&device, iova, 43) && load(page) == 42);
	// The unit would go on using the narrower translation that it has.
	before = invalidations();
	CHECK(vmt_tree_protect(dma.tree, iova, PAGE, RW, NULL) == VMT_OK);
	CHECK(invalidations() == before + 1);
	CHECK(device_write(&device, iova, 43) && load(page) == 43);
	before = invalidations();
	CHECK(vmt_tree_protect(dma.tree, iova, PAGE, VMT_READ, NULL) == VMT_OK);
	CHECK(invalidations() == before + 1);
	CHECK(!device_write(&device, iova, 44) && load(page) == 43);
	CHECK(dma_unmap(&dma, iova, PAGE) == VMT_OK);
}

// What is refused leaves everything as it was, and what fails says how far it came.
static void refused(void)
{
	uint64_t iova, pages[2] = {BUFFERS, BUFFERS + PAGE}, word, done, tables;
	struct vmt_tree_map map = {.length = 2 * PAGE, .pa = BUFFERS, .prot = RW, .leaf_max = PAGE};

	CHECK(dma_map_pages(&dma, pages, 2, RW, &iova) == VMT_OK);
	CHECK(vmt_tree_unmap(dma.tree, iova, PAGE, NULL) == VMT_OK);
	map.addr = iova;
	CHECK(vmt_tree_map(dma.tree, &map, &done) == VMT_ERR_EXISTS && done == PAGE);
	CHECK(device_read(&device, iova, &word) && device_read(&device, iova + PAGE, &word));
	CHECK(vmt_tree_map(dma.tree, &map, &done) == VMT_ERR_EXISTS && done == 0);
	map.addr = UINT64_C(1) << 40;
	CHECK(vmt_tree_map(dma.tree, &map, NULL) == VMT_ERR_OUTSIDE);
	CHECK(dma_unmap(&dma, iova, 2 * PAGE) == VMT_OK);
	// A GiB of single pages takes more tables than there are frames.
	tables = vmt_tree_tables(dma.tree);
	map.addr = UINT64_C(1) << 31;
	map.length = UINT64_C(1) << 30;
	CHECK(vmt_tree_map(dma.tree, &map, &done) == VMT_ERR_NO_MEMORY && done > 0 && done < map.length);
	CHECK(device_read(&device, map.addr + 16 * MIB, &word) && faults(map.addr + done));
	CHECK(vmt_tree_unmap(dma.tree, map.addr, done, NULL) == VMT_OK);
	CHECK(faults(map.addr) && faults(map.addr + 16 * MIB));
	vmt_tree_reclaim(dma.tree);
	CHECK(vmt_tree_tables(dma.tree) == tables);
}

// ---- Several threads ---------------------------------------------------------------------------------------------
//
// Each worker gives its own pages to the device and takes them back, at addresses between those of the others. The
// first word of a page says whether the device may see it. A rogue device reads at random all the while: what it can
// read has to be the device's.

#define WORKERS	     4
#define ROUNDS	     400
#define WORKER_PAGES 8
#define LIVE	     UINT64_C(0x11fe11fe11fe11fe)
#define DEAD	     UINT64_C(0xdeaddeaddeaddead)

static _Atomic bool over;
static _Atomic uint64_t unmaps;

static void mark(const uint64_t *pages, unsigned count, uint64_t word)
{
	for (unsigned i = 0; i < count; i++)
		store(pages[i], word);
}

static void unmap(uint64_t iova, uint64_t length)
{
	CHECK(dma_unmap(&dma, iova, length) == VMT_OK);
	atomic_fetch_add_explicit(&unmaps, 1, memory_order_relaxed);
}

static void small_buffer(uint64_t *pages, unsigned round)
{
	unsigned count = 1 + round % WORKER_PAGES;
	uint64_t iova;

	mark(pages, count, LIVE);
	CHECK(dma_map_pages(&dma, pages, count, RW, &iova) == VMT_OK);
	for (unsigned i = 0; i < count; i++) {
		CHECK(device_write(&device, iova + i * PAGE + 8, iova + round));
		CHECK(load(pages[i] + 8) == iova + round);
	}
	unmap(iova, count * PAGE);
	mark(pages, count, DEAD);
}

static void large_buffer(uint64_t pa)
{
	uint64_t pages[512], iova;

	for (unsigned i = 0; i < 512; i++)
		pages[i] = pa + i * PAGE;
	mark(pages, 512, LIVE);
	CHECK(dma_map_range(&dma, pa, 2 * MIB, RW, &iova) == VMT_OK);
	CHECK(device_write(&device, iova + MIB + 8, iova) && load(pa + MIB + 8) == iova);
	unmap(iova, 2 * MIB);
	mark(pages, 512, DEAD);
}

static void *worker(void *arg)
{
	unsigned me = *(unsigned *)arg;
	uint64_t pages[WORKER_PAGES];

	host_cpu = me;
	for (unsigned i = 0; i < WORKER_PAGES; i++)
		pages[i] = BUFFERS + (uint64_t)(i * WORKERS + me) * 3 * PAGE;
	for (unsigned round = 0; round < ROUNDS; round++) {
		if (round % 16 == 15)
			large_buffer(RAM_BASE + 32 * MIB + me * 2 * MIB);
		else
			small_buffer(pages, round);
	}
	return NULL;
}

static void *rogue(void *arg)
{
	uint64_t random = 1;

	host_cpu = *(unsigned *)arg;
	// Relaxed: nothing but the end hangs on it.
	while (!atomic_load_explicit(&over, memory_order_relaxed)) {
		struct vmt_translation translation;
		uint64_t iova, word = LIVE;

		random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		iova = IOVA_BASE + (random >> 40) % (random >> 33 & 7 ? 64 : IOVA_PAGES) * PAGE;
		device_read(&device, iova, &word);
		CHECK(word == LIVE);
		if (vmt_tree_translate(dma.tree, iova, &translation) == VMT_OK)
			CHECK(translation.pa >= BUFFERS && translation.pa < RAM_BASE + RAM_BYTES);
	}
	return NULL;
}

static void several_threads(void)
{
	pthread_t thread[WORKERS + 1];
	unsigned number[WORKERS + 1];
	uint64_t before = invalidations();

	for (unsigned i = 0; i <= WORKERS; i++) {
		number[i] = i + 1;
		if (pthread_create(&thread[i], NULL, i < WORKERS ? worker : rogue, &number[i]))
			abort();
	}
	for (unsigned i = 0; i <= WORKERS; i++) {
		if (i == WORKERS)
			atomic_store_explicit(&over, true, memory_order_relaxed);
		pthread_join(thread[i], NULL);
	}
	// One for each unmap: the ring keeps the tables in place, so that none is given back on the way.
	CHECK(atomic_load_explicit(&unmaps, memory_order_relaxed) == WORKERS * ROUNDS);
	CHECK(invalidations() - before == WORKERS * ROUNDS);
	CHECK(vmt_tree_check(dma.tree) == 0);
}

static uint64_t ring = BUFFERS + MIB, ring_iova;

// The device's ring stays mapped while the driver is loaded, and its tables with it.
static void start(void)
{
	CHECK(host_open(&host, RAM_BYTES, TABLE_FRAMES, dma_flush));
	CHECK(dma_open(&dma, &host, &device) == VMT_OK);
	device_open(&device, host.memory, vmt_tree_root(dma.tree));
	store(ring, LIVE);
	CHECK(dma_map_pages(&dma, &ring, 1, RW, &ring_iova) == VMT_OK);
	CHECK(vmt_tree_tables(dma.tree) == 4);
}

static void stop(void)
{
	uint64_t before = invalidations();

	CHECK(vmt_tree_tables(dma.tree) == 4);
	CHECK(dma_unmap(&dma, ring_iova, PAGE) == VMT_OK);
	CHECK(invalidations() == before + 1);
	vmt_tree_reclaim(dma.tree); // each CPU keeps the last table that it emptied, for its next mapping
	CHECK(vmt_tree_tables(dma.tree) == 1);
	CHECK(vmt_tree_check(dma.tree) == 0);
	dma_close(&dma);
	host_drain(&host);
	CHECK(host.free_count == TABLE_FRAMES && host.blocks == 0);
	host_close(&host);
}

int main(void)
{
	static const struct check_case cases[] = {
		{"start", start}, {"scattered pages", scattered}, {"a contiguous buffer", contiguous},
		{"permissions", permissions}, {"what is refused", refused}, {"several threads", several_threads},
		{"stop", stop},
	};

	return check_cases(cases, sizeof(cases) / sizeof(cases[0]));
}

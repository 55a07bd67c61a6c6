// SPDX-License-Identifier: MIT
// A VT-d unit in legacy mode with queued invalidation, "Virtualization Technology for Directed I/O" (rev. 5.10): 3.4
// (root and context tables), 6.5.2 (the queue), 7.2 and 7.3 (faults), 9.1, 9.3, 9.8 (entries), 11.4 (registers).
#include "iommu.h"

#define UNIT UINT64_C(0xfed90000) // where QEMU's is; the ACPI table DMAR would say it

enum {
	REG_VERSION = 0x00,
	REG_CAPABILITIES = 0x08,
	REG_EXTENDED = 0x10,
	REG_COMMAND = 0x18,
	REG_STATUS = 0x1c,
	REG_ROOT_TABLE = 0x20,
	REG_FAULT_STATUS = 0x34,
	REG_QUEUE_TAIL = 0x88,
	REG_QUEUE = 0x90,
};

// Bits of REG_COMMAND and REG_STATUS.
#define TRANSLATE      (UINT32_C(1) << 31)
#define SET_ROOT_TABLE (UINT32_C(1) << 30)
#define QUEUE_ON       (UINT32_C(1) << 26)

// REG_FAULT_STATUS: a fault is recorded; it was not the only one; the queue's own errors.
#define STATUS_OVERFLOW UINT32_C(0x01)
#define STATUS_PENDING	UINT32_C(0x02)
#define STATUS_QUEUE	UINT32_C(0x70)

// The upper half of a fault's record, and the reasons of accesses without permission (table 25).
#define RECORD_FAULT (UINT64_C(1) << 63)
#define RECORD_READ  (UINT64_C(1) << 62)
#define REASON_WRITE 5
#define REASON_READ  6

#define DOMAIN UINT64_C(37)

// Descriptors of the queue.
enum {
	CONTEXT_ALL = 0x1 | 1 << 4,
	IOTLB_ALL = 0x2 | 1 << 4,
	IOTLB_DOMAIN = 0x2 | 2 << 4,
	IOTLB_PAGES = 0x2 | 3 << 4,
	IOTLB_DRAIN = 3 << 6, // reads and writes under way
	WAIT = 0x5 | 1 << 5,  // writes its status to memory
	LEAVES_ONLY = 1 << 6, // in the upper half of IOTLB_PAGES
};

#define QUEUE_SLOTS 256
#define PAGES_MOST  (64 * GIB) // more than that at once is the whole domain

static _Alignas(4096) uint64_t roots[512], contexts[512];
static _Alignas(4096) struct {
	uint64_t low, high;
} queue[QUEUE_SLOTS];
static volatile uint32_t waited;
static uint32_t waits;
static unsigned tail, mask_max, records, requester;

const unsigned unit_address_bits = 48;
const bool unit_records_absence = true;

static uint32_t get32(unsigned at)
{
	return *(volatile uint32_t *)(UNIT + at);
}

static void set32(unsigned at, uint32_t value)
{
	*(volatile uint32_t *)(UNIT + at) = value;
}

static uint64_t get64(unsigned at)
{
	return *(volatile uint64_t *)(UNIT + at);
}

static void set64(unsigned at, uint64_t value)
{
	*(volatile uint64_t *)(UNIT + at) = value;
}

static uint64_t physical(const volatile void *at)
{
	return (uint64_t)(uintptr_t)at - JUDGE_DIRECT;
}

// ---- The queue ---------------------------------------------------------------------------------------------------

static void put(uint64_t low, uint64_t high)
{
	queue[tail].low = low;
	queue[tail].high = high;
	tail = (tail + 1) % QUEUE_SLOTS;
}

// Until the unit has done all that was put.
static void submit(void)
{
	put(WAIT | (uint64_t)++waits << 32, physical(&waited));
	__asm__ volatile("" ::: "memory");
	set64(REG_QUEUE_TAIL, (uint64_t)tail << 4);
	while (waited != waits && !(get32(REG_FAULT_STATUS) & STATUS_QUEUE))
		__asm__ volatile("pause");
	if (get32(REG_FAULT_STATUS) & STATUS_QUEUE)
		vmt_port_fatal(NULL, "the unit refuses an invalidation");
}

// In pieces of a power of two pages, aligned to their size, none larger than the unit takes.
static void put_range(uint64_t start, uint64_t end, bool tables)
{
	while (start < end) {
		unsigned order = 0;

		while (order < mask_max && !(start >> VMT_PAGE_SHIFT & ((UINT64_C(2) << order) - 1)) &&
		       end - start >= PAGE << (order + 1))
			order++;
		put(IOTLB_PAGES | IOTLB_DRAIN | DOMAIN << 16, start | (tables ? 0 : LEAVES_ONLY) | order);
		start += PAGE << order;
	}
}

void unit_flush(const struct vmt_flush *flush)
{
	bool all = !flush || flush->all;

	for (unsigned i = 0; !all && i < flush->count; i++)
		all = flush->ranges[i].end - flush->ranges[i].start > PAGES_MOST;
	if (all) {
		put(IOTLB_DOMAIN | IOTLB_DRAIN | DOMAIN << 16, 0);
		submit();
		return;
	}
	// One range at a time fits into the queue.
	for (unsigned i = 0; i < flush->count; i++) {
		put_range(flush->ranges[i].start, flush->ranges[i].end, flush->tables);
		submit();
	}
}

bool unit_caches_absence(void)
{
	return get64(REG_CAPABILITIES) >> 7 & 1;
}

// ---- Set-up ------------------------------------------------------------------------------------------------------

uint64_t unit_table(uint64_t pa, unsigned level)
{
	(void)level;
	return pa | 3; // read, write
}

uint64_t unit_leaf(uint64_t pa, unsigned level)
{
	return pa | 3 | (level ? 0x80 : 0);
}

static void command(uint32_t bit, uint32_t on)
{
	// One-shot bits are not to be written again.
	uint32_t now = get32(REG_STATUS) & (TRANSLATE | QUEUE_ON);

	set32(REG_COMMAND, now | on);
	while (!(get32(REG_STATUS) & bit))
		__asm__ volatile("pause");
}

void unit_start(unsigned device)
{
	uint64_t capabilities = get64(REG_CAPABILITIES);

	if (!get32(REG_VERSION))
		judge_skip("there is no VT-d unit");
	// 48 bits in four levels; leaves of 2 MiB and 1 GiB; invalidation of pages; the queue.
	if (!(capabilities >> 10 & 1) || (capabilities >> 34 & 3) != 3 || !(capabilities >> 39 & 1) ||
	    !(get64(REG_EXTENDED) >> 1 & 1))
		judge_skip("the VT-d unit lacks 48 bits, large leaves or the queue");
	mask_max = capabilities >> 48 & 0x3f;
	records = (capabilities >> 24 & 0x3ff) * 16;
	requester = device;
	roots[0] = physical(contexts) | 1;
	set64(REG_ROOT_TABLE, physical(roots));
	command(SET_ROOT_TABLE, SET_ROOT_TABLE);
	set64(REG_QUEUE, physical(queue));
	command(QUEUE_ON, QUEUE_ON);
	unit_use(NOWHERE);
	command(TRANSLATE, TRANSLATE);
}

void unit_use(uint64_t root)
{
	contexts[2 * requester + 1] = DOMAIN << 8 | 2; // four levels
	contexts[2 * requester] = root == NOWHERE ? 0 : root | 1;
	put(CONTEXT_ALL, 0);
	put(IOTLB_ALL | IOTLB_DRAIN, 0);
	submit();
}

// ---- Faults ------------------------------------------------------------------------------------------------------

// There is one record. A transfer of several words faults several times, which is an overflow.
struct unit_fault unit_fault(unsigned device)
{
	struct unit_fault fault = {.kind = FAULT_NONE};
	uint32_t status = get32(REG_FAULT_STATUS);
	uint64_t low = get64(records), high = get64(records + 8);
	unsigned reason = high >> 32 & 0xff;

	if (!(high & RECORD_FAULT) && !status)
		return fault;
	fault.raw[0] = status;
	fault.raw[1] = high;
	fault.page = low;
	fault.write = !(high & RECORD_READ);
	fault.kind = FAULT_OTHER;
	if ((status & ~STATUS_OVERFLOW) == STATUS_PENDING && (high & 0xffff) == device && !(low & VMT_PAGE_MASK) &&
	    reason == (fault.write ? REASON_WRITE : REASON_READ))
		fault.kind = FAULT_ACCESS;
	set64(records + 8, RECORD_FAULT); // these bits are cleared by writing them
	set32(REG_FAULT_STATUS, STATUS_OVERFLOW);
	return fault;
}

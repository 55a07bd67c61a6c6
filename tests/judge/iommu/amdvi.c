// SPDX-License-Identifier: MIT
// An AMD IOMMU, "AMD I/O Virtualization Technology (IOMMU) Specification" (48882): 2.2.2 (device table), 2.2.3 (page
// tables), 2.4 (commands), 2.5 (events), 3.2 (PCI), 3.4 (registers).
#include "iommu.h"

#define CAPABILITY	  0x0f
#define CAPABILITY_TYPE	  3
#define CAPABILITY_NP	  (UINT32_C(1) << 26) // keeps that there was nothing

enum {
	REG_DEVICE_TABLE = 0x0000,
	REG_COMMANDS = 0x0008,
	REG_EVENTS = 0x0010,
	REG_CONTROL = 0x0018,
	REG_COMMAND_HEAD = 0x2000,
	REG_COMMAND_TAIL = 0x2008,
	REG_EVENT_HEAD = 0x2010,
	REG_EVENT_TAIL = 0x2018,
	ON = 1 << 0, // in REG_CONTROL
	EVENTS_ON = 1 << 2,
	COMMANDS_ON = 1 << 12,
};

#define RING_SIZE (UINT64_C(8) << 56) // 2^8 entries of 16 bytes, in REG_COMMANDS and REG_EVENTS
#define RING	  256

// The device table has one page: devices 0 to 15 of bus 0.
#define DEVICES 128
#define DOMAIN	UINT64_C(37)

// Entries of the device table and of page tables.
#define VALID	    UINT64_C(1)
#define TRANSLATION (UINT64_C(1) << 1)
#define LEVELS	    (UINT64_C(4) << 9)
#define PERMISSIONS (UINT64_C(3) << 61)

// Commands, in bits 63:60 of the first word.
#define COMMAND(code)	   ((uint64_t)(code) << 60)
#define COMPLETION_WAIT	   (COMMAND(1) | 1) // stores the second word
#define INVALIDATE_DEVICE  COMMAND(2)
#define INVALIDATE_PAGES   COMMAND(3)
#define PAGES_MANY	   UINT64_C(1) // the lowest clear bit of the address says how many
#define PAGES_TABLES	   UINT64_C(2)
#define PAGES_ALL	   (UINT64_C(0x7ffffffffffff000) | PAGES_MANY | PAGES_TABLES)

// IO_PAGE_FAULT: the code in bits 63:60 of the first word, the address in the second.
#define EVENT_PAGE_FAULT 2
#define EVENT_WRITE	 (UINT64_C(1) << 53)

static _Alignas(4096) uint64_t devices[DEVICES][4];
static _Alignas(4096) uint64_t commands[RING][2], events[RING][2];
static volatile uint64_t waited;
static uint64_t waits, unit;
static unsigned tail, requester;
static bool np_cache;

const unsigned unit_address_bits = 52;
// QEMU 7.2 never writes an event.
const bool unit_records_absence = false;

static uint64_t get(unsigned at)
{
	return *(volatile uint64_t *)(unit + at);
}

static void set(unsigned at, uint64_t value)
{
	*(volatile uint64_t *)(unit + at) = value;
}

static uint64_t physical(const volatile void *at)
{
	return (uint64_t)(uintptr_t)at - JUDGE_DIRECT;
}

// ---- Commands ----------------------------------------------------------------------------------------------------

static void put(uint64_t first, uint64_t second)
{
	commands[tail][0] = first;
	commands[tail][1] = second;
	tail = (tail + 1) % RING;
}

// Until the IOMMU has done all that was put.
static void submit(void)
{
	put(COMPLETION_WAIT | physical(&waited), ++waits);
	__asm__ volatile("" ::: "memory");
	set(REG_COMMAND_TAIL, (uint64_t)tail << 4);
	while (waited != waits && get(REG_EVENT_HEAD) == get(REG_EVENT_TAIL))
		__asm__ volatile("pause");
	if (waited != waits)
		vmt_port_fatal(NULL, "the IOMMU refuses a command");
}

// In pieces of a power of two pages, aligned to their size: fewer than the ring has room for.
static void put_range(uint64_t start, uint64_t end, bool tables)
{
	while (start < end) {
		uint64_t size = PAGE;

		while (!(start & (2 * size - 1)) && end - start >= 2 * size)
			size *= 2;
		// All bits of the address below the piece's highest are set, and that one is clear.
		put(INVALIDATE_PAGES | DOMAIN << 32, start | ((size - 1) / 2 & ~VMT_PAGE_MASK) |
			    (size > PAGE ? PAGES_MANY : 0) | (tables ? PAGES_TABLES : 0));
		start += size;
	}
}

void unit_flush(const struct vmt_flush *flush)
{
	if (!flush || flush->all) {
		put(INVALIDATE_PAGES | DOMAIN << 32, PAGES_ALL);
		submit();
		return;
	}
	for (unsigned i = 0; i < flush->count; i++) {
		put_range(flush->ranges[i].start, flush->ranges[i].end, flush->tables);
		submit();
	}
}

bool unit_caches_absence(void)
{
	return np_cache;
}

// ---- Set-up ------------------------------------------------------------------------------------------------------

uint64_t unit_table(uint64_t pa, unsigned level)
{
	return pa | PERMISSIONS | (uint64_t)(level + 1) << 9 | VALID;
}

uint64_t unit_leaf(uint64_t pa, unsigned level)
{
	(void)level;
	return pa | PERMISSIONS | VALID;
}

void unit_start(unsigned device)
{
	unsigned at, function = pci_find_capability(CAPABILITY, &at);
	uint32_t header;

	if (function == PCI_NONE || (pci_read(function, at) >> 16 & 7) != CAPABILITY_TYPE)
		judge_skip("there is no AMD IOMMU");
	if (device >= DEVICES)
		judge_skip("the device is not among the first 16");
	header = pci_read(function, at);
	np_cache = header & CAPABILITY_NP;
	unit = (uint64_t)pci_read(function, at + 8) << 32 | (pci_read(function, at + 4) & ~UINT32_C(0x3fff));
	requester = device;
	for (unsigned i = 0; i < DEVICES; i++)
		devices[i][0] = VALID | TRANSLATION; // and no permission
	set(REG_DEVICE_TABLE, physical(devices));
	set(REG_COMMANDS, physical(commands) | RING_SIZE);
	set(REG_EVENTS, physical(events) | RING_SIZE);
	set(REG_CONTROL, ON | EVENTS_ON | COMMANDS_ON);
	unit_use(NOWHERE);
}

void unit_use(uint64_t root)
{
	devices[requester][1] = DOMAIN;
	devices[requester][0] = VALID | TRANSLATION | (root == NOWHERE ? 0 : root | LEVELS | PERMISSIONS);
	put(INVALIDATE_DEVICE | requester, 0);
	put(INVALIDATE_PAGES | DOMAIN << 32, PAGES_ALL);
	submit();
}

// ---- Events ------------------------------------------------------------------------------------------------------

struct unit_fault unit_fault(unsigned device)
{
	struct unit_fault fault = {.kind = FAULT_NONE};
	uint64_t head = get(REG_EVENT_HEAD), end = get(REG_EVENT_TAIL), event = events[head >> 4][0];

	if (head == end)
		return fault;
	fault.raw[0] = event;
	fault.raw[1] = events[head >> 4][1];
	fault.page = fault.raw[1] & ~VMT_PAGE_MASK;
	fault.write = event & EVENT_WRITE;
	fault.kind = FAULT_OTHER;
	if (event >> 60 == EVENT_PAGE_FAULT && (event & 0xffff) == device && (event >> 32 & 0xffff) == DOMAIN)
		fault.kind = FAULT_ACCESS;
	set(REG_EVENT_HEAD, end);
	return fault;
}

// SPDX-License-Identifier: MIT
/*
 * The IOMMU: one VT-d unit in legacy mode with queued invalidation. "Virtualization Technology for
 * Directed I/O" 5.10: 3.4 (root and context tables), 6.5.2 (the queue), 7.2 and 7.3 (faults), 9.1,
 * 9.3 (entries), 11.4 (registers).
 *
 * queue_lock (spin_lock kind) guards the queue and its tail. It is taken with node locks of the
 * library held and never the other way round; nothing is taken under it. Waiting for the unit goes
 * on without it: the unit works the queue off in order and stores the number of each wait in
 * `waited`, so that any number of CPUs can wait at once, each for a number of its own.
 *
 * A unit that refuses a request, or does not answer in time, is *broken*: nothing more is asked of
 * it and every wait fails, until vtd_reset.
 */
#include "dev.h"

#include <kernel/boot.h>
#include <kernel/memory.h>
#include <kernel/printk.h>
#include <kernel/spinlock.h>
#include <kernel/string.h>
#include <kernel/time.h>

#define QEMU_UNIT 0xfed90000UL

enum {
	REG_VERSION = 0x00,
	REG_CAPABILITIES = 0x08,
	REG_EXTENDED = 0x10,
	REG_COMMAND = 0x18,
	REG_STATUS = 0x1c,
	REG_ROOT_TABLE = 0x20,
	REG_FAULT_STATUS = 0x34,
	REG_QUEUE_HEAD = 0x80,
	REG_QUEUE_TAIL = 0x88,
	REG_QUEUE = 0x90,
};

/* REG_CAPABILITIES */
#define CAP_WRITE_BUFFERS (1UL << 4) /* to be flushed by a command: units of the first years */
#define CAP_CACHING (1UL << 7)
#define CAP_48_BITS (1UL << 10) /* tables of four levels */
#define CAP_ADDRESS_BITS(c) (((c) >> 16 & 0x3f) + 1)
#define CAP_RECORDS_AT(c) (((c) >> 24 & 0x3ff) * 16)
#define CAP_2M (1UL << 34)
#define CAP_1G (1UL << 35)
#define CAP_PAGES (1UL << 39) /* invalidation of pages */
#define CAP_RECORDS(c) (((c) >> 40 & 0xff) + 1)
#define CAP_ORDER_MAX(c) ((c) >> 48 & 0x3f)

/* REG_EXTENDED */
#define EXT_COHERENT (1UL << 0)
#define EXT_QUEUE (1UL << 1)

/* REG_COMMAND and REG_STATUS */
#define TRANSLATE (1u << 31)
#define SET_ROOT_TABLE (1u << 30)
#define QUEUE_ON (1u << 26)

/* REG_FAULT_STATUS: a fault was not recorded for want of room; the queue's own errors. */
#define FAULT_OVERFLOW 0x01u
#define FAULT_QUEUE 0x70u

/* The upper half of a fault's record. */
#define RECORD_FAULT (1UL << 63)
#define RECORD_READ (1UL << 62)
#define RECORD_REASON(r) ((r) >> 32 & 0xff)
#define RECORD_SOURCE(r) ((r) & 0xffff)

/* Descriptors of the queue. */
enum {
	CONTEXT_ALL = 0x1 | 1 << 4,
	IOTLB_ALL = 0x2 | 1 << 4,
	IOTLB_DOMAIN = 0x2 | 2 << 4,
	IOTLB_PAGES = 0x2 | 3 << 4,
	IOTLB_DRAIN = 3 << 6, /* reads and writes under way */
	WAIT = 0x5 | 1 << 5, /* stores its number */
	UNKNOWN = 0xf, /* of no type that the manual knows */
	LEAVES_ONLY = 1 << 6, /* in the upper half of IOTLB_PAGES */
};

#define QUEUE_SLOTS 256u
/* A range that takes more pieces than this is the whole domain: it takes one. */
#define PIECES_MAX 16u
/* Number 0 is the unit's own where it keeps absences (6.1). */
#define DOMAIN 1UL
/* How long the unit may take for an answer. QEMU's answers at once. */
#define LIMIT_NS NSEC_PER_SEC

struct descriptor {
	uint64_t low, high;
};

static alignas(PAGE_SIZE) uint64_t roots[512], contexts[512];
static alignas(PAGE_SIZE) struct descriptor queue[QUEUE_SLOTS];
static _Atomic uint32_t waited; /* written by the unit */

static struct spinlock queue_lock = SPINLOCK_INIT;
static unsigned int tail;
static uint32_t waits;
static atomic_bool broken;

static volatile char *unit; /* registers */
static uint64_t capabilities;
struct vtd_state vtd_state;

static uint32_t get32(unsigned int at)
{
	return *(volatile uint32_t *)(unit + at);
}

static void set32(unsigned int at, uint32_t value)
{
	*(volatile uint32_t *)(unit + at) = value;
}

static uint64_t get64(unsigned int at)
{
	return *(volatile uint64_t *)(unit + at);
}

static void set64(unsigned int at, uint64_t value)
{
	*(volatile uint64_t *)(unit + at) = value;
}

/* Of the kernel's own data. */
static uint64_t physical(const volatile void *at)
{
	return (uint64_t)at - KERNEL_BASE;
}

/* ---- Coherence ---- */

void device_publish(const volatile void *memory, size_t bytes)
{
	uint64_t at = ALIGN_DOWN((uint64_t)memory, CACHE_LINE);

	barrier(); /* x86 keeps the order of stores; the compiler has to as well */
	if (vtd_state.coherent)
		return;
	for (; at < (uint64_t)memory + bytes; at += CACHE_LINE)
		clflush((const volatile void *)at);
	/* The lines are in memory before whatever tells the unit of them. */
	atomic_thread_fence(memory_order_seq_cst);
}

/* ---- The queue ---- */

static bool is_broken(void)
{
	/* Relaxed: a word of its own; who sees it late waits in vain once more. */
	return atomic_load_explicit(&broken, memory_order_relaxed);
}

static void set_broken(bool now)
{
	/* Relaxed: as above. */
	atomic_store_explicit(&broken, now, memory_order_relaxed);
}

/* Is the wait over: the unit refuses to go on, or takes too long? */
static bool give_up(uint64_t deadline)
{
	if (!(get32(REG_FAULT_STATUS) & FAULT_QUEUE) && ktime_ns() < deadline) {
		cpu_relax();
		return false;
	}
	set_broken(true);
	return true;
}

/* queue_lock held. False: there is no room, and will be none. */
static bool wait_for_room(unsigned int slots)
{
	uint64_t deadline = ktime_ns() + LIMIT_NS;

	for (;;) {
		unsigned int head = get64(REG_QUEUE_HEAD) / sizeof(struct descriptor);

		/* One slot stays free: a full queue would look empty. */
		if ((head - tail - 1) % QUEUE_SLOTS >= slots)
			return true;
		if (give_up(deadline))
			return false;
	}
}

/* queue_lock held, and there is room. */
static void put(uint64_t low, uint64_t high)
{
	queue[tail] = (struct descriptor){ low, high };
	device_publish(&queue[tail], sizeof(queue[tail]));
	tail = (tail + 1) % QUEUE_SLOTS;
}

/* queue_lock held. The unit begins with what was put. */
static void ring(void)
{
	barrier(); /* as in device_publish */
	set64(REG_QUEUE_TAIL, tail * sizeof(struct descriptor));
}

/* The largest piece at the start of a range: a power of two pages, aligned to its size. */
static unsigned int piece_order(uint64_t start, uint64_t end)
{
	unsigned int order = 0;

	while (order < CAP_ORDER_MAX(capabilities) && IS_ALIGNED(start, PAGE_SIZE << (order + 1)) &&
	       end - start >= PAGE_SIZE << (order + 1))
		order++;
	return order;
}

static unsigned int piece_count(uint64_t start, uint64_t end)
{
	unsigned int n = 0;

	for (; start < end && n <= PIECES_MAX; n++)
		start += PAGE_SIZE << piece_order(start, end);
	return n;
}

static void put_range(uint64_t start, uint64_t end, bool tables)
{
	if (!(capabilities & CAP_PAGES) || piece_count(start, end) > PIECES_MAX) {
		put(IOTLB_DOMAIN | IOTLB_DRAIN | DOMAIN << 16, 0);
		return;
	}
	while (start < end) {
		unsigned int order = piece_order(start, end);

		put(IOTLB_PAGES | IOTLB_DRAIN | DOMAIN << 16,
			start | (tables ? 0 : LEAVES_ONLY) | order);
		start += PAGE_SIZE << order;
	}
}

void vtd_issue(uint64_t start, uint64_t end, bool tables)
{
	spin_lock(&queue_lock);
	if (!is_broken() && wait_for_room(PIECES_MAX)) {
		put_range(start, end, tables);
		ring();
	}
	spin_unlock(&queue_lock);
}

/* Asks for a number to be stored when all before is done. False: the unit is broken. */
static bool ask(uint32_t *number)
{
	bool good;

	spin_lock(&queue_lock);
	good = !is_broken() && wait_for_room(1);
	if (good) {
		*number = ++waits;
		put(WAIT | (uint64_t)*number << 32, physical(&waited));
		ring();
	}
	spin_unlock(&queue_lock);
	return good;
}

bool vtd_wait(void)
{
	uint64_t deadline = ktime_ns() + LIMIT_NS;
	uint32_t number;

	if (!ask(&number))
		return false;
	/* Acquire: what the device did before is seen after. The numbers wrap. */
	while ((int32_t)(atomic_load_explicit(&waited, memory_order_acquire) - number) < 0)
		if (give_up(deadline))
			return false;
	return true;
}

void vtd_jam(void)
{
	spin_lock(&queue_lock);
	if (!is_broken() && wait_for_room(1)) {
		put(UNKNOWN, 0);
		ring();
	}
	spin_unlock(&queue_lock);
}

bool vtd_reset(void)
{
	unsigned int head;

	spin_lock(&queue_lock);
	/* What it refuses is at the head: an invalidation of everything takes its place. */
	head = get64(REG_QUEUE_HEAD) / sizeof(struct descriptor) % QUEUE_SLOTS;
	if (get32(REG_FAULT_STATUS) & FAULT_QUEUE) {
		queue[head] = (struct descriptor){ IOTLB_ALL | IOTLB_DRAIN, 0 };
		device_publish(&queue[head], sizeof(queue[head]));
		set32(REG_FAULT_STATUS, FAULT_QUEUE); /* cleared by writing them */
	}
	set_broken(false);
	if (wait_for_room(2)) {
		put(CONTEXT_ALL, 0);
		put(IOTLB_ALL | IOTLB_DRAIN, 0);
		ring();
	}
	spin_unlock(&queue_lock);
	return vtd_wait();
}

/* ---- Who may ask ---- */

bool vtd_use(unsigned int function, uint64_t root)
{
	uint64_t *entry = &contexts[2 * function];

	entry[0] = 0;
	entry[1] = DOMAIN << 8 | 2; /* four levels */
	barrier(); /* present last */
	entry[0] = root ? root | 1 : 0;
	device_publish(entry, 2 * sizeof(*entry));
	spin_lock(&queue_lock);
	if (!is_broken() && wait_for_room(2)) {
		put(CONTEXT_ALL, 0);
		put(IOTLB_DOMAIN | IOTLB_DRAIN | DOMAIN << 16, 0);
		ring();
	}
	spin_unlock(&queue_lock);
	return vtd_wait();
}

/* ---- Faults ---- */

bool vtd_take_faults(unsigned int function, struct edu_fault *fault)
{
	bool found = false;

	for (unsigned int i = 0; i < CAP_RECORDS(capabilities); i++) {
		unsigned int at = CAP_RECORDS_AT(capabilities) + 16 * i;
		uint64_t low = get64(at), high = get64(at + 8);

		if (!(high & RECORD_FAULT))
			continue;
		if (RECORD_SOURCE(high) == function && !found) {
			found = true;
			*fault = (struct edu_fault){
				.address = low & PAGE_MASK,
				.reason = RECORD_REASON(high),
				.write = !(high & RECORD_READ),
			};
		}
		set64(at + 8, RECORD_FAULT); /* cleared by writing it */
	}
	set32(REG_FAULT_STATUS, FAULT_OVERFLOW);
	return found;
}

/* ---- Set-up ---- */

static bool command(uint32_t bit)
{
	/* One-shot bits are not to be written again. */
	uint32_t now = get32(REG_STATUS) & (TRANSLATE | QUEUE_ON);
	uint64_t deadline = ktime_ns() + LIMIT_NS;

	set32(REG_COMMAND, now | bit);
	while (!(get32(REG_STATUS) & bit))
		if (ktime_ns() >= deadline)
			return false;
	return true;
}

static bool is_suitable(void)
{
	return capabilities & CAP_48_BITS && CAP_ADDRESS_BITS(capabilities) >= 48 &&
	       !(capabilities & CAP_WRITE_BUFFERS) && get64(REG_EXTENDED) & EXT_QUEUE;
}

static bool turn_on(void)
{
	roots[0] = physical(contexts) | 1;
	device_publish(roots, sizeof(roots));
	device_publish(contexts, sizeof(contexts));
	set64(REG_ROOT_TABLE, physical(roots));
	set64(REG_QUEUE, physical(queue));
	return command(SET_ROOT_TABLE) && command(QUEUE_ON) && vtd_reset() && command(TRANSLATE);
}

bool vtd_start(void)
{
	struct vtd_state *s = &vtd_state;

	s->from_acpi = boot_info.acpi;
	s->registers = boot_info.acpi ? boot_info.iommu : QEMU_UNIT;
	unit = s->registers ? mmio_map(s->registers) : NULL;
	if (!unit || get32(REG_VERSION) == 0 || get32(REG_VERSION) == UINT32_MAX) {
		klog("no VT-d unit: edu is not used");
		return false;
	}
	capabilities = get64(REG_CAPABILITIES);
	s->coherent = get64(REG_EXTENDED) & EXT_COHERENT;
	s->caching = capabilities & CAP_CACHING;
	s->leaf_sizes = 1UL << 12 | (capabilities & CAP_2M ? 1UL << 21 : 0) |
			(capabilities & CAP_1G ? 1UL << 30 : 0);
	if (!is_suitable()) {
		klog("the VT-d unit lacks 48 bits or queued invalidation: edu is not used");
		return false;
	}
	if (!turn_on()) {
		klog("the VT-d unit does not answer: edu is not used");
		return false;
	}
	return true;
}

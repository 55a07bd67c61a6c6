// SPDX-License-Identifier: MIT
/*
 * The frame allocator: buddies of orders 0 to 10 in up to 16 arenas, one lock each, and a small cache
 * of single frames for each CPU in front of them.
 *
 * A frame's state is one byte in an array at STATE_BASE: for the first frame of a free block its
 * order, for the first frame of a used one its order too, with USED; everything else 0. A free
 * block's list link lies in the block. kmalloc keeps tags in the bytes of its own frames.
 *
 * Locks, irqsave: a CPU's cache, then an arena. Each CPU begins with an arena of its own and goes
 * round when that is empty; when all are, it takes what lies in the caches of the others.
 */
#include <kernel/boot.h>
#include <kernel/list.h>
#include <kernel/memory.h>
#include <kernel/printk.h>
#include <kernel/spinlock.h>
#include <kernel/string.h>

#include "core.h"

#define ORDERS (FRAME_MAX_ORDER + 1)
#define MAX_ARENAS 16
#define CACHE_MAX 64
#define CACHE_BATCH 32

enum {
	STATE_NONE = 0x00, /* not the first frame of a block, or not managed */
	STATE_USED = 0x40, /* | order */
	STATE_CACHED = 0x60, /* single frame in a CPU's cache */
	STATE_FREE = 0x80, /* | order */
	STATE_TAG = 0xc0, /* | tag, set by kmalloc; bits 0-3 */
};

struct arena {
	struct spinlock lock; /* irqsave: everything below */
	struct list free[ORDERS];
	_Atomic uint64_t nr_free; /* frames; read by frame_count_free without the lock */
} __cacheline;

struct frame_cache {
	struct spinlock lock; /* irqsave; taken by others only to drain */
	_Atomic unsigned int count; /* read by frame_count_free without the lock */
	uint64_t frames[CACHE_MAX];
} __cacheline;

static struct arena arenas[MAX_ARENAS];
static unsigned int arena_count, arena_shift; /* of page frame numbers */
static struct frame_cache caches[MAX_CPUS];
static uint64_t frames_total; /* constant once all memory was added, by the first CPU */

/*
 * Counts are written under their lock. Relaxed: who reads them without it wants to know about how
 * many there are.
 */
static uint64_t nr_free_get(const struct arena *a)
{
	return atomic_load_explicit(&a->nr_free, memory_order_relaxed);
}

static void nr_free_set(struct arena *a, uint64_t n)
{
	atomic_store_explicit(&a->nr_free, n, memory_order_relaxed);
}

static unsigned int cached_get(const struct frame_cache *c)
{
	return atomic_load_explicit(&c->count, memory_order_relaxed);
}

static void cached_set(struct frame_cache *c, unsigned int n)
{
	atomic_store_explicit(&c->count, n, memory_order_relaxed);
}

/*
 * Relaxed throughout: a byte says FREE only while the arena's lock guards it. What others write to the
 * bytes of their own frames without that lock is never FREE, so a freer that looks at its buddy's byte
 * learns the same from the old and the new value.
 */
static unsigned int state_get(uint64_t pfn)
{
	return atomic_load_explicit((atomic_uchar *)STATE_BASE + pfn, memory_order_relaxed);
}

static void state_set(uint64_t pfn, unsigned int state)
{
	atomic_store_explicit((atomic_uchar *)STATE_BASE + pfn, (unsigned char)state,
			      memory_order_relaxed);
}

static struct list *link_of(uint64_t pfn)
{
	return phys_to_virt(pfn << PAGE_SHIFT);
}

static struct arena *arena_of(uint64_t pfn)
{
	return &arenas[pfn >> arena_shift];
}

void frames_setup(void)
{
	uint64_t last = 0;

	for (unsigned int i = 0; i < boot_info.ram_count; i++)
		last = MAX(last, boot_info.ram[i].end >> PAGE_SHIFT);
	arena_shift = FRAME_MAX_ORDER;
	while ((last - 1) >> arena_shift >= MAX_ARENAS)
		arena_shift++;
	arena_count = (unsigned int)((last - 1) >> arena_shift) + 1;
	for (unsigned int i = 0; i < MAX_ARENAS; i++)
		for (unsigned int o = 0; o < ORDERS; o++)
			list_init(&arenas[i].free[o]);
}

/* Under the arena's lock; joins with free buddies. Blocks never reach over an arena's end. */
static void arena_free_block(struct arena *a, uint64_t pfn, unsigned int order)
{
	nr_free_set(a, nr_free_get(a) + (1UL << order));
	state_set(pfn, STATE_NONE);
	for (; order < FRAME_MAX_ORDER; order++) {
		uint64_t buddy = pfn ^ 1UL << order;

		if (!frame_is_ram(buddy << PAGE_SHIFT) || state_get(buddy) != (STATE_FREE | order))
			break;
		list_del(link_of(buddy));
		state_set(buddy, STATE_NONE);
		pfn &= ~(1UL << order);
	}
	state_set(pfn, STATE_FREE | order);
	list_add(&a->free[order], link_of(pfn));
}

/* Under the arena's lock; page frame number or 0. */
static uint64_t arena_take_block(struct arena *a, unsigned int order)
{
	unsigned int o = order;
	uint64_t pfn;
	struct list *l;

	while (o < ORDERS && list_empty(&a->free[o]))
		o++;
	if (o == ORDERS)
		return 0;
	l = a->free[o].next;
	list_del(l);
	pfn = virt_to_phys(l) >> PAGE_SHIFT;
	while (o > order) {
		uint64_t half = pfn + (1UL << --o);

		state_set(half, STATE_FREE | o);
		list_add(&a->free[o], link_of(half));
	}
	state_set(pfn, STATE_USED | order);
	nr_free_set(a, nr_free_get(a) - (1UL << order));
	return pfn;
}

void frames_add(uint64_t start, uint64_t end)
{
	uint64_t pfn = start >> PAGE_SHIFT, last = end >> PAGE_SHIFT;

	while (pfn < last) {
		unsigned int order = pfn ? (unsigned int)__builtin_ctzl(pfn) : FRAME_MAX_ORDER;
		struct arena *a = arena_of(pfn);
		uint64_t flags;

		order = MIN(order, (unsigned int)FRAME_MAX_ORDER);
		while (pfn + (1UL << order) > last)
			order--;
		flags = spin_lock_irqsave(&a->lock);
		frames_total += 1UL << order;
		arena_free_block(a, pfn, order);
		spin_unlock_irqrestore(&a->lock, flags);
		pfn += 1UL << order;
	}
}

/* From the arenas, beginning with this CPU's. */
static uint64_t take_block(unsigned int order)
{
	unsigned int first = cpu_id() % arena_count;

	for (unsigned int i = 0; i < arena_count; i++) {
		struct arena *a = &arenas[(first + i) % arena_count];
		uint64_t flags = spin_lock_irqsave(&a->lock), pfn = arena_take_block(a, order);

		spin_unlock_irqrestore(&a->lock, flags);
		if (pfn)
			return pfn;
	}
	return 0;
}

static void give_block(uint64_t pfn, unsigned int order)
{
	struct arena *a = arena_of(pfn);
	uint64_t flags = spin_lock_irqsave(&a->lock);

	arena_free_block(a, pfn, order);
	spin_unlock_irqrestore(&a->lock, flags);
}

/* Under the cache's lock: a batch from the first arena that has some. */
static void cache_fill(struct frame_cache *c)
{
	unsigned int first = cpu_id() % arena_count, count = 0;

	for (unsigned int i = 0; i < arena_count && !count; i++) {
		struct arena *a = &arenas[(first + i) % arena_count];
		uint64_t flags = spin_lock_irqsave(&a->lock), pfn;

		while (count < CACHE_BATCH && (pfn = arena_take_block(a, 0)) != 0) {
			state_set(pfn, STATE_CACHED);
			c->frames[count++] = pfn;
		}
		spin_unlock_irqrestore(&a->lock, flags);
	}
	cached_set(c, count);
}

/* Under the cache's lock: gives back all but `keep`. */
static void cache_empty(struct frame_cache *c, unsigned int keep)
{
	unsigned int count = cached_get(c);

	while (count > keep)
		give_block(c->frames[--count], 0);
	cached_set(c, count);
}

/* This CPU's cache, locked; interrupts off, which keeps the CPU. */
static inline struct frame_cache *cache_lock(uint64_t *flags)
{
	struct frame_cache *c;

	*flags = irq_save();
	c = &caches[cpu_id()];
	spin_lock_irqs_off(&c->lock);
	return c;
}

static inline void cache_unlock(struct frame_cache *c, uint64_t flags)
{
	spin_unlock_irqs_off(&c->lock);
	irq_restore(flags);
}

static uint64_t cache_take(void)
{
	uint64_t flags, pfn = 0;
	struct frame_cache *c = cache_lock(&flags);

	if (unlikely(!cached_get(c)))
		cache_fill(c);
	if (cached_get(c)) {
		cached_set(c, cached_get(c) - 1);
		pfn = c->frames[cached_get(c)];
		state_set(pfn, STATE_USED);
	}
	cache_unlock(c, flags);
	return pfn;
}

static void cache_give(uint64_t pfn)
{
	uint64_t flags;
	struct frame_cache *c = cache_lock(&flags);

	if (unlikely(cached_get(c) == CACHE_MAX))
		cache_empty(c, CACHE_MAX - CACHE_BATCH);
	state_set(pfn, STATE_CACHED);
	c->frames[cached_get(c)] = pfn;
	cached_set(c, cached_get(c) + 1);
	cache_unlock(c, flags);
}

void frame_drain(void)
{
	for (unsigned int i = 0; i < cpu_count(); i++) {
		uint64_t flags = spin_lock_irqsave(&caches[i].lock);

		cache_empty(&caches[i], 0);
		spin_unlock_irqrestore(&caches[i].lock, flags);
	}
}

uint64_t frame_alloc(unsigned int order, unsigned int flags)
{
	uint64_t pfn, pa;

	assert(order <= FRAME_MAX_ORDER);
	pfn = order ? take_block(order) : cache_take();
	if (unlikely(!pfn && !(flags & FRAME_TRY))) {
		frame_drain();
		pfn = take_block(order);
	}
	if (!pfn)
		return FRAME_NONE;
	pa = pfn << PAGE_SHIFT;
	if (flags & FRAME_ZERO)
		for (uint64_t i = 0; i < 1UL << order; i++)
			page_zero(phys_to_virt(pa + (i << PAGE_SHIFT)));
	return pa;
}

void frame_free(uint64_t pa, unsigned int order)
{
	uint64_t pfn = pa >> PAGE_SHIFT;

	if (!IS_ALIGNED(pa, PAGE_SIZE) || !frame_is_ram(pa) || state_get(pfn) != (STATE_USED | order))
		panic("frame_free(%lx, %u): not allocated like that (state %x)", pa, order,
		      frame_is_ram(pa) ? state_get(pfn) : 0xff);
	if (order)
		give_block(pfn, order);
	else
		cache_give(pfn);
}

/* The bytes are the owner's, as kmalloc's tags are: none of them says FREE before or after. */
void frame_split(uint64_t pa, unsigned int order)
{
	uint64_t pfn = pa >> PAGE_SHIFT;

	if (!frame_is_ram(pa) || state_get(pfn) != (STATE_USED | order))
		panic("frame_split(%lx, %u): not allocated like that", pa, order);
	for (uint64_t i = 0; i < 1UL << order; i++)
		state_set(pfn + i, STATE_USED);
}

bool frame_is_ram(uint64_t pa)
{
	for (unsigned int i = 0; i < boot_info.ram_count; i++)
		if (pa >= boot_info.ram[i].start && pa < boot_info.ram[i].end)
			return true;
	return false;
}

uint64_t frame_count_free(void)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < arena_count; i++)
		n += nr_free_get(&arenas[i]);
	for (unsigned int i = 0; i < cpu_count(); i++)
		n += cached_get(&caches[i]);
	return n;
}

uint64_t frame_count_total(void)
{
	return frames_total;
}

uint8_t frame_tag(uint64_t pa)
{
	return (uint8_t)state_get(pa >> PAGE_SHIFT);
}

void frame_set_tag(uint64_t pa, unsigned int order, uint8_t tag)
{
	uint64_t pfn = pa >> PAGE_SHIFT;

	for (uint64_t i = 0; i < 1UL << order; i++)
		state_set(pfn + i, tag ? STATE_TAG | tag : STATE_NONE);
	if (!tag)
		state_set(pfn, STATE_USED | order);
}

// SPDX-License-Identifier: MIT
/*
 * Small memory: power-of-two classes of 16 to 2048 bytes in slabs, larger sizes as whole frames.
 *
 * A slab is a naturally aligned block of frames with a header of 64 bytes and equal objects behind
 * it. Each frame of it carries class + 1 as its tag, so that kfree finds class and slab from the
 * address. In front of each class every CPU has a magazine of free objects, used with interrupts
 * off and by no other CPU; it exchanges batches with the class under the class's lock (irqsave,
 * before the locks of the frame allocator).
 */
#include <kernel/ipi.h>
#include <kernel/list.h>
#include <kernel/memory.h>
#include <kernel/printk.h>
#include <kernel/spinlock.h>
#include <kernel/string.h>

#include "core.h"

#define CLASSES (KMALLOC_CLASSES - 1)
#define CLASS_SIZE(c) (16UL << (c))
#define MAX_SMALL CLASS_SIZE(CLASSES - 1)
#define HEADER_SIZE 64
#define MAGAZINE 32
#define BATCH 16
#define TAG_BASE 0xc0 /* what frame_tag adds to a tag */

struct object {
	struct object *next;
};

struct slab {
	struct list link; /* on the class's partial list while it has free objects */
	struct object *free;
	unsigned int used;
};

struct class {
	struct spinlock lock; /* irqsave: the list and the slabs of this class */
	struct list partial;
} __cacheline;

struct magazine {
	unsigned int count;
	void *objects[MAGAZINE];
};

struct cpu_cache {
	struct magazine magazines[CLASSES];
	int64_t outstanding[KMALLOC_CLASSES]; /* objects out minus objects back, on this CPU */
	int64_t bytes;
} __cacheline;

static struct class classes[CLASSES];
static struct cpu_cache caches[MAX_CPUS];

/* Orders of the slabs of a class: at least 7 objects. */
static unsigned int slab_order(unsigned int class)
{
	return class <= 4 ? 0 : class - 4;
}

static unsigned int class_of(size_t size)
{
	return size <= 16 ? 0 : 60 - (unsigned int)__builtin_clzl(size - 1);
}

static unsigned int order_of(size_t size)
{
	return size <= PAGE_SIZE ? 0 : 52 - (unsigned int)__builtin_clzl(size - 1);
}

static struct slab *slab_of(void *object, unsigned int class)
{
	return (struct slab *)ALIGN_DOWN((uint64_t)object, PAGE_SIZE << slab_order(class));
}

/* Under the class's lock. NULL: memory is out. */
static struct slab *slab_new(unsigned int class)
{
	unsigned int order = slab_order(class);
	uint64_t pa = frame_alloc(order, 0), size = CLASS_SIZE(class);
	struct slab *s;

	if (pa == FRAME_NONE)
		return NULL;
	frame_set_tag(pa, order, (uint8_t)(class + 1));
	s = phys_to_virt(pa);
	s->free = NULL;
	s->used = 0;
	for (uint64_t at = HEADER_SIZE; at + size <= PAGE_SIZE << order; at += size) {
		struct object *o = (struct object *)((char *)s + at);

		o->next = s->free;
		s->free = o;
	}
	list_add(&classes[class].partial, &s->link);
	return s;
}

/* Interrupts off. */
static void magazine_fill(struct magazine *m, unsigned int class)
{
	struct class *c = &classes[class];
	uint64_t flags = spin_lock_irqsave(&c->lock);

	if (!c->partial.next)
		list_init(&c->partial); /* first use */
	while (m->count < BATCH) {
		struct slab *s = list_empty(&c->partial) ? slab_new(class) :
							   list_first(&c->partial, struct slab, link);

		if (!s)
			break;
		m->objects[m->count++] = s->free;
		s->free = s->free->next;
		s->used++;
		if (!s->free)
			list_del(&s->link);
	}
	spin_unlock_irqrestore(&c->lock, flags);
}

/* Under the class's lock. */
static void slab_give(struct class *c, unsigned int class, struct object *o)
{
	struct slab *s = slab_of(o, class);
	unsigned int order = slab_order(class);

	if (!s->free)
		list_add(&c->partial, &s->link);
	o->next = s->free;
	s->free = o;
	if (--s->used)
		return;
	list_del(&s->link);
	frame_set_tag(virt_to_phys(s), order, 0);
	frame_free(virt_to_phys(s), order);
}

/* Interrupts off: gives back all but `keep` objects. */
static void magazine_empty(struct magazine *m, unsigned int class, unsigned int keep)
{
	struct class *c = &classes[class];
	uint64_t flags = spin_lock_irqsave(&c->lock);

	while (m->count > keep)
		slab_give(c, class, m->objects[--m->count]);
	spin_unlock_irqrestore(&c->lock, flags);
}

static void *large_alloc(size_t size)
{
	unsigned int order = order_of(size);
	uint64_t pa = size <= PAGE_SIZE << FRAME_MAX_ORDER ? frame_alloc(order, 0) : FRAME_NONE, flags;

	if (pa == FRAME_NONE)
		return NULL;
	flags = irq_save();
	caches[cpu_id()].outstanding[CLASSES]++;
	caches[cpu_id()].bytes += PAGE_SIZE << order;
	irq_restore(flags);
	return phys_to_virt(pa);
}

void *kmalloc(size_t size)
{
	unsigned int class;
	struct cpu_cache *cache;
	struct magazine *m;
	void *p = NULL;
	uint64_t flags;

	if (size > MAX_SMALL)
		return large_alloc(size);
	if (!size)
		return NULL;
	class = class_of(size);
	flags = irq_save();
	cache = &caches[cpu_id()];
	m = &cache->magazines[class];
	if (!m->count)
		magazine_fill(m, class);
	if (m->count) {
		p = m->objects[--m->count];
		cache->outstanding[class]++;
		cache->bytes += (int64_t)CLASS_SIZE(class);
	}
	irq_restore(flags);
	return p;
}

void *kzalloc(size_t size)
{
	void *p = kmalloc(size);

	return p ? memset(p, 0, size) : NULL;
}

/* Class of an address from kmalloc; CLASSES for whole frames, whose order goes to *order. */
static unsigned int class_of_address(const void *p, unsigned int *order)
{
	uint64_t pa = virt_to_phys(p);
	unsigned int tag;

	if ((uint64_t)p < DIRECT_BASE || (uint64_t)p >= DIRECT_END || !frame_is_ram(pa))
		panic("kfree(%p): not from kmalloc", p);
	tag = frame_tag(pa);
	if (tag > TAG_BASE && tag <= TAG_BASE + CLASSES)
		return tag - TAG_BASE - 1;
	*order = tag & 0xf;
	if ((tag & 0xf0) != 0x40 || !IS_ALIGNED(pa, PAGE_SIZE))
		panic("kfree(%p): not from kmalloc (state %x)", p, tag);
	return CLASSES;
}

void kfree(void *p)
{
	struct cpu_cache *cache;
	unsigned int class, order = 0;
	uint64_t flags;

	if (!p)
		return;
	class = class_of_address(p, &order);
	flags = irq_save();
	cache = &caches[cpu_id()];
	cache->outstanding[class]--;
	if (class == CLASSES) {
		cache->bytes -= (int64_t)(PAGE_SIZE << order);
		frame_free(virt_to_phys(p), order);
	} else {
		struct magazine *m = &cache->magazines[class];

		cache->bytes -= (int64_t)CLASS_SIZE(class);
		if (m->count == MAGAZINE)
			magazine_empty(m, class, MAGAZINE - BATCH);
		m->objects[m->count++] = p;
	}
	irq_restore(flags);
}

size_t kmalloc_size(const void *p)
{
	unsigned int order = 0, class = class_of_address(p, &order);

	return class == CLASSES ? PAGE_SIZE << order : CLASS_SIZE(class);
}

uint64_t kmalloc_outstanding(void)
{
	int64_t bytes = 0;

	for (unsigned int i = 0; i < MAX_CPUS; i++)
		bytes += caches[i].bytes;
	return (uint64_t)bytes;
}

void kmalloc_counts(uint64_t counts[KMALLOC_CLASSES])
{
	for (unsigned int c = 0; c < KMALLOC_CLASSES; c++) {
		int64_t n = 0;

		for (unsigned int i = 0; i < MAX_CPUS; i++)
			n += caches[i].outstanding[c];
		counts[c] = (uint64_t)n;
	}
}

static void drain_this_cpu(void *unused)
{
	uint64_t flags = irq_save();

	(void)unused;
	for (unsigned int c = 0; c < CLASSES; c++)
		if (caches[cpu_id()].magazines[c].count)
			magazine_empty(&caches[cpu_id()].magazines[c], c, 0);
	irq_restore(flags);
}

void kmalloc_drain(void)
{
	ipi_call(cpu_all(), drain_this_cpu, NULL);
	frame_drain();
}

// SPDX-License-Identifier: MIT
/*
 * The kernel half of the address space (root slots 256 to 511), built at boot, its root level never
 * changed afterwards: a new user root copies slots 256..511 of kernel_root_table().
 *
 *   0xffff800000000000  all RAM, read-write, no execute, 1 GiB and 2 MiB pages (slots 256-383)
 *   0xffffc00000000000  struct vmt_frame, 64 bytes for each page frame number (slot 384)
 *   0xffffc80000000000  one state byte for each page frame number (slot 400, the allocator's own)
 *   0xffffffff80000000  the kernel image: text RX, rodata R, data RW (slot 511)
 *   0xffffffffc0000000  registers, uncached: local APIC, I/O APIC, what mmio_map was asked for
 */
#ifndef KERNEL_MEMORY_H
#define KERNEL_MEMORY_H

#include <kernel/types.h>
#include <vmtree/frame.h>

#define USER_END 0x00007ffffffff000UL /* first address that no program has */
#define DIRECT_BASE 0xffff800000000000UL
#define DIRECT_END 0xffffc00000000000UL
#define META_BASE 0xffffc00000000000UL
#define STATE_BASE 0xffffc80000000000UL
#define KERNEL_BASE 0xffffffff80000000UL
#define MMIO_BASE 0xffffffffc0000000UL

/* For every byte of RAM. */
static inline void *phys_to_virt(uint64_t pa)
{
	return (void *)(DIRECT_BASE + pa);
}

/* The inverse, for addresses of the direct map (so for everything from kmalloc and frame_alloc). */
static inline uint64_t virt_to_phys(const void *p)
{
	return (uint64_t)p - DIRECT_BASE;
}

/* The 64 bytes of the frame that holds pa, which must be RAM (see frame_is_ram). Stable address. */
static inline struct vmt_frame *frame_meta(uint64_t pa)
{
	return (struct vmt_frame *)META_BASE + (pa >> PAGE_SHIFT);
}

/*
 * A page of device registers, uncached, mapped for ever; NULL when there is room for no more. Takes
 * no memory. For set-up: one thread, before the first program.
 */
volatile void *mmio_map(uint64_t pa);

/* Root of the kernel's own tables: physical address, and the 512 entries. */
uint64_t kernel_root(void);
const uint64_t *kernel_root_table(void);

/* ---- Frames ---- */

#define FRAME_MAX_ORDER 10 /* 4 MiB */
#define FRAME_ZERO (1u << 0) /* contents all zero */
#define FRAME_TRY (1u << 1) /* leaves the per-CPU caches alone: for a caller who can do without */
#define FRAME_NONE 0 /* never a frame that is handed out */

/*
 * 2^order frames, aligned to their size; physical address, or FRAME_NONE when memory is out. Does
 * not sleep and does not reclaim: the caller may grace_barrier() and try again. Any context but NMI.
 * Their metadata (frame_meta) belongs to the caller until frame_free, contents undefined (zero the
 * first time).
 */
uint64_t frame_alloc(unsigned int order, unsigned int flags);

/* Gives them back, with the same order. Panics on a double free or a wrong order. Any context. */
void frame_free(uint64_t pa, unsigned int order);

/* Makes 2^order allocations of order 0 of one of this order: each frame is given back by itself. */
void frame_split(uint64_t pa, unsigned int order);

/* Is the frame at pa RAM that the allocator manages (allocated or free)? */
bool frame_is_ram(uint64_t pa);

/* Free frames: exact when nobody allocates meanwhile. Total: all managed ones. */
uint64_t frame_count_free(void);
uint64_t frame_count_total(void);

/* Puts the frames in per-CPU caches back, so that large orders can be built. May be slow. */
void frame_drain(void);

/* ---- Small memory ---- */

/*
 * At least `size` bytes, contents undefined. Sizes up to 2048 come from power-of-two classes, larger
 * ones from whole frames (up to 4 MiB, rounded up to a power of two). Aligned to 16, and to 64 when
 * size >= 64, to 4096 when size > 2048. NULL when memory is out or size is 0. Does not sleep; any
 * context but NMI.
 */
void *kmalloc(size_t size);
void *kzalloc(size_t size);
void kfree(void *p); /* NULL is allowed. Panics on what is not from kmalloc. */
size_t kmalloc_size(const void *p); /* usable bytes */

/* Bytes handed out and not returned (class sizes), exact when nobody allocates meanwhile. */
uint64_t kmalloc_outstanding(void);

/* Objects of each class outstanding; classes are 16 << i bytes, the last counts larger ones. */
#define KMALLOC_CLASSES 9
void kmalloc_counts(uint64_t counts[KMALLOC_CLASSES]);

/*
 * Returns unused objects of per-CPU caches and the frames of empty slabs, and the frame caches.
 * After it frame_count_free() depends only on what is in use. In a thread, interrupts on.
 */
void kmalloc_drain(void);

#endif

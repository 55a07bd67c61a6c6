// SPDX-License-Identifier: MIT
/*
 * The library's port for this kernel, the part that the library inlines: compile src/vmtree.c with
 * -DVMT_PORT_INLINE='<kernel/vmt_port.h>', and for the format that devices walk also with
 * -DVMT_PORT_WALKED_BY_DEVICES. The rest is kernel/mm/port.c, tlb.c and domain.c.
 *
 * The library's own files are compiled in the same unit, so this header brings in no other header
 * of the kernel and repeats three offsets and two addresses; port.c asserts that they are the
 * kernel's.
 *
 * A read-side section is a stretch with preemption off: the core's grace periods wait for every CPU
 * to pass a point outside of such stretches (kernel/grace.h).
 */
#ifndef KERNEL_VMT_PORT_H
#define KERNEL_VMT_PORT_H

#include <vmtree/frame.h>
#include <vmtree/types.h>

#define VMT_PORT_DIRECT_BASE 0xffff800000000000UL
#define VMT_PORT_META_BASE   0xffffc00000000000UL
#define VMT_PORT_GS_PREEMPT  32
#define VMT_PORT_GS_RESCHED  36
#define VMT_PORT_GS_CPU      40

/* The core's: gives the CPU away (kernel/cpu.h). */
void preempt_schedule(void);

#define VMT_PORT_FRAME_PTR
static inline void *vmt_port_frame_ptr(void *port, uint64_t pa)
{
	(void)port;
	return (void *)(VMT_PORT_DIRECT_BASE + pa);
}

/* All frames that a program of this kernel can map are RAM, so there is no NULL. */
#define VMT_PORT_FRAME_META
static inline struct vmt_frame *vmt_port_frame_meta(void *port, uint64_t pa)
{
	(void)port;
	return (struct vmt_frame *)VMT_PORT_META_BASE + (pa >> VMT_PAGE_SHIFT);
}

#define VMT_PORT_CPU
static inline unsigned vmt_port_cpu(void *port)
{
	uint32_t id;

	(void)port;
	__asm__ volatile("mov %%gs:%c1, %0" : "=r"(id) : "i"(VMT_PORT_GS_CPU));
	return id;
}

#define VMT_PORT_PREEMPT_OFF
static inline void vmt_port_preempt_off(void *port)
{
	(void)port;
	__asm__ volatile("incl %%gs:%c0" ::"i"(VMT_PORT_GS_PREEMPT) : "memory", "cc");
}

#define VMT_PORT_PREEMPT_ON
static inline void vmt_port_preempt_on(void *port)
{
	uint32_t wanted;
	int32_t count;

	(void)port;
	__asm__ volatile("decl %%gs:%c0" ::"i"(VMT_PORT_GS_PREEMPT) : "memory", "cc");
	__asm__ volatile("mov %%gs:%c1, %0" : "=r"(wanted) : "i"(VMT_PORT_GS_RESCHED));
	if (__builtin_expect(wanted != 0, 0)) {
		__asm__ volatile("mov %%gs:%c1, %0" : "=r"(count) : "i"(VMT_PORT_GS_PREEMPT));
		if (count == 0)
			preempt_schedule();
	}
}

#define VMT_PORT_READ_ENTER
static inline void vmt_port_read_enter(void *port)
{
	vmt_port_preempt_off(port);
}

#define VMT_PORT_READ_EXIT
static inline void vmt_port_read_exit(void *port)
{
	vmt_port_preempt_on(port);
}

/*
 * x86-64 walkers read through the caches and never keep an entry that was not present. Devices may
 * not: in their format the function is not inlined, it is domain.c's.
 */
#ifndef VMT_PORT_WALKED_BY_DEVICES
#define VMT_PORT_PUBLISH
static inline void vmt_port_publish(void *port, _Atomic(uint64_t) *first, unsigned count)
{
	(void)port;
	(void)first;
	(void)count;
}
#endif

#endif

// SPDX-License-Identifier: MIT
// The port of the benchmarks: one thread, memory from an arena, nothing to flush. What a kernel would inline is
// inlined.
#ifndef BENCH_PORT_H
#define BENCH_PORT_H

#include <vmtree/frame.h>
#include <vmtree/names.h>
#include <vmtree/types.h>

struct bench_arena {
	char *memory;
	struct vmt_frame *frames;
	uint32_t *free;
	uint32_t count, next; // next: how many of `free` are taken
	uint64_t flushes;
};

// Memory for `count` frames. False: there is none.
bool bench_arena_make(struct bench_arena *arena);

#define VMT_PORT_FRAME_PTR
static inline void *vmt_port_frame_ptr(void *port, uint64_t pa)
{
	return ((struct bench_arena *)port)->memory + pa;
}

#define VMT_PORT_FRAME_META
static inline struct vmt_frame *vmt_port_frame_meta(void *port, uint64_t pa)
{
	return &((struct bench_arena *)port)->frames[pa >> VMT_PAGE_SHIFT];
}

#define VMT_PORT_CPU
static inline unsigned vmt_port_cpu(void *port)
{
	(void)port;
	return 0;
}

#define VMT_PORT_PREEMPT_OFF
static inline void vmt_port_preempt_off(void *port)
{
	(void)port;
}

#define VMT_PORT_PREEMPT_ON
static inline void vmt_port_preempt_on(void *port)
{
	(void)port;
}

#define VMT_PORT_READ_ENTER
static inline void vmt_port_read_enter(void *port)
{
	(void)port;
}

#define VMT_PORT_READ_EXIT
static inline void vmt_port_read_exit(void *port)
{
	(void)port;
}

#define VMT_PORT_PUBLISH
static inline void vmt_port_publish(void *port, _Atomic(uint64_t) *first, unsigned count)
{
	(void)port, (void)first, (void)count;
}

#endif

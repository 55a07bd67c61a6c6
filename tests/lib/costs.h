// SPDX-License-Identifier: MIT
// What the library asks of the port, counted: entries written, nodes looked at, flushes. The program is linked with
// --wrap for these functions (meson.build), so the machine and the library are those of all other tests.
#ifndef TESTS_LIB_COSTS_H
#define TESTS_LIB_COSTS_H

#include <vmtree/port.h>

struct costs {
	uint64_t entries;	// written
	uint64_t nodes;		// vmt_port_frame_meta: tables gone through, and pages counted
	uint64_t flushes, ranges;
	uint64_t frames;	// allocated
};

static struct costs costs;

void __real_vmt_port_publish(void *port, _Atomic(uint64_t) *first, unsigned count);
void __wrap_vmt_port_publish(void *port, _Atomic(uint64_t) *first, unsigned count);
struct vmt_frame *__real_vmt_port_frame_meta(void *port, uint64_t pa);
struct vmt_frame *__wrap_vmt_port_frame_meta(void *port, uint64_t pa);
void __real_vmt_port_flush(void *port, const struct vmt_flush *flush);
void __wrap_vmt_port_flush(void *port, const struct vmt_flush *flush);
uint64_t __real_vmt_port_frame_alloc(void *port, uint64_t bytes, bool zero);
uint64_t __wrap_vmt_port_frame_alloc(void *port, uint64_t bytes, bool zero);

void __wrap_vmt_port_publish(void *port, _Atomic(uint64_t) *first, unsigned count)
{
	costs.entries += count;
	__real_vmt_port_publish(port, first, count);
}

struct vmt_frame *__wrap_vmt_port_frame_meta(void *port, uint64_t pa)
{
	costs.nodes++;
	return __real_vmt_port_frame_meta(port, pa);
}

void __wrap_vmt_port_flush(void *port, const struct vmt_flush *flush)
{
	costs.flushes++;
	costs.ranges += flush->all ? 1 : flush->count;
	__real_vmt_port_flush(port, flush);
}

uint64_t __wrap_vmt_port_frame_alloc(void *port, uint64_t bytes, bool zero)
{
	costs.frames++;
	return __real_vmt_port_frame_alloc(port, bytes, zero);
}

// What has been asked for since the last call.
static inline struct costs costs_take(void)
{
	struct costs taken = costs;

	costs = (struct costs){0};
	return taken;
}

#endif

// SPDX-License-Identifier: MIT
// The port of the benchmarks of one thread: the part that is not inlined (bench_port.h) and not the same for all
// (native.c).
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bench_port.h"
#include <vmtree/port.h>

bool bench_arena_make(struct bench_arena *arena)
{
	arena->memory = mmap(NULL, (size_t)arena->count << VMT_PAGE_SHIFT, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	arena->frames = aligned_alloc(64, arena->count * sizeof(*arena->frames));
	arena->free = malloc(arena->count * sizeof(*arena->free));
	if (arena->memory == MAP_FAILED || !arena->frames || !arena->free)
		return false;
	memset(arena->frames, 0, arena->count * sizeof(*arena->frames));
	for (uint32_t i = 0; i < arena->count; i++)
		arena->free[i] = i;
	return true;
}

uint64_t vmt_port_frame_alloc(void *port, uint64_t bytes, bool zero)
{
	struct bench_arena *arena = port;
	uint64_t pa;

	if (arena->next == arena->count || bytes != VMT_PAGE_SIZE)
		return VMT_NO_FRAME;
	pa = (uint64_t)arena->free[arena->next++] << VMT_PAGE_SHIFT;
	if (zero)
		memset(arena->memory + pa, 0, VMT_PAGE_SIZE);
	return pa;
}

void vmt_port_frame_free(void *port, uint64_t pa, uint64_t bytes)
{
	struct bench_arena *arena = port;

	(void)bytes;
	arena->free[--arena->next] = (uint32_t)(pa >> VMT_PAGE_SHIFT);
}

void vmt_port_relax(void *port, bool preemptible)
{
	(void)port, (void)preemptible;
}

void vmt_port_flush(void *port, const struct vmt_flush *flush)
{
	(void)flush;
	((struct bench_arena *)port)->flushes++;
}

void vmt_port_defer(void *port, struct vmt_deferred *item)
{
	item->run(port, item);
}

// SPDX-License-Identifier: MIT
// The port: each CPU has its own frames and its own heap, and gives what it frees to itself.
#include <vmtree/port.h>

#include "conflicts.h"

static unsigned self = BOOT, flushes;

void port_be(unsigned cpu)
{
	self = cpu;
}

unsigned port_flushes(void)
{
	return flushes;
}

static struct port_cpu *mine(void)
{
	return &memory.port[self];
}

// ---- Memory ------------------------------------------------------------------------------------------------------

uint64_t vmt_port_frame_alloc(void *port, uint64_t bytes, bool zero)
{
	struct port_cpu *cpu = mine();
	uint64_t pa;

	(void)port;
	if (bytes != VMT_PAGE_SIZE)
		return VMT_NO_FRAME;
	if (!cpu->free_frames && cpu->used_frames == FRAMES)
		fail("CPU %u has no frame left", self);
	pa = (cpu->free_frames ? cpu->frame[--cpu->free_frames] : self * FRAMES + cpu->used_frames++) * VMT_PAGE_SIZE;
	if (zero)
		frame_zero(pa);
	return pa;
}

void vmt_port_frame_free(void *port, uint64_t pa, uint64_t bytes)
{
	struct port_cpu *cpu = mine();

	(void)port, (void)bytes;
	cpu->frame[cpu->free_frames++] = (uint32_t)(pa / VMT_PAGE_SIZE);
}

void *vmt_port_frame_ptr(void *port, uint64_t pa)
{
	(void)port;
	return memory.frame[pa / VMT_PAGE_SIZE];
}

struct vmt_frame *vmt_port_frame_meta(void *port, uint64_t pa)
{
	(void)port;
	return &memory.meta[pa / VMT_PAGE_SIZE];
}

static void **blocks_of(struct port_cpu *cpu, size_t bytes)
{
	for (unsigned i = 0; i < sizeof(cpu->block) / sizeof(cpu->block[0]); i++) {
		if (!cpu->block[i].bytes)
			cpu->block[i].bytes = bytes;
		if (cpu->block[i].bytes == bytes)
			return &cpu->block[i].first;
	}
	fail("there are more sizes of blocks than the port has lists for");
}

void *vmt_port_mem_alloc(void *port, size_t bytes)
{
	struct port_cpu *cpu = mine();
	size_t size = (bytes + LINE - 1) / LINE * LINE;
	void **list = blocks_of(cpu, size), *block = *list;

	(void)port;
	if (block) {
		*list = *(void **)block;
		return block;
	}
	if (cpu->heap_used + size > HEAP)
		fail("CPU %u has no memory left", self);
	block = &memory.heap[self][cpu->heap_used];
	cpu->heap_used += (uint32_t)size;
	return block;
}

void vmt_port_mem_free(void *port, void *block, size_t bytes)
{
	void **list = blocks_of(mine(), (bytes + LINE - 1) / LINE * LINE);

	(void)port;
	*(void **)block = *list;
	*list = block;
}

// ---- CPUs and flushing -------------------------------------------------------------------------------------------

unsigned vmt_port_cpu(void *port)
{
	(void)port;
	return self == BOOT ? 0 : self;
}

void vmt_port_preempt_off(void *port)
{
	(void)port;
	mine()->preempt++;
}

void vmt_port_preempt_on(void *port)
{
	(void)port;
	mine()->preempt--;
}

void vmt_port_relax(void *port, bool preemptible)
{
	(void)port, (void)preemptible;
	fail("somebody waits, and nobody else is running");
}

// How a request reaches the other CPU is the port's own affair; only that there is one is counted.
void vmt_port_flush(void *port, const struct vmt_flush *flush)
{
	(void)port;
	flushes += (unsigned)__builtin_popcountll(flush->cpus[0] & ~(UINT64_C(1) << self));
}

void vmt_port_publish(void *port, _Atomic(uint64_t) *first, unsigned count)
{
	// The walkers are coherent.
	(void)port, (void)first, (void)count;
}

// ---- Grace periods -----------------------------------------------------------------------------------------------

void vmt_port_read_enter(void *port)
{
	(void)port;
	mine()->sections++;
}

void vmt_port_read_exit(void *port)
{
	(void)port;
	mine()->sections--;
}

void vmt_port_defer(void *port, struct vmt_deferred *item)
{
	(void)port;
	item->next = mine()->deferred;
	mine()->deferred = item;
}

void port_quiesce(void)
{
	while (mine()->deferred) {
		struct vmt_deferred *item = mine()->deferred;

		mine()->deferred = item->next;
		item->run(NULL, item);
	}
}

// ---- The rest ----------------------------------------------------------------------------------------------------

void vmt_port_log(void *port, const char *line)
{
	(void)port;
	fail("%s", line);
}

_Noreturn void vmt_port_fatal(void *port, const char *what)
{
	(void)port;
	fail("%s", what);
}

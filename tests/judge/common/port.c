// SPDX-License-Identifier: MIT
// The library's port: one processor, table frames from an array, a flush by the machine's own instructions.
#include "judge.h"

#define FRAMES (PAGE == 4096 ? 4096 : 64 * MIB / PAGE)

static _Alignas(PAGE) unsigned char memory[FRAMES][PAGE];
static struct vmt_frame metadata[FRAMES];
static bool taken[FRAMES];
static unsigned held, next;
static uint64_t flushes;
static struct vmt_deferred *waiting;

static uint64_t memory_pa(void)
{
	return (uint64_t)(uintptr_t)memory - JUDGE_DIRECT;
}

unsigned port_frames(void)
{
	return held;
}

uint64_t port_flushes(void)
{
	return flushes;
}

void *port_pointer(uint64_t pa)
{
	return (void *)(uintptr_t)(pa + JUDGE_DIRECT);
}

void port_settle(void)
{
	while (waiting) {
		struct vmt_deferred *item = waiting;

		waiting = item->next;
		item->run(NULL, item);
	}
}

// ---- Memory ------------------------------------------------------------------------------------------------------

uint64_t vmt_port_frame_alloc(void *port, uint64_t bytes, bool zero)
{
	(void)port, (void)bytes;
	for (unsigned i = 0; i < FRAMES; i++, next = (next + 1) % FRAMES) {
		if (taken[next])
			continue;
		taken[next] = true;
		held++;
		// What is not asked for zeroed gets entries that no decoder may see.
		for (unsigned n = 0; n < PAGE; n++)
			memory[next][n] = zero ? 0 : 0xff;
		return memory_pa() + next * PAGE;
	}
	return VMT_NO_FRAME;
}

void vmt_port_frame_free(void *port, uint64_t pa, uint64_t bytes)
{
	uint64_t n = (pa - memory_pa()) / PAGE;

	(void)bytes;
	if (n >= FRAMES || !taken[n])
		vmt_port_fatal(port, "a frame is freed that is not held");
	taken[n] = false;
	held--;
	for (unsigned i = 0; i < PAGE; i++)
		memory[n][i] = 0xff;
}

void *vmt_port_frame_ptr(void *port, uint64_t pa)
{
	(void)port;
	return port_pointer(pa);
}

struct vmt_frame *vmt_port_frame_meta(void *port, uint64_t pa)
{
	uint64_t n = (pa - memory_pa()) / PAGE;

	(void)port;
	return n < FRAMES ? &metadata[n] : NULL;
}

void *vmt_port_mem_alloc(void *port, size_t bytes)
{
	uint64_t pa = bytes <= PAGE ? vmt_port_frame_alloc(port, PAGE, false) : VMT_NO_FRAME;

	return pa == VMT_NO_FRAME ? NULL : port_pointer(pa);
}

void vmt_port_mem_free(void *port, void *at, size_t bytes)
{
	(void)bytes;
	vmt_port_frame_free(port, (uint64_t)(uintptr_t)at - JUDGE_DIRECT, PAGE);
}

// ---- Flushing ----------------------------------------------------------------------------------------------------

void vmt_port_flush(void *port, const struct vmt_flush *flush)
{
	(void)port;
	flushes++;
#if JUDGE_DEVICE
	machine_flush(flush);
#else
	uint64_t pages = 0;

	for (unsigned i = 0; i < flush->count; i++)
		pages += (flush->ranges[i].end - flush->ranges[i].start) / PAGE;
	if (flush->all || flush->tables || pages > 64) {
		machine_flush_all();
		return;
	}
	for (unsigned i = 0; i < flush->count; i++)
		for (uint64_t va = flush->ranges[i].start; va < flush->ranges[i].end; va += PAGE)
			machine_flush_page(va);
#endif
}

// ---- One processor -----------------------------------------------------------------------------------------------

void vmt_port_publish(void *port, _Atomic(uint64_t) *first, unsigned count)
{
	(void)port, (void)first, (void)count;
}

unsigned vmt_port_cpu(void *port)
{
	(void)port;
	return 0;
}

void vmt_port_preempt_off(void *port)
{
	(void)port;
}

void vmt_port_preempt_on(void *port)
{
	(void)port;
}

// Nobody else could be waited for.
void vmt_port_relax(void *port, bool preemptible)
{
	(void)preemptible;
	vmt_port_fatal(port, "the only processor waits for another");
}

void vmt_port_read_enter(void *port)
{
	(void)port;
}

void vmt_port_read_exit(void *port)
{
	(void)port;
}

void vmt_port_defer(void *port, struct vmt_deferred *item)
{
	(void)port;
	item->next = waiting;
	waiting = item;
}

void vmt_port_log(void *port, const char *line)
{
	(void)port;
	judge_print("%s\n", line);
}

_Noreturn void vmt_port_fatal(void *port, const char *what)
{
	(void)port;
	judge_fail("the library stopped: %s", what);
	judge_end();
}

// SPDX-License-Identifier: MIT
// Two CPUs want a description of a mapping (space/attr.h); enough are free, and there is no memory for more. Once some
// were in no list while one CPU moved them, and the other one failed.
#include "space.h"

#include <vmtree/port.h>

#define MAPS  121 // of 127 descriptions in a chunk
#define CHUNK (128 * 128)

static struct vmt_object *object;
static void *taken[2][64];
static unsigned count[2];

static void map_at(uint64_t at)
{
	struct vmt_map_request request = {.addr = at, .length = PAGE, .prot = RW,
					  .flags = VMT_MAP_FIXED | VMT_MAP_SHARED, .object = object};
	uint64_t addr;

	ok(vmt_map(space, &request, &addr));
}

static void begin(void)
{
	begin_space();
	ok(vmt_object_create(vmt, PAGE, NULL, NULL, &object));
	map_at(B);
	map_at(B + 4 * PAGE);
	for (unsigned i = 2; i < MAPS; i++)
		map_at(A + 2 * i * PAGE);
	ok(vmt_unmap(space, B, PAGE));
	ok(vmt_unmap(space, B + 4 * PAGE, PAGE));
}

// Takes all memory that a chunk more could be made of.
static void exhaust(unsigned cpu)
{
	for (count[cpu] = 0; count[cpu] < 64; count[cpu]++)
		if (!(taken[cpu][count[cpu]] = vmt_port_mem_alloc(NULL, CHUNK)))
			break;
}

static void idle(void)
{
}

static void map_a(void)
{
	exhaust(0);
	map_at(A);
}

static void map_b(void)
{
	exhaust(1);
	map_at(B);
}

static void end(void)
{
	for (unsigned cpu = 0; cpu < 2; cpu++)
		while (count[cpu])
			vmt_port_mem_free(NULL, taken[cpu][--count[cpu]], CHUNK);
	vmt_object_put(object);
	end_space();
}

const struct scenario lists = {
	.name = "lists-of-descriptions",
	.about = "two CPUs look for free descriptions of mappings in each other's lists",
	.cpus = 3, .begin = begin, .cpu = {idle, map_a, map_b}, .end = end,
};

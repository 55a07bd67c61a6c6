// SPDX-License-Identifier: MIT
#include "space.h"

struct vmt *vmt;
struct vmt_space *space, *child;

void begin_space(void)
{
	struct vmt_map_request request = {.addr = XP_RAM, .length = GIB, .prot = RW,
					  .flags = VMT_MAP_FIXED_NOREPLACE};
	uint64_t addr;

	ok(vmt_create(NULL, XP_CPUS, &vmt));
	ok(vmt_space_create(vmt, &(struct vmt_space_config){.end = 4 * GIB, .user = true}, &space));
	ok(vmt_map(space, &request, &addr));
	xp_watch(A);
	xp_watch(B);
	for (unsigned cpu = xp_running_cpus(); cpu-- > 0;) {
		xp_as(cpu);
		xp_activate(space);
	}
}

void end_space(void)
{
	xp_demand(vmt_check(space) == 0, "vmt_check finds something wrong");
	for (unsigned cpu = 0; cpu < xp_running_cpus(); cpu++) {
		xp_as(cpu);
		xp_deactivate();
	}
	ok(vmt_space_destroy(space));
	ok(vmt_destroy(vmt));
}

void write_value(uint64_t va, uint64_t value)
{
	ok(xp_write(va, value));
}

uint64_t read_value(uint64_t va)
{
	uint64_t value;

	ok(xp_read(va, &value));
	return value;
}

void release_page(uint64_t va)
{
	ok(vmt_release(space, va, PAGE));
}

uint64_t frame_at(uint64_t va)
{
	struct vmt_translation translation;

	return vmt_translate(space, va, &translation) == VMT_OK ? translation.pa : 0;
}

void fork_space(void)
{
	ok(vmt_space_fork(space, NULL, &child));
}

uint64_t read_child(uint64_t va)
{
	uint64_t value;

	xp_as(0);
	xp_deactivate();
	xp_activate(child);
	value = read_value(va);
	xp_deactivate();
	xp_activate(space);
	return value;
}

void destroy_child(void)
{
	xp_demand(vmt_check(child) == 0, "vmt_check finds something wrong in the child");
	ok(vmt_space_destroy(child));
}

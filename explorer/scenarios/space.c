// SPDX-License-Identifier: MIT
#include "device.h"
#include "space.h"

#define LEVELS 3

static bool used;

struct vmt *vmt;
struct vmt_space *space, *child;

void begin_unused_space(void)
{
	struct vmt_map_request request = {.addr = XP_RAM, .length = GIB, .prot = RW,
					  .flags = VMT_MAP_FIXED_NOREPLACE};
	uint64_t addr;

	ok(vmt_create(NULL, XP_CPUS, &vmt));
	ok(vmt_space_create(vmt, &(struct vmt_space_config){.end = 4 * GIB, .user = true}, &space));
	ok(vmt_map(space, &request, &addr));
	xp_watch(A);
	xp_watch(B);
	used = false;
}

void begin_space(void)
{
	begin_unused_space();
	used = true;
	for (unsigned cpu = xp_running_cpus(); cpu-- > 0;) {
		xp_as(cpu);
		xp_activate(space);
	}
}

void end_space(void)
{
	if (vmt_check(space))
		xp_fail("vmt_check finds something wrong");
	for (unsigned cpu = 0; cpu < xp_running_cpus() && used; cpu++) {
		xp_as(cpu);
		xp_deactivate();
	}
	xp_devices_leave();
	ok(vmt_space_destroy(space));
	xp_devices_end();
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

void copy_value(uint64_t va, uint64_t value)
{
	_Atomic uint64_t *word;
	uint64_t pa;

	ok(vmt_page_get(space, va, VMT_WRITE, &pa));
	word = xp_frame_ptr(pa);
	xp_event(XP_ACCESS, xp_place(word), 1, XP_WRITE, false, __builtin_return_address(0));
	atomic_store_explicit(word, value, memory_order_relaxed);
	xp_happened(xp_place(word), XP_WRITE);
	vmt_page_put(vmt, pa);
}

uint64_t table_of(uint64_t va, unsigned level)
{
	uint64_t pa = vmt_space_root(space);
	struct sim_entry entry;

	for (unsigned at = LEVELS - 1; at > level; at--) {
		const uint64_t *table = xp_frame_ptr(pa);

		sim_decode_sv39.decode(table[sim_index(&sim_decode_sv39, at, va)], at, &entry);
		if (entry.kind != SIM_ENTRY_TABLE)
			return 0;
		pa = entry.pa;
	}
	return pa;
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

bool read_child_if(uint64_t va, uint64_t *value)
{
	enum vmt_status status;

	xp_as(0);
	xp_deactivate();
	xp_activate(child);
	status = xp_read(va, value);
	xp_deactivate();
	xp_activate(space);
	if (status != VMT_ERR_UNMAPPED)
		ok(status);
	return status == VMT_OK;
}

uint64_t read_child(uint64_t va)
{
	uint64_t value;

	if (!read_child_if(va, &value))
		ok(VMT_ERR_UNMAPPED);
	return value;
}

void destroy_child(void)
{
	if (vmt_check(child))
		xp_fail("vmt_check finds something wrong in the child");
	ok(vmt_space_destroy(child));
}

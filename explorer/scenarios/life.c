// SPDX-License-Identifier: MIT
// Ends: what one CPU uses last while another one takes it away. No protection is off here; the orders that hold these
// together are found with --weak, if one is missing (explorer/orders.txt).
#include <vmtree/port.h>

#include "space.h"

// ---- CPU 1 leaves a space that CPU 0 destroys as soon as it may. ---------------------------------------------------

static void begin_child(void)
{
	begin_space();
	xp_as(1);
	write_value(A, 1);
	fork_space();
	xp_deactivate();
	xp_activate(child);
}

static void destroy(void)
{
	enum vmt_status status;

	while ((status = vmt_space_destroy(child)) == VMT_ERR_BUSY)
		vmt_port_relax(NULL, true);
	ok(status);
}

static void write_and_leave(void)
{
	write_value(A, 2);
	xp_deactivate();
}

static void end_without_child(void)
{
	xp_as(1);
	xp_activate(space);
	end_space();
}

const struct scenario space_ends = {
	.name = "life-space",
	.about = "a CPU leaves a space that another one destroys",
	.cpus = 2, .begin = begin_child, .cpu = {destroy, write_and_leave}, .end = end_without_child,
};

// ---- CPU 1 destroys the last space of a machine, CPU 2 the last object, and CPU 0 the machine. --------------------

static struct vmt_object *object;

static void begin_last(void)
{
	begin_space();
	for (unsigned cpu = 0; cpu < xp_running_cpus(); cpu++) {
		xp_as(cpu);
		xp_deactivate();
	}
	ok(vmt_object_create(vmt, PAGE, NULL, NULL, &object));
}

static void destroy_machine(void)
{
	enum vmt_status status;

	while ((status = vmt_destroy(vmt)) == VMT_ERR_BUSY)
		vmt_port_relax(NULL, true);
	ok(status);
}

static void destroy_last(void)
{
	ok(vmt_space_destroy(space));
}

static void put_object(void)
{
	vmt_object_put(object);
}

static void nothing(void)
{
}

const struct scenario machine_ends = {
	.name = "life-machine",
	.about = "a machine is destroyed when its last space and object have gone",
	.cpus = 3, .begin = begin_last, .cpu = {destroy_machine, destroy_last, put_object}, .end = nothing,
};

// ---- Parent and child unmap an object, and CPU 1 maps another one, for which what described the first mapping is used
// again. Last goes the owner's reference. ----------------------------------------------------------------------------

static struct vmt_object *other;

static void map_object(struct vmt_object *what)
{
	struct vmt_map_request request = {.addr = A, .length = PAGE, .prot = RW,
					  .flags = VMT_MAP_FIXED | VMT_MAP_SHARED, .object = what};
	uint64_t addr;

	ok(vmt_map(space, &request, &addr));
}

static void begin_both(void)
{
	begin_space();
	ok(vmt_object_create(vmt, PAGE, NULL, NULL, &object));
	ok(vmt_object_create(vmt, PAGE, NULL, NULL, &other));
	map_object(object);
	xp_as(0);
	fork_space();
	xp_deactivate(); // CPU 1 flushes without asking CPU 0
}

static void unmap_in_child(void)
{
	ok(vmt_fault(child, A, VMT_READ, NULL));
	ok(vmt_unmap(child, A, PAGE));
	vmt_object_put(object);
}

static void unmap_and_map(void)
{
	ok(vmt_unmap(space, A, PAGE));
	map_object(other);
}

static void end_both(void)
{
	vmt_object_put(other);
	destroy_child();
	xp_as(0);
	xp_activate(space);
	end_space();
}

const struct scenario object_ends = {
	.name = "life-object",
	.about = "parent and child unmap an object, and another one comes in its place",
	.cpus = 2, .begin = begin_both, .cpu = {unmap_in_child, unmap_and_map}, .end = end_both,
};

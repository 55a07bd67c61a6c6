// SPDX-License-Identifier: MIT
// Cases for mirrors: a device that walks tables of its own, which the library keeps, and has the translation of A
// cached.
#include "spaces.h"

static struct {
	struct vmt_tree *tree;
	struct vmt_target_ops target_ops;
	const struct vmt_target_ops *tree_ops;
	struct vmt_mirror *mirror;	// NULL: it has ended
	bool cached;
	uint64_t pa, generation;
} device;

// Caches what the tables say, whether it needs it or not.
static void walk(void)
{
	struct vmt_translation translation;

	if (device.cached || ops->tree_translate(device.tree, A, &translation) != VMT_OK)
		return;
	device.cached = true;
	device.pa = translation.pa;
	demand(sim_frame_allocated(env.machine, device.pa, &device.generation),
	       "a device finds a page in its tables that is free");
}

static void device_is_right(void)
{
	uint64_t now;

	demand(!device.cached || (sim_frame_allocated(env.machine, device.pa, &now) && now == device.generation),
	       "a page was freed that a device has cached");
}

// It forgets when it is asked, but walks its tables again as soon as it has.
static void issue(void *owner, uint64_t start, uint64_t end, bool tables)
{
	(void)owner, (void)tables;
	race_at(AT_ISSUE);
	if (A < start || A >= end)
		return;
	device.cached = false;
	walk();
}

static bool flush(void *owner, const struct vmt_flush *request)
{
	(void)owner, (void)request;
	return true;
}

static enum vmt_status enter(void *target, const struct vmt_grant *grant, uint64_t addr, struct vmt_reserve *reserve,
			     uint64_t *reached)
{
	race_at(AT_HERE);
	return device.tree_ops->map(target, grant, addr, reserve, reached);
}

static void begin_with_mirror(uint64_t seed, enum vmt_mirror_mode mode)
{
	static const struct vmt_mirror_ops mirror_ops = {.issue = issue};
	struct vmt_target target;

	begin(seed);
	lib_map(&env, A, MIB(4), RW, 0);
	OK(ops->tree_create(sim_port(env.machine), &(struct vmt_tree_config){.end = env.end, .flush = flush, .cpus = 2},
			    &device.tree));
	ops->tree_target(device.tree, &target);
	device.tree_ops = target.ops;
	device.target_ops = *target.ops;
	device.target_ops.map = enter;
	target.ops = &device.target_ops;
	OK(ops->mirror_create(env.space, &(struct vmt_mirror_config){.start = A, .end = A + MIB(4), .mode = mode,
								     .target = &target, .ops = &mirror_ops},
			      &device.mirror));
	device.cached = false;
}

static void begin_with_page_there(uint64_t seed)
{
	begin_with_mirror(seed, VMT_MIRROR_ON_DEMAND);
	OK(ops->mirror_fault(device.mirror, A, 1, VMT_WRITE, NULL));
	walk();
	demand(device.cached, "a device finds nothing in its tables after its fault");
}

static void end_mirror(struct sim_cpu *cpu)
{
	(void)cpu;
	OK(ops->mirror_destroy(device.mirror));
	device.mirror = NULL;
}

static void end_with_mirror(void)
{
	if (device.mirror)
		end_mirror(env.cpu);
	ops->tree_destroy(device.tree);
	end();
}

// The device walks its tables between the beginning of the change and its end.
static void walks_meanwhile(uint64_t seed)
{
	begin_with_page_there(seed);
	OK(ops->unmap(env.space, A, PAGE));
	demand(!device.cached, "a device finds in its tables what was unmapped");
	end_with_mirror();
}

static void unmap_a(struct sim_cpu *cpu)
{
	(void)cpu;
	OK(ops->unmap(env.space, A, PAGE));
	device_is_right();
}

// The mirror ends, has taken everything from the device's tables and is about to ask it, when CPU 1 unmaps the page and
// finds nothing there.
static void ends(uint64_t seed)
{
	begin_with_page_there(seed);
	race_run(&(struct race){.place = AT_ISSUE, .first = end_mirror, .between = unmap_a});
	demand(!device.cached, "a device has something cached after its mirror has ended");
	end_with_mirror();
}

static void write_a(struct sim_cpu *cpu)
{
	write_at(cpu, A, 1);
}

// CPU 0 is about to enter what its fault has brought when the mirror ends.
static void ends_while_filled(uint64_t seed)
{
	struct vmt_translation translation;

	begin_with_mirror(seed, VMT_MIRROR_EAGER);
	race_run(&(struct race){.place = AT_HERE, .first = write_a, .between = end_mirror});
	demand(ops->tree_translate(device.tree, A, &translation) == VMT_ERR_NOT_PRESENT,
	       "a mirror that has ended has left something behind");
	end_with_mirror();
}

// ---- Its tables --------------------------------------------------------------------------------------------------

#define NEXT (A + MIB(2)) // in another table, of the space and of the device

static enum vmt_status said;

static void fault_a(struct sim_cpu *cpu)
{
	(void)cpu;
	said = ops->mirror_fault(device.mirror, A, 1, VMT_READ, NULL);
}

static void fault_next(struct sim_cpu *cpu)
{
	(void)cpu;
	said = ops->mirror_fault(device.mirror, NEXT, 1, VMT_READ, NULL);
}

static void begin_with_two_pages(uint64_t seed)
{
	begin_with_mirror(seed, VMT_MIRROR_ON_DEMAND);
	lib_write(&env, A, 1);
	lib_write(&env, NEXT, 1);
}

// Where a leaf is to be linked with new tables another comes first, and brings some.
static void table_comes(uint64_t seed)
{
	begin_with_two_pages(seed);
	race_run(&(struct race){.place = AT_META, .skip = 1, .frame = ops->tree_root(device.tree), .first = fault_a,
				.between = fault_next});
	OK(said);
	walk();
	demand(device.cached, "a device finds nothing in its tables after its fault");
	end_with_mirror();
}

// A table becomes empty while who enters something beside it has the lock of the one above.
static void fold_left(uint64_t seed)
{
	uint64_t tables;

	begin_with_two_pages(seed);
	fault_a(env.cpu);
	tables = ops->tree_tables(device.tree);
	race_run(&(struct race){.place = AT_PUBLISH, .first = fault_next, .between = unmap_a});
	OK(said);
	demand(ops->tree_tables(device.tree) == tables, "an empty table was left to nobody");
	end_with_mirror();
}

const struct protection_case mirror_cases[] = {
	{"C3-mirror", walks_meanwhile},
	{"r09-mirror-ends", ends},
	{"r09-mirror-ends-filled", ends_while_filled},
	{"mirror-table-comes", table_comes},
	{"mirror-fold-left", fold_left},
};

const unsigned mirror_case_count = sizeof(mirror_cases) / sizeof(*mirror_cases);

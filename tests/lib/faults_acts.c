// SPDX-License-Identifier: MIT
// Each act is prepared, then called with the fault, judged, called again without it, and undone; what is left over in
// the end leaked.
#include "faults_acts.h"

#include "faults.h"

#define BASE GIB(2)
#define HUGE (PAGE * SLOTS)
#define RW   (VMT_READ | VMT_WRITE)

struct acting {
	struct env env;
	struct vmt *vmt;
	struct vmt_space *space;
	struct vmt_object *object;
	struct vmt_tree *tree;
	struct vmt_device_memory *memory;
	unsigned id;
	uint64_t pa;
};

typedef enum vmt_status act_function(struct acting *a);

struct act {
	const char *name;
	void (*prepare)(struct acting *a);
	act_function *run;
	void (*undo)(struct acting *a); // what has succeeded
};

// ---- Machines, spaces, objects -----------------------------------------------------------------------------------

static enum vmt_status make_machine(struct acting *a)
{
	return a->env.ops->create(sim_port(a->env.machine), 2, &a->vmt);
}

static void end_machine(struct acting *a)
{
	OK(a->env.ops->destroy(a->vmt));
}

static enum vmt_status make_space(struct acting *a)
{
	struct vmt_space_config config = {.start = SPACE_START, .end = a->env.end};

	return a->env.ops->space_create(a->env.vmt, &config, &a->space);
}

static void end_space(struct acting *a)
{
	OK(a->env.ops->space_destroy(a->space));
}

static enum vmt_status make_object(struct acting *a)
{
	return a->env.ops->object_create(a->env.vmt, GIB(1), NULL, NULL, &a->object);
}

static void prepare_object(struct acting *a)
{
	OK(make_object(a));
}

static void end_object(struct acting *a)
{
	a->env.ops->object_put(a->object);
}

static enum vmt_status object_page(struct acting *a)
{
	enum vmt_status status = a->env.ops->object_page(a->object, GIB(1) / PAGE - 1, true, &a->pa);

	if (status == VMT_OK)
		a->env.ops->page_put(a->env.vmt, a->pa);
	return status;
}

static enum vmt_status new_page(struct acting *a)
{
	enum vmt_status status = a->env.ops->page_new(a->env.vmt, true, &a->pa);

	if (status == VMT_OK)
		a->env.ops->page_put(a->env.vmt, a->pa);
	return status;
}

static void nothing(struct acting *a)
{
	(void)a;
}

// ---- In the space ------------------------------------------------------------------------------------------------

static void unmap_all(struct acting *a)
{
	if (a->object)
		a->env.ops->object_put(a->object);
	lib_expect_bare(&a->env, a->env.space);
}

static void prepare_stack(struct acting *a)
{
	lib_map(&a->env, BASE, 4 * PAGE, RW, VMT_MAP_GROWS_DOWN);
}

static enum vmt_status grow_down(struct acting *a)
{
	return a->env.ops->grow_down(a->env.space, BASE - HUGE, 64 * HUGE, 0);
}

static void prepare_pages(struct acting *a)
{
	lib_map(&a->env, BASE, 2 * HUGE, RW, 0);
	for (unsigned i = 0; i < 8; i++)
		lib_write(&a->env, BASE + HUGE - 4 * PAGE + i * PAGE, i);
}

static enum vmt_status move_and_grow(struct acting *a)
{
	uint64_t got;

	return a->env.ops->move(a->env.space, BASE, 2 * HUGE, 3 * HUGE, VMT_MOVE_MAY_MOVE, 0, &got);
}

static enum vmt_status get_page(struct acting *a)
{
	enum vmt_status status = a->env.ops->page_get(a->env.space, BASE + 5 * PAGE, VMT_WRITE, &a->pa);

	if (status == VMT_OK)
		a->env.ops->page_put(a->env.vmt, a->pa);
	return status;
}

static void prepare_shared(struct acting *a)
{
	OK(make_object(a));
	lib_map_object(&a->env, a->object, BASE, 4 * HUGE, 0, RW, VMT_MAP_SHARED);
	lib_write(&a->env, BASE, 1);
}

static enum vmt_status map_twice(struct acting *a)
{
	uint64_t got;

	return a->env.ops->move(a->env.space, BASE, 0, HUGE, VMT_MOVE_MAY_MOVE, 0, &got);
}

// Each tag is a backing of its own: there have to be more of them than one chunk holds.
static enum vmt_status map_many(struct acting *a)
{
	enum vmt_status status = VMT_OK;

	for (unsigned i = 0; i < 300 && status == VMT_OK; i++) {
		struct vmt_map_request request = {.addr = BASE + GIB(1) + i * 2 * PAGE, .length = PAGE, .prot = RW,
						  .flags = VMT_MAP_FIXED, .object = a->object, .offset = 0};
		uint64_t got;

		status = a->env.ops->map(a->env.space, &request, &got);
	}
	return status;
}

static const struct vmt_secondary_ops silent_ops = {0};

static enum vmt_status attach(struct acting *a)
{
	struct vmt_secondary_config config = {.ops = &silent_ops};

	return a->env.ops->secondary_attach(a->env.space, &config, &a->id);
}

static void detach(struct acting *a)
{
	a->env.ops->secondary_detach(a->env.space, a->id);
}

static void copy_at_once(void *owner, struct vmt_copy *copy)
{
	(void)owner;
	vmt_copy_done(copy, true);
}

static enum vmt_status make_memory(struct acting *a)
{
	static const struct vmt_device_memory_ops ops = {.copy = copy_at_once};
	struct vmt_device_memory_config config = {.base = HUGE, .bytes = 4 * HUGE, .ops = &ops};

	return a->env.ops->device_memory_create(a->env.vmt, &config, &a->memory);
}

static void end_memory(struct acting *a)
{
	OK(a->env.ops->device_memory_destroy(a->memory));
}

// ---- Trees -------------------------------------------------------------------------------------------------------

static enum vmt_status make_tree(struct acting *a)
{
	struct vmt_tree_config config = {.end = a->env.end, .cpus = 2};

	return vmt_tree_create(sim_port(a->env.machine), &config, &a->tree);
}

// A huge leaf, pages in two tables, a marker over a table.
static void prepare_tree(struct acting *a)
{
	struct vmt_tree_map map = {.addr = BASE, .length = HUGE, .pa = UINT64_C(1) << 32, .prot = RW};

	OK(make_tree(a));
	OK(vmt_tree_map(a->tree, &map, NULL));
	map.addr = BASE + 2 * HUGE - 4 * PAGE;
	map.length = 8 * PAGE;
	map.leaf_max = PAGE;
	OK(vmt_tree_map(a->tree, &map, NULL));
	OK(vmt_tree_mark(a->tree, BASE + 4 * HUGE, HUGE, VMT_MARKER_OWN, 5, NULL));
}

static void end_tree(struct acting *a)
{
	assert_int_equal(vmt_tree_check(a->tree), 0);
	vmt_tree_destroy(a->tree);
}

static enum vmt_status tree_map(struct acting *a)
{
	struct vmt_tree_map map = {.addr = BASE + GIB(1), .length = 4 * PAGE, .pa = UINT64_C(1) << 32, .prot = RW};
	enum vmt_status status = vmt_tree_map(a->tree, &map, NULL);

	return status == VMT_ERR_EXISTS ? VMT_OK : status; // the part that an earlier call has done
}

static enum vmt_status tree_replace(struct acting *a)
{
	struct vmt_tree_map map = {.addr = BASE + PAGE, .length = 2 * HUGE, .pa = UINT64_C(1) << 33, .prot = VMT_READ};

	return vmt_tree_replace(a->tree, &map, NULL);
}

static enum vmt_status tree_unmap(struct acting *a)
{
	return vmt_tree_unmap(a->tree, BASE + PAGE, 2 * HUGE, NULL);
}

static enum vmt_status tree_unmap_all(struct acting *a)
{
	enum vmt_status status = vmt_tree_unmap(a->tree, BASE, GIB(1), NULL);

	vmt_tree_reclaim(a->tree);
	return status;
}

static enum vmt_status tree_protect(struct acting *a)
{
	return vmt_tree_protect(a->tree, BASE + PAGE, 2 * HUGE, VMT_READ, NULL);
}

static enum vmt_status tree_split(struct acting *a)
{
	return vmt_tree_split(a->tree, BASE, 2 * HUGE, PAGE, NULL);
}

static enum vmt_status tree_mark(struct acting *a)
{
	return vmt_tree_mark(a->tree, BASE + 4 * HUGE + PAGE, PAGE, VMT_MARKER_SWAP, 6, NULL);
}

static const struct act acts[] = {
	{"create", nothing, make_machine, end_machine},
	{"space_create", nothing, make_space, end_space},
	{"object_create", nothing, make_object, end_object},
	{"object_page", prepare_object, object_page, end_object},
	{"page_new", nothing, new_page, nothing},
	{"grow_down", prepare_stack, grow_down, unmap_all},
	{"move, elsewhere and larger", prepare_pages, move_and_grow, unmap_all},
	{"page_get", prepare_pages, get_page, unmap_all},
	{"move, a second mapping", prepare_shared, map_twice, unmap_all},
	{"map, many", prepare_shared, map_many, unmap_all},
	{"secondary_attach", nothing, attach, detach},
	{"device_memory_create", nothing, make_memory, end_memory},
	{"tree_create", nothing, make_tree, end_tree},
	{"tree_map", prepare_tree, tree_map, end_tree},
	{"tree_replace", prepare_tree, tree_replace, end_tree},
	{"tree_unmap", prepare_tree, tree_unmap, end_tree},
	{"tree_unmap, all", prepare_tree, tree_unmap_all, end_tree},
	{"tree_protect", prepare_tree, tree_protect, end_tree},
	{"tree_split", prepare_tree, tree_split, end_tree},
	{"tree_mark", prepare_tree, tree_mark, end_tree},
};

// ---- The frame ---------------------------------------------------------------------------------------------------

static void load(void *arg)
{
	struct acting *a = arg;

	for (unsigned i = 0; i < 3 * SLOTS; i += 7)
		sim_prefetch(a->env.cpu, BASE + i * PAGE);
}

// The act with its n-th `kind` failing, or late. True: that has happened.
static bool once(enum sim_format format, const struct act *act, enum fault_kind kind, unsigned n, bool all)
{
	struct acting a = {0};
	struct sim_counts before, after;
	enum vmt_status status;
	bool happened;

	env_open(&a.env, format, 2, 16384, 1);
	act->prepare(&a);
	sim_get_counts(a.env.machine, &before);
	if (kind == FAULT_FLUSH || kind == FAULT_DEFER)
		faults_delay(kind, n, load, &a);
	else
		sim_fail_nth(a.env.machine, kind == FAULT_FRAME ? SIM_FAIL_FRAME : SIM_FAIL_MEM, n,
			     all ? UINT64_MAX - n : 1);
	status = act->run(&a);
	sim_fail_nth(a.env.machine, 0, 0, 0);
	sim_get_counts(a.env.machine, &after);
	happened = after.injected > before.injected || faults_delayed();
	faults_delay(kind, 0, NULL, NULL);
	CHECK(&a.env, a.env.space);
	if (a.tree && status != VMT_OK && act->prepare != nothing)
		assert_int_equal(vmt_tree_check(a.tree), 0);
	if (status != VMT_OK) {
		if (status != VMT_ERR_NO_MEMORY || !happened || kind == FAULT_FLUSH || kind == FAULT_DEFER)
			fail_msg("%s: %s", act->name, vmt_status_name(status));
		OK(act->run(&a));
	}
	faults_release();
	act->undo(&a);
	env_close(&a.env);
	return happened;
}

uint64_t faults_acts(enum sim_format format)
{
	static const enum fault_kind kinds[] = {FAULT_FRAME, FAULT_FRAME, FAULT_MEM, FAULT_MEM, FAULT_FLUSH,
						FAULT_DEFER};
	uint64_t calls = 0;

	for (unsigned i = 0; i < sizeof(acts) / sizeof(*acts); i++)
		for (unsigned k = 0; k < sizeof(kinds) / sizeof(*kinds); k++)
			for (unsigned n = 1; once(format, &acts[i], kinds[k], n, k & 1); n++, calls++)
				assert_true(n < 200);
	return calls;
}

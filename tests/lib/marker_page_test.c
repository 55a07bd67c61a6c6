// SPDX-License-Identifier: MIT
// One page against a marker and back, as swapping and migrating do.
#include "marks.h"

#define BASE  (4 * VAST)
#define FRAME (BASE + 3 * PAGE)

static bool huge_fits(void)
{
	return PAGE < 65536; // 512 MiB is more than the machine should have
}

static void write_in(struct env *env, struct vmt_space *space, uint64_t addr, uint64_t value)
{
	struct vmt_space *before = sim_active(env->cpu);

	sim_activate(env->cpu, space);
	lib_write(env, addr, value);
	sim_activate(env->cpu, before);
}

static uint64_t read_in(struct env *env, struct vmt_space *space, uint64_t addr)
{
	struct vmt_space *before = sim_active(env->cpu);
	uint64_t value;

	sim_activate(env->cpu, space);
	value = lib_read(env, addr);
	sim_activate(env->cpu, before);
	return value;
}

static uint64_t word(struct env *env, uint64_t pa)
{
	return *(uint64_t *)marks_bytes(env, pa);
}

static uint64_t take(struct env *env, struct vmt_space *space, uint64_t addr, uint64_t payload)
{
	uint64_t pa;

	OK(env->ops->page_take(space, addr, VMT_MARKER_SWAP, payload, &pa));
	marks_note(VMT_MARKER_SWAP, payload, 1);
	marks_check(env);
	marks_expect(env, space, addr, PAGE, VMT_MARKER_SWAP, payload);
	return pa;
}

static void resolve(struct env *env, struct vmt_space *space, uint64_t addr, uint64_t payload, uint64_t pa)
{
	OK(env->ops->marker_resolve(space, addr, VMT_MARKER_SWAP, payload, pa));
	marks_note(VMT_MARKER_SWAP, payload, -1);
	marks_check(env);
}

static void open_page(struct env *env)
{
	marks_open(env, NULL);
	lib_map(env, BASE, 4 * HUGE, RW, 0);
	lib_write(env, FRAME, 11);
}

// ---- Taking ------------------------------------------------------------------------------------------------------

static void own_page(struct env *env)
{
	uint64_t pa, value, copy;

	open_page(env);
	pa = take(env, env->space, FRAME, 1);
	assert_int_equal(word(env, pa), 11);
	assert_int_equal(lib_resident(env, env->space), 0);
	IS(sim_write(env->cpu, FRAME, 8, 12), VMT_ERR_BUS); // no CPU can reach it
	IS(sim_read(env->cpu, FRAME, 8, &value), VMT_ERR_BUS);
	assert_int_equal(word(env, pa), 11);
	// Not against another marker than is there, nor where none is.
	IS(env->ops->marker_resolve(env->space, FRAME, VMT_MARKER_SWAP, 2, pa), VMT_ERR_NOT_PRESENT);
	IS(env->ops->marker_resolve(env->space, FRAME, VMT_MARKER_OWN, 1, pa), VMT_ERR_NOT_PRESENT);
	IS(env->ops->marker_resolve(env->space, FRAME + PAGE, VMT_MARKER_SWAP, 1, pa), VMT_ERR_NOT_PRESENT);
	IS(env->ops->marker_resolve(env->space, BASE + 4 * HUGE, VMT_MARKER_SWAP, 1, pa), VMT_ERR_NOT_PRESENT);
	IS(env->ops->page_take(env->space, FRAME, VMT_MARKER_OWN, 3, &copy), VMT_ERR_NOT_PRESENT);
	marks_check(env);
	// To another frame, as a migration would.
	OK(env->ops->page_new(env->vmt, false, &copy));
	memcpy(marks_bytes(env, copy), marks_bytes(env, pa), PAGE);
	env->ops->page_put(env->vmt, pa);
	assert_false(sim_frame_allocated(env->machine, pa, NULL));
	resolve(env, env->space, FRAME, 1, copy);
	assert_int_equal(lib_read(env, FRAME), 11);
	lib_write(env, FRAME, 13); // its own: written in place
	assert_int_equal(word(env, copy), 13);
	assert_int_equal(lib_resident(env, env->space), 1);
	marks_close(env);
}

static void shared(struct env *env)
{
	struct vmt_space *first, *second;
	uint64_t pa, again;

	open_page(env);
	OK(env->ops->space_fork(env->space, NULL, &first));
	marks_add_space(first);
	pa = take(env, env->space, FRAME, 1);
	assert_int_equal(read_in(env, first, FRAME), 11);
	resolve(env, env->space, FRAME, 1, pa); // back: both hold it, and whoever writes copies
	write_in(env, first, FRAME, 22);
	assert_int_equal(lib_read(env, FRAME), 11);
	lib_write(env, FRAME, 12);
	assert_int_equal(read_in(env, first, FRAME), 22);
	marks_destroy_space(env, first);
	// Taken from both, and one page for both: neither may write it in place.
	OK(env->ops->space_fork(env->space, NULL, &second));
	marks_add_space(second);
	pa = take(env, env->space, FRAME, 2);
	again = take(env, second, FRAME, 2);
	assert_int_equal(pa, again);
	resolve(env, env->space, FRAME, 2, pa);
	resolve(env, second, FRAME, 2, pa);
	lib_write(env, FRAME, 31);
	assert_int_equal(read_in(env, second, FRAME), 12);
	write_in(env, second, FRAME, 32);
	assert_int_equal(lib_read(env, FRAME), 31);
	marks_destroy_space(env, second);
	marks_close(env);
}

static void pinned(struct env *env)
{
	uint64_t pa, pin, tables;

	open_page(env);
	OK(env->ops->page_pin(env->space, FRAME, VMT_WRITE, &pin));
	tables = lib_tables(env, env->space);
	IS(env->ops->page_take(env->space, FRAME, VMT_MARKER_SWAP, 1, &pa), VMT_ERR_BUSY);
	assert_int_equal(lib_tables(env, env->space), tables);
	lib_write(env, FRAME, 12);
	assert_int_equal(word(env, pin), 12);
	env->ops->page_unpin(env->vmt, pin);
	pa = take(env, env->space, FRAME, 1);
	assert_int_equal(pa, pin);
	env->ops->page_put(env->vmt, pa);
	marks_close(env);
}

// A reference of somebody else does not keep a page from being taken, and stays good.
static void referenced(struct env *env)
{
	uint64_t pa, held;

	open_page(env);
	OK(env->ops->page_get(env->space, FRAME, VMT_WRITE, &held));
	pa = take(env, env->space, FRAME, 1);
	assert_int_equal(pa, held);
	env->ops->page_put(env->vmt, pa);
	assert_true(sim_frame_allocated(env->machine, held, NULL));
	resolve(env, env->space, FRAME, 1, held); // that reference goes to the entry
	lib_write(env, FRAME, 14);
	assert_int_equal(word(env, held), 14);
	marks_close(env);
}

static void nothing(struct env *env)
{
	uint64_t pa, tables;

	open_page(env);
	tables = lib_tables(env, env->space);
	IS(env->ops->page_take(env->space, BASE + HUGE, VMT_MARKER_SWAP, 1, &pa), VMT_ERR_NOT_PRESENT);
	IS(env->ops->page_take(env->space, FRAME + PAGE, VMT_MARKER_SWAP, 1, &pa), VMT_ERR_NOT_PRESENT);
	IS(env->ops->page_take(env->space, BASE + 4 * HUGE, VMT_MARKER_SWAP, 1, &pa), VMT_ERR_UNMAPPED);
	assert_int_equal(lib_read(env, FRAME + PAGE), 0);
	IS(env->ops->page_take(env->space, FRAME + PAGE, VMT_MARKER_SWAP, 1, &pa), VMT_ERR_NOT_PRESENT);
	assert_int_equal(lib_read(env, FRAME + PAGE), 0);
	// Of a large marker nothing is to be had, and it stays whole.
	marks_set(env, BASE + HUGE, HUGE, VMT_MARKER_DEVICE, 3);
	IS(env->ops->page_take(env->space, BASE + HUGE + PAGE, VMT_MARKER_SWAP, 1, &pa), VMT_ERR_NOT_PRESENT);
	IS(env->ops->marker_resolve(env->space, BASE + HUGE + PAGE, VMT_MARKER_DEVICE, 4, 0), VMT_ERR_NOT_PRESENT);
	assert_int_equal(lib_tables(env, env->space), tables);
	marks_close(env);
}

static void parked(struct env *env)
{
	uint64_t pa, value;

	open_page(env);
	OK(env->ops->protect(env->space, BASE, HUGE, 0));
	pa = take(env, env->space, FRAME, 1);
	assert_int_equal(word(env, pa), 11);
	IS(sim_read(env->cpu, FRAME, 8, &value), VMT_ERR_ACCESS);
	resolve(env, env->space, FRAME, 1, pa); // parked again
	IS(sim_read(env->cpu, FRAME, 8, &value), VMT_ERR_ACCESS);
	OK(env->ops->protect(env->space, BASE, HUGE, VMT_READ));
	assert_int_equal(lib_read(env, FRAME), 11);
	// Taken from read-only memory, and back into writable.
	pa = take(env, env->space, FRAME, 2);
	OK(env->ops->protect(env->space, BASE, HUGE, RW));
	resolve(env, env->space, FRAME, 2, pa);
	lib_write(env, FRAME, 12);
	// And the other way.
	pa = take(env, env->space, FRAME, 3);
	OK(env->ops->protect(env->space, BASE, HUGE, VMT_READ));
	resolve(env, env->space, FRAME, 3, pa);
	IS(sim_write(env->cpu, FRAME, 8, 1), VMT_ERR_ACCESS);
	assert_int_equal(lib_read(env, FRAME), 12);
	marks_close(env);
}

// A lazily freed page that comes back is not to be taken any more.
static void lazily_freed(struct env *env)
{
	uint64_t pa;

	open_page(env);
	OK(env->ops->lazy_free(env->space, FRAME, PAGE));
	pa = take(env, env->space, FRAME, 1);
	resolve(env, env->space, FRAME, 1, pa);
	env->ops->reclaim(env->space, UINT64_MAX);
	assert_int_equal(lib_read(env, FRAME), 11);
	marks_close(env);
}

static void object_pages(struct env *env)
{
	struct vmt_object *object;
	uint64_t pa;

	marks_open(env, NULL);
	OK(env->ops->object_create(env->vmt, HUGE, NULL, NULL, &object));
	lib_map_object(env, object, BASE, HUGE, 0, RW, 0);
	lib_map_object(env, object, BASE + HUGE, HUGE, 0, RW, VMT_MAP_SHARED);
	lib_write(env, BASE + HUGE, 5);
	IS(env->ops->page_take(env->space, BASE + HUGE, VMT_MARKER_SWAP, 1, &pa), VMT_ERR_ARGUMENT);
	assert_int_equal(lib_read(env, BASE), 5);
	IS(env->ops->page_take(env->space, BASE, VMT_MARKER_SWAP, 1, &pa), VMT_ERR_ARGUMENT);
	lib_write(env, BASE, 6); // a copy of its own can be taken
	pa = take(env, env->space, BASE, 1);
	assert_int_equal(word(env, pa), 6);
	resolve(env, env->space, BASE, 1, pa);
	assert_int_equal(lib_read(env, BASE), 6);
	assert_int_equal(lib_read(env, BASE + HUGE), 5);
	// Instead of its copy the object's page once more: it is copied before it is written.
	pa = take(env, env->space, BASE, 2);
	env->ops->page_put(env->vmt, pa);
	OK(env->ops->object_page(object, 0, false, &pa));
	resolve(env, env->space, BASE, 2, pa);
	assert_int_equal(lib_read(env, BASE), 5);
	lib_write(env, BASE, 7);
	assert_int_equal(lib_read(env, BASE + HUGE), 5);
	env->ops->object_put(object);
	marks_close(env);
}

// ---- Of huge pages -----------------------------------------------------------------------------------------------

static void open_huge(struct env *env)
{
	struct vmt_translation translation;

	marks_open(env, NULL);
	lib_map(env, BASE, 4 * HUGE, RW, VMT_MAP_HUGE);
	lib_write(env, FRAME, 11);
	lib_write(env, FRAME + PAGE, 12);
	OK(env->ops->translate(env->space, FRAME, &translation));
	assert_int_equal(translation.size, HUGE);
	marks_check(env);
}

static void of_a_huge_page(struct env *env)
{
	struct vmt_space *child;
	uint64_t pa, pin;

	if (!huge_fits())
		return;
	open_huge(env);
	OK(env->ops->page_pin(env->space, FRAME + 5 * PAGE, VMT_WRITE, &pin));
	IS(env->ops->page_take(env->space, FRAME + 5 * PAGE, VMT_MARKER_SWAP, 1, &pa), VMT_ERR_BUSY);
	env->ops->page_unpin(env->vmt, pin);
	pa = take(env, env->space, FRAME, 1);
	assert_int_equal(word(env, pa), 11);
	assert_int_equal(lib_resident(env, env->space), SLOTS - 1);
	assert_int_equal(lib_read(env, FRAME + PAGE), 12);
	lib_write(env, FRAME + PAGE, 13);
	resolve(env, env->space, FRAME, 1, pa);
	lib_write(env, FRAME, 14);
	assert_int_equal(word(env, pa), 14);
	// Of one that two spaces share.
	OK(env->ops->release(env->space, BASE, HUGE));
	env->ops->reclaim(env->space, 0);
	lib_write(env, FRAME, 15);
	OK(env->ops->space_fork(env->space, NULL, &child));
	marks_add_space(child);
	pa = take(env, child, FRAME, 2);
	assert_int_equal(lib_read(env, FRAME), 15);
	lib_write(env, FRAME, 16);
	assert_int_equal(word(env, pa), 15);
	resolve(env, child, FRAME, 2, pa);
	assert_int_equal(read_in(env, child, FRAME), 15);
	marks_destroy_space(env, child);
	// Of one that is parked.
	OK(env->ops->release(env->space, BASE, HUGE));
	env->ops->reclaim(env->space, 0);
	lib_write(env, FRAME, 17);
	OK(env->ops->protect(env->space, BASE, HUGE, 0));
	pa = take(env, env->space, FRAME, 3);
	assert_int_equal(word(env, pa), 17);
	resolve(env, env->space, FRAME, 3, pa);
	OK(env->ops->protect(env->space, BASE, HUGE, RW));
	assert_int_equal(lib_read(env, FRAME), 17);
	marks_close(env);
}

// Markers over and in a huge page.
static void over_a_huge_page(struct env *env)
{
	if (!huge_fits())
		return;
	open_huge(env);
	marks_set(env, FRAME, PAGE, VMT_MARKER_POISON, 0);
	marks_check(env);
	assert_int_equal(lib_read(env, FRAME + PAGE), 12);
	assert_int_equal(lib_resident(env, env->space), SLOTS - 1);
	assert_int_equal(env->ops->collapse(env->space, BASE, HUGE, NULL), 0);
	marks_expect(env, env->space, FRAME, PAGE, VMT_MARKER_POISON, 0);
	lib_write(env, BASE + HUGE, 1);
	marks_set(env, BASE + HUGE, HUGE, VMT_MARKER_SWAP, 1);
	marks_check(env);
	assert_int_equal(lib_resident(env, env->space), SLOTS - 1);
	// A part that lies in two.
	lib_write(env, BASE + 2 * HUGE, 2);
	lib_write(env, BASE + 3 * HUGE, 3);
	marks_set(env, BASE + 2 * HUGE + PAGE, HUGE, VMT_MARKER_OWN, 2);
	marks_check(env);
	assert_int_equal(lib_read(env, BASE + 2 * HUGE), 2);
	assert_int_equal(lib_read(env, BASE + 3 * HUGE + PAGE), 0);
	assert_int_equal(lib_resident(env, env->space), SLOTS - 1 + 1 + SLOTS - 1);
	marks_close(env);
}

int main(int argc, char **argv)
{
	static const struct lib_case cases[] = {
		{.name = "a page of its own", .run = own_page, .hard = 1},
		{.name = "a shared page", .run = shared, .hard = 1},
		{.name = "a pinned page", .run = pinned},
		{.name = "a page with a reference", .run = referenced},
		{.name = "no page", .run = nothing},
		{.name = "a parked page", .run = parked, .hard = 1},
		{.name = "a lazily freed page", .run = lazily_freed, .hard = 1},
		{.name = "an object's page", .run = object_pages},
		{.name = "a page of a huge one", .run = of_a_huge_page},
		{.name = "over a huge page", .run = over_a_huge_page},
	};

	return lib_main("marker page", cases, sizeof(cases) / sizeof(*cases), argc, argv);
}

// SPDX-License-Identifier: MIT
// What becomes of pages: permissions, fork and copy-on-write, lazy free, references and pins.
#include "lib.h"

#define RW   (VMT_READ | VMT_WRITE)
#define BASE (GIB(1) - 4 * PAGE)	// across the boundary of every low level

static uint64_t frame_of(struct env *env, struct vmt_space *space, uint64_t addr)
{
	struct vmt_translation translation;

	if (env->ops->translate(space, addr, &translation) != VMT_OK)
		return 0;
	return translation.pa;
}

static void *bytes_of(struct env *env, uint64_t pa)
{
	return vmt_port_frame_ptr(sim_port(env->machine), pa);
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

static void write_in(struct env *env, struct vmt_space *space, uint64_t addr, uint64_t value)
{
	struct vmt_space *before = sim_active(env->cpu);

	sim_activate(env->cpu, space);
	lib_write(env, addr, value);
	sim_activate(env->cpu, before);
}

static void permissions(struct env *env)
{
	// What lets a fetch through: any permission where the format has none for it, since then it is a read.
	vmt_prot fetch = sim_format_has_exec(env->format) ? VMT_EXEC : VMT_RWX;
	uint64_t value;

	lib_map(env, BASE, 8 * PAGE, RW, 0);
	for (unsigned i = 0; i < 8; i++)
		lib_write(env, BASE + i * PAGE, i + 1);
	for (vmt_prot prot = 0; prot <= VMT_RWX; prot++) {
		OK(env->ops->protect(env->space, BASE + PAGE, 6 * PAGE, prot));
		CHECK(env, env->space);
		for (unsigned i = 1; i < 7; i++) {
			uint64_t at = BASE + i * PAGE;

			IS(sim_read(env->cpu, at, 8, &value), prot ? VMT_OK : VMT_ERR_ACCESS);
			assert_true(!prot || value == i + 1);
			IS(sim_write(env->cpu, at, 8, i + 1), prot & VMT_WRITE ? VMT_OK : VMT_ERR_ACCESS);
			IS(sim_exec(env->cpu, at, 4), prot & fetch ? VMT_OK : VMT_ERR_ACCESS);
		}
		lib_write(env, BASE, prot);
		IS(sim_exec(env->cpu, BASE, 4), RW & fetch ? VMT_OK : VMT_ERR_ACCESS);
		assert_int_equal(lib_resident(env, env->space), 8);
	}
	IS(sim_read(env->cpu, BASE + 8 * PAGE, 8, &value), VMT_ERR_UNMAPPED);
	lib_expect_bare(env, env->space);
}

static void zero_page(struct env *env)
{
	struct vmt_space_stats stats;

	lib_map(env, BASE, 8 * PAGE, RW, 0);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(lib_read(env, BASE + i * PAGE + 8), 0);
	assert_int_equal(lib_resident(env, env->space), 0);
	for (unsigned i = 0; i < 4; i++)
		lib_write(env, BASE + i * PAGE, 3);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(lib_read(env, BASE + i * PAGE), i < 4 ? 3 : 0);
	env->ops->space_stats(env->space, &stats);
	assert_int_equal(stats.resident_pages, 4);
	assert_int_equal(stats.resident_anon, 4);
	assert_int_equal(stats.faults_read_zero, 8);
	assert_int_equal(stats.faults_cow_copy, 4);
	OK(env->ops->release(env->space, BASE, 8 * PAGE));
	assert_int_equal(lib_read(env, BASE), 0);
	env->ops->space_stats(env->space, &stats);
	assert_int_equal(stats.resident_pages, 0);
	assert_int_equal(stats.resident_peak, 4);
	lib_expect_bare(env, env->space);
}

static uint64_t populated;

static void populate_100(struct sim_cpu *cpu, void *arg)
{
	struct env *env = arg;

	(void)cpu;
	env->ops->populate(env->space, BASE, 100 * PAGE, &populated);
}

// One CPU maps what another releases, which knows of it to within 63 pages.
static void peak_of_others(struct env *env)
{
	struct vmt_space_stats stats;

	lib_map(env, BASE, 100 * PAGE, RW, 0);
	sim_cpu_run(env->machine, 1, populate_100, env);
	sim_cpu_join(env->machine, 1);
	assert_int_equal(populated, 100 * PAGE);
	OK(env->ops->release(env->space, BASE, 100 * PAGE));
	env->ops->space_stats(env->space, &stats);
	assert_int_equal(stats.resident_pages, 0);
	assert_in_range(stats.resident_peak, 100 - 63, 100);
	lib_expect_bare(env, env->space);
}

static void populate_64_release_63(struct sim_cpu *cpu, void *arg)
{
	struct env *env = arg;

	(void)cpu;
	env->ops->populate(env->space, BASE, 64 * PAGE, &populated);
	env->ops->release(env->space, BASE, 63 * PAGE);
}

// What another CPU has given up again does not count on top of what comes later: there were never more than 64.
static void peak_that_never_was(struct env *env)
{
	struct vmt_space_stats stats;
	uint64_t done;

	lib_map(env, BASE, 200 * PAGE, RW, 0);
	sim_cpu_run(env->machine, 1, populate_64_release_63, env);
	sim_cpu_join(env->machine, 1);
	OK(env->ops->populate(env->space, BASE + 100 * PAGE, 63 * PAGE, &done));
	OK(env->ops->release(env->space, BASE, 200 * PAGE));
	env->ops->space_stats(env->space, &stats);
	assert_in_range(stats.resident_peak, 1, 64);
	lib_expect_bare(env, env->space);
}

static void populate(struct env *env)
{
	uint64_t done, base = BASE;

	lib_map(env, base, 8 * PAGE, RW, VMT_MAP_POPULATE);
	assert_int_equal(lib_resident(env, env->space), 8);
	lib_map(env, base + 8 * PAGE, 4 * PAGE, VMT_READ, 0);
	OK(env->ops->populate(env->space, base, 12 * PAGE, &done));
	assert_int_equal(done, 12 * PAGE);
	assert_int_equal(lib_resident(env, env->space), 8);
	OK(env->ops->guard_install(env->space, base + 3 * PAGE, PAGE));
	IS(env->ops->populate(env->space, base, 12 * PAGE, &done), VMT_ERR_GUARD);
	assert_int_equal(done, 3 * PAGE);
	OK(env->ops->protect(env->space, base + 2 * PAGE, PAGE, 0));
	IS(env->ops->populate(env->space, base, 12 * PAGE, &done), VMT_ERR_ACCESS);
	assert_int_equal(done, 2 * PAGE);
	IS(env->ops->populate(env->space, base + 8 * PAGE, 5 * PAGE, &done), VMT_ERR_UNMAPPED);
	assert_int_equal(done, 4 * PAGE);
	lib_expect_bare(env, env->space);
}

// ---- Fork --------------------------------------------------------------------------------------------------------

static void fork_copies(struct env *env)
{
	struct vmt_space *child, *grandchild;
	struct vmt_space_stats stats;

	lib_map(env, BASE, 8 * PAGE, RW, 0);
	for (unsigned i = 0; i < 6; i++)
		lib_write(env, BASE + i * PAGE, i);
	lib_read(env, BASE + 6 * PAGE);
	OK(env->ops->protect(env->space, BASE + PAGE, PAGE, 0));
	OK(env->ops->space_fork(env->space, &stats, &child));
	assert_ptr_equal(env->ops->space_owner(child), &stats);
	CHECK(env, child);
	CHECK(env, env->space);
	assert_int_equal(lib_resident(env, child), 6);
	OK(env->ops->protect(child, BASE + PAGE, PAGE, RW));
	assert_int_equal(read_in(env, child, BASE + PAGE), 1);
	write_in(env, child, BASE + 2 * PAGE, 77);
	lib_write(env, BASE + 3 * PAGE, 88);
	lib_write(env, BASE + 6 * PAGE, 99);
	OK(env->ops->space_fork(child, NULL, &grandchild));
	write_in(env, child, BASE + 2 * PAGE, 78);
	assert_int_equal(read_in(env, grandchild, BASE + 2 * PAGE), 77);
	assert_int_equal(read_in(env, child, BASE + 2 * PAGE), 78);
	assert_int_equal(lib_read(env, BASE + 2 * PAGE), 2);
	assert_int_equal(read_in(env, child, BASE + 3 * PAGE), 3);
	assert_int_equal(read_in(env, child, BASE + 6 * PAGE), 0);
	assert_int_equal(lib_read(env, BASE + 6 * PAGE), 99);
	CHECK(env, grandchild);
	OK(env->ops->space_destroy(grandchild));
	OK(env->ops->space_destroy(child));
	// The parent is alone again: writing takes the page as it is.
	env->ops->space_stats(env->space, &stats);
	{
		uint64_t frame = frame_of(env, env->space, BASE + 4 * PAGE), copies = stats.faults_cow_copy;

		lib_write(env, BASE + 4 * PAGE, 5);
		assert_int_equal(frame_of(env, env->space, BASE + 4 * PAGE), frame);
		env->ops->space_stats(env->space, &stats);
		assert_int_equal(stats.faults_cow_copy, copies);
	}
	lib_expect_bare(env, env->space);
}

static void fork_survives_parent(struct env *env)
{
	struct vmt_space *child;

	lib_map(env, BASE, MIB(4), RW, 0);
	for (unsigned i = 0; i < 100; i++)
		lib_write(env, BASE + i * PAGE, i);
	OK(env->ops->space_fork(env->space, NULL, &child));
	OK(env->ops->unmap(env->space, BASE, MIB(4)));
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(read_in(env, child, BASE + i * PAGE), i);
	write_in(env, child, BASE, 5);
	CHECK(env, child);
	OK(env->ops->space_destroy(child));
	lib_expect_bare(env, env->space);
}

// ---- Lazy free ---------------------------------------------------------------------------------------------------

static void lazy_free(struct env *env)
{
	uint64_t got;

	lib_map(env, BASE, 8 * PAGE, RW, 0);
	for (unsigned i = 0; i < 8; i++)
		lib_write(env, BASE + i * PAGE, i + 1);
	OK(env->ops->lazy_free(env->space, BASE, 8 * PAGE));
	assert_int_equal(lib_resident(env, env->space), 8);
	for (unsigned i = 0; i < 8; i++) // until they are taken, the bytes are there
		assert_int_equal(lib_read(env, BASE + i * PAGE), i + 1);
	lib_write(env, BASE + 2 * PAGE, 33); // and whoever writes keeps his page
	got = env->ops->reclaim(env->space, 3);
	assert_true(got >= 3);
	assert_int_equal(lib_resident(env, env->space), 5);
	env->ops->reclaim(env->space, UINT64_MAX);
	assert_int_equal(lib_resident(env, env->space), 1);
	CHECK(env, env->space);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(lib_read(env, BASE + i * PAGE), i == 2 ? 33 : 0);
	assert_int_equal(env->ops->reclaim(env->space, UINT64_MAX), 0);
	lib_expect_bare(env, env->space);
}

// A page written again is kept, whatever its permissions went through meanwhile.
static void lazy_written_then_parked(struct env *env)
{
	const vmt_prot then[] = {VMT_READ, RW};

	lib_map(env, BASE, 8 * PAGE, RW, 0);
	for (unsigned i = 0; i < 2; i++) {
		lib_write(env, BASE, 1);
		OK(env->ops->lazy_free(env->space, BASE, PAGE));
		lib_write(env, BASE, 2);
		OK(env->ops->protect(env->space, BASE, PAGE, 0));
		env->ops->reclaim(env->space, UINT64_MAX);
		OK(env->ops->protect(env->space, BASE, PAGE, then[i]));
		env->ops->reclaim(env->space, UINT64_MAX);
		assert_int_equal(lib_read(env, BASE), 2);
		OK(env->ops->protect(env->space, BASE, PAGE, RW));
	}
	lib_expect_bare(env, env->space);
}

// Whoever writes through a reference of his own keeps the page too.
static void lazy_written_by_reference(struct env *env)
{
	uint64_t pa;

	lib_map(env, BASE, 8 * PAGE, RW, 0);
	for (unsigned pin = 0; pin < 2; pin++) {
		lib_write(env, BASE, 1);
		OK(env->ops->lazy_free(env->space, BASE, PAGE));
		OK((pin ? env->ops->page_pin : env->ops->page_get)(env->space, BASE, VMT_WRITE, &pa));
		*(uint64_t *)bytes_of(env, pa) = 44;
		env->ops->reclaim(env->space, UINT64_MAX);
		(pin ? env->ops->page_unpin : env->ops->page_put)(env->vmt, pa);
		env->ops->reclaim(env->space, UINT64_MAX);
		assert_int_equal(lib_read(env, BASE), 44);
	}
	lib_expect_bare(env, env->space);
}

static void lazy_and_fork(struct env *env)
{
	struct vmt_space *child;

	lib_map(env, BASE, 8 * PAGE, RW, 0);
	lib_write(env, BASE, 1);
	lib_write(env, BASE + PAGE, 2);
	OK(env->ops->lazy_free(env->space, BASE, PAGE));
	OK(env->ops->space_fork(env->space, NULL, &child));
	OK(env->ops->lazy_free(env->space, BASE + PAGE, PAGE)); // shared now: stays whole
	env->ops->reclaim(env->space, UINT64_MAX);
	env->ops->reclaim(child, UINT64_MAX);
	assert_int_equal(read_in(env, child, BASE + PAGE), 2);
	write_in(env, child, BASE, 9);
	OK(env->ops->unmap(env->space, BASE, 8 * PAGE));
	env->ops->reclaim(child, UINT64_MAX);
	assert_int_equal(read_in(env, child, BASE), 9);
	assert_int_equal(read_in(env, child, BASE + PAGE), 2);
	CHECK(env, child);
	OK(env->ops->space_destroy(child));
}

// Short of frames, an allocation takes lazily freed pages by itself.
static void lazy_under_pressure(struct env *env)
{
	struct sim_counts counts;

	lib_map(env, GIB(1), MIB(4), RW, 0);
	for (unsigned i = 0; i < 64; i++)
		lib_write(env, GIB(1) + i * PAGE, i + 1);
	OK(env->ops->lazy_free(env->space, GIB(1), 64 * PAGE));
	sim_get_counts(env->machine, &counts);
	sim_set_frame_limit(env->machine, counts.frames);
	for (unsigned i = 100; i < 120; i++)
		lib_write(env, GIB(1) + i * PAGE, i);
	for (unsigned i = 100; i < 120; i++)
		assert_int_equal(lib_read(env, GIB(1) + i * PAGE), i);
	lib_expect_bare(env, env->space);
}

// ---- References and pins -----------------------------------------------------------------------------------------

static void references(struct env *env)
{
	uint64_t pa, again, zero;

	lib_map(env, BASE, 8 * PAGE, RW, 0);
	lib_write(env, BASE + 16, 6);
	OK(env->ops->page_get(env->space, BASE + 123, VMT_READ, &pa));
	assert_int_equal(((uint64_t *)bytes_of(env, pa))[2], 6);
	OK(env->ops->page_get(env->space, BASE, VMT_WRITE, &again));
	assert_int_equal(pa, again);
	env->ops->page_put(env->vmt, again);
	OK(env->ops->unmap(env->space, BASE, PAGE));
	assert_true(sim_frame_allocated(env->machine, pa, NULL));
	assert_int_equal(((uint64_t *)bytes_of(env, pa))[2], 6);
	env->ops->page_put(env->vmt, pa);
	assert_false(sim_frame_allocated(env->machine, pa, NULL));
	OK(env->ops->page_get(env->space, BASE + PAGE, VMT_WRITE, &pa)); // faults it in
	*(uint64_t *)bytes_of(env, pa) = 12;
	env->ops->page_put(env->vmt, pa);
	assert_int_equal(lib_read(env, BASE + PAGE), 12);
	OK(env->ops->page_get(env->space, BASE + 2 * PAGE, VMT_READ, &zero));
	OK(env->ops->page_get(env->space, BASE + 3 * PAGE, VMT_READ, &pa));
	assert_int_equal(zero, pa); // the zero page, counted like any other
	env->ops->page_put(env->vmt, pa);
	env->ops->page_put(env->vmt, zero);
	lib_expect_bare(env, env->space);
}

static void pins(struct env *env)
{
	uint64_t pa[4];
	struct vmt_space *child;

	lib_map(env, BASE, 8 * PAGE, RW, 0);
	lib_write(env, BASE, 1);
	lib_write(env, BASE + PAGE, 2);
	OK(env->ops->page_pin(env->space, BASE, VMT_WRITE, &pa[0]));
	OK(env->ops->page_pin(env->space, BASE + 2 * PAGE, VMT_READ, &pa[2])); // no zero page: it may be written later
	assert_int_equal(frame_of(env, env->space, BASE + 2 * PAGE), pa[2]);
	OK(env->ops->space_fork(env->space, NULL, &child));
	CHECK(env, child);
	lib_write(env, BASE, 10);
	lib_write(env, BASE + 2 * PAGE, 30);
	assert_int_equal(frame_of(env, env->space, BASE), pa[0]); // it has not moved
	assert_int_equal(frame_of(env, env->space, BASE + 2 * PAGE), pa[2]);
	assert_int_equal(*(uint64_t *)bytes_of(env, pa[0]), 10);
	*((uint64_t *)bytes_of(env, pa[0]) + 1) = 11; // the device writes
	assert_int_equal(lib_read(env, BASE + 8), 11);
	assert_int_equal(read_in(env, child, BASE), 1);
	assert_int_equal(read_in(env, child, BASE + 8), 0);
	assert_int_equal(read_in(env, child, BASE + 2 * PAGE), 0);
	// A page that is shared is made the mapping's own before it is pinned, for reading as well.
	OK(env->ops->page_pin(env->space, BASE + PAGE, VMT_READ, &pa[1]));
	lib_write(env, BASE + PAGE, 20);
	assert_int_equal(frame_of(env, env->space, BASE + PAGE), pa[1]);
	assert_int_equal(read_in(env, child, BASE + PAGE), 2);
	// It also stays through lazy free, PROT_NONE and back, and a fork while it is parked.
	OK(env->ops->lazy_free(env->space, BASE, 3 * PAGE));
	env->ops->reclaim(env->space, UINT64_MAX);
	OK(env->ops->protect(env->space, BASE, 3 * PAGE, 0));
	OK(env->ops->space_destroy(child));
	OK(env->ops->space_fork(env->space, NULL, &child));
	OK(env->ops->protect(env->space, BASE, 3 * PAGE, RW));
	OK(env->ops->protect(child, BASE, 3 * PAGE, RW));
	for (unsigned i = 0; i < 3; i++) {
		lib_write(env, BASE + i * PAGE, 100 + i);
		assert_int_equal(frame_of(env, env->space, BASE + i * PAGE), pa[i]);
		assert_int_equal(read_in(env, child, BASE + i * PAGE), 10 * (i + 1));
	}
	CHECK(env, child);
	OK(env->ops->space_destroy(child));
	// Unmapped, it lives until it is unpinned.
	OK(env->ops->unmap(env->space, BASE, PAGE));
	assert_int_equal(*(uint64_t *)bytes_of(env, pa[0]), 100);
	for (unsigned i = 0; i < 3; i++)
		env->ops->page_unpin(env->vmt, pa[i]);
	assert_false(sim_frame_allocated(env->machine, pa[0], NULL));
	// Without its pin it is shared by a fork again.
	OK(env->ops->space_fork(env->space, NULL, &child));
	lib_write(env, BASE + PAGE, 200);
	assert_int_not_equal(frame_of(env, env->space, BASE + PAGE), pa[1]);
	assert_int_equal(read_in(env, child, BASE + PAGE), 101);
	OK(env->ops->space_destroy(child));
	lib_expect_bare(env, env->space);
}

static void accessed_and_dirty(struct env *env)
{
	struct vmt_translation translation;

	lib_map(env, BASE, 8 * PAGE, RW, 0);
	lib_write(env, BASE, 1);
	OK(env->ops->translate(env->space, BASE + 9, &translation));
	assert_true(translation.accessed && translation.dirty && !translation.zero);
	assert_int_equal(translation.pa & VMT_PAGE_MASK, 9);
	assert_int_equal(translation.size, PAGE);
	OK(env->ops->lazy_free(env->space, BASE, PAGE));
	OK(env->ops->translate(env->space, BASE, &translation));
	assert_false(translation.dirty);
	lib_write(env, BASE, 2);
	OK(env->ops->translate(env->space, BASE, &translation));
	assert_true(translation.dirty);
	lib_expect_bare(env, env->space);
}

// ---- Spaces of other kinds ---------------------------------------------------------------------------------------

static void supervisor(struct env *env)
{
	struct vmt_space_config config = {.start = SPACE_START, .end = env->end};
	struct vmt_map_request request = {.addr = BASE, .length = MIB(2), .prot = RW, .flags = VMT_MAP_FIXED};
	struct vmt_space *space;
	uint64_t value = 5;

	OK(env->ops->space_create(env->vmt, &config, &space));
	OK(env->ops->map(space, &request, &request.addr));
	sim_activate(env->cpu, space);
	OK(env->ops->fault(space, BASE, VMT_WRITE, NULL));
	OK(sim_try(env->cpu, BASE, VMT_WRITE, false, 8, &value));
	IS(sim_try(env->cpu, BASE, VMT_READ, true, 8, &value),
	   sim_format_has_user(env->format) ? VMT_ERR_NOT_PRESENT : VMT_OK);
	sim_activate(env->cpu, env->space);
	CHECK(env, space);
	OK(env->ops->space_destroy(space));
}

#define FOREIGN (SLOTS - 1)

static void root_init(void *owner, void *root_table)
{
	uint64_t *root = root_table;

	for (unsigned i = 0; i < SLOTS; i++)
		assert_int_equal(root[i], 0);
	root[FOREIGN] = *(uint64_t *)owner;
}

static uint64_t foreign(struct env *env, struct vmt_space *space)
{
	return ((uint64_t *)bytes_of(env, env->ops->space_root(space)))[FOREIGN];
}

// The embedder's half of the root table is the embedder's, whatever happens to the other.
static void foreign_half(struct env *env)
{
	uint64_t owners[2] = {UINT64_C(0xfedcba9876543201), UINT64_C(0xfedcba9876543211)};
	// The lower half, also where the format could map all. (Of some roots the upper half is beyond all addresses.)
	uint64_t end = env->end < span(env->levels) / 2 ? env->end : span(env->levels) / 2;
	struct vmt_space_config config = {.start = SPACE_START, .end = end, .root_init = root_init, .owner = &owners[0]};
	struct vmt_map_request request = {.addr = SPACE_START, .length = end - SPACE_START, .prot = RW,
					  .flags = VMT_MAP_FIXED};
	struct vmt_space *space, *child;

	OK(env->ops->space_create(env->vmt, &config, &space));
	OK(env->ops->map(space, &request, &request.addr));
	OK(env->ops->fault(space, end - 1, VMT_WRITE, NULL));
	OK(env->ops->space_fork(space, &owners[1], &child));
	assert_int_equal(foreign(env, space), owners[0]);
	assert_int_equal(foreign(env, child), owners[1]);
	OK(env->ops->guard_install(space, SPACE_START, end - SPACE_START));
	CHECK(env, space);
	OK(env->ops->unmap(space, SPACE_START, end - SPACE_START));
	CHECK(env, space);
	CHECK(env, child);
	assert_int_equal(foreign(env, space), owners[0]);
	OK(env->ops->space_destroy(space));
	OK(env->ops->space_destroy(child));
}

int main(int argc, char **argv)
{
	static const struct lib_case cases[] = {
		{.name = "permissions", .run = permissions, .hard = 1},
		{.name = "zero page", .run = zero_page},
		{.name = "peak of others", .run = peak_of_others},
		{.name = "peak that never was", .run = peak_that_never_was},
		{.name = "populate", .run = populate},
		{.name = "fork", .run = fork_copies, .hard = 1},
		{.name = "fork survives the parent", .run = fork_survives_parent},
		{.name = "lazy free", .run = lazy_free, .hard = 1},
		{.name = "lazily freed, written, parked", .run = lazy_written_then_parked, .hard = 1},
		{.name = "lazily freed, written by reference", .run = lazy_written_by_reference, .hard = 1},
		{.name = "lazy free and fork", .run = lazy_and_fork, .hard = 1},
		{.name = "lazy free under pressure", .run = lazy_under_pressure},
		{.name = "references", .run = references},
		{.name = "pins", .run = pins, .hard = 1},
		{.name = "supervisor space", .run = supervisor},
		{.name = "the embedder's half", .run = foreign_half},
		{.name = "accessed and dirty", .run = accessed_and_dirty, .hard = 1},
	};

	return lib_main("memory", cases, sizeof(cases) / sizeof(*cases), argc, argv);
}

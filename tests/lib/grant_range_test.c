// SPDX-License-Identifier: MIT
// Faults of secondaries for a range in one step: made ready first, committed together if nothing has changed.
#include "devices.h"

#define BASE   (GIB(4) - 8 * PAGE) // in two tables of each of two levels
#define LENGTH (16 * PAGE)
#define FAR    GIB(20)
#define BIG    (8 * HUGE)

static void open_one(struct env *env, struct device *device)
{
	devices_begin();
	lib_map(env, BASE, LENGTH, RW, 0);
	device_open(env, device, env->space, 0, 0, NULL);
}

static void close_one(struct env *env, struct device *device)
{
	CHECK(env, env->space);
	device_close(device);
	lib_expect_bare(env, env->space);
}

struct ranged {
	struct env *env;
	struct device *device;
	uint64_t addr, pages;	// of the request
	unsigned programs, commits, single;
	unsigned changes;	// how often `program` changes something yet
	void (*change)(struct ranged *ranged);
	enum vmt_status status;	// of `program`
	bool programmed;
	struct vmt_grant seen[VMT_RANGE_PAGES];
};

static enum vmt_status program(void *arg, const struct vmt_grant *grant, unsigned count)
{
	struct ranged *ranged = arg;

	ranged->programs++;
	assert_int_equal(count, ranged->pages);
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(grant[i].addr, ranged->addr + i * PAGE);
		assert_int_equal(grant[i].length, PAGE);
		ranged->seen[i] = grant[i];
	}
	if (ranged->changes) {
		ranged->changes--;
		ranged->change(ranged);
	}
	return ranged->status;
}

static void range_commit(void *arg, const struct vmt_grant *grant, unsigned count, bool programmed)
{
	struct ranged *ranged = arg;

	ranged->commits++;
	ranged->single += count == 1;
	ranged->programmed = programmed;
	for (unsigned i = 0; i < count; i++) {
		if (programmed) {
			assert_int_equal(grant[i].addr, ranged->seen[i].addr);
			assert_int_equal(grant[i].pa, ranged->seen[i].pa);
			assert_int_equal(grant[i].prot, ranged->seen[i].prot);
		}
		device_keep(ranged->device, &grant[i]);
	}
}

static enum vmt_status range_fault(struct ranged *ranged, uint64_t addr, uint64_t pages, vmt_prot access)
{
	struct vmt_secondary_range range = {.addr = addr, .length = pages * PAGE, .access = access, .program = program,
					    .commit = range_commit, .arg = ranged};

	ranged->addr = addr;
	ranged->pages = pages;
	ranged->programs = ranged->commits = ranged->single = 0;
	return ranged->env->ops->secondary_fault_range(ranged->env->space, ranged->device->id, &range);
}

static void ranges(struct env *env)
{
	struct vmt_secondary_range bare = {.addr = BASE, .length = 4 * PAGE, .access = VMT_READ,
					   .commit = range_commit};
	struct device device, other;
	struct ranged ranged = {.env = env, .device = &device};

	open_one(env, &device);
	lib_map(env, FAR, 128 * PAGE, RW, 0);
	page_write_range(env, BASE, 4 * PAGE, 100);
	OK(range_fault(&ranged, BASE, 16, VMT_WRITE)); // over the border of the tables
	assert_int_equal(ranged.programs, 1);
	assert_int_equal(ranged.commits, 1);
	assert_true(ranged.programmed);
	assert_int_equal(device.commits, 16);
	for (unsigned i = 0; i < 16; i++)
		device_page_write(&device, BASE + i * PAGE, 200 + i);
	page_expect_range(env, BASE, LENGTH, 200);
	record_clear();
	OK(env->ops->release(env->space, BASE + 3 * PAGE, 4 * PAGE)); // it is told as ever
	record_expect(&device, VMT_REASON_RELEASE, BASE + 3 * PAGE, 4 * PAGE, true);
	OK(range_fault(&ranged, FAR + 3 * PAGE, VMT_RANGE_PAGES, VMT_READ));
	assert_true(ranged.programmed);
	assert_int_equal(ranged.commits, 1);
	OK(range_fault(&ranged, FAR, 1, VMT_WRITE));
	assert_true(ranged.programmed);
	bare.arg = &ranged; // nothing to prepare
	ranged.commits = 0;
	OK(env->ops->secondary_fault_range(env->space, device.id, &bare));
	assert_int_equal(ranged.commits, 1);
	assert_false(ranged.programmed);
	IS(range_fault(&ranged, FAR, VMT_RANGE_PAGES + 1, VMT_READ), VMT_ERR_ARGUMENT);
	IS(range_fault(&ranged, FAR + 1, 1, VMT_READ), VMT_ERR_UNALIGNED);
	IS(range_fault(&ranged, FAR, 0, VMT_READ), VMT_ERR_EMPTY);
	IS(range_fault(&ranged, FAR, 1, 0), VMT_ERR_ARGUMENT);
	IS(range_fault(&ranged, FAR, 1, VMT_EXEC), VMT_ERR_ARGUMENT);
	IS(range_fault(&ranged, env->end, 1, VMT_READ), VMT_ERR_OUTSIDE);
	bare.commit = NULL;
	IS(env->ops->secondary_fault_range(env->space, device.id, &bare), VMT_ERR_ARGUMENT);
	IS(range_fault(&ranged, FAR + 127 * PAGE, 2, VMT_READ), VMT_ERR_UNMAPPED);
	assert_int_equal(ranged.programs + ranged.commits, 0);
	ranged.status = VMT_ERR_BUS;
	IS(range_fault(&ranged, FAR, 2, VMT_READ), VMT_ERR_BUS);
	assert_int_equal(ranged.commits, 0);
	ranged.status = VMT_OK;
	sim_fail_nth(env->machine, SIM_FAIL_MEM, 1, 1);
	IS(range_fault(&ranged, FAR, 2, VMT_READ), VMT_ERR_NO_MEMORY);
	sim_fail_nth(env->machine, 0, 0, 0);
	device_open(env, &other, env->space, FAR, FAR + 4 * PAGE, NULL);
	ranged.device = &other;
	OK(range_fault(&ranged, FAR, 4, VMT_READ));
	IS(range_fault(&ranged, FAR + PAGE, 4, VMT_READ), VMT_ERR_OUTSIDE);
	device_close(&other);
	close_one(env, &device);
}

static void change_release(struct ranged *ranged)
{
	OK(ranged->env->ops->release(ranged->env->space, ranged->addr + PAGE, PAGE));
}

static void change_write(struct ranged *ranged)
{
	struct vmt_space *child;

	OK(ranged->env->ops->space_fork(ranged->env->space, NULL, &child));
	page_write(ranged->env, ranged->addr + 2 * PAGE, 900 + ranged->programs);
	OK(ranged->env->ops->space_destroy(child));
}

static void change_move(struct ranged *ranged)
{
	uint64_t got;

	OK(ranged->env->ops->move(ranged->env->space, ranged->addr + PAGE, PAGE, PAGE, VMT_MOVE_MAY_MOVE | VMT_MOVE_FIXED,
				  FAR, &got));
	OK(ranged->env->ops->move(ranged->env->space, ranged->addr, PAGE, PAGE, VMT_MOVE_MAY_MOVE | VMT_MOVE_FIXED,
				  ranged->addr + PAGE, &got));
	OK(ranged->env->ops->move(ranged->env->space, FAR, PAGE, PAGE, VMT_MOVE_MAY_MOVE | VMT_MOVE_FIXED, ranged->addr,
				  &got));
}

static void change_exclusive(struct ranged *ranged)
{
	OK(device_fault(ranged->device, ranged->addr + PAGE, 1, VMT_WRITE, VMT_GRANT_EXCLUSIVE));
}

static void change_protect(struct ranged *ranged)
{
	OK(ranged->env->ops->protect(ranged->env->space, ranged->addr, PAGE, VMT_READ));
	OK(ranged->env->ops->protect(ranged->env->space, ranged->addr, PAGE, RW));
}

static void change_clean(struct ranged *ranged)
{
	ranged->env->ops->test_and_clear(ranged->env->space, ranged->addr, 4 * PAGE, VMT_DIRTY, NULL);
}

static void change_lazy(struct ranged *ranged)
{
	OK(ranged->env->ops->lazy_free(ranged->env->space, ranged->addr, 4 * PAGE));
}

static void (*const range_changes[])(struct ranged *ranged) = {
	change_release, change_write, change_move, change_exclusive, change_protect, change_clean, change_lazy,
};

// Something changes while `program` runs: once, or each time. What is committed is what is there, and may be written.
static void ranges_retried(struct env *env)
{
	for (unsigned n = 0; n < 2 * sizeof(range_changes) / sizeof(*range_changes); n++) {
		struct device device;
		struct ranged ranged = {.env = env, .device = &device, .change = range_changes[n / 2],
					.changes = n % 2 ? UINT32_MAX : 1};

		open_one(env, &device);
		page_write_range(env, BASE + 6 * PAGE, 4 * PAGE, 100);
		OK(range_fault(&ranged, BASE + 6 * PAGE, 4, VMT_WRITE));
		if (n % 2 == 0) {
			assert_true(ranged.programs <= 2);
			assert_int_equal(ranged.commits, 1);
			assert_true(ranged.programmed);
		} else if (ranged.programs > 1) { // each time: one by one
			assert_int_equal(ranged.single, 4);
			assert_false(ranged.programmed);
		}
		if (range_changes[n / 2] == change_release)
			assert_true(ranged.programs > 1);
		for (unsigned i = 0; i < 4; i++) {
			assert_non_null(device_bytes(&device, BASE + (6 + i) * PAGE, VMT_WRITE));
			device_page_write(&device, BASE + (6 + i) * PAGE, 300 + i);
		}
		env->ops->reclaim(env->space, 100); // what was written is not free
		page_expect_range(env, BASE + 6 * PAGE, 4 * PAGE, 300);
		close_one(env, &device);
	}
}

static void change_unmap(struct ranged *ranged)
{
	OK(ranged->env->ops->unmap(ranged->env->space, ranged->addr + 2 * PAGE, PAGE));
}

static void change_lose(struct ranged *ranged)
{
	OK(device_fault(ranged->device, ranged->addr, PAGE, VMT_WRITE, 0));
	ranged->device->mute = true;
	IS(ranged->env->ops->release(ranged->env->space, ranged->addr, PAGE), VMT_ERR_DEVICE);
}

// ... by a change elsewhere: all pages of the range are still as they were noted.
static void change_lose_elsewhere(struct ranged *ranged)
{
	OK(device_fault(ranged->device, BASE + 12 * PAGE, PAGE, VMT_WRITE, 0));
	ranged->device->mute = true;
	IS(ranged->env->ops->release(ranged->env->space, BASE + 12 * PAGE, PAGE), VMT_ERR_DEVICE);
}

// A part goes for good while it runs, or the device is lost.
static void ranges_end(struct env *env)
{
	struct device device;
	struct ranged ranged = {.env = env, .device = &device, .change = change_unmap, .changes = 1};

	open_one(env, &device);
	IS(range_fault(&ranged, BASE + 6 * PAGE, 4, VMT_WRITE), VMT_ERR_UNMAPPED);
	assert_int_equal(ranged.commits, 0);
	ranged.change = change_lose;
	ranged.changes = 1;
	IS(range_fault(&ranged, BASE, 4, VMT_WRITE), VMT_ERR_DEVICE);
	assert_int_equal(ranged.commits, 0);
	close_one(env, &device);
	open_one(env, &device);
	ranged.change = change_lose_elsewhere;
	ranged.changes = 1;
	IS(range_fault(&ranged, BASE, 4, VMT_WRITE), VMT_ERR_DEVICE);
	assert_int_equal(ranged.commits, 0);
	close_one(env, &device);
}

// Over huge pages, pages of the device's memory, copies beside pages: page by page all the same.
static void ranges_of_all(struct env *env)
{
	struct device device;
	struct ranged ranged = {.env = env, .device = &device};
	struct vram vram;
	uint64_t at = BIG + HUGE - 8 * PAGE;

	if (PAGE == 65536)
		return;
	devices_begin();
	vram_open(env, &vram, 0, 3 * HUGE);
	device_open(env, &device, env->space, 0, 0, &vram);
	lib_map(env, BIG, HUGE, RW, VMT_MAP_HUGE);
	lib_map(env, BIG + HUGE, HUGE, RW, 0);
	page_write_range(env, at, 16 * PAGE, 100);
	assert_int_equal(page_entry(env, env->space, BIG).size, HUGE);
	OK(env->ops->migrate(env->space, BIG + HUGE, 4 * PAGE, vram.memory, NULL));
	OK(env->ops->advise_device(env->space, BIG + HUGE + 4 * PAGE, 4 * PAGE, NULL, true));
	OK(range_fault(&ranged, at, 16, VMT_READ));
	assert_true(ranged.programmed);
	assert_int_equal(ranged.programs, 1);
	assert_true(device_has(&device, BIG + HUGE)->device);
	assert_true(device_has(&device, BIG + HUGE + 5 * PAGE)->device);
	assert_false(device_has(&device, BIG + HUGE - PAGE)->device);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(device_page_read(&device, at + i * PAGE), 100 + i);
	OK(range_fault(&ranged, at, 16, VMT_WRITE));
	for (unsigned i = 0; i < 16; i++)
		device_page_write(&device, at + i * PAGE, 200 + i);
	page_expect_range(env, at, 16 * PAGE, 200);
	OK(env->ops->migrate(env->space, BIG, HUGE, vram.memory, NULL)); // the huge one
	OK(range_fault(&ranged, at, 16, VMT_WRITE));
	assert_true(device_has(&device, BIG + HUGE - PAGE)->device);
	for (unsigned i = 0; i < 16; i++)
		device_page_write(&device, at + i * PAGE, 300 + i);
	page_expect_range(env, at, 16 * PAGE, 300);
	close_one(env, &device);
	vram_close(&vram);
}

static const struct lib_case cases[] = {
	{.name = "ranges", .run = ranges},
	{.name = "ranges, retried", .run = ranges_retried},
	{.name = "ranges end", .run = ranges_end},
	{.name = "ranges of all kinds", .run = ranges_of_all, .frames = 32 * 2048},
};

int main(int argc, char **argv)
{
	return lib_main("grants of ranges", cases, sizeof(cases) / sizeof(*cases), argc, argv);
}

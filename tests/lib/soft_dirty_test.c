// SPDX-License-Identifier: MIT
// What was used and written: what vmt_test_and_clear finds, and whom it tells.
#include "devices.h"

#define BASE   (GIB(4) - 8 * PAGE) // in two tables of each of two levels
#define LENGTH (16 * PAGE)

// A region of LENGTH, written, and a device that has all of it.
static void open_one(struct env *env, struct device *device)
{
	devices_begin();
	lib_map(env, BASE, LENGTH, RW, 0);
	page_write_range(env, BASE, LENGTH, 100);
	device_open(env, device, env->space, 0, 0, NULL);
	OK(device_fault(device, BASE, LENGTH, VMT_WRITE, 0));
	record_clear();
}

static void close_one(struct env *env, struct device *device)
{
	device_close(device);
	lib_expect_bare(env, env->space);
}

static uint64_t harvested(struct env *env, unsigned what)
{
	uint64_t bitmap = 0, pages = env->ops->test_and_clear(env->space, BASE, LENGTH, what, &bitmap), n = 0;

	for (unsigned i = 0; i < 64; i++)
		n += bitmap >> i & 1;
	assert_int_equal(pages, n);
	assert_int_equal(bitmap >> LENGTH / PAGE, 0);
	CHECK(env, env->space);
	return bitmap;
}

// Formats whose hardware notes nothing say what the library does.
static bool notes(struct env *env)
{
	bool noted;

	lib_map(env, GIB(2), PAGE, RW, 0);
	OK(env->ops->fault(env->space, GIB(2), VMT_WRITE, NULL));
	env->ops->test_and_clear(env->space, GIB(2), PAGE, VMT_ACCESSED | VMT_DIRTY, NULL);
	noted = env->ops->test_and_clear(env->space, GIB(2), PAGE, VMT_ACCESSED, NULL) == 0;
	OK(env->ops->unmap(env->space, GIB(2), PAGE));
	return noted;
}

static void soft_dirty(struct env *env)
{
	struct device device;
	uint64_t bitmap = 0;

	if (!notes(env))
		return;
	open_one(env, &device);
	assert_int_equal(harvested(env, VMT_DIRTY), 0xffff);
	record_expect(&device, VMT_REASON_SOFT_DIRTY, BASE, LENGTH, true);
	assert_int_equal(harvested(env, VMT_DIRTY), 0);
	record_check();
	// A CPU's write, a device's; their reads.
	page_write(env, BASE + PAGE, 1);
	device_page_write(&device, BASE + 2 * PAGE, 2);
	page_read(env, BASE + 3 * PAGE);
	device_page_read(&device, BASE + 4 * PAGE);
	record_clear();
	assert_int_equal(harvested(env, VMT_DIRTY), 0x6);
	record_expect(&device, VMT_REASON_SOFT_DIRTY, BASE + 2 * PAGE, PAGE, true);
	page_write(env, BASE + PAGE, 1);
	device_page_write(&device, BASE + 2 * PAGE, 2);
	assert_int_equal(harvested(env, VMT_ACCESSED) & 0x6, 0x6);
	// The accessed bits alone were cleared: what was written still is.
	assert_int_equal(harvested(env, VMT_DIRTY), 0x6);
	device_page_read(&device, BASE + 5 * PAGE);
	assert_int_equal(harvested(env, VMT_ACCESSED), 0x20);
	assert_int_equal(harvested(env, VMT_ACCESSED | VMT_DIRTY), 0);
	record_clear();
	// A page that came in between is dirty as well; one that went is not there.
	OK(env->ops->release(env->space, BASE, 4 * PAGE));
	page_write(env, BASE + 3 * PAGE, 1);
	assert_int_equal(harvested(env, VMT_DIRTY), 0x8);
	// Parts of words, and bits that stay set.
	page_write(env, BASE + 9 * PAGE, 1);
	page_write(env, BASE + 11 * PAGE, 1);
	assert_int_equal(env->ops->test_and_clear(env->space, BASE + 9 * PAGE, 2 * PAGE, VMT_DIRTY, &bitmap), 1);
	assert_int_equal(bitmap, 1);
	assert_int_equal(env->ops->test_and_clear(env->space, BASE + 10 * PAGE, 2 * PAGE, VMT_DIRTY, &bitmap), 1);
	assert_int_equal(bitmap, 3);
	assert_int_equal(env->ops->test_and_clear(env->space, BASE + 1, PAGE, VMT_DIRTY, NULL), 0);
	assert_int_equal(env->ops->test_and_clear(env->space, BASE, PAGE, 0, NULL), 0);
	close_one(env, &device);
}

// Lazily freed pages and pages that may not be accessed.
static void soft_dirty_hidden(struct env *env)
{
	const struct sim_ops *ops = env->ops;
	struct device device;

	if (!notes(env))
		return;
	open_one(env, &device);
	OK(ops->lazy_free(env->space, BASE, 4 * PAGE));
	page_write(env, BASE + PAGE, 50); // not free any more
	device_page_write(&device, BASE + 2 * PAGE, 51);
	assert_int_equal(harvested(env, VMT_DIRTY) & 0xf, 0x6);
	ops->reclaim(env->space, 100);
	assert_int_equal(page_read(env, BASE), 0);
	assert_int_equal(page_read(env, BASE + PAGE), 50);
	assert_int_equal(page_read(env, BASE + 2 * PAGE), 51);
	assert_int_equal(page_read(env, BASE + 3 * PAGE), 0);
	harvested(env, VMT_DIRTY);
	// Parked: written before, or not.
	page_write(env, BASE + 4 * PAGE, 52);
	OK(ops->protect(env->space, BASE + 4 * PAGE, 2 * PAGE, 0));
	assert_int_equal(harvested(env, VMT_DIRTY), 0x10);
	assert_int_equal(harvested(env, VMT_DIRTY), 0);
	OK(ops->protect(env->space, BASE + 4 * PAGE, 2 * PAGE, RW));
	harvested(env, VMT_DIRTY); // they have come in between
	page_write(env, BASE + 5 * PAGE, 53);
	assert_int_equal(harvested(env, VMT_DIRTY), 0x20);
	// Both: lazily freed, written again, parked, asked about; it is nobody's to take.
	OK(ops->lazy_free(env->space, BASE + 6 * PAGE, 2 * PAGE));
	page_write(env, BASE + 6 * PAGE, 54);
	OK(ops->protect(env->space, BASE + 6 * PAGE, 2 * PAGE, 0));
	assert_int_equal(harvested(env, VMT_DIRTY), 0x40);
	OK(ops->protect(env->space, BASE + 6 * PAGE, 2 * PAGE, RW));
	ops->reclaim(env->space, 100);
	assert_int_equal(page_read(env, BASE + 6 * PAGE), 54);
	assert_int_equal(page_read(env, BASE + 7 * PAGE), 0);
	// A page that a device has for itself may be written any time.
	OK(device_fault(&device, BASE + 8 * PAGE, 1, VMT_WRITE, VMT_GRANT_EXCLUSIVE));
	harvested(env, VMT_DIRTY);
	assert_int_equal(harvested(env, VMT_DIRTY) & 0x100, 0x100);
	close_one(env, &device);
}

static void soft_dirty_huge(struct env *env)
{
	struct device device;
	uint64_t bitmap[64] = {0};

	if (PAGE == 65536 || !notes(env))
		return;
	devices_begin();
	lib_map(env, 4 * HUGE, HUGE, RW, VMT_MAP_HUGE);
	device_open(env, &device, env->space, 0, 0, NULL);
	device_write(&device, 4 * HUGE + 8, 1);
	assert_int_equal(device_has(&device, 4 * HUGE)->length, HUGE);
	record_clear();
	assert_int_equal(env->ops->test_and_clear(env->space, 4 * HUGE, HUGE, VMT_DIRTY, bitmap), SLOTS);
	record_expect(&device, VMT_REASON_SOFT_DIRTY, 4 * HUGE, HUGE, true);
	for (unsigned i = 0; i < SLOTS / 64; i++)
		assert_true(bitmap[i] == UINT64_MAX);
	assert_int_equal(env->ops->test_and_clear(env->space, 4 * HUGE, HUGE, VMT_DIRTY, NULL), 0);
	device_write(&device, 4 * HUGE + 5 * PAGE, 1);
	// One of its pages is asked about, which answers for all.
	assert_int_equal(env->ops->test_and_clear(env->space, 4 * HUGE + 9 * PAGE, 3 * PAGE, VMT_DIRTY, NULL), 3);
	assert_null(device_has(&device, 4 * HUGE + 5 * PAGE));
	close_one(env, &device);
}

static const struct lib_case cases[] = {
	{.name = "soft-dirty", .run = soft_dirty, .hard = 1},
	{.name = "soft-dirty, hidden pages", .run = soft_dirty_hidden, .hard = 1},
	{.name = "soft-dirty, huge pages", .run = soft_dirty_huge, .frames = 32 * 2048, .hard = 1},
};

int main(int argc, char **argv)
{
	return lib_main("soft-dirty", cases, sizeof(cases) / sizeof(*cases), argc, argv);
}

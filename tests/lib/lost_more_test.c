// SPDX-License-Identifier: MIT
// Secondaries that do not answer, and huge pages, pages for the device alone, device memory, the end of a space.
#include "lost.h"

// A huge page goes, in part and as a whole; and none is made.
static void huge(struct env *env)
{
	uint64_t at = 8 * HUGE, before;
	enum vmt_status status = VMT_OK;
	struct device device;

	if (PAGE == 65536)
		return;
	devices_begin();
	lib_map(env, at, 2 * HUGE, RW, VMT_MAP_HUGE);
	lib_write(env, at, 1);
	lib_write(env, at + HUGE, 1);
	device_open(env, &device, env->space, at, at + 2 * HUGE, NULL);
	OK(device_fault(&device, at, 2 * HUGE, VMT_WRITE, 0));
	assert_int_equal(device.count, 2);
	device.mute = true;
	before = frames_now(env);
	IS(env->ops->unmap(env->space, at + PAGE, 3 * PAGE), VMT_ERR_DEVICE);
	assert_int_equal(frames_now(env), before + 1); // a table more
	IS(env->ops->release(env->space, at + HUGE, HUGE), VMT_ERR_DEVICE);
	assert_int_equal(frames_now(env), before + 1);
	for (uint64_t i = 0; i < 8; i++)
		page_write(env, at + HUGE + (2 * i + 1) * PAGE, i);
	assert_int_equal(env->ops->collapse(env->space, at, HUGE, &status), 0);
	CHECK(env, env->space);
	run_wild(&device);
	for (uint64_t i = 0; i < 8; i++)
		assert_int_equal(page_read(env, at + HUGE + (2 * i + 1) * PAGE), i);
	device_close(&device);
	lib_expect_bare(env, env->space);
}

static void collapse(struct env *env)
{
	enum vmt_status status = VMT_OK;
	uint64_t at = 8 * HUGE;
	struct device device;

	if (PAGE == 65536)
		return;
	devices_begin();
	lib_map(env, at, HUGE, RW, 0);
	page_write_range(env, at, 16 * PAGE, 5);
	device_open(env, &device, env->space, 0, 0, NULL);
	OK(device_fault(&device, at, 16 * PAGE, VMT_WRITE, 0));
	device.mute = true;
	assert_int_equal(env->ops->collapse(env->space, at, HUGE, &status), 0);
	IS(status, VMT_ERR_DEVICE);
	assert_int_equal(page_entry(env, env->space, at).size, PAGE);
	CHECK(env, env->space);
	page_expect_range(env, at, 16 * PAGE, 5);
	device_page_write(&device, at + PAGE, 77); // it still writes to the page that is there
	assert_int_equal(page_read(env, at + PAGE), 77);
	device_close(&device);
	assert_int_equal(env->ops->collapse(env->space, at, HUGE, &status), 1);
	OK(status);
	assert_int_equal(page_read(env, at + PAGE), 77);
	lib_expect_bare(env, env->space);
}

// A page that the lost device has for itself is taken back, though it may go on writing to it; and it can be given up.
static void exclusive(struct env *env)
{
	struct device device;

	devices_begin();
	lib_map(env, BASE, LENGTH, RW, 0);
	page_write_range(env, BASE, LENGTH, 100);
	device_open(env, &device, env->space, 0, 0, NULL);
	OK(device_fault(&device, BASE, 4 * PAGE, VMT_WRITE, VMT_GRANT_EXCLUSIVE));
	device_page_write(&device, BASE, 1);
	device_page_write(&device, BASE + PAGE, 2);
	device.mute = true;
	assert_int_equal(page_read(env, BASE), 1);
	page_write(env, BASE, 4);
	assert_int_equal(page_read(env, BASE), 4);
	CHECK(env, env->space);
	IS(env->ops->release(env->space, BASE + PAGE, PAGE), VMT_ERR_DEVICE);
	assert_int_equal(page_read(env, BASE + PAGE), 0);
	IS(lost_fork(env), VMT_ERR_DEVICE);
	device_page_write(&device, BASE + PAGE, 3);
	assert_int_equal(page_read(env, BASE + PAGE), 0);
	device_close(&device);
	assert_int_equal(page_read(env, BASE), 4);
	assert_int_equal(page_read(env, BASE + 2 * PAGE), 102);
	lib_expect_bare(env, env->space);
}

// Migration, and what is in device memory.
static void device_memory(struct env *env)
{
	struct vmt_migration *migration;
	struct device device;
	struct vram vram;
	uint64_t pages, value;

	devices_begin();
	vram_open(env, &vram, 0, 64 * PAGE);
	open_lost(env, &device, &vram);
	device.mute = false;
	OK(env->ops->migrate(env->space, BASE, 4 * PAGE, vram.memory, &pages));
	assert_int_equal(pages, 4);
	OK(device_fault(&device, BASE, LENGTH, VMT_WRITE, 0));
	device.mute = true;
	// What is in system memory stays there, and can be used at once.
	IS(env->ops->migrate(env->space, BASE + 4 * PAGE, LENGTH - 4 * PAGE, vram.memory, &pages), VMT_ERR_DEVICE);
	assert_int_equal(pages, 0);
	assert_int_equal(vram_used(&vram), 4);
	page_expect_range(env, BASE + 4 * PAGE, LENGTH - 4 * PAGE, 104);
	OK(env->ops->migration_start(env->space, BASE + 4 * PAGE, 4 * PAGE, vram.memory, &migration));
	IS(env->ops->migration_finish(migration, &pages), VMT_ERR_DEVICE);
	assert_int_equal(pages, 0);
	page_write_range(env, BASE + 4 * PAGE, 4 * PAGE, 50);
	page_expect_range(env, BASE + 4 * PAGE, 4 * PAGE, 50);
	// What is with the device stays there.
	IS(env->ops->migrate(env->space, BASE, 4 * PAGE, NULL, &pages), VMT_ERR_DEVICE);
	assert_int_equal(pages, 0);
	IS(sim_read(env->cpu, BASE + PAGE, 8, &value), VMT_ERR_DEVICE);
	CHECK(env, env->space);
	device_page_write(&device, BASE, 61);
	IS(env->ops->release(env->space, BASE + PAGE, 3 * PAGE), VMT_ERR_DEVICE);
	assert_int_equal(vram_used(&vram), 4); // three in quarantine
	assert_int_equal(page_read(env, BASE + PAGE), 0);
	run_wild(&device);
	device_page_write(&device, BASE, 61);
	assert_int_equal(page_read(env, BASE + PAGE), 0);
	device_close(&device);
	assert_int_equal(vram_used(&vram), 1);
	assert_int_equal(page_read(env, BASE), 61);
	lib_expect_bare(env, env->space);
	vram_close(&vram);
}

// A copy beside a page that the CPU writes again: the lost device may go on reading it.
static void copy_beside(struct env *env)
{
	struct device device;
	struct vram vram;

	devices_begin();
	vram_open(env, &vram, 0, 64 * PAGE);
	lib_map(env, BASE, LENGTH, RW, 0);
	page_write_range(env, BASE, LENGTH, 100);
	device_open(env, &device, env->space, 0, 0, &vram);
	OK(env->ops->advise_device(env->space, BASE, LENGTH, NULL, true));
	assert_int_equal(device_page_read(&device, BASE), 100);
	assert_true(device_has(&device, BASE)->device);
	device.mute = true;
	page_write(env, BASE, 5);
	assert_int_equal(page_read(env, BASE), 5);
	assert_int_equal(device_page_read(&device, BASE), 100);
	assert_int_equal(vram_used(&vram), 1);
	CHECK(env, env->space);
	device_close(&device);
	assert_int_equal(vram_used(&vram), 0);
	lib_expect_bare(env, env->space);
	vram_close(&vram);
}

// The space cannot end before it is detached.
static void destroy(struct env *env)
{
	struct vmt_space *usual = env->space;
	struct device device;

	devices_begin();
	env->space = env_new_space(env);
	sim_activate(env->cpu, env->space);
	open_lost(env, &device, NULL);
	sim_activate(env->cpu, usual);
	IS(env->ops->space_destroy(env->space), VMT_ERR_DEVICE);
	IS(env->ops->space_destroy(env->space), VMT_ERR_DEVICE);
	run_wild(&device);
	CHECK(env, env->space);
	sim_activate(env->cpu, env->space);
	page_write_range(env, BASE, LENGTH, 800); // still there
	page_expect_range(env, BASE, LENGTH, 800);
	sim_activate(env->cpu, usual);
	device_close(&device);
	OK(env->ops->space_destroy(env->space));
	env->space = usual;
}

// The slot is as good as new.
static void again(struct env *env)
{
	struct device device;

	devices_begin();
	for (unsigned i = 0; i < 3; i++) {
		open_lost(env, &device, NULL);
		IS(env->ops->unmap(env->space, BASE, LENGTH), VMT_ERR_DEVICE);
		device_close(&device);
		lib_map(env, BASE, LENGTH, RW, 0);
		device_open(env, &device, env->space, 0, 0, NULL);
		device_page_write(&device, BASE, 5);
		OK(env->ops->unmap(env->space, BASE, LENGTH));
		assert_null(device_has(&device, BASE));
		device_close(&device);
	}
	lib_expect_bare(env, env->space);
}

static const struct lib_case cases[] = {
	{.name = "huge", .run = huge, .frames = 32 * 2048},
	{.name = "collapse", .run = collapse, .frames = 32 * 2048},
	{.name = "exclusive", .run = exclusive},
	{.name = "device memory", .run = device_memory},
	{.name = "a copy beside a page", .run = copy_beside},
	{.name = "destroy", .run = destroy},
	{.name = "again", .run = again},
};

int main(int argc, char **argv)
{
	return lib_main("lost secondaries, more", cases, sizeof(cases) / sizeof(*cases), argc, argv);
}

// SPDX-License-Identifier: MIT
// What faults of secondaries hand out: whole leaves as far as was subscribed, only what is there, pages for the device
// alone.
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

// The CPU can make this access now, without a fault.
static bool cpu_can(struct env *env, uint64_t addr, vmt_prot access)
{
	uint64_t value = 0;

	if (access == VMT_WRITE) // what is there
		return env->ops->page_try_get(env->space, addr, VMT_WRITE, &value) == VMT_OK &&
		       (env->ops->page_put(env->vmt, value), true);
	return sim_try(env->cpu, addr, access, true, 8, &value) == VMT_OK;
}

// ---- What is handed out ------------------------------------------------------------------------------------------

static void permissions(struct env *env)
{
	struct vmt_map_request request = {.addr = FAR, .length = PAGE, .prot = VMT_RWX, .flags = VMT_MAP_FIXED};
	struct device device;
	uint64_t got;

	open_one(env, &device);
	page_write(env, BASE, 1);
	OK(device_fault(&device, BASE + 5, 1, VMT_READ, 0));
	assert_int_equal(device_has(&device, BASE)->prot, VMT_READ); // to write it has to ask
	assert_int_equal(device_has(&device, BASE)->addr, BASE);
	assert_int_equal(device_has(&device, BASE)->length, PAGE);
	assert_false(device_has(&device, BASE)->device);
	OK(device_fault(&device, BASE + 5, 1, VMT_WRITE, 0));
	assert_int_equal(device_has(&device, BASE)->prot, RW);
	OK(device_fault(&device, BASE + PAGE, 1, VMT_READ, 0)); // the zero page
	assert_int_equal(device_has(&device, BASE + PAGE)->prot, VMT_READ);
	assert_int_equal(device_page_read(&device, BASE + PAGE), 0);
	OK(env->ops->map(env->space, &request, &got));
	OK(device_fault(&device, FAR, 1, VMT_READ, 0));
	assert_int_equal(device_has(&device, FAR)->prot & ~VMT_READ,
			 sim_format_has_exec(env->format) ? VMT_EXEC : device_has(&device, FAR)->prot & VMT_EXEC);
	OK(device_fault(&device, FAR, 1, VMT_WRITE, 0));
	assert_int_equal(device_has(&device, FAR)->prot & RW, RW);
	if (sim_format_has_exec(env->format))
		assert_int_equal(device_has(&device, FAR)->prot, VMT_RWX);
	IS(device_fault(&device, BASE, 1, VMT_EXEC, 0), VMT_ERR_ARGUMENT);
	IS(device_fault(&device, BASE, 1, 0, 0), VMT_ERR_ARGUMENT);
	IS(device_fault(&device, BASE, 1, VMT_READ, 4), VMT_ERR_ARGUMENT);
	IS(device_fault(&device, BASE, 1, VMT_READ, VMT_GRANT_EXCLUSIVE), VMT_ERR_ARGUMENT);
	IS(device_fault(&device, BASE, 1, VMT_WRITE, VMT_GRANT_EXCLUSIVE | VMT_GRANT_PRESENT), VMT_ERR_ARGUMENT);
	IS(device_fault(&device, UINT64_MAX - 7, 8, VMT_READ, 0), VMT_ERR_UNMAPPED);
	close_one(env, &device);
}

// How far a request comes.
static void done(struct env *env)
{
	struct vmt_secondary_request request = {.addr = BASE + 3, .length = 4 * PAGE, .access = VMT_READ,
						.commit = device_keep};
	const struct sim_ops *ops = env->ops;
	struct device device;
	uint64_t far = 1;

	open_one(env, &device);
	request.arg = &device;
	OK(ops->secondary_fault(env->space, device.id, &request, &far));
	assert_int_equal(far, 4 * PAGE);
	assert_int_equal(device.commits, 5); // all that it touches
	OK(ops->guard_install(env->space, BASE + 2 * PAGE, PAGE));
	IS(ops->secondary_fault(env->space, device.id, &request, &far), VMT_ERR_GUARD);
	assert_int_equal(far, 2 * PAGE - 3);
	OK(ops->unmap(env->space, BASE, PAGE));
	IS(ops->secondary_fault(env->space, device.id, &request, &far), VMT_ERR_UNMAPPED);
	assert_int_equal(far, 0);
	OK(ops->protect(env->space, BASE + PAGE, PAGE, VMT_READ));
	request.addr = BASE + PAGE;
	request.access = VMT_WRITE;
	IS(ops->secondary_fault(env->space, device.id, &request, &far), VMT_ERR_ACCESS);
	assert_int_equal(far, 0);
	request.commit = NULL;
	IS(ops->secondary_fault(env->space, device.id, &request, &far), VMT_ERR_ARGUMENT);
	request.commit = device_keep;
	IS(ops->secondary_fault(env->space, device.id + 1, &request, &far), VMT_ERR_OUTSIDE);
	sim_fail_nth(env->machine, SIM_FAIL_FRAME, 1, 1000);
	IS(device_fault(&device, BASE + 9 * PAGE, 1, VMT_WRITE, 0), VMT_ERR_NO_MEMORY);
	sim_fail_nth(env->machine, 0, 0, 0);
	OK(device_fault(&device, BASE + 9 * PAGE, 1, VMT_WRITE, 0));
	close_one(env, &device);
}

// A huge leaf as a whole, once; or the part of it that lies in what was subscribed to.
static void huge(struct env *env)
{
	struct device all, some, end;
	uint64_t frame;

	if (PAGE == 65536)
		return;
	devices_begin();
	lib_map(env, BIG, 3 * HUGE, RW, VMT_MAP_HUGE);
	device_open(env, &all, env->space, 0, 0, NULL);
	device_open(env, &some, env->space, BIG + 3 * PAGE, BIG + 7 * PAGE, NULL);
	device_open(env, &end, env->space, BIG + HUGE - PAGE, BIG + 2 * HUGE + PAGE, NULL);
	OK(device_fault(&all, BIG, 2 * HUGE, VMT_WRITE, 0)); // which makes them
	assert_int_equal(all.commits, 2);
	assert_int_equal(device_has(&all, BIG + HUGE - 1)->addr, BIG);
	assert_int_equal(device_has(&all, BIG)->length, HUGE);
	frame = device_has(&all, BIG)->pa;
	assert_int_equal(frame % HUGE, 0);
	device_write(&all, BIG + 5 * PAGE, 55);
	device_write(&all, BIG + 2 * HUGE - PAGE, 56);
	OK(device_fault(&some, BIG + 5 * PAGE, 1, VMT_READ, 0));
	assert_int_equal(device_has(&some, BIG + 5 * PAGE)->addr, BIG + 3 * PAGE);
	assert_int_equal(device_has(&some, BIG + 5 * PAGE)->length, 4 * PAGE);
	assert_int_equal(device_has(&some, BIG + 5 * PAGE)->pa, frame + 3 * PAGE);
	assert_int_equal(device_read(&some, BIG + 5 * PAGE), 55);
	IS(device_fault(&some, BIG + 6 * PAGE, 2 * PAGE, VMT_READ, 0), VMT_ERR_OUTSIDE);
	OK(device_fault(&end, BIG + HUGE - PAGE, HUGE + 2 * PAGE, VMT_READ, 0));
	assert_int_equal(end.commits, 3);
	assert_int_equal(device_has(&end, BIG + HUGE - PAGE)->length, PAGE);
	assert_int_equal(device_has(&end, BIG + HUGE)->length, HUGE);
	assert_int_equal(device_read(&end, BIG + 2 * HUGE - PAGE), 56);
	assert_int_equal(lib_read(env, BIG + 5 * PAGE), 55);
	// A part goes: who has any of it is told, and gets small ones.
	record_clear();
	OK(env->ops->release(env->space, BIG + 4 * PAGE, PAGE));
	assert_null(device_has(&all, BIG + 4 * PAGE));
	assert_null(device_has(&some, BIG + 4 * PAGE));
	record_check();
	OK(device_fault(&all, BIG + 5 * PAGE, 1, VMT_READ, 0));
	assert_int_equal(device_has(&all, BIG + 5 * PAGE)->length, PAGE);
	assert_int_equal(device_read(&all, BIG + 5 * PAGE), 55);
	assert_int_equal(device_read(&all, BIG + 4 * PAGE), 0);
	device_close(&end);
	device_close(&some);
	close_one(env, &all);
}

// ---- Only what is there ------------------------------------------------------------------------------------------

static void present(struct env *env)
{
	uint64_t frames, generation;
	struct vmt_space *child;
	struct device device;

	open_one(env, &device);
	page_write(env, BASE + PAGE, 1);
	assert_int_equal(page_read(env, BASE + 3 * PAGE), 0); // the zero page
	page_write(env, BASE + 5 * PAGE, 5);
	OK(env->ops->protect(env->space, BASE + 5 * PAGE, PAGE, VMT_READ));
	page_write(env, BASE + 6 * PAGE, 6);
	OK(env->ops->protect(env->space, BASE + 6 * PAGE, PAGE, 0));
	OK(env->ops->guard_install(env->space, BASE + 7 * PAGE, PAGE));
	OK(env->ops->unmap(env->space, BASE + 8 * PAGE, PAGE));
	frames = frames_now(env);
	record_clear();
	OK(device_fault(&device, BASE, LENGTH, 0, VMT_GRANT_PRESENT));
	assert_int_equal(device.commits, 3);
	assert_int_equal(device_has(&device, BASE + PAGE)->prot & RW, RW);
	assert_int_equal(device_has(&device, BASE + 3 * PAGE)->prot & RW, VMT_READ);
	assert_int_equal(device_has(&device, BASE + 5 * PAGE)->prot & RW, VMT_READ);
	assert_int_equal(device_page_read(&device, BASE + PAGE), 1);
	OK(device_fault(&device, BASE, LENGTH, VMT_WRITE, VMT_GRANT_PRESENT));
	assert_int_equal(device.commits, 4); // one may be written
	OK(device_fault(&device, BASE, LENGTH, VMT_READ, VMT_GRANT_PRESENT));
	assert_int_equal(device.commits, 7);
	assert_int_equal(device_has(&device, BASE + PAGE)->prot & RW, VMT_READ); // as asked
	assert_int_equal(frames_now(env), frames);
	record_expect_quiet();
	// What may be written and is granted so counts as written.
	OK(env->ops->lazy_free(env->space, BASE + PAGE, PAGE));
	OK(device_fault(&device, BASE + PAGE, 1, 0, VMT_GRANT_PRESENT));
	if (device_bytes(&device, BASE + PAGE, VMT_WRITE)) {
		device_page_write(&device, BASE + PAGE, 9);
		env->ops->reclaim(env->space, 100);
		assert_int_equal(page_read(env, BASE + PAGE), 9);
	}
	// Shared after a fork: to read, and not copied.
	page_write(env, BASE + 2 * PAGE, 2);
	OK(env->ops->space_fork(env->space, NULL, &child));
	frames = frames_now(env);
	OK(device_fault(&device, BASE + 2 * PAGE, 1, 0, VMT_GRANT_PRESENT));
	assert_int_equal(device_has(&device, BASE + 2 * PAGE)->prot & RW, VMT_READ);
	assert_int_equal(frames_now(env), frames);
	assert_true(sim_frame_allocated(env->machine, device_has(&device, BASE + 2 * PAGE)->pa, &generation));
	OK(env->ops->space_destroy(child));
	IS(device_fault(&device, BASE, 1, VMT_EXEC, VMT_GRANT_PRESENT), VMT_ERR_ARGUMENT);
	close_one(env, &device);
}

// Device memory is there as well, for who can reach it.
static void present_there(struct env *env)
{
	struct device device, other;
	struct vram vram;
	uint64_t frames;

	open_one(env, &device);
	device_close(&device);
	vram_open(env, &vram, 0, 16 * PAGE);
	device_open(env, &device, env->space, 0, 0, &vram);
	device_open(env, &other, env->space, 0, 0, NULL);
	page_write_range(env, BASE, 4 * PAGE, 1);
	OK(env->ops->migrate(env->space, BASE, 2 * PAGE, vram.memory, NULL));
	frames = frames_now(env);
	OK(device_fault(&device, BASE, 4 * PAGE, 0, VMT_GRANT_PRESENT));
	assert_int_equal(device.commits, 4);
	assert_true(device_has(&device, BASE)->device);
	assert_int_equal(device_has(&device, BASE)->prot & RW, RW);
	assert_int_equal(device_page_read(&device, BASE), 1);
	assert_false(device_has(&device, BASE + 2 * PAGE)->device);
	OK(device_fault(&other, BASE, 4 * PAGE, 0, VMT_GRANT_PRESENT));
	assert_int_equal(other.commits, 2);
	assert_int_equal(frames_now(env), frames);
	assert_true(page_is_there(env, env->space, BASE));
	device_close(&other);
	close_one(env, &device);
	vram_close(&vram);
}

// ---- For the device alone ----------------------------------------------------------------------------------------

static void exclusive(struct env *env)
{
	struct device device, other;
	uint64_t pa;

	open_one(env, &device);
	device_open(env, &other, env->space, 0, 0, NULL);
	page_write_range(env, BASE, LENGTH, 100);
	assert_int_equal(device_page_read(&other, BASE), 100);
	record_clear();
	OK(device_fault(&device, BASE, 2 * PAGE, VMT_WRITE, VMT_GRANT_EXCLUSIVE));
	assert_null(device_has(&other, BASE)); // it was taken from everybody else
	record_check();
	assert_int_equal(device_has(&device, BASE)->prot & RW, RW);
	assert_int_equal(page_entry(env, env->space, BASE).state, VMT_STATE_PARKED);
	assert_false(cpu_can(env, BASE, VMT_READ));
	IS(env->ops->page_try_get(env->space, BASE, VMT_READ, &pa), VMT_ERR_NOT_PRESENT);
	device_page_write(&device, BASE, 7);
	device_page_write(&device, BASE + PAGE, 8);
	// The CPU takes it back.
	record_clear();
	assert_int_equal(page_read(env, BASE), 7);
	record_expect(&device, VMT_REASON_REPLACE, BASE, PAGE, false);
	assert_non_null(device_has(&device, BASE + PAGE));
	page_write(env, BASE + PAGE, 9);
	assert_null(device_has(&device, BASE + PAGE));
	assert_int_equal(page_read(env, BASE + PAGE), 9);
	// Another device does.
	OK(device_fault(&device, BASE, 1, VMT_WRITE, VMT_GRANT_EXCLUSIVE));
	device_page_write(&device, BASE, 10);
	assert_int_equal(device_page_read(&other, BASE), 10);
	assert_null(device_has(&device, BASE));
	OK(device_fault(&device, BASE, 1, VMT_WRITE, VMT_GRANT_EXCLUSIVE));
	assert_null(device_has(&other, BASE));
	OK(device_fault(&other, BASE, 1, VMT_WRITE, VMT_GRANT_EXCLUSIVE));
	assert_null(device_has(&device, BASE));
	device_page_write(&other, BASE, 11);
	// Who wants a reference, or to pin it.
	OK(env->ops->page_get(env->space, BASE, VMT_READ, &pa));
	assert_null(device_has(&other, BASE));
	IS(device_fault(&device, BASE, 1, VMT_WRITE, VMT_GRANT_EXCLUSIVE), VMT_ERR_BUSY);
	assert_null(device_has(&device, BASE));
	env->ops->page_put(env->vmt, pa);
	OK(env->ops->page_pin(env->space, BASE, VMT_WRITE, &pa));
	IS(device_fault(&device, BASE, 1, VMT_WRITE, VMT_GRANT_EXCLUSIVE), VMT_ERR_BUSY);
	env->ops->page_unpin(env->vmt, pa);
	OK(device_fault(&device, BASE, 1, VMT_WRITE, VMT_GRANT_EXCLUSIVE));
	OK(device_fault(&device, BASE, 1, VMT_WRITE, VMT_GRANT_EXCLUSIVE)); // again
	assert_int_equal(device_page_read(&device, BASE), 11);
	// What was never touched, and the zero page.
	OK(env->ops->release(env->space, BASE, 2 * PAGE));
	assert_int_equal(page_read(env, BASE + PAGE), 0);
	OK(device_fault(&device, BASE, 2 * PAGE, VMT_WRITE, VMT_GRANT_EXCLUSIVE));
	device_page_write(&device, BASE, 12);
	device_page_write(&device, BASE + PAGE, 13);
	page_expect_range(env, BASE, 2 * PAGE, 12);
	device_close(&other);
	close_one(env, &device);
}

static void exclusive_refused(struct env *env)
{
	struct vmt_object *object;
	struct vmt_space *child;
	struct device device;

	open_one(env, &device);
	lib_map(env, FAR, PAGE, RW, VMT_MAP_SHARED);
	OK(env->ops->object_create(env->vmt, PAGE, NULL, NULL, &object));
	lib_map_object(env, object, FAR + GIB(1), PAGE, 0, RW, 0);
	lib_map_object(env, object, FAR + GIB(2), PAGE, 0, RW, VMT_MAP_SHARED);
	for (unsigned i = 0; i < 3; i++) {
		IS(device_fault(&device, FAR + i * GIB(1), 1, VMT_WRITE, VMT_GRANT_EXCLUSIVE), VMT_ERR_ARGUMENT);
		lib_write(env, FAR + i * GIB(1), i);
		IS(device_fault(&device, FAR + i * GIB(1), 1, VMT_WRITE, VMT_GRANT_EXCLUSIVE), VMT_ERR_ARGUMENT);
		assert_int_equal(lib_read(env, FAR + i * GIB(1)), i);
	}
	assert_int_equal(device.commits, 0);
	env->ops->object_put(object);
	// What a child shares is copied first.
	page_write(env, BASE, 5);
	OK(env->ops->space_fork(env->space, NULL, &child));
	OK(device_fault(&device, BASE, 1, VMT_WRITE, VMT_GRANT_EXCLUSIVE));
	device_page_write(&device, BASE, 6);
	sim_activate(env->cpu, child);
	assert_int_equal(page_read(env, BASE), 5);
	sim_activate(env->cpu, env->space);
	OK(env->ops->space_destroy(child));
	assert_int_equal(page_read(env, BASE), 6);
	OK(env->ops->protect(env->space, BASE + PAGE, PAGE, VMT_READ));
	IS(device_fault(&device, BASE + PAGE, 1, VMT_WRITE, VMT_GRANT_EXCLUSIVE), VMT_ERR_ACCESS);
	close_one(env, &device);
}

// Whatever happens to the mapping, the device is told first, and its bytes are not lost.
static void exclusive_changes(struct env *env)
{
	const struct sim_ops *ops = env->ops;
	struct vmt_space *child;
	struct device device;
	uint64_t got, pa;

	open_one(env, &device);
	OK(device_fault(&device, BASE, LENGTH, VMT_WRITE, VMT_GRANT_EXCLUSIVE));
	for (unsigned i = 0; i < LENGTH / PAGE; i++)
		device_page_write(&device, BASE + i * PAGE, 100 + i);
	record_clear();
	OK(ops->protect(env->space, BASE, PAGE, 0));
	record_expect(&device, VMT_REASON_PROTECT, BASE, PAGE, true);
	OK(ops->protect(env->space, BASE, PAGE, RW));
	assert_int_equal(page_read(env, BASE), 100);
	record_clear();
	OK(ops->protect(env->space, BASE + PAGE, PAGE, VMT_READ));
	record_expect(&device, VMT_REASON_PROTECT, BASE + PAGE, PAGE, true);
	assert_int_equal(page_read(env, BASE + PAGE), 101);
	OK(ops->protect(env->space, BASE + 2 * PAGE, PAGE, RW)); // what it has already
	page_write(env, BASE + 2 * PAGE, 2);
	assert_null(device_has(&device, BASE + 2 * PAGE));
	record_clear();
	OK(ops->unmap(env->space, BASE + 3 * PAGE, PAGE));
	record_expect(&device, VMT_REASON_UNMAP, BASE + 3 * PAGE, PAGE, true);
	OK(ops->release(env->space, BASE + 4 * PAGE, PAGE));
	record_expect(&device, VMT_REASON_RELEASE, BASE + 4 * PAGE, PAGE, true);
	OK(ops->guard_install(env->space, BASE + 5 * PAGE, PAGE));
	record_expect(&device, VMT_REASON_RELEASE, BASE + 5 * PAGE, PAGE, true);
	OK(ops->move(env->space, BASE + 6 * PAGE, PAGE, PAGE, VMT_MOVE_MAY_MOVE | VMT_MOVE_FIXED, FAR, &got));
	record_expect(&device, VMT_REASON_UNMAP, BASE + 6 * PAGE, PAGE, true);
	assert_int_equal(page_read(env, FAR), 106);
	OK(ops->page_take(env->space, BASE + 7 * PAGE, VMT_MARKER_SWAP, 1, &pa));
	assert_null(device_has(&device, BASE + 7 * PAGE));
	assert_int_equal(*(uint64_t *)vmt_port_frame_ptr(sim_port(env->machine), pa), 3 * 107);
	ops->page_put(env->vmt, pa);
	record_clear();
	OK(ops->space_fork(env->space, NULL, &child));
	record_expect(&device, VMT_REASON_PROTECT, BASE + 8 * PAGE, 8 * PAGE, true);
	device_page_write(&device, BASE + 8 * PAGE, 1);
	OK(device_fault(&device, BASE + 9 * PAGE, 1, VMT_WRITE, VMT_GRANT_EXCLUSIVE));
	device_page_write(&device, BASE + 9 * PAGE, 2);
	page_write(env, BASE + 10 * PAGE, 3);
	sim_activate(env->cpu, child);
	page_expect_range(env, BASE + 8 * PAGE, 8 * PAGE, 108);
	page_write(env, BASE + 11 * PAGE, 4);
	sim_activate(env->cpu, env->space);
	CHECK(env, child);
	OK(ops->space_destroy(child));
	page_expect_range(env, BASE + 8 * PAGE, 3 * PAGE, 1);
	page_expect_range(env, BASE + 11 * PAGE, 5 * PAGE, 111);
	close_one(env, &device);
}

// Freed lazily while a device has it for itself: it is still written, or it is free.
static void exclusive_lazy(struct env *env)
{
	struct device device;
	uint64_t value;

	open_one(env, &device);
	for (unsigned how = 0; how < 3; how++) {
		OK(device_fault(&device, BASE, 1, VMT_WRITE, VMT_GRANT_EXCLUSIVE));
		device_page_write(&device, BASE, 7);
		OK(env->ops->lazy_free(env->space, BASE, PAGE));
		if (how == 1 && !device_has(&device, BASE))
			OK(device_fault(&device, BASE, 1, VMT_WRITE, VMT_GRANT_EXCLUSIVE));
		if (how == 1)
			device_page_write(&device, BASE, 8);
		if (how == 2)
			page_write(env, BASE, 8);
		env->ops->reclaim(env->space, 100);
		value = page_read(env, BASE);
		assert_true(how ? value == 8 : value == 0 || value == 7);
	}
	close_one(env, &device);
}

static void exclusive_huge(struct env *env)
{
	enum vmt_status status;
	struct device device;

	if (PAGE == 65536)
		return;
	devices_begin();
	lib_map(env, BIG, HUGE, RW, VMT_MAP_HUGE);
	device_open(env, &device, env->space, 0, 0, NULL);
	page_write(env, BIG + 5 * PAGE, 5);
	page_write(env, BIG + 6 * PAGE, 6);
	assert_int_equal(page_entry(env, env->space, BIG).size, HUGE);
	OK(device_fault(&device, BIG + 5 * PAGE, 1, VMT_WRITE, VMT_GRANT_EXCLUSIVE));
	assert_int_equal(device_has(&device, BIG + 5 * PAGE)->length, PAGE);
	assert_true(cpu_can(env, BIG + 6 * PAGE, VMT_WRITE));
	device_page_write(&device, BIG + 5 * PAGE, 7);
	CHECK(env, env->space);
	record_clear();
	if (env->ops->collapse(env->space, BIG, HUGE, &status))
		assert_null(device_has(&device, BIG + 5 * PAGE));
	OK(status);
	record_check();
	device_page_write(&device, BIG + 5 * PAGE, 8);
	assert_int_equal(page_read(env, BIG + 5 * PAGE), 8);
	assert_int_equal(page_read(env, BIG + 6 * PAGE), 6);
	close_one(env, &device);
}

static const struct lib_case cases[] = {
	{.name = "permissions", .run = permissions},
	{.name = "done", .run = done},
	{.name = "huge", .run = huge, .frames = 32 * 2048},
	{.name = "present", .run = present},
	{.name = "present, in device memory", .run = present_there},
	{.name = "exclusive", .run = exclusive},
	{.name = "exclusive, refused", .run = exclusive_refused},
	{.name = "exclusive, and changes", .run = exclusive_changes},
	{.name = "exclusive, lazily freed", .run = exclusive_lazy},
	{.name = "exclusive, of a huge page", .run = exclusive_huge, .frames = 32 * 2048},
};

int main(int argc, char **argv)
{
	return lib_main("grants", cases, sizeof(cases) / sizeof(*cases), argc, argv);
}

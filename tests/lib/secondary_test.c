// SPDX-License-Identifier: MIT
// Secondaries: who is told what and when, and what a device fault hands out.
#include "lib.h"

#define RW	(VMT_READ | VMT_WRITE)
#define BASE	GIB(4)
#define LENGTH	(16 * PAGE)
#define EVENTS	64

enum event_kind { BEGIN, END, ISSUE, WAIT };

// A secondary that writes down what it is told, and keeps translations of the pages from BASE on.
struct device {
	struct event {
		enum event_kind kind;
		struct vmt_change change;
	} event[EVENTS];
	unsigned events, id, commits;
	uint64_t pa[16];
	vmt_prot prot[16];
};

static void note(struct device *device, enum event_kind kind, const struct vmt_change *change)
{
	assert_true(device->events < EVENTS);
	device->event[device->events++] = (struct event){kind, *change};
}

static void device_begin(void *owner, const struct vmt_change *change)
{
	note(owner, BEGIN, change);
}

static void device_end(void *owner, const struct vmt_change *change)
{
	note(owner, END, change);
}

static void device_issue(void *owner, const struct vmt_change *change)
{
	struct device *device = owner;

	note(device, ISSUE, change);
	for (unsigned i = 0; i < 16; i++)
		if (BASE + i * PAGE >= change->start && BASE + i * PAGE < change->end)
			device->pa[i] = VMT_NO_FRAME;
}

static bool device_wait(void *owner, const struct vmt_change *change)
{
	note(owner, WAIT, change);
	return true;
}

static const struct vmt_secondary_ops device_ops = {
	.begin = device_begin, .end = device_end, .issue = device_issue, .wait = device_wait,
};

static void device_open(struct env *env, struct device *device, uint64_t start, uint64_t end)
{
	struct vmt_secondary_config config = {.start = start, .end = end, .ops = &device_ops, .owner = device};

	memset(device, 0, sizeof(*device));
	for (unsigned i = 0; i < 16; i++)
		device->pa[i] = VMT_NO_FRAME;
	OK(env->ops->secondary_attach(env->space, &config, &device->id));
}

static void commit(void *arg, const struct vmt_grant *grant)
{
	struct device *device = arg;

	device->commits++;
	device->pa[(grant->addr - BASE) / PAGE] = grant->pa;
	device->prot[(grant->addr - BASE) / PAGE] = grant->prot & RW;
}

static enum vmt_status fault(struct env *env, struct device *device, unsigned page, vmt_prot access)
{
	struct vmt_secondary_request request = {.addr = BASE + page * PAGE + 5, .access = access, .commit = commit,
						.arg = device};

	return env->ops->secondary_fault(env->space, device->id, &request, NULL);
}

static uint64_t *word(struct env *env, uint64_t pa)
{
	return vmt_port_frame_ptr(sim_port(env->machine), pa);
}

// The device was told of [BASE + page, + 1) for this reason: begin, issue, wait, end, in that order.
static void expect_told(struct device *device, enum vmt_reason reason, unsigned page)
{
	enum event_kind last = BEGIN;
	bool asked = false;

	assert_true(device->events >= 4);
	assert_int_equal(device->event[0].kind, BEGIN);
	assert_int_equal(device->event[device->events - 1].kind, END);
	for (unsigned i = 0; i < device->events; i++) {
		const struct event *event = &device->event[i];

		assert_int_equal(event->change.reason, reason);
		assert_true(event->change.start < event->change.end);
		asked |= event->kind == ISSUE && event->change.start <= BASE + page * PAGE &&
			 event->change.end > BASE + page * PAGE;
		assert_true(event->kind != WAIT || last == ISSUE || last == WAIT);
		last = event->kind;
	}
	assert_true(asked);
	assert_int_equal(device->pa[page], VMT_NO_FRAME);
	device->events = 0;
}

// ---- Cases -------------------------------------------------------------------------------------------------------

static void each_change(struct env *env)
{
	const struct sim_ops *ops = env->ops;
	struct vmt_map_request over = {.addr = BASE + 3 * PAGE, .length = PAGE, .prot = RW, .flags = VMT_MAP_FIXED};
	struct vmt_space *child;
	struct device device;
	uint64_t got;

	lib_map(env, BASE, LENGTH, RW, 0);
	lib_write(env, BASE, 1);
	device_open(env, &device, 0, 0);
	for (unsigned page = 0; page < 8; page++)
		OK(fault(env, &device, page, VMT_WRITE));
	assert_int_equal(device.events, 0); // nothing went: nothing to tell
	OK(ops->unmap(env->space, BASE, PAGE));
	expect_told(&device, VMT_REASON_UNMAP, 0);
	OK(ops->release(env->space, BASE + PAGE, PAGE));
	expect_told(&device, VMT_REASON_RELEASE, 1);
	OK(ops->protect(env->space, BASE + 2 * PAGE, PAGE, VMT_READ));
	expect_told(&device, VMT_REASON_PROTECT, 2);
	OK(ops->map(env->space, &over, &got));
	expect_told(&device, VMT_REASON_UNMAP, 3);
	OK(ops->guard_install(env->space, BASE + 4 * PAGE, PAGE));
	expect_told(&device, VMT_REASON_RELEASE, 4);
	OK(ops->lazy_free(env->space, BASE + 5 * PAGE, PAGE));
	expect_told(&device, VMT_REASON_RELEASE, 5);
	OK(ops->move(env->space, BASE + 6 * PAGE, PAGE, PAGE, VMT_MOVE_MAY_MOVE | VMT_MOVE_FIXED, BASE + GIB(1), &got));
	expect_told(&device, VMT_REASON_UNMAP, 6);
	OK(ops->space_fork(env->space, NULL, &child));
	expect_told(&device, VMT_REASON_PROTECT, 7);
	OK(ops->space_destroy(child));
	assert_int_equal(device.events, 0); // the child is another space
	ops->secondary_detach(env->space, device.id);
}

// A page that a device reads is copied when the CPU writes: told by the flush alone.
static void copied(struct env *env)
{
	struct vmt_space *child;
	struct device device;

	lib_map(env, BASE, LENGTH, RW, 0);
	lib_write(env, BASE, 7);
	OK(env->ops->space_fork(env->space, NULL, &child));
	device_open(env, &device, 0, 0);
	OK(fault(env, &device, 0, VMT_READ));
	assert_int_equal(device.prot[0], VMT_READ);
	assert_int_equal(*word(env, device.pa[0]), 7);
	lib_write(env, BASE, 8);
	assert_int_equal(device.pa[0], VMT_NO_FRAME);
	assert_int_equal(device.events, 2);
	assert_int_equal(device.event[0].change.reason, VMT_REASON_REPLACE);
	OK(fault(env, &device, 0, VMT_WRITE));
	assert_int_equal(device.prot[0], RW);
	*word(env, device.pa[0]) = 9;
	assert_int_equal(lib_read(env, BASE), 9);
	env->ops->secondary_detach(env->space, device.id);
	OK(env->ops->space_destroy(child));
}

// Of what lies outside of its range it hears nothing; what lies across is clipped.
static void range(struct env *env)
{
	struct device device;

	lib_map(env, BASE, LENGTH, RW, 0);
	for (unsigned page = 0; page < 16; page++)
		lib_write(env, BASE + page * PAGE, page);
	device_open(env, &device, BASE + 4 * PAGE, BASE + 6 * PAGE);
	IS(fault(env, &device, 3, VMT_READ), VMT_ERR_OUTSIDE);
	OK(env->ops->release(env->space, BASE, 4 * PAGE));
	OK(env->ops->release(env->space, BASE + 6 * PAGE, PAGE));
	assert_int_equal(device.events, 0);
	OK(env->ops->unmap(env->space, BASE, 5 * PAGE));
	assert_true(device.events >= 4);
	for (unsigned i = 0; i < device.events; i++) {
		assert_int_equal(device.event[i].change.start, BASE + 4 * PAGE);
		assert_int_equal(device.event[i].change.end, BASE + 5 * PAGE);
	}
	env->ops->secondary_detach(env->space, device.id);
	device.events = 0;
	OK(env->ops->unmap(env->space, BASE, LENGTH));
	assert_int_equal(device.events, 0);
}

static void refusals(struct env *env)
{
	const struct sim_ops *ops = env->ops;
	struct device device, more[VMT_SECONDARIES];
	struct vmt_secondary_config odd = {.start = BASE + 1, .end = BASE + PAGE, .ops = &device_ops};
	struct vmt_secondary_config empty = {.start = BASE, .end = BASE, .ops = &device_ops};
	struct vmt_secondary_config outside = {.start = BASE, .end = env->end + PAGE, .ops = &device_ops};
	struct vmt_secondary_request request = {.addr = BASE, .access = VMT_READ, .commit = commit, .arg = &device};
	unsigned id;

	IS(ops->secondary_attach(env->space, &odd, &id), VMT_ERR_UNALIGNED);
	IS(ops->secondary_attach(env->space, &empty, &id), VMT_ERR_EMPTY);
	IS(ops->secondary_attach(env->space, &outside, &id), VMT_ERR_OUTSIDE);
	for (unsigned i = 0; i < VMT_SECONDARIES; i++)
		device_open(env, &more[i], 0, 0);
	IS(ops->secondary_attach(env->space, &(struct vmt_secondary_config){.ops = &device_ops}, &id), VMT_ERR_LIMIT);
	ops->secondary_detach(env->space, more[3].id);
	device_open(env, &more[3], 0, 0);
	device = more[0];
	IS(ops->secondary_fault(env->space, VMT_SECONDARIES, &request, NULL), VMT_ERR_OUTSIDE);
	IS(fault(env, &device, 0, VMT_READ), VMT_ERR_UNMAPPED);
	lib_map(env, BASE, LENGTH, VMT_READ, 0);
	IS(fault(env, &device, 0, VMT_WRITE), VMT_ERR_ACCESS);
	IS(fault(env, &device, 0, VMT_EXEC), VMT_ERR_ARGUMENT);
	OK(ops->guard_install(env->space, BASE, PAGE));
	IS(fault(env, &device, 0, VMT_READ), VMT_ERR_GUARD);
	assert_int_equal(device.commits, 0);
	OK(fault(env, &device, 1, VMT_READ));
	assert_int_equal(device.commits, 1);
	assert_int_equal(*word(env, device.pa[1]), 0);
	for (unsigned i = 0; i < VMT_SECONDARIES; i++)
		ops->secondary_detach(env->space, more[i].id);
}

// The end of a space is told, and a subscription ends with it.
static void exits(struct env *env)
{
	struct vmt_space *usual = env->space;
	struct device device;

	env->space = env_new_space(env);
	device_open(env, &device, 0, 0);
	OK(env->ops->space_destroy(env->space));
	env->space = usual;
	assert_int_equal(device.events, 4);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(device.event[i].change.reason, VMT_REASON_EXIT);
}

static void attach_without_memory(struct env *env)
{
	struct vmt_secondary_config config = {.ops = &device_ops};
	unsigned id;

	sim_fail_nth(env->machine, SIM_FAIL_MEM, 1, 1);
	IS(env->ops->secondary_attach(env->space, &config, &id), VMT_ERR_NO_MEMORY);
	sim_fail_nth(env->machine, 0, 0, 0);
}

static const struct lib_case cases[] = {
	{.name = "each change", .run = each_change}, {.name = "a page is copied", .run = copied},
	{.name = "range", .run = range}, {.name = "refusals", .run = refusals},
	{.name = "exit", .run = exits}, {.name = "attach without memory", .run = attach_without_memory},
};

int main(int argc, char **argv)
{
	return lib_main("secondary", cases, sizeof(cases) / sizeof(*cases), argc, argv);
}

// SPDX-License-Identifier: MIT
// Devices in a space: how they hear of changes, and how their faults are served. device.h says what they are like.
#include "device.h"

#define TREE_END (UINT64_C(4) << 30)
#define TRIES	 100 // of an access; one that faults so often faults for ever

struct xp_device xp_device[XP_DEVICES];

void xp_device_reset(void)
{
	for (unsigned i = 0; i < XP_DEVICES; i++)
		xp_device[i] = (struct xp_device){.attached = false};
	xp_copies_reset();
}

static void ok(enum vmt_status status, const char *what)
{
	if (status != VMT_OK)
		xp_fail("%s ends with %s", what, vmt_status_name(status));
}

static unsigned number(const struct xp_device *device)
{
	return (unsigned)(device - xp_device);
}

static void hook(void (*function)(struct xp_device *device), struct xp_device *device)
{
	if (function && xp_exploring())
		function(device);
}

// Before anything else is made of what it is handed.
static void handed(const struct xp_device *device, const struct vmt_grant *grant)
{
	if (device->handed && xp_exploring())
		device->handed(grant);
	if (!grant->device && xp_frame_is_free(grant->pa))
		xp_fail("a device is handed a page that is free");
}

// ---- Forgetting --------------------------------------------------------------------------------------------------

static void ask(struct xp_device *device, uint64_t start, uint64_t end, bool tables)
{
	xp_event(XP_FLUSH, XP_NOWHERE, 0, XP_BOTH, true, __builtin_return_address(0));
	xp_trace_say("asks device %u to forget %#llx%s", number(device), (unsigned long long)start,
		     tables ? ", tables" : "");
	hook(device->asked, device);
	xp_mmu_issue(number(device), start, end, tables);
}

static bool await(struct xp_device *device, uint64_t start, uint64_t end)
{
	xp_event(XP_FLUSH, XP_NOWHERE, 0, XP_BOTH, true, __builtin_return_address(0));
	xp_trace_say("device %u %s", number(device), device->silent ? "does not answer" : "has forgotten");
	if (!device->silent)
		xp_mmu_done(number(device), start, end);
	return !device->silent;
}

static void mirror_issue(void *owner, uint64_t start, uint64_t end, bool tables)
{
	ask(owner, start, end, tables);
}

static bool mirror_wait(void *owner)
{
	return await(owner, 0, UINT64_MAX);
}

static void mirror_filled(void *owner, uint64_t start, uint64_t end)
{
	struct xp_device *device = owner;

	(void)start;
	(void)end;
	device->filled++;
}

static const struct vmt_mirror_ops mirror_ops = {.issue = mirror_issue, .wait = mirror_wait, .filled = mirror_filled};

// The flush of its own tree: tables that have become empty.
static bool tree_flush(void *owner, const struct vmt_flush *flush)
{
	(void)flush;
	ask(owner, 0, UINT64_MAX, true);
	return await(owner, 0, UINT64_MAX);
}

// ---- As a secondary ----------------------------------------------------------------------------------------------

static void demand_attached(struct xp_device *device)
{
	if (device->attached)
		return;
	hook(device->late, device);
	xp_fail("a secondary is called after it was detached");
}

static void secondary_begin(void *owner, const struct vmt_change *change)
{
	(void)change;
	demand_attached(owner);
}

static void secondary_issue(void *owner, const struct vmt_change *change)
{
	demand_attached(owner);
	ask(owner, change->start, change->end, change->tables);
}

static bool secondary_wait(void *owner, const struct vmt_change *change)
{
	struct xp_device *device = owner;

	demand_attached(device);
	return await(device, change->start, change->end);
}

static void secondary_filled(void *owner, const struct vmt_change *change)
{
	struct xp_device *device = owner;

	(void)change;
	demand_attached(device);
	device->filled++;
}

static const struct vmt_secondary_ops secondary_ops = {
	.begin = secondary_begin, .issue = secondary_issue, .wait = secondary_wait, .filled = secondary_filled,
};

// What it is handed it keeps.
static void commit(void *arg, const struct vmt_grant *grant)
{
	struct xp_device *device = arg;

	xp_event(XP_ACCESS, XP_NOWHERE, 0, XP_BOTH, true, __builtin_return_address(0));
	xp_trace_say("hands device %u %#llx for %#llx%s", number(device), (unsigned long long)grant->pa,
		     (unsigned long long)grant->addr, grant->prot & VMT_WRITE ? ", to write" : "");
	handed(device, grant);
	xp_mmu_give(number(device), grant->addr, grant->length, grant->pa, grant->prot & VMT_WRITE);
}

void xp_device_commit_range(void *device, const struct vmt_grant *grant, unsigned count, bool programmed)
{
	(void)programmed;
	for (unsigned i = 0; i < count; i++)
		commit(device, &grant[i]);
}

// ---- Its tables --------------------------------------------------------------------------------------------------

static struct vmt_target_ops target_ops;
static enum vmt_status (*tree_map)(void *target, const struct vmt_grant *grant, uint64_t addr,
				   struct vmt_reserve *reserve, uint64_t *end);
static const struct xp_device *of_target; // one at a time has tables of its own

static enum vmt_status target_map(void *target, const struct vmt_grant *grant, uint64_t addr,
				  struct vmt_reserve *reserve, uint64_t *end)
{
	handed(of_target, grant);
	if (of_target->map_fails && xp_either()) {
		xp_trace_say("the translation cannot be entered");
		return VMT_ERR_EXISTS;
	}
	return tree_map(target, grant, addr, reserve, end);
}

static void make_tree(struct xp_device *device, struct vmt_target *target)
{
	if (!device->tree)
		ok(vmt_tree_create(NULL, &(struct vmt_tree_config){.end = TREE_END, .owner = device, .flush = tree_flush,
								   .cpus = XP_CPUS}, &device->tree), "a device's tree");
	vmt_tree_target(device->tree, target);
	tree_map = target->ops->map;
	target_ops = *target->ops;
	target_ops.map = target_map;
	target->ops = &target_ops;
	of_target = device;
}

// ---- Coming and going --------------------------------------------------------------------------------------------

static void attach_mirror(struct xp_device *device)
{
	struct vmt_target target;
	struct vmt_mirror_config config = {.ops = &mirror_ops, .owner = device, .memory = device->memory};

	if (device->kind != XP_SPACE_TABLES) {
		make_tree(device, &target);
		config.target = &target;
		config.mode = device->kind == XP_EAGER ? VMT_MIRROR_EAGER : VMT_MIRROR_ON_DEMAND;
	}
	xp_mmu_attach(number(device), device->space,
		      device->tree ? vmt_tree_root(device->tree) : vmt_space_root(device->space));
	ok(vmt_mirror_create(device->space, &config, &device->mirror), "making a mirror");
}

void xp_device_attach(struct xp_device *device, struct vmt *vmt, struct vmt_space *space)
{
	struct vmt_device_memory_config memory = {.base = XP_LOCAL, .bytes = device->pages * VMT_PAGE_SIZE,
						  .ops = &xp_copies, .owner = device};
	struct vmt_secondary_config secondary = {.ops = &secondary_ops, .owner = device};

	if (device->pages && !device->memory)
		ok(vmt_device_memory_create(vmt, &memory, &device->memory), "device memory");
	device->space = space;
	device->attached = true;
	if (device->kind != XP_GIVEN) {
		attach_mirror(device);
		return;
	}
	xp_mmu_attach(number(device), space, 0);
	secondary.memory = device->memory;
	ok(vmt_secondary_attach(space, &secondary, &device->id), "attaching a secondary");
}

void xp_device_leave(struct xp_device *device)
{
	if (device->kind == XP_GIVEN) {
		// It stops before: nobody will tell it of anything.
		xp_mmu_detach(number(device));
		vmt_secondary_detach(device->space, device->id);
	} else {
		ok(vmt_mirror_destroy(device->mirror), "the end of a mirror");
		xp_mmu_detach(number(device));
	}
	device->attached = false;
}

void xp_devices_leave(void)
{
	for (unsigned i = 0; i < XP_DEVICES; i++) {
		if (xp_device[i].attached)
			xp_device_leave(&xp_device[i]);
	}
}

void xp_devices_end(void)
{
	for (unsigned i = 0; i < XP_DEVICES; i++) {
		if (xp_device[i].tree)
			vmt_tree_destroy(xp_device[i].tree);
		if (xp_device[i].memory)
			ok(vmt_device_memory_destroy(xp_device[i].memory), "device memory");
	}
}

// ---- Its program -------------------------------------------------------------------------------------------------

enum vmt_status xp_device_fault(struct xp_device *device, uint64_t va, vmt_prot access, uint32_t flags)
{
	struct vmt_secondary_request request = {.addr = va, .access = access, .flags = flags, .commit = commit,
						.arg = device};

	if (device->kind == XP_GIVEN)
		return vmt_secondary_fault(device->space, device->id, &request, NULL);
	if (flags & VMT_GRANT_EXCLUSIVE)
		return vmt_mirror_exclusive(device->mirror, va);
	return vmt_mirror_fault(device->mirror, va, 1, access, NULL);
}

static enum vmt_status access(struct xp_device *device, uint64_t va, bool write, uint64_t *value, const void *pc)
{
	for (unsigned round = 0; !xp_mmu_access(number(device), va, write, value, pc); round++) {
		enum vmt_status status = xp_device_fault(device, va, write ? VMT_WRITE : VMT_READ, 0);

		if (status != VMT_OK && status != VMT_ERR_RETRY)
			return status;
		if (round == TRIES)
			xp_fail("no progress: a device faults again and again");
	}
	return VMT_OK;
}

enum vmt_status xp_device_read(struct xp_device *device, uint64_t va, uint64_t *value)
{
	return access(device, va, false, value, __builtin_return_address(0));
}

enum vmt_status xp_device_write(struct xp_device *device, uint64_t va, uint64_t value)
{
	return access(device, va, true, &value, __builtin_return_address(0));
}

bool xp_device_try(struct xp_device *device, uint64_t va, bool write, uint64_t *value)
{
	return xp_mmu_access(number(device), va, write, value, __builtin_return_address(0));
}

bool xp_device_keeps(const struct xp_device *device, uint64_t va, bool write)
{
	return xp_mmu_keeps(number(device), va, write);
}

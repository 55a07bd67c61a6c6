// SPDX-License-Identifier: MIT
// The accelerator's driver. Less than 100 lines, which a test counts; docs/mirror.md goes through them.
#include "driver.h"
#include "../host/host.h"

VMT_DECLARE_TARGET(amd_v1); // the format of the device's tables

static void issue(void *owner, uint64_t start, uint64_t end, bool tables)
{
	accelerator_invalidate(((struct driver *)owner)->device, start, end, tables);
}

static bool wait(void *owner)
{
	struct driver *driver = owner;
	uint64_t posted = accelerator_posted(driver->device), until = host_clock() + driver->patience;

	while (accelerator_done(driver->device) < posted && host_clock() < until)
		vmt_port_relax(driver->port, false); // other CPUs may be waiting for an answer of this one
	return accelerator_done(driver->device) >= posted;
}

static bool forget(void *owner, const struct vmt_flush *flush)
{
	(void)flush; // everything: tables do not become empty that often
	issue(owner, 0, UINT64_MAX, true);
	return wait(owner);
}

void driver_serve(struct driver *driver)
{
	struct accelerator_request request;

	pthread_mutex_lock(&driver->serving);
	while (accelerator_take_request(driver->device, &request)) {
		vmt_prot access = request.write ? VMT_WRITE : VMT_READ;
		enum vmt_status status = vmt_mirror_fault(driver->mirror, request.addr, 1, access, NULL);

		accelerator_answer(driver->device, &request, status == VMT_OK || status == VMT_ERR_RETRY);
	}
	pthread_mutex_unlock(&driver->serving);
}

static void copied(void *arg, bool good)
{
	vmt_copy_done(arg, good);
}

static void copy(void *owner, struct vmt_copy *copy)
{
	accelerator_copy(((struct driver *)owner)->device, &(struct accelerator_copy){
		copy->pa, copy->device, copy->bytes, copy->to_device, copied, copy});
}

enum vmt_status driver_open(struct driver *driver, struct vmt *vmt, uint64_t bytes)
{
	static const struct vmt_device_memory_ops ops = {.copy = copy};
	struct vmt_device_memory_config config = {.base = LOCAL_BASE, .bytes = bytes, .ops = &ops, .owner = driver};

	return vmt_device_memory_create(vmt, &config, &driver->memory);
}

enum vmt_status driver_bring(struct driver *driver, struct vmt_space *space, uint64_t addr, uint64_t length)
{
	enum vmt_status status = vmt_advise_device(space, addr, length, driver->memory, false);

	return status == VMT_OK ? vmt_migrate(space, addr, length, driver->memory, NULL) : status;
}

enum vmt_status driver_attach(struct driver *driver, struct vmt_space *space)
{
	static const struct vmt_mirror_ops ops = {.issue = issue, .wait = wait};
	struct vmt_tree_config tree = {.end = UINT64_C(1) << 47, .owner = driver, .flush = forget, .cpus = HOST_CPUS};
	struct vmt_target target;
	struct vmt_mirror_config config = {.target = &target, .ops = &ops, .owner = driver, .memory = driver->memory};
	enum vmt_status status = vmt_amd_v1_tree_create(driver->port, &tree, &driver->tables);

	if (status != VMT_OK)
		return status;
	vmt_amd_v1_tree_target(driver->tables, &target);
	status = vmt_mirror_create(space, &config, &driver->mirror);
	if (status == VMT_OK)
		accelerator_set_tables(driver->device, vmt_amd_v1_tree_root(driver->tables));
	else
		vmt_amd_v1_tree_destroy(driver->tables);
	return status;
}

void driver_detach(struct driver *driver)
{
	accelerator_set_tables(driver->device, 0);
	if (!forget(driver, NULL)) // it asks for nothing more,
		accelerator_reset(driver->device);
	pthread_mutex_lock(&driver->serving); // and nothing is being served that it asked for
	while (vmt_mirror_destroy(driver->mirror) == VMT_ERR_DEVICE)
		accelerator_reset(driver->device);
	pthread_mutex_unlock(&driver->serving);
	vmt_amd_v1_tree_destroy(driver->tables);
}

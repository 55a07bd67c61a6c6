// SPDX-License-Identifier: MIT
// A device that does not answer, for tests of what is lost with it.
#ifndef TESTS_LIB_LOST_H
#define TESTS_LIB_LOST_H

#include "devices.h"

#define BASE   (GIB(4) - 8 * PAGE) // in two tables of each of two levels
#define LENGTH (16 * PAGE)
#define FAR    GIB(20)
#define COUNT  (LENGTH / PAGE)

// A device that subscribed to the region alone, has it all, and will not answer.
static inline void open_lost(struct env *env, struct device *device, struct vram *vram)
{
	lib_map(env, BASE, LENGTH, RW, 0);
	page_write_range(env, BASE, LENGTH, 100);
	device_open(env, device, env->space, BASE, BASE + LENGTH, vram);
	OK(device_fault(device, BASE, LENGTH, VMT_WRITE, 0));
	device->mute = true;
	record_clear();
}

// Writes wherever it still can; the frames are there, or device_bytes fails.
static inline void run_wild(struct device *device)
{
	for (unsigned i = 0; i < device->count; i++) {
		const struct vmt_grant *grant = &device->held[i].grant;

		for (uint64_t at = grant->addr; at < grant->addr + grant->length; at += PAGE)
			if (grant->prot & VMT_WRITE)
				memset(device_bytes(device, at, VMT_WRITE), 0xbb, PAGE);
	}
}

// No child, and the parent as it was.
static inline enum vmt_status lost_fork(struct env *env)
{
	struct vmt_space *child = NULL;
	enum vmt_status status = env->ops->space_fork(env->space, NULL, &child);

	assert_null(child);
	return status;
}

#endif

// SPDX-License-Identifier: MIT
// What the driver offers to the rest of the kernel: processes that use the accelerator with their own addresses.
#ifndef DRIVER_H
#define DRIVER_H

#define VMT_FORMAT x86_64_4 // of processes
#include <pthread.h>
#include <vmtree/vmtree.h>

#include "accelerator.h"

struct driver {
	struct accelerator *device;
	void *port;
	uint64_t patience;	// nanoseconds that the device is given to answer an invalidation
	pthread_mutex_t serving; // held while page requests are served
	struct vmt_device_memory *memory;
	// Of the process that uses it, one at a time.
	struct vmt_tree *tables;
	struct vmt_mirror *mirror;
};

// The first four are set before. Ended by vmt_device_memory_destroy.
enum vmt_status driver_open(struct driver *driver, struct vmt *vmt, uint64_t bytes);

// The process's pointers are the accelerator's from now on. Detaching also ends a device that does not answer any more.
enum vmt_status driver_attach(struct driver *driver, struct vmt_space *space);
void driver_detach(struct driver *driver);

// The accelerator will work with this memory: it moves there, now, and whenever the accelerator asks for it again.
enum vmt_status driver_bring(struct driver *driver, struct vmt_space *space, uint64_t addr, uint64_t length);

// The interrupt.
void driver_serve(struct driver *driver);

#endif

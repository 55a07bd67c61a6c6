// SPDX-License-Identifier: MIT
// The end of a copy (vmtree/device.h): the same for all formats, for whoever copies knows of none.
#include <stdatomic.h>

#ifndef VMT_FORMAT
#define VMT_FORMAT x86_64_4
#endif
#include <vmtree/device.h>

void vmt_copy_done(struct vmt_copy *copy, bool good)
{
	// Release pairs with the acquire in copy_wait and vmt_migration_poll (mirror/migrate.h): the bytes come first.
	atomic_store_explicit(&copy->state, good ? VMT_COPY_GOOD : VMT_COPY_BAD, memory_order_release);
}

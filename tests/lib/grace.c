// SPDX-License-Identifier: MIT
// What was deferred waits here while grace periods are stretched.
#include "grace.h"

#include <stddef.h>

#include "lib.h"

static struct {
	bool on;
	void *port;
	struct vmt_deferred *first;
} held;

void __real_vmt_port_defer(void *port, struct vmt_deferred *item);
void __wrap_vmt_port_defer(void *port, struct vmt_deferred *item);

void __wrap_vmt_port_defer(void *port, struct vmt_deferred *item)
{
	if (!held.on) {
		__real_vmt_port_defer(port, item);
		return;
	}
	item->next = held.first;
	held.first = item;
	held.port = port;
}

void grace_stretch(bool on)
{
	held.on = on;
	while (!on && held.first) {
		struct vmt_deferred *item = held.first;

		held.first = item->next;
		__real_vmt_port_defer(held.port, item);
	}
}

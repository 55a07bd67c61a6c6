// SPDX-License-Identifier: MIT
// 14. A page comes back from a device because CPU 0 touches it; CPU 1 wants a reference on it meanwhile, and the entry
// is a migration marker.
#include "devices.h"

static void begin(void)
{
	begin_space();
	xp_as(0);
	write_value(A, 2);
	attach_device(DEVICE, XP_GIVEN, 4);
	ok(vmt_migrate(space, A, PAGE, DEVICE->memory, NULL));
}

static void touch(void)
{
	read_value(A);
}

static void get_page(void)
{
	static const char words[] = "a migration marker was taken for a page";
	uint64_t pa;

	ok(vmt_page_get(space, A, VMT_READ, &pa));
	xp_demand(!xp_frame_is_free(pa), words);
	xp_demand(*(uint64_t *)xp_frame_ptr(pa) == 2, words);
	vmt_page_put(vmt, pa);
}

const struct scenario r14 = {
	.name = "r14-marker-is-no-page",
	.about = "a reference is wanted on a page that comes back from a device",
	.without = "MARKER_NO_PAGE", .words = "a migration marker was taken for a page",
	.cpus = 2, .begin = begin, .cpu = {touch, get_page}, .end = end_space,
};

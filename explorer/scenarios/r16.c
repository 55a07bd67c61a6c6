// SPDX-License-Identifier: MIT
// 16. Two faults race to install one page. CPU 0 wants a reference on it as well, and CPU 1 releases it at once.
#include "space.h"

static void get(void)
{
	uint64_t pa;

	ok(vmt_page_get(space, A, VMT_WRITE, &pa));
	xp_demand(!xp_frame_is_free(pa), "a reference on a free frame");
	vmt_page_put(vmt, pa);
}

static void write_and_release(void)
{
	write_value(A, 1);
	release_page(A);
}

const struct scenario r16 = {
	.name = "r16-two-faults",
	.about = "two faults install one page, and one of them takes a reference",
	.without = "REFERENCE_FIRST", .words = "a reference on a free frame",
	.cpus = 2, .begin = begin_space, .cpu = {get, write_and_release}, .end = end_space,
};

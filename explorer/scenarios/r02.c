// SPDX-License-Identifier: MIT
// 2. CPU 0 takes a reference on A's page without a lock, while CPU 1 drops the last one that there was.
#include "space.h"

static void begin(void)
{
	begin_space();
	xp_as(1);
	write_value(A, 1);
	xp_claim(XP_USED, frame_at(A), "a reference was taken on a page that is free");
}

static void get(void)
{
	uint64_t pa;

	if (vmt_page_try_get(space, A, VMT_READ, &pa) == VMT_OK) {
		xp_demand(!xp_frame_is_free(pa), "a reference was taken on a page that is free");
		vmt_page_put(vmt, pa);
	}
}

static void release(void)
{
	release_page(A);
}

const struct scenario r02 = {
	.name = "r02-reference-to-leaving",
	.about = "a lock-free reader takes a reference on a page that is leaving",
	.without = "COUNT_NOT_ZERO", .words = "a reference was taken on a page that is free",
	.cpus = 2, .begin = begin, .cpu = {get, release}, .end = end_space,
};

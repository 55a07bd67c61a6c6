// SPDX-License-Identifier: MIT
// D1. CPU 0 puts a guard where a page is, and CPU 1 touches that page again and again.
#include "space.h"

static void begin(void)
{
	begin_space();
	xp_as(1);
	write_value(A, 1);
}

static void guard(void)
{
	ok(vmt_guard_install(space, A, PAGE));
}

static void touch(void)
{
	for (unsigned i = 0; i < 2; i++) {
		enum vmt_status status = xp_write(A, 2);

		xp_demand(status == VMT_OK || status == VMT_ERR_GUARD, "a touch ends otherwise than it may");
	}
}

static void end(void)
{
	struct vmt_run run;

	ok(vmt_walk(space, A, A + PAGE, &run));
	xp_demand(run.state == VMT_STATE_GUARD, "a guard was faulted over");
	end_space();
}

const struct scenario D1 = {
	.name = "D1-guard-against-faults",
	.about = "a guard comes to a page that is faulted in again and again",
	.without = "MARKER_NOT_EMPTY", .words = "a guard was faulted over",
	.cpus = 2, .begin = begin, .cpu = {guard, touch}, .end = end,
};

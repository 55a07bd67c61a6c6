// SPDX-License-Identifier: MIT
// 12. CPU 0 takes write permission from a page and gives it back, while CPU 1 forks: what both share stays read-only.
#include "space.h"

static void begin(void)
{
	begin_space();
	xp_as(0);
	write_value(A, 1);
}

static void protect_twice(void)
{
	ok(vmt_protect(space, A, PAGE, VMT_READ));
	ok(vmt_protect(space, A, PAGE, RW));
}

// By what the tables and TLBs allow: no fault.
static void end(void)
{
	xp_as(0);
	xp_write_if(A, 2);
	xp_demand(read_child(A) == 1, "a page that is shared was made writable with the others");
	destroy_child();
	end_space();
}

const struct scenario r12 = {
	.name = "r12-permissions-restored",
	.about = "permissions are given back while a fork shares the page",
	.without = "EXCLUSIVE", .words = "a page that is shared was made writable with the others",
	.cpus = 2, .begin = begin, .cpu = {protect_twice, fork_space}, .end = end,
};

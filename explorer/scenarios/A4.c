// SPDX-License-Identifier: MIT
// A4. CPU 0 walks a table without locks while CPU 1 gives it back.
#include "space.h"

static void begin(void)
{
	begin_space();
	xp_as(1);
	write_value(A, 1);
	xp_claim(XP_USED, table_of(A, 0), "a walker stands in a table that is gone");
}

static void look(void)
{
	struct vmt_translation translation;
	enum vmt_status status = vmt_translate(space, A, &translation);

	xp_demand(status == VMT_OK || status == VMT_ERR_NOT_PRESENT, "a look at a page ends otherwise than it may");
}

static void unmap(void)
{
	ok(vmt_unmap(space, XP_RAM, GIB));
}

const struct scenario A4 = {
	.name = "A4-table-freed-under-walker",
	.about = "a table is freed while a lock-free walker may stand in it",
	.without = "GRACE", .words = "a walker stands in a table that is gone",
	.cpus = 2, .begin = begin, .cpu = {look, unmap}, .end = end_space,
};

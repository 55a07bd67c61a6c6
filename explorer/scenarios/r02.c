// SPDX-License-Identifier: MIT
// 2. A lock-free walker against a table or a page that goes.
#include "space.h"

// ---- CPU 0 takes a reference on A's page without a lock, while CPU 1 drops the last one that there was. ------------

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

const struct scenario reference_to_leaving = {
	.name = "r02-reference-to-leaving",
	.about = "a lock-free reader takes a reference on a page that is leaving",
	.without = "COUNT_NOT_ZERO", .words = "a reference was taken on a page that is free",
	.cpus = 2, .begin = begin, .cpu = {get, release}, .end = end_space,
};

// ---- CPU 0 puts a huge page in the place of A's table. ------------------------------------------------------------

static void begin_table(void)
{
	begin_space();
	xp_as(1);
	write_value(A, 1);
	xp_claim(XP_USED, table_of(A, 0), "a walker stands in a table that a huge page has replaced");
}

static void collapse(void)
{
	vmt_collapse(space, A - MIB, 2 * MIB, NULL);
}

static void look(void)
{
	struct vmt_translation translation;
	enum vmt_status status = vmt_translate(space, A, &translation);

	xp_demand(status == VMT_OK || status == VMT_ERR_NOT_PRESENT, "a look at a page ends otherwise than it may");
}

const struct scenario walker_against_collapse = {
	.name = "r02-walker-against-collapse",
	.about = "a lock-free walker stands in a table that becomes a huge page",
	.without = "GRACE", .words = "a walker stands in a table that a huge page has replaced",
	.cpus = 2, .begin = begin_table, .cpu = {collapse, look}, .end = end_space,
};

// ---- ... while CPU 1 writes to A by a reference, or through what it has cached. -----------------------------------

static void write_by_reference(void)
{
	copy_value(A, 2);
}

static void write_a(void)
{
	write_value(A, 2);
}

static void end_written(void)
{
	xp_demand(*(uint64_t *)xp_frame_ptr(frame_at(A)) == 2, "what was written during a collapse is lost");
	end_space();
}

const struct scenario reference_against_collapse = {
	.name = "r02-reference-against-collapse",
	.about = "a page is written by a reference while a huge page takes its place",
	.without = "COLLAPSE_RECHECKS", .words = "what was written during a collapse is lost",
	.cpus = 2, .begin = begin_table, .cpu = {collapse, write_by_reference}, .end = end_written,
};

const struct scenario write_against_collapse = {
	.name = "r02-write-against-collapse",
	.about = "a page is written while a huge page takes its place",
	.without = "FLUSH_HUGE", .words = "what was written during a collapse is lost",
	.bytes = true, .cpus = 2, .begin = begin_table, .cpu = {collapse, write_a}, .end = end_written,
};

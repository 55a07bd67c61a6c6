// SPDX-License-Identifier: MIT
// 21. The table that A lies in is linked at B, as a whole, while others are on their way to A. B's table would be the
// next but one.
#include "space.h"

#define SPAN	(2 * MIB)
#define A_TABLE (A & ~(SPAN - 1))
#define B_TABLE (B & ~(SPAN - 1))
#define A_NEXT	(A + PAGE) // in A's table; where nobody has written
#define B_NEXT	(B + PAGE)

static uint64_t frame, table;

static void begin(void)
{
	begin_space();
	xp_watch(A_NEXT);
	xp_watch(B_NEXT);
	xp_as(1);
	write_value(A, 1);
	frame = frame_at(A);
	table = table_of(A, 0);
}

static void move(uint64_t from, uint64_t to)
{
	uint64_t got;

	ok(vmt_move(space, from, SPAN, SPAN, VMT_MOVE_MAY_MOVE | VMT_MOVE_FIXED, to, &got));
}

static void move_to_b(void)
{
	move(A_TABLE, B_TABLE);
}

static void end(void)
{
	xp_demand(table_of(B, 0) == table && frame_at(B) == frame, "a table was not linked where it was to go");
	end_space();
}

// ---- CPU 0 writes where nothing was written yet; what is moved may only be read at its new place. -----------------

static void write_next(void)
{
	enum vmt_status status = xp_write(A_NEXT, 2);

	xp_demand(status == VMT_OK || status == VMT_ERR_UNMAPPED,
		  "a fault meets what is at the new place of a table");
}

static void move_and_protect(void)
{
	move_to_b();
	ok(vmt_protect(space, B_TABLE, SPAN, VMT_READ));
}

const struct scenario r21 = {
	.name = "r21-move-against-fault",
	.about = "a table is linked at another place while a fault is on its way to it",
	.without = "MOVED_PLACE", .words = "a fault meets what is at the new place of a table",
	.cpus = 2, .begin = begin, .cpu = {write_next, move_and_protect}, .end = end,
};

// ---- CPU 0 asks without a lock what A leads to; the page in its slot becomes another one at B. --------------------

static void translate(void)
{
	struct vmt_translation translation;

	if (vmt_translate(space, A, &translation) == VMT_OK)
		xp_demand(translation.pa == frame, "a translation leads to a page of another address");
}

static void move_and_replace(void)
{
	move_to_b();
	release_page(B);
	write_value(B, 2);
}

const struct scenario move_against_translation = {
	.name = "r21-move-against-translation",
	.about = "a table is linked at another place while somebody looks into it without a lock",
	.without = "MOVED_COUNTED", .words = "a translation leads to a page of another address",
	.cpus = 2, .begin = begin, .cpu = {translate, move_and_replace}, .end = end_space,
};

// ---- CPU 0 takes a reference without a lock, and looks at its way again; by then the table has come back, without the
// page.

static void get(void)
{
	uint64_t pa;

	xp_demand(vmt_page_try_get(space, A_NEXT, VMT_READ, &pa) != VMT_OK,
		  "a reference leads to a page of another address");
}

static void move_and_write(void)
{
	move_to_b();
	write_value(B_NEXT, 2);
}

// Once that is written: takes it away, and moves the table back.
static void return_without(void)
{
	if (!frame_at(B_NEXT) || read_value(B_NEXT) != 2)
		return;
	release_page(B_NEXT);
	move(B_TABLE, A_TABLE);
}

const struct scenario move_against_reference = {
	.name = "r21-move-against-reference",
	.about = "a table has been elsewhere and has come back while somebody takes a reference without a lock",
	.without = "MOVED_COUNTED", .words = "a reference leads to a page of another address",
	.cpus = 3, .begin = begin, .cpu = {get, move_and_write, return_without}, .end = end_space,
};

// ---- What is moved becomes part of a huge page at its new place, if it has no other user; CPU 1, which is in no
// flush, writes by a reference that it takes without a lock. ---------------------------------------------------------

static bool written;

static void begin_apart(void)
{
	written = false;
	begin();
	xp_as(1);
	xp_deactivate();
}

static void write_by_reference(void)
{
	_Atomic uint64_t *word;
	uint64_t pa;

	if (vmt_page_try_get(space, A, VMT_WRITE, &pa) != VMT_OK)
		return;
	word = xp_frame_ptr(pa);
	xp_event(XP_ACCESS, xp_place(word), 1, XP_WRITE, false, __builtin_return_address(0));
	atomic_store_explicit(word, 2, memory_order_relaxed);
	xp_happened(xp_place(word), XP_WRITE);
	vmt_page_put(vmt, pa);
	written = true;
}

static void collapse_b(void)
{
	vmt_collapse(space, B_TABLE, SPAN, NULL);
}

static void move_and_collapse(void)
{
	move_to_b();
	collapse_b();
}

static void move_page_and_collapse(void)
{
	uint64_t got;

	ok(vmt_move(space, A, PAGE, PAGE, VMT_MOVE_MAY_MOVE | VMT_MOVE_FIXED, B, &got));
	collapse_b();
}

static void end_apart(void)
{
	xp_demand(!written || *(uint64_t *)xp_frame_ptr(frame_at(B)) == 2, "what was written by a reference is lost");
	xp_as(1);
	xp_activate(space);
	end_space();
}

const struct scenario table_and_collapse = {
	.name = "r21-table-and-collapse",
	.about = "a table is linked elsewhere and collapsed while somebody writes by a reference that he takes without a lock",
	.cpus = 2, .begin = begin_apart, .cpu = {move_and_collapse, write_by_reference}, .end = end_apart,
};

const struct scenario page_and_collapse = {
	.name = "r21-page-and-collapse",
	.about = "the same with the page alone",
	.cpus = 2, .begin = begin_apart, .cpu = {move_page_and_collapse, write_by_reference}, .end = end_apart,
};

// SPDX-License-Identifier: MIT
// 26. A page that a device has pinned stays where it is for the parent, whatever a fork and a write do.
#include "space.h"

static uint64_t pinned;

static void begin(void)
{
	begin_space();
	xp_as(1);
	write_value(A, 1);
	ok(vmt_page_pin(space, A, VMT_WRITE, &pinned));
}

static void write_a(void)
{
	write_value(A, 2);
}

static void end(void)
{
	uint64_t value = read_child(A);

	xp_demand(frame_at(A) == pinned, "a pinned page has moved");
	xp_demand(value == 1 || value == 2, "the child has what nobody has written");
	*(uint64_t *)xp_frame_ptr(pinned) = 9;
	xp_demand(read_child(A) == value, "what a device writes shows in the child");
	vmt_page_unpin(vmt, pinned);
	destroy_child();
	end_space();
}

const struct scenario r26 = {
	.name = "r26-pinned-page",
	.about = "a fork meets a pinned page that is being written",
	.without = "PINS_COPIED", .words = "what a device writes shows in the child",
	.cpus = 2, .begin = begin, .cpu = {fork_space, write_a}, .end = end,
};

const struct scenario pinned_page_stays = {
	.name = "r26-pinned-page-stays",
	.about = "a pinned page is written after a fork",
	.without = "PINS_STAY", .words = "a pinned page has moved",
	.cpus = 2, .begin = begin, .cpu = {fork_space, write_a}, .end = end,
};

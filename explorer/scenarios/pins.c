// SPDX-License-Identifier: MIT
// Pins: who reads attributes holds no lock that keeps others from reading, against one who changes them. No protection
// is off here; the orders of the lock are found with --weak, if one is missing (explorer/orders.txt).
#include "space.h"

static void find(void)
{
	struct vmt_area area;

	ok(vmt_area_find(space, A, &area));
	xp_demand(area.prot == RW || (area.prot == VMT_READ && area.start == A), "an area that never was");
}

static void protect(void)
{
	ok(vmt_protect(space, A, PAGE, VMT_READ));
}

const struct scenario pins = {
	.name = "pins-area-against-protect",
	.about = "attributes are read while they change",
	.cpus = 2, .begin = begin_space, .cpu = {find, protect}, .end = end_space,
};

// SPDX-License-Identifier: MIT
// A CPU leaves its spare array (tree/pool.h) while another one takes it: to give it back, or because memory is out.
#include "space.h"

// CPU 0 makes an array, and needs it no more.
static void protect_and_back(void)
{
	ok(vmt_protect(space, A, PAGE, VMT_READ));
	ok(vmt_protect(space, A, PAGE, RW));
}

static void reclaim(void)
{
	vmt_reclaim(space, 1);
}

const struct scenario spare_against_reclaim = {
	.name = "spare-against-reclaim",
	.about = "a CPU leaves its spare array while another gives all back",
	.cpus = 2, .begin = begin_space, .cpu = {protect_and_back, reclaim}, .end = end_space,
};

// Either may find that memory is out, and that the other has no array to spare.
static bool protect_scarce(uint64_t va, vmt_prot prot)
{
	enum vmt_status status = vmt_protect(space, va, PAGE, prot);

	if (status != VMT_ERR_NO_MEMORY)
		ok(status);
	return status == VMT_OK;
}

static void protect_a(void)
{
	if (protect_scarce(A, VMT_READ))
		protect_scarce(A, RW);
}

static void protect_b(void)
{
	protect_scarce(B, VMT_READ);
}

const struct scenario spare_against_shortage = {
	.name = "spare-against-shortage",
	.about = "a CPU leaves its spare array while another has no memory for one",
	.cpus = 2, .scarce = 1, .begin = begin_space, .cpu = {protect_a, protect_b}, .end = end_space,
};

// SPDX-License-Identifier: MIT
// What it costs to map, protect and unmap a vast range that nobody has touched: a few slots, whatever its size.
// Counted, not timed.
#include "lib.h"
#include "costs.h"

#define RW   (VMT_READ | VMT_WRITE)
#define HUGE (PAGE * SLOTS)
#define VAST (HUGE * SLOTS)

struct bill {
	struct costs map, protect_half, protect_odd, unprotect, mark, unmark, collapse, release, walk, unmap;
	uint64_t transactions, arrays;
};

// [base + PAGE, base + length - PAGE), mapped, changed in parts, unmapped.
static void bill_of(struct env *env, uint64_t base, uint64_t length, struct bill *bill)
{
	struct vmt_space_stats before, after;
	struct vmt_run run;

	env->ops->space_stats(env->space, &before);
	costs_take();
	lib_map(env, base + PAGE, length - 2 * PAGE, RW, 0);
	bill->map = costs_take();
	OK(env->ops->protect(env->space, base + length / 2, length / 2 - PAGE, VMT_READ));
	bill->protect_half = costs_take();
	OK(env->ops->protect(env->space, base + 3 * PAGE, length - 7 * PAGE, VMT_READ));
	bill->protect_odd = costs_take();
	OK(env->ops->protect(env->space, base + PAGE, length - 2 * PAGE, RW));
	bill->unprotect = costs_take();
	OK(env->ops->mark(env->space, base + 2 * PAGE, length - 4 * PAGE, VMT_MARKER_SWAP, 1));
	bill->mark = costs_take();
	for (run.end = base; run.end < base + length;)
		OK(env->ops->walk(env->space, run.end, base + length, &run));
	bill->walk = costs_take();
	OK(env->ops->release(env->space, base + PAGE, length - 2 * PAGE));
	bill->release = costs_take();
	env->ops->collapse(env->space, base + PAGE, length - 2 * PAGE, NULL);
	bill->collapse = costs_take();
	OK(env->ops->unmap(env->space, base + PAGE, length - 2 * PAGE));
	bill->unmap = costs_take();
	env->ops->space_stats(env->space, &after);
	bill->transactions = after.transactions - before.transactions;
	bill->arrays = after.array_bytes_peak;
}

static void compare(const char *what, const struct costs *small, const struct costs *large, uint64_t slots)
{
	if (large->entries > small->entries + slots || large->nodes > small->nodes + 80 ||
	    large->ranges > small->ranges + 4 || large->frames > small->frames + 8)
		fail_msg("%s: a small range takes %llu entries, %llu nodes, %llu ranges, %llu frames, a vast one %llu, %llu, "
			 "%llu, %llu", what,
			 (unsigned long long)small->entries, (unsigned long long)small->nodes,
			 (unsigned long long)small->ranges, (unsigned long long)small->frames,
			 (unsigned long long)large->entries, (unsigned long long)large->nodes,
			 (unsigned long long)large->ranges, (unsigned long long)large->frames);
}

// Two slots of the third level against as many as there are in two thirds of the space (a TiB with pages of 4 KiB where
// the space is large enough).
static void untouched(struct env *env)
{
	uint64_t slots = env->end / VAST / 3 * 2, base = 4 * VAST;
	struct bill small, large;

	slots = slots < 1024 ? slots : 1024;
	bill_of(env, base, 2 * VAST, &small);
	lib_expect_bare(env, env->space);
	bill_of(env, base, slots * VAST, &large);
	compare("map", &small.map, &large.map, 8);
	compare("protect half", &small.protect_half, &large.protect_half, 8);
	compare("protect all but odd pages", &small.protect_odd, &large.protect_odd, 8);
	compare("protect all", &small.unprotect, &large.unprotect, 8);
	compare("mark", &small.mark, &large.mark, 2 * SLOTS + slots); // one for each slot at most
	compare("walk", &small.walk, &large.walk, 8);
	compare("release", &small.release, &large.release, 2 * SLOTS + slots);
	compare("collapse", &small.collapse, &large.collapse, 8);
	compare("unmap", &small.unmap, &large.unmap, 8);
	assert_true(large.transactions <= small.transactions + 16);
	lib_expect_bare(env, env->space);
}

int main(int argc, char **argv)
{
	static const struct lib_case cases[] = {
		{.name = "a vast range untouched", .run = untouched},
	};

	return lib_main("cost", cases, sizeof(cases) / sizeof(*cases), argc, argv);
}

// SPDX-License-Identifier: MIT
// Cases for pages that are taken against a marker, and for tables of pages that become a huge page.
#include "spaces.h"

#define LAST (A + (SLOTS - 1) * PAGE)

static void take(uint64_t seed)
{
	begin_with_page(seed, MIB(2));
	on_second(second_reads);
	OK(ops->page_take(env.space, A, VMT_MARKER_SWAP, 1, &taken));
	demand(sim_write(env.cpu, A, 8, 2) == VMT_ERR_MARKER, "a page that was taken can still be written");
	ops->page_put(env.vmt, taken);
	end();
}

static void second_writes(struct sim_cpu *cpu)
{
	write_at(cpu, A, 2);
}

static void collapse_a(struct sim_cpu *cpu)
{
	(void)cpu;
	ops->collapse(env.space, A, MIB(2), NULL);
}

// CPU 1 has the page cached and writes once more while the table goes.
static void collapse_written(uint64_t seed)
{
	begin_with_page(seed, MIB(2));
	on_second(second_writes);
	lib_write(&env, A, 1);
	race_run(&(struct race){.place = AT_FLUSH, .first = collapse_a, .between = second_writes});
	demand(lib_read(&env, A) == 2, "what was written during a collapse is lost");
	end();
}

static void take_reference(struct sim_cpu *cpu)
{
	(void)cpu;
	OK(ops->page_try_get(env.space, A, VMT_WRITE, &taken));
}

// CPU 1 takes a reference on the first page when its count has been read and that of the last is about to be: for the
// second time, since the first look finds that a block is needed.
static void collapse_referenced(uint64_t seed)
{
	begin_with_page(seed, MIB(2));
	lib_write(&env, LAST, 1);
	race_run(&(struct race){.place = AT_META, .frame = frame_at(LAST), .skip = 1, .first = collapse_a,
				.between = take_reference});
	atomic_store_explicit(word_at(taken), 44, memory_order_relaxed);
	demand(lib_read(&env, A) == 44, "what was written through a reference is lost");
	ops->page_put(env.vmt, taken);
	end();
}

const struct protection_case huge_cases[] = {
	{"take", take},
	{"collapse-written", collapse_written},
	{"collapse-referenced", collapse_referenced},
};

const unsigned huge_case_count = sizeof(huge_cases) / sizeof(*huge_cases);

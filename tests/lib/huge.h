// SPDX-License-Identifier: MIT
// What the tests of huge pages share. With pages of 64 KiB a huge one has 512 MiB, and is left out.
#ifndef TESTS_LIB_HUGE_H
#define TESTS_LIB_HUGE_H

#include "lib.h"

#define RW   (VMT_READ | VMT_WRITE)
#define HUGE (PAGE * SLOTS)
#define VAST (HUGE * SLOTS)
#define BASE (4 * VAST - 2 * HUGE) // two huge pages below a boundary of every low level

#define HUGE_FITS   (PAGE < 65536)
#define HUGE_FRAMES (32 * SLOTS) // so many that a block is to be had among them

static inline uint64_t huge_stamp(uint64_t addr)
{
	return (addr - BASE) / PAGE + 1000;
}

static inline uint64_t *huge_word(struct env *env, uint64_t pa)
{
	return vmt_port_frame_ptr(sim_port(env->machine), pa);
}

// What the entry for `addr` is.
static inline struct vmt_run huge_entry(struct env *env, struct vmt_space *space, uint64_t addr)
{
	struct vmt_run run;

	OK(env->ops->walk(space, addr, addr + PAGE, &run));
	return run;
}

// A leaf, or parked leaf, of the second level lies at `addr`; its frame.
static inline uint64_t huge_frame(struct env *env, struct vmt_space *space, uint64_t addr)
{
	struct vmt_run run = huge_entry(env, space, addr);

	assert_true(run.state == VMT_STATE_PRESENT || run.state == VMT_STATE_PARKED);
	assert_int_equal(run.size, HUGE);
	return run.pa - (addr & (HUGE - 1));
}

static inline void huge_expect_small(struct env *env, struct vmt_space *space, uint64_t addr)
{
	struct vmt_run run = huge_entry(env, space, addr);

	assert_true(run.state == VMT_STATE_PRESENT || run.state == VMT_STATE_PARKED);
	assert_int_equal(run.size, PAGE);
}

// Writes to each page what its address says.
static inline void huge_fill(struct env *env, uint64_t addr, uint64_t length)
{
	for (uint64_t at = addr; at < addr + length; at += PAGE)
		lib_write(env, at, huge_stamp(at));
}

// Each page of the range holds what huge_fill wrote at `written`, looked at without a fault.
static inline void huge_expect(struct env *env, struct vmt_space *space, uint64_t addr, uint64_t length,
			       uint64_t written)
{
	struct vmt_run run;

	for (uint64_t at = addr; at < addr + length; at = run.end) {
		OK(env->ops->walk(space, at, addr + length, &run));
		if (run.state != VMT_STATE_PRESENT && run.state != VMT_STATE_PARKED)
			fail_msg("%s: there is no page at %#llx", env->ops->name, (unsigned long long)at);
		for (uint64_t in = 0; in < run.end - at; in += PAGE)
			assert_int_equal(*huge_word(env, run.pa + in), huge_stamp(written + (at - addr) + in));
	}
}

// `count` huge pages at BASE, filled.
static inline void huge_open(struct env *env, unsigned count)
{
	lib_map(env, BASE, count * HUGE, RW, VMT_MAP_HUGE);
	huge_fill(env, BASE, count * HUGE);
	for (unsigned i = 0; i < count; i++)
		huge_frame(env, env->space, BASE + i * HUGE);
	assert_int_equal(lib_resident(env, env->space), count * SLOTS);
	CHECK(env, env->space);
}

// Pages that are allocated now, of whatever use.
static inline uint64_t huge_frames(struct env *env)
{
	struct sim_counts counts;

	sim_grace_barrier(env->machine);
	sim_get_counts(env->machine, &counts);
	return counts.frames / (PAGE / SIM_FRAME_SIZE);
}

#endif

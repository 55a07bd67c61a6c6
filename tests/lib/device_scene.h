// SPDX-License-Identifier: MIT
// A device with a memory of its own and a region, for tests of device memory. Copies end when they are waited for.
#ifndef TESTS_LIB_DEVICE_SCENE_H
#define TESTS_LIB_DEVICE_SCENE_H

#include "devices.h"

#define BASE   (GIB(4) - 8 * PAGE) // in two tables of each of two levels
#define LENGTH (16 * PAGE)
#define COUNT  (LENGTH / PAGE)
#define FAR    GIB(20)
#define BIG    (8 * HUGE)

struct scene {
	struct vram vram;
	struct device device;
};

static inline void scene_open(struct env *env, struct scene *s, uint64_t size)
{
	devices_begin();
	vram_open(env, &s->vram, 0, size);
	s->vram.how = COPIES_WAITED_FOR;
	device_open(env, &s->device, env->space, 0, 0, &s->vram);
}

// LENGTH at BASE, pages 100 to 115, all there.
static inline void scene_open_there(struct env *env, struct scene *s)
{
	uint64_t pages;

	scene_open(env, s, 64 * PAGE);
	lib_map(env, BASE, LENGTH, RW, 0);
	page_write_range(env, BASE, LENGTH, 100);
	OK(env->ops->migrate(env->space, BASE, LENGTH, s->vram.memory, &pages));
	assert_int_equal(pages, COUNT);
	record_clear();
}

static inline void scene_close(struct env *env, struct scene *s)
{
	CHECK(env, env->space);
	record_check();
	device_close(&s->device);
	lib_expect_bare(env, env->space);
	vram_close(&s->vram);
}

static inline enum vmt_status migrate(struct env *env, struct scene *s, uint64_t addr, uint64_t length, uint64_t want)
{
	uint64_t pages = 12345;
	enum vmt_status status = env->ops->migrate(env->space, addr, length, s ? s->vram.memory : NULL, &pages);

	CHECK(env, env->space);
	assert_int_equal(pages, want);
	return status;
}

// `count` huge pages at BIG, each written in three places.
static inline void huge_open(struct env *env, struct scene *s, unsigned count, uint64_t size)
{
	scene_open(env, s, size);
	lib_map(env, BIG, count * HUGE, RW, VMT_MAP_HUGE);
	for (unsigned i = 0; i < count; i++) {
		page_write(env, BIG + i * HUGE, 10 * i + 1);
		page_write(env, BIG + i * HUGE + 77 * PAGE, 10 * i + 2);
		page_write(env, BIG + (i + 1) * HUGE - PAGE, 10 * i + 3);
		assert_int_equal(page_entry(env, env->space, BIG + i * HUGE).size, HUGE);
	}
}

static inline void huge_expect(struct env *env, uint64_t at, unsigned i)
{
	assert_int_equal(page_read(env, at), 10 * i + 1);
	assert_int_equal(page_read(env, at + 77 * PAGE), 10 * i + 2);
	assert_int_equal(page_read(env, at + HUGE - PAGE), 10 * i + 3);
	assert_int_equal(page_read(env, at + 78 * PAGE), 0);
}

#endif

// SPDX-License-Identifier: MIT
// Mirrors: what leaves the target gets for a space's, huge ones above all; mirrors of spaces that have been in use; and
// memory that runs out.
#include "mirror.h"

#define VAST	    (HUGE * SLOTS)
#define BASE	    (4 * VAST - 2 * HUGE)
#define HUGES	    3u
#define HUGE_FITS   (PAGE < 65536)
#define HUGE_FRAMES (32 * SLOTS)
#define DOWN	    ((UINT64_C(8) << 30) - 4 * VAST) // an offset that keeps the alignment

// `HUGES` huge pages, filled.
static void huge_pages(struct env *env)
{
	struct vmt_translation translation;

	lib_map(env, BASE, HUGES * HUGE, RW, VMT_MAP_HUGE);
	for (unsigned i = 0; i < HUGES; i++) {
		lib_write(env, BASE + i * HUGE, i);
		OK(env->ops->translate(env->space, BASE + i * HUGE, &translation));
		assert_int_equal(translation.size, HUGE);
	}
}

// The largest leaf of a format up to a huge page of the space.
static uint64_t largest(enum sim_format format)
{
	uint64_t page = sim_format_page(format), size = page;

	while (size * (page / 8) <= HUGE)
		size *= page / 8;
	return size;
}

static uint64_t leaf_at(struct dev *dev, uint64_t addr)
{
	struct vmt_translation translation;

	return dev_translate(dev, addr, &translation) ? translation.size : 0;
}

// A huge page of the space is as large a leaf of the target; when a part of it goes all of it does, and the rest comes
// back as small ones.
static void huge(struct env *env)
{
	for (enum sim_format format = SIM_FORMATS; HUGE_FITS && dev_next_format(env, &format);) {
		struct dev_config config = {
			.format = format, .start = BASE, .end = BASE + HUGES * HUGE, .offset = DOWN};
		struct dev dev;
		uint64_t pa;

		huge_pages(env);
		dev_open(&dev, env, &config);
		OK(dev_fault(&dev, BASE + HUGE + 5 * PAGE, VMT_READ));
		assert_int_equal(leaf_at(&dev, BASE + HUGE), largest(format));
		assert_int_equal(leaf_at(&dev, BASE + 2 * HUGE - PAGE), largest(format));
		assert_int_equal(leaf_at(&dev, BASE), 0);
		assert_int_equal(leaf_at(&dev, BASE + 2 * HUGE), 0);
		assert_false(dev_uses(&dev, BASE + HUGE, VMT_WRITE, &pa));
		OK(dev_fault(&dev, BASE + HUGE, VMT_WRITE)); // all of it comes to allow more
		assert_true(dev_uses(&dev, BASE + 2 * HUGE - PAGE, VMT_WRITE, &pa));
		dev_judge(&dev, false);
		OK(env->ops->unmap(env->space, BASE + HUGE + 7 * PAGE, PAGE));
		assert_int_equal(leaf_at(&dev, BASE + HUGE), 0);
		assert_int_equal(dev.ops->tree_tables(dev.tree), 1);
		OK(dev_fault(&dev, BASE + HUGE + 6 * PAGE, VMT_WRITE));
		assert_int_equal(leaf_at(&dev, BASE + HUGE + 6 * PAGE), sim_format_page(format));
		assert_int_equal(leaf_at(&dev, BASE + HUGE + 7 * PAGE), 0);
		dev_judge(&dev, false);
		dev_close(&dev);
		OK(env->ops->unmap(env->space, BASE, HUGES * HUGE));
	}
}

// Whatever is done to huge pages, an eager mirror has what is there.
static void huge_eager(struct env *env)
{
	for (enum sim_format format = SIM_FORMATS; HUGE_FITS && dev_next_format(env, &format);) {
		struct dev_config config = {
			.format = format, .mode = VMT_MIRROR_EAGER, .start = BASE, .end = BASE + HUGES * HUGE,
			.offset = DOWN};
		struct vmt_space *child;
		struct dev dev;

		huge_pages(env);
		dev_open(&dev, env, &config);
		assert_int_equal(leaf_at(&dev, BASE), largest(format));
		OK(env->ops->release(env->space, BASE + 9 * PAGE, PAGE));
		dev_judge(&dev, true);
		OK(env->ops->protect(env->space, BASE + HUGE + 4 * PAGE, HUGE, VMT_READ));
		dev_judge(&dev, true);
		lib_write(env, BASE + 9 * PAGE, 1);
		dev_judge(&dev, true);
		OK(env->ops->space_fork(env->space, NULL, &child));
		dev_judge(&dev, true);
		lib_write(env, BASE + 11 * PAGE, 1); // a page is copied, the leaf was cut
		lib_write(env, BASE + HUGE, 1);
		dev_judge(&dev, true);
		OK(env->ops->space_destroy(child));
		env->ops->collapse(env->space, BASE, HUGE, NULL);
		assert_int_equal(leaf_at(&dev, BASE), largest(format));
		dev_judge(&dev, true);
		OK(env->ops->mirror_exclusive(dev.mirror, BASE + 13 * PAGE + DOWN));
		dev_judge(&dev, true);
		dev_close(&dev);
		OK(env->ops->unmap(env->space, BASE, HUGES * HUGE));
	}
}

// An offset that huge pages do not fit, a range that begins and ends within them, a device with small pages only.
static void odd_shapes(struct env *env)
{
	for (enum sim_format format = SIM_FORMATS; HUGE_FITS && dev_next_format(env, &format);) {
		for (unsigned odd = 0; odd < 8; odd++) {
			struct dev_config config = {
				.format = format, .start = BASE, .end = BASE + HUGES * HUGE, .offset = DOWN};
			uint64_t page = sim_format_page(format);
			struct dev dev;

			if (odd & 1)
				config.offset += 3 * PAGE;
			if (odd & 2) {
				config.start += HUGE / 2 + 3 * PAGE;
				config.end -= 5 * PAGE;
			}
			if (odd & 4)
				config.leaf_sizes = page;
			huge_pages(env);
			dev_open(&dev, env, &config);
			OK(dev_fault(&dev, BASE + HUGE, VMT_WRITE));
			assert_true(leaf_at(&dev, BASE + HUGE));
			if (config.leaf_sizes)
				assert_int_equal(leaf_at(&dev, BASE + HUGE), page);
			// As much as a table holds has come with it.
			assert_true(leaf_at(&dev, BASE + HUGE + PAGE));
			dev_judge(&dev, false);
			OK(dev_fault(&dev, BASE + HUGE - PAGE, VMT_WRITE));
			OK(dev_fault(&dev, BASE + 3 * HUGE - 6 * PAGE, VMT_READ));
			dev_judge(&dev, false);
			OK(env->ops->mirror_sync(dev.mirror, config.start + config.offset, config.end - config.start));
			dev_judge(&dev, true);
			OK(env->ops->release(env->space, BASE + HUGE, PAGE));
			dev_judge(&dev, false);
			dev_close(&dev);
			OK(env->ops->unmap(env->space, BASE, HUGES * HUGE));
		}
	}
}

// ---- A space that has been in use --------------------------------------------------------------------------------

#define LENGTH (24 * PAGE)

static const struct dev_config used = {.start = BASE - 12 * PAGE, .end = BASE + 12 * PAGE, .offset = DOWN};

// A bit of everything around BASE, which is a border between tables.
static void in_use(struct env *env)
{
	uint64_t pa;

	lib_map(env, used.start, LENGTH, RW, 0);
	for (unsigned i = 0; i < 20; i++)
		lib_write(env, used.start + i * PAGE, 100 + i);
	assert_int_equal(lib_read(env, used.start + 20 * PAGE), 0); // the page of zeroes
	OK(env->ops->protect(env->space, used.start + 2 * PAGE, 2 * PAGE, VMT_READ));
	OK(env->ops->protect(env->space, used.start + 5 * PAGE, PAGE, 0));
	OK(env->ops->guard_install(env->space, used.start + 7 * PAGE, PAGE));
	OK(env->ops->page_take(env->space, used.start + 9 * PAGE, VMT_MARKER_SWAP, 3, &pa));
	env->ops->page_put(env->vmt, pa);
	OK(env->ops->unmap(env->space, used.start + 11 * PAGE, PAGE));
}

// A mirror that comes late has what is there when it is made, and then what comes.
static void late(struct env *env)
{
	for (enum sim_format format = SIM_FORMATS; dev_next_format(env, &format);) {
		struct dev_config config = used;
		struct dev dev;
		uint64_t pa;

		config.format = format;
		config.mode = VMT_MIRROR_EAGER;
		in_use(env);
		dev_open(&dev, env, &config);
		assert_true(dev_uses(&dev, used.start, VMT_WRITE, &pa));
		assert_true(dev_uses(&dev, used.start + 20 * PAGE, VMT_READ, &pa));
		assert_false(dev_uses(&dev, used.start + 3 * PAGE, VMT_WRITE, &pa));
		assert_int_equal(dev.issues, 0);
		assert_true(dev.fills > 0);
		lib_write(env, used.start + 20 * PAGE, 5); // of zeroes no more
		dev_judge(&dev, true);
		lib_write(env, used.start + 21 * PAGE, 6);
		dev_judge(&dev, true);
		assert_true(dev_uses(&dev, used.start + 21 * PAGE, VMT_WRITE, &pa));
		OK(env->ops->protect(env->space, used.start, 6 * PAGE, RW));
		dev_judge(&dev, true);
		assert_true(dev_uses(&dev, used.start + 5 * PAGE, VMT_READ, &pa));
		dev_close(&dev);
		OK(env->ops->unmap(env->space, used.start, LENGTH));
	}
}

// ---- Memory runs out ---------------------------------------------------------------------------------------------

static uint64_t frames(struct env *env)
{
	struct sim_counts counts;

	sim_grace_barrier(env->machine);
	sim_get_counts(env->machine, &counts);
	return counts.frames + counts.mems;
}

// The n-th allocation fails, alone or with all that follow.
static void starve(struct env *env, unsigned n, bool all)
{
	sim_fail_nth(env->machine, SIM_FAIL_FRAME | SIM_FAIL_MEM, n, all ? UINT64_MAX / 2 : 1);
}

static void create_without_memory(struct env *env)
{
	for (enum sim_format format = SIM_FORMATS; dev_next_format(env, &format);) {
		for (unsigned all = 0; all < 2; all++) {
			struct dev_config config = used;
			enum vmt_status status;
			struct dev dev;

			config.format = format;
			config.mode = VMT_MIRROR_EAGER;
			in_use(env);
			dev_make(&dev, env, &config);
			OK(dev_mirror(&dev));
			OK(env->ops->mirror_destroy(dev.mirror));
			for (unsigned n = 1;; n++) {
				uint64_t before = frames(env);

				starve(env, n, all);
				status = dev_mirror(&dev);
				starve(env, 0, false);
				if (status == VMT_OK)
					break;
				IS(status, VMT_ERR_NO_MEMORY);
				assert_int_equal(dev.ops->tree_tables(dev.tree), 1);
				assert_int_equal(frames(env), before);
				CHECK(env, env->space);
			}
			dev_judge(&dev, true);
			dev_close(&dev);
			OK(env->ops->unmap(env->space, used.start, LENGTH));
		}
	}
}

static void fault_without_memory(struct env *env)
{
	for (enum sim_format format = SIM_FORMATS; dev_next_format(env, &format);) {
		struct dev_config config = used;
		enum vmt_status status;
		struct dev dev;

		config.format = format;
		lib_map(env, used.start, LENGTH, RW, 0);
		dev_open(&dev, env, &config);
		for (unsigned n = 1;; n++) {
			OK(env->ops->release(env->space, used.start, LENGTH));
			env->ops->reclaim(env->space, 0);
			starve(env, n, n % 2);
			status = env->ops->mirror_fault(dev.mirror, BASE + DOWN - PAGE, 2 * PAGE, VMT_WRITE, NULL);
			starve(env, 0, false);
			dev_judge(&dev, false);
			if (status == VMT_OK)
				break;
			IS(status, VMT_ERR_NO_MEMORY);
		}
		assert_true(leaf_at(&dev, BASE - PAGE) && leaf_at(&dev, BASE));
		dev_close(&dev);
		OK(env->ops->unmap(env->space, used.start, LENGTH));
	}
}

// A CPU's fault succeeds, and the eager mirror is behind until it is told to make up for it.
static void behind(struct env *env)
{
	for (enum sim_format format = SIM_FORMATS; dev_next_format(env, &format);) {
		struct dev_config config = used;
		struct dev dev;
		unsigned n = 1;

		config.format = format;
		config.mode = VMT_MIRROR_EAGER;
		lib_map(env, used.start, LENGTH, RW, 0);
		lib_write(env, BASE, 1);
		dev_open(&dev, env, &config);
		OK(env->ops->unmap(env->space, BASE, 2 * PAGE));
		lib_map(env, BASE, 2 * PAGE, RW, 0);
		for (; !dev_counts(&dev).behind; n++) {
			OK(env->ops->release(env->space, BASE, PAGE));
			starve(env, n, true);
			sim_write(env->cpu, BASE, 8, 1);
			starve(env, 0, false);
			assert_true(n < 16);
		}
		dev_judge(&dev, false);
		assert_int_equal(leaf_at(&dev, BASE), 0);
		starve(env, 1, true);
		IS(env->ops->mirror_sync(dev.mirror, used.start + DOWN, LENGTH), VMT_ERR_NO_MEMORY);
		starve(env, 0, false);
		OK(env->ops->mirror_sync(dev.mirror, BASE + DOWN, PAGE)); // it may have missed more
		assert_true(dev_counts(&dev).behind);
		OK(env->ops->mirror_sync(dev.mirror, used.start + DOWN, LENGTH));
		assert_false(dev_counts(&dev).behind);
		dev_judge(&dev, true);
		dev_close(&dev);
		OK(env->ops->unmap(env->space, used.start, LENGTH));
	}
}

static const struct lib_case cases[] = {
	{.name = "huge pages", .run = huge, .frames = HUGE_FRAMES},
	{.name = "huge pages, eager", .run = huge_eager, .frames = HUGE_FRAMES},
	{.name = "odd shapes", .run = odd_shapes, .frames = HUGE_FRAMES},
	{.name = "late", .run = late},
	{.name = "create without memory", .run = create_without_memory},
	{.name = "fault without memory", .run = fault_without_memory},
	{.name = "behind", .run = behind},
};

int main(int argc, char **argv)
{
	return lib_main("mirror shape", cases, sizeof(cases) / sizeof(*cases), argc, argv);
}

// SPDX-License-Identifier: MIT
// Mirrors: each change of a space, for a device that faults and for one that is kept up to date, with tables of every
// format; the shapes of leaves; the ends.
#include "mirror.h"

#define VAST   (HUGE * SLOTS)
#define BASE   (4 * VAST - 8 * PAGE) // the border between two tables of each low level lies in the middle
#define LENGTH (16 * PAGE)

static const struct dev_config usual = {.start = BASE, .end = BASE + LENGTH, .offset = (UINT64_C(8) << 30) - 4 * VAST};

static uint64_t *word(struct env *env, uint64_t pa)
{
	return vmt_port_frame_ptr(sim_port(env->machine), pa);
}

static void fill(struct env *env)
{
	lib_map(env, BASE, LENGTH, RW, 0);
	for (unsigned i = 0; i < 16; i++)
		lib_write(env, BASE + i * PAGE, 100 + i);
}

// ---- Each change -------------------------------------------------------------------------------------------------

// Faults in whatever may be, for writing if it can be, and uses it.
static void touch_all(struct dev *dev)
{
	uint64_t pa;

	for (unsigned i = 0; i < 16; i++) {
		vmt_prot access = dev_fault(dev, BASE + i * PAGE, VMT_WRITE) == VMT_OK ? VMT_WRITE : VMT_READ;

		if (access == VMT_WRITE || dev_fault(dev, BASE + i * PAGE, VMT_READ) == VMT_OK)
			assert_true(dev_uses(dev, BASE + i * PAGE, access, &pa));
	}
	dev_judge(dev, false);
}

static void change_map(struct env *env, uint64_t addr)
{
	struct vmt_map_request over = {.addr = addr, .length = PAGE, .prot = RW, .flags = VMT_MAP_FIXED};
	uint64_t got;

	OK(env->ops->map(env->space, &over, &got));
}

static void change_unmap(struct env *env, uint64_t addr)
{
	OK(env->ops->unmap(env->space, addr, 2 * PAGE));
}

static void change_release(struct env *env, uint64_t addr)
{
	OK(env->ops->release(env->space, addr, 2 * PAGE));
}

static void change_protect(struct env *env, uint64_t addr)
{
	OK(env->ops->protect(env->space, addr, 2 * PAGE, VMT_READ));
}

static void change_hide(struct env *env, uint64_t addr)
{
	OK(env->ops->protect(env->space, addr, 2 * PAGE, 0));
}

static void change_show(struct env *env, uint64_t addr)
{
	change_hide(env, addr);
	OK(env->ops->protect(env->space, addr, 2 * PAGE, RW));
}

static void change_guard(struct env *env, uint64_t addr)
{
	OK(env->ops->guard_install(env->space, addr, 2 * PAGE));
}

static void change_lazy(struct env *env, uint64_t addr)
{
	OK(env->ops->lazy_free(env->space, addr, 2 * PAGE));
	env->ops->reclaim(env->space, 8);
}

static void change_move(struct env *env, uint64_t addr)
{
	uint32_t flags = VMT_MOVE_MAY_MOVE | VMT_MOVE_FIXED;
	uint64_t got;

	OK(env->ops->move(env->space, addr, 2 * PAGE, 2 * PAGE, flags, addr ^ 8 * PAGE, &got));
}

static void change_take(struct env *env, uint64_t addr)
{
	uint64_t pa;

	OK(env->ops->page_take(env->space, addr, VMT_MARKER_SWAP, 5, &pa));
	OK(env->ops->marker_resolve(env->space, addr, VMT_MARKER_SWAP, 5, pa));
}

static void change_fork(struct env *env, uint64_t addr)
{
	struct vmt_space *child;

	OK(env->ops->space_fork(env->space, NULL, &child));
	lib_write(env, addr, 7); // the page is copied
	OK(env->ops->space_destroy(child));
	lib_write(env, addr + PAGE, 7); // it need not be
}

static void change_harvest(struct env *env, uint64_t addr)
{
	env->ops->test_and_clear(env->space, addr, 2 * PAGE, VMT_DIRTY, NULL);
}

static void change_all(struct env *env, uint64_t addr)
{
	(void)addr;
	for (unsigned i = 0; i < 16; i += 2)
		OK(env->ops->release(env->space, BASE + i * PAGE, PAGE));
	lib_write(env, BASE, 9);
	OK(env->ops->unmap(env->space, BASE, LENGTH));
	fill(env);
}

static void (*const changes[])(struct env *env, uint64_t addr) = {
	change_map, change_unmap, change_release, change_protect, change_hide, change_show, change_guard, change_lazy,
	change_move, change_take, change_fork, change_harvest, change_all,
};

static void each_change(struct env *env, enum dev_kind kind, enum vmt_mirror_mode mode)
{
	for (enum sim_format format = SIM_FORMATS; dev_next_format(env, &format);) {
		for (unsigned i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
			struct dev_config config = usual;
			struct dev dev;

			config.kind = kind;
			config.mode = mode;
			config.format = format;
			if (kind == DEV_SHARED)
				config.offset = 0;
			fill(env);
			dev_open(&dev, env, &config);
			touch_all(&dev);
			changes[i](env, BASE + 7 * PAGE);
			dev_judge(&dev, mode == VMT_MIRROR_EAGER);
			touch_all(&dev);
			changes[i](env, BASE + 3 * PAGE);
			dev_judge(&dev, mode == VMT_MIRROR_EAGER);
			dev_close(&dev);
			OK(env->ops->unmap(env->space, BASE, LENGTH));
		}
		if (kind != DEV_TREE)
			break;
	}
}

static void on_demand(struct env *env)
{
	each_change(env, DEV_TREE, VMT_MIRROR_ON_DEMAND);
}

static void eager(struct env *env)
{
	each_change(env, DEV_TREE, VMT_MIRROR_EAGER);
}

static void shared(struct env *env)
{
	each_change(env, DEV_SHARED, VMT_MIRROR_ON_DEMAND);
}

static void commands(struct env *env)
{
	each_change(env, DEV_COMMANDS, VMT_MIRROR_ON_DEMAND);
	each_change(env, DEV_COMMANDS, VMT_MIRROR_EAGER);
}

// ---- What is where -----------------------------------------------------------------------------------------------

// The device and CPUs see each other's writes; a page is copied when either writes to it.
static void bytes(struct env *env)
{
	for (enum sim_format format = SIM_FORMATS; dev_next_format(env, &format);) {
		struct dev_config config = usual;
		struct vmt_space *child;
		struct dev dev;
		uint64_t pa;

		config.format = format;
		fill(env);
		dev_open(&dev, env, &config);
		assert_false(dev_uses(&dev, BASE, VMT_READ, &pa));
		OK(dev_fault(&dev, BASE + 5, VMT_READ));
		assert_true(dev_uses(&dev, BASE + 8, VMT_READ, &pa));
		assert_int_equal(word(env, pa)[-1], 100);
		assert_false(dev_uses(&dev, BASE, VMT_WRITE, &pa)); // it has not asked for that
		OK(dev_fault(&dev, BASE, VMT_WRITE));
		assert_true(dev_uses(&dev, BASE, VMT_WRITE, &pa));
		*word(env, pa) = 200;
		assert_int_equal(lib_read(env, BASE), 200);
		OK(env->ops->space_fork(env->space, NULL, &child));
		assert_false(dev_uses(&dev, BASE, VMT_WRITE, &pa));
		OK(dev_fault(&dev, BASE, VMT_WRITE));
		assert_true(dev_uses(&dev, BASE, VMT_WRITE, &pa));
		*word(env, pa) = 300;
		assert_int_equal(lib_read(env, BASE), 300);
		OK(env->ops->space_destroy(child));
		assert_int_equal(dev_counts(&dev).faults, 3);
		assert_true(dev_counts(&dev).entered >= 3);
		dev_close(&dev);
		OK(env->ops->unmap(env->space, BASE, LENGTH));
	}
}

// Faults of several pages, and where they end.
static void several(struct env *env)
{
	struct dev_config config = usual;
	uint64_t at = BASE + usual.offset, done = 1;
	struct dev dev;

	config.format = env->format;
	lib_map(env, BASE, 8 * PAGE, RW, 0);
	lib_map(env, BASE + 8 * PAGE, 2 * PAGE, VMT_READ, 0);
	dev_open(&dev, env, &config);
	OK(env->ops->mirror_fault(dev.mirror, at + 3, 2 * PAGE, VMT_WRITE, &done));
	assert_int_equal(done, 2 * PAGE);
	assert_int_equal(lib_resident(env, env->space), 3);
	OK(env->ops->mirror_fault(dev.mirror, at, 0, VMT_READ, &done));
	assert_int_equal(done, 1);
	IS(env->ops->mirror_fault(dev.mirror, at + 6 * PAGE + 1, 3 * PAGE, VMT_WRITE, &done), VMT_ERR_ACCESS);
	assert_int_equal(done, 2 * PAGE - 1);
	OK(env->ops->mirror_fault(dev.mirror, at + 8 * PAGE, 2 * PAGE, VMT_READ, NULL));
	IS(env->ops->mirror_fault(dev.mirror, at + 9 * PAGE, 2 * PAGE, VMT_READ, &done), VMT_ERR_UNMAPPED);
	assert_int_equal(done, PAGE);
	dev_judge(&dev, false);
	dev_close(&dev);
	OK(env->ops->unmap(env->space, BASE, LENGTH));
}

// Guests execute what they can read; others do not.
static void executes(struct env *env)
{
	struct vmt_translation translation;

	for (unsigned exec = 0; exec < 2; exec++) {
		for (enum sim_format format = SIM_FORMATS; dev_next_format(env, &format);) {
			struct dev_config config = usual;
			struct dev dev;

			config.format = format;
			config.exec = exec;
			lib_map(env, BASE, LENGTH, VMT_RWX, 0);
			dev_open(&dev, env, &config);
			IS(dev_fault(&dev, BASE, VMT_EXEC), exec ? VMT_OK : VMT_ERR_ARGUMENT);
			OK(dev_fault(&dev, BASE + PAGE, VMT_WRITE));
			assert_int_equal(dev_translate(&dev, BASE, &translation), exec);
			assert_true(dev_translate(&dev, BASE + PAGE, &translation));
			assert_int_equal(!!(translation.prot & VMT_EXEC), exec && sim_format_has_exec(format));
			dev_close(&dev);
			OK(env->ops->unmap(env->space, BASE, LENGTH));
		}
	}
}

// A page for the device alone: CPUs take it back.
static void exclusive(struct env *env)
{
	for (enum sim_format format = SIM_FORMATS; dev_next_format(env, &format);) {
		for (unsigned mode = 0; mode < 2; mode++) {
			struct dev_config config = usual;
			struct vmt_translation translation;
			struct dev dev;
			uint64_t pa;

			config.format = format;
			config.mode = mode ? VMT_MIRROR_EAGER : VMT_MIRROR_ON_DEMAND;
			fill(env);
			dev_open(&dev, env, &config);
			OK(dev_fault(&dev, BASE, VMT_READ));
			OK(env->ops->mirror_exclusive(dev.mirror, BASE + config.offset));
			IS(env->ops->translate(env->space, BASE, &translation), VMT_ERR_NOT_PRESENT);
			assert_true(dev_uses(&dev, BASE, VMT_WRITE, &pa));
			dev_judge(&dev, mode);
			++*word(env, pa);
			assert_int_equal(lib_read(env, BASE), 101);
			assert_int_equal(dev_uses(&dev, BASE, VMT_WRITE, &pa), mode);
			dev_judge(&dev, mode);
			dev_close(&dev);
			OK(env->ops->unmap(env->space, BASE, LENGTH));
		}
	}
}

// Several mirrors in one tree, and a mapping beside them: a guest's memory.
static void slots(struct env *env)
{
	struct dev_config config = {.start = BASE, .end = BASE + 8 * PAGE, .offset = 0, .format = env->format};
	struct vmt_tree_map registers = {.addr = PAGE, .length = PAGE, .pa = SIM_RAM_BASE / 2, .prot = RW};
	struct vmt_translation translation;
	struct dev first, second;
	uint64_t pa;

	config.offset = 0 - config.start;
	fill(env);
	dev_make(&first, env, &config);
	registers.addr = 24 * PAGE;
	OK(first.ops->tree_map(first.tree, &registers, NULL));
	OK(dev_mirror(&first));
	second = first;
	second.config.start = BASE + 8 * PAGE;
	second.config.end = BASE + LENGTH;
	second.config.offset = 0 - config.start + 8 * PAGE;
	second.config.mode = VMT_MIRROR_EAGER;
	second.config.exec = true;
	OK(dev_mirror(&second));
	OK(dev_fault(&first, BASE, VMT_WRITE));
	OK(env->ops->release(env->space, BASE + 7 * PAGE, 2 * PAGE));
	dev_judge(&first, false);
	dev_judge(&second, true);
	OK(env->ops->mirror_destroy(first.mirror));
	dev_judge(&second, true);
	assert_true(dev_uses(&second, BASE + 9 * PAGE, VMT_WRITE, &pa));
	OK(env->ops->mirror_destroy(second.mirror));
	OK(first.ops->tree_translate(first.tree, registers.addr, &translation));
	assert_int_equal(translation.pa, registers.pa);
	OK(first.ops->tree_unmap(first.tree, registers.addr, PAGE, NULL));
	first.ops->tree_reclaim(first.tree);
	dev_free(&first);
	OK(env->ops->unmap(env->space, BASE, LENGTH));
}

// ---- Beginning and end -------------------------------------------------------------------------------------------

static void refusals(struct env *env)
{
	struct dev_config config = usual;
	struct vmt_target target;
	struct vmt_mirror_config odd = {.start = BASE, .end = BASE + LENGTH};
	struct vmt_mirror *mirror;
	struct dev dev, more[VMT_SECONDARIES];

	config.format = env->format;
	dev_make(&dev, env, &config);
	target = dev.target;
	odd.mode = VMT_MIRROR_EAGER;
	IS(env->ops->mirror_create(env->space, &odd, &mirror), VMT_ERR_ARGUMENT);
	odd.mode = VMT_MIRROR_ON_DEMAND;
	odd.offset = PAGE;
	IS(env->ops->mirror_create(env->space, &odd, &mirror), VMT_ERR_ARGUMENT);
	odd.target = &target;
	odd.offset = PAGE / 2;
	IS(env->ops->mirror_create(env->space, &odd, &mirror), VMT_ERR_ARGUMENT);
	odd.offset = target.end - BASE;
	IS(env->ops->mirror_create(env->space, &odd, &mirror), VMT_ERR_OUTSIDE);
	odd.offset = 0 - BASE - PAGE;
	IS(env->ops->mirror_create(env->space, &odd, &mirror), VMT_ERR_OUTSIDE);
	odd.offset = 0;
	target.page_size = 2 * PAGE;
	IS(env->ops->mirror_create(env->space, &odd, &mirror), VMT_ERR_SIZE);
	odd.start++;
	IS(env->ops->mirror_create(env->space, &odd, &mirror), VMT_ERR_UNALIGNED);
	odd.start = odd.end;
	IS(env->ops->mirror_create(env->space, &odd, &mirror), VMT_ERR_EMPTY);
	odd.end = env->end + PAGE;
	IS(env->ops->mirror_create(env->space, &odd, &mirror), VMT_ERR_OUTSIDE);
	OK(dev_mirror(&dev));
	IS(dev_fault(&dev, BASE - PAGE, VMT_READ), VMT_ERR_OUTSIDE);
	IS(dev_fault(&dev, BASE + LENGTH, VMT_READ), VMT_ERR_OUTSIDE);
	IS(dev_fault(&dev, BASE, VMT_EXEC), VMT_ERR_ARGUMENT);
	IS(dev_fault(&dev, BASE, RW), VMT_ERR_ARGUMENT);
	IS(dev_fault(&dev, BASE, VMT_READ), VMT_ERR_UNMAPPED);
	IS(env->ops->mirror_exclusive(dev.mirror, BASE + LENGTH + usual.offset), VMT_ERR_OUTSIDE);
	IS(env->ops->mirror_sync(dev.mirror, BASE + usual.offset, PAGE / 2), VMT_ERR_UNALIGNED);
	IS(env->ops->mirror_sync(dev.mirror, BASE + usual.offset, 0), VMT_ERR_EMPTY);
	IS(env->ops->mirror_sync(dev.mirror, BASE + usual.offset, LENGTH + PAGE), VMT_ERR_OUTSIDE);
	config.kind = DEV_SHARED;
	config.offset = 0;
	for (unsigned i = 1; i < VMT_SECONDARIES; i++)
		dev_open(&more[i], env, &config);
	IS(env->ops->mirror_exclusive(more[1].mirror, BASE), VMT_ERR_ARGUMENT);
	dev_make(&more[0], env, &config);
	IS(dev_mirror(&more[0]), VMT_ERR_LIMIT);
	for (unsigned i = 1; i < VMT_SECONDARIES; i++)
		dev_close(&more[i]);
	dev_close(&dev);
}

// The space goes first.
static void exits(struct env *env)
{
	for (enum sim_format format = SIM_FORMATS; dev_next_format(env, &format);) {
		for (unsigned mode = 0; mode < 2; mode++) {
			struct vmt_space *usual_space = env->space;
			struct dev_config config = usual;
			struct dev dev;
			uint64_t pa;

			config.format = format;
			config.mode = mode ? VMT_MIRROR_EAGER : VMT_MIRROR_ON_DEMAND;
			env->space = env_new_space(env);
			sim_activate(env->cpu, env->space);
			fill(env);
			dev_open(&dev, env, &config);
			touch_all(&dev);
			sim_activate(env->cpu, usual_space);
			OK(env->ops->space_destroy(env->space));
			env->space = usual_space;
			assert_false(dev_uses(&dev, BASE, VMT_READ, &pa));
			dev_close(&dev);
		}
	}
}

// A mirror of the whole space, in tables of its own format.
static void whole(struct env *env)
{
	struct dev_config config = {.format = env->format};
	struct dev dev;
	uint64_t pa;

	fill(env);
	dev_make(&dev, env, &config);
	OK(dev_mirror(&dev));
	OK(dev_fault(&dev, BASE, VMT_WRITE));
	assert_true(dev_uses(&dev, BASE, VMT_WRITE, &pa));
	OK(env->ops->unmap(env->space, BASE, LENGTH));
	assert_false(dev_uses(&dev, BASE, VMT_READ, &pa));
	assert_int_equal(dev.ops->tree_tables(dev.tree), 1);
	dev_close(&dev);
}

// Most changes concern nothing that the device ever had: it is not asked.
static void spared(struct env *env)
{
	struct dev_config config = usual;
	struct dev dev;

	config.format = env->format;
	fill(env);
	dev_open(&dev, env, &config);
	OK(env->ops->release(env->space, BASE + PAGE, 4 * PAGE));
	assert_int_equal(dev.issues + dev.waits, 0);
	OK(dev_fault(&dev, BASE, VMT_READ));
	OK(env->ops->release(env->space, BASE, 4 * PAGE));
	assert_int_equal(dev.issues, 1);
	assert_int_equal(dev.waits, 1);
	assert_int_equal(dev_counts(&dev).invalidations, 1);
	dev_close(&dev);
	OK(env->ops->unmap(env->space, BASE, LENGTH));
}

// Who walks the space's tables hears when these go.
static void told_of_tables(struct env *env)
{
	struct dev_config config = {.kind = DEV_SHARED, .start = BASE, .end = BASE + LENGTH};
	struct dev dev;

	fill(env);
	dev_open(&dev, env, &config);
	OK(env->ops->release(env->space, BASE, PAGE));
	assert_int_equal(dev.tables, 0);
	OK(env->ops->unmap(env->space, BASE, LENGTH));
	env->ops->reclaim(env->space, 0);
	assert_true(dev.tables > 0);
	dev_close(&dev);
}

// A device that does not answer: what it could reach is nobody's until it was reset.
static void silent(struct env *env)
{
	for (unsigned kind = 0; kind < 2; kind++) {
		struct dev_config config = usual;
		struct dev dev;
		uint64_t pa;

		config.kind = kind ? DEV_COMMANDS : DEV_TREE;
		config.format = env->format;
		fill(env);
		dev_open(&dev, env, &config);
		touch_all(&dev);
		assert_true(dev_uses(&dev, BASE, VMT_WRITE, &pa));
		dev.silent = true;
		IS(env->ops->release(env->space, BASE, PAGE), VMT_ERR_DEVICE);
		assert_true(dev_counts(&dev).lost);
		assert_true(sim_frame_allocated(env->machine, pa, NULL));
		IS(dev_fault(&dev, BASE, VMT_READ), VMT_ERR_DEVICE);
		IS(env->ops->unmap(env->space, BASE, LENGTH), VMT_ERR_DEVICE);
		assert_true(sim_frame_allocated(env->machine, pa, NULL));
		dev.cached = dev.posted = 0; // it is reset
		OK(env->ops->mirror_destroy(dev.mirror));
		assert_false(sim_frame_allocated(env->machine, pa, NULL));
		dev_free(&dev);
	}
}

// It does not answer when the mirror ends.
static void silent_at_the_end(struct env *env)
{
	struct dev_config config = usual;
	struct dev dev;

	config.format = env->format;
	fill(env);
	dev_open(&dev, env, &config);
	touch_all(&dev);
	dev.silent = true;
	IS(env->ops->mirror_destroy(dev.mirror), VMT_ERR_DEVICE);
	assert_true(dev_counts(&dev).lost);
	IS(env->ops->release(env->space, BASE, PAGE), VMT_ERR_DEVICE);
	dev.cached = dev.posted = 0;
	OK(env->ops->mirror_destroy(dev.mirror));
	dev_free(&dev);
	OK(env->ops->unmap(env->space, BASE, LENGTH));
}

// ... or when the space does.
static void silent_at_the_exit(struct env *env)
{
	struct vmt_space *usual_space = env->space;
	struct dev_config config = usual;
	struct dev dev, other;

	config.format = env->format;
	env->space = env_new_space(env);
	sim_activate(env->cpu, env->space);
	fill(env);
	dev_open(&dev, env, &config);
	dev_open(&other, env, &config);
	touch_all(&dev);
	touch_all(&other);
	sim_activate(env->cpu, usual_space);
	dev.silent = true;
	IS(env->ops->space_destroy(env->space), VMT_ERR_DEVICE);
	dev.cached = dev.posted = 0;
	OK(env->ops->mirror_destroy(other.mirror));
	OK(env->ops->mirror_destroy(dev.mirror));
	OK(env->ops->space_destroy(env->space));
	dev_free(&dev);
	dev_free(&other);
	env->space = usual_space;
}

static const struct lib_case cases[] = {
	{.name = "each change, on demand", .run = on_demand}, {.name = "each change, eager", .run = eager},
	{.name = "each change, the space's tables", .run = shared}, {.name = "each change, commands", .run = commands},
	{.name = "bytes", .run = bytes}, {.name = "several pages", .run = several},
	{.name = "executes", .run = executes}, {.name = "exclusive", .run = exclusive},
	{.name = "several mirrors in a tree", .run = slots}, {.name = "refusals", .run = refusals},
	{.name = "the space goes first", .run = exits}, {.name = "the whole space", .run = whole},
	{.name = "not asked", .run = spared}, {.name = "told of tables", .run = told_of_tables},
	{.name = "silent", .run = silent}, {.name = "silent at the end", .run = silent_at_the_end},
	{.name = "silent at the exit", .run = silent_at_the_exit},
};

int main(int argc, char **argv)
{
	return lib_main("mirror", cases, sizeof(cases) / sizeof(*cases), argc, argv);
}

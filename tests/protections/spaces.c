// SPDX-License-Identifier: MIT
// Cases for protections of spaces. Each is the interleaving, or the sequence of calls, in which a protection matters; the
// MMU uses whatever it has cached whenever it can.
#include "lib.h"
#include "race.h"

#define RW (VMT_READ | VMT_WRITE)
#define A  GIB(4)
#define B  GIB(6)

#define MOVE_FIXED (VMT_MOVE_MAY_MOVE | VMT_MOVE_FIXED)

static struct env env;
static const struct sim_ops *ops;
static struct vmt_space *other, *child;
static struct vmt_object *object;
static uint64_t frame, taken;

static void begin(uint64_t seed)
{
	static const struct sim_hostility hostility = {.cached = 100, .negative = 100};

	env_open_with(&env, &(struct sim_config){.ops = sim_ops(TEST_FORMAT), .cpus = 2, .frames = 4096, .seed = seed,
						 .asids = 64, .hostility = &hostility});
	ops = env.ops;
}

static void leave(struct sim_cpu *cpu)
{
	sim_deactivate(cpu);
}

static void end(void)
{
	on_second(leave);
	demand(ops->check(env.space) == 0, "vmt_check found something");
	demand(sim_audit(env.machine) == 0, "a CPU has cached what the tables do not say");
	env_close(&env);
}

static void write_a(struct sim_cpu *cpu, uint64_t at, uint64_t value)
{
	sim_activate(cpu, env.space);
	OK(sim_write(cpu, at, 8, value));
}

static uint64_t read_a(struct sim_cpu *cpu, uint64_t at)
{
	uint64_t value = 0;

	sim_activate(cpu, env.space);
	OK(sim_read(cpu, at, 8, &value));
	return value;
}

static uint64_t read_child(uint64_t at)
{
	uint64_t value = 0;

	sim_activate(env.cpu, child);
	OK(sim_read(env.cpu, at, 8, &value));
	sim_activate(env.cpu, env.space);
	return value;
}

// What a CPU that has nothing cached finds.
static uint64_t frame_at(uint64_t at)
{
	struct vmt_translation translation;

	return ops->translate(env.space, at, &translation) == VMT_OK ? translation.pa : 0;
}

static _Atomic uint64_t *word_at(uint64_t pa)
{
	return vmt_port_frame_ptr(sim_port(env.machine), pa);
}

// Maps [A, A + length) and has CPU 0 write 1 to its first page.
static void begin_with_page(uint64_t seed, uint64_t length)
{
	begin(seed);
	lib_map(&env, A, length, RW, 0);
	lib_write(&env, A, 1);
	frame = frame_at(A);
}

static void second_reads(struct sim_cpu *cpu)
{
	read_a(cpu, A);
}

static void second_writes_2(struct sim_cpu *cpu)
{
	write_a(cpu, A, 2);
}

static void second_writes_pair(struct sim_cpu *cpu)
{
	write_a(cpu, A, 1);
	write_a(cpu, A + PAGE, 1);
	write_a(cpu, A + MIB(2), 1);
}

static void release_a(struct sim_cpu *cpu)
{
	(void)cpu;
	OK(ops->release(env.space, A, PAGE));
}

static void fork_it(struct sim_cpu *cpu)
{
	(void)cpu;
	OK(ops->space_fork(env.space, NULL, &child));
}

static void destroy_child(void)
{
	OK(ops->space_destroy(child));
	child = NULL;
}

// ---- Flushes -----------------------------------------------------------------------------------------------------

static void refill_and_read(struct sim_cpu *cpu)
{
	OK(ops->fault(env.space, A, VMT_WRITE, NULL));
	atomic_store_explicit(word_at(frame_at(A)), 2, memory_order_relaxed);
	demand(read_a(cpu, A) == 2, "a CPU reads the old page after a new one has taken its place");
}

static void late_flush(uint64_t seed)
{
	begin_with_page(seed, MIB(2));
	on_second(second_reads);
	race_run(&(struct race){.place = AT_FLUSH, .first = release_a, .between = refill_and_read});
	end();
}

static void unmap(uint64_t seed)
{
	begin_with_page(seed, MIB(2));
	OK(ops->unmap(env.space, A, PAGE));
	end();
}

static void unmap_table(uint64_t seed)
{
	begin_with_page(seed, GIB(1));
	OK(ops->unmap(env.space, A, GIB(1)));
	sim_grace_barrier(env.machine);
	end();
}

// 81 frames of no object, twice each: some are the entry's own when the list of the others is full a second time.
#define TWICE 81

static void overflow(uint64_t seed)
{
	begin(seed);
	OK(ops->object_create(env.vmt, TWICE * PAGE, NULL, NULL, &object));
	lib_map_object(&env, object, A, TWICE * PAGE, 0, RW, VMT_MAP_SHARED);
	lib_map_object(&env, object, A + TWICE * PAGE, TWICE * PAGE, 0, RW, VMT_MAP_SHARED);
	for (unsigned i = 0; i < 2 * TWICE; i++)
		lib_write(&env, A + i * PAGE, i);
	ops->object_set_size(object, 0);
	OK(ops->unmap(env.space, A, 2 * TWICE * PAGE));
	ops->object_put(object);
	end();
}

static void many_ranges(uint64_t seed)
{
	begin_with_page(seed, MIB(2));
	for (unsigned i = 0; i < 2 * VMT_FLUSH_RANGES + 4; i++)
		lib_write(&env, A + 2 * i * PAGE, i);
	OK(ops->unmap(env.space, A, MIB(2)));
	end();
}

static void move(uint64_t seed)
{
	uint64_t got, value;

	begin_with_page(seed, 2 * PAGE);
	lib_write(&env, A + PAGE, 1); // its table stays
	OK(ops->move(env.space, A, PAGE, PAGE, MOVE_FIXED, B, &got));
	demand(sim_read(env.cpu, A, 8, &value) == VMT_ERR_UNMAPPED, "the place that a page has left can be read");
	demand(lib_read(&env, B) == 1, "a page did not come along");
	end();
}

static void fork_and_write(uint64_t seed)
{
	begin_with_page(seed, MIB(2));
	fork_it(env.cpu);
	lib_write(&env, A, 2);
	demand(read_child(A) == 1, "what the parent writes shows in the child");
	destroy_child();
	end();
}

static void write_copy_and_read(struct sim_cpu *cpu)
{
	uint64_t copy = frame_at(A);

	if (!copy || copy == frame)
		return; // the copy cannot be reached yet
	atomic_store_explicit(word_at(copy), 7, memory_order_relaxed);
	demand(read_a(cpu, A) == 7, "a CPU reads the page that was shared after another has written the copy");
}

static void write_2(struct sim_cpu *cpu)
{
	write_a(cpu, A, 2);
}

static void copy(uint64_t seed)
{
	begin_with_page(seed, MIB(2));
	fork_it(env.cpu);
	on_second(second_reads);
	race_run(&(struct race){.place = AT_FLUSH, .first = write_2, .between = write_copy_and_read});
	destroy_child();
	end();
}

static void protect(uint64_t seed)
{
	begin_with_page(seed, MIB(2));
	OK(ops->protect(env.space, A, PAGE, VMT_READ));
	demand(sim_write(env.cpu, A, 8, 2) == VMT_ERR_ACCESS, "a page was written that may only be read");
	end();
}

static void first_touch(uint64_t seed)
{
	begin(seed);
	lib_map(&env, A, MIB(2), RW, 0);
	assert_int_equal(lib_read(&env, A), 0);
	end();
}

// ---- Lazy free ---------------------------------------------------------------------------------------------------

static void expect_kept(uint64_t value)
{
	ops->reclaim(env.space, UINT64_MAX);
	demand(lib_read(&env, A) == value, "a page was taken although it was written again");
}

static void begin_with_lazy(uint64_t seed)
{
	begin_with_page(seed, MIB(2));
	OK(ops->lazy_free(env.space, A, PAGE));
}

static void lazy_written(uint64_t seed)
{
	begin_with_lazy(seed);
	lib_write(&env, A, 2);
	expect_kept(2);
	end();
}

static void lazy_parked(uint64_t seed)
{
	begin_with_lazy(seed);
	lib_write(&env, A, 2);
	OK(ops->protect(env.space, A, PAGE, 0));
	OK(ops->protect(env.space, A, PAGE, VMT_READ));
	expect_kept(2);
	end();
}

static void lazy_taken(uint64_t seed)
{
	begin_with_lazy(seed);
	lib_read(&env, A);
	ops->reclaim(env.space, UINT64_MAX);
	demand(lib_read(&env, A) == 0, "a page was not taken");
	end();
}

static void lazy_reference(uint64_t seed)
{
	begin_with_lazy(seed);
	OK(ops->page_get(env.space, A, VMT_WRITE, &taken));
	atomic_store_explicit(word_at(taken), 44, memory_order_relaxed);
	ops->page_put(env.vmt, taken);
	expect_kept(44);
	end();
}

static void make_executable(struct sim_cpu *cpu)
{
	(void)cpu;
	OK(ops->protect(env.space, A, PAGE, VMT_RWX));
}

static void reclaim_it(struct sim_cpu *cpu)
{
	(void)cpu;
	ops->reclaim(env.space, 1);
}

// CPU 1 writes while CPU 0 has read the entry and not written it yet.
static void lazy_swap(uint64_t seed, void (*first)(struct sim_cpu *cpu))
{
	begin_with_lazy(seed);
	race_run(&(struct race){.place = AT_META, .frame = frame, .first = first, .between = second_writes_2});
	if (child)
		destroy_child();
	expect_kept(2);
	end();
}

static void lazy_protect(uint64_t seed)
{
	lazy_swap(seed, make_executable);
}

static void lazy_fork(uint64_t seed)
{
	lazy_swap(seed, fork_it);
}

static void lazy_reclaim(uint64_t seed)
{
	lazy_swap(seed, reclaim_it);
}

// ---- Generations -------------------------------------------------------------------------------------------------

static void begin_with_other(uint64_t seed)
{
	begin_with_page(seed, MIB(2));
	other = env_new_space(&env);
}

static void end_with_other(void)
{
	on_second(leave);
	OK(ops->space_destroy(other));
	end();
}

static void away_and_back(uint64_t seed)
{
	begin_with_other(seed);
	sim_activate(env.cpu, other);
	release_a(env.cpu);
	sim_activate(env.cpu, env.space);
	demand(lib_read(&env, A) == 0, "a CPU that comes back reads a page that was given back");
	end_with_other();
}

static void read_and_leave(struct sim_cpu *cpu)
{
	read_a(cpu, A);
	sim_deactivate(cpu);
}

static void come_back(struct sim_cpu *cpu)
{
	sim_activate(cpu, env.space);
}

static void back_during_flush(uint64_t seed)
{
	begin_with_other(seed);
	on_second(read_and_leave);
	race_run(&(struct race){.place = AT_FLUSH, .first = release_a, .between = come_back});
	end_with_other();
}

static void flush_during_return(uint64_t seed)
{
	begin_with_other(seed);
	on_second(second_reads);
	sim_activate(env.cpu, other);
	race_run(&(struct race){.place = AT_CPU, .first = come_back, .between = release_a});
	demand(lib_read(&env, A) == 0, "a CPU that comes back reads a page that was given back");
	end_with_other();
}

// ---- Forks -------------------------------------------------------------------------------------------------------

static void expect_cut(uint64_t a, uint64_t b)
{
	demand(read_child(a) >= read_child(b), "the child is a state that never was");
	destroy_child();
}

static void write_both_tables(struct sim_cpu *cpu)
{
	write_a(cpu, A, 2);
	write_a(cpu, A + MIB(2), 2);
}

// Between the copy of the table of A and that of the next one.
static void fork_cut(uint64_t seed)
{
	begin_with_page(seed, MIB(4));
	on_second(second_writes_pair);
	race_run(&(struct race){.place = AT_META, .after_flush = true, .first = fork_it, .between = write_both_tables});
	expect_cut(A, A + MIB(2));
	end();
}

static void write_both_pages(struct sim_cpu *cpu)
{
	write_a(cpu, A, 2);
	write_a(cpu, A + PAGE, 2);
}

static void fork_pinned(uint64_t seed)
{
	uint64_t pins[2];

	begin_with_page(seed, MIB(4));
	on_second(second_writes_pair);
	for (unsigned i = 0; i < 2; i++)
		OK(ops->page_pin(env.space, A + i * PAGE, VMT_WRITE, &pins[i]));
	race_run(&(struct race){.place = AT_META, .frame = pins[1], .first = fork_it, .between = write_both_pages});
	expect_cut(A, A + PAGE);
	for (unsigned i = 0; i < 2; i++)
		ops->page_unpin(env.vmt, pins[i]);
	end();
}

static void pin(uint64_t seed)
{
	begin_with_page(seed, MIB(2));
	OK(ops->page_pin(env.space, A, VMT_WRITE, &taken));
	fork_it(env.cpu);
	lib_write(&env, A, 2);
	demand(frame_at(A) == taken, "a pinned page has moved");
	demand(read_child(A) == 1, "what the parent writes shows in the child");
	ops->page_unpin(env.vmt, taken);
	destroy_child();
	end();
}

#define PART (A + MIB(512))

static void unmap_part(struct sim_cpu *cpu)
{
	(void)cpu;
	OK(ops->unmap(env.space, PART, MIB(256)));
	sim_grace_barrier(env.machine);
}

// An upper table with a marker in it and nothing below.
static void begin_with_part(uint64_t seed)
{
	begin(seed);
	lib_map(&env, PART, MIB(256), RW, 0);
	OK(ops->guard_install(env.space, PART, MIB(2)));
}

// A table becomes empty while a fork, which has copied the entry that leads to it, waits for its lock.
static void fork_and_fold(uint64_t seed)
{
	begin_with_part(seed);
	race_run(&(struct race){.place = AT_PUBLISH, .first = unmap_part, .between = fork_it});
	demand(ops->check(child) == 0, "vmt_check of the child");
	destroy_child();
	end();
}

// ---- Tables ------------------------------------------------------------------------------------------------------

static void unmap_far(struct sim_cpu *cpu)
{
	(void)cpu;
	OK(ops->unmap(env.space, GIB(20), GIB(2)));
}

// A table becomes empty while somebody else has the one above it.
static void fold_left(uint64_t seed)
{
	begin_with_part(seed);
	lib_map(&env, GIB(20), GIB(2), RW, 0);
	lib_write(&env, GIB(20), 1);
	race_run(&(struct race){.place = AT_FLUSH, .first = unmap_far, .between = unmap_part});
	demand(ops->check(env.space) == 0, "an empty table was left to nobody");
	end();
}

static void walk_far(struct sim_cpu *cpu)
{
	struct vmt_run run;

	(void)cpu;
	OK(ops->walk(env.space, GIB(20), GIB(22), &run));
}

// ... or looks at it.
static void fold_left_to_pin(uint64_t seed)
{
	begin_with_part(seed);
	race_run(&(struct race){.place = AT_EXIT, .first = walk_far, .between = unmap_part});
	demand(ops->check(env.space) == 0, "an empty table was left to nobody");
	end();
}

static void unmap_above(struct sim_cpu *cpu)
{
	(void)cpu;
	OK(ops->unmap(env.space, A, GIB(2)));
}

// CPU 0 has a table that becomes empty, and CPU 1 the one above it and waits for the first.
static void fold_and_unmap(uint64_t seed)
{
	begin_with_part(seed);
	race_run(&(struct race){.place = AT_PUBLISH, .first = unmap_part, .between = unmap_above});
	end();
}

static void reclaim_nothing(uint64_t seed)
{
	uint64_t value;

	begin_with_page(seed, MIB(2));
	ops->reclaim(env.space, 0);
	demand(sim_read(env.cpu, A, 8, &value) == VMT_OK && value == 1, "a table went with a page in it");
	end();
}

static void translate(struct sim_cpu *cpu)
{
	(void)cpu;
	frame_at(A);
}

static void unmap_under_reader(struct sim_cpu *cpu)
{
	(void)cpu;
	OK(ops->unmap(env.space, A, GIB(1)));
	demand(sim_frame_allocated(env.machine, race_frame(), NULL), "a table was freed while a reader stands in it");
}

static void reader(uint64_t seed)
{
	begin_with_page(seed, GIB(1));
	race_run(&(struct race){.place = AT_META, .first = translate, .between = unmap_under_reader});
	end();
}

// ---- References --------------------------------------------------------------------------------------------------

static void get_for_reading(struct sim_cpu *cpu)
{
	(void)cpu;
	OK(ops->page_get(env.space, A, VMT_READ, &taken));
}

static void reuse_frame(struct sim_cpu *cpu)
{
	release_a(cpu);
	for (uint64_t at = A + MIB(1); at < A + MIB(2); at += PAGE) {
		write_a(cpu, at, 5);
		if (frame_at(at) == frame)
			return;
	}
	demand(false, "the frame was not used again");
}

static void reference(uint64_t seed, void (*between)(struct sim_cpu *cpu))
{
	begin_with_page(seed, MIB(2));
	race_run(&(struct race){.place = AT_META, .frame = frame, .first = get_for_reading, .between = between});
	demand(taken != frame, "a reference leads to another page");
	ops->page_put(env.vmt, taken);
	end();
}

static void reference_reused(uint64_t seed)
{
	reference(seed, reuse_frame);
}

static void reference_freed(uint64_t seed)
{
	reference(seed, release_a);
}

static void get_new(struct sim_cpu *cpu)
{
	(void)cpu;
	OK(ops->page_get(env.space, A, VMT_WRITE, &taken));
	demand(sim_frame_allocated(env.machine, taken, NULL), "a reference on a free frame");
	ops->page_put(env.vmt, taken);
}

static bool a_is_there(void)
{
	return frame_at(A) != 0;
}

// The page is taken out of a table that was linked a moment ago.
static void reference_new(uint64_t seed)
{
	begin(seed);
	lib_map(&env, A, GIB(1), RW, 0);
	race_run(&(struct race){.place = AT_PUBLISH, .when = a_is_there, .first = get_new, .between = release_a});
	end();
}

// ---- Objects and moves -------------------------------------------------------------------------------------------

static void cut_and_extend(struct sim_cpu *cpu)
{
	(void)cpu;
	ops->object_set_size(object, 0);
	ops->object_set_size(object, MIB(1));
}

static void begin_with_object(uint64_t seed, const struct vmt_object_ops *object_ops)
{
	begin(seed);
	OK(ops->object_create(env.vmt, MIB(1), object_ops, NULL, &object));
	lib_map_object(&env, object, A, MIB(1), 0, RW, VMT_MAP_SHARED);
}

static void end_with_object(void)
{
	ops->object_put(object);
	end();
}

static void fault_a(struct sim_cpu *cpu)
{
	(void)cpu;
	OK(ops->fault(env.space, A, VMT_WRITE, NULL));
}

// A fault has the object's page in hand: the third section is that of its second look.
static void cut_object(uint64_t seed)
{
	begin_with_object(seed, NULL);
	race_run(&(struct race){.place = AT_READ, .skip = 2, .first = fault_a, .between = cut_and_extend});
	OK(ops->object_page(object, 0, true, &taken));
	demand(taken == frame_at(A), "the mapping shows another page than the object has");
	ops->page_put(env.vmt, taken);
	end_with_object();
}

static void look_up(struct sim_cpu *cpu)
{
	(void)cpu;
	demand(ops->object_page(object, 0, false, &taken) == VMT_ERR_NOT_PRESENT, "an object's page that is another's");
}

static void cut_and_reuse(struct sim_cpu *cpu)
{
	ops->object_set_size(object, 0);
	reuse_frame(cpu);
}

// The object's page becomes a page of anonymous memory while somebody is about to take a reference on it.
static void cut_under_reader(uint64_t seed)
{
	begin_with_object(seed, NULL);
	lib_map(&env, A + MIB(1), MIB(1), RW, 0);
	lib_write(&env, A, 1);
	frame = frame_at(A);
	race_run(&(struct race){.place = AT_META, .frame = frame, .first = look_up, .between = cut_and_reuse});
	end_with_object();
}

static enum vmt_status fill(void *owner, uint64_t index, void *page)
{
	(void)owner, (void)index, (void)page;
	race_here();
	return VMT_OK;
}

static void cut(struct sim_cpu *cpu)
{
	(void)cpu;
	ops->object_set_size(object, 0);
}

static void fault_on_cut(struct sim_cpu *cpu)
{
	(void)cpu;
	IS(ops->fault(env.space, A, VMT_WRITE, NULL), VMT_ERR_BUS);
}

static void cut_while_filled(uint64_t seed)
{
	static const struct vmt_object_ops filling = {.fill = fill};

	begin_with_object(seed, &filling);
	race_run(&(struct race){.place = AT_HERE, .first = fault_on_cut, .between = cut});
	demand(ops->object_pages(object) == 0, "an object has a page beyond its end");
	end_with_object();
}

static void move_a(struct sim_cpu *cpu)
{
	uint64_t got;

	(void)cpu;
	OK(ops->move(env.space, A, 2 * PAGE, 2 * PAGE, MOVE_FIXED, B, &got));
}

static void unmap_b(struct sim_cpu *cpu)
{
	(void)cpu;
	OK(ops->unmap(env.space, B, 2 * PAGE));
}

static void fork_now(struct sim_cpu *cpu)
{
	fork_it(cpu);
	demand(ops->check(child) == 0, "the child has what a move has claimed");
	destroy_child();
}

static void read_b(struct sim_cpu *cpu)
{
	uint64_t value;

	sim_activate(cpu, env.space);
	demand(sim_read(cpu, B + PAGE, 8, &value) == VMT_OK, "a fault where something is mapped before and after a move");
}

// B is mapped; after the first flush of the move it is claimed, nothing is locked, and there is one page.
static void moved_over(uint64_t seed, void (*between)(struct sim_cpu *cpu))
{
	begin_with_page(seed, 2 * PAGE);
	lib_map(&env, B, 2 * PAGE, RW, 0);
	race_run(&(struct race){.place = AT_READ, .after_flush = true, .first = move_a, .between = between});
	end();
}

static void move_and_unmap(uint64_t seed)
{
	moved_over(seed, unmap_b);
}

static void move_and_fork(uint64_t seed)
{
	moved_over(seed, fork_now);
}

static void move_and_read(uint64_t seed)
{
	moved_over(seed, read_b);
}

const struct protection_case space_cases[] = {
	{"late-flush", late_flush},
	{"unmap", unmap},
	{"unmap-table", unmap_table},
	{"overflow", overflow},
	{"many-ranges", many_ranges},
	{"move", move},
	{"fork-and-write", fork_and_write},
	{"copy", copy},
	{"protect", protect},
	{"first-touch", first_touch},
	{"lazy-written", lazy_written},
	{"lazy-parked", lazy_parked},
	{"lazy-taken", lazy_taken},
	{"lazy-reference", lazy_reference},
	{"lazy-protect", lazy_protect},
	{"lazy-fork", lazy_fork},
	{"lazy-reclaim", lazy_reclaim},
	{"away-and-back", away_and_back},
	{"back-during-flush", back_during_flush},
	{"flush-during-return", flush_during_return},
	{"fork-cut", fork_cut},
	{"fork-pinned", fork_pinned},
	{"pin", pin},
	{"fork-and-fold", fork_and_fold},
	{"fold-left", fold_left},
	{"fold-left-to-pin", fold_left_to_pin},
	{"fold-and-unmap", fold_and_unmap},
	{"reclaim-nothing", reclaim_nothing},
	{"reader", reader},
	{"reference-reused", reference_reused},
	{"reference-freed", reference_freed},
	{"reference-new", reference_new},
	{"cut-under-reader", cut_under_reader},
	{"cut-object", cut_object},
	{"cut-while-filled", cut_while_filled},
	{"move-and-unmap", move_and_unmap},
	{"move-and-fork", move_and_fork},
	{"move-and-read", move_and_read},
};

const unsigned space_case_count = sizeof(space_cases) / sizeof(*space_cases);

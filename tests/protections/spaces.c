// SPDX-License-Identifier: MIT
// Cases for what is flushed and whom a flush reaches, and for lazily freed pages; and what all cases of spaces share.
#include "spaces.h"

struct env env;
const struct sim_ops *ops;
struct vmt_space *child;
struct vmt_object *object;
uint64_t frame, taken;

static struct vmt_space *other;

void begin_with_frames(uint64_t seed, uint64_t frames)
{
	static const struct sim_hostility hostility = {.cached = 100, .negative = 100};

	env_open_with(&env, &(struct sim_config){.ops = sim_ops(TEST_FORMAT), .cpus = 2, .frames = frames, .seed = seed,
						 .asids = 64, .hostility = &hostility});
	ops = env.ops;
}

void begin(uint64_t seed)
{
	begin_with_frames(seed, 4096);
}

void leave(struct sim_cpu *cpu)
{
	sim_deactivate(cpu);
}

void end(void)
{
	on_second(leave);
	demand(ops->check(env.space) == 0, "vmt_check found something");
	demand(sim_audit(env.machine) == 0, "a CPU has cached what the tables do not say");
	env_close(&env);
}

void write_at(struct sim_cpu *cpu, uint64_t at, uint64_t value)
{
	sim_activate(cpu, env.space);
	OK(sim_write(cpu, at, 8, value));
}

uint64_t read_at(struct sim_cpu *cpu, uint64_t at)
{
	uint64_t value = 0;

	sim_activate(cpu, env.space);
	OK(sim_read(cpu, at, 8, &value));
	return value;
}

uint64_t read_child(uint64_t at)
{
	uint64_t value = 0;

	sim_activate(env.cpu, child);
	OK(sim_read(env.cpu, at, 8, &value));
	sim_activate(env.cpu, env.space);
	return value;
}

uint64_t frame_at(uint64_t at)
{
	struct vmt_translation translation;

	return ops->translate(env.space, at, &translation) == VMT_OK ? translation.pa : 0;
}

_Atomic uint64_t *word_at(uint64_t pa)
{
	return vmt_port_frame_ptr(sim_port(env.machine), pa);
}

void begin_with_page(uint64_t seed, uint64_t length)
{
	begin(seed);
	lib_map(&env, A, length, RW, 0);
	lib_write(&env, A, 1);
	frame = frame_at(A);
}

void second_reads(struct sim_cpu *cpu)
{
	read_at(cpu, A);
}

void release_a(struct sim_cpu *cpu)
{
	(void)cpu;
	OK(ops->release(env.space, A, PAGE));
}

void fork_it(struct sim_cpu *cpu)
{
	(void)cpu;
	OK(ops->space_fork(env.space, NULL, &child));
}

void destroy_child(void)
{
	OK(ops->space_destroy(child));
	child = NULL;
}

// ---- Flushes -----------------------------------------------------------------------------------------------------

static void refill_and_read(struct sim_cpu *cpu)
{
	OK(ops->fault(env.space, A, VMT_WRITE, NULL));
	atomic_store_explicit(word_at(frame_at(A)), 2, memory_order_relaxed);
	demand(read_at(cpu, A) == 2, "a CPU reads the old page after a new one has taken its place");
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
	demand(read_at(cpu, A) == 7, "a CPU reads the old page after another has written the copy");
}

static void write_2(struct sim_cpu *cpu)
{
	write_at(cpu, A, 2);
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

static void second_writes_2(struct sim_cpu *cpu)
{
	write_at(cpu, A, 2);
}

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
	read_at(cpu, A);
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

const struct protection_case space_cases[] = {
	{"late-flush", late_flush},
	{"unmap", unmap},
	{"unmap-table", unmap_table},
	{"r18-overflow", overflow},
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
	{"r05-back-during-flush", back_during_flush},
	{"r15-flush-during-return", flush_during_return},
};

const unsigned space_case_count = sizeof(space_cases) / sizeof(*space_cases);

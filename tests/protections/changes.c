// SPDX-License-Identifier: MIT
// Cases for forks, tables, references, objects and moves: the interleaving in which a protection matters.
#include "spaces.h"

// ---- Forks -------------------------------------------------------------------------------------------------------

static void second_writes_pair(struct sim_cpu *cpu)
{
	write_at(cpu, A, 1);
	write_at(cpu, A + PAGE, 1);
	write_at(cpu, A + MIB(2), 1);
}

static void expect_cut(uint64_t a, uint64_t b)
{
	demand(read_child(a) >= read_child(b), "the child is a state that never was");
	destroy_child();
}

static void write_both_tables(struct sim_cpu *cpu)
{
	write_at(cpu, A, 2);
	write_at(cpu, A + MIB(2), 2);
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
	write_at(cpu, A, 2);
	write_at(cpu, A + PAGE, 2);
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
	atomic_store_explicit(word_at(taken), 3, memory_order_relaxed);
	demand(lib_read(&env, A) == 3, "what a device wrote to a pinned page is lost");
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
		write_at(cpu, at, 5);
		if (frame_at(at) == frame)
			return;
	}
	demand(false, "the frame was not used again");
}

static void reference(uint64_t seed, void (*between)(struct sim_cpu *cpu))
{
	begin_with_page(seed, MIB(2));
	race_run(&(struct race){.place = AT_META, .frame = frame, .first = get_for_reading, .between = between});
	race_on_meta = NULL;
	demand(taken != frame, "a reference leads to another page");
	ops->page_put(env.vmt, taken);
	end();
}

static void reference_reused(uint64_t seed)
{
	reference(seed, reuse_frame);
}

static void frame_is_gone(uint64_t pa)
{
	demand(pa != frame, "a reference was taken on a page that is free");
}

static void free_frame(struct sim_cpu *cpu)
{
	release_a(cpu);
	race_on_meta = frame_is_gone;
}

// Who has looked for the metadata of the page before it was freed does not come back to it.
static void reference_freed(uint64_t seed)
{
	reference(seed, free_frame);
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
	race_at(AT_HERE);
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
	demand(sim_read(cpu, B + PAGE, 8, &value) == VMT_OK,
	       "a fault where something is mapped before and after a move");
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

// The table of A is linked at B while CPU 0 has found it on its way to A, and not locked it, or looked into it, yet.
static uint64_t table;

static void note_table(uint64_t pa)
{
	table = pa;
}

static void table_moved_under(uint64_t seed, unsigned skip, void (*first)(struct sim_cpu *cpu),
			      void (*between)(struct sim_cpu *cpu))
{
	begin_with_page(seed, MIB(2));
	race_on_meta = note_table;
	demand(frame_at(A) == frame, "a page is not where it was");
	race_on_meta = NULL;
	race_run(&(struct race){.place = AT_META, .frame = table, .skip = skip, .first = first, .between = between});
	end();
}

static void move_table(void)
{
	uint64_t got;

	OK(ops->move(env.space, A, MIB(2), MIB(2), MOVE_FIXED, B, &got));
}

static void move_and_protect(struct sim_cpu *cpu)
{
	(void)cpu;
	move_table();
	OK(ops->protect(env.space, B, MIB(2), VMT_READ));
}

static void write_next(struct sim_cpu *cpu)
{
	demand(sim_write(cpu, A + PAGE, 8, 2) == VMT_ERR_UNMAPPED, "a fault meets what is at the new place of a table");
}

// Once the fault has made its guess, which takes no lock.
static void table_moved_under_fault(uint64_t seed)
{
	table_moved_under(seed, 1, write_next, move_and_protect);
}

static void move_and_replace(struct sim_cpu *cpu)
{
	move_table();
	OK(ops->release(env.space, B, PAGE));
	write_at(cpu, B + PAGE, 2); // gets the frame, so that another one comes to B
	write_at(cpu, B, 3);
}

static void translate_a(struct sim_cpu *cpu)
{
	(void)cpu;
	demand(frame_at(A) == 0, "a translation leads to a page of another address");
}

static void table_moved_under_reader(uint64_t seed)
{
	table_moved_under(seed, 0, translate_a, move_and_replace);
}

// Two tables, each with a page, whose pages go to others one by one; memory runs out at each allocation in turn.
static void move_out_of_memory(uint64_t seed)
{
	enum vmt_status status = VMT_ERR_NO_MEMORY;
	uint64_t got, to = B + PAGE;

	begin_with_page(seed, MIB(4));
	lib_map(&env, to, MIB(4), RW, 0);
	lib_write(&env, A + MIB(2), 2);
	for (unsigned n = 1; status == VMT_ERR_NO_MEMORY; n++) {
		sim_fail_nth(env.machine, SIM_FAIL_FRAME | SIM_FAIL_MEM, n, UINT64_MAX - n);
		status = ops->move(env.space, A, MIB(4), MIB(4), MOVE_FIXED, to, &got);
		sim_fail_nth(env.machine, 0, 0, 0);
		if (status == VMT_ERR_NO_MEMORY) {
			OK(ops->unmap(env.space, to, MIB(4)));
			lib_map(&env, to, MIB(4), RW, 0);
			demand(lib_read(&env, A) == 1 && lib_read(&env, A + MIB(2)) == 2,
			       "a move that failed has lost a page");
		}
	}
	OK(status);
	demand(lib_read(&env, to) == 1 && lib_read(&env, to + MIB(2)) == 2, "a move has lost a page");
	end();
}

const struct protection_case change_cases[] = {
	{"r25-fork-cut", fork_cut},
	{"fork-pinned", fork_pinned},
	{"r26-pin", pin},
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
	{"r21-fault", table_moved_under_fault},
	{"r21-reader", table_moved_under_reader},
	{"r17-move-out-of-memory", move_out_of_memory},
};

const unsigned change_case_count = sizeof(change_cases) / sizeof(*change_cases);

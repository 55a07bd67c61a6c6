// SPDX-License-Identifier: MIT
// Several CPUs in one space. What each scenario demands is weaker than a sequence, and real: a page reads as zero or as
// something that was written to it, a counter loses no increment, a child of fork is a state that existed. The hostile
// MMU adds that nothing is reached through what is stale, and the close of the environment that nothing leaked.
#include "hammer.h"

#define PAGES  512

// ---- Disjoint ranges: everything is exact ------------------------------------------------------------------------

static void disjoint_round(struct sim_cpu *cpu, struct world *w, unsigned number, uint64_t base, unsigned n)
{
	const struct sim_ops *ops = w->env->ops;
	struct vmt_space *space = w->env->space;
	unsigned pages = 1 + (unsigned)random_below(cpu, 24), i = (unsigned)random_below(cpu, pages);
	uint64_t at = base + random_below(cpu, PAGES - pages) * PAGE, value, got;

	map_fixed(cpu, w, at, pages * PAGE, 0);
	for (unsigned k = 0; k < pages; k++)
		expect(cpu, sim_write(cpu, at + k * PAGE, 8, stamp(number, at, n + k)), VMT_OK, at, "write");
	expect(cpu, ops->protect(space, at, pages * PAGE, random_below(cpu, 2) ? 0 : VMT_READ), VMT_OK, at, "protect");
	expect(cpu, sim_write(cpu, at + i * PAGE, 8, 1), VMT_ERR_ACCESS, at, "write to a protected page");
	expect(cpu, ops->protect(space, at, pages * PAGE, RW), VMT_OK, at, "protect");
	for (unsigned k = 0; k < pages; k++) {
		expect(cpu, sim_read(cpu, at + k * PAGE, 8, &value), VMT_OK, at, "read");
		demand(cpu, value == stamp(number, at, n + k), at + k * PAGE, "other bytes than were written");
	}
	expect(cpu, ops->release(space, at + i * PAGE, PAGE), VMT_OK, at, "release");
	expect(cpu, sim_read(cpu, at + i * PAGE, 8, &value), VMT_OK, at, "read");
	demand(cpu, value == 0, at + i * PAGE, "a released page is not zero");
	expect(cpu, ops->guard_install(space, at, PAGE), VMT_OK, at, "guard");
	expect(cpu, sim_read(cpu, at, 8, &value), VMT_ERR_GUARD, at, "read of a guard");
	expect(cpu, ops->unmap(space, at, pages * PAGE), VMT_OK, at, "unmap");
	expect(cpu, sim_read(cpu, at + i * PAGE, 8, &value), VMT_ERR_UNMAPPED, at, "read");
	expect(cpu, ops->map(space, &(struct vmt_map_request){.length = pages * PAGE, .prot = RW}, &got), VMT_OK, 0,
	       "map anywhere");
	expect(cpu, sim_read(cpu, got, 8, &value), VMT_OK, got, "read");
	demand(cpu, value == 0, got, "fresh memory is not zero");
	expect(cpu, sim_write(cpu, got, 8, stamp(number, got, n)), VMT_OK, got, "write");
	expect(cpu, ops->unmap(space, got, pages * PAGE), VMT_OK, got, "unmap");
}

// Neighbouring ranges: each CPU has 2 MiB that begin in the middle of a table.
static void disjoint(struct sim_cpu *cpu, struct world *w, unsigned number)
{
	for (unsigned n = 0; n < w->rounds; n++)
		disjoint_round(cpu, w, number, REGION + number * MIB(2), n);
}

// ---- Overlapping ranges: whatever goes ---------------------------------------------------------------------------

static void overlap_range(struct sim_cpu *cpu, struct world *w, unsigned what, uint64_t at, uint64_t length)
{
	const struct sim_ops *ops = w->env->ops;
	struct vmt_space *space = w->env->space;
	unsigned part = BIT(VMT_OK) | BIT(VMT_ERR_UNMAPPED);
	uint64_t got, pa;

	if (what == 0)
		map_fixed(cpu, w, at, length, 0);
	else if (what == 1)
		expect(cpu, ops->unmap(space, at, length), VMT_OK, at, "unmap");
	else if (what == 2)
		expect_one_of(cpu, ops->protect(space, at, length, (vmt_prot)random_below(cpu, 8)), part, at,
			      "protect");
	else if (what == 3)
		expect_one_of(cpu, ops->release(space, at, length), part, at, "release");
	else if (what == 4)
		expect_one_of(cpu, ops->lazy_free(space, at, length), part, at, "lazy free");
	else if (what == 5)
		expect_one_of(cpu, ops->guard_install(space, at, length), part, at, "guard");
	else if (what == 6)
		expect_one_of(cpu, ops->guard_remove(space, at, length), part, at, "no guard");
	else if (what == 7)
		expect_one_of(cpu, ops->populate(space, at, length, NULL), GONE, at, "populate");
	else if (what == 8)
		ops->reclaim(space, 8);
	else if (what == 9)
		expect_one_of(cpu, ops->move(space, at, length, length + PAGE, 0, 0, &got),
			   part | BIT(VMT_ERR_EXISTS) | BIT(VMT_ERR_RETRY), at, "grow");
	else if (ops->page_get(space, at, VMT_READ, &pa) == VMT_OK)
		ops->page_put(w->env->vmt, pa);
}

static void overlap(struct sim_cpu *cpu, struct world *w, unsigned number)
{
	for (unsigned n = 0; n < 8 * w->rounds; n++) {
		uint64_t at = REGION + random_below(cpu, PAGES) * PAGE, value;
		enum vmt_status status;

		if (random_below(cpu, 3) == 0) {
			overlap_range(cpu, w, (unsigned)random_below(cpu, 11), at,
				      (1 + random_below(cpu, random_below(cpu, 4) ? 8 : 300)) * PAGE);
			continue;
		}
		status = sim_write(cpu, at, 8, stamp(number, at, n));
		expect_one_of(cpu, status, GONE, at, "write");
		at = REGION + random_below(cpu, PAGES) * PAGE;
		status = sim_read(cpu, at, 8, &value);
		expect_one_of(cpu, status, GONE, at, "read");
		if (status == VMT_OK)
			demand(cpu, stamped(value, at), at, "a page holds what nobody wrote to it");
	}
}

// ---- Counters in shared memory, while their mappings come and go -------------------------------------------------

static void counters(struct sim_cpu *cpu, struct world *w, unsigned number)
{
	uint64_t base = REGION + number * MIB(2) + number * PAGE;
	uint64_t sum = 0;

	for (unsigned n = 0; n < 2 * w->rounds; n++) {
		struct vmt_map_request request = {.addr = base, .length = 16 * PAGE, .prot = RW, .object = w->object,
						  .flags = VMT_MAP_FIXED | VMT_MAP_SHARED};
		uint64_t got;

		expect(cpu, w->env->ops->map(w->env->space, &request, &got), VMT_OK, base, "map");
		for (unsigned i = 0; i < 8; i++) {
			uint64_t at = base + random_below(cpu, 16) * PAGE, delta = random_below(cpu, 100);

			expect(cpu, sim_add(cpu, at, delta, NULL), VMT_OK, at, "add");
			sum += delta;
		}
		if (n % 3 == 0)
			expect(cpu, w->env->ops->release(w->env->space, base, 8 * PAGE), VMT_OK, base, "release");
		if (n % 5 == 0)
			expect(cpu, w->env->ops->unmap(w->env->space, base, 16 * PAGE), VMT_OK, base, "unmap");
	}
	atomic_fetch_add_explicit(&w->sum, sum, memory_order_relaxed);
}

static uint64_t counters_total(struct world *w)
{
	uint64_t total = 0, pa;

	for (unsigned i = 0; i < 16; i++) {
		if (w->env->ops->object_page(w->object, i, false, &pa) != VMT_OK)
			continue;
		total += *(uint64_t *)vmt_port_frame_ptr(sim_port(w->env->machine), pa);
		w->env->ops->page_put(w->env->vmt, pa);
	}
	return total;
}

static void counters_judge(struct world *w)
{
	if (counters_total(w) != atomic_load_explicit(&w->sum, memory_order_relaxed))
		wrong(w->env->cpu, 0, "increments were lost");
}

// ---- Fork while others write pairs -------------------------------------------------------------------------------

#define PAIRS	4
#define PAIR_A(i) (REGION + (i) * 7 * PAGE)		// in one table
#define PAIR_B(i) (REGION + MIB(3) + (i) * 5 * PAGE)	// in another

// Writes a, then b. A state that existed has b <= a <= b + 1.
static void pairs_write(struct sim_cpu *cpu, struct world *w, unsigned number)
{
	bool forward = number % 2;

	for (uint64_t n = 1; atomic_load_explicit(&w->busy, memory_order_acquire); n++) {
		uint64_t a = PAIR_A(number), b = PAIR_B(number);

		expect(cpu, sim_write(cpu, forward ? a : b, 8, n), VMT_OK, a, "write");
		expect(cpu, sim_write(cpu, forward ? b : a, 8, n), VMT_OK, b, "write");
	}
}

static void pairs_look(struct sim_cpu *cpu, unsigned i)
{
	uint64_t a, b;

	expect(cpu, sim_read(cpu, PAIR_A(i), 8, &a), VMT_OK, PAIR_A(i), "read");
	expect(cpu, sim_read(cpu, PAIR_B(i), 8, &b), VMT_OK, PAIR_B(i), "read");
	if (!(i % 2)) { // this one writes b first
		uint64_t swap = a;

		a = b;
		b = swap;
	}
	demand(cpu, b <= a && a <= b + 1, PAIR_A(i), "the child is a state that never was");
}

static void pairs_fork(struct sim_cpu *cpu, struct world *w)
{
	const struct sim_ops *ops = w->env->ops;

	for (unsigned n = 0; n < w->rounds; n++) {
		struct vmt_space *child, *grandchild;

		expect(cpu, ops->space_fork(w->env->space, NULL, &child), VMT_OK, 0, "fork");
		sim_activate(cpu, child);
		for (unsigned i = 1; i < PAIRS; i++)
			pairs_look(cpu, i);
		expect(cpu, sim_write(cpu, PAIR_A(1), 8, 5), VMT_OK, PAIR_A(1), "write");
		if (n % 4 == 0) {
			expect(cpu, ops->space_fork(child, NULL, &grandchild), VMT_OK, 0, "fork");
			sim_activate(cpu, grandchild);
			pairs_look(cpu, 2);
			sim_activate(cpu, w->env->space);
			demand(cpu, ops->check(grandchild) == 0, 0, "vmt_check of the grandchild");
			expect(cpu, ops->space_destroy(grandchild), VMT_OK, 0, "destroy");
		}
		sim_activate(cpu, w->env->space);
		demand(cpu, ops->check(child) == 0, 0, "vmt_check of the child");
		expect(cpu, ops->space_destroy(child), VMT_OK, 0, "destroy");
	}
	atomic_store_explicit(&w->busy, 0, memory_order_release);
}

static void pairs(struct sim_cpu *cpu, struct world *w, unsigned number)
{
	if (number == 0)
		pairs_fork(cpu, w);
	else
		pairs_write(cpu, w, number);
}

// ---- Fold against fault ------------------------------------------------------------------------------------------

// All CPUs in one table that is empty most of the time.
static void fold_storm(struct sim_cpu *cpu, struct world *w, unsigned number)
{
	uint64_t own = GIB(2) + number * 3 * PAGE, value;

	for (unsigned n = 0; n < 6 * w->rounds; n++) {
		expect(cpu, sim_write(cpu, own, 8, n + 1), VMT_OK, own, "write");
		expect(cpu, sim_read(cpu, own, 8, &value), VMT_OK, own, "read");
		demand(cpu, value == n + 1, own, "a fold has taken a page along");
		expect(cpu, w->env->ops->release(w->env->space, own, PAGE), VMT_OK, own, "release");
		if (n % 8 == number)
			w->env->ops->reclaim(w->env->space, 1); // kept tables too
		if (n % 16 == number) {
			expect(cpu, w->env->ops->guard_install(w->env->space, GIB(2) + MIB(2), MIB(2)), VMT_OK, 0,
			       "guard");
			expect(cpu, w->env->ops->guard_remove(w->env->space, GIB(2) + MIB(2), MIB(2)), VMT_OK, 0,
			       "no guard");
		}
	}
}

// Tables of many places empty while others stand on their parents: whoever could not fold leaves word, and at the end
// all is folded but what CPUs keep. vmt_check counts.
static void fold_marks(struct sim_cpu *cpu, struct world *w, unsigned number)
{
	for (unsigned n = 0; n < 8 * w->rounds; n++) {
		uint64_t at = GIB(2) + random_below(cpu, 2) * MIB(512) + random_below(cpu, 16) * MIB(2);
		struct vmt_area area;

		if (number > 1) {
			for (unsigned i = 0; i < 4; i++)
				w->env->ops->area_find(w->env->space, at + MIB(64), &area);
			continue;
		}
		at += number * PAGE;
		expect(cpu, sim_write(cpu, at, 8, 1), VMT_OK, at, "write");
		expect(cpu, w->env->ops->release(w->env->space, at, PAGE), VMT_OK, at, "release");
	}
}

// ---- Protect against write, references against zap, moves, lists -------------------------------------------------

static void protect_writer(struct sim_cpu *cpu, struct world *w, unsigned number)
{
	const struct sim_ops *ops = w->env->ops;
	uint64_t base = REGION, value, last = 0;

	for (unsigned n = 0; n < 6 * w->rounds; n++) {
		uint64_t at = base + random_below(cpu, 4) * PAGE + 8 * number;

		if (number == 0) {
			expect(cpu, ops->protect(w->env->space, base, 4 * PAGE, (vmt_prot[]){0, VMT_READ, RW}[n % 3]),
			       VMT_OK, base, "protect");
			continue;
		}
		at = base + 8 * number; // its own word of a page that all have
		if (sim_write(cpu, at, 8, n + 1) == VMT_OK)
			last = n + 1;
		if (sim_read(cpu, at, 8, &value) == VMT_OK)
			demand(cpu, value == last, at, "a write was lost to a change of permissions");
	}
}

static void references(struct sim_cpu *cpu, struct world *w, unsigned number)
{
	const struct sim_ops *ops = w->env->ops;

	for (unsigned n = 0; n < 6 * w->rounds; n++) {
		uint64_t at = REGION + random_below(cpu, 8) * PAGE, pa, value;
		bool pin = n % 2;

		if (number == 0) {
			expect(cpu, ops->release(w->env->space, REGION, 8 * PAGE), VMT_OK, REGION, "release");
			continue;
		}
		expect(cpu, (pin ? ops->page_pin : ops->page_get)(w->env->space, at, VMT_WRITE, &pa), VMT_OK, at,
		       "page");
		demand(cpu, sim_frame_allocated(w->env->machine, pa, NULL), at, "a reference on a free frame");
		// Another thread of the program may be writing it.
		value = atomic_load_explicit((_Atomic uint64_t *)vmt_port_frame_ptr(sim_port(w->env->machine), pa),
					     memory_order_relaxed);
		demand(cpu, stamped(value, at), at, "a reference leads to another page");
		atomic_store_explicit((_Atomic uint64_t *)vmt_port_frame_ptr(sim_port(w->env->machine), pa),
				      stamp(number, at, n), memory_order_relaxed);
		(pin ? ops->page_unpin : ops->page_put)(w->env->vmt, pa);
	}
}

#define PLACE_A (REGION + 3 * PAGE)
#define PLACE_B (GIB(3) - 5 * PAGE)

static void moves(struct sim_cpu *cpu, struct world *w, unsigned number)
{
	const struct sim_ops *ops = w->env->ops;
	uint64_t value, got;

	for (unsigned n = 0; n < 3 * w->rounds; n++) {
		uint64_t page = random_below(cpu, 10);

		if (number == 0) {
			expect(cpu, ops->move(w->env->space, n % 2 ? PLACE_B : PLACE_A, 10 * PAGE, 10 * PAGE,
					      VMT_MOVE_MAY_MOVE | VMT_MOVE_FIXED, n % 2 ? PLACE_A : PLACE_B, &got),
			       VMT_OK, PLACE_A, "move");
			continue;
		}
		for (unsigned k = 0; k < 2; k++) {
			uint64_t at = (k ? PLACE_B : PLACE_A) + page * PAGE;

			if (sim_read(cpu, at, 8, &value) == VMT_OK)
				demand(cpu, value == 1000 + page, at, "a move has brought another page");
		}
	}
	if (number == 0 && 3 * w->rounds % 2)
		expect(cpu, ops->move(w->env->space, PLACE_B, 10 * PAGE, 10 * PAGE, 3, PLACE_A, &got), VMT_OK, 0,
		       "move");
}

static void lists(struct sim_cpu *cpu, struct world *w, unsigned number)
{
	const struct sim_ops *ops = w->env->ops;

	if (number > 1) {
		overlap(cpu, w, number);
		return;
	}
	for (unsigned n = 0; n < 2 * w->rounds; n++) {
		struct vmt_translation translation;
		uint64_t at = SPACE_START;
		struct vmt_area area;
		struct vmt_run run;

		for (unsigned k = 0; k < 1000 && ops->area_find(w->env->space, at, &area) == VMT_OK; k++) {
			demand(cpu, area.end > area.start && area.end > at, at, "an area that goes backwards");
			demand(cpu, !((area.start | area.end) & VMT_PAGE_MASK), at, "an area with odd edges");
			at = area.end;
		}
		for (at = REGION; at < REGION + PAGES * PAGE; at = run.end) {
			expect(cpu, ops->walk(w->env->space, at, REGION + PAGES * PAGE, &run), VMT_OK, at, "walk");
			demand(cpu, run.start == at && run.end > at, at, "a run that does not go on");
			ops->translate(w->env->space, at, &translation);
		}
	}
}

static void lazy_storm(struct sim_cpu *cpu, struct world *w, unsigned number)
{
	const struct sim_ops *ops = w->env->ops;
	uint64_t base = REGION + number * 16 * PAGE, value;

	for (unsigned n = 0; n < 3 * w->rounds; n++) {
		uint64_t at = base + random_below(cpu, 16) * PAGE;

		if (number == 0) {
			ops->reclaim(w->env->space, 16);
			continue;
		}
		expect(cpu, sim_write(cpu, at, 8, n + 1), VMT_OK, at, "write");
		expect(cpu, ops->lazy_free(w->env->space, base, 16 * PAGE), VMT_OK, base, "lazy free");
		expect(cpu, sim_read(cpu, at, 8, &value), VMT_OK, at, "read");
		demand(cpu, value == 0 || value == n + 1, at, "a lazily freed page has other bytes");
		expect(cpu, sim_write(cpu, at + 8, 8, n + 1), VMT_OK, at, "write");
		expect(cpu, sim_read(cpu, at + 8, 8, &value), VMT_OK, at, "read");
		demand(cpu, value == n + 1, at, "a page was taken although it was written again");
	}
}

// A file that is cut and extended while others use it.
static void truncate_storm(struct sim_cpu *cpu, struct world *w, unsigned number)
{
	const struct sim_ops *ops = w->env->ops;

	for (unsigned n = 0; n < 30 * w->rounds; n++) {
		uint64_t at = REGION + random_below(cpu, 16) * PAGE, value;
		unsigned may = BIT(VMT_OK) | BIT(VMT_ERR_BUS);

		if (number == 0) {
			ops->object_set_size(w->object, random_below(cpu, 16) * PAGE);
			ops->release(w->env->space, REGION, 16 * PAGE);
			ops->object_set_size(w->object, 16 * PAGE);
			continue;
		}
		expect_one_of(cpu, sim_write(cpu, at, 8, stamp(number, at, n)), may, at, "write");
		if (sim_read(cpu, at, 8, &value) == VMT_OK)
			demand(cpu, stamped(value, at), at, "a page of the file holds what nobody wrote");
	}
	sim_barrier_wait(cpu, &w->barrier, CPUS);
	// All is quiet: everybody sees one and the same file.
	for (unsigned i = number; number && i < 16; i += CPUS - 1) {
		uint64_t at = REGION + i * PAGE, pa, value;

		expect(cpu, sim_write(cpu, at, 8, stamp(number, at, i)), VMT_OK, at, "write");
		expect(cpu, ops->object_page(w->object, i, false, &pa), VMT_OK, at, "page of the file");
		value = *(uint64_t *)vmt_port_frame_ptr(sim_port(w->env->machine), pa);
		ops->page_put(w->env->vmt, pa);
		demand(cpu, value == stamp(number, at, i), at, "the mapping shows another page than the file has");
	}
}

// ---- Frames that change their place --------------------------------------------------------------------------------

// Pages are given back and their frames come to other addresses at once: a reference that was taken without a lock
// never leads there (races.md 22). CPUs 0 and 1 give back, the others look.
static void reused(struct sim_cpu *cpu, struct world *w, unsigned number)
{
	const struct sim_ops *ops = w->env->ops;

	for (unsigned n = 0; n < 20 * w->rounds; n++) {
		uint64_t at = REGION + random_below(cpu, 6) * PAGE, pa, value;

		if (number < 2) {
			expect(cpu, sim_write(cpu, at, 8, stamp(number, at, n)), VMT_OK, at, "write");
			at = REGION + random_below(cpu, 6) * PAGE;
			expect(cpu, ops->release(w->env->space, at, PAGE), VMT_OK, at, "release");
			continue;
		}
		expect(cpu, ops->page_get(w->env->space, at, VMT_READ, &pa), VMT_OK, at, "get");
		// Relaxed: a program writes it meanwhile.
		value = atomic_load_explicit((_Atomic uint64_t *)vmt_port_frame_ptr(sim_port(w->env->machine), pa),
					     memory_order_relaxed);
		ops->page_put(w->env->vmt, pa);
		demand(cpu, stamped(value, at), at, "a reference leads to another page");
	}
}

// ---- CPUs that change between spaces -----------------------------------------------------------------------------

// What a CPU kept of a space that it is not using now is flushed when it comes back (races.md 5, 15).
static void switching(struct sim_cpu *cpu, struct world *w, unsigned number)
{
	struct vmt_space *spaces[2] = {w->env->space, w->second};

	for (unsigned i = 0; i < 2; i++)
		expect(cpu, w->env->ops->map(spaces[i], &(struct vmt_map_request){
			.addr = REGION + number * 4 * PAGE, .length = 4 * PAGE, .prot = RW, .flags = VMT_MAP_FIXED},
			&(uint64_t){0}), VMT_OK, 0, "map");
	sim_barrier_wait(cpu, &w->barrier, CPUS);
	for (unsigned n = 0; n < 4 * w->rounds; n++) {
		unsigned there = (unsigned)random_below(cpu, 2);

		sim_activate(cpu, spaces[n % 2]);
		for (unsigned i = 0; i < 3; i++) {
			uint64_t at = REGION + random_below(cpu, 4 * CPUS) * PAGE, value;

			expect(cpu, sim_read(cpu, at, 8, &value), VMT_OK, at, "read");
			demand(cpu, value == 0 || (stamped(value, at) && (value & 1) == n % 2), at,
			       "a page of the other space");
			expect(cpu, sim_write(cpu, at, 8, stamp(number, at, 2 * n + n % 2)), VMT_OK, at, "write");
			at = REGION + random_below(cpu, 4 * CPUS) * PAGE;
			expect(cpu, w->env->ops->release(spaces[there], at, PAGE), VMT_OK, at, "release");
		}
	}
	sim_barrier_wait(cpu, &w->barrier, CPUS);
	sim_activate(cpu, w->env->space);
}

// ---- Order across a copy -----------------------------------------------------------------------------------------

#define FIRST  REGION
#define SECOND (REGION + MIB(2))

// One writes FIRST, then SECOND, while fork makes both read-only and another CPU's faults copy FIRST: who has seen the
// new SECOND sees the new FIRST. No CPU may write the copy while another still reads the page that it replaces.
static void in_order(struct sim_cpu *cpu, struct world *w, unsigned number)
{
	struct vmt_space *child = NULL, *old;
	uint64_t x, y;

	for (unsigned n = 0; number == 0 && n < 2 * w->rounds; n++) {
		old = child;
		expect(cpu, w->env->ops->space_fork(w->env->space, NULL, &child), VMT_OK, 0, "fork");
		if (old)
			expect(cpu, w->env->ops->space_destroy(old), VMT_OK, 0, "destroy");
		for (unsigned i = 0; i < 20; i++)
			sim_poll(cpu);
	}
	if (number == 0) {
		expect(cpu, w->env->ops->space_destroy(child), VMT_OK, 0, "destroy");
		atomic_store_explicit(&w->busy, 0, memory_order_release);
	}
	for (uint64_t n = 1; number && atomic_load_explicit(&w->busy, memory_order_acquire); n++) {
		if (number == 1) {
			expect(cpu, sim_write(cpu, FIRST, 8, n), VMT_OK, FIRST, "write");
			expect(cpu, sim_write(cpu, SECOND, 8, n), VMT_OK, SECOND, "write");
		} else if (number == 2) {
			expect(cpu, sim_write(cpu, FIRST + 64, 8, n), VMT_OK, FIRST, "write");
		} else {
			expect(cpu, sim_read(cpu, SECOND, 8, &y), VMT_OK, SECOND, "read");
			expect(cpu, sim_read(cpu, FIRST, 8, &x), VMT_OK, FIRST, "read");
			demand(cpu, x >= y, FIRST, "the new SECOND with the old FIRST");
		}
	}
}

// ---- All of them -------------------------------------------------------------------------------------------------

const struct hammer_scenario hammer_scenarios[] = {
	{.name = "disjoint", .run = disjoint},
	{.name = "overlap", .run = overlap, .base = REGION, .length = PAGES * PAGE},
	{.name = "counters", .run = counters, .judge = counters_judge},
	{.name = "pairs", .run = pairs, .base = REGION, .length = MIB(8)},
	{.name = "fold storm", .run = fold_storm, .base = GIB(2), .length = MIB(4)},
	{.name = "fold marks", .run = fold_marks, .base = GIB(2), .length = GIB(1)},
	{.name = "protect and write", .run = protect_writer, .base = REGION, .length = 4 * PAGE},
	{.name = "references", .run = references, .base = REGION, .length = 8 * PAGE},
	{.name = "moves", .run = moves, .base = PLACE_A, .length = 10 * PAGE, .touched = 10},
	{.name = "lists", .run = lists, .base = REGION, .length = PAGES * PAGE},
	{.name = "lazy storm", .run = lazy_storm, .base = REGION, .length = 64 * PAGE},
	{.name = "reused frames", .run = reused, .base = REGION, .length = 8 * PAGE},
	{.name = "switching", .run = switching},
	{.name = "in order", .run = in_order, .base = REGION, .length = MIB(4)},
	{.name = "truncate storm", .run = truncate_storm, .base = REGION, .length = 16 * PAGE, .object = true},
};

const unsigned hammer_scenario_count = sizeof(hammer_scenarios) / sizeof(*hammer_scenarios);

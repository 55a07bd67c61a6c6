// SPDX-License-Identifier: MIT
// Moves, pins and forks against each other and against everything else.
#include "hammer.h"

#define LENGTH	10
#define PLACE_A (REGION + 3 * PAGE)
#define PLACE_B (GIB(3) - 5 * PAGE)

static void move_there_and_back(struct sim_cpu *cpu, struct world *w, unsigned n, unsigned may)
{
	uint64_t got;

	expect_one_of(cpu, w->env->ops->move(w->env->space, n % 2 ? PLACE_B : PLACE_A, LENGTH * PAGE, LENGTH * PAGE,
					     VMT_MOVE_MAY_MOVE | VMT_MOVE_FIXED, n % 2 ? PLACE_A : PLACE_B, &got),
		      may, PLACE_A, "move");
}

// A move that everybody else disturbs, at both places.
static void disturbed(struct sim_cpu *cpu, struct world *w, unsigned number)
{
	const struct sim_ops *ops = w->env->ops;
	unsigned part = BIT(VMT_OK) | BIT(VMT_ERR_UNMAPPED);

	for (unsigned n = 0; n < 4 * w->rounds; n++) {
		uint64_t at = (random_below(cpu, 2) ? PLACE_A : PLACE_B) + random_below(cpu, LENGTH) * PAGE, value, got;
		uint64_t length = (1 + random_below(cpu, 6)) * PAGE;
		unsigned what = (unsigned)random_below(cpu, 9);

		if (number == 0)
			move_there_and_back(cpu, w, n, part | BIT(VMT_ERR_RETRY));
		else if (what == 0)
			expect(cpu, ops->unmap(w->env->space, at, length), VMT_OK, at, "unmap");
		else if (what < 3)
			map_fixed(cpu, w, at, length, n % 5 ? 0 : VMT_MAP_SHARED);
		else if (what == 3)
			expect_one_of(cpu, ops->protect(w->env->space, at, length, n % 3 ? RW : 0), part, at,
				      "protect");
		else if (what == 4)
			expect_one_of(cpu, ops->release(w->env->space, at, length), part, at, "release");
		else if (what == 5)
			expect_one_of(cpu, ops->guard_install(w->env->space, at, length),
				      part | BIT(VMT_ERR_ARGUMENT), at, "guard");
		else if (what == 6 && number == 1)
			expect_one_of(cpu, ops->move(w->env->space, at, length, length, 3, GIB(4), &got),
				      part | BIT(VMT_ERR_RETRY), at, "move away");
		else if (sim_write(cpu, at, 8, 42) == VMT_OK && sim_read(cpu, at, 8, &value) == VMT_OK)
			demand(cpu, value == 0 || value == 42, at, "a page holds what nobody wrote");
	}
}

// Fork while a mapping moves: the child has it at one place, whole.
static void forked(struct sim_cpu *cpu, struct world *w, unsigned number)
{
	const struct sim_ops *ops = w->env->ops;

	for (unsigned n = 0; number && atomic_load_explicit(&w->busy, memory_order_acquire); n++) {
		uint64_t at = GIB(5) + number * MIB(2) + n % 8 * PAGE;

		if (number == 1) {
			move_there_and_back(cpu, w, n, BIT(VMT_OK));
			continue;
		}
		map_fixed(cpu, w, at, 4 * PAGE, 0);
		expect(cpu, sim_write(cpu, at, 8, 1), VMT_OK, at, "write");
		expect(cpu, ops->unmap(w->env->space, at, 4 * PAGE), VMT_OK, at, "unmap");
	}
	for (unsigned n = 0; !number && n < w->rounds; n++) {
		struct vmt_space *child;
		unsigned at_a = 0, at_b = 0;

		expect(cpu, ops->space_fork(w->env->space, NULL, &child), VMT_OK, 0, "fork");
		demand(cpu, ops->check(child) == 0, 0, "vmt_check of the child");
		sim_activate(cpu, child);
		for (unsigned i = 0; i < LENGTH; i++) {
			uint64_t value = 1000 + i;

			at_a += sim_read(cpu, PLACE_A + i * PAGE, 8, &value) == VMT_OK;
			demand(cpu, value == 1000 + i, PLACE_A, "the child has another page there");
			at_b += sim_read(cpu, PLACE_B + i * PAGE, 8, &value) == VMT_OK;
			demand(cpu, value == 1000 + i, PLACE_B, "the child has another page there");
		}
		demand(cpu, at_a + at_b == LENGTH && (!at_a || !at_b), PLACE_A,
		       "the child has the mapping at neither place, at both, or in parts");
		sim_activate(cpu, w->env->space);
		expect(cpu, ops->space_destroy(child), VMT_OK, 0, "destroy");
	}
	if (!number)
		atomic_store_explicit(&w->busy, 0, memory_order_release);
}

#define PAIR_A(i) (REGION + (i) * 7 * PAGE)
#define PAIR_B(i) (REGION + MIB(3) + (i) * 5 * PAGE)

// As `pairs` of hammer_test.c, with pages that are pinned: they stay with the parent, and the cut is still one.
static void pinned_pairs(struct sim_cpu *cpu, struct world *w, unsigned number)
{
	const struct sim_ops *ops = w->env->ops;
	uint64_t a = PAIR_A(number), b = PAIR_B(number), pa[2], x, y;

	if (number) {
		expect(cpu, ops->page_pin(w->env->space, a, VMT_WRITE, &pa[0]), VMT_OK, a, "pin");
		expect(cpu, ops->page_pin(w->env->space, b, VMT_WRITE, &pa[1]), VMT_OK, b, "pin");
		for (uint64_t n = 1; atomic_load_explicit(&w->busy, memory_order_acquire); n++) {
			expect(cpu, sim_write(cpu, a, 8, n), VMT_OK, a, "write");
			expect(cpu, sim_write(cpu, b, 8, n), VMT_OK, b, "write");
			demand(cpu, atomic_load_explicit((_Atomic uint64_t *)vmt_port_frame_ptr(
					sim_port(w->env->machine), pa[1]), memory_order_relaxed) == n, b,
			       "a pinned page has moved");
		}
		ops->page_unpin(w->env->vmt, pa[0]);
		ops->page_unpin(w->env->vmt, pa[1]);
		return;
	}
	for (unsigned n = 0; n < w->rounds; n++) {
		struct vmt_space *child;

		expect(cpu, ops->space_fork(w->env->space, NULL, &child), VMT_OK, 0, "fork");
		sim_activate(cpu, child);
		for (unsigned i = 1; i < CPUS; i++) {
			expect(cpu, sim_read(cpu, PAIR_A(i), 8, &x), VMT_OK, PAIR_A(i), "read");
			expect(cpu, sim_read(cpu, PAIR_B(i), 8, &y), VMT_OK, PAIR_B(i), "read");
			demand(cpu, y <= x && x <= y + 1, PAIR_A(i), "the child is a state that never was");
		}
		sim_activate(cpu, w->env->space);
		demand(cpu, ops->check(child) == 0, 0, "vmt_check of the child");
		expect(cpu, ops->space_destroy(child), VMT_OK, 0, "destroy");
	}
	atomic_store_explicit(&w->busy, 0, memory_order_release);
}

// New pages are moved over a range that others read all the time: they never find a hole, nor go back in time.
static void over_live_range(struct sim_cpu *cpu, struct world *w, unsigned number)
{
	uint64_t last[LENGTH] = {0}, value, got;

	for (uint64_t n = 1; number == 0 && n <= w->rounds; n++) {
		map_fixed(cpu, w, PLACE_B, LENGTH * PAGE, 0);
		for (unsigned i = 0; i < LENGTH; i++)
			expect(cpu, sim_write(cpu, PLACE_B + i * PAGE, 8, 2000 + n), VMT_OK, PLACE_B, "write");
		expect(cpu, w->env->ops->move(w->env->space, PLACE_B, LENGTH * PAGE, LENGTH * PAGE, 3, PLACE_A, &got),
		       VMT_OK, PLACE_A, "move");
	}
	if (number == 0)
		atomic_store_explicit(&w->busy, 0, memory_order_release);
	while (number && atomic_load_explicit(&w->busy, memory_order_acquire)) {
		unsigned i = (unsigned)random_below(cpu, LENGTH);

		expect(cpu, sim_read(cpu, PLACE_A + i * PAGE, 8, &value), VMT_OK, PLACE_A, "read");
		demand(cpu, value >= last[i], PLACE_A + i * PAGE, "a page went back in time");
		last[i] = value;
	}
}

// In place, growing and shrinking, against faults in what comes and goes.
static void resized(struct sim_cpu *cpu, struct world *w, unsigned number)
{
	for (unsigned n = 0; n < 4 * w->rounds; n++) {
		uint64_t at = PLACE_A + random_below(cpu, 4 * LENGTH) * PAGE, value, got;

		if (number == 0) {
			uint64_t old = n % 2 ? 4 * LENGTH : LENGTH, new = n % 2 ? LENGTH : 4 * LENGTH;

			expect(cpu, w->env->ops->move(w->env->space, PLACE_A, old * PAGE, new * PAGE, 0, 0, &got),
			       VMT_OK, PLACE_A, "resize");
			continue;
		}
		expect_one_of(cpu, sim_write(cpu, at, 8, stamp(number, at, n)), BIT(VMT_OK) | BIT(VMT_ERR_UNMAPPED), at,
			      "write");
		if (sim_read(cpu, at, 8, &value) == VMT_OK)
			demand(cpu, stamped(value, at) || value - 1000 < LENGTH, at, "a page holds what nobody wrote");
	}
}

// Increments of words in private pages, while references, pins, permissions, forks and moves of the pages come and go:
// none is lost, wherever copies are made.
#define WORDS 4

static void disturb_increments(struct sim_cpu *cpu, struct world *w, unsigned n)
{
	const struct sim_ops *ops = w->env->ops;
	uint64_t at = REGION + random_below(cpu, WORDS) * PAGE, pa;
	unsigned what = (unsigned)random_below(cpu, 6);
	struct vmt_space *child;

	if (what == 0) {
		expect(cpu, ops->page_get(w->env->space, at, VMT_READ, &pa), VMT_OK, at, "get");
		ops->populate(w->env->space, REGION, WORDS * PAGE, NULL);
		ops->page_put(w->env->vmt, pa);
	} else if (what == 1) {
		expect(cpu, ops->page_pin(w->env->space, at, n % 2 ? VMT_READ : VMT_WRITE, &pa), VMT_OK, at, "pin");
		expect(cpu, ops->space_fork(w->env->space, NULL, &child), VMT_OK, 0, "fork");
		ops->page_unpin(w->env->vmt, pa);
		expect(cpu, ops->space_destroy(child), VMT_OK, 0, "destroy");
	} else if (what == 2) {
		expect(cpu, ops->space_fork(w->env->space, NULL, &child), VMT_OK, 0, "fork");
		expect(cpu, ops->space_destroy(child), VMT_OK, 0, "destroy");
	} else {
		expect(cpu, ops->protect(w->env->space, REGION, WORDS * PAGE, what == 3 ? VMT_READ : 0), VMT_OK, at,
		       "protect");
		expect(cpu, ops->protect(w->env->space, REGION, WORDS * PAGE, RW), VMT_OK, at, "protect");
	}
}

static void increments(struct sim_cpu *cpu, struct world *w, unsigned number)
{
	uint64_t sum = 0;

	for (unsigned n = 0; number == 0 && n < w->rounds; n++)
		disturb_increments(cpu, w, n);
	for (unsigned n = 0; number && n < 12 * w->rounds; n++)
		sum += sim_add(cpu, REGION + random_below(cpu, WORDS) * PAGE, 1, NULL) == VMT_OK;
	// Relaxed: the end of the threads orders it.
	atomic_fetch_add_explicit(&w->sum, sum, memory_order_relaxed);
}

static void increments_judge(struct world *w)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < WORDS; i++)
		total += lib_read(w->env, REGION + i * PAGE);
	demand(w->env->cpu, total == atomic_load_explicit(&w->sum, memory_order_relaxed), REGION,
	       "increments were lost");
}

#define TABLE_A GIB(16)
#define TABLE_B GIB(20)
#define TABLES	(2 * (PAGE / 8) * PAGE) // two spans

// Two tables go there and back as they are, by CPU 0. What others find by either way is of the page that they asked for,
// and nothing that they write gets lost, in pages that came before and, in the second table, meanwhile.
static void tables(struct sim_cpu *cpu, struct world *w, unsigned number)
{
	const struct sim_ops *ops = w->env->ops;
	uint64_t written[2] = {0}, value, got, pa;
	struct vmt_translation seen;

	for (unsigned n = 0; !number && n < 4 * w->rounds; n++)
		expect(cpu, ops->move(w->env->space, n % 2 ? TABLE_B : TABLE_A, TABLES, TABLES, 3,
				      n % 2 ? TABLE_A : TABLE_B, &got), VMT_OK, TABLE_A, "move");
	if (!number)
		atomic_store_explicit(&w->busy, 0, memory_order_release);
	for (uint64_t n = 1; number && atomic_load_explicit(&w->busy, memory_order_acquire); n++) {
		uint64_t base = random_below(cpu, 2) ? TABLE_A : TABLE_B, i = random_below(cpu, LENGTH);
		uint64_t at = base + i * PAGE, mine = base + n % 2 * (TABLES / 2) + number * PAGE + 8 * number;

		if (sim_read(cpu, at, 8, &value) == VMT_OK)
			demand(cpu, value == 1000 + i, at, "a page has come to another address");
		if (ops->page_get(w->env->space, at, VMT_READ, &pa) == VMT_OK) {
			demand(cpu, *(uint64_t *)vmt_port_frame_ptr(sim_port(w->env->machine), pa) == 1000 + i, at,
			       "a reference leads to another page");
			ops->page_put(w->env->vmt, pa);
		}
		if (ops->translate(w->env->space, at, &seen) == VMT_OK)
			demand(cpu, *(uint64_t *)vmt_port_frame_ptr(sim_port(w->env->machine), seen.pa) == 1000 + i, at,
			       "a translation leads to another page");
		if (sim_read(cpu, mine, 8, &value) == VMT_OK)
			demand(cpu, value == written[n % 2], mine, "what was written is lost");
		if (sim_write(cpu, mine, 8, n) == VMT_OK)
			written[n % 2] = n;
	}
}

// Free ranges, found and claimed by all at once in a window that is nearly full: nobody gets what another has.
#define HELD 6

static void find(struct sim_cpu *cpu, struct world *w, unsigned number)
{
	struct { uint64_t at, length; } held[HELD] = {{0, 0}};

	for (unsigned n = 0; n < 8 * w->rounds; n++) {
		unsigned i = (unsigned)random_below(cpu, HELD);
		uint64_t length = (1 + random_below(cpu, 12)) * PAGE, value, last;
		struct vmt_map_request request = {.length = length, .prot = RW, .search_start = REGION,
						  .search_end = REGION + (n % 3 ? MIB(2) : 200 * PAGE)};

		if (held[i].at) {
			last = held[i].at + held[i].length - PAGE;
			expect(cpu, sim_read(cpu, held[i].at, 8, &value), VMT_OK, held[i].at, "read");
			demand(cpu, value == stamp(number, held[i].at, i), held[i].at, "somebody else was given this");
			expect(cpu, sim_read(cpu, last + 8, 8, &value), VMT_OK, last, "read");
			demand(cpu, value == stamp(number, last, i), last, "somebody else was given this");
			expect(cpu, w->env->ops->unmap(w->env->space, held[i].at, held[i].length), VMT_OK, held[i].at,
			       "unmap");
		}
		held[i].length = length;
		held[i].at = 0;
		expect_one_of(cpu, w->env->ops->map(w->env->space, &request, &held[i].at),
			      BIT(VMT_OK) | BIT(VMT_ERR_NO_SPACE) | BIT(VMT_ERR_RETRY), 0, "map anywhere");
		if (!held[i].at)
			continue;
		last = held[i].at + length - PAGE;
		demand(cpu, held[i].at >= request.search_start && last < request.search_end, last,
		       "outside the window");
		expect(cpu, sim_read(cpu, last + 8, 8, &value), VMT_OK, last, "read");
		demand(cpu, value == 0, last, "fresh memory is not zero");
		expect(cpu, sim_write(cpu, held[i].at, 8, stamp(number, held[i].at, i)), VMT_OK, held[i].at, "write");
		expect(cpu, sim_write(cpu, last + 8, 8, stamp(number, last, i)), VMT_OK, last, "write");
	}
}

// Moves that all fail for want of tables, after they have claimed both places: nobody may take what is there for gone,
// or the free place for taken.
static void failing(struct sim_cpu *cpu, struct world *w, unsigned number)
{
	const struct sim_ops *ops = w->env->ops;
	uint64_t to = GIB(6) + MIB(64), got;
	struct vmt_map_request request = {.addr = to, .length = MIB(2), .prot = RW, .flags = VMT_MAP_FIXED_NOREPLACE};
	struct vmt_area area;

	if (PAGE != 4096)
		return; // the ranges would take tables
	if (number == 0) {
		map_fixed(cpu, w, GIB(6), PAGE, 0);
		expect(cpu, sim_write(cpu, GIB(6), 8, 1), VMT_OK, GIB(6), "write");
		sim_fail_random(sim_cpu_machine(cpu), SIM_FAIL_FRAME, 1000000, 1);
	}
	sim_barrier_wait(cpu, &w->barrier, CPUS);
	for (unsigned n = 0; n < 20 * w->rounds; n++) {
		if (number < 2)
			expect_one_of(cpu, ops->move(w->env->space, REGION, MIB(2), MIB(2), 3, number ? GIB(6) + MIB(128) : to, &got),
				      BIT(VMT_ERR_NO_MEMORY) | BIT(VMT_ERR_UNMAPPED), REGION, "move");
		expect(cpu, ops->area_find(w->env->space, REGION, &area), VMT_OK, REGION, "find");
		demand(cpu, area.start <= REGION && area.end >= REGION + MIB(2), REGION, "a part of the area is missing");
		if (number == 2)
			expect(cpu, ops->move(w->env->space, REGION, MIB(2), MIB(2), 0, 0, &got), VMT_OK, REGION, "stay");
		if (number == 3 && n % 3 == 0) {
			expect(cpu, ops->map(w->env->space, &request, &got), VMT_OK, to, "map");
			expect(cpu, ops->unmap(w->env->space, to, MIB(2)), VMT_OK, to, "unmap");
		}
	}
	sim_barrier_wait(cpu, &w->barrier, CPUS);
	if (number == 0)
		sim_fail_random(sim_cpu_machine(cpu), SIM_FAIL_FRAME, 0, 1);
}

const struct hammer_scenario hammer_scenarios[] = {
	{"moves that fail", failing, REGION, MIB(2), false, 4, NULL},
	{.name = "disturbed", .run = disturbed, .base = PLACE_A, .length = LENGTH * PAGE},
	{.name = "forked", .run = forked, .base = PLACE_A, .length = LENGTH * PAGE, .touched = LENGTH},
	{.name = "pinned pairs", .run = pinned_pairs, .base = REGION, .length = MIB(8)},
	{.name = "over a live range", .run = over_live_range, .base = PLACE_A, .length = LENGTH * PAGE,
	 .touched = LENGTH},
	{.name = "increments", .run = increments, .base = REGION, .length = WORDS * PAGE, .judge = increments_judge},
	{.name = "tables", .run = tables, .base = TABLE_A, .length = TABLES, .touched = LENGTH},
	{.name = "find", .run = find},
	{.name = "resized", .run = resized, .base = PLACE_A, .length = LENGTH * PAGE, .touched = LENGTH},
};

const unsigned hammer_scenario_count = sizeof(hammer_scenarios) / sizeof(*hammer_scenarios);

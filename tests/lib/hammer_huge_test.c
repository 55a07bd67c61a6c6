// SPDX-License-Identifier: MIT
// Several CPUs on huge pages and on pages that are taken against markers. A word that only one CPU writes reads as it
// was last written, whatever the others do to the page: collapse its table, cut its leaf, take it out and put it or a
// copy back, share it with a child, change its permissions, move it.
#include "hammer.h"

#define HUGE   (PAGE * SLOTS)
#define PLACES 3
#define LENGTH (2 * HUGE)
#define EVERY  32	// of so many pages one is compared, the others are disturbed
#define EXACT  16

// With pages of 64 KiB a huge one is more than the machine should have.
#define HUGE_FLAGS (PAGE < 65536 ? VMT_MAP_HUGE : 0)

static const uint64_t places[PLACES] = {GIB(8), GIB(16) + HUGE, GIB(24) + 5 * PAGE};

// The space of a scenario, with a handler. CPU 0 makes it and ends it.
static struct vmt_space *space;
static _Atomic int64_t account;	// pages that say that they are taken, or anything else
static _Atomic bool moving;

static enum vmt_status wait_for_page(struct vmt_space *of, const struct vmt_marker_fault *fault)
{
	(void)fault;
	sim_poll(sim_self());
	return of == space ? VMT_OK : VMT_ERR_BUS; // nobody resolves a child's
}

static void count_copied(struct vmt_space *of, enum vmt_marker kind, uint64_t payload, uint64_t pages)
{
	(void)of, (void)kind, (void)payload;
	atomic_fetch_add_explicit(&account, (int64_t)pages, memory_order_relaxed);
}

static void count_dropped(struct vmt_space *of, enum vmt_marker kind, uint64_t payload, uint64_t pages)
{
	(void)of, (void)kind, (void)payload;
	atomic_fetch_sub_explicit(&account, (int64_t)pages, memory_order_relaxed);
}

static void map_huge(struct sim_cpu *cpu, struct world *w, uint64_t addr, uint64_t length)
{
	struct vmt_map_request request = {.addr = addr, .length = length, .prot = RW, .flags = VMT_MAP_FIXED | HUGE_FLAGS};
	uint64_t got;

	expect(cpu, w->env->ops->map(space, &request, &got), VMT_OK, addr, "map");
}

static void begin(struct sim_cpu *cpu, struct world *w, unsigned number)
{
	static const struct vmt_marker_ops ops = {
		.fault = wait_for_page, .copied = count_copied, .dropped = count_dropped};
	struct vmt_space_config config = {.start = SPACE_START, .end = w->env->end, .user = true, .marker_ops = &ops};

	if (number == 0) {
		atomic_store_explicit(&account, 0, memory_order_relaxed);
		atomic_store_explicit(&moving, true, memory_order_relaxed);
		expect(cpu, w->env->ops->space_create(w->env->vmt, &config, &space), VMT_OK, 0, "create");
		map_huge(cpu, w, places[0], LENGTH);
	}
	sim_barrier_wait(cpu, &w->barrier, CPUS);
	sim_activate(cpu, space);
}

static void end(struct sim_cpu *cpu, struct world *w, unsigned number)
{
	sim_barrier_wait(cpu, &w->barrier, CPUS);
	sim_activate(cpu, w->env->space);
	sim_barrier_wait(cpu, &w->barrier, CPUS);
	if (number == 0) {
		demand(cpu, w->env->ops->check(space) == 0, 0, "vmt_check");
		expect(cpu, w->env->ops->space_destroy(space), VMT_OK, 0, "destroy");
		demand(cpu, atomic_load_explicit(&account, memory_order_relaxed) == 0, 0, "markers that nobody has");
	}
	sim_barrier_wait(cpu, &w->barrier, CPUS);
}

static uint64_t exact_page(uint64_t k)
{
	return k % 2 * SLOTS + k * EVERY % SLOTS;
}

static uint64_t word_in(struct world *w, uint64_t pa, unsigned word)
{
	// Relaxed: programs write other words of the page meanwhile.
	return atomic_load_explicit((_Atomic uint64_t *)vmt_port_frame_ptr(sim_port(w->env->machine), pa) + word,
				    memory_order_relaxed);
}

// ---- Taking ------------------------------------------------------------------------------------------------------

static uint64_t maybe_copy(struct sim_cpu *cpu, struct world *w, uint64_t pa)
{
	void *port = sim_port(w->env->machine);
	uint64_t copy;

	if (random_below(cpu, 2))
		return pa;
	expect(cpu, w->env->ops->page_new(w->env->vmt, false, &copy), VMT_OK, 0, "new page");
	memcpy(vmt_port_frame_ptr(port, copy), vmt_port_frame_ptr(port, pa), PAGE);
	w->env->ops->page_put(w->env->vmt, pa);
	return copy;
}

// Takes the page out and puts it, or a copy, back where its marker is by now.
static void take_and_resolve(struct sim_cpu *cpu, struct world *w, uint64_t page, unsigned where, unsigned count)
{
	const struct sim_ops *ops = w->env->ops;
	uint64_t at = places[where] + page * PAGE, pa;
	enum vmt_status status = ops->page_take(space, at, VMT_MARKER_MIGRATION, page + 1, &pa);

	expect_one_of(cpu, status, BIT(VMT_OK) | BIT(VMT_ERR_NOT_PRESENT) | BIT(VMT_ERR_UNMAPPED), at, "take");
	if (status != VMT_OK)
		return;
	atomic_fetch_add_explicit(&account, 1, memory_order_relaxed);
	pa = maybe_copy(cpu, w, pa);
	for (unsigned n = 0; n < 100000; n++) {
		at = places[(where + n) % count] + page * PAGE;
		status = ops->marker_resolve(space, at, VMT_MARKER_MIGRATION, page + 1, pa);
		if (status == VMT_OK)
			break;
		expect(cpu, status, VMT_ERR_NOT_PRESENT, at, "resolve");
		sim_poll(cpu);
	}
	demand(cpu, status == VMT_OK, at, "a marker is lost");
	atomic_fetch_sub_explicit(&account, 1, memory_order_relaxed);
}

// ---- Words that are exact ----------------------------------------------------------------------------------------

struct own {
	struct sim_cpu *cpu;
	struct world *w;
	unsigned number;
	uint64_t last[EXACT];
};

static void own_look(struct own *own, unsigned k, uint64_t value, const char *what)
{
	demand(own->cpu, value == own->last[k], places[0] + exact_page(k) * PAGE, what);
}

static void own_round(struct own *own, uint64_t n)
{
	const struct sim_ops *ops = own->w->env->ops;
	unsigned k = (unsigned)random_below(own->cpu, EXACT), may = BIT(VMT_OK) | BIT(VMT_ERR_ACCESS) | BIT(VMT_ERR_RETRY);
	uint64_t at = places[0] + exact_page(k) * PAGE, value, pa;
	enum vmt_status status = sim_write(own->cpu, at + 8 * own->number, 8, n);

	expect_one_of(own->cpu, status, may, at, "write");
	if (status == VMT_OK)
		own->last[k] = n;
	k = (unsigned)random_below(own->cpu, EXACT);
	at = places[0] + exact_page(k) * PAGE;
	status = sim_read(own->cpu, at + 8 * own->number, 8, &value);
	expect_one_of(own->cpu, status, may, at, "read");
	if (status == VMT_OK)
		own_look(own, k, value, "a word is not what was written to it");
	k = (unsigned)random_below(own->cpu, EXACT);
	at = places[0] + exact_page(k) * PAGE;
	if ((n % 2 ? ops->page_try_get : ops->page_get)(space, at, VMT_READ, &pa) == VMT_OK) {
		own_look(own, k, word_in(own->w, pa, own->number), "a reference leads to other bytes");
		ops->page_put(own->w->env->vmt, pa);
	}
}

static void own_fork(struct own *own)
{
	unsigned may = BIT(VMT_OK) | BIT(VMT_ERR_BUS) | BIT(VMT_ERR_ACCESS);
	struct vmt_space *child;

	expect(own->cpu, own->w->env->ops->space_fork(space, NULL, &child), VMT_OK, 0, "fork");
	sim_activate(own->cpu, child);
	for (unsigned k = 0; k < EXACT; k++) {
		uint64_t at = places[0] + exact_page(k) * PAGE, value;
		enum vmt_status status = sim_read(own->cpu, at + 8 * own->number, 8, &value);

		expect_one_of(own->cpu, status, may, at, "read in the child");
		if (status == VMT_OK)
			own_look(own, k, value, "the child has other bytes");
		expect_one_of(own->cpu, sim_write(own->cpu, at, 8, 1), may, at, "write in the child");
	}
	sim_activate(own->cpu, space);
	demand(own->cpu, own->w->env->ops->check(child) == 0, 0, "vmt_check of the child");
	expect(own->cpu, own->w->env->ops->space_destroy(child), VMT_OK, 0, "destroy");
}

// Pages between those that are compared.
static void disturb(struct own *own, uint64_t n)
{
	const struct sim_ops *ops = own->w->env->ops;
	uint64_t first = random_below(own->cpu, 2 * SLOTS / EVERY) * EVERY + 1 + random_below(own->cpu, 20);
	uint64_t at = places[0] + first * PAGE, length = (1 + random_below(own->cpu, 10)) * PAGE;

	if (n % 8 == 0) {
		map_huge(own->cpu, own->w, at, length);
	} else if (n % 8 == 1) {
		expect(own->cpu, ops->release(space, at, length), VMT_OK, at, "release");
	} else if (n % 8 == 2) {
		expect(own->cpu, ops->lazy_free(space, at, length), VMT_OK, at, "lazy free");
		ops->reclaim(space, 100);
	} else if (n % 8 == 3) {
		expect(own->cpu, ops->guard_install(space, at, length), VMT_OK, at, "guard");
		expect(own->cpu, ops->guard_remove(space, at, length), VMT_OK, at, "no guard");
	} else if (n % 8 == 4) {
		expect(own->cpu, ops->mark(space, at, length, VMT_MARKER_POISON, n), VMT_OK, at, "mark");
		expect(own->cpu, ops->unmark(space, at, length, VMT_MARKER_POISON), VMT_OK, at, "unmark");
	} else if (n % 8 == 5) {
		expect(own->cpu, ops->advise_huge(space, at, length, false), VMT_OK, at, "advise");
		expect(own->cpu, ops->advise_huge(space, at, length, true), VMT_OK, at, "advise");
	} else {
		expect_one_of(own->cpu, sim_write(own->cpu, at, 8, n), BIT(VMT_OK) | BIT(VMT_ERR_ACCESS), at, "write");
	}
}

static void exact(struct sim_cpu *cpu, struct world *w, unsigned number)
{
	struct own own = {.cpu = cpu, .w = w, .number = number};

	begin(cpu, w, number);
	for (uint64_t n = 1; n <= 6 * w->rounds; n++) {
		own_round(&own, n);
		if (number == 0 && n % 5 == 0)
			own_fork(&own);
		else if (number == 0)
			w->env->ops->collapse(space, places[0], LENGTH, NULL);
		else if (number == 1 && n % 3 == 0)
			expect(cpu, w->env->ops->protect(space, places[0] + random_below(cpu, SLOTS) * PAGE, HUGE,
							 (vmt_prot[]){0, VMT_READ}[n % 2]), VMT_OK, 0, "protect");
		else if (number == 1)
			expect(cpu, w->env->ops->protect(space, places[0], LENGTH, RW), VMT_OK, 0, "protect");
		else if (number == 2)
			take_and_resolve(cpu, w, exact_page(random_below(cpu, EXACT)), 0, 1);
		else
			disturb(&own, n);
	}
	sim_barrier_wait(cpu, &w->barrier, CPUS);
	expect(cpu, w->env->ops->protect(space, places[0], LENGTH, RW), VMT_OK, 0, "protect");
	sim_barrier_wait(cpu, &w->barrier, CPUS);
	for (unsigned k = 0; k < EXACT; k++) {
		uint64_t at = places[0] + exact_page(k) * PAGE + 8 * number, value;

		expect(cpu, sim_read(cpu, at, 8, &value), VMT_OK, at, "read");
		own_look(&own, k, value, "a word is lost");
	}
	end(cpu, w, number);
}

// ---- Collapses, one after the other ------------------------------------------------------------------------------

// Writes its word of the page through a reference, which keeps the page where it is: no collapse may miss it.
static void write_by_reference(struct own *own, unsigned k, uint64_t n)
{
	const struct sim_ops *ops = own->w->env->ops;
	uint64_t at = places[0] + exact_page(k) * PAGE, pa, value;

	if ((n % 4 == 1 ? ops->page_get : ops->page_try_get)(space, at, VMT_WRITE, &pa) != VMT_OK)
		return;
	own_look(own, k, word_in(own->w, pa, own->number), "a reference leads to other bytes");
	// Relaxed: as any program's write.
	atomic_store_explicit((_Atomic uint64_t *)vmt_port_frame_ptr(sim_port(own->w->env->machine), pa) + own->number, n,
			      memory_order_relaxed);
	own->last[k] = n;
	expect(own->cpu, sim_read(own->cpu, at + 8 * own->number, 8, &value), VMT_OK, at, "read");
	own_look(own, k, value, "what was written through a reference is lost");
	ops->page_put(own->w->env->vmt, pa);
}

// CPU 0 collapses, CPU 1 makes a hole so that the next collapse has to copy, the others write.
static void storm(struct sim_cpu *cpu, struct world *w, unsigned number)
{
	struct own own = {.cpu = cpu, .w = w, .number = number};

	begin(cpu, w, number);
	for (uint64_t n = 1; n <= 20 * w->rounds; n++) {
		unsigned k = (unsigned)random_below(cpu, 2);

		if (number == 0 && n % 8 == 0) {
			w->env->ops->collapse(space, places[0], LENGTH, NULL);
		} else if (number == 1 && n % 8 == 0) {
			uint64_t hole = places[0] + (n / 8 % 2 * SLOTS + 5) * PAGE;

			expect(cpu, w->env->ops->release(space, hole, PAGE), VMT_OK, hole, "release");
		} else if (number > 1 && n % 2) {
			write_by_reference(&own, k, n);
		} else if (number > 1) {
			uint64_t at = places[0] + exact_page(k) * PAGE + 8 * number, value;

			expect(cpu, sim_write(cpu, at, 8, n), VMT_OK, at, "write");
			own.last[k] = n;
			expect(cpu, sim_read(cpu, at, 8, &value), VMT_OK, at, "read");
			own_look(&own, k, value, "a write is lost");
		} else {
			sim_poll(cpu);
		}
	}
	end(cpu, w, number);
}

// ---- Moves -------------------------------------------------------------------------------------------------------

#define FOUND (BIT(VMT_OK) | BIT(VMT_ERR_UNMAPPED) | BIT(VMT_ERR_RETRY))

// The page at `page` of whichever place it is in at the moment reads as it always did, or is not there.
static void look_for(struct sim_cpu *cpu, struct world *w, uint64_t page, unsigned where)
{
	uint64_t at = places[where] + page * PAGE, value, pa;
	enum vmt_status status = sim_read(cpu, at, 8, &value);

	expect_one_of(cpu, status, FOUND, at, "read");
	demand(cpu, status != VMT_OK || value == 1000 + page, at, "a move has brought another page");
	expect_one_of(cpu, sim_write(cpu, at, 8, 1000 + page), FOUND, at, "write");
	if (w->env->ops->page_try_get(space, at, VMT_WRITE, &pa) == VMT_OK) {
		demand(cpu, word_in(w, pa, 0) == 1000 + page, at, "a reference leads to another page");
		w->env->ops->page_put(w->env->vmt, pa);
	}
}

static void move_on(struct sim_cpu *cpu, struct world *w, unsigned n)
{
	uint64_t from = places[n % PLACES], to = places[(n + 1) % PLACES], got;

	expect(cpu, w->env->ops->move(space, from, LENGTH, LENGTH, 3, to, &got), VMT_OK, from, "move");
}

static void fork_once(struct sim_cpu *cpu, struct world *w)
{
	struct vmt_space *child;

	expect(cpu, w->env->ops->space_fork(space, NULL, &child), VMT_OK, 0, "fork");
	demand(cpu, w->env->ops->check(child) == 0, 0, "vmt_check of the child");
	expect(cpu, w->env->ops->space_destroy(child), VMT_OK, 0, "destroy");
}

static void moved(struct sim_cpu *cpu, struct world *w, unsigned number)
{
	unsigned rounds = 3 * (w->rounds / 3 + 1); // back where it began

	begin(cpu, w, number);
	for (unsigned k = number; k < EXACT; k += CPUS)
		expect(cpu, sim_write(cpu, places[0] + exact_page(k) * PAGE, 8, 1000 + exact_page(k)), VMT_OK, 0, "write");
	sim_barrier_wait(cpu, &w->barrier, CPUS);
	for (unsigned n = 0; number == 0 && n < rounds; n++)
		move_on(cpu, w, n);
	if (number == 0) // Release pairs with the acquire below; only the end matters.
		atomic_store_explicit(&moving, false, memory_order_release);
	for (unsigned n = 0; number && atomic_load_explicit(&moving, memory_order_acquire); n++) {
		uint64_t page = exact_page(random_below(cpu, EXACT));
		unsigned where = (unsigned)random_below(cpu, PLACES);

		if (number == 1)
			take_and_resolve(cpu, w, page, where, PLACES);
		else if (number == 2)
			w->env->ops->collapse(space, places[where], LENGTH, NULL);
		else if (n % 16 == 0)
			fork_once(cpu, w);
		look_for(cpu, w, page, where);
	}
	sim_barrier_wait(cpu, &w->barrier, CPUS);
	for (unsigned k = number; k < EXACT; k += CPUS) {
		uint64_t at = places[0] + exact_page(k) * PAGE, value;

		expect(cpu, sim_read(cpu, at, 8, &value), VMT_OK, at, "read");
		demand(cpu, value == 1000 + exact_page(k), at, "a page is lost");
	}
	end(cpu, w, number);
}

// ---- First touches -----------------------------------------------------------------------------------------------

// All CPUs fault in the same huge pages at once, one gives them back.
static void touched(struct sim_cpu *cpu, struct world *w, unsigned number)
{
	begin(cpu, w, number);
	for (unsigned n = 0; n < 4 * w->rounds; n++) {
		uint64_t at = places[0] + random_below(cpu, 2 * SLOTS) * PAGE, value;

		expect(cpu, sim_write(cpu, at, 8, stamp(number, at, n)), VMT_OK, at, "write");
		expect(cpu, sim_read(cpu, at, 8, &value), VMT_OK, at, "read");
		demand(cpu, stamped(value, at), at, "a page holds what nobody wrote to it");
		if (number == 0 && n % 4 == 0)
			expect(cpu, w->env->ops->release(space, places[0] + n % 8 / 4 * HUGE, HUGE), VMT_OK, 0, "release");
		else if (number == 1 && n % 4 == 0)
			map_huge(cpu, w, places[0] + random_below(cpu, SLOTS) * PAGE, HUGE);
		else if (number == 2 && n % 4 == 0)
			expect(cpu, w->env->ops->lazy_free(space, places[0], LENGTH), VMT_OK, 0, "lazy free");
	}
	end(cpu, w, number);
}

const struct hammer_scenario hammer_scenarios[] = {
	{.name = "exact words", .run = exact},
	{.name = "collapse storm", .run = storm},
	{.name = "huge moves", .run = moved},
	{.name = "first touches", .run = touched},
};

const unsigned hammer_scenario_count = sizeof(hammer_scenarios) / sizeof(*hammer_scenarios);

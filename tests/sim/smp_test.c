// SPDX-License-Identifier: MIT
// Several CPUs: flushes that cross each other, idle CPUs that are flushed all the same, grace periods against readers,
// and a small table game in which every page that is freed has been flushed.
#include "fake.h"

#define CPUS  4
#define VA    UINT64_C(0x7f1234400000)
#define PAGES 16

struct shared {
	struct sim_machine *machine;
	struct vmt_space space;
	uint64_t table;
	struct sim_barrier barrier;
	_Atomic unsigned locks[PAGES];
	_Atomic(uint64_t) published;	// the frame that readers may see
	_Atomic unsigned done, wrong;
	unsigned rounds;
};

static void begin(struct shared *s, unsigned rounds)
{
	memset(s, 0, sizeof(*s));
	s->rounds = rounds;
	s->machine = fake_machine(&fake_x86_4, CPUS, NULL);
	fake_space(s->machine, &s->space);
	s->table = fake_map_x86(&s->space, VA, 0, 0);
}

static void flush_each_other(struct sim_cpu *cpu, void *arg)
{
	struct shared *s = arg;

	sim_activate(cpu, &s->space);
	sim_barrier_wait(cpu, &s->barrier, CPUS);
	for (unsigned i = 0; i < s->rounds; i++) {
		if (i % 3)
			fake_flush(&s->space, VA, VA + 0x1000 * (i % 40 + 1), i & 1);
		else
			fake_flush_all(&s->space, i & 1);
	}
	sim_barrier_wait(cpu, &s->barrier, CPUS);
	sim_deactivate(cpu);
}

static void crossing_flushes(void **state)
{
	struct shared s;
	struct sim_counts counts;

	(void)state;
	begin(&s, 500);
	sim_run_all(s.machine, flush_each_other, &s);
	sim_get_counts(s.machine, &counts);
	assert_int_equal(counts.flushes, CPUS * 500);
	sim_machine_destroy(s.machine);
}

// CPU 1 has run, has the space active, and no thread: it is flushed on its behalf. CPU 2 is idle within its thread.
static void activate_and_read(struct sim_cpu *cpu, void *arg)
{
	struct shared *s = arg;

	sim_activate(cpu, &s->space);
	fake_read(cpu, VA);
}

static void idle_until_done(struct sim_cpu *cpu, void *arg)
{
	struct shared *s = arg;

	activate_and_read(cpu, arg);
	sim_idle_begin(cpu);
	atomic_fetch_add_explicit(&s->published, 1, memory_order_release);
	while (!atomic_load_explicit(&s->done, memory_order_acquire))
		;
	sim_idle_end(cpu);
	if (sim_cached(cpu, VA, false))
		atomic_fetch_add_explicit(&s->wrong, 1, memory_order_relaxed);
}

static void idle_cpus(void **state)
{
	struct shared s;

	(void)state;
	begin(&s, 0);
	fake_set(s.machine, s.table, VA >> 12 & 511, fake_frame(s.machine) | X86_P | X86_U);
	sim_cpu_run(s.machine, 1, activate_and_read, &s);
	sim_cpu_join(s.machine, 1);
	sim_cpu_run(s.machine, 2, idle_until_done, &s);
	while (!atomic_load_explicit(&s.published, memory_order_acquire))
		sim_poll(sim_self());
	fake_set(s.machine, s.table, VA >> 12 & 511, 0);
	fake_flush(&s.space, VA, VA + 0x1000, false);
	assert_int_equal(sim_audit(s.machine), 0);
	atomic_store_explicit(&s.done, 1, memory_order_release);
	sim_cpu_join(s.machine, 2);
	assert_int_equal(atomic_load_explicit(&s.wrong, memory_order_relaxed), 0);
	sim_machine_destroy(s.machine);
}

// ---- Grace periods -----------------------------------------------------------------------------------------------

struct item {
	struct vmt_deferred deferred;
	uint64_t frame;
};

static void run_item(void *port, struct vmt_deferred *self)
{
	struct item *item = (struct item *)self;

	vmt_port_frame_free(port, item->frame, SIM_FRAME_SIZE);
	vmt_port_mem_free(port, item, sizeof(*item));
}

// CPU 0 replaces the frame that the others read within sections, and defers the old one.
static void replace(struct sim_cpu *cpu, struct shared *s)
{
	for (unsigned i = 0; i < s->rounds; i++) {
		struct item *item = vmt_port_mem_alloc(s->machine, sizeof(*item));
		uint64_t next = vmt_port_frame_alloc(s->machine, SIM_FRAME_SIZE, true);

		assert_non_null(item);
		if (next == VMT_NO_FRAME) {
			vmt_port_mem_free(s->machine, item, sizeof(*item));
			continue;
		}
		*(uint64_t *)vmt_port_frame_ptr(s->machine, next) = next;
		item->deferred.run = run_item;
		item->frame = atomic_exchange_explicit(&s->published, next, memory_order_acq_rel);
		vmt_port_defer(s->machine, &item->deferred);
		sim_poll(cpu);
	}
	atomic_store_explicit(&s->done, 1, memory_order_release);
}

static void read_published(struct sim_cpu *cpu, struct shared *s)
{
	while (!atomic_load_explicit(&s->done, memory_order_acquire)) {
		uint64_t frame, generation, later;

		vmt_port_read_enter(s->machine);
		frame = atomic_load_explicit(&s->published, memory_order_acquire);
		sim_frame_allocated(s->machine, frame, &generation);
		for (unsigned i = 0; i < sim_random(cpu) % 50; i++)
			sim_poll(cpu);
		if (*(uint64_t *)vmt_port_frame_ptr(s->machine, frame) != frame ||
		    !sim_frame_allocated(s->machine, frame, &later) || later != generation)
			atomic_fetch_add_explicit(&s->wrong, 1, memory_order_relaxed);
		vmt_port_read_exit(s->machine);
	}
}

static void replace_or_read(struct sim_cpu *cpu, void *arg)
{
	if (sim_cpu_number(cpu) == 0)
		replace(cpu, arg);
	else
		read_published(cpu, arg);
}

static void grace_periods_hold(void **state)
{
	struct shared s;
	uint64_t first;

	(void)state;
	begin(&s, 3000);
	first = fake_frame(s.machine);
	*(uint64_t *)vmt_port_frame_ptr(s.machine, first) = first;
	atomic_store_explicit(&s.published, first, memory_order_release);
	sim_run_all(s.machine, replace_or_read, &s);
	sim_grace_barrier(s.machine);
	assert_int_equal(atomic_load_explicit(&s.wrong, memory_order_relaxed), 0);
	vmt_port_frame_free(s.machine, atomic_load_explicit(&s.published, memory_order_acquire), SIM_FRAME_SIZE);
	// The tables of the space are left, nothing else.
	assert_int_equal(sim_leaks(s.machine), 4);
	sim_machine_destroy(s.machine);
}

// ---- A table game ------------------------------------------------------------------------------------------------

static unsigned page_of(uint64_t addr)
{
	return addr >> 12 & 511;
}

static void lock_page(struct shared *s, unsigned page)
{
	vmt_port_preempt_off(s->machine);
	while (atomic_exchange_explicit(&s->locks[page], 1, memory_order_acquire))
		vmt_port_relax(s->machine, false);
}

static void unlock_page(struct shared *s, unsigned page)
{
	atomic_store_explicit(&s->locks[page], 0, memory_order_release);
	vmt_port_preempt_on(s->machine);
}

static enum vmt_status install(struct vmt_space *space, uint64_t addr, vmt_prot access)
{
	struct shared *s = space->arg;
	unsigned page = page_of(addr);
	uint64_t frame = vmt_port_frame_alloc(s->machine, SIM_FRAME_SIZE, true);

	(void)access;
	if (frame == VMT_NO_FRAME)
		return VMT_ERR_NO_MEMORY;
	lock_page(s, page);
	if (fake_get(s->machine, s->table, page) & X86_P) {
		vmt_port_frame_free(s->machine, frame, SIM_FRAME_SIZE);
	} else {
		// What a frame holds at first names its page.
		*(uint64_t *)vmt_port_frame_ptr(s->machine, frame) = page;
		fake_set(s->machine, s->table, page, frame | X86_P | X86_U | X86_W);
	}
	unlock_page(s, page);
	return VMT_OK;
}

static void zap(struct shared *s, unsigned page)
{
	uint64_t va = VA + page * SIM_FRAME_SIZE, old;

	lock_page(s, page);
	old = atomic_exchange_explicit((_Atomic(uint64_t) *)vmt_port_frame_ptr(s->machine, s->table) + page, 0,
				       memory_order_acq_rel);
	if (old & X86_P) {
		fake_flush(&s->space, va, va + SIM_FRAME_SIZE, false);
		vmt_port_frame_free(s->machine, old & UINT64_C(0xffffffffff000), SIM_FRAME_SIZE);
	}
	unlock_page(s, page);
}

static void play(struct sim_cpu *cpu, void *arg)
{
	struct shared *s = arg;

	sim_activate(cpu, &s->space);
	for (unsigned i = 0; i < s->rounds; i++) {
		unsigned page = sim_random(cpu) % PAGES;
		uint64_t value = 0;

		if (sim_random(cpu) % 4 == 0) {
			zap(s, page);
		} else if (sim_random(cpu) % 20 == 0) {
			sim_deactivate(cpu);
			sim_activate(cpu, &s->space);
		} else if (sim_read(cpu, VA + page * SIM_FRAME_SIZE, 8, &value) != VMT_OK || value != page) {
			atomic_fetch_add_explicit(&s->wrong, 1, memory_order_relaxed);
		} else {
			sim_write(cpu, VA + page * SIM_FRAME_SIZE + 8 * (1 + sim_cpu_number(cpu)), 8, i);
		}
	}
	sim_deactivate(cpu);
}

static void table_game(void **state)
{
	struct shared s;
	struct sim_counts counts;

	(void)state;
	begin(&s, 3000);
	s.space.handler = install;
	s.space.arg = &s;
	sim_run_all(s.machine, play, &s);
	assert_int_equal(atomic_load_explicit(&s.wrong, memory_order_relaxed), 0);
	sim_get_counts(s.machine, &counts);
	assert_true(counts.hits > 0 && counts.walks > 0 && counts.prefetches > 0 && counts.faults > 0);
	for (unsigned page = 0; page < PAGES; page++)
		zap(&s, page);
	assert_int_equal(sim_leaks(s.machine), 4);
	sim_machine_destroy(s.machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crossing_flushes),
		cmocka_unit_test(idle_cpus),
		cmocka_unit_test(grace_periods_hold),
		cmocka_unit_test(table_game),
	};

	return cmocka_run_group_tests_name("smp", tests, NULL, NULL);
}

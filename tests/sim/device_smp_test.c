// SPDX-License-Identifier: MIT
// CPUs and devices at once: a table game in which every page that is freed was flushed and invalidated everywhere, with
// many devices, and with one that falls silent; and pages that are moved between RAM and device memory while CPUs and
// the device count in them.
#include "device_fixture.h"

#define CPUS  3
#define PAGES 16
#define VA    UINT64_C(0x7f1234400000)

struct shared {
	struct sim_machine *machine;
	struct vmt_space space;		// the CPUs'
	struct vmt_space tables;	// the devices'
	uint64_t cpu_table, device_table; // the lowest tables
	struct sim_device *devices[SIM_MAX_DEVICES];
	unsigned device_count, rounds;
	_Atomic unsigned locks[PAGES];
	uint64_t frames[PAGES];		// under the page's lock; 0: none
	_Atomic unsigned wrong, done, unanswered;
	_Atomic uint64_t kept[1024];	// frames that a silent device may still reach
	_Atomic unsigned kept_count;
	// The counting game: where a page is in device memory, which pages of that are free, what was added.
	uint64_t local[PAGES];
	_Atomic uint64_t local_free;
	_Atomic uint64_t added, moves, failed;
};

static void make(struct shared *s, unsigned devices, unsigned rounds, const struct sim_device_config *config)
{
	memset(s, 0, sizeof(*s));
	s->rounds = rounds;
	s->device_count = devices;
	s->machine = sim_machine_create(&(struct sim_config){
		.ops = &fake_x86_4, .cpus = CPUS, .frames = 1024, .seed = 7 });
	fake_space(s->machine, &s->space);
	fake_space(s->machine, &s->tables);
	s->space.arg = s;
	s->cpu_table = fake_map_x86(&s->space, VA, 0, 0);
	s->device_table = fake_map_4(&s->tables, VA, 0, VTD_TABLE);
	for (unsigned i = 0; i < devices; i++) {
		s->devices[i] = sim_device_create(s->machine, config);
		sim_device_attach(s->devices[i], s->tables.root);
	}
}

static unsigned page_of(uint64_t addr)
{
	return addr >> 12 & 511;
}

static uint64_t addr_of(unsigned page)
{
	return VA + page * PAGE;
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

static void wrong(struct shared *s)
{
	atomic_fetch_add_explicit(&s->wrong, 1, memory_order_relaxed);
}

// Takes the page out of all tables and caches. Its lock is held. False: a device has not answered.
static bool hide(struct shared *s, unsigned page)
{
	uint64_t start = addr_of(page);
	bool answered = true;

	fake_set(s->machine, s->cpu_table, page, 0);
	fake_set(s->machine, s->device_table, page, 0);
	for (unsigned i = 0; i < s->device_count; i++)
		sim_device_issue(s->devices[i], start, start + PAGE, false);
	fake_flush(&s->space, start, start + PAGE, false);
	for (unsigned i = 0; i < s->device_count; i++)
		answered &= sim_device_wait(s->devices[i]);
	return answered;
}

static bool devices_run(struct shared *s)
{
	for (unsigned i = 0; i < s->device_count; i++)
		if (sim_device_running(s->devices[i]))
			return true;
	return false;
}

static void serve_some(struct shared *s, struct sim_cpu *cpu,
		       enum vmt_status (*handler)(void *arg, struct sim_device *device, uint64_t addr, vmt_prot access))
{
	for (unsigned i = 0; i < s->device_count; i++)
		sim_device_serve(s->devices[i], cpu, handler, s);
}

// ---- The table game ----------------------------------------------------------------------------------------------

// The entry allows what it allowed and what is new; what hardware has marked in it stays.
static void allow(struct shared *s, uint64_t table, unsigned page, uint64_t entry)
{
	atomic_fetch_or_explicit((_Atomic(uint64_t) *)vmt_port_frame_ptr(s->machine, table) + page, entry,
				 memory_order_acq_rel);
}

// Makes the page present, for the CPUs and, as far as `access` goes, for the devices.
static enum vmt_status install(struct shared *s, uint64_t addr, vmt_prot access, bool device)
{
	unsigned page = page_of(addr);
	uint64_t frame = vmt_port_frame_alloc(s->machine, SIM_FRAME_SIZE, true);

	if (frame == VMT_NO_FRAME)
		return VMT_ERR_NO_MEMORY;
	lock_page(s, page);
	if (s->frames[page]) {
		vmt_port_frame_free(s->machine, frame, SIM_FRAME_SIZE);
	} else {
		// What a frame holds at first names its page.
		*(uint64_t *)vmt_port_frame_ptr(s->machine, frame) = page;
		s->frames[page] = frame;
	}
	if (device)
		allow(s, s->device_table, page, s->frames[page] | (access == VMT_WRITE ? VTD_W : VTD_R));
	else
		allow(s, s->cpu_table, page, s->frames[page] | X86_P | X86_U | X86_W);
	unlock_page(s, page);
	return VMT_OK;
}

static enum vmt_status cpu_fault(struct vmt_space *space, uint64_t addr, vmt_prot access)
{
	return install(space->arg, addr, access, false);
}

static enum vmt_status page_request(void *arg, struct sim_device *device, uint64_t addr, vmt_prot access)
{
	(void)device;
	return install(arg, addr, access, true);
}

static void zap(struct shared *s, unsigned page)
{
	lock_page(s, page);
	if (s->frames[page]) {
		if (hide(s, page)) {
			vmt_port_frame_free(s->machine, s->frames[page], SIM_FRAME_SIZE);
		} else {
			unsigned at = atomic_fetch_add_explicit(&s->kept_count, 1, memory_order_relaxed);

			atomic_store_explicit(&s->kept[at], s->frames[page], memory_order_relaxed);
		}
		s->frames[page] = 0;
	}
	unlock_page(s, page);
}

static void play_cpu(struct sim_cpu *cpu, void *arg)
{
	struct shared *s = arg;

	sim_activate(cpu, &s->space);
	for (unsigned i = 0; i < s->rounds || devices_run(s); i++) {
		unsigned page = sim_random(cpu) % PAGES;
		uint64_t value = 0;

		serve_some(s, cpu, page_request);
		if (i < s->rounds && sim_random(cpu) % 8 == 0)
			zap(s, page);
		else if (sim_read(cpu, addr_of(page), 8, &value) != VMT_OK || value != page)
			wrong(s);
		else
			sim_write(cpu, addr_of(page) + 8 * (1 + sim_cpu_number(cpu)), 8, i);
		// A device that fell silent in the middle.
		if (s->device_count == 2 && i == s->rounds / 2 && sim_cpu_number(cpu) == 0)
			sim_device_silence(s->devices[1], true);
	}
	sim_deactivate(cpu);
}

static void play_device(struct sim_device *device, void *arg)
{
	struct shared *s = arg;
	uint64_t tickets[4] = { 0 };

	for (unsigned i = 0; i < s->rounds; i++) {
		unsigned page = sim_device_random(device) % PAGES, slot = i % 4;
		uint64_t value = 0;
		enum vmt_status status;

		if (tickets[slot] && sim_device_answer(device, tickets[slot], &status))
			tickets[slot] = 0;
		// One that it goes on without.
		if (!tickets[slot] && sim_device_random(device) % 8 == 0)
			tickets[slot] = sim_device_request(device, addr_of(page), VMT_READ);
		if (sim_device_access(device, addr_of(page), VMT_READ, 8, &value) != VMT_OK || value != page)
			wrong(s);
		value = i;
		if (sim_device_access(device, addr_of(page) + 512 + 8 * sim_device_number(device), VMT_WRITE, 8,
				      &value) != VMT_OK)
			wrong(s);
		sim_device_poll(device);
	}
}

static void play(struct shared *s)
{
	s->space.handler = cpu_fault;
	for (unsigned i = 0; i < s->device_count; i++)
		sim_device_run(s->devices[i], play_device, s);
	sim_run_all(s->machine, play_cpu, s);
	for (unsigned i = 0; i < s->device_count; i++)
		sim_device_join(s->devices[i]);
	assert_int_equal(atomic_load_explicit(&s->wrong, memory_order_relaxed), 0);
	assert_int_equal(sim_audit(s->machine), 0);
	for (unsigned page = 0; page < PAGES; page++)
		zap(s, page);
}

static void table_game(void **state)
{
	struct shared s;
	struct sim_device_counts counts;

	(void)state;
	for (unsigned devices = 1; devices <= 8; devices += 7) {
		uint64_t faults = 0;

		make(&s, devices, 2000 / devices, &(struct sim_device_config){ .format = SIM_VTD_SS });
		play(&s);
		for (unsigned i = 0; i < devices; i++) {
			sim_device_get_counts(s.devices[i], &counts);
			assert_int_equal(counts.posted, counts.executed);
			assert_true(counts.hits > 0 && counts.walks > 0 && counts.prefetches > 0);
			faults += counts.faults;
		}
		// Not of each: the others may have been quicker.
		assert_true(faults > 0);
		// The tables are left, nothing else.
		assert_int_equal(sim_leaks(s.machine), 8);
		sim_machine_destroy(s.machine);
	}
}

// What a silent device may reach is freed when it has been reset, and not before.
static void one_falls_silent(void **state)
{
	struct shared s;
	unsigned kept;

	(void)state;
	make(&s, 2, 300, &(struct sim_device_config){ .format = SIM_VTD_SS, .limit = 3 });
	play(&s);
	kept = atomic_load_explicit(&s.kept_count, memory_order_relaxed);
	assert_true(kept > 0);
	assert_int_equal(sim_leaks(s.machine), 8 + kept);
	sim_device_reset(s.devices[1]);
	for (unsigned i = 0; i < kept; i++)
		vmt_port_frame_free(s.machine, atomic_load_explicit(&s.kept[i], memory_order_relaxed), SIM_FRAME_SIZE);
	sim_machine_destroy(s.machine);
}

// ---- The counting game -------------------------------------------------------------------------------------------
// A page is in RAM, for the CPUs or for the device alone, or in device memory. All count in its first word.

struct job {
	struct vmt_copy copy;
	_Atomic int ended;	// 1: well; -1: badly
};

static void job_done(struct vmt_copy *copy, bool good)
{
	// Release pairs with the acquire in copy_page: the bytes are there.
	atomic_store_explicit(&((struct job *)copy)->ended, good ? 1 : -1, memory_order_release);
}

static bool copy_page(struct shared *s, uint64_t frame, uint64_t local, bool to_device)
{
	struct job job = { .copy = { .pa = frame, .device = local, .bytes = PAGE, .to_device = to_device } };
	int ended;

	sim_dma_begin(s->devices[0], &job.copy, job_done);
	while (!(ended = atomic_load_explicit(&job.ended, memory_order_acquire)))
		vmt_port_relax(s->machine, false);
	return ended > 0;
}

static uint64_t local_take(struct shared *s)
{
	uint64_t free = atomic_load_explicit(&s->local_free, memory_order_relaxed), bit;

	do {
		if (!free)
			return 0;
		bit = free & -free;
	} while (!atomic_compare_exchange_weak_explicit(&s->local_free, &free, free & ~bit, memory_order_acquire,
							memory_order_relaxed));
	return sim_device_base(s->devices[0]) + (uint64_t)__builtin_ctzll(bit) * PAGE;
}

static void local_give(struct shared *s, uint64_t local)
{
	atomic_fetch_or_explicit(&s->local_free, UINT64_C(1) << (local - sim_device_base(s->devices[0])) / PAGE,
				 memory_order_release);
}

// The page's lock is held, and it is hidden. Brings it to RAM, unless the copy fails.
static bool bring_back(struct shared *s, unsigned page, uint64_t *frame)
{
	if (!s->local[page])
		return true;
	if (!copy_page(s, *frame, s->local[page], false)) {
		atomic_fetch_add_explicit(&s->failed, 1, memory_order_relaxed);
		return false;
	}
	local_give(s, s->local[page]);
	s->local[page] = 0;
	s->frames[page] = *frame;
	*frame = 0;
	return true;
}

// For the CPUs, or for the device alone; where it is now, or in RAM.
static void count_fault(struct shared *s, unsigned page, bool device)
{
	uint64_t frame = vmt_port_frame_alloc(s->machine, SIM_FRAME_SIZE, true);

	assert_int_not_equal(frame, VMT_NO_FRAME);
	lock_page(s, page);
	if (!s->frames[page] && !s->local[page]) {
		s->frames[page] = frame;
		frame = 0;
	}
	hide(s, page);
	if (device)
		fake_set(s->machine, s->device_table, page,
			 (s->local[page] ? s->local[page] : s->frames[page]) | VTD_W);
	else if (bring_back(s, page, &frame))
		fake_set(s->machine, s->cpu_table, page, s->frames[page] | X86_P | X86_U | X86_W);
	unlock_page(s, page);
	if (frame)
		vmt_port_frame_free(s->machine, frame, SIM_FRAME_SIZE);
}

static enum vmt_status count_cpu_fault(struct vmt_space *space, uint64_t addr, vmt_prot access)
{
	(void)access;
	count_fault(space->arg, page_of(addr), false);
	return VMT_OK;
}

static enum vmt_status count_request(void *arg, struct sim_device *device, uint64_t addr, vmt_prot access)
{
	(void)device, (void)access;
	count_fault(arg, page_of(addr), true);
	return VMT_OK;
}

static void to_device(struct shared *s, unsigned page)
{
	lock_page(s, page);
	if (s->frames[page]) {
		uint64_t local = local_take(s), frame = s->frames[page];

		hide(s, page);
		if (local && copy_page(s, frame, local, true)) {
			s->local[page] = local;
			s->frames[page] = 0;
			vmt_port_frame_free(s->machine, frame, SIM_FRAME_SIZE);
			atomic_fetch_add_explicit(&s->moves, 1, memory_order_relaxed);
		} else if (local) {
			local_give(s, local);
			atomic_fetch_add_explicit(&s->failed, 1, memory_order_relaxed);
		}
	}
	unlock_page(s, page);
}

static void count_cpu(struct sim_cpu *cpu, void *arg)
{
	struct shared *s = arg;

	sim_activate(cpu, &s->space);
	for (unsigned i = 0; i < s->rounds || devices_run(s); i++) {
		unsigned page = sim_random(cpu) % PAGES;

		serve_some(s, cpu, count_request);
		if (sim_random(cpu) % 4 == 0) {
			to_device(s, page);
		} else if (sim_add(cpu, addr_of(page), 1, NULL) == VMT_OK) {
			atomic_fetch_add_explicit(&s->added, 1, memory_order_relaxed);
		} else {
			wrong(s);
		}
	}
	sim_deactivate(cpu);
}

static void count_device(struct sim_device *device, void *arg)
{
	struct shared *s = arg;

	for (unsigned i = 0; i < s->rounds; i++) {
		unsigned page = sim_device_random(device) % PAGES;
		enum vmt_status status;

		while (!sim_device_add(device, addr_of(page), 1, NULL)) {
			uint64_t ticket = sim_device_request(device, addr_of(page), VMT_WRITE);

			while (ticket && !sim_device_answer(device, ticket, &status))
				sim_device_poll(device);
		}
		atomic_fetch_add_explicit(&s->added, 1, memory_order_relaxed);
	}
}

static void counting_game(void **state)
{
	struct shared s;
	uint64_t sum = 0;

	(void)state;
	make(&s, 1, 1500, &(struct sim_device_config){ .format = SIM_VTD_SS, .bytes = 1 << 16 });
	// Fewer than there are pages.
	atomic_store_explicit(&s.local_free, 0xfff, memory_order_relaxed);
	s.space.handler = count_cpu_fault;
	sim_dma_fail_random(s.devices[0], 100000);
	sim_device_run(s.devices[0], count_device, &s);
	sim_run_all(s.machine, count_cpu, &s);
	sim_device_join(s.devices[0]);
	assert_int_equal(sim_audit(s.machine), 0);
	for (unsigned page = 0; page < PAGES; page++) {
		if (s.frames[page])
			sum += *(uint64_t *)vmt_port_frame_ptr(s.machine, s.frames[page]);
		if (s.local[page])
			sum += *(uint64_t *)sim_device_memory(s.devices[0], s.local[page]);
	}
	assert_int_equal(atomic_load_explicit(&s.wrong, memory_order_relaxed), 0);
	assert_int_equal(sum, atomic_load_explicit(&s.added, memory_order_relaxed));
	assert_true(atomic_load_explicit(&s.moves, memory_order_relaxed) > 100);
	assert_true(atomic_load_explicit(&s.failed, memory_order_relaxed) > 10);
	sim_machine_destroy(s.machine);
}

// ---- An addition that is none to others --------------------------------------------------------------------------

static void add_for_ever(struct sim_device *device, void *arg)
{
	struct shared *s = arg;

	while (!atomic_load_explicit(&s->done, memory_order_acquire)) {
		sim_device_add(device, VA, 1, NULL);
		atomic_fetch_add_explicit(&s->added, 1, memory_order_relaxed);
	}
}

// A page that CPU and device have at once: the device writes over what the CPU adds, sooner or later.
static void lost_additions(void **state)
{
	struct shared s;
	struct sim_cpu *cpu;
	uint64_t value, adds = 0;

	(void)state;
	make(&s, 1, 0, &(struct sim_device_config){ .format = SIM_VTD_SS });
	s.space.handler = cpu_fault;
	assert_int_equal(install(&s, VA, VMT_WRITE, true), VMT_OK);
	assert_int_equal(install(&s, VA, VMT_WRITE, false), VMT_OK);
	sim_device_run(s.devices[0], add_for_ever, &s);
	cpu = sim_self();
	sim_activate(cpu, &s.space);
	do {
		assert_int_equal(sim_add(cpu, VA, UINT64_C(1) << 32, &value), VMT_OK);
	} while (value >> 32 == adds++);
	atomic_store_explicit(&s.done, 1, memory_order_release);
	sim_device_join(s.devices[0]);
	sim_deactivate(cpu);
	sim_machine_destroy(s.machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_game),
		cmocka_unit_test(one_falls_silent),
		cmocka_unit_test(counting_game),
		cmocka_unit_test(lost_additions),
	};

	return cmocka_run_group_tests_name("device smp", tests, NULL, NULL);
}

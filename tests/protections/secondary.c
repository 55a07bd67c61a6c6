// SPDX-License-Identifier: MIT
// Cases for devices that translate addresses of a space beside its CPUs. What moves pages to them is in migration.c.
#include "device.h"

#define NEXT (A + MIB(2)) // in another table

static struct device device, other;

static void begin_with_device(uint64_t seed, uint64_t length)
{
	begin_with_page(seed, length);
	device_attach(&device, 0);
}

static void end_with_device(void)
{
	device_detach(&device);
	end();
}

static void unmap_a(struct sim_cpu *cpu)
{
	(void)cpu;
	OK(ops->unmap(env.space, A, PAGE));
}

static void secondary_unmap(uint64_t seed)
{
	begin_with_device(seed, PAGE);
	device_write(&device, A, 2);
	unmap_a(env.cpu);
	demand(!device_keeps(&device, A, VMT_READ), "a secondary has a translation of what was unmapped");
	end_with_device();
}

// ---- Flushes that come late, or not at all -----------------------------------------------------------------------

static void write_2(struct sim_cpu *cpu)
{
	write_at(cpu, A, 2);
}

// CPU 0 copies a, of which a device has the old page, and has not flushed yet. Everybody else of the story is here: who
// copies b and flushes it, who writes the new a, who writes the new b after that, and the device.
static void write_a_then_b(struct sim_cpu *cpu)
{
	uint64_t a, b;

	write_at(cpu, A, 3);
	write_at(cpu, NEXT, 3);
	b = device_read(&device, NEXT);
	a = device_read(&device, A);
	demand(b != 3 || a == 3, "a device sees new b with old a");
	demand(b == 3, "a device reads the old page after a CPU has written the copy");
}

static void two_copies(uint64_t seed)
{
	begin_with_device(seed, MIB(4));
	lib_write(&env, NEXT, 1);
	fork_it(env.cpu);
	demand(device_read(&device, A) == 1 && device_read(&device, NEXT) == 1, "a device reads something else");
	race_run(&(struct race){.place = AT_FLUSH, .first = write_2, .between = write_a_then_b});
	destroy_child();
	end_with_device();
}

static void refill_and_look(struct sim_cpu *cpu)
{
	(void)cpu;
	OK(ops->fault(env.space, A, VMT_WRITE, NULL));
	atomic_store_explicit(word_at(frame_at(A)), 2, memory_order_relaxed);
	demand(device_read(&device, A) == 2, "a device reads the old page after a new one has taken its place");
}

static void late_flush(uint64_t seed)
{
	begin_with_device(seed, MIB(2));
	device_read(&device, A);
	race_run(&(struct race){.place = AT_FLUSH, .first = release_a, .between = refill_and_look});
	end_with_device();
}

static void fault_for_reading(struct sim_cpu *cpu)
{
	(void)cpu;
	OK(device_fault(&device, A, VMT_READ, 0));
}

// The device has read the entry, and the page goes before it has what it read.
static void late_commit(uint64_t seed)
{
	begin_with_device(seed, MIB(2));
	race_run(&(struct race){.place = AT_COMMIT, .first = fault_for_reading, .between = unmap_a});
	demand(!device_keeps(&device, A, VMT_READ), "a device keeps what it read before the entry changed");
	end_with_device();
}

static void second_device_reads(struct sim_cpu *cpu)
{
	(void)cpu;
	demand(device_read(&device, A) == 1, "a device reads something else than what was written");
}

// The device is handed the page when the unmap has begun and changed nothing yet.
static void fault_after_begin(uint64_t seed)
{
	begin_with_device(seed, MIB(2));
	race_run(&(struct race){.place = AT_BEGIN, .first = unmap_a, .between = second_device_reads});
	demand(!device_keeps(&device, A, VMT_READ), "a device keeps what it read before the entry changed");
	end_with_device();
}

// Two devices have the page. While the first is asked to forget it CPU 1 maps another one there; by then the entry
// looks as if there was nothing to say to the second.
static void looks_unchanged(uint64_t seed)
{
	begin_with_device(seed, MIB(2));
	device_attach(&other, 0);
	device_read(&device, A);
	device_read(&other, A);
	race_run(&(struct race){.place = AT_ISSUE, .first = release_a, .between = write_2});
	demand(!device_keeps(&device, A, VMT_READ), "a device was not told of a change");
	demand(!device_keeps(&other, A, VMT_READ), "a device was not told of a change, for the entry looked the same");
	device_detach(&other);
	end_with_device();
}

static void device_writes(struct sim_cpu *cpu)
{
	(void)cpu;
	device_write(&device, A, 3);
}

// The device may read, and faults to write. When its fault comes to look a CPU has made the entry writable already.
static void upgrade(uint64_t seed)
{
	begin_with_device(seed, MIB(2));
	fork_it(env.cpu);
	destroy_child();
	device_read(&device, A);
	race_run(&(struct race){.place = AT_READ, .first = device_writes, .between = write_2});
	demand(lib_read(&env, A) == 3, "a device has written elsewhere");
	end_with_device();
}

// The device does not ask again: it has to be told that it may.
static void upgrade_told(uint64_t seed)
{
	begin_with_device(seed, MIB(2));
	fork_it(env.cpu);
	destroy_child();
	device_read(&device, A);
	device.filled = 0;
	write_2(env.cpu);
	demand(device.filled, "a device is not told that it may write");
	end_with_device();
}

// ---- Tables, detaching, silence ----------------------------------------------------------------------------------

static void walks_tables(uint64_t seed)
{
	begin_with_device(seed, GIB(1));
	device_read(&device, A);
	device_walk(&device, A);
	sim_deactivate(env.cpu);
	OK(ops->unmap(env.space, A, GIB(1)));
	sim_grace_barrier(env.machine);
	for (unsigned i = 0; i < device.ways; i++)
		demand(sim_frame_allocated(env.machine, device.way[i].pa, NULL),
		       "a device knows the way to a table that was freed");
	sim_activate(env.cpu, env.space);
	end_with_device();
}

static void detach(struct sim_cpu *cpu)
{
	(void)cpu;
	device_detach(&device);
}

// CPU 1 detaches while CPU 0 is between asking for a flush and waiting for it.
static void detach_in_callback(uint64_t seed)
{
	begin_with_device(seed, PAGE);
	device_write(&device, A, 2);
	race_run(&(struct race){.place = AT_ISSUE, .first = unmap_a, .between = detach});
	end();
}

static struct vmt_space *usual;

// The space ends, and what the device has of it with it.
static void space_ends(uint64_t seed)
{
	begin(seed);
	usual = env.space;
	env.space = env_new_space(&env);
	lib_map(&env, A, MIB(2), RW, 0);
	device_attach(&device, 0);
	device_write(&device, A, 2);
	OK(ops->space_destroy(env.space));
	demand(!device_keeps(&device, A, VMT_READ), "a device has a page of a space that is gone");
	env.space = usual;
	end();
}

// What a device that does not answer can reach it may still use.
static void silent(uint64_t seed)
{
	begin_with_device(seed, MIB(2));
	device_write(&device, A, 2);
	device.silent = true;
	demand(ops->unmap(env.space, A, PAGE) == VMT_ERR_DEVICE && sim_frame_allocated(env.machine, frame, NULL),
	       "a page was freed that a device can reach which does not answer");
	demand(device_try_write(&device, A, 3), "a silent device has forgotten something");
	device_detach(&device);
	demand(!sim_frame_allocated(env.machine, frame, NULL), "what a lost device could reach is not given back");
	end();
}

// ---- Ranges ------------------------------------------------------------------------------------------------------

// More pages on their own than a request has room for: it grows.
static void many_ranges(uint64_t seed)
{
	unsigned pages = 2 * VMT_FLUSH_RANGES + 4;

	begin_with_device(seed, MIB(2));
	for (unsigned i = 0; i < pages; i++)
		device_write(&device, A + 2 * i * PAGE, i);
	sim_deactivate(env.cpu);
	OK(ops->unmap(env.space, A, MIB(2)));
	for (unsigned i = 0; i < pages; i++)
		demand(!device_keeps(&device, A + 2 * i * PAGE, VMT_READ),
		       "more was unmapped than a device was told of");
	sim_activate(env.cpu, env.space);
	end_with_device();
}

static unsigned programs;

static enum vmt_status program(void *arg, const struct vmt_grant *grant, unsigned count)
{
	(void)arg, (void)grant, (void)count;
	demand(++programs < 100, "a device's fault and a CPU go on against each other for ever");
	race_at(AT_HERE);
	return VMT_OK;
}

static enum vmt_status range_status;

static void try_range(struct sim_cpu *cpu)
{
	struct vmt_secondary_range range = {
		.addr = A, .length = 2 * PAGE, .access = VMT_WRITE, .program = program, .commit = device_commit_range,
		.arg = &device,
	};

	(void)cpu;
	programs = 0;
	range_status = ops->secondary_fault_range(env.space, device.id, &range);
}

static void fault_range(struct sim_cpu *cpu)
{
	try_range(cpu);
	OK(range_status);
}

// The device turns out not to answer, in a part of its own that has nothing to do with the range.
static void lose_device(struct sim_cpu *cpu)
{
	(void)cpu;
	device.silent = true;
	demand(ops->unmap(env.space, A + 8 * PAGE, PAGE) == VMT_ERR_DEVICE, "a silent device has answered");
}

static void silent_handed(uint64_t seed)
{
	begin_with_device(seed, MIB(2));
	device_write(&device, A + 8 * PAGE, 2);
	race_run(&(struct race){.place = AT_HERE, .first = try_range, .between = lose_device});
	demand(range_status == VMT_ERR_DEVICE, "a device that does not answer was handed a page");
	device_detach(&device);
	end();
}

// CPU 1 takes the page away whenever the device has looked at the range.
static void range_ends(uint64_t seed)
{
	begin_with_device(seed, MIB(2));
	race_run(&(struct race){.place = AT_HERE, .each = true, .first = fault_range, .between = release_a});
	demand(device_keeps(&device, A, VMT_WRITE) && device_keeps(&device, A + PAGE, VMT_WRITE),
	       "a device has not got its range");
	end_with_device();
}

// Where the entry of A is.
static uint64_t table_of_a(void)
{
	device.ways = 0;
	device_walk(&device, A);
	return device.way[--device.ways].pa;
}

// The table goes, and its frame becomes the table for the same addresses again; but the page is free.
static void remake_table(struct sim_cpu *cpu)
{
	uint64_t table = table_of_a();

	for (unsigned i = 0; i < 1000; i++) {
		OK(ops->unmap(env.space, A, GIB(1)));
		sim_grace_barrier(env.machine);
		lib_map(&env, A, GIB(1), RW, 0);
		write_at(cpu, A, 2);
		write_at(cpu, A + PAGE, 2);
		if (table_of_a() == table && !sim_frame_allocated(env.machine, frame, NULL))
			return;
	}
	demand(false, "the table was not made again in the same place");
}

static void table_again(uint64_t seed)
{
	begin_with_device(seed, GIB(1));
	race_run(&(struct race){.place = AT_HERE, .first = fault_range, .between = remake_table});
	demand(device_read(&device, A) == 2, "a device reads something else than what was written");
	end_with_device();
}

// ---- What lies between -------------------------------------------------------------------------------------------

#define PAIRS (VMT_FLUSH_RANGES + 4)

// A huge page and a table take turns. Of the tables nobody but the fork may be told while it works on what is above them:
// others are at work there, with locks of their own.
static void told_of_pair(void *owner, const struct vmt_change *change)
{
	bool *at_tables = owner;

	for (uint64_t i = 0; i < PAIRS; i++)
		if (change->end - change->start > MIB(2) && change->start < A + (2 * i + 2) * MIB(2) &&
		    change->end > A + (2 * i + 1) * MIB(2))
			*at_tables = true;
}

static void fork_of_pairs(uint64_t seed)
{
	static const struct vmt_secondary_ops pair_ops = {.issue = told_of_pair};
	bool at_tables = false;
	struct vmt_secondary_config config = {.ops = &pair_ops, .owner = &at_tables};
	unsigned id;

	begin_with_frames(seed, (PAIRS + 1) * 512 + 4096);
	lib_map(&env, A, 2 * PAIRS * MIB(2), RW, 0);
	for (uint64_t i = 0; i < PAIRS; i++) {
		OK(ops->advise_huge(env.space, A + 2 * i * MIB(2), MIB(2), true));
		lib_write(&env, A + 2 * i * MIB(2), 1);
		lib_write(&env, A + (2 * i + 1) * MIB(2), 1);
	}
	OK(ops->secondary_attach(env.space, &config, &id));
	fork_it(env.cpu);
	demand(!at_tables, "a device is told of what nobody holds still");
	ops->secondary_detach(env.space, id);
	destroy_child();
	end();
}

// ---- Pages that a device has for itself --------------------------------------------------------------------------

// CPUs do not see it; one that touches it takes it back.
static void exclusive(uint64_t seed)
{
	begin_with_device(seed, MIB(2));
	OK(device_fault(&device, A, VMT_WRITE, VMT_GRANT_EXCLUSIVE));
	demand(device_try_write(&device, A, 2), "a device cannot write a page that it has for itself");
	demand(lib_read(&env, A) == 2, "what a device wrote is lost");
	demand(!device_try_write(&device, A, 3), "a CPU and a device have a page each for itself");
	end_with_device();
}

const struct protection_case secondary_cases[] = {
	{"secondary-unmap", secondary_unmap},
	{"C1-two-copies", two_copies},
	{"C2-late-flush", late_flush},
	{"C3-late-commit", late_commit},
	{"C3-fault-after-begin", fault_after_begin},
	{"C4-looks-unchanged", looks_unchanged},
	{"C5-upgrade", upgrade},
	{"C5-upgrade-told", upgrade_told},
	{"r08-device-walks-tables", walks_tables},
	{"r11-fork-of-pairs", fork_of_pairs},
	{"r09-detach-in-callback", detach_in_callback},
	{"r10-range", range_ends},
	{"r11-many-ranges", many_ranges},
	{"r24-table-again", table_again},
	{"B3-exclusive", exclusive},
	{"space-ends", space_ends},
	{"silent-device", silent},
	{"silent-device-handed", silent_handed},
};

const unsigned secondary_case_count = sizeof(secondary_cases) / sizeof(*secondary_cases);

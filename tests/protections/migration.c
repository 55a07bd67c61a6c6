// SPDX-License-Identifier: MIT
// Cases for pages that move to a device's memory and back.
#include "device.h"

static struct device device;

// With [A, A + length) mapped, and 1 in its first page.
static void begin_with_memory(uint64_t seed, uint64_t length, uint64_t pages)
{
	begin_with_page(seed, length);
	device_attach(&device, pages);
}

static void end_with_memory(void)
{
	device_detach(&device);
	end();
}

static enum vmt_status migrate(uint64_t length)
{
	return ops->migrate(env.space, A, length, device.memory, NULL);
}

// The page lives on the device, with 2 in it that the device wrote.
static void begin_on_device(uint64_t seed)
{
	begin_with_memory(seed, MIB(2), 16);
	OK(migrate(PAGE));
	demand(!frame_at(A), "a page has not moved to the device");
	device_write(&device, A, 2);
}

static void migrate_a(struct sim_cpu *cpu)
{
	(void)cpu;
	migrate(PAGE);
}

static void write_3(struct sim_cpu *cpu)
{
	write_at(cpu, A, 3);
}

// ---- There -------------------------------------------------------------------------------------------------------

static void copy_fails(uint64_t seed)
{
	enum vmt_status status;

	begin_with_memory(seed, MIB(2), 16);
	device.fails = true;
	status = migrate(PAGE);
	device.fails = false;
	demand(lib_read(&env, A) == 1, "a page that could not move to the device is not what it was");
	IS(status, VMT_ERR_DEVICE);
	end_with_memory();
}

static void write_going(struct sim_cpu *cpu)
{
	write_3(cpu);
	demand(frame_at(A), "a CPU writes to a page that is on its way to the device");
}

// CPU 1 has the page cached and writes to it when its bytes have been copied.
static void written_while_going(uint64_t seed)
{
	begin_with_memory(seed, MIB(2), 16);
	on_second(write_3);
	lib_write(&env, A, 1);
	race_run(&(struct race){.place = AT_COPY, .first = migrate_a, .between = write_going});
	demand(lib_read(&env, A) == 3, "what was written while a page went to the device is lost");
	end_with_memory();
}

static uint64_t reference;

static void take_reference(struct sim_cpu *cpu)
{
	(void)cpu;
	OK(ops->page_try_get(env.space, A, VMT_WRITE, &reference));
}

#define HUGE_LAST (MIB(2) - PAGE)

static void migrate_huge(struct sim_cpu *cpu)
{
	(void)cpu;
	migrate(MIB(2));
}

// CPU 1 takes a reference on the first page of a huge one when its count has been read and that of the last is about to
// be.
static void referenced_while_going(uint64_t seed)
{
	begin(seed);
	device_attach(&device, MIB(2) / PAGE);
	lib_map(&env, A, MIB(2), RW, VMT_MAP_HUGE);
	lib_write(&env, A, 1);
	demand(frame_at(A + HUGE_LAST) == frame_at(A) + HUGE_LAST, "there is no huge page");
	race_run(&(struct race){.place = AT_META, .frame = frame_at(A + HUGE_LAST), .first = migrate_huge,
				.between = take_reference});
	atomic_store_explicit(word_at(reference), 44, memory_order_relaxed);
	demand(lib_read(&env, A) == 44, "what was written through a reference is lost");
	ops->page_put(env.vmt, reference);
	end_with_memory();
}

static bool taken_back;

static void take_back(struct sim_cpu *cpu)
{
	write_3(cpu);
	taken_back = true;
}

static void stays_back(void)
{
	demand(!taken_back || frame_at(A), "a page goes to the device that a CPU has taken back");
}

static void device_reads(struct sim_cpu *cpu)
{
	(void)cpu;
	device_read(&device, A);
}

// A CPU and a device fault on the page at once: it is on its way to the device, and the CPU takes it back.
static void both_fault(uint64_t seed)
{
	begin_with_memory(seed, MIB(2), 16);
	OK(ops->advise_device(env.space, A, PAGE, device.memory, false));
	taken_back = false;
	race_on_publish = stays_back;
	race_run(&(struct race){.place = AT_COPY, .first = device_reads, .between = take_back});
	race_on_publish = NULL;
	demand(device_read(&device, A) == 3 && lib_read(&env, A) == 3, "a CPU and a device have each a copy of a page");
	end_with_memory();
}

static unsigned rounds;

static void write_again(struct sim_cpu *cpu)
{
	demand(++rounds < 10, "a device's fault and a CPU go on against each other for ever");
	write_3(cpu);
}

// The page should live on the device. Whenever it is on its way there a CPU takes it back.
static void livelock(uint64_t seed)
{
	begin_with_memory(seed, MIB(2), 16);
	OK(ops->advise_device(env.space, A, PAGE, device.memory, false));
	rounds = 0;
	race_run(&(struct race){.place = AT_COPY, .each = true, .first = device_reads, .between = write_again});
	demand(device_read(&device, A) == 3, "a device reads something else");
	end_with_memory();
}

// ---- Back --------------------------------------------------------------------------------------------------------

static void touched(uint64_t seed)
{
	begin_with_memory(seed, MIB(2), 16);
	OK(migrate(PAGE));
	demand(lib_read(&env, A) == 1, "a page that lives on the device is filled with zeroes");
	end_with_memory();
}

static void first_reads(struct sim_cpu *cpu)
{
	demand(read_at(cpu, A) == 3, "a page that comes back twice is there twice");
}

// Two CPUs touch the page; the second is faster, and writes to it.
static void both_return(uint64_t seed)
{
	begin_on_device(seed);
	race_run(&(struct race){.place = AT_COPY, .first = first_reads, .between = write_3});
	end_with_memory();
}

static void device_writes_3(struct sim_cpu *cpu)
{
	(void)cpu;
	device_write(&device, A, 3);
}

static void touch(struct sim_cpu *cpu)
{
	read_at(cpu, A);
}

// The device writes to the page when its bytes have been copied.
static void written_while_coming(uint64_t seed)
{
	begin_on_device(seed);
	race_run(&(struct race){.place = AT_COPY, .first = touch, .between = device_writes_3});
	demand(lib_read(&env, A) == 3, "what a device wrote while its page came back is lost");
	end_with_memory();
}

static void get_page(struct sim_cpu *cpu)
{
	(void)cpu;
	OK(ops->page_get(env.space, A, VMT_READ, &reference));
	demand(sim_frame_allocated(env.machine, reference, NULL) && *word_at(reference) == 2,
	       "a migration marker was taken for a page");
	ops->page_put(env.vmt, reference);
}

// The entry is a migration marker while CPU 1 wants the page.
static void marker_is_no_page(uint64_t seed)
{
	begin_on_device(seed);
	race_run(&(struct race){.place = AT_COPY, .first = touch, .between = get_page});
	end_with_memory();
}

// ---- A copy beside the page --------------------------------------------------------------------------------------

static void begin_read_mostly(uint64_t seed)
{
	begin_with_memory(seed, MIB(2), 16);
	OK(ops->advise_device(env.space, A, PAGE, NULL, true));
}

// CPU 1 has the page cached and writes to it when its bytes have been copied.
static void written_while_copied(uint64_t seed)
{
	begin_read_mostly(seed);
	on_second(write_3);
	lib_write(&env, A, 1);
	race_run(&(struct race){.place = AT_COPY, .first = device_reads, .between = write_3});
	demand(device_read(&device, A) == 3, "a device reads a copy that was old when it was made");
	end_with_memory();
}

static void written_after_copy(uint64_t seed)
{
	begin_read_mostly(seed);
	device_read(&device, A);
	demand(device_keeps(&device, A, VMT_READ)->device, "a page that is mostly read was not copied");
	lib_write(&env, A, 3);
	demand(device_read(&device, A) == 3, "a device reads the copy of a page that was written");
	end_with_memory();
}

// ---- Unmapping ---------------------------------------------------------------------------------------------------

// As many pages as a batch lists of those that others name as well, and some more.
#define LISTED 32
#define PAGES  (LISTED + 8)

static void unmap_pages(struct sim_cpu *cpu)
{
	(void)cpu;
	OK(ops->unmap(env.space, A, PAGES * PAGE));
}

static void unmap_in_child(struct sim_cpu *cpu)
{
	(void)cpu;
	OK(ops->unmap(child, A, LISTED * PAGE));
}

static void frames_are_used(void)
{
	struct vmt_device_memory_counts counts;

	ops->device_memory_stats(device.memory, &counts);
	demand(counts.used == PAGES || !device_keeps(&device, A, VMT_READ),
	       "a frame of a device's memory is free that the device can reach");
}

// The list is full of frames that nobody else names any more when the next comes.
static void overflow(uint64_t seed)
{
	begin_with_memory(seed, MIB(2), PAGES);
	for (unsigned i = 0; i < PAGES; i++)
		lib_write(&env, A + i * PAGE, i);
	OK(migrate(PAGES * PAGE));
	fork_it(env.cpu);
	for (unsigned i = 0; i < PAGES; i++)
		demand(device_read(&device, A + i * PAGE) == i, "a device reads something else than what was written");
	race_on_publish = frames_are_used;
	race_run(&(struct race){.place = AT_PUBLISH, .skip = LISTED, .first = unmap_pages, .between = unmap_in_child});
	race_on_publish = NULL;
	destroy_child();
	end_with_memory();
}

// ---- Fork --------------------------------------------------------------------------------------------------------

static void fork_and_write(uint64_t seed)
{
	begin_on_device(seed);
	fork_it(env.cpu);
	device_write(&device, A, 3);
	demand(read_child(A) == 2, "what a device writes for the parent shows in the child");
	demand(lib_read(&env, A) == 3, "what a device wrote is lost");
	destroy_child();
	end_with_memory();
}

const struct protection_case migration_cases[] = {
	{"B1-copy-fails", copy_fails},
	{"B1-written-while-going", written_while_going},
	{"going-referenced", referenced_while_going},
	{"B3-both-fault", both_fault},
	{"r10-livelock", livelock},
	{"B2-touched", touched},
	{"B2-written-while-coming", written_while_coming},
	{"B3-both-return", both_return},
	{"r14-marker-is-no-page", marker_is_no_page},
	{"copy-written-while", written_while_copied},
	{"copy-written-after", written_after_copy},
	{"r18-device-overflow", overflow},
	{"device-fork-and-write", fork_and_write},
};

const unsigned migration_case_count = sizeof(migration_cases) / sizeof(*migration_cases);

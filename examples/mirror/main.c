// SPDX-License-Identifier: MIT
// A process and an accelerator that work on the same pointers, while CPUs write, the process forks and unmaps, pages
// move to the accelerator's memory and back, and the accelerator at last stops answering.
//
//	../host/host.c	the port: the 17 functions of vmtree/port.h
//	cpu.c		the CPUs: they walk, fault, and walk again
//	accelerator.c	the hardware: walks its own tables, keeps what it found, asks for pages, copies
//	driver.c	the driver, in less than 100 lines
#include <pthread.h>
#include <stdlib.h>

#include "../host/check.h"
#include "cpu.h"
#include "driver.h"

#define PAGE	  VMT_PAGE_SIZE
#define WORDS	  (PAGE / 8)
#define MIB	  (UINT64_C(1) << 20)
#define RAM_BYTES (32 * MIB)
#define FRAMES	  (unsigned)(RAM_BYTES / PAGE)
#define LOCAL	  (4 * MIB) // the accelerator's memory
#define INTERRUPT (HOST_CPUS - 1) // the CPU that serves page requests

static struct host host;
static struct vmt *vmt;
static struct vmt_space *space;
static struct driver driver;
static pthread_t interrupts;

// ---- What the cases use ------------------------------------------------------------------------------------------

static uint64_t map(uint64_t pages)
{
	struct vmt_map_request request = {.length = pages * PAGE, .prot = VMT_READ | VMT_WRITE};
	uint64_t addr = 0;

	CHECK(vmt_map(space, &request, &addr) == VMT_OK);
	return addr;
}

static void unmap(uint64_t addr, uint64_t pages)
{
	CHECK(vmt_unmap(space, addr, pages * PAGE) == VMT_OK);
}

static void run(struct accelerator_job *job)
{
	accelerator_start(driver.device, job);
	accelerator_finish(driver.device);
	CHECK(!job->broken);
}

static uint64_t requests(void)
{
	return accelerator_counts(driver.device).requests;
}

static struct vmt_device_memory_counts local(void)
{
	struct vmt_device_memory_counts counts;

	vmt_device_memory_stats(driver.memory, &counts);
	return counts;
}

static unsigned long long since(uint64_t now, uint64_t before)
{
	return now - before;
}

// The threads of the process: each is a CPU that uses the space.
static void process_thread_begins(unsigned cpu)
{
	host_cpu = cpu;
	vmt_activate(space);
}

static void process_thread_ends(void)
{
	vmt_deactivate(space);
}

static void *serve(void *arg)
{
	host_cpu = INTERRUPT;
	while (accelerator_interrupt(driver.device))
		driver_serve(&driver);
	return arg;
}

// ---- A list ------------------------------------------------------------------------------------------------------

#define NODES	   2000
#define LIST_PAGES 32

// All over its pages. A node is the next one's address, and a value.
static uint64_t node_at(uint64_t base, uint64_t i)
{
	return base + i * 2741 % (LIST_PAGES * PAGE / 16) * 16;
}

static uint64_t list_build(void)
{
	uint64_t base = map(LIST_PAGES);

	for (uint64_t i = 0; i < NODES; i++) {
		cpu_store(space, node_at(base, i), i + 1 < NODES ? node_at(base, i + 1) : 0);
		cpu_store(space, node_at(base, i) + 8, i);
	}
	return base;
}

static void list_sum(uint64_t base, uint64_t expected)
{
	struct accelerator_job job = {.program = ACCELERATOR_LIST, .a = base, .count = NODES};

	run(&job);
	CHECK(job.result == expected);
}

static void list(void)
{
	uint64_t base = list_build(), before = requests(), first;

	list_sum(base, NODES * (NODES - 1) / 2);
	first = requests();
	// What a CPU writes the accelerator sees: it is the same memory.
	cpu_add(space, node_at(base, 77) + 8, 1000);
	list_sum(base, NODES * (NODES - 1) / 2 + 1000);
	CHECK(first - before == LIST_PAGES && requests() == first);
	printf("  %u nodes in %u pages: %llu page requests, and none the second time\n", NODES, LIST_PAGES,
	       since(first, before));
	unmap(base, LIST_PAGES);
}

// ---- Vectors -----------------------------------------------------------------------------------------------------

#define VECTOR_PAGES 16

static void vectors(void)
{
	uint64_t a = map(VECTOR_PAGES), b = map(VECTOR_PAGES), to = map(VECTOR_PAGES);
	struct accelerator_job job = {
		.program = ACCELERATOR_ADD, .a = a, .b = b, .to = to, .count = VECTOR_PAGES * WORDS,
	};
	struct vmt_device_memory_counts before = local(), brought, after;

	for (uint64_t i = 0; i < job.count; i++) {
		cpu_store(space, a + 8 * i, i);
		cpu_store(space, b + 8 * i, 3 * i);
	}
	// One goes to the accelerator, one stays and is copied there, and the sums are to be made there.
	CHECK(driver_bring(&driver, space, a, VECTOR_PAGES * PAGE) == VMT_OK);
	CHECK(driver_bring(&driver, space, to, VECTOR_PAGES * PAGE) == VMT_OK);
	CHECK(vmt_advise_device(space, b, VECTOR_PAGES * PAGE, NULL, true) == VMT_OK);
	brought = local();
	CHECK(brought.moved_in - before.moved_in == VECTOR_PAGES && brought.used - before.used == VECTOR_PAGES);
	run(&job);
	after = local();
	CHECK(after.copies - brought.copies == VECTOR_PAGES && after.failed == before.failed);
	CHECK(after.used - before.used == 3 * VECTOR_PAGES);
	// Each page of sums comes back at a CPU's first access; what it only reads of `b` is there as ever.
	for (uint64_t i = 0; i < job.count; i++)
		CHECK(cpu_load(space, to + 8 * i) == 4 * i && cpu_load(space, b + 8 * i) == 3 * i);
	CHECK(local().moved_out - before.moved_out == VECTOR_PAGES);
	printf("  %u words added: %llu pages moved there, %llu copied, %llu came back\n", (unsigned)job.count,
	       since(after.moved_in, before.moved_in), since(after.copies, before.copies),
	       since(local().moved_out, before.moved_out));
	unmap(a, VECTOR_PAGES);
	unmap(b, VECTOR_PAGES);
	unmap(to, VECTOR_PAGES);
	CHECK(local().used == before.used);
}

// ---- A histogram, by everybody at once ---------------------------------------------------------------------------

#define BINS	 1024
#define SAMPLES	 4096 // of the accelerator, and of each CPU
#define COUNTERS 3

static uint64_t bins, samples;
static _Atomic bool counted;

static uint64_t bin_of(uint64_t who, uint64_t i)
{
	return (i * 167 + who * 311) % BINS;
}

static void *count(void *arg)
{
	unsigned me = *(unsigned *)arg;

	process_thread_begins(me);
	for (uint64_t i = 0; i < SAMPLES; i++)
		cpu_add(space, bins + 8 * bin_of(me, i), 1);
	process_thread_ends();
	return NULL;
}

// The pages go to and fro meanwhile.
static void *move(void *arg)
{
	host_cpu = *(unsigned *)arg;
	while (!atomic_load_explicit(&counted, memory_order_relaxed)) { // nothing but the end hangs on it
		CHECK(driver_bring(&driver, space, samples, SAMPLES * 8) == VMT_OK);
		CHECK(vmt_migrate(space, bins, BINS * 8, driver.memory, NULL) == VMT_OK);
		CHECK(vmt_migrate(space, samples, SAMPLES * 8, NULL, NULL) == VMT_OK);
	}
	return NULL;
}

static void histogram(void)
{
	struct vmt_device_memory_counts before = local(), after;
	struct accelerator_job job = {.program = ACCELERATOR_COUNT, .count = SAMPLES};
	pthread_t thread[COUNTERS + 1];
	unsigned number[COUNTERS + 1];

	job.a = samples = map(SAMPLES / WORDS);
	job.to = bins = map(BINS / WORDS);
	for (uint64_t i = 0; i < SAMPLES; i++)
		cpu_store(space, samples + 8 * i, bin_of(0, i));
	accelerator_start(driver.device, &job);
	for (unsigned i = 0; i <= COUNTERS; i++) {
		number[i] = i + 1;
		if (pthread_create(&thread[i], NULL, i < COUNTERS ? count : move, &number[i]))
			abort();
	}
	for (unsigned i = 0; i < COUNTERS; i++)
		pthread_join(thread[i], NULL);
	accelerator_finish(driver.device);
	atomic_store_explicit(&counted, true, memory_order_relaxed);
	pthread_join(thread[COUNTERS], NULL);
	CHECK(!job.broken);
	for (uint64_t bin = 0; bin < BINS; bin++)
		CHECK(cpu_load(space, bins + 8 * bin) == (COUNTERS + 1) * SAMPLES / BINS);
	after = local();
	printf("  %u counted by the accelerator, %u by CPUs: %llu pages moved there, %llu came back\n", SAMPLES,
	       COUNTERS * SAMPLES, since(after.moved_in, before.moved_in), since(after.moved_out, before.moved_out));
	unmap(samples, SAMPLES / WORDS);
	unmap(bins, BINS / WORDS);
}

// ---- Fork --------------------------------------------------------------------------------------------------------
//
// The accelerator adds one to a word in each of several pages, one after the other, round after round. A child that is
// a state which existed has some words of round n + 1, and behind them those of round n.

#define TICK_PAGES 16

static struct accelerator_job ticking(uint64_t base)
{
	return (struct accelerator_job){
		.program = ACCELERATOR_TICK, .to = base, .count = TICK_PAGES, .stride = PAGE,
	};
}

static void wait_for_round(uint64_t base, uint64_t round)
{
	while (cpu_load(space, base) < round)
		vmt_port_relax(&host, true);
}

static void look_at_child(struct vmt_space *child, uint64_t base)
{
	uint64_t word[TICK_PAGES];

	for (unsigned i = 0; i < TICK_PAGES; i++)
		word[i] = cpu_load(child, base + i * PAGE);
	for (unsigned i = 1; i < TICK_PAGES; i++)
		CHECK(word[i] <= word[i - 1] && word[i] + 1 >= word[0]);
	wait_for_round(base, word[0] + 2); // the parent's words go on
	for (unsigned i = 0; i < TICK_PAGES; i++)
		CHECK(cpu_load(child, base + i * PAGE) == word[i]);
}

static void forks(void)
{
	uint64_t base = map(TICK_PAGES);
	struct accelerator_job job = ticking(base);
	struct vmt_device_memory_counts before = local();

	// The second half of the pages lives with the accelerator.
	CHECK(driver_bring(&driver, space, base + TICK_PAGES / 2 * PAGE, TICK_PAGES / 2 * PAGE) == VMT_OK);
	accelerator_start(driver.device, &job);
	wait_for_round(base, 2);
	for (unsigned i = 0; i < 8; i++) {
		struct vmt_space *child;

		CHECK(vmt_space_fork(space, &host, &child) == VMT_OK);
		vmt_activate(child);
		look_at_child(child, base);
		vmt_deactivate(child);
		CHECK(vmt_check(child) == 0);
		CHECK(vmt_space_destroy(child) == VMT_OK);
	}
	accelerator_stop(driver.device);
	accelerator_finish(driver.device);
	CHECK(!job.broken);
	for (unsigned i = 0; i < TICK_PAGES; i++)
		CHECK(cpu_load(space, base + i * PAGE) == job.result);
	printf("  8 children, %llu rounds: %llu pages moved to the accelerator\n", since(job.result, 0),
	       since(local().moved_in, before.moved_in));
	unmap(base, TICK_PAGES);
}

// ---- Memory that goes --------------------------------------------------------------------------------------------

// It is unmapped while the accelerator writes to it, and its frames are given to somebody else at once.
static void memory_goes(void)
{
	uint64_t base = map(TICK_PAGES), other = map(TICK_PAGES);
	struct accelerator_job job = ticking(base);

	accelerator_start(driver.device, &job);
	wait_for_round(base, 2);
	unmap(base, TICK_PAGES);
	for (uint64_t i = 0; i < TICK_PAGES * WORDS; i++)
		cpu_store(space, other + 8 * i, 7);
	accelerator_finish(driver.device);
	CHECK(job.broken && job.at >= base && job.at < base + TICK_PAGES * PAGE);
	for (uint64_t i = 0; i < TICK_PAGES * WORDS; i++)
		CHECK(cpu_load(space, other + 8 * i) == 7);
	printf("  broken off at byte 0x%llx of what was unmapped, after %llu rounds\n", since(job.at, base),
	       since(job.result, 1));
	unmap(other, TICK_PAGES);
}

// ---- A device that does not answer -------------------------------------------------------------------------------

static unsigned free_frames(void)
{
	host_drain(&host);
	return host.free_count;
}

static void no_answer(void)
{
	uint64_t base = list_build(), patience = driver.patience;
	struct vmt_mirror_counts counts;
	struct vmt_space *child;
	unsigned before;

	list_sum(base, NODES * (NODES - 1) / 2);
	driver.patience = 10000000; // 10 milliseconds, for it will not answer anyway
	before = free_frames();
	accelerator_hang(driver.device);
	// It may go on using the pages, so nobody gets them; everything else goes on.
	CHECK(vmt_unmap(space, base, LIST_PAGES * PAGE) == VMT_ERR_DEVICE);
	CHECK(cpu_try(space, base, CPU_LOAD, &(uint64_t){0}) == VMT_ERR_UNMAPPED);
	CHECK(free_frames() < before + LIST_PAGES);
	vmt_mirror_stats(driver.mirror, &counts);
	CHECK(counts.lost);
	base = list_build();
	CHECK(vmt_space_fork(space, &host, &child) == VMT_ERR_DEVICE);
	printf("  %u pages in quarantine", LIST_PAGES);
	driver_detach(&driver);
	unmap(base, LIST_PAGES);
	CHECK(free_frames() >= before + LIST_PAGES);
	driver.patience = patience;
	CHECK(driver_attach(&driver, space) == VMT_OK);
	printf(", and free after the accelerator was reset\n");
	list(); // as if nothing had happened
}

// ---- Beginning and end -------------------------------------------------------------------------------------------

static void start(void)
{
	struct vmt_space_config config = {.end = UINT64_C(1) << 47, .owner = &host, .user = true};

	CHECK(host_open(&host, RAM_BYTES, FRAMES, cpu_flush));
	cpu_open();
	CHECK(vmt_create(&host, HOST_CPUS, &vmt) == VMT_OK);
	CHECK(vmt_space_create(vmt, &config, &space) == VMT_OK);
	process_thread_begins(0);
	driver.device = accelerator_new(host.memory, HOST_BASE, RAM_BYTES, LOCAL);
	driver.port = &host;
	driver.patience = UINT64_C(30000000000); // half a minute: other work may be on this machine
	pthread_mutex_init(&driver.serving, NULL);
	CHECK(driver_open(&driver, vmt, LOCAL) == VMT_OK);
	CHECK(driver_attach(&driver, space) == VMT_OK);
	if (pthread_create(&interrupts, NULL, serve, NULL))
		abort();
}

static void stop(void)
{
	struct accelerator_counts counts = accelerator_counts(driver.device);

	printf("  in all: %llu page requests, %llu invalidations, %llu copies; %llu pages moved there, %llu back\n",
	       since(counts.requests, 0), since(counts.invalidations, 0), since(counts.copies, 0),
	       since(local().moved_in, 0), since(local().moved_out, 0));
	driver_detach(&driver);
	accelerator_mask(driver.device);
	pthread_join(interrupts, NULL);
	CHECK(vmt_check(space) == 0);
	process_thread_ends();
	CHECK(vmt_space_destroy(space) == VMT_OK);
	CHECK(local().used == 0);
	CHECK(vmt_device_memory_destroy(driver.memory) == VMT_OK);
	CHECK(vmt_destroy(vmt) == VMT_OK);
	host_drain(&host);
	CHECK(host.free_count == FRAMES && host.blocks == 0);
	accelerator_free(driver.device);
	host_close(&host);
}

int main(void)
{
	static const struct check_case cases[] = {
		{"start", start}, {"a list", list}, {"vectors", vectors}, {"a histogram", histogram}, {"forks", forks},
		{"memory that goes", memory_goes}, {"no answer", no_answer}, {"stop", stop},
	};

	return check_cases(cases, sizeof(cases) / sizeof(cases[0]));
}

// SPDX-License-Identifier: MIT
// Throughput of operations in several threads. A round: each thread makes the state that its operation wants, all meet,
// all do the operation on their own pages, all meet, and take it back. What counts is from when the first begins until
// the last has ended, so that nobody is measured while others still prepare.
//
// Separate: each thread has a space of its own, as a process has. Disjoint: in one space, each thread's pages lie in a
// GiB of their own, so that threads have no lowest table, and no table above it, in common. Shared: the pages alternate
// in one range, so that each table is everybody's, each page one thread's.
#include "threads_work.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define VMT_FORMAT x86_64_4
#include "native.h"
#include "threads_port.h"
#include <vmtree/port.h>
#include <vmtree/vmtree.h>

#define START  (UINT64_C(1) << 40)
#define GIB    (UINT64_C(1) << 30)
#define PAGES  1024 // of a thread: two tables
#define PASSES 16   // over the pages, of operations that are too short otherwise
// Frames for a thread: its pages, what it keeps, tables and what waits for a grace period.
#define FRAMES (PAGES + THREADS_KEPT + 640)

struct worker {
	_Alignas(THREADS_LINE) unsigned number;
	double start, end;
	uint32_t random;
	pthread_t thread;
	struct vmt_space *space;
};

struct operation {
	bool mapped, touched; // what it wants of its pages
	unsigned count;	      // of operations in a round
	void (*run)(struct worker *worker);
};

static struct threads_port port;
static struct worker workers[VMT_MAX_CPUS];
static const struct threads_work *work;
static const struct operation *operation;
static _Thread_local struct vmt_space *space; // the calling thread's
static double best; // nanoseconds of a round

static struct {
	_Alignas(THREADS_LINE) _Atomic(unsigned) arrived;
	_Alignas(THREADS_LINE) _Atomic(unsigned) times;
} meeting;

// Returns when all have come.
static void meet(void)
{
	unsigned times = atomic_load_explicit(&meeting.times, memory_order_relaxed); // as long as this one has not come

	// With each other: the last sees what all did before.
	if (atomic_fetch_add_explicit(&meeting.arrived, 1, memory_order_acq_rel) + 1 == work->threads) {
		atomic_store_explicit(&meeting.arrived, 0, memory_order_relaxed); // seen with the next store
		// With the acquire below.
		atomic_store_explicit(&meeting.times, times + 1, memory_order_release);
	}
	while (atomic_load_explicit(&meeting.times, memory_order_acquire) == times)
		threads_wait(&port);
}

static uint64_t page(const struct worker *worker, unsigned n)
{
	if (work->ranges == THREADS_SHARED)
		return START + ((uint64_t)n * work->threads + worker->number) * VMT_PAGE_SIZE;
	return START + worker->number * GIB + n * VMT_PAGE_SIZE;
}

// ---- The operations ----------------------------------------------------------------------------------------------

static void map(uint64_t addr)
{
	struct vmt_map_request request = {.addr = addr, .length = VMT_PAGE_SIZE, .prot = VMT_READ | VMT_WRITE,
					  .flags = VMT_MAP_FIXED};

	must(vmt_map(space, &request, &addr));
	threads_between(&port);
}

static void unmap(uint64_t addr)
{
	must(vmt_unmap(space, addr, VMT_PAGE_SIZE));
	threads_between(&port);
}

static void fault(uint64_t addr)
{
	must(vmt_fault(space, addr, VMT_WRITE, NULL));
	threads_between(&port);
}

static void release(uint64_t addr)
{
	must(vmt_release(space, addr, VMT_PAGE_SIZE));
	threads_between(&port);
}

static void protect(uint64_t addr, vmt_prot prot)
{
	must(vmt_protect(space, addr, VMT_PAGE_SIZE, prot));
	threads_between(&port);
}

// Whether a page is there.
static void translate(uint64_t addr, bool must_be)
{
	struct vmt_translation translation;
	enum vmt_status status = vmt_translate(space, addr, &translation);

	if (must_be || status != VMT_ERR_NOT_PRESENT)
		must(status);
	threads_between(&port);
}

static void run_map_fault_unmap(struct worker *worker)
{
	for (unsigned n = 0; n < PAGES; n++) {
		map(page(worker, n));
		fault(page(worker, n));
		unmap(page(worker, n));
	}
}

static void run_fault(struct worker *worker)
{
	for (unsigned n = 0; n < PAGES; n++)
		fault(page(worker, n));
}

static void run_protect(struct worker *worker)
{
	for (unsigned n = 0; n < PAGES; n++)
		protect(page(worker, n), VMT_READ);
	for (unsigned n = 0; n < PAGES; n++)
		protect(page(worker, n), VMT_READ | VMT_WRITE);
}

static void run_release(struct worker *worker)
{
	for (unsigned n = 0; n < PAGES; n++)
		release(page(worker, n));
}

static void run_translate(struct worker *worker)
{
	for (unsigned pass = 0; pass < PASSES; pass++)
		for (unsigned n = 0; n < PAGES; n++)
			translate(page(worker, n), true);
}

static uint32_t next_random(struct worker *worker)
{
	worker->random ^= worker->random << 13;
	worker->random ^= worker->random >> 17;
	worker->random ^= worker->random << 5;
	return worker->random;
}

// Of 16 operations, by chance: 8 look-ups, 4 write faults, 2 releases, 1 change of permissions, 1 unmap with a new map.
static void run_mixed(struct worker *worker)
{
	for (unsigned i = 0; i < PAGES; i++) {
		uint32_t random = next_random(worker);
		uint64_t addr = page(worker, random / 16 % PAGES);

		switch (random % 16) {
		case 0:
			unmap(addr);
			map(addr);
			break;
		case 1:
			protect(addr, random >> 31 ? VMT_RWX : VMT_READ | VMT_WRITE);
			break;
		case 2:
		case 3:
			release(addr);
			break;
		case 4:
		case 5:
		case 6:
		case 7:
			fault(addr);
			break;
		default:
			translate(addr, false);
		}
	}
}

const char *const threads_operations[] = {"map-fault-unmap", "fault", "release", "protect", "translate", "mixed", NULL};

static const struct operation operations[] = {
	{false, false, PAGES, run_map_fault_unmap},
	{true, false, PAGES, run_fault},
	{true, true, PAGES, run_release},
	{true, true, 2 * PAGES, run_protect},
	{true, true, PASSES * PAGES, run_translate},
	{true, true, PAGES, run_mixed},
};

// ---- Rounds ------------------------------------------------------------------------------------------------------

static void prepare(struct worker *worker)
{
	for (unsigned n = 0; operation->mapped && n < PAGES; n++)
		map(page(worker, n));
	for (unsigned n = 0; operation->touched && n < PAGES; n++)
		fault(page(worker, n));
}

static void take_back(struct worker *worker)
{
	for (unsigned n = 0; n < PAGES; n++)
		unmap(page(worker, n));
}

static void note_round(void)
{
	double start = workers[0].start, end = workers[0].end;

	for (unsigned i = 1; i < work->threads; i++) {
		start = workers[i].start < start ? workers[i].start : start;
		end = workers[i].end > end ? workers[i].end : end;
	}
	best = end - start < best ? end - start : best;
}

// Threads that all have a processor stay on it.
static void pin(unsigned number)
{
	cpu_set_t allowed, one;
	unsigned found = 0;

	if (work->threads > threads_processors() || sched_getaffinity(0, sizeof(allowed), &allowed))
		return;
	CPU_ZERO(&one);
	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &allowed) && found++ == number)
			CPU_SET(cpu, &one);
	pthread_setaffinity_np(pthread_self(), sizeof(one), &one); // otherwise it runs where it likes
}

static void *run(void *arg)
{
	struct worker *worker = arg;

	threads_cpu_number = worker->number;
	space = worker->space;
	pin(worker->number);
	vmt_activate(space);
	for (unsigned round = 0; round < work->rounds; round++) {
		prepare(worker);
		meet();
		worker->start = now();
		operation->run(worker);
		worker->end = now();
		meet();
		if (worker->number == 0)
			note_round();
		take_back(worker);
	}
	meet(); // nobody asks this CPU for a flush any more
	vmt_deactivate(space);
	return NULL;
}

static _Noreturn void give_up(const char *why)
{
	fprintf(stderr, "bench: %s\n", why);
	exit(1);
}

// As many as are wanted; the other threads use the first.
static void make_spaces(struct vmt *vmt)
{
	struct vmt_space_config config = {.end = UINT64_C(1) << 47, .user = true};

	for (unsigned i = 0; i < work->threads; i++) {
		workers[i] = (struct worker){.number = i, .random = i + 1, .space = workers[0].space};
		if (i == 0 || work->ranges == THREADS_SEPARATE)
			must(vmt_space_create(vmt, &config, &workers[i].space));
	}
}

static void end_spaces(void)
{
	for (unsigned i = 0; i < work->threads; i++) {
		if (i != 0 && work->ranges != THREADS_SEPARATE)
			continue;
		if (vmt_check(workers[i].space))
			give_up("a space is not in order");
		must(vmt_space_destroy(workers[i].space));
	}
}

double threads_measure(const struct threads_work *wanted)
{
	struct vmt *vmt;

	work = wanted;
	operation = &operations[work->operation];
	best = 1e18;
	if (!threads_port_make(&port, work->threads * FRAMES + 1024, work->threads, work->answered))
		give_up("there is no memory");
	must(vmt_create(&port, work->threads, &vmt));
	make_spaces(vmt);
	for (unsigned i = 0; i < work->threads; i++)
		if (pthread_create(&workers[i].thread, NULL, run, &workers[i]))
			give_up("a thread cannot be made");
	for (unsigned i = 0; i < work->threads; i++)
		pthread_join(workers[i].thread, NULL);
	end_spaces();
	must(vmt_destroy(vmt));
	if (threads_port_end(&port))
		give_up("frames were not returned");
	return (double)operation->count * work->threads * 1e9 / best;
}

unsigned threads_processors(void)
{
	cpu_set_t allowed;
	int count;

	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		return 1;
	count = CPU_COUNT(&allowed);
	return count > VMT_MAX_CPUS ? VMT_MAX_CPUS : (unsigned)count;
}

// SPDX-License-Identifier: MIT
// The port of the examples that have several threads. Of its 17 functions
//
//	9 would be needed on one CPU, too:	frame_alloc frame_free frame_ptr frame_meta mem_alloc mem_free
//						flush defer fatal
//	4 more, for there are several CPUs:	cpu relax read_enter read_exit
//	1 is for vmt_check and vmt_tree_check:	log
//	3 stay empty:				preempt_off preempt_on publish
//
// A CPU here is a thread: it never turns into another one, so there is no preemption to turn off. (In a kernel, where a
// thread can wake up on another CPU, there is.) Walkers here are coherent, so there is nothing to publish.
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "host.h"

_Thread_local unsigned host_cpu;

// ---- Memory ------------------------------------------------------------------------------------------------------

static void grace_poll(struct host *host);

// The place to sleep or to take memory from elsewhere: no lock of the library is held. Here it sees to deferred frees.
uint64_t vmt_port_frame_alloc(void *port, uint64_t bytes, bool zero)
{
	struct host *host = port;
	uint64_t pa = VMT_NO_FRAME;

	if (bytes != HOST_PAGE) // a huge page: small ones do
		return VMT_NO_FRAME;
	grace_poll(host);
	pthread_mutex_lock(&host->lock);
	if (host->free_count)
		pa = host->free[--host->free_count];
	pthread_mutex_unlock(&host->lock);
	if (zero && pa != VMT_NO_FRAME)
		memset(vmt_port_frame_ptr(port, pa), 0, HOST_PAGE);
	return pa;
}

// Called with locks of the library held, so it must not wait for anybody who waits for these. The mutex is innermost:
// its holder waits for nobody. (A kernel takes a spin lock here.) Who still uses the frame shall find something else.
void vmt_port_frame_free(void *port, uint64_t pa, uint64_t bytes)
{
	struct host *host = port;

	memset(vmt_port_frame_ptr(port, pa), 0xdd, bytes);
	pthread_mutex_lock(&host->lock);
	host->free[host->free_count++] = pa;
	pthread_mutex_unlock(&host->lock);
}

void *vmt_port_frame_ptr(void *port, uint64_t pa)
{
	struct host *host = port;

	return host->memory + (pa - HOST_BASE);
}

// A tree on its own does not count what it maps: asked for frames of vmt_port_frame_alloc only. So the metadata of a
// driver that takes its tables from a pool is an array beside the pool. A space asks for what is mapped in it, too.
struct vmt_frame *vmt_port_frame_meta(void *port, uint64_t pa)
{
	struct host *host = port;
	uint64_t number = (pa - HOST_BASE) / HOST_PAGE;

	return pa >= HOST_BASE && number < host->frames ? &host->meta[number] : NULL;
}

void *vmt_port_mem_alloc(void *port, size_t bytes)
{
	struct host *host = port;
	void *memory = aligned_alloc(64, (bytes + 63) & ~(size_t)63);

	pthread_mutex_lock(&host->lock);
	host->blocks += memory != NULL;
	pthread_mutex_unlock(&host->lock);
	return memory;
}

void vmt_port_mem_free(void *port, void *memory, size_t bytes)
{
	struct host *host = port;

	(void)bytes;
	pthread_mutex_lock(&host->lock);
	host->blocks--;
	pthread_mutex_unlock(&host->lock);
	free(memory);
}

// ---- CPUs --------------------------------------------------------------------------------------------------------

unsigned vmt_port_cpu(void *port)
{
	(void)port;
	return host_cpu;
}

void vmt_port_preempt_off(void *port)
{
	(void)port;
}

void vmt_port_preempt_on(void *port)
{
	(void)port;
}

// The thread that we wait for may have no processor. There are no flush requests to serve: they are not sent to CPUs.
void vmt_port_relax(void *port, bool preemptible)
{
	(void)port, (void)preemptible;
	sched_yield();
}

// ---- Flushing ----------------------------------------------------------------------------------------------------

// Who walks the tables, and how these are asked to forget, each example knows for itself.
void vmt_port_flush(void *port, const struct vmt_flush *flush)
{
	struct host *host = port;

	host->flush(flush);
}

void vmt_port_publish(void *port, _Atomic(uint64_t) *first, unsigned count)
{
	(void)port, (void)first, (void)count;
}

// ---- Read-side sections and grace periods ------------------------------------------------------------------------
//
// The epoch is a number that grows. A thread that enters a section writes the epoch into its word, and 0 when it
// leaves. What is deferred is gathered in `fresh`. When nothing is waiting any more, `fresh` becomes `waiting` with
// the present epoch E, and the epoch becomes E + 1. What waits may be freed when every word has been seen to be 0 or
// more than E.
//
// Why. Everything in `waiting` was unlinked before the epoch became E + 1. A thread that has more than E in its word
// has read the epoch after that (acquire), so it cannot find it any more. For a word that is seen as 0: it is looked
// at by a read-modify-write and written by one on entering, so one comes first. If the look does, the thread that
// enters acquires what the looker knew, the unlinking included. If the entering does, the word was not 0, or the
// section is over. Tables that were freed are then reused after the thread's last look at them: leaving is a release,
// the look an acquire.

void vmt_port_read_enter(void *port)
{
	struct host *host = port;
	uint64_t epoch;

	if (host->reader[host_cpu].depth++)
		return;
	epoch = atomic_load_explicit(&host->epoch, memory_order_acquire);
	// Acquire-release: see above.
	atomic_exchange_explicit(&host->reader[host_cpu].epoch, epoch, memory_order_acq_rel);
}

void vmt_port_read_exit(void *port)
{
	struct host *host = port;

	// Release pairs with the look in grace_over.
	if (--host->reader[host_cpu].depth == 0)
		atomic_store_explicit(&host->reader[host_cpu].epoch, 0, memory_order_release);
}

void vmt_port_defer(void *port, struct vmt_deferred *item)
{
	struct host *host = port;

	pthread_mutex_lock(&host->lock);
	item->next = host->fresh;
	host->fresh = item;
	pthread_mutex_unlock(&host->lock);
}

static bool grace_over(struct host *host)
{
	for (unsigned i = 0; i < HOST_CPUS; i++) {
		uint64_t epoch = atomic_fetch_or_explicit(&host->reader[i].epoch, 0, memory_order_acq_rel);

		if (epoch != 0 && epoch <= host->waiting_epoch)
			return false;
	}
	return true;
}

// Frees what may be freed; waits for nobody.
static void grace_poll(struct host *host)
{
	struct vmt_deferred *item = NULL, *next;

	pthread_mutex_lock(&host->lock);
	if (host->waiting && grace_over(host)) {
		item = host->waiting;
		host->waiting = NULL;
	}
	if (!host->waiting && host->fresh) {
		host->waiting = host->fresh;
		host->fresh = NULL;
		// Release pairs with the load in vmt_port_read_enter.
		host->waiting_epoch = atomic_fetch_add_explicit(&host->epoch, 1, memory_order_acq_rel);
	}
	pthread_mutex_unlock(&host->lock);
	for (; item; item = next) {
		next = item->next; // running it frees its storage
		item->run(host, item);
	}
}

void host_drain(struct host *host)
{
	bool pending;

	do {
		grace_poll(host);
		pthread_mutex_lock(&host->lock);
		pending = host->fresh || host->waiting;
		pthread_mutex_unlock(&host->lock);
		if (pending)
			sched_yield();
	} while (pending);
}

// ---- The rest ----------------------------------------------------------------------------------------------------

void vmt_port_log(void *port, const char *line)
{
	(void)port;
	fprintf(stderr, "%s\n", line);
}

_Noreturn void vmt_port_fatal(void *port, const char *what)
{
	vmt_port_log(port, what);
	abort();
}

uint64_t host_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

bool host_open(struct host *host, uint64_t bytes, unsigned frames, void (*flush)(const struct vmt_flush *flush))
{
	memset(host, 0, sizeof(*host));
	host->bytes = bytes;
	host->frames = frames;
	host->flush = flush;
	host->memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	host->free = malloc(frames * sizeof(*host->free));
	// Zeroed once, before the first frame is handed out, and never written by us again (vmtree/frame.h).
	host->meta = aligned_alloc(64, frames * sizeof(*host->meta));
	if (host->memory == MAP_FAILED || !host->free || !host->meta)
		return false;
	memset(host->meta, 0, frames * sizeof(*host->meta));
	pthread_mutex_init(&host->lock, NULL);
	atomic_store_explicit(&host->epoch, 1, memory_order_relaxed); // 0 in a word means: in no section
	for (unsigned i = 0; i < frames; i++)
		host->free[host->free_count++] = HOST_BASE + i * HOST_PAGE;
	return true;
}

void host_close(struct host *host)
{
	munmap(host->memory, host->bytes);
	free(host->meta);
	free(host->free);
}

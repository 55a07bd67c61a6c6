// SPDX-License-Identifier: MIT
// The port of the throughput benchmark: as many CPUs as threads, each with frames of its own at hand. What a kernel
// would inline is inlined.
//
// Grace periods: a CPU passes a point between two operations (threads_between), and each call of the library is one
// read-side section, as in a kernel where preemption off is one. So a section costs nothing.
//
// Flushes: a process has no TLB that this could flush. `counted`: a flush is counted, and is a full barrier, as a CPU's
// own would be. `answered`: each other CPU that the library names is asked by a flag, and has to answer, which it does
// between two operations and where it waits; there are no interrupts. It flushes nothing then either.
#ifndef BENCH_THREADS_PORT_H
#define BENCH_THREADS_PORT_H

#include <pthread.h>

#include <vmtree/frame.h>
#include <vmtree/names.h>
#include <vmtree/types.h>

// Two lines: processors fetch them in pairs.
#define THREADS_LINE 128

#define THREADS_KEPT   1536 // frames that a CPU keeps at most: so many that what it uses again and again stays its own
#define THREADS_REFILL 64   // frames that it takes from the pool at a time
#define THREADS_BATCH  64  // items that wait for one grace period together

struct threads_cpu {
	// The CPU's own.
	_Alignas(THREADS_LINE) uint32_t frames[THREADS_KEPT];
	unsigned kept;
	struct vmt_deferred *young, *old; // young: their grace period has not begun
	unsigned young_count;
	uint64_t old_period; // all CPUs have to have seen it
	uint64_t flushes;
	uint64_t said; // asked, when it last answered

	// Written by the CPU, read by all. `seen`: the period at its last point between two operations.
	_Alignas(THREADS_LINE) _Atomic(uint64_t) seen;
	_Atomic(uint64_t) answered;

	// Written by all.
	_Alignas(THREADS_LINE) _Atomic(uint64_t) asked;
};

struct threads_port {
	char *memory;
	struct vmt_frame *metadata;
	unsigned count, cpus;
	bool answered; // which kind of flush

	_Alignas(THREADS_LINE) pthread_mutex_t lock; // for what lies in the pool
	uint32_t *pool;
	unsigned pooled;

	_Alignas(THREADS_LINE) _Atomic(uint64_t) period;

	struct threads_cpu cpu[VMT_MAX_CPUS];
};

extern _Thread_local unsigned threads_cpu_number;

// A machine of `cpus` CPUs with `count` frames. False: there is no memory. `end` frees it, and returns how many frames
// have not come back; no thread uses it any more.
bool threads_port_make(struct threads_port *port, unsigned count, unsigned cpus, bool answered);
unsigned threads_port_end(struct threads_port *port);

// The calling CPU, which is inside no operation, waits for another one: pauses, and lets other threads run.
void threads_wait(struct threads_port *port);

static inline void threads_answer(struct threads_port *port)
{
	struct threads_cpu *self = &port->cpu[threads_cpu_number];
	// With the release of who asks: what he wrote before is seen here from now on.
	uint64_t asked = atomic_load_explicit(&self->asked, memory_order_acquire);

	if (asked == self->said)
		return;
	self->said = asked;
	// With the acquire of who waits for the answer: he sees what was written here before.
	atomic_store_explicit(&self->answered, asked, memory_order_release);
}

// Between two operations.
static inline void threads_between(struct threads_port *port)
{
	struct threads_cpu *self = &port->cpu[threads_cpu_number];
	// With the increment that begins a period: what was unlinked before that is not found any more.
	uint64_t period = atomic_load_explicit(&port->period, memory_order_acquire);

	if (port->answered)
		threads_answer(port);
	// With the acquire of who looks whether all have seen the period: the operations before this have ended.
	if (atomic_load_explicit(&self->seen, memory_order_relaxed) != period)
		atomic_store_explicit(&self->seen, period, memory_order_release);
}

#define VMT_PORT_FRAME_PTR
static inline void *vmt_port_frame_ptr(void *port, uint64_t pa)
{
	return ((struct threads_port *)port)->memory + pa;
}

#define VMT_PORT_FRAME_META
static inline struct vmt_frame *vmt_port_frame_meta(void *port, uint64_t pa)
{
	return &((struct threads_port *)port)->metadata[pa >> VMT_PAGE_SHIFT];
}

#define VMT_PORT_CPU
static inline unsigned vmt_port_cpu(void *port)
{
	(void)port;
	return threads_cpu_number;
}

#define VMT_PORT_PREEMPT_OFF
static inline void vmt_port_preempt_off(void *port)
{
	(void)port;
}

#define VMT_PORT_PREEMPT_ON
static inline void vmt_port_preempt_on(void *port)
{
	(void)port;
}

#define VMT_PORT_READ_ENTER
static inline void vmt_port_read_enter(void *port)
{
	(void)port;
}

#define VMT_PORT_READ_EXIT
static inline void vmt_port_read_exit(void *port)
{
	(void)port;
}

#define VMT_PORT_PUBLISH
static inline void vmt_port_publish(void *port, _Atomic(uint64_t) *first, unsigned count)
{
	(void)port, (void)first, (void)count;
}

#endif

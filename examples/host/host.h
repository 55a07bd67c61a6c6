// SPDX-License-Identifier: MIT
// The machine of the examples that have several threads: an ordinary process. A CPU is a thread, RAM is a mapping.
#ifndef HOST_H
#define HOST_H

#include <pthread.h>
#include <vmtree/port.h>

#define HOST_BASE UINT64_C(0x100000000) // the physical address of the first frame
#define HOST_PAGE UINT64_C(4096)
#define HOST_CPUS 8

struct host {
	char *memory;	// HOST_BASE lies here
	uint64_t bytes;
	unsigned frames; // of which the library gets its own, at the beginning of RAM; only these have metadata
	struct vmt_frame *meta;
	void (*flush)(const struct vmt_flush *flush); // vmt_port_flush
	pthread_mutex_t lock;	// guards the rest, but for the words of grace periods; innermost
	unsigned free_count;
	uint64_t *free;
	int64_t blocks;		// of vmt_port_mem_alloc that are out
	// Grace periods: see host.c.
	struct vmt_deferred *fresh, *waiting;
	uint64_t waiting_epoch;
	_Atomic uint64_t epoch;
	struct { _Alignas(64) _Atomic uint64_t epoch; unsigned depth; } reader[HOST_CPUS];
};

// Which CPU this thread is: set before its first call of the library, unlike all others'.
extern _Thread_local unsigned host_cpu;

// `bytes` of RAM, with `frames` for the library. `flush` is called with locks of the library held. False: no memory.
bool host_open(struct host *host, uint64_t bytes, unsigned frames, void (*flush)(const struct vmt_flush *flush));
void host_drain(struct host *host); // waits until all deferred frees are done
void host_close(struct host *host);

uint64_t host_clock(void); // nanoseconds

// The CPU's pointer to a word of RAM. Devices read and write it, too.
static inline _Atomic uint64_t *host_word(const struct host *host, uint64_t pa)
{
	return (_Atomic uint64_t *)(host->memory + (pa - HOST_BASE));
}

#endif

// SPDX-License-Identifier: MIT
// An accelerator, as its data sheet would describe it: registers, queues, memory of its own, an engine that copies, and
// a unit that runs programs over the addresses of a process. It is a thread, and knows nothing of the library.
//
// Its tables lie in RAM, in the format of AMD's IOMMU (version 1, four levels). Where they lead to is RAM, or from
// LOCAL_BASE on its own memory. It keeps the translations that it finds, and the tables on the way to them, until an
// invalidation names them or there is no room.
//
// All of this may be used by any thread, also with locks held, but where it says "waits".
#ifndef ACCELERATOR_H
#define ACCELERATOR_H

#include <stdbool.h>
#include <stdint.h>

struct accelerator;

#define LOCAL_BASE (UINT64_C(1) << 40)

struct accelerator *accelerator_new(char *ram, uint64_t ram_base, uint64_t ram_bytes, uint64_t local_bytes);
void accelerator_free(struct accelerator *accelerator);

// ---- For the driver ----------------------------------------------------------------------------------------------

// Where the tables lie; 0: nowhere. The program that runs is broken off.
void accelerator_set_tables(struct accelerator *accelerator, uint64_t root);

// Posts an invalidation of [start, end), with `tables` also of what leads there. Never fails: if the queue is full, the
// last entry becomes one of everything.
void accelerator_invalidate(struct accelerator *accelerator, uint64_t start, uint64_t end, bool tables);

// How many have been posted, and how many are done. Done means: nothing that it names is kept, and no access that used
// it is under way. The unit goes on with invalidations and copies while it waits for the answer to a page request.
uint64_t accelerator_posted(struct accelerator *accelerator);
uint64_t accelerator_done(struct accelerator *accelerator);

// A page request: an access found no translation that allows it. The unit waits for the answer. If it is good, the unit
// walks the tables again; if not, the program is broken off.
struct accelerator_request {
	uint64_t addr;
	bool write;
	uint64_t number; // of the request
};

// The interrupt: waits until there is one. False: accelerator_mask was called. Then whoever serves it takes the request
// (false: there is none, or not any more) and answers it.
bool accelerator_interrupt(struct accelerator *accelerator);
bool accelerator_take_request(struct accelerator *accelerator, struct accelerator_request *request);
void accelerator_answer(struct accelerator *accelerator, const struct accelerator_request *request, bool good);
void accelerator_mask(struct accelerator *accelerator);

// Has whole pages copied between RAM and its own memory, some time. `ended` is called then, from the accelerator's
// thread: the other interrupt. Waits for room in the queue.
struct accelerator_copy {
	uint64_t ram, local, bytes;
	bool to_local;
	void (*ended)(void *arg, bool good);
	void *arg;
};
void accelerator_copy(struct accelerator *accelerator, const struct accelerator_copy *copy);

// The end of everything: tables, invalidations and page requests; copies under way end badly. What its memory holds
// stays.
void accelerator_reset(struct accelerator *accelerator);

// ---- For the process ---------------------------------------------------------------------------------------------

enum accelerator_program {
	ACCELERATOR_ADD,	// to[i] = a[i] + b[i]
	ACCELERATOR_COUNT,	// to[a[i]] += 1, atomically for everybody
	ACCELERATOR_LIST,	// adds up a list {next, value} that begins at `a`
	ACCELERATOR_TICK,	// to[i] += 1, one after the other, round after round until it is stopped
};

struct accelerator_job {
	enum accelerator_program program;
	uint64_t a, b, to;	// addresses of words
	uint64_t count;		// of words; of a list the most elements
	uint64_t stride;	// bytes from one word of `to` to the next, for TICK
	bool broken;		// the answer: it was broken off, at address `at`
	uint64_t at;
	uint64_t result;	// LIST: the sum; TICK: rounds
};

// Starts a job; there is none. Ends TICK after its round. Waits for the job to end.
void accelerator_start(struct accelerator *accelerator, struct accelerator_job *job);
void accelerator_stop(struct accelerator *accelerator);
void accelerator_finish(struct accelerator *accelerator);

// ---- For the test ------------------------------------------------------------------------------------------------

// It does nothing more, until it is reset.
void accelerator_hang(struct accelerator *accelerator);

struct accelerator_counts {
	uint64_t requests, invalidations, copies;
};
struct accelerator_counts accelerator_counts(struct accelerator *accelerator);

#endif

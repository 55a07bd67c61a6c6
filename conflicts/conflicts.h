// SPDX-License-Identifier: MIT
// Which cache lines two operations on disjoint ranges have in common: runs one on CPU 0 and another on CPU 1, and lists
// the lines that one of them writes and the other touches.
//
//	core.c		the library, instrumented (../instrument), and the names of what it keeps in memory
//	port.c		the port that it is given, instrumented too
//	memory.c	what is accessed: frames, their metadata, the heap; and who has accessed which byte
//	walker.c	an access of a program: the hardware's walk
//	main.c		the operations, each with each, and what is printed of them
//	table.py	makes docs/conflicts.md of that, with the reasons of reasons.txt
//
// One host thread: the second operation begins when the first has ended. So nobody waits for a lock, and what is
// counted is what they cannot avoid to share, not what it costs to meet.
#ifndef CONFLICTS_CONFLICTS_H
#define CONFLICTS_CONFLICTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmtree/vmtree.h>

#include "../instrument/hooks.h"

#define CPUS 2
#define BOOT CPUS	// who sets up; has its own part of the memory
#define LINE 64

#define FRAMES 64	// for each of the three
#define HEAP   (64u << 10)

// Ends the program.
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

// ---- Memory (memory.c) -------------------------------------------------------------------------------------------

// What a CPU has of the port. Nothing of it is for others.
struct port_cpu {
	_Alignas(LINE) unsigned preempt, sections;
	uint32_t free_frames, used_frames;	// of `frame`; of the part that was never handed out
	uint32_t heap_used;
	struct { size_t bytes; void *first; } block[8]; // freed blocks, by their size
	struct vmt_deferred *deferred;
	uint32_t frame[FRAMES];			// freed
};

struct memory {
	_Alignas(VMT_PAGE_SIZE) uint8_t frame[(CPUS + 1) * FRAMES][VMT_PAGE_SIZE];
	struct vmt_frame meta[(CPUS + 1) * FRAMES];
	_Alignas(LINE) uint8_t heap[CPUS + 1][HEAP];
	struct port_cpu port[CPUS + 1];
};

extern struct memory memory;

// Everything is free and nothing was accessed.
void memory_reset(void);
void frame_zero(uint64_t pa);

// Accesses are noted for this CPU; BOOT: not at all.
void record(unsigned cpu);
// By the hardware.
void record_access(const volatile void *p, size_t bytes, enum access access);
// What a CPU has done to a byte of memory, and to a line.
enum access recorded(unsigned cpu, size_t at);
enum access recorded_line(unsigned cpu, size_t line);

// ---- The port (port.c) -------------------------------------------------------------------------------------------

// Who calls the library from now on.
void port_be(unsigned cpu);
// Nobody is in a read-side section: runs what waits for that.
void port_quiesce(void);
// CPUs other than the caller that were asked to flush so far.
unsigned port_flushes(void);

// ---- Names (core.c) ----------------------------------------------------------------------------------------------

// The field that a byte of memory belongs to: "vmt_node.lock".
const char *core_name(const struct vmt *vmt, const struct vmt_space *space, const struct vmt_object *object,
		      size_t at);

// ---- Programs (walker.c) -----------------------------------------------------------------------------------------

// The calling CPU writes to the address, and takes the fault if there is one.
void program_write(struct vmt_space *space, uint64_t va);

#endif

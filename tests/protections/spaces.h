// SPDX-License-Identifier: MIT
// What the cases of spaces share: a machine whose MMU uses whatever it has cached whenever it can, and a space in it.
#ifndef TESTS_PROTECTIONS_SPACES_H
#define TESTS_PROTECTIONS_SPACES_H

#include "lib.h"
#include "race.h"

#define RW (VMT_READ | VMT_WRITE)
#define A  GIB(4)
#define B  GIB(6)

#define MOVE_FIXED (VMT_MOVE_MAY_MOVE | VMT_MOVE_FIXED)

extern struct env env;
extern const struct sim_ops *ops;
extern struct vmt_space *child;		// of fork_it
extern struct vmt_object *object;
extern uint64_t frame, taken;		// of the page at A in the beginning; of a reference

// With two CPUs, of which the calling thread is the first. end: nothing is wrong in the space, and nothing is left.
void begin(uint64_t seed);
void begin_with_frames(uint64_t seed, uint64_t frames);
void end(void);

// Maps [A, A + length) and has CPU 0 write 1 to its first page.
void begin_with_page(uint64_t seed, uint64_t length);

void write_at(struct sim_cpu *cpu, uint64_t at, uint64_t value);
uint64_t read_at(struct sim_cpu *cpu, uint64_t at);
uint64_t read_child(uint64_t at);

// What a CPU that has nothing cached finds, or 0; and how it reads and writes there.
uint64_t frame_at(uint64_t at);
_Atomic uint64_t *word_at(uint64_t pa);

// Bodies for CPUs.
void leave(struct sim_cpu *cpu);
void second_reads(struct sim_cpu *cpu);
void release_a(struct sim_cpu *cpu);
void fork_it(struct sim_cpu *cpu);
void destroy_child(void);

#endif

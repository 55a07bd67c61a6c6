// SPDX-License-Identifier: MIT
// What the tests of the library share: a simulated machine with one space in it, opened and closed around each case,
// for every format in turn whose pages have the size that the program was compiled for (-DVMT_FORMAT=one of them).
// Closing checks the invariants, compares what CPUs have cached with the tables, and counts
// what leaked; a case only has to do its own part.
#ifndef TESTS_LIB_H
#define TESTS_LIB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim.h"
#include "sim_ops.h"

// With pages of 4 KiB; larger where these are larger, so that as many pages lie there.
#define KIB(n) ((uint64_t)(n) << 10 << (VMT_PAGE_SHIFT - 12))
#define MIB(n) (KIB(n) << 10)
#define GIB(n) (MIB(n) << 10)
#define PAGE   VMT_PAGE_SIZE
#define SLOTS  (PAGE / sizeof(uint64_t)) // of a table

#define SPACE_START UINT64_C(0x10000)

// Whether it was built, and its pages have this program's size.
bool format_fits(enum sim_format format);
// The levels of tables that the format has.
unsigned format_levels(enum sim_format format);

// Bytes that one entry of a table of `level` covers.
static inline uint64_t span(unsigned level)
{
	return PAGE << ((VMT_PAGE_SHIFT - 3) * level);
}

struct env {
	enum sim_format format;
	const struct sim_ops *ops;
	struct sim_machine *machine;
	struct sim_cpu *cpu;	// the calling thread's, number 0
	struct vmt *vmt;
	struct vmt_space *space; // active on `cpu`
	uint64_t end;		// of the space
	unsigned levels;
	uint64_t seed;
};

struct lib_case {
	const char *name;
	void (*run)(struct env *env);
	unsigned cpus;		// 0 stands for 2
	uint64_t frames;	// of a page's size; 0 stands for 16384
	unsigned hard;		// also with page faults instead of hardware accessed and dirty bits, where there are both
};

// Runs each case for each format, with cmocka. The environment variable VMT_TEST_SEED replaces the seed; the formats
// can be chosen on the command line by name.
int lib_main(const char *group, const struct lib_case *cases, unsigned count, int argc, char **argv);

// By themselves, for programs that make machines as they go. Frames are counted in pages of the format.
void env_open(struct env *env, enum sim_format format, unsigned cpus, uint64_t frames, uint64_t seed);
void env_open_with(struct env *env, const struct sim_config *config);
void env_close(struct env *env);
struct vmt_space *env_new_space(struct env *env);
uint64_t lib_seed(uint64_t usual);

// vmt_check finds nothing; what it found is printed otherwise.
void lib_check(struct env *env, struct vmt_space *space, const char *file, int line);
#define CHECK(env, space) lib_check(env, space, __FILE__, __LINE__)

void lib_status(enum vmt_status got, enum vmt_status want, const char *what, const char *file, int line);
#define IS(call, want) lib_status(call, want, #call, __FILE__, __LINE__)
#define OK(call)       IS(call, VMT_OK)

// Maps at exactly `addr`, anonymous and private unless `flags` say otherwise.
void lib_map(struct env *env, uint64_t addr, uint64_t length, vmt_prot prot, uint32_t flags);
uint64_t lib_map_object(struct env *env, struct vmt_object *object, uint64_t addr, uint64_t length, uint64_t offset,
			vmt_prot prot, uint32_t flags);
void lib_write(struct env *env, uint64_t addr, uint64_t value);
uint64_t lib_read(struct env *env, uint64_t addr);

uint64_t lib_tables(struct env *env, struct vmt_space *space);
uint64_t lib_resident(struct env *env, struct vmt_space *space);

// The space as text, for comparing before and after; freed by the caller.
char *lib_dump(struct env *env, struct vmt_space *space);

// Unmaps everything, gives kept tables back, and expects the root alone to be left.
void lib_expect_bare(struct env *env, struct vmt_space *space);

// A small generator with a state of its own, for choices that have to be the same in every format.
uint64_t lib_random(uint64_t *state);

#endif

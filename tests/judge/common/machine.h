// SPDX-License-Identifier: MIT
// What a machine offers: accesses of all kinds, and what came of them. One processor, interrupts off.
#ifndef JUDGE_MACHINE_H
#define JUDGE_MACHINE_H

#include <vmtree/types.h>

enum judge_who {
	SUPERVISOR,
	USER,
};

enum judge_access {
	READ,
	WRITE,
	EXECUTE,
};

enum judge_outcome {
	ALLOWED,
	ABSENT,		// the fault of an entry that is not present
	DENIED,		// the fault of one that does not allow the access
	UNMARKED,	// the fault of a clear accessed bit
	OTHER,		// any other exception, or one that is described wrongly
};

struct judge_result {
	enum judge_outcome outcome;
	uint64_t value;		// ALLOWED: what was read, or the token of what was executed
	uint64_t address;	// a fault: the address that it reports
	int level;		// a fault: the level that it reports, or -1
	enum vmt_memory memory; // of machine_translate, ALLOWED
	uint64_t raw[2];	// the cause as the machine has it, for the output
};

// The architecture's header: JUDGE_MEMORY (1 GiB of RAM for tests, aligned to that), JUDGE_DIRECT (where address 0 of
// physical memory is), JUDGE_TELLS_ABSENT (faults tell ABSENT and DENIED apart), JUDGE_SOFTWARE_MARKS,
// JUDGE_TRANSLATES and JUDGE_EXTENSIONS (see below).
#include "judge_arch.h"

#ifndef JUDGE_EXTENSIONS
#define JUDGE_EXTENSIONS 0
#endif

struct vmt_flush;

// Code and data that a test stores in a page.
struct judge_page {
	uint32_t code[4];	// returns `token` when executed
	uint64_t token;
	uint64_t word;
};

// Before anything else. Calls judge_skip where the machine lacks the format.
void machine_start(void);

// From now on, addresses below half are translated by this root. Drops all cached translations.
void machine_use(uint64_t root);

void machine_flush_all(void);
#if JUDGE_DEVICE
void machine_flush(const struct vmt_flush *flush);

// Entries were written where there was nothing.
void machine_mapped(void);
#else
void machine_flush_page(uint64_t va);
#endif

// Protects user pages from the supervisor, where the architecture has a switch for it.
void machine_strict(bool on);

// Whether a user's or a supervisor's leaf lets `who` do what its permissions name. Written from the architecture's
// manual, not from the library's format.
bool machine_allows(enum judge_who who, enum judge_access access, bool user, bool strict);

void machine_code(uint32_t code[4], uint32_t token);
struct judge_result machine_access(enum judge_who who, enum judge_access access, uint64_t va, uint64_t value);

#if JUDGE_SOFTWARE_MARKS
// Whether the hardware writes accessed and dirty bits, or faults instead.
void machine_hardware_marks(bool on);
#endif

#if JUDGE_TRANSLATES
// Asks for a translation without accessing anything. The value of ALLOWED is the physical address, and `memory` is set.
struct judge_result machine_translate(enum judge_who who, enum judge_access access, uint64_t va);
#endif

#if JUDGE_EXTENSIONS
// Whether the processor has the extensions that the format can use if asked to. If not, optional sizes of leaves are
// not asked for, and leaves of another kind of memory than normal are reserved encodings, which fault.
bool machine_has_extensions(void);
#else
static inline bool machine_has_extensions(void)
{
	return true;
}
#endif

void machine_put(char c);
_Noreturn void machine_end(bool good);

#endif

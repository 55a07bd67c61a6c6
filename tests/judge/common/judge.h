// SPDX-License-Identifier: MIT
// What the files of a judging image share. An image is one format of the library on one bare machine: the library
// builds tables, the machine's own decoder says what they mean, and the cases compare that with what was asked for.
//
// Layers: a machine (machine.h, one for each architecture), the library's port, probes of one address, cases.
#ifndef JUDGE_H
#define JUDGE_H

#include "machine.h"

#include <vmtree/port.h>
#include <vmtree/tree.h>

#include "format/format.h"

// Bits of address that the tests use.
#ifndef JUDGE_VA_BITS
#define JUDGE_VA_BITS (FMT_VA_BITS - 1)
#endif

// Bits of physical address that a machine can tell which has less memory (JUDGE_TRANSLATES).
#ifndef JUDGE_PA_BITS
#define JUDGE_PA_BITS 48
#endif

// Only a device uses the tables (tests/judge/iommu): it has no modes, executes nothing, and marks nothing.
#ifndef JUDGE_DEVICE
#define JUDGE_DEVICE 0
#endif

#define MODES	    (JUDGE_DEVICE ? 1 : 2)	// the tests are made once for supervisors' leaves, once for users'
#define LAST_ACCESS (JUDGE_DEVICE ? WRITE : EXECUTE)

#define PAGE	VMT_PAGE_SIZE
#define MIB	(UINT64_C(1) << 20)
#define GIB	(UINT64_C(1) << 30)
#define VA_END	(UINT64_C(1) << JUDGE_VA_BITS)
#define NOWHERE UINT64_MAX

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

// ---- Output and counts (report.c) --------------------------------------------------------------------------------

// As printf, with %s %u %x and %X (64 bits); nothing else.
void judge_print(const char *format, ...);

// A case begins. It has passed if no judge_fail follows before the next one begins.
void judge_case(const char *format, ...);

// The current case has failed. Says why, for the first few of a case.
void judge_fail(const char *format, ...);

#define judge_require(condition)                                                                                       \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			judge_fail("%s:%u: %s", __FILE_NAME__, __LINE__, #condition);                                  \
	} while (0)

// Prints the last line and ends the machine.
_Noreturn void judge_end(void);

// The machine cannot do what the image asks for. Ends it, with the case counted as skipped.
_Noreturn void judge_skip(const char *why);

// ---- The library's port (port.c) ---------------------------------------------------------------------------------

// Frames that the library holds now, and flushes that it asked for so far.
unsigned port_frames(void);
uint64_t port_flushes(void);

// Where the test reads and writes physical memory.
void *port_pointer(uint64_t pa);

// Runs what waits for a grace period.
void port_settle(void);

// ---- A tree and the machine that uses it (probe.c) ---------------------------------------------------------------

extern struct vmt_tree *judge_tree;
extern bool judge_user; // its leaves are for user mode
extern enum vmt_memory judge_memory; // what is probed is of this kind, to machines that can tell; normal in most cases

void judge_open(bool user);
void judge_open_sizes(bool user, uint64_t leaf_sizes); // the leaves that the tree may use (vmt_tree_config)
void judge_close(void);

// vmt_tree_map, which has to succeed; then what an embedder does after mapping.
void judge_map(uint64_t va, uint64_t length, uint64_t pa, vmt_prot prot, uint64_t leaf_max);
void judge_unmap(uint64_t va, uint64_t length);
void judge_protect(uint64_t va, uint64_t length, vmt_prot prot);

// What an embedder does after mapping, where an absence may be cached.
void judge_mapped(void);

// Unmaps everything; every table is given back.
void judge_empty(void);

// After the only mappings have been unmapped: every table is given back, but for one path that the library may keep
// for the next request. Then as judge_empty.
void judge_require_empty(void);

// The entry that translates `va`, or is empty or a marker in its place, and its level.
_Atomic(uint64_t) *judge_entry(uint64_t va, unsigned *level);

// Writes an entry behind the library's back, and flushes.
void judge_write(_Atomic(uint64_t) *entry, uint64_t value);

// Every access to the page at `va`, by user and supervisor, with and without the protection of user pages from the
// supervisor, does what a leaf for `pa` with these permissions has to do; pa NOWHERE: faults as absent.
void judge_probe(uint64_t va, uint64_t pa, vmt_prot prot);

// One access, which has to end so. READ gets and EXECUTE returns what judge_probe has stored at `pa`.
void judge_access(enum judge_who who, enum judge_access access, uint64_t va, uint64_t pa, enum judge_outcome want);

// Probes the first, a middle and the last page that lie in memory of a leaf.
void judge_probe_leaf(uint64_t va, uint64_t pa, unsigned level, vmt_prot prot);

// An address for leaves of `level` with another index at each level; and memory that is aligned for them.
uint64_t judge_va(unsigned level, unsigned n);
uint64_t judge_pa(unsigned level);

const char *judge_mode(void);
const char *judge_size(unsigned level);
const char *judge_prot(vmt_prot prot);
uint64_t judge_accesses(void);

// ---- The cases ---------------------------------------------------------------------------------------------------

void cases_leaves(void);	// leaves.c
void cases_marks(void);		// marks.c: accessed and dirty
void cases_markers(void);	// markers.c
void cases_edits(void);		// edits.c: markers, replace, split, collapse, test-and-clear by the library
void cases_runs(void);		// runs.c
void cases_memory(void);	// memory.c: kinds of memory
void cases_random(void);	// random.c
#if JUDGE_DEVICE
void cases_device(void);	// iommu/cases.c
#endif

#endif

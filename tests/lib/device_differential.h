// SPDX-License-Identifier: MIT
// Random sequences of operations with devices at work, on the library and on a flat model: what each page of each space
// holds and allows. devices.h has the devices and their memories.
#ifndef TESTS_LIB_DEVICE_DIFFERENTIAL_H
#define TESTS_LIB_DEVICE_DIFFERENTIAL_H

#include "devices.h"

// With larger pages huge ones take too long.
#define HUGE_FITS  (PAGE == 4096)
#define HALF	   (HUGE_FITS ? SLOTS : 32) // pages on each side of a border of tables; a huge page, where these fit
#define CELLS	   (2 * HALF)
#define SPACES	   3
#define DEVICES	   3
#define MEMORIES   2
#define MIGRATIONS 2
#define PINS	   2

enum kind {
	OP_MAP, OP_FILL, OP_UNMAP, OP_PROTECT, OP_RELEASE, OP_LAZY, OP_GUARD, OP_UNGUARD, OP_MOVE, OP_FORK, OP_DESTROY,
	OP_READ, OP_WRITE, OP_POPULATE, OP_RECLAIM, OP_PIN, OP_UNPIN, OP_TAKE, OP_COLLAPSE, OP_HUGE, OP_HARVEST,
	OP_DEVICE_READ, OP_DEVICE_WRITE, OP_PRESENT, OP_EXCLUSIVE, OP_RANGE, OP_ATTACH, OP_MIGRATE, OP_BACK, OP_START,
	OP_FINISH, OP_STEP, OP_ADVISE, OP_FAILING, OP_MUTE, OP_KINDS
};

extern const char *const op_names[OP_KINDS];
extern const unsigned op_weights[OP_KINDS];

struct op {
	unsigned kind, space, page, pages, to, device, memory, flags;
	uint64_t value;
};

enum {
	OPF_READ_ONLY = 1, OPF_NO_ACCESS = 2, OPF_HUGE = 4, OPF_WHOLE = 8, OPF_READ_MOSTLY = 16, OPF_WRITE = 32,
	OPF_MEANWHILE = 64, OPF_ALL = 127
};

struct cell {
	bool mapped, huge, read_mostly, guard;
	bool lazy;		// it may be zero by now
	bool dirty;		// written since that was last asked
	vmt_prot prot;
	unsigned hint;		// memory + 1
	unsigned pin;		// + 1
	uint64_t value;
};

struct run {
	struct env env;
	uint64_t base;
	struct vmt_space *space[SPACES];	// NULL: none
	struct cell cell[SPACES][CELLS];
	struct vram vram[MEMORIES];
	struct device device[DEVICES];		// the last one has no memory
	unsigned device_space[DEVICES];
	struct { struct vmt_migration *migration; unsigned space; } migration[MIGRATIONS];
	struct { uint64_t pa; } pin[PINS];	// 0: none
	unsigned depth;		// operations inside of one another
	const struct op *ops;
	unsigned count, at;
	enum sim_format format;
	uint64_t seed;
};

// Ends the process, having said where.
_Noreturn void wrong(struct run *run, unsigned space, unsigned page, const char *what);

// The operation, and what those of the sequence do that follow while a copy is waited for.
void do_op(struct run *run, const struct op *op);

uint64_t page_addr(const struct run *run, unsigned page);

// Is this what the page may hold? If a lazily freed page is zero that is what it holds from now on.
bool cell_holds(struct cell *cell, uint64_t value);

// Where the page's bytes lie, looked at without a fault; NULL: nowhere, and then it is zero.
const void *bytes_of(struct run *run, unsigned space, unsigned page);

// A device that is lost subscribes to the space; to any.
bool lost_in(const struct run *run, unsigned space);
bool lost_any(const struct run *run);

#endif

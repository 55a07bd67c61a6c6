// SPDX-License-Identifier: MIT
// Sequences of operations with devices at work, on the library and on a flat model: what each page of each space holds
// and allows. devices.h has the devices and their memories, mirror.h the mirrors, starved.h the memory that runs out.
// device_differential_test makes random ones, fuzz/ those that reach new code.
#ifndef TESTS_LIB_DEVICE_DIFFERENTIAL_H
#define TESTS_LIB_DEVICE_DIFFERENTIAL_H

#include "devices.h"
#include "mirror.h"

// With larger pages huge ones take too long.
#define HUGE_FITS  (PAGE == 4096)
#define HALF	   (HUGE_FITS ? SLOTS : 32) // pages on each side of a border of tables; a huge page, where these fit
#define CELLS	   (2 * HALF)
#define SPACES	   3
#define DEVICES	   3
#define MEMORIES   2
#define MIGRATIONS 2
#define PINS	   2
#define MIRRORS	   2
#define CPUS	   2
#define OBJECTS	   6	// the first two can be named, the others are those of shared anonymous memory
#define SMALL	   24	// pages of the first one

enum kind {
	OP_MAP, OP_FILL, OP_UNMAP, OP_PROTECT, OP_RELEASE, OP_LAZY, OP_GUARD, OP_UNGUARD, OP_MOVE, OP_FORK, OP_DESTROY,
	OP_READ, OP_WRITE, OP_POPULATE, OP_RECLAIM, OP_PIN, OP_UNPIN, OP_TAKE, OP_COLLAPSE, OP_HUGE, OP_HARVEST,
	OP_DEVICE_READ, OP_DEVICE_WRITE, OP_PRESENT, OP_EXCLUSIVE, OP_RANGE, OP_ATTACH, OP_MIGRATE, OP_BACK, OP_START,
	OP_FINISH, OP_STEP, OP_ADVISE, OP_FAILING, OP_MUTE, OP_MARK, OP_UNMARK, OP_RESOLVE, OP_LOOK, OP_CPU, OP_LATE,
	OP_STRETCH, OP_STARVE, OP_MIRROR, OP_MIRROR_FAULT, OP_MIRROR_USE, OP_MIRROR_SYNC, OP_SILENT, OP_KINDS
};

extern const char *const op_names[OP_KINDS];
extern const unsigned op_weights[OP_KINDS];

struct op {
	unsigned kind, space, page, pages, to, device, memory, flags;
	uint64_t value;
};

enum {
	OPF_READ_ONLY = 1, OPF_NO_ACCESS = 2, OPF_HUGE = 4, OPF_WHOLE = 8, OPF_READ_MOSTLY = 16, OPF_WRITE = 32,
	OPF_MEANWHILE = 64, OPF_SHARED = 128, OPF_OBJECT = 256, OPF_ANYWHERE = 512, OPF_NOREPLACE = 1024,
	OPF_OUT = 2048, OPF_USUAL = 127, OPF_ALL = 4095
};

struct cell {
	bool mapped, huge, read_mostly, shared;
	bool lazy;		// it may be zero by now
	bool dirty;		// written since that was last asked
	bool own;		// of a private mapping of an object: the page is a copy
	bool beyond;		// the object has no such page
	vmt_prot prot;
	unsigned marker;	// enum vmt_marker, of those that programs set; 0: none
	uint64_t payload;
	uint64_t saved;		// what the page said that was taken against it
	unsigned hint;		// memory + 1
	unsigned pin;		// + 1
	unsigned object, index;	// object + 1, and which page of it
	uint64_t *source;	// what that page says
	uint64_t value;
};

struct object {
	struct vmt_object *object; // NULL: of shared anonymous memory
	unsigned pages;
	uint64_t value[CELLS + SMALL];
};

enum {
	FAIL_COPY = 16,	// a copy to or from device memory
	FAIL_FILL = 32,	// an object's owner is asked for a page
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
	struct object object[OBJECTS];
	struct env mirror_env[MIRRORS];		// with the mirror's own space
	struct dev mirror[MIRRORS];		// `mirror` NULL: none
	unsigned mirror_space[MIRRORS];
	unsigned late;		// what comes between a flush and its answer
	uint64_t late_seed;
	unsigned starve;	// which allocation, say, of the next operation fails; 0: none
	unsigned starve_kinds;	// of which kinds: SIM_FAIL_* and FAIL_*
	bool starve_all;	// and all that follow
	unsigned fill_in;	// the n-th page from here that an object's owner is asked for he refuses; 0: none
	uint64_t refused;	// pages that he has refused, ever
	uint64_t refused_before, failed_before;	// that, and copies that have failed, when the operation began
	struct sim_cpu *cpu[CPUS];
	unsigned depth;		// operations inside of one another
	const struct op *ops;
	unsigned count, at;
	enum sim_format format;
	uint64_t seed;
};

// Ends the process, having said where.
_Noreturn void wrong(struct run *run, unsigned space, unsigned page, const char *what);

// ---- Running (device_differential_run.c) -------------------------------------------------------------------------

// The whole sequence on a machine of its own, compared after each operation.
// `hooks` may be NULL: called before and after each operation of it but those inside of others.
struct run_hooks {
	void (*before)(struct run *run, unsigned at);
	void (*after)(struct run *run, unsigned at);
	void (*end)(void);	// before it is looked for what leaked
};

extern const struct run_hooks *run_hooks;

void run_sequence(enum sim_format format, uint64_t seed, const struct op *ops, unsigned count);

// All pages of all spaces, and vmt_check.
void compare_all(struct run *run);

// What each device and mirror could do now.
void compare_devices(struct run *run);

// ---- Operations --------------------------------------------------------------------------------------------------

// The operation, and what those of the sequence do that follow while a copy is waited for.
void do_op(struct run *run, const struct op *op);

// A line for each, which `lib_device_differential_test replay` reads.
void print_ops(const struct op *ops, unsigned count);

// What does it; NULL: it is none of these. Those that change attributes and states, those that use them, those of
// devices and mirrors.
typedef void op_function(struct run *run, const struct op *op);
op_function *op_of_changes(unsigned kind);
op_function *op_of_uses(unsigned kind);
op_function *op_of_devices(unsigned kind);

// From here on the allocation fails that the operation before has asked for, if this is no operation inside of another.
void starve(struct run *run);

void mirror_close(struct run *run, unsigned n);

uint64_t page_addr(const struct run *run, unsigned page);
uint64_t op_addr(const struct run *run, const struct op *op);
struct cell *cell_of(struct run *run, const struct op *op, unsigned n);

// What three words of a page say that was written with `value`.
uint64_t word_value(uint64_t value, unsigned i);
extern const uint64_t places[3];

// How many pages from the operation's on are mapped, as far as it goes; with `alike` as one area.
unsigned mapped_pages(struct run *run, const struct op *op, bool alike);
// As neighbours, `apart` pages from one another, they are one area.
bool attributes_same(const struct cell *a, const struct cell *b, unsigned apart);
bool any_backed(struct run *run, const struct op *op, unsigned pages);

// The page's bytes go; of an object's only this copy.
void cell_empty(struct cell *cell);
void cell_mark(struct cell *cell, unsigned kind, uint64_t payload);
void cell_unmark(struct cell *cell);
uint64_t *cell_word(struct cell *cell);
// Is this what the page may hold? If a lazily freed page is zero that is what it holds from now on.
bool cell_holds(struct cell *cell, uint64_t value);
void cell_write(struct cell *cell, uint64_t value);
enum vmt_status cell_access(const struct cell *cell, vmt_prot access);

// Whether a private page of an object has been copied is the library's business, until it is written: what it has
// copied by now keeps what the object's page said.
void cells_settle(struct run *run);

// The status has to be `want`; one of those in `mask`. With a device that does not answer VMT_ERR_DEVICE is as good.
#define BIT(status) (1u << (status))
void expect(struct run *run, const struct op *op, enum vmt_status got, enum vmt_status want);
void expect_mask(struct run *run, const struct op *op, enum vmt_status got, unsigned mask);

// What a fault may say, whatever is there.
#define FAULTS (BIT(VMT_OK) | BIT(VMT_ERR_UNMAPPED) | BIT(VMT_ERR_ACCESS) | BIT(VMT_ERR_GUARD) |                       \
		BIT(VMT_ERR_BUS) | BIT(VMT_ERR_POISON) | BIT(VMT_ERR_MARKER))

// Where the page's bytes lie, looked at without a fault; NULL: nowhere, and then it is zero.
const void *bytes_of(struct run *run, unsigned space, unsigned page);

// A device that is lost, or will be when it is asked, subscribes to the space; to any.
bool lost_in(const struct run *run, unsigned space);
bool lost_any(const struct run *run);

#endif

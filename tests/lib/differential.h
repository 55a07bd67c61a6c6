// SPDX-License-Identifier: MIT
// Random sequences against the flat model: operations, and a run of them on the library and on the model.
#ifndef TESTS_LIB_DIFFERENTIAL_H
#define TESTS_LIB_DIFFERENTIAL_H

#include "model.h"

// With larger pages huge ones are more than the machine should have.
#define HUGE_FITS (PAGE == 4096)

enum kind {
	OP_MAP, OP_UNMAP, OP_PROTECT, OP_RELEASE, OP_LAZY, OP_GUARD, OP_UNGUARD, OP_POPULATE, OP_MOVE, OP_GROW,
	OP_READ, OP_WRITE, OP_EXEC, OP_POKE, OP_FORK, OP_DESTROY, OP_RECLAIM, OP_PIN, OP_DEVICE,
	OP_UNPIN, OP_HUGE, OP_COLLAPSE, OP_MARK, OP_UNMARK, OP_TAKE, OP_RESOLVE, OP_KINDS
};

extern const char *const op_names[OP_KINDS];

struct op {
	unsigned kind, space, cell, cells, to, prot, flags;
	uint64_t number;
};

enum {
	OPF_SHARED = 1, OPF_OBJECT = 2, OPF_NOREPLACE = 4, OPF_GROWS = 8, OPF_TAG = 16, OPF_MAX = 32, OPF_SECOND = 64,
	OPF_FIXED = 128, OPF_PIN = 256, OPF_HUGE = 512, OPF_ALL = 1023,
	OPF_TABLE = OPF_HUGE	// of a move
};

struct run {
	struct env env;
	struct model model;
	struct vmt_space *space[MODEL_SPACES];
	struct vmt_object *object[MODEL_OBJECTS];
	uint64_t pin[MODEL_PINS];	// frames, 0: none
	const struct op *ops;
	unsigned count, at;
	enum sim_format format;
	uint64_t seed;
	char text[256];
};

_Noreturn void wrong(struct run *run, uint64_t addr, const char *what);
void expect(struct run *run, enum vmt_status got, enum vmt_status want);
uint64_t *bytes_of(struct run *run, uint64_t pa);

void do_op(struct run *run, const struct op *op);

#endif

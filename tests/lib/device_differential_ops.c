// SPDX-License-Identifier: MIT
// The operations of device_differential.h in the order in which they come, and what may come with them.
#include "device_differential.h"
#include "starved.h"

const char *const op_names[OP_KINDS] = {
	"map", "fill", "unmap", "protect", "release", "lazy", "guard", "unguard", "move", "fork", "destroy", "read",
	"write", "populate", "reclaim", "pin", "unpin", "take", "collapse", "huge", "harvest", "device-read",
	"device-write", "present", "exclusive", "range", "attach", "migrate", "back", "start", "finish", "step",
	"advise", "failing", "mute", "mark", "unmark", "resolve", "look", "cpu", "late", "stretch", "starve", "mirror",
	"mirror-fault", "mirror-use", "mirror-sync", "silent",
};

const unsigned op_weights[OP_KINDS] = {
	5, 12, 3, 8, 4, 5, 2, 6, 6, 5, 2, 16, 30, 3, 3, 4, 3, 5, 3, 3, 5,
	26, 40, 4, 9, 5, 3, 20, 3, 9, 9, 6, 8, 2, 1,
	4, 5, 5, 8, 6, 2, 2, 12, 4, 16, 16, 3, 1,
};

void print_ops(const struct op *ops, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		printf("%s %u %u %u %u %u %u %u %llu\n", op_names[ops[i].kind], ops[i].space, ops[i].page, ops[i].pages,
		       ops[i].to, ops[i].device, ops[i].memory, ops[i].flags, (unsigned long long)ops[i].value);
}

// The next operation of the sequence comes while a copy is waited for; but none that ends what the waiting one uses.
static void run_meanwhile(void *arg)
{
	struct run *run = arg;
	struct vmt_space *active = sim_active(run->env.cpu);
	unsigned kind;

	if (run->at + 1 >= run->count)
		return;
	kind = run->ops[run->at + 1].kind;
	if (kind == OP_DESTROY || kind == OP_ATTACH || kind == OP_MUTE || kind == OP_CPU || kind == OP_MIRROR ||
	    kind == OP_SILENT)
		return;
	run->at++;
	run->depth++;
	cells_settle(run);
	do_op(run, &run->ops[run->at]);
	run->depth--;
	if (active)
		sim_activate(run->env.cpu, active); // that of the access that waits
	else
		sim_deactivate(run->env.cpu);
}

void starve(struct run *run)
{
	if (run->depth)
		return;
	run->refused_before = run->refused;
	run->failed_before = run->vram[0].failed + run->vram[1].failed;
	if (!run->starve)
		return;
	starved_begin(run->env.machine, run->starve_kinds & (SIM_FAIL_FRAME | SIM_FAIL_MEM), run->starve,
		      run->starve_all);
	for (unsigned i = 0; i < MEMORIES; i++)
		run->vram[i].fail_in = run->starve_kinds & FAIL_COPY ? run->starve : 0;
	run->fill_in = run->starve_kinds & FAIL_FILL ? run->starve : 0;
	run->starve = 0;
}

void do_op(struct run *run, const struct op *op)
{
	op_function *function = op_of_changes(op->kind);
	struct op own = *op;

	function = function ? function : op_of_uses(op->kind);
	function = function ? function : op_of_devices(op->kind);
	while (!run->space[own.space])
		own.space = (own.space + 1) % SPACES;
	if (op->kind == OP_RECLAIM)
		run->env.ops->reclaim(run->space[own.space], 1 + op->value % 100);
	for (unsigned i = 0; i < MEMORIES; i++) {
		run->vram[i].meanwhile = op->flags & OPF_MEANWHILE && run->depth < 3 ? run_meanwhile : NULL;
		run->vram[i].arg = run;
	}
	if (op->kind != OP_MIRROR) // which does it when the device's own tables are made
		starve(run);
	if (function)
		function(run, &own);
	if (!run->depth)
		starved_end(run->env.machine);
	for (unsigned i = 0; i < MEMORIES; i++) {
		run->vram[i].meanwhile = NULL;
		run->vram[i].fail_in = run->depth ? run->vram[i].fail_in : 0;
	}
	run->fill_in = run->depth ? run->fill_in : 0;
	cells_settle(run);
}

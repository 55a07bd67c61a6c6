// SPDX-License-Identifier: MIT
// Those operations of device_differential.h that programs do and that change no attributes: forks, accesses, pins,
// advice, looking. The model is changed when the library's call has returned.
#include "device_differential.h"
#include "grace.h"

static void op_fork(struct run *run, const struct op *op)
{
	unsigned to = op->to % SPACES;
	enum vmt_status status;
	bool lost = false;

	if (run->space[to])
		return;
	for (unsigned i = 0; i < DEVICES; i++) // of one that is mute but has not been asked yet nobody knows
		lost |= run->device[i].lost && run->device_space[i] == op->space;
	for (unsigned i = 0; i < MIRRORS; i++)
		lost |= run->mirror[i].mirror && run->mirror_space[i] == op->space && dev_counts(&run->mirror[i]).lost;
	status = run->env.ops->space_fork(run->space[op->space], NULL, &run->space[to]);
	if (lost && status != VMT_ERR_DEVICE)
		wrong(run, op->space, 0, "a fork while a device is lost");
	expect(run, op, status, VMT_OK);
	if (status != VMT_OK)
		return;
	memcpy(run->cell[to], run->cell[op->space], sizeof(run->cell[to]));
	for (unsigned i = 0; i < CELLS; i++) {
		run->cell[to][i].dirty = false;
		run->cell[to][i].pin = 0;
	}
}

// On each CPU that uses the space another takes its place.
static void leave_space(struct run *run, unsigned space)
{
	unsigned number = sim_cpu_number(run->env.cpu);

	for (unsigned i = 0; i < CPUS; i++) {
		sim_unbind();
		run->env.cpu = sim_bind(run->env.machine, (number + i + 1) % CPUS);
		if (sim_active(run->env.cpu) == run->space[space])
			sim_activate(run->env.cpu, run->space[0]);
	}
}

// Devices go before their space; here they go to another, if they can. Mirrors that answer go before or after it.
static void op_destroy(struct run *run, const struct op *op)
{
	if (op->space == 0)
		return;
	for (unsigned i = 0; i < MIGRATIONS; i++)
		if (run->migration[i].migration && run->migration[i].space == op->space)
			return;
	for (unsigned i = 0; i < DEVICES; i++) {
		if (run->device_space[i] != op->space)
			continue;
		device_close(&run->device[i]);
		run->device_space[i] = 0;
		device_open(&run->env, &run->device[i], run->space[0], 0, 0, i < MEMORIES ? &run->vram[i] : NULL);
	}
	for (unsigned i = 0; i < MIRRORS; i++)
		if (run->mirror_space[i] == op->space && (run->mirror[i].silent || op->flags & OPF_WRITE))
			mirror_close(run, i);
	leave_space(run, op->space);
	expect(run, op, run->env.ops->space_destroy(run->space[op->space]), VMT_OK);
	for (unsigned i = 0; i < MIRRORS; i++)
		if (run->mirror_space[i] == op->space)
			mirror_close(run, i);
	run->space[op->space] = NULL;
	memset(run->cell[op->space], 0, sizeof(run->cell[op->space]));
}

uint64_t word_value(uint64_t value, unsigned i)
{
	return value ? value * 3 + i : 0;
}

const uint64_t places[3] = {0, PAGE / 2, PAGE - 8};

// Three words, which have to agree. An access that fails has not happened.
static void op_access(struct run *run, const struct op *op)
{
	bool write = op->kind == OP_WRITE;
	struct cell *cell = cell_of(run, op, 0);
	uint64_t word;

	sim_activate(run->env.cpu, run->space[op->space]);
	for (unsigned i = 0; i < 3; i++) {
		uint64_t at = op_addr(run, op) + places[i];
		enum vmt_status status = write ? sim_write(run->env.cpu, at, 8, word_value(op->value, i)) :
						 sim_read(run->env.cpu, at, 8, &word);

		if (i == 0)
			expect_mask(run, op, status, BIT(cell_access(cell, write ? VMT_WRITE : VMT_READ)));
		else
			expect(run, op, status, VMT_OK);
		if (status != VMT_OK)
			return;
		if (!write && i == 0)
			cell_holds(cell, word);
		if (!write && word != word_value(*cell_word(cell), i))
			wrong(run, op->space, op->page, "a program reads other bytes");
	}
	if (write)
		cell_write(cell, op->value);
}

static void op_populate(struct run *run, const struct op *op)
{
	expect_mask(run, op, run->env.ops->populate(run->space[op->space], op_addr(run, op), op->pages * PAGE, NULL),
		    FAULTS);
}

static void op_pin(struct run *run, const struct op *op)
{
	unsigned n = (unsigned)(op->value % PINS);
	struct cell *cell = cell_of(run, op, 0);
	enum vmt_status status;
	uint64_t pa;

	if (run->pin[n].pa)
		return;
	status = run->env.ops->page_pin(run->space[op->space], op_addr(run, op), VMT_READ, &pa);
	expect_mask(run, op, status, BIT(cell_access(cell, VMT_READ)));
	if (status == VMT_OK && run->pin[n].pa) { // an operation meanwhile was a pin too
		run->env.ops->page_unpin(run->env.vmt, pa);
	} else if (status == VMT_OK) {
		run->pin[n].pa = pa;
		cell->pin = cell->pin ? cell->pin : n + 1;
	}
}

static void op_unpin(struct run *run, const struct op *op)
{
	unsigned n = (unsigned)(op->value % PINS);

	if (!run->pin[n].pa)
		return;
	run->env.ops->page_unpin(run->env.vmt, run->pin[n].pa);
	run->pin[n].pa = 0;
	for (unsigned s = 0; s < SPACES; s++)
		for (unsigned i = 0; i < CELLS; i++)
			run->cell[s][i].pin = run->cell[s][i].pin == n + 1 ? 0 : run->cell[s][i].pin;
}

// Out, and in again or not yet.
static void op_take(struct run *run, const struct op *op)
{
	struct vmt_space *space = run->space[op->space];
	struct cell *cell = cell_of(run, op, 0);
	enum vmt_status status;
	uint64_t pa, word;

	if (!cell->mapped)
		return;
	status = run->env.ops->page_take(space, op_addr(run, op), VMT_MARKER_SWAP, op->value, &pa);
	cells_settle(run); // what was an object's page was not taken
	expect_mask(run, op, status, cell->shared ? BIT(VMT_ERR_ARGUMENT) :
		    BIT(VMT_OK) | BIT(VMT_ERR_NOT_PRESENT) | BIT(VMT_ERR_BUSY) |
		    (cell->object ? BIT(VMT_ERR_ARGUMENT) : 0));
	if (status != VMT_OK)
		return;
	word = *(uint64_t *)vmt_port_frame_ptr(sim_port(run->env.machine), pa);
	if (word != word_value(cell->value, 0) || cell->marker || (cell->object && !cell->own))
		wrong(run, op->space, op->page, "a page that was taken holds other bytes");
	cell->lazy = false;
	if (op->flags & OPF_OUT) {
		run->env.ops->page_put(run->env.vmt, pa);
		word = cell->value;
		cell_mark(cell, VMT_MARKER_SWAP, op->value);
		cell->saved = word;
		return;
	}
	status = run->env.ops->marker_resolve(space, op_addr(run, op), VMT_MARKER_SWAP, op->value, pa);
	expect(run, op, status, VMT_OK);
}

static void op_collapse(struct run *run, const struct op *op)
{
	enum vmt_status status = VMT_OK;

	if (!HUGE_FITS)
		return;
	run->env.ops->collapse(run->space[op->space], page_addr(run, 0), CELLS * PAGE, &status);
	expect_mask(run, op, status, BIT(VMT_OK) | BIT(VMT_ERR_UNMAPPED));
}

static void op_advise(struct run *run, const struct op *op)
{
	unsigned pages = mapped_pages(run, op, false), memory = op->memory;
	struct vmt_space *space = run->space[op->space];

	if (!pages)
		return;
	if (op->kind == OP_HUGE)
		expect(run, op, run->env.ops->advise_huge(space, op_addr(run, op), pages * PAGE, op->flags & OPF_HUGE),
		       VMT_OK);
	else
		expect(run, op, run->env.ops->advise_device(space, op_addr(run, op), pages * PAGE,
							    memory < MEMORIES ? run->vram[memory].memory : NULL,
							    op->flags & OPF_READ_MOSTLY),
		       any_backed(run, op, pages) ? VMT_ERR_ARGUMENT : VMT_OK);
	if (op->kind == OP_ADVISE && any_backed(run, op, pages))
		return;
	for (unsigned n = 0; n < pages; n++) {
		struct cell *cell = cell_of(run, op, n);

		if (op->kind == OP_HUGE) {
			cell->huge = op->flags & OPF_HUGE && !cell->object;
			continue;
		}
		cell->hint = memory < MEMORIES ? memory + 1 : 0;
		cell->read_mostly = op->flags & OPF_READ_MOSTLY;
	}
}

// What was written has to be in it.
static void op_harvest(struct run *run, const struct op *op)
{
	uint64_t bitmap[CELLS / 64 + 1] = {0};

	run->env.ops->test_and_clear(run->space[op->space], op_addr(run, op), op->pages * PAGE,
				     op->flags & OPF_READ_ONLY ? VMT_ACCESSED : VMT_DIRTY, bitmap);
	for (unsigned n = 0; n < op->pages && !(op->flags & OPF_READ_ONLY); n++)
		if (cell_of(run, op, n)->dirty && !(bitmap[n / 64] >> n % 64 & 1) && !lost_any(run))
			wrong(run, op->space, op->page + n, "a page was written and is clean");
	// A huge page was asked as a whole.
	for (unsigned i = op->page / HALF * HALF; i < CELLS && i < op->page + op->pages + HALF; i++)
		if (!(op->flags & OPF_READ_ONLY))
			run->cell[op->space][i].dirty = false;
}

// ---- Looking, and what else there is -----------------------------------------------------------------------------

// The area that holds the page, or the next one, begins and ends where the model says.
static void look_area(struct run *run, const struct op *op)
{
	unsigned first = op->page, end;
	struct vmt_area area;
	struct cell *cells = run->cell[op->space];

	while (first < CELLS && !cells[first].mapped)
		first++;
	if (run->env.ops->area_find(run->space[op->space], op_addr(run, op), &area) != VMT_OK) {
		if (first < CELLS)
			wrong(run, op->space, first, "an area is missing");
		return;
	}
	if (first == CELLS)
		wrong(run, op->space, op->page, "an area too many");
	for (end = first + 1; end < CELLS && attributes_same(&cells[end - 1], &cells[end], 1); end++)
		;
	while (first > 0 && attributes_same(&cells[first - 1], &cells[first], 1))
		first--;
	if (area.start != page_addr(run, first) || area.end != page_addr(run, end))
		wrong(run, op->space, first, "an area has other edges");
	if (area.prot != cells[first].prot || !(area.flags & VMT_MAP_SHARED) != !cells[first].shared ||
	    !(area.flags & VMT_MAP_HUGE) != !cells[first].huge || !area.object != !cells[first].object)
		wrong(run, op->space, first, "an area has other attributes");
	if (cells[first].object && run->object[cells[first].object - 1].object &&
	    (area.object != run->object[cells[first].object - 1].object || area.offset != cells[first].index * PAGE))
		wrong(run, op->space, first, "an area shows another object, or another part of it");
}

// What the hardware would find is no more than is allowed, and what a lock-free reader takes is the page.
static void op_look(struct run *run, const struct op *op)
{
	struct vmt_space *space = run->space[op->space];
	struct cell *cell = cell_of(run, op, 0);
	struct vmt_translation found;
	uint64_t pa;

	look_area(run, op);
	if (run->env.ops->translate(space, op_addr(run, op), &found) != VMT_OK)
		return;
	if (!cell->mapped || cell->marker || (found.prot & RW & ~cell->prot))
		wrong(run, op->space, op->page, "hardware may do what nobody may");
	if (run->env.ops->page_try_get(space, op_addr(run, op), VMT_READ, &pa) != VMT_OK)
		return;
	if (pa != found.pa)
		wrong(run, op->space, op->page, "a lock-free reader takes another page");
	run->env.ops->page_put(run->env.vmt, pa);
}

// The program goes on on another CPU.
static void op_cpu(struct run *run, const struct op *op)
{
	sim_unbind();
	run->env.cpu = sim_bind(run->env.machine, op->to % CPUS);
}

static void op_late(struct run *run, const struct op *op)
{
	run->late = op->to % 4;
}

static void op_stretch(struct run *run, const struct op *op)
{
	(void)run;
	grace_stretch(op->flags & OPF_WRITE);
}

static void op_starve(struct run *run, const struct op *op)
{
	run->starve = 1 + (unsigned)(op->value % 12);
	run->starve_kinds = op->flags & OPF_OBJECT ? FAIL_COPY | FAIL_FILL : SIM_FAIL_FRAME | SIM_FAIL_MEM;
	run->starve_all = op->flags & OPF_WRITE;
}

// ---- The whole ---------------------------------------------------------------------------------------------------

static op_function *const functions[OP_KINDS] = {
	[OP_FORK] = op_fork, [OP_DESTROY] = op_destroy, [OP_READ] = op_access, [OP_WRITE] = op_access,
	[OP_POPULATE] = op_populate, [OP_PIN] = op_pin, [OP_UNPIN] = op_unpin, [OP_TAKE] = op_take,
	[OP_COLLAPSE] = op_collapse, [OP_HUGE] = op_advise, [OP_ADVISE] = op_advise, [OP_HARVEST] = op_harvest,
	[OP_LOOK] = op_look, [OP_CPU] = op_cpu, [OP_LATE] = op_late, [OP_STRETCH] = op_stretch,
	[OP_STARVE] = op_starve,
};

op_function *op_of_uses(unsigned kind)
{
	return functions[kind];
}

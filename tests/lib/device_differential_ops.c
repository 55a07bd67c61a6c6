// SPDX-License-Identifier: MIT
// The operations of device_differential.h, on the library and on the model.
//
// The model is changed when the library's call has returned: while it waited for a copy others may have come in between,
// and an access that had to wait is one that came after them.
#include "device_differential.h"

const char *const op_names[OP_KINDS] = {
	"map", "fill", "unmap", "protect", "release", "lazy", "guard", "unguard", "move", "fork", "destroy", "read", "write",
	"populate", "reclaim", "pin", "unpin", "take", "collapse", "huge", "harvest", "device-read", "device-write",
	"present", "exclusive", "range", "attach", "migrate", "back", "start", "finish", "step", "advise", "failing", "mute",
};

const unsigned op_weights[OP_KINDS] = {
	5, 12, 3, 8, 4, 5, 2, 6, 6, 5, 2, 16, 30, 3, 3, 4, 3, 5, 3, 3, 5,
	26, 40, 4, 9, 5, 3, 20, 3, 9, 9, 6, 8, 2, 1,
};

uint64_t page_addr(const struct run *run, unsigned page)
{
	return run->base + page * PAGE;
}

bool lost_in(const struct run *run, unsigned space)
{
	for (unsigned i = 0; i < DEVICES; i++)
		if (run->device[i].mute && run->device_space[i] == space)
			return true;
	return false;
}

bool lost_any(const struct run *run)
{
	return lost_in(run, 0) || lost_in(run, 1) || lost_in(run, 2);
}

// May an operation say VMT_ERR_DEVICE?
static bool may_fail(const struct run *run)
{
	return run->vram[0].fail_one_in || run->vram[1].fail_one_in || lost_any(run);
}

static void expect(struct run *run, const struct op *op, enum vmt_status got, enum vmt_status want)
{
	char text[128];

	if (got == want || (got == VMT_ERR_DEVICE && want == VMT_OK && lost_in(run, op->space)))
		return;
	snprintf(text, sizeof(text), "%s says %s, not %s", op_names[op->kind], vmt_status_name(got),
		 vmt_status_name(want));
	wrong(run, op->space, op->page, text);
}

static void expect_mask(struct run *run, const struct op *op, enum vmt_status got, unsigned mask)
{
	if (!(mask >> got & 1) && !(got == VMT_ERR_DEVICE && may_fail(run)))
		expect(run, op, got, VMT_OK);
}

#define BIT(status) (1u << (status))

static uint64_t op_addr(const struct run *run, const struct op *op)
{
	return page_addr(run, op->page);
}

static struct cell *cell_of(struct run *run, const struct op *op, unsigned n)
{
	return &run->cell[op->space][op->page + n];
}

static bool attributes_same(const struct cell *a, const struct cell *b)
{
	return a->mapped && b->mapped && a->prot == b->prot && a->huge == b->huge && a->hint == b->hint &&
	       a->read_mostly == b->read_mostly;
}

// How many pages from the operation's on are mapped, as far as it goes; with `alike` as one area.
static unsigned mapped_pages(struct run *run, const struct op *op, bool alike)
{
	unsigned n = 0;

	while (n < op->pages && cell_of(run, op, n)->mapped &&
	       (!alike || attributes_same(cell_of(run, op, 0), cell_of(run, op, n))))
		n++;
	return n;
}

// The page's bytes go.
static void cell_empty(struct cell *cell)
{
	cell->value = 0;
	cell->lazy = cell->dirty = false;
	cell->pin = 0;
}

bool cell_holds(struct cell *cell, uint64_t value)
{
	if (cell->lazy && value == 0) {
		cell->value = 0;
		cell->lazy = false;
	}
	return cell->value == value;
}

static void cell_write(struct cell *cell, uint64_t value)
{
	cell->value = value;
	cell->lazy = false;
	cell->dirty = true;
}

static enum vmt_status cell_access(const struct cell *cell, vmt_prot access)
{
	return !cell->mapped		 ? VMT_ERR_UNMAPPED :
	       !(cell->prot & access)	 ? VMT_ERR_ACCESS :
	       cell->guard		 ? VMT_ERR_GUARD :
					   VMT_OK;
}

// ---- What a program does -----------------------------------------------------------------------------------------

static vmt_prot op_prot(const struct op *op)
{
	if (op->flags & OPF_NO_ACCESS && op->flags & OPF_READ_ONLY)
		return 0;
	return op->flags & OPF_READ_ONLY ? VMT_READ : RW;
}

static void op_map(struct run *run, const struct op *op)
{
	struct vmt_map_request request = {
		.addr = op_addr(run, op), .length = op->pages * PAGE, .prot = op_prot(op),
		.flags = VMT_MAP_FIXED | (HUGE_FITS && op->flags & OPF_HUGE ? VMT_MAP_HUGE : 0)};
	uint64_t got;

	expect(run, op, run->env.ops->map(run->space[op->space], &request, &got), VMT_OK);
	for (unsigned n = 0; n < op->pages; n++)
		*cell_of(run, op, n) = (struct cell){.mapped = true, .prot = request.prot,
						     .huge = request.flags & VMT_MAP_HUGE};
}

// Maps where there is nothing, that there is something to be done.
static void op_fill(struct run *run, const struct op *op)
{
	struct op hole = *op;

	hole.flags &= ~(unsigned)OPF_READ_ONLY;
	for (unsigned i = 0; i < CELLS; i += hole.pages) {
		hole.page = i;
		for (hole.pages = 0; i + hole.pages < CELLS && !run->cell[op->space][i + hole.pages].mapped;)
			hole.pages++;
		if (hole.pages)
			op_map(run, &hole);
		else
			hole.pages = 1;
	}
}

static void op_unmap(struct run *run, const struct op *op)
{
	expect(run, op, run->env.ops->unmap(run->space[op->space], op_addr(run, op), op->pages * PAGE), VMT_OK);
	for (unsigned n = 0; n < op->pages; n++)
		*cell_of(run, op, n) = (struct cell){0};
}

static void op_protect(struct run *run, const struct op *op)
{
	unsigned pages = mapped_pages(run, op, false);

	if (!pages)
		return;
	expect(run, op, run->env.ops->protect(run->space[op->space], op_addr(run, op), pages * PAGE, op_prot(op)), VMT_OK);
	for (unsigned n = 0; n < pages; n++)
		cell_of(run, op, n)->prot = op_prot(op);
}

static void op_release(struct run *run, const struct op *op)
{
	bool hole = mapped_pages(run, op, false) < op->pages;

	expect_mask(run, op, run->env.ops->release(run->space[op->space], op_addr(run, op), op->pages * PAGE),
		    BIT(hole ? VMT_ERR_UNMAPPED : VMT_OK));
	for (unsigned n = 0; n < op->pages; n++)
		cell_empty(cell_of(run, op, n));
}

static void op_lazy(struct run *run, const struct op *op)
{
	unsigned pages = mapped_pages(run, op, false);

	if (!pages)
		return;
	expect(run, op, run->env.ops->lazy_free(run->space[op->space], op_addr(run, op), pages * PAGE), VMT_OK);
	for (unsigned n = 0; n < pages; n++) {
		cell_of(run, op, n)->lazy = true;
		cell_of(run, op, n)->dirty = false;
	}
}

static void op_guard(struct run *run, const struct op *op)
{
	bool install = op->kind == OP_GUARD;
	unsigned pages = mapped_pages(run, op, false);

	if (!pages)
		return;
	expect(run, op, (install ? run->env.ops->guard_install : run->env.ops->guard_remove)(
				run->space[op->space], op_addr(run, op), pages * PAGE), VMT_OK);
	for (unsigned n = 0; n < pages; n++) {
		if (install)
			cell_empty(cell_of(run, op, n));
		cell_of(run, op, n)->guard = install;
	}
}

static void op_move(struct run *run, const struct op *op)
{
	unsigned pages = mapped_pages(run, op, true);
	enum vmt_status status;
	uint64_t got;

	if (!pages || op->to + pages > CELLS || (op->to < op->page + pages && op->page < op->to + pages))
		return;
	status = run->env.ops->move(run->space[op->space], op_addr(run, op), pages * PAGE, pages * PAGE,
				    VMT_MOVE_MAY_MOVE | VMT_MOVE_FIXED, page_addr(run, op->to), &got);
	expect(run, op, status, VMT_OK);
	for (unsigned n = 0; n < pages; n++) {
		run->cell[op->space][op->to + n] = *cell_of(run, op, n);
		*cell_of(run, op, n) = (struct cell){0};
	}
}

static void op_fork(struct run *run, const struct op *op)
{
	unsigned to = op->to % SPACES;
	enum vmt_status status;
	bool lost = false;

	if (run->space[to])
		return;
	for (unsigned i = 0; i < DEVICES; i++) // of one that is mute but has not been asked yet nobody knows
		lost |= run->device[i].lost && run->device_space[i] == op->space;
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

// Devices go before their space; here they go to another, if they can.
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
	if (sim_active(run->env.cpu) == run->space[op->space])
		sim_activate(run->env.cpu, run->space[0]);
	expect(run, op, run->env.ops->space_destroy(run->space[op->space]), VMT_OK);
	run->space[op->space] = NULL;
	memset(run->cell[op->space], 0, sizeof(run->cell[op->space]));
}

static uint64_t word_value(uint64_t value, unsigned i)
{
	return value ? value * 3 + i : 0;
}

static const uint64_t places[] = {0, PAGE / 2, PAGE - 8};

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
		if (!write && word != word_value(cell->value, i))
			wrong(run, op->space, op->page, "a program reads other bytes");
	}
	if (write)
		cell_write(cell, op->value);
}

static void op_populate(struct run *run, const struct op *op)
{
	unsigned mask = BIT(VMT_OK) | BIT(VMT_ERR_UNMAPPED) | BIT(VMT_ERR_ACCESS) | BIT(VMT_ERR_GUARD);

	expect_mask(run, op, run->env.ops->populate(run->space[op->space], op_addr(run, op), op->pages * PAGE, NULL),
		    mask);
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

// Out and in again.
static void op_take(struct run *run, const struct op *op)
{
	struct vmt_space *space = run->space[op->space];
	struct cell *cell = cell_of(run, op, 0);
	enum vmt_status status;
	uint64_t pa, word;

	if (!cell->mapped)
		return;
	status = run->env.ops->page_take(space, op_addr(run, op), VMT_MARKER_SWAP, op->value, &pa);
	expect_mask(run, op, status, BIT(VMT_OK) | BIT(VMT_ERR_NOT_PRESENT) | BIT(VMT_ERR_BUSY));
	if (status != VMT_OK)
		return;
	word = *(uint64_t *)vmt_port_frame_ptr(sim_port(run->env.machine), pa);
	if (word != word_value(cell->value, 0))
		wrong(run, op->space, op->page, "a page that was taken holds other bytes");
	cell->lazy = false;
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
							    op->flags & OPF_READ_MOSTLY), VMT_OK);
	for (unsigned n = 0; n < pages; n++) {
		struct cell *cell = cell_of(run, op, n);

		if (op->kind == OP_HUGE) {
			cell->huge = op->flags & OPF_HUGE;
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

// ---- What devices do ---------------------------------------------------------------------------------------------

// An access of the device, with what it keeps or after a fault. By then it may have been told to drop it: again.
static void op_device_access(struct run *run, const struct op *op)
{
	vmt_prot access = op->kind == OP_DEVICE_WRITE ? VMT_WRITE : VMT_READ;
	struct device *device = &run->device[op->device];
	struct op own = *op;
	struct cell *cell;
	uint8_t *bytes = NULL;

	if (device->mute)
		return;
	own.space = run->device_space[op->device];
	cell = cell_of(run, &own, 0);
	for (unsigned try = 0; !bytes; try++) {
		bytes = device_bytes(device, op_addr(run, op), access);
		if (!bytes) {
			enum vmt_status status = device_fault(device, op_addr(run, op), 1, access, 0);

			expect_mask(run, &own, status, BIT(cell_access(cell, access)));
			if (status != VMT_OK || run->device_space[op->device] != own.space)
				return;
		}
		if (try > 20)
			wrong(run, own.space, op->page, "a device does not get its page");
	}
	if (cell_access(cell, access) != VMT_OK)
		wrong(run, own.space, op->page, "a device may do what nobody may");
	for (unsigned i = 0; i < 3; i++) {
		uint64_t *word = (uint64_t *)(bytes + places[i]);

		if (i == 0)
			cell_holds(cell, *word);
		if (*word != word_value(cell->value, i))
			wrong(run, own.space, op->page, "a device reads other bytes");
	}
	for (unsigned i = 0; i < 3 && access == VMT_WRITE; i++)
		*(uint64_t *)(bytes + places[i]) = word_value(op->value, i);
	if (access == VMT_WRITE)
		cell_write(cell, op->value);
}

static void op_device_fault(struct run *run, const struct op *op)
{
	struct device *device = &run->device[op->device];
	enum vmt_status status;

	if (device->mute)
		return;
	if (op->kind == OP_PRESENT) {
		status = device_fault(device, op_addr(run, op), op->pages * PAGE, op->flags & OPF_WRITE ? VMT_WRITE : 0,
				      VMT_GRANT_PRESENT);
		expect_mask(run, op, status, BIT(VMT_OK));
		return;
	}
	status = device_fault(device, op_addr(run, op), 1, VMT_WRITE, VMT_GRANT_EXCLUSIVE);
	expect_mask(run, op, status, BIT(VMT_ERR_BUSY) | BIT(VMT_ERR_DEVICE) |
					     BIT(cell_access(&run->cell[run->device_space[op->device]][op->page], VMT_WRITE)));
}

struct ranged {
	struct run *run;
	const struct op *op;
	unsigned changes;
};

// A part of it becomes another page, a few times or each time.
static enum vmt_status op_program(void *arg, const struct vmt_grant *grant, unsigned count)
{
	struct ranged *ranged = arg;
	struct op write = *ranged->op;

	(void)grant;
	if (ranged->changes-- == 0)
		return VMT_OK;
	write.kind = ranged->changes % 2 ? OP_RELEASE : OP_PROTECT;
	write.space = ranged->run->device_space[ranged->op->device];
	write.page += (unsigned)(ranged->op->value % count);
	write.pages = 1;
	do_op(ranged->run, &write);
	return VMT_OK;
}

static void op_commit(void *arg, const struct vmt_grant *grant, unsigned count, bool programmed)
{
	struct ranged *ranged = arg;

	(void)programmed;
	for (unsigned i = 0; i < count; i++)
		device_keep(&ranged->run->device[ranged->op->device], &grant[i]);
}

static void op_range(struct run *run, const struct op *op)
{
	struct ranged ranged = {run, op, (unsigned)(op->value % 4 ? op->value % 4 : 100)};
	unsigned pages = op->pages < VMT_RANGE_PAGES ? op->pages : VMT_RANGE_PAGES;
	struct device *device = &run->device[op->device];
	struct vmt_secondary_range range = {.addr = op_addr(run, op), .length = pages * PAGE,
					    .access = op->flags & OPF_WRITE ? VMT_WRITE : VMT_READ,
					    .program = op_program, .commit = op_commit, .arg = &ranged};

	if (device->mute)
		return;
	expect_mask(run, op, run->env.ops->secondary_fault_range(device->space, device->id, &range),
		    BIT(VMT_OK) | BIT(VMT_ERR_UNMAPPED) | BIT(VMT_ERR_ACCESS) | BIT(VMT_ERR_GUARD));
}

static void op_attach(struct run *run, const struct op *op)
{
	struct device *device = &run->device[op->device];

	device_close(device);
	run->device_space[op->device] = op->space;
	device_open(&run->env, device, run->space[op->space], 0, 0,
		    op->device < MEMORIES ? &run->vram[op->device] : NULL);
}

// ---- Device memory -----------------------------------------------------------------------------------------------

#define MIGRATED (BIT(VMT_OK) | BIT(VMT_ERR_NO_MEMORY) | BIT(VMT_ERR_UNMAPPED))

static void op_migrate(struct run *run, const struct op *op)
{
	struct vmt_device_memory *memory = op->kind == OP_BACK ? NULL : run->vram[op->memory % MEMORIES].memory;

	expect_mask(run, op, run->env.ops->migrate(run->space[op->space], op_addr(run, op), op->pages * PAGE, memory,
						   NULL), MIGRATED);
}

static void op_start(struct run *run, const struct op *op)
{
	unsigned n = (unsigned)(op->value % MIGRATIONS);

	if (run->migration[n].migration)
		return;
	expect(run, op, run->env.ops->migration_start(run->space[op->space], op_addr(run, op), op->pages * PAGE,
						      run->vram[op->memory % MEMORIES].memory,
						      &run->migration[n].migration), VMT_OK);
	run->migration[n].space = op->space;
}

static void op_finish(struct run *run, const struct op *op)
{
	unsigned n = (unsigned)(op->value % MIGRATIONS);
	struct vmt_migration *migration = run->migration[n].migration;

	run->migration[n].migration = NULL; // for what happens meanwhile; but its space stays
	if (migration) // copies may have failed any time since
		expect_mask(run, op, run->env.ops->migration_finish(migration, NULL), MIGRATED | BIT(VMT_ERR_DEVICE));
}

static void op_step(struct run *run, const struct op *op)
{
	for (unsigned i = 0; i < op->pages; i++)
		vram_step(&run->vram[op->memory % MEMORIES]);
}

static void op_failing(struct run *run, const struct op *op)
{
	run->vram[op->memory % MEMORIES].fail_one_in = op->flags & OPF_WRITE ? 3 : 0;
}

static void op_mute(struct run *run, const struct op *op)
{
	if (run->seed % 4 == 0)
		run->device[op->device].mute = true;
}

// ---- The whole ---------------------------------------------------------------------------------------------------

static void (*const op_run[OP_KINDS])(struct run *run, const struct op *op) = {
	[OP_MAP] = op_map, [OP_FILL] = op_fill, [OP_UNMAP] = op_unmap, [OP_PROTECT] = op_protect, [OP_RELEASE] = op_release,
	[OP_LAZY] = op_lazy, [OP_GUARD] = op_guard, [OP_UNGUARD] = op_guard, [OP_MOVE] = op_move, [OP_FORK] = op_fork,
	[OP_DESTROY] = op_destroy, [OP_READ] = op_access, [OP_WRITE] = op_access, [OP_POPULATE] = op_populate,
	[OP_PIN] = op_pin, [OP_UNPIN] = op_unpin, [OP_TAKE] = op_take, [OP_COLLAPSE] = op_collapse,
	[OP_HUGE] = op_advise, [OP_ADVISE] = op_advise, [OP_HARVEST] = op_harvest,
	[OP_DEVICE_READ] = op_device_access, [OP_DEVICE_WRITE] = op_device_access, [OP_PRESENT] = op_device_fault,
	[OP_EXCLUSIVE] = op_device_fault, [OP_RANGE] = op_range, [OP_ATTACH] = op_attach, [OP_MIGRATE] = op_migrate,
	[OP_BACK] = op_migrate, [OP_START] = op_start, [OP_FINISH] = op_finish, [OP_STEP] = op_step,
	[OP_FAILING] = op_failing, [OP_MUTE] = op_mute,
};

// The next operation of the sequence comes while a copy is waited for; but none that ends what the waiting one uses.
static void run_meanwhile(void *arg)
{
	struct run *run = arg;
	struct vmt_space *active = sim_active(run->env.cpu);
	unsigned kind;

	if (run->at + 1 >= run->count)
		return;
	kind = run->ops[run->at + 1].kind;
	if (kind == OP_DESTROY || kind == OP_ATTACH || kind == OP_MUTE)
		return;
	run->at++;
	run->depth++;
	do_op(run, &run->ops[run->at]);
	run->depth--;
	sim_activate(run->env.cpu, active); // that of the access that waits
}

void do_op(struct run *run, const struct op *op)
{
	struct op own = *op;

	while (!run->space[own.space])
		own.space = (own.space + 1) % SPACES;
	if (op->kind == OP_RECLAIM)
		run->env.ops->reclaim(run->space[own.space], 1 + op->value % 100);
	for (unsigned i = 0; i < MEMORIES; i++) {
		run->vram[i].meanwhile = op->flags & OPF_MEANWHILE && run->depth < 3 ? run_meanwhile : NULL;
		run->vram[i].arg = run;
	}
	if (op_run[own.kind])
		op_run[own.kind](run, &own);
	for (unsigned i = 0; i < MEMORIES; i++)
		run->vram[i].meanwhile = NULL;
}

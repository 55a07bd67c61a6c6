// SPDX-License-Identifier: MIT
// Those operations of device_differential.h that devices, their memories and their mirrors do.
#include "device_differential.h"

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
	cells_settle(run);
	if (cell_access(cell, access) != VMT_OK)
		wrong(run, own.space, op->page, "a device may do what nobody may");
	for (unsigned i = 0; i < 3; i++) {
		uint64_t *word = (uint64_t *)(bytes + places[i]);

		if (i == 0)
			cell_holds(cell, *word);
		if (*word != word_value(*cell_word(cell), i))
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
	struct cell *cell;

	if (device->mute)
		return;
	if (op->kind == OP_PRESENT) {
		status = device_fault(device, op_addr(run, op), op->pages * PAGE, op->flags & OPF_WRITE ? VMT_WRITE : 0,
				      VMT_GRANT_PRESENT);
		expect_mask(run, op, status, BIT(VMT_OK));
		return;
	}
	cell = &run->cell[run->device_space[op->device]][op->page];
	status = device_fault(device, op_addr(run, op), 1, VMT_WRITE, VMT_GRANT_EXCLUSIVE);
	expect_mask(run, op, status, BIT(VMT_ERR_BUSY) | BIT(VMT_ERR_DEVICE) | BIT(cell_access(cell, VMT_WRITE)) |
					     (cell->object ? BIT(VMT_ERR_ARGUMENT) : 0));
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
	expect_mask(run, op, run->env.ops->secondary_fault_range(device->space, device->id, &range), FAULTS);
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

// ---- Mirrors -----------------------------------------------------------------------------------------------------

// One that has not answered is reset before it ends.
void mirror_close(struct run *run, unsigned n)
{
	struct dev *dev = &run->mirror[n];

	if (!dev->mirror)
		return;
	dev->silent = false;
	if (dev_counts(dev).lost)
		dev->posted = dev->cached = 0;
	dev_close(dev);
	memset(dev, 0, sizeof(*dev));
}

// Another mirror in its place: which tables, how they are filled, and how much of the pages it shows.
static void op_mirror(struct run *run, const struct op *op)
{
	static const enum dev_kind kinds[] = {DEV_TREE, DEV_TREE, DEV_SHARED, DEV_COMMANDS};
	unsigned n = op->to % MIRRORS, narrow = op->flags & OPF_WHOLE ? 0 : 2;
	struct dev *dev = &run->mirror[n];
	struct dev_config config = {
		.kind = kinds[op->value % 4], .start = page_addr(run, narrow), .end = page_addr(run, CELLS - narrow),
		.exec = op->flags & OPF_READ_ONLY, .format = SIM_FORMATS};
	enum vmt_status status;

	mirror_close(run, n);
	if (op->flags & OPF_NO_ACCESS)
		return;
	for (unsigned i = 0; i <= op->value / 4 % 6 && dev_next_format(&run->env, &config.format); i++)
		;
	if (config.kind != DEV_SHARED) {
		config.offset = (UINT64_C(8) << 30) - run->base;
		config.offset += op->flags & OPF_HUGE ? 3 * PAGE : 0;
		config.mode = op->flags & OPF_WRITE ? VMT_MIRROR_EAGER : VMT_MIRROR_ON_DEMAND;
		config.leaf_sizes = op->flags & OPF_SHARED ? sim_format_page(config.format) : 0;
	}
	run->mirror_env[n] = run->env;
	run->mirror_env[n].space = run->space[op->space];
	run->mirror_space[n] = op->space;
	dev_make(dev, &run->mirror_env[n], &config);
	starve(run);
	status = dev_mirror(dev);
	expect(run, op, status, VMT_OK);
	if (status == VMT_OK)
		return;
	// It is there, lost, for another device of the space has not answered; or not at all.
	if (!dev->mirror)
		dev_free(dev);
	else
		mirror_close(run, n);
	memset(dev, 0, sizeof(*dev));
}

static struct dev *op_mirror_of(struct run *run, const struct op *op)
{
	struct dev *dev = &run->mirror[op->to % MIRRORS];
	bool in = dev->mirror && op_addr(run, op) >= dev->config.start && op_addr(run, op) < dev->config.end;

	return in && !dev->silent ? dev : NULL;
}

static void op_mirror_fault(struct run *run, const struct op *op)
{
	unsigned space = run->mirror_space[op->to % MIRRORS];
	struct dev *dev = op_mirror_of(run, op);
	vmt_prot access = op->flags & OPF_WRITE ? VMT_WRITE : VMT_READ;
	uint64_t addr, length = op->pages * PAGE;
	struct op own = *op;

	if (!dev)
		return;
	own.space = space;
	addr = op_addr(run, op) + dev->config.offset;
	if (op->flags & OPF_WHOLE) {
		expect_mask(run, &own, run->env.ops->mirror_exclusive(dev->mirror, addr),
			    FAULTS | BIT(VMT_ERR_BUSY) | BIT(VMT_ERR_ARGUMENT));
		return;
	}
	if (addr + length > dev->config.end + dev->config.offset)
		length = dev->config.end + dev->config.offset - addr;
	expect_mask(run, &own, run->env.ops->mirror_fault(dev->mirror, addr, length, access, NULL), FAULTS);
}

// The device reads or writes a word at the beginning of the page: with what it has cached, or what its tables say, or
// after a fault; and once more, for while that was resolved something else may have come.
static void op_mirror_use(struct run *run, const struct op *op)
{
	unsigned space = run->mirror_space[op->to % MIRRORS];
	vmt_prot access = op->flags & OPF_WRITE ? VMT_WRITE : VMT_READ;
	struct dev *dev = op_mirror_of(run, op);
	struct cell *cell = &run->cell[space][op->page];
	struct op own = *op;
	uint8_t *bytes;
	uint64_t pa;

	if (!dev)
		return;
	own.space = space;
	for (unsigned try = 0; !dev_uses(dev, op_addr(run, op), access, &pa); try++) {
		enum vmt_status status = dev_fault(dev, op_addr(run, op), access);

		expect_mask(run, &own, status, BIT(cell_access(cell, access)));
		if (status != VMT_OK)
			return;
		if (try > 20)
			wrong(run, space, op->page, "a mirror's device does not get its page");
	}
	cells_settle(run);
	if (cell_access(cell, access) != VMT_OK)
		wrong(run, space, op->page, "a mirror's device may do what nobody may");
	bytes = vmt_port_frame_ptr(sim_port(run->env.machine), pa);
	for (unsigned i = 0; i < 3; i++) {
		uint64_t *word = (uint64_t *)(bytes + places[i]);

		if (i == 0)
			cell_holds(cell, *word);
		if (*word != word_value(*cell_word(cell), i))
			wrong(run, space, op->page, "a mirror's device reads other bytes");
	}
	for (unsigned i = 0; i < 3 && access == VMT_WRITE; i++)
		*(uint64_t *)(bytes + places[i]) = word_value(op->value, i);
	if (access == VMT_WRITE)
		cell_write(cell, op->value);
}

static void op_mirror_sync(struct run *run, const struct op *op)
{
	struct dev *dev = op_mirror_of(run, op);
	struct op own = *op;

	if (!dev)
		return;
	own.space = run->mirror_space[op->to % MIRRORS];
	expect(run, &own, run->env.ops->mirror_sync(dev->mirror, dev->config.start + dev->config.offset,
						    dev->config.end - dev->config.start), VMT_OK);
}

static void op_silent(struct run *run, const struct op *op)
{
	if (run->seed % 4 == 0 && run->mirror[op->to % MIRRORS].mirror)
		run->mirror[op->to % MIRRORS].silent = true;
}

static op_function *const functions[OP_KINDS] = {
	[OP_DEVICE_READ] = op_device_access, [OP_DEVICE_WRITE] = op_device_access, [OP_PRESENT] = op_device_fault,
	[OP_EXCLUSIVE] = op_device_fault, [OP_RANGE] = op_range, [OP_ATTACH] = op_attach, [OP_MIGRATE] = op_migrate,
	[OP_BACK] = op_migrate, [OP_START] = op_start, [OP_FINISH] = op_finish, [OP_STEP] = op_step,
	[OP_FAILING] = op_failing, [OP_MUTE] = op_mute, [OP_MIRROR] = op_mirror, [OP_MIRROR_FAULT] = op_mirror_fault,
	[OP_MIRROR_USE] = op_mirror_use, [OP_MIRROR_SYNC] = op_mirror_sync, [OP_SILENT] = op_silent,
};

op_function *op_of_devices(unsigned kind)
{
	return functions[kind];
}

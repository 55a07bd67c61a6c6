// SPDX-License-Identifier: MIT
// Those operations of device_differential.h that change attributes and states.
//
// The model is changed when the library's call has returned: while it waited for a copy others may have come in
// between, and an access that had to wait is one that came after them.
#include "device_differential.h"

static vmt_prot op_prot(const struct op *op)
{
	if (op->flags & OPF_NO_ACCESS && op->flags & OPF_READ_ONLY)
		return 0;
	return op->flags & OPF_READ_ONLY ? VMT_READ : RW;
}

static bool object_is_shown(const struct run *run, unsigned n)
{
	for (unsigned s = 0; s < SPACES; s++)
		for (unsigned i = 0; i < CELLS; i++)
			if (run->cell[s][i].object == n + 1)
				return true;
	return false;
}

// The object that a mapping shows; one without a name is made for it. OBJECTS: there is none left.
static unsigned op_object(struct run *run, const struct op *op)
{
	unsigned n = (unsigned)(op->value & 1);

	if (op->flags & OPF_OBJECT)
		return n;
	for (n = 2; n < OBJECTS && object_is_shown(run, n); n++)
		;
	if (n < OBJECTS)
		run->object[n] = (struct object){.pages = op->pages};
	return n;
}

static bool all_free(struct run *run, const struct op *op, unsigned first, unsigned pages)
{
	for (unsigned i = first; i < first + pages; i++)
		if (i >= CELLS || run->cell[op->space][i].mapped)
			return false;
	return true;
}

static enum vmt_status expected_place(struct run *run, const struct op *op)
{
	if (op->flags & OPF_ANYWHERE) {
		for (unsigned i = 0; i < CELLS; i++)
			if (all_free(run, op, i, op->pages))
				return VMT_OK;
		return VMT_ERR_NO_SPACE;
	}
	return op->flags & OPF_NOREPLACE && !all_free(run, op, op->page, op->pages) ? VMT_ERR_EXISTS : VMT_OK;
}

static void map_cells(struct run *run, const struct op *op, const struct vmt_map_request *request, unsigned n)
{
	for (unsigned i = 0; i < op->pages; i++) {
		struct cell *cell = cell_of(run, op, i);

		*cell = (struct cell){.mapped = true, .prot = request->prot, .huge = request->flags & VMT_MAP_HUGE,
				      .shared = request->flags & VMT_MAP_SHARED};
		if (n == OBJECTS)
			continue;
		cell->object = n + 1;
		cell->index = (unsigned)(request->offset / PAGE) + i;
		cell->source = &run->object[n].value[cell->index];
		cell->beyond = cell->index >= run->object[n].pages;
	}
}

static void op_map(struct run *run, const struct op *op)
{
	bool backed = op->flags & (OPF_SHARED | OPF_OBJECT);
	struct vmt_map_request request = {
		.addr = op_addr(run, op), .length = op->pages * PAGE, .prot = op_prot(op),
		.flags = (op->flags & OPF_NOREPLACE ? VMT_MAP_FIXED_NOREPLACE : VMT_MAP_FIXED) |
			 (op->flags & OPF_SHARED ? VMT_MAP_SHARED : 0) |
			 (HUGE_FITS && op->flags & OPF_HUGE && !backed ? VMT_MAP_HUGE : 0)};
	enum vmt_status want = expected_place(run, op);
	unsigned n = OBJECTS;
	struct op own = *op;
	uint64_t got;

	if (want == VMT_OK && backed && (n = op_object(run, op)) == OBJECTS)
		return;
	request.object = n < OBJECTS ? run->object[n].object : NULL;
	request.offset = request.object ? op->value % SMALL * PAGE : 0;
	if (op->flags & OPF_ANYWHERE) {
		request.flags &= ~(uint32_t)(VMT_MAP_FIXED | VMT_MAP_FIXED_NOREPLACE);
		request.search_start = page_addr(run, 0);
		request.search_end = page_addr(run, CELLS);
	}
	expect(run, op, run->env.ops->map(run->space[op->space], &request, &got), want);
	if (want != VMT_OK)
		return;
	own.page = (unsigned)((got - run->base) / PAGE);
	if (got < run->base || (op->flags & OPF_ANYWHERE ? !all_free(run, op, own.page, op->pages) :
							   own.page != op->page))
		wrong(run, op->space, own.page, "a mapping came to another place");
	map_cells(run, &own, &request, n);
}

// Maps where there is nothing, that there is something to be done.
static void op_fill(struct run *run, const struct op *op)
{
	struct op hole = *op;

	hole.flags &= OPF_HUGE | OPF_NO_ACCESS;
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
	expect(run, op, run->env.ops->protect(run->space[op->space], op_addr(run, op), pages * PAGE, op_prot(op)),
	       VMT_OK);
	for (unsigned n = 0; n < pages; n++)
		cell_of(run, op, n)->prot = op_prot(op);
}

static void op_release(struct run *run, const struct op *op)
{
	bool hole = mapped_pages(run, op, false) < op->pages;

	expect_mask(run, op, run->env.ops->release(run->space[op->space], op_addr(run, op), op->pages * PAGE),
		    BIT(hole ? VMT_ERR_UNMAPPED : VMT_OK));
	for (unsigned n = 0; n < op->pages; n++) {
		cell_empty(cell_of(run, op, n));
		if (cell_of(run, op, n)->marker == VMT_MARKER_SWAP) // it stood for bytes
			cell_unmark(cell_of(run, op, n));
	}
}

static void op_lazy(struct run *run, const struct op *op)
{
	unsigned pages = mapped_pages(run, op, false);

	bool backed = any_backed(run, op, pages);

	if (!pages)
		return;
	expect(run, op, run->env.ops->lazy_free(run->space[op->space], op_addr(run, op), pages * PAGE),
	       backed ? VMT_ERR_ARGUMENT : VMT_OK);
	if (backed)
		return;
	for (unsigned n = 0; n < pages; n++) {
		cell_of(run, op, n)->lazy = true;
		cell_of(run, op, n)->dirty = false;
	}
}

static void op_guard(struct run *run, const struct op *op)
{
	bool install = op->kind == OP_GUARD, backed;
	unsigned pages = mapped_pages(run, op, false);

	if (!pages)
		return;
	backed = any_backed(run, op, pages);
	expect(run, op, (install ? run->env.ops->guard_install : run->env.ops->guard_remove)(
				run->space[op->space], op_addr(run, op), pages * PAGE),
	       backed ? VMT_ERR_ARGUMENT : VMT_OK);
	for (unsigned n = 0; n < pages && !backed; n++) {
		if (install)
			cell_mark(cell_of(run, op, n), VMT_MARKER_GUARD, 0);
		else if (cell_of(run, op, n)->marker == VMT_MARKER_GUARD)
			cell_unmark(cell_of(run, op, n));
	}
}

// Few kinds and payloads, so that they meet again. (Migration and device are the library's where there is device
// memory.)
static unsigned op_marker(const struct op *op)
{
	static const unsigned kinds[] = {VMT_MARKER_SWAP, VMT_MARKER_POISON, VMT_MARKER_OWN, VMT_MARKER_OWN_LAST};

	return kinds[op->to % 4];
}

static void op_mark(struct run *run, const struct op *op)
{
	bool hole = mapped_pages(run, op, false) < op->pages, mark = op->kind == OP_MARK;
	struct vmt_space *space = run->space[op->space];
	uint64_t addr = op_addr(run, op), length = op->pages * PAGE;
	unsigned kind = op_marker(op);

	expect_mask(run, op, mark ? run->env.ops->mark(space, addr, length, kind, op->value % 4) :
				    run->env.ops->unmark(space, addr, length, kind),
		    BIT(hole ? VMT_ERR_UNMAPPED : VMT_OK));
	for (unsigned n = 0; n < op->pages; n++) {
		struct cell *cell = cell_of(run, op, n);

		if (mark && cell->mapped)
			cell_mark(cell, kind, op->value % 4);
		else if (!mark && cell->marker == kind)
			cell_unmark(cell);
	}
}

// What was taken out comes back; for a marker that is not there, nothing does.
static void op_resolve(struct run *run, const struct op *op)
{
	struct cell *cell = cell_of(run, op, 0);
	bool same = cell->marker && cell->marker != VMT_MARKER_GUARD && op->value % 8;
	unsigned kind = same ? cell->marker : op_marker(op);
	uint64_t payload = same ? cell->payload : op->value % 4, pa;
	enum vmt_status got, want;

	expect(run, op, run->env.ops->page_new(run->env.vmt, true, &pa), VMT_OK);
	for (unsigned i = 0; i < 3; i++)
		*(uint64_t *)((uint8_t *)vmt_port_frame_ptr(sim_port(run->env.machine), pa) + places[i]) =
			word_value(cell->saved, i);
	want = !cell->mapped ? VMT_ERR_NOT_PRESENT : cell->shared ? VMT_ERR_ARGUMENT :
	       cell->marker == kind && cell->payload == payload ? VMT_OK : VMT_ERR_NOT_PRESENT;
	got = run->env.ops->marker_resolve(run->space[op->space], op_addr(run, op), kind, payload, pa);
	expect(run, op, got, want);
	if (want != VMT_OK) {
		run->env.ops->page_put(run->env.vmt, pa);
		return;
	}
	cell->own = cell->source;
	cell->value = cell->saved;
	cell_unmark(cell);
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

static op_function *const functions[OP_KINDS] = {
	[OP_MAP] = op_map, [OP_FILL] = op_fill, [OP_UNMAP] = op_unmap, [OP_PROTECT] = op_protect,
	[OP_RELEASE] = op_release, [OP_LAZY] = op_lazy, [OP_GUARD] = op_guard, [OP_UNGUARD] = op_guard,
	[OP_MOVE] = op_move, [OP_MARK] = op_mark, [OP_UNMARK] = op_mark, [OP_RESOLVE] = op_resolve,
};

op_function *op_of_changes(unsigned kind)
{
	return functions[kind];
}

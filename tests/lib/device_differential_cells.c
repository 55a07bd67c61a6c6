// SPDX-License-Identifier: MIT
// The flat model of device_differential.h: what a page holds and allows, and what an operation may say.
#include "device_differential.h"

uint64_t page_addr(const struct run *run, unsigned page)
{
	return run->base + page * PAGE;
}

bool lost_in(const struct run *run, unsigned space)
{
	for (unsigned i = 0; i < DEVICES; i++)
		if (run->device[i].mute && run->device_space[i] == space)
			return true;
	for (unsigned i = 0; i < MIRRORS; i++)
		if (run->mirror[i].silent && run->mirror_space[i] == space)
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

void expect(struct run *run, const struct op *op, enum vmt_status got, enum vmt_status want)
{
	char text[128];

	if (got == want || (got == VMT_ERR_DEVICE && want == VMT_OK && lost_in(run, op->space)))
		return;
	snprintf(text, sizeof(text), "%s says %s, not %s", op_names[op->kind], vmt_status_name(got),
		 vmt_status_name(want));
	wrong(run, op->space, op->page, text);
}

void expect_mask(struct run *run, const struct op *op, enum vmt_status got, unsigned mask)
{
	if (!(mask >> got & 1) && !(got == VMT_ERR_DEVICE && may_fail(run)))
		expect(run, op, got, VMT_OK);
}

uint64_t op_addr(const struct run *run, const struct op *op)
{
	return page_addr(run, op->page);
}

struct cell *cell_of(struct run *run, const struct op *op, unsigned n)
{
	return &run->cell[op->space][op->page + n];
}

bool attributes_same(const struct cell *a, const struct cell *b, unsigned apart)
{
	return a->mapped && b->mapped && a->prot == b->prot && a->huge == b->huge && a->hint == b->hint &&
	       a->read_mostly == b->read_mostly && a->shared == b->shared && a->object == b->object &&
	       (!a->object || a->index + apart == b->index);
}

unsigned mapped_pages(struct run *run, const struct op *op, bool alike)
{
	unsigned n = 0;

	while (n < op->pages && cell_of(run, op, n)->mapped &&
	       (!alike || attributes_same(cell_of(run, op, 0), cell_of(run, op, n), n)))
		n++;
	return n;
}

bool any_backed(struct run *run, const struct op *op, unsigned pages)
{
	for (unsigned n = 0; n < pages; n++)
		if (cell_of(run, op, n)->object)
			return true;
	return false;
}

void cell_empty(struct cell *cell)
{
	cell->value = 0;
	cell->lazy = cell->dirty = cell->own = false;
	cell->pin = 0;
}

void cell_unmark(struct cell *cell)
{
	cell->marker = 0;
	cell->payload = cell->saved = 0;
}

void cell_mark(struct cell *cell, unsigned kind, uint64_t payload)
{
	cell_empty(cell);
	cell->marker = kind;
	cell->payload = payload;
	cell->saved = 0;
}

uint64_t *cell_word(struct cell *cell)
{
	return cell->source && !cell->own ? cell->source : &cell->value;
}

bool cell_holds(struct cell *cell, uint64_t value)
{
	if (cell->lazy && value == 0) {
		cell->value = 0;
		cell->lazy = false;
	}
	return *cell_word(cell) == value;
}

void cell_write(struct cell *cell, uint64_t value)
{
	cell->own = cell->source && !cell->shared;
	*cell_word(cell) = value;
	cell->lazy = false;
	cell->dirty = true;
}

enum vmt_status cell_access(const struct cell *cell, vmt_prot access)
{
	if (!cell->mapped)
		return VMT_ERR_UNMAPPED;
	if (!(cell->prot & access))
		return VMT_ERR_ACCESS;
	if (cell->marker) // the spaces have no handler
		return cell->marker == VMT_MARKER_GUARD	 ? VMT_ERR_GUARD :
		       cell->marker == VMT_MARKER_POISON ? VMT_ERR_POISON : VMT_ERR_MARKER;
	return cell->beyond && !cell->own ? VMT_ERR_BUS : VMT_OK;
}

// Which frame the object has for the page; VMT_NO_FRAME: none.
static uint64_t object_frame(struct run *run, const struct cell *cell)
{
	struct vmt_object *object = run->object[cell->object - 1].object;
	uint64_t pa;

	if (!object || run->env.ops->object_page(object, cell->index, false, &pa) != VMT_OK)
		return VMT_NO_FRAME;
	run->env.ops->page_put(run->env.vmt, pa);
	return pa;
}

void cells_settle(struct run *run)
{
	struct vmt_run entry;

	for (unsigned s = 0; s < SPACES; s++)
		for (unsigned i = 0; i < CELLS && run->space[s]; i++) {
			struct cell *cell = &run->cell[s][i];
			uint64_t at = page_addr(run, i);

			if (!cell->source || cell->shared || cell->own || cell->marker ||
			    run->env.ops->walk(run->space[s], at, at + PAGE, &entry) != VMT_OK)
				continue;
			if (entry.state == VMT_STATE_NONE || entry.zero || entry.pa == object_frame(run, cell))
				continue;
			cell->own = true;
			cell->value = *cell->source;
		}
}

// SPDX-License-Identifier: MIT
// The flat model. Slow and plain on purpose.
#include "model.h"

static void add_edges(struct model *model, uint64_t boundary)
{
	for (int i = -3; i <= 4; i++)
		model->edge[model->cells++] = boundary + (uint64_t)i * PAGE;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

// Boundaries of tables of every level, near each other and far away.
void model_init(struct model *model, enum sim_format format)
{
	unsigned levels = format_levels(format);
	// The root may have two entries.
	uint64_t end = sim_format_end(format), middle = (end > 8 * span(levels - 1) ? 4 : 1) * span(levels - 1);

	memset(model, 0, sizeof(*model));
	add_edges(model, middle);
	for (unsigned level = 1; level < levels; level++) {
		if (middle + span(level) < end)
			add_edges(model, middle + span(level));
		if (level < 3)
			add_edges(model, middle - span(level));
	}
	add_edges(model, middle + MIB(1));
	add_edges(model, middle - span(1) + MIB(1)); // so that two tables have like cells
	qsort(model->edge, model->cells, sizeof(*model->edge), compare);
	model->cells--;
	for (unsigned i = 0; i < model->cells; i++) {
		if (model->edge[i] == middle - span(1))
			model->table[0] = i;
		if (model->edge[i] == middle)
			model->table[1] = i;
	}
	model->objects = MODEL_OBJECTS;
	model->object[0].pages = 12;
	model->object[1].pages = UINT64_C(1) << 40;
	model->space[0].alive = true;
}

bool model_is_page(const struct model *model, unsigned cell)
{
	return model->edge[cell + 1] - model->edge[cell] == PAGE;
}

static struct model_cell *cell_at(struct model *model, unsigned space, unsigned cell)
{
	return &model->space[space].cell[cell];
}

static void drop_page(struct model_cell *cell)
{
	cell->own = cell->lazy = false;
	cell->pins = 0;
	cell->value = 0;
}

static void clear(struct model_cell *cell)
{
	*cell = (struct model_cell){.object = -1};
}

enum vmt_status model_map(struct model *model, unsigned space, unsigned first, unsigned end,
			  const struct model_map *request)
{
	int object = request->object;

	if (request->noreplace)
		for (unsigned i = first; i < end; i++)
			if (cell_at(model, space, i)->mapped)
				return VMT_ERR_EXISTS;
	if (request->shared && object < 0) {
		object = (int)model->objects++;
		model->object[object] = (struct model_object){
			.pages = (model->edge[end] - model->edge[first]) / PAGE};
	}
	for (unsigned i = first; i < end; i++)
		*cell_at(model, space, i) = (struct model_cell){
			.mapped = true, .shared = request->shared, .grows = request->grows, .huge = request->huge,
			.prot = request->prot,
			.max = request->max, .tag = request->tag, .object = object,
			.base = model->edge[first] - request->offset};
	return VMT_OK;
}

enum vmt_status model_unmap(struct model *model, unsigned space, unsigned first, unsigned end)
{
	for (unsigned i = first; i < end; i++)
		clear(cell_at(model, space, i));
	return VMT_OK;
}

enum vmt_status model_protect(struct model *model, unsigned space, unsigned first, unsigned end, vmt_prot prot)
{
	for (unsigned i = first; i < end; i++) {
		struct model_cell *cell = cell_at(model, space, i);

		if (!cell->mapped)
			return VMT_ERR_UNMAPPED;
		if (prot & ~cell->max)
			return VMT_ERR_ACCESS;
		cell->prot = prot;
	}
	return VMT_OK;
}

static bool all_mapped(struct model *model, unsigned space, unsigned first, unsigned end)
{
	for (unsigned i = first; i < end; i++)
		if (!cell_at(model, space, i)->mapped)
			return false;
	return true;
}

static bool any_backed(struct model *model, unsigned space, unsigned first, unsigned end)
{
	for (unsigned i = first; i < end; i++)
		if (cell_at(model, space, i)->mapped && cell_at(model, space, i)->object >= 0)
			return true;
	return false;
}

static void drop_marker(struct model_cell *cell)
{
	cell->marker = 0;
	cell->payload = cell->saved = 0;
}

enum vmt_status model_release(struct model *model, unsigned space, unsigned first, unsigned end)
{
	for (unsigned i = first; i < end; i++) {
		struct model_cell *cell = cell_at(model, space, i);

		drop_page(cell);
		if (cell->marker >= VMT_MARKER_SWAP && cell->marker <= VMT_MARKER_DEVICE) // it stood for bytes
			drop_marker(cell);
	}
	return all_mapped(model, space, first, end) ? VMT_OK : VMT_ERR_UNMAPPED;
}

enum vmt_status model_lazy_free(struct model *model, unsigned space, unsigned first, unsigned end)
{
	if (any_backed(model, space, first, end))
		return VMT_ERR_ARGUMENT;
	for (unsigned i = first; i < end; i++)
		cell_at(model, space, i)->lazy |= cell_at(model, space, i)->own && !cell_at(model, space, i)->pins;
	return all_mapped(model, space, first, end) ? VMT_OK : VMT_ERR_UNMAPPED;
}

enum vmt_status model_mark(struct model *model, unsigned space, unsigned first, unsigned end, unsigned kind,
			   uint64_t payload)
{
	for (unsigned i = first; i < end; i++) {
		struct model_cell *cell = cell_at(model, space, i);

		if (!cell->mapped)
			continue;
		drop_page(cell);
		drop_marker(cell);
		cell->marker = kind;
		cell->payload = payload;
	}
	return all_mapped(model, space, first, end) ? VMT_OK : VMT_ERR_UNMAPPED;
}

enum vmt_status model_unmark(struct model *model, unsigned space, unsigned first, unsigned end, unsigned kind)
{
	for (unsigned i = first; i < end; i++)
		if (cell_at(model, space, i)->marker == kind)
			drop_marker(cell_at(model, space, i));
	return all_mapped(model, space, first, end) ? VMT_OK : VMT_ERR_UNMAPPED;
}

enum vmt_status model_guard(struct model *model, unsigned space, unsigned first, unsigned end, bool install)
{
	if (any_backed(model, space, first, end))
		return VMT_ERR_ARGUMENT;
	return install ? model_mark(model, space, first, end, VMT_MARKER_GUARD, 0) :
			 model_unmark(model, space, first, end, VMT_MARKER_GUARD);
}

enum vmt_status model_advise_huge(struct model *model, unsigned space, unsigned first, unsigned end, bool huge)
{
	for (unsigned i = first; i < end; i++) {
		struct model_cell *cell = cell_at(model, space, i);

		if (!cell->mapped)
			return VMT_ERR_UNMAPPED;
		cell->huge = huge && cell->object < 0;
	}
	return VMT_OK;
}

enum vmt_status model_take(struct model *model, unsigned space, unsigned at, unsigned kind, uint64_t payload,
			   bool there, uint64_t value)
{
	struct model_cell *cell = cell_at(model, space, at);

	if (!cell->mapped)
		return VMT_ERR_UNMAPPED;
	if (cell->shared)
		return VMT_ERR_ARGUMENT;
	if (!there)
		return VMT_ERR_NOT_PRESENT;
	if (cell->object >= 0 && !cell->own)
		return VMT_ERR_ARGUMENT; // the object's
	if (cell->pins)
		return VMT_ERR_BUSY;
	drop_page(cell);
	cell->marker = kind;
	cell->payload = payload;
	cell->saved = value;
	return VMT_OK;
}

enum vmt_status model_resolve(struct model *model, unsigned space, unsigned at, unsigned kind, uint64_t payload)
{
	struct model_cell *cell = cell_at(model, space, at);

	if (!cell->mapped)
		return VMT_ERR_NOT_PRESENT;
	if (cell->shared)
		return VMT_ERR_ARGUMENT;
	if (cell->marker != kind || cell->payload != payload)
		return VMT_ERR_NOT_PRESENT;
	cell->own = true;
	cell->value = cell->saved;
	drop_marker(cell);
	return VMT_OK;
}

enum vmt_status model_access(struct model *model, unsigned space, unsigned at, vmt_prot access)
{
	struct model_cell *cell = cell_at(model, space, at);

	if (!cell->mapped)
		return VMT_ERR_UNMAPPED;
	if (access == VMT_READ ? !cell->prot : !(cell->prot & access))
		return VMT_ERR_ACCESS;
	if (cell->marker) // the spaces have no handler
		return cell->marker == VMT_MARKER_GUARD  ? VMT_ERR_GUARD :
		       cell->marker == VMT_MARKER_POISON ? VMT_ERR_POISON : VMT_ERR_MARKER;
	if (cell->object >= 0 && (model->edge[at] - cell->base) / PAGE >= model->object[cell->object].pages &&
	    !cell->own)
		return VMT_ERR_BUS;
	return VMT_OK;
}

static uint64_t *page_word(struct model_object *object, uint64_t index)
{
	for (unsigned i = 0; i < object->count; i++)
		if (object->page[i].index == index)
			return &object->page[i].value;
	if (object->count == MODEL_PAGES)
		abort();
	object->page[object->count].index = index;
	object->page[object->count].value = 0;
	return &object->page[object->count++].value;
}

static uint64_t *object_word(struct model *model, unsigned space, unsigned at)
{
	struct model_cell *cell = cell_at(model, space, at);

	return page_word(&model->object[cell->object], (model->edge[at] - cell->base) / PAGE);
}

enum vmt_status model_populate(struct model *model, unsigned space, unsigned first, unsigned end, unsigned *done)
{
	enum vmt_status status = VMT_OK;

	for (*done = 0; first + *done < end; ++*done) {
		unsigned at = first + *done;
		struct model_cell *cell = cell_at(model, space, at);

		status = model_access(model, space, at, VMT_READ);
		if (status != VMT_OK)
			break;
		// For writing: a private copy at once, which later changes of the object do not reach.
		if (cell->object >= 0 && !cell->shared && cell->prot & VMT_WRITE && !cell->own) {
			cell->value = *object_word(model, space, at);
			cell->own = true;
		}
	}
	return status;
}

void model_write(struct model *model, unsigned space, unsigned at, uint64_t value)
{
	struct model_cell *cell = cell_at(model, space, at);

	if (cell->shared) {
		*object_word(model, space, at) = value;
		return;
	}
	cell->own = true;
	cell->lazy = false;
	cell->value = value;
}

bool model_read(struct model *model, unsigned space, unsigned at, uint64_t value)
{
	struct model_cell *cell = cell_at(model, space, at);

	if (cell->lazy && value == 0 && cell->value != 0) {
		drop_page(cell);
		return true;
	}
	if (cell->own || cell->object < 0)
		return value == cell->value;
	return value == *object_word(model, space, at);
}

bool model_pin(struct model *model, unsigned space, unsigned at, unsigned n, uint64_t value)
{
	struct model_cell *cell = cell_at(model, space, at);

	if (!model_read(model, space, at, value))
		return false;
	model->pin[n].object = cell->shared ? cell->object : -1;
	model->pin[n].index = (model->edge[at] - cell->base) / PAGE;
	if (cell->shared)
		return true;
	cell->own = true;
	cell->lazy = false;
	cell->value = value;
	cell->pins |= 1u << n;
	return true;
}

void model_device_write(struct model *model, unsigned n, uint64_t value)
{
	if (model->pin[n].object >= 0) {
		*page_word(&model->object[model->pin[n].object], model->pin[n].index) = value;
		return;
	}
	for (unsigned s = 0; s < MODEL_SPACES; s++)
		for (unsigned i = 0; i < model->cells && model->space[s].alive; i++)
			if (cell_at(model, s, i)->pins >> n & 1)
				cell_at(model, s, i)->value = value;
}

void model_unpin(struct model *model, unsigned n)
{
	for (unsigned s = 0; s < MODEL_SPACES; s++)
		for (unsigned i = 0; i < model->cells; i++)
			cell_at(model, s, i)->pins &= ~(1u << n);
}

bool model_joins(const struct model_cell *a, const struct model_cell *b)
{
	return a->mapped && b->mapped && a->shared == b->shared && a->grows == b->grows && a->huge == b->huge &&
	       a->prot == b->prot && a->max == b->max && a->tag == b->tag && a->object == b->object &&
	       (a->object < 0 || a->base == b->base);
}

static bool one_area(struct model *model, unsigned space, unsigned first, unsigned end)
{
	for (unsigned i = first; i + 1 < end; i++)
		if (!model_joins(cell_at(model, space, i), cell_at(model, space, i + 1)))
			return false;
	return cell_at(model, space, first)->mapped;
}

// Cells [first, end) become fresh memory with the attributes of `like`.
static void extend(struct model *model, unsigned space, unsigned like, unsigned first, unsigned end)
{
	struct model_cell attributes = *cell_at(model, space, like);

	drop_marker(&attributes);
	drop_page(&attributes);
	for (unsigned i = first; i < end; i++)
		*cell_at(model, space, i) = attributes;
}

static enum vmt_status grow_in_place(struct model *model, unsigned space, unsigned first, unsigned old_cells,
				     unsigned new_cells)
{
	for (unsigned i = first + old_cells; i < first + new_cells; i++)
		if (cell_at(model, space, i)->mapped)
			return VMT_ERR_EXISTS;
	extend(model, space, first, first + old_cells, first + new_cells);
	return VMT_OK;
}

enum vmt_status model_move(struct model *model, unsigned space, unsigned first, unsigned old_cells, unsigned new_cells,
			   bool fixed, unsigned to)
{
	struct model_cell moved[MODEL_CELLS], attributes;
	unsigned kept = old_cells < new_cells ? old_cells : new_cells;

	if (fixed && to < first + old_cells && first < to + new_cells)
		return VMT_ERR_ARGUMENT;
	if (!one_area(model, space, first, first + old_cells))
		return VMT_ERR_UNMAPPED;
	if (!fixed && new_cells > old_cells)
		return grow_in_place(model, space, first, old_cells, new_cells);
	if (!fixed)
		return model_unmap(model, space, first + new_cells, first + old_cells);
	memcpy(moved, cell_at(model, space, first), kept * sizeof(*moved));
	attributes = moved[0];
	drop_marker(&attributes);
	drop_page(&attributes);
	for (unsigned i = kept; i < new_cells; i++)
		moved[i] = attributes;
	for (unsigned i = 0; i < new_cells; i++)
		moved[i].base += model->edge[to] - model->edge[first];
	model_unmap(model, space, first, first + old_cells);
	memcpy(cell_at(model, space, to), moved, new_cells * sizeof(*moved));
	return VMT_OK;
}

enum vmt_status model_grow_down(struct model *model, unsigned space, unsigned at, uint64_t max, uint64_t gap)
{
	unsigned start = at, end;

	while (start < model->cells && !cell_at(model, space, start)->mapped)
		start++;
	if (start == model->cells)
		return VMT_ERR_UNMAPPED;
	if (start == at)
		return VMT_OK;
	for (end = start + 1; end < model->cells; end++)
		if (!model_joins(cell_at(model, space, end - 1), cell_at(model, space, end)))
			break;
	if (!cell_at(model, space, start)->grows || model->edge[end] - model->edge[at] > max)
		return VMT_ERR_UNMAPPED;
	for (unsigned i = 0; i < at; i++)
		if (cell_at(model, space, i)->mapped && cell_at(model, space, i)->prot &&
		    model->edge[i + 1] > model->edge[at] - gap)
			return VMT_ERR_UNMAPPED;
	extend(model, space, start, at, start);
	return VMT_OK;
}

void model_fork(struct model *model, unsigned from, unsigned to)
{
	model->space[to] = model->space[from];
	model->space[to].alive = true;
	for (unsigned i = 0; i < model->cells; i++) // pinned pages stay with the parent
		cell_at(model, to, i)->pins = 0;
}

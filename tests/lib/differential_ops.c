// SPDX-License-Identifier: MIT
// One operation of a random sequence, on the library and on the model.
#include "differential.h"

const char *const op_names[OP_KINDS] = {
	"map", "unmap", "protect", "release", "lazy", "guard", "unguard", "populate", "move", "grow",
	"read", "write", "exec", "poke", "fork", "destroy", "reclaim", "pin", "device",
	"unpin", "huge", "collapse", "mark", "unmark", "take", "resolve",
};

_Noreturn void wrong(struct run *run, uint64_t addr, const char *what)
{
	snprintf(run->text, sizeof(run->text), "operation %u (%s): %s", run->at, op_names[run->ops[run->at].kind],
		 what);
	sim_stop(run->env.machine, addr, 0, run->text);
}

void expect(struct run *run, enum vmt_status got, enum vmt_status want)
{
	char text[128];

	if (got == want)
		return;
	snprintf(text, sizeof(text), "the library says %s, the model %s", vmt_status_name(got),
		 vmt_status_name(want));
	wrong(run, run->model.edge[run->ops[run->at].cell], text);
}

// ---- One operation -----------------------------------------------------------------------------------------------

struct range {
	struct vmt_space *space;
	unsigned s, first, end;
	uint64_t addr, length;
};

static void do_map(struct run *run, const struct op *op, const struct range *r)
{
	struct model_map want = {
		.prot = op->prot, .max = op->flags & OPF_MAX ? op->prot | VMT_READ : VMT_RWX,
		.tag = op->flags & OPF_TAG ? 3 : 0, .shared = op->flags & OPF_SHARED,
		.noreplace = op->flags & OPF_NOREPLACE,
		.object = op->flags & OPF_OBJECT ? !!(op->flags & OPF_SECOND) : -1};
	struct vmt_map_request request = {
		.addr = r->addr, .length = r->length, .prot = want.prot, .prot_max = want.max, .tag = want.tag};
	uint64_t got = 0;

	want.grows = op->flags & OPF_GROWS && !want.shared && want.object < 0;
	want.huge = op->flags & OPF_HUGE && !want.shared && want.object < 0 && HUGE_FITS;
	want.offset = want.object >= 0 ? op->number % 10 * PAGE : 0;
	if (want.shared && want.object < 0 && run->model.objects == MODEL_OBJECTS + MODEL_ANON)
		return;
	request.object = want.object >= 0 ? run->object[want.object] : NULL;
	request.offset = want.offset;
	request.flags = (want.noreplace ? VMT_MAP_FIXED_NOREPLACE : VMT_MAP_FIXED) |
			(want.shared ? VMT_MAP_SHARED : 0) | (want.grows ? VMT_MAP_GROWS_DOWN : 0) |
			(want.huge ? VMT_MAP_HUGE : 0);
	expect(run, run->env.ops->map(r->space, &request, &got), model_map(&run->model, r->s, r->first, r->end, &want));
}

// All of a lowest table to where another one is, or would be; where it is no longer one area (nearly always) it is made
// one first, with a few pages.
static void do_move_table(struct run *run, const struct op *op, const struct range *r)
{
	struct model *model = &run->model;
	unsigned from = model->table[op->number % 2], to = model->table[(op->number + 1) % 2];
	unsigned cells = model->table[1] - model->table[0];
	struct op make = {.kind = OP_MAP, .space = op->space, .cell = from, .cells = cells, .number = op->number,
			  .prot = VMT_READ | VMT_WRITE, .flags = op->flags & (OPF_OBJECT | OPF_SHARED)};
	uint64_t got = 0;
	bool one = model->space[r->s].cell[from].mapped;

	for (unsigned i = from + 1; i < from + cells; i++)
		one &= model_joins(&model->space[r->s].cell[i - 1], &model->space[r->s].cell[i]);
	if (!one) {
		do_op(run, &make);
		make.kind = OP_WRITE;
		for (unsigned i = 0; i < 4; i++, make.cell += op->to % 3 + 1)
			do_op(run, &make);
	}
	expect(run, run->env.ops->move(r->space, model->edge[from], span(1), span(1),
				       VMT_MOVE_FIXED | VMT_MOVE_MAY_MOVE, model->edge[to], &got),
	       model_move(model, r->s, from, cells, cells, true, to));
}

static void do_move(struct run *run, const struct op *op, const struct range *r)
{
	struct model *model = &run->model;
	bool fixed = op->flags & OPF_FIXED;
	unsigned new_cells = 1 + (unsigned)(op->number % 8), to = op->to % model->cells;
	uint64_t got = 0, new_length;

	if (r->first + new_cells > model->cells || (fixed && to + new_cells > model->cells))
		return;
	for (unsigned i = 0; fixed && i < new_cells; i++)
		if (!model_is_page(model, to + i))
			return;
	for (unsigned i = r->first; fixed && i < r->end; i++)
		if (!model_is_page(model, i))
			return;
	new_length = fixed ? new_cells * PAGE : model->edge[r->first + new_cells] - r->addr;
	expect(run, run->env.ops->move(r->space, r->addr, r->length, new_length,
				       fixed ? VMT_MOVE_FIXED | VMT_MOVE_MAY_MOVE : 0, model->edge[to], &got),
	       model_move(model, r->s, r->first, r->end - r->first, new_cells, fixed, to));
}

static void do_populate(struct run *run, const struct range *r)
{
	uint64_t done;
	unsigned want;
	enum vmt_status status;

	for (unsigned i = r->first; i < r->end; i++)
		if (!model_is_page(&run->model, i))
			return;
	status = run->env.ops->populate(r->space, r->addr, r->length, &done);
	expect(run, status, model_populate(&run->model, r->s, r->first, r->end, &want));
	if (done != want * PAGE)
		wrong(run, r->addr, "populate says that it came to another page");
}

static void do_access(struct run *run, const struct op *op, const struct range *r)
{
	struct sim_cpu *cpu = run->env.cpu;
	vmt_prot fetch = sim_format_has_exec(run->format) ? VMT_EXEC : VMT_READ;
	vmt_prot access = op->kind == OP_READ ? VMT_READ : op->kind == OP_EXEC ? fetch : VMT_WRITE;
	enum vmt_status want = model_access(&run->model, r->s, r->first, access), got;
	uint64_t value = 0, pa = 0;

	sim_activate(cpu, r->space);
	if (op->kind == OP_POKE)
		got = (op->flags & OPF_PIN ? run->env.ops->page_pin : run->env.ops->page_get)(r->space, r->addr,
											      VMT_WRITE, &pa);
	else if (op->kind == OP_READ)
		got = sim_read(cpu, r->addr, 8, &value);
	else if (op->kind == OP_WRITE)
		got = sim_write(cpu, r->addr, 8, op->number);
	else
		got = sim_exec(cpu, r->addr, 1);
	expect(run, got, want);
	if (got != VMT_OK)
		return;
	if (op->kind == OP_POKE) {
		*(uint64_t *)vmt_port_frame_ptr(sim_port(run->env.machine), pa) = op->number;
		(op->flags & OPF_PIN ? run->env.ops->page_unpin : run->env.ops->page_put)(run->env.vmt, pa);
	}
	if (access == VMT_WRITE)
		model_write(&run->model, r->s, r->first, op->number);
	else if (op->kind == OP_READ && !model_read(&run->model, r->s, r->first, value))
		wrong(run, r->addr, "a read finds what nobody wrote");
}

static void do_spaces(struct run *run, const struct op *op, unsigned s)
{
	unsigned to = op->to % MODEL_SPACES, alive = 0;

	for (unsigned i = 0; i < MODEL_SPACES; i++)
		alive += run->model.space[i].alive;
	if (op->kind == OP_FORK && !run->model.space[to].alive) {
		expect(run, run->env.ops->space_fork(run->space[s], run, &run->space[to]), VMT_OK);
		model_fork(&run->model, s, to);
	}
	if (op->kind == OP_DESTROY && s != 0 && alive > 1) { // the environment closes the first
		sim_activate(run->env.cpu, run->space[0]);
		expect(run, run->env.ops->space_destroy(run->space[s]), VMT_OK);
		run->model.space[s].alive = false;
	}
}

uint64_t *bytes_of(struct run *run, uint64_t pa)
{
	return vmt_port_frame_ptr(sim_port(run->env.machine), pa);
}

static void do_pin(struct run *run, const struct op *op, const struct range *r)
{
	unsigned n = (unsigned)(op->number % MODEL_PINS);
	enum vmt_status want;

	if (op->kind == OP_PIN && !run->pin[n]) {
		uint64_t pa;

		want = model_access(&run->model, r->s, r->first, VMT_WRITE);
		expect(run, run->env.ops->page_pin(r->space, r->addr, VMT_WRITE, &pa), want);
		if (want == VMT_OK && !model_pin(&run->model, r->s, r->first, n, *bytes_of(run, pa)))
			wrong(run, r->addr, "a pinned page holds other bytes");
		run->pin[n] = want == VMT_OK ? pa : 0;
	} else if (op->kind == OP_DEVICE && run->pin[n]) {
		*bytes_of(run, run->pin[n]) = op->number;
		model_device_write(&run->model, n, op->number);
	} else if (op->kind == OP_UNPIN && run->pin[n]) {
		run->env.ops->page_unpin(run->env.vmt, run->pin[n]);
		model_unpin(&run->model, n);
		run->pin[n] = 0;
	}
}

// ---- Markers and huge pages --------------------------------------------------------------------------------------

// Few kinds and payloads, so that they meet again.
static unsigned kind_of(const struct op *op)
{
	static const unsigned kinds[] = {
		VMT_MARKER_SWAP, VMT_MARKER_MIGRATION, VMT_MARKER_POISON, VMT_MARKER_OWN, VMT_MARKER_OWN_LAST};

	return kinds[op->to % 5];
}

static void do_mark(struct run *run, const struct op *op, const struct range *r)
{
	uint64_t payload = op->number % 4;

	if (op->kind == OP_MARK)
		expect(run, run->env.ops->mark(r->space, r->addr, r->length, kind_of(op), payload),
		       model_mark(&run->model, r->s, r->first, r->end, kind_of(op), payload));
	else
		expect(run, run->env.ops->unmark(r->space, r->addr, r->length, kind_of(op)),
		       model_unmark(&run->model, r->s, r->first, r->end, kind_of(op)));
}

// Mostly a cell where there is something to do: the next one with a page of its own, or with a marker.
static void choose_cell(struct run *run, const struct op *op, struct range *r)
{
	if (!(op->flags & OPF_FIXED) && op->number % 3 == 0)
		return;
	for (unsigned i = r->first; i < run->model.cells; i++) {
		const struct model_cell *cell = &run->model.space[r->s].cell[i];

		if (op->kind == OP_TAKE ? cell->own : cell->marker != 0) {
			r->first = i;
			r->addr = run->model.edge[i];
			return;
		}
	}
}

// Whether a page is there is the library's business: where none was ever written there may be one all the same.
static void do_take(struct run *run, const struct op *op, struct range *r)
{
	uint64_t payload = op->number % 4, pa, value = 0;
	struct vmt_run entry;
	bool there;

	choose_cell(run, op, r);
	expect(run, run->env.ops->walk(r->space, r->addr, r->addr + PAGE, &entry), VMT_OK);
	there = (entry.state == VMT_STATE_PRESENT || entry.state == VMT_STATE_PARKED) && !entry.zero;
	if (there)
		value = *bytes_of(run, entry.pa);
	expect(run, run->env.ops->page_take(r->space, r->addr, kind_of(op), payload, &pa),
	       model_take(&run->model, r->s, r->first, kind_of(op), payload, there, value));
	if (run->model.space[r->s].cell[r->first].marker != kind_of(op) || !there)
		return;
	if (pa != entry.pa || *bytes_of(run, pa) != value)
		wrong(run, r->addr, "another page was taken");
	run->env.ops->page_put(run->env.vmt, pa);
}

static void do_resolve(struct run *run, const struct op *op, struct range *r)
{
	uint64_t payload = op->number % 4, pa;
	const struct model_cell *cell;
	unsigned kind = kind_of(op);
	enum vmt_status got;

	choose_cell(run, op, r);
	cell = &run->model.space[r->s].cell[r->first];
	if (op->number % 8 && cell->marker > VMT_MARKER_GUARD) {
		kind = cell->marker;
		payload = cell->payload;
	}
	expect(run, run->env.ops->page_new(run->env.vmt, true, &pa), VMT_OK);
	*bytes_of(run, pa) = cell->saved;
	got = run->env.ops->marker_resolve(r->space, r->addr, kind, payload, pa);
	expect(run, got, model_resolve(&run->model, r->s, r->first, kind, payload));
	if (got != VMT_OK)
		run->env.ops->page_put(run->env.vmt, pa);
}

static void do_huge(struct run *run, const struct op *op, const struct range *r)
{
	uint64_t size = PAGE * SLOTS, start = r->addr & ~(size - 1), end = (r->addr + r->length + size - 1) & ~(size - 1);
	enum vmt_status status;
	bool huge = op->number % 3;

	if (!HUGE_FITS)
		return;
	if (op->kind == OP_HUGE) {
		expect(run, run->env.ops->advise_huge(r->space, r->addr, r->length, huge),
		       model_advise_huge(&run->model, r->s, r->first, r->end, huge));
		return;
	}
	run->env.ops->collapse(r->space, start, end - start, &status); // which nobody sees
	if (status != VMT_ERR_NO_MEMORY)
		expect(run, status, VMT_OK);
}

void do_op(struct run *run, const struct op *op)
{
	const struct sim_ops *ops = run->env.ops;
	struct model *model = &run->model;
	struct range r = {.s = op->space % MODEL_SPACES, .first = op->cell % model->cells};

	if (!model->space[r.s].alive)
		return;
	r.space = run->space[r.s];
	r.end = r.first + op->cells < model->cells ? r.first + op->cells : model->cells;
	r.addr = model->edge[r.first];
	r.length = model->edge[r.end] - r.addr;
	switch (op->kind) {
	case OP_MAP:
		do_map(run, op, &r);
		break;
	case OP_UNMAP:
		expect(run, ops->unmap(r.space, r.addr, r.length), model_unmap(model, r.s, r.first, r.end));
		break;
	case OP_PROTECT:
		expect(run, ops->protect(r.space, r.addr, r.length, op->prot),
		       model_protect(model, r.s, r.first, r.end, op->prot));
		break;
	case OP_RELEASE:
		expect(run, ops->release(r.space, r.addr, r.length), model_release(model, r.s, r.first, r.end));
		break;
	case OP_LAZY:
		expect(run, ops->lazy_free(r.space, r.addr, r.length), model_lazy_free(model, r.s, r.first, r.end));
		break;
	case OP_GUARD:
		expect(run, ops->guard_install(r.space, r.addr, r.length),
		       model_guard(model, r.s, r.first, r.end, true));
		break;
	case OP_UNGUARD:
		expect(run, ops->guard_remove(r.space, r.addr, r.length),
		       model_guard(model, r.s, r.first, r.end, false));
		break;
	case OP_POPULATE:
		do_populate(run, &r);
		break;
	case OP_MOVE:
		(op->flags & OPF_TABLE ? do_move_table : do_move)(run, op, &r);
		break;
	case OP_GROW:
		expect(run, ops->grow_down(r.space, r.addr + op->number % PAGE, 64 * PAGE, 2 * PAGE),
		       model_grow_down(model, r.s, r.first, 64 * PAGE, 2 * PAGE));
		break;
	case OP_RECLAIM:
		ops->reclaim(r.space, op->number % 4);
		break;
	case OP_PIN:
	case OP_DEVICE:
	case OP_UNPIN:
		do_pin(run, op, &r);
		break;
	case OP_MARK:
	case OP_UNMARK:
		do_mark(run, op, &r);
		break;
	case OP_TAKE:
		do_take(run, op, &r);
		break;
	case OP_RESOLVE:
		do_resolve(run, op, &r);
		break;
	case OP_HUGE:
	case OP_COLLAPSE:
		do_huge(run, op, &r);
		break;
	case OP_FORK:
	case OP_DESTROY:
		do_spaces(run, op, r.s);
		break;
	default:
		do_access(run, op, &r);
	}
}

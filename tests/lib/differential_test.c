// SPDX-License-Identifier: MIT
// Random sequences of operations, on the library and on the flat model, in several spaces related by fork.
//
//	lib_differential_test SEQUENCES OPERATIONS		each format, so many sequences
//	lib_differential_test replay FORMAT SEED FILE		a printed sequence
//
// A sequence is a list of operations with all their numbers in it, and any part of it is a sequence too. One that fails
// is shrunk by leaving out parts as long as it still fails, and printed.
#include "model.h"

enum kind {
	OP_MAP, OP_UNMAP, OP_PROTECT, OP_RELEASE, OP_LAZY, OP_GUARD, OP_UNGUARD, OP_POPULATE, OP_MOVE, OP_GROW,
	OP_READ, OP_WRITE, OP_EXEC, OP_POKE, OP_FORK, OP_DESTROY, OP_RECLAIM, OP_PIN, OP_DEVICE,
	OP_UNPIN, OP_KINDS
};

static const char *const kind_names[OP_KINDS] = {
	"map", "unmap", "protect", "release", "lazy", "guard", "unguard", "populate", "move", "grow",
	"read", "write", "exec", "poke", "fork", "destroy", "reclaim", "pin", "device",
	"unpin",
};

// How often each comes, relatively.
static const unsigned weights[OP_KINDS] = {14, 7, 12, 6, 5, 6, 4, 4, 9, 3, 10, 22, 2, 4, 3, 2, 3, 5, 5, 2};

struct op {
	unsigned kind, space, cell, cells, to, prot, flags;
	uint64_t number;
};

enum {
	OPF_SHARED = 1, OPF_OBJECT = 2, OPF_NOREPLACE = 4, OPF_GROWS = 8, OPF_TAG = 16, OPF_MAX = 32, OPF_SECOND = 64,
	OPF_FIXED = 128, OPF_PIN = 256, OPF_ALL = 511
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

static _Noreturn void wrong(struct run *run, uint64_t addr, const char *what)
{
	snprintf(run->text, sizeof(run->text), "operation %u (%s): %s", run->at, kind_names[run->ops[run->at].kind],
		 what);
	sim_stop(run->env.machine, addr, 0, run->text);
}

static void expect(struct run *run, enum vmt_status got, enum vmt_status want)
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
	want.offset = want.object >= 0 ? op->number % 10 * PAGE : 0;
	if (want.shared && want.object < 0 && run->model.objects == MODEL_OBJECTS + MODEL_ANON)
		return;
	request.object = want.object >= 0 ? run->object[want.object] : NULL;
	request.offset = want.offset;
	request.flags = (want.noreplace ? VMT_MAP_FIXED_NOREPLACE : VMT_MAP_FIXED) |
			(want.shared ? VMT_MAP_SHARED : 0) | (want.grows ? VMT_MAP_GROWS_DOWN : 0);
	expect(run, run->env.ops->map(r->space, &request, &got), model_map(&run->model, r->s, r->first, r->end, &want));
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

static uint64_t *bytes_of(struct run *run, uint64_t pa)
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

static void do_op(struct run *run, const struct op *op)
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
		do_move(run, op, &r);
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
	case OP_FORK:
	case OP_DESTROY:
		do_spaces(run, op, r.s);
		break;
	default:
		do_access(run, op, &r);
	}
}

// ---- Comparing ---------------------------------------------------------------------------------------------------

static void compare_area(struct run *run, unsigned s, const struct vmt_area *area, unsigned first, unsigned end)
{
	const struct model_cell *cell = &run->model.space[s].cell[first];
	uint32_t flags = (cell->shared ? VMT_MAP_SHARED : 0) | (cell->grows ? VMT_MAP_GROWS_DOWN : 0);

	if (area->start != run->model.edge[first] || area->end != run->model.edge[end])
		wrong(run, area->start, "an area has other edges");
	if (area->prot != cell->prot || area->prot_max != cell->max || area->tag != cell->tag || area->flags != flags)
		wrong(run, area->start, "an area has other attributes");
	if ((cell->object >= 0) != !!area->object ||
	    (cell->object >= 0 && cell->object < MODEL_OBJECTS && area->object != run->object[cell->object]))
		wrong(run, area->start, "an area has another object");
	if (cell->object >= 0 && area->offset != area->start - cell->base)
		wrong(run, area->start, "an area has another offset");
}

static void compare_areas(struct run *run, unsigned s)
{
	struct model_space *model = &run->model.space[s];
	uint64_t at = 0, mapped = 0;
	struct vmt_space_stats stats;
	struct vmt_area area;

	for (unsigned first = 0; first < run->model.cells;) {
		unsigned end = first + 1;

		if (!model->cell[first].mapped) {
			first++;
			continue;
		}
		while (end < run->model.cells && model_joins(&model->cell[end - 1], &model->cell[end]))
			end++;
		if (run->env.ops->area_find(run->space[s], at, &area) != VMT_OK)
			wrong(run, run->model.edge[first], "an area is missing");
		compare_area(run, s, &area, first, end);
		mapped += area.end - area.start;
		at = area.end;
		first = end;
	}
	if (run->env.ops->area_find(run->space[s], at, &area) == VMT_OK)
		wrong(run, area.start, "an area too many");
	run->env.ops->space_stats(run->space[s], &stats);
	if (stats.mapped_bytes != mapped)
		wrong(run, 0, "mapped_bytes is wrong");
}

// What is in the entries, looked at without a fault.
static void compare_pages(struct run *run, unsigned s)
{
	for (unsigned i = 0; i < run->model.cells; i++) {
		const struct model_cell *cell = &run->model.space[s].cell[i];
		uint64_t at = run->model.edge[i];
		struct vmt_run state;

		if (run->env.ops->walk(run->space[s], at, at + PAGE, &state) != VMT_OK)
			wrong(run, at, "vmt_walk refuses");
		if (state.mapped != cell->mapped)
			wrong(run, at, "mapped or not?");
		if ((state.state == VMT_STATE_GUARD) != cell->guard)
			wrong(run, at, "guarded or not?");
		if (state.state == VMT_STATE_NONE && cell->own && !cell->lazy && cell->value)
			wrong(run, at, "a page is lost");
		for (unsigned n = 0; n < MODEL_PINS; n++)
			if (cell->pins >> n & 1 && state.pa != run->pin[n])
				wrong(run, at, "a pinned page has moved");
		if (state.state == VMT_STATE_PARKED && cell->prot)
			wrong(run, at, "a page is parked and may be read");
		if (state.state == VMT_STATE_PRESENT && !cell->prot)
			wrong(run, at, "a page is present and may not be read");
		if ((state.state == VMT_STATE_PRESENT || state.state == VMT_STATE_PARKED) &&
		    !model_read(&run->model, s, i, *bytes_of(run, state.pa)))
			wrong(run, at, "an entry leads to other bytes");
	}
}

static void compare_all(struct run *run)
{
	for (unsigned s = 0; s < MODEL_SPACES; s++) {
		if (!run->model.space[s].alive)
			continue;
		sim_log_clear(run->env.machine);
		if (run->env.ops->check(run->space[s]))
			wrong(run, 0, sim_log_line(run->env.machine, 0));
		compare_areas(run, s);
		compare_pages(run, s);
	}
	if (sim_audit(run->env.machine))
		wrong(run, 0, "a CPU has cached what the tables do not say");
}

// ---- A sequence --------------------------------------------------------------------------------------------------

// The seed also chooses how the MMU behaves: as usual, always from what it has cached, never.
static const struct sim_hostility hostilities[] = {
	{.cached = 60, .structure = 60, .prefetch = 10, .negative = 20, .refuse = 50},
	{.cached = 100, .structure = 100, .prefetch = 40, .negative = 60, .refuse = 100},
	{.cached = 0, .structure = 0},
};

static void run_body(void *arg)
{
	struct run *run = arg;
	struct env *env = &run->env;

	env_open_with(env, &(struct sim_config){
		.ops = sim_ops(run->format), .cpus = 1, .frames = 4096, .seed = run->seed,
		.fault_ad = run->seed % 2, .hostility = &hostilities[run->seed % 3]});
	run->space[0] = env->space;
	for (unsigned i = 0; i < MODEL_OBJECTS; i++)
		expect(run, env->ops->object_create(env->vmt, run->model.object[i].pages * PAGE, NULL, NULL,
						    &run->object[i]), VMT_OK);
	for (run->at = 0; run->at < run->count; run->at++) {
		do_op(run, &run->ops[run->at]);
		if (run->at % 4 == 3 || run->at + 1 == run->count)
			compare_all(run);
	}
	run->at = run->count - 1;
	sim_activate(env->cpu, env->space);
	for (unsigned n = 0; n < MODEL_PINS; n++)
		if (run->pin[n])
			env->ops->page_unpin(env->vmt, run->pin[n]);
	for (unsigned s = 1; s < MODEL_SPACES; s++)
		if (run->model.space[s].alive)
			expect(run, env->ops->space_destroy(run->space[s]), VMT_OK);
	for (unsigned i = 0; i < MODEL_OBJECTS; i++)
		env->ops->object_put(run->object[i]);
	sim_deactivate(env->cpu);
	expect(run, env->ops->space_destroy(env->space), VMT_OK);
	expect(run, env->ops->destroy(env->vmt), VMT_OK);
	sim_grace_barrier(env->machine);
	if (sim_leaks(env->machine))
		wrong(run, 0, "something leaked");
}

// Does the sequence fail? Its report goes to `report`.
static bool fails(enum sim_format format, uint64_t seed, const struct op *ops, unsigned count, char *report,
		  size_t size)
{
	struct run *run = calloc(1, sizeof(*run));
	bool stopped;

	if (!run)
		abort();
	run->format = format;
	run->seed = seed;
	run->ops = ops;
	run->count = count;
	model_init(&run->model, format);
	stopped = count && sim_stops(run_body, run, report, size);
	if (run->env.machine)
		sim_machine_destroy(run->env.machine);
	free(run);
	return stopped;
}

static void make_ops(struct op *ops, unsigned count, uint64_t seed)
{
	unsigned total = 0;

	for (unsigned i = 0; i < OP_KINDS; i++)
		total += weights[i];
	for (unsigned i = 0; i < count; i++) {
		unsigned pick = (unsigned)(lib_random(&seed) % total), kind = 0;

		while (pick >= weights[kind])
			pick -= weights[kind++];
		ops[i] = (struct op){
			.kind = kind,
			.space = (unsigned)(lib_random(&seed) % MODEL_SPACES),
			.cell = (unsigned)(lib_random(&seed) % MODEL_CELLS),
			.cells = 1 + (unsigned)(lib_random(&seed) % (lib_random(&seed) % 4 ? 6 : 40)),
			.to = (unsigned)(lib_random(&seed) % MODEL_CELLS),
			.prot = (unsigned)(lib_random(&seed) % 3 ? VMT_READ | VMT_WRITE : lib_random(&seed) & VMT_RWX),
			.flags = (unsigned)(lib_random(&seed) & lib_random(&seed) & OPF_ALL),
			.number = 1 + lib_random(&seed) % 1000000,
		};
		if (i < 20) // first there has to be something
			ops[i].space = 0, ops[i].kind = i % 3 ? OP_WRITE : OP_MAP;
	}
}

static void print_ops(enum sim_format format, uint64_t seed, const struct op *ops, unsigned count)
{
	printf("the shortest sequence found, for `replay %s %llu FILE`:\n", sim_format_name(format),
	       (unsigned long long)seed);
	for (unsigned i = 0; i < count; i++)
		printf("%s %u %u %u %u %u %u %llu\n", kind_names[ops[i].kind], ops[i].space, ops[i].cell,
		       ops[i].cells, ops[i].to, ops[i].prot, ops[i].flags, (unsigned long long)ops[i].number);
}

// Leaves out parts, large ones first, as long as the rest still fails.
static unsigned shrink(enum sim_format format, uint64_t seed, struct op *ops, unsigned count)
{
	struct op *fewer = calloc(count, sizeof(*fewer));
	unsigned part = count / 2, budget = 3000;

	while (part > 0 && budget > 0) {
		bool shorter = false;

		for (unsigned at = 0; at + part <= count && budget > 0; budget--) {
			memcpy(fewer, ops, at * sizeof(*ops));
			memcpy(fewer + at, ops + at + part, (count - at - part) * sizeof(*ops));
			if (fails(format, seed, fewer, count - part, NULL, 0)) {
				count -= part;
				memcpy(ops, fewer, count * sizeof(*ops));
				shorter = true;
			} else {
				at += part;
			}
		}
		if (!shorter || part > count / 2)
			part /= 2;
	}
	free(fewer);
	return count;
}

static bool sequence(enum sim_format format, uint64_t seed, unsigned count)
{
	struct op *ops = calloc(count, sizeof(*ops));
	static char report[16384];
	bool failed;

	make_ops(ops, count, seed);
	failed = fails(format, seed, ops, count, NULL, 0);
	if (failed) {
		printf("%s, seed %llu: fails\n", sim_format_name(format), (unsigned long long)seed);
		count = shrink(format, seed, ops, count);
		fails(format, seed, ops, count, report, sizeof(report));
		printf("%s\n", report);
		print_ops(format, seed, ops, count);
		fflush(stdout);
	}
	free(ops);
	return !failed;
}

static int replay(const char *name, const char *seed, const char *path)
{
	static struct op ops[4096];
	static char report[16384], kind[16];
	FILE *file = fopen(path, "r");
	unsigned count = 0, format = 0;
	unsigned long long number;

	while (format < SIM_FORMATS && strcmp(name, sim_format_name(format)))
		format++;
	if (!file || format == SIM_FORMATS)
		return 2;
	while (count < 4096 && fscanf(file, "%15s %u %u %u %u %u %u %llu", kind, &ops[count].space, &ops[count].cell,
				      &ops[count].cells, &ops[count].to, &ops[count].prot, &ops[count].flags,
				      &number) == 8) {
		ops[count].number = number;
		while (ops[count].kind < OP_KINDS && strcmp(kind, kind_names[ops[count].kind]))
			ops[count].kind++;
		if (ops[count++].kind == OP_KINDS)
			return 2;
	}
	fclose(file);
	if (!fails(format, strtoull(seed, NULL, 0), ops, count, report, sizeof(report))) {
		printf("it passes\n");
		return 0;
	}
	printf("%s\n", report);
	return 1;
}

int main(int argc, char **argv)
{
	unsigned sequences = argc > 1 ? (unsigned)atoi(argv[1]) : 4, count = argc > 2 ? (unsigned)atoi(argv[2]) : 200;
	unsigned passed = 0, failed = 0;
	uint64_t first = lib_seed(1);

	if (argc == 5 && strcmp(argv[1], "replay") == 0)
		return replay(argv[2], argv[3], argv[4]);
	printf("seeds %llu to %llu, %u operations each\n", (unsigned long long)first,
	       (unsigned long long)(first + sequences - 1), count);
	fflush(stdout);
	for (enum sim_format format = 0; format < SIM_FORMATS; format++) {
		unsigned broken = 0;

		for (unsigned i = 0; i < sequences && broken < 2; i++)
			broken += !sequence(format, first + i, count);
		failed += broken;
		passed += sequences - broken;
	}
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}

// SPDX-License-Identifier: MIT
// Random sequences of operations, on the library and on the flat model, in several spaces related by fork.
//
//	lib_differential_test SEQUENCES OPERATIONS		each format, so many sequences
//	lib_differential_test replay FORMAT SEED FILE		a printed sequence
//
// A sequence is a list of operations with all their numbers in it, and any part of it is a sequence too. One that fails
// is shrunk by leaving out parts as long as it still fails, and printed.
#include "differential.h"

// How often each comes, relatively.
static const unsigned weights[OP_KINDS] = {14, 7, 12, 6, 5, 6, 4, 4, 9, 3, 10, 22, 2, 4, 3, 2, 3, 5, 5, 2,
	6, 10, 6, 3, 8, 8};

// ---- Comparing ---------------------------------------------------------------------------------------------------

static void compare_area(struct run *run, unsigned s, const struct vmt_area *area, unsigned first, unsigned end)
{
	const struct model_cell *cell = &run->model.space[s].cell[first];
	uint32_t flags = (cell->shared ? VMT_MAP_SHARED : 0) | (cell->grows ? VMT_MAP_GROWS_DOWN : 0) |
			 (cell->huge ? VMT_MAP_HUGE : 0);

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

// The first area in a range, for a range from each edge on.
static void compare_within(struct run *run, unsigned s)
{
	struct model_space *model = &run->model.space[s];
	struct vmt_area area;

	for (unsigned i = 0; i < run->model.cells; i++) {
		unsigned stop = i + 1 + (run->at + i) % (run->model.cells - i), first = i, end;

		while (first < stop && !model->cell[first].mapped)
			first++;
		for (end = first + 1; end < stop && model_joins(&model->cell[end - 1], &model->cell[end]); end++)
			;
		if (run->env.ops->area_within(run->space[s], run->model.edge[i], run->model.edge[stop], &area) ==
		    VMT_OK) {
			if (first == stop)
				wrong(run, area.start, "an area in a range where none is");
			compare_area(run, s, &area, first, end);
		} else if (first < stop) {
			wrong(run, run->model.edge[first], "an area in a range is missing");
		}
	}
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
		if (state.marker != cell->marker || (cell->marker && state.payload != cell->payload))
			wrong(run, at, "another marker, or none");
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
		compare_within(run, s);
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
		.ops = sim_ops(run->format), .cpus = 1, .frames = HUGE_FITS ? 65536 : 4096, .seed = run->seed,
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
		printf("%s %u %u %u %u %u %u %llu\n", op_names[ops[i].kind], ops[i].space, ops[i].cell,
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
	if (!file || format == SIM_FORMATS || !format_fits(format))
		return 2;
	while (count < 4096 && fscanf(file, "%15s %u %u %u %u %u %u %llu", kind, &ops[count].space, &ops[count].cell,
				      &ops[count].cells, &ops[count].to, &ops[count].prot, &ops[count].flags,
				      &number) == 8) {
		ops[count].number = number;
		while (ops[count].kind < OP_KINDS && strcmp(kind, op_names[ops[count].kind]))
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

		if (!format_fits(format))
			continue;
		for (unsigned i = 0; i < sequences && broken < 2; i++)
			broken += !sequence(format, first + i, count);
		failed += broken;
		passed += sequences - broken;
	}
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}

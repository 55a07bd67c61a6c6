// SPDX-License-Identifier: MIT
// Random sequences of operations with devices at work, against a flat model (device_differential.h). After each one all
// that any device keeps must be what the model says, and so must every page that was touched lately; now and then all.
//
//	lib_device_differential_test SEQUENCES OPERATIONS	each format, so many sequences
//	lib_device_differential_test replay FORMAT SEED FILE	a printed sequence
//
// Each sequence runs in a process of its own. One that fails is shrunk by leaving out parts as long as it still fails,
// and printed.
#include <sys/wait.h>
#include <unistd.h>

#include "device_differential.h"

_Noreturn void wrong(struct run *run, unsigned space, unsigned page, const char *what)
{
	printf("operation %u (%s), space %u, page %u: %s\n", run->at, op_names[run->ops[run->at].kind], space, page, what);
	fflush(stdout);
	sim_stop(run->env.machine, page_addr(run, page), 0, what);
}

// ---- Comparing ---------------------------------------------------------------------------------------------------

// A device marker's payload says which memory, counted from the first, and which frame of it.
const void *bytes_of(struct run *run, unsigned space, unsigned page)
{
	uint64_t at = page_addr(run, page);
	struct vmt_run entry;

	if (run->env.ops->walk(run->space[space], at, at + PAGE, &entry) != VMT_OK)
		wrong(run, space, page, "vmt_walk refuses");
	if (entry.mapped != run->cell[space][page].mapped)
		wrong(run, space, page, "mapped or not?");
	if (run->cell[space][page].guard != (entry.state == VMT_STATE_GUARD))
		wrong(run, space, page, "a guard, or none");
	if (run->cell[space][page].pin && (entry.state == VMT_STATE_MARKER || entry.state == VMT_STATE_NONE ||
					   entry.pa != run->pin[run->cell[space][page].pin - 1].pa))
		wrong(run, space, page, "a pinned page is elsewhere");
	if (entry.state == VMT_STATE_PRESENT || entry.state == VMT_STATE_PARKED)
		return vmt_port_frame_ptr(sim_port(run->env.machine), entry.pa);
	if (entry.state != VMT_STATE_MARKER)
		return NULL;
	if (entry.marker != VMT_MARKER_DEVICE && entry.marker != VMT_MARKER_MIGRATION)
		wrong(run, space, page, "a marker that nobody set");
	// A huge one names its first frame.
	return run->vram[entry.payload >> 32].bytes + (entry.payload & UINT32_MAX) * PAGE + at % entry.size;
}

static bool bytes_say(struct cell *cell, const void *bytes)
{
	const uint64_t *word = bytes;

	if (!bytes)
		return cell_holds(cell, 0);
	if (!cell_holds(cell, word[0] / 3))
		return false;
	return word[0] == cell->value * 3 && word[PAGE / 16] == (cell->value ? word[0] + 1 : 0) &&
	       word[PAGE / 8 - 1] == (cell->value ? word[0] + 2 : 0);
}

static void compare_pages(struct run *run, unsigned first, unsigned end)
{
	for (unsigned s = 0; s < SPACES; s++)
		for (unsigned i = first; i < end && run->space[s]; i++)
			if (!bytes_say(&run->cell[s][i], bytes_of(run, s, i)))
				wrong(run, s, i, "a page holds other bytes");
}

// What the device could do now with what it keeps: a lost one anything, but to nobody's harm.
static void compare_device(struct run *run, struct device *device, unsigned space)
{
	for (unsigned n = 0; n < device->count; n++) {
		const struct vmt_grant *grant = &device->held[n].grant;

		for (uint64_t at = grant->addr; at < grant->addr + grant->length; at += PAGE) {
			unsigned page = (unsigned)((at - run->base) / PAGE);
			const void *bytes = device_bytes(device, at, VMT_READ); // fails if the frame was freed
			struct cell *cell = &run->cell[space][page];

			if (device->mute)
				continue;
			if (!cell->mapped || cell->guard || (grant->prot & RW & ~cell->prot))
				wrong(run, space, page, "a device keeps more than is allowed");
			if (!bytes_say(cell, bytes))
				wrong(run, space, page, "a device keeps other bytes");
		}
	}
}

static void compare_all(struct run *run)
{
	for (unsigned s = 0; s < SPACES; s++) {
		if (!run->space[s])
			continue;
		sim_log_clear(run->env.machine);
		if (run->env.ops->check(run->space[s]))
			wrong(run, s, 0, sim_log_line(run->env.machine, 0));
	}
	if (sim_audit(run->env.machine))
		wrong(run, 0, 0, "a CPU has cached what the tables do not say");
	compare_pages(run, 0, CELLS);
}

static void compare_some(struct run *run, const struct op *op)
{
	unsigned end = op->page + op->pages;

	for (unsigned i = 0; i < DEVICES; i++)
		compare_device(run, &run->device[i], run->device_space[i]);
	compare_pages(run, op->page, end < CELLS ? end : CELLS);
	compare_pages(run, op->to, op->to + 4 < CELLS ? op->to + 4 : CELLS);
	record_check();
}

// ---- A sequence --------------------------------------------------------------------------------------------------

static const struct sim_hostility hostilities[] = {
	{.cached = 60, .structure = 60, .prefetch = 10, .negative = 20, .refuse = 50},
	{.cached = 100, .structure = 100, .prefetch = 40, .negative = 60, .refuse = 100},
	{.cached = 0, .structure = 0},
};

static void run_open(struct run *run)
{
	struct env *env = &run->env;

	env_open_with(env, &(struct sim_config){
		.ops = sim_ops(run->format), .cpus = 1, .frames = HUGE_FITS ? 32768 : 2048, .seed = run->seed,
		.fault_ad = run->seed % 2, .hostility = &hostilities[run->seed % 3]});
	devices_begin();
	run->base = 4 * HUGE * SLOTS - HALF * PAGE;
	run->space[0] = env->space;
	for (unsigned i = 0; i < MEMORIES; i++) {
		// Both may count from the same address. The second is small.
		vram_open(env, &run->vram[i], run->seed % 5 == 0 ? UINT64_C(1) << 40 : 0, (i ? 40 : CELLS + HALF) * PAGE);
		run->vram[i].how = COPIES_WAITED_FOR;
		run->vram[i].seed = run->seed + i;
	}
	for (unsigned i = 0; i < DEVICES; i++)
		device_open(env, &run->device[i], env->space, 0, 0, i < MEMORIES ? &run->vram[i] : NULL);
}

static void run_close(struct run *run)
{
	struct env *env = &run->env;

	for (unsigned i = 0; i < MEMORIES; i++)
		run->vram[i].fail_one_in = 0;
	for (unsigned i = 0; i < MIGRATIONS; i++)
		if (run->migration[i].migration)
			env->ops->migration_finish(run->migration[i].migration, NULL);
	compare_all(run);
	for (unsigned i = 0; i < PINS; i++)
		if (run->pin[i].pa)
			env->ops->page_unpin(env->vmt, run->pin[i].pa);
	for (unsigned i = 0; i < DEVICES; i++)
		device_close(&run->device[i]);
	sim_activate(env->cpu, run->space[0]);
	for (unsigned s = 1; s < SPACES; s++)
		if (run->space[s] && env->ops->space_destroy(run->space[s]) != VMT_OK)
			wrong(run, s, 0, "a space cannot be destroyed");
	lib_expect_bare(env, env->space);
	for (unsigned i = 0; i < MEMORIES; i++)
		vram_close(&run->vram[i]);
	env_close(env);
}

static void run_sequence(enum sim_format format, uint64_t seed, const struct op *ops, unsigned count)
{
	struct run *run = calloc(1, sizeof(*run));

	if (!run)
		abort();
	run->format = format;
	run->seed = seed;
	run->ops = ops;
	run->count = count;
	run_open(run);
	for (run->at = 0; run->at < count; run->at++) {
		unsigned at = run->at;

		do_op(run, &ops[at]);
		compare_some(run, &ops[at]);
		if (at % 16 == 15)
			compare_all(run);
	}
	run->at = count - 1;
	run_close(run);
	free(run);
}

// Does it fail? In a process of its own, where any way to end but the good one is a failure.
static bool fails(enum sim_format format, uint64_t seed, const struct op *ops, unsigned count, bool silent)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = count ? fork() : -1;
	if (pid < 0)
		return false;
	if (pid == 0) {
		if (silent && (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr)))
			_exit(0);
		alarm(100); // an endless loop is a failure
		run_sequence(format, seed, ops, count);
		fflush(stdout);
		_exit(0);
	}
	return waitpid(pid, &status, 0) != pid || status != 0;
}

// Pages around edges, for most lie in the middle of a huge page.
static unsigned random_page(uint64_t *seed)
{
	uint64_t n = lib_random(seed);

	switch (n % 4) {
	case 0:
		return (unsigned)(n / 4 % 8);
	case 1:
		return (unsigned)(HALF - 8 + n / 4 % 16);
	case 2:
		return (unsigned)(CELLS - 8 + n / 4 % 8);
	default:
		return (unsigned)(n / 4 % (n / 64 % 4 ? 4 : CELLS));
	}
}

static unsigned random_kind(uint64_t *seed)
{
	unsigned total = 0, kind = 0, pick;

	for (unsigned i = 0; i < OP_KINDS; i++)
		total += op_weights[i];
	for (pick = (unsigned)(lib_random(seed) % total); pick >= op_weights[kind]; kind++)
		pick -= op_weights[kind];
	return kind;
}

static void make_ops(struct op *ops, unsigned count, uint64_t seed)
{
	for (unsigned i = 0; i < count; i++) {
		struct op *op = &ops[i];

		*op = (struct op){
			.kind = random_kind(&seed),
			.space = (unsigned)(lib_random(&seed) % SPACES),
			.page = random_page(&seed),
			.pages = 1 + (unsigned)(lib_random(&seed) % (lib_random(&seed) % 4 ? 6 : 40)),
			.to = random_page(&seed),
			.device = (unsigned)(lib_random(&seed) % DEVICES),
			.memory = (unsigned)(lib_random(&seed) % (MEMORIES + 1)),
			.flags = (unsigned)(lib_random(&seed) & OPF_ALL),
			.value = 1 + lib_random(&seed) % 1000000,
		};
		if ((op->kind == OP_MAP || op->kind == OP_PROTECT) && lib_random(&seed) % 4) // most may be written
			op->flags &= ~(unsigned)OPF_READ_ONLY;
		if (op->kind == OP_UNGUARD) {
			op->page = 0;
			op->pages = CELLS;
		}
		// First there has to be something; then now and then all of a half, huge.
		if (i < 2 || (op->flags & OPF_WHOLE && lib_random(&seed) % 8 == 0)) {
			op->flags |= OPF_HUGE;
			op->kind = i < 2 ? OP_MAP : op->kind;
			op->space = i < 2 ? 0 : op->space;
			op->page = i % 2 * HALF;
			op->to = (i + 1) % 2 * HALF;
			op->pages = HALF;
		}
		if (op->page + op->pages > CELLS)
			op->pages = CELLS - op->page;
	}
}

static void print_ops(enum sim_format format, uint64_t seed, const struct op *ops, unsigned count)
{
	printf("the shortest sequence found, for `replay %s %llu FILE`:\n", sim_format_name(format),
	       (unsigned long long)seed);
	for (unsigned i = 0; i < count; i++)
		printf("%s %u %u %u %u %u %u %u %llu\n", op_names[ops[i].kind], ops[i].space, ops[i].page, ops[i].pages,
		       ops[i].to, ops[i].device, ops[i].memory, ops[i].flags, (unsigned long long)ops[i].value);
	fflush(stdout);
}

// Leaves out parts, large ones first, as long as the rest still fails.
static unsigned shrink(enum sim_format format, uint64_t seed, struct op *ops, unsigned count)
{
	struct op *fewer = calloc(count, sizeof(*fewer));
	unsigned part = count / 2, budget = 2000;

	if (!fewer)
		abort();
	while (part > 0 && budget > 0) {
		bool shorter = false;

		for (unsigned at = 0; at + part <= count && budget > 0; budget--) {
			memcpy(fewer, ops, at * sizeof(*ops));
			memcpy(fewer + at, ops + at + part, (count - at - part) * sizeof(*ops));
			if (fails(format, seed, fewer, count - part, true)) {
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
	bool failed;

	if (!ops)
		abort();
	make_ops(ops, count, seed);
	failed = fails(format, seed, ops, count, true);
	if (failed) {
		printf("%s, seed %llu: fails\n", sim_format_name(format), (unsigned long long)seed);
		count = shrink(format, seed, ops, count);
		fails(format, seed, ops, count, false);
		print_ops(format, seed, ops, count);
	}
	free(ops);
	return !failed;
}

static int replay(const char *name, const char *seed, const char *path)
{
	static struct op ops[4096];
	static char kind[32];
	FILE *file = fopen(path, "r");
	unsigned count = 0, format = 0;
	unsigned long long value;

	while (format < SIM_FORMATS && strcmp(name, sim_format_name(format)))
		format++;
	if (!file || format == SIM_FORMATS || !format_fits(format))
		return 2;
	for (struct op *op = ops; count < 4096; op++, count++) {
		if (fscanf(file, "%31s %u %u %u %u %u %u %u %llu", kind, &op->space, &op->page, &op->pages, &op->to,
			   &op->device, &op->memory, &op->flags, &value) != 9)
			break;
		op->value = value;
		while (op->kind < OP_KINDS && strcmp(kind, op_names[op->kind]))
			op->kind++;
		if (op->kind == OP_KINDS)
			return 2;
	}
	fclose(file);
	run_sequence(format, strtoull(seed, NULL, 0), ops, count);
	printf("it passes\n");
	return 0;
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
	for (enum sim_format format = 0; format < SIM_FORMATS; format++) {
		unsigned broken = 0, n = 0;

		for (; format_fits(format) && n < sequences && broken < 2; n++)
			broken += !sequence(format, first + n, count);
		failed += broken;
		passed += n - broken;
	}
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}

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
			.flags = (unsigned)(lib_random(&seed) & OPF_USUAL),
			.value = 1 + lib_random(&seed) % 1000000,
		};
		if ((op->kind == OP_MAP || op->kind == OP_PROTECT) && lib_random(&seed) % 4) // most may be written
			op->flags &= ~(unsigned)OPF_READ_ONLY;
		op->flags |= (unsigned)(lib_random(&seed) & lib_random(&seed) & lib_random(&seed) & OPF_ALL);
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
		printf("the shortest sequence found, for `replay %s %llu FILE`:\n", sim_format_name(format),
		       (unsigned long long)seed);
		print_ops(ops, count);
		fflush(stdout);
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

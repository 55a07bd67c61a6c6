// SPDX-License-Identifier: MIT
// What each operation of a space costs: nanoseconds of one call, one thread, the best of several rounds. A round makes
// the state that the operation wants (spaces_ops.c), takes the time of some calls, each on pages of its own, and takes
// everything back.
//
// The port does nothing but memory (bench_port.h): a flush is counted and reaches nobody, a grace period ends at once.
// A page that is handed out is cleared with memset, a page that is copied with memcpy, and that is in the figure.
#include "spaces.h"

#include "native.h"

struct spaces spaces;

static unsigned rounds = 60;

static const char usage[] =
	"usage: bench_spaces [--rounds N]\n"
	"\n"
	"What each operation of a space costs, in nanoseconds of one call in one thread, the best\n"
	"of N rounds (60). Prints lines NAME/PAGES VALUE ns: PAGES are what one call is about.\n";

static const struct native_option options[] = {{"--rounds", &rounds, 1, 1000000, NULL}};

// The neighbour keeps tables in place that a process would have anyway: for calls about one page the lowest, which has
// room beside them, and for more pages, as far as they are touched, the one above.
static void map_neighbour(const struct spaces_operation *operation)
{
	uint64_t at = SPACES_START + (operation->pages == 1 ? 511 * VMT_PAGE_SIZE : SPACES_GIB - VMT_PAGE_SIZE);

	if (operation->pages * VMT_PAGE_SIZE >= SPACES_GIB)
		return;
	spaces_map(at, VMT_PAGE_SIZE, NULL);
	must(vmt_fault(spaces.space, at, VMT_WRITE, NULL));
}

// Nanoseconds of one call.
static double measure(const struct spaces_operation *operation)
{
	uint64_t step = operation->pages * VMT_PAGE_SIZE;
	double t;

	spaces.length = operation->calls * step;
	map_neighbour(operation);
	if (operation->before)
		operation->before();
	t = now();
	for (unsigned i = 0; i < operation->calls; i++)
		operation->call(SPACES_START + i * step, step);
	t = now() - t;
	spaces_undo();
	return t / operation->calls;
}

static void row(const struct spaces_operation *operation)
{
	double best = 1e18;
	char name[64];

	for (unsigned round = 0; round < rounds; round++) {
		double t = measure(operation);

		best = t < best ? t : best;
	}
	snprintf(name, sizeof(name), "%s/%llu", operation->name, (unsigned long long)operation->pages);
	figure(name, best, "ns");
}

int main(int argc, char **argv)
{
	struct bench_arena arena = {.count = 1 << 16};
	struct vmt_space_config config = {.end = UINT64_C(1) << 47, .user = true};

	(void)argc;
	native_arguments(argv, usage, options, sizeof(options) / sizeof(options[0]));
	if (!bench_arena_make(&arena)) {
		fputs("bench: there is no memory\n", stderr);
		return 1;
	}
	must(vmt_create(&arena, 1, &spaces.vmt));
	must(vmt_space_create(spaces.vmt, &config, &spaces.space));
	vmt_activate(spaces.space); // a CPU to flush
	for (unsigned i = 0; i < spaces_operation_count; i++)
		row(&spaces_operations[i]);
	vmt_deactivate(spaces.space);
	must(vmt_space_destroy(spaces.space));
	must(vmt_destroy(spaces.vmt));
	if (arena.next != 0)
		fprintf(stderr, "bench: %u frames not returned\n", arena.next);
	return arena.next != 0;
}

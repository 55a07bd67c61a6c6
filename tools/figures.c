// SPDX-License-Identifier: MIT
// The figures of a comparison. A sum is known only where each of its parts is.
#include "figures.h"

#include <stdlib.h>

const struct figure figures[] = {
	{"time", "time", FIGURE_TIME, 1, {{"wall_ns"}, {"wall_ns"}}, false},
	{"faults", "page faults", FIGURE_COUNT, 1,
		{{"faults_read_zero", "faults_write_zero", "faults_cow_copy", "faults_cow_reuse", "faults_file",
			 "faults_shared", "faults_spurious", "faults_refused"},
			{"faults_minor", "faults_major"}},
		false},
	{"resident_peak", "resident memory, peak", FIGURE_BYTES, 4096,
		{{"pages_resident_peak"}, {"pages_resident_peak"}}, true},
	{"resident_last", "  when it ends", FIGURE_BYTES, 4096, {{"pages_resident_last"}, {"pages_resident_last"}}, true},
	{"tables_peak", "page tables, peak", FIGURE_BYTES, 1, {{"table_bytes_peak"}, {"table_bytes_peak"}}, true},
	{"tables_last", "  when it ends", FIGURE_BYTES, 1, {{"table_bytes_last"}, {"table_bytes_last"}}, true},
	{"id_arrays_peak", "attribute arrays, peak", FIGURE_BYTES, 1, {{"id_array_bytes_peak"}, {NULL}}, false},
	{"id_arrays_last", "  when it ends", FIGURE_BYTES, 1, {{"id_array_bytes_last"}, {NULL}}, false},
	{"flush_local", "flushes on one CPU alone", FIGURE_COUNT, 1, {{"flush_local"}, {"flush_local"}}, true},
	{"flush_ipi", "flushes that reached others", FIGURE_COUNT, 1, {{"flush_ipi"}, {"flush_ipi"}}, true},
};
const size_t figure_count = sizeof(figures) / sizeof(figures[0]);

static bool value_of(const struct figure *figure, int side, const struct control *control, uint64_t *value)
{
	const char *const *names = figure->stats[side];

	*value = 0;
	for (size_t i = 0; i < FIGURE_STATS && names[i]; i++) {
		const uint64_t *part = control_stat(control, names[i]);
		if (!part)
			return false;
		*value += *part * figure->factor;
	}
	return names[0];
}

static int ascending(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

void figure_spread(const struct comparison *comparison, const struct figure *figure, int side, struct spread *spread)
{
	bool watched = figure->watched && side == SIDE_LINUX;
	const struct outcome *runs = watched ? &comparison->watched : comparison->runs[side];
	unsigned count = watched ? 1 : comparison->counts[side];
	uint64_t *values = must_alloc((count + 1) * sizeof(*values));

	*spread = (struct spread){0};
	for (unsigned i = 0; i < count; i++)
		if (value_of(figure, side, &runs[i].control, &values[spread->runs]))
			spread->runs++;
	unsigned n = spread->runs;
	if (n) {
		qsort(values, n, sizeof(*values), ascending);
		spread->lowest = values[0];
		spread->highest = values[n - 1];
		spread->median = n % 2 ? values[n / 2] : values[n / 2 - 1] / 2 + values[n / 2] / 2;
	}
	free(values);
}

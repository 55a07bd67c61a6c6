// SPDX-License-Identifier: MIT
// A comparison for people: a table on standard error.
#include "figures.h"
#include "report.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LABEL 30
#define VALUE 21
#define RATIO 10

static const char *const sides[SIDES] = {"vmtree", "Linux"};

static char *value_text(const struct comparison *comparison, const struct figure *figure, uint64_t value)
{
	struct text text = {0};
	char digits[40];

	if (figure->unit == FIGURE_BYTES)
		report_size(&text, value);
	else if (figure->unit == FIGURE_COUNT || comparison->options->icount)
		text_print(&text, "%s", report_grouped(value, digits, sizeof(digits)));
	else
		text_print(&text, "%.6f s", (double)value / 1e9);
	return text.data;
}

// Half of what lies between the lowest and the highest, as a share of the median.
static void print_spread(struct text *text, const struct spread *spread)
{
	if (spread->runs < 2)
		return;
	double half = (double)(spread->highest - spread->lowest) / 2;
	text_print(text, " +-%.1f%%", spread->median ? half / (double)spread->median * 100 : 0.0);
}

static void print_value(
	struct text *text, const struct comparison *comparison, const struct figure *figure, const struct spread *spread)
{
	struct text cell = {0};

	if (spread->runs) {
		char *value = value_text(comparison, figure, spread->median);
		text_print(&cell, "%s", value);
		print_spread(&cell, spread);
		free(value);
	} else {
		text_print(&cell, "-");
	}
	text_print(text, "%*s", VALUE, cell.data);
	text_free(&cell);
}

static void print_figure(struct text *text, const struct comparison *comparison, const struct figure *figure)
{
	struct spread spreads[SIDES];
	const char *unit = figure->unit == FIGURE_TIME && comparison->options->icount ? ", instructions" : "";
	char *label = must_format("%s%s", figure->label, unit);

	for (int side = 0; side < SIDES; side++)
		figure_spread(comparison, figure, side, &spreads[side]);
	text_print(text, "  %-*s", LABEL, label);
	for (int side = 0; side < SIDES; side++)
		print_value(text, comparison, figure, &spreads[side]);
	if (spreads[0].runs && spreads[1].runs && spreads[1].median)
		text_print(text, "%*.3f", RATIO, (double)spreads[0].median / (double)spreads[1].median);
	text_add(text, "\n", 1);
	free(label);
}

static char *ending_text(const struct control *control)
{
	if (control->ending == ENDING_SIGNAL)
		return must_format("%s", signal_name((int)control->value));
	return must_format("status %u", control->value);
}

static void print_head(struct text *text, const struct comparison *comparison)
{
	const struct options *options = comparison->options;
	const char *slash = strrchr(comparison->image, '/');

	text_print(text, "vmtree %s  %s on %u CPU%s, ", VMTREE_VERSION, options->program[0], options->cpus,
		options->cpus == 1 ? "" : "s");
	report_size(text, options->memory_bytes);
	text_print(text, ", %s%s", comparison->kvm ? "KVM" : "TCG", options->icount ? ", instructions counted" : "");
	if (options->repeat > 1)
		text_print(text, ", median of %u", options->repeat);
	text_print(text, "\n  %s: %s\n", comparison->runs[SIDE_LINUX][0].control.version,
		slash ? slash + 1 : comparison->image);
	text_print(text, "  %-*s%*s%*s%*s\n", LABEL, "", VALUE, sides[0], VALUE, sides[1], RATIO, "ratio");
}

// What a side does not have is the likeliest reason for a difference, and worth knowing without one.
static void print_lacks(struct text *text, const struct control *control, const char *side)
{
	const uint64_t *advice = control_stat(control, "madvise_refused");
	const uint64_t *kills = control_stat(control, "killed_for_memory");

	if (control->syscall_count) {
		text_print(text, "  %s lacks (ENOSYS):", side);
		for (size_t i = 0; i < control->syscall_count; i++)
			text_print(text, " %s (%llu)", control->syscalls[i].name,
				(unsigned long long)control->syscalls[i].count);
		text_add(text, "\n", 1);
	}
	if (advice && *advice)
		text_print(text, "  %s refused advice to madvise (EINVAL): %llu times; it may not know it\n", side,
			(unsigned long long)*advice);
	if (control->killed_count || (kills && *kills))
		text_print(text, "  %s killed %llu processes because memory ran out\n", side,
			(unsigned long long)(control->killed_count ? control->killed_count : *kills));
}

void comparison_print(const struct comparison *comparison)
{
	struct text text = {0};
	char *endings[SIDES];

	for (int side = 0; side < SIDES; side++)
		endings[side] = ending_text(&comparison->runs[side][0].control);
	print_head(&text, comparison);
	text_print(&text, "  %-*s%*s%*s\n", LABEL, "ended with", VALUE, endings[0], VALUE, endings[1]);
	for (size_t i = 0; i < figure_count; i++)
		print_figure(&text, comparison, &figures[i]);
	text_print(&text, "  %-*s%*s\n", LABEL, "same end", VALUE, comparison->same_end ? "yes" : "NO");
	text_print(&text, "  %-*s%*s\n", LABEL, "same output", VALUE, comparison->same_output ? "yes" : "NO");
	if (comparison->difference.length)
		text_add(&text, comparison->difference.data, comparison->difference.length);
	print_lacks(&text, &comparison->runs[SIDE_VMTREE][0].control, sides[SIDE_VMTREE]);
	print_lacks(&text, &comparison->watched.control, sides[SIDE_LINUX]);
	(void)write_all(STDERR_FILENO, text.data, text.length);
	text_free(&text);
	for (int side = 0; side < SIDES; side++)
		free(endings[side]);
}

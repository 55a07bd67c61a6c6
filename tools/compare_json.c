// SPDX-License-Identifier: MIT
// A comparison as JSON: docs/compare.md names the members.
#include "figures.h"
#include "file.h"
#include "json.h"

static const char *const sides[SIDES] = {"vmtree", "linux"};

static const char *truth(bool value)
{
	return value ? "true" : "false";
}

static void add_spread(struct text *text, const struct spread *spread)
{
	if (spread->runs)
		text_print(text, "{\"lowest\": %llu, \"median\": %llu, \"highest\": %llu}",
			(unsigned long long)spread->lowest, (unsigned long long)spread->median,
			(unsigned long long)spread->highest);
	else
		text_print(text, "null");
}

static void add_figure(struct text *text, const struct comparison *comparison, const struct figure *figure)
{
	static const char *const units[] = {"ns", "count", "bytes"};

	text_print(text, "\n    \"%s\": {\"unit\": \"%s\"", figure->name, units[figure->unit]);
	for (int side = 0; side < SIDES; side++) {
		struct spread spread;
		figure_spread(comparison, figure, side, &spread);
		text_print(text, ", \"%s\": ", sides[side]);
		add_spread(text, &spread);
	}
	text_print(text, "}");
}

static void add_run(struct text *text, const struct control *control)
{
	text_print(text, "{\n  \"ended\": ");
	json_ending(text, control);
	text_print(text, ",\n");
	json_lists(text, control);
	text_print(text, "}");
}

int comparison_write_json(const struct comparison *comparison, const char *path)
{
	struct text text = {0};

	json_head(&text, comparison->options, comparison->kvm);
	text_print(&text, "  \"linux\": {\"version\": ");
	json_string(&text, comparison->runs[SIDE_LINUX][0].control.version);
	text_print(&text, ", \"image\": ");
	json_string(&text, comparison->image);
	text_print(&text, "},\n  \"exit_status\": %d,\n  \"same_end\": %s,\n  \"same_output\": %s,\n", comparison->status,
		truth(comparison->same_end), truth(comparison->same_output));
	text_print(&text, "  \"difference\": ");
	json_string(&text, comparison->difference.data ? comparison->difference.data : "");
	text_print(&text, ",\n  \"figures\": {");
	for (size_t i = 0; i < figure_count; i++) {
		text_print(&text, "%s", i ? "," : "");
		add_figure(&text, comparison, &figures[i]);
	}
	text_print(&text, "\n  },\n");
	for (int side = 0; side < SIDES; side++) {
		text_print(&text, "  \"%s_runs\": [", sides[side]);
		for (unsigned i = 0; i < comparison->counts[side]; i++) {
			text_print(&text, "%s", i ? ", " : "");
			add_run(&text, &comparison->runs[side][i].control);
		}
		text_print(&text, "],\n");
	}
	text_print(&text, "  \"linux_watched\": ");
	add_run(&text, &comparison->watched.control);
	text_print(&text, "\n}\n");
	int status = file_write("--json", path, &text);
	text_free(&text);
	return status;
}

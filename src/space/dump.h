// SPDX-License-Identifier: MIT
// vmt_dump: a space as a person wants to see it. One line for each run of like entries, under one line for each area.
#ifndef VMT_SPACE_DUMP_H
#define VMT_SPACE_DUMP_H

static const char *const dump_states[] = {
	[VMT_STATE_NONE] = "untouched", [VMT_STATE_PRESENT] = "present", [VMT_STATE_PARKED] = "parked",
	[VMT_STATE_GUARD] = "guard",	[VMT_STATE_POISON] = "poison",	 [VMT_STATE_MARKER] = "marker",
};

static void dump_prot(struct text *line, vmt_prot prot)
{
	text_add(line, prot & VMT_READ ? "r" : "-");
	text_add(line, prot & VMT_WRITE ? "w" : "-");
	text_add(line, prot & VMT_EXEC ? "x" : "-");
}

static void dump_range(struct text *line, uint64_t start, uint64_t end)
{
	text_number(line, start, 16);
	text_add(line, "-");
	text_number(line, end, 16);
	text_add(line, " ");
	text_number(line, (end - start) >> 10, 10);
	text_add(line, "K ");
}

// Runs of a kind that differ only in their frames are one to a person.
static bool dump_joins(const struct vmt_run *run, const struct vmt_run *next)
{
	return run->state == next->state && run->prot == next->prot && run->zero == next->zero &&
	       run->dirty == next->dirty && run->size == next->size && run->marker == next->marker &&
	       run->payload == next->payload && run->memory == next->memory;
}

static const char *const dump_markers[] = {
	[VMT_MARKER_GUARD] = "guard",	[VMT_MARKER_SWAP] = "swap",	[VMT_MARKER_MIGRATION] = "migration",
	[VMT_MARKER_DEVICE] = "device", [VMT_MARKER_POISON] = "poison", [VMT_MARKER_OWN] = "own",
};

static const char *dump_marker(unsigned kind)
{
	return dump_markers[kind < VMT_MARKER_OWN ? kind : VMT_MARKER_OWN];
}

// What a run of entries is: "present rw- 2048K dirty", "parked 4K", "guard 1048576K".
static void dump_run(struct text *line, const struct vmt_run *run)
{
	text_add(line, run->marker ? dump_marker(run->marker) : dump_states[run->state]);
	if (run->state == VMT_STATE_PRESENT) {
		text_add(line, " ");
		dump_prot(line, run->prot);
	}
	text_add(line, " ");
	text_number(line, run->size >> 10, 10);
	text_add(line, "K");
	if (run->memory)
		text_add(line, run->memory == VMT_MEMORY_DEVICE ? " device memory" : " not cached");
	if (run->zero)
		text_add(line, " zero page");
	else if (run->dirty)
		text_add(line, " dirty");
	if (run->payload && run->state == VMT_STATE_MARKER) {
		text_add(line, " 0x");
		text_number(line, run->payload, 16);
	}
}

static void dump_area(struct vmt_space *space, const struct vmt_area *area, void (*emit)(void *, const char *),
		      void *arg)
{
	uint64_t at = area->start;
	char text[128];

	while (at < area->end) {
		struct text line = {.at = text, .end = text + sizeof(text)};
		struct vmt_run run, next;

		if (vmt_walk(space, at, area->end, &run) != VMT_OK)
			return;
		while (run.end < area->end && vmt_walk(space, run.end, area->end, &next) == VMT_OK &&
		       dump_joins(&run, &next))
			run.end = next.end;
		text_add(&line, "  ");
		dump_range(&line, run.start, run.end);
		dump_run(&line, &run);
		if (run.state != VMT_STATE_NONE)
			emit(arg, text);
		at = run.end;
	}
}

void vmt_tree_dump(struct vmt_tree *tree, void (*emit)(void *arg, const char *text), void *arg)
{
	uint64_t at = tree->start;
	struct vmt_run run, next;
	char text[128];

	for (; at < tree->end && look_run(tree, at, tree->end, &run) == VMT_OK; at = run.end) {
		struct text line = {.at = text, .end = text + sizeof(text)};

		if (run.state == VMT_STATE_NONE)
			continue;
		while (run.end < tree->end && look_run(tree, run.end, tree->end, &next) == VMT_OK &&
		       dump_joins(&run, &next) &&
		       (run.state != VMT_STATE_PRESENT || run.pa + (run.end - run.start) == next.pa))
			run.end = next.end;
		dump_range(&line, run.start, run.end);
		dump_run(&line, &run);
		if (run.state == VMT_STATE_PRESENT) {
			text_add(&line, " at 0x");
			text_number(&line, run.pa, 16);
		}
		emit(arg, text);
	}
}

void vmt_dump(struct vmt_space *space, void (*emit)(void *arg, const char *text), void *arg)
{
	struct vmt_area area;
	uint64_t at = space->tree.start;
	char text[160];

	while (look_area(space, at, &area, false, false) == VMT_OK) { // waits for nobody: things may be wrong
		struct text line = {.at = text, .end = text + sizeof(text)};

		dump_range(&line, area.start, area.end);
		dump_prot(&line, area.prot);
		text_add(&line, area.flags & VMT_MAP_SHARED ? " shared" : " private");
		text_add(&line, area.object ? " object" : " anonymous");
		if (area.object) {
			text_add(&line, " offset 0x");
			text_number(&line, area.offset, 16);
		}
		if (area.flags & VMT_MAP_GROWS_DOWN)
			text_add(&line, " grows down");
		emit(arg, text);
		dump_area(space, &area, emit, arg);
		at = area.end;
	}
}

#endif

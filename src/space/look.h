// SPDX-License-Identifier: MIT
// Looking at a space: its areas. Half-locked (tree/look.h): one table is pinned at a time.
#ifndef VMT_SPACE_LOOK_H
#define VMT_SPACE_LOOK_H

// The run of slots with one id in which `addr` lies, as far as one table knows. `attr`, `object`, `base` describe it.
struct id_run {
	uint32_t id;
	uint64_t start, end;
	bool starts, ends;	// something else comes before it, and after it, in that table
	uint32_t attr;
	struct vmt_object *object;
	uint64_t base;
};

// Pins the table with the slot of `addr`. With `wait`, a move that has claimed it is waited for: what it leaves is what
// counts.
static struct vmt_node *look_unclaimed(struct vmt_tree *tree, uint64_t addr, bool wait)
{
	for (;;) {
		struct vmt_node *node = look_pin(tree, addr);

		if (!wait || slot_id(node, fmt_index(addr, node->level)) != ID_CLAIM)
			return node;
		look_unpin(tree, node);
		vmt_port_relax(tree->port, true);
	}
}

// The first slot of the run of slots with one id, and without tables, that `slot` ends.
static unsigned look_first(const struct vmt_node *node, unsigned slot)
{
	uint32_t id = slot_id(node, slot);

	while (slot > 0 && slot_id(node, slot - 1) == id && !slot_is_table(node, slot - 1))
		slot--;
	return slot;
}

// Does the slot, if no table hangs there, say something else than a run of `id`, which it is not part of? Two ids of
// objects may (runs_join), and what is claimed will say something else.
static bool look_differs(const struct vmt_node *node, unsigned slot, uint32_t id)
{
	uint32_t other = slot_id(node, slot);

	return !slot_is_table(node, slot) && !(other & id & ID_COUNTED) && other != ID_CLAIM;
}

// The last slot, up to `last`, of those that have the id of `slot` and hold no table. The node is pinned.
static unsigned look_alike(const struct vmt_node *node, unsigned slot, unsigned last)
{
	bool tables = node_has_tables(node);
	uint32_t id = slot_id(node, slot);

	if (!tables && !node->ids)
		return last;
	while (slot < last && slot_id(node, slot + 1) == id && !(tables && slot_is_table(node, slot + 1)))
		slot++;
	return slot;
}

static bool runs_join(const struct id_run *a, const struct id_run *b)
{
	return a->attr == b->attr && a->object == b->object && a->base == b->base;
}

// What an operation looks for in [.., end).
struct area_look {
	struct vmt_tree *tree;
	uint64_t end;
	bool keep;	// the caller gets a reference on the object: the pin keeps the id, and the id keeps the object
	bool wait;	// a move that has claimed an address is waited for
	bool whole;	// where the first run begins is asked too
};

// The run of slots at `addr`. Where it does not go on with `before` (may be NULL) only its beginning is looked at.
static void look_ids(const struct area_look *look, uint64_t addr, const struct id_run *before, struct id_run *run)
{
	struct vmt_tree *tree = look->tree;
	struct vmt_node *node = look_unclaimed(tree, addr, look->wait);
	uint64_t limit = look->end < node_end(node) ? look->end : node_end(node);
	unsigned slot = fmt_index(addr, node->level), end = slot, last = fmt_index(limit - 1, node->level);

	run->id = slot_id(node, slot);
	run->object = NULL;
	run->base = 0;
	run->attr = id_is_mapped(run->id) ? attr_of(tree->vmt, run->id) : 0;
	if (run->id & ID_COUNTED) {
		run->object = backing_of(tree->vmt, run->id)->object;
		run->base = backing_of(tree->vmt, run->id)->base;
		if (look->keep && !before)
			vmt_object_ref(run->object);
	}
	if (!before || runs_join(before, run))
		end = look_alike(node, slot, last);
	if (look->whole && !before && id_is_mapped(run->id))
		slot = look_first(node, slot);
	run->starts = slot > 0 && !slot_is_table(node, slot - 1);
	run->ends = end < last && look_differs(node, end + 1, run->id);
	run->start = slot_base(node, slot);
	run->end = slot_base(node, end) + fmt_span(node->level);
	look_unpin(tree, node);
	if (run->start < tree->start)
		run->start = tree->start;
	if (run->end > look->end)
		run->end = look->end;
}

// The run of slots with one id that ends at `addr` (inclusive), within one table.
static uint64_t look_ids_down(struct vmt_tree *tree, uint64_t addr, const struct id_run *run)
{
	struct vmt_node *node = look_pin(tree, addr);
	unsigned slot = fmt_index(addr, node->level);
	uint64_t start = addr + 1;

	if (slot_id(node, slot) == run->id)
		start = slot_base(node, look_first(node, slot));
	look_unpin(tree, node);
	return start;
}

// Where the area that holds run->start begins: downwards, table by table.
static uint64_t look_start(struct vmt_tree *tree, const struct id_run *run)
{
	uint64_t start = run->start;

	while (start > tree->start && !run->starts) {
		uint64_t lower = look_ids_down(tree, start - 1, run);

		if (lower >= start)
			break;
		start = lower;
	}
	return start > tree->start ? start : tree->start;
}

// The first area in [addr, look->end), as far as it reaches upwards there.
static enum vmt_status look_up(const struct area_look *look, uint64_t addr, struct id_run *run)
{
	struct id_run next;

	for (;; addr = run->end) {
		if (addr >= look->end)
			return VMT_ERR_UNMAPPED;
		look_ids(look, addr, NULL, run);
		if (id_is_mapped(run->id))
			break;
	}
	while (run->end < look->end && !run->ends) {
		look_ids(look, run->end, run, &next);
		if (!id_is_mapped(next.id) || !runs_join(run, &next))
			break;
		run->end = next.end;
		run->ends = next.ends;
	}
	return VMT_OK;
}

static void area_describe(const struct id_run *run, struct vmt_area *area)
{
	*area = (struct vmt_area){
		.start = run->start,
		.end = run->end,
		.prot = attr_prot(run->attr),
		.prot_max = attr_max(run->attr),
		.flags = (run->attr & ATTR_SHARED ? VMT_MAP_SHARED : 0) |
			 (run->attr & ATTR_GROWS_DOWN ? VMT_MAP_GROWS_DOWN : 0) |
			 (run->attr & ATTR_NO_RESERVE ? VMT_MAP_NO_RESERVE : 0) |
			 (run->attr & ATTR_HUGE ? VMT_MAP_HUGE : 0),
		.tag = run->attr >> ATTR_TAG_SHIFT & (VMT_TAGS - 1),
		.object = run->object,
		.offset = run->object ? run->start - run->base : 0,
	};
}

static enum vmt_status look_area(struct vmt_space *space, uint64_t addr, struct vmt_area *area, bool keep, bool wait)
{
	struct vmt_tree *tree = &space->tree;
	struct area_look look = {.tree = tree, .end = tree->end, .keep = keep, .wait = wait, .whole = true};
	struct id_run run;
	enum vmt_status status = look_up(&look, addr < tree->start ? tree->start : addr, &run);

	if (status != VMT_OK)
		return status;
	run.start = look_start(tree, &run);
	area_describe(&run, area);
	return VMT_OK;
}

enum vmt_status vmt_area_find(struct vmt_space *space, uint64_t addr, struct vmt_area *area)
{
	return look_area(space, addr, area, false, true);
}

enum vmt_status vmt_area_get(struct vmt_space *space, uint64_t addr, struct vmt_area *area)
{
	return look_area(space, addr, area, true, true);
}

enum vmt_status vmt_area_within(struct vmt_space *space, uint64_t addr, uint64_t end, struct vmt_area *area)
{
	struct vmt_tree *tree = &space->tree;
	struct area_look look = {.tree = tree, .end = end < tree->end ? end : tree->end, .wait = true};
	struct id_run run;
	enum vmt_status status;

	if (addr < tree->start)
		addr = tree->start;
	status = look_up(&look, addr, &run);
	if (status != VMT_OK)
		return status;
	if (run.start < addr) // a slot of an upper table begins below
		run.start = addr;
	area_describe(&run, area);
	return VMT_OK;
}

// ---- Runs and translations: the tree's ---------------------------------------------------------------------------

enum vmt_status vmt_walk(struct vmt_space *space, uint64_t addr, uint64_t end, struct vmt_run *run)
{
	return look_run(&space->tree, addr, end, run);
}

enum vmt_status vmt_translate(struct vmt_space *space, uint64_t addr, struct vmt_translation *translation)
{
	return look_translate(&space->tree, addr, translation);
}

#endif

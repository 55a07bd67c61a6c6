// SPDX-License-Identifier: MIT
// Looking at a space: areas, runs of entries, translations.
//
// Two classes of walker are here. *Half-locked* ones (areas, runs) pin one table, so that its tables stay tables and
// its ids can be read, and see entries change under them. The *lock-free* one (translate) does what hardware does: a
// read-side section, entries read one by one, nothing else.
#ifndef VMT_SPACE_LOOK_H
#define VMT_SPACE_LOOK_H

// Pins the lowest table on the way to `addr`. Preemption goes off with the pin.
static struct vmt_node *look_pin(struct vmt_tree *tree, uint64_t addr)
{
	for (;;) {
		struct vmt_node *node;
		bool attached, right, fold;
		uint64_t base, last;

		vmt_port_preempt_off(tree->port);
		vmt_port_read_enter(tree->port);
		node = tree_descend(tree, addr, addr);
		lock_pin(tree->port, node);
		attached = node_covers(node, tree, addr);
		right = attached && !slot_is_table(node, fmt_index(addr, node->level));
		base = node->base;
		last = node_end(node) - 1;
		// A fold is left only to pins of attached nodes: the mark comes from a table below.
		fold = !right && lock_unpin(node) && attached;
		vmt_port_read_exit(tree->port);
		if (right)
			return node;
		vmt_port_preempt_on(tree->port);
		if (fold)
			tree_fold(tree, base, last);
		vmt_port_relax(tree->port, true);
	}
}

// Drops the pin, and folds what was left to the last one. May allocate.
static void look_unpin(struct vmt_tree *tree, struct vmt_node *node)
{
	uint64_t base = node->base, last = node_end(node) - 1;
	bool fold = lock_unpin(node);

	vmt_port_preempt_on(tree->port);
	if (fold)
		tree_fold(tree, base, last);
}

// The run of slots with one id that begins at `addr`, within one table. `attr`, `object`, `base` describe it.
struct id_run {
	uint32_t id;
	uint64_t start, end;
	uint32_t attr;
	struct vmt_object *object;
	uint64_t base;
};

// With `keep` the caller gets a reference on the object: the pin keeps the id, and the id keeps the object.
static void look_ids(struct vmt_tree *tree, uint64_t addr, struct id_run *run, bool keep)
{
	struct vmt_node *node = look_pin(tree, addr);
	unsigned slot = fmt_index(addr, node->level), end = slot;
	uint64_t last = (tree->end < node_end(node) ? tree->end : node_end(node)) - 1;

	run->id = slot_id(node, slot);
	while (end < fmt_index(last, node->level) && slot_id(node, end + 1) == run->id && !slot_is_table(node, end + 1))
		end++;
	run->start = slot_base(node, slot);
	run->end = slot_base(node, end) + fmt_span(node->level);
	run->object = NULL;
	run->base = 0;
	run->attr = id_is_mapped(run->id) ? attr_of(tree->vmt, run->id) : 0;
	if (run->id & ID_COUNTED) {
		run->object = backing_of(tree->vmt, run->id)->object;
		run->base = backing_of(tree->vmt, run->id)->base;
		if (keep)
			vmt_object_ref(run->object);
	}
	look_unpin(tree, node);
	if (run->start < tree->start)
		run->start = tree->start;
	if (run->end > tree->end)
		run->end = tree->end;
}

static bool runs_join(const struct id_run *a, const struct id_run *b)
{
	return a->attr == b->attr && a->object == b->object && a->base == b->base;
}

// The run of slots with one id that ends at `addr` (inclusive), within one table.
static uint64_t look_ids_down(struct vmt_tree *tree, uint64_t addr, const struct id_run *run)
{
	struct vmt_node *node = look_pin(tree, addr);
	unsigned slot = fmt_index(addr, node->level);
	uint64_t start = addr + 1;

	if (slot_id(node, slot) == run->id) {
		while (slot > 0 && slot_id(node, slot - 1) == run->id && !slot_is_table(node, slot - 1))
			slot--;
		start = slot_base(node, slot);
	}
	look_unpin(tree, node);
	return start;
}

// Where the area that holds run->start begins: downwards, table by table.
static uint64_t look_start(struct vmt_tree *tree, const struct id_run *run)
{
	uint64_t start = run->start;

	while (start > tree->start) {
		uint64_t lower = look_ids_down(tree, start - 1, run);

		if (lower >= start)
			break;
		start = lower;
	}
	return start > tree->start ? start : tree->start;
}

static enum vmt_status look_area(struct vmt_space *space, uint64_t addr, struct vmt_area *area, bool keep)
{
	struct vmt_tree *tree = &space->tree;
	struct id_run run, next;

	if (addr < tree->start)
		addr = tree->start;
	for (;; addr = run.end) {
		if (addr >= tree->end)
			return VMT_ERR_UNMAPPED;
		look_ids(tree, addr, &run, keep);
		if (id_is_mapped(run.id))
			break;
	}
	run.start = look_start(tree, &run);
	while (run.end < tree->end) {
		look_ids(tree, run.end, &next, false);
		if (!id_is_mapped(next.id) || !runs_join(&run, &next))
			break;
		run.end = next.end;
	}
	*area = (struct vmt_area){
		.start = run.start,
		.end = run.end,
		.prot = attr_prot(run.attr),
		.prot_max = attr_max(run.attr),
		.flags = (run.attr & ATTR_SHARED ? VMT_MAP_SHARED : 0) |
			 (run.attr & ATTR_GROWS_DOWN ? VMT_MAP_GROWS_DOWN : 0) |
			 (run.attr & ATTR_NO_RESERVE ? VMT_MAP_NO_RESERVE : 0),
		.tag = run.attr >> ATTR_TAG_SHIFT & (VMT_TAGS - 1),
		.object = run.object,
		.offset = run.object ? run.start - run.base : 0,
	};
	return VMT_OK;
}

enum vmt_status vmt_area_find(struct vmt_space *space, uint64_t addr, struct vmt_area *area)
{
	return look_area(space, addr, area, false);
}

enum vmt_status vmt_area_get(struct vmt_space *space, uint64_t addr, struct vmt_area *area)
{
	return look_area(space, addr, area, true);
}

// ---- Runs of entries ---------------------------------------------------------------------------------------------

static enum vmt_state entry_state(uint64_t e)
{
	if (!e)
		return VMT_STATE_NONE;
	if (fmt_is_present(e))
		return VMT_STATE_PRESENT;
	switch (fmt_kind(e)) {
	case MARKER_PARKED:
		return VMT_STATE_PARKED;
	case MARKER_POISON:
		return VMT_STATE_POISON;
	case MARKER_GUARD:
		return VMT_STATE_GUARD;
	default:
		return VMT_STATE_NONE; // busy: what is there is being replaced
	}
}

static void run_describe(const struct vmt_tree *tree, const struct vmt_node *node, unsigned slot, struct vmt_run *run)
{
	uint64_t e = entry_load_acquire(node, slot);

	*run = (struct vmt_run){
		.start = slot_base(node, slot),
		.end = slot_base(node, slot) + fmt_span(node->level),
		.state = entry_state(e),
		.mapped = id_is_mapped(slot_id(node, slot)),
	};
	if (run->state == VMT_STATE_PRESENT || run->state == VMT_STATE_PARKED) {
		run->pa = entry_frame(e);
		run->zero = run->pa == tree->vmt->zero_pa;
	}
	if (run->state == VMT_STATE_PRESENT) {
		run->prot = fmt_prot(e);
		run->accessed = fmt_accessed(e);
		run->dirty = fmt_dirty(e);
	}
}

static bool run_joins(const struct vmt_run *run, const struct vmt_run *next)
{
	bool frames = run->state == VMT_STATE_PRESENT || run->state == VMT_STATE_PARKED;

	return run->state == next->state && run->mapped == next->mapped && run->prot == next->prot &&
	       run->accessed == next->accessed && run->dirty == next->dirty && run->zero == next->zero &&
	       (!frames || (!run->zero && run->pa + (run->end - run->start) == next->pa));
}

enum vmt_status vmt_walk(struct vmt_space *space, uint64_t addr, uint64_t end, struct vmt_run *run)
{
	struct vmt_tree *tree = &space->tree;
	struct vmt_node *node;
	uint64_t cut;

	if (addr >= end)
		return VMT_ERR_EMPTY;
	if (addr_check(space, addr) != VMT_OK || end > tree->end)
		return VMT_ERR_OUTSIDE;
	node = look_pin(tree, addr);
	run_describe(tree, node, fmt_index(addr, node->level), run);
	for (unsigned slot = fmt_index(addr, node->level) + 1; slot < VMT_TABLE_SLOTS && run->end < end; slot++) {
		struct vmt_run next;

		if (slot_is_table(node, slot))
			break;
		run_describe(tree, node, slot, &next);
		if (!run_joins(run, &next))
			break;
		run->end = next.end;
	}
	look_unpin(tree, node);
	cut = addr & ~VMT_PAGE_MASK;
	if (run->pa)
		run->pa += cut - run->start;
	run->start = cut;
	if (run->end > end)
		run->end = end;
	return VMT_OK;
}

// ---- Translation -------------------------------------------------------------------------------------------------

enum vmt_status vmt_translate(struct vmt_space *space, uint64_t addr, struct vmt_translation *translation)
{
	struct vmt_tree *tree = &space->tree;
	struct vmt_node *node;
	unsigned level;
	uint64_t e;

	if (addr_check(space, addr) != VMT_OK)
		return VMT_ERR_OUTSIDE;
	vmt_port_read_enter(tree->port);
	node = tree_descend(tree, addr, addr);
	level = node->level;
	e = entry_load_acquire(node, fmt_index(addr, level));
	vmt_port_read_exit(tree->port);
	if (!fmt_is_leaf(e, level))
		return VMT_ERR_NOT_PRESENT;
	*translation = (struct vmt_translation){
		.pa = fmt_pa(e) + (addr & (fmt_span(level) - 1)),
		.size = fmt_span(level),
		.prot = fmt_prot(e),
		.accessed = fmt_accessed(e),
		.dirty = fmt_dirty(e),
		.zero = fmt_pa(e) == tree->vmt->zero_pa,
	};
	return VMT_OK;
}

#endif

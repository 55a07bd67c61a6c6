// SPDX-License-Identifier: MIT
// Looking at a tree: runs of entries, translations.
//
// Two classes of walker are here. *Half-locked* ones (runs; areas in space/look.h) pin one table, so that its
// tables stay tables and its ids can be read, and see entries change under them. The *lock-free* one (translate)
// does what hardware does: a read-side section, entries read one by one, nothing else.
#ifndef VMT_TREE_LOOK_H
#define VMT_TREE_LOOK_H

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
	case MARKER_BUSY:
		return VMT_STATE_NONE; // what is there is being replaced
	default:
		return VMT_STATE_MARKER;
	}
}

// What the slot holds, the whole of it. Returns the first slot after it.
static unsigned run_describe(const struct vmt_tree *tree, const struct vmt_node *node, unsigned slot,
			     struct vmt_run *run)
{
	uint64_t e = leaf_load(node, slot), size = leaf_size(e, node->level);
	unsigned first = leaf_slot(e, node->level, slot);

	*run = (struct vmt_run){
		.start = slot_base(node, first),
		.end = slot_base(node, first) + size,
		.state = entry_state(e),
		.size = size,
		.mapped = slot_id(node, slot) && slot_id(node, slot) != ID_CLAIM,
	};
	if (run->state == VMT_STATE_PRESENT) {
		run->pa = fmt_leaf_pa(e, slot) - (slot_base(node, slot) - run->start);
		run->prot = fmt_prot(e);
		run->memory = fmt_memory(e);
		run->accessed = fmt_accessed(e);
		run->dirty = fmt_dirty(e);
	}
	if (run->state == VMT_STATE_PARKED)
		run->pa = fmt_parked_pa(e);
	if (run->state == VMT_STATE_PRESENT || run->state == VMT_STATE_PARKED)
		run->zero = run->pa == tree->vmt->zero_pa;
	if (run->state == VMT_STATE_GUARD || run->state == VMT_STATE_POISON || run->state == VMT_STATE_MARKER) {
		run->marker = fmt_kind(e);
		run->payload = fmt_payload(e);
	}
	return first + leaf_slots(e, node->level);
}

static bool run_joins(const struct vmt_run *run, const struct vmt_run *next)
{
	bool frames = run->state == VMT_STATE_PRESENT || run->state == VMT_STATE_PARKED;

	return run->state == next->state && run->mapped == next->mapped && run->prot == next->prot &&
	       run->memory == next->memory && run->marker == next->marker && run->payload == next->payload &&
	       (run->size == next->size || run->state == VMT_STATE_NONE) &&
	       run->accessed == next->accessed && run->dirty == next->dirty && run->zero == next->zero &&
	       (!frames || (!run->zero && run->pa + (run->end - run->start) == next->pa));
}

// Adds to `run`, which is empty (its start is its end) or ends at `addr`, what the lowest table there says of it.
// False: something else follows.
static bool look_extend(struct vmt_tree *tree, uint64_t addr, uint64_t end, struct vmt_run *run)
{
	struct vmt_node *node = look_pin(tree, addr);
	unsigned slot = fmt_index(addr, node->level);
	bool more = true;

	while (more && slot < FMT_SLOTS && slot_base(node, slot) < end && !slot_is_table(node, slot)) {
		struct vmt_run next;

		slot = run_describe(tree, node, slot, &next);
		more = run->start == run->end || run_joins(run, &next);
		if (run->start == run->end)
			*run = next;
		else if (more)
			run->end = next.end;
	}
	look_unpin(tree, node);
	return more;
}

// The run up to `end`, in this table alone or as far as it goes.
static void look_from(struct vmt_tree *tree, uint64_t addr, uint64_t end, bool far, struct vmt_run *run)
{
	uint64_t at = addr, cut = addr & ~VMT_PAGE_MASK;

	*run = (struct vmt_run){0};
	while (at < end && look_extend(tree, at, end, run) && far)
		at = run->end;
	if (run->state == VMT_STATE_PRESENT || run->state == VMT_STATE_PARKED)
		run->pa += cut - run->start;
	run->start = cut;
	if (run->end > end)
		run->end = end;
}

static enum vmt_status look_run(struct vmt_tree *tree, uint64_t addr, uint64_t end, struct vmt_run *run)
{
	if (addr >= end)
		return VMT_ERR_EMPTY;
	if (addr < tree->start || end > tree->end)
		return VMT_ERR_OUTSIDE;
	look_from(tree, addr, end, true, run);
	return VMT_OK;
}

// The same, but for operations that come back for what follows: to the end of one table, so that looking again after
// each change does not add up. A range that was checked.
static void look_piece(struct vmt_tree *tree, uint64_t addr, uint64_t end, struct vmt_run *run)
{
	look_from(tree, addr, end, false, run);
}

// ---- Translation -------------------------------------------------------------------------------------------------

static enum vmt_status look_translate(struct vmt_tree *tree, uint64_t addr, struct vmt_translation *translation)
{
	struct vmt_node *node;
	uint32_t relinks;
	unsigned level;
	uint64_t e;

	if (addr < tree->start || addr >= tree->end)
		return VMT_ERR_OUTSIDE;
	vmt_port_read_enter(tree->port);
	do {
		relinks = tree_relinks(tree);
		node = tree_walk_down(tree, addr, addr);
		level = node->level;
		e = leaf_load(node, fmt_index(addr, level));
	} while (tree_relinks(tree) != relinks && HOLDS(MOVED_COUNTED));
	vmt_port_read_exit(tree->port);
	if (!fmt_is_leaf(e, level))
		return VMT_ERR_NOT_PRESENT;
	*translation = (struct vmt_translation){
		.pa = fmt_leaf_pa(e, fmt_index(addr, level)) + (addr & (fmt_span(level) - 1)),
		.size = leaf_size(e, level),
		.prot = fmt_prot(e),
		.memory = fmt_memory(e),
		.accessed = fmt_accessed(e),
		.dirty = fmt_dirty(e),
		.zero = fmt_leaf_pa(e, fmt_index(addr, level)) == tree->vmt->zero_pa,
	};
	return VMT_OK;
}

#endif

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
	case MARKER_SWAP:
	case MARKER_MIGRATION:
	case MARKER_DEVICE:
		return VMT_STATE_MARKER;
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
		.size = fmt_span(node->level),
		.mapped = slot_id(node, slot) && slot_id(node, slot) != ID_CLAIM,
	};
	if (run->state == VMT_STATE_PRESENT || run->state == VMT_STATE_PARKED) {
		run->pa = entry_frame(e);
		run->zero = run->pa == tree->vmt->zero_pa;
	}
	if (run->state == VMT_STATE_GUARD || run->state == VMT_STATE_POISON || run->state == VMT_STATE_MARKER) {
		run->marker = fmt_kind(e);
		run->payload = fmt_payload(e);
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
	       run->marker == next->marker && run->payload == next->payload &&
	       run->accessed == next->accessed && run->dirty == next->dirty && run->zero == next->zero &&
	       (!frames || (!run->zero && run->pa + (run->end - run->start) == next->pa));
}

static enum vmt_status look_run(struct vmt_tree *tree, uint64_t addr, uint64_t end, struct vmt_run *run)
{
	struct vmt_node *node;
	uint64_t cut;

	if (addr >= end)
		return VMT_ERR_EMPTY;
	if (addr < tree->start || end > tree->end)
		return VMT_ERR_OUTSIDE;
	node = look_pin(tree, addr);
	run_describe(tree, node, fmt_index(addr, node->level), run);
	for (unsigned slot = fmt_index(addr, node->level) + 1; slot < FMT_SLOTS && run->end < end; slot++) {
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
	if (run->state == VMT_STATE_PRESENT || run->state == VMT_STATE_PARKED)
		run->pa += cut - run->start;
	run->start = cut;
	if (run->end > end)
		run->end = end;
	return VMT_OK;
}

// ---- Translation -------------------------------------------------------------------------------------------------

static enum vmt_status look_translate(struct vmt_tree *tree, uint64_t addr, struct vmt_translation *translation)
{
	struct vmt_node *node;
	unsigned level;
	uint64_t e;

	if (addr < tree->start || addr >= tree->end)
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

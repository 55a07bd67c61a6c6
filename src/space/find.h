// SPDX-License-Identifier: MIT
// Finding a free range.
//
// Each CPU remembers where it last found one and what it last unmapped; nearly every search ends there. Otherwise the
// tree is walked from the top down under pins, skipping nodes whose hint says that no gap in them is large enough. The
// hint may be too large, and under a race too small: the last attempt ignores it. What a search finds is a proposal;
// the transaction that claims it looks again (space/map.h).
#ifndef VMT_SPACE_FIND_H
#define VMT_SPACE_FIND_H

struct gap_search {
	void *port;
	uint64_t low, high;	// where to look, [low, high)
	uint64_t need, align;
	bool hints;
	uint64_t end;		// of the free run that is being walked down, 0: none
	uint64_t longest;	// bytes, of the free runs seen in the node being walked
	uint64_t found;
	uint64_t fold_start, fold_last; // folds that were left to our pins (lock.h)
};

// The smallest n with 2^n pages >= bytes.
static uint16_t gap_order(uint64_t bytes)
{
	uint16_t order = 0;

	while (order < 52 && (VMT_PAGE_SIZE << order) < bytes)
		order++;
	return order;
}

static bool gap_skip(const struct vmt_node *node, const struct gap_search *search)
{
	uint16_t order = atomic_load_explicit(&node->gap, memory_order_relaxed);

	return search->hints && order != GAP_UNKNOWN && (VMT_PAGE_SIZE << order) < search->need;
}

// Large ranges begin where an upper slot does, if there is room: then they are a few slots, and so are their parts.
static uint64_t find_alignment(uint64_t need)
{
	unsigned level = FMT_TOP;

	while (level > 0 && fmt_span(level) > need)
		level--;
	return fmt_span(level);
}

// The highest place for `need` bytes in the free range [low, high), which is long enough.
static uint64_t find_place(uint64_t low, uint64_t high, uint64_t need, uint64_t align)
{
	uint64_t aligned = (high - need) & ~(align - 1);

	return aligned && aligned >= low ? aligned : high - need; // 0 stands for "none"
}

// A free stretch [start, end) just below what was walked before. True: the run is long enough.
static bool gap_extend(struct gap_search *search, uint64_t start, uint64_t end)
{
	uint64_t length;

	if (start < search->low)
		start = search->low;
	if (end > search->high)
		end = search->high;
	if (start >= end)
		return false;
	if (!search->end)
		search->end = end;
	length = search->end - start;
	if (length > search->longest)
		search->longest = length;
	if (length < search->need)
		return false;
	search->found = find_place(start, search->end, search->need, search->align);
	return true;
}

static void gap_unpin(struct vmt_node *node, struct gap_search *search)
{
	uint64_t start = node->base, last = node_end(node) - 1;

	if (!lock_unpin(node))
		return;
	if (start < search->fold_start)
		search->fold_start = start;
	if (last > search->fold_last)
		search->fold_last = last;
}

// `node` is pinned.
static bool gap_walk(struct vmt_node *node, struct gap_search *search)
{
	uint64_t outer = search->longest;
	bool whole = search->low <= node->base && search->high >= node_end(node), found = false;
	uint64_t top = (search->high < node_end(node) ? search->high : node_end(node)) - 1;
	unsigned slot = fmt_index(top, node->level);
	uint64_t bottom = search->low > node->base ? search->low : node->base;

	search->longest = 0;
	for (;; slot--) {
		uint64_t e = entry_load(node, slot), base = slot_base(node, slot);

		if (fmt_is_table(e, node->level)) {
			struct vmt_node *child = node_of_table(search->port, fmt_pa(e));

			if (gap_skip(child, search)) {
				search->end = 0;
			} else {
				lock_pin(search->port, child);
				found = gap_walk(child, search);
				gap_unpin(child, search);
			}
		} else if (slot_id(node, slot) == 0) {
			found = gap_extend(search, base, base + fmt_span(node->level));
		} else {
			search->end = 0;
		}
		if (found)
			return true;
		if (base <= bottom)
			break;
	}
	if (whole)
		atomic_store_explicit(&node->gap, gap_order(search->longest), memory_order_relaxed);
	if (outer > search->longest)
		search->longest = outer;
	return false;
}

// The highest free range of `need` bytes in [low, high), or 0.
static uint64_t gap_find(struct vmt_tree *tree, uint64_t low, uint64_t high, uint64_t need, bool hints)
{
	struct gap_search search = {
		.port = tree->port, .low = low, .high = high,
		.need = need, .align = find_alignment(need), .hints = hints,
		.fold_start = UINT64_MAX,
	};

	if (high <= low || high - low < need)
		return 0;
	vmt_port_preempt_off(tree->port);
	lock_pin(tree->port, tree->root);
	gap_walk(tree->root, &search);
	gap_unpin(tree->root, &search);
	vmt_port_preempt_on(tree->port);
	if (search.fold_last)
		tree_fold(tree, search.fold_start, search.fold_last);
	return search.found;
}

// Where CPU `cpu` begins to look: far enough from the others that they share no lower tables.
static uint64_t find_origin(const struct vmt_tree *tree, unsigned cpu, uint64_t low, uint64_t high)
{
	uint64_t share = (high - low) / tree->vmt->cpus, spread = UINT64_C(64) << 30;

	if (share < spread)
		spread = share & ~VMT_PAGE_MASK;
	return high - cpu * spread;
}

// The n-th proposal for a range of `need` bytes in [low, high); 0: none this time.
static uint64_t find_propose(struct vmt_tree *tree, unsigned n, uint64_t low, uint64_t high, uint64_t need)
{
	uint64_t hole_start, hole_end, cursor;
	struct vmt_cpu *cpu;
	uint64_t found;

	vmt_port_preempt_off(tree->port);
	cpu = this_cpu(tree);
	hole_start = cpu->hole_start > low ? cpu->hole_start : low;
	hole_end = cpu->hole_end < high ? cpu->hole_end : high;
	cursor = cpu->cursor;
	if (cursor <= low || cursor > high)
		cursor = find_origin(tree, vmt_port_cpu(tree->port), low, high);
	vmt_port_preempt_on(tree->port);
	if (n == 0)
		return hole_end > hole_start && hole_end - hole_start >= need ?
			       find_place(hole_start, hole_end, need, find_alignment(need)) :
			       0;
	if (n == 1)
		return cursor - low >= need ? find_place(low, cursor, need, find_alignment(need)) : 0;
	found = n % 2 == 0 ? gap_find(tree, low, cursor, need, true) : 0;
	if (!found)
		found = gap_find(tree, low, high, need, true);
	return found ? found : gap_find(tree, low, high, need, false);
}

// Remembers what became of a proposal, and of ranges that were unmapped.
static void find_note_claimed(struct vmt_tree *tree, uint64_t start, uint64_t end)
{
	struct vmt_cpu *cpu;

	vmt_port_preempt_off(tree->port);
	cpu = this_cpu(tree);
	if (start >= cpu->hole_start && end <= cpu->hole_end)
		cpu->hole_end = start;
	else
		cpu->cursor = start;
	vmt_port_preempt_on(tree->port);
}

static void find_note_freed(struct vmt_tree *tree, uint64_t start, uint64_t end)
{
	struct vmt_cpu *cpu;

	vmt_port_preempt_off(tree->port);
	cpu = this_cpu(tree);
	if (start == cpu->hole_end) {
		cpu->hole_end = end;
	} else if (end == cpu->hole_start) {
		cpu->hole_start = start;
	} else {
		cpu->hole_start = start;
		cpu->hole_end = end;
	}
	if (cpu->cursor == cpu->hole_start)
		cpu->cursor = cpu->hole_end;
	vmt_port_preempt_on(tree->port);
}

#endif

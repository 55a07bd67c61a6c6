// SPDX-License-Identifier: MIT
// A space, and the checks that every request passes first.
#ifndef VMT_SPACE_SPACE_H
#define VMT_SPACE_SPACE_H

struct vmt_space {
	struct vmt_tree tree;
	struct vmt_space_config config;
};

static enum vmt_status range_check(const struct vmt_space *space, uint64_t addr, uint64_t length)
{
	if ((addr | length) & VMT_PAGE_MASK)
		return VMT_ERR_UNALIGNED;
	if (!length)
		return VMT_ERR_EMPTY;
	if (addr + length < addr)
		return VMT_ERR_WRAPPED;
	if (addr < space->tree.start || addr + length > space->tree.end)
		return VMT_ERR_OUTSIDE;
	return VMT_OK;
}

static enum vmt_status addr_check(const struct vmt_space *space, uint64_t addr)
{
	return addr < space->tree.start || addr >= space->tree.end ? VMT_ERR_OUTSIDE : VMT_OK;
}

// What looks at a run of slots with one id, clamped to the window in addresses. False ends it.
typedef bool window_see(struct txn *txn, uint32_t id, uint64_t start, uint64_t last, void *arg);

// The array of a lowest table that the whole window lies in.
static bool window_ids_lowest(struct txn *txn, window_see *see, void *arg)
{
	const struct vmt_node *node = txn->node[0];
	uint64_t start = txn->start;

	for (unsigned slot = fmt_index(start, 0), end = fmt_index(txn->last, 0); slot <= end; slot++) {
		uint64_t next;

		if (slot < end && node->ids[slot + 1] == node->ids[slot])
			continue;
		next = slot < end ? slot_base(node, slot + 1) : txn->last + 1;
		if (!see(txn, node->ids[slot], start, next - 1, arg))
			return false;
		start = next;
	}
	return true;
}

// The slots of one node.
static bool window_ids_node(struct txn *txn, struct vmt_node *node, window_see *see, void *arg)
{
	uint64_t start = txn->start, last = txn->last;
	struct tables table;
	unsigned end;

	range_clamp(node, &start, &last);
	if (start > last)
		return true;
	end = fmt_index(last, node->level);
	table = tables_begin(node, fmt_index(start, node->level), end);
	for (unsigned slot = fmt_index(start, node->level); slot <= end; slot++) {
		uint64_t from = slot_base(node, slot), to;

		if (slot == table.slot) {
			tables_next(&table);
			continue;
		}
		slot = ids_run_last(node, slot, table.slot - 1);
		to = slot_base(node, slot) + fmt_span(node->level) - 1;
		if (!see(txn, slot_id(node, slot), from > start ? from : start, to < last ? to : last, arg))
			return false;
	}
	return true;
}

static bool window_ids_all(struct txn *txn, window_see *see, void *arg)
{
	const struct vmt_node *top = txn->node[0];
	unsigned slot = fmt_index(txn->start, top->level);

	if (slot == fmt_index(txn->last, top->level) && !slot_is_table(top, slot)) // so nothing hangs below
		return see(txn, slot_id(top, slot), txn->start, txn->last, arg);
	if (top->level == 0)
		return top->ids ? window_ids_lowest(txn, see, arg) : see(txn, top->id, txn->start, txn->last, arg);
	for (unsigned n = 0; n < txn->held; n++)
		if (!window_ids_node(txn, txn->node[n], see, arg))
			return false;
	return true;
}

// Calls `see` for every run of slots of the locked window that hold no table, with the slots' common id.
static inline bool window_ids(struct txn *txn, window_see *see, void *arg)
{
	const struct vmt_node *top = txn->node[0];

	if (top->level == 0 && txn->last - txn->start < VMT_PAGE_SIZE)
		return see(txn, slot_id(top, fmt_index(txn->start, 0)), txn->start, txn->last, arg);
	return window_ids_all(txn, see, arg);
}

// For who does not take the tree's usual ways of making something less (txn_note_peak).
static void tree_note_peaks(struct vmt_tree *tree)
{
	struct vmt_cpu *cpu;

	vmt_port_preempt_off(tree->port);
	cpu = this_cpu(tree);
	for (enum size size = 0; size < SIZES; size++)
		cpu_note_peak(cpu, size, size_known(tree, cpu, size));
	vmt_port_preempt_on(tree->port);
}

// The peak that any CPU has seen, `total` being what there is now.
static uint64_t tree_peak(struct vmt_tree *tree, enum size size, int64_t total)
{
	vmt_port_preempt_off(tree->port);
	cpu_note_peak(this_cpu(tree), size, total);
	vmt_port_preempt_on(tree->port);
	for (unsigned i = 0; i < tree->vmt->cpus; i++) {
		int64_t peak = atomic_load_explicit(&tree->cpu[i].peak[size], memory_order_relaxed);

		total = total > peak ? total : peak;
	}
	return (uint64_t)total;
}

#endif

// SPDX-License-Identifier: MIT
// vmt_check: the invariants of tree/tree.h, walked. Nothing else uses the space meanwhile.
#ifndef VMT_SPACE_CHECK_H
#define VMT_SPACE_CHECK_H

struct check {
	struct vmt_tree *tree;
	unsigned wrong;
	int64_t tables, resident, anon, mapped, array_bytes;
};

static void check_report(struct check *check, const struct vmt_node *node, unsigned slot, const char *what)
{
	char text[160];
	struct text line = {.at = text, .end = text + sizeof(text)};

	text_add(&line, "vmt_check: level ");
	text_number(&line, node->level, 10);
	text_add(&line, " base 0x");
	text_number(&line, node->base, 16);
	text_add(&line, " slot ");
	text_number(&line, slot, 10);
	text_add(&line, ": ");
	text_add(&line, what);
	vmt_port_log(check->tree->port, text);
	check->wrong++;
}

// The rest of a huge page: each page is held.
static void check_huge(struct check *check, const struct vmt_node *node, unsigned slot, uint64_t pa)
{
	if (pa & (fmt_span(node->level) - 1))
		check_report(check, node, slot, "a huge page at an address that is not aligned to its size");
	for (uint64_t i = 1; i < level_pages(node->level); i++) {
		const struct vmt_data *data = data_of_frame(check->tree->port, pa + i * VMT_PAGE_SIZE);

		if (!data || atomic_load_explicit(&data->refs, memory_order_relaxed) == 0)
			check_report(check, node, slot, "a page of a huge one that nobody holds");
	}
}

static void check_leaf(struct check *check, const struct vmt_node *node, unsigned slot, uint64_t e)
{
	uint32_t id = slot_id(node, slot), attr;
	uint64_t pa = entry_frame(e);
	struct vmt_data *data = data_of_frame(check->tree->port, pa);
	bool zero = pa == check->tree->vmt->zero_pa;

	if (!id_is_mapped(id)) {
		check_report(check, node, slot, "a frame at an address with no attributes");
		return;
	}
	attr = attr_of(check->tree->vmt, id);
	if (fmt_is_present(e) && fmt_prot(e) & VMT_WRITE && (!(attr_prot(attr) & VMT_WRITE) || zero))
		check_report(check, node, slot, "the entry may be written and must not be");
	if (fmt_is_present(e) && !attr_prot(attr))
		check_report(check, node, slot, "the entry is present and should be parked");
	if (data && atomic_load_explicit(&data->refs, memory_order_relaxed) == 0)
		check_report(check, node, slot, "a frame that nobody holds");
	if (node->level > 0)
		check_huge(check, node, slot, pa);
	if (data && !zero && fmt_is_present(e) && fmt_prot(e) & VMT_WRITE && !(attr & ATTR_SHARED) &&
	    atomic_load_explicit(&data->flags, memory_order_relaxed) & VMT_FRAME_OBJECT)
		check_report(check, node, slot, "a private mapping may write an object's page");
	if (!zero)
		check->resident += (int64_t)level_pages(node->level);
	if (!zero && data && !(atomic_load_explicit(&data->flags, memory_order_relaxed) & VMT_FRAME_OBJECT))
		check->anon += (int64_t)level_pages(node->level);
}

// All entries of a run say the same, of consecutive memory. (Accessed and dirty may differ.)
static void check_run(struct check *check, const struct vmt_node *node, unsigned slot, uint64_t e)
{
	unsigned first = leaf_slot(e, node->level, slot);
	uint64_t head = entry_load(node, first), pa = fmt_leaf_pa(head, first);

	if (!run_is(head, node->level) || pa & (leaf_size(e, node->level) - 1) ||
	    fmt_leaf_pa(e, slot) != pa + (slot - first) * fmt_span(node->level) ||
	    fmt_prot_memory(e) != fmt_prot_memory(head))
		check_report(check, node, slot, "an entry of a run that does not go with the others");
	else if (slot - first == run_slots(node->level) - 1)
		return;
	else if (!run_is(entry_load(node, slot + 1), node->level))
		check_report(check, node, slot, "a run that is not whole");
}

// A tree on its own holds leaves and markers.
static void check_alone(struct check *check, const struct vmt_node *node, unsigned slot, uint64_t e)
{
	bool leaf = fmt_is_leaf(e, node->level);

	if (leaf ? node->level >= FMT_LEAF_LEVELS : fmt_kind(e) == MARKER_BUSY || fmt_kind(e) == MARKER_PARKED)
		check_report(check, node, slot, "an entry that should not be there");
	else if (leaf && fmt_leaf_pa(e, slot) & (fmt_span(node->level) - 1))
		check_report(check, node, slot, "a leaf at an address that is not aligned to its size");
	else if (run_is(e, node->level))
		check_run(check, node, slot, e);
}

static void check_marker(struct check *check, const struct vmt_node *node, unsigned slot, uint64_t e)
{
	enum marker_kind kind = fmt_kind(e);

	if (kind == MARKER_BUSY)
		check_report(check, node, slot, "a busy marker with nobody at work");
	else if (kind == MARKER_EMPTY || (kind > MARKER_BUSY && kind < MARKER_OWN))
		check_report(check, node, slot, "an entry of no known kind");
	if (!id_is_mapped(slot_id(node, slot)))
		check_report(check, node, slot, "a marker at an address with no attributes");
}

static void check_node(struct check *check, struct vmt_node *node, unsigned first, unsigned last);

static void check_child(struct check *check, struct vmt_node *node, unsigned slot, uint64_t e)
{
	struct vmt_node *child = node_of_table(check->tree->port, fmt_pa(e));

	if (child->parent != node || child->level != node->level - 1 || child->base != slot_base(node, slot) ||
	    child->tree != check->tree)
		check_report(check, node, slot, "the table below says that it is not");
	else if (atomic_load_explicit(&child->state, memory_order_relaxed) != NODE_ATTACHED)
		check_report(check, node, slot, "the table below is detached");
	else
		check_node(check, child, 0, FMT_SLOTS - 1);
}

// A node that should have been folded.
static bool check_is_kept(const struct check *check, const struct vmt_node *node)
{
	if (atomic_load_explicit(&check->tree->owed, memory_order_relaxed))
		return true;
	for (unsigned i = 0; i < check->tree->vmt->cpus; i++)
		if (atomic_load_explicit(&check->tree->cpu[i].kept, memory_order_relaxed) == node->base + 1 &&
		    node->level == 0)
			return true;
	return false;
}

static void check_node_fields(struct check *check, const struct vmt_node *node, unsigned live)
{
	if (live != node_live(node))
		check_report(check, node, 0, "the live count is wrong");
	if (atomic_load_explicit(&node->lock, memory_order_relaxed) & ~LOCK_WAIT)
		check_report(check, node, 0, "the lock is held or marked with nobody at work");
	if (atomic_load_explicit(&node->no_refs, memory_order_relaxed))
		check_report(check, node, 0, "a table's frame has references");
	if (node->ids && ids_breaks(node->ids, 0, FMT_SLOTS - 1) != node->breaks)
		check_report(check, node, 0, "the count of breaks is wrong");
	if (node->ids && node->breaks == 0)
		check_report(check, node, 0, "an array where one id would do");
	if (node->parent && live == 0 && !node->ids && !check_is_kept(check, node))
		check_report(check, node, 0, "an empty table that is not folded");
}

static void check_node(struct check *check, struct vmt_node *node, unsigned first, unsigned last)
{
	unsigned live = 0;

	check->tables++;
	check->array_bytes += node->ids ? (int64_t)ARRAY_BYTES : 0;
	for (unsigned slot = first; slot <= last; slot++) {
		uint64_t e = entry_load(node, slot);

		live += e != 0;
		if (node->ids && node->ids[slot] && slot_is_table(node, slot))
			check_report(check, node, slot, "an id for a slot that holds a table");
		if (slot_id(node, slot) == ID_CLAIM && !slot_is_table(node, slot))
			check_report(check, node, slot, "a claim with nobody at work");
		if (!e)
			continue;
		if (fmt_is_table(e, node->level))
			check_child(check, node, slot, e);
		else if (check->tree->untracked)
			check_alone(check, node, slot, e);
		else if (fmt_holds_frame(e, node->level))
			check_leaf(check, node, slot, e);
		else
			check_marker(check, node, slot, e);
	}
	check->mapped += ids_mapped(node, first, last);
	check_node_fields(check, node, live);
}

static void check_count(struct check *check, int64_t walked, int64_t said, const char *what)
{
	if (walked != said)
		check_report(check, check->tree->root, 0, what);
}

static unsigned check_tree(struct vmt_tree *tree)
{
	struct check check = {.tree = tree};

	check_node(&check, tree->root, fmt_index(tree->start, FMT_TOP), fmt_index(tree->end - 1, FMT_TOP));
	check_count(&check, check.tables, counted(tree, tables_allocated) - counted(tree, tables_freed),
		    "the number of tables is wrong");
	check_count(&check, check.resident, counted(tree, resident), "the number of resident pages is wrong");
	check_count(&check, check.anon, counted(tree, anon), "the number of anonymous pages is wrong");
	check_count(&check, check.mapped, counted(tree, mapped), "the number of mapped pages is wrong");
	check_count(&check, check.array_bytes, counted(tree, array_bytes), "the bytes of arrays are wrong");
	return check.wrong;
}

unsigned vmt_check(struct vmt_space *space)
{
	return check_tree(&space->tree);
}

unsigned vmt_tree_check(struct vmt_tree *tree)
{
	return check_tree(tree);
}

#endif

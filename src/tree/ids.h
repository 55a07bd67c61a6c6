// SPDX-License-Identifier: MIT
// Attribute ids of a node's slots: one for all of them, or an array.
//
// To the tree an id is a number: 0 is "not mapped", ID_CLAIM is a range that an operation under way has claimed, and
// one with ID_COUNTED set names something that counts, per node, who names it (space/attr.h). A node that names such an
// id in any of its slots holds exactly one use of it.
#ifndef VMT_TREE_IDS_H
#define VMT_TREE_IDS_H

#define ID_COUNTED (UINT32_C(1) << 31)
#define ID_CLAIM   (UINT32_C(1) << 29)

// The layer above counts uses. id_unuse may put the id on txn->dead; what that leads to happens when nothing is held.
static void id_use(struct vmt *vmt, uint32_t id);
static void id_unuse(struct txn *txn, uint32_t id);

static void node_use_id(struct txn *txn, uint32_t id)
{
	if (id & ID_COUNTED)
		id_use(txn->tree->vmt, id);
}

static void node_unuse_id(struct txn *txn, uint32_t id)
{
	if (id & ID_COUNTED)
		id_unuse(txn, id);
}

static bool ids_contain(const uint32_t *ids, uint32_t id)
{
	for (unsigned i = 0; i < FMT_SLOTS; i++)
		if (ids[i] == id)
			return true;
	return false;
}

static unsigned ids_breaks(const uint32_t *ids, unsigned first, unsigned last)
{
	unsigned n = 0;

	for (unsigned i = first; i < last; i++)
		n += ids[i] != ids[i + 1];
	return n;
}

static bool slot_is_table(const struct vmt_node *node, unsigned slot)
{
	return fmt_is_table(entry_load(node, slot), node->level);
}

// The last slot up to `last` of the run of slots with one id that begins at `slot`.
static unsigned ids_run_last(const struct vmt_node *node, unsigned slot, unsigned last)
{
	const uint32_t *ids = node->ids;

	if (!ids)
		return last;
	while (slot < last && ids[slot + 1] == ids[slot])
		slot++;
	return slot;
}

static bool node_has_tables(const struct vmt_node *node)
{
	return node->level > 0 && node_live(node) > 0;
}

static void ids_fill(uint32_t *ids, uint32_t id)
{
	uint64_t pair = (uint64_t)id << 32 | id;

	for (unsigned i = 0; i < FMT_SLOTS; i += 2)
		__builtin_memcpy(&ids[i], &pair, sizeof(pair));
}

// In an array that has just been made of one id: slots that hold tables name 0.
static void ids_name_nothing(struct txn *txn, struct vmt_node *node)
{
	unsigned entries = node_live(node), breaks = 0;
	uint32_t *ids = node->ids, before = node->id;

	for (unsigned i = 0; i < FMT_SLOTS && (entries || !before); i++) {
		uint64_t e = entry_load(node, i);

		entries -= e != 0;
		if (fmt_is_table(e, node->level))
			ids[i] = 0;
		breaks += i && ids[i] != before;
		before = ids[i];
	}
	node->breaks = (uint16_t)breaks;
	if (node->id & ID_COUNTED && !ids_contain(ids, node->id))
		id_unuse(txn, node->id); // it was named for slots that all hold tables by now
}

// Gives the node an array, out of the pool. The caller made sure that there is one.
static void ids_expand(struct txn *txn, struct vmt_node *node)
{
	struct vmt_cpu *cpu = this_cpu(txn->tree);
	uint32_t *ids = txn->pool.array[--txn->pool.arrays];

	if (!txn->pool.uniform || ids[0] != node->id)
		ids_fill(ids, node->id);
	txn->pool.uniform = false;
	node->ids = ids;
	node->breaks = 0;
	count_add(&cpu->count.array_bytes, (int64_t)ARRAY_BYTES);
	size_changed(txn->tree, cpu, SIZE_ARRAY_BYTES);
	if (node->id && node_has_tables(node))
		ids_name_nothing(txn, node);
}

// Back to one id. The array goes to the pool, or to the port when that is full.
static void ids_collapse(struct txn *txn, struct vmt_node *node)
{
	struct vmt_cpu *cpu = this_cpu(txn->tree);
	uint32_t *ids = node->ids;

	txn_note_peak(txn, SIZE_ARRAY_BYTES);
	node->id = ids[0];
	node->ids = NULL;
	count_add(&cpu->count.array_bytes, -(int64_t)ARRAY_BYTES);
	size_changed(txn->tree, cpu, SIZE_ARRAY_BYTES);
	if (txn->pool.arrays == POOL_MAX) {
		vmt_port_mem_free(txn->port, ids, ARRAY_BYTES);
		return;
	}
	txn->pool.array[txn->pool.arrays++] = ids;
	txn->pool.uniform = true;
}

static unsigned ids_differ(const uint32_t *ids, unsigned a, unsigned b)
{
	return b < FMT_SLOTS && ids[a] != ids[b];
}

// Writes [first, last], run by run of equal old ids, and returns the breaks that were inside.
static unsigned ids_write(struct txn *txn, uint32_t *ids, unsigned first, unsigned last, uint32_t id)
{
	unsigned breaks = 0;

	for (unsigned i = first; i <= last; breaks++) {
		uint32_t old = ids[i];

		do {
			ids[i++] = id;
		} while (i <= last && ids[i] == old);
		if (old & ID_COUNTED && old != id && !ids_contain(ids, old))
			id_unuse(txn, old);
	}
	return breaks - 1;
}

static void ids_set_counted(struct txn *txn, struct vmt_node *node, unsigned first, unsigned last, uint32_t id)
{
	uint32_t *ids = node->ids;
	unsigned breaks = node->breaks;

	if (id & ID_COUNTED && !ids_contain(ids, id))
		id_use(txn->tree->vmt, id);
	breaks -= (first && ids_differ(ids, first - 1, first)) + ids_differ(ids, last, last + 1);
	breaks -= ids_write(txn, ids, first, last, id);
	breaks += (first && ids_differ(ids, first - 1, first)) + ids_differ(ids, last, last + 1);
	node->breaks = (uint16_t)breaks;
}

// Writes from `first` on, as long as nothing counts what was there. Where it stopped.
static unsigned ids_set_plain(struct vmt_node *node, unsigned first, unsigned last, uint32_t id)
{
	uint32_t *ids = node->ids, before = ids[first ? first - 1 : 0], old = before;
	unsigned breaks = node->breaks, slot = first;

	for (; slot <= last && !(ids[slot] & ID_COUNTED); slot++) {
		breaks -= ids[slot] != old;
		old = ids[slot];
		ids[slot] = id;
	}
	if (slot > first && slot < FMT_SLOTS)
		breaks += (ids[slot] != id) - (ids[slot] != old);
	if (slot > first && first)
		breaks += before != id;
	node->breaks = (uint16_t)breaks;
	return slot;
}

// In the array.
static void ids_set_mixed(struct txn *txn, struct vmt_node *node, unsigned first, unsigned last, uint32_t id)
{
	if (!(id & ID_COUNTED))
		first = ids_set_plain(node, first, last, id);
	if (first <= last)
		ids_set_counted(txn, node, first, last, id);
	if (node->breaks == 0)
		ids_collapse(txn, node);
}

// Is there an array to be had if setting these slots takes one?
static bool ids_can_set(struct txn *txn, const struct vmt_node *node, unsigned first, unsigned last, uint32_t id)
{
	return node->ids || node->id == id || (first == 0 && last == FMT_SLOTS - 1) || txn->pool.arrays ||
	       pool_take_spare(txn->tree, &txn->pool);
}

// Pages of address space that have attributes where the slots with no table below have the one id.
static int64_t ids_mapped_as(const struct vmt_node *node, unsigned first, unsigned last, uint32_t id)
{
	int64_t slots = last - first + 1;

	if (!id || id == ID_CLAIM)
		return 0;
	for (unsigned i = first; node_has_tables(node) && i <= last; i++)
		slots -= slot_is_table(node, i);
	return slots << (FMT_INDEX_BITS * node->level);
}

// The same whatever ids they have.
static int64_t ids_mapped(const struct vmt_node *node, unsigned first, unsigned last)
{
	bool tables = node_has_tables(node);
	int64_t slots = 0;

	if (!node->ids)
		return ids_mapped_as(node, first, last, node->id);
	for (unsigned i = first; i <= last; i++) {
		uint32_t id = node->ids[i];

		slots += id && id != ID_CLAIM && !(tables && slot_is_table(node, i));
	}
	return slots << (FMT_INDEX_BITS * node->level);
}

// Searches that were told "no room here" may be wrong from now on. Relaxed: a hint. The chain of parents stands still:
// each of them has a table below, as long as `node` is held. Nothing is written that says so already.
static void ids_gap_changed(struct vmt_node *node)
{
	for (; node; node = node->parent)
		if (atomic_load_explicit(&node->gap, memory_order_relaxed) != GAP_UNKNOWN)
			atomic_store_explicit(&node->gap, GAP_UNKNOWN, memory_order_relaxed);
}

// Sets the ids of slots [first, last], which hold no tables, or are all. The node's exclusive lock is held; an array is
// in the pool if one is needed.
static void ids_set(struct txn *txn, struct vmt_node *node, unsigned first, unsigned last, uint32_t id)
{
	if (!node->ids) {
		if (node->id == id)
			return;
		if (first == 0 && last == FMT_SLOTS - 1) {
			uint32_t old = node->id;

			node_use_id(txn, id);
			node->id = id;
			node_unuse_id(txn, old);
			return;
		}
		ids_expand(txn, node);
	}
	ids_set_mixed(txn, node, first, last, id);
}

static void ids_set_between(struct txn *txn, struct vmt_node *node, unsigned first, unsigned last, uint32_t id)
{
	struct tables table = tables_begin(node, first, last);

	for (; first <= last; first = table.slot + 1, tables_next(&table))
		if (table.slot > first)
			ids_set(txn, node, first, table.slot - 1, id);
}

// The same for slots among which there may be tables: those are left out.
static inline void ids_set_bare(struct txn *txn, struct vmt_node *node, unsigned first, unsigned last, uint32_t id)
{
	if (!node_has_tables(node) || (first == 0 && last == FMT_SLOTS - 1))
		ids_set(txn, node, first, last, id);
	else
		ids_set_between(txn, node, first, last, id);
}

// The node names nothing any more; at the end of a space.
static void ids_drop(struct txn *txn, struct vmt_node *node)
{
	uint32_t *ids = node->ids;
	bool counted = false;

	for (unsigned i = 0; ids && i < FMT_SLOTS; i++)
		counted |= ids[i] >> 31;
	if (counted) {
		ids_set(txn, node, 0, FMT_SLOTS - 1, 0);
		return;
	}
	if (ids) {
		node->ids = NULL;
		count(txn->tree, array_bytes, -(int64_t)ARRAY_BYTES);
		vmt_port_mem_free(txn->port, ids, ARRAY_BYTES);
	} else {
		node_unuse_id(txn, node->id);
	}
	node->id = 0;
}

// A table was linked in `slot`: the node stops naming an id for it. Without this an object would live for as long as
// some table hangs where it was once mapped. Takes no array: one that is not there is not needed.
static void ids_unname(struct txn *txn, struct vmt_node *node, unsigned slot)
{
	if (node->ids) {
		ids_set_mixed(txn, node, slot, slot, 0);
		return;
	}
	if (!(node->id & ID_COUNTED) || node_live(node) < FMT_SLOTS)
		return;
	for (unsigned i = 0; i < FMT_SLOTS; i++)
		if (!slot_is_table(node, i))
			return; // a marker
	node_unuse_id(txn, node->id); // no slot without a table is left
	node->id = 0;
}

#endif

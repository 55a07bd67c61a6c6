// SPDX-License-Identifier: MIT
// What a move carries from one place to the other, both of them claimed (space/move.h): pages, tables, markers.
//
// Where a lowest table is to go to another place as a whole it is linked there. Otherwise entries go one by one, from
// one lowest table to one other at a time, both locked, the old place flushed before either is let go (races.md 7).
// A huge page is an entry of level 1. Markers over more than a page are not moved but made anew in the destination, and
// those in the source go when it loses its id.
//
// Going back takes no memory: a table that was linked elsewhere is linked where it was, and others are still there,
// since a claimed table is not folded (but for an empty one at the destination).
#ifndef VMT_SPACE_CARRY_H
#define VMT_SPACE_CARRY_H

struct move {
	struct vmt_space *space;
	struct txn *txn;
	uint64_t from, old_length, to, new_length;
	uint32_t id, new_id; // with a use each, if counted
	bool placed; // `to` was found
	bool relinks; // arrays for that are at hand
	bool back; // it is being taken back
	bool changed; // the source was something else by the time it was to be claimed
};

// Brings a table of `level` to `addr`, below `node`, which is held; each new table is held as well.
static struct vmt_node *move_split_down(struct txn *txn, struct vmt_node *node, uint64_t addr, unsigned level)
{
	while (node->level > level) {
		range_split(txn, node, fmt_index(addr, node->level), addr, addr + VMT_PAGE_SIZE - 1);
		node = txn->node[txn->held - 1];
	}
	return node;
}

// A stretch of entries on their way from one table of `level` to another, where nothing is.
struct piece {
	uint64_t from, to, length;
	unsigned level;
};

// Does the table hold nothing that has to be moved?
static bool move_piece_is_empty(const struct vmt_node *source, const struct piece *piece)
{
	unsigned first = fmt_index(piece->from, piece->level);

	if (source->level != piece->level || node_live(source) == 0)
		return true;
	for (unsigned slot = first; slot < first + (piece->length >> fmt_shift(piece->level)); slot++)
		if (entry_load(source, slot) && !slot_is_table(source, slot))
			return false;
	return true;
}

// Collects the flush for slots [first, end), of which CPUs or others may have translations.
static void move_flush(struct txn *txn, const struct vmt_node *source, unsigned first, unsigned end)
{
	if (first < end && HOLDS(FLUSH_MOVE))
		flush_add(&txn->batch.flush, slot_base(source, first),
			  slot_base(source, end - 1) + fmt_span(source->level));
}

static void move_entries(struct txn *txn, struct vmt_node *source, struct vmt_node *target, const struct piece *piece)
{
	unsigned a = fmt_index(piece->from, piece->level), end = a + (piece->length >> fmt_shift(piece->level));
	unsigned b = fmt_index(piece->to, piece->level), used = a; // since when all were used
	unsigned live = node_live(source), moved = 0;
	struct vmt_tree *tree = txn->tree;

	for (; a < end && moved < live; a++, b++) {
		uint64_t e = entry_load(source, a);

		if (e) {
			e = entry_displace(tree, source, a, 0);
			entry_publish(tree, target, b, e);
			moved++;
		}
		if (!entry_is_used(tree, e)) {
			move_flush(txn, source, used, a);
			used = a + 1;
		}
	}
	move_flush(txn, source, used, a);
	node_add_live(source, -(int)moved);
	node_add_live(target, (int)moved);
}

// Locks the nodes on the way to both places down to the piece's level.
static void move_lock(struct txn *txn, const struct piece *piece, struct vmt_node **source, struct vmt_node **target)
{
	bool up = piece->from < piece->to;
	uint64_t low = up ? piece->from : piece->to, high = up ? piece->to : piece->from;
	struct vmt_node *below, *above;

	txn_lock_gated(txn, low, high + piece->length - 1);
	below = txn_lock_path(txn, low, piece->level);
	above = txn_lock_path(txn, high, piece->level);
	*source = up ? below : above;
	*target = up ? above : below;
}

// Moves what lies in one table to where it fits in one other. `*stays`: a table hangs where a huge page was to go.
static enum vmt_status move_piece(struct move *move, const struct piece *piece, bool *stays)
{
	struct txn *txn = move->txn;

	for (;;) {
		struct vmt_node *source, *target;
		enum vmt_status status;
		unsigned need;
		bool empty;

		move_lock(txn, piece, &source, &target);
		empty = move_piece_is_empty(source, piece);
		*stays = target->level == piece->level && slot_is_table(target, fmt_index(piece->to, piece->level));
		need = empty || *stays ? 0 : target->level - piece->level;
		if (need <= txn->pool.tables) {
			if (!empty && !*stays)
				move_entries(txn, source, move_split_down(txn, target, piece->to, piece->level), piece);
			txn_commit(txn);
			return VMT_OK;
		}
		txn_abort(txn);
		status = pool_fill(txn->tree, &txn->pool, need, 0);
		if (status != VMT_OK)
			return status;
	}
}

// ---- Whole tables ------------------------------------------------------------------------------------------------
//
// A lowest table whose place is claimed as a whole, on both sides, is linked at its new place with all that is in it.
// Its node, both its parents and the gate are held. Who comes to it
//
//  - by a way that he has read before, and locks or pins it, compares its base under the lock (node_covers), and comes
//    back; both places are claimed until the ids are set, so that he waits there;
//  - without a lock, compares the tree's count of this before and after what he reads (tree_relinks);
//  - as hardware, is flushed before the table is linked again, intermediate entries too: nobody is led by the old place
//    to what others put into the table at its new one. Accessed and dirty bits need nothing, for the entries stay.
//
// Where a secondary does not answer the flush the table goes back to its slot, and its entries go to another one by
// one: it and what was in it then come into the quarantine. Not so where the move is taken back, for which there may be
// no memory for another table: then it is linked where it was. Who is lost may come to it by two ways; what it finds
// there goes into the quarantine when it leaves the space, as everything does while one is lost, and so does the table.

static void move_link(struct txn *txn, struct vmt_node *parent, unsigned slot, uint64_t e)
{
	entry_publish(txn->tree, parent, slot, e);
	node_add_live(parent, 1);
	ids_unname(txn, parent, slot);
}

// Links `node`, which is held with its parent, below `target`, which is held, at `to`. False: it stays, because of a
// secondary that is lost; with `back` it goes all the same.
static bool move_relink(struct txn *txn, struct vmt_node *node, struct vmt_node *target, uint64_t to, bool back)
{
	struct vmt_node *parent = node->parent;
	unsigned slot = fmt_index(node->base, parent->level);
	uint64_t e = entry_displace(txn->tree, parent, slot, 0);

	ids_set(txn, parent, slot, slot, node->id);
	node_add_live(parent, -1);
	if (HOLDS(FLUSH_MOVE)) {
		flush_add(&txn->batch.flush, node->base, node_end(node));
		txn->batch.flush.tables = HOLDS(FLUSH_TABLES);
	}
	batch_flush(&txn->batch);
	if ((txn->batch.unanswered || secondaries_lost(txn->tree)) && !back) {
		move_link(txn, parent, slot, e);
		return false;
	}
	// Release pairs with tree_relinks: after the old slot was cleared, and before anybody can write into the table
	// at its new place.
	atomic_fetch_add_explicit(&txn->tree->relinks, 1, memory_order_release);
	node->base = to;
	node->parent = target;
	move_link(txn, target, fmt_index(to, target->level), e);
	return true;
}

// Can the slot of the lowest table `node`, which is claimed as a whole, be left without it?
static bool move_can_unlink(struct txn *txn, const struct vmt_node *node)
{
	unsigned slot = fmt_index(node->base, 1);

	return !node->ids && node->id == ID_CLAIM && ids_can_set(txn, node->parent, slot, slot, ID_CLAIM);
}

// Is `source` a table that can be linked below `target`, or below a table made there, or in the place of `target`,
// which is empty? On the way back only what was linked elsewhere is: for others no arrays are at hand.
static bool move_is_table(struct txn *txn, const struct vmt_node *source, const struct vmt_node *target, uint64_t to,
			  bool back)
{
	if (source->level > 0 || node_live(source) == 0 || !move_can_unlink(txn, source))
		return false;
	if (target->level > 0)
		return !entry_load(target, fmt_index(to, target->level));
	return !back && node_live(target) == 0 && move_can_unlink(txn, target);
}

static bool move_whole(struct txn *txn, struct vmt_node *source, struct vmt_node *target, uint64_t to, bool back)
{
	struct vmt_node *parent = target->parent;

	if (target->level > 0)
		parent = move_split_down(txn, target, to, 1);
	else if (!fold_into(txn, parent, target))
		return false;
	return move_relink(txn, source, parent, to, back);
}

// Moves the lowest table that covers [from, from + its span) if there is one and nothing where it is to go.
static enum vmt_status move_table(struct move *move, uint64_t from, uint64_t to, bool *moved)
{
	struct piece piece = {.from = from, .to = to, .length = fmt_table_span(0)};
	struct txn *txn = move->txn;

	for (;;) {
		struct vmt_node *source, *target;
		enum vmt_status status;
		unsigned need;

		move_lock(txn, &piece, &source, &target);
		*moved = move_is_table(txn, source, target, to, move->back);
		need = *moved && target->level ? target->level - 1u : 0;
		if (need <= txn->pool.tables) {
			if (*moved)
				*moved = move_whole(txn, source, target, to, move->back);
			txn_commit(txn);
			return VMT_OK;
		}
		txn_abort(txn);
		status = pool_fill(txn->tree, &txn->pool, need, 0);
		if (status != VMT_OK)
			return status;
	}
}

// May both places, `rest` bytes of each, begin with a table that is moved as a whole?
static bool move_is_whole(uint64_t from, uint64_t to, uint64_t rest)
{
	return !((from | to) & (fmt_table_span(0) - 1)) && rest >= fmt_table_span(0);
}

// ---- Pages -------------------------------------------------------------------------------------------------------

// The rest of the two lowest tables.
static struct piece move_small(uint64_t from, uint64_t to, uint64_t rest)
{
	uint64_t span = fmt_table_span(0), a = span - from % span, b = span - to % span;
	uint64_t length = a < b ? a : b;

	return (struct piece){.from = from, .to = to, .length = length < rest ? length : rest};
}

static void split_nothing(struct txn *txn, struct vmt_node *node, unsigned first, unsigned last, void *arg)
{
	(void)txn, (void)node, (void)first, (void)last, (void)arg;
}

static bool split_all(struct txn *txn, const struct vmt_node *node, unsigned slot, void *arg)
{
	(void)txn, (void)arg;
	return entry_load(node, slot) != 0;
}

static const struct range_op move_split_op = {
	.slots = split_nothing,
	.splits = split_all,
};

// A huge page goes as it is where it can, and else is cut. `*done` is counted on by what was moved.
static enum vmt_status move_huge(struct move *move, const struct vmt_run *run, uint64_t *done)
{
	struct piece piece = {.from = run->start, .to = move->to + *done, .length = run->size, .level = 1};
	enum vmt_status status = VMT_OK;
	bool stays = true;

	if (run->size == fmt_span(1) && run->end - run->start >= run->size &&
	    !((run->start | piece.to) & (run->size - 1)))
		status = move_piece(move, &piece, &stays);
	if (status == VMT_OK && !stays)
		*done += run->size;
	else if (status == VMT_OK)
		status = range_run(move->txn, run->start, run->start + VMT_PAGE_SIZE - 1, &move_split_op, NULL, NULL);
	return status;
}

// A marker over more than a page is made anew, as large as it fits; the old one goes with the source.
static enum vmt_status move_marker(struct move *move, const struct vmt_run *run, uint64_t to)
{
	struct advise advise = {
		.claimed = true,
		.marker = fmt_make_marker((enum marker_kind)run->marker, run->payload),
	};
	struct range_op op = space_mark_op;

	op.inspect = NULL;
	op.sets = NULL; // the arrays at hand are for the end of the move
	return range_run(move->txn, to, to + (run->end - run->start) - 1, &op, &advise, NULL);
}

// Is it a marker that names pages of device memory? It is moved like a huge page.
static bool move_names_pages(const struct move *move, const struct vmt_run *run)
{
	return marker_counts(move->space->tree.vmt, fmt_make_marker((enum marker_kind)run->marker, run->payload));
}

// Is there a lowest table on the way to `*addr`? Then passes by what is empty from there on in it, with `whole` only if
// all of it is.
static bool move_finds_pages(struct vmt_tree *tree, uint64_t *addr, bool whole)
{
	struct vmt_node *node = look_pin(tree, *addr);
	bool lowest = node->level == 0;

	if (lowest && !(whole && node_live(node))) {
		unsigned slot = node_live(node) ? fmt_index(*addr, 0) : FMT_SLOTS;

		while (slot < FMT_SLOTS && !entry_load(node, slot))
			slot++;
		*addr = slot_base(node, slot);
	}
	look_unpin(tree, node);
	return lowest;
}

// What lies at `*done`, in a lowest table. `*done` is counted on by what was moved.
static enum vmt_status move_lowest(struct move *move, uint64_t length, bool whole, uint64_t *done)
{
	struct piece piece = move_small(move->from + *done, move->to + *done, length - *done);
	enum vmt_status status = VMT_OK;
	bool moved = false, stays;

	if (whole)
		status = move_table(move, piece.from, piece.to, &moved);
	if (status == VMT_OK && !moved)
		status = move_piece(move, &piece, &stays);
	*done += status == VMT_OK ? piece.length : 0;
	return status;
}

// What lies at `*done`, which is not in a lowest table. `*done` is counted on by what was moved.
static enum vmt_status move_large(struct move *move, uint64_t length, uint64_t *done)
{
	enum vmt_status status = VMT_OK;
	struct vmt_run run;

	look_piece(&move->space->tree, move->from + *done, move->from + length, &run);
	if (run.state != VMT_STATE_NONE && (!run.marker || move_names_pages(move, &run)))
		return move_huge(move, &run, done);
	if (run.state != VMT_STATE_NONE)
		status = move_marker(move, &run, move->to + *done);
	if (status == VMT_OK)
		*done += run.end - run.start;
	return status;
}

// Step 3. `*done`: how far it came.
static enum vmt_status move_pages(struct move *move, uint64_t length, uint64_t *done)
{
	enum vmt_status status = VMT_OK;

	for (*done = 0; status == VMT_OK && *done < length;) {
		uint64_t at = move->from + *done;
		bool whole = move->relinks && move_is_whole(at, move->to + *done, length - *done);

		if (!move_finds_pages(&move->space->tree, &at, whole))
			status = move_large(move, length, done);
		else if (at > move->from + *done)
			*done = at - move->from < length ? at - move->from : length;
		else
			status = move_lowest(move, length, whole, done);
	}
	return status;
}

// Everything goes back to where it came from: the source is empty there, but for large markers, which stayed.
static void move_pages_back(struct move *move, uint64_t done)
{
	struct vmt_run run;
	bool stays = false, moved = false;

	move->back = true;
	for (uint64_t at = 0; at < done;) {
		struct piece piece = move_small(move->to + at, move->from + at, done - at);

		if (move->relinks && move_is_whole(piece.from, piece.to, done - at) &&
		    move_table(move, piece.from, piece.to, &moved) == VMT_OK && moved) {
			at += piece.length;
			continue;
		}
		look_piece(&move->space->tree, move->from + at, move->from + done, &run);
		if (run.state != VMT_STATE_NONE) {
			at = run.end - move->from;
			continue;
		}
		look_piece(&move->space->tree, move->to + at, move->to + done, &run);
		if (run.state != VMT_STATE_NONE && run.size > VMT_PAGE_SIZE)
			piece = (struct piece){move->to + at, move->from + at, run.size, 1};
		if (move_piece(move, &piece, &stays) != VMT_OK || stays)
			vmt_port_fatal(move->space->tree.port, "vmtree: a move could not be taken back");
		at += piece.length;
	}
}

#endif

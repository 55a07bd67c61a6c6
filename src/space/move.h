// SPDX-License-Identifier: MIT
// Resizing and moving mappings.
//
// A move has to keep everybody else away from both places while entries go from one to the other. It claims them: ids
// become ID_CLAIM, pages stay. Whoever meets a claim (a fault, an unmap, another move) lets go of everything and comes
// back until it is gone. Then:
//
//  1. the destination is claimed: a free one in one step, a fixed one from the bottom up;
//  2. the source is claimed, if it is still what it was;
//  3. entries move, at most one lowest table to one other at a time, both locked, the old place flushed before either
//     is let go (races.md 7). No table is relinked, so an address never changes its table (races.md 3, 21);
//  4. the destination gets its id, the source loses its own.
//
// Nobody waits for a claim while it holds one, except in step 1, and there only for one at a higher address than those
// that it holds: no circle. The gate counts moves (tree/txn.h): a fork waits for them, and they for a fork, before
// step 1.
//
// Step 3 allocates; the arrays of step 4 were taken before step 1. Where a step fails, what was moved goes back:
// the source's tables are still there, since a claimed table is not folded, and nothing else is from here on, so that
// folding does not use up the arrays. Markers over more than a page are not moved but made anew in the destination, and
// those in the source go when it loses its id.
#ifndef VMT_SPACE_MOVE_H
#define VMT_SPACE_MOVE_H

#define MOVE_ARRAYS (2 * (FMT_TOP + 1))

struct move {
	struct vmt_space *space;
	struct txn *txn;
	uint64_t from, old_length, to, new_length;
	uint32_t id, new_id; // with a use each, if counted
	bool placed; // `to` was found
	bool changed; // the source was something else by the time it was to be claimed
};

// The id at `addr`, with a use if it is counted.
static uint32_t move_id_now(struct vmt_tree *tree, uint64_t addr)
{
	struct vmt_node *node = look_pin(tree, addr);
	uint32_t id = slot_id(node, fmt_index(addr, node->level));

	if (id & ID_COUNTED)
		id_use(tree->vmt, id);
	look_unpin(tree, node);
	return id;
}

// The same; another move that has claimed the address is waited for. Nothing is held or claimed.
static uint32_t move_id_at(struct vmt_tree *tree, uint64_t addr)
{
	uint32_t id;

	while ((id = move_id_now(tree, addr)) == ID_CLAIM)
		vmt_port_relax(tree->port, true);
	return id;
}

// Ids of a range, pages left where they are. With `expect`: only if that is what is there.
static enum vmt_status move_set_ids(struct move *move, uint64_t start, uint64_t length, const uint32_t *expect,
				    uint32_t id)
{
	struct assign assign = {.id = id, .keep_pages = true, .claim = expect, .expect = expect ? *expect : 0};
	uint64_t done, last = start + length - 1;
	enum vmt_status status = range_run(move->txn, start, last, &assign_op, &assign, &done);

	if (status == VMT_OK || !expect || done == start)
		return status;
	// The rest is something else by now: take it back. Its edges are there, so this needs no memory.
	assign = (struct assign){.id = *expect, .keep_pages = true};
	if (range_run(move->txn, start, done - 1, &assign_op, &assign, NULL) != VMT_OK)
		vmt_port_fatal(move->space->tree.port, "vmtree: a claim could not be taken back");
	return status;
}

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
		flush_add(&txn->batch.flush, slot_base(source, first), slot_base(source, end - 1) + fmt_span(source->level));
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
			e = entry_exchange(tree, source, a, 0);
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

// Is there a lowest table on the way to `*addr`? Then passes by what is empty from there on in it.
static bool move_finds_pages(struct vmt_tree *tree, uint64_t *addr)
{
	struct vmt_node *node = look_pin(tree, *addr);
	bool lowest = node->level == 0;

	if (lowest) {
		unsigned slot = node_live(node) ? fmt_index(*addr, 0) : FMT_SLOTS;

		while (slot < FMT_SLOTS && !entry_load(node, slot))
			slot++;
		*addr = slot_base(node, slot);
	}
	look_unpin(tree, node);
	return lowest;
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
	bool stays;

	for (*done = 0; status == VMT_OK && *done < length;) {
		uint64_t at = move->from + *done;

		if (!move_finds_pages(&move->space->tree, &at)) {
			status = move_large(move, length, done);
		} else if (at > move->from + *done) {
			*done = at - move->from < length ? at - move->from : length;
		} else {
			struct piece piece = move_small(at, move->to + *done, length - *done);

			status = move_piece(move, &piece, &stays);
			*done += status == VMT_OK ? piece.length : 0;
		}
	}
	return status;
}

// Everything goes back to where it came from: the source is empty there, but for large markers, which stayed.
static void move_pages_back(struct move *move, uint64_t done)
{
	struct vmt_run run;
	bool stays = false;

	for (uint64_t at = 0; at < done;) {
		struct piece piece = move_small(move->to + at, move->from + at, done - at);

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

// Gives up what is claimed in either place, arrays being at hand.
static void move_drop(struct move *move, uint64_t start, uint64_t length)
{
	struct assign assign = {0};

	if (!length)
		return;

	if (range_run(move->txn, start, start + length - 1, &assign_op, &assign, NULL) != VMT_OK)
		vmt_port_fatal(move->space->tree.port, "vmtree: a claimed range could not be given up");
}

// Step 1. Others' claims are waited for where the place is fixed, and passed by where it is not.
static enum vmt_status move_claim_target(struct move *move, uint32_t flags)
{
	struct vmt_map_request request = {.addr = move->to, .length = move->new_length};
	struct map map = {.space = move->space, .request = &request, .attr = ID_CLAIM, .txn = move->txn};
	enum vmt_status status;
	uint64_t done;

	if (!(flags & VMT_MOVE_FIXED)) {
		request.addr = 0;
		status = map_anywhere(&map, &move->to);
		move->placed = status == VMT_OK;
		return status;
	}
	move->placed = true;
	status = map_replace(&map, move->to, &done);
	if (status != VMT_OK) {
		move->txn->owns_claims = true;
		move_drop(move, move->to, done - move->to);
	}
	return status;
}

static void move_unclaim_source(struct move *move)
{
	uint32_t claim = ID_CLAIM;

	if (move_set_ids(move, move->from, move->old_length, &claim, move->id) != VMT_OK)
		vmt_port_fatal(move->space->tree.port, "vmtree: a move could not be taken back");
}

// Steps 2 and 3; nothing is changed on a failure.
static enum vmt_status move_source(struct move *move)
{
	enum vmt_status status = move_set_ids(move, move->from, move->old_length, &move->id, ID_CLAIM);
	uint64_t pages = move->old_length < move->new_length ? move->old_length : move->new_length, done = 0;

	move->changed = status == VMT_ERR_EXISTS;
	if (status != VMT_OK)
		return status;
	status = pool_fill(&move->space->tree, &move->txn->pool, 0, MOVE_ARRAYS);
	if (status == VMT_OK)
		status = move_pages(move, pages, &done);
	if (status != VMT_OK) {
		if (HOLDS(MOVE_UNDONE))
			move_pages_back(move, done);
		move_unclaim_source(move);
	}
	return status;
}

// Steps 1 to 4. Pages beyond new_length stay behind and go with the source.
static enum vmt_status move_steps(struct move *move, uint32_t flags)
{
	struct vmt_tree *tree = &move->space->tree;
	enum vmt_status status = pool_fill(tree, &move->txn->pool, 0, MOVE_ARRAYS);
	uint32_t claim = ID_CLAIM;

	if (status == VMT_OK)
		status = move_claim_target(move, flags);
	if (status != VMT_OK)
		return status;
	move->txn->owns_claims = true;
	status = pool_fill(tree, &move->txn->pool, 0, MOVE_ARRAYS);
	if (status == VMT_OK)
		status = id_change(tree->vmt, move->id, attr_of(tree->vmt, move->id), move->to - move->from,
				   &move->new_id);
	if (status != VMT_OK) {
		move_drop(move, move->to, move->new_length);
		return status;
	}
	status = move_source(move);
	if (status == VMT_OK &&
	    move_set_ids(move, move->to, move->new_length, &claim, move->new_id) != VMT_OK)
		vmt_port_fatal(tree->port, "vmtree: a claimed range was taken away");
	if (status == VMT_OK)
		move_drop(move, move->from, move->old_length);
	else
		move_drop(move, move->to, move->new_length);
	node_unuse_id(move->txn, move->new_id);
	return status;
}

static void move_begin(struct vmt_tree *tree)
{
	uint32_t gate = tree_gate(tree);

	for (;;) {
		// Acquire pairs with the release of the fork that opened the gate.
		if (!(gate & (GATE_FORK | GATE_WAIT)) &&
		    atomic_compare_exchange_weak_explicit(&tree->gate, &gate, gate + GATE_MOVE, memory_order_acquire,
							  memory_order_relaxed))
			return;
		vmt_port_relax(tree->port, true);
		gate = tree_gate(tree);
	}
}

static enum vmt_status move_run(struct move *move, uint32_t flags)
{
	struct vmt_tree *tree = &move->space->tree;
	enum vmt_status status;

	move_begin(tree);
	move->txn->fold = false;
	status = move_steps(move, flags);
	move->txn->fold = true;
	move->txn->owns_claims = false;
	txn_fold_later(move->txn, move->from, move->from + move->old_length - 1);
	if (move->placed)
		txn_fold_later(move->txn, move->to, move->to + move->new_length - 1);
	// Release pairs with the acquire in fork_close_gate: no claim is left.
	atomic_fetch_sub_explicit(&tree->gate, GATE_MOVE, memory_order_release);
	return status;
}

// ---- The request -------------------------------------------------------------------------------------------------

// Checks that [addr, addr + length) lies in one area. `*ends`: it does not go on behind.
static enum vmt_status move_area(struct vmt_space *space, uint64_t addr, uint64_t length, bool *ends)
{
	struct vmt_area area;
	enum vmt_status status = vmt_area_within(space, addr, addr + length + VMT_PAGE_SIZE, &area);

	if (status != VMT_OK)
		return status;
	*ends = area.end == addr + length;
	return area.start == addr && area.end - addr >= length ? VMT_OK : VMT_ERR_UNMAPPED;
}

// old_length 0: the same pages of a shared object a second time.
static enum vmt_status move_duplicate(struct vmt_space *space, uint64_t addr, uint64_t length, uint32_t flags,
				      uint64_t new_addr, uint64_t *result)
{
	struct vmt_map_request request;
	struct vmt_area area;
	enum vmt_status status = vmt_area_get(space, addr, &area);

	if (status != VMT_OK)
		return status;
	request = (struct vmt_map_request){
		.addr = flags & VMT_MOVE_FIXED ? new_addr : 0,
		.length = length,
		.prot = area.prot,
		.prot_max = area.prot_max,
		.flags = area.flags | (flags & VMT_MOVE_FIXED ? VMT_MAP_FIXED : 0),
		.tag = area.tag,
		.object = area.object,
		.offset = area.offset + (addr - area.start),
	};
	if (area.start > addr)
		status = VMT_ERR_UNMAPPED;
	else if (!(area.flags & VMT_MAP_SHARED) || !(flags & VMT_MOVE_MAY_MOVE))
		status = VMT_ERR_ARGUMENT;
	else
		status = vmt_map(space, &request, result);
	if (area.object)
		vmt_object_put(area.object);
	return status;
}

static enum vmt_status move_check(const struct vmt_space *space, uint64_t addr, uint64_t old_length,
				  uint64_t new_length, uint32_t flags, uint64_t new_addr)
{
	enum vmt_status status = range_check(space, addr, old_length ? old_length : VMT_PAGE_SIZE);

	if (status != VMT_OK)
		return status;
	if ((new_length | (flags & VMT_MOVE_FIXED ? new_addr : 0)) & VMT_PAGE_MASK)
		return VMT_ERR_UNALIGNED;
	if (!new_length)
		return VMT_ERR_EMPTY;
	if (flags & ~(uint32_t)(VMT_MOVE_MAY_MOVE | VMT_MOVE_FIXED) ||
	    (flags & VMT_MOVE_FIXED && !(flags & VMT_MOVE_MAY_MOVE)))
		return VMT_ERR_ARGUMENT;
	if (!(flags & VMT_MOVE_FIXED))
		return VMT_OK;
	status = range_check(space, new_addr, new_length);
	if (status == VMT_OK && new_addr < addr + old_length && addr < new_addr + new_length)
		return VMT_ERR_ARGUMENT; // they overlap
	return status;
}

static enum vmt_status move_resize(struct move *move, uint32_t flags, bool ends)
{
	uint64_t end = move->from + move->old_length, grow = move->new_length - move->old_length;
	enum vmt_status status;

	if (!(flags & VMT_MOVE_FIXED) && move->new_length == move->old_length) {
		move->to = move->from;
		return VMT_OK;
	}
	if (!(flags & VMT_MOVE_FIXED) && ends) {
		status = range_check(move->space, end, grow) == VMT_OK ?
				 assign_claim(move->space, move->txn, end, grow, 0, move->id, true) :
				 VMT_ERR_EXISTS;
		move->to = move->from;
		if (status != VMT_ERR_EXISTS)
			return status;
	}
	return flags & VMT_MOVE_MAY_MOVE ? move_run(move, flags) : VMT_ERR_EXISTS;
}

// The move of pages, or the change of length, by what is there now.
static enum vmt_status move_try(struct move *move, uint32_t flags)
{
	struct vmt_tree *tree = &move->space->tree;
	bool ends;
	enum vmt_status status = move_area(move->space, move->from, move->old_length, &ends);

	if (status != VMT_OK)
		return status;
	move->id = move_id_at(tree, move->from);
	status = id_is_mapped(move->id) ? move_resize(move, flags, ends) : VMT_ERR_UNMAPPED;
	node_unuse_id(move->txn, move->id);
	return status;
}

enum vmt_status vmt_move(struct vmt_space *space, uint64_t addr, uint64_t old_length, uint64_t new_length,
			 uint32_t flags, uint64_t new_addr, uint64_t *result)
{
	enum vmt_status status = move_check(space, addr, old_length, new_length, flags, new_addr);
	struct move move = {
		.space = space, .from = addr, .old_length = old_length, .to = new_addr, .new_length = new_length,
	};
	struct watch source, target = {0};
	struct txn txn;
	bool ends;

	if (status != VMT_OK)
		return status;
	if (!old_length)
		return move_duplicate(space, addr, new_length, flags, new_addr, result);
	if (new_length < old_length && !(flags & VMT_MOVE_FIXED)) {
		status = move_area(space, addr, old_length, &ends);
		if (status == VMT_OK)
			*result = addr;
		return status == VMT_OK ? vmt_unmap(space, addr + new_length, old_length - new_length) : status;
	}
	tree_note_peaks(&space->tree);
	change_begin(&source, &txn, space, addr, old_length, VMT_REASON_UNMAP);
	if (flags & VMT_MOVE_FIXED) // elsewhere nothing is there that could change
		watch_begin(&target, space, new_addr, new_length, VMT_REASON_UNMAP);
	move.txn = &txn;
	// Another move may have been faster with the source. Whether it takes it away or gives it back is waited for in
	// the next round, where nothing is claimed. A fixed destination was emptied and given back by then, and may be
	// somebody else's: that move has failed.
	do {
		move.changed = false;
		status = move_try(&move, flags);
	} while (move.changed && !(flags & VMT_MOVE_FIXED));
	if (move.changed)
		status = VMT_ERR_UNMAPPED;
	watch_end(&target, &txn.batch);
	status = change_end(&source, &txn, status);
	if (status == VMT_OK || status == VMT_ERR_DEVICE) {
		*result = move.to;
		secondaries_filled(space, move.to, move.to + (old_length < new_length ? old_length : new_length),
				   VMT_SECONDARIES, NULL);
	}
	return status;
}

#endif

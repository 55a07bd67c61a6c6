// SPDX-License-Identifier: MIT
// Resizing and moving mappings.
//
// A move has to keep everybody else away from both places while entries go from one to the other. It claims them: ids
// become ID_CLAIM, pages stay. Whoever meets a claim (a fault, an unmap, another move) lets go of everything and comes
// back until it is gone. Then:
//
//  1. the destination is claimed: a free one in one step, a fixed one from the bottom up;
//  2. the source is claimed, if it is still what it was;
//  3. what is there moves (space/carry.h), the old place flushed before anything is let go (races.md 7);
//  4. the destination gets its id, the source loses its own.
//
// Nobody waits for a claim while it holds one, except in step 1, and there only for one at a higher address than those
// that it holds: no circle. The gate counts moves (tree/txn.h): a fork waits for them, and they for a fork, before
// step 1.
//
// Step 3 allocates; the arrays of step 4 were taken before step 1. Where a step fails, what was moved goes back.
// Nothing is folded from step 1 on, so that folding does not use up the arrays.
#ifndef VMT_SPACE_MOVE_H
#define VMT_SPACE_MOVE_H

#define MOVE_ARRAYS (2 * (FMT_TOP + 1))
// A parent that is claimed in part may take an array for the slot that a table has left, one at each end of either
// place (of the source on the way there, of the destination on the way back).
#define MOVE_EDGES 4

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
	// Where there are no more, entries go one by one.
	move->relinks = status == VMT_OK && pages >= fmt_table_span(0) &&
			!((move->from ^ move->to) & (fmt_table_span(0) - 1)) &&
			pool_fill(&move->space->tree, &move->txn->pool, 0, MOVE_ARRAYS + MOVE_EDGES) == VMT_OK;
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

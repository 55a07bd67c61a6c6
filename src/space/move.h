// SPDX-License-Identifier: MIT
// Resizing and moving mappings.
//
// A move has to keep faults away from both places while entries go from one to the other. It claims them: ids become
// ID_CLAIM, on which faults are refused as if nothing were mapped (a program that touches a mapping while it moves it
// cannot expect more), pages stay. Then:
//
//  1. the destination is claimed, in one step;
//  2. the source is claimed;
//  3. entries move, at most one lowest table to one other at a time, both locked, the old place flushed before either
//     is let go (races.md 7). No table is relinked, so an address never changes its table (races.md 3, 21);
//  4. the destination gets its id, the source loses its own.
//
// Only step 3 allocates; the arrays of step 4 were taken before step 1. Where step 3 fails, what was moved goes back:
// the source's tables are still there, since a claimed table is not folded.
#ifndef VMT_SPACE_MOVE_H
#define VMT_SPACE_MOVE_H

#define MOVE_ARRAYS (2 * (FMT_TOP + 1))

struct move {
	struct vmt_space *space;
	struct txn *txn;
	uint64_t from, old_length, to, new_length;
	uint32_t id, new_id; // with a use each, if counted
};

// The id at `addr`, with a use if it is counted.
static uint32_t move_id_at(struct vmt_tree *tree, uint64_t addr)
{
	struct vmt_node *node = look_pin(tree, addr);
	uint32_t id = slot_id(node, fmt_index(addr, node->level));

	if (id & ID_COUNTED)
		id_use(tree->vmt, id);
	look_unpin(tree, node);
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

// Brings a table of level 0 to `addr`, below `node`, which is held; each new table is held as well.
static struct vmt_node *move_split_down(struct txn *txn, struct vmt_node *node, uint64_t addr)
{
	while (node->level > 0) {
		range_split(txn, node, fmt_index(addr, node->level));
		node = txn->node[txn->held - 1];
	}
	return node;
}

static void move_entry(struct txn *txn, struct vmt_node *from, unsigned a, struct vmt_node *to, unsigned b)
{
	uint64_t addr = slot_base(from, a), e = entry_load(from, a);

	if (!e || !fmt_holds_frame(e, 0))
		return;
	e = entry_exchange(txn->tree, from, a, 0);
	if (fmt_is_present(e))
		flush_add(&txn->batch.flush, addr, addr + VMT_PAGE_SIZE);
	node_add_live(from, -1);
	entry_publish(txn->tree, to, b, e);
	node_add_live(to, 1);
}

// Moves the pages of [from, from + length), which lies in one lowest table, to `to`, likewise.
static enum vmt_status move_piece(struct move *move, uint64_t from, uint64_t to, uint64_t length)
{
	struct txn *txn = move->txn;
	uint64_t low = from < to ? from : to, high = from < to ? to : from;

	for (;;) {
		struct vmt_node *below, *above, *source, *target;
		enum vmt_status status;
		unsigned need;

		txn_lock_gated(txn, low, high + length - 1);
		below = txn_lock_path(txn, low);
		above = txn_lock_path(txn, high);
		source = from < to ? below : above;
		target = from < to ? above : below;
		need = source->level == 0 ? target->level : 0;
		if (need <= txn->pool.tables) {
			if (source->level == 0) {
				target = move_split_down(txn, target, to);
				for (uint64_t at = 0; at < length; at += VMT_PAGE_SIZE)
					move_entry(txn, source, fmt_index(from + at, 0), target, fmt_index(to + at, 0));
			}
			txn_commit(txn);
			return VMT_OK;
		}
		txn_abort(txn);
		status = pool_fill(txn->tree, &txn->pool, need, 0);
		if (status != VMT_OK)
			return status;
	}
}

static uint64_t move_piece_length(uint64_t from, uint64_t to, uint64_t rest)
{
	uint64_t span = fmt_table_span(0), a = span - from % span, b = span - to % span;
	uint64_t length = a < b ? a : b;

	return length < rest ? length : rest;
}

static enum vmt_status move_guard(struct move *move, uint64_t to, uint64_t length)
{
	struct advise advise = {.claimed = true};
	struct range_op op = guard_op;

	op.inspect = NULL;
	return range_run(move->txn, to, to + length - 1, &op, &advise, NULL);
}

// Step 3. `*done`: how far it came.
static enum vmt_status move_pages(struct move *move, uint64_t length, uint64_t *done)
{
	enum vmt_status status = VMT_OK;

	for (*done = 0; status == VMT_OK && *done < length;) {
		uint64_t from = move->from + *done, piece;
		struct vmt_run run;

		status = vmt_walk(move->space, from, move->from + length, &run);
		if (status != VMT_OK)
			break;
		piece = run.end - from;
		if (run.state == VMT_STATE_GUARD) {
			status = move_guard(move, move->to + *done, piece);
		} else if (run.state != VMT_STATE_NONE) {
			piece = move_piece_length(from, move->to + *done, piece); // a guard may follow
			status = move_piece(move, from, move->to + *done, piece);
		}
		if (status == VMT_OK)
			*done += piece;
	}
	return status;
}

static void move_pages_back(struct move *move, uint64_t done)
{
	for (uint64_t at = 0; at < done;) {
		uint64_t piece = move_piece_length(move->from + at, move->to + at, done - at);

		if (move_piece(move, move->to + at, move->from + at, piece) != VMT_OK)
			vmt_port_fatal(move->space->tree.port, "vmtree: a move could not be taken back");
		at += piece;
	}
}

// Unmaps a range of either place, arrays being at hand.
static void move_drop(struct move *move, uint64_t start, uint64_t length)
{
	struct assign assign = {0};

	if (range_run(move->txn, start, start + length - 1, &assign_op, &assign, NULL) != VMT_OK)
		vmt_port_fatal(move->space->tree.port, "vmtree: a claimed range could not be given up");
}

static enum vmt_status move_claim_target(struct move *move, uint32_t flags)
{
	struct vmt_map_request request = {.addr = move->to, .length = move->new_length};
	struct map map = {.space = move->space, .request = &request, .attr = ID_CLAIM, .txn = move->txn};

	if (flags & VMT_MOVE_FIXED)
		return map_replace(&map, move->to);
	request.addr = 0;
	return map_anywhere(&map, &move->to);
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
	uint64_t done = 0;

	if (status != VMT_OK)
		return status == VMT_ERR_EXISTS ? VMT_ERR_UNMAPPED : status; // it changed under our hands
	status = pool_fill(&move->space->tree, &move->txn->pool, 0, MOVE_ARRAYS);
	if (status == VMT_OK)
		status = move_pages(move, move->old_length, &done);
	if (status != VMT_OK) {
		move_pages_back(move, done);
		move_unclaim_source(move);
	}
	return status;
}

// Steps 1 to 4, with old_length <= new_length.
static enum vmt_status move_run(struct move *move, uint32_t flags)
{
	struct vmt_tree *tree = &move->space->tree;
	enum vmt_status status = pool_fill(tree, &move->txn->pool, 0, MOVE_ARRAYS);
	uint32_t claim = ID_CLAIM;

	if (status == VMT_OK)
		status = move_claim_target(move, flags);
	if (status != VMT_OK)
		return status;
	status = id_change(tree->vmt, move->id, attr_of(tree->vmt, move->id), move->to - move->from, &move->new_id);
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

// ---- The request -------------------------------------------------------------------------------------------------

// Checks that [addr, addr + length) lies in one area, and returns its end.
static enum vmt_status move_area(struct vmt_space *space, uint64_t addr, uint64_t length, struct vmt_area *area)
{
	enum vmt_status status = vmt_area_find(space, addr, area);

	if (status != VMT_OK)
		return status;
	return area->start <= addr && area->end - addr >= length ? VMT_OK : VMT_ERR_UNMAPPED;
}

// old_length 0: the same pages of a shared object a second time.
static enum vmt_status move_duplicate(struct vmt_space *space, uint64_t addr, uint64_t length, uint32_t flags,
				      uint64_t new_addr, uint64_t *result)
{
	struct vmt_map_request request;
	struct vmt_area area;
	enum vmt_status status = move_area(space, addr, VMT_PAGE_SIZE, &area);

	if (status != VMT_OK)
		return status;
	if (!(area.flags & VMT_MAP_SHARED) || !(flags & VMT_MOVE_MAY_MOVE))
		return VMT_ERR_ARGUMENT;
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
	return vmt_map(space, &request, result);
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

static enum vmt_status move_resize(struct move *move, uint32_t flags, const struct vmt_area *area)
{
	uint64_t end = move->from + move->old_length, grow = move->new_length - move->old_length;
	enum vmt_status status;

	if (!(flags & VMT_MOVE_FIXED) && move->new_length == move->old_length) {
		move->to = move->from;
		return VMT_OK;
	}
	if (!(flags & VMT_MOVE_FIXED) && area->end == end) {
		status = range_check(move->space, end, grow) == VMT_OK ?
				 assign_claim(move->space, move->txn, end, grow, 0, move->id) :
				 VMT_ERR_EXISTS;
		move->to = move->from;
		if (status != VMT_ERR_EXISTS)
			return status;
	}
	return flags & VMT_MOVE_MAY_MOVE ? move_run(move, flags) : VMT_ERR_EXISTS;
}

enum vmt_status vmt_move(struct vmt_space *space, uint64_t addr, uint64_t old_length, uint64_t new_length,
			 uint32_t flags, uint64_t new_addr, uint64_t *result)
{
	enum vmt_status status = move_check(space, addr, old_length, new_length, flags, new_addr);
	struct move move = {.space = space, .from = addr, .to = new_addr, .new_length = new_length};
	struct vmt_area area;
	struct txn txn;

	if (status != VMT_OK)
		return status;
	if (!old_length)
		return move_duplicate(space, addr, new_length, flags, new_addr, result);
	status = move_area(space, addr, old_length, &area);
	if (status == VMT_OK && new_length < old_length) {
		status = vmt_unmap(space, addr + new_length, old_length - new_length);
		old_length = new_length;
		area.end = addr + new_length;
	}
	if (status != VMT_OK)
		return status;
	tree_note_peaks(&space->tree);
	move.old_length = old_length;
	txn_init(&txn, &space->tree);
	move.txn = &txn;
	move.id = move_id_at(&space->tree, addr);
	status = id_is_mapped(move.id) ? move_resize(&move, flags, &area) : VMT_ERR_UNMAPPED;
	node_unuse_id(&txn, move.id);
	txn_finish(&txn);
	if (status == VMT_OK)
		*result = move.to;
	return status;
}

// ---- Stacks ------------------------------------------------------------------------------------------------------

// Is something with permissions mapped in [start, end)?
static bool grow_is_near(struct vmt_space *space, uint64_t start, uint64_t end)
{
	struct vmt_area area;

	while (start < end && vmt_area_find(space, start, &area) == VMT_OK && area.start < end) {
		if (area.prot)
			return true;
		start = area.end;
	}
	return false;
}

enum vmt_status vmt_grow_down(struct vmt_space *space, uint64_t addr, uint64_t max_length, uint64_t gap)
{
	uint64_t page = addr & ~VMT_PAGE_MASK, low;
	enum vmt_status status;
	struct vmt_area area;
	struct txn txn;
	uint32_t id;

	if (addr_check(space, addr) != VMT_OK || vmt_area_find(space, addr, &area) != VMT_OK)
		return VMT_ERR_UNMAPPED;
	if (area.start <= page)
		return VMT_OK; // another CPU was faster
	if (!(area.flags & VMT_MAP_GROWS_DOWN) || area.end - page > max_length)
		return VMT_ERR_UNMAPPED;
	low = page - space->tree.start > gap ? page - gap : space->tree.start;
	if (grow_is_near(space, low, page))
		return VMT_ERR_UNMAPPED;
	id = move_id_at(&space->tree, area.start);
	if (!id_is_private_anon(id) || !(id & ATTR_GROWS_DOWN))
		return VMT_ERR_RETRY; // it has just changed
	txn_init(&txn, &space->tree);
	status = assign_claim(space, &txn, page, area.start - page, 0, id);
	txn_finish(&txn);
	return status == VMT_ERR_EXISTS ? VMT_ERR_RETRY : status;
}

#endif

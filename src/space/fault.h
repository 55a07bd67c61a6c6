// SPDX-License-Identifier: MIT
// Faults: the one slow path by which a page comes into an entry.
//
// A fault locks one node: the lowest table that exists on the way to its address. It allocates before that, by what a
// look without locks suggests, and if it guessed wrong, lets go, allocates and looks again. Two faults on one page: one
// installs, the other finds the page there (races.md 16).
//
// Copy-on-write copies while the node's lock is held. Nobody writes the source meanwhile: every entry that holds a page
// more than one of them hold is read-only, and was flushed when it became so (space/fork.h; races.md 20).
#ifndef VMT_SPACE_FAULT_H
#define VMT_SPACE_FAULT_H

#define FAULT_ROUNDS 1000

struct fault {
	struct txn txn;
	struct vmt_tree *tree;
	uint64_t addr;
	vmt_prot access;
	bool unshare;			// make a private page the mapping's own, whatever the access
	bool populate;			// unshare where the mapping is writable
	bool major;
	bool claimed;			// the last look met a claim
	// The object page at hand, with a reference; VMT_NO_FRAME: none. And, with a reference, the object that it was
	// found in without a lock, as its page `index`; NULL: it was found under the lock.
	struct vmt_object *object;
	uint64_t index, pa;
	// What the last look was short of. want_object carries a reference.
	bool want_zero, want_copy, want_huge;
	bool no_huge;			// there was no memory for one
	bool want_fold, folded;		// an empty table hangs where a huge page fits; it was looked for
	bool met_marker;		// one that a handler is to see
	struct vmt_marker_fault marker;
	unsigned want_tables;
	struct vmt_object *want_object;
	uint64_t want_index;
	uint64_t got;			// with `take`: the page that was resolved, one reference more
	enum { TAKE_NOTHING, TAKE_REF, TAKE_PIN } take;
	uint64_t filled;		// bytes of the entry that came to allow more; 0: none did
	// Of a secondary; NULL: a CPU's.
	const struct vmt_secondary_request *request;
	struct secondary *secondary;
	unsigned id;
	uint32_t attr_id;		// of the address, at the last look
	uint64_t granted;		// where what was handed out ends
	bool stay;			// the page is not to be moved or copied to the secondary's memory (any more)
	bool want_return;		// from device memory
	bool want_move, want_copied;	// there; see grant.h
};

// What a secondary is handed of the leaf that its fault has found or made; above (space/grant.h). `node` NULL: the leaf
// is not in its place yet. VMT_ERR_RETRY: after something that fault_provide does, or when the leaf is in its place.
static enum vmt_status grant_leaf(struct fault *fault, struct vmt_node *node, unsigned slot, uint64_t leaf,
				  unsigned level);
static enum vmt_status grant_device(struct fault *fault, const struct vmt_node *node, uint64_t e);
static enum vmt_status grant_provide(struct fault *fault);

// Allocates what the fault will probably need. Without locks: a guess, and no harm if there is no memory for it.
static void fault_guess(struct fault *fault)
{
	struct vmt_tree *tree = fault->tree;
	bool write = fault->access == VMT_WRITE || fault->unshare || fault->populate;
	unsigned level;
	uint64_t e;

	vmt_port_read_enter(tree->port);
	{
		struct vmt_node *node = tree_descend(tree, fault->addr, fault->addr);

		level = node->level;
		e = entry_load_acquire(node, fmt_index(fault->addr, level));
	}
	vmt_port_read_exit(tree->port);
	if (level > 0 && pool_fill(tree, &fault->txn.pool, level, 0) != VMT_OK)
		return;
	if (write && (!e || level > 0))
		pool_fill_page(tree, &fault->txn.pool, true);
}

static void fault_drop_object(struct fault *fault)
{
	if (fault->pa != VMT_NO_FRAME)
		frame_unref(fault->tree->port, fault->pa);
	fault->pa = VMT_NO_FRAME;
	if (fault->object)
		vmt_object_unref(fault->object);
	fault->object = NULL;
}

// Asks the embedder about a marker. Nothing is held, so by now it may be gone; the handler compares.
static enum vmt_status fault_handle_marker(struct fault *fault)
{
	return fault->tree->space->config.marker_ops->fault(fault->tree->space, &fault->marker);
}

// Provides what fault_look asked for. Nothing is held.
static enum vmt_status fault_provide(struct fault *fault)
{
	struct pool *pool = &fault->txn.pool;
	enum vmt_status status = VMT_OK;

	if (fault->want_object) {
		fault_drop_object(fault);
		fault->object = fault->want_object;
		fault->index = fault->want_index;
		fault->want_object = NULL;
		status = object_page(fault->object, fault->index, true, true, &fault->pa, &fault->major);
		if (status != VMT_OK)
			fault->pa = VMT_NO_FRAME;
		if (status == VMT_ERR_NOT_PRESENT) { // it is being cut, or was: the next look says what that means
			object_wait_cut(fault->object);
			status = VMT_OK;
		}
	}
	if (fault->want_fold) {
		uint64_t base = fault->addr & ~(fmt_table_span(0) - 1);

		tree_fold(fault->tree, base, base + fmt_table_span(0) - 1);
		fault->folded = true;
	}
	if (fault->want_huge)
		fault->no_huge = !pool_fill_huge(fault->tree, pool);
	if (fault->met_marker)
		status = fault_handle_marker(fault);
	if (fault->want_return | fault->want_move | fault->want_copied)
		status = grant_provide(fault);
	if (status == VMT_OK && fault->want_tables)
		status = pool_fill(fault->tree, pool, fault->want_tables, 0);
	if (status == VMT_OK && (fault->want_zero || fault->want_copy))
		status = pool_fill_page(fault->tree, pool, fault->want_zero);
	fault->want_tables = 0;
	fault->want_zero = fault->want_copy = fault->want_huge = fault->want_fold = fault->met_marker = false;
	return status;
}

static void fault_copy(struct fault *fault, uint64_t to, uint64_t from)
{
	__builtin_memcpy(vmt_port_frame_ptr(fault->tree->port, to), vmt_port_frame_ptr(fault->tree->port, from),
			 VMT_PAGE_SIZE);
}

// Gives the caller his reference on the page behind `leaf`, and a secondary the translation. The lock is held of the
// node that the leaf is in, or with `node` NULL will be linked to: before the entry of a new table can be reached by
// others, so that whoever takes the page out again flushes afterwards.
static enum vmt_status fault_take_for(struct fault *fault, struct vmt_node *node, unsigned slot, uint64_t leaf,
				      unsigned level)
{
	struct vmt_data *data;

	fault->got = leaf_page(leaf, level, fault->addr);
	data = data_of_frame(fault->tree->port, fault->got);
	if (fault->request)
		return grant_leaf(fault, node, slot, leaf, level);
	if (fault->take == TAKE_NOTHING || !data)
		return VMT_OK;
	// Relaxed: the entry's own reference keeps the page while its lock is held.
	atomic_fetch_add_explicit(&data->refs, 1, memory_order_relaxed);
	if (fault->take == TAKE_PIN)
		atomic_fetch_add_explicit(&data->pins, 1, memory_order_relaxed);
	return VMT_OK;
}

static inline enum vmt_status fault_take(struct fault *fault, struct vmt_node *node, unsigned slot, uint64_t leaf,
					 unsigned level)
{
	if (!fault->request && fault->take == TAKE_NOTHING) // a CPU's fault
		return VMT_OK;
	return fault_take_for(fault, node, slot, leaf, level);
}

// ---- A page is there ---------------------------------------------------------------------------------------------

// The entry allows the access already: another CPU was faster, the hardware wants a bit set, or this CPU's TLB is old.
static enum vmt_status fault_spurious(struct fault *fault, struct vmt_node *node, unsigned slot, uint64_t e)
{
	bool write = fault->access == VMT_WRITE || (!fault->access && fmt_prot(e) & VMT_WRITE);
	uint64_t next;

	do {
		next = write ? fmt_set_dirty(e) : fmt_set_accessed(e);
		// Acquire-release as in entry_exchange.
	} while (next != e && !atomic_compare_exchange_weak_explicit(&node->table[slot], &e, next, memory_order_acq_rel,
								     memory_order_relaxed));
	if (fault->request)
		return HOLDS(SPURIOUS_GRANTS) ? fault_take(fault, node, slot, next, node->level) : VMT_OK;
	if (FMT_SPURIOUS_FLUSH && HOLDS(FLUSH_OWN))
		flush_own_page(fault->tree, fault->addr);
	count(fault->tree, faults_spurious, 1);
	return fault_take(fault, node, slot, next, node->level);
}

// Clear, flush, set (R19): between the flush and the new entry the slot says "busy", so lock-free readers retry.
static void fault_replace(struct fault *fault, struct vmt_node *node, unsigned slot, uint64_t leaf)
{
	leaf_clear(&fault->txn, node, slot, fmt_make_marker(MARKER_BUSY, 0));
	if (HOLDS(FLUSH_COPY))
		batch_flush(&fault->txn.batch);
	entry_publish(fault->tree, node, slot, leaf);
	count_resident(fault->tree, fmt_pa(leaf), 1);
	fault->filled = VMT_PAGE_SIZE;
}

// A page that was hidden from CPUs while these may use it: somebody has it for himself, or it is on its way to a
// device. Now it is taken back, and the fault looks again.
static enum vmt_status fault_unpark(struct fault *fault, struct vmt_node *node, unsigned slot, uint64_t e,
				    uint32_t attr)
{
	struct vmt_tree *tree = fault->tree;
	uint64_t pa = fmt_parked_pa(e);
	bool write = attr_prot(attr) & VMT_WRITE && e & MARKER_DIRTY && leaf_is_exclusive(tree, pa, node->level);

	// One that does not answer may go on with the page, which is none the worse for being the program's as well.
	leaf_before_more(&fault->txn, node, slot, e, write);
	entry_publish(tree, node, slot, leaf_unparked(tree, e, node->level, attr, write));
	fault->filled = fmt_span(node->level);
	return VMT_ERR_RETRY;
}

// A page of a huge leaf is to be copied: the leaf is cut, and the fault looks again.
static enum vmt_status fault_split(struct fault *fault, struct vmt_node *node, unsigned slot)
{
	uint64_t page = fault->addr & ~VMT_PAGE_MASK;

	if (fault->txn.pool.tables)
		range_split(&fault->txn, node, slot, page, page + VMT_PAGE_SIZE - 1);
	else
		fault->want_tables = 1;
	return VMT_ERR_RETRY;
}

static enum vmt_status fault_write_present(struct fault *fault, struct vmt_node *node, unsigned slot, uint64_t e,
					   uint32_t attr)
{
	struct vmt_tree *tree = fault->tree;
	uint64_t pa = fmt_pa(e), copy;
	bool write = attr_prot(attr) & VMT_WRITE;
	struct vmt_data *data;

	// What may be written already is the mapping's own, whatever references others have on it for the moment:
	// to copy it now would lose what other CPUs write to it meanwhile (races.md 20).
	if (fmt_prot(e) & VMT_WRITE)
		return fault_spurious(fault, node, slot, e);
	if (attr & ATTR_SHARED || leaf_is_exclusive(tree, pa, node->level)) {
		if (!write)
			return fault_spurious(fault, node, slot, e);
		data = data_of_frame(tree->port, pa);
		if (data && node->level == 0) // written again: it is not to be taken any more
			atomic_fetch_and_explicit(&data->flags, ~VMT_FRAME_LAZY, memory_order_relaxed);
		leaf_before_more(&fault->txn, node, slot, e, true);
		// More permissions of the same frame: nothing to flush. Exchange: the hardware may set accessed.
		entry_exchange(tree, node, slot, leaf_make(tree, pa, node->level, attr, true));
		if (FMT_SPURIOUS_FLUSH && !fault->request)
			flush_own_page(tree, fault->addr);
		count(fault->tree, faults_cow_reuse, 1);
		fault->filled = fmt_span(node->level);
		return fault_take(fault, node, slot, entry_load(node, slot), node->level);
	}
	if (node->level > 0)
		return fault_split(fault, node, slot);
	if (fault->txn.pool.page == VMT_NO_FRAME) {
		fault->want_copy = pa != tree->vmt->zero_pa;
		fault->want_zero = !fault->want_copy;
		return VMT_ERR_RETRY;
	}
	if (pa != tree->vmt->zero_pa)
		fault_copy(fault, fault->txn.pool.page, pa);
	else if (!fault->txn.pool.page_zeroed)
		memset(vmt_port_frame_ptr(tree->port, fault->txn.pool.page), 0, VMT_PAGE_SIZE);
	copy = pool_take_page(tree, &fault->txn.pool, 0);
	fault_replace(fault, node, slot, leaf_make(tree, copy, 0, attr, write));
	count(fault->tree, faults_cow_copy, 1);
	return fault_take(fault, node, slot, entry_load(node, slot), 0);
}

// ---- Nothing is there --------------------------------------------------------------------------------------------

// Takes the page that the object has, if it has one. The node's lock is held and the node names the backing, which
// keeps the object: so no reference on it is counted, which all faults on one file would write. The page is in the
// object after its reference was taken (radix_get), as object_has asks of one that was found without the lock; a cut
// that takes it out later is followed by a release of the mappings, which waits for the lock.
static bool fault_page_at_hand(struct fault *fault, struct vmt_object *object, uint64_t index)
{
	_Atomic(uint64_t) *word = radix_word(object, index, false);
	uint64_t pa = word ? radix_get(object, word) : VMT_NO_FRAME;

	if (pa == VMT_NO_FRAME)
		return false;
	if (fault->pa != VMT_NO_FRAME) // of an earlier look
		frame_unref(fault->tree->port, fault->pa);
	fault->pa = pa;
	return true;
}

// The object's page for this address, if it is at hand; otherwise asks for it.
static enum vmt_status fault_object_page(struct fault *fault, const struct backing *backing)
{
	uint64_t page = fault->addr & ~VMT_PAGE_MASK, index = (page - backing->base) >> VMT_PAGE_SHIFT;

	if (!object_reaches(backing->object, index))
		return VMT_ERR_BUS;
	if (fault->object == backing->object && fault->index == index && fault->pa != VMT_NO_FRAME &&
	    (object_has(fault->object, index, fault->pa) || !HOLDS(PAGE_OF_OBJECT)))
		return VMT_OK;
	if (fault_page_at_hand(fault, backing->object, index))
		return VMT_OK;
	vmt_object_ref(backing->object);
	fault->want_object = backing->object;
	fault->want_index = index;
	return VMT_ERR_RETRY;
}

// Maps a page, or with `level` 1 a huge one.
static enum vmt_status fault_install(struct fault *fault, struct vmt_node *node, uint64_t pa, unsigned level,
				     uint32_t attr, bool write)
{
	uint64_t leaf = leaf_make(fault->tree, pa, level, attr, write);
	enum vmt_status status = VMT_OK;

	if (HOLDS(REFERENCE_FIRST)) // while the entry's own reference is still in our hands
		status = fault_take(fault, NULL, 0, leaf, level);
	leaf_install(&fault->txn, node, fault->addr, leaf, level);
	fault->filled = fmt_span(level);
	return HOLDS(REFERENCE_FIRST) ? status : fault_take(fault, NULL, 0, leaf, level);
}

static enum vmt_status fault_empty_object(struct fault *fault, struct vmt_node *node, uint32_t id, uint32_t attr)
{
	bool own = !(attr & ATTR_SHARED) && (fault->access == VMT_WRITE || fault->unshare);
	enum vmt_status status = fault_object_page(fault, backing_of(fault->tree->vmt, id));
	uint64_t pa = fault->pa;

	if (status != VMT_OK)
		return status;
	if (own && fault->txn.pool.page == VMT_NO_FRAME) {
		fault->want_copy = true;
		return VMT_ERR_RETRY;
	}
	if (own) {
		fault_copy(fault, fault->txn.pool.page, pa);
		pa = pool_take_page(fault->tree, &fault->txn.pool, 0);
		count(fault->tree, faults_object_private, 1);
		return fault_install(fault, node, pa, 0, attr, attr_prot(attr) & VMT_WRITE);
	}
	fault->pa = VMT_NO_FRAME; // our reference becomes the entry's
	if (attr & ATTR_SHARED)
		count(fault->tree, faults_object_shared, 1);
	else
		count(fault->tree, faults_object_private, 1);
	return fault_install(fault, node, pa, 0, attr, attr & ATTR_SHARED && attr_prot(attr) & VMT_WRITE);
}

// Is a huge page to come where nothing is? (Where no table hangs below the entry its whole span has these attributes.)
static bool fault_wants_huge(const struct fault *fault, uint32_t attr)
{
	return attr & ATTR_HUGE && (fault->access == VMT_WRITE || fault->unshare) && !fault->no_huge &&
	       FMT_LEAF_LEVELS > 1;
}

static enum vmt_status fault_empty_huge(struct fault *fault, struct vmt_node *node, uint32_t attr)
{
	if (fault->txn.pool.huge == VMT_NO_FRAME) {
		fault->want_huge = true;
		return VMT_ERR_RETRY;
	}
	count(fault->tree, faults_write_zero, 1);
	return fault_install(fault, node, pool_take_huge(fault->tree, &fault->txn.pool), 1, attr,
			     attr_prot(attr) & VMT_WRITE);
}

static enum vmt_status fault_empty_anon(struct fault *fault, struct vmt_node *node, uint32_t attr)
{
	struct vmt_tree *tree = fault->tree;

	if (fault->access != VMT_WRITE && !fault->unshare) {
		count(fault->tree, faults_read_zero, 1);
		return fault_install(fault, node, tree->vmt->zero_pa, 0, attr, false);
	}
	if (fault_wants_huge(fault, attr)) {
		if (node->level > 0)
			return fault_empty_huge(fault, node, attr);
		fault->want_fold = node_is_empty(node) && !fault->folded;
		if (fault->want_fold) // some CPU keeps it
			return VMT_ERR_RETRY;
	}
	if (fault->txn.pool.page == VMT_NO_FRAME || !fault->txn.pool.page_zeroed) {
		fault->want_zero = true;
		return VMT_ERR_RETRY;
	}
	count(fault->tree, faults_write_zero, 1);
	return fault_install(fault, node, pool_take_page(tree, &fault->txn.pool, 0), 0, attr,
			     attr_prot(attr) & VMT_WRITE);
}

static enum vmt_status fault_marker(struct fault *fault, const struct vmt_node *node, uint64_t e)
{
	const struct vmt_marker_ops *ops = fault->tree->space->config.marker_ops;

	if (fmt_kind(e) == MARKER_BUSY)
		vmt_port_fatal(fault->tree->port, "vmtree: a fault met an entry that nobody leaves behind");
	if (device_frame_of(fault->tree->vmt, e))
		return grant_device(fault, node, e);
	if (!ops || !ops->fault)
		return fmt_kind(e) == MARKER_GUARD  ? VMT_ERR_GUARD :
		       fmt_kind(e) == MARKER_POISON ? VMT_ERR_POISON :
						      VMT_ERR_MARKER;
	fault->met_marker = true;
	fault->marker = (struct vmt_marker_fault){
		.addr = fault->addr & ~VMT_PAGE_MASK,
		.access = fault->access,
		.kind = (enum vmt_marker)fmt_kind(e),
		.payload = fmt_payload(e),
	};
	return VMT_ERR_RETRY;
}

// ---- The whole ---------------------------------------------------------------------------------------------------

// For a secondary that takes only what is there as it is.
static enum vmt_status fault_look_present(struct fault *fault, struct vmt_node *node, unsigned slot, uint64_t e)
{
	if (fmt_is_present(e) && (fault->access != VMT_WRITE || fmt_prot(e) & VMT_WRITE))
		return fault_spurious(fault, node, slot, e);
	if (!fmt_is_present(e) && device_frame_of(fault->tree->vmt, e))
		return grant_device(fault, node, e);
	return VMT_ERR_NOT_PRESENT;
}

// The node's lock is held. VMT_ERR_RETRY: short of something that fault_provide can get.
static enum vmt_status fault_look(struct fault *fault, struct vmt_node *node)
{
	unsigned slot = fmt_index(fault->addr, node->level);
	uint64_t e = entry_load(node, slot);
	uint32_t id = slot_id(node, slot), attr;
	unsigned tables;

	fault->claimed = id == ID_CLAIM && HOLDS(CLAIM_FAULTS);
	if (!id_is_mapped(id))
		return VMT_ERR_UNMAPPED;
	fault->attr_id = id;
	attr = attr_of(fault->tree->vmt, id);
	if (!attr_allows(attr, fault->access ? fault->access : VMT_READ))
		return VMT_ERR_ACCESS;
	if (fault->request && fault->request->flags & VMT_GRANT_PRESENT)
		return fault_look_present(fault, node, slot, e);
	if (fault->populate)
		fault->unshare = !(attr & ATTR_SHARED) && attr_prot(attr) & VMT_WRITE;
	if (fmt_is_present(e)) {
		if (fault->access == VMT_WRITE || fault->unshare)
			return fault_write_present(fault, node, slot, e, attr);
		return fault_spurious(fault, node, slot, e);
	}
	if (e && fmt_kind(e) == MARKER_PARKED)
		return fault_unpark(fault, node, slot, e, attr);
	if (e && HOLDS(MARKER_NOT_EMPTY))
		return fault_marker(fault, node, e);
	tables = node->level > 0 && fault_wants_huge(fault, attr) ? node->level - 1u : node->level;
	if (tables > fault->txn.pool.tables) {
		fault->want_tables = tables;
		return VMT_ERR_RETRY;
	}
	return id & ID_COUNTED ? fault_empty_object(fault, node, id, attr) : fault_empty_anon(fault, node, attr);
}

static enum vmt_status fault_run(struct fault *fault)
{
	uint64_t page = fault->addr & ~VMT_PAGE_MASK;
	enum vmt_status status = VMT_OK;

	if (!fault->request || !(fault->request->flags & VMT_GRANT_PRESENT))
		fault_guess(fault);
	for (unsigned round = 0; status == VMT_OK && round < FAULT_ROUNDS; round++) {
		txn_lock(&fault->txn, page, page + VMT_PAGE_SIZE - 1);
		status = fault_look(fault, txn_lowest(&fault->txn));
		if (fault->claimed) { // a move is under way here: what it leaves behind is what counts
			txn_commit(&fault->txn);
			vmt_port_relax(fault->tree->port, true);
			status = VMT_OK;
			round--;
			continue;
		}
		if (status != VMT_OK && status != VMT_ERR_RETRY)
			count(fault->tree, faults_refused, 1);
		txn_commit(&fault->txn);
		if (status != VMT_ERR_RETRY)
			return status;
		status = fault_provide(fault);
	}
	return status == VMT_OK ? VMT_ERR_RETRY : status;
}

static void fault_init(struct fault *fault, struct vmt_space *space, uint64_t addr, vmt_prot access)
{
	txn_init(&fault->txn, &space->tree);
	fault->txn.batch.reason = VMT_REASON_REPLACE;
	fault->tree = &space->tree;
	fault->addr = addr;
	fault->access = access;
	fault->unshare = fault->populate = fault->major = false;
	fault->object = fault->want_object = NULL;
	fault->pa = fault->got = VMT_NO_FRAME;
	fault->want_zero = fault->want_copy = fault->want_huge = fault->want_fold = fault->met_marker = false;
	fault->no_huge = fault->folded = false;
	fault->want_tables = 0;
	fault->take = TAKE_NOTHING;
	fault->request = NULL;
	fault->secondary = NULL;
	fault->filled = 0;
	fault->stay = fault->want_return = fault->want_move = fault->want_copied = false;
}

static void fault_finish(struct fault *fault)
{
	uint64_t addr = fault->addr;

	fault_drop_object(fault);
	txn_finish(&fault->txn);
	addr &= fault->filled ? ~(fault->filled - 1) : ~UINT64_C(0);
	// A secondary whose own fault this is knows of what it was handed, but not of what else was cut for it.
	if (fault->filled || fault->txn.batch.told_end)
		secondaries_filled(fault->tree->space, addr, addr + fault->filled,
				   fault->request && !fault->txn.batch.told_end ? fault->id : VMT_SECONDARIES,
				   &fault->txn.batch);
}

enum vmt_status vmt_fault(struct vmt_space *space, uint64_t addr, vmt_prot access, struct vmt_fault_info *info)
{
	enum vmt_status status = addr_check(space, addr);
	struct fault fault;

	if (status != VMT_OK)
		return VMT_ERR_UNMAPPED;
	if (access != VMT_READ && access != VMT_WRITE && access != VMT_EXEC)
		return VMT_ERR_ARGUMENT;
	fault_init(&fault, space, addr, access);
	status = fault_run(&fault);
	if (info)
		info->major = fault.major;
	fault_finish(&fault);
	return status;
}

enum vmt_status vmt_populate(struct vmt_space *space, uint64_t addr, uint64_t length, uint64_t *done)
{
	enum vmt_status status = range_check(space, addr, length);
	uint64_t at = addr;

	while (status == VMT_OK && at < addr + length) {
		struct fault fault;

		fault_init(&fault, space, at, VMT_READ);
		fault.populate = true;
		status = fault_run(&fault);
		fault_finish(&fault);
		if (status == VMT_OK)
			at += VMT_PAGE_SIZE;
	}
	if (done)
		*done = at - addr;
	return status;
}

#endif

// SPDX-License-Identifier: MIT
// The page-table layer on its own: vmtree/tree.h. Leaves name memory of the caller's, which is neither counted nor
// freed.
#ifndef VMT_TREE_ALONE_H
#define VMT_TREE_ALONE_H

// A tree with the part of a machine that it needs. There are no ids (all are 0), no backings and no zero page.
struct alone {
	struct vmt_tree tree;
	struct vmt machine;
	unsigned cpus;
	struct vmt_cpu cpu[];
};

static size_t alone_bytes(unsigned cpus)
{
	return sizeof(struct alone) + cpus * sizeof(struct vmt_cpu);
}

static enum vmt_status alone_check(const struct vmt_tree *tree, uint64_t addr, uint64_t length)
{
	if ((addr | length) & VMT_PAGE_MASK)
		return VMT_ERR_UNALIGNED;
	if (!length)
		return VMT_ERR_EMPTY;
	if (addr + length < addr)
		return VMT_ERR_WRAPPED;
	if (addr < tree->start || addr + length > tree->end)
		return VMT_ERR_OUTSIDE;
	return VMT_OK;
}

// What an operation says in the end: VMT_ERR_DEVICE if it was done and the config's flush was not.
static inline enum vmt_status alone_end(struct txn *txn, enum vmt_status status)
{
	txn_finish(txn);
	return status == VMT_OK && txn->batch.unanswered ? VMT_ERR_DEVICE : status;
}

uint64_t vmt_tree_leaf_sizes(void)
{
	return fmt_leaf_sizes() | FMT_RUN_SIZES;
}

// The sizes of leaves for what a config says, or 0: a page must be among them, and below a leaf on its own all smaller
// ones, for it may be cut.
static uint64_t alone_sizes(uint64_t wanted)
{
	uint64_t single = fmt_leaf_sizes(), below = single & wanted;

	if (!wanted)
		return single | (FMT_RUN_SIZES & ~FMT_RUN_SIZES_OPTIONAL);
	for (unsigned level = 1; level < FMT_LEAF_LEVELS && level <= FMT_TOP; level++)
		if (below & fmt_span(level) && !(below & fmt_span(level - 1)))
			return 0;
	return wanted & VMT_PAGE_SIZE && !(wanted & ~vmt_tree_leaf_sizes()) ? wanted : 0;
}

enum vmt_status vmt_tree_create(void *port, const struct vmt_tree_config *config, struct vmt_tree **result)
{
	struct vmt_tree *tree;
	struct alone *alone;
	uint64_t root;

	if ((config->start | config->end) & VMT_PAGE_MASK)
		return VMT_ERR_UNALIGNED;
	if (config->start >= config->end)
		return VMT_ERR_EMPTY;
	if (config->end > fmt_end_max())
		return VMT_ERR_OUTSIDE;
	if (config->cpus == 0 || config->cpus > VMT_MAX_CPUS)
		return VMT_ERR_ARGUMENT;
	if (!alone_sizes(config->leaf_sizes))
		return VMT_ERR_SIZE;
	alone = vmt_port_mem_alloc(port, alone_bytes(config->cpus));
	if (!alone)
		return VMT_ERR_NO_MEMORY;
	root = vmt_port_frame_alloc(port, VMT_PAGE_SIZE, true);
	if (root == VMT_NO_FRAME) {
		vmt_port_mem_free(port, alone, alone_bytes(config->cpus));
		return VMT_ERR_NO_MEMORY;
	}
	memset(alone, 0, alone_bytes(config->cpus));
	alone->machine.port = port;
	alone->machine.cpus = alone->cpus = config->cpus;
	alone->machine.zero_pa = VMT_NO_FRAME;
	tree = &alone->tree;
	tree->vmt = &alone->machine;
	tree->port = port;
	tree->owner = config->owner;
	tree->flush = config->flush;
	alone->machine.quarantine.frames = VMT_NO_FRAME;
	alone->machine.quarantine.lost = 1; // what a flush that failed was for stays until the end
	tree->start = config->start;
	tree->end = config->end;
	tree->user = config->user;
	tree->leaf_sizes = alone_sizes(config->leaf_sizes);
	tree->untracked = true;
	tree->cpu = alone->cpu;
	tree->root = node_of_table(port, root);
	tree->root_pa = root;
	vmt_port_preempt_off(port);
	node_init(tree, tree->root, root, FMT_TOP, 0);
	vmt_port_preempt_on(port);
	*result = tree;
	return VMT_OK;
}

// Frees the tables below a node that nobody can reach.
static void alone_free_below(struct vmt_tree *tree, struct vmt_node *node, unsigned first, unsigned last)
{
	for (unsigned slot = first; node->level > 0 && slot <= last; slot++) {
		uint64_t e = entry_load(node, slot);

		if (!fmt_is_table(e, node->level))
			continue;
		alone_free_below(tree, node_of_table(tree->port, fmt_pa(e)), 0, FMT_SLOTS - 1);
		vmt_port_frame_free(tree->port, fmt_pa(e), VMT_PAGE_SIZE);
	}
}

void vmt_tree_destroy(struct vmt_tree *tree)
{
	struct alone *alone = (struct alone *)tree;
	void *port = tree->port;

	quarantine_end(&alone->machine);
	alone_free_below(tree, tree->root, fmt_index(tree->start, FMT_TOP), fmt_index(tree->end - 1, FMT_TOP));
	vmt_port_frame_free(port, tree->root_pa, VMT_PAGE_SIZE);
	vmt_port_mem_free(port, alone, alone_bytes(alone->cpus));
}

uint64_t vmt_tree_root(const struct vmt_tree *tree)
{
	return tree->root_pa;
}

uint64_t vmt_tree_tables(struct vmt_tree *tree)
{
	return (uint64_t)(counted(tree, tables_allocated) - counted(tree, tables_freed));
}

// ---- Map: the installing walk ------------------------------------------------------------------------------------

struct install {
	struct vmt_tree *tree;
	uint64_t addr, last, pa;	// what is still to be mapped, inclusive
	vmt_prot prot;			// with the kind of memory: FMT_MEMORY_SHIFT
	uint64_t sizes;			// of the leaves that may be used, as vmt_tree::leaf_sizes
	unsigned level_max;		// of those on their own
	unsigned tables;		// what the last step took from the pool; the next one may take one too
	bool folded;			// an empty table that hung in the way was looked for already
};

// The level of the largest leaf that begins at the address and fits.
static inline unsigned install_level(const struct install *install)
{
	unsigned level = install->level_max;

	while (level > 0 && ((install->addr | install->pa) & (fmt_span(level) - 1) ||
			     install->last - install->addr < fmt_span(level) - 1))
		level--;
	return level;
}

// The last address of the run of leaves of `level` that one table can hold.
static uint64_t install_last(const struct install *install, unsigned level)
{
	uint64_t end = (install->addr | (fmt_table_span(level) - 1)) + 1;
	uint64_t whole = (install->last + 1) & ~(fmt_span(level) - 1);

	return (end < whole ? end : whole) - 1;
}

// How many slots from `slot` to `end` are empty before the first that is not.
static unsigned install_room(const struct vmt_node *node, unsigned slot, unsigned end)
{
	unsigned first = slot;

	if (node_live(node) == 0)
		return end - slot + 1;
	for (; slot + 3 <= end; slot += 4)
		if (entry_load(node, slot) | entry_load(node, slot + 1) | entry_load(node, slot + 2) |
		    entry_load(node, slot + 3))
			break;
	while (slot <= end && !entry_load(node, slot))
		slot++;
	return slot - first;
}

// Of `n` leaves from `slot` on, which ones become runs: [*first, *end). The address and the memory have to be aligned
// alike.
static void install_runs(const struct install *install, unsigned level, unsigned slot, unsigned n, unsigned *first,
			 unsigned *end)
{
	unsigned run = run_slots(level);
	uint64_t size = (uint64_t)run << fmt_shift(level), at = (uint64_t)slot << fmt_shift(level);

	*first = (slot + run - 1) & ~(run - 1);
	*end = (slot + n) & ~(run - 1);
	if (run == 1 || !(install->sizes & size) || ((at ^ install->pa) & (size - 1)))
		*end = 0;
}

// Writes `n` leaves from `slot` on; those slots are empty, or nobody has read them yet.
static inline void install_fill(const struct install *install, struct vmt_node *node, unsigned slot, unsigned n)
{
	bool user = install->tree->user;
	unsigned level = node->level, run_first, run_end;
	uint64_t e = fmt_make_leaf(install->pa, level, install->prot, user);
	// Where the address is one field of a leaf, leaves of neighbouring frames are a constant apart.
	uint64_t step = n == 1 ? 0 : fmt_make_leaf(fmt_span(level), level, install->prot, user) -
					     fmt_make_leaf(0, level, install->prot, user);

	install_runs(install, level, slot, n, &run_first, &run_end);
	for (unsigned i = slot; i < slot + n; i++, e += step) {
		if (FMT_PA_SCATTERED)
			e = fmt_make_leaf(install->pa + ((uint64_t)(i - slot) << fmt_shift(level)), level,
					  install->prot, user);
		// Release pairs with entry_load_acquire: what the caller wrote to the memory behind the leaf comes
		// before a device or a look-up can reach it.
		atomic_store_explicit(&node->table[i], FMT_RUN_SIZES && i >= run_first && i < run_end ?
							       fmt_make_run(e, level) : e,
				      memory_order_release);
	}
	vmt_port_publish(install->tree->port, &node->table[slot], n);
	node_add_live(node, (int)n);
}

// Puts tables between `node` and `level`, fills the lowest, and links the chain by one store. The lowest one is the
// pool's page, which is not zeroed, if leaves fill it.
static void install_chain(struct install *install, struct txn *txn, struct vmt_node *node, unsigned level,
			  unsigned first, unsigned n)
{
	unsigned top_slot = fmt_index(install->addr, node->level), slot = top_slot;
	struct vmt_node *at = node;
	uint64_t entry = 0;

	while (at->level > level) {
		bool whole = at->level == level + 1 && n == FMT_SLOTS;
		uint64_t pa = whole ? txn->pool.page : txn->pool.table[--txn->pool.tables];
		struct vmt_node *below = node_new_at(txn, at, slot, pa);

		if (whole)
			txn->pool.page = VMT_NO_FRAME;
		if (at == node) {
			entry = fmt_make_table(pa, at->level);
		} else {
			atomic_store_explicit(&at->table[slot], fmt_make_table(pa, at->level),
					      memory_order_relaxed);
			vmt_port_publish(txn->port, &at->table[slot], 1);
			node_add_live(at, 1);
		}
		at = below;
		slot = fmt_index(install->addr, at->level);
	}
	install_fill(install, at, first, n);
	entry_publish(txn->tree, node, top_slot, entry);
	node_add_live(node, 1);
}

// Makes sure of `tables` tables, the last of which will be filled whole or not. Nothing is held.
static enum vmt_status install_provide(const struct install *install, struct txn *txn, unsigned tables, bool whole)
{
	enum vmt_status status = pool_fill(install->tree, &txn->pool, tables - whole, 0);

	return status == VMT_OK && whole ? pool_fill_page(install->tree, &txn->pool, false) : status;
}

static bool install_provided(const struct txn *txn, unsigned tables, bool whole)
{
	return txn->pool.tables >= tables - whole && (!whole || txn->pool.page != VMT_NO_FRAME);
}

// One run of leaves in one table. VMT_ERR_RETRY: memory was short, and has been provided.
static inline enum vmt_status install_step(struct install *install, struct txn *txn)
{
	unsigned level = install_level(install), first, room, wanted, tables;
	uint64_t last = install_last(install, level);
	enum vmt_status status;
	struct vmt_node *node;

	txn_lock_gated(txn, install->addr, last);
	node = txn_lock_path(txn, install->addr, 0);
	if (node->level < level && !install->folded) {
		txn_abort(txn);
		// Some CPU may keep an empty table where a large leaf fits.
		tree_fold(install->tree, install->addr, last);
		install->folded = true;
		return VMT_ERR_RETRY;
	}
	if (node->level < level) { // smaller tables hang here: fill what is missing in them
		level = node->level;
		last = install_last(install, level);
	}
	first = fmt_index(install->addr, level);
	room = wanted = fmt_index(last, level) - first + 1;
	tables = install->tables = node->level - level;
	if (tables && entry_load(node, fmt_index(install->addr, node->level))) {
		room = 0; // a larger leaf or a marker
	} else if (tables && !install_provided(txn, tables, wanted == FMT_SLOTS)) {
		txn_abort(txn);
		status = install_provide(install, txn, tables, wanted == FMT_SLOTS);
		return status == VMT_OK ? VMT_ERR_RETRY : status;
	} else if (tables) {
		install_chain(install, txn, node, level, first, wanted);
	} else if ((room = install_room(node, first, first + wanted - 1))) {
		install_fill(install, node, first, room);
	}
	// A table in the way of a run of large leaves is not an obstacle: the next step fills what is missing in it.
	status = room == wanted || (room && !tables && slot_is_table(node, first + room)) ? VMT_OK : VMT_ERR_EXISTS;
	txn_commit(txn);
	install->addr += (uint64_t)room << fmt_shift(level);
	install->pa += (uint64_t)room << fmt_shift(level);
	install->folded = false;
	return status;
}

static unsigned install_level_max(uint64_t sizes)
{
	unsigned level = 0;

	while (level + 1 < FMT_LEAF_LEVELS && level < FMT_TOP && sizes & fmt_span(level + 1))
		level++;
	return level;
}

// Of a tree's sizes those up to `leaf_max`, 0: all.
static uint64_t install_sizes(const struct vmt_tree *tree, uint64_t leaf_max)
{
	while (leaf_max & (leaf_max - 1)) // down to a power of two
		leaf_max &= leaf_max - 1;
	return leaf_max ? tree->leaf_sizes & (leaf_max | (leaf_max - 1)) : tree->leaf_sizes;
}

// Does a leaf keep every bit of these addresses? A format puts each bit where it goes whatever the others are, so that
// one look is enough for all, and what it has no place for does not come back.
static bool install_can_name(uint64_t first, uint64_t last)
{
	return fmt_pa(fmt_make_leaf(first | last, 0, VMT_READ, false)) == (first | last);
}

// Checks a request and turns it into what is to be done.
static inline enum vmt_status install_begin(struct install *install, struct vmt_tree *tree,
					    const struct vmt_tree_map *map)
{
	enum vmt_status status = alone_check(tree, map->addr, map->length | (map->pa & VMT_PAGE_MASK));

	if (status != VMT_OK)
		return status;
	if (map->pa + map->length < map->pa)
		return VMT_ERR_WRAPPED;
	if (map->leaf_max && map->leaf_max < VMT_PAGE_SIZE)
		return VMT_ERR_SIZE;
	if (!map->prot || map->prot & ~(vmt_prot)VMT_RWX || (unsigned)map->memory > VMT_MEMORY_DEVICE ||
	    !(FMT_MEMORY_TYPES >> map->memory & 1) || !install_can_name(map->pa, map->pa + map->length - VMT_PAGE_SIZE))
		return VMT_ERR_ARGUMENT;
	*install = (struct install){
		.tree = tree, .addr = map->addr, .last = map->addr + map->length - 1, .pa = map->pa,
		.prot = map->prot | (vmt_prot)map->memory << FMT_MEMORY_SHIFT,
		.sizes = install_sizes(tree, map->leaf_max),
	};
	install->level_max = install_level_max(install->sizes);
	return VMT_OK;
}

enum vmt_status vmt_tree_map(struct vmt_tree *tree, const struct vmt_tree_map *map, uint64_t *done)
{
	struct install install;
	enum vmt_status status = install_begin(&install, tree, map);
	struct txn txn;

	if (done)
		*done = 0;
	if (status != VMT_OK)
		return status;
	txn_init(&txn, tree);
	txn.fold = false; // installing empties nothing
	do {
		// The step before took a table: this one will probably take one too, and then fill it.
		if (install.tables && install.last - install.addr >= fmt_table_span(0) - 1)
			install_provide(&install, &txn, 1, true);
		status = install_step(&install, &txn);
		if (status == VMT_ERR_RETRY)
			status = VMT_OK;
	} while (status == VMT_OK && install.addr <= install.last);
	txn.fold = true; // what others left to us is another matter
	status = alone_end(&txn, status);
	if (done)
		*done = install.addr - map->addr;
	return status;
}

// ---- Unmap -------------------------------------------------------------------------------------------------------

// Unlinks the table in `slot`, which the window covers whole with all that is below it. The entries in it are not
// touched: nobody can reach them after the flush, and a reader who is still on his way reads the whole path again.
static void remove_table(struct txn *txn, struct vmt_node *parent, unsigned slot)
{
	uint64_t e = entry_exchange(txn->tree, parent, slot, 0);
	struct vmt_node *node = node_of_table(txn->port, fmt_pa(e));

	if (node->level > 0)
		for (unsigned i = 0; i < FMT_SLOTS; i++)
			if (slot_is_table(node, i))
				remove_table(txn, node, i);
	// Relaxed: read under the node's lock, which the window holds.
	atomic_store_explicit(&node->state, NODE_DETACHED, memory_order_relaxed);
	batch_add_table(&txn->batch, node, fmt_pa(e));
}

// Clears slots that the window covers whole. Plain stores: accessed and dirty bits go with the leaf, nobody asks
// for them.
static void remove_slots(struct txn *txn, struct vmt_node *node, unsigned first, unsigned last, void *arg)
{
	int gone = 0;

	(void)arg;
	if (node_live(node) == 0)
		return;
	for (unsigned slot = first; slot <= last; slot++) {
		uint64_t e = entry_load(node, slot);

		if (!e)
			continue;
		gone++;
		if (fmt_is_table(e, node->level))
			remove_table(txn, node, slot);
		else
			atomic_store_explicit(&node->table[slot], 0, memory_order_relaxed);
	}
	if (!gone)
		return;
	vmt_port_publish(txn->port, &node->table[first], last - first + 1);
	node_add_live(node, -gone);
	if (HOLDS(FLUSH_REMOVE))
		flush_add(&txn->batch.flush, slot_base(node, first), slot_base(node, last) + fmt_span(node->level));
}

// A leaf or a marker is cut.
static bool alone_splits(struct txn *txn, const struct vmt_node *node, unsigned slot, void *arg)
{
	(void)txn, (void)arg;
	return entry_load(node, slot) != 0;
}

static const struct range_op remove_op = {
	.slots = remove_slots,
	.splits = alone_splits,
	.above = true,
};

enum vmt_status vmt_tree_unmap(struct vmt_tree *tree, uint64_t addr, uint64_t length, uint64_t *done)
{
	enum vmt_status status = alone_check(tree, addr, length);
	uint64_t end = addr;
	struct txn txn;

	if (status == VMT_OK) {
		txn_init(&txn, tree);
		status = range_run(&txn, addr, addr + length - 1, &remove_op, NULL, &end);
		status = alone_end(&txn, status);
	}
	if (done)
		*done = end - addr;
	return status;
}

// ---- Protect -----------------------------------------------------------------------------------------------------

static void restrict_slots(struct txn *txn, struct vmt_node *node, unsigned first, unsigned last, void *arg)
{
	vmt_prot prot = *(const vmt_prot *)arg;

	if (node_live(node) == 0)
		return;
	for (unsigned slot = first; slot <= last; slot++) {
		uint64_t e = entry_load(node, slot), next, base = slot_base(node, slot);

		if (!fmt_is_leaf(e, node->level))
			continue;
		do {
			next = fmt_with_prot(e, prot);
			// Acquire-release as in entry_exchange; a loop, for the hardware may set bits meanwhile.
		} while (!atomic_compare_exchange_weak_explicit(&node->table[slot], &e, next, memory_order_acq_rel,
								memory_order_relaxed));
		vmt_port_publish(txn->port, &node->table[slot], 1);
		// There is no fault here in which a walker that keeps the old entry would be told of more permissions.
		if ((FMT_SPURIOUS_FLUSH ? next != e : fmt_prot(e) & ~fmt_prot(next)) && HOLDS(FLUSH_RESTRICT))
			flush_add(&txn->batch.flush, base, base + fmt_span(node->level));
	}
}

// A leaf is cut if its part changes.
static bool restrict_splits(struct txn *txn, const struct vmt_node *node, unsigned slot, void *arg)
{
	uint64_t e = entry_load(node, slot);

	(void)txn;
	return fmt_is_leaf(e, node->level) && fmt_with_prot(e, *(const vmt_prot *)arg) != e;
}

static const struct range_op restrict_op = {
	.slots = restrict_slots,
	.splits = restrict_splits,
};

enum vmt_status vmt_tree_protect(struct vmt_tree *tree, uint64_t addr, uint64_t length, vmt_prot prot, uint64_t *done)
{
	enum vmt_status status = alone_check(tree, addr, length);
	uint64_t end = addr;
	struct txn txn;

	if (status == VMT_OK && (!prot || prot & ~(vmt_prot)VMT_RWX))
		status = VMT_ERR_ARGUMENT;
	if (status == VMT_OK) {
		txn_init(&txn, tree);
		status = range_run(&txn, addr, addr + length - 1, &restrict_op, &prot, &end);
		status = alone_end(&txn, status);
	}
	if (done)
		*done = end - addr;
	return status;
}

// ---- Looking -----------------------------------------------------------------------------------------------------

enum vmt_status vmt_tree_translate(struct vmt_tree *tree, uint64_t addr, struct vmt_translation *translation)
{
	return look_translate(tree, addr, translation);
}

enum vmt_status vmt_tree_walk(struct vmt_tree *tree, uint64_t addr, uint64_t end, struct vmt_run *run)
{
	return look_run(tree, addr, end, run);
}

#endif

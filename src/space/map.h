// SPDX-License-Identifier: MIT
// Map, unmap, protect: what changes attributes.
#ifndef VMT_SPACE_MAP_H
#define VMT_SPACE_MAP_H

// ---- Giving a range another id -----------------------------------------------------------------------------------

struct assign {
	uint32_t id;
	bool keep_pages;	// only the ids change
	uint32_t expect;	// with `claim`: what must be there
	bool claim;
};

static void assign_slots(struct txn *txn, struct vmt_node *node, unsigned first, unsigned last, void *arg)
{
	const struct assign *assign = arg;
	// What a claim was made for has been looked at.
	int64_t before = assign->claim ? ids_mapped_as(node, first, last, assign->expect) :
					 ids_mapped(node, first, last);

	if (!assign->keep_pages)
		leaf_zap(txn, node, first, last, ZAP_ALL);
	ids_set_bare(txn, node, first, last, assign->id);
	count(txn->tree, mapped, ids_mapped_as(node, first, last, assign->id) - before);
	if (!assign->id)
		ids_gap_changed(node);
}

static bool assign_splits(struct txn *txn, const struct vmt_node *node, unsigned slot, void *arg)
{
	const struct assign *assign = arg;

	(void)txn;
	return slot_id(node, slot) != assign->id || (entry_load(node, slot) && !assign->keep_pages);
}

static bool assign_sees(struct txn *txn, uint32_t id, uint64_t start, uint64_t last, void *arg)
{
	(void)txn, (void)start, (void)last;
	return id == ((const struct assign *)arg)->expect;
}

static enum vmt_status assign_inspect(struct txn *txn, void *arg)
{
	struct assign *assign = arg;

	if (!assign->claim)
		return VMT_OK;
	return window_ids(txn, assign_sees, assign) ? VMT_OK : VMT_ERR_EXISTS;
}

static bool assign_sets(const struct vmt_node *node, void *arg)
{
	return node->id != ((const struct assign *)arg)->id;
}

static const struct range_op assign_op = {
	.slots = assign_slots,
	.splits = assign_splits,
	.inspect = assign_inspect,
	.sets = assign_sets,
};

// Claims [start, start + length) in one step if all of it has the id `expect`. VMT_ERR_EXISTS if not. A range that is
// free holds no tables but empty ones that CPUs keep; where even those are too many for one window they are folded.
// What a move has claimed counts as taken, or with `wait`, by a caller that has claimed nothing, as what it becomes.
static enum vmt_status assign_claim(struct vmt_space *space, struct txn *txn, uint64_t start, uint64_t length,
				    uint32_t expect, uint32_t id, bool wait)
{
	struct assign assign = {.id = id, .keep_pages = expect != 0, .expect = expect, .claim = true};
	uint64_t last = start + length - 1;
	bool owns_claims = txn->owns_claims;

	for (unsigned attempt = 0; attempt < 2; attempt++) {
		enum vmt_status status;

		txn->owns_claims = !wait;
		status = range_lock(txn, start, last, &assign_op, &assign);
		txn->owns_claims = owns_claims;
		if (status != VMT_OK)
			return status;
		if (txn->last == last) {
			range_change(txn, start, last, &assign_op, &assign);
			txn_commit(txn);
			return VMT_OK;
		}
		txn_abort(txn);
		if (attempt == 0)
			fold_range(txn, space->tree.start, space->tree.end - 1);
	}
	return VMT_ERR_EXISTS;
}

// ---- Map ---------------------------------------------------------------------------------------------------------

#define MAP_FLAGS                                                                                                      \
	(VMT_MAP_FIXED | VMT_MAP_FIXED_NOREPLACE | VMT_MAP_SHARED | VMT_MAP_GROWS_DOWN | VMT_MAP_NO_RESERVE |          \
	 VMT_MAP_POPULATE | VMT_MAP_HUGE)
#define FIND_ATTEMPTS 16

static uint32_t map_attr(const struct vmt_map_request *request)
{
	vmt_prot max = request->prot_max ? request->prot_max : VMT_RWX;

	return ATTR_MAPPED | request->prot | max << ATTR_MAX_SHIFT | request->tag << ATTR_TAG_SHIFT |
	       (request->flags & VMT_MAP_SHARED ? ATTR_SHARED : 0) |
	       (request->flags & VMT_MAP_GROWS_DOWN ? ATTR_GROWS_DOWN : 0) |
	       (request->flags & VMT_MAP_NO_RESERVE ? ATTR_NO_RESERVE : 0) |
	       (request->flags & VMT_MAP_HUGE ? ATTR_HUGE : 0);
}

static enum vmt_status map_check(const struct vmt_space *space, const struct vmt_map_request *request)
{
	vmt_prot max = request->prot_max ? request->prot_max : VMT_RWX;
	bool fixed = request->flags & (VMT_MAP_FIXED | VMT_MAP_FIXED_NOREPLACE);
	enum vmt_status status = range_check(space, fixed ? request->addr : space->tree.start, request->length);

	if (!fixed && status == VMT_ERR_OUTSIDE)
		return VMT_ERR_NO_SPACE; // longer than the space
	if (status != VMT_OK)
		return status;
	if ((request->offset | request->search_start | request->search_end | (fixed ? 0 : request->addr)) &
	    VMT_PAGE_MASK)
		return VMT_ERR_UNALIGNED;
	if (request->offset + request->length < request->offset)
		return VMT_ERR_WRAPPED;
	if (request->flags & ~MAP_FLAGS || request->prot & ~VMT_RWX || max & ~VMT_RWX || request->prot & ~max ||
	    request->tag >= VMT_TAGS || request->search_start > request->search_end ||
	    (!request->object && request->offset) ||
	    (request->flags & (VMT_MAP_GROWS_DOWN | VMT_MAP_HUGE) &&
	     (request->object || request->flags & VMT_MAP_SHARED)))
		return VMT_ERR_ARGUMENT;
	return VMT_OK;
}

struct map {
	struct vmt_space *space;
	const struct vmt_map_request *request;
	struct vmt_object *object;
	uint32_t attr;
	struct txn *txn;
};

// The id for a mapping at `addr`, with a use for the caller if it is counted.
static enum vmt_status map_id(const struct map *map, uint64_t addr, uint32_t *id)
{
	*id = map->attr;
	if (!map->object)
		return VMT_OK;
	return backing_intern(map->space->tree.vmt, map->object, addr - map->request->offset, map->attr, id);
}

static void map_drop_id(struct txn *txn, uint32_t id)
{
	node_unuse_id(txn, id);
}

static enum vmt_status map_claim(const struct map *map, uint64_t addr, bool wait)
{
	uint32_t id;
	enum vmt_status status = map_id(map, addr, &id);

	if (status != VMT_OK)
		return status;
	status = assign_claim(map->space, map->txn, addr, map->request->length, 0, id, wait);
	map_drop_id(map->txn, id);
	return status;
}

// `*done`: the first address that was not replaced.
static enum vmt_status map_replace(const struct map *map, uint64_t addr, uint64_t *done)
{
	struct assign assign = {0};
	enum vmt_status status = map_id(map, addr, &assign.id);

	*done = addr;
	if (status != VMT_OK)
		return status;
	status = range_run(map->txn, addr, addr + map->request->length - 1, &assign_op, &assign, done);
	map_drop_id(map->txn, assign.id);
	return status;
}

static enum vmt_status map_anywhere(const struct map *map, uint64_t *addr)
{
	const struct vmt_map_request *request = map->request;
	struct vmt_tree *tree = &map->space->tree;
	const struct vmt_space_config *config = &map->space->config;
	uint64_t low = request->search_end ? request->search_start : config->search_start;
	uint64_t high = request->search_end ? request->search_end : config->search_end;
	enum vmt_status status;

	low = low > tree->start ? low : tree->start;
	high = high && high < tree->end ? high : tree->end;
	if (request->addr && request->addr >= tree->start && request->addr < tree->end &&
	    tree->end - request->addr >= request->length) {
		status = map_claim(map, *addr = request->addr, false);
		if (status != VMT_ERR_EXISTS)
			return status;
	}
	if (high <= low || high - low < request->length)
		return VMT_ERR_NO_SPACE;
	for (unsigned n = 0; n < FIND_ATTEMPTS; n++) {
		*addr = find_propose(tree, n, low, high, request->length);
		if (!*addr && n < 2)
			continue;
		if (!*addr)
			return VMT_ERR_NO_SPACE;
		status = map_claim(map, *addr, false);
		if (status == VMT_OK)
			find_note_claimed(tree, *addr, *addr + request->length);
		if (status != VMT_ERR_EXISTS)
			return status;
	}
	return VMT_ERR_RETRY;
}

enum vmt_status vmt_map(struct vmt_space *space, const struct vmt_map_request *request, uint64_t *addr)
{
	struct map map = {.space = space, .request = request, .object = request->object, .attr = map_attr(request)};
	struct vmt *vmt = space->tree.vmt;
	enum vmt_status status = map_check(space, request);
	uint64_t where = request->addr, done;
	struct watch watch = {0};
	struct txn txn;

	if (status != VMT_OK)
		return status;
	if (request->flags & VMT_MAP_SHARED && !map.object) {
		status = vmt_object_create(vmt, request->length, NULL, NULL, &map.object);
		if (status != VMT_OK)
			return status;
	}
	if (request->flags & VMT_MAP_FIXED) // anything else changes nothing that is there
		change_begin(&watch, &txn, space, where, request->length, VMT_REASON_UNMAP);
	else
		txn_init(&txn, &space->tree);
	map.txn = &txn;
	if (request->flags & VMT_MAP_FIXED_NOREPLACE)
		status = map_claim(&map, where, true);
	else if (request->flags & VMT_MAP_FIXED)
		status = map_replace(&map, where, &done);
	else
		status = map_anywhere(&map, &where);
	status = change_end(&watch, &txn, status);
	if (map.object && !request->object)
		vmt_object_unref(map.object);
	if (status != VMT_OK && status != VMT_ERR_DEVICE)
		return status;
	*addr = where;
	if (request->flags & VMT_MAP_POPULATE)
		vmt_populate(space, where, request->length, NULL);
	return status;
}

// ---- Unmap -------------------------------------------------------------------------------------------------------

enum vmt_status vmt_unmap(struct vmt_space *space, uint64_t addr, uint64_t length)
{
	enum vmt_status status = range_check(space, addr, length);
	struct assign assign = {0};
	struct watch watch;
	struct txn txn;

	if (status != VMT_OK)
		return status;
	change_begin(&watch, &txn, space, addr, length, VMT_REASON_UNMAP);
	status = range_run(&txn, addr, addr + length - 1, &assign_op, &assign, NULL);
	status = change_end(&watch, &txn, status);
	if (status == VMT_OK)
		find_note_freed(&space->tree, addr, addr + length);
	return status;
}

// ---- Protect, and other changes of attributes --------------------------------------------------------------------

#define PROTECT_IDS 8

// Which id becomes which. For counted ones the operation holds a use of both.
struct protect {
	uint32_t mask, set;	// the bits of the attributes that change, and what they become
	unsigned count;
	uint32_t from[PROTECT_IDS], to[PROTECT_IDS];
	// What inspect found in the window: the lowest address that must not be changed, and the lowest one whose id
	// has no successor yet.
	enum vmt_status refused;
	uint64_t refused_at, missing_at;
	uint32_t missing;
};

static bool protect_lookup(const struct protect *protect, uint32_t from, uint32_t *to)
{
	*to = from;
	if (!(from & ID_COUNTED))
		*to = (from & ~protect->mask) | protect->set;
	if (!(from & ID_COUNTED) || protect->mask == ATTR_HUGE) // which objects do not have
		return true;
	for (unsigned i = 0; i < protect->count; i++) {
		if (protect->from[i] == from) {
			*to = protect->to[i];
			return true;
		}
	}
	return false;
}

static bool protect_see(struct txn *txn, uint32_t id, uint64_t start, uint64_t last, void *arg)
{
	struct protect *protect = arg;
	enum vmt_status status = VMT_OK;
	uint32_t to;

	(void)last;
	if (!id_is_mapped(id))
		status = VMT_ERR_UNMAPPED;
	else if (protect->set & VMT_RWX & ~attr_max(attr_of(txn->tree->vmt, id)))
		status = VMT_ERR_ACCESS;
	if (status != VMT_OK && start < protect->refused_at) {
		protect->refused = status;
		protect->refused_at = start;
	} else if (status == VMT_OK && start < protect->missing_at && !protect_lookup(protect, id, &to)) {
		protect->missing = id;
		protect->missing_at = start;
	}
	return true;
}

// Ends the window before the first address that is refused or has to wait. Nodes come in the order of their locks, not
// of addresses, so all of them are looked at.
static enum vmt_status protect_inspect(struct txn *txn, void *arg)
{
	struct protect *protect = arg;
	uint64_t limit;

	protect->refused_at = protect->missing_at = UINT64_MAX;
	window_ids(txn, protect_see, protect);
	limit = protect->refused_at < protect->missing_at ? protect->refused_at : protect->missing_at;
	if (limit == UINT64_MAX)
		return VMT_OK;
	if (limit > txn->start) {
		txn->last = limit - 1;
		return VMT_OK;
	}
	if (protect->refused_at == limit)
		return protect->refused;
	// The node that names it keeps it alive now, our own use from here to protect_forget.
	id_use(txn->tree->vmt, protect->missing);
	return VMT_ERR_RETRY;
}

static void protect_forget(struct txn *txn, struct protect *protect)
{
	while (protect->count) {
		protect->count--;
		node_unuse_id(txn, protect->from[protect->count]);
		node_unuse_id(txn, protect->to[protect->count]);
	}
}

static enum vmt_status protect_prepare(struct txn *txn, void *arg)
{
	struct protect *protect = arg;
	struct vmt *vmt = txn->tree->vmt;
	uint32_t from = protect->missing, to;
	enum vmt_status status;

	status = id_change(vmt, from, (attr_of(vmt, from) & ~protect->mask) | protect->set, 0, &to);
	if (status != VMT_OK) {
		node_unuse_id(txn, from);
		return status;
	}
	if (protect->count == PROTECT_IDS)
		protect_forget(txn, protect);
	protect->from[protect->count] = from;
	protect->to[protect->count++] = to;
	return VMT_OK;
}

// Puts `next`, which was made of `*e`, in its place. False: hardware has set bits there meanwhile, and `*e` is what it
// says now.
static inline bool protect_swap(struct txn *txn, struct vmt_node *node, unsigned slot, uint64_t *e, uint64_t next)
{
	if (!HOLDS(SWAP_PROTECT))
		*e = entry_load(node, slot);
	// Acquire-release as in entry_exchange; the caller's loop, for the hardware may set bits meanwhile
	// (races.md 19).
	if (!atomic_compare_exchange_weak_explicit(&node->table[slot], e, next, memory_order_acq_rel,
						   memory_order_relaxed))
		return false;
	vmt_port_publish(txn->port, &node->table[slot], 1);
	return true;
}

static inline void protect_flush(struct txn *txn, const struct vmt_node *node, unsigned slot)
{
	uint64_t addr = slot_base(node, slot);

	if (HOLDS(FLUSH_PROTECT))
		flush_add(&txn->batch.flush, addr, addr + fmt_span(node->level));
}

// A leaf that CPUs see gets these permissions. Who has to be asked before it allows more has been asked.
static inline void protect_leaf(struct txn *txn, struct vmt_node *node, unsigned slot, uint64_t e, vmt_prot prot)
{
	uint64_t next;

	do {
		next = fmt_with_prot(e, prot);
		if (next == e)
			return;
	} while (!protect_swap(txn, node, slot, &e, next));
	if (fmt_prot(e) & ~fmt_prot(next))
		protect_flush(txn, node, slot);
}

// One entry gets the permissions of `attr`. Leaves that become writable do so only where no copy is due.
static void protect_entry(struct txn *txn, struct vmt_node *node, unsigned slot, uint64_t e, uint32_t attr)
{
	bool present = fmt_is_present(e), write;
	uint64_t pa = entry_frame(e), next;
	vmt_prot prot = attr_prot(attr);

	write = prot & VMT_WRITE && ((attr & ATTR_SHARED) || leaf_is_exclusive(txn->tree, pa, node->level));
	if (write && !(attr & ATTR_SHARED) && !(present && fmt_prot(e) & VMT_WRITE)) {
		struct vmt_data *data = data_of_frame(txn->tree->port, pa);

		// The write fault looks at a lazily freed page more closely.
		write = !data || !(atomic_load_explicit(&data->flags, memory_order_relaxed) & VMT_FRAME_LAZY);
	}
	if (prot && !(present && (fmt_prot(e) & VMT_WRITE || !write)))
		leaf_before_more(txn, node, slot, e, write);
	if (prot && present) {
		protect_leaf(txn, node, slot, e, write ? prot : (prot & ~(vmt_prot)VMT_WRITE) | VMT_READ);
		return;
	}
	if (!prot && !present) {
		entry_flush(txn, node, slot, e); // a secondary may have it for itself
		return;
	}
	do {
		if (present)
			next = fmt_make_parked(pa, fmt_accessed(e), fmt_dirty(e));
		else
			next = leaf_unparked(txn->tree, e, node->level, attr, write);
	} while (!protect_swap(txn, node, slot, &e, next));
	if (present)
		protect_flush(txn, node, slot);
}

// May a leaf get permissions of which nobody has to be asked or told before? Most may: those that let nobody write, and
// private pages that are nobody else's.
static inline bool protect_is_plain(const struct vmt_tree *tree, const struct vmt_node *node, uint64_t e, uint32_t attr)
{
	vmt_prot prot = attr_prot(attr);

	if (!prot || !fmt_is_leaf(e, node->level))
		return false;
	return !(prot & VMT_WRITE) || (node->level == 0 && !(attr & ATTR_SHARED) && frame_is_plain(tree, fmt_pa(e)));
}

// What is there in slots [first, last].
static void protect_entries(struct txn *txn, struct vmt_node *node, unsigned first, unsigned last, uint32_t attr)
{
	vmt_prot prot = attr_prot(attr) & VMT_WRITE ? attr_prot(attr) : attr_prot(attr) | VMT_READ;
	unsigned left = node_live(node);
	uint64_t e;

	for (unsigned slot = first; (e = entry_next(node, &slot, last, &left)); slot++) {
		if (protect_is_plain(txn->tree, node, e, attr))
			protect_leaf(txn, node, slot, e, prot);
		else if (fmt_holds_frame(e, node->level))
			protect_entry(txn, node, slot, e, attr);
		else if (marker_counts(txn->tree->vmt, e))
			entry_flush(txn, node, slot, e); // what the device may do there
	}
}

// A run of slots with one id. With `bare` none of them holds a table.
static void protect_run(struct txn *txn, struct vmt_node *node, unsigned first, unsigned last,
			const struct protect *protect, bool bare)
{
	uint32_t to;

	if (!protect_lookup(protect, slot_id(node, first), &to))
		vmt_port_fatal(txn->port, "vmtree: protect met an id that it had not inspected");
	if (node_live(node) > 0 && protect->mask & VMT_RWX)
		protect_entries(txn, node, first, last, attr_of(txn->tree->vmt, to));
	if (bare)
		ids_set(txn, node, first, last, to);
	else
		ids_set_bare(txn, node, first, last, to);
}

static void protect_runs(struct txn *txn, struct vmt_node *node, unsigned first, unsigned last,
			 const struct protect *protect)
{
	struct tables table = tables_begin(node, first, last);
	unsigned begin = first;

	while (first <= last) {
		unsigned end = last;

		if (first == table.slot) {
			tables_next(&table);
			first++;
			continue;
		}
		if (node->ids)
			end = ids_run_last(node, first, table.slot - 1);
		else // one id for all; slots with tables have none of their own, and taking them along needs no array
			first = begin;
		protect_run(txn, node, first, end, protect, false);
		first = end + 1;
	}
}

static void protect_slots(struct txn *txn, struct vmt_node *node, unsigned first, unsigned last, void *arg)
{
	if ((first == last && !slot_is_table(node, first)) || (!node->ids && !node_has_tables(node)))
		protect_run(txn, node, first, last, arg, true);
	else
		protect_runs(txn, node, first, last, arg);
}

static bool protect_splits(struct txn *txn, const struct vmt_node *node, unsigned slot, void *arg)
{
	uint32_t to;

	(void)txn;
	return protect_lookup(arg, slot_id(node, slot), &to) && to != slot_id(node, slot);
}

static bool protect_sets(const struct vmt_node *node, void *arg)
{
	uint32_t to;

	return protect_lookup(arg, node->id, &to) && to != node->id;
}

static const struct range_op protect_op = {
	.slots = protect_slots,
	.splits = protect_splits,
	.inspect = protect_inspect,
	.prepare = protect_prepare,
	.sets = protect_sets,
};

static enum vmt_status protect_range(struct vmt_space *space, uint64_t addr, uint64_t length, uint32_t mask,
				     uint32_t set)
{
	enum vmt_status status;
	struct protect protect; // the rest is for inspect to say
	struct watch watch;
	struct txn txn;

	protect.mask = mask;
	protect.set = set;
	protect.count = 0;
	change_begin(&watch, &txn, space, addr, length, VMT_REASON_PROTECT);
	status = range_run(&txn, addr, addr + length - 1, &protect_op, &protect, NULL);
	protect_forget(&txn, &protect);
	return change_end(&watch, &txn, status);
}

enum vmt_status vmt_protect(struct vmt_space *space, uint64_t addr, uint64_t length, vmt_prot prot)
{
	enum vmt_status status = range_check(space, addr, length);

	if (status == VMT_OK && prot & ~VMT_RWX)
		status = VMT_ERR_ARGUMENT;
	return status == VMT_OK ? protect_range(space, addr, length, VMT_RWX, prot) : status;
}

#endif

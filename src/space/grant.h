// SPDX-License-Identifier: MIT
// Faults of secondaries: vmtree/secondary.h. They are a CPU's faults (space/fault.h) that end, under the same lock, by
// handing out the translation.
//
// A page that hints say should live in the secondary's memory is first taken there, or copied; that happens with
// nothing held, and then the fault looks again. It is tried once: whatever became of it, the next look hands out what
// is there. So no hint, and no CPU that takes the page back each time, keeps a fault from ending.
#ifndef VMT_SPACE_GRANT_H
#define VMT_SPACE_GRANT_H

// Above (mirror/migrate.h), with nothing held. device_return: the page at `addr` comes back from device memory.
// device_fetch: it goes to `memory`, or with `copied` gets a read-only copy there.
static enum vmt_status device_return(struct vmt_tree *tree, uint64_t addr, uint64_t *bytes);
static void device_fetch(struct vmt_tree *tree, uint64_t addr, struct vmt_device_memory *memory, bool copied);

// A lost secondary is not told of changes (secondaries_issue), so what it would be handed by now might contradict
// what it still has. The entry's lock is held: so was it by whoever changed the entry and passed the secondary over,
// and what he saw is seen here.
static bool grant_is_lost(struct secondary *slot)
{
	return secondary_is_lost(slot) && HOLDS(GRANT_NOT_LOST);
}

// Hands out [addr, addr + length), clipped to the subscription.
static void grant_commit(struct fault *fault, struct vmt_grant grant)
{
	uint64_t start = fault->secondary->config.start, end = fault->secondary->config.end;

	if (grant.addr < start) {
		grant.pa += start - grant.addr;
		grant.length -= start - grant.addr;
		grant.addr = start;
	}
	if (grant.addr + grant.length > end)
		grant.length = end - grant.addr;
	fault->granted = grant.addr + grant.length;
	if (!HOLDS(COMMIT_UNDER_LOCK)) {
		txn_commit(&fault->txn);
		vmt_port_preempt_off(fault->tree->port);
	}
	fault->request->commit(fault->request->arg, &grant);
}

// What the secondary may do, of what the entry allows. To be allowed to write it has to ask: then the page is the
// mapping's own, and marked as written.
static vmt_prot grant_prot(const struct fault *fault, uint64_t leaf)
{
	bool write = fault->access ? fault->access == VMT_WRITE : fmt_dirty(leaf);
	vmt_prot entry = fmt_prot(leaf);

	return VMT_READ | (entry & VMT_EXEC) | (write ? entry & VMT_WRITE : 0);
}

// ---- For the secondary alone -------------------------------------------------------------------------------------

static bool grant_is_alone(const struct vmt_data *data)
{
	// Sequentially consistent: see grant_exclusive.
	return data && atomic_load_explicit(&data->refs, memory_order_seq_cst) == 1 &&
	       !atomic_load_explicit(&data->pins, memory_order_relaxed) &&
	       !(atomic_load_explicit(&data->flags, memory_order_relaxed) & VMT_FRAME_OBJECT);
}

// The page is parked and flushed everywhere, and then handed out. A lock-free reader takes its reference before it
// reads the path again; so either it sees that the entry has changed, or it is counted here, and the entry goes back.
static enum vmt_status grant_exclusive(struct fault *fault, struct vmt_node *node, unsigned slot, uint64_t e)
{
	struct vmt_tree *tree = fault->tree;
	uint64_t pa = fmt_pa(e), parked = fmt_make_parked(pa, true, true);
	struct vmt_data *data = data_of_frame(tree->port, pa);

	if (!id_is_private_anon(slot_id(node, slot)) || slot_id(node, slot) & ATTR_SHARED)
		return VMT_ERR_ARGUMENT;
	if (node->level > 0)
		return fault_split(fault, node, slot);
	if (!grant_is_alone(data))
		return VMT_ERR_BUSY;
	e = fmt_set_dirty(e);
	// Sequentially consistent: before the count is read again. What hardware wrote meanwhile `e` and `parked` say.
	atomic_exchange_explicit(&node->table[slot], parked, memory_order_seq_cst);
	vmt_port_publish(tree->port, &node->table[slot], 1);
	entry_flush(&fault->txn, node, slot, e);
	batch_flush(&fault->txn.batch);
	if (secondaries_lost(tree) || !grant_is_alone(data)) {
		entry_publish(tree, node, slot, e);
		return secondaries_lost(tree) ? VMT_ERR_DEVICE : VMT_ERR_BUSY;
	}
	leaf_drop_copy(tree, data);
	grant_commit(fault, (struct vmt_grant){.addr = fault->addr & ~VMT_PAGE_MASK, .length = VMT_PAGE_SIZE, .pa = pa,
					       .prot = VMT_READ | VMT_WRITE, .exclusive = true});
	return VMT_OK;
}

// ---- A leaf ------------------------------------------------------------------------------------------------------

// Should the page be where the secondary is, or a copy of it? Sets want_move or want_copied.
static bool grant_wants_nearer(struct fault *fault, unsigned level)
{
	struct vmt_device_memory *memory = fault->secondary->config.memory;
	uint32_t attr = fault->attr_id;

	if (fault->stay || !memory || fault->request->flags || attr & (ID_COUNTED | ATTR_SHARED))
		return false;
	if ((attr & ATTR_DEVICE) >> ATTR_DEVICE_SHIFT == memory->id + 1)
		fault->want_move = true;
	else if (attr & ATTR_READ_MOSTLY && fault->access == VMT_READ && level == 0)
		fault->want_copied = true;
	return fault->want_move || fault->want_copied;
}

// The copy in the secondary's own memory, of a page that nobody may write.
static struct device_frame *grant_copy(const struct fault *fault, uint64_t leaf, unsigned level)
{
	const struct vmt_data *data = level == 0 ? data_of_frame(fault->tree->port, fmt_pa(leaf)) : NULL;
	struct device_frame *copy;

	if (!data || !fault->secondary->config.memory || fmt_prot(leaf) & VMT_WRITE)
		return NULL;
	// Acquire pairs with the release in copied_enter (mirror/migrate.h): the copy's bytes.
	copy = atomic_load_explicit(&data->copy, memory_order_acquire);
	return copy && copy->memory == fault->secondary->config.memory ? copy : NULL;
}

static enum vmt_status grant_leaf(struct fault *fault, struct vmt_node *node, unsigned slot, uint64_t leaf,
				  unsigned level)
{
	struct device_frame *copy = grant_copy(fault, leaf, level);
	uint64_t span = fmt_span(level);
	struct vmt_grant grant = {
		.addr = fault->addr & ~(span - 1),
		.length = span,
		.pa = fmt_pa(leaf),
		.prot = grant_prot(fault, leaf),
	};

	if (grant_is_lost(fault->secondary))
		return VMT_ERR_DEVICE;
	if (copy) {
		grant.pa = device_address(copy);
		grant.device = true;
	} else if (grant_wants_nearer(fault, level)) {
		return VMT_ERR_RETRY;
	}
	if (fault->request->flags & VMT_GRANT_EXCLUSIVE)
		return node ? grant_exclusive(fault, node, slot, leaf) : VMT_ERR_RETRY;
	grant_commit(fault, grant);
	return VMT_OK;
}

// ---- A page in device memory -------------------------------------------------------------------------------------

// The secondary gets it where it is, if it can reach it and, to write, if this entry alone names it; else it comes
// back.
static enum vmt_status grant_device(struct fault *fault, const struct vmt_node *node, uint64_t e)
{
	uint64_t span = fmt_span(node->level), pages = level_pages(node->level);
	struct device_frame *frame = device_frame_of(fault->tree->vmt, e);
	bool present = fault->request && fault->request->flags & VMT_GRANT_PRESENT, write = fault->access != VMT_READ;
	uint32_t attr = slot_id(node, fmt_index(fault->addr, node->level));

	if (fault->request && grant_is_lost(fault->secondary))
		return VMT_ERR_DEVICE;
	// Two secondaries may share the memory: for one alone the page comes back and is parked.
	if (!fault->request || frame->memory != fault->secondary->config.memory || fmt_kind(e) != MARKER_DEVICE ||
	    fault->request->flags & VMT_GRANT_EXCLUSIVE) {
		fault->want_return = !present;
		return present ? VMT_ERR_NOT_PRESENT : VMT_ERR_RETRY;
	}
	for (uint64_t i = 0; i < pages && write; i++)
		write = device_is_exclusive(frame + i);
	write = write && attr_prot(attr) & VMT_WRITE;
	if (!write && fault->access == VMT_WRITE) {
		fault->want_return = !present;
		return present ? VMT_ERR_NOT_PRESENT : VMT_ERR_RETRY;
	}
	grant_commit(fault, (struct vmt_grant){.addr = fault->addr & ~(span - 1), .length = span,
					       .pa = device_address(frame),
					       .prot = VMT_READ | (write ? VMT_WRITE : 0), .device = true});
	return VMT_OK;
}

static enum vmt_status grant_provide(struct fault *fault)
{
	enum vmt_status status = VMT_OK;
	uint64_t bytes;

	if (fault->want_return) {
		status = device_return(fault->tree, fault->addr & ~VMT_PAGE_MASK, &bytes);
	} else {
		device_fetch(fault->tree, fault->addr & ~VMT_PAGE_MASK, fault->secondary->config.memory, fault->want_copied);
		fault->stay = HOLDS(FAULT_STAYS);
	}
	fault->want_return = fault->want_move = fault->want_copied = false;
	return status;
}

// ---- The requests ------------------------------------------------------------------------------------------------

static enum vmt_status grant_check(const struct vmt_space *space, uint64_t addr, uint64_t last, vmt_prot access,
				   bool any)
{
	if (addr_check(space, addr) != VMT_OK || addr_check(space, last) != VMT_OK || last < addr)
		return VMT_ERR_UNMAPPED;
	return access == VMT_READ || access == VMT_WRITE || (any && !access) ? VMT_OK : VMT_ERR_ARGUMENT;
}

// One page, and what comes with it: `*next` is the first address behind.
static enum vmt_status grant_page(struct vmt_space *space, unsigned id, struct secondary *slot, uint64_t addr,
				  const struct vmt_secondary_request *request, uint64_t *next)
{
	enum vmt_status status;
	struct fault fault;

	fault_init(&fault, space, addr, request->access);
	fault.request = request;
	fault.secondary = slot;
	fault.id = id;
	fault.granted = (addr | VMT_PAGE_MASK) + 1;
	status = fault_run(&fault);
	fault_finish(&fault);
	*next = fault.granted;
	return status;
}

enum vmt_status vmt_secondary_fault(struct vmt_space *space, unsigned id, const struct vmt_secondary_request *request,
				    uint64_t *done)
{
	uint64_t last = request->addr + (request->length ? request->length - 1 : 0), at = request->addr;
	bool present = request->flags & VMT_GRANT_PRESENT;
	enum vmt_status status = grant_check(space, request->addr, last, request->access, present);
	struct secondary *slot;

	if (done)
		*done = 0;
	if (status == VMT_OK && (!request->commit || request->flags & ~(VMT_GRANT_PRESENT | VMT_GRANT_EXCLUSIVE) ||
				 (request->flags & VMT_GRANT_EXCLUSIVE && (present || request->access != VMT_WRITE))))
		status = VMT_ERR_ARGUMENT;
	if (status == VMT_OK)
		status = secondary_find(space, id, request->addr, last, &slot);
	while (status == VMT_OK && at <= last) {
		uint64_t next;

		status = grant_page(space, id, slot, at, request, &next);
		if (present &&
		    (status == VMT_ERR_NOT_PRESENT || status == VMT_ERR_UNMAPPED || status == VMT_ERR_ACCESS))
			status = VMT_OK;
		if (status == VMT_OK)
			at = next;
	}
	if (done)
		*done = (at > last ? last + 1 : at) - request->addr;
	return status;
}

// ---- A range in one step -----------------------------------------------------------------------------------------

#define RANGE_ROUNDS 8

// The pages of a vmt_secondary_range as the faults found them.
struct range_grants {
	struct vmt_space *space;
	const struct vmt_secondary_range *range;
	struct secondary *slot;
	const struct vmt_device_memory *memory;	// the subscription's
	unsigned id, count;
	struct vmt_grant grant[VMT_RANGE_PAGES];
};

// Notes each page of the range that the grant covers.
static void range_note(void *arg, const struct vmt_grant *grant)
{
	struct range_grants *grants = arg;

	for (unsigned i = 0; i < grants->count; i++) {
		struct vmt_grant *page = &grants->grant[i];
		uint64_t addr = grants->range->addr + i * VMT_PAGE_SIZE;

		if (addr < grant->addr || addr >= grant->addr + grant->length)
			continue;
		*page = *grant;
		page->addr = addr;
		page->length = VMT_PAGE_SIZE;
		page->pa = grant->pa + (addr - grant->addr);
	}
}

// Hands out one page on its own.
static void range_commit_page(void *arg, const struct vmt_grant *grant)
{
	const struct range_grants *grants = arg;
	struct vmt_grant page = *grant;
	uint64_t addr = grants->grant[0].addr;

	page.pa += addr - page.addr;
	page.addr = addr;
	page.length = VMT_PAGE_SIZE;
	grants->range->commit(grants->range->arg, &page, 1, false);
}

// Is it a frame of the subscription's memory, `offset` bytes on, where the page was noted?
static bool range_frame_holds(const struct range_grants *grants, const struct device_frame *frame, uint64_t offset,
			      const struct vmt_grant *page)
{
	return page->device && frame && frame->memory == grants->memory && page->pa == device_address(frame) + offset;
}

// Does the entry of `node` still say what the page was noted with? The lock is held. It may allow more by now.
static bool range_page_holds(const struct range_grants *grants, const struct vmt_node *node,
			     const struct vmt_grant *page)
{
	struct vmt_tree *tree = &grants->space->tree;
	unsigned slot = fmt_index(page->addr, node->level);
	uint64_t e = entry_load(node, slot), offset = page->addr & (fmt_span(node->level) - 1);
	vmt_prot allowed = attr_prot(attr_of(tree->vmt, slot_id(node, slot)));
	struct device_frame *frame = device_frame_of(tree->vmt, e);
	const struct vmt_data *data;

	if (!allowed || page->prot & VMT_WRITE & ~allowed)
		return false;
	if (!fmt_is_present(e))
		return fmt_kind(e) == MARKER_DEVICE && range_frame_holds(grants, frame, offset, page) &&
		       (!(page->prot & VMT_WRITE) || device_is_exclusive(frame + (offset >> VMT_PAGE_SHIFT)));
	if (page->device) { // a copy
		data = node->level == 0 ? data_of_frame(tree->port, fmt_pa(e)) : NULL;
		frame = data ? atomic_load_explicit(&data->copy, memory_order_relaxed) : NULL;
		return range_frame_holds(grants, frame, 0, page) && !(fmt_prot(e) & VMT_WRITE);
	}
	return page->pa == fmt_pa(e) + offset && !(page->prot & ~fmt_prot(e)) &&
	       (!(page->prot & VMT_WRITE) || fmt_dirty(e));
}

// Commits all pages if all are as they were noted.
static bool range_commit(struct range_grants *grants)
{
	const struct vmt_secondary_range *range = grants->range;
	bool holds;
	struct txn txn;

	txn_init(&txn, &grants->space->tree);
	txn_lock(&txn, range->addr, range->addr + range->length - 1);
	holds = txn.last == range->addr + range->length - 1 && !range_meets_claim(&txn) && !grant_is_lost(grants->slot);
	for (unsigned i = 0; i < grants->count && holds; i++)
		holds = range_page_holds(grants, txn_lock_path(&txn, grants->grant[i].addr, 0), &grants->grant[i]);
	if (holds || !HOLDS(RANGE_RECHECKS))
		range->commit(range->arg, grants->grant, grants->count, range->program != NULL);
	txn_commit(&txn);
	txn_finish(&txn);
	return holds || !HOLDS(RANGE_RECHECKS);
}

// `*quiet` false: something has changed too often, and nothing was committed.
static enum vmt_status range_try(struct range_grants *grants, bool *quiet)
{
	const struct vmt_secondary_range *range = grants->range;
	struct vmt_secondary_request request = {.addr = range->addr, .length = range->length, .access = range->access,
						.commit = range_note, .arg = grants};
	enum vmt_status status = VMT_OK;

	*quiet = false;
	for (unsigned round = 0; !*quiet && (round < RANGE_ROUNDS || !HOLDS(RANGE_ENDS)); round++) {
		status = vmt_secondary_fault(grants->space, grants->id, &request, NULL);
		if (status == VMT_OK && range->program)
			status = range->program(range->arg, grants->grant, grants->count);
		if (status != VMT_OK)
			return status;
		*quiet = range_commit(grants);
	}
	return status;
}

// Page by page, each from inside of its fault.
static enum vmt_status range_take_pages(struct range_grants *grants)
{
	const struct vmt_secondary_range *range = grants->range;
	struct vmt_secondary_request request = {.access = range->access, .commit = range_commit_page, .arg = grants};
	enum vmt_status status = VMT_OK;

	for (uint64_t at = range->addr; status == VMT_OK && at < range->addr + range->length; at += VMT_PAGE_SIZE) {
		request.addr = grants->grant[0].addr = at;
		status = vmt_secondary_fault(grants->space, grants->id, &request, NULL);
	}
	return status;
}

enum vmt_status vmt_secondary_fault_range(struct vmt_space *space, unsigned id, const struct vmt_secondary_range *range)
{
	enum vmt_status status = range_check(space, range->addr, range->length);
	struct range_grants *grants;
	struct secondary *slot;
	bool quiet;

	if (status == VMT_OK && (range->length > VMT_RANGE_PAGES * VMT_PAGE_SIZE || !range->commit))
		status = VMT_ERR_ARGUMENT;
	if (status != VMT_OK)
		return status;
	status = secondary_find(space, id, range->addr, range->addr + range->length - 1, &slot);
	if (status != VMT_OK)
		return status;
	grants = vmt_port_mem_alloc(space->tree.port, sizeof(*grants));
	if (!grants)
		return VMT_ERR_NO_MEMORY;
	*grants = (struct range_grants){.space = space, .range = range, .id = id, .slot = slot, .memory = slot->config.memory,
					.count = (unsigned)(range->length >> VMT_PAGE_SHIFT)};
	status = range_try(grants, &quiet);
	if (status == VMT_OK && !quiet)
		status = range_take_pages(grants);
	vmt_port_mem_free(space->tree.port, grants, sizeof(*grants));
	return status;
}

#endif

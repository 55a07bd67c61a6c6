// SPDX-License-Identifier: MIT
// The machine, and the beginning and end of spaces.
#ifndef VMT_SPACE_LIFE_H
#define VMT_SPACE_LIFE_H

enum vmt_status vmt_create(void *port, unsigned cpus, struct vmt **result)
{
	struct vmt *vmt;

	if (cpus == 0 || cpus > VMT_MAX_CPUS)
		return VMT_ERR_ARGUMENT;
	vmt = vmt_port_mem_alloc(port, sizeof(*vmt));
	if (!vmt)
		return VMT_ERR_NO_MEMORY;
	memset(vmt, 0, sizeof(*vmt));
	vmt->port = port;
	vmt->cpus = cpus;
	vmt->zero_pa = VMT_NO_FRAME;
	vmt->backings = vmt_port_mem_alloc(port, sizeof(*vmt->backings));
	if (vmt->backings)
		vmt->zero_pa = vmt_port_frame_alloc(port, VMT_PAGE_SIZE, true);
	if (vmt->zero_pa == VMT_NO_FRAME) {
		if (vmt->backings)
			vmt_port_mem_free(port, vmt->backings, sizeof(*vmt->backings));
		vmt_port_mem_free(port, vmt, sizeof(*vmt));
		return VMT_ERR_NO_MEMORY;
	}
	memset(vmt->backings, 0, sizeof(*vmt->backings));
	// The one reference is never dropped, so the zero page never goes.
	frame_begin(port, vmt->zero_pa, 0, 1);
	vmt->quarantine.frames = VMT_NO_FRAME;
	atomic_store_explicit(&vmt->generation, GENERATION_BLOCK, memory_order_relaxed);
	*result = vmt;
	return VMT_OK;
}

enum vmt_status vmt_destroy(struct vmt *vmt)
{
	struct vmt_data *zero;
	void *port = vmt->port;

	// Acquire pairs with the release at the end of each space and object.
	if (atomic_load_explicit(&vmt->spaces, memory_order_acquire) ||
	    atomic_load_explicit(&vmt->objects, memory_order_acquire))
		return VMT_ERR_BUSY;
	for (uint32_t i = 0; i < vmt->backings->chunks; i++)
		vmt_port_mem_free(port, atomic_load_explicit(&vmt->backings->chunk[i], memory_order_relaxed),
				  BACKING_CHUNK * sizeof(struct backing));
	vmt_port_mem_free(port, vmt->backings, sizeof(*vmt->backings));
	zero = data_of_frame(port, vmt->zero_pa);
	atomic_store_explicit(&zero->refs, 0, memory_order_relaxed);
	vmt_port_frame_free(port, vmt->zero_pa, VMT_PAGE_SIZE);
	vmt_port_mem_free(port, vmt, sizeof(*vmt));
	return VMT_OK;
}

// ---- A space -----------------------------------------------------------------------------------------------------

static void space_init(struct vmt *vmt, struct vmt_space *space, const struct vmt_space_config *config)
{
	struct vmt_tree *tree = &space->tree;

	space->config = *config;
	tree->vmt = vmt;
	tree->port = vmt->port;
	tree->space = space;
	tree->owner = config->owner;
	tree->start = config->start;
	tree->end = config->end;
	tree->user = config->user;
	tree->array_limit = config->array_limit;
	tree->leaf_sizes = fmt_leaf_sizes();
	atomic_store_explicit(&tree->generation, generation_block(vmt), memory_order_relaxed);
}

static enum vmt_status space_new(struct vmt *vmt, const struct vmt_space_config *config, struct vmt_space **result)
{
	void *port = vmt->port;
	struct vmt_space *space = vmt_port_mem_alloc(port, sizeof(*space));
	struct vmt_cpu *cpu = vmt_port_mem_alloc(port, vmt->cpus * sizeof(*cpu));
	uint64_t root = vmt_port_frame_alloc(port, VMT_PAGE_SIZE, true);

	if (!space || !cpu || root == VMT_NO_FRAME) {
		if (space)
			vmt_port_mem_free(port, space, sizeof(*space));
		if (cpu)
			vmt_port_mem_free(port, cpu, vmt->cpus * sizeof(*cpu));
		if (root != VMT_NO_FRAME)
			vmt_port_frame_free(port, root, VMT_PAGE_SIZE);
		return VMT_ERR_NO_MEMORY;
	}
	memset(space, 0, sizeof(*space));
	memset(cpu, 0, vmt->cpus * sizeof(*cpu));
	space->tree.cpu = cpu;
	space_init(vmt, space, config);
	space->tree.root = node_of_table(port, root);
	vmt_port_preempt_off(port);
	space->tree.root_pa = root;
	node_init(&space->tree, space->tree.root, root, FMT_TOP, 0);
	vmt_port_preempt_on(port);
	if (config->root_init)
		config->root_init(config->owner, vmt_port_frame_ptr(port, root));
	atomic_fetch_add_explicit(&vmt->spaces, 1, memory_order_relaxed);
	*result = space;
	return VMT_OK;
}

enum vmt_status vmt_space_create(struct vmt *vmt, const struct vmt_space_config *config, struct vmt_space **space)
{
	if ((config->start | config->end | config->search_start | config->search_end) & VMT_PAGE_MASK)
		return VMT_ERR_UNALIGNED;
	if (config->start >= config->end)
		return VMT_ERR_EMPTY;
	if (config->end > fmt_end_max())
		return VMT_ERR_OUTSIDE;
	return space_new(vmt, config, space);
}

// Drops what the slots [first, last] of a node hold, and frees what is below. Nobody else knows the space.
static void space_free_below(struct txn *txn, struct vmt_node *node, unsigned first, unsigned last)
{
	uint64_t zero_pa = txn->tree->vmt->zero_pa;
	unsigned left = node_live(node);
	bool lowest = node->level == 0;
	void *port = txn->port;

	for (unsigned slot = first; slot <= last && left; slot++) {
		uint64_t e = entry_load(node, slot);

		if (!e)
			continue;
		left--;
		if (lowest && fmt_is_present(e)) {
			if (fmt_pa(e) != zero_pa)
				frame_unref(port, fmt_pa(e));
		} else if (fmt_is_table(e, node->level)) {
			space_free_below(txn, node_of_table(txn->port, fmt_pa(e)), 0, FMT_SLOTS - 1);
			vmt_port_frame_free(txn->port, fmt_pa(e), VMT_PAGE_SIZE);
		} else if (!fmt_holds_frame(e, node->level)) {
			marker_dropped(txn, e, node->level);
		} else if (entry_frame(e) != zero_pa) {
			for (uint64_t i = 0; i < level_pages(node->level); i++)
				frame_unref(txn->port, entry_frame(e) + i * VMT_PAGE_SIZE);
		}
	}
	node_add_live(node, -(int)node_live(node));
	ids_drop(txn, node);
}

// Frees the space and all in it.
static void space_free(struct vmt_space *space)
{
	struct vmt_tree *tree = &space->tree;
	struct vmt *vmt = tree->vmt;
	uint64_t root = tree->root_pa;
	struct txn txn;

	txn_init(&txn, tree);
	vmt_port_preempt_off(tree->port);
	space_free_below(&txn, tree->root, fmt_index(tree->start, FMT_TOP), fmt_index(tree->end - 1, FMT_TOP));
	batch_free_frames(&txn.batch);
	vmt_port_preempt_on(tree->port);
	txn_finish(&txn);
	spares_free(tree);
	vmt_port_frame_free(tree->port, root, VMT_PAGE_SIZE);
	vmt_port_mem_free(tree->port, tree->cpu, vmt->cpus * sizeof(*tree->cpu));
	vmt_port_mem_free(tree->port, space, sizeof(*space));
	// Release pairs with the acquire in vmt_destroy.
	atomic_fetch_sub_explicit(&vmt->spaces, 1, memory_order_release);
}

enum vmt_status vmt_space_destroy(struct vmt_space *space)
{
	enum vmt_status status;

	for (unsigned i = 0; i < VMT_MAX_CPUS / 64; i++)
		if (atomic_load_explicit(&space->tree.cpus[i], memory_order_acquire))
			return VMT_ERR_BUSY;
	status = secondaries_end(space);
	if (status == VMT_OK)
		space_free(space);
	return status;
}

uint64_t vmt_space_root(const struct vmt_space *space)
{
	return space->tree.root_pa;
}

void *vmt_space_owner(const struct vmt_space *space)
{
	return space->tree.owner;
}

// ---- CPUs --------------------------------------------------------------------------------------------------------

uint64_t vmt_activate(struct vmt_space *space)
{
	_Atomic uint64_t *generation = &space->tree.generation;
	uint64_t early = HOLDS(GENERATION_LAST) ? 0 : atomic_load_explicit(generation, memory_order_seq_cst);
	unsigned cpu = vmt_port_cpu(space->tree.port);

	// Sequentially consistent, both: see tree/flush.h.
	atomic_fetch_or_explicit(&space->tree.cpus[cpu / 64], UINT64_C(1) << cpu % 64, memory_order_seq_cst);
	return HOLDS(GENERATION_LAST) ? atomic_load_explicit(generation, memory_order_seq_cst) : early;
}

void vmt_deactivate(struct vmt_space *space)
{
	unsigned cpu = vmt_port_cpu(space->tree.port);

	// Release pairs with the acquire in vmt_space_destroy: the CPU's use of the tables comes before their end.
	atomic_fetch_and_explicit(&space->tree.cpus[cpu / 64], ~(UINT64_C(1) << cpu % 64), memory_order_release);
}

// ---- Counters ----------------------------------------------------------------------------------------------------

void vmt_space_stats(struct vmt_space *space, struct vmt_space_stats *stats)
{
	struct vmt_tree *tree = &space->tree;

	*stats = (struct vmt_space_stats){
		.mapped_bytes = (uint64_t)counted(tree, mapped) << VMT_PAGE_SHIFT,
		.resident_pages = (uint64_t)counted(tree, resident),
		.resident_anon = (uint64_t)counted(tree, anon),
		.resident_peak = tree_peak(tree, SIZE_RESIDENT, counted(tree, resident)),
		.tables = (uint64_t)(counted(tree, tables_allocated) - counted(tree, tables_freed)),
		.tables_peak = tree_peak(tree, SIZE_TABLES,
					 counted(tree, tables_allocated) - counted(tree, tables_freed)),
		.tables_allocated = (uint64_t)counted(tree, tables_allocated),
		.tables_freed = (uint64_t)counted(tree, tables_freed),
		.array_bytes = (uint64_t)counted(tree, array_bytes),
		.array_bytes_peak = tree_peak(tree, SIZE_ARRAY_BYTES, counted(tree, array_bytes)),
		.faults_read_zero = (uint64_t)counted(tree, faults_read_zero),
		.faults_write_zero = (uint64_t)counted(tree, faults_write_zero),
		.faults_cow_copy = (uint64_t)counted(tree, faults_cow_copy),
		.faults_cow_reuse = (uint64_t)counted(tree, faults_cow_reuse),
		.faults_object_private = (uint64_t)counted(tree, faults_object_private),
		.faults_object_shared = (uint64_t)counted(tree, faults_object_shared),
		.faults_spurious = (uint64_t)counted(tree, faults_spurious),
		.faults_refused = (uint64_t)counted(tree, faults_refused),
		.flushes = (uint64_t)counted(tree, flushes),
		.flushes_all = (uint64_t)counted(tree, flushes_all),
		.flush_ranges = (uint64_t)counted(tree, flush_ranges),
		.flush_pages = (uint64_t)counted(tree, flush_pages),
		.flushes_skipped = (uint64_t)counted(tree, flushes_skipped),
		.transactions = (uint64_t)counted(tree, transactions),
		.retries = (uint64_t)counted(tree, retries),
	};
	stats->table_bytes = stats->tables * (VMT_PAGE_SIZE + sizeof(struct vmt_frame));
}

#endif

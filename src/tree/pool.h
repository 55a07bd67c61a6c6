// SPDX-License-Identifier: MIT
// Memory that a transaction may need: tables, attribute arrays, a page. Allocation happens before the locks (R9): a
// transaction that finds under the locks that it needs more lets go, fills the pool and starts again.
#ifndef VMT_TREE_POOL_H
#define VMT_TREE_POOL_H

#define POOL_MAX   (4 * (FMT_TOP + 1) + 4)
#define ARRAY_BYTES (FMT_SLOTS * sizeof(uint32_t))

struct pool {
	unsigned tables, arrays;
	uint64_t table[POOL_MAX];	// zeroed frames
	uint32_t *array[POOL_MAX];
	uint64_t page;			// a frame for data, or VMT_NO_FRAME
	bool page_zeroed;
	bool uniform;			// the last of the arrays has one id in all slots
	bool reclaim;			// the owner may give memory back when there is none
	uint64_t huge;			// a zeroed block for a leaf of level 1, or VMT_NO_FRAME
};

static void pool_init(struct pool *pool)
{
	pool->tables = pool->arrays = 0;
	pool->uniform = false;
	pool->reclaim = true;
	pool->page = pool->huge = VMT_NO_FRAME;
}

// Gives freed pages back so that an allocation can be tried again; above (space/reclaim.h). Nothing is held.
static uint64_t tree_reclaim(struct vmt_tree *tree, uint64_t pages);

static inline uint64_t pool_alloc_frame(struct vmt_tree *tree, const struct pool *pool, bool zero)
{
	uint64_t pa = vmt_port_frame_alloc(tree->port, VMT_PAGE_SIZE, zero);

	if (pa == VMT_NO_FRAME && pool->reclaim && tree_reclaim(tree, 16))
		pa = vmt_port_frame_alloc(tree->port, VMT_PAGE_SIZE, zero);
	return pa;
}

// Takes the spare array (below) of a CPU, of this one or another; NULL: it has none.
static inline uint32_t *spare_take(struct vmt_cpu *cpu)
{
	// Acquire pairs with the release in pool_put_spare: whoever puts one there has written it. An exchange, for
	// another CPU may take it now.
	return atomic_load_explicit(&cpu->spare, memory_order_relaxed) ?
		       atomic_exchange_explicit(&cpu->spare, NULL, memory_order_acquire) : NULL;
}

// An array from the port, or where it has none a CPU's spare one. Nothing is held.
static uint32_t *pool_alloc_array(struct vmt_tree *tree)
{
	uint32_t *array = vmt_port_mem_alloc(tree->port, ARRAY_BYTES);

	for (unsigned i = 0; i < tree->vmt->cpus && !array; i++)
		array = spare_take(&tree->cpu[i]);
	return array;
}

// Makes sure of so many tables and arrays. Nothing is held. VMT_ERR_NO_MEMORY, VMT_ERR_LIMIT; what was there stays.
static enum vmt_status pool_fill(struct vmt_tree *tree, struct pool *pool, unsigned tables, unsigned arrays)
{
	if (tables > POOL_MAX || arrays > POOL_MAX)
		vmt_port_fatal(tree->port, "vmtree: a transaction asked for more memory than any should");
	while (pool->tables < tables) {
		uint64_t pa = pool_alloc_frame(tree, pool, true);

		if (pa == VMT_NO_FRAME)
			return VMT_ERR_NO_MEMORY;
		pool->table[pool->tables++] = pa;
	}
	if (tree->array_limit && pool->arrays < arrays &&
	    size_exceeds(tree, SIZE_ARRAY_BYTES, arrays * ARRAY_BYTES, tree->array_limit))
		return VMT_ERR_LIMIT;
	while (pool->arrays < arrays) {
		uint32_t *array = pool_alloc_array(tree);

		if (!array)
			return VMT_ERR_NO_MEMORY;
		pool->array[pool->arrays++] = array;
		pool->uniform = false;
	}
	return VMT_OK;
}

// ---- The spare array ---------------------------------------------------------------------------------------------
//
// A loop of map and unmap gives a table an array and takes it away again each round. So each CPU keeps for each space
// one array as a node left it, when all of its slots had one id again. It counts as little as what a pool holds, for no
// node has it; vmt_reclaim gives it back, uncounted too.

// Takes the CPU's spare array into the pool. Preemption is off; locks may be held. False: there is none, or the space
// may not have one more.
static bool pool_take_spare(struct vmt_tree *tree, struct pool *pool)
{
	uint32_t *array;

	if (pool->arrays == POOL_MAX)
		return false;
	// With those that the pool has for this transaction already.
	if (tree->array_limit &&
	    size_exceeds(tree, SIZE_ARRAY_BYTES, (pool->arrays + 1) * ARRAY_BYTES, tree->array_limit))
		return false;
	array = spare_take(this_cpu(tree));
	if (!array)
		return false;
	pool->array[pool->arrays++] = array;
	pool->uniform = true;
	return true;
}

// Leaves an array of one id to the CPU, if the pool has one and the CPU has none. Nothing is held.
static inline void pool_put_spare(struct vmt_tree *tree, struct pool *pool)
{
	_Atomic(uint32_t *) *spare;

	if (!pool->uniform)
		return;
	vmt_port_preempt_off(tree->port);
	spare = &this_cpu(tree)->spare;
	// Only this CPU puts one there, so that what is empty stays empty. Release: see pool_take_spare.
	if (!atomic_load_explicit(spare, memory_order_relaxed)) {
		atomic_store_explicit(spare, pool->array[--pool->arrays], memory_order_release);
		pool->uniform = false;
	}
	vmt_port_preempt_on(tree->port);
}

// Frees the spare arrays of all CPUs. Nothing is held.
static void spares_free(struct vmt_tree *tree)
{
	for (unsigned i = 0; i < tree->vmt->cpus; i++) {
		uint32_t *array = spare_take(&tree->cpu[i]);

		if (array)
			vmt_port_mem_free(tree->port, array, ARRAY_BYTES);
	}
}

// ---- Pages -------------------------------------------------------------------------------------------------------

// Makes sure of a page; with `zero` a zeroed one.
static inline enum vmt_status pool_fill_page(struct vmt_tree *tree, struct pool *pool, bool zero)
{
	if (pool->page != VMT_NO_FRAME && zero && !pool->page_zeroed) {
		vmt_port_frame_free(tree->port, pool->page, VMT_PAGE_SIZE);
		pool->page = VMT_NO_FRAME;
	}
	if (pool->page == VMT_NO_FRAME) {
		pool->page = pool_alloc_frame(tree, pool, zero);
		pool->page_zeroed = zero;
	}
	return pool->page == VMT_NO_FRAME ? VMT_ERR_NO_MEMORY : VMT_OK;
}

// Tries to get a block for a huge page. That there is none is no failure: small pages do, and nothing is reclaimed.
static bool pool_fill_huge(struct vmt_tree *tree, struct pool *pool)
{
	if (pool->huge == VMT_NO_FRAME)
		pool->huge = vmt_port_frame_alloc(tree->port, fmt_span(1), true);
	return pool->huge != VMT_NO_FRAME;
}

// The frame at `pa`, which nobody knows, becomes a data frame with so many references.
static void frame_begin(void *port, uint64_t pa, uint32_t flags, uint32_t refs)
{
	struct vmt_data *data = data_of_frame(port, pa);

	atomic_store_explicit(&data->flags, flags, memory_order_relaxed);
	atomic_store_explicit(&data->pins, 0, memory_order_relaxed);
	atomic_store_explicit(&data->copy, NULL, memory_order_relaxed);
	// Release pairs with the acquire in frame_try_ref, of readers that find a non-zero count in a frame they
	// reached late: they see that it went. One store, for a relaxed one behind it would end the release sequence.
	atomic_store_explicit(&data->refs, refs, memory_order_release);
}

// Takes the page out of the pool as a data frame with one reference.
static uint64_t pool_take_page(struct vmt_tree *tree, struct pool *pool, uint32_t flags)
{
	uint64_t pa = pool->page;

	pool->page = VMT_NO_FRAME;
	frame_begin(tree->port, pa, flags, 1);
	return pa;
}

// The same with the huge page: a reference for each of its pages.
static uint64_t pool_take_huge(struct vmt_tree *tree, struct pool *pool)
{
	uint64_t pa = pool->huge;

	pool->huge = VMT_NO_FRAME;
	for (uint64_t i = 0; i < FMT_SLOTS; i++)
		frame_begin(tree->port, pa + i * VMT_PAGE_SIZE, 0, 1);
	return pa;
}

static bool pool_has_any(const struct pool *pool)
{
	return (pool->tables | pool->arrays) || (pool->page & pool->huge) != VMT_NO_FRAME;
}

static void pool_drain(struct vmt_tree *tree, struct pool *pool)
{
	while (pool->tables)
		vmt_port_frame_free(tree->port, pool->table[--pool->tables], VMT_PAGE_SIZE);
	while (pool->arrays)
		vmt_port_mem_free(tree->port, pool->array[--pool->arrays], ARRAY_BYTES);
	pool->uniform = false;
	if (pool->page != VMT_NO_FRAME)
		vmt_port_frame_free(tree->port, pool->page, VMT_PAGE_SIZE);
	for (uint64_t i = 0; pool->huge != VMT_NO_FRAME && i < FMT_SLOTS; i++)
		vmt_port_frame_free(tree->port, pool->huge + i * VMT_PAGE_SIZE, VMT_PAGE_SIZE);
	pool->page = pool->huge = VMT_NO_FRAME;
}

#endif

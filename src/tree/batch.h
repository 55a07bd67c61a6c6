// SPDX-License-Identifier: MIT
// What a transaction took out of a space and must not be reused before the flush: frames, tables, and the ranges to
// flush for them.
//
// A frame's reference is dropped after the flush; at zero it goes to the port at once, since nobody can reach it: CPUs
// were flushed, and a lock-free reader takes a reference only from a non-zero count and looks at the entries again.
// A table goes through the port's grace period, for lock-free readers and writers on their way down may stand in it.
//
// A frame with one reference is ours alone (only its entry named it), and is linked through its own metadata; others
// are listed in `shared`. When that list is full the batch is flushed and emptied on the spot, under the same locks
// (races.md 18).
#ifndef VMT_TREE_BATCH_H
#define VMT_TREE_BATCH_H

#define BATCH_SHARED 32

struct batch {
	struct vmt_tree *tree;
	uint64_t frames;		// first of the linked frames, or VMT_NO_FRAME
	unsigned shared_count;
	uint64_t shared[BATCH_SHARED];
	struct vmt_deferred *tables;
	unsigned reason;		// enum vmt_reason, for whoever is told of the flush
	struct vmt_flush flush;
};

static void batch_init(struct batch *batch, struct vmt_tree *tree)
{
	batch->tree = tree;
	batch->frames = VMT_NO_FRAME;
	batch->shared_count = 0;
	batch->tables = NULL;
	batch->reason = 0;
	batch->flush.all = batch->flush.tables = false;
	batch->flush.count = 0;
}

// Drops one reference of a data frame.
static void frame_unref(void *port, uint64_t pa)
{
	struct vmt_data *data = data_of_frame(port, pa);

	// Release: our use of the frame comes before its reuse. Acquire: the last one sees all others' uses as done.
	if (data && atomic_fetch_sub_explicit(&data->refs, 1, memory_order_acq_rel) == 1)
		vmt_port_frame_free(port, pa, VMT_PAGE_SIZE);
}

static void batch_free_frames(struct batch *batch)
{
	void *port = batch->tree->port;

	while (batch->frames != VMT_NO_FRAME) {
		uint64_t pa = batch->frames;

		batch->frames = data_of_frame(port, pa)->next;
		frame_unref(port, pa);
	}
	for (unsigned i = 0; i < batch->shared_count; i++)
		frame_unref(port, batch->shared[i]);
	batch->shared_count = 0;
}

static void table_run_free(void *port, struct vmt_deferred *self)
{
	struct vmt_node *node = (struct vmt_node *)((char *)self - offsetof(struct vmt_node, deferred));

	vmt_port_frame_free(port, node->base, VMT_PAGE_SIZE);
}

static bool batch_has_work(const struct batch *batch)
{
	return flush_pending(&batch->flush) || batch->frames != VMT_NO_FRAME || batch->shared_count;
}

// Flushes, then lets go of the frames. Node locks are still held: nothing new enters the place of what was removed
// before its flush is done (R14; races.md A2, C2, 6).
static void batch_flush(struct batch *batch)
{
	if (flush_pending(&batch->flush))
		flush_run(batch->tree, &batch->flush, batch->reason);
	batch_free_frames(batch);
}

// Hands the tables to the grace period. After batch_flush, and after their locks were released: the last release
// writes the node.
static void batch_retire_tables(struct batch *batch)
{
	while (batch->tables) {
		struct vmt_deferred *item = batch->tables;

		batch->tables = item->next;
		item->run = table_run_free;
		if (HOLDS(GRACE))
			vmt_port_defer(batch->tree->port, item);
		else
			item->run(batch->tree->port, item);
	}
}

// Takes over the reference that an entry held on the frame at `pa`.
static void batch_add_frame(struct batch *batch, uint64_t pa)
{
	struct vmt_data *data = data_of_frame(batch->tree->port, pa);

	if (!data || pa == batch->tree->vmt->zero_pa)
		return;
	// Acquire pairs with the release in frame_unref: with one reference left, the others' uses are over.
	if (atomic_load_explicit(&data->refs, memory_order_acquire) == 1) {
		data->next = batch->frames;
		batch->frames = pa;
		return;
	}
	if (batch->shared_count == BATCH_SHARED)
		(HOLDS(FLUSH_OVERFLOW) ? batch_flush : batch_free_frames)(batch);
	batch->shared[batch->shared_count++] = pa;
}

// Takes the node that was just unlinked, whose table lies at `pa`. The entry that led to it may be cached wherever an
// address below it was walked.
static void batch_add_table(struct batch *batch, struct vmt_node *node, uint64_t pa)
{
	flush_add(&batch->flush, node->base, node_end(node));
	batch->flush.tables = HOLDS(FLUSH_TABLES);
	node->base = pa;
	node->deferred.next = batch->tables;
	batch->tables = &node->deferred;
	count(batch->tree, tables_freed, 1);
}

#endif

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
	struct device_frame *device;	// the same in device memory
	unsigned shared_count, device_shared_count;
	uint64_t shared[BATCH_SHARED];
	struct device_frame *device_shared[BATCH_SHARED];
	struct vmt_deferred *tables;
	unsigned reason;		// enum vmt_reason, for whoever is told of the flush
	bool taken;			// something was taken out, at any time
	bool unanswered;		// a secondary has not answered a flush of ours
	bool lost;			// ... or one has not answered somebody else's, before ours was done
	uint64_t told_start, told_end;	// where secondaries were told of flushes; both 0: nowhere
	struct vmt_flush flush;
};

static void batch_init(struct batch *batch, struct vmt_tree *tree)
{
	batch->tree = tree;
	batch->frames = VMT_NO_FRAME;
	batch->device = NULL;
	batch->shared_count = batch->device_shared_count = 0;
	batch->tables = NULL;
	batch->reason = 0;
	batch->taken = batch->unanswered = batch->lost = false;
	batch->told_start = batch->told_end = 0;
	batch->flush.all = batch->flush.tables = false;
	batch->flush.count = 0;
}

static struct device_frame *device_next(struct device_frame *frame);

// Is a secondary of the space lost? Above (space/secondary.h).
static bool secondaries_lost(const struct vmt_tree *tree);

// Drops the references that were taken over. Nobody can reach the frames through the entries any more, but for a lost
// secondary: to which of them it has led before nobody knows, for pages move.
static void batch_free_frames(struct batch *batch)
{
	struct vmt *vmt = batch->tree->vmt;

	batch->lost |= batch->unanswered | secondaries_lost(batch->tree);
	while (batch->frames != VMT_NO_FRAME) {
		uint64_t pa = batch->frames;

		batch->frames = data_of_frame(vmt->port, pa)->next;
		batch->lost ? quarantine_frame(vmt, pa) : frame_unref(vmt->port, pa);
	}
	for (unsigned i = 0; i < batch->shared_count; i++)
		batch->lost ? quarantine_frame(vmt, batch->shared[i]) : frame_unref(vmt->port, batch->shared[i]);
	while (batch->device) {
		struct device_frame *frame = batch->device;

		batch->device = device_next(frame);
		batch->lost ? quarantine_device(vmt, frame) : device_unref(frame);
	}
	for (unsigned i = 0; i < batch->device_shared_count; i++)
		batch->lost ? quarantine_device(vmt, batch->device_shared[i]) : device_unref(batch->device_shared[i]);
	batch->shared_count = batch->device_shared_count = 0;
}

static bool batch_has_work(const struct batch *batch)
{
	return flush_pending(&batch->flush) || batch->frames != VMT_NO_FRAME || batch->device || batch->shared_count ||
	       batch->device_shared_count;
}

// What secondaries are told to forget they may be told to enter again, when nothing is held.
static void batch_note_told(struct batch *batch)
{
	const struct vmt_flush *flush = &batch->flush;

	for (unsigned i = 0; i < (flush->all ? 1 : flush->count); i++) {
		uint64_t start = flush->all ? flush->start : flush->ranges[i].start;
		uint64_t end = flush->all ? flush->end : flush->ranges[i].end;

		batch->told_start = batch->told_end && batch->told_start < start ? batch->told_start : start;
		batch->told_end = batch->told_end > end ? batch->told_end : end;
	}
}

// Flushes, then lets go of the frames. Node locks are still held: nothing new enters the place of what was removed
// before its flush is done (R14; races.md A2, C2, 6).
static void batch_flush(struct batch *batch)
{
	if (flush_pending(&batch->flush)) {
		// Acquire pairs with the release that made them.
		if (atomic_load_explicit(&batch->tree->secondaries, memory_order_acquire))
			batch_note_told(batch);
		batch->unanswered |= !flush_run(batch->tree, &batch->flush, batch->reason);
	}
	batch_free_frames(batch);
}

// Hands the tables to the grace period. After batch_flush, and after their locks were released: the last release
// writes the node.
static void batch_retire_tables(struct batch *batch)
{
	while (batch->tables) {
		struct vmt_deferred *item = batch->tables;

		batch->tables = item->next;
		if (batch->lost || secondaries_lost(batch->tree))
			quarantine_table(batch->tree->vmt, item);
		else
			table_retire(batch->tree->port, item);
	}
}

// Takes over the reference that an entry held on the frame at `pa`.
static inline void batch_add_frame(struct batch *batch, uint64_t pa)
{
	struct vmt_data *data = data_of_frame(batch->tree->port, pa);

	if (!data || pa == batch->tree->vmt->zero_pa)
		return;
	batch->taken = true;
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
	batch->taken = true;
	flush_add(&batch->flush, node->base, node_end(node));
	batch->flush.tables = HOLDS(FLUSH_TABLES);
	node->base = pa;
	node->deferred.next = batch->tables;
	batch->tables = &node->deferred;
	count(batch->tree, tables_freed, 1);
	size_changed(batch->tree, this_cpu(batch->tree), SIZE_TABLES);
}

#endif

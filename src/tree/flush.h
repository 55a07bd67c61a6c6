// SPDX-License-Identifier: MIT
// Who has to be told of a change: the CPUs that use the space now, by vmt_port_flush, and those that used it before and
// may have kept translations under its identifier, by the generation.
//
// vmt_activate sets the CPU's bit and then reads the generation; a flush raises the generation and then reads the bits.
// Both do so in sequentially consistent order, so at least one sees the other: either the flush interrupts the CPU, or
// the CPU finds a generation that it does not know and drops what it kept (races.md 5 and 15).
//
// Generations never repeat, not even between spaces: each space takes them from blocks that the machine's counter hands
// out.
#ifndef VMT_TREE_FLUSH_H
#define VMT_TREE_FLUSH_H

#define GENERATION_BLOCK (UINT64_C(1) << 20)

static uint64_t generation_block(struct vmt *vmt)
{
	// Relaxed: only its being unique matters.
	return atomic_fetch_add_explicit(&vmt->generation, GENERATION_BLOCK, memory_order_relaxed);
}

static uint64_t generation_next(struct vmt_tree *tree)
{
	uint64_t old = atomic_load_explicit(&tree->generation, memory_order_relaxed);
	uint64_t next;

	do {
		next = old + 1;
		if (next % GENERATION_BLOCK == 0)
			next = generation_block(tree->vmt);
		// Sequentially consistent: before the load of the CPU bits in flush_run; pairs with vmt_activate.
	} while (!atomic_compare_exchange_weak_explicit(&tree->generation, &old, next, memory_order_seq_cst,
							memory_order_relaxed));
	return next;
}

// Raises the generation and fills in the CPUs; false: none uses the space. The port knows by itself who uses a tree on
// its own.
static bool flush_concerns(struct vmt_tree *tree, struct vmt_flush *flush)
{
	uint64_t any = 0;

	if (tree->untracked) {
		flush->generation = 0;
		memset(flush->cpus, 0, sizeof(flush->cpus));
		return true;
	}
	flush->generation = HOLDS(GENERATION_FIRST) && HOLDS(GENERATION_RAISED) ? generation_next(tree) : 1;
	for (unsigned i = 0; i < VMT_MAX_CPUS / 64; i++)
		any |= flush->cpus[i] = atomic_load_explicit(&tree->cpus[i], memory_order_seq_cst);
	return any;
}

// The layer above knows who else translates addresses of the tree (space/secondary.h): asks them all to flush, for the
// CPUs to be flushed meanwhile; and waits for those that were asked.
static uint32_t secondaries_issue(struct vmt_tree *tree, const struct vmt_flush *flush, unsigned reason);
static bool secondaries_wait(struct vmt_tree *tree, const struct vmt_flush *flush, unsigned reason, uint32_t asked);

static void flush_count(struct vmt_tree *tree, const struct vmt_flush *flush)
{
	struct vmt_cpu *cpu = this_cpu(tree);
	uint64_t bytes = 0;

	for (unsigned i = 0; i < flush->count; i++)
		bytes += flush->ranges[i].end - flush->ranges[i].start;
	count_add(&cpu->count.flushes, 1);
	count_add(&cpu->count.flushes_all, flush->all);
	count_add(&cpu->count.flush_ranges, flush->count);
	count_add(&cpu->count.flush_pages, (int64_t)(bytes >> VMT_PAGE_SHIFT));
}

// Flushes what `flush` has collected and empties it. Node locks are held. Every change that it is about was written
// before; the sequentially consistent exchange in generation_next orders those writes before the reads of the bits.
// False: a secondary has not answered.
static bool flush_run(struct vmt_tree *tree, struct vmt_flush *flush, unsigned reason)
{
	uint32_t asked = 0;
	bool done = true;

	// Acquire pairs with the release that made them.
	if (atomic_load_explicit(&tree->secondaries, memory_order_acquire) && HOLDS(FLUSH_SECONDARY))
		asked = secondaries_issue(tree, flush, reason);
	if (!flush_concerns(tree, flush)) {
		count(tree, flushes_skipped, 1);
	} else {
		flush_count(tree, flush);
		flush->space = tree->space;
		flush->space_owner = tree->owner;
		if (tree->flush)
			done = tree->flush(tree->owner, flush);
		else
			vmt_port_flush(tree->port, flush);
	}
	if (!HOLDS(GENERATION_FIRST))
		generation_next(tree);
	if (asked) // in a space, which has no other flush than the port's
		done = secondaries_wait(tree, flush, reason, asked);
	flush->all = flush->tables = false;
	flush->count = 0;
	return done;
}

// With `all`: widens what it is about.
static void flush_widen(struct vmt_flush *flush, uint64_t start, uint64_t end)
{
	if (!HOLDS(FLUSH_HULL))
		return;
	flush->start = start < flush->start ? start : flush->start;
	flush->end = end > flush->end ? end : flush->end;
}

static void flush_add_range(struct vmt_flush *flush, uint64_t start, uint64_t end)
{
	if (flush->all) {
		flush_widen(flush, start, end);
		return;
	}
	if (flush->count) {
		struct vmt_flush_range *last = &flush->ranges[flush->count - 1];

		if (start <= last->end && end >= last->start) {
			last->start = start < last->start ? start : last->start;
			last->end = end > last->end ? end : last->end;
			return;
		}
	}
	if (flush->count == VMT_FLUSH_RANGES && !HOLDS(FLUSH_GROWS))
		return;
	if (flush->count == VMT_FLUSH_RANGES) {
		flush->all = true;
		flush->start = start;
		flush->end = end;
		while (flush->count--)
			flush_widen(flush, flush->ranges[flush->count].start, flush->ranges[flush->count].end);
		flush->count = 0;
		return;
	}
	flush->ranges[flush->count++] = (struct vmt_flush_range){start, end};
}

// Adds [start, end) to a request; neighbours join. When the list is full the request grows to the whole space: more is
// flushed than was changed, never less (races.md 11 and 18).
static inline void flush_add(struct vmt_flush *flush, uint64_t start, uint64_t end)
{
	if (flush->count && flush->ranges[flush->count - 1].end == start) // `all` has no ranges
		flush->ranges[flush->count - 1].end = end;
	else
		flush_add_range(flush, start, end);
}

static bool flush_pending(const struct vmt_flush *flush)
{
	return flush->all || flush->count;
}

// A CPU's own stale translation of one page, after a fault that the entry does not explain.
static void flush_own_page(struct vmt_tree *tree, uint64_t addr)
{
	unsigned cpu = vmt_port_cpu(tree->port);
	struct vmt_flush flush = {
		.space = tree->space,
		.space_owner = tree->owner,
		.generation = 0, // of no generation: others' flushes may still be on their way here
		.tables = true, // the absence of an upper entry may be what was kept
		.count = 1,
		.ranges[0] = {addr & ~VMT_PAGE_MASK, (addr & ~VMT_PAGE_MASK) + VMT_PAGE_SIZE},
	};

	flush.cpus[cpu / 64] = UINT64_C(1) << cpu % 64;
	vmt_port_flush(tree->port, &flush);
}

#endif

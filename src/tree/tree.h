// SPDX-License-Identifier: MIT
// The tree of one space: what its nodes mean and who may touch what.
//
// A node is the descriptor of one table and lies in the metadata of the table's frame (vmtree/frame.h). Its fields:
//
//	lock		see lock.h
//	level, tree, table		constant while the node is attached
//	base		constant while attached but for a move of the whole table (space/carry.h), which holds the
//			locks of the node and of both its parents
//	state		NODE_ATTACHED or NODE_DETACHED; written under the node's own exclusive lock
//	parent		as base; NULL for the root
//	live		entries that are not empty; written under the exclusive lock, read anywhere as a hint
// 	id, ids, breaks	attribute ids of the slots: under the exclusive lock, read under it or a pin. While a slot
// holds a
//			table its own id means nothing: the table's node says more
//	gap		hint for finding free ranges; any order of writes is right
//
// An entry of an attached table is written under its node's exclusive lock, by the hardware (accessed, dirty), and by
// nobody else. It is read anywhere: under the lock, or inside a read-side section, where the table is kept from being
// reused by the grace period.
//
// Invariants, which vmt_check walks:
//  1. live == number of non-empty entries.
//  2. A table entry at slot s of node P points to a node C with C.parent == P, C.level == P.level - 1 and
//     C.base == P.base + s * span(P.level).
//  3. A leaf, parked or present, lies at an address with attributes that allow what the entry allows; its frame's
//     references cover all entries that hold it.
//  4. ids != NULL only if breaks != 0. In an array, slots that hold tables name 0; where there is one id, it is that of
//     the slots without tables, and there is one.
//  5. A node other than the root with live == 0 and ids == NULL is folded, is kept by a CPU (vmt_cpu::kept), or its
//     parent's word says LOCK_FOLD.
#ifndef VMT_TREE_TREE_H
#define VMT_TREE_TREE_H

// What is seldom needed is a function of its own, so that its callers stay small.
#define SELDOM __attribute__((noinline, cold))
// What every operation does is not, whatever the compiler thinks of its size.
#define INLINED static inline __attribute__((always_inline))

enum {
	NODE_ATTACHED = 1,
	NODE_DETACHED = 2,
};

#define GAP_UNKNOWN 0xffff

// What has a peak or a limit.
enum size { SIZE_RESIDENT, SIZE_TABLES, SIZE_ARRAY_BYTES, SIZES };

// What one CPU counts for one space. Written by that CPU alone, with preemption off; summed by vmt_space_stats. Two
// CPUs never write one line of these. What every transaction counts lies in the first line.
struct vmt_cpu {
	_Alignas(64) struct {
		_Atomic int64_t resident, anon;	// entries that hold a frame; of those, frames of no object
		_Atomic int64_t mapped;		// pages with attributes
		_Atomic int64_t tables_allocated, tables_freed;
		_Atomic int64_t array_bytes;
		_Atomic int64_t transactions, faults_write_zero;
		_Atomic int64_t retries, faults_read_zero, faults_cow_copy, faults_cow_reuse;
		_Atomic int64_t faults_object_private, faults_object_shared, faults_spurious, faults_refused;
		_Atomic int64_t flushes, flushes_all, flush_ranges, flush_pages, flushes_skipped;
	} count;
	int64_t told[SIZES];		// what vmt_tree::told has of this CPU. Known to this CPU alone
	_Atomic int64_t peak[SIZES];	// the highest totals that it has seen
	// base + 1 of an emptied lowest table that this CPU has left in place, 0: none. Written by this CPU, and taken
	// over by others once it has left the space. Relaxed: whoever goes there looks at the table under its lock.
	_Atomic uint64_t kept;
	// An array of one id in all slots, or NULL: the next node that gets one of that id needs it not filled. Put
	// there by this CPU, taken by it and, when memory is short, by others. See pool.h.
	_Atomic(uint32_t *) spare;
	// Known to this CPU alone.
	uint64_t cursor;	// where the last search of this CPU found a range; 0: none yet
	uint64_t hole_start, hole_end; // what it unmapped last
};

// Held for a few instructions, with preemption off; the last in every order of locks.
struct spin {
	_Atomic uint32_t word;
};

// What a lost secondary may still reach; see quarantine.h.
struct quarantine {
	struct spin lock;
	unsigned lost;			// secondaries that are
	uint64_t frames;		// linked by vmt_data::next; VMT_NO_FRAME ends
	struct device_frame *device;	// space/device.h
	struct vmt_deferred *tables;
	uint64_t pages;			// frames, of both kinds, and tables
};

struct vmt {
	_Alignas(64) void *port;
	unsigned cpus;
	uint64_t zero_pa;
	struct vmt_backings *backings;
	_Atomic(struct vmt_device_memory *) memory[VMT_DEVICE_MEMORIES];
	struct quarantine quarantine;	// written only while a secondary is lost
	// In lines of their own: all others are read by every fault.
	_Alignas(64) _Atomic uint64_t generation;
	_Atomic uint32_t spaces, objects;
};

// What operations on disjoint ranges read lies in other lines than what they write (docs/conflicts.md).
struct vmt_tree {
	_Alignas(64) struct vmt *vmt;
	void *port;
	struct vmt_cpu *cpu;
	uint64_t root_pa;
	uint64_t start, end;
	// Who else translates its addresses; NULL: there never was anybody. See space/secondary.h.
	_Atomic(struct vmt_secondaries *) secondaries;
	_Atomic uint32_t gate;	// see txn.h; written by forks and moves
	_Atomic uint32_t relinks; // tables that a move has unlinked to link them elsewhere; see tree_relinks
	bool user;
	bool untracked;		// who uses it is not known: every flush goes to the port
	struct vmt_space *space;
	void *owner;
	bool (*flush)(void *owner, const struct vmt_flush *flush); // vmt_tree_config::flush
	struct vmt_node *root;
	uint64_t leaf_sizes;	// a bit for each size that a leaf may have: 1 << log2(bytes)
	uint64_t array_limit;
	// An empty table could not be folded for want of an array, or a mirror left one empty; vmt_reclaim sweeps and
	// clears it. Relaxed.
	_Atomic bool owed;
	// Ends in 0 where the next value has to come from vmt::generation; see flush.h.
	_Alignas(64) _Atomic uint64_t generation;
	_Atomic uint64_t cpus[VMT_MAX_CPUS / 64];
	_Alignas(64) _Atomic int64_t told[SIZES]; // sums, to which each CPU has added what is more than size_slack
};

// The one way to the counters of the calling CPU: preemption is off.
static inline struct vmt_cpu *this_cpu(struct vmt_tree *tree)
{
	return &tree->cpu[vmt_port_cpu(tree->port)];
}

// Counts for the calling CPU. Relaxed, and no read-modify-write: nobody else writes the word.
static inline void count_add(_Atomic int64_t *counter, int64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n, memory_order_relaxed);
}

#define count(tree, what, n) count_add(&this_cpu(tree)->count.what, (n))

// Sums one counter over all CPUs. Not a snapshot.
static inline int64_t count_sum(const struct vmt_tree *tree, size_t offset)
{
	int64_t sum = 0;

	for (unsigned i = 0; i < tree->vmt->cpus; i++)
		sum += atomic_load_explicit((_Atomic int64_t *)((char *)&tree->cpu[i] + offset), memory_order_relaxed);
	return sum;
}

#define counted(tree, what) count_sum(tree, offsetof(struct vmt_cpu, count.what))

// ---- Sizes: what has a peak or a limit ---------------------------------------------------------------------------
//
// Each CPU counts exactly, and tells the others, in one sum for all, only when its own part has changed by a certain
// amount. So who wants to know whether a peak is reached, before every unmap, reads one line that is seldom written,
// and not the lines of all CPUs. What a CPU has told is never more than there is, so no peak is seen that never was.
// Relaxed, all of it: statistics.

// By less than this a CPU's part is more than what it has told.
static inline int64_t size_slack(enum size size)
{
	return size == SIZE_RESIDENT ? 64 : size == SIZE_TABLES ? 8 : 8 * (int64_t)(FMT_SLOTS * sizeof(uint32_t));
}

static inline int64_t size_counted(const struct vmt_cpu *cpu, enum size size)
{
	if (size == SIZE_RESIDENT)
		return atomic_load_explicit(&cpu->count.resident, memory_order_relaxed);
	if (size == SIZE_ARRAY_BYTES)
		return atomic_load_explicit(&cpu->count.array_bytes, memory_order_relaxed);
	return atomic_load_explicit(&cpu->count.tables_allocated, memory_order_relaxed) -
	       atomic_load_explicit(&cpu->count.tables_freed, memory_order_relaxed);
}

static void size_tell(struct vmt_tree *tree, struct vmt_cpu *cpu, enum size size, int64_t more)
{
	cpu->told[size] += more;
	atomic_fetch_add_explicit(&tree->told[size], more, memory_order_relaxed);
}

// The calling CPU has counted; preemption is off.
static inline void size_changed(struct vmt_tree *tree, struct vmt_cpu *cpu, enum size size)
{
	int64_t more = size_counted(cpu, size) - cpu->told[size];

	// In one comparison: less than 0, or too much. Half is kept back, so that not every change has to be told.
	if ((uint64_t)more >= (uint64_t)size_slack(size))
		size_tell(tree, cpu, size, more - size_slack(size) / 2);
}

// The total, but for what other CPUs have not told yet. Preemption is off.
static inline int64_t size_known(const struct vmt_tree *tree, const struct vmt_cpu *cpu, enum size size)
{
	return atomic_load_explicit(&tree->told[size], memory_order_relaxed) + size_counted(cpu, size) -
	       cpu->told[size];
}

// The CPU has seen a total. Relaxed: nobody else writes it.
static void cpu_note_peak(struct vmt_cpu *cpu, enum size size, int64_t total)
{
	if (total > atomic_load_explicit(&cpu->peak[size], memory_order_relaxed))
		atomic_store_explicit(&cpu->peak[size], total, memory_order_relaxed);
}

// Would the total with `more` be above the limit? The lines of other CPUs are read only where it is near.
static inline bool size_exceeds(const struct vmt_tree *tree, enum size size, uint64_t more, uint64_t limit)
{
	int64_t sum = atomic_load_explicit(&tree->told[size], memory_order_relaxed);

	if ((uint64_t)(sum + tree->vmt->cpus * size_slack(size)) + more <= limit)
		return false;
	sum = 0;
	for (unsigned i = 0; i < tree->vmt->cpus; i++)
		sum += size_counted(&tree->cpu[i], size);
	return (uint64_t)sum + more > limit;
}

// A reader without a lock reads it before it begins to walk, and when it has read all that it wants: with the same
// number no table has changed its place meanwhile, so that what it has read lay on one way (races.md 21). Acquire,
// pairs with the release in move_relink: who reads a number sees the entries cleared that led to those tables. And who
// has read what was written into a table at its new place (an acquire, of a release that comes after the count) reads
// another number than before.
static inline uint32_t tree_relinks(const struct vmt_tree *tree)
{
	return atomic_load_explicit(&tree->relinks, memory_order_acquire);
}

// ---- Nodes and entries -------------------------------------------------------------------------------------------

static inline struct vmt_node *node_of_table(void *port, uint64_t pa)
{
	return &vmt_port_frame_meta(port, pa)->node;
}

static inline struct vmt_data *data_of_frame(void *port, uint64_t pa)
{
	struct vmt_frame *frame = vmt_port_frame_meta(port, pa);

	return frame ? &frame->data : NULL;
}

static inline uint64_t node_end(const struct vmt_node *node)
{
	return node->base + fmt_table_span(node->level);
}

static inline uint64_t slot_base(const struct vmt_node *node, unsigned slot)
{
	return node->base + ((uint64_t)slot << fmt_shift(node->level));
}

static inline uint32_t slot_id(const struct vmt_node *node, unsigned slot)
{
	return node->ids ? node->ids[slot] : node->id;
}

// Under the node's exclusive lock nobody but the hardware writes an entry, and what it writes (accessed, dirty) decides
// nothing that the reader of a relaxed load does.
static inline uint64_t entry_load(const struct vmt_node *node, unsigned slot)
{
	return atomic_load_explicit(&node->table[slot], memory_order_relaxed);
}

// For readers without the lock. Acquire pairs with entry_publish: what the entry points to is seen initialised.
static inline uint64_t entry_load_acquire(const struct vmt_node *node, unsigned slot)
{
	return atomic_load_explicit(&node->table[slot], memory_order_acquire);
}

// Stores an entry where there was none that hardware may write: empty, a marker. Release pairs with
// entry_load_acquire and with hardware walkers (which are ordered by the address dependency): the frame's content and
// the node come before the entry.
static inline void entry_publish(struct vmt_tree *tree, struct vmt_node *node, unsigned slot, uint64_t e)
{
	atomic_store_explicit(&node->table[slot], e, memory_order_release);
	vmt_port_publish(tree->port, &node->table[slot], 1);
}

// Replaces an entry that hardware may be writing and returns what it was: no accessed or dirty bit is lost
// (races.md 19). Acquire-release: what was read through the old entry is ordered before what is done about it.
static inline uint64_t entry_exchange(struct vmt_tree *tree, struct vmt_node *node, unsigned slot, uint64_t e)
{
	uint64_t old = atomic_exchange_explicit(&node->table[slot], e, memory_order_acq_rel);

	vmt_port_publish(tree->port, &node->table[slot], 1);
	return old;
}

// The same of an entry behind which pages stay in use, by another entry or another way (a move, a cut). Sequentially
// consistent: a reader without a lock counts its reference and then reads the old way again (path_holds); who has the
// lock of the new one may next find by that count that a page is its own (huge_owns, lazy_free_entry), and has changed
// nothing else of the old way. One of them sees the other.
static inline uint64_t entry_displace(struct vmt_tree *tree, struct vmt_node *node, unsigned slot, uint64_t e)
{
	uint64_t old = atomic_exchange_explicit(&node->table[slot], e, memory_order_seq_cst);

	vmt_port_publish(tree->port, &node->table[slot], 1);
	return old;
}

// May anybody have cached a translation of what the entry says? Of a leaf CPUs; of a page that is hidden from these, or
// that lies in device memory, a secondary.
static bool entry_is_used(const struct vmt_tree *tree, uint64_t e)
{
	if (fmt_is_present(e))
		return true;
	// Acquire pairs with the release that made them.
	return e && atomic_load_explicit(&tree->secondaries, memory_order_acquire) &&
	       (fmt_kind(e) == MARKER_PARKED || fmt_kind(e) == MARKER_DEVICE) && HOLDS(FLUSH_HIDDEN);
}

// The frame of a leaf or a parked leaf.
static inline uint64_t entry_frame(uint64_t e)
{
	return fmt_is_present(e) ? fmt_pa(e) : fmt_parked_pa(e);
}

static inline unsigned node_live(const struct vmt_node *node)
{
	return atomic_load_explicit(&node->live, memory_order_relaxed);
}

// Relaxed: written under the exclusive lock only; readers without it take it for a hint.
static inline void node_add_live(struct vmt_node *node, int n)
{
	atomic_store_explicit(&node->live, (uint16_t)(node_live(node) + n), memory_order_relaxed);
}

static inline bool node_is_empty(const struct vmt_node *node)
{
	return node_live(node) == 0 && !node->ids;
}

// ---- What is in a node: the entries that are not empty, and its tables, in the order of slots ---------------------
//
// Most entries of upper tables are empty, so that looking at each would be most of what an operation on a large range
// does. They are looked at a cache line at a time, and not beyond the last one that is not empty: how many there are is
// known (invariant 1). The node is held, exclusively or by a pin, and as long as a walk is under way no entry that it
// has not come to is emptied or filled.

// Are these eight entries empty? Relaxed as in entry_load.
static inline bool entries_are_empty(const _Atomic(uint64_t) *entry)
{
	return !(atomic_load_explicit(&entry[0], memory_order_relaxed) |
		 atomic_load_explicit(&entry[1], memory_order_relaxed) |
		 atomic_load_explicit(&entry[2], memory_order_relaxed) |
		 atomic_load_explicit(&entry[3], memory_order_relaxed) |
		 atomic_load_explicit(&entry[4], memory_order_relaxed) |
		 atomic_load_explicit(&entry[5], memory_order_relaxed) |
		 atomic_load_explicit(&entry[6], memory_order_relaxed) |
		 atomic_load_explicit(&entry[7], memory_order_relaxed));
}

// The first slot from `slot` to `last` whose entry is not empty, or last + 1.
static unsigned entries_skip_empty(const struct vmt_node *node, unsigned slot, unsigned last)
{
	const _Atomic(uint64_t) *entry = node->table + slot, *end = node->table + last + 1;

	// Up to where a line begins, by lines, and the rest.
	while (entry < end && (uintptr_t)entry % 64 && !atomic_load_explicit(entry, memory_order_relaxed))
		entry++;
	while ((uintptr_t)entry % 64 == 0 && end - entry >= 8 && entries_are_empty(entry))
		entry += 8;
	while (entry < end && !atomic_load_explicit(entry, memory_order_relaxed))
		entry++;
	return (unsigned)(entry - node->table);
}

// Goes on from `*slot` to the first slot up to `last` whose entry is not empty, and returns that; 0: there is none.
// `*left` begins as node_live.
static inline uint64_t entry_next(const struct vmt_node *node, unsigned *slot, unsigned last, unsigned *left)
{
	uint64_t e = 0;

	if (*slot > last || *left == 0)
		return 0;
	e = entry_load(node, *slot);
	if (!e && ++*slot <= last) {
		*slot = entries_skip_empty(node, *slot, last);
		e = *slot <= last ? entry_load(node, *slot) : 0;
	}
	*left -= e != 0;
	return e;
}

struct tables {
	const struct vmt_node *node;
	unsigned slot;		// where it has come to: a slot that holds a table, or last + 1
	unsigned last, left;
};

static void tables_find(struct tables *tables, unsigned slot)
{
	uint64_t e;

	while ((e = entry_next(tables->node, &slot, tables->last, &tables->left)) &&
	       !fmt_is_table(e, tables->node->level))
		slot++;
	tables->slot = e ? slot : tables->last + 1;
}

static inline void tables_next(struct tables *tables)
{
	tables_find(tables, tables->slot + 1);
}

// The first table in slots [first, last] of the node.
static inline struct tables tables_begin(const struct vmt_node *node, unsigned first, unsigned last)
{
	struct tables tables = {.node = node, .slot = last + 1, .last = last, .left = node_live(node)};

	if (node->level > 0 && tables.left)
		tables_find(&tables, first);
	return tables;
}

#endif

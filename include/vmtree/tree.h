// SPDX-License-Identifier: MIT
// Page tables on their own: what an IOMMU driver, a hypervisor or a user-space driver embeds. Addresses are mapped to
// physical memory that the caller owns; nothing here has attributes, faults or reference counts. Everything else is
// as in a space: any number of CPUs map, unmap and look up at once, disjoint ranges do not wait for each other,
// flushes are complete before a call returns, and a table that becomes empty is given back, at every level.
//
// Of the port it takes nine functions on one CPU: vmt_port_frame_alloc, frame_free, frame_ptr, frame_meta (for
// tables only), mem_alloc, mem_free, flush, defer, fatal; on several also cpu, relax, read_enter, read_exit, and
// where threads change CPUs preempt_off and preempt_on. The rest may be empty.
//
// Who walks the tables is the port's to know: every vmt_flush for such a tree has no CPUs in it, `space` NULL and
// `space_owner` the config's owner. Whatever uses the tables (an IOMMU, guests' CPUs) is flushed then.
//
// A walker that may keep the absence of an entry (an IOMMU in caching mode) has to be told of new ones:
// vmt_port_publish is called for every entry that was written.
//
// While a leaf is cut or joined its addresses translate to nothing for a moment, as the architectures ask (break before
// make): a CPU faults, finds the lock taken and comes back. A device that cannot come back should have its memory
// mapped by leaves that need no cutting: vmt_tree_map::leaf_max.
//
// Addresses, lengths and physical addresses are bytes and multiples of VMT_PAGE_SIZE. Functions check, in this order:
// VMT_ERR_UNALIGNED, VMT_ERR_EMPTY, VMT_ERR_WRAPPED, VMT_ERR_OUTSIDE, VMT_ERR_ARGUMENT; then nothing was changed.
// They are called with preemption on, outside of read-side sections, unless they say "any context".
#ifndef VMTREE_TREE_H
#define VMTREE_TREE_H

#include <vmtree/names.h>
#include <vmtree/space.h>
#include <vmtree/types.h>

struct vmt_flush;	// port.h
struct vmt_tree;

struct vmt_tree_config {
	// [start, end), multiples of VMT_PAGE_SIZE; end at most 2^(address bits), or half of that in formats whose
	// addresses are sign-extended (x86_64, riscv)
	uint64_t start, end;
	void *owner;		// vmt_flush::space_owner
	// NULL: vmt_port_flush is called. Else this, with the same contract, but that it may give up: false says that
	// somebody has not answered in his time. The tables that the flush was for are kept then until
	// vmt_tree_destroy, and the operation says VMT_ERR_DEVICE once it is done: whoever did not answer may still
	// use what was mapped.
	bool (*flush)(void *owner, const struct vmt_flush *flush);
	unsigned cpus;		// bounds what vmt_port_cpu returns, 1 to VMT_MAX_CPUS
	bool user;		// leaves can be used by user mode, where the format tells modes apart
	// The leaves that the hardware takes: bit n for 2^n bytes. A page must be among them, and with a leaf on its
	// own all smaller ones (VMT_ERR_SIZE). 0: all that need no extension, which is vmt_tree_leaf_sizes but for
	// RISC-V's NAPOT. A leaf may also be a *run* of entries that hardware keeps as one translation: the contiguous
	// bit of AArch64, NAPOT.
	uint64_t leaf_sizes;
};

// All sizes of leaves that the format can say. Constant. Any context.
uint64_t vmt_tree_leaf_sizes(void);

// Makes an empty tree. VMT_ERR_NO_MEMORY.
enum vmt_status vmt_tree_create(void *port, const struct vmt_tree_config *config, struct vmt_tree **tree);

// Frees it and all its tables. Nobody else uses it, no hardware walks it, and it has been flushed everywhere.
void vmt_tree_destroy(struct vmt_tree *tree);

// The physical address of the root table. Constant. Any context.
uint64_t vmt_tree_root(const struct vmt_tree *tree);

struct vmt_tree_map {
	uint64_t addr, length;
	uint64_t pa;		// of the first byte
	vmt_prot prot;		// not empty
	uint64_t leaf_max;	// the largest leaf to use, in bytes (VMT_ERR_SIZE: less than a page); 0: any that fits
	enum vmt_memory memory;	// VMT_ERR_ARGUMENT: one that the format cannot say
};

// Maps a range, with the largest leaves that the format has and the alignment of both addresses allows. Never
// overwrites (VMT_ERR_EXISTS at the first address that holds anything) and never splits a leaf. `*done` (may be NULL)
// is the bytes mapped before the end or the error; what had been there is as it was. VMT_ERR_ARGUMENT also where the
// format cannot name the memory; VMT_ERR_NO_MEMORY.
VMT_LOCKED enum vmt_status vmt_tree_map(struct vmt_tree *tree, const struct vmt_tree_map *map, uint64_t *done);

// Unmaps whatever the range holds. A leaf that it covers in part is cut: the rest stays mapped, in the largest
// leaves that fit, which may take tables: VMT_ERR_NO_MEMORY. `*done` (may be NULL): bytes unmapped before.
VMT_LOCKED enum vmt_status vmt_tree_unmap(struct vmt_tree *tree, uint64_t addr, uint64_t length, uint64_t *done);

// Gives everything mapped in the range these permissions (not empty: that is vmt_tree_unmap). Cuts leaves likewise.
VMT_LOCKED enum vmt_status vmt_tree_protect(struct vmt_tree *tree, uint64_t addr, uint64_t length, vmt_prot prot,
					    uint64_t *done);

// Maps a range whatever is there: in each table what was there is cleared, flushed everywhere, and only then replaced.
// Leaves and markers that the range covers in part are cut. Arguments and `*done` as vmt_tree_map; where memory
// runs out behind `*done`, some of what was there may be gone already.
VMT_LOCKED enum vmt_status vmt_tree_replace(struct vmt_tree *tree, const struct vmt_tree_map *map, uint64_t *done);

// Cuts every leaf of the range that is larger than `leaf_max` bytes into the largest ones that are not, and marks
// likewise. The translations stay the same. VMT_ERR_SIZE: `leaf_max` is less than a page. VMT_ERR_NO_MEMORY, after what
// lies before `*done` was cut.
VMT_LOCKED enum vmt_status vmt_tree_split(struct vmt_tree *tree, uint64_t addr, uint64_t length, uint64_t leaf_max,
			       uint64_t *done);

// Where the range holds leaves of consecutive memory with equal permissions and kind of memory, puts the largest leaves
// in their place that the tree may use (clear, flush, set), and frees the tables that this takes out of use. Accessed
// and dirty are what any of them was. Markers stay, and nothing is collapsed over one. Returns how many larger leaves
// were made; memory is not needed.
VMT_LOCKED uint64_t vmt_tree_collapse(struct vmt_tree *tree, uint64_t addr, uint64_t length);

// Clears the accessed bits (with VMT_DIRTY in `what` the dirty bits too, and then always both) of all leaves that
// overlap the range, flushes, and says for each page of the range whether one of the bits asked for was set: bit n
// of `bitmap` (may be NULL; bits are only ever set) is page n. Returns how many pages that were. A format whose
// hardware keeps no such bits reports what the library itself sets: accessed always, dirty where writable.
VMT_LOCKED uint64_t vmt_tree_test_and_clear(struct vmt_tree *tree, uint64_t addr, uint64_t length, unsigned what,
				 uint64_t *bitmap);

// Puts markers over a range, one for each largest span, whatever is there (which is cleared and flushed first). All get
// the same payload. vmt_tree_walk reports them, vmt_tree_unmap takes them away, vmt_tree_map does not overwrite them.
// VMT_ERR_ARGUMENT (kind, payload); VMT_ERR_NO_MEMORY, and then some of what was there behind `*done` may be gone.
VMT_LOCKED enum vmt_status vmt_tree_mark(struct vmt_tree *tree, uint64_t addr, uint64_t length, enum vmt_marker kind,
			      uint64_t payload, uint64_t *done);

// Gives back the empty tables that CPUs keep. (So that a loop of map and unmap does not free and allocate a table
// each round, a CPU keeps the last lowest table that it emptied, with what leads to it, until it empties another.)
// Returns how many tables; also called by itself when memory is short.
VMT_LOCKED uint64_t vmt_tree_reclaim(struct vmt_tree *tree);

// What the hardware would find at `addr` (any byte), read as hardware reads. VMT_ERR_NOT_PRESENT, VMT_ERR_OUTSIDE. Any
// context in which the port can enter a read-side section.
VMT_LOCK_FREE enum vmt_status vmt_tree_translate(struct vmt_tree *tree, uint64_t addr,
						 struct vmt_translation *translation);

// The run of like entries that holds `addr`, as vmt_walk.
VMT_HALF_LOCKED enum vmt_status vmt_tree_walk(struct vmt_tree *tree, uint64_t addr, uint64_t end, struct vmt_run *run);

// Iterates over the runs of [from, to), and by a callback: as VMT_FOR_EACH_RUN and vmt_for_each_run.
#define VMT_TREE_FOR_EACH_RUN(tree, from, to, run)                                                                     \
	for ((run)->end = (from); (run)->end < (to) && vmt_tree_walk((tree), (run)->end, (to), (run)) == VMT_OK;)

static inline enum vmt_status vmt_tree_for_each_run(struct vmt_tree *tree, uint64_t from, uint64_t to,
						    enum vmt_status (*see)(void *arg, const struct vmt_run *run),
						    void *arg)
{
	enum vmt_status status = VMT_OK;
	struct vmt_run run;

	for (run.end = from; status == VMT_OK && run.end < to;) {
		status = vmt_tree_walk(tree, run.end, to, &run);
		if (status == VMT_OK)
			status = see(arg, &run);
	}
	return status;
}

// Page tables now, the root counted.
uint64_t vmt_tree_tables(struct vmt_tree *tree);

// Prints the tree through `line`, a line for each run of like entries whose memory is consecutive: range, size, state,
// permissions, size of a leaf, where. Entries may change meanwhile.
VMT_HALF_LOCKED void vmt_tree_dump(struct vmt_tree *tree, void (*line)(void *arg, const char *text), void *arg);

// As vmt_check: returns and logs violations of the tree's invariants. Nothing else uses it meanwhile.
unsigned vmt_tree_check(struct vmt_tree *tree);

#endif

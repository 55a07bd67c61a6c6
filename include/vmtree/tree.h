// SPDX-License-Identifier: MIT
// Page tables on their own: what an IOMMU driver, a hypervisor or a user-space driver embeds. Addresses are mapped to
// physical memory that the caller owns; nothing here has attributes, faults or reference counts. Everything else is as in
// a space: any number of CPUs map, unmap and look up at once, disjoint ranges do not wait for each other, flushes are
// complete before a call returns, and a table that becomes empty is given back, at every level.
//
// Of the port it takes: vmt_port_frame_alloc, frame_free, frame_ptr, frame_meta, mem_alloc, mem_free, flush, read_enter,
// read_exit, defer, fatal, and for more than one CPU, cpu, preempt_off, preempt_on and relax; the rest may be empty.
//
// Who walks the tables is the port's to know: every vmt_flush for such a tree has no CPUs in it, `space` NULL and
// `space_owner` the config's owner. Whatever uses the tables (an IOMMU, guests' CPUs) is flushed then.
//
// Addresses, lengths and physical addresses are bytes and multiples of VMT_PAGE_SIZE. Functions check, in this order:
// VMT_ERR_UNALIGNED, VMT_ERR_EMPTY, VMT_ERR_WRAPPED, VMT_ERR_OUTSIDE, VMT_ERR_ARGUMENT; then nothing was changed. They are
// called with preemption on, outside of read-side sections, unless they say "any context".
#ifndef VMTREE_TREE_H
#define VMTREE_TREE_H

#include <vmtree/names.h>
#include <vmtree/space.h>
#include <vmtree/types.h>

struct vmt_tree;

struct vmt_tree_config {
	uint64_t start, end;	// [start, end), multiples of VMT_PAGE_SIZE; end at most 2^(virtual address bits - 1)
	void *owner;		// vmt_flush::space_owner
	unsigned cpus;		// bounds what vmt_port_cpu returns, 1 to VMT_MAX_CPUS
	bool user;		// leaves can be used by user mode, where the format tells modes apart
};

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
	uint64_t leaf_max;	// the largest leaf to use, in bytes; 0: the largest that fits
};

// Maps a range, with the largest leaves that the format has and the alignment of both addresses allows. Never overwrites:
// VMT_ERR_EXISTS at the first address that holds anything. Never splits a leaf. `*done` (may be NULL) is the bytes mapped
// before the end or the error; what had been there is as it was. VMT_ERR_NO_MEMORY.
enum vmt_status vmt_tree_map(struct vmt_tree *tree, const struct vmt_tree_map *map, uint64_t *done);

// Unmaps whatever the range holds. A leaf that it covers in part is cut: the rest stays mapped, in the largest leaves that
// fit, which may take tables: VMT_ERR_NO_MEMORY. `*done` (may be NULL): bytes unmapped before.
enum vmt_status vmt_tree_unmap(struct vmt_tree *tree, uint64_t addr, uint64_t length, uint64_t *done);

// Gives everything mapped in the range these permissions (not empty: that is vmt_tree_unmap). Cuts leaves likewise.
enum vmt_status vmt_tree_protect(struct vmt_tree *tree, uint64_t addr, uint64_t length, vmt_prot prot, uint64_t *done);

// What the hardware would find at `addr` (any byte), read as hardware reads. VMT_ERR_NOT_PRESENT, VMT_ERR_OUTSIDE. Any
// context in which the port can enter a read-side section.
enum vmt_status vmt_tree_translate(struct vmt_tree *tree, uint64_t addr, struct vmt_translation *translation);

// The run of like entries that holds `addr`, as vmt_walk. Leaves of one run have one size.
enum vmt_status vmt_tree_walk(struct vmt_tree *tree, uint64_t addr, uint64_t end, struct vmt_run *run);

// Page tables now, the root counted.
uint64_t vmt_tree_tables(struct vmt_tree *tree);

// As vmt_check: returns and logs violations of the tree's invariants. Nothing else uses it meanwhile.
unsigned vmt_tree_check(struct vmt_tree *tree);

#endif

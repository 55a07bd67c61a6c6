// SPDX-License-Identifier: MIT
// Mirrors: a device's tables, kept in step with a space. A mirror is a secondary (secondary.h) that the library makes:
// what the device may use it enters into a *target*, under the lock of the space's table; what a change takes away it
// removes from there before the device is asked to forget it. docs/mirror.md shows a driver.
//
// Targets:
//	a tree of vmtree/tree.h, of any format		vmt_tree_target
//	a table that the CPU cannot write, but command	the embedder's own vmt_target_ops
//	none: the device walks the space's own tables	vmt_mirror_config::target NULL; vmt_space_root
//
// Device addresses are the space's, plus the mirror's offset.
#ifndef VMTREE_MIRROR_H
#define VMTREE_MIRROR_H

#include <vmtree/names.h>
#include <vmtree/secondary.h>
#include <vmtree/tree.h>
#include <vmtree/types.h>

struct vmt_mirror;

// ---- Targets -----------------------------------------------------------------------------------------------------

// What entering translations may take, from before the locks are taken until after they were released. The mirror
// zeroes it and reads `wanted`; the rest is the target's.
struct vmt_reserve {
	unsigned count, wanted;		// frames: there are, and are to be at least
	uint64_t frame[8];
	uint64_t left_start, left_last;	// where `map` has left something to do with nothing held
	bool folded;			// an empty table in its way was looked for
};

struct vmt_target_ops {
	// Puts into the reserve what `map` at `addr` (device address) will probably take, but `wanted` at least.
	// Nothing is held; may sleep. VMT_ERR_NO_MEMORY. NULL: `map` needs nothing.
	enum vmt_status (*prepare)(void *target, uint64_t addr, struct vmt_reserve *reserve);
	// Gives back what is left in it, and does what `map` could not. Nothing is held. NULL with `prepare`.
	void (*release)(void *target, struct vmt_reserve *reserve);
	// Enters the grant (in device addresses), or as much of it around `addr` as can be done at once; `*end` says
	// where that ends. What is there already and allows as much is left as it is; of the same memory, it may come
	// to allow more. VMT_ERR_NO_MEMORY: the reserve is short, and `wanted` says by now of how much: prepare is
	// called again. Any other status ends the fault: VMT_ERR_EXISTS (something else is there), VMT_ERR_ARGUMENT
	// (the table cannot say that address). Held: must not sleep. Overlaps with other calls, but not for the same
	// addresses.
	enum vmt_status (*map)(void *target, const struct vmt_grant *grant, uint64_t addr,
			       struct vmt_reserve *reserve, uint64_t *end);
	// Takes everything in [start, end) (device addresses) out of the table. Never a part of one grant. Need not
	// flush: the device is asked afterwards. Held; may overlap with anything. Returns whether there was something:
	// false only if the device cannot have found anything there since the last `unmap`.
	bool (*unmap)(void *target, uint64_t start, uint64_t end);
	// After `unmap`, with nothing held, some time later: gives back what the table does not need any more, having
	// flushed it. May be NULL.
	void (*settle)(void *target, uint64_t start, uint64_t end);
};

struct vmt_target {
	const struct vmt_target_ops *ops;
	void *target;		// what the ops get
	uint64_t page_size;	// the smallest translation that it can hold
	uint64_t start, end;	// device addresses that it can hold
};

// Makes a target of a tree, for spaces of any format. (Of another format than the space's: VMT_DECLARE_TARGET.) A
// mirror's device addresses are the mirror's: nobody else changes them. At others the tree can be used as ever, by
// vmt_tree_map and by other mirrors: a guest's memory slots are mirrors of one space into one tree. Looking is free.
// The tree's `cpus` is for whatever CPUs use the space.
//
// Translations are flushed through vmt_mirror_ops. The tree's own flushes (vmt_tree_config::flush, or vmt_port_flush
// with space_owner) are about tables that have become empty.
void vmt_tree_target(struct vmt_tree *tree, struct vmt_target *target);

// Declares what a driver needs of a tree of another format than VMT_FORMAT, by its long names:
// VMT_DECLARE_TARGET(vtd_ss);
#define VMT_DECLARE_TARGET(format)                                                                                     \
	enum vmt_status vmt_##format##_tree_create(void *port, const struct vmt_tree_config *config,                   \
						   struct vmt_tree **tree);                                            \
	void vmt_##format##_tree_destroy(struct vmt_tree *tree);                                                       \
	uint64_t vmt_##format##_tree_root(const struct vmt_tree *tree);                                                \
	void vmt_##format##_tree_target(struct vmt_tree *tree, struct vmt_target *target)

// ---- Mirrors -----------------------------------------------------------------------------------------------------

struct vmt_mirror_ops {
	// The device begins to drop what it has cached in [start, end) (device addresses), with `tables` also how to
	// get there. Held: must not sleep, nor call the library on this space.
	void (*issue)(void *owner, uint64_t start, uint64_t end, bool tables);
	// It has dropped all that was asked of it before this call, and no access is under way. False: it did not
	// answer within the embedder's limit; vmt_secondary_detach says what follows. Held. NULL with `issue`: the
	// device keeps nothing.
	bool (*wait)(void *owner);
	// Translations were entered in [start, end), or came to allow more, before the device asked. Nothing is held.
	// NULL: it keeps neither the absence of a translation nor one that does not allow what it wants. (After a fault
	// it is who called vmt_mirror_fault that makes such a device look again.)
	void (*filled)(void *owner, uint64_t start, uint64_t end);
};

enum vmt_mirror_mode {
	VMT_MIRROR_ON_DEMAND,	// a translation comes with the device's fault
	// For devices that cannot fault: whatever is in the space's entries is entered when it comes there, and what is
	// there already when the mirror is made. After an operation of the library has returned the device can use what
	// a CPU can; in the course of one (a fork, a copy on write) it may meet nothing, for a moment. A device that
	// cannot bear that needs its memory pinned (vmt_page_pin) and mapped by hand. Pages that the device may write
	// are marked as written.
	VMT_MIRROR_EAGER,
};

struct vmt_mirror_config {
	uint64_t start, end;	// addresses of the space; both 0: all of it
	uint64_t offset;	// device address minus the space's, modulo 2^64
	enum vmt_mirror_mode mode;
	const struct vmt_target *target; // copied; NULL: the device walks the space's tables
	bool exec;		// what can be read may be executed as well (guests)
	const struct vmt_mirror_ops *ops; // NULL: nobody caches anything
	void *owner;
	struct vmt_device_memory *memory; // device.h: the device's own; or NULL
};

// Makes a mirror of a live space. VMT_ERR_UNALIGNED, VMT_ERR_EMPTY, VMT_ERR_OUTSIDE: the range, or the target cannot
// hold all of it; VMT_ERR_SIZE: the target's pages are larger than the space's; VMT_ERR_ARGUMENT: an `offset` that is
// no multiple of the page size, or without target an eager mirror, device memory or any offset; VMT_ERR_LIMIT;
// VMT_ERR_NO_MEMORY. An eager one is complete when this returns: VMT_ERR_NO_MEMORY also for want of tables,
// VMT_ERR_EXISTS where something else is in the target; then it is ended again. VMT_ERR_DEVICE: meanwhile the device
// did not answer, and `*mirror` is there, lost.
enum vmt_status vmt_mirror_create(struct vmt_space *space, const struct vmt_mirror_config *config,
				  struct vmt_mirror **mirror);

// Ends it: the target is empty then (where the mirror's addresses are), and flushed. No faults are under way. Not from
// inside of its ops. If vmt_space_destroy comes first only this may still be called, for that has ended the
// subscription. VMT_ERR_DEVICE: the device does not answer, or did not when something changed meanwhile; the mirror is
// still there, and lost. To end one that was lost before the call (vmt_mirror_stats) is to promise that the device has
// been reset; it is not asked any more.
enum vmt_status vmt_mirror_destroy(struct vmt_mirror *mirror);

// Resolves the device's faults for all pages that [addr, addr + length) touches (device addresses, bytes): VMT_READ,
// VMT_WRITE or, where the mirror says `exec`, VMT_EXEC; `length` 0 stands for 1. Statuses as vmt_secondary_fault;
// VMT_ERR_NO_MEMORY also for want of a table in the target, and what vmt_target_ops::map says. `*done` (may be NULL):
// bytes from `addr` to the first page that was not entered.
VMT_LOCKED enum vmt_status vmt_mirror_fault(struct vmt_mirror *mirror, uint64_t addr, uint64_t length,
					    vmt_prot access, uint64_t *done);

// The same for one page that the device wants for itself alone: VMT_GRANT_EXCLUSIVE. VMT_ERR_ARGUMENT also where the
// device walks the space's own tables: what is hidden from CPUs is hidden from it.
VMT_LOCKED enum vmt_status vmt_mirror_exclusive(struct vmt_mirror *mirror, uint64_t addr);

// Enters whatever is in the space's entries in [addr, addr + length) (device addresses, multiples of the page size).
// Eager mirrors do so by themselves; where memory ran out they are behind (vmt_mirror_stats), and this makes up for it
// when it is called for all of the mirror's addresses. VMT_ERR_UNALIGNED, VMT_ERR_EMPTY, VMT_ERR_OUTSIDE;
// VMT_ERR_DEVICE; VMT_ERR_NO_MEMORY, after what comes before was entered. Of a mirror without target there is nothing
// to do.
VMT_LOCKED enum vmt_status vmt_mirror_sync(struct vmt_mirror *mirror, uint64_t addr, uint64_t length);

struct vmt_mirror_counts {
	uint64_t faults;	// pages asked for
	uint64_t entered;	// translations handed to the target
	uint64_t invalidations;	// ranges that the device was asked to forget
	bool behind;		// eager: something is missing for want of memory
	bool lost;		// the device has not answered
};

void vmt_mirror_stats(struct vmt_mirror *mirror, struct vmt_mirror_counts *counts);

#endif

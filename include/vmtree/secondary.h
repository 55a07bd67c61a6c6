// SPDX-License-Identifier: MIT
// Secondaries: whatever else translates addresses of a space. A device with an MMU of its own, a guest's nested tables,
// a software cache. It subscribes to a range of a space and is told of every change there; and it takes faults as a CPU
// does.
//
// Two rules make it right, without sequence numbers and without retries:
//
//  1. A secondary gets a translation only inside of vmt_secondary_fault, from `commit`, under the lock of the table that
//     holds the entry.
//  2. Whoever changes that entry holds the same lock, and before he lets go of it `issue` and `wait` have been called.
//
// So a translation is either handed out before the change, and then flushed by it, or after it, and then what the
// change left. Faults in different tables do not know of each other. Nothing has to be done when a secondary attaches
// to a live space: it has no translations yet.
//
// With no secondary, all this is one load of a word that nobody writes.
#ifndef VMTREE_SECONDARY_H
#define VMTREE_SECONDARY_H

#include <vmtree/names.h>
#include <vmtree/space.h>
#include <vmtree/types.h>

// Secondaries of one space at a time.
#define VMT_SECONDARIES 16

enum vmt_reason {
	VMT_REASON_UNMAP = 1,	// vmt_unmap, vmt_map over something, vmt_move: the addresses mean something else now
	VMT_REASON_RELEASE,	// vmt_release, vmt_lazy_free, vmt_reclaim, guards and markers: the pages go
	VMT_REASON_PROTECT,	// vmt_protect, and the write permission that vmt_space_fork takes
	VMT_REASON_REPLACE,	// copy on write
	VMT_REASON_MIGRATE,	// vmt_collapse, vmt_page_take: the bytes go elsewhere
	VMT_REASON_EXIT,	// vmt_space_destroy
};

struct vmt_change {
	struct vmt_space *space;
	uint64_t start, end;	// addresses, clipped to what was subscribed to
	enum vmt_reason reason;
};

// Any member may be NULL.
struct vmt_secondary_ops {
	// Around an operation that may change something in the range: nothing is held, may sleep and call the library,
	// but nothing that changes this range. Each begin has its end, whatever the operation returned. They are no
	// lock: one call may give several pairs, nested or one after the other, and a flush may come outside of one
	// (faults and the reclaim of lazily freed pages have none, nor has what began before the subscription).
	void (*begin)(void *owner, const struct vmt_change *change);
	void (*end)(void *owner, const struct vmt_change *change);
	// Under the lock of the tables concerned: must not sleep, nor call the library. All secondaries' `issue` are
	// called before any `wait`, and the CPUs are flushed in between, so that their latencies overlap. When `wait`
	// returns the secondary uses no translation in the range any more, not even for an access under way.
	void (*issue)(void *owner, const struct vmt_change *change);
	void (*wait)(void *owner, const struct vmt_change *change);
};

struct vmt_secondary_config {
	uint64_t start, end;	// what it wants to be told of; both 0: the whole space
	const struct vmt_secondary_ops *ops;
	void *owner;
};

// Subscribes. `*id` names the subscription, 0 to VMT_SECONDARIES - 1. Any time while the space lives. VMT_ERR_LIMIT:
// there are as many already; VMT_ERR_UNALIGNED, VMT_ERR_EMPTY, VMT_ERR_OUTSIDE, VMT_ERR_NO_MEMORY.
enum vmt_status vmt_secondary_attach(struct vmt_space *space, const struct vmt_secondary_config *config, unsigned *id);

// Ends the subscription; when it returns nobody calls its ops any more. It has dropped its translations before, or
// drops them now: nothing keeps the pages. Waits for operations whose begin it has seen: not from inside of any
// secondary's ops, nor holding what these wait for. Faults of this secondary are over. vmt_space_destroy ends all
// subscriptions by itself, after VMT_REASON_EXIT.
void vmt_secondary_detach(struct vmt_space *space, unsigned id);

// Resolves a fault of the secondary `id` as vmt_fault does (same statuses, and VMT_ERR_OUTSIDE: not in the range that it
// subscribed to), and hands it the translation: `commit` is called once, before it returns VMT_OK, with the page at
// `addr` (its start), where it lies, and what the secondary may do with it: VMT_READ, and VMT_WRITE if that was asked
// for. Under the lock of the table: `commit` must not sleep and must not call the library. Nothing keeps the page but
// the promise to tell of its going.
VMT_LOCKED enum vmt_status vmt_secondary_fault(struct vmt_space *space, unsigned id, uint64_t addr,
					       vmt_prot access,
					       void (*commit)(void *arg, uint64_t page, uint64_t pa, vmt_prot prot),
					       void *arg);

#endif

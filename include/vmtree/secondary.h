// SPDX-License-Identifier: MIT
// Secondaries: whatever else translates addresses of a space. A device with an MMU of its own, a guest's nested tables,
// a software cache. It subscribes to a range of a space and is told of every change there; and it takes faults as a CPU
// does. mirror.h is built on this and keeps a device's tables by itself; this is for who wants to do that his own way.
//
// Two rules make it right:
//
//  1. A secondary gets a translation only from `commit`, under the lock of the table that holds the entry.
//  2. Whoever changes that entry holds the same lock, and before he lets go of it `issue` and `wait` have been called.
//
// So a translation is either handed out before the change, and then flushed by it, or after it, and then what the
// change left. There is no sequence number that could repeat, and faults in different tables do not know of each other.
// Nothing has to be done when a secondary attaches to a live space: it has no translations yet.
//
// With no secondary, all this is one load of a word that nobody writes.
#ifndef VMTREE_SECONDARY_H
#define VMTREE_SECONDARY_H

#include <vmtree/names.h>
#include <vmtree/space.h>
#include <vmtree/types.h>

struct vmt_device_memory;

// Secondaries of one space at a time.
#define VMT_SECONDARIES 16

enum vmt_reason {
	VMT_REASON_UNMAP = 1,	// vmt_unmap, vmt_map over something, vmt_move: the addresses mean something else now
	VMT_REASON_RELEASE,	// vmt_release, vmt_lazy_free, vmt_reclaim, guards and markers: the pages go
	VMT_REASON_PROTECT,	// vmt_protect, and the write permission that vmt_space_fork takes
	VMT_REASON_REPLACE,	// a fault: copy on write, or a CPU takes back what a device had for itself
	VMT_REASON_MIGRATE,	// vmt_collapse, vmt_page_take, vmt_migrate: the bytes go elsewhere
	VMT_REASON_EXIT,	// vmt_space_destroy
	VMT_REASON_SOFT_DIRTY,	// vmt_test_and_clear: what marks a page as used or written was cleared
	VMT_REASON_FILL,	// an entry came to allow more (only for `filled`)
};

struct vmt_change {
	struct vmt_space *space;
	uint64_t start, end;	// addresses, clipped to what was subscribed to
	enum vmt_reason reason;
	bool tables;		// page tables of the space go: who walks these forgets how to get there as well
};

// Any member may be NULL.
struct vmt_secondary_ops {
	// Around an operation that may change something in the range: nothing is held, may sleep and call the library,
	// but nothing that changes this range. Each begin has its end, whatever the operation returned. They are no
	// lock: one call may give several pairs, nested or one after the other, and a flush may come outside of one
	// (faults and the reclaim of lazily freed pages have none, nor has what began before the subscription). `end`
	// covers all that `issue` was told of for the operation, which may be more than `begin` announced: a huge page
	// that was cut.
	void (*begin)(void *owner, const struct vmt_change *change);
	void (*end)(void *owner, const struct vmt_change *change);
	// Under the lock of the tables concerned: must not sleep, nor call the library on this space. All secondaries'
	// `issue` are called before any `wait`, and the CPUs are flushed in between, so that their latencies overlap.
	// When `wait` returns true the secondary uses no translation in the range any more, not even for an access
	// under way. False: it did not answer within the limit that the embedder sets. See vmt_secondary_detach.
	void (*issue)(void *owner, const struct vmt_change *change);
	bool (*wait)(void *owner, const struct vmt_change *change);
	// Entries in the range have come to allow more, or `issue` was called for them outside of begin and end: a
	// fault of a CPU or of another secondary was resolved there, a marker exchanged for a page. Nothing is held,
	// as for `end`; what the entries say by now may be less again. For secondaries that are to have translations
	// before they ask, or that keep the absence of one.
	void (*filled)(void *owner, const struct vmt_change *change);
};

struct vmt_secondary_config {
	uint64_t start, end;	// what it wants to be told of; both 0: the whole space
	const struct vmt_secondary_ops *ops;
	void *owner;
	struct vmt_device_memory *memory; // device.h: what it can reach of this kind; or NULL
};

// Subscribes. `*id` names the subscription, 0 to VMT_SECONDARIES - 1; it is set before any of the ops is called. Any
// time while the space lives. VMT_ERR_LIMIT: there are as many already; VMT_ERR_UNALIGNED, VMT_ERR_EMPTY,
// VMT_ERR_OUTSIDE, VMT_ERR_NO_MEMORY.
enum vmt_status vmt_secondary_attach(struct vmt_space *space, const struct vmt_secondary_config *config, unsigned *id);

// Ends the subscription; when it returns nobody calls its ops any more. It has dropped its translations before, or
// drops them now: nothing keeps the pages. Waits for operations whose begin it has seen: not from inside of any
// secondary's ops, nor holding what these wait for. Faults of this secondary are over. vmt_space_destroy ends all
// subscriptions by itself, after VMT_REASON_EXIT.
//
// A secondary whose `wait` returned false is *lost*: it may still use any translation that it ever had. It is asked and
// waited for no more, its faults are refused (VMT_ERR_DEVICE), and pages and tables that leave the space are
// quarantined: they are given to nobody. Operations in the range to which it subscribed say VMT_ERR_DEVICE once they
// are done. What needs a page's bytes to stand still, or hands the page out, says so and changes nothing:
// vmt_space_fork, vmt_page_take, vmt_collapse, vmt_migrate, VMT_GRANT_EXCLUSIVE, and whatever wants a page that lies
// in the lost one's own memory. Else the space is as usable as before. To detach a lost secondary is to promise that
// it has been reset: when no lost one is left, what is in quarantine is given back.
void vmt_secondary_detach(struct vmt_space *space, unsigned id);

// ---- Faults ------------------------------------------------------------------------------------------------------

// A translation that is handed out.
struct vmt_grant {
	uint64_t addr, length;	// a page; or a larger leaf, as far as it lies in what was subscribed to
	uint64_t pa;		// where `addr` lies; with `device` in the secondary's own memory
	vmt_prot prot;		// VMT_READ; VMT_WRITE if that was asked for; VMT_EXEC where a CPU might
	bool device;
	bool exclusive;		// VMT_GRANT_EXCLUSIVE: until the secondary is told of a change here
};

enum {
	VMT_GRANT_PRESENT = 1u << 0,	// only what is there: nothing is faulted in, copied or moved
	VMT_GRANT_EXCLUSIVE = 1u << 1,	// for writing: no CPU and no other secondary may use the page meanwhile
};

struct vmt_secondary_request {
	uint64_t addr, length;	// bytes; all pages that they touch. 0 stands for 1
	// VMT_READ or VMT_WRITE; with VMT_GRANT_PRESENT 0: whatever the entry allows, and what may be written counts as
	// written from then on.
	vmt_prot access;
	uint32_t flags;		// VMT_GRANT_*
	// Called for each page or larger leaf, under the lock of its table: must not sleep, nor call the library on
	// this space. Nothing keeps the page but the promise to tell of its going. Of a page that has a read-only copy
	// in the secondary's memory (device.h) now the one and now the other is handed out, until it may be written.
	void (*commit)(void *arg, const struct vmt_grant *grant);
	void *arg;
};

// Resolves faults of the secondary `id`, page by page, as vmt_fault does (same statuses), and hands it the
// translations. VMT_ERR_OUTSIDE: not in the range that it subscribed to; VMT_ERR_DEVICE: it is lost. `*done` (may be
// NULL): bytes from `addr` to the first page that was not handed out. Pages between two that are not there are passed
// over with VMT_GRANT_PRESENT, and VMT_OK is returned.
//
// VMT_GRANT_EXCLUSIVE is for atomic operations of a device that CPUs cannot see as such: the page is hidden from the
// CPUs and flushed everywhere else before it is handed out; the next access of a CPU or of another secondary takes it
// back, which the first is told of. Private anonymous memory only (VMT_ERR_ARGUMENT), and no page that is pinned or
// that others hold a reference on at the moment (VMT_ERR_BUSY).
//
// A secondary with device memory gets pages that live there without their being moved; others make them come back.
VMT_LOCKED enum vmt_status vmt_secondary_fault(struct vmt_space *space, unsigned id,
					       const struct vmt_secondary_request *request, uint64_t *done);

// The most pages of one vmt_secondary_fault_range.
#define VMT_RANGE_PAGES 64

struct vmt_secondary_range {
	uint64_t addr, length;	// multiples of VMT_PAGE_SIZE; at most VMT_RANGE_PAGES pages
	vmt_prot access;	// VMT_READ or VMT_WRITE
	// Gets the pages of the range, in order, one grant each, before they are its own: to make ready what takes
	// long. Nothing is held, may sleep. VMT_OK, or a status that ends the fault. NULL: there is nothing to prepare.
	enum vmt_status (*program)(void *arg, const struct vmt_grant *grant, unsigned count);
	// Under the locks of all tables concerned, as `commit` above, with what the entries say now. `programmed`: this
	// is exactly what `program` saw last.
	void (*commit)(void *arg, const struct vmt_grant *grant, unsigned count, bool programmed);
	void *arg;
};

// Resolves the faults of a whole range at once: faults its pages in, calls `program`, and commits all of them in one
// step if nothing there has changed meanwhile; if something has, begins again. After a few rounds it does not wait for
// quiet any more: pages are committed one by one, from inside of their faults, with `programmed` false. So it always
// ends. Statuses as vmt_secondary_fault, VMT_ERR_ARGUMENT, VMT_ERR_NO_MEMORY.
VMT_LOCKED enum vmt_status vmt_secondary_fault_range(struct vmt_space *space, unsigned id,
						     const struct vmt_secondary_range *range);

#endif

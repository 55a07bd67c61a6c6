// SPDX-License-Identifier: MIT
// Address spaces.
//
// A space is a tree of page tables and nothing beside it. Each address has *attributes* (may be read, backed by which
// object, ...) and a *state* (empty, present, a marker). vmt_map and vmt_protect change attributes; faults, releases
// and guards change states; vmt_unmap clears both.
//
// Concurrency. Every function may be called on any space by any number of CPUs at once, except where it says
// otherwise. Functions on disjoint ranges (no common lowest-level table) do not wait for each other. A function whose
// range spans many tables works in windows: other CPUs may see one window changed and the next not yet. Unless a
// function says "any context", it must be called with preemption on, outside of read-side sections, and may sleep in
// vmt_port_frame_alloc, vmt_port_mem_alloc and an object's fill.
//
// Addresses and lengths are bytes and multiples of VMT_PAGE_SIZE unless a function says otherwise. Ranges are
// half-open. Every function that takes a range checks, in this order: VMT_ERR_UNALIGNED, VMT_ERR_EMPTY,
// VMT_ERR_WRAPPED, VMT_ERR_OUTSIDE, VMT_ERR_ARGUMENT; then nothing has been changed.
#ifndef VMTREE_SPACE_H
#define VMTREE_SPACE_H

#include <vmtree/names.h>
#include <vmtree/object.h>
#include <vmtree/types.h>

struct vmt;
struct vmt_space;

// ---- The machine -------------------------------------------------------------------------------------------------

// Makes the context that all spaces of one machine share: the zero page, the table of descriptors. `cpus`, 1 to
// VMT_MAX_CPUS, bounds what vmt_port_cpu returns. VMT_ERR_NO_MEMORY, VMT_ERR_ARGUMENT.
enum vmt_status vmt_create(void *port, unsigned cpus, struct vmt **vmt);

// Frees it. VMT_ERR_BUSY while a space or an object exists.
enum vmt_status vmt_destroy(struct vmt *vmt);

// ---- Life of a space ---------------------------------------------------------------------------------------------

struct vmt_marker_fault {
	uint64_t addr;		// of the page
	vmt_prot access;	// VMT_READ, VMT_WRITE or VMT_EXEC
	enum vmt_marker kind;
	uint64_t payload;
};

// What the embedder does about markers in a space. Any member may be NULL.
struct vmt_marker_ops {
	// A fault, or whoever else wants the page, has met a marker. Nothing is held; may sleep and call anything.
	// VMT_OK: look again (the handler has resolved the marker, or waited for somebody who does); anything else ends
	// the fault with that status. NULL: VMT_ERR_GUARD and VMT_ERR_POISON for these kinds, VMT_ERR_MARKER for
	// others.
	enum vmt_status (*fault)(struct vmt_space *space, const struct vmt_marker_fault *fault);
	// `pages` more (fewer) pages of the space say this: vmt_mark put them there, a fork or a move copied them (they
	// were unmapped, released, overwritten, or the space was destroyed). The one page of vmt_page_take and of
	// vmt_marker_resolve is not reported: the caller knows. Held: must not sleep and must not call the library.
	void (*copied)(struct vmt_space *space, enum vmt_marker kind, uint64_t payload, uint64_t pages);
	void (*dropped)(struct vmt_space *space, enum vmt_marker kind, uint64_t payload, uint64_t pages);
};

struct vmt_space_config {
	// Addresses that can be mapped, [start, end). Both are multiples of VMT_PAGE_SIZE and end is at most
	// 2^(virtual address bits - 1): the lower half of a sign-extended address space. Slots of the root table that
	// belong to no address of this range are never read or written by the library.
	uint64_t start, end;
	// The embedder's own pointer: vmt_space_owner, and in every vmt_flush.
	void *owner;
	// If not NULL: fills the new, zeroed root table before its first use (the kernel's half).
	void (*root_init)(void *owner, void *root_table);
	// Set: leaves can be used by user mode (x86-64 U/S, RISC-V U). Clear: by supervisor mode only.
	bool user;
	// Most bytes of attribute arrays; 0 stands for no limit. Beyond it: VMT_ERR_LIMIT.
	uint64_t array_limit;
	// Where vmt_map and vmt_move look for a free range unless the request names its own [search_start, search_end).
	// Both 0: the whole space.
	uint64_t search_start, search_end;
	// NULL: no markers but guards and poison are used. Stays valid for the life of the space and of its children.
	const struct vmt_marker_ops *marker_ops;
};

// Makes an empty space. VMT_ERR_NO_MEMORY, VMT_ERR_ARGUMENT, VMT_ERR_OUTSIDE (end too large), VMT_ERR_EMPTY.
enum vmt_status vmt_space_create(struct vmt *vmt, const struct vmt_space_config *config, struct vmt_space **space);

// Makes a copy as fork(2) does: private pages are shared until one side writes, shared mappings stay shared, markers
// and parked pages are copied, pages pinned for DMA stay with the parent. The copy is a state that existed: changes to
// the parent wait meanwhile; reads and writes through entries that are there already do not. `owner` takes the place
// of the config's. VMT_ERR_NO_MEMORY, VMT_ERR_LIMIT: no child, and the parent is as it was (some of its pages may take
// one more fault).
VMT_LOCKED enum vmt_status vmt_space_fork(struct vmt_space *parent, void *owner, struct vmt_space **child);

// Frees everything in the space and the space. The caller is the last to know it. VMT_ERR_BUSY while it is active on a
// CPU; VMT_ERR_DEVICE: a secondary has not answered (secondary.h), and the space is still there: detach it, and
// repeat. Translations tagged with its identifier may linger in TLBs: the port flushes an identifier before it gives
// it to another space.
enum vmt_status vmt_space_destroy(struct vmt_space *space);

// The physical address of the root table. Constant. Any context.
uint64_t vmt_space_root(const struct vmt_space *space);
void *vmt_space_owner(const struct vmt_space *space);

// Announces that the calling CPU begins to use the space's tables, before it loads the root; from then on it takes
// part in flushes. Returns the space's flush generation, which grows with every flush and never repeats, also not
// between spaces: a port with address-space identifiers remembers it beside the identifier, and when a later
// vmt_activate returns another value, flushes the identifier before using it. Preemption off; any context.
uint64_t vmt_activate(struct vmt_space *space);

// Announces that the calling CPU has stopped using the tables (after another root was loaded). Preemption off.
void vmt_deactivate(struct vmt_space *space);

// ---- Attributes --------------------------------------------------------------------------------------------------

enum {
	VMT_MAP_FIXED = 1u << 0,	// at exactly `addr`, replacing what is there
	VMT_MAP_FIXED_NOREPLACE = 1u << 1, // at exactly `addr`, VMT_ERR_EXISTS if any of it is mapped
	VMT_MAP_SHARED = 1u << 2,	// writes go to the object; without an object one is made, zero-filled
	VMT_MAP_GROWS_DOWN = 1u << 3,	// vmt_grow_down extends it
	VMT_MAP_NO_RESERVE = 1u << 4,	// recorded, and shown by vmt_area_find
	VMT_MAP_POPULATE = 1u << 5,	// fault everything in; what that cannot do is no error
	VMT_MAP_HUGE = 1u << 6,		// private anonymous memory: huge pages where they fit; see vmt_advise_huge
};

// A tag of the embedder's own, kept with the attributes and never interpreted; areas with different tags do not join.
#define VMT_TAGS 16

struct vmt_map_request {
	uint64_t addr;		// fixed: where; otherwise a hint, 0 for none
	uint64_t length;
	vmt_prot prot;
	vmt_prot prot_max;	// what vmt_protect may allow later; includes `prot`. 0 stands for VMT_RWX
	uint32_t flags;		// VMT_MAP_*
	uint32_t tag;		// 0 to VMT_TAGS - 1
	struct vmt_object *object; // or NULL: anonymous memory
	uint64_t offset;	// of the first byte in the object; a multiple of VMT_PAGE_SIZE
	// Where to look for a free range, if not fixed: [search_start, search_end). Both 0: the space's own. Searching
	// goes from the top down, spread over CPUs where there is room.
	uint64_t search_start, search_end;
};

// Maps [*addr, *addr + length). Finding the free range and claiming it are one step. Untouched memory costs a few
// slots, whatever its size. VMT_ERR_EXISTS, VMT_ERR_NO_SPACE, VMT_ERR_NO_MEMORY, VMT_ERR_LIMIT; with VMT_MAP_FIXED
// over more than a window a prefix may have been replaced when memory runs out.
VMT_LOCKED enum vmt_status vmt_map(struct vmt_space *space, const struct vmt_map_request *request, uint64_t *addr);

// Unmaps whatever of the range is mapped (nothing at all is no error). Cutting an area may need a table or an array:
// VMT_ERR_NO_MEMORY or VMT_ERR_LIMIT, and then a prefix of the range may have been unmapped; repeating is safe.
VMT_LOCKED enum vmt_status vmt_unmap(struct vmt_space *space, uint64_t addr, uint64_t length);

// Sets the permissions of the range, as mprotect(2). A part that is not mapped: VMT_ERR_UNMAPPED; more than an area's
// prot_max: VMT_ERR_ACCESS; both, like VMT_ERR_NO_MEMORY and VMT_ERR_LIMIT, after what lies before was changed.
VMT_LOCKED enum vmt_status vmt_protect(struct vmt_space *space, uint64_t addr, uint64_t length, vmt_prot prot);

enum {
	VMT_MOVE_MAY_MOVE = 1u << 0,	// may end up elsewhere
	VMT_MOVE_FIXED = 1u << 1,	// to exactly `new_addr`, replacing what is there (needs MAY_MOVE)
};

// mremap(2): resizes the mapping at [addr, addr + old_length) to new_length, in place if there is room, else by moving
// its entries if allowed; the pages themselves are not copied. The range must lie in one area (VMT_ERR_UNMAPPED,
// VMT_ERR_ARGUMENT). new_length 0: VMT_ERR_EMPTY. old_length 0 asks for a second mapping of a shared object's pages.
// Not enough room: VMT_ERR_NO_SPACE (may move) or VMT_ERR_EXISTS (may not). On VMT_ERR_NO_MEMORY and VMT_ERR_LIMIT the
// old mapping is whole. `*result` is the new address.
// A move waits for others under way. One to a fixed place that loses its source to another says VMT_ERR_UNMAPPED, and
// what was at that place is gone.
VMT_LOCKED enum vmt_status vmt_move(struct vmt_space *space, uint64_t addr, uint64_t old_length, uint64_t new_length,
			 uint32_t flags, uint64_t new_addr, uint64_t *result);

// Extends the growing area above `addr` down to the page of `addr` (any byte), as a stack does, if everything between
// is free, the area would be at most `max_length` bytes long, and `gap` bytes below stay free of other areas (areas
// without any permission do not count). VMT_ERR_UNMAPPED otherwise; VMT_ERR_NO_MEMORY, VMT_ERR_LIMIT.
VMT_LOCKED enum vmt_status vmt_grow_down(struct vmt_space *space, uint64_t addr, uint64_t max_length, uint64_t gap);

struct vmt_area {
	uint64_t start, end;
	vmt_prot prot, prot_max;
	uint32_t flags;		// VMT_MAP_SHARED, VMT_MAP_GROWS_DOWN, VMT_MAP_NO_RESERVE, VMT_MAP_HUGE
	uint32_t tag;
	struct vmt_object *object; // or NULL; only as long as the caller knows that it stays mapped or otherwise alive
	uint64_t offset;	// of `start` in the object
};

// The first area that ends after `addr` (any byte): neighbours with equal attributes are one area. VMT_ERR_UNMAPPED:
// there is none. Walks under pins: concurrent changes may or may not be seen, what is returned existed piece by piece.
// Waits for moves (vmt_move) that are under way at the areas it looks at.
VMT_HALF_LOCKED enum vmt_status vmt_area_find(struct vmt_space *space, uint64_t addr, struct vmt_area *area);

// What of the first area there lies in [addr, end): area->start is at least `addr`, area->end at most `end`. What lies
// beside the range is not looked at. VMT_ERR_UNMAPPED: nothing in it is mapped. Multiples of the page.
VMT_HALF_LOCKED enum vmt_status vmt_area_within(struct vmt_space *space, uint64_t addr, uint64_t end,
			 struct vmt_area *area);

// vmt_area_find for callers that look at area->object while others may unmap it: it carries a reference, to be dropped with
// vmt_object_put (where it is not NULL).
VMT_HALF_LOCKED enum vmt_status vmt_area_get(struct vmt_space *space, uint64_t addr, struct vmt_area *area);

// ---- State -------------------------------------------------------------------------------------------------------

struct vmt_fault_info {
	bool major;		// the object's owner filled a page for it
};

// Resolves a fault at `addr` (any byte) for one access (VMT_READ, VMT_WRITE or VMT_EXEC). VMT_OK: the access can be
// repeated. VMT_ERR_UNMAPPED (SEGV_MAPERR), VMT_ERR_ACCESS (SEGV_ACCERR), VMT_ERR_GUARD, VMT_ERR_BUS (BUS_ADRERR),
// VMT_ERR_POISON (BUS_MCEERR_AR), VMT_ERR_MARKER, what a handler of markers returned, VMT_ERR_NO_MEMORY. VMT_ERR_RETRY:
// others changed what it needed a thousand times over; try again. `info` may be NULL.
VMT_LOCKED enum vmt_status vmt_fault(struct vmt_space *space, uint64_t addr, vmt_prot access,
				     struct vmt_fault_info *info);

// Faults in all pages of the range, for writing where private writable, else for reading. Stops at the first page
// that fails, with its status; `*done` (may be NULL) is the bytes that were populated before.
VMT_LOCKED enum vmt_status vmt_populate(struct vmt_space *space, uint64_t addr, uint64_t length, uint64_t *done);

// MADV_DONTNEED: the pages of the range are given back; the next touch finds zeroes or the object's page. Guards,
// poison and the embedder's own markers stay. VMT_ERR_NO_MEMORY: a huge page could not be split.
// VMT_ERR_UNMAPPED: a part is not mapped (the mapped parts were released all the same).
VMT_LOCKED enum vmt_status vmt_release(struct vmt_space *space, uint64_t addr, uint64_t length);

// MADV_FREE: private anonymous pages may be taken by vmt_reclaim unless written again; until then they keep their
// bytes; a huge page may be taken at once. VMT_ERR_ARGUMENT if a part is not private anonymous memory, VMT_ERR_UNMAPPED
// as above.
VMT_LOCKED enum vmt_status vmt_lazy_free(struct vmt_space *space, uint64_t addr, uint64_t length);

// MADV_GUARD_INSTALL: pages of the range are given back and every access faults with VMT_ERR_GUARD until
// vmt_guard_remove (which leaves what is not a guard) or vmt_unmap. One entry for each largest span: a guard over a GiB
// is one entry. VMT_ERR_ARGUMENT if a part is not private anonymous memory; VMT_ERR_UNMAPPED, VMT_ERR_NO_MEMORY,
// VMT_ERR_LIMIT.
VMT_LOCKED enum vmt_status vmt_guard_install(struct vmt_space *space, uint64_t addr, uint64_t length);
VMT_LOCKED enum vmt_status vmt_guard_remove(struct vmt_space *space, uint64_t addr, uint64_t length);

// ---- Markers -----------------------------------------------------------------------------------------------------
//
// An entry that holds no page says what has become of it. Markers survive fork, vmt_move, vmt_protect and attempts to
// collapse, and a table that holds one is not empty. vmt_unmap takes them away; vmt_release those that stand for a
// page's bytes (swap, migration, device), which reads as zeroes then.

// Puts markers over the range, one for each largest span, and gives back the pages that were there. VMT_ERR_ARGUMENT:
// no kind of the embedder's to set (all but guard), or a payload beyond VMT_MARKER_PAYLOAD; VMT_ERR_UNMAPPED: a part
// is not mapped (the mapped parts were marked all the same); VMT_ERR_NO_MEMORY, VMT_ERR_LIMIT.
VMT_LOCKED enum vmt_status vmt_mark(struct vmt_space *space, uint64_t addr, uint64_t length, enum vmt_marker kind,
				    uint64_t payload);

// Takes the page at `addr` (a multiple of VMT_PAGE_SIZE) out of its entry, after the flush, and leaves a marker. The
// entry's reference goes to the caller (vmt_page_put): to write the page to a swap device, or to copy it elsewhere.
// Pins keep a page where it is, references of vmt_page_get do not: who holds one goes on seeing, and writing, this
// frame. VMT_ERR_NOT_PRESENT: there is none, or the zero page; VMT_ERR_BUSY: it is pinned; VMT_ERR_ARGUMENT: as
// vmt_mark, or the page is its object's; VMT_ERR_UNMAPPED; VMT_ERR_NO_MEMORY (a huge page has to be split).
VMT_LOCKED enum vmt_status vmt_page_take(struct vmt_space *space, uint64_t addr, enum vmt_marker kind,
					 uint64_t payload, uint64_t *pa);

// If the page at `addr` says exactly this, maps the page `pa` there, with the permissions that the address has; the
// caller's reference becomes the entry's. VMT_ERR_NOT_PRESENT: it says something else by now, and the reference is
// still the caller's; so with VMT_ERR_ARGUMENT (shared memory), VMT_ERR_NO_MEMORY.
VMT_LOCKED enum vmt_status vmt_marker_resolve(struct vmt_space *space, uint64_t addr, enum vmt_marker kind,
					      uint64_t payload, uint64_t pa);

// Takes the markers of one kind (not guard) in the range away; each is reported as dropped. VMT_ERR_UNMAPPED: a part is
// not mapped (the mapped parts were done all the same); VMT_ERR_NO_MEMORY, VMT_ERR_ARGUMENT.
VMT_LOCKED enum vmt_status vmt_unmark(struct vmt_space *space, uint64_t addr, uint64_t length, enum vmt_marker kind);

// A page of the embedder's, for vmt_marker_resolve: one reference, with `zero` zeroed. VMT_ERR_NO_MEMORY.
enum vmt_status vmt_page_new(struct vmt *vmt, bool zero, uint64_t *pa);

// ---- Huge pages --------------------------------------------------------------------------------------------------
//
// A huge page is a leaf of the second level (2 MiB with pages of 4 KiB) over memory that was allocated at once. Each
// page of it has its own metadata and is counted by itself, so that a reference, a pin, a copy on write or a part that
// is unmapped, protected or released concerns these pages alone: the leaf is split then, and nothing else changes.

// MADV_HUGEPAGE, MADV_NOHUGEPAGE: the first write to private anonymous memory of the range gets a huge page where one
// fits and memory for it can be had, or does not. VMT_ERR_UNMAPPED: a part is not mapped; what lies before was advised.
VMT_LOCKED enum vmt_status vmt_advise_huge(struct vmt_space *space, uint64_t addr, uint64_t length, bool huge);

// MADV_COLLAPSE: puts a huge page in the place of each whole table of small ones in the range that belong to nobody
// else, holes filled with zeroes. Pages that lie as one huge page already stay where they are; others are copied.
// Where a page is shared, pinned, lazily freed or of an object, or there is a marker or more than one set of
// attributes, the table stays. Returns how many huge pages were made; `*status` (may be NULL): VMT_ERR_NO_MEMORY or
// VMT_ERR_LIMIT if some were not for want of memory or of an attribute array; or what is wrong with the range, and
// then nothing was done.
VMT_LOCKED uint64_t vmt_collapse(struct vmt_space *space, uint64_t addr, uint64_t length, enum vmt_status *status);

// ---- Memory pressure ---------------------------------------------------------------------------------------------

// Takes lazily freed clean pages and empty tables of the space back, up to `pages`; returns how many frames were freed
// or are on their way through a grace period. Callable with preemption on.
VMT_LOCKED uint64_t vmt_reclaim(struct vmt_space *space, uint64_t pages);

// ---- What was used and written -----------------------------------------------------------------------------------

// Clears the accessed bits of all leaves that overlap the range (with VMT_DIRTY in `what` the dirty bits too, and then
// always both), flushes CPUs and secondaries, and says for each page of the range whether one of the bits asked for was
// set: as vmt_tree_test_and_clear (tree.h). What was written between two calls is what Linux calls soft-dirty: pages
// that came in between are dirty as well, pages that went are not there. A lazily freed page that was written since is
// not free any more. Of a page in device memory nothing is known: it counts as used and written.
VMT_LOCKED uint64_t vmt_test_and_clear(struct vmt_space *space, uint64_t addr, uint64_t length, unsigned what,
				       uint64_t *bitmap);

// ---- Looking -----------------------------------------------------------------------------------------------------

struct vmt_translation {
	uint64_t pa;		// of the byte asked for
	uint64_t size;		// bytes that the leaf covers, a run of entries being one leaf
	vmt_prot prot;		// what the hardware entry allows
	enum vmt_memory memory;
	bool accessed, dirty;
	bool zero;		// the shared zero page
};

// What the hardware would find at `addr` (any byte), read as hardware reads: lock-free, any context but NMI-like ones
// in which the port cannot enter a read-side section. A snapshot. VMT_ERR_NOT_PRESENT, VMT_ERR_OUTSIDE.
VMT_LOCK_FREE enum vmt_status vmt_translate(struct vmt_space *space, uint64_t addr,
					    struct vmt_translation *translation);

enum vmt_state {
	VMT_STATE_NONE,		// not mapped, or mapped and never touched
	VMT_STATE_PRESENT,	// a leaf
	VMT_STATE_PARKED,	// a frame that the hardware cannot see (PROT_NONE on a resident page)
	VMT_STATE_GUARD,	// a guard marker
	VMT_STATE_POISON,	// a poison marker
	VMT_STATE_MARKER,	// another marker
};

struct vmt_run {
	uint64_t start, end;
	uint64_t size;		// bytes that one leaf or marker of the run covers (NONE: its first slot)
	enum vmt_state state;
	vmt_prot prot;		// PRESENT: what the hardware entry allows
	enum vmt_memory memory;	// PRESENT
	bool mapped;		// has attributes
	bool accessed, dirty, zero;
	uint64_t pa;		// PRESENT and PARKED: of `start`; frames of a run are consecutive, or it is one page
	unsigned marker;	// GUARD, POISON and MARKER: enum vmt_marker (tree.h), and what it carries
	uint64_t payload;
};

// The longest run of like entries from `addr` (any byte) on, cut at `end`. Iterate over a range by asking again at
// run->end (VMT_FOR_EACH_RUN). Nothing is held on return. VMT_ERR_OUTSIDE, VMT_ERR_EMPTY.
VMT_HALF_LOCKED enum vmt_status vmt_walk(struct vmt_space *space, uint64_t addr, uint64_t end, struct vmt_run *run);

// Iterates: the statement that follows is executed for each run of [from, to), in `run`, a struct vmt_run *. It may
// call anything, change the range, break and return: nothing is held between two runs.
#define VMT_FOR_EACH_RUN(space, from, to, run)                                                                         \
	for ((run)->end = (from); (run)->end < (to) && vmt_walk((space), (run)->end, (to), (run)) == VMT_OK;)

// The same by a callback: ends and returns what `see` returns as soon as that is not VMT_OK.
static inline enum vmt_status vmt_for_each_run(struct vmt_space *space, uint64_t from, uint64_t to,
					       enum vmt_status (*see)(void *arg, const struct vmt_run *run), void *arg)
{
	enum vmt_status status = VMT_OK;
	struct vmt_run run;

	for (run.end = from; status == VMT_OK && run.end < to;) {
		status = vmt_walk(space, run.end, to, &run);
		if (status == VMT_OK)
			status = see(arg, &run);
	}
	return status;
}

// Takes a reference on the page behind `addr` (any byte), faulting it in for `access` if needed. The frame stays
// allocated until vmt_page_put, whatever happens to the mapping; copy-on-write may give the mapping another one.
// Statuses as vmt_fault.
VMT_LOCKED enum vmt_status vmt_page_get(struct vmt_space *space, uint64_t addr, vmt_prot access, uint64_t *pa);

// The same without a fault and without a lock: only if the hardware could make this access now (for writing: to an
// entry that is dirty already). VMT_ERR_NOT_PRESENT: it could not, or the entry was changing. VMT_ERR_UNMAPPED: outside
// of the space. VMT_ERR_ARGUMENT.
VMT_LOCK_FREE enum vmt_status vmt_page_try_get(struct vmt_space *space, uint64_t addr, vmt_prot access, uint64_t *pa);
void vmt_page_put(struct vmt *vmt, uint64_t pa);

// The same for a device: the page also stays *where it is* for this mapping until vmt_page_unpin; fork and
// copy-on-write leave it in place. `access` VMT_WRITE makes a private page the mapping's own first; for VMT_READ too,
// since a later write must not move it.
VMT_LOCKED enum vmt_status vmt_page_pin(struct vmt_space *space, uint64_t addr, vmt_prot access, uint64_t *pa);
void vmt_page_unpin(struct vmt *vmt, uint64_t pa);

struct vmt_space_stats {
	uint64_t mapped_bytes;		// with attributes (VmSize)
	uint64_t resident_pages;	// entries that hold a frame, the zero page not counted (VmRSS)
	uint64_t resident_anon;		// of those, pages of no object
	// Highest resident_pages at any release or at this call. Where several CPUs map pages at once it may say less,
	// by up to 63 pages for each of the others; tables_peak by 7 tables, array_bytes_peak by 7 arrays.
	uint64_t resident_peak;
	uint64_t tables;		// page tables now, the root counted
	uint64_t tables_peak;
	uint64_t tables_allocated, tables_freed; // ever
	uint64_t array_bytes;		// attribute arrays now
	uint64_t array_bytes_peak;
	uint64_t faults_read_zero, faults_write_zero, faults_cow_copy, faults_cow_reuse, faults_object_private,
		faults_object_shared, faults_spurious, faults_refused;
	uint64_t flushes, flushes_all, flush_ranges, flush_pages; // calls of vmt_port_flush, and what they asked for
	uint64_t flushes_skipped;	// changes while no CPU used the space
	uint64_t transactions, retries;
	uint64_t table_bytes;		// tables * (VMT_PAGE_SIZE + 64): tables and their nodes
};

// Sums the counters of all CPUs. Not a snapshot while others work.
void vmt_space_stats(struct vmt_space *space, struct vmt_space_stats *stats);

// ---- Proof and sight ---------------------------------------------------------------------------------------------

// Walks all invariants of the space: counts, parents, bases, attributes, frames, what must not be locked. Nothing else
// may use the space meanwhile. Returns the number of violations and logs each one through vmt_port_log.
unsigned vmt_check(struct vmt_space *space);

// Prints the space through `line`, runs merged, one line each: range, size, attributes, state, level.
VMT_HALF_LOCKED void vmt_dump(struct vmt_space *space, void (*line)(void *arg, const char *text), void *arg);

#endif

// SPDX-License-Identifier: MIT
// The protections of the library, each with what it protects against (numbers: docs/races.md). A test build switches
// exactly one off, -DVMT_WITHOUT=<name or number>, and shows that a test notices (tests/protections). In every other
// build HOLDS is the constant true and nothing of it is left.
#ifndef VMT_TREE_PROTECTIONS_H
#define VMT_TREE_PROTECTIONS_H

enum protection {
	PROTECTION_NONE,
	LINKED,			// a table is looked at again under its lock: it may have been detached (A3, E1)
	GRACE,			// tables outlive those who may stand in them (A4, 2)
	FLUSH_UNDER_LOCK,	// the flush comes before the locks are released (A2, C2, 6)
	FLUSH_ZAP,		// of a page that leaves its entry (20)
	FLUSH_TABLES,		// of the entry that led to a table (A4, 8)
	FLUSH_OVERFLOW,		// when the list of frames is full (18)
	FLUSH_GROWS,		// a full list of ranges becomes the whole space (11, 18)
	FLUSH_TAKE,		// of a page that the embedder takes against a marker (20)
	FLUSH_MOVE,		// of the place that a page leaves by a move (7)
	FLUSH_FORK,		// of the write permission that fork takes (20, 25)
	FLUSH_PINNED,		// before a pinned page is copied for the child (25, 26)
	FLUSH_COPY,		// between the page that was shared and the copy (20, C1)
	FLUSH_PROTECT,		// of permissions that are taken (20)
	FLUSH_LAZY,		// of translations that remember the page as dirty (19)
	FLUSH_RECLAIM,		// of a lazily freed page that is taken (20)
	FLUSH_OWN,		// of the absence of an entry that this CPU has cached (10)
	FLUSH_REMOVE,		// of what is unmapped in a tree on its own (20)
	FLUSH_RESTRICT,		// of permissions that are taken in a tree on its own (20)
	FLUSH_HARVEST,		// of translations that remember the accessed and dirty bits (19)
	FLUSH_SPLIT,		// between a leaf and the table that takes its place (1, A2)
	FLUSH_RUN,		// between a run and the leaves that it is made of, either way (1, A2)
	FLUSH_COLLAPSE,		// between a table and the leaf that takes its place (2, A2)
	FLUSH_HUGE,		// between a table of pages and the huge page that takes its place (2, A2)
	COLLAPSE_LOCKED,	// the table that a leaf takes the place of is looked at under its lock (D3)
	COLLAPSE_RECHECKS,	// a collapse counts the references again once nobody can take one (22)
	FLUSH_REPLACE,		// between what was there and what replaces it (A2)
	FLUSH_SECONDARY,	// of secondaries, under the lock (C1 to C3)
	FLUSH_HIDDEN,		// ... also of pages that CPUs do not see (B3)
	FLUSH_HULL,		// ... of all that a request is about that has grown (11)
	FLUSH_BLIND,		// ... whatever the entry says by then (C4)
	COMMIT_UNDER_LOCK,	// of what a secondary is handed (C3)
	SPURIOUS_GRANTS,	// a secondary whose fault the entry does not explain is handed what that says (C5)
	FILLED_TOLD,		// ... and others are told that the entry allows more (C5)
	EXIT_TOLD,		// the end of a space
	DEVICE_EXCLUSIVE,	// only a page of device memory that one entry names is written (20)
	RANGE_RECHECKS,		// a range is handed out only as it still is (24)
	RANGE_ENDS,		// ... or page by page, if it does not keep still (10)
	FAULT_STAYS,		// a page is taken to the device once in a fault (10)
	COPY_JUDGED,		// what a copy that failed has left is not used (B1)
	MARKER_NOT_EMPTY,	// a fault on a marker does not fill the entry (B2)
	MARKER_NO_PAGE,		// ... and nobody takes it for a page (14)
	FLUSH_COPIED,		// of the write permission before a read-only copy is made there (20)
	COPY_DROPPED,		// ... which nobody uses once the page may be written (20)
	FLUSH_GOING,		// of a page that goes to device memory (B1, 20)
	FLUSH_RETURN,		// ... and that comes back (B2, 20)
	MOVE_RECHECKS,		// a page that somebody got a reference on meanwhile stays (22)
	MOVE_STILL,		// a page has gone only if it was not taken back meanwhile (B3)
	RETURN_RECHECKS,	// ... and has come only if it was not faster otherwise (B3)
	HULL_IS_HELD,		// secondaries are told only of what the caller has locked (C3, 11)
	DETACH_WAITS,		// a secondary that is detached is in nobody's hands any more (9)
	MIRROR_REMOVES,		// what changes is taken from a device's tables before it is asked to forget it (C3)
	MIRROR_WIDE,		// ... and it is asked although somebody else has taken it from there already (9)
	MIRROR_ENDS,		// nobody enters anything there when a mirror ends (9)
	HELD_LOWEST,		// a mirror's leaf is entered in the lowest table that is there (A3)
	HELD_MARK,		// who entered one does the fold that was left to him (A1)
	LOST_IS_HELD,		// what a secondary that does not answer can reach is given to nobody
	GRANT_NOT_LOST,		// nor is it handed anything more
	GENERATION_RAISED,	// by each flush, for CPUs that kept translations and are elsewhere (5, 15)
	GENERATION_FIRST,	// raised before the CPUs are read (5, 15)
	GENERATION_LAST,	// read after the CPU has announced itself (5, 15)
	GATE,			// is looked at under the lock: a fork copies no half of a change (E2, 25)
	GATE_FOLD,		// is looked at before a table goes: a fork may have copied what led to it (E2)
	EMPTY,			// a table goes only if its count says that it is empty, under the locks (A1)
	UPWARDS_TRIES,		// a parent's lock is not waited for (E4)
	FOLD_MARK,		// whoever releases a lock does the fold that was left to him (A1)
	FOLD_MARK_PIN,		// ... and who drops the last pin (A1)
	LOOKED_AGAIN,		// a reader who took a reference reads the entry again (22)
	COUNT_NOT_ZERO,		// a reader takes no reference on a frame that is leaving (2, 22)
	WRITER_DIRTIES,		// who takes a reference for writing needs a dirty entry (19)
	SWAP_PROTECT,		// hardware's bits survive a change of permissions (19)
	SWAP_FORK,		// ... and fork (19)
	SWAP_RECLAIM,		// ... and keep a page from being taken (19)
	SWAP_SPLIT,		// ... and go from a leaf to the smaller ones (19)
	DIRTY_STAYS,		// a lazily freed page that was written again is not taken (19)
	DIRTY_PARKED,		// ... also if it was made inaccessible meanwhile (19)
	PINS_COPIED,		// a pinned page stays with the parent (26)
	PINS_STAY,		// ... who writes it in place (26)
	EXCLUSIVE,		// only a page that nobody shares is written in place (20)
	PAGE_IN_OBJECT,		// who took a reference on an object's page looks whether it still is one (22)
	PAGE_OF_OBJECT,		// the object's page is still its page when it is mapped (14)
	PAGE_BEYOND_END,	// a page that was made while the object was cut does not come into it (16)
	FORK_WAITS,		// a fork waits for the moves under way (E2)
	CLAIM_WAITS,		// a range that a move has claimed is left alone (3, 21)
	CLAIM_FAULTS,		// a fault waits for a move (E2, 21)
	MOVED_PLACE,		// a table is looked at again under its lock: it may have another place by now (21)
	MOVED_COUNTED,		// ... and a reader without a lock begins again: it may have had another meanwhile (21)
	MOVE_UNDONE,		// a move that runs out of memory puts back what it has moved (17)
	REFERENCE_FIRST,	// a reference is taken before the page can be reached (16)
};

#ifdef VMT_WITHOUT_RUNTIME // one program with all switches, for the explorer
extern unsigned vmt_without;
#define HOLDS(name) ((name) != vmt_without)
#else
#ifndef VMT_WITHOUT
#define VMT_WITHOUT PROTECTION_NONE
#endif

#define HOLDS(name) ((name) != VMT_WITHOUT)
#endif

#endif

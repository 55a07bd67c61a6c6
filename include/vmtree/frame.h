// SPDX-License-Identifier: MIT
// The metadata of one physical frame: 64 bytes, one cache line, provided by the port for every frame that it hands
// out. While the frame is a page table these bytes are its *node* (the software descriptor); while it holds data
// they count who uses it. The port zeroes them once, before the frame is first handed out, and never writes them again:
// a lock-free reader may look at a frame's count after the frame was freed, and must find zero.
#ifndef VMTREE_FRAME_H
#define VMTREE_FRAME_H

#include <vmtree/types.h>

struct device_frame;
struct vmt_tree;
struct vmt_node;

// An item that waits for a grace period. The port stores it; it sets `next` as it likes.
struct vmt_deferred {
	struct vmt_deferred *next;
	void (*run)(void *port, struct vmt_deferred *self);
};

// What a data frame is. Flags change only while the frame cannot be reached by another (at allocation) or under the
// lock of the one entry that maps it, except where a flag says otherwise.
enum {
	VMT_FRAME_OBJECT = 1u << 0,	// belongs to a memory object: never reused in place by copy-on-write
	VMT_FRAME_LAZY = 1u << 1,	// lazily freed (MADV_FREE): may be taken while its entry is clean
	VMT_FRAME_QUARANTINED = 1u << 2, // a lost secondary may reach it; changes under the quarantine's lock
};

// A data frame.
//
// refs   Who can reach the frame: one for each entry that maps it, one for the object that holds it, one for each
//        reference taken by vmt_page_get. The frame returns to the port when it drops to zero.
// pins   Of those references, the ones that forbid moving the page (DMA): fork copies the page at once for the child
//        and copy-on-write leaves it where it is.
struct vmt_data {
	_Atomic uint32_t flags;
	_Atomic uint32_t refs;
	_Atomic uint32_t pins;
	uint32_t reserved;
	uint64_t next;		// links the frame in a batch after its last reference is gone
	// A read-only copy in device memory (device.h), or NULL. Set under the lock of an entry that holds the page and
	// does not let it be written, and cleared before one does.
	_Atomic(struct device_frame *) copy;
};

// A page table's node. See docs/design.md, "Locks", for the rules; the fields are private to the library.
//
// `no_refs` lies where a data frame counts its references and is zero for ever: a lock-free reader that arrives here
// late, with an address that was a data frame's when it read it, finds nothing to take a reference on.
struct vmt_node {
	_Atomic uint32_t lock;
	_Atomic uint32_t no_refs;
	_Atomic uint16_t live;
	uint8_t level;
	_Atomic uint8_t state;
	uint32_t id;		// the attribute id of every slot, where `ids` is NULL
	uint16_t breaks;	// neighbouring slots whose ids differ, where `ids` is not NULL
	_Atomic uint16_t gap;	// hint: log2 of the pages of the longest unmapped run, rounded up
	uint32_t reserved;
	_Atomic(uint64_t) *table; // the entries
	struct vmt_tree *tree;
	uint64_t base;		// the first address that the table covers; once detached the table's frame
	union {
		struct {
			struct vmt_node *parent;
			uint32_t *ids;		// one attribute id a slot, or NULL
		};
		struct vmt_deferred deferred;	// once detached
	};
};

struct vmt_frame {
	_Alignas(64) union {
		struct vmt_data data;
		struct vmt_node node;
		uint8_t bytes[64];
	};
};

_Static_assert(sizeof(struct vmt_frame) == 64, "a frame's metadata is one cache line");
_Static_assert(offsetof(struct vmt_data, refs) == offsetof(struct vmt_node, no_refs), "see vmt_node");

#endif

// SPDX-License-Identifier: MIT
// Memory objects: pages by index that several mappings can show (shared anonymous memory, the contents of a RAM file).
//
// An object finds its pages in a radix tree that grows by compare-and-swap, so that faults on different pages of one
// object share no lock. A page is in the object from its first use until the object is truncated or destroyed.
// Private mappings of an object copy its pages into their own entries; the object never learns of the copies.
#ifndef VMTREE_OBJECT_H
#define VMTREE_OBJECT_H

#include <vmtree/names.h>
#include <vmtree/types.h>

struct vmt;
struct vmt_object;

// What the owner of an object is asked. Either may be NULL.
struct vmt_object_ops {
	// Fills the page `index`, which is not in the object yet: `page` points to VMT_PAGE_SIZE zero bytes. May sleep;
	// no library lock is held. Two CPUs may fill two frames for one index at once; one of them is kept. Any status
	// but VMT_OK makes the access fail with VMT_ERR_BUS.
	enum vmt_status (*fill)(void *owner, uint64_t index, void *page);
	// The last reference to the object is gone and its pages are freed. Called without locks of the library, from
	// whatever call dropped the last reference.
	void (*gone)(void *owner);
};

// Makes an object of `size` bytes (any number; pages beyond it cannot be faulted). `ops` may be NULL: pages begin as
// zeroes. The caller holds the one reference. VMT_ERR_NO_MEMORY.
enum vmt_status vmt_object_create(struct vmt *vmt, uint64_t size, const struct vmt_object_ops *ops, void *owner,
				  struct vmt_object **object);

// Takes and drops a reference. Every mapping holds references of its own. put: may call ops->gone; not held.
void vmt_object_get(struct vmt_object *object);
void vmt_object_put(struct vmt_object *object);

void *vmt_object_owner(const struct vmt_object *object);
uint64_t vmt_object_size(const struct vmt_object *object);

// Changes the size in bytes. Pages wholly beyond the new size leave the object, and the rest of a page that is cut is
// zeroed. Entries that map such a page keep it until they are unmapped; new faults beyond the size get VMT_ERR_BUS.
// The caller serialises calls for one object. Never fails.
void vmt_object_set_size(struct vmt_object *object, uint64_t size);

// The frame of page `index`, for reading and writing through vmt_port_frame_ptr (how a file system serves read() and
// write() from the same pages that are mapped). With `create`, a missing page is made (and filled by ops->fill).
// Without, a missing page gives VMT_ERR_NOT_PRESENT. The size is not looked at. The frame carries a reference that
// the caller drops with vmt_page_put(vmt, pa). VMT_ERR_NO_MEMORY, VMT_ERR_BUS.
enum vmt_status vmt_object_page(struct vmt_object *object, uint64_t index, bool create, uint64_t *pa);

// How many pages are in the object now.
uint64_t vmt_object_pages(const struct vmt_object *object);

#endif

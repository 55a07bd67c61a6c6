// SPDX-License-Identifier: MIT
// Memory objects: a radix tree of frames, grown by compare-and-swap.
//
//	root --> [FMT_SLOTS words] --> ... --> [FMT_SLOTS words] --> data frames
//
// A word is 0 or the physical address of what lies below. The tree has `height` levels of frames; a root that is too
// low gets a new one on top. root and height are one word (a frame's address has its low bits free), so that a reader
// sees both or neither.
//
// Pages are added at any time by anyone, and leave only in vmt_object_set_size, whose caller serialises itself, and at
// the end. A reader takes a reference on a page only while its count is not zero and looks at the word again: a page
// that was taken out in between is not given to anybody. Inner frames stay until the object ends, so no reader can
// lose the path under its feet.
#ifndef VMT_SPACE_OBJECT_H
#define VMT_SPACE_OBJECT_H

#define RADIX_BITS FMT_INDEX_BITS
#define RADIX_TOP  ((64 - VMT_PAGE_SHIFT + RADIX_BITS - 1) / RADIX_BITS) // all pages that 64 bits of size have

// Faults on pages that are there only read the first line.
struct vmt_object {
	_Alignas(64) struct vmt *vmt;
	_Atomic uint64_t root;	// address | height; height 0: nothing yet
	_Atomic uint64_t size;
	_Atomic uint64_t truncations; // twice how many there were, and one more while one is under way
	const struct vmt_object_ops *ops;
	void *owner;
	_Alignas(64) _Atomic uint64_t pages;
	_Atomic uint32_t refs;
	_Atomic uint32_t adding; // CPUs that are about to add a page for a fault
};

static void vmt_object_ref(struct vmt_object *object)
{
	// Relaxed: the caller's own reference keeps it alive.
	atomic_fetch_add_explicit(&object->refs, 1, memory_order_relaxed);
}

static _Atomic(uint64_t) *radix_words(struct vmt_object *object, uint64_t pa)
{
	return vmt_port_frame_ptr(object->vmt->port, pa);
}

static bool radix_covers(unsigned height, uint64_t index)
{
	return height >= RADIX_TOP || !(index >> (RADIX_BITS * height));
}

// A frame for the inside of the tree, freed by the caller if another CPU was faster.
static uint64_t radix_frame(struct vmt_object *object)
{
	return vmt_port_frame_alloc(object->vmt->port, VMT_PAGE_SIZE, true);
}

// Puts roots on top until the tree covers `index`.
static enum vmt_status radix_grow(struct vmt_object *object, uint64_t index)
{
	// Acquire pairs with the release below: the new root's words are seen.
	uint64_t root = atomic_load_explicit(&object->root, memory_order_acquire);

	while (!radix_covers(root & VMT_PAGE_MASK, index) || !root) {
		uint64_t pa = radix_frame(object);

		if (pa == VMT_NO_FRAME)
			return VMT_ERR_NO_MEMORY;
		if (root)
			atomic_store_explicit(&radix_words(object, pa)[0], root & ~VMT_PAGE_MASK, memory_order_relaxed);
		if (atomic_compare_exchange_strong_explicit(&object->root, &root, pa | ((root & VMT_PAGE_MASK) + 1),
							    memory_order_release, memory_order_acquire))
			root = pa | ((root & VMT_PAGE_MASK) + 1);
		else
			vmt_port_frame_free(object->vmt->port, pa, VMT_PAGE_SIZE);
	}
	return VMT_OK;
}

// The word of page `index`, or NULL: not there (without `create`) or out of memory.
static _Atomic(uint64_t) *radix_word(struct vmt_object *object, uint64_t index, bool create)
{
	uint64_t root = atomic_load_explicit(&object->root, memory_order_acquire);
	unsigned height = root & VMT_PAGE_MASK;
	_Atomic(uint64_t) *words;

	if (!root || !radix_covers(height, index))
		return NULL;
	words = radix_words(object, root & ~VMT_PAGE_MASK);
	while (--height > 0) {
		_Atomic(uint64_t) *word = &words[index >> (RADIX_BITS * height) & (FMT_SLOTS - 1)];
		// Acquire pairs with the release below.
		uint64_t pa = atomic_load_explicit(word, memory_order_acquire);

		if (!pa) {
			uint64_t fresh;

			if (!create || (fresh = radix_frame(object)) == VMT_NO_FRAME)
				return NULL;
			if (atomic_compare_exchange_strong_explicit(word, &pa, fresh, memory_order_release,
								    memory_order_acquire))
				pa = fresh;
			else
				vmt_port_frame_free(object->vmt->port, fresh, VMT_PAGE_SIZE);
		}
		words = radix_words(object, pa);
	}
	return &words[index & (FMT_SLOTS - 1)];
}

// Takes a reference on a frame that was found somewhere without a lock; false if its count is zero.
static bool frame_try_ref(struct vmt_data *data)
{
	uint32_t refs = atomic_load_explicit(&data->refs, memory_order_relaxed);

	// Acquire pairs with the release in frame_begin and in the entry that named the frame. Sequentially
	// consistent for what space/page.h and lazy_free_entry agree on.
	while (refs || !HOLDS(COUNT_NOT_ZERO))
		if (atomic_compare_exchange_weak_explicit(&data->refs, &refs, refs + 1, memory_order_seq_cst,
							  memory_order_relaxed))
			return true;
	return false;
}

// The page in `word` with a reference, or VMT_NO_FRAME.
static uint64_t radix_get(struct vmt_object *object, _Atomic(uint64_t) *word)
{
	for (;;) {
		uint64_t pa = atomic_load_explicit(word, memory_order_acquire);

		if (!pa)
			return VMT_NO_FRAME;
		if (!frame_try_ref(data_of_frame(object->vmt->port, pa)))
			continue; // it is leaving: the word changes
		if (atomic_load_explicit(word, memory_order_acquire) == pa || !HOLDS(PAGE_IN_OBJECT))
			return pa;
		frame_unref(object->vmt->port, pa);
	}
}

// Is the frame at `pa`, on which the caller has a reference, still page `index`? A truncation may have taken it
// out, and an extension made the index good again.
static bool object_has(struct vmt_object *object, uint64_t index, uint64_t pa)
{
	_Atomic(uint64_t) *word = radix_word(object, index, false);

	// Acquire pairs with the exchange in object_drop_page.
	return word && atomic_load_explicit(word, memory_order_acquire) == pa;
}

uint64_t vmt_object_size(const struct vmt_object *object)
{
	// Sequentially consistent for object_insert.
	return atomic_load_explicit(&object->size, memory_order_seq_cst);
}

static bool object_reaches(const struct vmt_object *object, uint64_t index)
{
	return index < (vmt_object_size(object) + VMT_PAGE_MASK) >> VMT_PAGE_SHIFT;
}

// A new page with two references, the object's and the caller's.
static enum vmt_status object_make_page(struct vmt_object *object, uint64_t index, uint64_t *pa)
{
	void *port = object->vmt->port;

	*pa = vmt_port_frame_alloc(port, VMT_PAGE_SIZE, true);
	if (*pa == VMT_NO_FRAME)
		return VMT_ERR_NO_MEMORY;
	if (object->ops && object->ops->fill &&
	    object->ops->fill(object->owner, index, vmt_port_frame_ptr(port, *pa)) != VMT_OK) {
		vmt_port_frame_free(port, *pa, VMT_PAGE_SIZE);
		return VMT_ERR_BUS;
	}
	frame_begin(port, *pa, VMT_FRAME_OBJECT, 2);
	return VMT_OK;
}

// Puts a page into its word, if that is still empty. With `within`: only if no truncation was under way or has been
// since `truncations` was read, and the page lies within the size. The adder announces itself and then looks; a
// truncation changes size and count and then waits for those who have announced themselves: one of the two sees the
// other (sequentially consistent), so no page is added behind a truncation's back.
static bool object_insert(struct vmt_object *object, _Atomic(uint64_t) *word, uint64_t index, uint64_t pa, bool within,
			  uint64_t truncations)
{
	uint64_t old = 0;
	bool done;

	vmt_port_preempt_off(object->vmt->port); // a truncation is waiting
	if (within)
		atomic_fetch_add_explicit(&object->adding, 1, memory_order_seq_cst);
	// Release pairs with the acquire in radix_get: bytes and count come before the address.
	done = (!within || !HOLDS(PAGE_BEYOND_END) ||
		(atomic_load_explicit(&object->truncations, memory_order_seq_cst) == truncations &&
		 object_reaches(object, index))) &&
	       atomic_compare_exchange_strong_explicit(word, &old, pa, memory_order_release, memory_order_relaxed);
	if (within)
		// Release pairs with the load in vmt_object_set_size: the page is in the tree.
		atomic_fetch_sub_explicit(&object->adding, 1, memory_order_release);
	vmt_port_preempt_on(object->vmt->port);
	return done;
}

// As vmt_object_page. `*filled` is set if the owner filled a page for it. With `within` no page is made beyond the
// size, nor while the object is being cut: then VMT_ERR_NOT_PRESENT.
static enum vmt_status object_page(struct vmt_object *object, uint64_t index, bool create, bool within, uint64_t *pa,
				   bool *filled)
{
	_Atomic(uint64_t) *word;
	enum vmt_status status;

	if (create && (status = radix_grow(object, index)) != VMT_OK)
		return status;
	word = radix_word(object, index, create);
	if (!word)
		return create ? VMT_ERR_NO_MEMORY : VMT_ERR_NOT_PRESENT;
	for (;;) {
		// Odd while a truncation is under way. Acquire: what the owner fills in is read after it.
		uint64_t truncations = atomic_load_explicit(&object->truncations, memory_order_acquire);

		*pa = radix_get(object, word);
		if (*pa != VMT_NO_FRAME)
			return VMT_OK;
		if (!create || (within && (truncations % 2 || !object_reaches(object, index))))
			return VMT_ERR_NOT_PRESENT;
		status = object_make_page(object, index, pa);
		if (status != VMT_OK)
			return status;
		*filled = object->ops && object->ops->fill;
		if (object_insert(object, word, index, *pa, within, truncations)) {
			atomic_fetch_add_explicit(&object->pages, 1, memory_order_relaxed);
			return VMT_OK;
		}
		frame_unref(object->vmt->port, *pa); // another CPU was faster (races.md 16), or the object was cut
		frame_unref(object->vmt->port, *pa);
	}
}

enum vmt_status vmt_object_page(struct vmt_object *object, uint64_t index, bool create, uint64_t *pa)
{
	bool filled;

	return object_page(object, index, create, false, pa, &filled);
}

static void object_drop_page(struct vmt_object *object, _Atomic(uint64_t) *word)
{
	// Acquire-release: the page leaves the tree before its reference is dropped.
	uint64_t pa = atomic_exchange_explicit(word, 0, memory_order_acq_rel);

	if (!pa)
		return;
	atomic_fetch_sub_explicit(&object->pages, 1, memory_order_relaxed);
	frame_unref(object->vmt->port, pa);
}

// Drops the pages from `from` on below `words`, whose first page is `base`. With `all` the inner frames go too.
static void object_drop(struct vmt_object *object, _Atomic(uint64_t) *words, unsigned height, uint64_t base,
			uint64_t from, bool all)
{
	uint64_t span = UINT64_C(1) << (RADIX_BITS * (height - 1));

	for (unsigned i = 0; i < FMT_SLOTS; i++, base += span) {
		uint64_t pa;

		if (base + span <= from)
			continue;
		if (height == 1) {
			object_drop_page(object, &words[i]);
			continue;
		}
		pa = atomic_load_explicit(&words[i], memory_order_acquire);
		if (!pa)
			continue;
		object_drop(object, radix_words(object, pa), height - 1, base, from, all);
		if (all)
			vmt_port_frame_free(object->vmt->port, pa, VMT_PAGE_SIZE);
	}
}

static void object_drop_from(struct vmt_object *object, uint64_t from, bool all)
{
	uint64_t root = atomic_load_explicit(&object->root, memory_order_acquire);

	if (!root)
		return;
	object_drop(object, radix_words(object, root & ~VMT_PAGE_MASK), root & VMT_PAGE_MASK, 0, from, all);
	if (all)
		vmt_port_frame_free(object->vmt->port, root & ~VMT_PAGE_MASK, VMT_PAGE_SIZE);
}

enum vmt_status vmt_object_create(struct vmt *vmt, uint64_t size, const struct vmt_object_ops *ops, void *owner,
				  struct vmt_object **object)
{
	struct vmt_object *o = vmt_port_mem_alloc(vmt->port, sizeof(*o));

	if (!o)
		return VMT_ERR_NO_MEMORY;
	o->vmt = vmt;
	o->ops = ops;
	o->owner = owner;
	// Relaxed: nobody knows the object yet.
	atomic_store_explicit(&o->root, 0, memory_order_relaxed);
	atomic_store_explicit(&o->size, size, memory_order_relaxed);
	atomic_store_explicit(&o->pages, 0, memory_order_relaxed);
	atomic_store_explicit(&o->refs, 1, memory_order_relaxed);
	atomic_store_explicit(&o->adding, 0, memory_order_relaxed);
	atomic_store_explicit(&o->truncations, 0, memory_order_relaxed);
	atomic_fetch_add_explicit(&vmt->objects, 1, memory_order_relaxed);
	*object = o;
	return VMT_OK;
}

void vmt_object_get(struct vmt_object *object)
{
	vmt_object_ref(object);
}

static void vmt_object_unref(struct vmt_object *object)
{
	struct vmt *vmt = object->vmt;

	// Release: our use comes before the end; acquire: the end comes after everybody's use.
	if (atomic_fetch_sub_explicit(&object->refs, 1, memory_order_acq_rel) != 1)
		return;
	object_drop_from(object, 0, true);
	if (object->ops && object->ops->gone)
		object->ops->gone(object->owner);
	vmt_port_mem_free(vmt->port, object, sizeof(*object));
	atomic_fetch_sub_explicit(&vmt->objects, 1, memory_order_release);
}

void vmt_object_put(struct vmt_object *object)
{
	vmt_object_unref(object);
}

void *vmt_object_owner(const struct vmt_object *object)
{
	return object->owner;
}

uint64_t vmt_object_pages(const struct vmt_object *object)
{
	return atomic_load_explicit(&object->pages, memory_order_relaxed);
}

// Waits for a cut that is under way. Nothing is held. Acquire: what it left is what counts.
static void object_wait_cut(struct vmt_object *object)
{
	do
		vmt_port_relax(object->vmt->port, true);
	while (atomic_load_explicit(&object->truncations, memory_order_acquire) % 2);
}

void vmt_object_set_size(struct vmt_object *object, uint64_t size)
{
	uint64_t old = vmt_object_size(object), pa;

	// Sequentially consistent, all of them: object_insert.
	if (size < old)
		atomic_fetch_add_explicit(&object->truncations, 1, memory_order_seq_cst);
	atomic_store_explicit(&object->size, size, memory_order_seq_cst);
	if (size >= old)
		return;
	while (atomic_load_explicit(&object->adding, memory_order_seq_cst))
		vmt_port_relax(object->vmt->port, true);
	object_drop_from(object, (size + VMT_PAGE_MASK) >> VMT_PAGE_SHIFT, false);
	if (size & VMT_PAGE_MASK && vmt_object_page(object, size >> VMT_PAGE_SHIFT, false, &pa) == VMT_OK) {
		uint64_t offset = size & VMT_PAGE_MASK;

		memset((char *)vmt_port_frame_ptr(object->vmt->port, pa) + offset, 0, VMT_PAGE_SIZE - offset);
		frame_unref(object->vmt->port, pa);
	}
	// Release pairs with the acquire in object_page.
	atomic_fetch_add_explicit(&object->truncations, 1, memory_order_release);
}

#endif

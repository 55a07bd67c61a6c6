// SPDX-License-Identifier: MIT
// Attributes: what an address is, as a 32-bit id in its node.
//
//	31 30 29     20 19  16 15 12 9 8 7 6 5  3 2  0
//	+-+--+-----+--+------+-----+-+-+-+-+----+----+
//	|0| M|CLAIM|R |device| tag |H|S|N|G| max|prot|	anonymous: the attributes themselves
//	+-+--+-----+--+------+-----+-+-+-+-+----+----+
//	|1|           number of a backing            |	backed by an object
//	+-+------------------------------------------+
//
// "device" is the device memory where pages should live, plus one; R that they are mostly read.
//
// A *backing* is an interned descriptor {object, address of the object's byte 0, attributes}. Since it names where byte
// 0 would lie, all pages of a mapping share one id, and protecting a part of it names another backing.
//
// Backings lie in chunks that never move and are counted: one use for each node that names them, and one for each
// operation that works with them. An id read under a node's lock or pin is alive for as long as that is held. The last
// use is dropped under node locks; what follows (the object may go) is done by ids_bury when nothing is held.
//
// Locks: node locks, then a bucket, a free list or that of the chunks. One at a time, for a few instructions, with
// preemption off.
#ifndef VMT_SPACE_ATTR_H
#define VMT_SPACE_ATTR_H

#define ATTR_MAX_SHIFT	3
#define ATTR_GROWS_DOWN (UINT32_C(1) << 6)
#define ATTR_NO_RESERVE (UINT32_C(1) << 7)
#define ATTR_SHARED	(UINT32_C(1) << 8)
#define ATTR_HUGE	(UINT32_C(1) << 9)
#define ATTR_TAG_SHIFT	12
#define ATTR_DEVICE_SHIFT 16
#define ATTR_DEVICE	(UINT32_C(15) << ATTR_DEVICE_SHIFT)
#define ATTR_READ_MOSTLY (UINT32_C(1) << 20)
#define ATTR_MAPPED	(UINT32_C(1) << 30)

#define BACKING_BUCKETS	  512
#define BACKING_CHUNK	  128
#define BACKING_CHUNKS	  2048
#define BACKING_LISTS	  16

// Faults read what it says; that is in another line than the uses, which each table that is made or mapped over counts.
struct backing {
	_Alignas(64) struct vmt_object *object;
	uint64_t base;		// where the object's byte 0 lies; may wrap below 0
	uint32_t attr;
	uint32_t next;		// in its bucket or in the free list; ids, 0 ends
	_Alignas(64) _Atomic uint32_t uses; // 0: dead, waits to be buried
	uint32_t dead;		// next in txn::dead
};

struct bucket {
	struct spin lock;
	uint32_t first;
};

struct backing_list {
	_Alignas(64) struct spin lock;
	uint32_t first;		// ids, 0 ends
};

struct vmt_backings {
	_Alignas(64) struct bucket bucket[BACKING_BUCKETS];
	struct backing_list free[BACKING_LISTS]; // CPUs of the same remainder use one; all are the same to who is short
	_Alignas(64) struct spin chunk_lock;
	uint32_t chunks;	// under chunk_lock
	_Alignas(64) _Atomic(struct backing *) chunk[BACKING_CHUNKS]; // read by faults
};

static struct backing *backing_of(struct vmt *vmt, uint32_t id)
{
	uint32_t n = id & ~ID_COUNTED;

	// Acquire pairs with the release in backing_add_chunk.
	return &atomic_load_explicit(&vmt->backings->chunk[n / BACKING_CHUNK], memory_order_acquire)[n % BACKING_CHUNK];
}

static uint32_t attr_of(struct vmt *vmt, uint32_t id)
{
	return id & ID_COUNTED ? backing_of(vmt, id)->attr : id;
}

static vmt_prot attr_prot(uint32_t attr)
{
	return attr & VMT_RWX;
}

static vmt_prot attr_max(uint32_t attr)
{
	return attr >> ATTR_MAX_SHIFT & VMT_RWX;
}

// Is it memory that an address can be said to have, to a program?
static bool id_is_mapped(uint32_t id)
{
	return id && id != ID_CLAIM;
}

static bool id_is_private_anon(uint32_t id)
{
	return id_is_mapped(id) && !(id & ID_COUNTED);
}

// Any permission lets read: no format of this version can do otherwise.
static bool attr_allows(uint32_t attr, vmt_prot access)
{
	return access == VMT_READ ? attr_prot(attr) != 0 : attr_prot(attr) & access;
}

static struct bucket *backing_bucket(struct vmt *vmt, const struct vmt_object *object, uint64_t base, uint32_t attr)
{
	uint64_t hash = ((uintptr_t)object >> 6 ^ base >> VMT_PAGE_SHIFT) * UINT64_C(0x9e3779b97f4a7c15) + attr;

	return &vmt->backings->bucket[(hash ^ hash >> 32) % BACKING_BUCKETS];
}

// Takes a use unless there is none left.
static bool backing_revive(struct backing *backing)
{
	uint32_t uses = atomic_load_explicit(&backing->uses, memory_order_relaxed);

	// Relaxed: the bucket's lock orders the fields.
	while (uses)
		if (atomic_compare_exchange_weak_explicit(&backing->uses, &uses, uses + 1, memory_order_relaxed,
							  memory_order_relaxed))
			return true;
	return false;
}

static uint32_t backing_find(struct vmt *vmt, const struct bucket *bucket, const struct vmt_object *object,
			     uint64_t base, uint32_t attr)
{
	for (uint32_t id = bucket->first; id; id = backing_of(vmt, id)->next) {
		struct backing *backing = backing_of(vmt, id);

		if (backing->object == object && backing->base == base && backing->attr == attr &&
		    backing_revive(backing))
			return id;
	}
	return 0;
}

// The list of the calling CPU. By the time it is used that may be another one's: any will do.
static struct backing_list *backing_own_list(struct vmt *vmt)
{
	unsigned cpu;

	vmt_port_preempt_off(vmt->port);
	cpu = vmt_port_cpu(vmt->port);
	vmt_port_preempt_on(vmt->port);
	return &vmt->backings->free[cpu % BACKING_LISTS];
}

// Puts what `first` to `last` link, which nobody else knows, into a list.
static void backing_put(struct vmt *vmt, struct backing_list *list, uint32_t first, uint32_t last)
{
	spin_lock(vmt->port, &list->lock);
	backing_of(vmt, last)->next = list->first;
	list->first = first;
	spin_unlock(vmt->port, &list->lock);
}

static void backing_free(struct vmt *vmt, uint32_t id)
{
	backing_put(vmt, backing_own_list(vmt), id, id);
}

// Takes one out of a list; 0: it is empty.
static uint32_t backing_take(struct vmt *vmt, struct backing_list *list)
{
	uint32_t id;

	spin_lock(vmt->port, &list->lock);
	id = list->first;
	if (id)
		list->first = backing_of(vmt, id)->next;
	spin_unlock(vmt->port, &list->lock);
	return id;
}

// From the CPU's own list, or from another. No more than one is taken: what were on its way from list to list would be
// missed by who looks through them all.
static uint32_t backing_alloc(struct vmt *vmt)
{
	struct backing_list *all = vmt->backings->free, *own = backing_own_list(vmt);
	uint32_t id = backing_take(vmt, own);

	for (unsigned i = 1; i < BACKING_LISTS && !id; i++)
		id = backing_take(vmt, &all[(unsigned)(own - all + i) % BACKING_LISTS]);
	return id;
}

// Adds a chunk of free backings. Nothing is held. Number 0 of chunk 0 is never used, so that no id is ID_COUNTED alone.
static enum vmt_status backing_add_chunk(struct vmt *vmt)
{
	struct vmt_backings *all = vmt->backings;
	struct backing *chunk = vmt_port_mem_alloc(vmt->port, BACKING_CHUNK * sizeof(*chunk));
	uint32_t n, first;

	if (!chunk)
		return VMT_ERR_NO_MEMORY;
	spin_lock(vmt->port, &all->chunk_lock);
	n = all->chunks;
	if (n < BACKING_CHUNKS) {
		all->chunks++;
		// Release pairs with the acquire in backing_of, for readers that got an id of this chunk without a
		// lock.
		atomic_store_explicit(&all->chunk[n], chunk, memory_order_release);
	}
	spin_unlock(vmt->port, &all->chunk_lock);
	if (n == BACKING_CHUNKS) {
		vmt_port_mem_free(vmt->port, chunk, BACKING_CHUNK * sizeof(*chunk));
		return VMT_ERR_LIMIT;
	}
	first = ID_COUNTED | (n * BACKING_CHUNK + (n == 0));
	for (uint32_t i = n == 0; i < BACKING_CHUNK; i++) {
		// Relaxed: the lock of the list makes them known.
		atomic_store_explicit(&chunk[i].uses, 0, memory_order_relaxed);
		chunk[i].next = ID_COUNTED | (n * BACKING_CHUNK + i + 1);
	}
	backing_put(vmt, backing_own_list(vmt), first, ID_COUNTED | (n * BACKING_CHUNK + BACKING_CHUNK - 1));
	return VMT_OK;
}

static void vmt_object_ref(struct vmt_object *object);
static void vmt_object_unref(struct vmt_object *object);

// The id of {object, base, attr}, with one use for the caller. Nothing is held.
static enum vmt_status backing_intern(struct vmt *vmt, struct vmt_object *object, uint64_t base, uint32_t attr,
				      uint32_t *id)
{
	struct bucket *bucket = backing_bucket(vmt, object, base, attr);
	uint32_t fresh;

	spin_lock(vmt->port, &bucket->lock);
	*id = backing_find(vmt, bucket, object, base, attr);
	spin_unlock(vmt->port, &bucket->lock);
	if (*id)
		return VMT_OK;
	while (!(fresh = backing_alloc(vmt))) {
		enum vmt_status status = backing_add_chunk(vmt);

		if (status != VMT_OK)
			return status;
	}
	spin_lock(vmt->port, &bucket->lock);
	*id = backing_find(vmt, bucket, object, base, attr); // another CPU may have been faster
	if (!*id) {
		struct backing *backing = backing_of(vmt, fresh);

		vmt_object_ref(object);
		backing->object = object;
		backing->base = base;
		backing->attr = attr;
		atomic_store_explicit(&backing->uses, 1, memory_order_relaxed);
		backing->next = bucket->first;
		bucket->first = *id = fresh;
		fresh = 0;
	}
	spin_unlock(vmt->port, &bucket->lock);
	if (fresh)
		backing_free(vmt, fresh);
	return VMT_OK;
}

// Takes one more use of an id that is in use. Relaxed: the caller's own use keeps it alive.
static void id_use(struct vmt *vmt, uint32_t id)
{
	atomic_fetch_add_explicit(&backing_of(vmt, id)->uses, 1, memory_order_relaxed);
}

static void id_unuse(struct txn *txn, uint32_t id)
{
	struct backing *backing = backing_of(txn->tree->vmt, id);

	// Release: our reads of the backing come before its reuse; acquire: the last one buries it after all others.
	if (atomic_fetch_sub_explicit(&backing->uses, 1, memory_order_acq_rel) == 1) {
		backing->dead = txn->dead;
		txn->dead = id;
	}
}

static void backing_bury(struct vmt *vmt, uint32_t id)
{
	struct backing *backing = backing_of(vmt, id);
	struct vmt_object *object = backing->object;
	struct bucket *bucket = backing_bucket(vmt, object, backing->base, backing->attr);
	uint32_t *link = &bucket->first;

	spin_lock(vmt->port, &bucket->lock);
	while (*link != id)
		link = &backing_of(vmt, *link)->next;
	*link = backing->next;
	spin_unlock(vmt->port, &bucket->lock);
	backing_free(vmt, id);
	vmt_object_unref(object);
}

static void ids_bury(struct txn *txn)
{
	while (txn->dead) {
		uint32_t id = txn->dead;

		txn->dead = backing_of(txn->tree->vmt, id)->dead;
		backing_bury(txn->tree->vmt, id);
	}
}

// The id that `id` becomes with other attributes and its object `shift` bytes higher up, with one use for the caller
// if it is counted. The caller has a use of `id`. Nothing is held.
static enum vmt_status id_change(struct vmt *vmt, uint32_t id, uint32_t attr, uint64_t shift, uint32_t *changed)
{
	struct backing *backing;

	*changed = attr;
	if (!(id & ID_COUNTED))
		return VMT_OK;
	backing = backing_of(vmt, id);
	return backing_intern(vmt, backing->object, backing->base + shift, attr, changed);
}

#endif

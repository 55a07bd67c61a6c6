// SPDX-License-Identifier: MIT
/*
 * The table of a RAM directory: a hash table for look-ups and a list in the order of creation for
 * getdents. Changed with the directory's lock (mutex) *and* its meta lock held, so that either is
 * enough to read: look-ups take meta, listings the mutex.
 */
#include "fs.h"

struct dir {
	struct dentry **buckets;
	size_t size; /* a power of two */
	_Atomic uint64_t count;
	uint64_t next_cookie; /* 0 and 1 are "." and ".." */
	struct list order;
	bool dead;
};

#define DIR_FIRST_SIZE 8

struct dir *dir_create(void)
{
	struct dir *dir = kzalloc(sizeof(*dir));

	if (!dir)
		return NULL;
	dir->buckets = kzalloc(DIR_FIRST_SIZE * sizeof(*dir->buckets));
	if (!dir->buckets) {
		kfree(dir);
		return NULL;
	}
	dir->size = DIR_FIRST_SIZE;
	dir->next_cookie = 2;
	list_init(&dir->order);
	return dir;
}

void dir_free(struct dir *dir)
{
	assert(list_empty(&dir->order));
	kfree(dir->buckets);
	kfree(dir);
}

static struct dentry **bucket(struct dir *dir, uint32_t hash)
{
	return &dir->buckets[hash & (dir->size - 1)];
}

struct dentry *dir_find(struct inode *inode, const char *name, size_t len)
{
	uint32_t hash = name_hash(name, len);
	struct dentry *d;

	spin_lock(&inode->meta);
	for (d = *bucket(inode->dir, hash); d; d = d->next_hash) {
		if (d->hash == hash && d->name_len == len && memcmp(d->name, name, len) == 0)
			break;
	}
	if (d)
		dentry_get(d);
	spin_unlock(&inode->meta);
	return d;
}

/* Doubles the table when chains grow. Without memory they stay long. */
static void dir_grow(struct inode *inode)
{
	struct dir *dir = inode->dir;
	size_t size = dir->size * 2;
	struct dentry **buckets, **old = dir->buckets;
	struct dentry *d;

	if (dir_count(inode) < 2 * dir->size)
		return;
	buckets = kzalloc(size * sizeof(*buckets));
	if (!buckets)
		return;
	spin_lock(&inode->meta);
	dir->buckets = buckets;
	dir->size = size;
	list_for_each(d, &dir->order, order) {
		d->next_hash = *bucket(dir, d->hash);
		*bucket(dir, d->hash) = d;
	}
	spin_unlock(&inode->meta);
	kfree(old);
}

/* meta and path_lock held. */
static void dir_link(struct dir *dir, struct dentry *d)
{
	d->next_hash = *bucket(dir, d->hash);
	*bucket(dir, d->hash) = d;
	d->cookie = dir->next_cookie++;
	list_add_tail(&dir->order, &d->order);
	atomic_fetch_add_explicit(&dir->count, 1, memory_order_relaxed);
	d->linked = true;
}

/* meta and path_lock held. */
static void dir_unlink(struct dir *dir, struct dentry *d)
{
	struct dentry **p = bucket(dir, d->hash);

	while (*p != d)
		p = &(*p)->next_hash;
	*p = d->next_hash;
	d->next_hash = NULL;
	list_del(&d->order);
	atomic_fetch_sub_explicit(&dir->count, 1, memory_order_relaxed);
	d->linked = false;
}

int dir_insert(struct inode *inode, struct dentry *d)
{
	if (inode->dir->dead)
		return -ENOENT;
	dir_grow(inode);
	dentry_get(d);
	spin_lock(&path_lock);
	spin_lock(&inode->meta);
	dir_link(inode->dir, d);
	spin_unlock(&inode->meta);
	spin_unlock(&path_lock);
	return 0;
}

void dir_remove(struct inode *inode, struct dentry *d)
{
	spin_lock(&path_lock);
	spin_lock(&inode->meta);
	dir_unlink(inode->dir, d);
	spin_unlock(&inode->meta);
	spin_unlock(&path_lock);
	dentry_put(d);
}

static void lock_two_metas(struct inode *a, struct inode *b)
{
	if (a > b) {
		struct inode *t = a;

		a = b;
		b = t;
	}
	spin_lock(&a->meta);
	if (a != b)
		spin_lock(&b->meta);
}

static void unlock_two_metas(struct inode *a, struct inode *b)
{
	if (a != b)
		spin_unlock(&b->meta);
	spin_unlock(&a->meta);
}

void dir_move(struct inode *from, struct dentry *to, struct dentry *d, char *name,
	struct dentry *victim)
{
	struct dentry *old_parent;
	char *old_name;

	dir_grow(to->inode);
	dentry_get(to);
	spin_lock(&path_lock);
	lock_two_metas(from, to->inode);
	if (victim)
		dir_unlink(to->inode->dir, victim);
	dir_unlink(from->dir, d);
	old_name = d->name;
	old_parent = d->parent;
	dentry_set_name(d, name, strlen(name));
	d->parent = to;
	dir_link(to->inode->dir, d);
	unlock_two_metas(from, to->inode);
	spin_unlock(&path_lock);
	kfree(old_name);
	dentry_put(old_parent);
	if (victim)
		dentry_put(victim);
}

void dir_swap(struct inode *a_dir, struct inode *b_dir, struct dentry *a, struct dentry *b)
{
	struct dentry *a_parent;
	size_t a_len;
	char *a_name;

	spin_lock(&path_lock);
	lock_two_metas(a_dir, b_dir);
	dir_unlink(a_dir->dir, a);
	dir_unlink(b_dir->dir, b);
	a_name = a->name;
	a_len = a->name_len;
	a_parent = a->parent;
	dentry_set_name(a, b->name, b->name_len);
	a->parent = b->parent;
	dentry_set_name(b, a_name, a_len);
	b->parent = a_parent;
	dir_link(b_dir->dir, a);
	dir_link(a_dir->dir, b);
	unlock_two_metas(a_dir, b_dir);
	spin_unlock(&path_lock);
}

bool dir_is_empty(struct inode *inode)
{
	return list_empty(&inode->dir->order);
}

bool dir_is_dead(struct inode *inode)
{
	return inode->dir->dead;
}

void dir_kill(struct inode *inode)
{
	inode->dir->dead = true;
}

uint64_t dir_count(struct inode *inode)
{
	/* Relaxed: a figure for stat, and a hint when to grow. */
	return atomic_load_explicit(&inode->dir->count, memory_order_relaxed);
}

void dir_each(struct inode *inode, uint64_t from, bool (*fn)(void *arg, struct dentry *d), void *arg)
{
	struct dentry *d;

	list_for_each(d, &inode->dir->order, order) {
		if (d->cookie >= from && !fn(arg, d))
			return;
	}
}

// SPDX-License-Identifier: MIT
/*
 * Names. A dentry in a directory's table has a reference from the table, holds its inode and its
 * parent. When its last reference goes while its inode lives on in a mapping, the dentry stays as a
 * "zombie" so that /proc/PID/maps can still tell the file's name.
 *
 * path_lock (a spinlock, held for a few string copies) guards names, parents, `linked` and aliases
 * of all dentries: what one needs to print a path.
 */
#include "fs.h"

struct spinlock path_lock = SPINLOCK_INIT;
struct dentry *fs_root;

uint32_t name_hash(const char *name, size_t len)
{
	uint32_t h = 2166136261u; /* FNV-1a */

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)name[i]) * 16777619u;
	return h;
}

void dentry_set_name(struct dentry *d, char *name, size_t len)
{
	d->name = name;
	d->name_len = (uint16_t)len;
	d->hash = name_hash(name, len);
}

struct dentry *dentry_create(enum dentry_kind kind, const char *name, size_t len,
	struct dentry *parent, struct inode *inode)
{
	struct dentry *d = kzalloc(sizeof(*d));
	char *copy = kmalloc(len + 1);

	if (!d || !copy) {
		kfree(d);
		kfree(copy);
		return NULL;
	}
	memcpy(copy, name, len);
	copy[len] = '\0';
	atomic_init(&d->refs, 1);
	dentry_set_name(d, copy, len);
	d->kind = kind;
	d->inode = inode;
	inode_get(inode);
	list_init(&d->order);
	d->parent = parent ? parent : d;
	if (parent)
		dentry_get(parent);
	return d;
}

void dentry_get(struct dentry *d)
{
	/* Relaxed: the caller has a reference, or a lock that keeps one alive. */
	atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
}

/* The last reference is gone: frees d, or leaves it to its inode. Returns the parent to drop. */
static struct dentry *dentry_free(struct dentry *d)
{
	struct dentry *parent = d->parent == d ? NULL : d->parent;
	struct inode *inode = d->inode;

	spin_lock(&path_lock);
	d->zombie = inode->alias == d;
	if (d->zombie) {
		spin_unlock(&path_lock);
		inode_put(inode);
		return NULL;
	}
	spin_unlock(&path_lock);
	inode_put(inode);
	kfree(d->name);
	kfree(d);
	return parent;
}

void dentry_put(struct dentry *d)
{
	/* Release: our use is before the freeing; acquire: the freeing is after the others' use. */
	while (d && atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) == 1)
		d = dentry_free(d);
}

struct dentry *dentry_parent(struct dentry *d)
{
	struct dentry *parent;

	spin_lock(&path_lock);
	parent = d->parent;
	dentry_get(parent);
	spin_unlock(&path_lock);
	return parent;
}

void dentry_set_alias(struct dentry *d)
{
	struct dentry *old, *parent = NULL;

	spin_lock(&path_lock);
	old = d->inode->alias;
	d->inode->alias = d;
	if (old == d || !old || !old->zombie)
		old = NULL;
	spin_unlock(&path_lock);
	if (!old)
		return;
	parent = old->parent == old ? NULL : old->parent;
	kfree(old->name);
	kfree(old);
	if (parent)
		dentry_put(parent);
}

bool dentry_is_linked(struct dentry *d)
{
	bool linked;

	spin_lock(&path_lock);
	linked = d->linked || d == fs_root || d->kind == DENTRY_VIRTUAL;
	spin_unlock(&path_lock);
	return linked;
}

bool dentry_is_below(struct dentry *d, struct dentry *ancestor)
{
	bool below;

	spin_lock(&path_lock);
	while (d != ancestor && d->parent != d)
		d = d->parent;
	below = d == ancestor;
	spin_unlock(&path_lock);
	return below;
}

/* Puts text before *start; false when it does not fit in front of it. */
static bool prepend(char *buf, size_t *start, const char *text, size_t len)
{
	if (len > *start)
		return false;
	*start -= len;
	memcpy(buf + *start, text, len);
	return true;
}

ssize_t dentry_path_locked(struct dentry *d, char *buf, size_t size)
{
	size_t start = size;
	bool fits = prepend(buf, &start, "", 1);

	if ((d->kind == DENTRY_TREE && !d->linked && d != fs_root) || d->zombie)
		fits = fits && prepend(buf, &start, " (deleted)", 10);
	if (d == fs_root)
		fits = fits && prepend(buf, &start, "/", 1);
	for (; fits && d != fs_root; d = d->parent) {
		fits = prepend(buf, &start, d->name, d->name_len);
		if (d->parent == d)
			break;
		fits = fits && prepend(buf, &start, "/", 1);
	}
	if (!fits)
		return -ENAMETOOLONG;
	memmove(buf, buf + start, size - start);
	return (ssize_t)(size - start - 1);
}

ssize_t dentry_path(struct dentry *d, char *buf, size_t size)
{
	ssize_t len;

	spin_lock(&path_lock);
	len = dentry_path_locked(d, buf, size);
	spin_unlock(&path_lock);
	return len;
}

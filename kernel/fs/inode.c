// SPDX-License-Identifier: MIT
/*
 * Inodes: birth, death, times. A regular file's inode dies with its object, because mappings name it
 * as the object's owner; every other one with its last reference.
 */
#include "fs.h"

static _Atomic uint64_t last_number = 1; /* 1 is the root's */

static void object_gone(void *owner);

static const struct vmt_object_ops file_object_ops = { .gone = object_gone };

uint64_t inode_next_number(void)
{
	/* Relaxed: only the values have to differ. */
	return atomic_fetch_add_explicit(&last_number, 1, memory_order_relaxed);
}

struct inode *inode_create(unsigned int mode, const struct inode_ops *ops)
{
	struct inode *inode = kzalloc(sizeof(*inode));
	uint64_t now = wall_ns();

	if (!inode)
		return NULL;
	atomic_init(&inode->refs, 1);
	atomic_init(&inode->mode, mode);
	atomic_init(&inode->nlink, S_ISDIR(mode) ? 2 : 1);
	inode->ino = inode_next_number();
	inode->ops = ops;
	mutex_init(&inode->lock);
	spin_init(&inode->meta);
	inode->times.btime = now;
	atomic_init(&inode->times.atime, now);
	atomic_init(&inode->times.mtime, now);
	atomic_init(&inode->times.ctime, now);
	list_init(&inode->locks);
	waitqueue_init(&inode->lock_queue);
	return inode;
}

/* Type decides everything; the union in the inode is as its comments say. */
static const struct inode_ops ram_ops;

bool inode_is_ram(const struct inode *inode)
{
	return inode->ops == &ram_ops;
}

int inode_create_ram(unsigned int mode, struct inode **result)
{
	struct inode *inode = inode_create(mode, &ram_ops);
	int err = 0;

	if (!inode)
		return -ENOMEM;
	/* A name is counted when it is made; "." of a directory names it from the start. */
	atomic_store_explicit(&inode->nlink, S_ISDIR(mode) ? 1 : 0, memory_order_relaxed);
	if (S_ISREG(mode)) {
		if (vmt_object_create(the_vmt, 0, &file_object_ops, inode, &inode->object) != VMT_OK)
			err = -ENOMEM;
	} else if (S_ISDIR(mode)) {
		inode->dir = dir_create();
		if (!inode->dir)
			err = -ENOMEM;
	} else if (S_ISFIFO(mode)) {
		err = pipe_attach(inode);
	}
	if (err) {
		kfree(inode);
		return err;
	}
	*result = inode;
	return 0;
}

void inode_get(struct inode *inode)
{
	/* Relaxed: the caller has a reference already. */
	atomic_fetch_add_explicit(&inode->refs, 1, memory_order_relaxed);
}

/* Frees the inode itself; its name of last resort goes with it. */
static void inode_free(struct inode *inode)
{
	struct dentry *alias = inode->alias;
	struct dentry *parent = NULL;

	assert(list_empty(&inode->locks));
	if (alias) {
		assert(alias->zombie);
		parent = alias->parent;
		kfree(alias->name);
		kfree(alias);
	}
	kfree(inode);
	if (parent)
		dentry_put(parent);
}

/* Nothing maps the file any more either. */
static void object_gone(void *owner)
{
	inode_free(owner);
}

void inode_put(struct inode *inode)
{
	unsigned int mode = inode_mode(inode);

	/* Release: our use is before the freeing; acquire: the freeing is after the others' use. */
	if (atomic_fetch_sub_explicit(&inode->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (!inode_is_ram(inode)) {
		inode_free(inode);
		return;
	}
	switch (mode & S_IFMT) {
	case S_IFREG:
		vmt_object_put(inode->object); /* the inode goes when the object does */
		return;
	case S_IFDIR:
		dir_free(inode->dir);
		break;
	case S_IFLNK:
		kfree(inode->target);
		break;
	case S_IFIFO:
		pipe_free(inode->pipe);
		break;
	}
	inode_free(inode);
}

uint64_t inode_size(struct inode *inode)
{
	if (!inode_is_ram(inode))
		return 0;
	switch (inode_mode(inode) & S_IFMT) {
	case S_IFREG:
		return vmt_object_size(inode->object);
	case S_IFLNK:
		return strlen(inode->target);
	case S_IFDIR:
		return 40 + 20 * dir_count(inode);
	default:
		return 0;
	}
}

void inode_touch(_Atomic uint64_t *stamp)
{
	/* Relaxed: a time orders nothing. */
	atomic_store_explicit(stamp, wall_ns(), memory_order_relaxed);
}

void inode_accessed(struct inode *inode)
{
	/* Relaxed: as above; a rule about hours does not need the newest values. */
	uint64_t a = atomic_load_explicit(&inode->times.atime, memory_order_relaxed);
	uint64_t m = atomic_load_explicit(&inode->times.mtime, memory_order_relaxed);
	uint64_t c = atomic_load_explicit(&inode->times.ctime, memory_order_relaxed);

	if (a <= m || a <= c || wall_ns() - a > 24 * 3600 * NSEC_PER_SEC)
		inode_touch(&inode->times.atime);
}

void inode_modified(struct inode *inode)
{
	inode_touch(&inode->times.mtime);
	inode_touch(&inode->times.ctime);
}

void inode_changed(struct inode *inode)
{
	inode_touch(&inode->times.ctime);
}

/* Moves the count of writers by step unless it is on the other side of zero. */
static int writers_step(struct inode *inode, int step)
{
	int old = atomic_load_explicit(&inode->writers, memory_order_relaxed);

	do {
		if (step > 0 ? old < 0 : old > 0)
			return -ETXTBSY;
		/* Relaxed: the count alone is the rule, no data is published by it. */
	} while (!atomic_compare_exchange_weak_explicit(&inode->writers, &old, old + step,
		memory_order_relaxed, memory_order_relaxed));
	return 0;
}

int inode_begin_write(struct inode *inode)
{
	return S_ISREG(inode_mode(inode)) ? writers_step(inode, 1) : 0;
}

int inode_begin_exec(struct inode *inode)
{
	return writers_step(inode, -1);
}

void inode_end_write(struct inode *inode)
{
	if (S_ISREG(inode_mode(inode)))
		atomic_fetch_sub_explicit(&inode->writers, 1, memory_order_relaxed);
}

void inode_end_exec(struct inode *inode)
{
	atomic_fetch_add_explicit(&inode->writers, 1, memory_order_relaxed);
}

bool file_object_name(struct vmt_object *object, struct object_name *name)
{
	struct inode *inode = vmt_object_owner(object);
	bool found;

	if (!inode)
		return false;
	name->dev = FS_DEV;
	name->ino = inode->ino;
	name->path[0] = '\0';
	spin_lock(&path_lock);
	found = inode->alias != NULL;
	if (found)
		dentry_path_locked(inode->alias, name->path, sizeof(name->path));
	spin_unlock(&path_lock);
	return true;
}

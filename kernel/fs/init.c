// SPDX-License-Identifier: MIT
/*
 * The tree at boot: /dev, /proc, /sys and /tmp, then the RAM disk's members.
 * One thread; nobody else uses the tree yet.
 */
#include "fs.h"

#include <kernel/boot.h>

/* A file of the archive that has more names to come (newc gives them the same inode number). */
struct hard_link {
	struct hard_link *next;
	uint32_t ino, major, minor;
	struct dentry *d;
};

static struct hard_link *find_link(struct hard_link *l, const struct cpio_member *m)
{
	while (l && (l->ino != m->ino || l->major != m->devmajor || l->minor != m->devminor))
		l = l->next;
	return l;
}

static int remember_link(struct hard_link **links, const struct cpio_member *m, struct dentry *d)
{
	struct hard_link *l = kmalloc(sizeof(*l));

	if (!l)
		return -ENOMEM;
	*l = (struct hard_link){ *links, m->ino, m->devmajor, m->devminor, d };
	dentry_get(d);
	*links = l;
	return 0;
}

static void forget_links(struct hard_link *l)
{
	while (l) {
		struct hard_link *next = l->next;

		dentry_put(l->d);
		kfree(l);
		l = next;
	}
}

static int unpack_regular(const struct cpio_member *m, const char *path, struct hard_link **links)
{
	struct hard_link *l = m->nlink > 1 ? find_link(*links, m) : NULL;
	struct dentry *d;
	int err;

	if (l) {
		err = make_link(l->d, path);
		d = l->d;
		dentry_get(d);
	} else {
		err = make_node(path, m->mode, 0, &d);
		if (err)
			return err;
		if (m->nlink > 1)
			err = remember_link(links, m, d);
	}
	/* Of several names, one member (often the last) has the bytes. */
	if (!err)
		err = data_fill(d->inode, m->data, m->size);
	atomic_store_explicit(&d->inode->times.mtime, m->mtime * NSEC_PER_SEC, memory_order_relaxed);
	dentry_put(d);
	return err;
}

static int unpack_link(const struct cpio_member *m, const char *path)
{
	char *target = kmalloc(m->size + 1);
	int err;

	if (!target)
		return -ENOMEM;
	memcpy(target, m->data, m->size);
	target[m->size] = '\0';
	err = m->size && m->size < PATH_MAX ? make_symlink(path, target) : -EINVAL;
	kfree(target);
	return err;
}

static int unpack_member(const struct cpio_member *m, struct hard_link **links)
{
	char path[512];

	if (strcmp(m->name, ".") == 0 || !*m->name)
		return 0;
	if (strcmp(m->name, ".vmtree") == 0 || strncmp(m->name, ".vmtree/", 8) == 0)
		return 0;
	if ((size_t)snprintf(path, sizeof(path), "/%s", m->name) >= sizeof(path))
		return -ENAMETOOLONG;
	switch (m->mode & S_IFMT) {
	case S_IFREG:
		return unpack_regular(m, path, links);
	case S_IFLNK:
		return unpack_link(m, path);
	case S_IFDIR:
		return make_node(path, m->mode, 0, NULL);
	default:
		return make_node(path, m->mode, MKDEV(m->rdevmajor, m->rdevminor), NULL);
	}
}

static int unpack(void)
{
	struct hard_link *links = NULL;
	struct cpio_member m;
	size_t offset = 0;
	int err = 0;

	while (!err && initrd_next(&offset, &m)) {
		err = unpack_member(&m, &links);
		if (err == -ENOSPC || err == -ENOMEM)
			break;
		if (err)
			klog("RAM disk: %s: error %d, left out", m.name, -err);
		err = 0;
	}
	forget_links(links);
	return err == -ENOSPC ? -ENOMEM : err;
}

static int make_root(void)
{
	struct inode *inode;
	int err = inode_create_ram(DEFAULT_DIR_MODE, &inode);

	if (err)
		return err;
	atomic_store_explicit(&inode->nlink, 2, memory_order_relaxed);
	fs_root = dentry_create(DENTRY_TREE, "", 0, NULL, inode);
	inode_put(inode);
	return fs_root ? 0 : -ENOMEM;
}

int fs_init(void)
{
	int err = make_root();

	if (!err)
		err = make_node("/tmp", S_IFDIR | S_ISVTX | 0777, 0, NULL);
	if (!err)
		err = dev_init();
	if (!err)
		err = console_init();
	if (!err)
		err = proc_init();
	if (!err)
		err = unpack(); /* last: what is ours is not replaced by the archive */
	return err;
}

void fs_destroy(void)
{
	console_end();
	tree_free();
}

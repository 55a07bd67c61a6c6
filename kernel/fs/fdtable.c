// SPDX-License-Identifier: MIT
/*
 * Descriptor tables. A spinlock guards table, size and cloexec; a descriptor is looked up and its file
 * referenced under it. Files are closed after it was released.
 */
#include "fs.h"

#include <kernel/process.h>

#define FIRST_SIZE 32
#define SIZE_LIMIT (1U << 20)

struct files {
	atomic_uint refs;
	struct spinlock lock;
	unsigned int size;
	unsigned int lowest; /* no descriptor below is free */
	struct file **table;
	uint64_t *cloexec; /* a bit each; behind table in the same memory */
};

static size_t table_bytes(unsigned int size)
{
	return size * sizeof(struct file *) + DIV_ROUND_UP(size, 64) * sizeof(uint64_t);
}

static void table_use(struct files *files, struct file **table, unsigned int size)
{
	files->table = table;
	files->cloexec = (uint64_t *)(table + size);
	files->size = size;
}

static struct files *create_sized(unsigned int size)
{
	struct files *files = kzalloc(sizeof(*files));
	struct file **table = kzalloc(table_bytes(size));

	if (!files || !table) {
		kfree(files);
		kfree(table);
		return NULL;
	}
	atomic_init(&files->refs, 1);
	spin_init(&files->lock);
	table_use(files, table, size);
	return files;
}

struct files *files_create(void)
{
	return create_sized(FIRST_SIZE);
}

struct files *files_get(struct files *files)
{
	/* Relaxed: the caller has a reference. */
	atomic_fetch_add_explicit(&files->refs, 1, memory_order_relaxed);
	return files;
}

static bool cloexec_get(const struct files *files, unsigned int fd)
{
	return files->cloexec[fd / 64] >> fd % 64 & 1;
}

static void cloexec_set(struct files *files, unsigned int fd, bool on)
{
	files->cloexec[fd / 64] &= ~(1UL << fd % 64);
	files->cloexec[fd / 64] |= (uint64_t)on << fd % 64;
}

/* Gives the table at least `size` places; called without the lock. */
static int grow(struct files *files, unsigned int size)
{
	struct file **table, **old;
	unsigned int n = FIRST_SIZE;

	while (n < size)
		n *= 2;
	table = kzalloc(table_bytes(n));
	if (!table)
		return -ENOMEM;
	spin_lock(&files->lock);
	old = files->table;
	if (files->size < n) {
		memcpy(table, files->table, files->size * sizeof(*table));
		memcpy(table + n, files->cloexec, DIV_ROUND_UP(files->size, 64) * 8);
		table_use(files, table, n);
	} else {
		old = table;
	}
	spin_unlock(&files->lock);
	kfree(old);
	return 0;
}

struct files *files_copy(struct files *from)
{
	unsigned int size = from->size;
	struct files *files;

	for (;;) {
		files = create_sized(size);
		if (!files)
			return NULL;
		spin_lock(&from->lock);
		if (from->size <= size)
			break;
		size = from->size;
		spin_unlock(&from->lock);
		kfree(files->table);
		kfree(files);
	}
	memcpy(files->table, from->table, from->size * sizeof(*from->table));
	memcpy(files->cloexec, from->cloexec, DIV_ROUND_UP(from->size, 64) * 8);
	for (unsigned int fd = 0; fd < from->size; fd++) {
		if (files->table[fd])
			file_get(files->table[fd]);
	}
	files->lowest = from->lowest;
	spin_unlock(&from->lock);
	return files;
}

/* Takes what is at fd out; the caller closes it. lock held. */
static struct file *take(struct files *files, unsigned int fd)
{
	struct file *f = fd < files->size ? files->table[fd] : NULL;

	if (!f)
		return NULL;
	files->table[fd] = NULL;
	cloexec_set(files, fd, false);
	files->lowest = MIN(files->lowest, fd);
	return f;
}

/* A descriptor is gone: POSIX record locks of its process on the file go with it (fcntl(2)). */
static void close_taken(struct files *files, struct file *f)
{
	locks_release_owner(f->inode, files);
	file_put(f);
}

static void close_matching(struct files *files, unsigned int first, unsigned int last, bool cloexec)
{
	for (unsigned int fd = first; fd <= last; fd++) {
		struct file *f = NULL;

		spin_lock(&files->lock);
		if (fd >= files->size)
			last = 0;
		else if (!cloexec || cloexec_get(files, fd))
			f = take(files, fd);
		spin_unlock(&files->lock);
		if (f)
			close_taken(files, f);
	}
}

void files_put(struct files *files)
{
	/* Release: our use is before the freeing; acquire: the freeing is after the others' use. */
	if (atomic_fetch_sub_explicit(&files->refs, 1, memory_order_acq_rel) != 1)
		return;
	close_matching(files, 0, SIZE_LIMIT, false);
	kfree(files->table);
	kfree(files);
}

int files_exec(struct files **pointer)
{
	struct files *files = *pointer;

	/* Acquire: what the last other user did to the table is seen by us, its only user now. */
	if (atomic_load_explicit(&files->refs, memory_order_acquire) > 1) {
		struct files *copy = files_copy(files);

		if (!copy)
			return -ENOMEM;
		*pointer = copy;
		files_put(files);
		files = copy;
	}
	close_matching(files, 0, SIZE_LIMIT, true);
	return 0;
}

struct file *files_file(struct files *files, int fd)
{
	struct file *f = NULL;

	spin_lock(&files->lock);
	if ((unsigned int)fd < files->size)
		f = files->table[fd];
	if (f)
		file_get(f);
	spin_unlock(&files->lock);
	return f;
}

struct file *fd_get_any(int fd)
{
	return files_file(current_files(), fd);
}

struct file *fd_get(int fd)
{
	struct file *f = fd_get_any(fd);

	/* Relaxed: O_PATH never changes. */
	if (f && atomic_load_explicit(&f->flags, memory_order_relaxed) & O_PATH) {
		file_put(f);
		return NULL;
	}
	return f;
}

unsigned int files_list(struct files *files, int from, int *fds, unsigned int max)
{
	unsigned int n = 0;

	spin_lock(&files->lock);
	for (unsigned int fd = (unsigned int)from; fd < files->size && n < max; fd++) {
		if (files->table[fd])
			fds[n++] = (int)fd;
	}
	spin_unlock(&files->lock);
	return n;
}

unsigned int files_size(struct files *files)
{
	return files->size;
}

bool files_cloexec(struct files *files, int fd)
{
	bool on;

	spin_lock(&files->lock);
	on = (unsigned int)fd < files->size && cloexec_get(files, (unsigned int)fd);
	spin_unlock(&files->lock);
	return on;
}

static unsigned int fd_limit(void)
{
	return (unsigned int)MIN(process_rlimit(RLIMIT_NOFILE), (uint64_t)SIZE_LIMIT);
}

static int install_in(struct files *files, struct file *f, int from, bool cloexec)
{
	unsigned int limit = fd_limit(), fd = (unsigned int)from;

	if (fd >= limit)
		return -EMFILE;
	for (;;) {
		spin_lock(&files->lock);
		fd = MAX((unsigned int)from, files->lowest);
		while (fd < files->size && files->table[fd])
			fd++;
		if (fd < files->size && fd < limit) {
			files->table[fd] = f;
			cloexec_set(files, fd, cloexec);
			if ((unsigned int)from <= files->lowest)
				files->lowest = fd + 1;
			spin_unlock(&files->lock);
			return (int)fd;
		}
		spin_unlock(&files->lock);
		if (fd >= limit)
			return -EMFILE;
		if (grow(files, fd + 1))
			return -ENOMEM;
	}
}

int fd_install(struct file *f, int from, bool cloexec)
{
	return install_in(current_files(), f, from, cloexec);
}

int files_open_console(struct files *files)
{
	for (int fd = 0; fd < 3; fd++) {
		struct file *f;
		int err = console_open_std(fd, &f);

		if (!err)
			err = install_in(files, f, fd, false);
		if (err < 0)
			return err;
	}
	return 0;
}

/* ---- System calls on the table ---- */

long sys_close(long fd)
{
	struct files *files = current_files();
	struct file *f;

	spin_lock(&files->lock);
	f = take(files, (unsigned int)fd);
	spin_unlock(&files->lock);
	if (!f)
		return -EBADF;
	close_taken(files, f);
	return 0;
}

#define CLOSE_RANGE_UNSHARE 2
#define CLOSE_RANGE_CLOEXEC 4

/* The calling thread gets a table of its own. */
static int unshare_files(void)
{
	struct thread *t = current_thread();
	struct files *old = t->files, *copy;
	uint64_t flags;

	/* Acquire: as in files_exec. */
	if (atomic_load_explicit(&old->refs, memory_order_acquire) == 1)
		return 0;
	copy = files_copy(old);
	if (!copy)
		return -ENOMEM;
	flags = spin_lock_irqsave(&t->process->lock);
	t->files = copy;
	spin_unlock_irqrestore(&t->process->lock, flags);
	files_put(old);
	return 0;
}

long sys_close_range(long first_arg, long last_arg, long flags)
{
	unsigned int first = (unsigned int)first_arg, last = (unsigned int)last_arg;
	struct files *files;
	int err = 0;

	if (first > last || (unsigned int)flags & ~6U)
		return -EINVAL;
	if ((unsigned int)flags & CLOSE_RANGE_UNSHARE)
		err = unshare_files();
	if (err)
		return err;
	files = current_files();
	if (!((unsigned int)flags & CLOSE_RANGE_CLOEXEC)) {
		close_matching(files, first, last, false);
		return 0;
	}
	spin_lock(&files->lock);
	for (unsigned int fd = first; fd < files->size && fd <= last; fd++)
		cloexec_set(files, fd, files->table[fd] != NULL);
	spin_unlock(&files->lock);
	return 0;
}

/* dup2 and dup3: f at exactly newfd; its reference is taken over. */
static long install_at(struct file *f, unsigned int newfd, bool cloexec)
{
	struct files *files = current_files();
	struct file *old;

	spin_lock(&files->lock);
	while (newfd >= files->size) {
		spin_unlock(&files->lock);
		if (grow(files, newfd + 1)) {
			file_put(f);
			return -ENOMEM;
		}
		spin_lock(&files->lock);
	}
	old = take(files, newfd);
	files->table[newfd] = f;
	cloexec_set(files, newfd, cloexec);
	spin_unlock(&files->lock);
	if (old)
		close_taken(files, old);
	return newfd;
}

static long dup_to(int oldfd, int newfd, bool cloexec)
{
	struct file *f;

	if ((unsigned int)newfd >= fd_limit())
		return -EBADF;
	f = fd_get_any(oldfd);
	if (!f)
		return -EBADF;
	if (oldfd == newfd) {
		file_put(f);
		return newfd;
	}
	return install_at(f, (unsigned int)newfd, cloexec);
}

long sys_dup2(long oldfd, long newfd)
{
	return dup_to((int)oldfd, (int)newfd, false);
}

long sys_dup3(long oldfd, long newfd, long flags)
{
	if ((int)oldfd == (int)newfd || (int)flags & ~O_CLOEXEC)
		return -EINVAL;
	return dup_to((int)oldfd, (int)newfd, (int)flags & O_CLOEXEC);
}

long fd_dup(int oldfd, int from, bool cloexec)
{
	struct file *f = fd_get_any(oldfd);
	int fd;

	if (!f)
		return -EBADF;
	if ((unsigned int)from >= fd_limit()) {
		file_put(f);
		return -EINVAL;
	}
	fd = fd_install(f, from, cloexec);
	if (fd < 0)
		file_put(f);
	return fd;
}

long sys_dup(long oldfd)
{
	long fd = fd_dup((int)oldfd, 0, false);

	return fd == -EINVAL ? -EMFILE : fd;
}

int fd_set_cloexec(int fd, bool on)
{
	struct files *files = current_files();
	int err = -EBADF;

	spin_lock(&files->lock);
	if ((unsigned int)fd < files->size && files->table[fd]) {
		cloexec_set(files, (unsigned int)fd, on);
		err = 0;
	}
	spin_unlock(&files->lock);
	return err;
}

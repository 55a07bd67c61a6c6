// SPDX-License-Identifier: MIT
/*
 * Locks that programs put on files: POSIX record locks (fcntl(2) F_SETLK; owner: the descriptor table,
 * so the process), open file description locks (F_OFD_SETLK) and flock(2) (owner: the open file).
 * Record locks of both kinds exclude each other; flock is a world of its own, as on Linux.
 *
 * inode->meta guards an inode's list. Who waits sleeps on inode->lock_queue. For F_SETLKW the waits of
 * processes are also in one list, under waits_lock (never with meta), where cycles are found.
 */
#include "fs.h"

#include <kernel/process.h>

enum { F_RDLCK, F_WRLCK, F_UNLCK };

enum lock_kind {
	LOCK_RECORD,
	LOCK_WHOLE, /* flock */
};

struct record_lock {
	struct list link;
	const void *owner;
	enum lock_kind kind;
	int type; /* F_RDLCK or F_WRLCK */
	uint64_t first, last; /* bytes, both included */
	pid_t pid; /* for F_GETLK; -1: an open file's */
};

struct lock_wait {
	struct list link;
	const void *owner, *blocker;
};

static struct spinlock waits_lock = SPINLOCK_INIT;
static struct list waits = LIST_INIT(waits);

static bool overlaps(const struct record_lock *a, const struct record_lock *b)
{
	return a->kind == b->kind && a->first <= b->last && b->first <= a->last;
}

/* A lock of somebody else that excludes `want`, or NULL. meta held. */
static struct record_lock *conflict(struct inode *inode, const struct record_lock *want)
{
	struct record_lock *l;

	list_for_each(l, &inode->locks, link) {
		if (l->owner != want->owner && overlaps(l, want) &&
			(l->type == F_WRLCK || want->type == F_WRLCK))
			return l;
	}
	return NULL;
}

/* Takes [first, last] out of l, which may leave a piece on either side. True: *spare was used. */
static bool cut(struct record_lock *l, uint64_t first, uint64_t last, struct record_lock *spare)
{
	bool left = l->first < first, right = l->last > last;

	if (left && right) {
		*spare = *l;
		spare->first = last + 1;
		l->last = first - 1;
		list_add(&l->link, &spare->link);
		return true;
	}
	if (left) {
		l->last = first - 1;
	} else if (right) {
		l->first = last + 1;
	} else {
		list_del(&l->link);
		kfree(l);
	}
	return false;
}

/* Do the two touch or overlap, so that locks of one type can be one? */
static bool joins(const struct record_lock *a, const struct record_lock *b)
{
	return (a->last == UINT64_MAX || b->first <= a->last + 1) &&
	       (b->last == UINT64_MAX || a->first <= b->last + 1);
}

/*
 * Gives `want` (or, with F_UNLCK, takes its range from) its owner. Nothing conflicts; meta held.
 * Returns what of the two spares was not used, through kfree by the caller.
 */
static void apply(struct inode *inode, struct record_lock *want, struct record_lock **spare,
	struct record_lock **fresh)
{
	struct record_lock *l, *next;

	list_for_each_safe(l, next, &inode->locks, link) {
		if (l->owner != want->owner || l->kind != want->kind)
			continue;
		if (l->type == want->type && joins(l, want)) {
			want->first = MIN(want->first, l->first);
			want->last = MAX(want->last, l->last);
			list_del(&l->link);
			kfree(l);
		} else if (overlaps(l, want) && cut(l, want->first, want->last, *spare)) {
			*spare = NULL;
			break; /* it contained all of want: nothing else of the owner is there */
		}
	}
	if (want->type == F_UNLCK)
		return;
	**fresh = *want;
	list_add_tail(&inode->locks, &(*fresh)->link);
	*fresh = NULL;
}

/* One attempt: 0, or -EAGAIN and who is in the way. */
static int try_lock(struct inode *inode, struct record_lock want, const void **blocker)
{
	struct record_lock *spare = kmalloc(sizeof(*spare)), *fresh = kmalloc(sizeof(*fresh));
	struct record_lock *other = NULL;

	if (!spare || !fresh) {
		kfree(spare);
		kfree(fresh);
		return -ENOLCK;
	}
	spin_lock(&inode->meta);
	if (want.type != F_UNLCK)
		other = conflict(inode, &want);
	if (other)
		*blocker = other->owner;
	else
		apply(inode, &want, &spare, &fresh);
	spin_unlock(&inode->meta);
	kfree(spare);
	kfree(fresh);
	if (other)
		return -EAGAIN;
	wake_all(&inode->lock_queue); /* less may be locked than before */
	return 0;
}

/* Whom does this owner wait for? waits_lock held. */
static const void *waits_for(const void *owner)
{
	struct lock_wait *w;

	list_for_each(w, &waits, link) {
		if (w->owner == owner)
			return w->blocker;
	}
	return NULL;
}

/* Enters the wait in the list, unless the blocker waits, over any number of others, for us. */
static int wait_begin(struct lock_wait *w)
{
	const void *at = w->blocker;
	int err = 0;

	spin_lock(&waits_lock);
	for (int i = 0; at && i < 64 && !err; i++) {
		if (at == w->owner)
			err = -EDEADLK;
		at = waits_for(at);
	}
	if (!err)
		list_add_tail(&waits, &w->link);
	spin_unlock(&waits_lock);
	return err;
}

static void wait_end(struct lock_wait *w)
{
	spin_lock(&waits_lock);
	list_del(&w->link);
	spin_unlock(&waits_lock);
}

/*
 * Locks, waiting for it. Each round is on the queue before it tries, so that no unlocking is missed.
 * Owners of flock and of open file description locks are not in the graph: no EDEADLK for them.
 */
static int lock_waiting(struct inode *inode, const struct record_lock *want, bool graph)
{
	struct lock_wait w = { .owner = want->owner };
	struct waiter waiter;
	int err;

	waiter_add(&inode->lock_queue, &waiter);
	for (;;) {
		err = try_lock(inode, *want, &w.blocker);
		if (err != -EAGAIN)
			break;
		err = graph ? wait_begin(&w) : 0;
		if (err)
			break;
		wait_prepare(WAIT_INTERRUPTIBLE);
		/* What was unlocked before the state changed woke nobody: look again. */
		if (try_lock(inode, *want, &w.blocker) == 0) {
			wait_finish();
			if (graph)
				wait_end(&w);
			break;
		}
		err = wait_sleep(WAIT_INTERRUPTIBLE, WAIT_FOREVER);
		wait_finish();
		if (graph)
			wait_end(&w);
		if (err)
			break;
	}
	waiter_remove(&inode->lock_queue, &waiter);
	return err;
}

/* ---- fcntl ---- */

struct flock {
	int16_t l_type, l_whence;
	int64_t l_start, l_len;
	pid_t l_pid;
};

static int range_from_flock(struct file *f, const struct flock *fl, struct record_lock *l)
{
	int64_t base = 0, start;

	if (fl->l_whence == SEEK_CUR)
		base = (int64_t)f->pos;
	else if (fl->l_whence == SEEK_END)
		base = (int64_t)inode_size(f->inode);
	else if (fl->l_whence != SEEK_SET)
		return -EINVAL;
	if (fl->l_type < F_RDLCK || fl->l_type > F_UNLCK)
		return -EINVAL;
	if (__builtin_add_overflow(base, fl->l_start, &start))
		return -EOVERFLOW;
	l->type = fl->l_type;
	l->kind = LOCK_RECORD;
	if (fl->l_len < 0) {
		if (start < 0 || start + fl->l_len < 0)
			return -EINVAL;
		l->first = (uint64_t)(start + fl->l_len);
		l->last = (uint64_t)start - 1;
		return 0;
	}
	if (start < 0)
		return -EINVAL;
	l->first = (uint64_t)start;
	l->last = UINT64_MAX;
	if (fl->l_len) {
		int64_t last;

		if (__builtin_add_overflow(start, fl->l_len - 1, &last))
			return -EOVERFLOW;
		l->last = (uint64_t)last;
	}
	return 0;
}

static void describe(struct inode *inode, struct record_lock *want, struct flock *fl)
{
	struct record_lock *l;

	spin_lock(&inode->meta);
	l = conflict(inode, want);
	if (l) {
		fl->l_type = (int16_t)l->type;
		fl->l_whence = SEEK_SET;
		fl->l_start = (int64_t)l->first;
		fl->l_len = l->last == UINT64_MAX ? 0 : (int64_t)(l->last - l->first + 1);
		fl->l_pid = l->pid;
	} else {
		fl->l_type = F_UNLCK;
	}
	spin_unlock(&inode->meta);
}

static int check_access(const struct file *f, int type)
{
	if (type == F_RDLCK && !(f->access & FILE_READ))
		return -EBADF;
	return type == F_WRLCK && !(f->access & FILE_WRITE) ? -EBADF : 0;
}

long lock_fcntl(struct file *f, unsigned int cmd, uint64_t arg)
{
	bool ofd = cmd >= F_OFD_GETLK;
	unsigned int action = ofd ? cmd - F_OFD_GETLK + F_GETLK : cmd;
	struct record_lock want = { 0 };
	const void *blocker;
	struct flock fl;
	int err;

	if (copy_from_user(&fl, arg, sizeof(fl)))
		return -EFAULT;
	if (ofd && fl.l_pid != 0)
		return -EINVAL;
	err = range_from_flock(f, &fl, &want);
	if (err)
		return err;
	want.owner = ofd ? (const void *)f : current_files();
	want.pid = ofd ? -1 : current_process()->pid;
	if (action == F_GETLK) {
		if (fl.l_type == F_UNLCK)
			return -EINVAL;
		describe(f->inode, &want, &fl);
		return copy_to_user(arg, &fl, sizeof(fl));
	}
	err = check_access(f, want.type);
	if (err)
		return err;
	if (action == F_SETLKW)
		return lock_waiting(f->inode, &want, !ofd);
	return try_lock(f->inode, want, &blocker);
}

#define LOCK_SH 1
#define LOCK_EX 2
#define LOCK_NB 4
#define LOCK_UN 8

long sys_flock(long fd, long operation)
{
	struct record_lock want = { .kind = LOCK_WHOLE, .last = UINT64_MAX, .pid = -1 };
	struct file *f = fd_get((int)fd);
	const void *blocker;
	long err;

	if (!f)
		return -EBADF;
	want.owner = f;
	switch ((int)operation & ~LOCK_NB) {
	case LOCK_SH:
		want.type = F_RDLCK;
		break;
	case LOCK_EX:
		want.type = F_WRLCK;
		break;
	case LOCK_UN:
		want.type = F_UNLCK;
		break;
	default:
		file_put(f);
		return -EINVAL;
	}
	if ((int)operation & LOCK_NB)
		err = try_lock(f->inode, want, &blocker);
	else
		err = lock_waiting(f->inode, &want, false);
	file_put(f);
	return err;
}

/* ---- Ends ---- */

void locks_release_owner(struct inode *inode, const void *owner)
{
	struct record_lock *l, *next;
	bool released = false;

	spin_lock(&inode->meta);
	list_for_each_safe(l, next, &inode->locks, link) {
		if (l->owner == owner) {
			list_del(&l->link);
			kfree(l);
			released = true;
		}
	}
	spin_unlock(&inode->meta);
	if (released)
		wake_all(&inode->lock_queue);
}

// SPDX-License-Identifier: MIT
/*
 * Pipes and FIFOs: a ring of 64 KiB whose pages come with first use.
 *
 * pipe->lock (mutex) guards the ring and is held over the user copies of one piece; page faults never
 * take it. head, tail and the counts of ends are atomics, changed under the lock (the counts: by open
 * and close, under it too) and looked at without it by those who wait or poll. A waiter is on its
 * queue before it looks; a waker changes, then wakes, so none is missed.
 *
 * A reader that takes little at a time must not wake a blocked writer for each piece. So a writer first
 * waits patiently: it is woken when half of the ring is free. If that takes longer than a tick it
 * becomes strict, and then any room counts.
 */
#include "fs.h"

#include <kernel/signal.h>

#define RING_PAGES 16
#define RING_SIZE (RING_PAGES * PAGE_SIZE)
#define PIPE_BUF 4096UL /* at most so much is written in one piece (pipe(7)) */

struct pipe {
	struct mutex lock;
	_Atomic uint64_t head; /* bytes ever written */
	_Atomic uint64_t tail; /* bytes ever read */
	atomic_uint readers, writers;
	atomic_uint reader_opens, writer_opens; /* ever: for open(2) of a FIFO, which waits for one */
	struct waitqueue can_read, can_write;
	struct waitqueue can_poll; /* those who poll for room */
	atomic_uint strict; /* writers that want to be woken for any room */
	char *pages[RING_PAGES];
};

int pipe_attach(struct inode *inode)
{
	struct pipe *p = kzalloc(sizeof(*p));

	if (!p)
		return -ENOMEM;
	mutex_init(&p->lock);
	waitqueue_init(&p->can_read);
	waitqueue_init(&p->can_write);
	waitqueue_init(&p->can_poll);
	inode->pipe = p;
	return 0;
}

void pipe_free(struct pipe *p)
{
	for (int i = 0; i < RING_PAGES; i++)
		kfree(p->pages[i]);
	kfree(p);
}

static uint64_t used(struct pipe *p)
{
	/*
	 * Tail first: it never passes head, so that the difference is never negative. Acquire pairs
	 * with the releases in pipe_copy_*; those who copy hold the lock anyway.
	 */
	uint64_t tail = atomic_load_explicit(&p->tail, memory_order_acquire);

	return atomic_load_explicit(&p->head, memory_order_acquire) - tail;
}

static uint64_t room(struct pipe *p)
{
	uint64_t n = used(p);

	return n > RING_SIZE ? 0 : RING_SIZE - n;
}

static unsigned int ends(atomic_uint *count)
{
	/* Acquire pairs with the release when an end comes or goes: then its bytes are seen as well. */
	return atomic_load_explicit(count, memory_order_acquire);
}

/* Both copy what is there or fits, under the lock; fewer than possible only on a fault. */
static size_t pipe_copy_out(struct pipe *p, struct io *io)
{
	uint64_t tail = atomic_load_explicit(&p->tail, memory_order_relaxed); /* ours: the lock */
	size_t done = 0, want = MIN(used(p), io->left);

	while (done < want) {
		size_t at = tail % PAGE_SIZE, n = MIN(PAGE_SIZE - at, want - done);
		size_t moved = io_to(io, p->pages[tail / PAGE_SIZE % RING_PAGES] + at, n);

		done += moved;
		tail += moved;
		if (moved < n)
			break;
	}
	/* Release pairs with used(): the bytes were read before their place counts as free. */
	atomic_store_explicit(&p->tail, tail, memory_order_release);
	return done;
}

static ssize_t pipe_copy_in(struct pipe *p, struct io *io)
{
	uint64_t head = atomic_load_explicit(&p->head, memory_order_relaxed); /* ours: the lock */
	size_t done = 0, want = MIN(room(p), io->left);
	ssize_t err = 0;

	while (done < want) {
		size_t at = head % PAGE_SIZE, n = MIN(PAGE_SIZE - at, want - done), moved;
		char **page = &p->pages[head / PAGE_SIZE % RING_PAGES];

		if (!*page)
			*page = kmalloc(PAGE_SIZE);
		if (!*page) {
			err = -ENOMEM;
			break;
		}
		moved = io_from(io, *page + at, n);
		done += moved;
		head += moved;
		if (moved < n) {
			err = -EFAULT;
			break;
		}
	}
	/* Release pairs with used(): the bytes are there before they count. */
	atomic_store_explicit(&p->head, head, memory_order_release);
	return done ? (ssize_t)done : err;
}

static bool nonblocking(struct file *f)
{
	/* Relaxed: a flag by itself. */
	return atomic_load_explicit(&f->flags, memory_order_relaxed) & O_NONBLOCK;
}

/* Room has grown. Who is woken: see above. */
static void wake_writers(struct pipe *p, uint64_t before, uint64_t after)
{
	/* Pairs with the fence in wait_for_room: it sees the room, or we see that it is strict. */
	atomic_thread_fence(memory_order_seq_cst);
	if ((before < RING_SIZE / 2 && after >= RING_SIZE / 2) ||
		atomic_load_explicit(&p->strict, memory_order_relaxed))
		wake_all(&p->can_write);
	if (before < PIPE_BUF && after >= PIPE_BUF)
		wake_all(&p->can_poll);
}

static ssize_t pipe_read(struct file *f, struct io *io, uint64_t pos __unused)
{
	struct pipe *p = f->inode->pipe;
	uint64_t before;
	size_t n;
	int err;

	if (!io->left)
		return 0;
	for (;;) {
		bool open = ends(&p->writers); /* before the look at the ring */

		mutex_lock(&p->lock);
		before = room(p);
		n = pipe_copy_out(p, io);
		err = !n && used(p) ? -EFAULT : 0;
		if (n)
			wake_writers(p, before, before + n);
		mutex_unlock(&p->lock);
		if (n || err || !open)
			break;
		if (nonblocking(f))
			return -EAGAIN;
		err = wait_event_interruptible(&p->can_read, used(p) || !ends(&p->writers));
		if (err)
			return err;
	}
	if (n)
		inode_accessed(f->inode);
	return n ? (ssize_t)n : err;
}

/* Up to PIPE_BUF bytes go in one piece or wait; more may go in several. */
static size_t need(const struct io *io, size_t total)
{
	return total <= PIPE_BUF ? io->left : 1;
}

static int wait_for_room(struct pipe *p, size_t bytes)
{
	int err = wait_event_interruptible_timeout(&p->can_write,
		room(p) >= bytes || !ends(&p->readers), ktime_ns() + TICK_NS);

	if (err != -ETIMEDOUT)
		return err;
	atomic_fetch_add_explicit(&p->strict, 1, memory_order_relaxed);
	/* Pairs with the fence in wake_writers; the wait looks at the room again before it sleeps. */
	atomic_thread_fence(memory_order_seq_cst);
	err = wait_event_interruptible(&p->can_write, room(p) >= bytes || !ends(&p->readers));
	/* Relaxed: at worst somebody wakes us in vain. */
	atomic_fetch_sub_explicit(&p->strict, 1, memory_order_relaxed);
	return err;
}

static ssize_t pipe_write(struct file *f, struct io *io, uint64_t *pos __unused)
{
	struct pipe *p = f->inode->pipe;
	size_t total = io->left, done = 0;
	ssize_t n = 0;

	while (done < total) {
		n = 0;
		mutex_lock(&p->lock);
		if (!ends(&p->readers))
			n = -EPIPE;
		else if (room(p) >= need(io, total))
			n = pipe_copy_in(p, io);
		mutex_unlock(&p->lock);
		if (n < 0)
			break;
		done += (size_t)n;
		if (n) {
			wake_all(&p->can_read);
			continue;
		}
		n = -EAGAIN;
		if (nonblocking(f))
			break;
		n = wait_for_room(p, need(io, total));
		if (n)
			break;
	}
	if (n == -EPIPE)
		signal_send_self(SIGPIPE);
	if (done)
		inode_modified(f->inode);
	return done || !total ? (ssize_t)done : n;
}

static unsigned int pipe_poll(struct file *f, struct poll_table *pt)
{
	struct pipe *p = f->inode->pipe;
	unsigned int mask = 0;

	if (f->access & FILE_READ) {
		bool open;

		poll_wait(pt, &p->can_read);
		open = ends(&p->writers);
		if (used(p))
			mask |= POLLIN | POLLRDNORM;
		/* A FIFO that was opened before any writer came has not hung up (see pipe_open). */
		if (!open && ends(&p->writer_opens) != (unsigned int)(uint64_t)f->private)
			mask |= POLLHUP;
	}
	if (f->access & FILE_WRITE) {
		poll_wait(pt, &p->can_poll);
		if (room(p) >= PIPE_BUF)
			mask |= POLLOUT | POLLWRNORM;
		if (!ends(&p->readers))
			mask |= POLLERR;
	}
	return mask;
}

#define FIONREAD 0x541b

static long pipe_ioctl(struct file *f, unsigned int request, uint64_t arg)
{
	if (request != FIONREAD)
		return -ENOTTY;
	return put_user_u32(arg, (uint32_t)used(f->inode->pipe));
}

static void pipe_count(struct file *f, int step)
{
	struct pipe *p = f->inode->pipe;

	mutex_lock(&p->lock);
	/* Release pairs with ends(). */
	if (f->access & FILE_READ)
		atomic_fetch_add_explicit(&p->readers, (unsigned int)step, memory_order_release);
	if (f->access & FILE_WRITE)
		atomic_fetch_add_explicit(&p->writers, (unsigned int)step, memory_order_release);
	if (step > 0 && f->access & FILE_READ)
		atomic_fetch_add_explicit(&p->reader_opens, 1, memory_order_release);
	if (step > 0 && f->access & FILE_WRITE)
		atomic_fetch_add_explicit(&p->writer_opens, 1, memory_order_release);
	mutex_unlock(&p->lock);
	wake_all(&p->can_read);
	wake_all(&p->can_write);
	wake_all(&p->can_poll);
}

static void pipe_release(struct file *f)
{
	pipe_count(f, -1);
}

static const struct file_ops pipe_ops = {
	.read = pipe_read,
	.write = pipe_write,
	.poll = pipe_poll,
	.ioctl = pipe_ioctl,
	.release = pipe_release,
};

/* fifo(7): an end waits until the other one is opened too, unless it is opened for both. */
static int wait_for_other_end(struct inode *inode, struct file *f)
{
	struct pipe *p = inode->pipe;
	bool reading = f->access & FILE_READ;
	atomic_uint *others = reading ? &p->writers : &p->readers;
	atomic_uint *opens = reading ? &p->writer_opens : &p->reader_opens;
	unsigned int before = ends(opens);

	if (f->access == (FILE_READ | FILE_WRITE) || ends(others))
		return 0;
	if (nonblocking(f)) {
		f->private = (void *)(uint64_t)before;
		return 0;
	}
	return wait_event_interruptible(reading ? &p->can_read : &p->can_write,
		ends(others) || ends(opens) != before);
}

int pipe_open(struct inode *inode, struct file *f)
{
	int err;

	if (f->access == FILE_WRITE && nonblocking(f) && !ends(&inode->pipe->readers))
		return -ENXIO;
	f->ops = &pipe_ops;
	pipe_count(f, 1);
	err = wait_for_other_end(inode, f);
	if (err)
		pipe_release(f);
	return err;
}

/* Both ends of a new pipe. The first end that opens must not wait for the second. */
static int pipe_create(int flags, struct file *end[2])
{
	struct inode *inode;
	char name[32];
	int err = inode_create_ram(S_IFIFO | 0600, &inode);

	if (err)
		return err;
	snprintf(name, sizeof(name), "pipe:[%lu]", inode->ino);
	inode_get(inode);
	err = file_create_anon(inode, name, O_RDONLY | O_NONBLOCK, &end[0]);
	if (!err) {
		err = file_create(end[0]->dentry, O_WRONLY | flags, &end[1]);
		if (err)
			file_put(end[0]);
		else
			/* Relaxed: nobody else has the file yet. */
			atomic_store_explicit(&end[0]->flags, (unsigned int)(O_RDONLY | flags),
				memory_order_relaxed);
	}
	inode_put(inode);
	return err;
}

long sys_pipe2(long fds, long flags_arg)
{
	int flags = (int)flags_arg, fd[2] = { -1, -1 }, err;
	struct file *end[2];

	if (flags & ~(O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	err = pipe_create(flags & O_NONBLOCK, end);
	if (err)
		return err;
	for (int i = 0; i < 2 && !err; i++) {
		fd[i] = fd_install(end[i], 0, flags & O_CLOEXEC);
		err = fd[i] < 0 ? fd[i] : 0;
	}
	if (!err)
		err = copy_to_user((uint64_t)fds, fd, sizeof(fd));
	if (!err)
		return 0;
	for (int i = 0; i < 2; i++) {
		if (fd[i] >= 0)
			sys_close(fd[i]);
		else
			file_put(end[i]);
	}
	return err;
}

long sys_pipe(long fds)
{
	return sys_pipe2(fds, 0);
}

long pipe_fcntl_size(struct file *f, bool set, uint64_t size)
{
	if (f->ops != &pipe_ops)
		return -EBADF;
	if (set && size > INT32_MAX)
		return -EINVAL;
	return set && size > RING_SIZE ? -EPERM : (long)RING_SIZE;
}

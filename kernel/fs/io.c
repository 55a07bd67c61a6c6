// SPDX-License-Identifier: MIT
/*
 * Moving bytes between kernel memory and what a system call was given: one loop for single buffers,
 * vectors, and the kernel's own buffers. No state and no locks.
 */
#include "fs.h"

enum io_kind {
	IO_OUT, /* kernel memory to io */
	IO_IN,
	IO_ZERO,
};

static size_t move_piece(struct io *io, uint64_t at, void *mem, size_t n, enum io_kind kind)
{
	switch (kind) {
	case IO_OUT:
		if (io->kernel)
			memcpy((void *)at, mem, n);
		return io->kernel ? n : n - copy_to_user_left(at, mem, n);
	case IO_IN:
		if (io->kernel)
			memcpy(mem, (const void *)at, n);
		return io->kernel ? n : n - copy_from_user_left(mem, at, n);
	default:
		if (io->kernel)
			memset((void *)at, 0, n);
		return io->kernel || clear_user(at, n) == 0 ? n : 0;
	}
}

static size_t io_move(struct io *io, char *mem, size_t n, enum io_kind kind)
{
	size_t done = 0;

	n = MIN(n, io->left);
	while (done < n) {
		const struct iovec *v = io->vec;
		size_t piece = MIN(n - done, v->len - io->skip);
		size_t moved = 0;

		if (piece)
			moved = move_piece(io, v->base + io->skip, mem ? mem + done : NULL, piece, kind);
		done += moved;
		io->skip += moved;
		io->left -= moved;
		if (moved < piece)
			break;
		if (io->skip == v->len) {
			io->vec++;
			io->skip = 0;
		}
	}
	return done;
}

size_t io_to(struct io *io, const void *src, size_t n)
{
	return io_move(io, (char *)src, n, IO_OUT);
}

size_t io_from(struct io *io, void *dst, size_t n)
{
	return io_move(io, dst, n, IO_IN);
}

size_t io_zero(struct io *io, size_t n)
{
	return io_move(io, NULL, n, IO_ZERO);
}

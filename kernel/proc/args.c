// SPDX-License-Identifier: MIT
/*
 * Argument and environment strings on their way from the old program to the new one: packed, each
 * with its NUL, in chunks of kernel memory. Owned by the one execve that uses them.
 */
#include "proc.h"
#include <kernel/errno.h>
#include <kernel/memory.h>
#include <kernel/string.h>
#include <kernel/uaccess.h>

#define STRING_MAX (32 * PAGE_SIZE) /* Linux: MAX_ARG_STRLEN */

int exec_strings_init(struct exec_strings *s, size_t limit)
{
	*s = (struct exec_strings){.limit = limit};
	s->chunks = kzalloc(DIV_ROUND_UP(limit, EXEC_CHUNK) * sizeof(*s->chunks));
	return s->chunks ? 0 : -ENOMEM;
}

void exec_strings_free(struct exec_strings *s)
{
	for (size_t i = 0; s->chunks && i < DIV_ROUND_UP(s->limit, EXEC_CHUNK); i++)
		kfree(s->chunks[i]);
	kfree(s->chunks);
	s->chunks = NULL;
}

/* Room at the end: its address, and in *n how much of it is there in one piece (at least 1). */
static char *room(struct exec_strings *s, size_t *n)
{
	size_t chunk = s->bytes / EXEC_CHUNK, at = s->bytes % EXEC_CHUNK;

	if (!s->chunks[chunk])
		s->chunks[chunk] = kmalloc(EXEC_CHUNK);
	*n = EXEC_CHUNK - at;
	return s->chunks[chunk] ? s->chunks[chunk] + at : NULL;
}

/* Strings and the pointers to them: would one more byte be too many? */
static bool full(const struct exec_strings *s)
{
	return s->bytes + (s->count + 1) * sizeof(uint64_t) + 1 > s->limit;
}

int exec_strings_add(struct exec_strings *s, const char *text)
{
	size_t left = strlen(text) + 1, n;

	while (left) {
		char *at;

		if (full(s) || left > STRING_MAX)
			return -E2BIG;
		at = room(s, &n);
		if (!at)
			return -ENOMEM;
		n = MIN(n, left);
		memcpy(at, text, n);
		text += n;
		left -= n;
		s->bytes += n;
	}
	s->count++;
	return s->bytes + s->count * sizeof(uint64_t) > s->limit ? -E2BIG : 0;
}

/*
 * Copies to the end of the user's page at most, so that no page is touched that the string has not.
 */
static int add_from_user(struct exec_strings *s, uint64_t address)
{
	size_t length = 0, n;

	for (;;) {
		char *at, *end;

		if (full(s) || length >= STRING_MAX)
			return -E2BIG;
		at = room(s, &n);
		if (!at)
			return -ENOMEM;
		n = MIN(n, PAGE_SIZE - address % PAGE_SIZE);
		if (copy_from_user(at, address, n))
			return -EFAULT;
		end = memchr(at, 0, n);
		if (end)
			n = (size_t)(end - at) + 1;
		s->bytes += n;
		address += n;
		length += n;
		if (end)
			break;
	}
	s->count++;
	return s->bytes + s->count * sizeof(uint64_t) > s->limit ? -E2BIG : 0;
}

int exec_strings_add_user(struct exec_strings *s, uint64_t vector, size_t skip)
{
	uint64_t pointer;
	int err;

	for (size_t i = 0; vector; i++) {
		if (get_user_u64(&pointer, vector + i * sizeof(pointer)))
			return -EFAULT;
		if (!pointer)
			break;
		if (i < skip)
			continue;
		err = add_from_user(s, pointer);
		if (err)
			return err;
		if (process_fatal_pending())
			return -EINTR;
	}
	return 0;
}

void exec_strings_read(const struct exec_strings *s, size_t from, void *buf, size_t n)
{
	while (n) {
		size_t at = from % EXEC_CHUNK, part = MIN(n, EXEC_CHUNK - at);

		memcpy(buf, s->chunks[from / EXEC_CHUNK] + at, part);
		buf = (char *)buf + part;
		from += part;
		n -= part;
	}
}

int exec_strings_to_mm(const struct exec_strings *s, struct mm *mm, uint64_t address)
{
	for (size_t done = 0; done < s->bytes; done += EXEC_CHUNK) {
		size_t part = MIN(s->bytes - done, EXEC_CHUNK);
		int err = mm_copy_to(mm, address + done, s->chunks[done / EXEC_CHUNK], part);

		if (err)
			return err;
	}
	return 0;
}

int exec_pointers_to_mm(
	const struct exec_strings *s, struct mm *mm, uint64_t vector, uint64_t strings)
{
	uint64_t batch[64];
	size_t at = 0, in_batch = 0;
	int err = 0;

	for (size_t i = 0; i <= s->count && !err; i++) {
		batch[in_batch++] = i < s->count ? strings + at : 0;
		while (i < s->count && s->chunks[at / EXEC_CHUNK][at % EXEC_CHUNK])
			at++;
		at++;
		if (in_batch == ARRAY_SIZE(batch) || i == s->count) {
			err = mm_copy_to(mm, vector, batch, in_batch * sizeof(batch[0]));
			vector += in_batch * sizeof(batch[0]);
			in_batch = 0;
		}
	}
	return err;
}

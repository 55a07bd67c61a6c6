// SPDX-License-Identifier: MIT
/*
 * Reads the RAM disk, a cpio archive in "newc" format (cpio(5)): for each member a header of 110
 * bytes with hexadecimal fields, the name, padding to 4, the data, padding to 4.
 */
#include <kernel/boot.h>

#include <kernel/memory.h>
#include <kernel/printk.h>
#include <kernel/string.h>

#include "core.h"

#define HEADER_SIZE 110

/* In the order of the header, after the magic. */
enum {
	F_INO, F_MODE, F_UID, F_GID, F_NLINK, F_MTIME, F_SIZE, F_DEVMAJOR, F_DEVMINOR, F_RDEVMAJOR,
	F_RDEVMINOR, F_NAMESIZE, F_CHECK, F_COUNT,
};

static bool parse_fields(const char *h, uint32_t f[F_COUNT])
{
	if (memcmp(h, "070701", 6) != 0 && memcmp(h, "070702", 6) != 0)
		return false;
	for (int i = 0; i < F_COUNT; i++) {
		char text[11] = "0x";
		const char *end;

		memcpy(text + 2, h + 6 + 8 * i, 8);
		text[10] = '\0';
		f[i] = (uint32_t)strtou64(text, &end);
		if (end != text + 10)
			return false;
	}
	return true;
}

static bool member_at(const char *archive, size_t size, size_t *offset, struct cpio_member *m)
{
	uint32_t f[F_COUNT];
	size_t name = *offset + HEADER_SIZE, data;

	if (name > size || !parse_fields(archive + *offset, f))
		return false;
	data = ALIGN_UP(name + f[F_NAMESIZE], 4);
	if (!f[F_NAMESIZE] || data > size || f[F_SIZE] > size - data ||
	    archive[name + f[F_NAMESIZE] - 1] != '\0')
		return false;
	*m = (struct cpio_member){
		.name = archive + name, .data = archive + data, .size = f[F_SIZE], .mode = f[F_MODE],
		.mtime = f[F_MTIME], .ino = f[F_INO], .nlink = f[F_NLINK], .uid = f[F_UID],
		.gid = f[F_GID], .devmajor = f[F_DEVMAJOR], .devminor = f[F_DEVMINOR],
		.rdevmajor = f[F_RDEVMAJOR], .rdevminor = f[F_RDEVMINOR],
	};
	*offset = ALIGN_UP(data + f[F_SIZE], 4);
	return true;
}

bool initrd_next(size_t *offset, struct cpio_member *m)
{
	const char *archive = boot_info.initrd;

	if (!archive)
		return false;
	if (!member_at(archive, boot_info.initrd_size, offset, m)) {
		klog("RAM disk: damaged at byte %lu of %lu", *offset, boot_info.initrd_size);
		return false;
	}
	if (strcmp(m->name, "TRAILER!!!") == 0)
		return false;
	while (m->name[0] == '/' || (m->name[0] == '.' && m->name[1] == '/'))
		m->name += m->name[0] == '/' ? 1 : 2;
	return true;
}

bool initrd_find(const char *name, struct cpio_member *m)
{
	size_t offset = 0;

	while (initrd_next(&offset, m))
		if (strcmp(m->name, name) == 0)
			return true;
	return false;
}

void initrd_release(void)
{
	uint64_t start = virt_to_phys(boot_info.initrd), end = start + boot_info.initrd_size;

	if (!boot_info.initrd)
		return;
	boot_info.initrd = NULL;
	/* paging_setup kept the partial frames at both ends out of everybody's hands as well. */
	frames_add(ALIGN_DOWN(start, PAGE_SIZE), ALIGN_UP(end, PAGE_SIZE));
}

/* Finds `key` at the start of a line, followed by a space. */
bool config_get(const char *key, char *value, size_t size)
{
	struct cpio_member m;
	size_t key_len = strlen(key), at = 0;

	if (!initrd_find(".vmtree/config", &m))
		return false;
	while (at < m.size) {
		const char *line = m.data + at, *newline = memchr(line, '\n', m.size - at);
		size_t len = newline ? (size_t)(newline - line) : m.size - at;

		at += len + 1;
		if (len <= key_len || memcmp(line, key, key_len) != 0 || line[key_len] != ' ')
			continue;
		len = MIN(len - key_len - 1, size - 1);
		memcpy(value, line + key_len + 1, len);
		value[len] = '\0';
		return true;
	}
	return false;
}

uint64_t config_get_u64(const char *key, uint64_t otherwise)
{
	char value[32];

	return config_get(key, value, sizeof(value)) ? strtou64(value, NULL) : otherwise;
}

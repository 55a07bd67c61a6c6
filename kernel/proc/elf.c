// SPDX-License-Identifier: MIT
/*
 * ELF64 programs: static ones at fixed addresses, and static position-independent ones, which
 * relocate themselves (System V ABI, x86-64 supplement). A program that names an interpreter is
 * dynamic and refused with a line that says so.
 */
#include "proc.h"
#include <kernel/errno.h>
#include <kernel/memory.h>
#include <kernel/printk.h>
#include <kernel/string.h>

#define ET_EXEC        2
#define ET_DYN         3
#define EM_X86_64      62
#define PT_LOAD        1
#define PT_INTERP      3
#define PT_PHDR        6
#define PT_GNU_STACK   0x6474e551
#define PF_X           1
#define PF_W           2
#define PF_R           4
#define PHDR_BYTES_MAX 65536

struct elf_header {
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf_segment {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

bool elf_is(const void *head, size_t n)
{
	return n >= 4 && memcmp(head, "\177ELF", 4) == 0;
}

static int refuse(const char *name, const char *why)
{
	klog("%s: %s", name, why);
	return -ENOEXEC;
}

static int check_header(const struct elf_header *h, const char *name)
{
	if (h->ident[4] != 2 || h->machine != EM_X86_64)
		return refuse(name, "not a 64-bit x86 program");
	if (h->ident[5] != 1 || h->ident[6] != 1 || (h->type != ET_EXEC && h->type != ET_DYN))
		return refuse(name, "not an executable ELF file");
	if (h->phentsize != sizeof(struct elf_segment) || !h->phnum ||
		h->phnum * sizeof(struct elf_segment) > PHDR_BYTES_MAX)
		return refuse(name, "bad program headers");
	return 0;
}

/* Reads and checks all headers; the segments are to be kfree'd. */
static int read_headers(
	struct file *f, const char *name, struct elf_header *h, struct elf_segment **segments)
{
	size_t bytes;
	ssize_t n = file_read_at(f, h, sizeof(*h), 0);
	int err;

	if (n < 0)
		return (int)n;
	if ((size_t)n < sizeof(*h))
		return refuse(name, "truncated ELF file");
	err = check_header(h, name);
	if (err)
		return err;
	bytes = h->phnum * sizeof(struct elf_segment);
	*segments = kmalloc(bytes);
	if (!*segments)
		return -ENOMEM;
	n = file_read_at(f, *segments, bytes, h->phoff);
	if (n == (ssize_t)bytes)
		return 0;
	kfree(*segments);
	return n < 0 ? (int)n : refuse(name, "truncated ELF file");
}

/* Lowest and highest address of all loaded segments, and the largest alignment. */
struct extent {
	uint64_t low, high, align;
};

/* size: bytes of the file. */
static int measure(const struct elf_header *h, const struct elf_segment *s, const char *name,
	uint64_t size, struct extent *e)
{
	*e = (struct extent){.low = UINT64_MAX, .align = PAGE_SIZE};
	for (unsigned int i = 0; i < h->phnum; i++) {
		if (s[i].type == PT_INTERP)
			return refuse(name, "dynamic programs are not supported yet; "
					    "link it with -static or -static-pie");
		if (s[i].type != PT_LOAD || !s[i].memsz)
			continue;
		if (s[i].filesz > s[i].memsz || s[i].memsz > USER_END ||
			s[i].vaddr > USER_END - s[i].memsz || s[i].offset > INT64_MAX ||
			(s[i].vaddr - s[i].offset) % PAGE_SIZE)
			return refuse(name, "bad segment");
		if (s[i].offset > size || s[i].filesz > size - s[i].offset)
			return refuse(name, "truncated ELF file");
		e->low = MIN(e->low, s[i].vaddr);
		e->high = MAX(e->high, s[i].vaddr + s[i].memsz);
		if (s[i].align > e->align && (s[i].align & (s[i].align - 1)) == 0)
			e->align = s[i].align;
	}
	return e->high ? 0 : refuse(name, "nothing to load");
}

static vmt_prot segment_prot(uint32_t flags)
{
	return (vmt_prot)(((flags & PF_R) ? VMT_READ : 0) | ((flags & PF_W) ? VMT_WRITE : 0) |
			  ((flags & PF_X) ? VMT_EXEC : 0));
}

static int map_segments(struct mm *mm, struct vmt_object *object, const struct elf_header *h,
	const struct elf_segment *s, uint64_t bias)
{
	for (unsigned int i = 0; i < h->phnum; i++) {
		struct mm_segment m = {
			.object = object,
			.offset = s[i].offset,
			.address = s[i].vaddr + bias,
			.file_size = s[i].filesz,
			.mem_size = s[i].memsz,
			.prot = segment_prot(s[i].flags),
		};
		int err = s[i].type == PT_LOAD ? mm_map_segment(mm, &m) : 0;

		if (err)
			return err;
	}
	return 0;
}

/* Where the program finds its own headers: PT_PHDR, or the segment that has them. */
static uint64_t find_phdr(const struct elf_header *h, const struct elf_segment *s, uint64_t bias)
{
	for (unsigned int i = 0; i < h->phnum; i++) {
		if (s[i].type == PT_PHDR)
			return s[i].vaddr + bias;
	}
	for (unsigned int i = 0; i < h->phnum; i++) {
		if (s[i].type == PT_LOAD && h->phoff >= s[i].offset &&
			h->phoff - s[i].offset < s[i].filesz)
			return h->phoff - s[i].offset + s[i].vaddr + bias;
	}
	return 0;
}

static bool wants_exec_stack(const struct elf_header *h, const struct elf_segment *s)
{
	for (unsigned int i = 0; i < h->phnum; i++) {
		if (s[i].type == PT_GNU_STACK)
			return s[i].flags & PF_X;
	}
	return false; /* x86-64 Linux: no header, no executable stack */
}

static int map_all(struct file *f, struct mm *mm, const char *name, const struct elf_header *h,
	const struct elf_segment *s, struct elf_image *image)
{
	struct vmt_object *object = NULL;
	struct extent e;
	unsigned int prot_max;
	uint64_t bias = 0;
	int err = measure(h, s, name, inode_size(f->inode), &e);

	if (err)
		return err;
	if (h->type == ET_DYN) {
		bias = ALIGN_UP(MM_PIE_BASE, e.align) - ALIGN_DOWN(e.low, e.align);
		if (e.high > USER_END - MM_PIE_BASE - e.align)
			return refuse(name, "bad segment");
	}
	err = file_map_object(f, VMT_READ | VMT_EXEC, false, &prot_max, &object);
	if (err)
		return err;
	err = map_segments(mm, object, h, s, bias);
	if (object)
		vmt_object_put(object);
	if (err)
		return err;
	mm_set_brk(mm, e.high + bias);
	*image = (struct elf_image){
		.entry = h->entry + bias,
		.phdr = find_phdr(h, s, bias),
		.phnum = h->phnum,
		.exec_stack = wants_exec_stack(h, s),
	};
	return 0;
}

int elf_map(struct file *f, const char *name, struct mm *mm, struct elf_image *image)
{
	struct elf_header h;
	struct elf_segment *segments = NULL;
	int err = read_headers(f, name, &h, &segments);

	if (err)
		return err;
	err = map_all(f, mm, name, &h, segments, image);
	kfree(segments);
	return err;
}

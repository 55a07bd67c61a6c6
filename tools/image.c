// SPDX-License-Identifier: MIT
// A packaged kernel is a bzImage: a small loader with the kernel proper, an ELF file, packed in it (the kernel's
// Documentation/arch/x86/boot.rst, fields setup_sects, header, payload_offset and payload_length). The kernel is
// unpacked here, where that takes a tenth of a second and not ten, when it can be entered as the reference kernel is
// (PVH). Otherwise the image boots as it is.
#include "image.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#define MAX_KERNEL     (512ull << 20) // bytes of an unpacked one
#define NOTE_PVH_ENTRY 18             // XEN_ELFNOTE_PHYS32_ENTRY

static uint32_t word_at(const unsigned char *data, size_t at)
{
	uint32_t value;

	memcpy(&value, data + at, sizeof(value));
	return value;
}

static bool is_bzimage(const unsigned char *data, size_t size)
{
	return size > 0x268 && data[0x1fe] == 0x55 && data[0x1ff] == 0xaa && !memcmp(data + 0x202, "HdrS", 4);
}

static bool is_elf(const unsigned char *data, size_t size)
{
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)data;

	return size >= sizeof(*header) && !memcmp(data, ELFMAG, SELFMAG) &&
	       (header->e_machine == EM_X86_64 || header->e_machine == EM_386);
}

// Whether a segment of notes has the one that says where PVH enters.
static bool has_pvh_note(const unsigned char *notes, size_t size)
{
	size_t at = 0;

	while (size - at >= 12) {
		size_t name = (word_at(notes, at) + 3ull) & ~3ull, data = (word_at(notes, at + 4) + 3ull) & ~3ull;
		if (name > size - at - 12 || data > size - at - 12 - name)
			return false;
		if (word_at(notes, at + 8) == NOTE_PVH_ENTRY && name == 4 && !memcmp(notes + at + 12, "Xen", 4))
			return true;
		at += 12 + name + data;
	}
	return false;
}

static bool enters_by_pvh(const unsigned char *data, size_t size)
{
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)data;

	if (!is_elf(data, size) || header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_phentsize != sizeof(Elf64_Phdr))
		return false;
	for (unsigned i = 0; i < header->e_phnum; i++) {
		Elf64_Phdr segment;
		uint64_t at = header->e_phoff + (uint64_t)i * sizeof(segment);
		if (at > size || size - at < sizeof(segment))
			return false;
		memcpy(&segment, data + at, sizeof(segment));
		if (segment.p_type == PT_NOTE && segment.p_offset <= size && segment.p_filesz <= size - segment.p_offset &&
			has_pvh_note(data + segment.p_offset, segment.p_filesz))
			return true;
	}
	return false;
}

// Unpacks one frame of Zstandard; other data may follow it. Returns the bytes, which the caller frees, or NULL.
static unsigned char *unpack(const unsigned char *packed, size_t size, size_t *unpacked)
{
	ZSTD_DStream *stream = ZSTD_createDStream();
	ZSTD_inBuffer in = {.src = packed, .size = size};
	ZSTD_outBuffer out = {.dst = must_alloc(64 << 20), .size = 64 << 20};
	size_t left = 1;

	// Kernels are packed with a window larger than what a program is expected to have.
	ZSTD_DCtx_setParameter(stream, ZSTD_d_windowLogMax, 31);
	while (left && out.size <= MAX_KERNEL) {
		left = ZSTD_decompressStream(stream, &out, &in);
		if (ZSTD_isError(left) || (left && out.pos < out.size && in.pos == in.size))
			break;
		if (left && out.pos == out.size)
			out.dst = must_grow(out.dst, out.size *= 2);
	}
	ZSTD_freeDStream(stream);
	*unpacked = out.pos;
	if (!left)
		return out.dst;
	free(out.dst);
	return NULL;
}

static void keep(struct image *image, const unsigned char *kernel, size_t size)
{
	image->fd = memfd_create("vmtree-linux", MFD_CLOEXEC);
	if (image->fd < 0 || write_all(image->fd, kernel, size)) {
		image_close(image);
		return;
	}
	// QEMU opens it anew by this name.
	image->path = must_format("/proc/%d/fd/%d", (int)getpid(), image->fd);
}

static int judge(struct image *image, const char *path, const unsigned char *data, size_t size)
{
	if (is_bzimage(data, size)) {
		size_t sectors = data[0x1f1] ? data[0x1f1] : 4; // of setup code, the first one not counted
		size_t at = (sectors + 1) * 512 + word_at(data, 0x248);
		size_t length = word_at(data, 0x24c), unpacked = 0;
		unsigned char *kernel =
			at <= size && length <= size - at ? unpack(data + at, length, &unpacked) : NULL;
		if (kernel && enters_by_pvh(kernel, unpacked))
			keep(image, kernel, unpacked);
		free(kernel);
	} else if (!is_elf(data, size)) {
		say("--linux %s: is not a Linux kernel's image for x86", path);
		return EXIT_FAILED;
	}
	if (!image->path)
		image->path = must_copy(path);
	return -1;
}

int image_open(struct image *image, const char *path)
{
	struct stat info;

	*image = (struct image){.fd = -1};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &info) == 0 && !S_ISREG(info.st_mode)) {
		say("--linux %s: is not a file", path);
		close(fd);
		return EXIT_FAILED;
	}
	size_t size = fd >= 0 ? (size_t)info.st_size : 0;
	void *data = size ? mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
	int error = errno;
	if (fd >= 0)
		close(fd);
	if (fd < 0 || data == MAP_FAILED) {
		say("--linux %s: %s", path, strerror(error));
		return EXIT_FAILED;
	}
	int status = judge(image, path, data, size);
	if (data)
		munmap(data, size);
	return status;
}

void image_close(struct image *image)
{
	if (image->fd >= 0)
		close(image->fd);
	free(image->path);
	*image = (struct image){.fd = -1};
}

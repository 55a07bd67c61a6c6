// SPDX-License-Identifier: MIT
// Which files the reference kernel can run: static and static-PIE ELF programs for x86-64 (System V
// ABI, chapters 4 and 5). What is checked here is what gives a person a better message than the
// kernel could.
#include "program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int refuse(const char *name, const char *why)
{
	say("%s: %s", name, why);
	return EXIT_NOT_EXEC;
}

// All of `length` bytes at `offset`, or false.
static bool read_at(int fd, void *data, size_t length, uint64_t offset)
{
	return pread(fd, data, length, (off_t)offset) == (ssize_t)length;
}

static const char *machine_name(unsigned machine)
{
	switch (machine) {
	case EM_386:
		return "32-bit x86";
	case EM_ARM:
		return "32-bit Arm";
	case EM_AARCH64:
		return "AArch64";
	case EM_RISCV:
		return "RISC-V";
	case EM_PPC64:
		return "PowerPC";
	case EM_S390:
		return "S/390";
	}
	return NULL;
}

static int wrong_machine(const char *name, unsigned machine)
{
	const char *known = machine_name(machine);

	if (known)
		say("%s: is a program for %s; only x86-64 runs here", name, known);
	else
		say("%s: is a program for ELF machine %u; only x86-64 runs here", name, machine);
	return EXIT_NOT_EXEC;
}

// The file's header. The class and the machine come first: the other fields differ in a 32-bit
// file.
static int check_header(const Elf64_Ehdr *header, size_t size, const char *name)
{
	if (size >= 2 && header->e_ident[0] == '#' && header->e_ident[1] == '!')
		return refuse(
			name, "is a script: run its interpreter and bring the script with --file");
	if (size < EI_NIDENT + 4 || memcmp(header->e_ident, ELFMAG, SELFMAG))
		return refuse(name, "is not an ELF program");
	if (header->e_ident[EI_DATA] != ELFDATA2LSB)
		return refuse(name, "is a big-endian program; only x86-64 runs here");
	if (header->e_machine != EM_X86_64)
		return wrong_machine(name, header->e_machine);
	if (header->e_ident[EI_CLASS] != ELFCLASS64)
		return refuse(name, "is an x32 program; only x86-64 runs here");
	if (size < sizeof(*header))
		return refuse(name, "is cut short");
	if (header->e_type != ET_EXEC && header->e_type != ET_DYN)
		return refuse(name, "is an ELF file and not a program (an object or a core file)");
	if (header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phnum == 0 ||
		header->e_phnum > 512)
		return refuse(name, "has no usable program headers");
	return -1;
}

// A shared library has no PT_INTERP either: the linker marks programs, and its flag is all that
// tells them apart.
static bool is_pie(int fd, const Elf64_Phdr *dynamic)
{
	Elf64_Dyn entry;

	for (uint64_t at = 0; at + sizeof(entry) <= dynamic->p_filesz; at += sizeof(entry)) {
		if (!read_at(fd, &entry, sizeof(entry), dynamic->p_offset + at) ||
			entry.d_tag == DT_NULL)
			return false;
		if (entry.d_tag == DT_FLAGS_1)
			return entry.d_un.d_val & DF_1_PIE;
	}
	return false;
}

static int check_segments(int fd, const Elf64_Ehdr *header, uint64_t file_size, const char *name)
{
	const Elf64_Phdr *dynamic = NULL;
	size_t size = header->e_phnum * sizeof(Elf64_Phdr);
	Elf64_Phdr *segments = must_alloc(size);
	bool loads = false;
	int status = -1;

	if (!read_at(fd, segments, size, header->e_phoff)) {
		free(segments);
		return refuse(name, "is cut short");
	}
	for (unsigned i = 0; i < header->e_phnum && status < 0; i++) {
		const Elf64_Phdr *segment = &segments[i];
		if (segment->p_type == PT_INTERP)
			status = refuse(name, "is linked dynamically, which is not supported yet: "
					      "link it with -static");
		else if (segment->p_type == PT_DYNAMIC)
			dynamic = segment;
		else if (segment->p_type == PT_LOAD) {
			loads = true;
			if (segment->p_offset > file_size ||
				segment->p_filesz > file_size - segment->p_offset)
				status = refuse(name, "is cut short");
		}
	}
	if (status < 0 && !loads)
		status = refuse(name, "has no segment to load");
	if (status < 0 && header->e_type == ET_DYN && (!dynamic || !is_pie(fd, dynamic)))
		status = refuse(name, "is a shared library, not a program");
	free(segments);
	return status;
}

int elf_check(const char *path, const char *name)
{
	Elf64_Ehdr header = {0};
	struct stat info;

	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &info)) {
		say("%s: cannot be read: %s", name, strerror(errno));
		if (fd >= 0)
			close(fd);
		return EXIT_NOT_EXEC;
	}
	ssize_t size = pread(fd, &header, sizeof(header), 0);
	int status = check_header(&header, size < 0 ? 0 : (size_t)size, name);
	if (status < 0)
		status = check_segments(fd, &header, (uint64_t)info.st_size, name);
	close(fd);
	return status;
}

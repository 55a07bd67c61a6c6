// SPDX-License-Identifier: MIT
// What the machine finds in its initial RAM disk.
#include "guestfiles.h"

#include "archive.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

// With --icount the same input gives the same figures, so the clock starts at the same moment:
// 2026-01-01 00:00 UTC.
#define ICOUNT_EPOCH 1767225600000000000LL

#define WHOLE_INPUT (2u << 20) // bytes of standard input that go along whole

static int refuse(const char *path, int error)
{
	say("%s: %s", path,
		error == EFBIG ? "is too large for the RAM disk (2 GiB a file)" : strerror(error));
	return EXIT_FAILED;
}

static int bring_file(struct archive *archive, const char *host, const char *guest)
{
	int file = open(host, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return refuse(host, errno);
	int error = archive_file(archive, guest, file);
	close(file);
	return error ? refuse(host, error) : -1;
}

static int bring(struct archive *archive, const char *host, const char *guest, bool follow);

static int not_dots(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
}

// Sorted by name, so that the same folder always gives the same RAM disk.
static int bring_folder(struct archive *archive, const char *host, const char *guest)
{
	struct dirent **entries;
	int status = -1;

	int count = scandir(host, &entries, not_dots, alphasort);
	if (count < 0)
		return refuse(host, errno);
	for (int i = 0; i < count; i++) {
		if (status < 0) {
			const char *between = strcmp(guest, "/") ? "/" : "";
			char *from = must_format("%s/%s", host, entries[i]->d_name);
			char *to = must_format("%s%s%s", guest, between, entries[i]->d_name);
			status = bring(archive, from, to, false);
			free(from);
			free(to);
		}
		free(entries[i]);
	}
	free(entries);
	return status;
}

static int bring_link(struct archive *archive, const char *host, const char *guest)
{
	char target[4096];

	ssize_t length = readlink(host, target, sizeof(target) - 1);
	if (length < 0)
		return refuse(host, errno);
	target[length] = 0;
	archive_link(archive, guest, target);
	return -1;
}

// A link inside a folder stays a link; one that was named on the command line is followed.
static int bring(struct archive *archive, const char *host, const char *guest, bool follow)
{
	struct stat info;

	if (follow ? stat(host, &info) : lstat(host, &info))
		return refuse(host, errno);
	if (S_ISREG(info.st_mode))
		return bring_file(archive, host, guest);
	if (S_ISLNK(info.st_mode))
		return bring_link(archive, host, guest);
	if (S_ISDIR(info.st_mode)) {
		archive_folder(archive, guest, info.st_mode & 07777);
		return bring_folder(archive, host, guest);
	}
	say("%s: is a device, a socket or a named pipe: cannot be brought along", host);
	return EXIT_FAILED;
}

// Absolute, without ".", ".." and empty parts. A path of the machine: its links are not the host's.
static char *normal_path(const char *path)
{
	struct text result = {0};
	char *whole = must_copy(path);
	char *rest = NULL;

	for (char *part = strtok_r(whole, "/", &rest); part; part = strtok_r(NULL, "/", &rest)) {
		char *slash = result.data ? strrchr(result.data, '/') : NULL;
		if (!strcmp(part, "..")) {
			if (slash)
				result.length = (size_t)(slash - result.data);
			if (slash)
				*slash = 0;
		} else if (strcmp(part, ".")) {
			text_print(&result, "/%s", part);
		}
	}
	free(whole);
	if (result.length == 0)
		text_add(&result, "/", 1);
	return result.data;
}

static char *guest_path(const struct file_option *file)
{
	char *here = NULL;
	char *whole;

	if (file->guest || file->host[0] == '/') {
		whole = must_copy(file->guest ? file->guest : file->host);
	} else {
		here = getcwd(NULL, 0);
		whole = must_format("%s/%s", here ? here : "", file->host);
	}
	char *path = normal_path(whole);
	free(whole);
	free(here);
	return path;
}

static int bring_option(struct archive *archive, const char *host, const char *guest)
{
	struct stat info;
	bool folder = stat(host, &info) == 0 && S_ISDIR(info.st_mode);

	if (!strncmp(guest, "/.vmtree", 8) && (!guest[8] || guest[8] == '/')) {
		say("--file %s: the folder /.vmtree belongs to the kernel", host);
		return EXIT_FAILED;
	}
	// A folder may be laid over another; a file must not take the place of anything.
	if (!folder && (archive_holds(archive, guest) || !strcmp(guest, "/"))) {
		say("--file %s: there is already a %s in the machine", host, guest);
		return EXIT_FAILED;
	}
	return bring(archive, host, guest, true);
}

static int bring_options(struct archive *archive, const struct options *options)
{
	int status = -1;

	for (size_t i = 0; i < options->file_count && status < 0; i++) {
		char *guest = guest_path(&options->files[i]);
		status = bring_option(archive, options->files[i].host, guest);
		free(guest);
	}
	return status;
}

// busybox is many programs in one file, and scripts look for them in the file system. It lists them
// itself.
static void link_applets(struct archive *archive, const struct program *program)
{
	const char *name = strrchr(program->real, '/');
	char *line = NULL;
	size_t room = 0;

	if (!name || strncmp(name, "/busybox", 8) || strchr(program->real, '\''))
		return;
	char *command = must_format("'%s' --list-full 2>/dev/null </dev/null", program->real);
	FILE *list = popen(command, "r");
	free(command);
	while (list && getline(&line, &room, list) > 0) {
		line[strcspn(line, "\r\n")] = 0;
		if (!*line || strstr(line, "..") || strstr(line, "//") || line[0] == '/')
			continue;
		char *path = must_format("/%s", line);
		archive_link(archive, path, program->real);
		free(path);
	}
	if (list)
		pclose(list);
	free(line);
}

static void add_folders(struct archive *archive)
{
	archive_folder(archive, "/dev", 0755);
	archive_folder(archive, "/etc", 0755);
	archive_folder(archive, "/proc", 0555);
	archive_folder(archive, "/root", 0700);
	archive_folder(archive, "/tmp", 01777);
	archive_folder(archive, "/var/tmp", 01777);
}

// After the files brought along, which may have these names.
static void add_accounts(struct archive *archive)
{
	static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
				     "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
	static const char group[] = "root:x:0:\nnogroup:x:65534:\n";
	static const char hosts[] = "127.0.0.1\tlocalhost vmtree\n";

	archive_data(archive, "/etc/passwd", 0644, passwd, sizeof(passwd) - 1);
	archive_data(archive, "/etc/group", 0644, group, sizeof(group) - 1);
	archive_data(archive, "/etc/hosts", 0644, hosts, sizeof(hosts) - 1);
}

static void add_text(struct archive *archive, const char *path, struct text *text)
{
	archive_data(archive, path, 0600, text->data, text->length);
	text_free(text);
}

static void add_default(
	struct text *text, const struct options *options, const char *name, const char *value)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < options->env_count; i++)
		if (!strncmp(options->env[i], name, length) && options->env[i][length] == '=')
			return;
	text_print(text, "%s=%s", name, value);
	text_add(text, "", 1);
}

// What no --env sets has the value that a fresh root shell of Debian would have.
static void add_environment(
	struct archive *archive, const struct options *options, const struct terminal *terminal)
{
	const char *term = getenv("TERM");
	struct text text = {0};

	for (size_t i = 0; i < options->env_count; i++)
		text_add(&text, options->env[i], strlen(options->env[i]) + 1);
	add_default(&text, options, "PATH",
		"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	add_default(&text, options, "HOME", "/root");
	add_default(&text, options, "USER", "root");
	if (terminal->mask && term)
		add_default(&text, options, "TERM", term);
	add_text(archive, "/.vmtree/env", &text);
}

static void add_orders(struct archive *archive, const struct guest *guest)
{
	const struct terminal *terminal = &guest->terminal;
	struct text text = {0};
	struct timespec now;

	archive_folder(archive, "/.vmtree", 0700);
	for (char **argument = guest->options->program; *argument; argument++)
		text_add(&text, *argument, strlen(*argument) + 1);
	add_text(archive, "/.vmtree/args", &text);
	add_environment(archive, guest->options, terminal);

	clock_gettime(CLOCK_REALTIME, &now);
	int64_t epoch = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	text_print(&text, "exec %s\ncwd %s\ntty %u\nepoch %lld\n", guest->program->path,
		guest->options->cwd, terminal->mask,
		guest->options->icount ? ICOUNT_EPOCH : (long long)epoch);
	if (guest->options->dump)
		text_print(&text, "dump 1\n");
	if (guest->options->check)
		text_print(&text, "check 1\n");
	if (terminal->mask && terminal->rows && terminal->columns)
		text_print(&text, "rows %u\ncols %u\n", terminal->rows, terminal->columns);
	if (guest->linux_init)
		text_print(&text, "one_output %d\nwatch %d\n", guest->one_output, guest->watch);
	add_text(archive, "/.vmtree/config", &text);
}

// Standard input that goes along whole.
static int add_input(struct archive *archive, int fd)
{
	static char block[1 << 16];
	struct text text = {0};
	ssize_t got;

	while ((got = read(fd, block, sizeof(block))) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			break;
		text_add(&text, block, (size_t)got);
		if (text.length > WHOLE_INPUT) {
			text_free(&text);
			say("standard input that goes along whole has at most 2 MiB: bring more with --file");
			return EXIT_FAILED;
		}
	}
	add_text(archive, "/.vmtree/stdin", &text);
	return -1;
}

static int finish(struct archive *archive)
{
	int error = archive_finish(archive);

	if (error)
		say("the RAM disk could not be written: %s", strerror(error));
	return error ? EXIT_FAILED : -1;
}

// Where the program starts: made when it is not there.
static int add_cwd(struct archive *archive, const char *path)
{
	char *cwd = normal_path(path);
	bool good = archive_folder(archive, cwd, 0755);

	if (!good)
		say("--cwd %s: is not a folder in the machine", path);
	free(cwd);
	return good ? -1 : EXIT_FAILED;
}

static int fill(struct archive *archive, const struct guest *guest)
{
	const struct program *program = guest->program;

	add_orders(archive, guest);
	add_folders(archive);
	int status = guest->linux_init ? bring_file(archive, guest->linux_init, "/.vmtree/init") : -1;
	if (status < 0)
		status = bring_file(archive, program->real, program->real);
	if (strcmp(program->path, program->real))
		archive_link(archive, program->path, program->real);
	if (status < 0 && guest->input >= 0)
		status = add_input(archive, guest->input);
	if (status < 0)
		status = bring_options(archive, guest->options);
	add_accounts(archive);
	link_applets(archive, program);
	if (status < 0)
		status = add_cwd(archive, guest->options->cwd);
	return status;
}

static int write_archive(int fd, const struct guest *guest, uint64_t *size)
{
	struct archive archive;

	// A newline in a path would be a second line of the configuration.
	if (strchr(guest->program->path, '\n') || strchr(guest->options->cwd, '\n')) {
		say("%s: a newline in a path is not supported", guest->program->typed);
		return EXIT_FAILED;
	}
	archive_start(&archive, fd);
	int status = fill(&archive, guest);
	int end = finish(&archive);
	*size = archive.bytes;
	return status < 0 ? end : status;
}

int guestfiles_ramdisk(int *fd, const struct guest *guest)
{
	uint64_t size = 0;

	*fd = memfd_create("vmtree-ramdisk", MFD_CLOEXEC);
	if (*fd < 0) {
		say("no memory for the RAM disk: %s", strerror(errno));
		return EXIT_FAILED;
	}
	int status = write_archive(*fd, guest, &size);
	// It is in memory twice while the kernel unpacks it.
	if (status < 0 && size > guest->options->memory_bytes / 2 - (16 << 20)) {
		say("the program and its files have %llu MiB: --memory must be more than twice that",
			(unsigned long long)(size >> 20));
		return EXIT_FAILED;
	}
	return status;
}

// Exits with status 0.
static const unsigned char probe_code[] = {
	0xb8, 0x3c, 0x00, 0x00, 0x00, // mov $60, %eax: exit
	0x31, 0xff,                   // xor %edi, %edi
	0x0f, 0x05,                   // syscall
	0x0f, 0x0b,                   // ud2
};

struct probe_program {
	Elf64_Ehdr header;
	Elf64_Phdr segment;
	unsigned char code[sizeof(probe_code)];
};

int guestfiles_write_probe(int fd)
{
	static const char path[] = "/probe";
	static const uint64_t base = 0x400000;
	struct text config = {0};
	struct archive archive;
	struct probe_program probe = {
		.header =
			{
				.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
					ELFDATA2LSB, EV_CURRENT},
				.e_type = ET_EXEC,
				.e_machine = EM_X86_64,
				.e_version = EV_CURRENT,
				.e_entry = base + offsetof(struct probe_program, code),
				.e_phoff = offsetof(struct probe_program, segment),
				.e_ehsize = sizeof(Elf64_Ehdr),
				.e_phentsize = sizeof(Elf64_Phdr),
				.e_phnum = 1,
			},
		.segment =
			{
				.p_type = PT_LOAD,
				.p_flags = PF_R | PF_X,
				.p_vaddr = base,
				.p_paddr = base,
				.p_filesz = sizeof(probe),
				.p_memsz = sizeof(probe),
				.p_align = 0x1000,
			},
	};

	memcpy(probe.code, probe_code, sizeof(probe_code));
	archive_start(&archive, fd);
	archive_folder(&archive, "/.vmtree", 0700);
	archive_data(&archive, "/.vmtree/args", 0600, path, sizeof(path));
	archive_data(&archive, "/.vmtree/env", 0600, "", 0);
	text_print(&config, "exec %s\ncwd /\ntty 0\nepoch %lld\n", path, ICOUNT_EPOCH);
	add_text(&archive, "/.vmtree/config", &config);
	archive_data(&archive, path, 0755, &probe, sizeof(probe));
	return finish(&archive);
}

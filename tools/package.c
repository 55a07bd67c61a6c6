// SPDX-License-Identifier: MIT
// apt with a folder of its own: lists, archives and the state of a system in which nothing is installed. The machine's
// own apt is left alone but for two things that are read: where Debian's archive is (a mirror may be near, and nothing
// else may be reachable), and how to get there (proxies).
//
// In the cache folder: apt-SUITE for apt; linux, with an image for each version of a package, and a link SUITE to the
// one that was fetched last.
#include "package.h"

#include "child.h"
#include "progress.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEYS "/usr/share/keyrings/debian-archive-keyring.gpg"

struct fetch {
	const char *suite;
	char *cache;   // folder
	char *archive; // URI of Debian's archive
	char *package; // that holds the image
	char *version;
	char *size; // bytes, as text
	char *why;  // it failed
	struct progress progress;
};

// Keeps the first reason. Returns false.
static bool failed(struct fetch *fetch, char *why)
{
	if (fetch->why)
		free(why);
	else
		fetch->why = why;
	return false;
}

static bool make_folder(struct fetch *fetch, const char *name)
{
	char *path = must_format("%s/%s", fetch->cache, name);

	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		mkdir(path, 0777);
		*slash = '/';
	}
	bool good = mkdir(path, 0777) == 0 || errno == EEXIST;
	if (!good)
		failed(fetch, must_format("%s: %s", path, strerror(errno)));
	free(path);
	return good;
}

static char *cache_folder(void)
{
	const char *cache = getenv("XDG_CACHE_HOME");
	const char *home = getenv("HOME");

	if (cache && *cache == '/')
		return must_format("%s/vmtree", cache);
	return home && *home == '/' ? must_format("%s/.cache/vmtree", home) : NULL;
}

// ---- apt ----

// "dlstatus:FILE:PERCENT:TEXT"
static void on_status(char *line, void *context)
{
	struct fetch *fetch = context;
	char *at = line;

	for (int i = 0; i < 2 && at; i++) {
		at = strchr(at, ':');
		at += at != NULL;
	}
	if (at && !strncmp(line, "dlstatus:", 9))
		progress_show(&fetch->progress, strtod(at, NULL));
}

// Runs a program of apt's on our folder.
static bool apt(struct fetch *fetch, struct child *child, const char *program, const char *const *words)
{
	char *config = must_format("%s/apt-%s/apt.conf", fetch->cache, fetch->suite);
	const char *all[16] = {program, "-c", config};

	for (size_t used = 3; *words; used++)
		all[used] = *words++;
	child->words = all;
	child->on_status = on_status;
	child->context = fetch;
	int status = child_run(child);
	free(config);
	if (status == 0)
		return true;
	char *line = first_line(&child->error, "E: ");
	if (status == EXIT_NOT_FOUND)
		failed(fetch, must_format("%s is not there: this is not a Debian system", program));
	else
		failed(fetch, must_format("%s: %s", program, line ? line : "it failed and does not say why"));
	free(line);
	return false;
}

// The archive that this machine takes its own packages from: of what apt would fetch to bring its lists up to date, the
// first address whose last part before "dists" is "debian".
static bool find_archive(struct fetch *fetch)
{
	static const char *const words[] = {"apt-get", "update", "--print-uris", NULL};
	static const char mark[] = "/debian/dists/";
	struct child child = {.words = words};

	child_run(&child);
	char *at = child.output.data ? strstr(child.output.data, mark) : NULL;
	if (at) {
		const char *start = at;
		while (start > child.output.data && start[-1] != '\'')
			start--;
		fetch->archive = must_format("%.*s/debian", (int)(at - start), start);
	} else {
		failed(fetch, must_copy("apt's sources on this machine name no archive of Debian's"));
	}
	child_free(&child);
	return fetch->archive;
}

static bool write_text(struct fetch *fetch, const char *name, const char *text)
{
	char *path = must_format("%s/apt-%s/%s", fetch->cache, fetch->suite, name);
	FILE *file = fopen(path, "w");
	bool good = file && fputs(text, file) >= 0;

	if (file && fclose(file))
		good = false;
	if (!good)
		failed(fetch, must_format("%s: %s", path, strerror(errno)));
	free(path);
	return good;
}

static bool write_config(struct fetch *fetch)
{
	struct text text = {0};

	text_print(&text, "Dir::Etc { sourcelist \"%s/apt-%s/sources.list\"; sourceparts \"-\"; };\n", fetch->cache,
		fetch->suite);
	text_print(&text, "Dir::Etc { preferences \"/dev/null\"; preferencesparts \"-\"; };\n");
	text_print(&text, "Dir { State \"%s/apt-%s\"; Cache \"%s/apt-%s\"; };\n", fetch->cache, fetch->suite,
		fetch->cache, fetch->suite);
	text_print(&text, "Dir::State::status \"%s/apt-%s/status\";\n", fetch->cache, fetch->suite);
	// The folder is the user's own: nobody else, the user _apt included, may write there.
	text_print(&text, "APT { Sandbox::User \"\"; Update::Error-Mode \"any\"; Status-Fd \"%d\"; };\n", CHILD_STATUS);
	text_print(&text, "Acquire { Languages \"none\"; Retries \"2\"; };\n");
	bool good = write_text(fetch, "apt.conf", text.data);
	text_free(&text);
	return good;
}

static bool make_apt(struct fetch *fetch)
{
	static const char *const folders[] = {"lists/partial", "archives/partial"};
	bool good = find_archive(fetch);

	for (size_t i = 0; i < 2 && good; i++) {
		char *name = must_format("apt-%s/%s", fetch->suite, folders[i]);
		good = make_folder(fetch, name);
		free(name);
	}
	if (!good)
		return false;
	char *source = must_format("deb [arch=amd64 signed-by=" KEYS "] %s %s main\n", fetch->archive, fetch->suite);
	good = write_text(fetch, "sources.list", source) && write_text(fetch, "status", "") && write_config(fetch);
	free(source);
	return good;
}

static bool update(struct fetch *fetch)
{
	static const char *const words[] = {"update", NULL};
	struct child child = {0};

	progress_start(&fetch->progress, must_format("Debian's list of packages (%s)", fetch->suite));
	bool good = apt(fetch, &child, "apt-get", words);
	progress_end(&fetch->progress, good);
	child_free(&child);
	return good;
}

// ---- Which package ----

// The first package that `package` depends on whose name begins with `start`, or NULL.
static char *dependency(struct fetch *fetch, const char *package, const char *start)
{
	const char *const words[] = {"depends", "--important", package, NULL};
	char *line_start = must_format("  Depends: %s", start);
	struct child child = {0};
	char *name = NULL;

	if (apt(fetch, &child, "apt-cache", words)) {
		char *rest = first_line(&child.output, line_start);
		if (rest)
			name = must_format("%s%s", start, rest);
		free(rest);
	}
	child_free(&child);
	free(line_start);
	return name;
}

// The package that carries the image: the one that the general package leads to, or the one which that leads to.
static bool choose(struct fetch *fetch)
{
	struct child child = {0};
	char *image = dependency(fetch, LINUX_PACKAGE, "linux-image-");

	if (!image)
		return failed(fetch, must_copy("there is no such package, or it names no kernel"));
	char *binary = dependency(fetch, image, "linux-binary-");
	fetch->package = binary ? binary : image;
	if (binary)
		free(image);
	const char *const words[] = {"show", "--no-all-versions", fetch->package, NULL};
	bool good = apt(fetch, &child, "apt-cache", words);
	if (good) {
		fetch->version = first_line(&child.output, "Version: ");
		fetch->size = first_line(&child.output, "Size: ");
		good = fetch->version && fetch->size;
		if (!good)
			failed(fetch, must_format("%s has no version", fetch->package));
	}
	child_free(&child);
	return good;
}

// ---- The image ----

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *where)
{
	(void)info;
	(void)type;
	(void)where;
	return remove(path);
}

static char *only_match(const char *folder, const char *pattern)
{
	char *whole = must_format("%s/%s", folder, pattern);
	glob_t found;
	char *path = NULL;

	if (glob(whole, 0, NULL, &found) == 0) {
		path = must_copy(found.gl_pathv[0]);
		globfree(&found);
	}
	free(whole);
	return path;
}

static bool unpack(struct fetch *fetch, const char *folder)
{
	char *archive = only_match(folder, "*.deb");
	const char *const words[] = {"dpkg-deb", "-x", archive ? archive : "", folder, NULL};
	struct child child = {.words = words};

	bool good = archive && child_run(&child) == 0;
	if (!good)
		failed(fetch, must_format("%s could not be unpacked", fetch->package));
	child_free(&child);
	free(archive);
	return good;
}

static bool keep_image(struct fetch *fetch, const char *folder, const char *image)
{
	static const char *const places[] = {
		"boot/vmlinuz-*", "usr/lib/modules/*/vmlinuz", "lib/modules/*/vmlinuz"};
	char *found = NULL;

	for (size_t i = 0; i < 3 && !found; i++)
		found = only_match(folder, places[i]);
	if (!found)
		return failed(fetch, must_format("%s holds no kernel image", fetch->package));
	bool good = rename(found, image) == 0;
	if (!good)
		failed(fetch, must_format("%s: %s", image, strerror(errno)));
	free(found);
	return good;
}

static bool download(struct fetch *fetch, const char *image)
{
	char *folder = must_format("%s/fetch-XXXXXX", fetch->cache);
	char *what = must_format("%s=%s", fetch->package, fetch->version);
	const char *const words[] = {"download", what, NULL};
	struct child child = {.folder = folder};
	bool good = mkdtemp(folder);

	if (!good)
		failed(fetch, must_format("%s: %s", folder, strerror(errno)));
	if (good) {
		progress_start(&fetch->progress, must_format("%s %s, %.1f MB", fetch->package, fetch->version,
							 strtod(fetch->size, NULL) / 1e6));
		good = apt(fetch, &child, "apt-get", words);
		progress_end(&fetch->progress, good);
		good = good && unpack(fetch, folder) && keep_image(fetch, folder, image);
		nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	}
	child_free(&child);
	free(what);
	free(folder);
	return good;
}

// The link appears whole, or stays what it was.
static bool link_suite(struct fetch *fetch, const char *name)
{
	char *link = must_format("%s/linux/%s", fetch->cache, fetch->suite);
	char *fresh = must_format("%s.new", link);

	unlink(fresh);
	bool good = symlink(name, fresh) == 0 && rename(fresh, link) == 0;
	if (!good)
		failed(fetch, must_format("%s: %s", link, strerror(errno)));
	free(link);
	free(fresh);
	return good;
}

static bool fetch_image(struct fetch *fetch)
{
	if (access(KEYS, R_OK))
		return failed(fetch, must_copy("the archive's keys are not there: install the package debian-archive-keyring"));
	if (!make_apt(fetch) || !make_folder(fetch, "linux") || !update(fetch) || !choose(fetch))
		return false;
	char *name = must_format("%s_%s", fetch->package, fetch->version);
	char *image = must_format("%s/linux/%s", fetch->cache, name);
	bool good = (access(image, R_OK) == 0 || download(fetch, image)) && link_suite(fetch, name);
	free(name);
	free(image);
	return good;
}

// Another one may be fetching the same: it is waited for.
static int lock_cache(struct fetch *fetch)
{
	char *path = must_format("%s/lock", fetch->cache);
	int fd = make_folder(fetch, "linux") ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666) : -1;

	if (fd >= 0)
		flock(fd, LOCK_EX);
	else
		failed(fetch, must_format("%s: %s", path, strerror(errno)));
	free(path);
	return fd;
}

int package_find(const char *suite, bool again, bool quiet, char **path)
{
	struct fetch fetch = {.suite = suite, .cache = cache_folder(), .progress.quiet = quiet};

	if (!fetch.cache) {
		say("no folder to keep Linux in: neither XDG_CACHE_HOME nor HOME is set");
		return EXIT_FAILED;
	}
	char *link = must_format("%s/linux/%s", fetch.cache, suite);
	int lock = lock_cache(&fetch);
	if (lock >= 0 && (again || access(link, R_OK)))
		fetch_image(&fetch);
	*path = fetch.why ? NULL : realpath(link, NULL);
	if (!*path)
		say("Linux, Debian's package " LINUX_PACKAGE " of %s, could not be fetched%s%s: %s; --linux FILE takes a "
		    "kernel's image instead",
			suite, fetch.archive ? " from " : "", fetch.archive ? fetch.archive : "",
			fetch.why ? fetch.why : strerror(errno));
	if (lock >= 0)
		close(lock);
	free(link);
	free(fetch.cache);
	free(fetch.archive);
	free(fetch.package);
	free(fetch.version);
	free(fetch.size);
	free(fetch.why);
	return *path ? -1 : EXIT_FAILED;
}

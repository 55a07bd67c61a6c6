// SPDX-License-Identifier: MIT
// The command line of `vmtree run` and `vmtree compare`.
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIN_MEMORY  (64ULL << 20)
#define MAX_MEMORY  (16ULL << 30)
#define MAX_CPUS    8
#define MAX_TIMEOUT 1000000.0 // seconds

#define MAX_REPEAT  1000

#define USAGE_COMMON \
	"  --cpus N            CPUs of the machine, 1 to 8 (default 2)\n" \
	"  --memory SIZE       its memory, 64M to 16G, with suffix K, M or G (default 1G)\n" \
	"  --file HOST[:GUEST] bring a file or a folder along, to the same path or to GUEST;\n" \
	"                      may be repeated\n"                                                \
	"  --env NAME=VALUE    set a variable in the program's environment; may be repeated\n" \
	"  --cwd PATH          the program's working directory (default /)\n" \
	"  --accel auto|kvm|tcg\n" \
	"                      how QEMU runs the CPUs; auto takes KVM where it works\n" \
	"  --icount            a clock that counts guest instructions: same input, same figures\n" \
	"                      (one host thread, TCG)\n" \
	"  --timeout SECONDS   stop a machine after that long\n" \
	"  --json FILE         write the report to FILE too, as JSON\n"

#define USAGE_END \
	"  -h, --help          this text\n" \
	"  --version           the version\n" \
	"\n"

static const char usage_run[] =
	"usage: vmtree run [options] -- PROGRAM [ARGUMENTS]\n"
	"       vmtree compare [options] -- PROGRAM [ARGUMENTS]   (vmtree compare --help)\n"
	"\n"
	"Runs a static Linux program for x86-64 on the vmtree reference kernel in QEMU. The\n"
	"program's input, output and exit status are the command's own; a report on its memory\n"
	"follows on standard error.\n"
	"\n" USAGE_COMMON
	"  --device edu        a device behind an IOMMU, /dev/edu; may be repeated, and is there\n"
	"                      once\n"
	"  --dump-at-exit      print the program's address space when it ends, on standard error\n"
	"  --check             walk all invariants of each address space when it ends; one that\n"
	"                      does not hold is a failure of the kernel\n"
	"  -q, --quiet         no report on standard error\n" USAGE_END
	"Exit status: the program's own; 128+N when signal N killed it; 124 after --timeout;\n"
	"125 when vmtree, QEMU or the reference kernel failed; 126 when PROGRAM cannot be run;\n"
	"127 when it was not found.\n";

static const char usage_compare[] =
	"usage: vmtree compare [options] -- PROGRAM [ARGUMENTS]\n"
	"\n"
	"Runs a static Linux program for x86-64 on the vmtree reference kernel and on Linux, on\n"
	"the same machine in QEMU with the same files, and prints what it cost side by side on\n"
	"standard error. The program's output comes once, from the reference kernel. Without KVM\n"
	"the clock counts guest instructions, as with --icount.\n"
	"\n"
	"  --linux stable|newest|FILE\n"
	"                      Debian's cloud kernel of stable (default) or unstable, fetched once\n"
	"                      by apt and kept, or any kernel's image for x86-64\n"
	"  --linux-again       ask Debian whether there is a newer kernel than the one kept\n"
	"  --linux-args WORDS  more for Linux's command line\n"
	"  --linux-output FILE write what the program wrote to standard output on Linux to FILE\n"
	"  --boot-timeout SECONDS\n"
	"                      how long Linux may take to boot (default 300)\n"
	"  --repeat N          run N times on each side: median and spread\n" USAGE_COMMON
	"  -q, --quiet         nothing on standard error but what went wrong\n" USAGE_END
	"Exit status: the program's own when it ended the same way with the same output on both;\n"
	"3 when it did not; 124 after --timeout; 125 when vmtree, QEMU or a kernel failed, or\n"
	"Linux could not be fetched; 126 when PROGRAM cannot be run; 127 when it was not found.\n";

static int bad(const char *option, const char *value, const char *wanted)
{
	say("%s %s: %s", option, value, wanted);
	return EXIT_FAILED;
}

static int parse_cpus(struct options *options, const char *value)
{
	char *end;

	errno = 0;
	long cpus = strtol(value, &end, 10);
	if (end == value || *end || errno || cpus < 1 || cpus > MAX_CPUS)
		return bad("--cpus", value, "must be a number from 1 to 8");
	options->cpus = (unsigned)cpus;
	return -1;
}

static int parse_memory(struct options *options, const char *value)
{
	static const char wanted[] =
		"must be a size from 64M to 16G in whole MiB, such as 512M or 2G";
	char *end;
	unsigned shift = 0;

	errno = 0;
	unsigned long long size = strtoull(value, &end, 10);
	if (end == value || errno || value[0] == '-' || value[0] == '+')
		return bad("--memory", value, wanted);
	if (*end == 'K' || *end == 'k')
		shift = 10;
	else if (*end == 'M' || *end == 'm')
		shift = 20;
	else if (*end == 'G' || *end == 'g')
		shift = 30;
	if (shift)
		end++;
	if (*end || size > (MAX_MEMORY >> shift) || (size << shift) < MIN_MEMORY ||
		((size << shift) & 0xfffff))
		return bad("--memory", value, wanted);
	options->memory_bytes = size << shift;
	return -1;
}

static int parse_seconds(const char *option, int64_t *ns, const char *value)
{
	char *end;

	errno = 0;
	double seconds = strtod(value, &end);
	if (end == value || *end || errno || !isfinite(seconds) || seconds <= 0 ||
		seconds > MAX_TIMEOUT)
		return bad(option, value, "must be a number of seconds, more than 0");
	*ns = (int64_t)(seconds * 1e9);
	if (*ns == 0)
		*ns = 1;
	return -1;
}

static int parse_repeat(struct options *options, const char *value)
{
	char *end;

	errno = 0;
	long count = strtol(value, &end, 10);
	if (end == value || *end || errno || count < 1 || count > MAX_REPEAT)
		return bad("--repeat", value, "must be a number from 1 to 1000");
	options->repeat = (unsigned)count;
	return -1;
}

static int parse_accel(struct options *options, const char *value)
{
	if (!strcmp(value, "auto"))
		options->accel = ACCEL_AUTO;
	else if (!strcmp(value, "kvm"))
		options->accel = ACCEL_KVM;
	else if (!strcmp(value, "tcg"))
		options->accel = ACCEL_TCG;
	else
		return bad("--accel", value, "must be auto, kvm or tcg");
	return -1;
}

// HOST[:GUEST]. The guest's path is absolute, so a colon that no slash follows belongs to the
// host's name.
static int parse_file(struct options *options, char *value)
{
	struct file_option file = {.host = value};
	char *colon = NULL;

	for (char *at = strstr(value, ":/"); at; at = strstr(at + 1, ":/"))
		colon = at;
	if (colon) {
		*colon = 0;
		file.guest = colon + 1;
	}
	if (!*value)
		return bad("--file", file.guest ? file.guest : "''", "names no file of the host");
	options->files =
		must_grow(options->files, (options->file_count + 1) * sizeof(*options->files));
	options->files[options->file_count++] = file;
	return -1;
}

static int parse_device(struct options *options, const char *value)
{
	if (strcmp(value, "edu"))
		return bad("--device", value, "must be edu");
	options->edu = true;
	return -1;
}

static int parse_env(struct options *options, const char *value)
{
	const char *equals = strchr(value, '=');

	if (!equals || equals == value)
		return bad("--env", value, "must be NAME=VALUE");
	options->env = must_grow(options->env, (options->env_count + 1) * sizeof(*options->env));
	options->env[options->env_count++] = value;
	return -1;
}

enum {
	OPTION_CPUS = 256,
	OPTION_MEMORY,
	OPTION_ICOUNT,
	OPTION_ACCEL,
	OPTION_DEVICE,
	OPTION_FILE,
	OPTION_JSON,
	OPTION_TIMEOUT,
	OPTION_ENV,
	OPTION_CWD,
	OPTION_DUMP,
	OPTION_CHECK,
	OPTION_LINUX,
	OPTION_LINUX_AGAIN,
	OPTION_LINUX_ARGS,
	OPTION_LINUX_OUTPUT,
	OPTION_BOOT_TIMEOUT,
	OPTION_REPEAT,
	OPTION_VERSION
};

#define KNOWN_COMMON                                      \
	{"cpus", required_argument, NULL, OPTION_CPUS},     \
	{"memory", required_argument, NULL, OPTION_MEMORY}, \
	{"icount", no_argument, NULL, OPTION_ICOUNT},       \
	{"accel", required_argument, NULL, OPTION_ACCEL},   \
	{"file", required_argument, NULL, OPTION_FILE},     \
	{"json", required_argument, NULL, OPTION_JSON},     \
	{"timeout", required_argument, NULL, OPTION_TIMEOUT}, \
	{"env", required_argument, NULL, OPTION_ENV},       \
	{"cwd", required_argument, NULL, OPTION_CWD},       \
	{"quiet", no_argument, NULL, 'q'},                  \
	{"help", no_argument, NULL, 'h'},                   \
	{"version", no_argument, NULL, OPTION_VERSION},     \
	{NULL, 0, NULL, 0}

static const struct option known_run[] = {
	{"device", required_argument, NULL, OPTION_DEVICE},
	{"dump-at-exit", no_argument, NULL, OPTION_DUMP},
	{"check", no_argument, NULL, OPTION_CHECK},
	KNOWN_COMMON,
};

static const struct option known_compare[] = {
	{"linux", required_argument, NULL, OPTION_LINUX},
	{"linux-again", no_argument, NULL, OPTION_LINUX_AGAIN},
	{"linux-args", required_argument, NULL, OPTION_LINUX_ARGS},
	{"linux-output", required_argument, NULL, OPTION_LINUX_OUTPUT},
	{"boot-timeout", required_argument, NULL, OPTION_BOOT_TIMEOUT},
	{"repeat", required_argument, NULL, OPTION_REPEAT},
	KNOWN_COMMON,
};

static int show(const char *text)
{
	return fputs(text, stdout) < 0 || fflush(stdout) ? EXIT_FAILED : 0;
}

static int parse_one(struct options *options, int option, char *value)
{
	switch (option) {
	case OPTION_CPUS:
		return parse_cpus(options, value);
	case OPTION_MEMORY:
		return parse_memory(options, value);
	case OPTION_ICOUNT:
		options->icount = true;
		return -1;
	case OPTION_ACCEL:
		return parse_accel(options, value);
	case OPTION_DEVICE:
		return parse_device(options, value);
	case OPTION_FILE:
		return parse_file(options, value);
	case OPTION_JSON:
		options->json = value;
		return *value ? -1 : bad("--json", "''", "names no file");
	case OPTION_TIMEOUT:
		return parse_seconds("--timeout", &options->timeout_ns, value);
	case OPTION_ENV:
		return parse_env(options, value);
	case OPTION_DUMP:
		options->dump = true;
		return -1;
	case OPTION_CHECK:
		options->check = true;
		return -1;
	case OPTION_CWD:
		options->cwd = value;
		return *value == '/' ? -1 : bad("--cwd", value, "must be an absolute path");
	case 'q':
		options->quiet = true;
		return -1;
	case OPTION_LINUX:
		options->linux_kernel = value;
		return *value ? -1 : bad("--linux", "''", "must be stable, newest or a kernel's image");
	case OPTION_LINUX_AGAIN:
		options->linux_again = true;
		return -1;
	case OPTION_LINUX_ARGS:
		options->linux_args = value;
		return -1;
	case OPTION_LINUX_OUTPUT:
		options->linux_output = value;
		return *value ? -1 : bad("--linux-output", "''", "names no file");
	case OPTION_BOOT_TIMEOUT:
		return parse_seconds("--boot-timeout", &options->boot_timeout_ns, value);
	case OPTION_REPEAT:
		return parse_repeat(options, value);
	case 'h':
		return show(options->compare ? usage_compare : usage_run);
	case OPTION_VERSION:
		return show("vmtree " VMTREE_VERSION "\n");
	}
	return EXIT_FAILED;
}

static int parse_words(struct options *options, int argc, char **argv)
{
	// "+": the first word that is no option is the program, with or without "--" before it. The
	// first ":": the messages are ours.
	for (;;) {
		int at = optind;
		int option = getopt_long(
			argc, argv, "+:hq", options->compare ? known_compare : known_run, NULL);
		if (option == -1)
			return -1;
		if (option == '?' || option == ':') {
			say("%s: %s; --help lists the options", argv[at ? at : 1],
				option == ':' ? "wants a value" : "not an option");
			return EXIT_FAILED;
		}
		int status = parse_one(options, option, optarg);
		if (status >= 0)
			return status;
	}
}

int options_parse(struct options *options, int argc, char **argv)
{
	*options = (struct options){.cpus = 2, .memory_bytes = 1ULL << 30, .cwd = "/", .linux_kernel = "stable",
		.boot_timeout_ns = 300000000000, .repeat = 1};

	if (argc >= 2 && (!strcmp(argv[1], "-h") || !strcmp(argv[1], "--help")))
		return show(usage_run);
	if (argc >= 2 && !strcmp(argv[1], "--version"))
		return show("vmtree " VMTREE_VERSION "\n");
	options->compare = argc >= 2 && !strcmp(argv[1], "compare");
	if (argc < 2 || (!options->compare && strcmp(argv[1], "run"))) {
		say("%s%swants: vmtree run [options] -- PROGRAM [ARGUMENTS], or vmtree compare; --help says more",
			argc < 2 ? "" : argv[1], argc < 2 ? "" : ": not a command; ");
		return EXIT_FAILED;
	}

	argc--;
	argv++;
	int status = parse_words(options, argc, argv);
	if (status >= 0)
		return status;
	if (optind >= argc) {
		say("no program given; wants: vmtree %s [options] -- PROGRAM [ARGUMENTS]", argv[0]);
		return EXIT_FAILED;
	}
	if (options->icount && options->accel == ACCEL_KVM) {
		say("--icount counts the instructions that TCG runs: it cannot go with --accel "
		    "kvm");
		return EXIT_FAILED;
	}
	if (options->icount)
		options->accel = ACCEL_TCG;
	options->program = argv + optind;
	return -1;
}

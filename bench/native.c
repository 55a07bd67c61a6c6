// SPDX-License-Identifier: MIT
// The command line of the benchmarks of the library in a process, and those port functions that all of them have alike.
#include "native.h"

#include <errno.h>
#include <string.h>

#define VMT_FORMAT x86_64_4
#include <vmtree/port.h>

static const char *program;

static _Noreturn void refuse(const char *what, const char *word)
{
	fprintf(stderr, "%s: %s: %s; --help lists the options\n", program, word, what);
	exit(2);
}

static unsigned number(const char *word, const struct native_option *option)
{
	char what[80], *end;
	unsigned long value;

	errno = 0;
	value = strtoul(word, &end, 10);
	if (*word < '0' || *word > '9' || *end || errno || value < option->least || value > option->most) {
		snprintf(what, sizeof(what), "%s wants a number from %u to %u", option->name, option->least,
			 option->most);
		refuse(what, word);
	}
	return (unsigned)value;
}

static unsigned choice(const char *word, const struct native_option *option)
{
	for (unsigned i = 0; option->choices[i]; i++)
		if (!strcmp(word, option->choices[i]))
			return i;
	refuse("there is no choice of this name", word);
}

void native_arguments(char **argv, const char *usage, const struct native_option *options, unsigned count)
{
	program = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
	for (argv++; *argv; argv += 2) {
		const struct native_option *option = options;

		if (!strcmp(*argv, "--help")) {
			fputs(usage, stdout);
			exit(0);
		}
		while (option < options + count && strcmp(*argv, option->name))
			option++;
		if (option == options + count)
			refuse("there is no option of this name", *argv);
		if (!argv[1])
			refuse("a value is missing", *argv);
		*option->value = option->choices ? choice(argv[1], option) : number(argv[1], option);
	}
}

void *vmt_port_mem_alloc(void *port, size_t bytes)
{
	(void)port;
	return aligned_alloc(64, (bytes + 63) & ~(size_t)63);
}

void vmt_port_mem_free(void *port, void *memory, size_t bytes)
{
	(void)port, (void)bytes;
	free(memory);
}

void vmt_port_log(void *port, const char *line)
{
	(void)port;
	fprintf(stderr, "%s\n", line);
}

_Noreturn void vmt_port_fatal(void *port, const char *what)
{
	vmt_port_log(port, what);
	abort();
}

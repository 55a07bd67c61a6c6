// SPDX-License-Identifier: MIT
// The `vmtree` command.
#include "compare.h"
#include "options.h"
#include "run.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

// Without descriptors 0 to 2 the channels to the machine would take their numbers.
static void open_standard(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	struct options options;

	open_standard();
	int status = options_parse(&options, argc, argv);
	if (status < 0)
		status = options.compare ? compare_program(&options) : run_program(&options);
	free(options.files);
	free(options.env);
	return status;
}

// SPDX-License-Identifier: MIT
// Which step is which call.
#include "calls.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

uint64_t first_break;

int64_t ask(long number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
	long result = syscall(number, a, b, c, d, e, f);

	return result == -1 ? -errno : result;
}

void calls_init(void)
{
	first_break = (uint64_t)ask(SYS_brk, 0, 0, 0, 0, 0, 0);
}

static const struct call *call_of(const uint8_t *step)
{
	/* Two more than there are calls: forks. */
	unsigned n = step[0] % (area_call_count + access_call_count + 2);

	if (n < area_call_count)
		return &area_calls[n];
	n -= area_call_count;
	return n < access_call_count ? &access_calls[n] : NULL;
}

uint32_t step_forks(const uint8_t *step)
{
	return call_of(step) ? 0 : 1 + step[1] % 6;
}

const char *step_name(const uint8_t *step)
{
	return call_of(step) ? call_of(step)->name : "fork";
}

int64_t step_call(const uint8_t *step, uint64_t *detail)
{
	return call_of(step)->make(step + 1, detail);
}

// SPDX-License-Identifier: MIT
/*
 * Resource limits and the meaning of statuses, for the system calls.
 */
#include "mm_internal.h"
#include <kernel/process.h>

int mm_errno_of(enum vmt_status status)
{
	switch (status) {
	case VMT_OK:
		return 0;
	case VMT_ERR_UNALIGNED:
	case VMT_ERR_EMPTY:
	case VMT_ERR_ARGUMENT:
		return -EINVAL;
	case VMT_ERR_EXISTS:
		return -EEXIST;
	case VMT_ERR_ACCESS:
		return -EACCES;
	case VMT_ERR_BUS:
	case VMT_ERR_GUARD:
	case VMT_ERR_NOT_PRESENT:
		return -EFAULT;
	case VMT_ERR_POISON:
		return -EHWPOISON;
	case VMT_ERR_BUSY:
		return -EBUSY;
	case VMT_ERR_DEVICE:
		return -EIO;
	case VMT_ERR_RETRY: /* the program is to end and will not see it */
		return -EAGAIN;
	default: /* wrapped, outside, unmapped, and what is a matter of resources */
		return -ENOMEM;
	}
}

bool limit_allows(struct mm *mm, uint64_t length, bool data)
{
	uint64_t space = process_rlimit(RLIMIT_AS), data_max = process_rlimit(RLIMIT_DATA);
	struct vmt_space_stats st;
	struct mm_kinds kinds;

	if (space != RLIM_INFINITY) {
		vmt_space_stats(mm->space, &st);
		if (length > space || st.mapped_bytes > space - length)
			return false;
	}
	if (data && data_max != RLIM_INFINITY) {
		mm_kinds_get(mm, &kinds);
		if (length > data_max || kinds.data > data_max - length)
			return false;
	}
	return true;
}

bool commit_allows(uint64_t length)
{
	return length <= frame_count_total() * PAGE_SIZE;
}

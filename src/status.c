// SPDX-License-Identifier: MIT
// Names of status codes. One for all formats.
#include <vmtree/types.h>

static const char *const names[VMT_STATUS_COUNT] = {
	[VMT_OK] = "VMT_OK",
	[VMT_ERR_UNALIGNED] = "VMT_ERR_UNALIGNED",
	[VMT_ERR_EMPTY] = "VMT_ERR_EMPTY",
	[VMT_ERR_WRAPPED] = "VMT_ERR_WRAPPED",
	[VMT_ERR_OUTSIDE] = "VMT_ERR_OUTSIDE",
	[VMT_ERR_ARGUMENT] = "VMT_ERR_ARGUMENT",
	[VMT_ERR_UNMAPPED] = "VMT_ERR_UNMAPPED",
	[VMT_ERR_EXISTS] = "VMT_ERR_EXISTS",
	[VMT_ERR_ACCESS] = "VMT_ERR_ACCESS",
	[VMT_ERR_BUS] = "VMT_ERR_BUS",
	[VMT_ERR_GUARD] = "VMT_ERR_GUARD",
	[VMT_ERR_NOT_PRESENT] = "VMT_ERR_NOT_PRESENT",
	[VMT_ERR_BUSY] = "VMT_ERR_BUSY",
	[VMT_ERR_POISON] = "VMT_ERR_POISON",
	[VMT_ERR_NO_MEMORY] = "VMT_ERR_NO_MEMORY",
	[VMT_ERR_NO_SPACE] = "VMT_ERR_NO_SPACE",
	[VMT_ERR_LIMIT] = "VMT_ERR_LIMIT",
	[VMT_ERR_RETRY] = "VMT_ERR_RETRY",
	[VMT_ERR_SIZE] = "VMT_ERR_SIZE",
	[VMT_ERR_MARKER] = "VMT_ERR_MARKER",
	[VMT_ERR_DEVICE] = "VMT_ERR_DEVICE",
};

const char *vmt_status_name(enum vmt_status status)
{
	return (unsigned)status < VMT_STATUS_COUNT ? names[status] : "VMT_ERR_?";
}

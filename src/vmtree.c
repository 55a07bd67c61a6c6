// SPDX-License-Identifier: MIT
// The library for one format, as one translation unit: compile with -DVMT_FORMAT=<name> (include/vmtree/names.h).
//
// Everything that is not in the public headers is static, so that several formats live in one program and the compiler
// sees the whole walk with the format's constants in it. The order of the files is the order of the layers; a file uses
// only what stands above it.

#include <vmtree/vmtree.h>
#include <vmtree/tree.h>
#include <vmtree/port.h>

// The only functions of a C library that the core calls.
void *memset(void *to, int byte, size_t bytes);
void *memcpy(void *restrict to, const void *restrict from, size_t bytes);

#include "format/format.h"

#include "tree/protections.h"
#include "tree/tree.h"
#include "tree/lock.h"
#include "tree/flush.h"
#include "tree/quarantine.h"
#include "tree/batch.h"
#include "tree/pool.h"
#include "tree/txn.h"
#include "tree/ids.h"
#include "tree/fold.h"
#include "tree/run.h"
#include "tree/range.h"
#include "tree/look.h"
#include "tree/alone.h"
#include "tree/edit.h"
#include "tree/held.h"

#include "space/attr.h"
#include "space/space.h"
#include "space/secondary.h"
#include "space/device.h"
#include "space/object.h"
#include "space/leaf.h"
#include "space/look.h"
#include "space/find.h"
#include "space/map.h"
#include "space/fault.h"
#include "space/grant.h"
#include "space/advise.h"
#include "space/mark.h"
#include "space/carry.h"
#include "space/move.h"
#include "space/grow.h"
#include "space/marker.h"
#include "space/page.h"
#include "space/harvest.h"
#include "space/huge.h"
#include "space/reclaim.h"
#include "space/life.h"
#include "space/fork.h"
#include "space/text.h"
#include "space/check.h"
#include "space/dump.h"

#include "mirror/migrate.h"
#include "mirror/target.h"
#include "mirror/mirror.h"

// SPDX-License-Identifier: MIT
// Everything that an embedder calls. Define VMT_FORMAT first (names.h).
#ifndef VMTREE_VMTREE_H
#define VMTREE_VMTREE_H

#include <vmtree/device.h>
#include <vmtree/frame.h>
#include <vmtree/mirror.h>
#include <vmtree/names.h>
#include <vmtree/object.h>
#include <vmtree/secondary.h>
#include <vmtree/space.h>
#include <vmtree/types.h>

#endif

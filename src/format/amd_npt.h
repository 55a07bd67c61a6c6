// SPDX-License-Identifier: MIT
// AMD nested page tables with four levels, AMD64 APM vol. 2 (24593): 15.25, and 5.3 for the entries, which are
// those of long mode.
//
//	63 62        52 51                         12 11  9 8 7  6 5 4   3   2 1 0
//	+--+-----------+-----------------------------+-----+-+--+-+-+---+---+-+-+-+
//	|NX|   avail   |     frame address 51:12     |avail|0|PS|D|A|PCD|PWT|U|W|P|
//	+--+-----------+-----------------------------+-----+-+--+-+-+---+---+-+-+-+
//
// U is set in every entry: at the nested level each access of a guest counts as a user's (15.25.5, 15.25.7). So
// there is no user and no supervisor. PCD and PWT are as in x86_64.h, and select from the host's PAT; the guest's own
// tables and PAT have their say too, and can make memory less cached than this, not more (15.25.8). NX needs EFER.NXE
// of the host. Nothing that the manual says of nested page faults promises that one drops the translation that caused
// it, so what has become more permissive is flushed by who faults on it.
#ifndef VMT_FORMAT_AMD_NPT_H
#define VMT_FORMAT_AMD_NPT_H

#define FMT_TOP		   3
#define FMT_SPURIOUS_FLUSH 1
#define FMT_SIGNED	   0
#define X86_ALL_USER	   1
#include "x86_64.h"

#endif

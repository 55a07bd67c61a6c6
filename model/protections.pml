// SPDX-License-Identifier: MIT
// What the protocol rests on, each to be taken out. Where the source has the same one
// (src/tree/protections.h) it has the same name.
#define NOTHING			0
#define LINKED			1	// a table is looked at again under its lock
#define GRACE			2	// tables outlive those who may stand in them
#define READ_UNTIL_LOCKED	3	// the read-side section lasts until the lock is had and the table looked at
#define RETIRE_RELEASED		4	// a table begins its grace period after its lock was released
#define FLUSH_UNDER_LOCK	5	// the flush comes before the locks are released
#define FLUSH_TABLES		6	// ... and also drops the way to tables that went
#define RELAX_SERVES		7	// who waits answers flushes
#define PARENT_FIRST		8	// locks are taken downwards
#define UPWARDS_TRIES		9	// ... and upwards only by trying
#define EMPTY			10	// a table goes only if it is empty
#define DETACH_UNDER_LOCK	11	// ... which is decided, and done, while its own lock is held
#define FOLD_MARK		12	// whoever releases a lock does the fold that was left to him
#define FOLD_MARK_PIN		13	// ... and who drops the last pin
#define MARK_WHILE_HELD		14	// the mark is set by the step that sees that the word is held
#define SPLIT_LOCKED		15	// a table for a part of a slot is linked with its lock held
#define GATE			16	// the gate is looked at under the lock
#define GATE_FOLD		17	// ... and before a table goes upwards
#define PIN_LINKED		18	// a table is looked at again under its pin
#define DESCENDS_AGAIN		19	// who finds a table detached starts from the root again
#define DETACH_TELLS		20	// a table that goes is marked detached before its lock is released

// What a run is about comes from the environment, so that one program serves for many.
c_decl {
\#include <stdlib.h>
	static int setting(const char *name) { const char *word = getenv(name); return word ? atoi(word) : 0; }
}
byte without;	// one of these
#define HOLDS(name) (without != name)

// Every property has a name, which the run prints when it does not hold.
#define DEMAND(condition, name)							\
	if									\
	:: (condition)								\
	:: else -> c_code { printf("violated: %s\n", name); }; assert(false)	\
	fi

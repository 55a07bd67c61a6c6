// SPDX-License-Identifier: MIT
// The lock of a node, and flushes. Who waits for a lock or for other CPUs' answers answers flushes, and is blocked
// otherwise: what it waits with makes no steps of its own. WAIT is left out: it only makes readers stand back for a
// while.

byte owes[ACTORS];	// to whom a CPU owes an answer
byte clr[ACTORS];	// what an actor has to flush: addresses
byte gone[ACTORS];	// ... and tables that it has detached

// src/tree/lock.h: lock_wait_exclusive: vmt_port_relax(port, false);
inline answer() {
	for (i : 0 .. ACTORS - 1) {
		if
		:: owes[me] & (1 << i) ->
			stale[me] = stale[me] & ~clr[i];
			if
			:: HOLDS(FLUSH_TABLES) -> walks[me] = walks[me] & ~gone[i]
			:: else
			fi
		:: else
		fi
	}
	owes[me] = 0
}

// Waits for `condition`, then takes `step` with it as one.
#define WAIT(condition, step)							\
	do									\
	:: atomic { condition -> step; break }					\
	:: d_step { HOLDS(RELAX_SERVES) && owes[me] != 0 -> answer() }		\
	od

// src/tree/lock.h: lock_try_exclusive: return !(word & (LOCK_EXCL | LOCK_PINS)) &&
#define IS_FREE(n) (!f[n].excl && f[n].pins == 0)

// src/tree/lock.h: lock_wait_exclusive: } while (!lock_try_exclusive(node));
#define LOCK(n) WAIT(IS_FREE(n), f[n].excl = 1)

// src/tree/lock.h: lock_pin: if (!(word & back) &&
#define PIN(n) WAIT(!f[n].excl, f[n].pins++)

// What a mark left to us says: a range to fold when nothing is held, as a bit.
#define LEFT(n) (f[n].level == 0 -> 1 << INDEX(f[n].base, 1) : 2 << f[n].level)

// src/tree/txn.h: txn_release_marked: if (lock_release(node) && attached)
// src/tree/lock.h: lock_release: return atomic_fetch_and_explicit(&node->lock, ~(LOCK_EXCL | LOCK_FOLD), memory_order_release) & LOCK_FOLD &&
inline release(n) {
	d_step {
		if
		:: f[n].fold && f[n].attached && HOLDS(FOLD_MARK) -> later = later | LEFT(n)
		:: else
		fi;
		f[n].fold = 0;
		f[n].excl = 0
	}
}

// src/tree/lock.h: lock_unpin: next &= ~LOCK_FOLD;
// src/tree/lock.h: lock_unpin: return word & LOCK_FOLD && !(next & LOCK_PINS) && HOLDS(FOLD_MARK_PIN);
inline unpin(n) {
	f[n].pins--;
	if
	:: f[n].pins == 0 && f[n].fold ->
		f[n].fold = 0;
		if
		:: f[n].attached && HOLDS(FOLD_MARK_PIN) -> later = later | LEFT(n)
		:: else
		fi
	:: else
	fi
}

// src/tree/flush.h: flush_run: vmt_port_flush(tree->port, flush);
inline flush() {
	if
	:: clr[me] != 0 || gone[me] != 0 ->
		d_step {
			stale[me] = stale[me] & ~clr[me];
			if
			:: HOLDS(FLUSH_TABLES) -> walks[me] = walks[me] & ~gone[me]
			:: else
			fi;
			for (i : 0 .. ACTORS - 1) {
				if
				:: i != me -> owes[i] = owes[i] | BIT
				:: else
				fi
			}
			i = 0
		}
		WAIT((OF_ALL(owes) & BIT) == 0, clr[me] = 0)
	:: else
	fi
}

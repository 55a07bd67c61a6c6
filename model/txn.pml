// SPDX-License-Identifier: MIT
// Transactions: descend, lock, look again, lock below, change, fold, flush, release, retire.

// What an actor is about.
#define NONE	0
#define FAULT	1
#define UNMAP	2
#define SPLIT	3
#define WALK	4
#define LOOK	5
#define FORK	6
#define FOLD	7

byte own[4];		// which actor's transaction has the address, 0: nobody's
bool gate;		// a fork is under way
byte kept[ACTORS];	// the emptied table of level 0 that a CPU has left in place, as a bit of LEFT

// src/tree/txn.h: walk_step: if (differ >> fmt_shift(level))
// src/tree/txn.h: walk_step: if (!fmt_is_table(e, level))
#define LEADS_ON(n) (level > 0 && (start >> level) == (last >> level) && ENTRY(n, INDEX(start, level)) != 0)

// src/tree/txn.h: txn_lock_top: vmt_port_read_enter(txn->port);
// src/tree/txn.h: txn_lock_top: node = tree_walk_down(txn->tree, start, last + txn->above);
inline descend() {
	atomic {
		reading = reading | BIT;
		n = ROOT; level = TOP; at[me] = 1 << ROOT
	}
	do
	:: atomic { LEADS_ON(n) -> n = ENTRY(n, INDEX(start, level)); level--; at[me] = 1 << n }
	:: atomic { !LEADS_ON(n) -> level = 0; break }
	od
	if
	:: d_step { !HOLDS(READ_UNTIL_LOCKED) -> x = at[me]; read_exit(); at[me] = x }
	:: else
	fi
}

// src/tree/txn.h: node_covers: return (atomic_load_explicit(&node->state, memory_order_relaxed) == NODE_ATTACHED || !HOLDS(LINKED)) &&
#define COVERS(n) (f[n].attached && start >= f[n].base && start < f[n].base + SPAN(f[n].level))

inline lock_top() {
	skip;
again:	descend();
locking:
	atomic {
		// src/tree/txn.h: txn_lock_top: lock_exclusive(txn->port, node);
		LOCK(n);
		// src/tree/txn.h: txn_lock_top: right = node_covers(node, txn->tree, start);
		if
		:: !COVERS(n) && HOLDS(LINKED) ->
			// src/tree/txn.h: txn_lock_top: lock_release(node);
			f[n].excl = 0; f[n].fold = 0;
			if
			:: HOLDS(DESCENDS_AGAIN) -> read_exit(); goto again
			:: else -> goto locking
			fi
		:: else -> read_exit(); top = n; n = 0
		fi
	}
}

// A child whose slot the range touches.
#define BELOW(k) (middle != 0 && (k -> last >= f[middle].base + 2 : start < f[middle].base + 2) -> ENTRY(middle, k) : 0)

// src/tree/txn.h: txn_lock_below: for (; at.slot <= end; tables_next(&at)) {
// The gate, then what is below: one lock in a step.
inline lock_below() {
	atomic {
		// src/tree/txn.h: txn_may_pass: return !(tree_gate(txn->tree) & GATE_FORK) || !HOLDS(GATE);
		if
		:: gate && HOLDS(GATE) ->
			release(top);
			top = 0;
			// src/tree/txn.h: txn_wait_gate: while (atomic_load_explicit(&txn->tree->gate, memory_order_acquire) & GATE_FORK)
			WAIT(!gate, skip);
			goto again
		:: else
		fi;
		if
		:: f[top].level == 2 && f[top].slot0 != 0 ->
			// src/tree/txn.h: txn_lock_below: lock_exclusive(txn->port, child);
			middle = f[top].slot0;
			LOCK(middle);
			goto lowest
		:: f[top].level == 1 -> middle = top
		:: else
		fi;
		if
		:: BELOW(0) != 0 -> goto lowest
		:: else -> goto highest
		fi
	}
lowest:	atomic {
		if
		:: BELOW(0) != 0 -> low = BELOW(0); LOCK(low)
		:: else
		fi
	}
highest:
	skip
}

// The window is locked: it is this transaction's, as far as it holds addresses.
inline claim() {
	d_step {
		for (i : 0 .. 3) {
			if
			:: i >= start && i <= last ->
				DEMAND(own[i] == 0, "two transactions of one address at once");
				own[i] = me + 1
			:: else
			fi
		}
		i = 0
	}
}

inline unclaim() {
	d_step {
		for (i : 0 .. 3) {
			if
			:: own[i] == me + 1 -> own[i] = 0
			:: else
			fi
		}
		i = 0
	}
}

// ---- Folding -----------------------------------------------------------------------------------------------------

// src/tree/fold.h: node_is_foldable: return atomic_load_explicit(&node->state, memory_order_relaxed) == NODE_ATTACHED && node_is_empty(node) &&
#define FOLDABLE(n) (n > ROOT && f[n].attached && !f[n].mixed && (IS_EMPTY(n) || !HOLDS(EMPTY) && op == FOLD))

// src/tree/fold.h: fold_into: e = entry_exchange(txn->tree, parent, slot, 0);
// src/tree/fold.h: fold_into: atomic_store_explicit(&node->state, NODE_DETACHED, memory_order_relaxed);
// src/tree/batch.h: batch_add_table: flush_add(&batch->flush, node->base, node_end(node));
inline fold_into(p, n) {
	DEMAND(IS_EMPTY(n), "a table goes with a page in it");
	DEMAND(f[p].excl && f[p].attached && ENTRY(p, INDEX(f[n].base, f[p].level)) == n,
	       "a table goes that is not there");
	set_entry(p, INDEX(f[n].base, f[p].level), 0);
	f[n].attached = !HOLDS(DETACH_TELLS);
	for (i : 0 .. ACTORS - 1) {
		walks[i] = walks[i] | 1 << n
	}
	gone[me] = gone[me] | 1 << n
}

// src/tree/fold.h: fold_held: fold_into(txn, node->parent, node);
inline fold_held(p, n) {
	if
	:: FOLDABLE(n) -> fold_into(p, n)
	:: else
	fi
}

// src/tree/fold.h: fold_keep: fold_kept_later(txn, atomic_exchange_explicit(kept, node->base + 1, memory_order_relaxed));
inline fold_keep() {
	later = later | (kept[me] & ~LEFT(top));
	kept[me] = LEFT(top)
}

// src/tree/fold.h: fold_upwards: while (node_is_foldable(node)) {
inline fold_upwards() {
	n = top;
	do
	:: atomic {
		FOLDABLE(n) ->
		up = f[n].parent;
		if
		:: !HOLDS(DETACH_UNDER_LOCK) && n == top -> f[top].excl = 0
		:: else
		fi;
		if
		:: !HOLDS(UPWARDS_TRIES) -> LOCK(up)
		// src/tree/fold.h: fold_upwards: else if (!lock_try_or_mark(parent))
		:: HOLDS(UPWARDS_TRIES) && IS_FREE(up) -> f[up].excl = 1
		// src/tree/lock.h: lock_try_or_mark: if (atomic_compare_exchange_weak_explicit(&node->lock, &word, word | LOCK_FOLD, memory_order_relaxed,
		:: HOLDS(UPWARDS_TRIES) && !IS_FREE(up) ->
			if
			:: HOLDS(MARK_WHILE_HELD) -> f[up].fold = 1
			:: else -> marks = up
			fi;
			break
		fi;
		above1 = above0;
		above0 = up
	   }
	   atomic {
		// src/tree/fold.h: fold_upwards: if (tree_gate(txn->tree) & GATE_FORK && HOLDS(GATE_FOLD)) {
		if
		:: gate && HOLDS(GATE_FOLD) -> later = later | LEFT(n); break
		:: else
		fi;
		// src/tree/fold.h: fold_upwards: if (!fold_into(txn, parent, node))
		fold_into(up, n);
		n = up
	   }
	:: atomic { !FOLDABLE(n) -> break }
	od
	n = 0;
	up = 0
}

// ---- Commit ------------------------------------------------------------------------------------------------------

// src/tree/batch.h: batch_retire_tables: table_retire(batch->tree->port, item);
inline retire_tables() {
	d_step {
		for (j : 2 .. N - 1) {
			if
			:: gone[me] & (1 << j) -> retire(j)
			:: else
			fi
		}
		gone[me] = 0
	}
}

#define RELEASE(n)				\
	if					\
	:: n != 0 -> release(n); n = 0		\
	:: else					\
	fi

// Tables inside of the window: their parents are held, so that it makes no difference that this is one step.
// src/tree/fold.h: txn_commit_all: fold_held(txn);
inline commit_folds() {
	fold_held(middle, high);
	fold_held(middle, low);
	if
	:: middle != top -> fold_held(top, middle)
	:: else
	fi;
	// src/tree/fold.h: fold_held: else if (txn->keep && node->level == 0)
	if
	:: op != FOLD && FOLDABLE(top) && f[top].level == 0 -> fold_keep()
	:: else
	fi
}

// src/tree/fold.h: txn_commit: txn_release(txn, node);
// src/tree/fold.h: txn_commit_all: txn_release(txn, txn->node[--txn->held]);
// src/tree/fold.h: txn_commit_all: txn_release(txn, txn->parent[--txn->parents]);
inline release_all() {
	do
	:: atomic { high != 0 -> unclaim(); RELEASE(high) }
	:: atomic { high == 0 && low != 0 -> unclaim(); RELEASE(low) }
	:: atomic { (high | low) == 0 && middle != 0 -> unclaim(); RELEASE(middle) }
	:: atomic { (high | low | middle) == 0 && top != 0 -> unclaim(); RELEASE(top) }
	:: atomic { (high | low | middle | top) == 0 && above0 != 0 -> RELEASE(above0) }
	:: atomic { (high | low | middle | top | above0) == 0 && above1 != 0 -> RELEASE(above1) }
	:: atomic { (high | low | middle | top | above0 | above1) == 0 -> break }
	od
}

inline commit() {
	if
	:: (op == FOLD || f[top].level > 0) && FOLDABLE(top) -> fold_upwards()
	:: else
	fi;
	// src/tree/fold.h: txn_commit_all: batch_flush(&txn->batch);
	if
	:: HOLDS(FLUSH_UNDER_LOCK) -> flush()
	:: else
	fi;
	if
	:: middle == top -> middle = 0
	:: else
	fi;
	if
	:: !HOLDS(RETIRE_RELEASED) -> retire_tables()
	:: else
	fi
}

// src/tree/fold.h: txn_commit_all: batch_retire_tables(&txn->batch);
inline commit_rest() {
	if
	:: !HOLDS(FLUSH_UNDER_LOCK) -> flush()
	:: else
	fi;
	if
	:: gone[me] != 0 -> retire_tables()
	:: else
	fi
}

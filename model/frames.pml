// SPDX-License-Identifier: MIT
// Frames, the tables in them, read-side sections and grace periods.
//
// Frame 0 is none, frame ROOT the root's. A page of level 0 is one address; an entry of level n spans 2^n of them.

#define ROOT	1
#define N	(FRAMES + 2)

#define FREE	0
#define TABLE	1
#define RETIRED	2

typedef frame {
	unsigned kind : 2;
	bit excl;		// the lock's word: held exclusively,
	bit fold;		// ... with a fold left to the holder,
	unsigned pins : 2;	// ... or pinned by so many
	bit attached;
	bit mixed;		// it has an array of ids: not empty, whatever its entries say
	unsigned level : 2;
	unsigned base : 3;
	unsigned parent : 3;
	unsigned slot0 : 3;	// of level 0: is there a page? Else the frame of the table below
	unsigned slot1 : 3;
	unsigned waits : 3;	// once retired: whose read-side sections have to end
};

frame f[N];
byte reading;			// actors in a read-side section
byte at[ACTORS];		// frames that an actor is about to look into, without a lock that keeps them
byte stale[ACTORS];		// addresses of which the CPU may have a translation that is no more
byte walks[ACTORS];		// frames that it may still walk through, though they are detached
hidden byte i, j, x, y;		// scratch, within one step

#define BIT		(1 << me)
#define ENTRY(n, k)	((k) -> f[n].slot1 : f[n].slot0)
#define INDEX(p, level)	(((p) >> (level)) & 1)
#define IS_EMPTY(n)	(f[n].slot0 == 0 && f[n].slot1 == 0)
#define SPAN(level)	(2 << (level))
// The addresses of a table, as bits.
#define RANGE(n)	(((1 << SPAN(f[n].level)) - 1) << f[n].base)

#if ACTORS == 2
#define OF_ALL(array)	(array[0] | array[1])
#else
#define OF_ALL(array)	(array[0] | array[1] | array[2])
#endif

inline set_entry(n, k, value) {
	if
	:: (k) == 0 -> f[n].slot0 = value
	:: else -> f[n].slot1 = value
	fi
}

inline free_frame(n) {
	DEMAND((OF_ALL(at) & (1 << n)) == 0 && !f[n].excl && f[n].pins == 0, "a table is freed that somebody uses");
	DEMAND((OF_ALL(walks) & (1 << n)) == 0, "a table is freed that a CPU may walk through");
	f[n].kind = FREE; f[n].fold = 0; f[n].mixed = 0; f[n].level = 0; f[n].base = 0; f[n].parent = 0;
	f[n].slot0 = 0; f[n].slot1 = 0; f[n].attached = 0
}

// src/tree/quarantine.h: table_retire: vmt_port_defer(port, item);
inline retire(n) {
	if
	:: HOLDS(GRACE) -> f[n].kind = RETIRED; f[n].waits = reading
	:: else -> free_frame(n)
	fi
}

inline read_exit() {
	reading = reading & ~BIT;
	for (i : 2 .. N - 1) {
		f[i].waits = f[i].waits & ~BIT
	}
	at[me] = 0
}

// A free frame becomes the table of a slot of `above`, not yet linked. Result in x; 0: there is none.
// src/tree/range.h: node_init: atomic_store_explicit(&node->state, NODE_ATTACHED, memory_order_relaxed);
inline new_table(above, k) {
	x = 2;
	do
	:: x < N && f[x].kind != FREE -> x++
	:: else -> break
	od;
	if
	:: x == N -> x = 0
	:: else ->
		f[x].kind = TABLE; f[x].attached = 1; f[x].level = f[above].level - 1; f[x].parent = above;
		f[x].base = f[above].base + ((k) << f[above].level)
	fi
}

// Nobody may still reach what was there before.
inline check_link(n) {
	DEMAND((OF_ALL(stale) & RANGE(n)) == 0, "two translations of one address");
	for (i : 2 .. N - 1) {
		DEMAND((OF_ALL(walks) & (1 << i)) == 0 || f[i].base != f[n].base || f[i].level != f[n].level,
		       "two translations of one address")
	}
}

// Is there a frame n, and is its grace period over?
#define IN(n)	((n) < N -> (n) : 0)
#define OVER(n)	(f[IN(n)].kind == RETIRED && f[IN(n)].waits == 0)

// Grace periods end whenever they may.
active proctype grace() {
end:	do
	:: d_step {
		OVER(2) || OVER(3) || OVER(4) || OVER(5) || OVER(6) ->
		i = 2;
		do
		:: !OVER(i) -> i++
		:: else -> break
		od;
		free_frame(i)
	}
	od
}

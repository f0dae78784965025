/* A pin slot and what its local shows (include/tidepool/detail/pin_slot.hpp), with the store buffers of the processor
 * explicit: an owner in the private hit (fast_path.hpp) and in roster::enter(), a signal handler that interrupts it
 * anywhere and uses the pool, and two visits (src/pool/roster.hpp, visit(); src/base/asymmetric_fence.hpp).
 *
 * The owner's first entry finds no local. Whoever is the first on the slow path makes it, thread or handler.
 *
 * Abstracted: stores wait in a buffer of their thread, in order, and reach the memory at any later time (total store
 * order; a release keeps that order elsewhere, too); membarrier empties the buffers of all threads, one after the
 * other; the local's magazine is two words, changed one after the other, of which a handler or a visitor must never see
 * one changed and the other not; loads of one thread are in order.
 * Asserted: whoever is inside finds both words alike, in memory as it sees it; the handler, the owner and a visitor are
 * never inside at once; at the end the slot leads to the local.
 *
 * gcc: -DNOREDUCE
 * mutation NO_HEAVY: the visitor does not make the heavy half of the fence
 * mutation NO_LIGHT: the compiler moves the owner's load of what is shown above its store of the slot
 * mutation LOOK_FIRST: the visitor looks at the slot before it stops the local
 * mutation NO_SWAP: entering leaves the way to the local in the slot
 * mutation REOPEN_FIRST: the visitor reopens the local before it has left
 * mutation RELAXED_LEAVE: leaving is not a release, and overtakes what was done inside
 * mutation LEFT_BEHIND: enter() takes a slot without a local for that of an interrupted owner
 */
#define no_local 0
#define head 1   /* a slot leads to the local, */
#define closed 2 /* or to the thread's closed one */

byte slot = no_local;            /* as it is in the memory */
bool shown = true;               /* head.shown: whether the real magazines are shown; memory */
bool stop_waits;                 /* the visitor's store of it is in its buffer */
byte a, b;                       /* the magazine; memory */
bool made, counted;              /* the local is in by_slot_, and in count_ */
byte inside;                     /* who sees the real magazines: the thread, or its handler */
bool visited;                    /* so does a visitor */
byte my_slot = no_local;         /* as its own thread sees it */
byte a_waits, b_waits;           /* stores of the thread that wait */
bool handling;                   /* the thread is in its signal handler */
byte running = 3;

/* The thread's store buffer: no_local, head and closed are stores of the slot. */
#define of_a 3
#define of_b 4
chan buffer = [5] of { byte };
#ifdef RELAXED_LEAVE
chan words = [4] of { byte };
#else
#define words buffer
#endif

inline apply(store) {
    if
    :: store == of_a -> a++; a_waits--
    :: store == of_b -> b++; b_waits--
    :: else -> slot = store
    fi
}

/* Any thread's buffer empties at any time. */
active proctype memory() {
    byte store;
end:
    do
    :: atomic { buffer?store -> apply(store) }
#ifdef RELAXED_LEAVE
    :: atomic { words?store -> apply(store) }
#endif
    :: atomic { stop_waits -> shown = false; stop_waits = false }
    od
}

inline store_slot(where) { atomic { buffer!where; my_slot = where } }

/* pin_slot::enter() and the look at what is shown. Then either the thread is inside, or `seen` says that it is not. */
inline enter() {
    found = my_slot;
#ifdef NO_LIGHT
    seen = found == head && shown;
    store_slot(closed);
    atomic { if :: seen -> come_in() :: else fi }
#else
#ifndef NO_SWAP
    store_slot(closed);
#endif
    atomic {
        seen = found == head && shown;
        if :: seen -> come_in() :: else fi
    }
#endif
}

inline come_in() {
    assert(inside == 0 && !visited);
    assert(a + a_waits == b + b_waits);
    inside++
}

inline use_and_leave() {
    atomic { words!of_a; a_waits++ };
    atomic { words!of_b; b_waits++ };
    inside--;
    store_slot(found)
}

/* take_or(), and where that misses roster::enter(). What makes the local holds a lock, and is not interrupted. */
inline use_pool() {
    enter();
    if
    :: seen -> use_and_leave()
    :: else ->
        store_slot(found);
        if
        :: atomic {
                my_slot != head && !made -> empty(buffer); /* the lock */
                made = true;
                my_slot = head;
                slot = head;
                counted = true
            }
        :: else
        fi;
        do
        :: enter();
            if
            :: seen -> use_and_leave(); break
#ifndef LEFT_BEHIND
            :: !seen && found == no_local -> store_slot(head)
            :: !seen && found != no_local ->
#else
            :: !seen ->
#endif
                store_slot(found);
                if
                :: found == head -> shown /* wait_politely() */
                :: break                  /* past the cache */
                fi
            fi
        od
    fi
}

active proctype owner() provided (!handling) {
    byte found, uses;
    bool seen;
    do
    :: uses < 2 -> use_pool(); uses++
    :: uses == 2 -> break
    od;
    running--
}

active proctype handler() {
    byte found, times;
    bool seen;
    do
    :: times < 2 -> handling = true; use_pool(); atomic { handling = false; times++; found = 0; seen = false }
    :: break
    od;
    running--
}

active proctype visitor() {
    byte visits, store;
    bool outside;
    do
    :: visits < 2 && counted ->
        visits++;
#ifdef LOOK_FIRST
        outside = slot == head;
#endif
        stop_waits = true; /* stop() */
#ifndef NO_HEAVY
        atomic { if :: stop_waits -> shown = false; stop_waits = false :: else fi };
        atomic {
            do
            :: buffer?store -> apply(store)
            :: empty(buffer) -> break
            od;
            store = 0
        };
#endif
        do
        :: atomic {
#ifndef LOOK_FIRST
                outside = slot == head; /* occupied() */
#endif
                if :: outside -> assert(inside == 0 && a == b); visited = true :: else fi
            }
            if
            :: outside ->
#ifdef REOPEN_FIRST
                shown = true;
#endif
                a++;
                b++;
                visited = false;
                break
            :: else -> skip
            fi
        :: break /* passed over */
        od;
        atomic { !stop_waits -> shown = true } /* reopen() */
    :: break
    od;
    running--
}

active proctype last() {
    running == 0 && empty(buffer);
    assert(my_slot == head && slot == head && shown && inside == 0)
}

/* A thread slot and its local beyond the thread: two threads that have the slot one after the other, or that exit in a
 * signal handler which has interrupted them inside (src/base/thread_slots.cpp, adopt() and release_slot();
 * src/pool/roster.cpp, thread_exits() and abandon()), a visitor (roster.hpp, visit()), and a thread that forks
 * (roster.cpp, stop_all() and inherit()).
 *
 * Abstracted: as in pin.pml, whose owner, buffer and fence these are; the child is what the memory holds at the moment
 * of the fork, without what waits in a buffer; the local was made before.
 * Asserted: nobody finds the magazine half changed, and nobody comes in while another is there; the child takes over
 * no local that is half changed, and abandons none whose owner was seen outside; a slot that is adopted has a local
 * that is emptied, or none; nobody visits an abandoned one.
 *
 * gcc: -DNOREDUCE
 * mutation EXIT_UNLOCKED: thread_exits() does without the lock that visitors hold
 * mutation EXIT_UNASKED: thread_exits() empties a local that its thread is still inside of
 * mutation FREED_FIRST: release_slot() frees the slot before its locals are left
 * mutation FORK_NO_HEAVY: stop_all() does not make the heavy half of the fence
 * mutation FORK_UNASKED: inherit() takes a local over whose owner is inside
 * mutation FORK_LOOKS_LATE: inherit() goes by the slot alone, where an owner that is kept out may just have looked in
 */
#define no_local 0
#define head 1
#define closed 2

byte slot = head, my_slot = head;
bool shown = true;
byte a, b, a_waits, b_waits;
byte inside;
bool visited;
bool taken;           /* the slot has a thread */
bool abandoned;
bool visiting;        /* the lock */
bool stock;           /* private magazines have something */
byte running = 4;

#define of_a 3
#define of_b 4
chan buffer = [5] of { byte };

inline apply(store) {
    if
    :: store == of_a -> a++; a_waits--
    :: store == of_b -> b++; b_waits--
    :: else -> slot = store
    fi
}
inline drain() {
    do
    :: buffer?store -> apply(store)
    :: empty(buffer) -> break
    od;
    store = 0
}
inline lock() { atomic { !visiting -> visiting = true } }
inline unlock() { visiting = false }

active proctype memory() {
    byte store;
end:
    do
    :: atomic { buffer?store -> apply(store) }
    od
}

inline leave_slot() {
    /* thread_exits(); a lock empties the buffer */
#ifndef EXIT_UNLOCKED
    atomic { !visiting -> visiting = true; drain() };
#else
    atomic { drain() };
#endif
    if
#ifndef EXIT_UNASKED
    :: slot != head -> atomic { abandoned = true; inside = 0; my_slot = no_local; slot = no_local }
#endif
    :: else ->
        atomic { assert(!visited && a == b); visited = true };
        stock = false;
        visited = false
    fi;
#ifndef EXIT_UNLOCKED
    unlock()
#endif
}

active [2] proctype thread() {
    byte found, store, uses;
    bool seen;
    atomic { !taken -> taken = true; assert(abandoned || (!stock && my_slot == head)) };
    do
    :: uses < 2 ->
        uses++;
        found = my_slot;
        atomic { buffer!closed; my_slot = closed };
        atomic {
            seen = found == head && shown;
            if :: seen -> assert(inside == 0 && !visited && a + a_waits == b + b_waits); inside++ :: else fi
        };
        if
        :: seen ->
            atomic { buffer!of_a; a_waits++; stock = true };
            if
            :: atomic { buffer!of_b; b_waits++ }
            :: break /* exits in a signal handler */
            fi;
            inside--
        :: else
        fi;
        atomic { buffer!found; my_slot = found }
    :: break
    od;
#ifdef FREED_FIRST
    taken = false;
#endif
    leave_slot();
#ifndef FREED_FIRST
    taken = false;
#endif
    running--
}

active proctype visitor() {
    byte store;
    lock();
    if
    :: abandoned -> skip
    :: else ->
        shown = false;
        atomic { drain() }; /* heavy() */
        do
        :: atomic { slot == head -> assert(inside == 0 && !visited && a == b && !abandoned); visited = true };
            a++;
            b++;
            visited = false;
            break
        :: break /* passed over */
        od;
        shown = true
    fi;
    unlock();
    running--
}

active proctype forker() {
    byte store;
    bool was_inside = true;
    lock();
    shown = false; /* stop_all() */
#ifndef FORK_NO_HEAVY
    atomic { drain() };
#endif
    if
    :: atomic { slot == head -> was_inside = false }
    :: skip /* has waited long enough */
    fi;
    atomic { /* the child: inherit() */
        if
        :: abandoned -> skip
#ifndef FORK_UNASKED
#ifdef FORK_LOOKS_LATE
        :: !abandoned && slot != head -> assert(was_inside)
#else
        :: !abandoned && slot != head && was_inside -> skip /* abandons it */
#endif
#endif
        :: else -> assert(a == b && inside == 0) /* takes it over */
        fi
    };
    shown = true; /* reopen_all(), in the parent */
    unlock();
    running--
}

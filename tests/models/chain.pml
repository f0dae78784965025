/* A chain of src/cache/chain.hpp: one owner, two thieves. Each step is one atomic access of the chain's own.
 *
 * Abstracted: three rings of one, two and four slots (two, four, … in the code); a ring's push and pops are one step,
 * as dequeue.pml proves, and never busy.
 * Asserted: each value is popped once, by an owner who drains from the head or by a thief who does so from the tail; a
 * ring that is dropped is empty and stays so; no call goes on for ever.
 *
 * mutation NEXT_AFTER_POP: pop_tail() reads `next` after its pop and drops a ring that was pushed to meanwhile
 * mutation PUSH_TO_OLDER: push_head() pushes to an older ring that has room again
 * mutation UNLINKED: grow() makes the new ring the head before it is linked, and never links it
 * mutation REUSED: grow() links a dropped ring in again
 */
#define VALUES 5
#define RINGS 3
#define SIZE(r) (1 << ((r) - 1))
#define none 0

typedef ring {
    byte value[4]; /* the oldest first */
    byte count;
    byte next, previous;
    bool dropped
};
ring rings[RINGS + 1]; /* the first is none */
byte tail, newest;     /* newest: head_, the owner's */
byte made;
bool had[VALUES + 1];
byte thieves = 2;
bool owner_done, thieves_drain; /* who takes the last ones */

inline ring_push(r, v) {
    assert(!rings[r].dropped);
    rings[r].value[rings[r].count] = v;
    rings[r].count++
}
inline ring_pop_head(r) {
    d_step {
        v = 0;
        if
        :: rings[r].count > 0 ->
            rings[r].count--;
            v = rings[r].value[rings[r].count];
            rings[r].value[rings[r].count] = 0
        :: else
        fi;
        if :: v != 0 -> assert(!had[v]); had[v] = true :: else fi
    }
}
inline ring_pop_tail(r) {
    d_step {
        v = rings[r].value[0];
        if
        :: rings[r].count > 0 ->
            rings[r].count--;
            rings[r].value[0] = rings[r].value[1];
            rings[r].value[1] = rings[r].value[2];
            rings[r].value[2] = rings[r].value[3];
            rings[r].value[3] = 0;
            assert(v != 0 && !had[v]);
            had[v] = true
        :: else -> v = 0
        fi
    }
}

inline grow() {
    if
#ifdef REUSED
    :: made >= 2 && rings[1].dropped -> fresh = 1; rings[1].dropped = false; rings[1].next = none
#endif
    :: true -> made++; fresh = made
    fi;
    if
    :: newest == none -> tail = fresh; newest = fresh
    :: else ->
        rings[fresh].previous = newest;
#ifndef UNLINKED
        rings[newest].next = fresh;
#endif
        newest = fresh
    fi
}

inline push_head(value) {
    if
    :: newest == none || rings[newest].count == SIZE(newest) -> grow()
#ifdef PUSH_TO_OLDER
    :: newest > 1 && rings[newest].previous != none && rings[newest - 1].count < SIZE(newest - 1) ->
        ring_push(newest - 1, value);
        value++
#endif
    :: d_step { newest != none && rings[newest].count < SIZE(newest) -> ring_push(newest, value); value++ }
    fi
}

inline pop_head() {
    r = newest;
    v = 0;
    do
    :: r == none -> break
    :: else ->
        ring_pop_head(r);
        if :: v != 0 -> break :: else -> r = rings[r].previous fi
    od
}

inline pop_tail() {
    r = tail;
    v = 0;
    do
    :: r == none -> break
    :: else ->
#ifndef NEXT_AFTER_POP
        next = rings[r].next;
#endif
        ring_pop_tail(r);
        if :: v != 0 -> break :: else fi;
#ifdef NEXT_AFTER_POP
        next = rings[r].next;
#endif
        if :: next == none -> break :: else fi;
        atomic {
            if
            :: tail == r -> tail = next; won = true; rings[r].dropped = true; assert(rings[r].count == 0)
            :: else -> won = false
            fi
        }
        if :: won -> rings[next].previous = none :: else fi;
        r = next
    od
}

proctype owner() {
    byte r, v, fresh, value = 1;
    do
    :: value <= VALUES && !(newest == RINGS && rings[newest].count == SIZE(newest)) -> push_head(value)
    :: value > 1 ->
        pop_head();
        if :: v == 0 && value > VALUES && (thieves == 0 || thieves_drain) -> break :: else fi
    :: value > VALUES && thieves_drain -> break
    od;
    owner_done = true;
    thieves == 0;
    atomic {
        v = 1;
        do :: v <= VALUES -> assert(had[v]); v++ :: else -> break od
    }
}

proctype thief() {
    byte r, v, next;
    bool won, last;
    do
    :: last = owner_done; pop_tail(); if :: last && v == 0 -> break :: else fi
    :: !thieves_drain -> break
    od;
    thieves--
}

init {
    atomic {
        if :: thieves_drain = true :: skip fi;
        run owner(); run thief(); run thief()
    }
}

/* A word of src/cache/hint.hpp and what it speaks of, for one size class: two locals that share a bit, of which the
 * second joins meanwhile (src/pool/roster.cpp, add()); their chains and which of them is young (src/cache/local.hpp);
 * a visitor who rotates them once (src/cache/bin.cpp); and a thief (src/cache/steal.hpp), or two and no second local.
 *
 * Abstracted: a chain is how many magazines it holds, and its push and pop are one step (chain.pml); an owner and the
 * visitor keep each other out by a lock (pin.pml); all is sequentially consistent, as the orders in the code say.
 * Young and old are searched apart, as their bits and thieves are.
 * Asserted: when all is still, the bit of a generation is set if a local has something of it.
 *
 * mutation LOOK_THEN_CLEAR: lower() looks again before it has cleared the bit
 * mutation NO_SECOND_LOOK: lower() clears the bit and does not look again
 * mutation RAISE_FIRST: the owner raises its bit before it pushes, or reads the bit early
 * mutation FLIP_LAST: rotate() raises the old bit before the flip
 * mutation NO_OLD_RAISE: rotate() does not raise the old bit
 * mutation COUNT_ONCE: the second look asks only the locals that the first one knew of
 * mutation JOIN_LATE: a local is counted only after it has pushed
 * mutation STALE_YOUNG: the second look takes which chain is young from the first one
 */
#define young 0
#define old 1
#define TICKS 1
#define MAGAZINES 1 /* that each owner pushes */

typedef pair { byte has[2] }
pair chains[2];      /* of each local: how many magazines are in its two chains */
byte is_young[2];    /* of each local: which chain is young */
bool raised;         /* the bit that the two locals share, of the one generation that is looked at */
bit looked_at;       /* which one */
byte locals = 1;
bool pinned[2];
byte running = 4;

#define chain_of(n, g) chains[n].has[is_young[n] ^ (g)]

inline raise(g) {
    if
    :: g != looked_at || raised -> skip
    :: else -> raised = true
    fi
}

proctype owner(bit me) {
    byte pushed;
    if
#ifndef JOIN_LATE
    :: me == 1 -> locals = 2
#endif
    :: else
    fi;
    do
    :: pushed < MAGAZINES ->
#ifdef RAISE_FIRST
        atomic { !pinned[me] -> pinned[me] = true };
        raise(young);
        chain_of(me, young)++;
#else
        atomic { !pinned[me] -> pinned[me] = true; chain_of(me, young)++ };
        raise(young);
#endif
        atomic { pushed++; pinned[me] = false }
    :: pushed == MAGAZINES -> break
    od;
    locals = 2;
    running--
}

proctype visitor() {
    byte n, ticks;
    bool private = true;
    do
    :: ticks < TICKS ->
        n = 0;
        do
        :: n < locals ->
            atomic { !pinned[n] -> pinned[n] = true }
            do
            :: atomic { chain_of(n, old) > 0 -> chain_of(n, old)-- } /* sent down */
            :: chain_of(n, old) == 0 -> break
            od;
            /* A private magazine, which is not offered as young. */
            if :: private -> chain_of(n, young)++; private = false :: skip fi;
#ifdef FLIP_LAST
            if :: chain_of(n, young) > 0 -> raise(old) :: else fi;
            is_young[n] = 1 - is_young[n];
#else
            is_young[n] = 1 - is_young[n];
#ifndef NO_OLD_RAISE
            if :: chain_of(n, old) > 0 -> raise(old) :: else fi;
#endif
#endif
            pinned[n] = false;
            n++
        :: else -> break
        od;
        ticks++
    :: ticks == TICKS -> break
    od;
    running--
}

proctype thief() {
    byte n, count, times;
    bit g = looked_at;
    bit seen[2];
    bool some_left;
    do
    :: times < 1 && raised ->
        times++;
        count = locals;
        n = 0;
        do
        :: n < count ->
            seen[n] = is_young[n]; /* take() */
            if
            :: atomic { chains[n].has[seen[n] ^ g] > 0 -> chains[n].has[seen[n] ^ g]-- } goto stolen
            :: chains[n].has[seen[n] ^ g] == 0 -> n++
            fi
        :: else -> break
        od;
#ifndef LOOK_THEN_CLEAR
        raised = false;
#endif
#ifndef COUNT_ONCE
        count = locals;
#endif
        n = 0;
        some_left = false;
#ifndef NO_SECOND_LOOK
        do
        :: n < count && !some_left ->
#ifndef STALE_YOUNG
            seen[n] = is_young[n]; /* has() */
#endif
            some_left = chains[n].has[seen[n] ^ g] > 0;
            n++
        :: else -> break
        od;
#endif
#ifdef LOOK_THEN_CLEAR
        raised = false;
#endif
        if :: some_left -> raised = true :: else fi;
stolen: atomic { seen[0] = 0; seen[1] = 0 }
    :: break
    od;
    running--
}

init {
    atomic {
        /* Of the old generation there may be what a tick before has left. */
        if :: looked_at = young :: looked_at = old; chains[0].has[1] = 1; raised = true fi;
        run owner(0); run visitor(); run thief();
        if :: run owner(1) :: run thief() fi
    }
    running == 0;
    assert(raised || (chain_of(0, looked_at) == 0 && chain_of(1, looked_at) == 0))
}

/* What is on its way down: two threads that tick (src/pool/tick.cpp, age()), two that hand down and finish
 * (src/cache/outgoing.hpp, send() and receive(); src/pool/upkeep.cpp, hand_down(), finish_if_done() and end_tick()),
 * and one that waits for those in wait_for_others(), in their two groups.
 *
 * Abstracted: one size class, a block a magazine, two magazines; taking from the list is one step, as its lock says;
 * what waits is in the list only, not among the source's expired spans, which are counted and handed down alike.
 * Asserted: no sum misses a magazine; what was in hand when the waiting began is through when it ends; when all is
 * still and something waits, a tick is unfinished, so that somebody is sure to hand it down, and what is counted is
 * there.
 *
 * mutation COUNT_LATE: send() counts after the magazine is in the list
 * mutation COUNT_OFF_EARLY: receive() counts off before the blocks are with the source
 * mutation JOIN_LATE: hand_down() joins a group after it has taken from the list
 * mutation ONE_GROUP_SEEN: wait_for_others() is content with one group
 * mutation NO_LOOK_AGAIN: finish_if_done() does not look again after it has cleared the flag
 * mutation LOOK_FIRST: the second look comes before the flag is cleared
 */
#define MAGAZINES 2

byte list, counted, in_hand; /* magazines: waiting, counted, and taken and not yet with the source */
byte under_way[2];           /* calls of hand_down(), by group */
bit joined;
bool unfinished;
bool taken_before[2], waiting; /* for the assertion: who has had something in hand since before the waiting */
byte running = 5;

inline check_sum() { assert(counted >= list + in_hand) }

proctype ticker() {
#ifdef COUNT_LATE
    atomic { list++; check_sum() };
    counted++;
#else
    counted++;
    atomic { list++; check_sum() };
#endif
    unfinished = true; /* begin_tick() */
    running--
}

proctype hander(bit me) {
    bit group;
    bool took;
    if
    :: counted == 0 -> skip
    :: else ->
        group = joined;
#ifndef JOIN_LATE
        under_way[group]++;
#endif
        do
        :: atomic {
                took = list > 0;
                if :: took -> list--; in_hand++; taken_before[me] = !waiting :: else fi
            }
            if :: !took -> break :: else fi;
#ifdef JOIN_LATE
            under_way[group]++;
#endif
#ifdef COUNT_OFF_EARLY
            atomic { counted--; check_sum() };
            atomic { in_hand--; taken_before[me] = false };
#else
            atomic { in_hand--; taken_before[me] = false }; /* give() */
            atomic { counted--; check_sum() };
#endif
#ifdef JOIN_LATE
            under_way[group]--;
#endif
        od;
#ifndef JOIN_LATE
        under_way[group]--
#endif
    fi;
    /* finish_if_done() */
    if
    :: !unfinished -> skip
    :: else ->
        if
        :: counted > 0 -> skip
        :: else ->
#ifdef LOOK_FIRST
            if
            :: counted > 0 -> skip
            :: else -> unfinished = false
            fi
#else
            unfinished = false;
#ifndef NO_LOOK_AGAIN
            if :: counted > 0 -> unfinished = true :: else fi
#endif
#endif
        fi
    fi;
    running--
}

proctype waiter() {
    bool through[2];
    bit g;
    waiting = true;
    do
    :: if :: under_way[0] == 0 -> through[0] = true :: else fi;
        if :: under_way[1] == 0 -> through[1] = true :: else fi;
#ifdef ONE_GROUP_SEEN
        if :: through[0] || through[1] -> break :: else fi;
#else
        if :: through[0] && through[1] -> break :: else fi;
#endif
        if :: through[0] -> joined = 0 :: else fi;
        if :: through[1] -> joined = 1 :: else fi
    od;
    assert(!taken_before[0] && !taken_before[1]);
    running--
}

init {
    atomic {
        if :: joined = 0 :: joined = 1 fi;
        run ticker(); run ticker(); run hander(0); run hander(1); run waiter()
    }
    running == 0;
    assert(counted == list && in_hand == 0 && under_way[0] == 0 && under_way[1] == 0);
    assert(list == 0 || unfinished)
}

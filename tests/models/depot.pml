/* What the depot has lent (src/cache/depot.hpp, lend() and repay()) and what locals have borrowed (src/cache/local.hpp,
 * may_chain() and repay()): two owners. Each may be gone between any two steps, by a thread's exit in a signal handler
 * or in a forked child, and whoever finds its local repays what that says it has borrowed (src/pool/roster.cpp,
 * abandon()).
 *
 * Abstracted: bytes are three steps of borrowing; what a chain holds comes and goes as the owner pleases.
 * Asserted: after each step what is lent is at least what is borrowed, so nobody ever repays what was not lent; when
 * all is still both are the same and within the bound.
 *
 * mutation NOTED_LATE: repay() tells the depot before the local, which, abandoned in between, repays twice
 * mutation NOTED_EARLY: may_chain() notes what the depot has not lent yet
 * mutation NOT_TAKEN_BACK: lend() does not take back what is too much
 * mutation UNCHECKED: lend() trusts its first look and adds
 * mutation LOST: lend() adds with a load and a store
 */
#define MAX 3

short lent;
byte borrowed[2];
byte running = 2;

#define check_books() assert(lent >= borrowed[0] + borrowed[1])

inline lend() {
    if
    :: lent + more > MAX -> given = false
    :: else ->
#ifdef LOST
        sum = lent + more;
        atomic { lent = sum; check_books() };
#else
        atomic { lent = lent + more; sum = lent }; /* fetch_add() */
#endif
        given = true;
#ifndef UNCHECKED
        if
        :: sum > MAX ->
            given = false;
#ifndef NOT_TAKEN_BACK
            atomic { lent = lent - more; check_books() }
#endif
        :: else
        fi
#endif
    fi
}

active [2] proctype owner() {
    bit me = _pid;
    byte more, times;
    short sum;
    bool given;
    do
    :: times < 3 -> /* may_chain() */
        times++;
        if :: more = 1 :: more = 2 fi;
#ifdef NOTED_EARLY
        atomic { borrowed[me] = borrowed[me] + more; check_books() };
        lend();
        if :: !given -> borrowed[me] = borrowed[me] - more :: else fi
#else
        lend();
        if :: given -> atomic { borrowed[me] = borrowed[me] + more; check_books() } :: else fi
#endif
    :: borrowed[me] > 0 -> /* repay() */
        if :: more = 1 :: more = borrowed[me] fi;
#ifdef NOTED_LATE
        atomic { lent = lent - more; check_books() };
        borrowed[me] = borrowed[me] - more
#else
        borrowed[me] = borrowed[me] - more;
        atomic { lent = lent - more; check_books() }
#endif
    :: times == 3 -> break
    od;
    running--;
    running == 0;
    assert(lent == borrowed[0] + borrowed[1] && lent <= MAX)
}

/* Pages of regions (src/source/region.hpp, region_set.hpp, span_regions.hpp): two threads that take and give pages and
 * map a region where there is none, two that empty what has expired outside of the lock, of which one ages and returns
 * the reserve as well, and one that forks.
 *
 * Abstracted: two regions of two pages, which are mapped and unmapped again; what is done under `lock_` is one step; a
 * neighbourhood is a page, or both of a region.
 * Asserted: a page has one user, in a mapped region, and is not emptied meanwhile; one that is said to be empty holds
 * nothing; at most one region is all empty, the reserve; no page is being emptied in a forked child.
 *
 * mutation NOT_USED: pages are not marked as used while they are emptied
 * mutation GIVEN_FIRST: pages are given back as empty before they are
 * mutation UNMAPPED_FIRST: a region is unmapped before it is taken out of the set
 * mutation RESERVE_KEPT: the reserve stays the reserve when something is taken from it
 * mutation STAINED_LATE: take() looks whether a page may hold something after it has been marked as used
 * mutation FORK_WHILE_EMPTYING: a fork does not wait for who empties
 */
#define PAGES 4
#define region_of(p) ((p) / 2)
#define other(p) ((p) ^ 1)
#define empty 0
#define idle 1
#define expired 2
#define nowhere 255

bool used[PAGES], dirty[PAGES], emptied[PAGES]; /* emptied: just now */
byte kind[PAGES];                               /* of pages that are not used */
byte user[PAGES];
bool mapped[2], listed[2];
byte reserve = nowhere;
bool emptying;
byte running = 5;

#define all_empty(r) (!used[2 * (r)] && !used[2 * (r) + 1] && kind[2 * (r)] == empty && kind[2 * (r) + 1] == empty)
#define clean(p) (used[p] || kind[p] != empty || !listed[region_of(p)] || !dirty[p])
#define right(r) (!listed[r] || (mapped[r] && all_empty(r) == (reserve == (r))))

/* What region_set::check() does, whenever the lock is free. */
inline check_set() { assert(clean(0) && clean(1) && clean(2) && clean(3) && right(0) && right(1)) }

inline mark(p) {
    used[p] = true;
#ifdef STAINED_LATE
    kind[p] = empty;
    stained = kind[p] != empty;
#else
    stained = kind[p] != empty;
    kind[p] = empty;
#endif
#ifndef RESERVE_KEPT
    if :: reserve == region_of(p) -> reserve = nowhere :: else fi
#endif
}

inline take() {
    if
    :: listed[0] && !used[0] -> p = 0
    :: listed[0] && used[0] && !used[1] -> p = 1
    :: listed[1] && (!listed[0] || (used[0] && used[1])) && !used[2] -> p = 2
    :: listed[1] && (!listed[0] || (used[0] && used[1])) && used[2] && !used[3] -> p = 3
    :: else -> p = nowhere
    fi;
    if
    :: p != nowhere -> mark(p); user[p] = _pid + 1
    :: else
    fi
}

proctype thread(byte most) {
    byte p, r, times;
    bool stained;
    do
    :: times < most ->
        times++;
        atomic { take(); check_set() };
        if
        :: p != nowhere -> skip
        :: else -> /* find_room() */
            atomic { if :: !mapped[0] -> r = 0 :: mapped[0] && !mapped[1] -> r = 1 :: else -> r = nowhere fi;
                if :: r != nowhere -> mapped[r] = true; dirty[2 * r] = false; dirty[2 * r + 1] = false :: else fi };
            if
            :: r == nowhere -> break
            :: else -> skip
            fi;
            atomic {
                do
                :: take(); /* another thread may have made room meanwhile */
                    if :: p != nowhere -> break :: else -> listed[r] = true; r = nowhere fi
                od;
                check_set()
            };
            if :: r != nowhere -> atomic { assert(!listed[r]); mapped[r] = false } :: else fi
        fi;
        atomic { assert(mapped[region_of(p)] && !emptied[p] && (stained || !dirty[p])); dirty[p] = true };
        atomic { assert(user[p] == _pid + 1 && mapped[region_of(p)] && !emptied[p] && dirty[p]); user[p] = 0 };
        atomic {
            used[p] = false;
            if :: kind[p] = idle :: kind[p] = expired fi;
            check_set()
        }
    :: times > 0 -> break
    od;
    running--
}

/* return_neighbourhood() */
inline return_neighbourhood() {
    atomic { !emptying -> emptying = true };
    atomic {
        stained = false;
        second = nowhere;
        if
        :: listed[0] && kind[0] == expired -> p = 0
        :: listed[0] && kind[0] != expired && kind[1] == expired -> p = 1
        :: !(listed[0] && (kind[0] == expired || kind[1] == expired)) && listed[1] && kind[2] == expired -> p = 2
        :: !(listed[0] && (kind[0] == expired || kind[1] == expired)) && listed[1] && kind[2] != expired &&
            kind[3] == expired -> p = 3
        :: else -> p = nowhere
        fi;
        if
        :: p != nowhere ->
            if :: p % 2 == 0 && kind[p + 1] == expired -> second = p + 1 :: else fi;
#ifndef NOT_USED
            mark(p);
            if :: second != nowhere -> mark(second) :: else fi
#endif
        :: else
        fi;
        check_set()
    };
    if
    :: p == nowhere -> emptying = false
    :: else ->
#ifdef GIVEN_FIRST
        give_emptied();
        empty_pages();
#else
        empty_pages();
        give_emptied();
#endif
        emptying = false;
        if
        :: gone != nowhere ->
            atomic { mapped[gone] = false; assert(user[2 * gone] == 0 && user[2 * gone + 1] == 0) }
#ifdef UNMAPPED_FIRST
            listed[gone] = false
#endif
        :: else
        fi
    fi
}

inline empty_pages() {
    atomic { emptied[p] = true; if :: second != nowhere -> emptied[second] = true :: else fi };
    atomic {
        assert(mapped[region_of(p)] && user[p] == 0);
        dirty[p] = false;
        emptied[p] = false;
        if :: second != nowhere -> dirty[second] = false; emptied[second] = false :: else fi
    }
}

inline give_emptied() {
    atomic {
        used[p] = false;
        kind[p] = empty;
        if :: second != nowhere -> used[second] = false; kind[second] = empty :: else fi;
        gone = nowhere;
        if
        :: all_empty(region_of(p)) && reserve == nowhere -> reserve = region_of(p)
        :: all_empty(region_of(p)) && reserve != nowhere ->
            gone = region_of(p);
#ifndef UNMAPPED_FIRST
            listed[gone] = false
#endif
        :: else
        fi;
#ifndef UNMAPPED_FIRST
        check_set()
#endif
    }
}

proctype deallocator() {
    byte p, second, gone, times;
    bool stained;
    do
    :: times < 1 -> times++; return_neighbourhood()
    :: times > 0 -> break
    od;
    running--
}

proctype purger() {
    byte p, second, gone, times;
    bool stained;
    do
    :: times < 1 ->
        times++;
        atomic { /* age(true) */
            p = 0;
            do
            :: p < PAGES -> if :: kind[p] == idle -> kind[p] = expired :: else fi; p++
            :: else -> break
            od
        };
        return_neighbourhood();
        atomic { /* return_reserve() */
            gone = reserve;
            if :: gone != nowhere -> listed[gone] = false; reserve = nowhere :: else fi
        };
        if
        :: gone != nowhere -> atomic { mapped[gone] = false; assert(user[2 * gone] == 0 && user[2 * gone + 1] == 0) }
        :: else
        fi
    :: times > 0 -> break
    od;
    running--
}

proctype forker() {
#ifndef FORK_WHILE_EMPTYING
    atomic { !emptying -> emptying = true };
#endif
    assert(!emptied[0] && !emptied[1] && !emptied[2] && !emptied[3]);
#ifndef FORK_WHILE_EMPTYING
    emptying = false;
#endif
    running--
}

init {
    atomic {
        if
        :: skip /* nothing is mapped */
        :: mapped[0] = true; mapped[1] = true; listed[0] = true; listed[1] = true;
            kind[0] = expired; dirty[0] = true;
            reserve = 1
        fi;
        run thread(1); run thread(2); run deallocator(); run purger(); run forker()
    }
}

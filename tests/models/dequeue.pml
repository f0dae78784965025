/* A ring of src/cache/dequeue.hpp: one owner, two thieves, each step one atomic access of the code.
 *
 * Abstracted: two slots; ends that count modulo 4, so that they wrap several times and equal words come again; the
 * accesses are sequentially consistent; a magazine is a number, which is pushed once.
 * Asserted: each value is popped once, and none of them is null; at the end the free slots are null; nobody waits for
 * ever.
 *
 * mutation NO_BUSY: push_head() does not look whether the thief before has cleared the slot
 * mutation CLEAR_FIRST: pop_tail() clears the slot before it has read it
 * mutation VALUE_FIRST: pop_tail() reads the slot before its exchange decides
 * mutation PLAIN_HEAD: pop_head() stores the ends instead of exchanging them
 * mutation CARRY: pop_tail() adds one to the whole word, and a tail that wraps moves the head
 * mutation NARROW: ends count modulo the size, so that a full ring looks empty
 * mutation KEEP_SLOT: pop_head() does not clear the slot
 */
#define VALUES 6
#define SIZE 2
#ifdef NARROW
#define COUNTS SIZE
#else
#define COUNTS 4 /* 2^32 */
#endif

#define head_of(e) ((e) / COUNTS)
#define tail_of(e) ((e) % COUNTS)
#define pack(h, t) (((h) % COUNTS) * COUNTS + (t) % COUNTS)
#define minus(a, b) (((a) + COUNTS - (b)) % COUNTS)

byte ends = pack(COUNTS - 1, COUNTS - 1);
byte slots[SIZE];
bool had[VALUES + 1];
byte thieves = 2;

inline take(value) {
    d_step { assert(value != 0 && !had[value]); had[value] = true; }
}

/* The owner alone moves the head: a stale tail makes the ring look fuller than it is. */
inline push_head(value) {
    e = ends;
    if
    :: minus(head_of(e), tail_of(e)) == SIZE -> skip; /* full */
    :: else ->
        at = head_of(e) % SIZE;
        if
#ifndef NO_BUSY
        :: slots[at] != 0 -> skip; /* busy */
#endif
        :: else ->
            slots[at] = value;
            d_step { ends = pack(head_of(ends) + 1, tail_of(ends)); value++ }
        fi
    fi
}

inline pop_head() {
    e = ends;
    do
    :: head_of(e) == tail_of(e) -> v = 0; break
    :: else ->
        atomic {
            if
#ifdef PLAIN_HEAD
            :: true ->
#else
            :: ends == e ->
#endif
                ends = pack(head_of(e) + COUNTS - 1, tail_of(e)); at = minus(head_of(e), 1) % SIZE; v = 1
            :: else -> e = ends; v = 0
            fi
        }
        if
        :: v != 0 ->
            v = slots[at];
#ifndef KEEP_SLOT
            slots[at] = 0;
#endif
            take(v);
            break
        :: else
        fi
    od
}

inline pop_tail() {
    e = ends;
    do
    :: head_of(e) == tail_of(e) -> break
    :: else ->
#ifdef VALUE_FIRST
        v = slots[tail_of(e) % SIZE];
#endif
        atomic {
            if
            :: ends == e ->
#ifdef CARRY
                ends = (e + 1) % (COUNTS * COUNTS);
#else
                ends = pack(head_of(e), tail_of(e) + 1);
#endif
                won = true
            :: else -> e = ends; won = false
            fi
        }
        if
        :: won ->
#ifdef CLEAR_FIRST
            slots[tail_of(e) % SIZE] = 0;
#endif
#ifndef VALUE_FIRST
            v = slots[tail_of(e) % SIZE];
#endif
            slots[tail_of(e) % SIZE] = 0;
            take(v);
            break
        :: else
        fi
    od
}

active proctype owner() {
    byte e, at, v, next = 1;
    do
    :: next <= VALUES -> push_head(next)
    :: next > 1 ->
        pop_head();
        if :: v == 0 && next > VALUES && thieves == 0 -> break :: else fi
    od;
    atomic {
        v = 1;
        do :: v <= VALUES -> assert(had[v]); v++ :: else -> break od;
        assert(slots[0] == 0 && slots[1] == 0)
    }
}

active [2] proctype thief() {
    byte e, v;
    bool won;
    do
    :: pop_tail()
    :: break
    od;
    thieves--
}

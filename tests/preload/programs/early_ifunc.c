/* The resolver of an IFUNC allocates, before thread-local variables have their values. To be run with LD_BIND_NOW. */
#include <stdlib.h>

static int seven(void) { return 7; }
static int six(void) { return 6; }

static int (*resolve(void))(void) {
    char* small = malloc(100);
    char* large = malloc(100000);
    const int served = small && large && small != large;
    if (served) small[99] = large[99999] = 1;
    free(small);
    free(large);
    return served ? seven : six;
}

int resolved(void) __attribute__((ifunc("resolve")));

int main(void) {
    char* p = malloc(100);
    free(p);
    return resolved() == 7 && p ? 0 : 1;
}

// pthread_atfork() as the private copy of jemalloc calls it. Whoever defines it himself, as the malloc shim does, does
// without this file of the archive.
#include <pthread.h>

extern "C" int tidepool_je_atfork(void (*before)(), void (*in_parent)(), void (*in_child)()) {
    return ::pthread_atfork(before, in_parent, in_child);
}

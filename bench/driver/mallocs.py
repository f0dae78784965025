"""Which mallocs are measured against each other: shared libraries that replace a program's own by LD_PRELOAD."""

import os

from processes import BUILD, program, run

SHIM = "tidepool"  # the one that their ratios refer to

# libc is preloaded, too: a program linked to another malloc gets libc's only so (Debian's redis-server is linked to
# jemalloc), and for the others the start costs all contestants the same.
LIBRARIES = {
    SHIM: os.path.join(BUILD, "lib", "libtidepool_malloc.so"),
    "libc": "libc.so.6",
    "mimalloc": "libmimalloc.so.2",
    "jemalloc": "libjemalloc.so.2",
    "tcmalloc": "libtcmalloc_minimal.so.4",
}

PACKAGES = {"mimalloc": "libmimalloc2.0", "jemalloc": "libjemalloc2", "tcmalloc": "libtcmalloc-minimal4", "libc": "libc6"}


def those_there(session, names):
    """Those that the loader finds. It goes on without what it cannot preload, so a program is asked where its malloc
    comes from."""
    there = []
    for name in names:
        library = LIBRARIES[name]
        if os.path.isabs(library) and not os.path.exists(library):
            session.miss(name, f"there is no {library}")
            continue
        found = run([program("tidepool-malloc-bench"), "--whose"], library).output.strip()
        # The library may be known by a shorter name than that of its file.
        if os.path.basename(found).startswith(os.path.basename(library)):
            there.append(name)
        else:
            session.miss(name, f"{library} could not be preloaded, it comes with {PACKAGES.get(name, 'this build')}")
    return there

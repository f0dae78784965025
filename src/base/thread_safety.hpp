// clang's thread-safety analysis: which lock guards what, as the compiler can check it. Nothing for other compilers.
//
// A field says TIDEPOOL_GUARDED_BY(its lock), a function that is called under a lock TIDEPOOL_REQUIRES(the lock). The
// clang build takes every violation for an error.
#pragma once

#if defined(__clang__)
#define TIDEPOOL_THREAD_SAFETY(...) __attribute__((__VA_ARGS__))
#else
#define TIDEPOOL_THREAD_SAFETY(...)
#endif

// Of classes: a lock, named in messages; an object that holds a lock while it lives.
#define TIDEPOOL_CAPABILITY(name) TIDEPOOL_THREAD_SAFETY(capability(name))
#define TIDEPOOL_SCOPED_CAPABILITY TIDEPOOL_THREAD_SAFETY(scoped_lockable)

// Of fields: read and written under the lock only; or what they point to is.
#define TIDEPOOL_GUARDED_BY(lock) TIDEPOOL_THREAD_SAFETY(guarded_by(lock))
#define TIDEPOOL_PT_GUARDED_BY(lock) TIDEPOOL_THREAD_SAFETY(pt_guarded_by(lock))

// Of functions: called under the locks; called without them.
#define TIDEPOOL_REQUIRES(...) TIDEPOOL_THREAD_SAFETY(requires_capability(__VA_ARGS__))
#define TIDEPOOL_EXCLUDES(...) TIDEPOOL_THREAD_SAFETY(locks_excluded(__VA_ARGS__))

// Of functions: take the locks and return with them; release them; take them if the result is the first argument; know
// that they are held; return a reference to one.
#define TIDEPOOL_ACQUIRE(...) TIDEPOOL_THREAD_SAFETY(acquire_capability(__VA_ARGS__))
#define TIDEPOOL_RELEASE(...) TIDEPOOL_THREAD_SAFETY(release_capability(__VA_ARGS__))
#define TIDEPOOL_TRY_ACQUIRE(...) TIDEPOOL_THREAD_SAFETY(try_acquire_capability(__VA_ARGS__))
#define TIDEPOOL_ASSERT_CAPABILITY(...) TIDEPOOL_THREAD_SAFETY(assert_capability(__VA_ARGS__))
#define TIDEPOOL_RETURN_CAPABILITY(lock) TIDEPOOL_THREAD_SAFETY(lock_returned(lock))

// Of functions that do what the analysis cannot follow. Says why beside it.
#define TIDEPOOL_NO_THREAD_SAFETY_ANALYSIS TIDEPOOL_THREAD_SAFETY(no_thread_safety_analysis)

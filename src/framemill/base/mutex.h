#pragma once

#include <condition_variable>
#include <mutex>

// Clang's thread-safety attributes (-Wthread-safety); other compilers see nothing.
#if defined(__clang__)
#define FRAMEMILL_TSA(x) __attribute__((x))
#else
#define FRAMEMILL_TSA(x)
#endif
#define GUARDED_BY(m) FRAMEMILL_TSA(guarded_by(m))
#define REQUIRES(...) FRAMEMILL_TSA(requires_capability(__VA_ARGS__))
#define EXCLUDES(...) FRAMEMILL_TSA(locks_excluded(__VA_ARGS__))

namespace framemill {

/// std::mutex which clang can check the users of.
class FRAMEMILL_TSA(capability("mutex")) Mutex {
 public:
  void lock() FRAMEMILL_TSA(acquire_capability()) { mu_.lock(); }
  void unlock() FRAMEMILL_TSA(release_capability()) { mu_.unlock(); }

 private:
  std::mutex mu_;
};

/// Holds a Mutex for a scope.
class FRAMEMILL_TSA(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mu) FRAMEMILL_TSA(acquire_capability(mu)) : mu_(mu) { mu_.lock(); }
  ~MutexLock() FRAMEMILL_TSA(release_capability()) { mu_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mu_;
};

/// Condition variable for a Mutex; wait() needs it held.
using CondVar = std::condition_variable_any;

}  // namespace framemill

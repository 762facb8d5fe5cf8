#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "framemill/base/mutex.h"

namespace framemill {

/// The threads on which a session computes: as many inferences run at once as there are threads. A
/// job may ask for one thread: a CUDA graph belongs to the thread that captured it. Requests on a
/// processor share those of their model, on a graphics device each session has one.
/// Thread-safety: submit() and remove() from any thread.
class RunThreads {
 public:
  static constexpr std::size_t kAnyThread = static_cast<std::size_t>(-1);

  /// `count` >= 1.
  explicit RunThreads(std::size_t count);
  RunThreads(const RunThreads&) = delete;
  /// Jobs that wait must have been removed before. Not from one of its own threads.
  ~RunThreads();

  [[nodiscard]] std::size_t count() const { return count_; }

  /// Queues `job`, which must not throw, under the name `owner`. No bound is needed: an owner has
  /// one job at a time.
  void submit(const void* owner, std::size_t thread, std::function<void()> job) EXCLUDES(mu_);

  /// Takes the owner's job out of the queue. False if there is none: it runs, has run or never was.
  bool remove(const void* owner) EXCLUDES(mu_);

 private:
  struct Job {
    const void* owner = nullptr;
    std::size_t thread = kAnyThread;
    std::function<void()> run;
  };
  void work(std::size_t thread) EXCLUDES(mu_);

  const std::size_t count_;
  Mutex mu_;
  CondVar changed_;
  std::deque<Job> jobs_ GUARDED_BY(mu_);
  bool is_stopping_ GUARDED_BY(mu_) = false;
  std::vector<std::jthread> threads_;  // last: ends before what it uses
};

}  // namespace framemill

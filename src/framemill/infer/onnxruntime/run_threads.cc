#include "framemill/infer/onnxruntime/run_threads.h"

#include <algorithm>
#include <utility>

#include "framemill/base/check.h"
#include "framemill/base/thread_name.h"

namespace framemill {

RunThreads::RunThreads(std::size_t count) : count_(count) {
  CHECK(count >= 1);
  for (std::size_t i = 0; i < count; ++i) threads_.emplace_back([this, i] { work(i); });
}

RunThreads::~RunThreads() {
  {
    const MutexLock lock(mu_);
    is_stopping_ = true;
  }
  changed_.notify_all();
}

void RunThreads::submit(const void* owner, std::size_t thread, std::function<void()> job) {
  CHECK(thread == kAnyThread || thread < count_);
  {
    const MutexLock lock(mu_);
    jobs_.push_back({owner, thread, std::move(job)});
  }
  changed_.notify_all();
}

bool RunThreads::remove(const void* owner) {
  Job removed;  // freed outside the lock
  const MutexLock lock(mu_);
  const auto found = std::ranges::find(jobs_, owner, &Job::owner);
  if (found == jobs_.end()) return false;
  removed = std::move(*found);
  jobs_.erase(found);
  return true;
}

void RunThreads::work(std::size_t thread) {
  name_this_thread("infer");
  for (;;) {
    Job job;
    {
      const MutexLock lock(mu_);
      const auto is_mine = [thread](const Job& waiting) {
        return waiting.thread == kAnyThread || waiting.thread == thread;
      };
      auto found = std::ranges::find_if(jobs_, is_mine);
      while (found == jobs_.end()) {
        if (is_stopping_) return;
        changed_.wait(mu_);
        found = std::ranges::find_if(jobs_, is_mine);
      }
      job = std::move(*found);
      jobs_.erase(found);
    }
    job.run();
  }
}

}  // namespace framemill

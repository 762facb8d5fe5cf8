#pragma once

#include "framemill/base/clock.h"

namespace framemill {

/// CPU time that the calling thread has used so far; only differences mean something. About 0.2 us.
[[nodiscard]] Duration thread_cpu_time();

/// Adds the thread's CPU time between its beginning and end to a sum.
class CpuSpan {
 public:
  explicit CpuSpan(Duration& sum) : sum_(sum), begin_(thread_cpu_time()) {}
  ~CpuSpan() { sum_ += thread_cpu_time() - begin_; }
  CpuSpan(const CpuSpan&) = delete;
  CpuSpan& operator=(const CpuSpan&) = delete;

 private:
  Duration& sum_;
  const Duration begin_;
};

}  // namespace framemill

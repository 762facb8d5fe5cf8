#pragma once

#include <cstddef>
#include <deque>
#include <utility>

#include "framemill/base/check.h"
#include "framemill/base/mutex.h"

namespace framemill {

/// A list that only grows while others read it: an element keeps its place and its address for
/// ever. Guards the list, not what its elements hold. Thread-safety: all members, any thread.
template <typename T>
class GrowingList {
 public:
  GrowingList() = default;
  GrowingList(const GrowingList&) = delete;
  GrowingList& operator=(const GrowingList&) = delete;

  /// Returns the place of `item`.
  std::size_t append(T item) EXCLUDES(mu_) {
    const MutexLock lock(mu_);
    items_.push_back(std::move(item));
    return items_.size() - 1;
  }
  [[nodiscard]] std::size_t size() const EXCLUDES(mu_) {
    const MutexLock lock(mu_);
    return items_.size();
  }
  /// Requires i < size(). The reference stays valid as long as the list.
  [[nodiscard]] const T& operator[](std::size_t i) const EXCLUDES(mu_) {
    const MutexLock lock(mu_);
    CHECK(i < items_.size());
    return items_[i];
  }
  [[nodiscard]] T& operator[](std::size_t i) EXCLUDES(mu_) {
    const MutexLock lock(mu_);
    CHECK(i < items_.size());
    return items_[i];
  }

 private:
  mutable Mutex mu_;
  std::deque<T> items_ GUARDED_BY(mu_);  // push_back() moves no element
};

}  // namespace framemill

#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>
#include <utility>

#include "framemill/base/check.h"
#include "framemill/base/mutex.h"

namespace framemill {

/// The one queue between threads: first in, first out, with a limit.
/// Thread-safety: all members, any thread.
template <typename T>
class BoundedQueue {
 public:
  /// `capacity` >= 1 items.
  explicit BoundedQueue(std::size_t capacity) : capacity_(capacity) { CHECK(capacity >= 1); }
  BoundedQueue(const BoundedQueue&) = delete;
  BoundedQueue& operator=(const BoundedQueue&) = delete;

  /// Never blocks. False if full or closed: `item` is then untouched.
  [[nodiscard]] bool try_push(T&& item) EXCLUDES(mu_) {
    {
      const MutexLock lock(mu_);
      if (is_closed_ || items_.size() >= capacity_) return false;
      items_.push_back(std::move(item));
    }
    changed_.notify_all();
    return true;
  }

  /// Waits for room. False if closed: `item` is then untouched.
  [[nodiscard]] bool push(T&& item) EXCLUDES(mu_) {
    {
      const MutexLock lock(mu_);
      while (!is_closed_ && items_.size() >= capacity_) changed_.wait(mu_);
      if (is_closed_) return false;
      items_.push_back(std::move(item));
    }
    changed_.notify_all();
    return true;
  }

  /// Waits for an item. Empty: closed and drained.
  [[nodiscard]] std::optional<T> pop() EXCLUDES(mu_) {
    std::optional<T> item;
    {
      const MutexLock lock(mu_);
      while (!is_closed_ && items_.empty()) changed_.wait(mu_);
      if (items_.empty()) return std::nullopt;
      item.emplace(std::move(items_.front()));
      items_.pop_front();
    }
    changed_.notify_all();
    return item;
  }

  /// As pop(), but also empty once `deadline` has passed; is_drained() tells the difference.
  [[nodiscard]] std::optional<T> pop_until(std::chrono::steady_clock::time_point deadline)
      EXCLUDES(mu_) {
    std::optional<T> item;
    {
      const MutexLock lock(mu_);
      while (!is_closed_ && items_.empty()) {
        if (changed_.wait_until(mu_, deadline) == std::cv_status::timeout) break;
      }
      if (items_.empty()) return std::nullopt;
      item.emplace(std::move(items_.front()));
      items_.pop_front();
    }
    changed_.notify_all();
    return item;
  }

  /// Closed, and nothing left inside.
  [[nodiscard]] bool is_drained() const EXCLUDES(mu_) {
    const MutexLock lock(mu_);
    return is_closed_ && items_.empty();
  }

  /// Refuses further items; those inside can still be popped. Idempotent.
  void close() EXCLUDES(mu_) {
    {
      const MutexLock lock(mu_);
      is_closed_ = true;
    }
    changed_.notify_all();
  }

  [[nodiscard]] std::size_t size() const EXCLUDES(mu_) {
    const MutexLock lock(mu_);
    return items_.size();
  }

 private:
  const std::size_t capacity_;
  mutable Mutex mu_;
  CondVar changed_;  // synchronizes itself
  std::deque<T> items_ GUARDED_BY(mu_);
  bool is_closed_ GUARDED_BY(mu_) = false;
};

}  // namespace framemill

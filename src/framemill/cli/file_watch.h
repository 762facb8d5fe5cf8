#pragma once

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "framemill/base/clock.h"

namespace framemill {

/// Tells when the content of files has changed, however that was done: written in place, replaced
/// by rename (as editors do), or by exchanging a symbolic link on the way (as Kubernetes and
/// certbot do). Changes that come close together are told once, when it has been quiet for a
/// moment. Where the kernel tells nothing (network file systems), it is noticed within seconds.
/// Thread-safety: none is needed; `on_change` is called on the watch's own thread.
class FileWatch {
 public:
  struct Options {
    Duration quiet = std::chrono::milliseconds(300);  ///< unchanged for so long: told
    Duration patience = std::chrono::seconds(2);      ///< told after so long in any case
    Duration look_every = std::chrono::seconds(5);    ///< without being told by the kernel
  };

  /// What changes from here on is told. `on_change` may take its time; what happens meanwhile is
  /// told afterwards.
  FileWatch(std::vector<std::string> paths, std::function<void()> on_change);
  FileWatch(std::vector<std::string> paths, std::function<void()> on_change, Options options);
  FileWatch(const FileWatch&) = delete;
  /// Waits for an `on_change` that is under way.
  ~FileWatch();

 private:
  void run();
  void watch_folders();
  /// Waits until a folder has changed, `patience` is over or the watch ends; false: the last.
  bool wait(Duration patience);
  [[nodiscard]] std::string fingerprint() const;

  const std::vector<std::string> paths_;
  const std::function<void()> on_change_;
  const Options options_;
  const int notify_;    ///< inotify; -1: the kernel has none left
  const int end_;       ///< an eventfd that ends the thread
  std::string told_;    ///< as it was told last, at first as it was found; used by thread_ only
  std::thread thread_;  // last member
};

}  // namespace framemill

// Folders are watched, not files: a file that is replaced is another one. What happens in a folder
// is only a hint to look; whether a watched file is another one than before says its fingerprint,
// so that log files beside a configuration cause nothing but a few stat() calls.

#include "framemill/cli/file_watch.h"

#include <array>
#include <filesystem>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "framemill/base/thread_name.h"

namespace framemill {
namespace {

constexpr std::uint32_t kMask =
    IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM | IN_ATTRIB | IN_ONLYDIR;
constexpr int kLinksMax = 16;

/// The folders on the way from `path` to the file itself, through symbolic links.
std::set<std::string> folders_of(const std::string& path) {
  std::set<std::string> folders;
  std::error_code error;
  std::filesystem::path at = std::filesystem::absolute(path, error);
  for (int i = 0; i < kLinksMax && !at.empty(); ++i) {
    folders.insert(at.parent_path().string());
    // A link may as well be one of the folders.
    const std::filesystem::path real = std::filesystem::canonical(at.parent_path(), error);
    if (!error) folders.insert(real.string());
    const std::filesystem::path above = at.parent_path().parent_path();
    if (std::filesystem::is_symlink(at.parent_path(), error)) folders.insert(above.string());
    const std::filesystem::path target = std::filesystem::read_symlink(at, error);
    if (error) break;
    at = target.is_absolute() ? target : at.parent_path() / target;
  }
  return folders;
}

}  // namespace

FileWatch::FileWatch(std::vector<std::string> paths, std::function<void()> on_change)
    : FileWatch(std::move(paths), std::move(on_change), Options()) {}

FileWatch::FileWatch(std::vector<std::string> paths, std::function<void()> on_change,
                     Options options)
    : paths_(std::move(paths)),
      on_change_(std::move(on_change)),
      options_(options),
      notify_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)),
      end_(eventfd(0, EFD_CLOEXEC)),
      told_(fingerprint()) {
  watch_folders();
  thread_ = std::thread([this] { run(); });
}

FileWatch::~FileWatch() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(end_, &one, sizeof(one));
  thread_.join();
  close(end_);
  if (notify_ >= 0) close(notify_);
}

void FileWatch::watch_folders() {
  if (notify_ < 0) return;
  for (const std::string& path : paths_)
    for (const std::string& folder : folders_of(path))
      inotify_add_watch(notify_, folder.c_str(), kMask);  // one that is watched already: no change
}

std::string FileWatch::fingerprint() const {
  std::string text;
  for (const std::string& path : paths_) {
    struct stat info {};
    if (stat(path.c_str(), &info) != 0) {
      text += "-;";
      continue;
    }
    text += fmt::format("{}.{}.{}.{}.{}.{}.{};", info.st_dev, info.st_ino, info.st_size,
                        info.st_mtim.tv_sec, info.st_mtim.tv_nsec, info.st_ctim.tv_sec,
                        info.st_ctim.tv_nsec);
  }
  return text;
}

bool FileWatch::wait(Duration patience) {
  std::array<pollfd, 2> fds{pollfd{.fd = end_, .events = POLLIN, .revents = 0},
                            pollfd{.fd = notify_, .events = POLLIN, .revents = 0}};
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(patience).count();
  poll(fds.data(), fds.size(), static_cast<int>(ms));
  if (fds[0].revents != 0) return false;
  std::array<char, 4096> events{};
  while (notify_ >= 0 && read(notify_, events.data(), events.size()) > 0) {
  }
  return true;
}

void FileWatch::run() {
  name_this_thread("file watch");
  while (wait(options_.look_every)) {
    std::string now = fingerprint();
    if (now == told_) continue;
    // Until it stays as it is: an editor may be half way.
    const auto give_up_at = std::chrono::steady_clock::now() + options_.patience;
    while (std::chrono::steady_clock::now() < give_up_at) {
      const auto quiet_at = std::chrono::steady_clock::now() + options_.quiet;
      std::string before = now;
      for (auto left = quiet_at - std::chrono::steady_clock::now(); left.count() > 0;
           left = quiet_at - std::chrono::steady_clock::now()) {
        if (!wait(std::max<Duration>(left, std::chrono::milliseconds(1)))) return;
      }
      now = fingerprint();
      if (now == before) break;
    }
    watch_folders();  // links may lead elsewhere now
    told_ = std::move(now);
    on_change_();
  }
}

}  // namespace framemill

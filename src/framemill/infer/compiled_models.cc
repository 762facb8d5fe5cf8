#include "framemill/infer/compiled_models.h"

#include <algorithm>
#include <array>
#include <system_error>
#include <utility>
#include <vector>

#include <unistd.h>

namespace framemill {
namespace {

namespace fs = std::filesystem;

/// Beside them lies what is no compiled model, such as the packages of `framemill prepare`.
constexpr std::array kFolders{"openvino", "tensorrt", "rtx"};

fs::file_time_type now() { return fs::file_time_type::clock::now(); }

/// When this process first used an entry, or asked.
fs::file_time_type first_use_here() {
  static const fs::file_time_type kFirst = now();
  return kFirst;
}

/// Calls `visit` with each file below `folder`; links are not followed. Ends early where it cannot
/// be read, or is being removed.
template <typename Visit>
void for_each_file(const fs::path& folder, const Visit& visit) {
  std::error_code problem;
  for (fs::recursive_directory_iterator entry(folder, problem), end; !problem && entry != end;
       entry.increment(problem)) {
    std::error_code gone;
    if (fs::is_regular_file(entry->symlink_status(gone))) visit(*entry);
  }
}

std::uintmax_t size_of(const fs::directory_entry& file) {
  std::error_code gone;
  const std::uintmax_t bytes = file.file_size(gone);
  return gone ? 0 : bytes;
}

struct Entry {
  fs::path path;
  std::uintmax_t bytes = 0;
  fs::file_time_type used_at;
};

std::vector<Entry> entries_of(const fs::path& cache_folder) {
  std::vector<Entry> entries;
  for (const char* const name : kFolders) {
    std::error_code problem;
    for (fs::directory_iterator found(cache_folder / name, problem), end; !problem && found != end;
         found.increment(problem)) {
      std::error_code gone;
      const fs::file_status status = found->symlink_status(gone);
      Entry entry{.path = found->path(), .used_at = last_use(found->path())};
      if (fs::is_directory(status)) {
        for_each_file(found->path(),
                      [&](const fs::directory_entry& file) { entry.bytes += size_of(file); });
      } else if (fs::is_regular_file(status)) {
        entry.bytes = size_of(*found);
      } else {
        continue;  // nothing that a runtime makes
      }
      entries.push_back(std::move(entry));
    }
  }
  return entries;
}

}  // namespace

void note_use(const fs::path& entry) {
  first_use_here();
  std::error_code ignored;  // of another user, perhaps
  fs::last_write_time(entry, now(), ignored);
}

fs::file_time_type last_use(const fs::path& entry) {
  const auto written_at = [](const fs::path& path) {
    std::error_code gone;
    const fs::file_time_type time = fs::last_write_time(path, gone);
    return gone ? fs::file_time_type::min() : time;
  };
  fs::file_time_type newest = written_at(entry);
  std::error_code gone;
  if (fs::is_directory(fs::symlink_status(entry, gone)))
    for_each_file(entry, [&](const fs::directory_entry& file) {
      newest = std::max(newest, written_at(file.path()));
    });
  return newest;
}

void prune_compiled_models(const fs::path& cache_folder, const CompiledModelsLimit& limit) {
  const fs::file_time_type spared_since = std::min(first_use_here(), now() - limit.spared);
  std::vector<Entry> entries = entries_of(cache_folder);
  std::uintmax_t bytes = 0;
  for (const Entry& entry : entries) bytes += entry.bytes;
  std::ranges::sort(entries, {}, &Entry::used_at);
  for (const Entry& entry : entries) {
    if (bytes <= limit.bytes_max || entry.used_at >= spared_since) return;
    // Somebody may have taken it up since it was listed; who does so from now on makes it anew.
    if (last_use(entry.path) > entry.used_at) continue;
    bytes -= entry.bytes;
    std::error_code ignored;  // another process was faster, or it is not ours to remove
    fs::remove_all(entry.path, ignored);
  }
}

CompiledFolder::CompiledFolder(fs::path cache_folder, fs::path path)
    : cache_folder_(std::move(cache_folder)), path_(std::move(path)) {
  std::error_code ignored;  // what cannot be kept is compiled at each start
  is_new_ = fs::create_directories(path_, ignored);
  note_use(path_);
  looked_at_ = last_use(path_);
}

bool CompiledFolder::is_usable() const {
  std::error_code ignored;
  return fs::is_directory(path_, ignored) && access(path_.c_str(), R_OK | W_OK | X_OK) == 0;
}

void CompiledFolder::look_again() {
  const fs::file_time_type written_at = last_use(path_);
  if (written_at != looked_at_ || is_new_) prune_compiled_models(cache_folder_);
  looked_at_ = written_at;
  is_new_ = false;
}

}  // namespace framemill

#include "framemill/engine/alarms/picture_store.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>
#include <unistd.h>

#include "framemill/base/replace_file.h"

namespace framemill {

Result<PictureStore> PictureStore::open(const std::string& folder, std::int64_t bytes_max) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error || ::access(folder.c_str(), W_OK) != 0)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: pictures of alarms cannot be written there; make the folder "
                            "writable, or set engine.data to another one",
                            folder));
  PictureStore store(folder, bytes_max);
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::uintmax_t bytes = entry.file_size(error);
    if (error) continue;
    if (entry.path().extension() == ".part") std::filesystem::remove(entry.path(), error);
    if (entry.path().extension() != ".jpg") continue;
    store.pictures_.push_back({entry.path().stem().string(), static_cast<std::int64_t>(bytes)});
    store.bytes_ += static_cast<std::int64_t>(bytes);
  }
  std::ranges::sort(store.pictures_, {}, &Picture::id);
  return store;
}

std::string PictureStore::path_of(const std::string& id) const {
  return folder_ + "/" + id + ".jpg";
}

Result<void> PictureStore::write(const std::string& id, std::span<const std::uint8_t> jpeg) {
  if (Result<void> written = replace_file(path_of(id), jpeg); !written) return written;
  pictures_.push_back({id, static_cast<std::int64_t>(jpeg.size())});
  bytes_ += static_cast<std::int64_t>(jpeg.size());
  return {};
}

void PictureStore::remove(const std::string& id) {
  const auto found = std::ranges::find(pictures_, id, &Picture::id);
  if (found == pictures_.end()) return;
  bytes_ -= found->bytes;
  pictures_.erase(found);
  std::error_code error;
  std::filesystem::remove(path_of(id), error);
}

std::vector<std::string> PictureStore::make_room() {
  std::vector<std::string> removed;
  while (bytes_ > bytes_max_ && !pictures_.empty()) {
    removed.push_back(pictures_.front().id);
    remove(removed.back());
  }
  return removed;
}

}  // namespace framemill

#include "framemill/engine/snapshot_sink.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <unistd.h>

#include "framemill/vision/annotate.h"

namespace framemill {
namespace {

/// Replaces the file in one step, so that a reader never sees half a picture.
Result<void> replace_file(const std::string& path, const std::vector<std::uint8_t>& bytes) {
  const std::string part = path + ".part";
  {
    std::ofstream file(part, std::ios::binary | std::ios::trunc);
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    file.flush();
    if (!file) {
      return fail(
          ErrorCode::kResourceExhausted,
          fmt::format("{}: the snapshot cannot be written: {}", path, std::strerror(errno)));
    }
  }
  if (std::rename(part.c_str(), path.c_str()) != 0) {
    return fail(ErrorCode::kResourceExhausted,
                fmt::format("{}: the snapshot cannot be written: {}", path, std::strerror(errno)));
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<SnapshotSink>> SnapshotSink::create(const std::string& directory,
                                                           const CameraDirectory& cameras) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error || ::access(directory.c_str(), W_OK) != 0) {
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("{}: snapshots cannot be written there: {}; name a folder that can be made "
                    "and written to",
                    directory, error ? error.message() : std::strerror(errno)));
  }
  return std::unique_ptr<SnapshotSink>(new SnapshotSink(directory, cameras));
}

SnapshotSink::SnapshotSink(std::string directory, const CameraDirectory& cameras)
    : directory_(std::move(directory)), cameras_(cameras) {}

Result<void> SnapshotSink::write(const Answer& answer) {
  if (!answer.is_snapshot_due || !answer.picture || answer.origin == Origin::kNone) return {};
  const CameraNames& camera = cameras_[answer.camera];
  std::string caption = fmt::format("{}  frame {}  {}", camera.id, answer.stamp.frame_index,
                                    to_string(answer.origin));
  if (answer.latency) caption += fmt::format("  {:.0f} ms", to_ms(*answer.latency));
  const Result<std::vector<std::uint8_t>> jpeg =
      draw_jpeg(*answer.picture, answer.detections, camera.labels, caption);
  if (!jpeg) return fail(jpeg.error());
  const std::string stem = directory_ + "/" + camera.id;
  if (Result<void> each =
          replace_file(fmt::format("{}-{}.jpg", stem, answer.stamp.frame_index), *jpeg);
      !each) {
    return each;
  }
  return replace_file(stem + ".jpg", *jpeg);
}

}  // namespace framemill

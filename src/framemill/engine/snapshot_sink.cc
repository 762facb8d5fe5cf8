#include "framemill/engine/snapshot_sink.h"

#include <cerrno>
#include <cstring>
#include <filesystem>

#include <fmt/format.h>
#include <unistd.h>

#include "framemill/base/replace_file.h"
#include "framemill/vision/annotate.h"

namespace framemill {
namespace {

/// No camera's id may hold it: `cam-6.jpg` would be the newest picture of camera `cam-6`, too.
constexpr char kBeforeFrame = '@';

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
  const CameraNames& camera = cameras_[answer.camera];
  std::string caption = fmt::format("{}  frame {}  {}", camera.id, answer.stamp.frame_index,
                                    to_string(answer.origin));
  if (answer.latency) caption += fmt::format("  {:.0f} ms", to_ms(*answer.latency));
  const Result<std::vector<std::uint8_t>> jpeg =
      draw_jpeg(*answer.picture, answer.detections, *camera.labels, caption);
  if (!jpeg) return fail(jpeg.error());
  const std::string stem = directory_ + "/" + camera.id;
  if (Result<void> each = replace_file(
          fmt::format("{}{}{}.jpg", stem, kBeforeFrame, answer.stamp.frame_index), *jpeg);
      !each) {
    return each;
  }
  return replace_file(stem + ".jpg", *jpeg);
}

}  // namespace framemill

// The picture of a camera: the newest one, waited for where there is none yet, drawn once for all
// who ask.

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "framemill/server/api.h"
#include "framemill/server/api_body.h"
#include "framemill/server/api_error.h"
#include "framemill/server/query.h"
#include "framemill/vision/annotate.h"

namespace framemill {
namespace {

/// A picture older than this is not the newest of a camera that is up.
constexpr Duration kPictureAge = std::chrono::seconds(1);
constexpr Duration kPictureWait = std::chrono::milliseconds(1500);
constexpr Duration kPictureLook = std::chrono::milliseconds(50);

}  // namespace

HttpResponse Api::get_snapshot(const Call& call) {
  Query query(call.request);
  const bool has_boxes = query.flag("boxes");
  const auto width = static_cast<int>(query.number("width", 64, 1920, 1280));
  if (query.error()) return error_response(*query.error(), "the query");
  const std::shared_ptr<const RunFigures> figures = parts_.meter.figures();
  const std::vector<CameraReport>& cameras = figures->report.cameras;
  const auto camera = std::ranges::find(cameras, call.name, &CameraReport::id);
  if (camera == cameras.end()) return unknown_camera(call.name);
  if (call.request.waited == Duration::zero()) call.engine->want_picture(camera->index);
  const std::shared_ptr<const Answer> answer = parts_.board.picture(camera->index);
  const bool is_new = answer && parts_.clock.now() - answer->stamp.captured_mono <= kPictureAge;
  const CameraState state = camera->status.state;  // up to a second old
  const bool may_come = state == CameraState::kUp || state == CameraState::kConnecting;
  if (!is_new && may_come && call.request.waited < kPictureWait) return {.again_in = kPictureLook};
  if (!answer && !may_come && state != CameraState::kDown && state != CameraState::kFrozen) {
    return error_response(
        409, "conflict",
        {fmt::format("the camera is {} and has shown no picture lately", to_string(state)),
         fmt::format("cameras[{}]", call.name), "resume or restart it"});
  }
  if (!answer) {
    return error_response(503, "unavailable",
                          {fmt::format("the camera, which is {}, has not shown a picture since it "
                                       "was asked for one",
                                       to_string(state)),
                           fmt::format("cameras[{}]", call.name), "try again when it is up"});
  }
  std::shared_ptr<const std::string> jpeg;
  {
    const MutexLock lock(mu_);
    const Snapshot& last = snapshots_[camera->index];
    if (last.seq == answer->stamp.seq && last.width == width && last.has_boxes == has_boxes)
      jpeg = last.jpeg;
  }
  if (!jpeg) {
    const CameraNames& names = call.engine->camera_directory()[camera->index];
    const Result<std::vector<std::uint8_t>> drawn = draw_jpeg(
        *answer->picture,
        has_boxes ? std::span<const Detection>(answer->detections) : std::span<const Detection>(),
        *names.labels, "", width);
    if (!drawn) return error_response(drawn.error(), call.name);
    jpeg = std::make_shared<const std::string>(drawn->begin(), drawn->end());
    const MutexLock lock(mu_);
    constexpr std::size_t kKept = 256;
    if (snapshots_.size() > kKept) snapshots_.clear();
    snapshots_[camera->index] = {answer->stamp.seq, width, has_boxes, jpeg};
  }
  HttpResponse response{.content_type = "image/jpeg", .body = std::move(jpeg)};
  response.headers.emplace_back("X-Framemill-Seq", std::to_string(answer->stamp.seq));
  response.headers.emplace_back("X-Framemill-Frame-Index",
                                std::to_string(answer->stamp.frame_index));
  response.headers.emplace_back("X-Framemill-Captured-At",
                                format_wall_time(answer->stamp.captured_at));
  return response;
}

}  // namespace framemill

// What a run says of itself at its end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/engine/engine.h"

namespace framemill {
namespace {

using testing::ElementsAre;

CameraReport camera_in(CameraState state, const CameraId& id, const std::string& error = {}) {
  CameraReport camera;
  camera.id = id;
  camera.status.state = state;
  camera.status.last_error = error;
  return camera;
}

TEST(RunReport, SaysWhichCamerasNeverGaveAPictureAndWhy) {
  RunReport report;
  report.cameras = {camera_in(CameraState::kDown, "refused", "Connection refused"),
                    camera_in(CameraState::kDown, "garbled", "no decodable frame"),
                    camera_in(CameraState::kDown, "lost", "timed out"),
                    camera_in(CameraState::kConnecting, "silent"),
                    camera_in(CameraState::kPaused, "resting"),
                    camera_in(CameraState::kUp, "good"),
                    camera_in(CameraState::kFailed, "broken", "no such file")};
  const auto count = [](CameraReport& camera, Outcome outcome) {
    ++camera.counts.captured;
    ++camera.counts.outcomes[static_cast<std::size_t>(outcome)];
  };
  count(report.cameras[1], Outcome::kFailed);    // it did send something
  count(report.cameras[2], Outcome::kInferred);  // before it was lost
  report.cameras[5].status.source.frames_decoded = 1;
  EXPECT_THAT(
      report.never_seen(),
      ElementsAre("refused: never gave a picture: Connection refused",
                  "garbled: never gave a picture: no decodable frame",
                  "silent: never gave a picture: it was still connecting when the run ended",
                  "resting: never gave a picture: it was paused"));
  EXPECT_THAT(report.failures(), ElementsAre("broken: no such file"));
}

}  // namespace
}  // namespace framemill

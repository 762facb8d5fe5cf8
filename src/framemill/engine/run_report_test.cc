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

TEST(RunReport, SaysWhatCouldNotBeWrittenWithoutWhatWasToBeDoneThen) {
  RunReport report;
  report.sinks = {
      {.name = "-", .written = 2, .lost = 12, .last_error = "standard output: the reader has gone"},
      {.name = "r.jsonl",
       .written = 7,
       .lost = 3,
       .last_error =
           "r.jsonl: results cannot be written: No space left on device; free some space, "
           "results wait in memory meanwhile"},
      {.name = "shots",
       .unit = "pictures",
       .written = 1,
       .lost = 3,
       .last_error = "shots/line@0.jpg: cannot be written: No space left on device"},
      {.name = "slow", .written = 90, .lost = 10, .last_error = {}},
      {.name = "good", .written = 100, .last_error = "worked again"}};
  EXPECT_THAT(
      report.failures(),
      ElementsAre("standard output: 12 of 14 answers could not be written: the reader has gone",
                  "r.jsonl: 3 of 10 answers could not be written: results cannot be written: No "
                  "space left on device",
                  "shots: 3 of 4 pictures could not be written: shots/line@0.jpg: cannot be "
                  "written: No space left on device",
                  "slow: 10 of 100 answers could not be written: its queue was full"));
}

}  // namespace
}  // namespace framemill

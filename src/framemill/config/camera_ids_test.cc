#include "framemill/config/camera_ids.h"

#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/config/setting_value.h"

namespace framemill {
namespace {

TEST(SuggestCameraId, FollowsTheTable) {
  const std::tuple<const char*, const char*> cases[] = {
      {"clips/line 3.mp4", "line-3"},
      {"line.tar.mp4", "line.tar"},
      {".mp4", ".mp4"},
      {"/dev/video0", "video0"},
      {"synthetic://", "synthetic"},
      {"rtsp://viewer:secret@10.0.0.5:554/1/?key=abc", "10.0.0.5-554-1"},
      {"", "camera"},
  };
  for (const auto& [url, want] : cases) {
    EXPECT_EQ(suggest_camera_id(url), want) << url;
    EXPECT_TRUE(is_valid_name(suggest_camera_id(url))) << url;
  }
  EXPECT_TRUE(is_valid_name(suggest_camera_id(std::string(500, 'x'))));
}

TEST(AssignCameraIds, NumbersWhatIsUsedAgainAndAvoidsGivenNames) {
  std::vector<CameraSettings> cameras(5);
  for (CameraSettings& camera : cameras) camera.url = "clips/line.mp4";
  cameras[3].id = "line-2";
  assign_camera_ids(cameras);
  std::vector<std::string> ids;
  for (const CameraSettings& camera : cameras) ids.push_back(camera.id);
  EXPECT_THAT(ids, testing::ElementsAre("line", "line-3", "line-4", "line-2", "line-5"));
}

}  // namespace
}  // namespace framemill

#include "framemill/engine/snapshot_sink.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "framemill/base/temp_folder_for_test.h"
#include "framemill/config/camera_ids.h"
#include "framemill/core/grey_picture.h"

namespace framemill {
namespace {

namespace fs = std::filesystem;

class SnapshotSinkTest : public testing::Test {
 protected:
  void add_camera(const std::string& id) { cameras_.append({id, labels_}); }
  static Answer answer_of(CameraIndex camera, std::int64_t frame_index, std::uint8_t grey) {
    Answer answer;
    answer.camera = camera;
    answer.stamp.frame_index = frame_index;
    answer.origin = Origin::kInferred;
    answer.picture = make_grey_picture({64, 64}, grey);
    answer.is_snapshot_due = true;
    return answer;
  }
  std::set<std::string> names() const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_.path()))
      names.insert(entry.path().filename());
    return names;
  }
  std::string bytes_of(const std::string& name) const {
    std::ifstream file(folder_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::unique_ptr<SnapshotSink> open() {
    Result<std::unique_ptr<SnapshotSink>> sink = SnapshotSink::create(folder_.path(), cameras_);
    EXPECT_TRUE(sink);
    return std::move(*sink);
  }

  const TempFolder folder_;
  CameraDirectory cameras_;
  const std::shared_ptr<const CameraNames::Labels> labels_ =
      std::make_shared<const CameraNames::Labels>();
};

TEST_F(SnapshotSinkTest, NoPictureOfACameraIsThatOfAnother) {
  // The ids that two cameras of one file get by themselves.
  std::vector<CameraSettings> settings(2);
  for (CameraSettings& camera : settings) camera.url = "line.mp4";
  assign_camera_ids(settings);
  ASSERT_EQ(settings[1].id, "line-2");
  for (const CameraSettings& camera : settings) add_camera(camera.id);

  const auto sink = open();
  ASSERT_TRUE(sink->write(answer_of(1, 0, 200)));
  const std::string newest = bytes_of("line-2.jpg");
  ASSERT_TRUE(sink->write(answer_of(0, 2, 20)));
  EXPECT_EQ(bytes_of("line-2.jpg"), newest);
  EXPECT_EQ(names(),
            (std::set<std::string>{"line-2.jpg", "line-2@0.jpg", "line.jpg", "line@2.jpg"}));
}

TEST_F(SnapshotSinkTest, WantsTheAnswersThatAreDueAlone) {
  add_camera("line");
  const auto sink = open();
  const Answer due = answer_of(0, 0, 90);
  EXPECT_TRUE(sink->wants(due));
  Answer not_due = due;
  not_due.is_snapshot_due = false;  // its picture is for an alarm, or for who looks at it
  EXPECT_FALSE(sink->wants(not_due));
  Answer unanswered = due;
  unanswered.origin = Origin::kNone;
  EXPECT_FALSE(sink->wants(unanswered));
  EXPECT_EQ(sink->unit(), "pictures");
  ASSERT_TRUE(sink->write(due));
  EXPECT_EQ(sink->held(), 0) << "they are on disk at once: a later one that fails loses none";
}

}  // namespace
}  // namespace framemill

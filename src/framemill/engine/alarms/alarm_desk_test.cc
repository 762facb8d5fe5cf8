#include "framemill/engine/alarms/alarm_desk.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/base/temp_folder_for_test.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

/// A desk with one camera, whose events are recorded.
class AlarmDeskTest : public testing::Test {
 protected:
  void SetUp() override {
    camera_.id = "gate-1";
    RuleSettings rule;
    rule.id = "intruder";
    rule.kind = RuleKind::kPresence;
    rule.clear_after = 0s;
    camera_.rules = {rule};
  }

  std::unique_ptr<AlarmDesk> open(bool is_settling = true) {
    events_.clear();
    AlarmDeskHooks hooks;
    hooks.emit = [this](const AlarmEvent& event) {
      const MutexLock lock(mu_);
      events_.push_back(event);
      changed_.notify_all();
      while (is_held_) changed_.wait(mu_);
    };
    hooks.settled = [this, is_settling] {
      const MutexLock lock(mu_);
      return is_settling ? static_cast<std::int64_t>(events_.size()) : 0;
    };
    Result<std::unique_ptr<AlarmDesk>> desk = AlarmDesk::create(
        {.run_id = "RUN", .folder = folder_.path(), .settings = {}}, clock_, std::move(hooks));
    EXPECT_TRUE(desk);
    const Result<void> set = (*desk)->set_camera(3, camera_, {"person"});
    EXPECT_TRUE(set) << (set ? "" : set.error().message());
    (*desk)->start();
    return std::move(*desk);
  }

  void answer(AlarmDesk& desk, bool has_person, CameraIndex camera = 3) {
    clock_.advance(100ms);
    Answer answer;
    answer.camera = camera;
    answer.stamp.seq = seq_++;
    answer.stamp.captured_at = clock_.wall_now();
    answer.stamp.captured_mono = clock_.now();
    answer.picture_size = {64, 64};
    answer.origin = Origin::kInferred;
    if (has_person) answer.detections.push_back({.score = .9F, .box = {10, 10, 20, 20}});
    auto samples = std::make_shared<std::vector<std::uint8_t>>(64 * 64, 99);
    auto picture = std::make_shared<Picture>();
    picture->format = PixelFormat::kGray;
    picture->size = {64, 64};
    picture->planes[0] = {samples->data(), 64};
    picture->owner = samples;
    answer.picture = picture;
    desk.take(answer);
  }
  void wait_for(std::size_t events) {
    const MutexLock lock(mu_);
    while (events_.size() < events) changed_.wait(mu_);
  }
  /// A second camera, raised or not; and the desk's thread stands still behind an event of the
  /// first one.
  std::unique_ptr<AlarmDesk> open_held(bool is_yard_raised = false) {
    std::unique_ptr<AlarmDesk> desk = open();
    yard_ = camera_;
    yard_.id = "yard";
    EXPECT_TRUE(desk->set_camera(4, yard_, {"person"}));
    answer(*desk, is_yard_raised, 4);
    if (is_yard_raised) wait_for(1);
    hold(true);
    answer(*desk, true);
    wait_for(is_yard_raised ? 2 : 1);
    return desk;
  }
  void hold(bool is_held) {
    const MutexLock lock(mu_);
    is_held_ = is_held;
    changed_.notify_all();
  }
  static std::vector<std::string> alarms_of(const AlarmDesk& desk, const CameraId& camera) {
    std::vector<std::string> list;
    const Result<std::vector<Alarm>> alarms = desk.list({});
    for (const Alarm& alarm : *alarms)
      if (alarm.camera_id == camera) list.emplace_back(to_string(alarm.state));
    return list;
  }
  std::vector<std::string> states() {
    const MutexLock lock(mu_);
    std::vector<std::string> list;
    for (const AlarmEvent& event : events_) list.emplace_back(to_string(event.state));
    return list;
  }

  const TempFolder folder_;
  ManualClock clock_;
  CameraSettings camera_, yard_;
  std::int64_t seq_ = 0;
  Mutex mu_;
  bool is_held_ GUARDED_BY(mu_) = false;
  CondVar changed_;
  std::vector<AlarmEvent> events_ GUARDED_BY(mu_);
};

TEST_F(AlarmDeskTest, RaisesWithAPictureAndClears) {
  const auto desk = open();
  answer(*desk, true);
  wait_for(1);
  {
    const MutexLock lock(mu_);
    EXPECT_EQ(events_[0].camera, std::optional<CameraIndex>(3));
    EXPECT_EQ(events_[0].message, "1 person");
    EXPECT_EQ(events_[0].seq, std::optional<std::int64_t>(0));
    EXPECT_GT(std::filesystem::file_size(events_[0].picture_path), 100U);
  }
  const Result<std::vector<Alarm>> list = desk->list({.is_open_only = true});
  ASSERT_EQ(list->size(), 1U);
  EXPECT_TRUE(desk->acknowledge(list->front().id, "kim"));
  wait_for(2);
  answer(*desk, false);
  wait_for(3);
  EXPECT_THAT(states(), ElementsAre("raised", "acknowledged", "cleared"));
  const std::vector<AlarmDesk::RaiseCount> counts = desk->raise_counts();
  ASSERT_EQ(counts.size(), 1U);
  EXPECT_EQ(counts[0].raised, 1);
}

TEST_F(AlarmDeskTest, ARestartNeitherRaisesTwiceNorForgets) {
  {
    const auto desk = open();
    answer(*desk, true);
    wait_for(1);
    desk->stop();
    desk->settle();
  }
  seq_ = 0;  // another run
  {
    const auto desk = open();
    answer(*desk, true);
    answer(*desk, false);
    wait_for(1);
    desk->stop();
    desk->settle();
    EXPECT_THAT(states(), ElementsAre("cleared"));
  }
  const auto desk = open();
  desk->stop();
  EXPECT_THAT(states(), ElementsAre()) << "all was settled";
}

TEST_F(AlarmDeskTest, WhatWasNotSettledComesAgain) {
  {
    const auto desk = open(false);
    answer(*desk, true);
    wait_for(1);
    desk->stop();
    desk->settle();
  }
  const auto desk = open();
  wait_for(1);
  EXPECT_THAT(states(), ElementsAre("raised"));
}

TEST_F(AlarmDeskTest, ARuleThatIsGoneClearsItsAlarm) {
  const auto desk = open();
  answer(*desk, true);
  wait_for(1);
  camera_.rules.clear();
  ASSERT_TRUE(desk->set_camera(3, camera_, {"person"}));
  wait_for(2);
  EXPECT_THAT(states(), ElementsAre("raised", "cleared"));
}

TEST_F(AlarmDeskTest, ARaiseDoesNotOutliveItsCamera) {
  const auto desk = open_held();
  answer(*desk, true, 4);
  desk->remove_camera(4);
  hold(false);
  desk->stop();
  EXPECT_THAT(alarms_of(*desk, "yard"), ElementsAre());
  EXPECT_THAT(alarms_of(*desk, "gate-1"), ElementsAre("raised"));
}

TEST_F(AlarmDeskTest, ARaiseDoesNotOutliveItsRule) {
  const auto desk = open_held();
  answer(*desk, true, 4);
  yard_.rules[0].id = "another";
  ASSERT_TRUE(desk->set_camera(5, yard_, {"person"}));
  hold(false);
  desk->stop();
  EXPECT_THAT(alarms_of(*desk, "yard"), ElementsAre());
}

TEST_F(AlarmDeskTest, AChangedCameraClearsWhatWasJustRaised) {
  const auto desk = open_held();
  answer(*desk, true, 4);
  ASSERT_TRUE(desk->set_camera(5, yard_, {"person"}));
  answer(*desk, false, 5);
  hold(false);
  desk->stop();
  EXPECT_THAT(alarms_of(*desk, "yard"), ElementsAre("cleared"));
}

TEST_F(AlarmDeskTest, AChangedCameraRaisesWhatWasJustCleared) {
  const auto desk = open_held(true);
  answer(*desk, false, 4);
  ASSERT_TRUE(desk->set_camera(5, yard_, {"person"}));
  answer(*desk, true, 5);
  hold(false);
  desk->stop();
  EXPECT_THAT(alarms_of(*desk, "yard"), ElementsAre("raised", "cleared"));
}

TEST_F(AlarmDeskTest, AWrongClassIsRefusedWithItsPlace) {
  const auto desk = open();
  camera_.rules[0].classes = {"dragon"};
  const Result<void> set = desk->set_camera(3, camera_, {"person"});
  ASSERT_FALSE(set);
  EXPECT_THAT(set.error().message(),
              testing::StartsWith("cameras[gate-1]: rules[intruder].classes"));
}

TEST_F(AlarmDeskTest, AFullQueueHoldsAnswersUpAndNothingForEver) {
  const std::unique_ptr<AlarmDesk> desk = open_held();
  std::atomic<bool> is_done{false};
  std::thread publisher([&] {
    for (int i = 0; i < 4400; ++i) answer(*desk, i % 2 == 0, 4);  // a change each
    is_done = true;
  });
  std::this_thread::sleep_for(600ms);  // the queue is full, and it is time to look around
  hold(false);
  const auto give_up_at = std::chrono::steady_clock::now() + 100s;
  while (!is_done && std::chrono::steady_clock::now() < give_up_at)
    std::this_thread::sleep_for(10ms);
  ASSERT_TRUE(is_done);
  publisher.join();
}

}  // namespace
}  // namespace framemill

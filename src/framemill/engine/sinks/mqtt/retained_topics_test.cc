#include "framemill/engine/sinks/mqtt/retained_topics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/base/temp_folder_for_test.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

class RetainedTopicsTest : public testing::Test {
 protected:
  const TempFolder folder_;
  const std::string path_ = folder_ / "spool/mqtt/retained";
  const TimePoint start_{};
};

TEST_F(RetainedTopicsTest, OnlyWhatStaysUnwantedGoes) {
  RetainedTopics topics = RetainedTopics::load(path_);
  topics.add("a");
  topics.add("b");
  EXPECT_THAT(topics.find_unwanted({"a"}, start_, 5s), IsEmpty());
  EXPECT_THAT(topics.find_unwanted({"a"}, start_ + 4s, 5s), IsEmpty());
  EXPECT_THAT(topics.find_unwanted({"a"}, start_ + 5s, 5s), ElementsAre("b"));
  EXPECT_THAT(topics.find_unwanted({"a", "b"}, start_ + 6s, 5s), IsEmpty()) << "it came back";
  EXPECT_THAT(topics.find_unwanted({"a"}, start_ + 7s, 5s), IsEmpty()) << "counted anew";
  EXPECT_THAT(topics.find_unwanted({"a"}, start_ + 12s, 5s), ElementsAre("b"));
  topics.remove({"b"});
  EXPECT_THAT(topics.find_unwanted({"a"}, start_ + 20s, 5s), IsEmpty());
}

TEST_F(RetainedTopicsTest, IsRememberedOverARestart) {
  {
    RetainedTopics topics = RetainedTopics::load(path_);
    topics.add("plant/alarms/gate-1/door");
    topics.add("plant/cameras/gate-1/state");
    topics.remove({"plant/cameras/gate-1/state"});
  }
  RetainedTopics topics = RetainedTopics::load(path_);
  EXPECT_THAT(topics.find_unwanted({}, start_, 0s), IsEmpty());
  EXPECT_THAT(topics.find_unwanted({}, start_, 0s), ElementsAre("plant/alarms/gate-1/door"));
}

TEST_F(RetainedTopicsTest, ADiskThatTakesNothingIsNoEnd) {
  RetainedTopics topics = RetainedTopics::load("/proc/nowhere/retained");
  topics.add("a");
  (void)topics.find_unwanted({}, start_, 0s);
  EXPECT_THAT(topics.find_unwanted({}, start_, 0s), ElementsAre("a"));
}

}  // namespace
}  // namespace framemill

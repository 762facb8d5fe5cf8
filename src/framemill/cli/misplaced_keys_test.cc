#include "framemill/cli/misplaced_keys.h"

#include <array>
#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/base/temp_folder_for_test.h"
#include "framemill/config/load_settings.h"

namespace framemill {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr std::array<std::string_view, 3> kAllowed = {"every", "rate", "id"};

TEST(MisplacedKeys, AreFoundBetweenWhatIsAllowed) {
  const auto found =
      find_misplaced_keys("a,b.mp4,rate=5,loop=true,id=gate,classes=car,bus", kAllowed);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->source, "a,b.mp4");
  EXPECT_THAT(found->keys, ElementsAre("loop", "classes"));
  EXPECT_EQ(found->camera, "{id: gate, url: 'a,b.mp4', rate: 5, loop: true, classes: [car, bus]}");
}

TEST(MisplacedKeys, WhatMayBeMeantOtherwiseIsLeftAlone) {
  for (const char* const text : {"a.mp4", "a.mp4,every=3,id=x", "a.mp4,size=3", "a.mp4,loop",
                                 "a.mp4,=true", ",", "a,,b=", "rtsp://h/1?a=b,loop=true",
                                 "http://h/x?password=1,slo=2,score=3", "a.mp4,url=b.mp4"})
    EXPECT_FALSE(find_misplaced_keys(text, kAllowed)) << text;
  const TempFolder folder;
  const std::string file = folder.write("a,loop=true.mp4", "x");
  EXPECT_FALSE(find_misplaced_keys(file, kAllowed)) << "there is such a file";
  EXPECT_TRUE(find_misplaced_keys(file + "4", kAllowed));
}

TEST(MisplacedKeys, TheLineIsOneThatAConfigurationTakes) {
  for (const char* const text :
       {"clips/a.mp4,loop=true", "it's a clip.mp4,loop=true,start=5s", "rtsp://h:554/1,slo=150ms",
        "rtsp://h/1,transport=udp,priority=critical,score=.4", "a.mp4,classes=person",
        "rtsp://joe:hunter2@h/1,password=hunter2,username=joe", "a: b, #c.mp4,frozen_after=10s"}) {
    const auto found = find_misplaced_keys(text, kAllowed);
    ASSERT_TRUE(found) << text;
    EXPECT_THAT(found->camera, Not(HasSubstr("hunter2")));
    const auto settings = parse_settings(
        "models: {m: {path: m.onnx}}\ncameras: [" + found->camera + "]\n", "site.yaml",
        [](const std::string&) { return std::optional<std::string>("x"); });
    ASSERT_TRUE(settings) << text << ": " << settings.error().message();
    EXPECT_EQ(settings->cameras.size(), 1U);
  }
}

TEST(MisplacedKeys, AnOptionThatSaysTheSameIsNamedWhereTheCommandHasIt) {
  const auto one = find_misplaced_keys("a.mp4,loop=true", kAllowed);
  const std::array<std::string_view, 2> options = {"--rate", "--loop"};
  EXPECT_EQ(explain(*one, kAllowed, options),
            "loop is no option of --source, which takes every, rate and id; write the camera into "
            "a configuration, cameras: [{id: a, url: a.mp4, loop: true}], or give --loop for all "
            "sources");
  EXPECT_THAT(explain(*one, kAllowed, {}), Not(HasSubstr("--loop")));
  const auto two = find_misplaced_keys("a.mp4,loop=true,slo=1s", kAllowed);
  EXPECT_THAT(explain(*two, kAllowed, options), HasSubstr("loop and slo are no options"));
}

}  // namespace
}  // namespace framemill

#include "framemill/server/headroom.h"

#include <gtest/gtest.h>

namespace framemill {
namespace {

TEST(DescribeHeadroom, SaysWhoUsesWhatAndWhatFits) {
  const std::tuple<Headroom, std::int64_t, std::int64_t, double, const char*> cases[] = {
      {{"device", .9, .3, 0},
       12,
       24,
       1,
       "12 cameras take 30 % of the inference device; about 24 more cameras like these fit below "
       "90 %."},
      {{"cpu", .9, .3, .2},
       12,
       16,
       .21,
       "12 cameras take 30 % of this machine's processor, other programs 20 %; about 16 more "
       "cameras like these fit below 90 %, with 21 % of the frames inferred as now."},
      {{"cpu", .9, .16, .84},
       12,
       0,
       1,
       "12 cameras take 16 % of this machine's processor, other programs 84 %. No more fit below "
       "90 % while other programs are that busy."},
      {{"device", .9, .97, 0},
       20,
       0,
       .5,
       "20 cameras take 97 % of the inference device. No more fit below 90 %."},
      {{"memory", .85, .4, .005},
       1,
       1,
       1,
       "1 camera takes 40 % of this machine's memory; about 1 more camera like it fits below 85 "
       "%."},
      // Readings of different moments may add up to more than all there is.
      {{"cpu", .9, .5, .7},
       2,
       0,
       1,
       "2 cameras take 50 % of this machine's processor, other programs 50 %. No more fit below 90 "
       "% while other programs are that busy."},
  };
  for (const auto& [binding, cameras, more, share, want] : cases)
    EXPECT_EQ(describe_headroom(binding, cameras, more, share), want);
}

TEST(Headroom, RoomIsWhatOthersAndWeLeave) {
  EXPECT_DOUBLE_EQ((Headroom{"cpu", .9, .3, .3}.room()), 1);
  EXPECT_DOUBLE_EQ((Headroom{"cpu", .9, .3, .7}.room()), 0);
  EXPECT_DOUBLE_EQ((Headroom{"cpu", .9, 0, 0}.room()), 0) << "nothing to measure by";
}

}  // namespace
}  // namespace framemill

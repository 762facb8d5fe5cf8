#include "framemill/plan/camera_deal.h"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace framemill {
namespace {

using testing::ElementsAre;

CameraGroup group_of(const char* name, std::int64_t count, double rate_hz = 10) {
  return {.name = name, .count = count, .rate_hz = rate_hz};
}
PlannedModel part_of(std::vector<std::string> groups, double qps) {
  return {.groups = std::move(groups), .qps = qps};
}
Workload workload_of(std::vector<CameraGroup> groups) {
  Workload workload;
  workload.cameras = std::move(groups);
  return workload;
}

TEST(CameraDeal, InTurnOverAllGroups) {
  EXPECT_THAT(deal_in_turn(workload_of({group_of("a", 3), group_of("b", 2)}), 2),
              ElementsAre(0, 1, 0, 1, 0));
}

// Two devices of a's model, and one that has the rest of it beside b's.
TEST(CameraDeal, EachDeviceGetsWhatItIsPlannedFor) {
  const std::vector<DeviceLayout> layouts{
      {.count = 2, .models = {part_of({"a"}, 40)}},
      {.count = 1, .models = {part_of({"a"}, 20), part_of({"b"}, 30)}}};
  EXPECT_THAT(deal_as_laid_out(workload_of({group_of("a", 10), group_of("b", 3)}), layouts),
              ElementsAre(0, 1, 0, 1, 2, 0, 1, 0, 1, 2, 2, 2, 2));
}

// Groups of one model and SLO share what is planned for them, whatever their rates.
TEST(CameraDeal, GroupsOfOneSessionShareItsDevices) {
  const std::vector<DeviceLayout> layouts{{.count = 2, .models = {part_of({"a", "b"}, 30)}}};
  const std::vector<std::size_t> deal =
      deal_as_laid_out(workload_of({group_of("a", 3), group_of("b", 6, 5)}), layouts);
  std::map<std::size_t, double> qps;
  for (std::size_t i = 0; i < deal.size(); ++i) qps[deal[i]] += i < 3 ? 10 : 5;
  EXPECT_EQ(qps, (std::map<std::size_t, double>{{0, 30}, {1, 30}}));
}

// What is planned for less than half a camera gets none, and leaves no gap.
TEST(CameraDeal, DevicesWithoutACameraAreNoPlaces) {
  const std::vector<DeviceLayout> layouts{{.count = 1, .models = {part_of({"a"}, 1)}},
                                          {.count = 1, .models = {part_of({"a"}, 29)}},
                                          {.count = 3, .models = {part_of({"b"}, 10)}}};
  EXPECT_THAT(deal_as_laid_out(workload_of({group_of("a", 3), group_of("b", 2)}), layouts),
              ElementsAre(0, 0, 0, 1, 2));
}

TEST(CameraDeal, ManyCamerasAndDevicesTakeAMoment) {
  const std::vector<DeviceLayout> layouts{
      {.count = 1'000'000'000, .models = {part_of({"a"}, 2)}},
      {.count = 20'000, .models = {part_of({"a"}, 5), part_of({"b"}, 10)}}};
  const std::vector<std::size_t> deal =
      deal_as_laid_out(workload_of({group_of("a", 50'000), group_of("b", 50'000)}), layouts);
  EXPECT_EQ(deal.size(), 100'000U);
}

}  // namespace
}  // namespace framemill

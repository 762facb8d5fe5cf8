#include "framemill/engine/busy_meter.h"

#include <vector>

#include <gtest/gtest.h>

namespace framemill {
namespace {

using namespace std::chrono_literals;

TimePoint at(Duration time) { return TimePoint{} + time; }

DeviceReport device(const std::string& name, Duration worked, std::size_t batches_max = 2) {
  DeviceReport report;
  report.name = name;
  report.inference_time = worked;
  report.batches_max = batches_max;
  return report;
}

// Promise: the busiest device counts, not the mean of all.
TEST(BusyMeter, AFullDeviceBesideAnIdleOneIsFull) {
  BusyMeter meter;
  EXPECT_FALSE(meter.look(at(1s), std::vector{device("cuda:0", 4s), device("cuda:1", 0s)}, {}));
  const auto busy = meter.look(at(2s), std::vector{device("cuda:0", 6s), device("cuda:1", 0s)}, {});
  EXPECT_DOUBLE_EQ(busy.value_or(-1), 1);
  // Half of it works; one that came back since does not go below.
  const auto half = meter.look(at(4s), std::vector{device("cuda:0", 8s), device("cuda:1", 0s)}, {});
  EXPECT_DOUBLE_EQ(half.value_or(-1), .5);
  EXPECT_FALSE(meter.look(at(4s), std::vector{device("cuda:0", 8s)}, {})) << "no time has passed";
}

TEST(BusyMeter, WhatNvmlTellsOfTheRunsCardsCountsWhereItIsMore) {
  BusyMeter meter;
  const std::vector devices{device("tensorrt:1#2", 0s), device("CPU", 0s)};
  std::vector<GpuReading> gpus{{.device = "cuda:0", .utilization = .99},
                               {.device = "cuda:1", .utilization = .93},
                               {.device = "nvml:2", .utilization = 1}};
  EXPECT_FALSE(meter.look(at(1s), devices, gpus));
  EXPECT_DOUBLE_EQ(meter.look(at(2s), devices, gpus).value_or(-1), .93) << "not other cards";
  gpus[1].utilization.reset();
  EXPECT_DOUBLE_EQ(meter.look(at(3s), devices, gpus).value_or(-1), 0);
}

}  // namespace
}  // namespace framemill

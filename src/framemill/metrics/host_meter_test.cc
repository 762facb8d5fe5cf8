#include "framemill/metrics/host_meter.h"

#include <cstdlib>

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/base/temp_folder_for_test.h"
#include "framemill/metrics/gpu_meter.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;

class HostMeterTest : public testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) const { root_.write(name, text); }
  const TempFolder root_;
};

TEST_F(HostMeterTest, ReadsSharesSinceTheLastReading) {
  write("proc/stat", "cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 1 1 1 1\n");
  write("proc/self/stat", "7 (a ) b) S 1 1 1 0 -1 0 0 0 0 0 100 50 0 0 20 0 3 0\n");
  write("proc/self/status", "VmPeak: 9 kB\nVmRSS:\t  2048 kB\n");
  write("proc/meminfo", "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 400 kB\n");
  write("proc/self/task/7/x", "");
  write("proc/self/task/8/x", "");
  ManualClock clock;
  HostMeter meter(clock, root_.path());
  HostReading reading = meter.read();
  EXPECT_FALSE(reading.cpu_utilization);
  EXPECT_FALSE(reading.process_cpu_cores);
  EXPECT_EQ(reading.process_rss_bytes, 2048 * 1024);
  EXPECT_EQ(reading.memory_total_bytes, 1000 * 1024);
  EXPECT_EQ(reading.memory_used_bytes, 600 * 1024);
  EXPECT_EQ(reading.process_threads, 2);
  clock.advance(1s);
  write("proc/stat", "cpu  130 0 120 850 0 0 0 0 0 0\n");
  write("proc/self/stat", "7 (a ) b) S 1 1 1 0 -1 0 0 0 0 0 180 120 0 0 20 0 3 0\n");
  reading = meter.read();
  EXPECT_NEAR(reading.cpu_utilization.value_or(-1), .5, 1e-9);
  EXPECT_NEAR(reading.process_cpu_cores.value_or(-1), 1.5, 1e-9);
}

TEST_F(HostMeterTest, WhatIsNotThereIsNone) {
  ManualClock clock;
  HostMeter meter(clock, root_.path());
  for (int i = 0; i < 2; ++i) {
    const HostReading reading = meter.read();
    EXPECT_FALSE(reading.cpu_utilization);
    EXPECT_FALSE(reading.process_cpu_cores);
    EXPECT_EQ(reading.memory_total_bytes, 0);
  }
}

TEST(HostMeter, ReadsThisMachine) {
  const SystemClock clock;
  HostMeter meter(clock);
  const HostReading reading = meter.read();
  EXPECT_GT(reading.process_rss_bytes, 1 << 20);
  EXPECT_GT(reading.memory_total_bytes, reading.process_rss_bytes);
  EXPECT_GE(reading.process_threads, 1);
  EXPECT_GE(reading.process_descriptors, 3);
}

TEST(GpuMeter, WithoutTheLibraryThereAreNoDevices) {
  GpuMeter none("libno-such-library.so.1");
  EXPECT_TRUE(none.read().empty());
  // A library, but another one.
  GpuMeter other("libm.so.6");
  EXPECT_TRUE(other.read().empty());
}

TEST(GpuMeter, ReadsWhatEachDeviceTells) {
  GpuMeter meter(FRAMEMILL_FAKE_NVML);
  for (int round = 0; round < 2; ++round) {
    const std::vector<GpuReading> readings = meter.read();
    ASSERT_EQ(readings.size(), 2U);
    EXPECT_EQ(readings[0].device, "cuda:0");
    EXPECT_EQ(readings[0].name, "Fake H200");
    EXPECT_NEAR(readings[0].utilization.value_or(-1), .87, 1e-9);
    EXPECT_EQ(readings[0].memory_total_bytes, std::int64_t{16} << 30);
    EXPECT_EQ(readings[0].memory_used_bytes, std::int64_t{4} << 30);
    EXPECT_EQ(readings[0].temperature_c, 61);
    EXPECT_EQ(readings[0].power_w, 312.5);
    EXPECT_EQ(readings[1].device, "cuda:1");
    EXPECT_FALSE(readings[1].utilization);
    EXPECT_TRUE(readings[1].memory_used_bytes);
    EXPECT_FALSE(readings[1].temperature_c);
    EXPECT_FALSE(readings[1].power_w);
  }
  EXPECT_EQ(meter.read_driver().version, "580.95.05");
  EXPECT_EQ(meter.read_driver().cuda, "13.0");
  EXPECT_TRUE(GpuMeter("libno-such-library.so.1").read_driver().version.empty());
}

std::vector<std::string> names_by_device(GpuMeter& meter) {
  std::vector<std::string> names;
  for (const GpuReading& reading : meter.read())
    names.push_back(reading.device + " " + reading.name);
  return names;
}

// Promise: "cuda:0" is the card that CUDA calls so, whatever NVML's order, and a card that the
// process does not see takes no one's name.
TEST(GpuMeter, TellsCardsApartByTheirIdsOnceCudaIsLoaded) {
  using testing::ElementsAre;
  GpuMeter meter(FRAMEMILL_FAKE_NVML, FRAMEMILL_FAKE_CUDA);
  EXPECT_THAT(names_by_device(meter), ElementsAre("cuda:0 Fake H200", "cuda:1 Fake T4"));
  void* const cuda = dlopen(FRAMEMILL_FAKE_CUDA, RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(cuda, nullptr);
  EXPECT_THAT(names_by_device(meter), ElementsAre("cuda:0 Fake T4", "cuda:1 Fake H200"));
  setenv("FAKE_CUDA_VISIBLE", "1", 1);
  EXPECT_THAT(names_by_device(meter), ElementsAre("cuda:0 Fake T4", "nvml:0 Fake H200"));
  unsetenv("FAKE_CUDA_VISIBLE");
  dlclose(cuda);
}

TEST(FindCard, IsTheOneOfThatNumberAndName) {
  const std::vector<GpuReading> cards{{.device = "cuda:0", .name = "T4"},
                                      {.device = "nvml:1", .name = "H200"},
                                      {.device = "cuda:1", .name = "L4"}};
  const auto found = [&](const char* device, const char* name) {
    const GpuReading* const card = find_card(cards, device, name);
    return card == nullptr ? std::string("none") : card->device;
  };
  EXPECT_EQ(found("cuda:0", "T4"), "cuda:0");
  EXPECT_EQ(found("tensorrt:1", "L4"), "cuda:1");
  EXPECT_EQ(found("rtx:1#2", "L4"), "cuda:1");
  EXPECT_EQ(found("cuda:0", "L4"), "none");
  EXPECT_EQ(found("cuda:1", "H200"), "none") << "not seen by this process";
  EXPECT_EQ(found("nvml:1", "H200"), "none");
  EXPECT_EQ(found("CPU", "H200"), "none");
}

}  // namespace
}  // namespace framemill

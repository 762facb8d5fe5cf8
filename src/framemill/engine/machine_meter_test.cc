#include "framemill/engine/machine_meter.h"

#include <cstdlib>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "framemill/base/temp_folder_for_test.h"

namespace framemill {
namespace {

class FakeRoot : public testing::Test {
 protected:
  void put(const std::string& path, const std::string& text) const { root_.write(path, text); }
  const TempFolder root_;
  ManualClock clock_;
};

TEST_F(FakeRoot, WhatIsNotShownIsAbsent) {
  MachineMeter meter(clock_, {}, root_.path());
  const MeterReading reading = meter.read();
  EXPECT_FALSE(reading.machine_cpu);
  EXPECT_FALSE(reading.energy_j);
  EXPECT_FALSE(reading.temperature_c);
  EXPECT_GT(reading.process_cpu.count(), 0);
  EXPECT_FALSE(read_governor(root_.path()));
}

TEST_F(FakeRoot, SumsPackagesOverTheWrapAndTakesTheHottestCore) {
  put("proc/stat", "cpu  100 0 50 900 3 2 1 4 0 0\ncpu0 1 1 1 1 1 1 1 1\n");
  for (const char* const package : {"intel-rapl:0", "intel-rapl:1"}) {
    put(std::string("sys/class/powercap/") + package + "/energy_uj", "9000000");
    put(std::string("sys/class/powercap/") + package + "/max_energy_range_uj", "10000000");
  }
  put("sys/class/powercap/intel-rapl:0:0/energy_uj", "77000000");  // a part of the package
  put("sys/class/hwmon/hwmon0/name", "nvme");
  put("sys/class/hwmon/hwmon0/temp1_input", "99000");
  put("sys/class/hwmon/hwmon1/name", "k10temp");
  put("sys/class/hwmon/hwmon1/temp1_input", "51000");
  put("sys/class/hwmon/hwmon1/temp2_input", "61500");
  put("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n");
  MachineMeter meter(clock_, {}, root_.path());
  EXPECT_DOUBLE_EQ(*meter.read().energy_j, 0);
  put("sys/class/powercap/intel-rapl:0/energy_uj", "9500000");
  put("sys/class/powercap/intel-rapl:1/energy_uj", "1000000");  // wrapped
  const MeterReading reading = meter.read();
  EXPECT_DOUBLE_EQ(*reading.energy_j, .5 + 2);
  EXPECT_DOUBLE_EQ(*reading.temperature_c, 61.5);
  const double ticks = 157;  // 100 + 50 + 2 + 1 + 4, idle and disks left out
  EXPECT_NEAR(to_seconds(*reading.machine_cpu), ticks / static_cast<double>(sysconf(_SC_CLK_TCK)),
              1e-9);
  EXPECT_EQ(read_governor(root_.path()), "powersave");
}

// The processor's sensors say nothing about another device.
TEST_F(FakeRoot, OfACardOnlyWhatItsDriverTellsAndOfOthersNothing) {
  put("sys/class/powercap/intel-rapl:0/energy_uj", "9000000");
  put("sys/class/hwmon/hwmon1/name", "k10temp");
  put("sys/class/hwmon/hwmon1/temp1_input", "51000");
  const std::vector<GpuReading> cards{{.device = "cuda:0",
                                       .name = "H200",
                                       .memory_used_bytes = 7'000'000'000,
                                       .temperature_c = 64,
                                       .power_w = 512}};
  const auto read_cards = [&cards] { return cards; };
  const MeterReading card =
      MachineMeter(clock_, {"tensorrt:0", "H200", read_cards}, root_.path()).read();
  EXPECT_FALSE(card.energy_j);
  EXPECT_EQ(card.power_w, 512);
  EXPECT_EQ(card.temperature_c, 64);
  EXPECT_EQ(card.device_bytes, 7'000'000'000);
  const std::vector<MeteredDevice> others{
      {"cuda:0", "H200", {}}, {"cuda:0", "T4", read_cards}, {"GPU.0", "Arc", read_cards}};
  for (const MeteredDevice& device : others) {
    const MeterReading other = MachineMeter(clock_, device, root_.path()).read();
    EXPECT_FALSE(other.energy_j) << device.device;
    EXPECT_FALSE(other.power_w) << device.device;
    EXPECT_FALSE(other.temperature_c) << device.device;
    EXPECT_FALSE(other.device_bytes) << device.device;
  }
}

TEST(PeakMemory, IsThatSinceTheReset) {
  if (std::getenv("FRAMEMILL_SLOW_BUILD") != nullptr)
    GTEST_SKIP() << "sanitizers keep freed memory for a while";
  if (!reset_peak_memory()) GTEST_SKIP() << "this kernel does not let the peak be restarted";
  const std::int64_t before = peak_memory_bytes();
  constexpr std::size_t kBytes = 64U << 20U;
  {
    const std::string block(kBytes, 'x');
    ASSERT_EQ(block.back(), 'x');
  }
  const std::int64_t peak = peak_memory_bytes();
  EXPECT_GE(peak - before, static_cast<std::int64_t>(kBytes * 9 / 10));
  ASSERT_TRUE(reset_peak_memory());
  EXPECT_LT(peak_memory_bytes(), peak - static_cast<std::int64_t>(kBytes / 2));
}

}  // namespace
}  // namespace framemill

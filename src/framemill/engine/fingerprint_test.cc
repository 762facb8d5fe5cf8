#include "framemill/engine/fingerprint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/base/temp_folder_for_test.h"

namespace framemill {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Key;
using testing::Not;
using testing::Pair;

TEST(Fingerprint, OfAMachineAndItsDriver) {
  const TempFolder root;
  root.write("proc/cpuinfo", "model name\t: Fast 9000\n");
  root.write("sys/fs/cgroup/cpu.max", "50000 100000\n");
  EXPECT_THAT(read_machine_fingerprint(root.path()), Contains(Pair("cpu", "Fast 9000")));
  EXPECT_THAT(read_machine_fingerprint(root.path()), Contains(Pair("cores", "1")));
  EXPECT_THAT(read_machine_fingerprint(root.path()), Not(Contains(Key("driver"))));
  root.write("proc/driver/nvidia/version", "NVRM version: 580.65.06\nGCC version: 12\n");
  EXPECT_THAT(read_machine_fingerprint(root.path()),
              Contains(Pair("driver", "NVRM version: 580.65.06")));
}

TEST(Fingerprint, OfAModelSaysWhatItWasLoadedWith) {
  ModelSettings settings;
  settings.precision = "bf16";
  const ModelFacts facts{.runtime = "OpenVINO 2026.4.1", .device = "CPU"};
  EXPECT_THAT(read_model_fingerprint(settings, facts),
              ElementsAre(Pair("arithmetic", "bf16"), Pair("backend", "openvino"),
                          Pair("runtime", "OpenVINO 2026.4.1")));
  const ModelFacts onnx{.runtime = "ONNX Runtime 1.31.1", .device = "CPU"};
  EXPECT_THAT(read_model_fingerprint(settings, onnx), Contains(Pair("backend", "onnxruntime")));
}

TEST(Fingerprint, DiffersInWhatBothKnow) {
  const Fingerprint there{{"cpu", "Fast"},           {"cores", "16"},   {"kernel", "Linux 5"},
                          {"runtime", "OpenVINO 1"}, {"pictures", "x"}, {"driver", "550"}};
  EXPECT_THAT(fingerprint_differences(there, there), IsEmpty());
  const Fingerprint here{{"cpu", "Fast"},           {"cores", "2"},   {"kernel", "Linux 6"},
                         {"runtime", "OpenVINO 2"}, {"cuda", "13.0"}, {"pictures", "y"}};
  EXPECT_THAT(fingerprint_differences(there, here),
              ElementsAre("cores: 16 there, 2 here", "runtime: OpenVINO 1 there, OpenVINO 2 here"));
}

}  // namespace
}  // namespace framemill

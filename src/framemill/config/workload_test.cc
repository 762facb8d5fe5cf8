#include "framemill/config/workload.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace framemill {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

std::string problem_of(std::string_view text) {
  const Result<Workload> workload = parse_workload(text, "site.yaml");
  return workload ? std::string() : workload.error().message();
}

TEST(ParseWorkload, ReadsEveryKey) {
  const Result<Workload> workload = parse_workload(R"(
plan: {name: plant, redundancy: 2, n_plus_1: false, eta: 0.9, decode_limit: 0.7, memory_limit: 0.6,
       currency: CHF, energy_price: 0.2, years: 3}
defaults: {codec: hevc, resolution: 1280x720, fps: 15, rate: 5, slo: 150ms, model: models/a.onnx}
cameras:
  - {name: gates, count: 12, rate: 10, priority: critical, precision: int8, bitrate: 4,
     decode: auto}
  - {count: 3, policy: adaptive, budget: 0.2, codec: h264}
devices:
  - T4
  - {name: CPU, at_most: 4, per_node: 2, price: 1000, node_price: 50, power: 65, node_power: 20,
     memory: 16, cores: 8, throughput: 80}
links: {network: 10, pcie: 12, disk: 500, recording: true}
)",
                                                   "conf/site.yaml");
  ASSERT_TRUE(workload) << workload.error().message();
  EXPECT_EQ(workload->name, "plant");
  EXPECT_EQ(workload->redundancy, 2);
  EXPECT_FALSE(workload->n_plus_1);
  EXPECT_EQ(workload->eta, .9);
  EXPECT_EQ(workload->decode_limit, .7);
  EXPECT_EQ(workload->memory_limit, .6);
  EXPECT_EQ(workload->currency, "CHF");
  EXPECT_EQ(workload->energy_price, .2);
  EXPECT_EQ(workload->years, 3);
  ASSERT_EQ(workload->cameras.size(), 2U);
  const CameraGroup& gates = workload->cameras[0];
  EXPECT_EQ(gates.name, "gates");
  EXPECT_EQ(gates.count, 12);
  EXPECT_EQ(gates.codec, "hevc");
  EXPECT_EQ(gates.resolution, (Size{1280, 720}));
  EXPECT_EQ(gates.fps, 15);
  EXPECT_EQ(gates.rate_hz, 10);
  EXPECT_EQ(gates.slo, 150ms);
  EXPECT_EQ(gates.priority, Priority::kCritical);
  EXPECT_EQ(gates.model, "a.onnx");
  EXPECT_EQ(gates.precision, "int8");
  EXPECT_EQ(gates.mbit_per_s, 4);
  EXPECT_EQ(gates.decode, "auto");
  const CameraGroup& second = workload->cameras[1];
  EXPECT_EQ(second.name, "group-2");
  EXPECT_EQ(second.codec, "h264");
  EXPECT_EQ(second.decode, "cpu");
  EXPECT_EQ(second.policy, PolicyKind::kAdaptive);
  EXPECT_EQ(inferred_share(second), .2);
  EXPECT_NEAR(inferences_per_s(second), 3, 1e-12);
  ASSERT_EQ(workload->devices.size(), 2U);
  EXPECT_EQ(workload->devices[0].name, "T4");
  const DeviceCandidate& cpu = workload->devices[1];
  EXPECT_EQ(cpu.at_most, 4);
  EXPECT_EQ(cpu.per_node, 2);
  EXPECT_EQ(cpu.price, 1000);
  EXPECT_EQ(cpu.node_price, 50);
  EXPECT_EQ(cpu.power_w, 65);
  EXPECT_EQ(cpu.node_power_w, 20);
  EXPECT_EQ(cpu.memory_gib, 16);
  EXPECT_EQ(cpu.cores, 8);
  EXPECT_EQ(cpu.throughput, 80);
  EXPECT_EQ(workload->links.network_gbit_per_s, 10);
  EXPECT_EQ(workload->links.pcie_gbyte_per_s, 12);
  EXPECT_EQ(workload->links.disk_mbyte_per_s, 500);
  EXPECT_TRUE(workload->links.is_recorded);
}

TEST(ParseWorkload, DefaultsAreThoseOfTheDesign) {
  const Result<Workload> workload = parse_workload("cameras: [{count: 4}]", "conf/west.yaml");
  ASSERT_TRUE(workload) << workload.error().message();
  EXPECT_EQ(workload->name, "west");
  EXPECT_EQ(workload->redundancy, 1.5);
  EXPECT_TRUE(workload->n_plus_1);
  EXPECT_FALSE(workload->eta);
  EXPECT_EQ(workload->decode_limit, .8);
  EXPECT_EQ(workload->memory_limit, .85);
  EXPECT_EQ(inferred_share(workload->cameras[0]), 1);
}

TEST(ParseWorkload, WrongInputIsExplained) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "site.yaml:1: the file is empty"},
      {"[]", "the file is a list"},
      {"cameras: []", "site.yaml:1: cameras: there is no group"},
      {"cameras: {}", "site.yaml:1: cameras: is a map; write a list"},
      {"plan: {}", "cameras: there is no group"},
      {"camera: [{}]", R"(camera: unknown key; did you mean "cameras"?)"},
      {"cameras: [{rat: 3}]", R"(cameras[group-1].rat: unknown key; did you mean "rate"?)"},
      {"cameras: [{rate: 0}]", R"("0" is out of range; write a number from 0.01 to 240)"},
      {"cameras: [{count: 0}]", "from 1 to 1000000000"},
      {"cameras: [{count: 2.5}]", "is not a whole number"},
      {"cameras: [{count: 1e30}]", "is out of range"},
      {"cameras: [{fps: 5, rate: 10}]", "the camera delivers 5; lower rate"},
      {"cameras: [{slo: 5}]", "is not a duration"},
      {"cameras: [{resolution: 1080p}]", "write width x height in pixels, like 1920x1080"},
      {"cameras: [{resolution: 1920x}]", "is not a size"},
      {"cameras: [{resolution: 99999x9}]", "is not a size"},
      {"cameras: [{priority: high}]", "is not one of critical, normal, background"},
      {"cameras: [{decode: gpu}]", "is not one of cpu, auto"},
      {"cameras: [{budget: 0.5}]", "cannot be held by policy full"},
      {"cameras: [{duty: 0}]", "is out of range"},
      {"cameras: [{rate: 1, rate: 2}]", "stands twice, first in line 1"},
      {"cameras: [{name: a}, {name: a}]", "is the name of the group in line 1 too"},
      {"cameras: [3]", "cameras[0]: is a text; write a map"},
      {"cameras: [{rate: [1]}]", "is a list; write a single value"},
      {"cameras: [{rate: }]", "has no value"},
      {"defaults: {count: 3}\ncameras: [{}]", "belongs to a group, not to defaults"},
      {"cameras: [{}]\ndevices: [{price: 3}]", "has no name; write one"},
      {"cameras: [{}]\ndevices: [T4, T4]", "site.yaml:2: devices[1]: stands twice"},
      {"cameras: [{}]\ndevices: [{name: T4, watts: 3}]", "devices[T4].watts: unknown key"},
      {"cameras: [{}]\nlinks: {recording: true}", "needs to know the disk"},
      {"cameras: [{}]\nplan: {redundancy: 0.5}", "is out of range; write a number from 1 to 10"},
      {"cameras: [{count: 1e9}, {count: 1e9}]", "cameras are more than one plan takes"},
      {"cameras: [", "site.yaml:1"},
  };
  for (const auto& [text, says] : cases) EXPECT_THAT(problem_of(text), HasSubstr(says)) << text;
  EXPECT_EQ(problem_of("cameras: [{count: 1e9}]"), "");
}

TEST(ParseWorkload, AConfigurationIsNamedAsOne) {
  const std::string says =
      "site.yaml:1: this looks like a configuration, which is for run; a workload has groups of "
      "cameras, such as `cameras: [{name: gates, count: 12, rate: 10}]`";
  EXPECT_EQ(problem_of("models: {m: {path: m.onnx}}\ncameras: [{id: a, url: x.mp4}]"), says);
  EXPECT_EQ(problem_of("cameras: [{id: a, url: x.mp4, rate: 3}]"), says);
  EXPECT_THAT(problem_of("cameras: [{count: 3, url: x}]"), HasSubstr("url: unknown key"));
}

TEST(ParseWorkload, AMisspeltSectionIsSaidOnce) {
  EXPECT_EQ(problem_of("camera: [{}]"),
            "site.yaml:1: camera: unknown key; did you mean \"cameras\"?");
}

TEST(ParseWorkload, AllProblemsAtOnce) {
  const std::string problem = problem_of("cameras: [{rate: 0, slo: x}]\nlinks: {netwrk: 1}");
  EXPECT_THAT(problem, HasSubstr("rate"));
  EXPECT_THAT(problem, HasSubstr("slo"));
  EXPECT_THAT(problem, HasSubstr("site.yaml:2: links.netwrk"));
}

TEST(LoadWorkload, FilesThatAreNone) {
  EXPECT_EQ(load_workload("/no/such.yaml").error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(load_workload("/").error().message(), HasSubstr("is a folder"));
}

TEST(InferredShare, FollowsTheTable) {
  CameraGroup group{.count = 10, .rate_hz = 10};
  EXPECT_EQ(inferred_share(group), 1);
  group.budget.per_second = 20;
  EXPECT_EQ(inferred_share(group), 1) << "policy full infers all";
  group.policy = PolicyKind::kAdaptive;
  EXPECT_EQ(inferred_share(group), .2);
  group.budget.per_second = 2000;
  EXPECT_EQ(inferred_share(group), 1);
  group.budget.per_second = 20;
  group.priority = Priority::kCritical;
  EXPECT_EQ(inferred_share(group), 1) << "critical cameras are always inferred";
  group.policy = PolicyKind::kHold;
  EXPECT_EQ(inferred_share(group), .2);
  group.duty = .5;
  EXPECT_EQ(inferred_share(group), .5);
}

TEST(WorkloadReference, IsUpToDate) {
  const std::filesystem::path path =
      std::filesystem::path(FRAMEMILL_SOURCE_DIR) / "docs" / "reference" / "workload.md";
  if (std::getenv("FRAMEMILL_UPDATE_GOLDEN") != nullptr)
    std::ofstream(path, std::ios::binary) << workload_markdown();
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), workload_markdown()) << "FRAMEMILL_UPDATE_GOLDEN=1 renews " << path;
}

TEST(ParseWorkload, NoTextBreaksIt) {
  const std::string good =
      "plan: {redundancy: 2}\ncameras:\n  - {name: a, count: 3, rate: 5, slo: 100ms}\ndevices: "
      "[T4, {name: L4, price: 3}]\nlinks: {network: 10}\n";
  std::mt19937 rng(1);
  for (int round = 0; round < 5000; ++round) {
    std::string text = good;
    for (int edit = 0; edit < 3; ++edit) {
      const std::size_t at = rng() % text.size();
      if (rng() % 2 == 0)
        text.erase(at, 1 + rng() % 4);
      else
        text.insert(at, 1, static_cast<char>(rng() % 128));
      if (text.empty()) text = "x";
    }
    const Result<Workload> workload = parse_workload(text, "f.yaml");
    if (!workload) {
      EXPECT_THAT(workload.error().message(), HasSubstr("f.yaml:"));
    }
  }
}

}  // namespace
}  // namespace framemill

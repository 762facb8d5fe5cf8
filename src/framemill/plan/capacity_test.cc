#include "framemill/plan/capacity.h"

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "framemill/plan/plan_report.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

/// A profile whose service takes `ms` for each frame of a batch of one, twice in flight at most.
LoadedProfile make_profile(const std::string& device, const std::string& model, double fps,
                           double latency_ms, double gib = .5) {
  DeviceProfile profile{.device = device.find("CPU") != std::string::npos ? "CPU" : "GPU",
                        .device_name = device,
                        .model = model,
                        .model_sha256 = std::string(64, 'a'),
                        .precision = "fp16",
                        .input = {640, 640}};
  profile.environment = {{"cpu", "Test CPU"}, {"cores", "8"}};
  ServicePoint point{.batch = 1, .streams = 1, .frames_per_s = fps};
  point.service.percentiles.assign(101, from_seconds(latency_ms / 1e3));
  point.host_bytes = static_cast<std::int64_t>(gib * 1024 * 1024 * 1024);
  profile.points = {point};
  profile.decode = {{.codec = "h264", .size = {1920, 1080}, .frames_per_core_s = 400},
                    {.codec = "h264", .size = {640, 360}, .frames_per_core_s = 2000}};
  return {profile, device + ".json", device + "-" + model + "-hash"};
}

CameraGroup make_group(std::int64_t count, double rate_hz, const std::string& model = "m.onnx") {
  return {.name = "gates", .count = count, .rate_hz = rate_hz, .model = model};
}

PlanRequest make_request(std::vector<CameraGroup> groups, std::vector<LoadedProfile> profiles,
                         std::vector<DeviceCandidate> devices = {}) {
  PlanRequest request;
  request.workload.name = "test";
  request.workload.cameras = std::move(groups);
  request.workload.devices = std::move(devices);
  request.profiles = std::move(profiles);
  return request;
}

Plan must_plan(const PlanRequest& request, const Catalogue& catalogue = {}) {
  Result<Plan> plan = plan_capacity(request, catalogue);
  EXPECT_TRUE(plan) << (plan ? "" : plan.error().message());
  if (!plan) std::abort();
  return *std::move(plan);
}

std::string problem_of(const PlanRequest& request, const Catalogue& catalogue = {}) {
  const Result<Plan> plan = plan_capacity(request, catalogue);
  return plan ? std::string() : plan.error().message();
}

std::int64_t term(const CandidatePlan& plan, const std::string& name) {
  for (const CapacityTerm& one : plan.terms)
    if (one.name == name) return one.devices.value_or(-1);
  return -2;
}

/// The example of the design: 64 cameras x 10 Hz on T4s that do 80/s within the SLO.
PlanRequest sixty_four_on_t4() {
  PlanRequest request = make_request({make_group(64, 10)}, {}, {{.name = "T4", .throughput = 80}});
  request.workload.n_plus_1 = false;
  return request;
}

TEST(PlanCapacity, SixtyFourCamerasOnT4) {
  PlanRequest request = sixty_four_on_t4();
  request.workload.redundancy = 1;
  EXPECT_EQ(must_plan(request).best()->count, 8);
  request.workload.redundancy = 1.5;
  const Plan plan = must_plan(request);
  EXPECT_EQ(plan.best()->count, 12);
  EXPECT_EQ(plan.best()->binding, "compute");
  EXPECT_NEAR(plan.best()->occupancy, 640. / (12 * 80), 1e-9);
  EXPECT_NEAR(*plan.best()->occupancy_after_loss, 640. / (11 * 80), 1e-9);
  EXPECT_EQ(plan.best()->confidence, Confidence::kPublished);
  request.workload.redundancy = 1;
  request.workload.n_plus_1 = true;  // ceil(640 / (.95 * 80)) + 1
  EXPECT_EQ(must_plan(request).best()->count, 10);
  EXPECT_EQ(must_plan(request).best()->binding, "n_plus_1");
}

TEST(PlanCapacity, SixtyFourCamerasFromAProfileWithEta) {
  // The knee at 100/s and eta .8 are the same 80/s.
  PlanRequest request = make_request({make_group(64, 10)}, {make_profile("T4", "m.onnx", 100, 10)});
  request.workload.eta = .8;
  request.workload.n_plus_1 = false;
  Plan plan = must_plan(request);
  EXPECT_EQ(plan.best()->count, 12);
  EXPECT_EQ(plan.eta_source, "workload file");
  EXPECT_EQ(plan.best()->confidence, Confidence::kMeasured);
  EXPECT_THAT(plan.best()->profile_hashes, testing::ElementsAre("T4-m.onnx-hash"));
  request.workload.eta.reset();
  request.eta = .8;
  plan = must_plan(request);
  EXPECT_EQ(plan.best()->count, 12);
  EXPECT_EQ(plan.eta_source, "simulation");
  request.eta.reset();
  plan = must_plan(request);
  EXPECT_EQ(plan.best()->count, static_cast<std::int64_t>(std::ceil(960 / (100 * kEtaDefault))));
}

TEST(PlanCapacity, DutyAndBudgetLowerTheLoad) {
  PlanRequest request = sixty_four_on_t4();
  request.workload.cameras[0].duty = .25;
  EXPECT_EQ(must_plan(request).best()->count, 3);
  request.workload.cameras[0].duty.reset();
  request.workload.cameras[0].policy = PolicyKind::kAdaptive;
  request.workload.cameras[0].budget.share = .25;
  EXPECT_EQ(must_plan(request).best()->count, 3);
  request.workload.cameras[0].priority = Priority::kCritical;  // always inferred
  EXPECT_EQ(must_plan(request).best()->count, 12);
}

TEST(PlanCapacity, EachTermCanBind) {
  const LoadedProfile profile = make_profile("T4", "m.onnx", 10'000, 1);
  PlanRequest request = make_request({make_group(64, 1)}, {profile}, {{.name = "T4"}});
  request.workload.n_plus_1 = false;
  const Catalogue& catalogue = built_in_catalogue();
  // 64 x 25 frames/s of 1920x1080 against 38 x 30 at .8.
  Plan plan = must_plan(request, catalogue);
  EXPECT_EQ(term(*plan.best(), "compute"), 1);
  EXPECT_EQ(term(*plan.best(), "decode"), 2);
  EXPECT_EQ(plan.best()->binding, "decode");
  // 10 pictures of 1.5 bytes a pixel for each camera: 31.1 MB of 16 GB at .85 less the model
  request.workload.cameras[0].count = 1000;
  request.workload.cameras[0].fps = 1;
  plan = must_plan(request, catalogue);
  EXPECT_EQ(plan.best()->binding, "memory");
  EXPECT_EQ(plan.best()->count, static_cast<std::int64_t>(
                                    std::ceil(31.104e9 / (.85 * 16e9 - .5 * 1024 * 1024 * 1024))));
  request.workload.links.network_gbit_per_s = .01;
  plan = must_plan(request, catalogue);
  EXPECT_EQ(plan.best()->binding, "link");
  // 2.07 Mpixel x .1 bit a camera against .8 x 10 Mbit/s a machine
  EXPECT_EQ(plan.best()->count, static_cast<std::int64_t>(std::ceil(207.36 / 8)));
  request.workload.n_plus_1 = true;
  request.workload.links = {};
  request.workload.cameras[0].count = 1;
  plan = must_plan(request, catalogue);
  EXPECT_EQ(plan.best()->binding, "n_plus_1");
  EXPECT_EQ(plan.best()->count, 2);
}

TEST(PlanCapacity, ACpuSharesItsCoresBetweenInferenceAndDecoding) {
  // 8 cores do 100 inferences/s, or 8 x 400 frames/s of 1080p.
  PlanRequest request = make_request({make_group(64, 1)}, {make_profile("CPU", "m.onnx", 100, 20)});
  request.workload.n_plus_1 = false;
  request.workload.redundancy = 1;
  request.workload.eta = 1;
  const Plan plan = must_plan(request);
  const CandidatePlan& best = *plan.best();
  // Inference .64 machines, decoding 1600 / 3200 / .8 = .625: together 1.265.
  EXPECT_EQ(term(best, "decode"), 1);
  EXPECT_EQ(best.count, 2);
  EXPECT_EQ(best.binding, "compute");
  ASSERT_TRUE(best.decode);
  EXPECT_NEAR(best.decode->used, 2, 1e-9);  // of 4 cores in all
  EXPECT_NEAR(best.decode->limit, 6.4, 1e-9);
  EXPECT_NEAR(best.occupancy, (.64 + .5) / 2, 1e-9);
  request.workload.cameras[0].rate_hz = .5;  // .32 + .625 fits one
  EXPECT_EQ(must_plan(request).best()->count, 1);
}

TEST(PlanCapacity, AnotherNumberOfCoresIsScaled) {
  PlanRequest request = make_request({make_group(8, 5)}, {make_profile("CPU", "m.onnx", 100, 20)},
                                     {{.name = "CPU", .cores = 4}});
  const Plan plan = must_plan(request);
  EXPECT_EQ(plan.best()->confidence, Confidence::kScaled);
  EXPECT_NEAR(plan.best()->knee_fps, 50, 1e-9);
}

TEST(PlanCapacity, ModelsShareADevice) {
  PlanRequest request =
      make_request({make_group(2, 10, "a.onnx"), make_group(2, 10, "b.onnx")},
                   {make_profile("T4", "a.onnx", 100, 10), make_profile("T4", "b.onnx", 100, 10)});
  request.workload.cameras[1].name = "docks";
  request.workload.n_plus_1 = false;
  const Plan plan = must_plan(request);
  EXPECT_EQ(plan.best()->count, 1);
  ASSERT_EQ(plan.best()->layouts.size(), 1U);
  EXPECT_EQ(plan.best()->layouts[0].models.size(), 2U);
  EXPECT_NEAR(plan.best()->layouts[0].qps, 40, 1e-6);
}

TEST(PlanCapacity, LayoutsCarryTheWholeLoad) {
  std::mt19937 rng(3);
  std::uniform_int_distribution<std::int64_t> count(1, 300);
  std::uniform_real_distribution<double> rate(.5, 15);
  for (int round = 0; round < 200; ++round) {
    std::vector<CameraGroup> groups;
    for (int g = 0; g < 1 + round % 4; ++g) {
      groups.push_back(make_group(count(rng), rate(rng), g % 2 == 0 ? "a.onnx" : "b.onnx"));
      groups.back().name = "g" + std::to_string(g);
      groups.back().slo = std::chrono::milliseconds(100 + 50 * g);
    }
    const PlanRequest request = make_request(
        groups, {make_profile("CPU", "a.onnx", 200, 12), make_profile("CPU", "b.onnx", 50, 30)});
    const Plan plan = must_plan(request);
    double qps = 0;
    std::int64_t devices = 0;
    for (const DeviceLayout& layout : plan.best()->layouts) {
      qps += layout.qps * static_cast<double>(layout.count);
      devices += layout.count;
    }
    EXPECT_NEAR(qps, plan.qps, plan.qps * 1e-6) << round;
    EXPECT_EQ(devices, plan.best()->count) << round;
    EXPECT_LT(plan.best()->occupancy, 1) << round;
  }
}

TEST(PlanCapacity, MoreLoadNeverNeedsFewerDevices) {
  std::mt19937 rng(9);
  std::uniform_real_distribution<double> fps(20, 2000);
  std::uniform_int_distribution<std::int64_t> count(1, 5000);
  for (int round = 0; round < 300; ++round) {
    PlanRequest request =
        make_request({make_group(count(rng), 5)},
                     {make_profile(round % 2 == 0 ? "CPU" : "T4", "m.onnx", fps(rng), 40)});
    request.workload.cameras[0].slo = 250ms;
    const std::int64_t before = must_plan(request).best()->count;
    PlanRequest more = request;
    more.workload.cameras[0].count += count(rng);
    EXPECT_GE(must_plan(more).best()->count, before) << "cameras, round " << round;
    more = request;
    more.workload.cameras[0].rate_hz *= 2;
    EXPECT_GE(must_plan(more).best()->count, before) << "rate, round " << round;
    more = request;
    more.workload.redundancy = 2;
    EXPECT_GE(must_plan(more).best()->count, before) << "redundancy, round " << round;
    more = request;
    more.workload.cameras[0].duty = .5;
    EXPECT_LE(must_plan(more).best()->count, before) << "duty, round " << round;
    more = request;
    more.workload.eta = .5;
    EXPECT_GE(must_plan(more).best()->count, before) << "eta, round " << round;
  }
}

TEST(PlanCapacity, CandidatesAreCompared) {
  PlanRequest request = make_request(
      {make_group(64, 10)},
      {make_profile("fast", "m.onnx", 400, 5), make_profile("slow", "m.onnx", 100, 20)},
      {{.name = "fast", .price = 9000}, {.name = "slow", .price = 2000}});
  request.workload.n_plus_1 = false;  // 3 x 9000 against 12 x 2000
  Plan plan = must_plan(request);
  EXPECT_EQ(plan.criterion, "lowest cost");
  EXPECT_EQ(plan.best()->device.name, "slow");
  EXPECT_EQ(plan.candidates[1].device.name, "fast");
  // Equal at 27000 / 12.
  EXPECT_THAT(plan.flips,
              Contains(HasSubstr("slow above 2250.00 EUR each: fast would be cheaper")));
  request.workload.devices[1].price = 2251;
  EXPECT_EQ(must_plan(request).best()->device.name, "fast");
  request.workload.devices[0].at_most = 2;
  plan = must_plan(request);
  EXPECT_EQ(plan.best()->device.name, "slow");
  EXPECT_THAT(plan.candidates[1].problem, HasSubstr("only 2 can be had"));
}

TEST(PlanCapacity, WhatLeavesDecodingOutDoesNotWinByIt) {
  PlanRequest request =
      make_request({make_group(64, 5, "yolo11n.onnx")}, {},
                   {{.name = "T4", .price = 5000}, {.name = "Jetson Orin NX 16GB", .price = 100}});
  const Plan plan =
      must_plan(request, built_in_catalogue());  // the Jetson's h264 rate is not there
  EXPECT_EQ(plan.best()->device.name, "T4");
  EXPECT_EQ(plan.criterion, "lowest cost, of those whose decoding is known");
  EXPECT_FALSE(plan.candidates[1].is_decode_known);
  request.workload.cameras[0].codec = "hevc";  // now it is the other way round
  EXPECT_EQ(must_plan(request, built_in_catalogue()).best()->device.name, "Jetson Orin NX 16GB");
}

TEST(PlanCapacity, EnergyAndMachinesCost) {
  PlanRequest request = sixty_four_on_t4();
  DeviceCandidate& device = request.workload.devices[0];
  device.price = 1000;
  device.per_node = 4;
  device.node_price = 3000;
  device.power_w = 70;
  device.node_power_w = 100;
  const Plan plan = must_plan(request);
  EXPECT_EQ(plan.best()->nodes, 3);
  EXPECT_NEAR(*plan.best()->power_w, 12 * 70 + 3 * 100, 1e-9);
  EXPECT_NEAR(*plan.best()->cost, 12 * 1000 + 3 * 3000, 1e-9);
  request.workload.energy_price = .3;
  request.workload.years = 2;
  EXPECT_NEAR(*must_plan(request).best()->cost, 21'000 + 1.14 * 8766 * 2 * .3, 1e-6);
}

TEST(PlanCapacity, WhatIfAgreesWithPlans) {
  const PlanRequest request = sixty_four_on_t4();
  const Plan plan = must_plan(request);
  for (std::size_t i = 0; i < plan.what_if.camera_factors.size(); ++i) {
    for (std::size_t j = 0; j < plan.what_if.rate_factors.size(); ++j) {
      PlanRequest other = request;
      other.workload.cameras[0].count = std::llround(64 * plan.what_if.camera_factors[i]);
      other.workload.cameras[0].rate_hz = 10 * plan.what_if.rate_factors[j];
      EXPECT_EQ(plan.what_if.devices[i][j], must_plan(other).best()->count) << i << " " << j;
    }
  }
  PlanRequest fast = request;
  fast.workload.cameras[0].fps = 10;  // no camera answers more than it delivers
  EXPECT_EQ(must_plan(fast).what_if.devices[0][3], std::nullopt);
}

TEST(PlanCapacity, BadInputIsExplained) {
  const LoadedProfile profile = make_profile("T4", "m.onnx", 50, 26.3);
  PlanRequest request = make_request({make_group(4, 10)}, {profile});
  request.workload.cameras[0].slo = 40ms;
  EXPECT_THAT(problem_of(request), AllOf(HasSubstr("cameras[gates].slo: 40ms is below"),
                                         HasSubstr("the least possible is 53ms")));
  request.workload.cameras[0].slo = 53ms;
  EXPECT_EQ(problem_of(request), "");
  request.workload.cameras[0].model = "other.onnx";
  EXPECT_THAT(problem_of(request), AllOf(HasSubstr("are of m.onnx fp16, not of other.onnx"),
                                         HasSubstr("framemill bench")));
  request.workload.cameras[0].model = "m.onnx";
  request.workload.cameras[0].precision = "int8";
  EXPECT_THAT(problem_of(request), HasSubstr("not of m.onnx int8"));
  request = make_request({make_group(4, 10)}, {}, {{.name = "T5"}});
  EXPECT_THAT(problem_of(request, built_in_catalogue()),
              HasSubstr("the catalogue does not know this device"));
  EXPECT_THAT(problem_of(make_request({make_group(4, 10)}, {})),
              HasSubstr("there is nothing to plan with"));
  request = make_request({make_group(4, 10)}, {make_profile("T4", "m.onnx", 50, 20, 20)});
  EXPECT_THAT(problem_of(request, built_in_catalogue()),
              AllOf(HasSubstr("m.onnx needs 20.00 GiB"), HasSubstr("of T4")));
}

TEST(PlanCapacity, ARareSlowServiceDoesNotForbidAnSlo) {
  LoadedProfile profile = make_profile("T4", "m.onnx", 50, 26);
  profile.profile.points[0].service.percentiles[99] = 110ms;
  profile.profile.points[0].service.percentiles[100] = 200ms;
  PlanRequest request = make_request({make_group(4, 2)}, {profile});
  request.workload.cameras[0].slo = 136ms;
  const Plan plan = must_plan(request);
  EXPECT_GE(plan.best()->layouts[0].models[0].p99_ms, 110);
  request.workload.cameras[0].slo = 135ms;
  EXPECT_THAT(problem_of(request), HasSubstr("the least possible is 136ms"));
}

TEST(PlanCapacity, AbsurdCountsGetACount) {
  PlanRequest request =
      make_request({make_group(1'000'000'000, 240)}, {make_profile("CPU", "m.onnx", 1, 1)});
  request.workload.cameras[0].fps = 240;
  request.workload.cameras[0].slo = 60s;
  request.workload.redundancy = 10;
  request.workload.eta = .05;
  const Plan plan = must_plan(request);
  EXPECT_NEAR(static_cast<double>(plan.best()->count), 1e9 * 240 * 10 / .05, 1e9);
  EXPECT_GT(plan.best()->count, 0);
  EXPECT_THAT(format_plan_table(plan), Not(IsEmpty()));
}

TEST(PlanCapacity, AThousandGroupsTakeAMoment) {
  std::vector<CameraGroup> groups;
  for (int i = 0; i < 1000; ++i) {
    groups.push_back(make_group(1 + i % 7, 1 + i % 10));
    groups.back().name = "g" + std::to_string(i);
    groups.back().slo = std::chrono::milliseconds(100 + i);
  }
  const Plan plan = must_plan(make_request(groups, {make_profile("CPU", "m.onnx", 100, 20)}));
  EXPECT_NEAR(plan.qps,
              must_plan(make_request(groups, {make_profile("T4", "m.onnx", 100, 20)})).qps, 1e-6);
  EXPECT_GT(plan.best()->count, 100);
}

TEST(PlanCapacity, SaysWhereAProfileCameFrom) {
  PlanRequest request = make_request({make_group(4, 10)}, {make_profile("T4", "m.onnx", 50, 20)});
  request.target = {{"cpu", "Test CPU"}, {"cores", "8"}};
  EXPECT_THAT(must_plan(request).notes, IsEmpty());
  request.target["cores"] = "2";
  EXPECT_THAT(must_plan(request).notes,
              Contains(AllOf(HasSubstr("measured on another machine"),
                             HasSubstr("cores 8 (here: 2)"), Not(HasSubstr("Test CPU")))));
  request.profiles.push_back(make_profile("T4", "unused.onnx", 50, 20));
  EXPECT_THAT(must_plan(request).notes, Contains(HasSubstr("unused.onnx on T4) is not used")));
}

TEST(PlanCapacity, PublishedFiguresAreScaledOnlyByFigures) {
  const Catalogue& catalogue = built_in_catalogue();
  const DeviceCandidate t4{.name = "T4"};
  const Result<ModelService> published = find_service(t4, "yolo11n.onnx", "fp16", {}, catalogue);
  ASSERT_TRUE(published);
  EXPECT_EQ(published->confidence, Confidence::kPublished);
  EXPECT_NEAR(published->knee_fps, 1000 / 1.5, .1);
  const Result<ModelService> smaller =
      find_service(t4, "yolo11n_640x384.onnx", "fp16", {}, catalogue);
  ASSERT_TRUE(smaller);
  EXPECT_EQ(smaller->confidence, Confidence::kScaled);
  EXPECT_NEAR(smaller->knee_fps, 1000 / 1.5 * 640 / 384, .2);
  // L4 and T4 have yolov8s at 320 in common: 607.25 for 360.
  const Result<ModelService> l4 =
      find_service({.name = "L4"}, "yolo11n.onnx", "fp16", {}, catalogue);
  ASSERT_TRUE(l4) << l4.error().message();
  EXPECT_EQ(l4->confidence, Confidence::kScaled);
  EXPECT_NEAR(l4->knee_fps, 1000 / 1.5 * 607.25 / 360, 1);
  // A profile of a T4 counts more than what is published of it.
  const Result<ModelService> from_profile =
      find_service({.name = "L4"}, "yolo11n.onnx", "fp16",
                   {make_profile("Tesla T4", "yolo11n.onnx", 500, 5)}, catalogue);
  ASSERT_TRUE(from_profile);
  EXPECT_NEAR(from_profile->knee_fps, 500 * 607.25 / 360, 1);
  // A10 and T4 have only SSD-ResNet34 in common.
  const Result<ModelService> a10 =
      find_service({.name = "A10"}, "yolo11n.onnx", "fp16", {}, catalogue);
  ASSERT_TRUE(a10) << a10.error().message();
  EXPECT_EQ(a10->confidence, Confidence::kScaled);
  EXPECT_NEAR(a10->knee_fps, 1000 / 1.5 * 316.5 / 135.5, 1);
  EXPECT_FALSE(find_service({.name = "EPYC 9354"}, "yolo11n.onnx", "fp16", {}, catalogue));
  EXPECT_FALSE(find_service(t4, "yolo11nano.onnx", "fp16", {}, catalogue));
}

const std::filesystem::path kGolden =
    std::filesystem::path(FRAMEMILL_SOURCE_DIR) / "tests" / "golden" / "plan";

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void expect_golden(const std::string& name, const std::string& text) {
  const std::filesystem::path path = kGolden / name;
  if (std::getenv("FRAMEMILL_UPDATE_GOLDEN") != nullptr) {
    std::filesystem::create_directories(kGolden);
    std::ofstream(path, std::ios::binary) << text;
  }
  EXPECT_EQ(text, read_file(path)) << path << "; FRAMEMILL_UPDATE_GOLDEN=1 renews it";
}

TEST(PlanReport, GoldenFiles) {
  const Result<Workload> workload = load_workload((kGolden / "site.yaml").string());
  ASSERT_TRUE(workload) << workload.error().message();
  PlanRequest request{.workload = *workload};
  request.profiles = {make_profile("CPU", "yolo11n.onnx", 60, 40, .3),
                      make_profile("CPU", "yolo11s.onnx", 25, 90, .4)};
  request.target = {{"cpu", "Another CPU"}};
  const Plan plan = must_plan(request, built_in_catalogue());
  expect_golden("site.txt", format_plan_table(plan));
  expect_golden("site.md", format_plan_markdown(plan, "0.0.0"));
  expect_golden("site.json", format_plan_json(plan, "0.0.0"));
  expect_golden("site.csv", format_plan_csv(plan));
}

TEST(PlanReport, FormsAgree) {
  const Plan plan = must_plan(sixty_four_on_t4());
  const auto json = nlohmann::json::parse(format_plan_json(plan, "1"));
  EXPECT_EQ(json["schema"], "framemill.plan/1");
  EXPECT_EQ(json["choice"], "T4");
  EXPECT_EQ(json["candidates"][0]["count"], 12);
  EXPECT_THAT(format_plan_table(plan), HasSubstr("why 12 T4"));
  EXPECT_THAT(format_plan_markdown(plan, "1"), HasSubstr("**12 x T4**"));
  EXPECT_THAT(format_plan_csv(plan), HasSubstr("\nT4,yes,12,12,compute,12,"));
}

TEST(PlanReport, HostileNamesStayWhereTheyAre) {
  PlanRequest request = sixty_four_on_t4();
  request.workload.devices[0].name = "T4 | \"x\", \xff\n<b>";
  const Plan plan = must_plan(request);
  EXPECT_TRUE(nlohmann::json::accept(format_plan_json(plan, "1")));
  EXPECT_THAT(format_plan_csv(plan), HasSubstr("\"T4 | \"\"x\"\", \xff\n<b>\""));
}

TEST(Catalogue, BuiltInIsRight) {
  const Result<Catalogue> parsed = parse_catalogue(built_in_catalogue_json());
  ASSERT_TRUE(parsed) << parsed.error().message();
  EXPECT_EQ(built_in_catalogue_json(),
            read_file(std::filesystem::path(FRAMEMILL_SOURCE_DIR) / "data" / "catalogue.json"));
  for (const char* const name :
       {"Jetson Orin Nano 8GB", "Jetson Orin NX 16GB", "Jetson AGX Orin 64GB", "T4", "L4", "A10",
        "L40S", "A100", "H100", "H200", "RTX 4090", "Xeon Platinum 8480+", "EPYC 9654"})
    EXPECT_NE(parsed->find(name), nullptr) << name;
  EXPECT_EQ(parsed->find("nvidia l4"), parsed->find("L4"));
  EXPECT_EQ(parsed->find("L"), nullptr);
}

TEST(Catalogue, RefusesWhatIsWrong) {
  const std::tuple<std::string, std::string, std::string> cases[] = {
      {"framemill.catalogue/1", "framemill.catalogue/2", "schema"},
      {"\"aliases\"", "\"alias\"", "has no aliases"},
      {"\"kind\": \"soc\"", "\"kind\": \"tpu\"", "kind has to be"},
      {"\"source\": \"nvidia-t4\"", "\"source\": \"hearsay\"", "not among the sources"},
      {"\"frames_per_s\": ", "\"frames_per_s\": -", "has to be a number above 0"},
      {"\"input\": [640, 640]", "\"input\": [640]", "input has to be"},
  };
  for (const auto& [from, to, says] : cases) {
    std::string text(built_in_catalogue_json());
    const std::size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    const Result<Catalogue> parsed = parse_catalogue(text);
    ASSERT_FALSE(parsed) << from;
    EXPECT_THAT(parsed.error().message(), HasSubstr(says));
  }
  EXPECT_FALSE(parse_catalogue("{"));
  EXPECT_FALSE(parse_catalogue("[]"));
}

TEST(Catalogue, FileNamesOfModels) {
  EXPECT_TRUE(is_model_called("yolo11n.onnx", "yolo11n"));
  EXPECT_TRUE(is_model_called("YOLO11n_640x384_int8.xml", "yolo11n"));
  EXPECT_TRUE(is_model_called("yolo11n", "yolo11n"));
  EXPECT_FALSE(is_model_called("yolo11nano.onnx", "yolo11n"));
  EXPECT_FALSE(is_model_called("my_yolo11n.onnx", "yolo11n"));
}

}  // namespace
}  // namespace framemill

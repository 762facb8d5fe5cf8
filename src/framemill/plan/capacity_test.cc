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
  const auto bytes = static_cast<std::int64_t>(gib * 1024 * 1024 * 1024);
  if (profile.device == "CPU")
    point.host_bytes = bytes;
  else
    point.device_bytes = bytes;
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
  EXPECT_EQ(plan.eta_source, "--eta") << "nobody says that a simulation found it";
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
  request.workload.cameras[0].decode = "auto";
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

TEST(PlanCapacity, TheLossOfADeviceBreaksNoTerm) {
  PlanRequest request = make_request({make_group(72, 1)}, {}, {{.name = "T4", .throughput = 2000}});
  request.workload.cameras[0].decode = "auto";
  const Catalogue& catalogue = built_in_catalogue();
  // 3732 Mpixel/s: two T4 at .8, and what is left of two could not.
  Plan plan = must_plan(request, catalogue);
  EXPECT_EQ(term(*plan.best(), "decode"), 2);
  EXPECT_EQ(plan.best()->count, 3);
  EXPECT_EQ(plan.best()->binding, "n_plus_1");
  EXPECT_NEAR(*plan.best()->decode_after_loss, 3732.48 / 2363.9 / 2, 1e-4);
  EXPECT_THAT(format_plan_table(plan), HasSubstr("2 %, 79 %, 7 %"));
  EXPECT_THAT(format_plan_markdown(plan, "1"), HasSubstr("| 2 %, 79 %, 7 % |"));
  const auto json = nlohmann::json::parse(format_plan_json(plan, "1"));
  EXPECT_NEAR(json["candidates"][0]["decode_after_loss"], .789, 1e-3);
  EXPECT_NEAR(json["candidates"][0]["memory_after_loss"], .07, 1e-2);
  EXPECT_THAT(format_plan_csv(plan), HasSubstr(",0.78947"));
  // Memory and links, too: one device holds the pictures of 437 of them, and a network 48.
  request.workload.cameras[0].fps = 1;
  request.workload.cameras[0].count = 430;
  plan = must_plan(request, catalogue);
  EXPECT_EQ(term(*plan.best(), "memory"), 1);
  EXPECT_EQ(term(*plan.best(), "n_plus_1"), 2);
  request.workload.cameras[0].count = 520;
  plan = must_plan(request, catalogue);
  EXPECT_EQ(term(*plan.best(), "memory"), 2);
  EXPECT_EQ(term(*plan.best(), "n_plus_1"), 3);
  EXPECT_LE(*plan.best()->memory_after_loss, .95);
  request.workload.links.network_gbit_per_s = .1;
  plan = must_plan(request, catalogue);
  EXPECT_EQ(term(*plan.best(), "link"), 2);
  EXPECT_EQ(term(*plan.best(), "n_plus_1"), 3);
}

TEST(PlanCapacity, WithOneLostTheOthersHoldWhateverBinds) {
  std::mt19937 rng(4);
  std::uniform_int_distribution<std::int64_t> count(1, 2000);
  std::uniform_real_distribution<double> rate(.1, 10);
  std::uniform_real_distribution<double> fps(10, 50);
  for (int round = 0; round < 300; ++round) {
    PlanRequest request =
        make_request({make_group(count(rng), rate(rng))}, {make_profile("CPU", "m.onnx", 90, 20)},
                     {{.name = round % 2 == 0 ? "T4" : "CPU",
                       .per_node = 1 + round % 3,
                       .memory_gib = .9 + round % 5,
                       .cores = 4}});
    if (round % 2 == 0) request.workload.devices[0].throughput = 500;
    request.workload.cameras[0].fps = fps(rng);
    if (round % 4 == 0) request.workload.cameras[0].decode = "auto";
    const Plan plan = must_plan(request, built_in_catalogue());
    EXPECT_LE(plan.best()->occupancy_after_loss.value_or(1), .96) << round;
    EXPECT_LE(plan.best()->memory_after_loss.value_or(1), .9501) << round;
    if (round % 4 != 2) {
      EXPECT_LE(plan.best()->decode_after_loss.value_or(1), .9501) << round;
    }
  }
}

TEST(PlanCapacity, TheProcessorDecodesUnlessItIsToldOtherwise) {
  // 40 x 25 frames/s of 1080p at 400 a core.
  const Catalogue& catalogue = built_in_catalogue();
  PlanRequest request =
      make_request({make_group(40, 5)}, {}, {{.name = "T4", .per_node = 2, .throughput = 1000}});
  Plan plan = must_plan(request, catalogue);
  EXPECT_FALSE(plan.best()->decode) << "no card decodes";
  EXPECT_FALSE(plan.best()->is_decode_known);
  EXPECT_THAT(plan.best()->notes,
              Contains(AllOf(HasSubstr("decoding is not counted"),
                             HasSubstr("1000 frames/s are decoded by the processor"))));
  // Where a profile says what a core decodes, the cores are named, and counted where it is said
  // how many there are.
  request.profiles = {make_profile("CPU", "m.onnx", 100, 20)};
  plan = must_plan(request, catalogue);
  EXPECT_TRUE(plan.best()->is_decode_known);
  ASSERT_TRUE(plan.best()->host_decode);
  EXPECT_NEAR(plan.best()->host_decode->used, 2.5, 1e-9);
  EXPECT_FALSE(plan.best()->host_decode->limit);
  EXPECT_THAT(plan.best()->notes, Contains(HasSubstr("3.12 cores in all have to be there")));
  request.workload.n_plus_1 = false;
  request.workload.devices[0].cores = 2;
  plan = must_plan(request, catalogue);
  EXPECT_EQ(plan.best()->binding, "decode");
  EXPECT_EQ(plan.best()->nodes, 2) << "2.5 of 1.6 cores";
  EXPECT_EQ(plan.best()->count, 3) << "one card in the second machine will do";
  EXPECT_NEAR(*plan.best()->host_decode->limit, 1.6, 1e-9);
  EXPECT_THAT(format_plan_table(plan), HasSubstr("1.25 / 1.60 host cores"));
  // `decode: auto` brings it to one card a machine, but for streams whose motion vectors count.
  request.workload.cameras[0].decode = "auto";
  plan = must_plan(request, catalogue);
  EXPECT_FALSE(plan.best()->host_decode);
  EXPECT_EQ(plan.best()->count, 3) << "2074 of 1891 Mpixel/s";
  request.workload.cameras[0].policy = PolicyKind::kAdaptive;
  plan = must_plan(request, catalogue);
  EXPECT_FALSE(plan.best()->decode);
  EXPECT_NEAR(plan.best()->host_decode->used, 1.25, 1e-9);
  request.workload.cameras[0].codec = "hevc";  // exports none
  EXPECT_TRUE(must_plan(request, catalogue).best()->decode);
}

TEST(PlanCapacity, TheHostIsNotTheDevice) {
  LoadedProfile profile = make_profile("NVIDIA H200", "m.onnx", 1000, 2);
  PlanRequest request = make_request({make_group(10, 5)}, {profile});
  ServicePoint& point = request.profiles[0].profile.points[0];
  point.power_w = 300;
  EXPECT_EQ(must_plan(request, built_in_catalogue()).best()->power_w, 2 * 300);
  // A profile without any figure of the device has those of the processor beside it.
  point.host_bytes = *point.device_bytes;
  point.device_bytes.reset();
  point.power_w = 95;
  const Plan plan = must_plan(request, built_in_catalogue());
  EXPECT_EQ(plan.best()->power_w, 2 * 700);
  EXPECT_THAT(plan.best()->notes, Contains(HasSubstr("memory of m.onnx is not known")));
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

TEST(PlanCapacity, MoreCoresAreNoSooner) {
  LoadedProfile profile = make_profile("CPU", "m.onnx", 66.7, 30);
  profile.profile.environment["cores"] = "2";
  profile.profile.run_streams = profile.profile.points[0].streams = 2;
  PlanRequest request = make_request({make_group(8, 5)}, {profile}, {{.name = "EPYC 9654"}});
  request.workload.cameras[0].slo = 5ms;
  EXPECT_THAT(problem_of(request, built_in_catalogue()), HasSubstr("the least possible is 60ms"));
  request.workload.cameras[0].slo = 60ms;
  const Plan plan = must_plan(request, built_in_catalogue());
  EXPECT_EQ(plan.best()->confidence, Confidence::kScaled);
  EXPECT_NEAR(plan.best()->knee_fps, 66.7 * 48, 1e-6);
  EXPECT_EQ(plan.best()->layouts[0].models[0].instances, 96U);
  EXPECT_GE(plan.best()->layouts[0].models[0].p99_ms, 30);
  EXPECT_THAT(plan.best()->sources, Contains(HasSubstr("measure before you buy")));
  // Half the cores take twice as long.
  request.workload.devices[0].cores = 1;
  EXPECT_THAT(problem_of(request, built_in_catalogue()), HasSubstr("the least possible is 120ms"));
}

TEST(PlanCapacity, APartOfAProcessorIsNotTheWhole) {
  LoadedProfile profile = make_profile("CPU", "m.onnx", 66.7, 30);
  profile.profile.device_name = "AMD EPYC 9654 96-Core Processor";
  profile.profile.environment = {{"cores", "2"}, {"memory_mb", "8000"}};
  const Catalogue& catalogue = built_in_catalogue();
  // Called as the catalogue does, it is the whole: scaled.
  PlanRequest request = make_request({make_group(9, 10)}, {profile}, {{.name = "EPYC 9654"}});
  Plan plan = must_plan(request, catalogue);
  EXPECT_EQ(plan.best()->confidence, Confidence::kScaled);
  EXPECT_NEAR(plan.best()->knee_fps, 66.7 * 48, 1e-6);
  EXPECT_EQ(plan.best()->power_w, 2 * 360);
  EXPECT_NEAR(plan.best()->decode->limit, .8 * 96, 1e-9);
  EXPECT_FALSE(plan.best()->memory) << "the virtual machine's is not the server's";
  // Called as the profile does, it is more of the same virtual machine.
  for (const bool is_named : {true, false}) {
    request.workload.devices.clear();
    if (is_named) request.workload.devices = {{.name = profile.profile.device_name}};
    plan = must_plan(request, catalogue);
    EXPECT_EQ(plan.best()->confidence, Confidence::kMeasured);
    EXPECT_NEAR(plan.best()->knee_fps, 66.7, 1e-9);
    EXPECT_FALSE(plan.best()->power_w) << "360 W are those of 96 cores";
    EXPECT_NEAR(plan.best()->decode->limit, .8 * 2, 1e-9);
    EXPECT_TRUE(plan.best()->memory);
  }
  // All of it, with two threads a core or without.
  for (const char* const cores : {"96", "192"}) {
    request.profiles[0].profile.environment["cores"] = cores;
    request.workload.devices = {{.name = "EPYC 9654"}};
    plan = must_plan(request, catalogue);
    EXPECT_EQ(plan.best()->confidence, Confidence::kMeasured);
    EXPECT_NEAR(plan.best()->knee_fps, 66.7, 1e-9);
  }
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
                   {{.name = "T4", .price = 5000}, {.name = "X", .price = 100, .throughput = 300}});
  request.workload.cameras[0].decode = "auto";
  const Plan plan = must_plan(request, built_in_catalogue());  // nobody knows the decoders of X
  EXPECT_EQ(plan.best()->device.name, "T4");
  EXPECT_EQ(plan.criterion, "lowest cost, of those whose decoding is known");
  EXPECT_FALSE(plan.candidates[1].is_decode_known);
  // The processor decodes for both, and a profile says what a core does.
  request.workload.cameras[0].decode = "cpu";
  request.profiles = {make_profile("CPU", "other.onnx", 10, 10)};
  EXPECT_EQ(must_plan(request, built_in_catalogue()).best()->device.name, "X");
}

TEST(PlanCapacity, WhatThisVersionDoesNotRunOnDoesNotWin) {
  PlanRequest request =
      make_request({make_group(64, 5, "yolo11n.onnx")}, {},
                   {{.name = "T4", .price = 5000}, {.name = "Jetson Orin NX 16GB", .price = 100}});
  Plan plan = must_plan(request, built_in_catalogue());
  EXPECT_EQ(plan.best()->device.name, "T4");
  EXPECT_EQ(plan.criterion, "lowest cost, of those that this version is built for");
  EXPECT_THAT(plan.flips, Not(Contains(HasSubstr("would be cheaper"))));
  EXPECT_THAT(plan.candidates[1].notes, Contains(HasSubstr("which Jetsons are not")));
  request.workload.devices.erase(request.workload.devices.begin());
  plan = must_plan(request, built_in_catalogue());
  EXPECT_EQ(plan.best()->device.name, "Jetson Orin NX 16GB");
  EXPECT_EQ(plan.criterion, "lowest cost");
  request.workload.cameras[0].decode = "auto";  // reaches cards alone
  EXPECT_FALSE(must_plan(request, built_in_catalogue()).best()->decode);
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
  PlanRequest budgeted = make_request({make_group(100, 10)}, {}, {{.name = "X", .throughput = 30}});
  budgeted.workload.n_plus_1 = false;
  budgeted.workload.redundancy = 1;
  budgeted.workload.cameras[0].policy = PolicyKind::kAdaptive;
  budgeted.workload.cameras[0].budget.per_second = 30;
  for (const auto& row : must_plan(budgeted).what_if.devices)
    EXPECT_THAT(row, testing::Each(1)) << "30/s of the whole group stay 30/s";
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
  request.profiles[0].profile.environment["memory_mb"] = "16000";
  request.target = {{"cpu", "Test CPU"}, {"cores", "8"}, {"memory_mb", "15999"}};
  EXPECT_THAT(must_plan(request).notes, IsEmpty());
  request.target["cores"] = "2";
  EXPECT_THAT(must_plan(request).notes,
              Contains(AllOf(HasSubstr("measured on another machine"),
                             HasSubstr("cores 8 (here: 2)"), Not(HasSubstr("Test CPU")))));
  request.profiles.push_back(make_profile("T4", "unused.onnx", 50, 20));
  EXPECT_THAT(must_plan(request).notes, Contains(HasSubstr("unused.onnx on T4) is not used")));
}

TEST(PlanCapacity, UnlikeModelsAreNotCompared) {
  PlanRequest request =
      make_request({make_group(40, 5, "")}, {make_profile("slow box", "yolo11x.onnx", 20, 60),
                                             make_profile("fast box", "yolo11n.onnx", 90, 20)});
  EXPECT_THAT(problem_of(request), AllOf(HasSubstr("cameras[gates].model: none is given"),
                                         HasSubstr("yolo11n.onnx, yolo11x.onnx")));
  request.profiles[0].profile.model = "yolo11n.onnx";
  EXPECT_EQ(problem_of(request), "");
  EXPECT_THAT(must_plan(request).notes, IsEmpty());
  request.profiles[0].profile.model_sha256 = std::string(64, 'c');
  EXPECT_THAT(must_plan(request).notes, Contains(HasSubstr("of different files of this name")));
  request.profiles[0].profile.model_sha256 = request.profiles[1].profile.model_sha256;
  // Two profiles of one model and device: the order of the files would decide.
  request.profiles[0].profile.device_name = "fast box";
  EXPECT_THAT(problem_of(request), AllOf(HasSubstr("slow box.json and fast box.json are both of"),
                                         HasSubstr("give one of them"), Not(HasSubstr("SHA"))));
  request.profiles[0].profile.model_sha256 = std::string(64, 'b');
  EXPECT_THAT(problem_of(request), HasSubstr("their SHA-256 differ"));
  request.profiles[0].profile.precision = "int8";  // are two
  EXPECT_EQ(problem_of(request), "");
}

TEST(PlanCapacity, DevicesAreComparedAtOnePrecision) {
  PlanRequest request = make_request({make_group(40, 5, "yolo11n.onnx")}, {},
                                     {{.name = "T4"}, {.name = "Jetson Orin NX 16GB"}});
  const auto precisions = [&] {
    std::vector<std::string> found;
    for (const CandidatePlan& one : must_plan(request, built_in_catalogue()).candidates)
      found.push_back(one.layouts[0].models[0].precision);
    return found;
  };
  EXPECT_THAT(precisions(), testing::ElementsAre("fp16", "fp16")) << "T4 has no other";
  EXPECT_THAT(must_plan(request, built_in_catalogue()).notes, IsEmpty());
  request.workload.devices[0].name = "Jetson AGX Orin 64GB";
  EXPECT_THAT(precisions(), testing::ElementsAre("int8", "int8")) << "both have all, int8 is fast";
  // Where they have none in common, it is said.
  request.workload.devices[0].name = "CPU";
  request.profiles = {make_profile("CPU", "yolo11n.onnx", 60, 40)};
  request.profiles[0].profile.precision = "bf16";
  EXPECT_THAT(must_plan(request, built_in_catalogue()).notes,
              Contains(AllOf(HasSubstr("compared at different precisions"),
                             HasSubstr("bf16 on CPU"), HasSubstr("int8 on Jetson Orin NX 16GB"))));
}

TEST(PlanCapacity, EachTermSaysHowSureItIs) {
  PlanRequest request =
      make_request({make_group(900, 1)}, {make_profile("NVIDIA H200", "m.onnx", 10'000, 1)});
  request.workload.cameras[0].decode = "auto";
  const Plan plan = must_plan(request, built_in_catalogue());
  const auto confidence = [&](std::string_view name) {
    for (const CapacityTerm& one : plan.best()->terms)
      if (one.name == name) return one.confidence;
    return std::optional<Confidence>();
  };
  EXPECT_EQ(confidence("compute"), Confidence::kMeasured);
  EXPECT_EQ(confidence("decode"), Confidence::kScaled) << "of the clock of another card";
  EXPECT_EQ(confidence("memory"), Confidence::kMeasured);
  EXPECT_EQ(confidence("link"), std::nullopt);
  EXPECT_EQ(plan.best()->confidence, Confidence::kScaled);
  EXPECT_THAT(plan.best()->sources, Contains(HasSubstr("scaled from 1860 MHz to the 1545 MHz")));
  EXPECT_THAT(format_plan_table(plan), HasSubstr("scaled (+-30 %)"));
  EXPECT_THAT(format_plan_csv(plan), HasSubstr(",scaled,scaled,"));
  EXPECT_LT(Confidence::kPublished, Confidence::kScaled) << "one of each is scaled";
}

TEST(PlanCapacity, AModelWaitsForTheOthersOnItsDevice) {
  PlanRequest request = make_request(
      {make_group(2, 3, "large.onnx"), make_group(1, 1, "small.onnx")},
      {make_profile("T4", "large.onnx", 15, 67), make_profile("T4", "small.onnx", 270, 3.7)});
  request.workload.cameras[0].slo = request.workload.cameras[1].slo = 1s;
  request.workload.cameras[1].name = "docks";
  request.workload.n_plus_1 = false;
  request.workload.redundancy = 1;
  const Plan plan = must_plan(request);
  ASSERT_EQ(plan.best()->count, 1);
  ASSERT_EQ(plan.best()->layouts[0].models.size(), 2U);
  // The large one runs 40 % of the time, and nobody interrupts it: of 100 frames of the small one
  // the unluckiest waits for nearly all of it.
  for (const PlannedModel& model : plan.best()->layouts[0].models)
    EXPECT_GT(model.p99_ms, 65) << model.model;
}

TEST(PlanCapacity, OnlyLikeFiguresScale) {
  const Catalogue& catalogue = built_in_catalogue();
  const auto fps = [&](const char* device, const char* model) {
    const Result<ModelService> service =
        find_service({.name = device}, model, "fp16", {}, catalogue);
    return service ? service->knee_fps : 0;
  };
  // In batches of one, by the model of like size: 1010.1 for 680.3, not a batch of 8 for one of 1.
  EXPECT_NEAR(fps("A100", "yolo11n.onnx"), 1000 / 1.5 * 1010.1 / 680.3, 1);
  EXPECT_NEAR(fps("A100", "yolo11x.onnx"), 88.5 * 418.4 / 110.4, 1);
  EXPECT_NEAR(fps("RTX 4090", "yolo11m.onnx"), 212.8 * 803 / 139.7, 1);
  EXPECT_EQ(fps("RTX 4090", "yolo11n.onnx"), 0) << "a large model says nothing of a small one";
  // RetinaNet and SSD-ResNet34 were measured in other batches on each card, or with a bound.
  for (const char* const device : {"A10", "L40S", "H100", "H200"})
    EXPECT_EQ(fps(device, "yolo11n.onnx"), 0) << device;
  // No larger card is slower than a smaller one, and none is a wonder.
  for (const char* const model : {"yolo11n", "yolo11s", "yolo11m", "yolo11l", "yolo11x"}) {
    const double t4 = fps("T4", model);
    ASSERT_GT(t4, 0);
    EXPECT_GT(t4, fps("Jetson AGX Orin 64GB", model)) << model;
    EXPECT_GT(fps("L4", model), t4) << model;
    EXPECT_GT(fps("A100", model), fps("L4", model)) << model;
    for (const CatalogueDevice& device : catalogue.devices)
      EXPECT_LT(fps(device.name.c_str(), model), 6 * t4) << device.name << " " << model;
  }
}

TEST(PlanCapacity, ScalingLooksAtBatchAndScenario) {
  const auto figure = [](const char* model, std::size_t batch, double fps) {
    return PublishedInference{.model = model,
                              .precision = "fp16",
                              .input = {640, 640},
                              .runtime = "TensorRT",
                              .batch = batch,
                              .frames_per_s = fps,
                              .source = "test"};
  };
  Catalogue catalogue;
  catalogue.devices = {{.name = "old", .inference = {figure("a", 1, 100), figure("b", 1, 100)}},
                       {.name = "new", .inference = {figure("b", 8, 900)}}};
  const auto fps = [&] {
    const Result<ModelService> service = find_service({.name = "new"}, "a", "", {}, catalogue);
    return service ? service->knee_fps : 0;
  };
  EXPECT_EQ(fps(), 0) << "a batch of 8 on the one, of 1 on the other";
  catalogue.devices[1].inference.push_back(figure("b", 1, 250));
  EXPECT_NEAR(fps(), 250, 1e-9);
  catalogue.devices[1].inference.back().scenario = "server";
  EXPECT_EQ(fps(), 0);
  catalogue.devices[0].inference.back().scenario = "server";
  EXPECT_NEAR(fps(), 250, 1e-9);
  catalogue.devices[0].inference.back().frames_per_s = 20;  // five times the work
  EXPECT_EQ(fps(), 0);
  catalogue.devices[1].inference.back().frames_per_s = 24;  // but hardly a difference
  EXPECT_NEAR(fps(), 120, 1e-9);
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
  EXPECT_NEAR(smaller->costs[0].latency_s, published->costs[0].latency_s, 1e-9);
  // L4 and T4 have yolov8s at 320 in batches of one in common: 151.2 for 130.2.
  const Result<ModelService> l4 =
      find_service({.name = "L4"}, "yolo11n.onnx", "fp16", {}, catalogue);
  ASSERT_TRUE(l4) << l4.error().message();
  EXPECT_EQ(l4->confidence, Confidence::kScaled);
  EXPECT_NEAR(l4->knee_fps, 1000 / 1.5 * 151.2 / 130.2, 1);
  // A profile of a T4 counts more than what is published of it.
  const Result<ModelService> from_profile =
      find_service({.name = "L4"}, "yolo11n.onnx", "fp16",
                   {make_profile("Tesla T4", "yolo11n.onnx", 500, 5)}, catalogue);
  ASSERT_TRUE(from_profile);
  EXPECT_NEAR(from_profile->knee_fps, 500 * 151.2 / 130.2, 1);
  // What is published of another input counts by its pixels.
  const Result<ModelService> input =
      find_service({.name = "L4"}, "yolov8s.onnx", "fp32", {}, catalogue);
  ASSERT_TRUE(input) << input.error().message();
  EXPECT_EQ(input->input, (Size{640, 640}));
  EXPECT_NEAR(input->knee_fps, 607.25 / 4, 1);
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

TEST(PlanReport, WholeNumbersKeepTheirDigitsAndNotesGoAlong) {
  PlanRequest request = sixty_four_on_t4();
  request.workload.cameras[0].count = 1'234'567;
  const Plan plan = must_plan(request);
  EXPECT_THAT(format_plan_json(plan, "1"), HasSubstr("\"cameras\": 1234567,"));
  request.workload.devices[0].price = 10;
  const std::string csv = format_plan_csv(must_plan(request));
  EXPECT_THAT(csv, HasSubstr(",decode_known,"));
  EXPECT_THAT(csv, HasSubstr(",no,"));
  EXPECT_THAT(csv, HasSubstr("decoding is not counted, more may be needed"));
  EXPECT_THAT(csv, HasSubstr(",2314820,EUR,")) << csv;
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
  for (const CatalogueDevice& device : parsed->devices) {
    for (const PublishedDecode& rate : device.decode)
      EXPECT_EQ(rate.is_scaled, rate.note.find("scaled") != std::string::npos)
          << device.name << " " << rate.codec;
    for (const PublishedInference& figure : device.inference)
      EXPECT_EQ(figure.scenario.empty(), figure.source.find("MLPerf") == std::string::npos)
          << device.name << " " << figure.model;
  }
}

TEST(Catalogue, TheCaseComesFromFigures) {
  const Catalogue& catalogue = built_in_catalogue();
  EXPECT_EQ(case_of(*catalogue.find("Jetson Orin NX 16GB")), "edge line");
  EXPECT_EQ(case_of(*catalogue.find("T4")), "data centre");
  EXPECT_EQ(case_of(*catalogue.find("RTX 4090")), "data centre") << "450 W and one decoder";
  EXPECT_EQ(case_of(*catalogue.find("H100")), "very many streams");
  EXPECT_EQ(case_of(*catalogue.find("EPYC 9654")), "") << "no figure says what it decodes";
  EXPECT_THAT(format_catalogue(catalogue), HasSubstr("very many streams"));
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

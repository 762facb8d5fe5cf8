#include "framemill/plan/profile_json.h"

#include <chrono>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "framemill/base/temp_folder_for_test.h"

namespace framemill {
namespace {

using std::chrono::nanoseconds;
using testing::AllOf;
using testing::HasSubstr;

ServicePoint make_point(std::size_t batch, std::size_t streams, std::size_t decoders) {
  ServicePoint point{.batch = batch, .streams = streams, .decoders = decoders};
  point.frames_per_s = 81.0 / 7;  // no short decimal
  for (int i = 0; i <= 100; ++i) point.service.percentiles.emplace_back(12'345'677 + i * 1001);
  point.cpu_cores = 1.97;
  point.host_bytes = 123'456'789;
  point.spread = .043;
  return point;
}

DeviceProfile make_profile() {
  DeviceProfile profile{.device = "CPU",
                        .device_name = "A \"fast\" processor",
                        .model = "yolo.onnx",
                        .model_sha256 = std::string(64, 'a'),
                        .precision = "int8",
                        .input = {640, 384}};
  profile.environment = {{"cpu", "X"}, {"runtime", "OpenVINO 2026.4.1"}};
  profile.measured_at = WallTime(std::chrono::milliseconds(1'767'254'404'004));
  profile.knee_batch = 1;
  profile.knee_streams = 2;
  profile.run_streams = 2;
  profile.points = {make_point(1, 1, 0), make_point(1, 2, 0), make_point(1, 2, 2)};
  profile.points[1].device_bytes = 77;
  profile.points[1].power_w = 31.25;
  profile.points[1].temperature_c = 61;
  profile.points[2].service.percentiles.clear();
  profile.runs = {
      {.cameras = 4,
       .rate_hz = 10,
       .frames_per_s = 39.75,
       .batches = {{.batch = 2, .in_flight = 1, .count = 17, .service = profile.points[0].service}},
       .handover = std::chrono::nanoseconds(123'457),
       .likeness = .3125,
       .likeness_time = std::chrono::milliseconds(80)}};
  profile.camera = CameraCost{.fps = 23.976,
                              .decode_s = .00044,
                              .carry_s = 0,
                              .sample_s = 1.5e-4,
                              .carried_sample_s = 3e-4};
  profile.decode = {{.codec = "h264", .size = {640, 360}, .frames_per_core_s = 1234.5}};
  return profile;
}

class ProfileFile : public testing::Test {
 protected:
  Result<DeviceProfile> read(const std::string& text) const {
    return read_profile(folder_.write("profile.json", text));
  }
  std::string problem_of(const std::string& text) {
    const Result<DeviceProfile> profile = read(text);
    return profile ? "none" : profile.error().message();
  }

  const TempFolder folder_;
  const std::string path_ = folder_ / "profile.json";
};

TEST_F(ProfileFile, ComesBackAsItWas) {
  const DeviceProfile profile = make_profile();
  const std::string text = profile_to_json(profile);
  EXPECT_EQ(text, profile_to_json(profile));
  const Result<DeviceProfile> back = read(text);
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(*back, profile);
  EXPECT_EQ(profile_to_json(*back), text);
}

TEST_F(ProfileFile, MayBeReformattedButNotEdited) {
  const auto json = nlohmann::json::parse(profile_to_json(make_profile()));
  EXPECT_TRUE(read(json.dump(4)));  // other order, other blanks

  const std::vector<std::pair<std::string, nlohmann::json>> edits{
      {"/points/0/frames_per_s", 99.5}, {"/points/1/service_ms/0", 1.0}, {"/knee_batch", 1.0},
      {"/environment/cpu", "Y"},        {"/decode/0/codec", "hevc"},     {"/device", "GPU"}};
  for (const auto& [place, value] : edits) {
    auto edited = json;
    edited[nlohmann::json::json_pointer(place)] = value;
    EXPECT_THAT(problem_of(edited.dump()), HasSubstr("; measure again with `framemill bench`"))
        << place;
  }
  auto edited = json;
  edited["points"][0]["frames_per_s"] = 99.5;
  EXPECT_THAT(problem_of(edited.dump()), AllOf(HasSubstr(path_), HasSubstr("was changed since")));
  edited = json;
  edited.erase("checksum");
  EXPECT_THAT(problem_of(edited.dump()), HasSubstr("checksum: is missing"));
}

TEST_F(ProfileFile, NeverReadsAPartOfIt) {
  const std::string text = profile_to_json(make_profile());
  for (std::size_t bytes = 0; bytes + 2 < text.size(); bytes += 37) {
    const std::string problem = problem_of(text.substr(0, bytes));
    EXPECT_THAT(problem, HasSubstr(bytes == 0 ? "is empty" : "cut off")) << bytes;
  }
}

TEST_F(ProfileFile, NamesTheWrongFieldAndItsRange) {
  using nlohmann::json;
  json falling = json::array();
  for (int i = 0; i <= 100; ++i) falling.push_back(i == 50 ? 1.0 : 2.0 + i);
  const json good = json::parse(profile_to_json(make_profile()));
  const std::tuple<const char*, json, const char*> cases[] = {
      {"/points/1/batch", 0, "points[1].batch: has to be a number from 1"},
      {"/points/1/batch", -3, "points[1].batch"},
      {"/points/1/batch", 1.5, "points[1].batch: has to be a whole number"},
      {"/points/1/batch", 1e18, "points[1].batch: has to be a whole number"},
      {"/points/1/batch", 18446744073709551615U, "points[1].batch"},
      {"/points/0/frames_per_s", 0, "points[0].frames_per_s"},
      {"/points/0/frames_per_s", nullptr, "points[0].frames_per_s"},
      {"/points/0/frames_per_s", "80", "points[0].frames_per_s"},
      {"/points/0/service_ms", json::array({1, 2}), "list of 101 times"},
      {"/points/0/service_ms", falling, "points[0].service_ms: has to be ascending, but 50 %"},
      {"/points/0/service_ms/7", "x", "points[0].service_ms"},
      {"/points/0/host_bytes", -1, "points[0].host_bytes"},
      {"/points/0", 5, "points[0]: has to be an object"},
      {"/points/0/speed", 5, "points[0].speed: is not a field"},
      {"/points", json::array(), "points: is empty"},
      {"/points", 7, "points: has to be a list"},
      {"/points/0/streams", 2, "points: holds batch 1, streams 2, decoders 0 twice"},
      {"/knee_batch", 4, "points: lacks the knee: batch 4, streams 2"},
      {"/runs/0/cameras", 0, "runs[0].cameras: has to be a number from 1"},
      {"/runs/0/batches", 1, "runs[0].batches: has to be a list"},
      {"/runs/0/batches/0/in_flight", 0, "batches[0].in_flight: has to be a number from 1"},
      {"/runs/0/batches/0/count", 0, "runs[0].batches[0].count"},
      {"/runs/0/batches/0/service_ms", falling, "batches[0].service_ms: has to be ascending"},
      {"/runs/0/handover_ms", -1, "runs[0].handover_ms"},
      {"/runs/0/likeness", 1.5, "runs[0].likeness"},
      {"/runs/0/speed", 1, "runs[0].speed: is not a field"},
      {"/runs", 1, "runs: has to be a list"},
      {"/camera/decode_s", 0, "camera.decode_s"},
      {"/camera/carry_s", -1e-3, "camera.carry_s"},
      {"/camera/sample_s", "much", "camera.sample_s"},
      {"/camera/carried_sample_s", -1, "camera.carried_sample_s"},
      {"/camera/price", 1, "camera.price: is not a field"},
      {"/decode/0/frames_per_core_s", 0, "decode[0].frames_per_core_s"},
      {"/input", json::array({640}), "input: has to be [width, height]"},
      {"/input/0", 0, "input: has to be a number from 1"},
      {"/environment", "x", "environment: has to be an object"},
      {"/environment/cpu", 3, "environment.cpu: has to be a text"},
      {"/measured_at", "yesterday", "measured_at"},
      {"/measured_at", "2026-02-30T08:00:04.004Z", "measured_at"},
      {"/measured_at", "2026-01-01T08:00:04.004Z ", "measured_at"},
      {"/model_sha256", "abc", "model_sha256: has to be 64 hex digits"},
      {"/schema", "framemill.profile/9", "schema framemill.profile/9, and this framemill reads"},
      {"/schema", "framemill.result/1", "is no profile (its schema is framemill.result/1)"},
      {"/schema", 1, "is no profile (it names no schema)"},
      {"/colour", 1, "colour: is not a field of a profile"},
  };
  for (const auto& [place, value, want] : cases) {
    json edited = good;
    edited[json::json_pointer(place)] = value;
    EXPECT_THAT(problem_of(edited.dump()), AllOf(HasSubstr(path_), HasSubstr(want))) << place;
  }
  for (const auto& [key, value] : good.items()) {
    json edited = good;
    edited.erase(key);
    EXPECT_NE(problem_of(edited.dump()), "none") << key;
  }
}

TEST_F(ProfileFile, RefusesWhatIsNoProfile) {
  EXPECT_THAT(problem_of("[1, 2]"), HasSubstr("is JSON, but no profile"));
  EXPECT_THAT(problem_of("7"), HasSubstr("is JSON, but no profile"));
  EXPECT_THAT(problem_of(std::string(1'000'000, '[')), HasSubstr("profile"));
  EXPECT_THAT(problem_of(std::string(500'000, '[') + std::string(500'000, ']')),
              HasSubstr("profile"));
  EXPECT_THAT(problem_of("{\n\"schema\": 1,\n oops}"), HasSubstr("is not JSON from line 3 on"));
  EXPECT_THAT(problem_of("{\"schema\": 1e999}"), HasSubstr("is not JSON"));
  EXPECT_THAT(problem_of("{\"schema\": \"\xff\"}"), HasSubstr("is not JSON"));
  EXPECT_THAT(problem_of("models: {objects: {path: yolo.onnx}}"), HasSubstr("is not JSON"));

  const Result<DeviceProfile> folder = read_profile(folder_.path());
  ASSERT_FALSE(folder);
  EXPECT_THAT(folder.error().message(), HasSubstr("is a folder"));
  const Result<DeviceProfile> none = read_profile(folder_ / "no/such.json");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code(), ErrorCode::kNotFound);
  const Result<DeviceProfile> endless = read_profile("/dev/zero");
  ASSERT_FALSE(endless);
  EXPECT_THAT(endless.error().message(), HasSubstr("too long"));
}

TEST_F(ProfileFile, SurvivesTextThatIsNoUtf8) {
  DeviceProfile profile = make_profile();
  profile.device_name = "caf\xe9";
  const Result<DeviceProfile> back = read(profile_to_json(profile));
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(back->device_name, "caf\uFFFD");
}

}  // namespace
}  // namespace framemill

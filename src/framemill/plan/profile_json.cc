#include "framemill/plan/profile_json.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <set>
#include <string_view>
#include <tuple>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "framemill/base/content_hash.h"

namespace framemill {
namespace {

using Json = nlohmann::json;  // keys in order of the alphabet: the check sum needs one order

constexpr std::uintmax_t kFileBytesMax = 64U << 20U;
constexpr int kDepthMax = 8;
constexpr std::size_t kPercentiles = 101;
constexpr double kCountMax = 4096;  // batches, streams, decoders: more is a slip of the pen
constexpr double kMsMax = 3.6e6;    // an hour
constexpr double kRateMax = 1e9;
constexpr double kBytesMax = 1e15;
constexpr double kSideMax = 65536;
constexpr const char* kCheckSum = "checksum";
constexpr const char* kMeasureAgain = "measure again with `framemill bench`";

// ---- writing

/// Milliseconds with six digits are whole nanoseconds, so a duration comes back as it was.
double to_exact_ms(Duration time) { return static_cast<double>(time.count()) / 1e6; }

std::string format_time(WallTime time) {
  const auto ms = std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch());
  const auto seconds = std::chrono::floor<std::chrono::seconds>(ms);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03d}Z", fmt::gmtime(seconds.count()),
                     (ms - seconds).count());
}

Json to_json(Size size) { return Json::array({size.width, size.height}); }

template <typename T>
Json to_json(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json to_json(const LatencyDistribution& distribution) {
  Json percentiles = Json::array();
  for (const Duration time : distribution.percentiles) percentiles.push_back(to_exact_ms(time));
  return percentiles;
}

Json to_json(const ServicePoint& point) {
  return {{"batch", point.batch},
          {"streams", point.streams},
          {"decoders", point.decoders},
          {"frames_per_s", point.frames_per_s},
          {"service_ms", to_json(point.service)},
          {"cpu_cores", point.cpu_cores},
          {"host_bytes", point.host_bytes},
          {"device_bytes", to_json(point.device_bytes)},
          {"power_w", to_json(point.power_w)},
          {"temperature_c", to_json(point.temperature_c)},
          {"spread", point.spread}};
}

Json to_json(const RunPoint& run) {
  Json batches = Json::array();
  for (const RunBatches& batch : run.batches) {
    batches.push_back({{"batch", batch.batch},
                       {"in_flight", batch.in_flight},
                       {"count", batch.count},
                       {"service_ms", to_json(batch.service)}});
  }
  return {{"cameras", run.cameras},
          {"rate_hz", run.rate_hz},
          {"frames_per_s", run.frames_per_s},
          {"batches", std::move(batches)},
          {"handover_ms", to_exact_ms(run.handover)},
          {"likeness", run.likeness},
          {"likeness_ms", to_exact_ms(run.likeness_time)}};
}

Json to_json(const CameraCost& camera) {
  return {{"fps", camera.fps},
          {"decode_s", camera.decode_s},
          {"carry_s", camera.carry_s},
          {"sample_s", camera.sample_s},
          {"carried_sample_s", camera.carried_sample_s}};
}

/// Of the content alone: blanks and the order of keys in the file do not matter.
std::string check_sum_of(const Json& content) {
  return hash_text(content.dump(-1, ' ', true, Json::error_handler_t::replace));
}

// ---- reading

/// Takes values out of a document and keeps the first thing that is wrong, with its place. What it
/// returns after that means nothing.
class Reader {
 public:
  [[nodiscard]] bool is_good() const { return problem_.empty(); }
  [[nodiscard]] const std::string& problem() const { return problem_; }

  void refuse(const std::string& place, const std::string& what) {
    if (is_good()) problem_ = fmt::format("{}: {}", place, what);
  }

  /// Refuses keys of `object` that are not among `keys`, and what is no object.
  void expect_keys(const Json& object, const std::string& place,
                   std::initializer_list<std::string_view> keys) {
    if (!object.is_object()) return refuse(place, "has to be an object");
    for (const auto& [key, value] : object.items()) {
      if (std::ranges::find(keys, key) == keys.end())
        refuse(join(place, key), "is not a field of a profile");
    }
  }

  const Json& member(const Json& object, const std::string& place, const char* key) {
    static const Json kNone;
    const auto found = object.is_object() ? object.find(key) : object.end();
    if (found != object.end()) return *found;
    refuse(join(place, key), "is missing");
    return kNone;
  }

  double number(const Json& value, const std::string& place, double least, double most) {
    const auto* const real = value.is_number() ? &value : nullptr;
    const double read = real != nullptr ? real->get<double>() : 0;
    if (real == nullptr || !std::isfinite(read) || read < least || read > most)
      refuse(place, fmt::format("has to be a number from {:g} to {:g}", least, most));
    return read;
  }
  double number(const Json& object, const std::string& place, const char* key, double least,
                double most) {
    return number(member(object, place, key), join(place, key), least, most);
  }

  std::int64_t whole(const Json& value, const std::string& place, double least, double most) {
    if (!value.is_number_integer())
      refuse(place, fmt::format("has to be a whole number from {:g} to {:g}", least, most));
    const double read = number(value, place, least, most);
    return is_good() ? static_cast<std::int64_t>(read) : 0;
  }
  std::int64_t whole(const Json& object, const std::string& place, const char* key, double least,
                     double most) {
    return whole(member(object, place, key), join(place, key), least, most);
  }
  std::size_t count(const Json& object, const std::string& place, const char* key, double least) {
    return static_cast<std::size_t>(whole(object, place, key, least, kCountMax));
  }

  std::optional<double> number_or_none(const Json& object, const std::string& place,
                                       const char* key, double least, double most) {
    const Json& value = member(object, place, key);
    if (value.is_null()) return std::nullopt;
    return number(value, join(place, key), least, most);
  }

  std::string text(const Json& object, const std::string& place, const char* key) {
    const Json& value = member(object, place, key);
    if (value.is_string()) return value.get<std::string>();
    refuse(join(place, key), "has to be a text");
    return {};
  }

  Size size(const Json& object, const std::string& place, const char* key) {
    const Json& value = member(object, place, key);
    const std::string at = join(place, key);
    if (!value.is_array() || value.size() != 2) {
      refuse(at, "has to be [width, height]");
      return {};
    }
    return {static_cast<int>(whole(value[0], at, 1, kSideMax)),
            static_cast<int>(whole(value[1], at, 1, kSideMax))};
  }

  const Json& list(const Json& object, const char* key) {
    static const Json kNone = Json::array();
    const Json& value = member(object, "", key);
    if (value.is_array()) return value;
    refuse(key, "has to be a list");
    return kNone;
  }

 private:
  static std::string join(const std::string& place, const std::string& key) {
    return place.empty() ? key : place + "." + key;
  }

  std::string problem_;
};

LatencyDistribution read_distribution(Reader& reader, const Json& values,
                                      const std::string& place) {
  LatencyDistribution distribution;
  if (!values.is_array() || (!values.empty() && values.size() != kPercentiles)) {
    reader.refuse(place, fmt::format("has to be a list of {} times, at 0, 1, .. 100 %, or empty",
                                     kPercentiles));
    return distribution;
  }
  for (const Json& value : values) {
    const double ms = reader.number(value, place, 0, kMsMax);
    if (!reader.is_good()) break;
    const Duration time(std::llround(ms * 1e6));
    if (!distribution.percentiles.empty() && time < distribution.percentiles.back()) {
      reader.refuse(
          place, fmt::format("has to be ascending, but {} % is below {} %",
                             distribution.percentiles.size(), distribution.percentiles.size() - 1));
      break;
    }
    distribution.percentiles.push_back(time);
  }
  return distribution;
}

ServicePoint read_point(Reader& reader, const Json& json, const std::string& place) {
  reader.expect_keys(json, place,
                     {"batch", "streams", "decoders", "frames_per_s", "service_ms", "cpu_cores",
                      "host_bytes", "device_bytes", "power_w", "temperature_c", "spread"});
  ServicePoint point;
  point.batch = reader.count(json, place, "batch", 1);
  point.streams = reader.count(json, place, "streams", 1);
  point.decoders = reader.count(json, place, "decoders", 0);
  point.frames_per_s = reader.number(json, place, "frames_per_s", 1e-6, kRateMax);
  point.service =
      read_distribution(reader, reader.member(json, place, "service_ms"), place + ".service_ms");
  point.cpu_cores = reader.number(json, place, "cpu_cores", 0, kCountMax);
  point.host_bytes = reader.whole(json, place, "host_bytes", 0, kBytesMax);
  if (const auto bytes = reader.number_or_none(json, place, "device_bytes", 0, kBytesMax))
    point.device_bytes = static_cast<std::int64_t>(*bytes);
  point.power_w = reader.number_or_none(json, place, "power_w", 0, 1e6);
  point.temperature_c = reader.number_or_none(json, place, "temperature_c", -273, 1000);
  point.spread = reader.number(json, place, "spread", 0, 1e6);
  return point;
}

RunBatches read_run_batches(Reader& reader, const Json& json, const std::string& place) {
  reader.expect_keys(json, place, {"batch", "in_flight", "count", "service_ms"});
  RunBatches batches;
  batches.batch = reader.count(json, place, "batch", 1);
  batches.in_flight = reader.count(json, place, "in_flight", 1);
  batches.count = reader.whole(json, place, "count", 1, 1'000'000'000'000);
  batches.service =
      read_distribution(reader, reader.member(json, place, "service_ms"), place + ".service_ms");
  return batches;
}

Duration read_ms(Reader& reader, const Json& json, const std::string& place, const char* key) {
  return Duration(std::llround(reader.number(json, place, key, 0, kMsMax) * 1e6));
}

RunPoint read_run(Reader& reader, const Json& json, const std::string& place) {
  reader.expect_keys(
      json, place,
      {"cameras", "rate_hz", "frames_per_s", "batches", "handover_ms", "likeness", "likeness_ms"});
  RunPoint run;
  run.cameras = reader.count(json, place, "cameras", 1);
  run.rate_hz = reader.number(json, place, "rate_hz", 1e-6, kRateMax);
  run.frames_per_s = reader.number(json, place, "frames_per_s", 1e-6, kRateMax);
  const Json& batches = reader.member(json, place, "batches");
  if (!batches.is_array()) reader.refuse(place + ".batches", "has to be a list");
  for (std::size_t i = 0; batches.is_array() && i < batches.size() && reader.is_good(); ++i) {
    run.batches.push_back(
        read_run_batches(reader, batches[i], fmt::format("{}.batches[{}]", place, i)));
  }
  run.handover = read_ms(reader, json, place, "handover_ms");
  run.likeness = reader.number(json, place, "likeness", 0, 1);
  run.likeness_time = read_ms(reader, json, place, "likeness_ms");
  return run;
}

CameraCost read_camera_cost(Reader& reader, const Json& json, const std::string& place) {
  reader.expect_keys(json, place, {"fps", "decode_s", "carry_s", "sample_s", "carried_sample_s"});
  CameraCost camera;
  camera.fps = reader.number(json, place, "fps", 1e-3, 1e4);
  camera.decode_s = reader.number(json, place, "decode_s", 1e-9, 1e3);
  camera.carry_s = reader.number(json, place, "carry_s", 0, 1e3);
  camera.sample_s = reader.number(json, place, "sample_s", 0, 1e3);
  camera.carried_sample_s = reader.number(json, place, "carried_sample_s", 0, 1e3);
  return camera;
}

DecodeRate read_decode_rate(Reader& reader, const Json& json, const std::string& place) {
  reader.expect_keys(json, place, {"codec", "size", "frames_per_core_s"});
  DecodeRate rate;
  rate.codec = reader.text(json, place, "codec");
  rate.size = reader.size(json, place, "size");
  rate.frames_per_core_s = reader.number(json, place, "frames_per_core_s", 1e-6, kRateMax);
  return rate;
}

/// "2026-01-01T08:00:04.004Z", as format_time() writes it and nothing else.
std::optional<WallTime> parse_time(const std::string& text) {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, ms = 0, end = 0;
  if (std::sscanf(text.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &year, &month, &day, &hour,
                  &minute, &second, &ms, &end) != 7)
    return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok() || year < 1970 || year > 2200) return std::nullopt;  // int64 nanoseconds end 2262
  const WallTime time = WallTime(std::chrono::sys_days(date).time_since_epoch()) +
                        std::chrono::hours(hour) + std::chrono::minutes(minute) +
                        std::chrono::seconds(second) + std::chrono::milliseconds(ms);
  if (format_time(time) != text) return std::nullopt;  // 25:61, signs, blanks, a tail
  return time;
}

void check_hash(Reader& reader, const std::string& hash) {
  const bool is_hash = hash.size() == 64 && std::ranges::all_of(hash, [](unsigned char c) {
                         return std::isdigit(c) != 0 || (c >= 'a' && c <= 'f');
                       });
  if (!is_hash) reader.refuse("model_sha256", "has to be 64 hex digits");
}

void check_points(Reader& reader, const DeviceProfile& profile) {
  if (profile.points.empty()) return reader.refuse("points", "is empty: nothing was measured");
  std::set<std::tuple<std::size_t, std::size_t, std::size_t>> settings;
  for (const ServicePoint& point : profile.points) {
    if (!settings.emplace(point.batch, point.streams, point.decoders).second)
      reader.refuse("points", fmt::format("holds batch {}, streams {}, decoders {} twice",
                                          point.batch, point.streams, point.decoders));
  }
  if (!settings.contains({profile.knee_batch, profile.knee_streams, 0}))
    reader.refuse("points", fmt::format("lacks the knee: batch {}, streams {}, decoders 0",
                                        profile.knee_batch, profile.knee_streams));
}

DeviceProfile read_content(Reader& reader, const Json& json) {
  reader.expect_keys(json, "",
                     {"schema", "device", "device_name", "model", "model_sha256", "precision",
                      "input", "environment", "measured_at", "knee_batch", "knee_streams",
                      "run_streams", "points", "runs", "decode", "camera"});
  DeviceProfile profile;
  profile.device = reader.text(json, "", "device");
  profile.device_name = reader.text(json, "", "device_name");
  profile.model = reader.text(json, "", "model");
  profile.model_sha256 = reader.text(json, "", "model_sha256");
  check_hash(reader, profile.model_sha256);
  profile.precision = reader.text(json, "", "precision");
  profile.input = reader.size(json, "", "input");
  const Json& environment = reader.member(json, "", "environment");
  if (!environment.is_object()) {
    reader.refuse("environment", "has to be an object");
  } else {
    for (const auto& [key, value] : environment.items())
      profile.environment[key] = reader.text(environment, "environment", key.c_str());
  }
  if (const auto time = parse_time(reader.text(json, "", "measured_at")))
    profile.measured_at = *time;
  else
    reader.refuse("measured_at", R"(has to be a time like "2026-01-01T08:00:04.004Z")");
  profile.knee_batch = reader.count(json, "", "knee_batch", 1);
  profile.knee_streams = reader.count(json, "", "knee_streams", 1);
  profile.run_streams = reader.count(json, "", "run_streams", 1);
  const Json& points = reader.list(json, "points");
  for (std::size_t i = 0; i < points.size() && reader.is_good(); ++i)
    profile.points.push_back(read_point(reader, points[i], fmt::format("points[{}]", i)));
  const Json& runs = reader.list(json, "runs");
  for (std::size_t i = 0; i < runs.size() && reader.is_good(); ++i)
    profile.runs.push_back(read_run(reader, runs[i], fmt::format("runs[{}]", i)));
  const Json& camera = reader.member(json, "", "camera");
  if (!camera.is_null()) profile.camera = read_camera_cost(reader, camera, "camera");
  const Json& decode = reader.list(json, "decode");
  for (std::size_t i = 0; i < decode.size() && reader.is_good(); ++i)
    profile.decode.push_back(read_decode_rate(reader, decode[i], fmt::format("decode[{}]", i)));
  check_points(reader, profile);
  return profile;
}

Result<std::string> read_text(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error))
    return fail(ErrorCode::kInvalidArgument,
                "is a folder; name the JSON file that `framemill bench --out` wrote");
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return fail(errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kFailedPrecondition,
                fmt::format("cannot be read: {}", std::strerror(errno)));
  const std::uintmax_t bytes = std::filesystem::file_size(path, error);
  if (!error && bytes > kFileBytesMax)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("has {} MB, which is no profile of a device", bytes >> 20U));
  // A pipe tells no size, so the limit holds while reading, too.
  std::string text;
  std::vector<char> buffer(1U << 16U);
  while (file && text.size() <= kFileBytesMax) {
    file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    text.append(buffer.data(), static_cast<std::size_t>(file.gcount()));
  }
  if (file.bad()) return fail(ErrorCode::kFailedPrecondition, "reading broke off");
  if (text.size() > kFileBytesMax)
    return fail(ErrorCode::kInvalidArgument, "is too long for a profile of a device");
  return text;
}

Result<Json> parse_document(const std::string& text) {
  if (text.find_first_not_of(" \t\r\n") == std::string::npos)
    return fail(ErrorCode::kInvalidArgument, fmt::format("is empty; {}", kMeasureAgain));
  bool is_too_deep = false;  // else comparing and hashing would recurse as deep as the file likes
  const auto guard = [&is_too_deep](int depth, Json::parse_event_t, const Json&) {
    if (depth > kDepthMax) is_too_deep = true;
    return !is_too_deep;
  };
  try {
    Json json = Json::parse(text, guard);
    if (is_too_deep || !json.is_object())
      return fail(ErrorCode::kInvalidArgument,
                  "is JSON, but no profile; name the file that `framemill bench --out` wrote");
    return json;
  } catch (const Json::exception& error) {
    const auto* const wrong = dynamic_cast<const Json::parse_error*>(&error);
    if (wrong != nullptr && wrong->byte > text.find_last_not_of(" \t\r\n") + 1)
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("is cut off after {} bytes; {}", text.size(), kMeasureAgain));
    const std::size_t at = wrong != nullptr ? std::min(wrong->byte, text.size()) : 0;
    const auto line =
        1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("is not JSON from line {} on; name the file that `framemill bench "
                            "--out` wrote",
                            line));
  }
}

/// Before anything else is said about it: a document of another kind has no wrong fields.
Result<void> check_schema(const Json& json) {
  const auto schema = json.find("schema");
  const std::string found =
      schema != json.end() && schema->is_string() ? schema->get<std::string>() : "";
  if (found == kProfileSchema) return {};
  if (found.starts_with("framemill.profile/"))
    return fail(ErrorCode::kUnsupported,
                fmt::format("is a profile of schema {}, and this framemill reads {}; {}", found,
                            kProfileSchema, kMeasureAgain));
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("is no profile ({}); name the file that `framemill bench --out` wrote",
                          found.empty() ? "it names no schema" : "its schema is " + found));
}

}  // namespace

std::string profile_to_json(const DeviceProfile& profile) {
  Json runs = Json::array();
  for (const RunPoint& run : profile.runs) runs.push_back(to_json(run));
  Json points = Json::array();
  for (const ServicePoint& point : profile.points) points.push_back(to_json(point));
  Json decode = Json::array();
  for (const DecodeRate& rate : profile.decode)
    decode.push_back({{"codec", rate.codec},
                      {"size", to_json(rate.size)},
                      {"frames_per_core_s", rate.frames_per_core_s}});
  const Json content{{"schema", kProfileSchema},
                     {"device", profile.device},
                     {"device_name", profile.device_name},
                     {"model", profile.model},
                     {"model_sha256", profile.model_sha256},
                     {"precision", profile.precision},
                     {"input", to_json(profile.input)},
                     {"environment", profile.environment},
                     {"measured_at", format_time(profile.measured_at)},
                     {"knee_batch", profile.knee_batch},
                     {"knee_streams", profile.knee_streams},
                     {"run_streams", profile.run_streams},
                     {"points", std::move(points)},
                     {"runs", std::move(runs)},
                     {"decode", std::move(decode)},
                     {"camera", profile.camera ? to_json(*profile.camera) : Json(nullptr)}};
  // People read the head first, so it does not stand in the alphabet's order; a point is a line.
  std::string text = "{";
  const auto dump = [](const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
  };
  for (const char* const key :
       {"schema", "device", "device_name", "model", "model_sha256", "precision", "input",
        "environment", "measured_at", "knee_batch", "knee_streams", "run_streams", "camera"})
    text += fmt::format("\n \"{}\": {},", key, dump(content[key]));
  for (const char* const key : {"points", "runs", "decode"}) {
    text += fmt::format("\n \"{}\": [", key);
    const char* separator = "\n  ";
    for (const Json& item : content[key]) {
      text += separator + dump(item);
      separator = ",\n  ";
    }
    text += content[key].empty() ? "]," : "\n ],";
  }
  text += fmt::format("\n \"{}\": \"{}\"\n}}\n", kCheckSum, check_sum_of(content));
  return text;
}

Result<DeviceProfile> read_profile(const std::filesystem::path& path) {
  const Result<std::string> text = read_text(path);
  if (!text) return fail(text.error().at(path.string()));
  Result<Json> json = parse_document(*text);
  if (!json) return fail(json.error().at(path.string()));
  if (Result<void> known = check_schema(*json); !known)
    return fail(known.error().at(path.string()));

  Reader reader;
  const Json& sum = reader.member(*json, "", kCheckSum);
  const std::string claimed = sum.is_string() ? sum.get<std::string>() : "";
  json->erase(kCheckSum);
  DeviceProfile profile = read_content(reader, *json);
  if (!reader.is_good())
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: {}; {}", path.string(), reader.problem(), kMeasureAgain));
  if (claimed != check_sum_of(*json))
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: was changed since it was measured: its check sum does not fit its "
                            "figures; {}",
                            path.string(), kMeasureAgain));
  return profile;
}

}  // namespace framemill

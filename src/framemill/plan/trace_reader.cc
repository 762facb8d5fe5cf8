#include "framemill/plan/trace_reader.h"

#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <initializer_list>
#include <limits>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace framemill {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kSchema = "framemill.trace/1";
constexpr std::string_view kSchemaName = "framemill.trace/";
constexpr std::size_t kLineBytesMax = 64U << 20U;         // a header of 100,000 cameras has 20 MB
constexpr std::int64_t kNsMax = 100'000'000'000'000'000;  // three years
constexpr std::int64_t kCountMax = 1'000'000'000;
constexpr std::int64_t kSeqMax = std::int64_t{1} << 53;
constexpr double kNumberMax = 1e15;
constexpr int kDepthMax = 6;

/// What is wrong with a line; caught in this file.
struct Wrong {
  std::string what;
};
[[noreturn]] void refuse(std::string what) { throw Wrong{std::move(what)}; }

/// One line: an object whose members are taken one by one, so that what is left over shows.
class Line {
 public:
  explicit Line(const Json& json) : json_(json) {
    if (!json.is_object()) refuse("is not a JSON object");
  }

  [[nodiscard]] bool has(const char* key) const { return json_.contains(key); }
  const Json& at(const char* key) {
    const auto found = json_.find(key);
    if (found == json_.end()) refuse(fmt::format("has no \"{}\"", key));
    ++taken_;
    return *found;
  }

  std::int64_t whole(const char* key, std::int64_t least, std::int64_t most) {
    return whole(at(key), key, least, most);
  }
  template <typename T>
  T index(const char* key) {
    return index<T>(at(key), key);
  }
  double number(const char* key) { return number(at(key), key); }
  std::optional<double> number_or_none(const char* key) {
    if (!has(key)) return std::nullopt;
    return number(key);
  }
  /// Of a picture, where null stands for what is no number.
  std::optional<double> measured_or_none(const char* key) {
    if (!has(key)) return std::nullopt;
    const Json& value = at(key);
    return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : number(value, key);
  }
  bool flag(const char* key) {
    if (!has(key)) return false;
    const Json& value = at(key);
    if (!value.is_boolean()) refuse(fmt::format("\"{}\" has to be true or false", key));
    return value.get<bool>();
  }
  std::string text(const char* key) {
    const Json& value = at(key);
    if (!value.is_string()) refuse(fmt::format("\"{}\" has to be a text", key));
    return value.get<std::string>();
  }
  const Json& list(const char* key) { return list(at(key), key); }

  /// Everything was known.
  void finish() const {
    if (taken_ != json_.size()) refuse("has a member that is not known");
  }

  static std::int64_t whole(const Json& value, const char* key, std::int64_t least,
                            std::int64_t most) {
    const bool is_whole =
        value.is_number_integer() &&
        (!value.is_number_unsigned() || value.get<std::uint64_t>() <= std::uint64_t{INT64_MAX});
    const std::int64_t read = is_whole ? value.get<std::int64_t>() : 0;
    if (!is_whole || read < least || read > most)
      refuse(fmt::format("\"{}\" has to be a whole number from {} to {}", key, least, most));
    return read;
  }
  template <typename T>
  static T index(const Json& value, const char* key) {
    return static_cast<T>(whole(value, key, 0, kCountMax));
  }
  static double number(const Json& value, const char* key) {
    if (!value.is_number() || !(std::abs(value.get<double>()) <= kNumberMax))
      refuse(fmt::format("\"{}\" has to be a number", key));
    return value.get<double>();
  }
  static const Json& list(const Json& value, const char* key) {
    if (!value.is_array()) refuse(fmt::format("\"{}\" has to be a list", key));
    return value;
  }
  static const Json& list(const Json& value, const char* key, std::size_t size) {
    if (list(value, key).size() != size)
      refuse(fmt::format("\"{}\" has to be a list of {} values", key, size));
    return value;
  }

 private:
  const Json& json_;
  std::size_t taken_ = 0;
};

template <typename Enum, std::size_t n>
Enum enum_of(const std::string& text, const char* key, const std::array<Enum, n>& values) {
  for (const Enum value : values) {
    if (to_string(value) == text) return value;
  }
  refuse(fmt::format("\"{}\" cannot be \"{}\"", key, text));
}

InferenceCause cause_of(Line& line) {
  const std::string text = line.text("audit");
  if (text == "due") return InferenceCause::kDueAudit;
  if (text == "waiting") return InferenceCause::kAudit;
  refuse(fmt::format("\"audit\" cannot be \"{}\"", text));
}

ObjectDoubt doubt_of(Line& line) {
  const Json& values = Line::list(line.at("doubt"), "doubt", 4);
  return {.age = Line::whole(values[0], "doubt", -kCountMax, kCountMax),
          .objects = Line::number(values[1], "doubt"),
          .drift = Line::number(values[2], "doubt"),
          .unexplained = Line::number(values[3], "doubt")};
}

AgreementCounts counts_of(Line& line) {
  const Json& values = Line::list(line.at("counts"), "counts", 7);
  const auto count = [&values](std::size_t place) {
    return Line::whole(values[place], "counts", 0, kCountMax);
  };
  return {.found = count(0),
          .wanted = count(1),
          .right = count(2),
          .given = count(3),
          .sure_right = count(4),
          .sure_given = count(5),
          .overlap_sum = Line::number(values[6], "counts")};
}

/// Reads records of a run whose clock began at `began_at`.
class RecordReader {
 public:
  RecordReader(Line& line, TimePoint began_at) : line_(line), began_at_(began_at) {}

  DispatchRecord read(const std::string& event) {
    if (event == "frame") return frame();
    if (event == "look") return look();
    if (event == "done") return done();
    if (event == "claim") {
      const CameraIndex camera = camera_index();
      const std::int64_t seq = seq_of("q");
      return FrameClaimed{camera, seq, line_.flag("out")};
    }
    if (event == "withdraw") {
      const CameraIndex camera = camera_index();
      return FrameWithdrawn{camera, seq_of("q")};
    }
    if (event == "learn") {
      const CameraIndex camera = camera_index();
      const ObjectDoubt doubt = doubt_of(line_);
      return ErrorLearned{camera, doubt, counts_of(line_)};
    }
    if (event == "doubt") {
      const CameraIndex camera = camera_index();
      const std::int64_t seq = seq_of("q");
      return DoubtRenewed{camera, seq, doubt_of(line_)};
    }
    if (event == "learn_rung") {
      const CameraIndex camera = camera_index();
      const auto rung = line_.index<std::uint32_t>("rung");
      return RungLearned{camera, rung, counts_of(line_)};
    }
    if (event == "audit") {
      const TimePoint at = time_of("t");
      const auto lane = line_.index<LaneIndex>("lane");
      return AuditSent{at, lane, cause_of(line_)};
    }
    if (event == "period") {
      const TimePoint at = time_of("t");
      return PeriodEnded{at, line_.number_or_none("out")};
    }
    if (event == "rungs") return rungs();
    if (event == "share") return ShareSet{line_.number("share")};
    if (event == "budget") return BudgetShareSet{line_.number("share")};
    if (event == "end") return CameraEnded{camera_index()};
    if (event == "lane") return lane();
    if (event == "back") {
      FrameReturned record{.at = time_of("t")};
      record.camera = camera_index();
      record.seq = seq_of("q");
      record.returned = line_.flag("out");
      return record;
    }
    if (event == "device") {
      DeviceChanged record{.at = time_of("t")};
      record.device = device_index();
      record.is_serving = line_.flag("serving");
      record.batch_max = static_cast<std::size_t>(line_.whole("max", 1, kCountMax));
      return record;
    }
    if (event == "lost") return RecordsLost{line_.whole("n", 1, kSeqMax)};
    refuse(fmt::format("there is no event \"{}\"", event));
  }

 private:
  CameraIndex camera_index() { return line_.index<CameraIndex>("c"); }
  DeviceIndex device_index() {
    const auto most = static_cast<std::int64_t>(kDevicesMax) - 1;
    return static_cast<DeviceIndex>(line_.whole("device", 0, most));
  }
  std::int64_t seq_of(const char* key) { return line_.whole(key, 0, kSeqMax); }
  TimePoint time_of(const char* key) {
    return began_at_ + Duration(line_.whole(key, -kNsMax, kNsMax));
  }

  DispatchRecord lane() {
    LaneAdded record{.batch_max = static_cast<std::size_t>(line_.whole("max", 1, kCountMax))};
    if (!line_.has("devices")) return record;
    record.hosts = 0;
    const auto most = static_cast<std::int64_t>(kDevicesMax) - 1;
    for (const Json& device : line_.list("devices"))
      record.hosts |= DeviceSet{1} << Line::whole(device, "devices", 0, most);
    return record;
  }

  DispatchRecord frame() {
    FrameArrived record{.at = time_of("t")};
    SampledFrame& sampled = record.frame.sampled;
    sampled.camera = camera_index();
    record.frame.seq = seq_of("q");
    record.frame.captured_at = time_of("at");
    record.frame.lane = line_.index<LaneIndex>("lane");
    sampled.is_stream_start = line_.flag("start");
    sampled.is_scene_start = line_.flag("scene");
    sampled.similarity = line_.measured_or_none("similarity").value_or(0);
    sampled.complexity = line_.measured_or_none("complexity").value_or(0);
    record.frame.edge_density = line_.measured_or_none("edges");
    if (line_.has("doubt")) sampled.doubt = doubt_of(line_);
    record.need = line_.number_or_none("need").value_or(0);
    if (line_.has("out")) record.returned = seq_of("out");
    return record;
  }

  DispatchRecord look() {
    Decided record{.at = time_of("t")};
    if (line_.has("audit")) record.audit = cause_of(line_);
    DispatchDecision& decision = record.decision;
    if (line_.has("lane")) decision.lane = line_.index<LaneIndex>("lane");
    if (line_.has("device")) decision.device = device_index();
    if (line_.has("send")) {
      for (const Json& item : line_.list("send")) {
        const Json& values = Line::list(item, "send", 4);
        decision.batch.push_back({Line::index<CameraIndex>(values[0], "send"),
                                  Line::whole(values[1], "send", 0, kSeqMax),
                                  Line::index<std::uint32_t>(values[2], "send"),
                                  Line::whole(values[3], "send", 0, 1) == 1});
      }
    }
    if (line_.has("carry")) {
      for (const Json& item : line_.list("carry")) {
        const bool is_device_out = item.size() == 3;
        const Json& values = Line::list(item, "carry", is_device_out ? 3 : 2);
        if (is_device_out) (void)Line::whole(values[2], "carry", 1, 1);
        decision.unserved.push_back({Line::index<CameraIndex>(values[0], "carry"),
                                     Line::whole(values[1], "carry", 0, kSeqMax), is_device_out});
      }
    }
    decision.is_audit_wanted = line_.flag("want_audit");
    if (line_.has("wake")) decision.wake_at = time_of("wake");
    return record;
  }

  DispatchRecord done() {
    BatchCompleted record{.at = time_of("t")};
    record.lane = line_.index<LaneIndex>("lane");
    record.frames = line_.index<std::size_t>("n");
    for (const Json& camera : line_.list("c"))
      record.cameras.push_back(Line::index<CameraIndex>(camera, "c"));
    if (line_.has("took")) record.service_time = Duration(line_.whole("took", 0, kNsMax));
    if (line_.has("device")) record.device = device_index();
    return record;
  }

  DispatchRecord rungs() {
    RungsUpdated record{.at = time_of("t")};
    for (const Json& model : line_.list("lanes")) {
      std::vector<LaneIndex>& lanes = record.lanes.emplace_back();
      for (const Json& lane : Line::list(model, "lanes"))
        lanes.push_back(Line::index<LaneIndex>(lane, "lanes"));
    }
    record.share_wanted = line_.number_or_none("share");
    for (const Json& item : line_.list("out")) {
      const Json& values = Line::list(item, "out", 3);
      record.returned.push_back({Line::index<CameraIndex>(values[0], "out"),
                                 Line::index<std::size_t>(values[1], "out"),
                                 Line::index<std::size_t>(values[2], "out")});
    }
    return record;
  }

  Line& line_;
  const TimePoint began_at_;
};

ServiceTimes service_times_of(const Json& json) {
  Line lane(json);
  const auto samples = static_cast<std::uint64_t>(lane.whole("samples", 0, kSeqMax));
  ServiceTimes::Estimates estimates;
  for (const Json& item : lane.list("buckets")) {
    Line bucket(item);
    const std::int64_t batch = bucket.whole("batch", 1, kBatchBuckets.back());
    std::size_t place = 0;
    while (kBatchBuckets[place] < static_cast<std::size_t>(batch)) ++place;
    if (kBatchBuckets[place] != static_cast<std::size_t>(batch))
      refuse(fmt::format("there is no batch of {}", batch));
    ServiceTimes::Estimate& estimate = estimates[place];
    estimate.is_seen = true;
    estimate.mean_ns = bucket.number("mean_ns");
    estimate.deviation_ns = bucket.number("deviation_ns");
    if (!(estimate.mean_ns > 0) || !(estimate.deviation_ns >= 0))
      refuse("\"mean_ns\" has to be above 0 and \"deviation_ns\" at least 0");
    estimate.recorded_as = static_cast<std::uint64_t>(bucket.whole("recorded_as", 0, kSeqMax));
    bucket.finish();
  }
  lane.finish();
  return {estimates, samples};
}

DispatchDevice device_of(const Json& json) {
  Line line(json);
  DispatchDevice device;
  device.batches_max = line.index<std::size_t>("batches_max");
  for (const Json& knee : line.list("lane_knees"))
    device.lane_knees.push_back(Line::index<std::size_t>(knee, "lane_knees"));
  for (const Json& lane : line.list("lane_times"))
    device.lane_times.push_back(service_times_of(lane));
  line.finish();
  return device;
}

void read_cameras(Line& line, DispatchTraceHeader& header) {
  constexpr std::array kPolicies{PolicyKind::kFull, PolicyKind::kHold, PolicyKind::kSimilarity,
                                 PolicyKind::kAdaptive};
  constexpr std::array kPriorities{Priority::kCritical, Priority::kNormal, Priority::kBackground};
  for (const Json& item : line.list("cameras")) {
    Line camera(item);
    header.cameras.push_back(camera.text("camera"));
    DispatchCamera dispatch;
    dispatch.policy = enum_of(camera.text("policy"), "policy", kPolicies);
    dispatch.priority = enum_of(camera.text("priority"), "priority", kPriorities);
    dispatch.slo = Duration(camera.whole("slo_ns", 0, kNsMax));
    dispatch.period = Duration(camera.whole("period_ns", 0, kNsMax));
    dispatch.model = camera.index<std::size_t>("model");
    if (camera.has("weight")) dispatch.weight = camera.number("weight");
    camera.finish();
    header.options.cameras.push_back(dispatch);
    header.options.inference.cameras.push_back({dispatch.policy, dispatch.priority});
  }
  if (header.cameras.empty()) refuse("has no cameras");
}

DispatchTraceHeader read_content(const Json& json) {
  if (!json.is_object() || !json.contains("schema") || !json["schema"].is_string())
    refuse("is not the first line of a trace, as `framemill run --trace` writes it");
  Line line(json);
  const std::string schema = line.text("schema");
  if (schema != kSchema) {
    refuse(schema.starts_with(kSchemaName)
               ? fmt::format("\"{}\" is another version of the format; this framemill reads {}: "
                             "record it again",
                             schema, kSchema)
               : fmt::format("\"{}\" is not a trace; `framemill run --trace` writes one", schema));
  }
  DispatchTraceHeader header;
  header.framemill = line.text("framemill");
  header.run = line.text("run");
  (void)line.text("began");
  header.began_at = TimePoint(Duration(line.whole("began_ns", -kNsMax * 10, kNsMax * 10)));
  for (const Json& model : line.list("models")) {
    if (!model.is_string()) refuse("\"models\" has to be a list of names");
    header.models.push_back(model.get<std::string>());
  }
  read_cameras(line, header);
  LiveDispatchOptions& options = header.options;
  options.inference.share = line.number("share");
  if (const Json& share = line.at("adaptive_share"); !share.is_null())
    options.inference.adaptive_share = Line::number(share, "adaptive_share");
  options.inference.similarity_min = line.number("similarity_min");
  options.batches_max = line.index<std::size_t>("batches_max");
  options.knee_frames = line.index<std::size_t>("knee_frames");
  for (const Json& knee : line.list("lane_knees"))
    options.lane_knees.push_back(Line::index<std::size_t>(knee, "lane_knees"));
  options.is_batch_by_utilisation = line.flag("batch_by_utilisation");
  for (const Json& rungs : line.list("rungs"))
    options.rungs_of_model.push_back(Line::index<std::size_t>(rungs, "rungs"));
  for (const Json& lane : line.list("lane_times"))
    options.lane_times.push_back(service_times_of(lane));
  if (line.has("slot_reserved")) options.is_slot_reserved = line.flag("slot_reserved");
  if (line.has("devices")) {
    for (const Json& item : line.list("devices")) options.devices.push_back(device_of(item));
  }
  line.finish();
  return header;
}

/// Without exceptions, and no deeper than any line of a trace: a parser that recurses has a stack.
std::optional<Json> parse(const std::string& text) {
  bool is_deep = false;
  const Json::parser_callback_t watch = [&is_deep](int depth, Json::parse_event_t, Json&) {
    is_deep |= depth > kDepthMax;
    return !is_deep;
  };
  Json json = Json::parse(text, watch, false);
  if (json.is_discarded() || is_deep) return std::nullopt;
  return json;
}

}  // namespace

TraceReader::TraceReader(std::string path, std::ifstream file)
    : path_(std::move(path)), file_(std::move(file)) {}

Result<std::unique_ptr<TraceReader>> TraceReader::open(const std::string& path) {
  std::error_code unknown;
  if (std::filesystem::is_directory(path, unknown))
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("{}: is a folder; name the file that `framemill run --trace` wrote", path));
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return fail(ErrorCode::kNotFound,
                fmt::format("{}: cannot be read: {}", path, std::strerror(errno)));
  }
  std::unique_ptr<TraceReader> reader(new TraceReader(path, std::move(file)));
  if (const Result<void> read = reader->read_header(); !read) return fail(read.error());
  return reader;
}

std::string TraceReader::place() const { return fmt::format("{}:{}", path_, line_); }

Result<std::optional<std::string>> TraceReader::read_line() {
  ++line_;
  std::string text;
  for (int c = file_.rdbuf()->sbumpc(); c != std::char_traits<char>::eof();
       c = file_.rdbuf()->sbumpc()) {
    if (c == '\n') return std::optional(std::move(text));
    text.push_back(static_cast<char>(c));
    if (text.size() > kLineBytesMax)
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("{}: is longer than any line of a trace", place()));
  }
  if (text.empty()) return std::optional<std::string>();
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("{}: the trace breaks off in the middle of this line; record it again, "
                          "or copy it whole",
                          place()));
}

Result<void> TraceReader::read_header() {
  const Result<std::optional<std::string>> text = read_line();
  if (!text) return fail(text.error());
  if (!*text) return fail(ErrorCode::kInvalidArgument, fmt::format("{}: is empty", path_));
  const std::optional<Json> json = parse(**text);
  try {
    if (!json) refuse("is not the first line of a trace, as `framemill run --trace` writes it");
    header_ = read_content(*json);
  } catch (const Wrong& wrong) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("{}: {}", place(), wrong.what));
  }
  return {};
}

Result<std::optional<DispatchRecord>> TraceReader::next() {
  if (is_over_) return std::optional<DispatchRecord>();
  const Result<std::optional<std::string>> text = read_line();
  if (!text) return fail(text.error());
  if (!*text) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: the trace breaks off here: its last line, which says how long it "
                            "is, is missing; the run was killed, or its disk full: record it again",
                            place()));
  }
  const std::optional<Json> json = parse(**text);
  try {
    if (!json) refuse("is not JSON");
    Line line(*json);
    const std::string event = line.text("e");
    if (event == "stop") {
      const std::int64_t records = line.whole("records", 0, kSeqMax);
      const std::int64_t lost = line.whole("lost", 0, kSeqMax);
      line.finish();
      if (const Result<void> whole = check_end(records, lost); !whole) return fail(whole.error());
      is_over_ = true;
      return std::optional<DispatchRecord>();
    }
    std::optional<DispatchRecord> record = RecordReader(line, header_.began_at).read(event);
    line.finish();
    if (const auto* const lost = std::get_if<RecordsLost>(&*record)) {
      lost_ += lost->records;
    } else {
      ++records_;
    }
    return record;
  } catch (const Wrong& wrong) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("{}: {}", place(), wrong.what));
  }
}

Result<void> TraceReader::check_end(std::int64_t records, std::int64_t lost) {
  if (records != records_ || lost != lost_) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: the trace was written with {} records and {} lost, and has {} and "
                            "{}: lines were taken out or added",
                            place(), records, lost, records_, lost_));
  }
  const Result<std::optional<std::string>> more = read_line();
  if (more && !*more) {
    --line_;
    return {};
  }
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("{}: there is more after the last line of the trace", place()));
}

}  // namespace framemill

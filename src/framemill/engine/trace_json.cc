#include "framemill/engine/trace_json.h"

#include <cmath>
#include <iterator>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "framemill/engine/answer_json.h"

// A line is written for every arrival, look and completion of a run, so they are formatted without
// a document in between; the header, once a run, is built as one.

namespace framemill {
namespace {

using Json = nlohmann::ordered_json;

/// The shortest text that reads back as the same number; null where there is none.
void append_number(std::string& out, double value) {
  if (std::isfinite(value)) {
    fmt::format_to(std::back_inserter(out), "{}", value);
  } else {
    out += "null";
  }
}

void append_doubt(std::string& out, const ObjectDoubt& doubt) {
  fmt::format_to(std::back_inserter(out), R"(,"doubt":[{})", doubt.age);
  for (const double value : {doubt.objects, doubt.drift, doubt.unexplained}) {
    out.push_back(',');
    append_number(out, value);
  }
  out.push_back(']');
}

void append_counts(std::string& out, const AgreementCounts& counts) {
  fmt::format_to(std::back_inserter(out), R"(,"counts":[{},{},{},{},{},{},)", counts.found,
                 counts.wanted, counts.right, counts.given, counts.sure_right, counts.sure_given);
  append_number(out, counts.overlap_sum);
  out.push_back(']');
}

std::string_view cause_text(InferenceCause cause) {
  return cause == InferenceCause::kDueAudit ? "due" : "waiting";
}

class RecordWriter {
 public:
  RecordWriter(std::string& out, TimePoint began_at) : out_(out), began_at_(began_at) {}

  void operator()(const LaneAdded& record) const {
    format(R"({{"e":"lane","max":{})", record.batch_max);
    if (record.hosts != kAllDevices) {
      std::vector<DeviceIndex> devices;
      for (DeviceIndex i = 0; i < kDevicesMax; ++i)
        if (has_device(record.hosts, i)) devices.push_back(i);
      out_ += R"(,"devices":)";
      append_list(devices);
    }
    out_.push_back('}');
  }
  void operator()(const FrameArrived& record) const {
    const ArrivedFrame& frame = record.frame;
    const SampledFrame& sampled = frame.sampled;
    format(R"({{"t":{},"e":"frame","c":{},"q":{},"at":{},"lane":{})", ns(record.at), sampled.camera,
           frame.seq, ns(frame.captured_at), frame.lane);
    if (sampled.is_stream_start) out_ += R"(,"start":true)";
    if (sampled.is_scene_start) out_ += R"(,"scene":true)";
    if (sampled.similarity != 0) {
      out_ += R"(,"similarity":)";
      append_number(out_, sampled.similarity);
    }
    if (sampled.complexity != 0) {
      out_ += R"(,"complexity":)";
      append_number(out_, sampled.complexity);
    }
    if (frame.edge_density) {
      out_ += R"(,"edges":)";
      append_number(out_, *frame.edge_density);
    }
    if (sampled.doubt != ObjectDoubt{}) append_doubt(out_, sampled.doubt);
    if (record.need != 0) {
      out_ += R"(,"need":)";
      append_number(out_, record.need);
    }
    if (record.returned) format(R"(,"out":{})", *record.returned);
    out_.push_back('}');
  }
  void operator()(const FrameWithdrawn& record) const {
    format(R"({{"e":"withdraw","c":{},"q":{}}})", record.camera, record.seq);
  }
  void operator()(const CameraEnded& record) const {
    format(R"({{"e":"end","c":{}}})", record.camera);
  }
  void operator()(const Decided& record) const {
    const DispatchDecision& decision = record.decision;
    format(R"({{"t":{},"e":"look")", ns(record.at));
    if (record.audit) format(R"(,"audit":"{}")", cause_text(*record.audit));
    if (!decision.batch.empty()) {
      format(R"(,"lane":{})", decision.lane);
      if (decision.device > 0) format(R"(,"device":{})", decision.device);
      out_ += R"(,"send":[)";
      bool is_first = true;
      for (const SentFrame& frame : decision.batch) {
        format("{}[{},{},{},{}]", is_first ? "" : ",", frame.camera, frame.seq, frame.rung,
               frame.is_forced ? 1 : 0);
        is_first = false;
      }
      out_.push_back(']');
    }
    if (!decision.unserved.empty()) {
      out_ += R"(,"carry":[)";
      bool is_first = true;
      for (const UnservedFrame& frame : decision.unserved) {
        format("{}[{},{}{}]", is_first ? "" : ",", frame.camera, frame.seq,
               frame.is_device_out ? ",1" : "");
        is_first = false;
      }
      out_.push_back(']');
    }
    if (decision.is_audit_wanted) out_ += R"(,"want_audit":true)";
    if (decision.wake_at) format(R"(,"wake":{})", ns(*decision.wake_at));
    out_.push_back('}');
  }
  void operator()(const AuditSent& record) const {
    format(R"({{"t":{},"e":"audit","lane":{},"audit":"{}"}})", ns(record.at), record.lane,
           cause_text(record.cause));
  }
  void operator()(const FrameClaimed& record) const {
    format(R"({{"e":"claim","c":{},"q":{},"out":{}}})", record.camera, record.seq, record.returned);
  }
  void operator()(const ErrorLearned& record) const {
    format(R"({{"e":"learn","c":{})", record.camera);
    append_doubt(out_, record.doubt);
    append_counts(out_, record.counts);
    out_.push_back('}');
  }
  void operator()(const RungLearned& record) const {
    format(R"({{"e":"learn_rung","c":{},"rung":{})", record.camera, record.rung);
    append_counts(out_, record.counts);
    out_.push_back('}');
  }
  void operator()(const DoubtRenewed& record) const {
    format(R"({{"e":"doubt","c":{},"q":{})", record.camera, record.seq);
    append_doubt(out_, record.doubt);
    out_.push_back('}');
  }
  void operator()(const BatchCompleted& record) const {
    format(R"({{"t":{},"e":"done","lane":{},"n":{},"c":)", ns(record.at), record.lane,
           record.frames);
    append_list(record.cameras);
    if (record.service_time) format(R"(,"took":{})", record.service_time->count());
    if (record.device > 0) format(R"(,"device":{})", record.device);
    out_.push_back('}');
  }
  void operator()(const PeriodEnded& record) const {
    format(R"({{"t":{},"e":"period")", ns(record.at));
    append_optional("out", record.returned);
    out_.push_back('}');
  }
  void operator()(const ShareSet& record) const {
    out_ += R"({"e":"share","share":)";
    append_number(out_, record.share);
    out_.push_back('}');
  }
  void operator()(const BudgetShareSet& record) const {
    out_ += R"({"e":"budget","share":)";
    append_number(out_, record.share);
    out_.push_back('}');
  }
  void operator()(const RungsUpdated& record) const {
    format(R"({{"t":{},"e":"rungs","lanes":[)", ns(record.at));
    for (std::size_t i = 0; i < record.lanes.size(); ++i) {
      if (i > 0) out_.push_back(',');
      append_list(record.lanes[i]);
    }
    out_.push_back(']');
    append_optional("share", record.share_wanted);
    out_ += R"(,"out":[)";
    for (std::size_t i = 0; i < record.returned.size(); ++i) {
      const RungChange& change = record.returned[i];
      format("{}[{},{},{}]", i > 0 ? "," : "", change.camera, change.from, change.to);
    }
    out_ += "]}";
  }
  void operator()(const FrameReturned& record) const {
    format(R"({{"t":{},"e":"back","c":{},"q":{},"out":{}}})", ns(record.at), record.camera,
           record.seq, record.returned);
  }
  void operator()(const DeviceChanged& record) const {
    format(R"({{"t":{},"e":"device","device":{},"serving":{},"max":{}}})", ns(record.at),
           record.device, record.is_serving, record.batch_max);
  }
  void operator()(const RecordsLost& record) const {
    format(R"({{"e":"lost","n":{}}})", record.records);
  }

 private:
  [[nodiscard]] std::int64_t ns(TimePoint at) const { return (at - began_at_).count(); }

  template <typename... Values>
  void format(fmt::format_string<Values...> text, Values&&... values) const {
    fmt::format_to(std::back_inserter(out_), text, std::forward<Values>(values)...);
  }
  template <typename Numbers>
  void append_list(const Numbers& numbers) const {
    out_.push_back('[');
    bool is_first = true;
    for (const auto number : numbers) {
      format("{}{}", is_first ? "" : ",", number);
      is_first = false;
    }
    out_.push_back(']');
  }
  void append_optional(std::string_view key, const std::optional<double>& value) const {
    if (!value) return;
    format(R"(,"{}":)", key);
    append_number(out_, *value);
  }

  std::string& out_;
  const TimePoint began_at_;
};

Json json_of(const ServiceTimes& times) {
  Json buckets = Json::array();
  for (std::size_t i = 0; i < kBatchBuckets.size(); ++i) {
    const ServiceTimes::Estimate& estimate = times.estimates()[i];
    if (!estimate.is_seen) continue;
    buckets.push_back({{"batch", kBatchBuckets[i]},
                       {"mean_ns", estimate.mean_ns},
                       {"deviation_ns", estimate.deviation_ns},
                       {"recorded_as", estimate.recorded_as}});
  }
  return {{"samples", times.samples()}, {"buckets", std::move(buckets)}};
}

}  // namespace

void append_trace_header(std::string& out, const DispatchTraceHeader& header) {
  const LiveDispatchOptions& options = header.options;
  Json cameras = Json::array();
  for (std::size_t i = 0; i < options.cameras.size(); ++i) {
    const DispatchCamera& camera = options.cameras[i];
    cameras.push_back({{"camera", i < header.cameras.size() ? header.cameras[i] : ""},
                       {"policy", to_string(camera.policy)},
                       {"priority", to_string(camera.priority)},
                       {"slo_ns", camera.slo.count()},
                       {"period_ns", camera.period.count()},
                       {"model", camera.model}});
    if (camera.weight != 1) cameras.back()["weight"] = camera.weight;
  }
  Json times = Json::array();
  for (const ServiceTimes& lane : options.lane_times) times.push_back(json_of(lane));
  Json devices = Json::array();
  for (const DispatchDevice& device : options.devices) {
    Json own = Json::array();
    for (const ServiceTimes& lane : device.lane_times) own.push_back(json_of(lane));
    devices.push_back({{"batches_max", device.batches_max},
                       {"lane_knees", device.lane_knees},
                       {"lane_times", std::move(own)}});
  }
  const std::optional<double>& adaptive = options.inference.adaptive_share;
  Json json{{"schema", "framemill.trace/1"},
            {"framemill", header.framemill},
            {"run", header.run},
            {"began", format_wall_time(header.began_wall)},
            {"began_ns", header.began_at.time_since_epoch().count()},
            {"models", header.models},
            {"cameras", std::move(cameras)},
            {"share", options.inference.share},
            {"adaptive_share", adaptive ? Json(*adaptive) : Json(nullptr)},
            {"similarity_min", options.inference.similarity_min},
            {"batches_max", options.batches_max},
            {"knee_frames", options.knee_frames},
            {"lane_knees", options.lane_knees},
            {"batch_by_utilisation", options.is_batch_by_utilisation},
            {"rungs", options.rungs_of_model},
            {"lane_times", std::move(times)}};
  if (options.is_slot_reserved) json["slot_reserved"] = true;
  if (!devices.empty()) json["devices"] = std::move(devices);
  out += json.dump(-1, ' ', false, Json::error_handler_t::replace);
  out.push_back('\n');
}

void append_trace_record(std::string& out, const DispatchRecord& record, TimePoint began_at) {
  std::visit(RecordWriter(out, began_at), record);
  out.push_back('\n');
}

void append_trace_end(std::string& out, std::int64_t records, std::int64_t lost) {
  fmt::format_to(std::back_inserter(out), R"({{"e":"stop","records":{},"lost":{}}})", records,
                 lost);
  out.push_back('\n');
}

}  // namespace framemill

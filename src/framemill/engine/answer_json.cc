#include "framemill/engine/answer_json.h"

#include <iterator>

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace framemill {
namespace {

/// JSON string escapes; ids are ASCII, and a Detector's labels are UTF-8.
void append_quoted(std::string& out, std::string_view text) {
  out.push_back('"');
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

void append_detection(std::string& out, const Detection& detection, const CameraNames& camera) {
  auto end = std::back_inserter(out);
  fmt::format_to(end, R"({{"class":{},"label":)", detection.class_id);
  const auto label = static_cast<std::size_t>(detection.class_id);
  append_quoted(out, label < camera.labels->size() ? std::string_view((*camera.labels)[label])
                                                   : std::string_view("unknown"));
  const Box& box = detection.box;
  fmt::format_to(end, R"(,"score":{:.4f},"box":[{:.2f},{:.2f},{:.2f},{:.2f}])", detection.score,
                 box.x1, box.y1, box.x2, box.y2);
  if (detection.track >= 0) fmt::format_to(end, R"(,"track":{})", detection.track);
  out.push_back('}');
}

}  // namespace

std::string format_wall_time(WallTime time) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch());
  const std::time_t seconds = ms.count() / 1000;
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03d}Z", fmt::gmtime(seconds), ms.count() % 1000);
}

void append_answer_json(std::string& out, const Answer& answer, std::string_view run_id,
                        const CameraNames& camera) {
  auto end = std::back_inserter(out);
  const FrameStamp& stamp = answer.stamp;
  fmt::format_to(end, R"({{"schema":"framemill.result/1","run":"{}","camera":)", run_id);
  append_quoted(out, camera.id);
  fmt::format_to(end, R"(,"seq":{},"epoch":{},"frame_index":{})", stamp.seq, stamp.epoch,
                 stamp.frame_index);
  if (stamp.file_frame_index) {
    fmt::format_to(end, R"(,"file_frame_index":{})", *stamp.file_frame_index);
  }
  fmt::format_to(end, R"(,"pts_s":{:.6f},"captured_at":"{}","origin":"{}")", stamp.pts_s,
                 format_wall_time(stamp.captured_at), to_string(answer.origin));
  if (answer.origin == Origin::kNone) {
    fmt::format_to(end, R"(,"reason":"{}")", to_string(answer.drop_reason));
  } else {
    fmt::format_to(end, R"(,"source_frame_index":{})", answer.source_frame_index);
  }
  if (answer.latency) {
    fmt::format_to(end, R"(,"latency_ms":{:.3f},"reorder_ms":{:.3f})", to_ms(*answer.latency),
                   to_ms(stamp.reorder_delay));
  } else {
    out += R"(,"latency_ms":null)";
  }
  fmt::format_to(end, R"(,"deadline_ms":{:g},"on_time":{},"model":)", to_ms(answer.slo),
                 answer.is_on_time);
  append_quoted(out, answer.model);
  out += R"(,"variant":)";
  if (answer.variant) {
    append_quoted(out, *answer.variant);
  } else {
    out += "null";
  }
  fmt::format_to(end, R"(,"width":{},"height":{})", answer.picture_size.width,
                 answer.picture_size.height);
  if (answer.origin != Origin::kNone) {
    out += R"(,"detections":)";
    append_detections_json(out, answer.detections, camera);
  }
  out += "}\n";
}

void append_detections_json(std::string& out, std::span<const Detection> detections,
                            const CameraNames& camera) {
  out.push_back('[');
  bool is_first = true;
  for (const Detection& detection : detections) {
    if (!is_first) out.push_back(',');
    is_first = false;
    append_detection(out, detection, camera);
  }
  out.push_back(']');
}

void append_alarm_json(std::string& out, const AlarmEvent& event) {
  out += R"({"schema":"framemill.alarm/1","run":)";
  append_quoted(out, event.run);
  const auto text = [&](std::string_view key, std::string_view value) {
    fmt::format_to(std::back_inserter(out), R"(,"{}":)", key);
    append_quoted(out, value);
  };
  text("alarm_id", event.alarm_id);
  text("state", to_string(event.state));
  text("severity", to_string(event.severity));
  if (event.camera_id.empty())
    out += R"(,"camera":null)";
  else
    text("camera", event.camera_id);
  text("rule", event.rule);
  text("kind", event.kind);
  text("message", event.message);
  text("at", format_wall_time(event.at));
  if (event.seq) fmt::format_to(std::back_inserter(out), R"(,"seq":{})", *event.seq);
  if (!event.by.empty()) text("by", event.by);
  if (!event.picture_path.empty()) text("picture", event.picture_path);
  out += "}\n";
}

}  // namespace framemill

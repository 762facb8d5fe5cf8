// What was: answers and events, newest first, by pages; from the database of a sink where there is
// one, else what is held in memory.

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "framemill/server/api.h"
#include "framemill/server/api_body.h"
#include "framemill/server/api_error.h"
#include "framemill/server/api_json.h"
#include "framemill/server/query.h"

namespace framemill {
namespace {

using Json = nlohmann::ordered_json;

std::int64_t to_milliseconds(WallTime time) {
  return std::chrono::ceil<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

std::optional<std::int64_t> to_milliseconds(const std::optional<WallTime>& time) {
  if (!time) return std::nullopt;
  return to_milliseconds(*time);
}

/// As far as the database keeps it; the keys and their order are those of append_answer_json().
std::string row_json(const AnswerRow& row) {
  Json json{{"schema", "framemill.result/1"},
            {"run", row.run},
            {"camera", row.camera},
            {"seq", row.seq},
            {"epoch", row.epoch},
            {"frame_index", row.frame_index},
            {"captured_at", format_wall_time(WallTime(std::chrono::milliseconds(row.at_ms)))},
            {"origin", row.origin}};
  if (!row.reason.empty()) json["reason"] = row.reason;
  json["latency_ms"] = row.latency_ms ? Json(*row.latency_ms) : Json(nullptr);
  json["on_time"] = row.is_on_time;
  std::string text = dump(json);
  if (row.detections.empty()) return text;
  text.pop_back();
  return text + ",\"detections\":" + row.detections + "}";
}

std::string page_json(const std::vector<std::string>& results, const Json& next_cursor,
                      const char* source) {
  return fmt::format("{{\"results\":[{}],\"next_cursor\":{},\"source\":\"{}\"}}\n",
                     fmt::join(results, ","), dump(next_cursor), source);
}

bool has_label(const Answer& answer, const CameraNames& names, std::string_view label) {
  return std::ranges::any_of(answer.detections, [&](const Detection& detection) {
    const auto place = static_cast<std::size_t>(detection.class_id);
    return place < names.labels->size() && (*names.labels)[place] == label;
  });
}

}  // namespace

struct Api::ResultQuery {
  std::optional<std::string> camera, origin, label, cursor;
  std::optional<WallTime> since, until;
  std::size_t limit = 100;
};

HttpResponse Api::list_results(const Call& call) {
  Query query(call.request);
  const ResultQuery asked{.camera = query.id("camera"),
                          .origin = query.choice("origin", "inferred|propagated|reused|none"),
                          .label = query.text("label", 64),
                          .cursor = query.text("cursor", 128),
                          .since = query.time("since"),
                          .until = query.time("until"),
                          .limit = query.limit()};
  const std::optional<std::string> source = query.choice("source", "database|memory");
  if (query.error()) return error_response(*query.error(), "the query");
  if (source == "database" && history_ == nullptr) {
    return error_response(400, "invalid_argument",
                          {"no sink keeps answers in a database", "source",
                           "add `{type: sqlite, path: events.db}` to `sinks:`, or leave it out"});
  }
  const bool is_from_database = history_ != nullptr && source != "memory";
  return is_from_database ? list_kept_results(call, asked) : list_last_results(call, asked);
}

HttpResponse Api::list_kept_results(const Call& call, const ResultQuery& query) {
  if (query.camera) {
    const CameraDirectory& directory = call.engine->camera_directory();
    bool is_known = false;
    for (std::size_t i = 0; i < directory.size(); ++i) is_known |= directory[i].id == *query.camera;
    if (!is_known) {  // in this run; perhaps in an earlier one
      const Result<bool> was_known = history_->knows_camera(*query.camera);
      if (!was_known) return error_response(was_known.error(), "the database");
      if (!*was_known) return unknown_camera(*query.camera);
    }
  }
  const Result<AnswerHistory::Page> page =
      history_->newest({.camera = query.camera.value_or(""),
                        .origin = query.origin.value_or(""),
                        .label = query.label.value_or(""),
                        .since_ms = to_milliseconds(query.since),
                        .until_ms = to_milliseconds(query.until),
                        .cursor = query.cursor.value_or(""),
                        .limit = query.limit});
  if (!page) return error_response(page.error(), "the database");
  std::vector<std::string> results;
  for (const AnswerRow& row : page->rows) results.push_back(row_json(row));
  return json_response(page_json(
      results, page->next_cursor.empty() ? Json(nullptr) : Json(page->next_cursor), "database"));
}

HttpResponse Api::list_last_results(const Call& call, const ResultQuery& query) {
  BoardQuery asked{.limit = query.limit};
  if (query.cursor) {
    const std::optional<std::int64_t> before = parse_cursor(*query.cursor);
    if (!before) {
      return error_response(400, "invalid_argument",
                            {"is none of these results", "cursor",
                             "take `next_cursor` of the page before, with the same source"});
    }
    asked.before = *before;
  }
  const CameraDirectory& directory = call.engine->camera_directory();
  std::set<CameraIndex> indices;
  if (query.camera) {
    for (std::size_t i = 0; i < directory.size(); ++i)
      if (directory[i].id == *query.camera) indices.insert(static_cast<CameraIndex>(i));
    if (indices.empty()) return unknown_camera(*query.camera);
  }
  asked.is_wanted = [&](const Answer& answer) {
    if (query.camera && !indices.contains(answer.camera)) return false;
    if (query.origin && to_string(answer.origin) != *query.origin) return false;
    if (query.since && answer.stamp.captured_at < *query.since) return false;
    if (query.until && answer.stamp.captured_at >= *query.until) return false;
    return !query.label || has_label(answer, directory[answer.camera], *query.label);
  };
  const std::vector<BoardEntry> entries = parts_.board.newest(asked);
  // Lines are written by the code that writes them for the sinks, so that they are the same.
  std::vector<std::string> results;
  const std::string run_id = parts_.meter.figures()->report.run_id;
  for (const BoardEntry& entry : entries) {
    std::string& text = results.emplace_back();
    append_answer_json(text, *entry.answer, run_id, directory[entry.answer->camera]);
    text.pop_back();  // the line's end
  }
  const bool is_more = entries.size() == asked.limit;
  return json_response(page_json(
      results, cursor_json(is_more, entries.empty() ? 0 : entries.back().number), "memory"));
}

HttpResponse Api::list_events(const Call& call) {
  Query query(call.request);
  const std::optional<std::string> camera = query.id("camera");
  const std::optional<std::string> kind = query.choice(
      "kind",
      "run_started|camera_added|camera_changed|camera_removed|camera_up|camera_down|camera_frozen|"
      "camera_paused|camera_ended|config_reloaded|config_refused|config_saved|config_save_refused|"
      "alarm");
  RunEventQuery asked{.since = query.time("since"),
                      .until = query.time("until"),
                      .before = query.cursor(),
                      .limit = query.limit()};
  if (query.error()) return error_response(*query.error(), "the query");
  if (kind) asked.kind = *kind;
  if (camera) asked.camera = *camera;
  const EventLog::Page page = parts_.events.newest(asked);
  Json list = Json::array();
  for (const RunEvent& event : page.events) list.push_back(event_json(event));
  const bool is_more = page.events.size() == asked.limit;
  return json_response(
      dump({{"events", std::move(list)},
            {"next_cursor", cursor_json(is_more, page.events.empty() ? 0 : page.events.back().id)},
            {"source", page.is_from_store ? "database" : "memory"}}));
}

}  // namespace framemill

#include "framemill/engine/sinks/sqlite/answer_history.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <queue>
#include <string_view>
#include <tuple>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace framemill {

// The table has the rows of each camera in the order of time, not those of all: so there is one
// statement a camera, each stepped only as far as it is needed, and the newest of their rows is
// taken again and again.

namespace {

constexpr std::size_t kRowsLookedAt = 100'000;

/// Where a row lies in the order of pages: later ones first.
struct Place {
  std::int64_t at_ms = 0, camera = 0, run = 0, seq = 0;
  friend auto operator<=>(const Place&, const Place&) = default;
};

std::string to_cursor(const Place& place) {
  return fmt::format("d.{}.{}.{}.{}", place.at_ms, place.camera, place.run, place.seq);
}

std::optional<Place> parse_cursor(std::string_view text) {
  if (!text.starts_with("d.")) return std::nullopt;
  text.remove_prefix(2);
  std::array<std::int64_t, 4> numbers{};
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const std::size_t end = i + 1 < numbers.size() ? text.find('.') : text.size();
    if (end == std::string_view::npos) return std::nullopt;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + end, numbers[i]);
    if (error != std::errc{} || rest != text.data() + end) return std::nullopt;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return Place{numbers[0], numbers[1], numbers[2], numbers[3]};
}

/// The rows of one camera, from the newest on.
struct CameraRows {
  std::int64_t number = 0;
  std::string name;
  std::unique_ptr<Statement> rows;
  Place place;  ///< of the row it stands at
};

struct IsOlder {
  bool operator()(const CameraRows* a, const CameraRows* b) const { return a->place < b->place; }
};

/// To the next row before `before`; false: there is none.
Result<bool> next_row(CameraRows& camera, const std::optional<Place>& before) {
  while (true) {
    const Result<bool> has_row = camera.rows->step();
    if (!has_row || !*has_row) return has_row;
    camera.place = {camera.rows->integer(0), camera.number, camera.rows->integer(1),
                    camera.rows->integer(2)};
    if (!before || camera.place < *before) return true;
  }
}

AnswerRow read_row(const CameraRows& camera) {
  const Statement& row = *camera.rows;
  AnswerRow answer{.camera = camera.name,
                   .run = row.text(10),
                   .at_ms = camera.place.at_ms,
                   .seq = camera.place.seq,
                   .epoch = row.integer(3),
                   .frame_index = row.integer(4),
                   .origin = row.text(5),
                   .reason = row.text(6),
                   .is_on_time = row.integer(8) != 0,
                   .detections = row.text(9)};
  if (!row.is_null(7)) answer.latency_ms = row.real(7);
  return answer;
}

/// All cameras, or the one of this name.
Result<std::vector<CameraRows>> find_cameras(Database& database, const std::string& name) {
  Result<Statement> names =
      database.try_prepare(name.empty() ? "SELECT number, name FROM cameras"
                                        : "SELECT number, name FROM cameras WHERE name=?");
  if (!names) return fail(names.error());
  if (!name.empty()) names->bind(0, std::string_view(name));
  std::vector<CameraRows> cameras;
  while (true) {
    const Result<bool> has_row = names->step();
    if (!has_row) return fail(has_row.error());
    if (!*has_row) return cameras;
    cameras.push_back({names->integer(0), names->text(1), nullptr, {}});
  }
}

}  // namespace

Result<std::unique_ptr<AnswerHistory>> AnswerHistory::open(const std::string& path) {
  Result<std::unique_ptr<Database>> database = Database::open(path, {.is_read_only = true});
  if (!database) return fail(database.error());
  return std::unique_ptr<AnswerHistory>(new AnswerHistory(std::move(*database)));
}

Result<bool> AnswerHistory::knows_camera(const std::string& camera) {
  const MutexLock lock(mu_);
  const Result<std::vector<CameraRows>> found = find_cameras(*database_, camera);
  if (!found) return fail(found.error());
  return !found->empty();
}

Result<AnswerHistory::Page> AnswerHistory::newest(const Query& query) {
  std::optional<Place> before;
  if (!query.cursor.empty()) {
    before = parse_cursor(query.cursor);
    if (!before)
      return fail(ErrorCode::kInvalidArgument,
                  "cursor: is none of the database; take `next_cursor` of the page before");
  }
  std::int64_t until_ms = query.until_ms ? *query.until_ms - 1 : INT64_MAX;
  if (before) until_ms = std::min(until_ms, before->at_ms);
  const std::string label =
      query.label.empty()
          ? std::string()
          : "\"label\":" + nlohmann::json(query.label)
                               .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  const MutexLock lock(mu_);
  Result<std::vector<CameraRows>> cameras = find_cameras(*database_, query.camera);
  if (!cameras) return fail(cameras.error());
  std::priority_queue<CameraRows*, std::vector<CameraRows*>, IsOlder> newest;
  for (CameraRows& camera : *cameras) {
    Result<Statement> rows = database_->try_prepare(
        "SELECT a.at_ms, a.run, a.seq, a.epoch, a.frame_index, a.origin, a.reason, a.latency_ms, "
        "a.is_on_time, a.detections, r.name FROM answers a JOIN runs r ON r.number=a.run WHERE "
        "a.camera=?1 AND a.at_ms>=?2 AND a.at_ms<=?3 ORDER BY a.at_ms DESC, a.run DESC, a.seq "
        "DESC");
    if (!rows) return fail(rows.error());
    camera.rows = std::make_unique<Statement>(*std::move(rows));
    camera.rows->bind(0, camera.number).bind(1, query.since_ms.value_or(0)).bind(2, until_ms);
    const Result<bool> has_row = next_row(camera, before);
    if (!has_row) return fail(has_row.error());
    if (*has_row) newest.push(&camera);
  }
  Page page;
  Place last;
  for (std::size_t looked_at = 0; !newest.empty(); ++looked_at) {
    if (page.rows.size() == query.limit || looked_at == kRowsLookedAt) {
      page.next_cursor = to_cursor(last);
      break;
    }
    CameraRows& camera = *newest.top();
    newest.pop();
    last = camera.place;
    const bool is_wanted = (query.origin.empty() || camera.rows->text(5) == query.origin) &&
                           (label.empty() || camera.rows->text(9).find(label) != std::string::npos);
    if (is_wanted) page.rows.push_back(read_row(camera));
    const Result<bool> has_row = next_row(camera, std::nullopt);
    if (!has_row) return fail(has_row.error());
    if (*has_row) newest.push(&camera);
  }
  return page;
}

}  // namespace framemill

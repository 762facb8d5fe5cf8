#include "framemill/server/event_store.h"

#include <utility>

#include <fmt/format.h>

namespace framemill {
namespace {

constexpr int kRowsMax = 200'000;
constexpr int kTidyEvery = 500;

constexpr const char* kSchema = R"(
CREATE TABLE IF NOT EXISTS events(
  id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, kind TEXT NOT NULL, camera TEXT NOT NULL,
  text TEXT NOT NULL, by TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS events_camera ON events(camera, id);
)";

std::int64_t to_milliseconds(WallTime time) {
  return std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

}  // namespace

Result<std::unique_ptr<EventStore>> EventStore::open(const std::string& path, Duration keep) {
  Result<std::unique_ptr<Database>> database = Database::open(path, {});
  if (!database) return fail(database.error());
  if (const Result<void> made = (*database)->run(kSchema); !made) return fail(made.error());
  Result<std::unique_ptr<Database>> reading = Database::open(path, {.is_read_only = true});
  if (!reading) return fail(reading.error());
  return std::unique_ptr<EventStore>(
      new EventStore(std::move(*database), std::move(*reading), keep));
}

Result<std::int64_t> EventStore::last_id() {
  const MutexLock lock(mu_);
  return database_->query_integer("SELECT max(id) FROM events");
}

Result<void> EventStore::add(const RunEvent& event) {
  const MutexLock lock(mu_);
  Result<Statement> row =
      database_->try_prepare("INSERT OR IGNORE INTO events VALUES(?,?,?,?,?,?)");
  if (!row) return fail(row.error());
  row->bind(0, event.id)
      .bind(1, to_milliseconds(event.at))
      .bind(2, std::string_view(event.kind))
      .bind(3, std::string_view(event.camera))
      .bind(4, std::string_view(event.text))
      .bind(5, std::string_view(event.by));
  if (Result<void> done = row->run(); !done) return done;
  if (--adds_until_tidy_ > 0) return {};
  adds_until_tidy_ = kTidyEvery;
  return tidy(event);
}

Result<void> EventStore::tidy(const RunEvent& newest) {
  std::string sql = fmt::format("DELETE FROM events WHERE id<={};", newest.id - kRowsMax);
  if (keep_ > Duration::zero())
    sql += fmt::format("DELETE FROM events WHERE at_ms<{};", to_milliseconds(newest.at - keep_));
  return database_->run(sql);
}

Result<std::vector<RunEvent>> EventStore::newest(const RunEventQuery& query) {
  const MutexLock lock(reading_mu_);
  std::string sql = "SELECT id, at_ms, kind, camera, text, by FROM events WHERE id<?1";
  if (!query.kind.empty()) sql += " AND kind=?2";
  if (!query.camera.empty()) sql += " AND camera=?3";
  if (query.since) sql += fmt::format(" AND at_ms>={}", to_milliseconds(*query.since));
  if (query.until) sql += fmt::format(" AND at_ms<{}", to_milliseconds(*query.until));
  sql += fmt::format(" ORDER BY id DESC LIMIT {}", query.limit);
  Result<Statement> rows = reading_->try_prepare(sql);
  if (!rows) return fail(rows.error());
  rows->bind(0, query.before.value_or(INT64_MAX));
  if (!query.kind.empty()) rows->bind(1, query.kind);
  if (!query.camera.empty()) rows->bind(2, query.camera);
  std::vector<RunEvent> events;
  while (true) {
    const Result<bool> has_row = rows->step();
    if (!has_row) return fail(has_row.error());
    if (!*has_row) return events;
    events.push_back({.id = rows->integer(0),
                      .at = WallTime(std::chrono::milliseconds(rows->integer(1))),
                      .kind = rows->text(2),
                      .camera = rows->text(3),
                      .text = rows->text(4),
                      .by = rows->text(5)});
  }
}

}  // namespace framemill

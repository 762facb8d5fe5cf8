#include "framemill/engine/sinks/sqlite/sqlite_sink.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace framemill {

// The answers of a camera lie together and in the order of time (the primary key is the table, as
// it has no row ids), so that a day of one camera is one run of pages, whatever else the database
// holds. A day over all cameras, or a long time, is read from `minutes`, which is kept up with each
// insert. Alarms are few: indices suffice.

namespace {

constexpr int kSchemaVersion = 1;
constexpr int kApplicationId = 0x464D494C;  // "FMIL"
constexpr std::size_t kPendingMax = 1000;
constexpr std::int64_t kTidyEvery = 2000;  // inserts
constexpr std::int64_t kRowsAtOnce = 20'000;

constexpr const char* kSchema = R"(
CREATE TABLE IF NOT EXISTS runs(number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS cameras(number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS answers(
  camera INTEGER NOT NULL, at_ms INTEGER NOT NULL, run INTEGER NOT NULL, seq INTEGER NOT NULL,
  epoch INTEGER NOT NULL, frame_index INTEGER NOT NULL, origin TEXT NOT NULL, reason TEXT,
  latency_ms REAL, is_on_time INTEGER NOT NULL, objects INTEGER NOT NULL, detections TEXT,
  PRIMARY KEY(camera, at_ms, run, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS minutes(
  camera INTEGER NOT NULL, at_ms INTEGER NOT NULL, answered INTEGER NOT NULL,
  unanswered INTEGER NOT NULL, overdue INTEGER NOT NULL, inferred INTEGER NOT NULL,
  objects INTEGER NOT NULL, objects_max INTEGER NOT NULL,
  PRIMARY KEY(camera, at_ms)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS alarm_events(
  alarm_id TEXT NOT NULL, state TEXT NOT NULL, at_ms INTEGER NOT NULL, severity TEXT NOT NULL,
  camera TEXT NOT NULL, rule TEXT NOT NULL, kind TEXT NOT NULL, message TEXT NOT NULL,
  run TEXT NOT NULL, seq INTEGER,
  by TEXT NOT NULL, picture TEXT NOT NULL, PRIMARY KEY(alarm_id, state)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS alarm_events_at ON alarm_events(at_ms);
CREATE INDEX IF NOT EXISTS alarm_events_camera ON alarm_events(camera, at_ms);
CREATE VIEW IF NOT EXISTS answer_list AS
  SELECT c.name AS camera, r.name AS run, a.seq, a.epoch, a.frame_index,
    strftime('%Y-%m-%dT%H:%M:%f', a.at_ms / 1000.0, 'unixepoch') || 'Z' AS captured_at, a.at_ms,
    a.origin, a.reason, a.latency_ms, a.is_on_time, a.objects, a.detections
  FROM answers a JOIN cameras c ON c.number = a.camera JOIN runs r ON r.number = a.run;
CREATE VIEW IF NOT EXISTS open_alarms AS
  SELECT * FROM alarm_events e WHERE state = 'raised' AND NOT EXISTS (
    SELECT 1 FROM alarm_events x WHERE x.alarm_id = e.alarm_id AND x.state = 'cleared');
)";

std::int64_t to_milliseconds(WallTime time) {
  return std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

}  // namespace

struct SqliteSink::Statements {
  explicit Statements(Database& database)
      : answer(database.prepare("INSERT OR IGNORE INTO answers VALUES(?,?,?,?,?,?,?,?,?,?,?,?)")),
        minute(database.prepare(
            "INSERT INTO minutes VALUES(?1,?2,?3,?4,?5,?6,?7,?7) ON CONFLICT(camera, at_ms) DO "
            "UPDATE SET answered=answered+?3, unanswered=unanswered+?4, overdue=overdue+?5, "
            "inferred=inferred+?6, objects=objects+?7, objects_max=max(objects_max,?7)")),
        alarm(database.prepare(
            "INSERT OR IGNORE INTO alarm_events VALUES(?,?,?,?,?,?,?,?,?,?,?,?)")) {}
  Statement answer, minute, alarm;
};

SqliteSink::SqliteSink(SqliteSinkOptions options, const CameraDirectory& cameras,
                       std::unique_ptr<Database> database)
    : options_(std::move(options)), cameras_(cameras), database_(std::move(database)) {}

Result<std::unique_ptr<SqliteSink>> SqliteSink::create(SqliteSinkOptions options,
                                                       const CameraDirectory& cameras) {
  Result<std::unique_ptr<Database>> database = Database::open(options.path, {});
  if (!database) return fail(database.error());
  std::unique_ptr<SqliteSink> sink(
      new SqliteSink(std::move(options), cameras, std::move(*database)));
  if (Result<void> made = sink->make_tables(); !made) return fail(made.error());
  return sink;
}

SqliteSink::~SqliteSink() = default;

Result<void> SqliteSink::make_tables() {
  const Result<std::int64_t> application = database_->query_integer("PRAGMA application_id");
  const Result<std::int64_t> version = database_->query_integer("PRAGMA user_version");
  const Result<std::int64_t> tables =
      database_->query_integer("SELECT count(*) FROM sqlite_master");
  if (!application || !version || !tables)
    return fail(!application ? application.error() : !version ? version.error() : tables.error());
  const bool is_foreign = *application != kApplicationId && *tables > 0;
  if (is_foreign || *version > kSchemaVersion)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: {}; name another file", options_.path,
                            is_foreign ? "is the database of another program"
                                       : "was written by a newer framemill"));
  if (Result<void> made = database_->run(fmt::format(
          "BEGIN IMMEDIATE; PRAGMA application_id={}; PRAGMA user_version={}; {} COMMIT;",
          kApplicationId, kSchemaVersion, kSchema));
      !made)
    return made;
  statements_ = std::make_unique<Statements>(*database_);
  return {};
}

Result<void> SqliteSink::write(const Answer& answer) {
  if (pending_.size() >= kPendingMax) {
    if (Result<void> flushed = flush(); !flushed) return flushed;
  }
  pending_.emplace_back(answer);
  return {};
}

Result<void> SqliteSink::write_alarm(const AlarmEvent& event) {
  pending_.emplace_back(event);
  return {};
}

Result<void> SqliteSink::flush() {
  if (pending_.empty()) return {};
  // Numbers of names that were made in a transaction hold only once it is committed.
  std::map<std::string, std::int64_t> numbers_before = numbers_;
  if (Result<void> inserted = insert_pending(); !inserted) {
    numbers_ = std::move(numbers_before);
    return inserted;
  }
  inserts_until_tidy_ -= static_cast<std::int64_t>(pending_.size());
  pending_.clear();
  if (inserts_until_tidy_ <= 0) {
    inserts_until_tidy_ = kTidyEvery;
    // Kept short here: what is left is done after the next inserts. A failure is no loss.
    const Result<bool> has_more = delete_some();
    if (has_more && *has_more) inserts_until_tidy_ = 0;
  }
  return {};
}

Result<void> SqliteSink::insert_pending() {
  Transaction transaction(*database_);
  if (Result<void> begun = transaction.begin(); !begun) return begun;
  for (const auto& item : pending_) {
    const Result<void> inserted = std::visit([this](const auto& one) { return insert(one); }, item);
    if (!inserted) return inserted;
  }
  return transaction.commit();
}

Result<std::int64_t> SqliteSink::number_of(const char* table, const std::string& name) {
  const std::string key = fmt::format("{}/{}", table, name);
  if (const auto found = numbers_.find(key); found != numbers_.end()) return found->second;
  Statement insert =
      database_->prepare(fmt::format("INSERT OR IGNORE INTO {}(name) VALUES(?)", table));
  insert.bind(0, std::string_view(name));
  if (Result<void> done = insert.run(); !done) return fail(done.error());
  Statement select = database_->prepare(fmt::format("SELECT number FROM {} WHERE name=?", table));
  select.bind(0, std::string_view(name));
  const Result<bool> has_row = select.step();
  if (!has_row) return fail(has_row.error());
  return numbers_[key] = select.integer(0);
}

Result<void> SqliteSink::insert(const Answer& answer) {
  const CameraNames& names = cameras_[answer.camera];
  const Result<std::int64_t> camera = number_of("cameras", names.id);
  if (!camera) return fail(camera.error());
  const Result<std::int64_t> run = number_of("runs", options_.run_id);
  if (!run) return fail(run.error());
  const std::int64_t at_ms = to_milliseconds(answer.stamp.captured_at);
  last_ms_ = at_ms;
  const bool is_answered = answer.origin != Origin::kNone;
  const auto objects = static_cast<std::int64_t>(answer.detections.size());
  Statement& row = statements_->answer;
  row.bind(0, *camera)
      .bind(1, at_ms)
      .bind(2, *run)
      .bind(3, answer.stamp.seq)
      .bind(4, std::int64_t{answer.stamp.epoch})
      .bind(5, answer.stamp.frame_index)
      .bind(6, to_string(answer.origin))
      .bind(9, std::int64_t{answer.is_on_time})
      .bind(10, objects);
  if (is_answered) {
    std::string detections;
    append_detections_json(detections, answer.detections, names);
    row.bind_null(7).bind(11, std::string_view(detections));
  } else {
    row.bind(7, to_string(answer.drop_reason)).bind_null(11);
  }
  if (answer.latency)
    row.bind(8, to_ms(*answer.latency));
  else
    row.bind_null(8);
  if (Result<void> done = row.run(); !done) return done;
  if (database_->changes() == 0) return {};  // was there already
  constexpr std::int64_t kMinuteMs = 60'000;
  statements_->minute.bind(0, *camera)
      .bind(1, at_ms - at_ms % kMinuteMs)
      .bind(2, std::int64_t{is_answered})
      .bind(3, std::int64_t{!is_answered})
      .bind(4, std::int64_t{is_answered && !answer.is_on_time})
      .bind(5, std::int64_t{answer.origin == Origin::kInferred})
      .bind(6, objects);
  return statements_->minute.run();
}

Result<void> SqliteSink::insert(const AlarmEvent& event) {
  statements_->alarm.bind(0, std::string_view(event.alarm_id))
      .bind(1, to_string(event.state))
      .bind(2, to_milliseconds(event.at))
      .bind(3, to_string(event.severity))
      .bind(4, std::string_view(event.camera_id))
      .bind(5, std::string_view(event.rule))
      .bind(6, std::string_view(event.kind))
      .bind(7, std::string_view(event.message))
      .bind(8, std::string_view(event.run))
      .bind(9, event.seq)
      .bind(10, std::string_view(event.by))
      .bind(11, std::string_view(event.picture_path));
  last_ms_ = to_milliseconds(event.at);
  return statements_->alarm.run();
}

Result<std::int64_t> SqliteSink::delete_before(std::int64_t before_ms, std::int64_t rows_max) {
  std::int64_t deleted = 0;
  std::vector<std::int64_t> cameras;
  {
    Statement rows = database_->prepare("SELECT number FROM cameras");
    while (true) {
      const Result<bool> has_row = rows.step();
      if (!has_row) return fail(has_row.error());
      if (!*has_row) break;
      cameras.push_back(rows.integer(0));
    }
  }
  Transaction transaction(*database_);
  if (Result<void> begun = transaction.begin(); !begun) return fail(begun.error());
  Statement answers = database_->prepare(
      "DELETE FROM answers WHERE camera=?1 AND at_ms<?2 AND at_ms<=(SELECT max(at_ms) FROM (SELECT "
      "at_ms FROM answers WHERE camera=?1 AND at_ms<?2 ORDER BY at_ms LIMIT ?3))");
  for (const std::int64_t camera : cameras) {
    if (deleted >= rows_max) break;
    answers.bind(0, camera).bind(1, before_ms).bind(2, rows_max - deleted);
    if (Result<void> done = answers.run(); !done) return fail(done.error());
    deleted += database_->changes();
  }
  if (Result<void> committed = transaction.commit(); !committed) return fail(committed.error());
  return deleted;
}

Result<bool> SqliteSink::delete_some() {
  std::int64_t deleted = 0;
  if (options_.keep > Duration::zero() && last_ms_ > 0) {
    const std::int64_t before =
        last_ms_ - std::chrono::duration_cast<std::chrono::milliseconds>(options_.keep).count();
    const Result<std::int64_t> gone = delete_before(before, kRowsAtOnce);
    if (!gone) return fail(gone.error());
    deleted += *gone;
    // Both are small. Alarms that are still open stay.
    if (Result<void> done = database_->run(
            fmt::format("DELETE FROM minutes WHERE at_ms<{0}; DELETE FROM alarm_events WHERE "
                        "alarm_id IN (SELECT "
                        "alarm_id FROM alarm_events WHERE state='cleared' AND at_ms<{0})",
                        before));
        !done)
      return fail(done.error());
  }
  if (options_.bytes_max > 0) {
    const auto query = [this](const char* pragma) {
      const Result<std::int64_t> value = database_->query_integer(pragma);
      return value ? *value : 0;
    };
    const std::int64_t used =
        (query("PRAGMA page_count") - query("PRAGMA freelist_count")) * query("PRAGMA page_size");
    if (used > options_.bytes_max) {
      const Result<std::int64_t> answers = database_->query_integer(
          "SELECT min(m) FROM (SELECT (SELECT min(at_ms) FROM answers WHERE camera=c.number) AS m "
          "FROM cameras c) WHERE m IS NOT NULL");
      if (!answers) return fail(answers.error());
      // A hundredth of the time that is kept, at least a second.
      const std::int64_t step = std::max<std::int64_t>(1000, (last_ms_ - *answers) / 100);
      const Result<std::int64_t> gone = delete_before(*answers + step, kRowsAtOnce);
      if (!gone) return fail(gone.error());
      deleted += *gone;
    }
  }
  if (deleted > 0) (void)database_->run("PRAGMA incremental_vacuum(2000)");
  return deleted > 0;
}

}  // namespace framemill

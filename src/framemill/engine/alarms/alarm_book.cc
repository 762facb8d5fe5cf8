#include "framemill/engine/alarms/alarm_book.h"

#include <algorithm>

#include <fmt/format.h>

#include "framemill/engine/environment.h"

namespace framemill {
namespace {

constexpr int kSchemaVersion = 1;

// Times are milliseconds since 1970, states and severities the numbers of their enums.
constexpr const char* kSchema = R"(
CREATE TABLE IF NOT EXISTS alarms(
  id TEXT PRIMARY KEY, state INTEGER NOT NULL, severity INTEGER NOT NULL, camera TEXT NOT NULL,
  rule TEXT NOT NULL, kind TEXT NOT NULL, message TEXT NOT NULL, raised_ms INTEGER NOT NULL,
  run TEXT NOT NULL, seq INTEGER, picture TEXT NOT NULL, is_latched INTEGER NOT NULL,
  is_cause_gone INTEGER NOT NULL, acknowledged_ms INTEGER, acknowledged_by TEXT NOT NULL,
  cleared_ms INTEGER) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS alarms_open ON alarms(cleared_ms) WHERE cleared_ms IS NULL;
CREATE INDEX IF NOT EXISTS alarms_cleared ON alarms(cleared_ms);
CREATE INDEX IF NOT EXISTS alarms_camera ON alarms(camera, id);
CREATE INDEX IF NOT EXISTS alarms_raised ON alarms(raised_ms);
CREATE TABLE IF NOT EXISTS events(
  number INTEGER PRIMARY KEY, alarm_id TEXT NOT NULL, state INTEGER NOT NULL,
  at_ms INTEGER NOT NULL, by TEXT NOT NULL, UNIQUE(alarm_id, state));
CREATE TABLE IF NOT EXISTS facts(name TEXT PRIMARY KEY, value INTEGER NOT NULL);
)";

constexpr const char* kColumns =
    "id,state,severity,camera,rule,kind,message,raised_ms,run,seq,picture,is_latched,is_cause_gone,"
    "acknowledged_ms,acknowledged_by,cleared_ms";

std::int64_t to_milliseconds(WallTime time) {
  return std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch()).count();
}
WallTime from_milliseconds(std::int64_t ms) { return WallTime(std::chrono::milliseconds(ms)); }

std::optional<std::int64_t> to_milliseconds(const std::optional<WallTime>& time) {
  if (!time) return std::nullopt;
  return to_milliseconds(*time);
}
std::optional<WallTime> from_milliseconds(const std::optional<std::int64_t>& ms) {
  if (!ms) return std::nullopt;
  return from_milliseconds(*ms);
}

Alarm read_alarm(const Statement& row) {
  Alarm alarm;
  alarm.id = row.text(0);
  alarm.state = static_cast<AlarmState>(row.integer(1));
  alarm.severity = static_cast<AlarmSeverity>(row.integer(2));
  alarm.camera_id = row.text(3);
  alarm.rule = row.text(4);
  alarm.kind = row.text(5);
  alarm.message = row.text(6);
  alarm.raised_at = from_milliseconds(row.integer(7));
  alarm.run = row.text(8);
  alarm.seq = row.optional_integer(9);
  alarm.picture_path = row.text(10);
  alarm.is_latched = row.integer(11) != 0;
  alarm.is_cause_gone = row.integer(12) != 0;
  alarm.acknowledged_at = from_milliseconds(row.optional_integer(13));
  alarm.acknowledged_by = row.text(14);
  alarm.cleared_at = from_milliseconds(row.optional_integer(15));
  return alarm;
}

AlarmEvent event_of(const Alarm& alarm, AlarmState state, WallTime at, const std::string& by) {
  AlarmEvent event;
  event.alarm_id = alarm.id;
  event.state = state;
  event.severity = alarm.severity;
  event.camera_id = alarm.camera_id;
  event.rule = alarm.rule;
  event.kind = alarm.kind;
  event.message = alarm.message;
  event.at = at;
  event.raised_at = alarm.raised_at;
  event.seq = alarm.seq;
  event.run = alarm.run;
  event.by = by;
  event.picture_path = alarm.picture_path;
  return event;
}

Failure not_found(const std::string& id) {
  return fail(
      ErrorCode::kNotFound,
      fmt::format("there is no alarm \"{}\"; list the alarms for their ids", id.substr(0, 64)));
}

}  // namespace

std::string new_alarm_id(WallTime at) { return make_run_id(at); }

Result<std::unique_ptr<AlarmBook>> AlarmBook::create(const std::string& path) {
  // Alarms are few and matter: each commit waits for the disk.
  Result<std::unique_ptr<Database>> database =
      Database::open(path, {.is_exclusive = true, .is_durable = true});
  if (!database) return fail(database.error());
  std::unique_ptr<AlarmBook> book(new AlarmBook(std::move(*database)));
  if (Result<void> loaded = book->load(); !loaded) return fail(loaded.error());
  return book;
}

Result<void> AlarmBook::load() {
  const MutexLock lock(mu_);
  const Result<std::int64_t> version = database_->query_integer("PRAGMA user_version");
  if (!version) return fail(version.error());
  if (*version > kSchemaVersion) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: was written by a newer framemill; use that one, or move the file "
                            "away",
                            database_->path()));
  }
  if (Result<void> made = database_->run(kSchema); !made) return made;
  if (Result<void> set = database_->run(fmt::format("PRAGMA user_version={}", kSchemaVersion));
      !set)
    return set;
  {
    Statement rows =
        database_->prepare(fmt::format("SELECT {} FROM alarms WHERE cleared_ms IS NULL", kColumns));
    while (true) {
      const Result<bool> has_row = rows.step();
      if (!has_row) return fail(has_row.error());
      if (!*has_row) break;
      Alarm alarm = read_alarm(rows);
      open_.emplace(RuleKey(alarm.camera_id, alarm.rule), std::move(alarm));
    }
  }
  const Result<std::int64_t> confirmed =
      database_->query_integer("SELECT value FROM facts WHERE name='confirmed'");
  if (!confirmed) return fail(confirmed.error());
  const Result<std::int64_t> last = database_->query_integer("SELECT max(number) FROM events");
  if (!last) return fail(last.error());
  confirmed_ = saved_confirmed_ = *confirmed;
  last_number_ = std::max(*last, *confirmed);
  Statement rows = database_->prepare("SELECT e.number,e.state,e.at_ms,e.by," +
                                      std::string("a.id,a.severity,a.camera,a.rule,") +
                                      "a.kind,a.message,a.seq,a.picture,a.run,a.raised_ms FROM "
                                      "events e JOIN alarms a ON a.id=e.alarm_id "
                                      "WHERE e.number>? ORDER BY e.number");
  rows.bind(0, confirmed_);
  while (true) {
    const Result<bool> has_row = rows.step();
    if (!has_row) return fail(has_row.error());
    if (!*has_row) return {};
    Alarm alarm;
    alarm.id = rows.text(4);
    alarm.severity = static_cast<AlarmSeverity>(rows.integer(5));
    alarm.camera_id = rows.text(6);
    alarm.rule = rows.text(7);
    alarm.kind = rows.text(8);
    alarm.message = rows.text(9);
    alarm.seq = rows.optional_integer(10);
    alarm.picture_path = rows.text(11);
    alarm.run = rows.text(12);
    alarm.raised_at = from_milliseconds(rows.integer(13));
    NumberedEvent& one = fresh_.emplace_back(
        NumberedEvent{rows.integer(0), event_of(alarm, static_cast<AlarmState>(rows.integer(1)),
                                                from_milliseconds(rows.integer(2)), rows.text(3))});
    one.event.is_retold = true;
  }
}

bool AlarmBook::is_raised(const CameraId& camera, const std::string& rule) const {
  const MutexLock lock(mu_);
  const auto found = open_.find({camera, rule});
  return found != open_.end() && !found->second.is_cause_gone;
}

std::vector<AlarmBook::RuleKey> AlarmBook::open_rules() const {
  const MutexLock lock(mu_);
  std::vector<RuleKey> keys;
  for (const auto& [key, alarm] : open_) keys.push_back(key);
  return keys;
}

void AlarmBook::add_event(const Alarm& alarm, WallTime at, const std::string& by) {
  const NumberedEvent event{++last_number_, event_of(alarm, alarm.state, at, by)};
  unsaved_events_.push_back(event);
  fresh_.push_back(event);
  unsaved_[alarm.id] = alarm;
}

bool AlarmBook::raise(const Raise& raise) {
  const MutexLock lock(mu_);
  const auto [entry, is_new] = open_.try_emplace(RuleKey(raise.camera_id, raise.rule));
  Alarm& alarm = entry->second;
  if (!is_new) {
    if (alarm.is_cause_gone) {
      alarm.is_cause_gone = false;
      unsaved_[alarm.id] = alarm;
      (void)save();
    }
    return false;
  }
  alarm.id = raise.id;
  alarm.severity = raise.severity;
  alarm.camera_id = raise.camera_id;
  alarm.rule = raise.rule;
  alarm.kind = raise.kind;
  alarm.message = raise.message;
  alarm.raised_at = raise.at;
  alarm.run = raise.run;
  alarm.seq = raise.seq;
  alarm.picture_path = raise.picture_path;
  alarm.is_latched = raise.is_latched;
  add_event(alarm, raise.at, {});
  (void)save();
  return true;
}

void AlarmBook::close(Alarm& alarm, WallTime at) {
  alarm.state = AlarmState::kCleared;
  alarm.cleared_at = std::max(at, alarm.raised_at);
  alarm.is_cause_gone = true;
  add_event(alarm, *alarm.cleared_at, {});
}

void AlarmBook::clear(const CameraId& camera, const std::string& rule, WallTime at) {
  const MutexLock lock(mu_);
  const auto found = open_.find({camera, rule});
  if (found == open_.end() || found->second.is_cause_gone) return;
  Alarm& alarm = found->second;
  if (alarm.is_latched && alarm.state == AlarmState::kRaised) {
    alarm.is_cause_gone = true;
    unsaved_[alarm.id] = alarm;
  } else {
    close(alarm, at);
    open_.erase(found);
  }
  (void)save();
}

void AlarmBook::close_rule(const CameraId& camera, const std::string& rule, WallTime at) {
  const MutexLock lock(mu_);
  const auto found = open_.find({camera, rule});
  if (found == open_.end()) return;
  close(found->second, at);
  open_.erase(found);
  (void)save();
}

Result<Alarm> AlarmBook::acknowledge(const std::string& id, const std::string& by, WallTime at) {
  {
    const MutexLock lock(mu_);
    const auto found =
        std::ranges::find_if(open_, [&](const auto& o) { return o.second.id == id; });
    if (found != open_.end()) {
      Alarm& alarm = found->second;
      if (alarm.state == AlarmState::kAcknowledged) return alarm;
      alarm.state = AlarmState::kAcknowledged;
      alarm.acknowledged_at = at;
      alarm.acknowledged_by = by;
      add_event(alarm, at, by);
      Alarm result = alarm;
      if (alarm.is_cause_gone) {
        close(alarm, at);
        result = alarm;
        open_.erase(found);
      }
      (void)save();
      return result;
    }
  }
  const Result<Alarm> cleared = find(id);
  if (!cleared) return cleared;
  return fail(ErrorCode::kFailedPrecondition,
              fmt::format("alarm {} is cleared already; nothing is left to acknowledge", id));
}

std::vector<Alarm> AlarmBook::open_alarms() const {
  const MutexLock lock(mu_);
  std::vector<Alarm> alarms;
  for (const auto& [key, alarm] : open_) alarms.push_back(alarm);
  return alarms;
}

Result<Alarm> AlarmBook::find(const std::string& id) const {
  const MutexLock lock(mu_);
  for (const auto& [key, alarm] : open_)
    if (alarm.id == id) return alarm;
  if (const auto found = unsaved_.find(id); found != unsaved_.end()) return found->second;
  Statement row = database_->prepare(fmt::format("SELECT {} FROM alarms WHERE id=?", kColumns));
  row.bind(0, std::string_view(id));
  const Result<bool> has_row = row.step();
  if (!has_row) return fail(has_row.error());
  if (!*has_row) return not_found(id);
  return read_alarm(row);
}

Result<std::vector<Alarm>> AlarmBook::list(const AlarmQuery& query) const {
  const MutexLock lock(mu_);
  std::vector<Alarm> alarms;
  const auto is_wanted = [&](const Alarm& alarm) {
    return (!query.camera || alarm.camera_id == *query.camera) &&
           (!query.state || alarm.state == *query.state) &&
           (!query.severity || alarm.severity == *query.severity) &&
           (!query.raised_from || alarm.raised_at >= *query.raised_from) &&
           (!query.raised_before || alarm.raised_at < *query.raised_before) &&
           (query.before_id.empty() || alarm.id < query.before_id);
  };
  for (const auto& [key, alarm] : open_)
    if (is_wanted(alarm)) alarms.push_back(alarm);
  if (!query.is_open_only && query.state.value_or(AlarmState::kCleared) == AlarmState::kCleared) {
    for (const auto& [id, alarm] : unsaved_)
      if (alarm.cleared_at && is_wanted(alarm)) alarms.push_back(alarm);
    std::string sql = fmt::format("SELECT {} FROM alarms WHERE cleared_ms IS NOT NULL", kColumns);
    if (query.camera) sql += " AND camera=?1";
    if (query.raised_from) sql += " AND raised_ms>=?2";
    if (query.raised_before) sql += " AND raised_ms<?3";
    if (!query.before_id.empty()) sql += " AND id<?4";
    if (query.severity) sql += " AND severity=?6";
    Statement rows = database_->prepare(sql + " ORDER BY id DESC LIMIT ?5");
    if (query.camera) rows.bind(0, std::string_view(*query.camera));
    if (query.raised_from) rows.bind(1, to_milliseconds(*query.raised_from));
    if (query.raised_before) rows.bind(2, to_milliseconds(*query.raised_before));
    if (!query.before_id.empty()) rows.bind(3, std::string_view(query.before_id));
    rows.bind(4, static_cast<std::int64_t>(query.limit));
    if (query.severity) rows.bind(5, static_cast<std::int64_t>(*query.severity));
    while (true) {
      const Result<bool> has_row = rows.step();
      if (!has_row) return fail(has_row.error());
      if (!*has_row) break;
      Alarm alarm = read_alarm(rows);
      if (!unsaved_.contains(alarm.id)) alarms.push_back(std::move(alarm));
    }
  }
  std::ranges::sort(alarms, std::greater<>{}, &Alarm::id);
  if (alarms.size() > query.limit) alarms.resize(query.limit);
  return alarms;
}

std::vector<NumberedEvent> AlarmBook::take_events() {
  const MutexLock lock(mu_);
  return std::exchange(fresh_, {});
}

void AlarmBook::confirm(std::int64_t number) {
  const MutexLock lock(mu_);
  if (number <= confirmed_) return;
  confirmed_ = number;
  (void)save();
}

std::vector<std::string> AlarmBook::forget(WallTime before) {
  const MutexLock lock(mu_);
  std::vector<std::string> pictures;
  const std::int64_t before_ms = to_milliseconds(before);
  Statement rows =
      database_->prepare("SELECT picture FROM alarms WHERE cleared_ms<? AND picture<>''");
  rows.bind(0, before_ms);
  while (true) {
    const Result<bool> has_row = rows.step();
    if (!has_row || !*has_row) break;
    pictures.push_back(rows.text(0));
  }
  Transaction transaction(*database_);
  if (!transaction.begin()) return {};
  Statement events = database_->prepare(
      "DELETE FROM events WHERE number<=? AND alarm_id IN (SELECT id FROM alarms WHERE "
      "cleared_ms<?)");
  events.bind(0, confirmed_).bind(1, before_ms);
  // An alarm whose events are still on their way stays until they have arrived.
  Statement alarms = database_->prepare(
      "DELETE FROM alarms WHERE cleared_ms<? AND id NOT IN (SELECT alarm_id FROM events)");
  alarms.bind(0, before_ms);
  if (!events.run() || !alarms.run() || !transaction.commit()) return {};
  return pictures;
}

void AlarmBook::drop_picture(const std::string& id) {
  const MutexLock lock(mu_);
  for (auto& [key, alarm] : open_)
    if (alarm.id == id) alarm.picture_path.clear();
  if (const auto found = unsaved_.find(id); found != unsaved_.end())
    found->second.picture_path.clear();
  Statement update = database_->prepare("UPDATE alarms SET picture='' WHERE id=?");
  update.bind(0, std::string_view(id));
  (void)update.run();
}

Result<void> AlarmBook::flush() {
  const MutexLock lock(mu_);
  return save();
}

Result<void> AlarmBook::save() {
  if (unsaved_.empty() && unsaved_events_.empty() && confirmed_ == saved_confirmed_) return {};
  Transaction transaction(*database_);
  if (Result<void> begun = transaction.begin(); !begun) return begun;
  if (Result<void> saved = save_in_transaction(); !saved) return saved;
  if (Result<void> committed = transaction.commit(); !committed) return committed;
  unsaved_.clear();
  unsaved_events_.clear();
  saved_confirmed_ = confirmed_;
  return {};
}

Result<void> AlarmBook::save_in_transaction() {
  if (!unsaved_.empty()) {
    Statement insert = database_->prepare(fmt::format(
        "INSERT OR REPLACE INTO alarms({}) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", kColumns));
    for (const auto& [id, alarm] : unsaved_) {
      insert.bind(0, std::string_view(alarm.id))
          .bind(1, static_cast<std::int64_t>(alarm.state))
          .bind(2, static_cast<std::int64_t>(alarm.severity))
          .bind(3, std::string_view(alarm.camera_id))
          .bind(4, std::string_view(alarm.rule))
          .bind(5, std::string_view(alarm.kind))
          .bind(6, std::string_view(alarm.message))
          .bind(7, to_milliseconds(alarm.raised_at))
          .bind(8, std::string_view(alarm.run))
          .bind(9, alarm.seq)
          .bind(10, std::string_view(alarm.picture_path))
          .bind(11, std::int64_t{alarm.is_latched})
          .bind(12, std::int64_t{alarm.is_cause_gone})
          .bind(13, to_milliseconds(alarm.acknowledged_at))
          .bind(14, std::string_view(alarm.acknowledged_by))
          .bind(15, to_milliseconds(alarm.cleared_at));
      if (Result<void> done = insert.run(); !done) return done;
    }
  }
  if (!unsaved_events_.empty()) {
    Statement insert = database_->prepare(
        "INSERT OR REPLACE INTO events(number,alarm_id,state,at_ms,by) VALUES(?,?,?,?,?)");
    for (const NumberedEvent& one : unsaved_events_) {
      insert.bind(0, one.number)
          .bind(1, std::string_view(one.event.alarm_id))
          .bind(2, static_cast<std::int64_t>(one.event.state))
          .bind(3, to_milliseconds(one.event.at))
          .bind(4, std::string_view(one.event.by));
      if (Result<void> done = insert.run(); !done) return done;
    }
  }
  if (confirmed_ != saved_confirmed_) {
    Statement fact =
        database_->prepare("INSERT OR REPLACE INTO facts(name,value) VALUES('confirmed',?)");
    fact.bind(0, confirmed_);
    if (Result<void> done = fact.run(); !done) return done;
  }
  return {};
}

}  // namespace framemill

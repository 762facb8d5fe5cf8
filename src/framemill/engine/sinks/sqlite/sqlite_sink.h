#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "framemill/engine/answer_json.h"
#include "framemill/engine/result_sink.h"
#include "framemill/engine/sqlite/database.h"

namespace framemill {

struct SqliteSinkOptions {
  std::string path;
  std::string run_id;
  bool has_answers = true, has_alarms = true;
  Duration keep{0};            ///< rows older than this are deleted; 0: none
  std::int64_t bytes_max = 0;  ///< of the database; the oldest answers are deleted; 0: no limit
};

/// Answers and alarms in a SQLite database (docs/sinks.md has its tables), which others may read
/// meanwhile. What is written again after a failure or a restart is there once: (run, camera, seq)
/// and (alarm_id, state) are unique.
class SqliteSink final : public ResultSink {
 public:
  /// Errors: those of Database::open(), a database of something else, or of a newer framemill.
  static Result<std::unique_ptr<SqliteSink>> create(SqliteSinkOptions options,
                                                    const CameraDirectory& cameras);
  ~SqliteSink() override;

  [[nodiscard]] std::string_view name() const override { return options_.path; }
  Result<void> write(const Answer& answer) override;
  Result<void> write_alarm(const AlarmEvent& event) override;
  /// One transaction. Where it fails everything is still held, to be tried again.
  Result<void> flush() override;
  [[nodiscard]] bool wants_answers() const override { return options_.has_answers; }
  [[nodiscard]] bool wants_alarms() const override { return options_.has_alarms; }

  /// Deletes what is too old or too much, at most some thousand rows at a time; false: that was
  /// all.
  Result<bool> delete_some();

 private:
  struct Statements;
  SqliteSink(SqliteSinkOptions options, const CameraDirectory& cameras,
             std::unique_ptr<Database> database);
  Result<void> make_tables();
  Result<void> insert_pending();
  Result<void> insert(const Answer& answer);
  Result<void> insert(const AlarmEvent& event);
  /// The number that stands for a name in `table`.
  Result<std::int64_t> number_of(const char* table, const std::string& name);
  Result<std::int64_t> delete_before(std::int64_t before_ms, std::int64_t rows_max);

  const SqliteSinkOptions options_;
  const CameraDirectory& cameras_;
  std::unique_ptr<Database> database_;
  std::unique_ptr<Statements> statements_;  // before database_ in destruction
  std::vector<std::variant<Answer, AlarmEvent>> pending_;
  std::map<std::string, std::int64_t> numbers_;  ///< "cameras/gate-1", once committed
  std::int64_t run_number_ = 0;
  /// Of the row written last: "now" for what is too old. Not the newest ever: a wall clock may have
  /// been in the future for a while.
  std::int64_t last_ms_ = 0;
  std::int64_t inserts_until_tidy_ = 0;
};

}  // namespace framemill

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framemill/base/mutex.h"
#include "framemill/base/result.h"
#include "framemill/engine/sqlite/database.h"

namespace framemill {

/// An answer as the database of a SqliteSink keeps it.
struct AnswerRow {
  std::string camera, run;
  std::int64_t at_ms = 0;  ///< capture, since 1970
  std::int64_t seq = 0, epoch = 0, frame_index = 0;
  std::string origin;
  std::string reason;  ///< origin none only
  std::optional<double> latency_ms;
  bool is_on_time = true;
  std::string detections;  ///< a list in JSON; empty with origin none
};

/// Reads the answers of a SqliteSink beside it, newest first. Thread-safety: all members, any
/// thread; one query at a time.
class AnswerHistory {
 public:
  /// Errors: those of Database::open().
  static Result<std::unique_ptr<AnswerHistory>> open(const std::string& path);

  struct Query {
    std::string camera;                              ///< empty: all
    std::string origin;                              ///< empty: all
    std::string label;                               ///< empty: all; else of one detection at least
    std::optional<std::int64_t> since_ms, until_ms;  ///< from, and before
    std::string cursor;                              ///< of the page before; empty: the newest
    std::size_t limit = 100;                         ///< >= 1
  };
  struct Page {
    std::vector<AnswerRow> rows;
    /// Of the next page; empty: there is none. Rows that come meanwhile do not disturb it.
    std::string next_cursor;
  };
  /// Looks at 100,000 rows at most, about a tenth of a second: where few fit, a page may be short,
  /// or empty, and yet have a next one. Errors: kInvalidArgument for a cursor that is none, else
  /// those of Database::run().
  [[nodiscard]] Result<Page> newest(const Query& query) EXCLUDES(mu_);
  /// Whether a camera of this name was ever answered.
  [[nodiscard]] Result<bool> knows_camera(const std::string& camera) EXCLUDES(mu_);

 private:
  explicit AnswerHistory(std::unique_ptr<Database> database) : database_(std::move(database)) {}

  Mutex mu_;
  std::unique_ptr<Database> database_ GUARDED_BY(mu_);
};

}  // namespace framemill

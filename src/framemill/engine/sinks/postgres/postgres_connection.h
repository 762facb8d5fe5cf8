#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "framemill/base/result.h"

struct pg_conn;  // libpq's own handles, which only this folder knows more of
struct pg_result;

namespace framemill {

/// One connection to a PostgreSQL server that waits for nothing longer than its deadline and can
/// be interrupted. After any error the caller lets go of it and makes a new one. Not thread-safe,
/// but for the flag that interrupts.
class PostgresConnection {
 public:
  using Deadline = std::chrono::steady_clock::time_point;
  using Rows = std::vector<std::vector<std::string>>;  ///< NULL is the empty text
  /// Keywords of libpq and their values, a connection URI as `dbname` first.
  using Parameters = std::vector<std::pair<std::string, std::string>>;

  /// Errors: kUnavailable with what the server, or the way to it, has against it; never the
  /// password. `is_interrupted` outlives the connection.
  static Result<std::unique_ptr<PostgresConnection>> open(const Parameters& parameters,
                                                          Deadline deadline,
                                                          const std::atomic<bool>& is_interrupted);
  PostgresConnection(const PostgresConnection&) = delete;
  ~PostgresConnection();

  /// Runs statements, and gives the rows of the last one. Errors: kInvalidArgument (the data are
  /// refused: SQLSTATE class 22), kCancelled, else kUnavailable; with the SQLSTATE.
  Result<Rows> run(const std::string& sql, Deadline deadline);
  /// Runs a COPY ... FROM STDIN with `data` in its text format. Errors as run().
  Result<void> copy(const std::string& sql, std::string_view data, Deadline deadline);

 private:
  PostgresConnection(pg_conn* handle, const std::atomic<bool>& is_interrupted)
      : handle_(handle), is_interrupted_(is_interrupted) {}
  enum class For { kRead, kWrite, kBoth };
  /// Waits until the socket is ready. Errors: kCancelled, kUnavailable (the deadline).
  Result<void> wait(For what, Deadline deadline);
  /// Sends what libpq holds.
  Result<void> send_all(Deadline deadline);
  /// The next result of the statements that were sent; null after the last one.
  Result<pg_result*> next_result(Deadline deadline);
  [[nodiscard]] Failure failure() const;

  pg_conn* const handle_;
  const std::atomic<bool>& is_interrupted_;
};

}  // namespace framemill

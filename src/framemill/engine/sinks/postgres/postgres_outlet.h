#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "framemill/base/clock.h"
#include "framemill/engine/sinks/postgres/postgres_connection.h"
#include "framemill/engine/sinks/spool/outlet.h"

namespace framemill {

struct PostgresOptions {
  std::string url;  ///< postgresql://HOST[:PORT]/DATABASE, without credentials
  std::string username, password;
  std::string sslmode;                       ///< as libpq names it; empty: by the certificates
  std::string ca_file, cert_file, key_file;  ///< PEM; empty: the system's, none
  std::string schema = "framemill";          ///< a-z, 0-9 and _
  Duration timeout = std::chrono::seconds(10);
};

/// A PostgreSQL database: tables for answers, minutes and alarms (docs/sinks.md) in a schema of
/// their own, which is made where it is missing. One transaction to a batch: COPY into a temporary
/// table, and from there what is not yet there, so that what comes again is there once. A database
/// that cannot be reached, refuses the user, or holds tables of something else is tried again for
/// ever: whoever runs it may put it right meanwhile.
class PostgresOutlet final : public Outlet {
 public:
  /// Errors: kInvalidArgument (certificates that cannot be read). Does not connect yet.
  static Result<std::unique_ptr<PostgresOutlet>> create(PostgresOptions options);

  Result<void> deliver(std::span<const Message> messages) override;
  void close() override { connection_.reset(); }
  void interrupt() override { is_interrupted_ = true; }
  [[nodiscard]] std::size_t batch_max() const override { return 1000; }
  [[nodiscard]] Duration linger() const override { return std::chrono::milliseconds(200); }

 private:
  explicit PostgresOutlet(PostgresOptions options) : options_(std::move(options)) {}
  Result<void> connect(PostgresConnection::Deadline deadline);
  Result<void> make_tables(PostgresConnection::Deadline deadline);
  Result<void> insert(const std::string& rows, PostgresConnection::Deadline deadline);

  const PostgresOptions options_;
  std::unique_ptr<PostgresConnection> connection_;
  std::atomic<bool> is_interrupted_{false};
};

}  // namespace framemill

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "framemill/base/result.h"

struct sqlite3;  // SQLite's own handles, which only this folder knows more of
struct sqlite3_stmt;

namespace framemill {

class Database;

/// One prepared statement. Parameters and columns count from 0. Not thread-safe.
class Statement {
 public:
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;
  ~Statement();

  Statement& bind(int parameter, std::int64_t value);
  Statement& bind(int parameter, double value);
  /// The text is copied.
  Statement& bind(int parameter, std::string_view value);
  Statement& bind(int parameter, std::optional<std::int64_t> value);
  Statement& bind_null(int parameter);

  /// Runs to the next row; false where there is none (any more). After false, or an error, the
  /// statement can be bound and run again. Errors: those of Database::run().
  [[nodiscard]] Result<bool> step();
  /// step() for a statement without rows.
  Result<void> run();
  void reset();

  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::optional<std::int64_t> optional_integer(int column) const;
  [[nodiscard]] bool is_null(int column) const;
  [[nodiscard]] double real(int column) const;
  [[nodiscard]] std::string text(int column) const;

 private:
  friend class Database;
  Statement(Database& database, sqlite3_stmt* statement)
      : database_(&database), statement_(statement) {}
  Database* database_;
  sqlite3_stmt* statement_;
};

/// A SQLite database in WAL mode that survives the end of the process at any moment; what was
/// committed last may be lost where the machine loses power (synchronous=NORMAL) unless
/// `is_durable`. Not thread-safe.
class Database {
 public:
  struct Options {
    bool is_exclusive = false;  ///< nobody else may have it open
    bool is_durable = false;    ///< each commit waits for the disk
    bool is_read_only = false;  ///< the file has to be there; nothing is written
  };
  /// Opens or makes the file. Errors: kInvalidArgument (not a database, not writable),
  /// kFailedPrecondition (somebody else has it); the message names path and remedy.
  static Result<std::unique_ptr<Database>> open(const std::string& path, Options options);
  Database(const Database&) = delete;
  ~Database();

  /// Runs statements without rows. Errors: kResourceExhausted (disk full), kUnavailable (locked, or
  /// an I/O error), kInternal.
  Result<void> run(const std::string& sql);
  /// Requires right SQL; CHECKs it. Statements must end before the database.
  [[nodiscard]] Statement prepare(const std::string& sql);
  /// prepare() of what depends on the state of the file. Errors: those of run().
  [[nodiscard]] Result<Statement> try_prepare(const std::string& sql);
  /// The first column of the first row; 0 where there is none.
  [[nodiscard]] Result<std::int64_t> query_integer(const std::string& sql);
  [[nodiscard]] std::int64_t last_row_id() const;
  [[nodiscard]] std::int64_t changes() const;
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] bool is_in_transaction() const;

 private:
  friend class Statement;
  Database(sqlite3* handle, std::string path) : handle_(handle), path_(std::move(path)) {}
  [[nodiscard]] Failure failure(int code) const;
  sqlite3* handle_;
  const std::string path_;
};

/// BEGIN IMMEDIATE ... COMMIT; rolled back where commit() was not reached.
class Transaction {
 public:
  explicit Transaction(Database& database) : database_(database) {}
  Transaction(const Transaction&) = delete;
  ~Transaction();
  [[nodiscard]] Result<void> begin();
  [[nodiscard]] Result<void> commit();

 private:
  Database& database_;
};

}  // namespace framemill

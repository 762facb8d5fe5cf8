#include "framemill/engine/sqlite/database.h"

#include <utility>

#include <fmt/format.h>
#include <sqlite3.h>

#include "framemill/base/check.h"

namespace framemill {

Result<std::unique_ptr<Database>> Database::open(const std::string& path, Options options) {
  sqlite3* handle = nullptr;
  const int flags =
      SQLITE_OPEN_NOMUTEX |
      (options.is_read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  const int code = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
  std::unique_ptr<Database> database(new Database(handle, path));
  const auto refuse = [&](const std::string& why) -> Failure {
    const int kind = handle == nullptr ? SQLITE_NOMEM : sqlite3_errcode(handle);
    if (kind == SQLITE_BUSY || kind == SQLITE_LOCKED)
      return fail(
          ErrorCode::kFailedPrecondition,
          fmt::format("{}: another process has the database; stop it, or name another file", path));
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: cannot be used as a database: {}; name a file in a folder that "
                            "exists and is writable, or move this one away",
                            path, why));
  };
  if (handle == nullptr) return refuse("out of memory");
  if (code != SQLITE_OK) return refuse(sqlite3_errmsg(handle));
  sqlite3_busy_timeout(handle, options.is_exclusive ? 500 : 5000);
  if (options.is_read_only) return database;
  // Incremental vacuum has to be asked for before the first table is made.
  std::string pragmas = "PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_size_limit=16777216; ";
  if (options.is_exclusive) pragmas += "PRAGMA locking_mode=EXCLUSIVE; ";
  pragmas += "PRAGMA journal_mode=WAL; ";
  pragmas += options.is_durable ? "PRAGMA synchronous=FULL; " : "PRAGMA synchronous=NORMAL; ";
  pragmas += "BEGIN IMMEDIATE; COMMIT;";  // takes the lock, and finds out whether it is writable
  if (sqlite3_exec(handle, pragmas.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
    return refuse(sqlite3_errmsg(handle));
  return database;
}

Database::~Database() { sqlite3_close_v2(handle_); }

Failure Database::failure(int code) const {
  const int kind = code & 0xFF;
  const std::string why = fmt::format("{}: {}", path_, sqlite3_errmsg(handle_));
  if (kind == SQLITE_FULL) return fail(ErrorCode::kResourceExhausted, why + "; free some space");
  if (kind == SQLITE_BUSY || kind == SQLITE_LOCKED || kind == SQLITE_IOERR ||
      kind == SQLITE_CANTOPEN || kind == SQLITE_READONLY)
    return fail(ErrorCode::kUnavailable, why + "; trying again");
  return fail(ErrorCode::kInternal, why);
}

Result<void> Database::run(const std::string& sql) {
  const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return failure(sqlite3_extended_errcode(handle_));
  return {};
}

Statement Database::prepare(const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(handle_, sql.c_str(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) fmt::print(stderr, "{}: {}\n", sql, sqlite3_errmsg(handle_));
  CHECK(code == SQLITE_OK);
  return {*this, statement};
}

Result<Statement> Database::try_prepare(const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  const int code =
      sqlite3_prepare_v2(handle_, sql.c_str(), static_cast<int>(sql.size()), &statement, nullptr);
  if (code != SQLITE_OK) return failure(sqlite3_extended_errcode(handle_));
  return Statement(*this, statement);
}

Result<std::int64_t> Database::query_integer(const std::string& sql) {
  Statement statement = prepare(sql);
  const Result<bool> has_row = statement.step();
  if (!has_row) return fail(has_row.error());
  return *has_row ? statement.integer(0) : 0;
}

std::int64_t Database::last_row_id() const { return sqlite3_last_insert_rowid(handle_); }
std::int64_t Database::changes() const { return sqlite3_changes64(handle_); }
bool Database::is_in_transaction() const { return sqlite3_get_autocommit(handle_) == 0; }

Statement::Statement(Statement&& other) noexcept
    : database_(other.database_), statement_(std::exchange(other.statement_, nullptr)) {}

Statement::~Statement() { sqlite3_finalize(statement_); }

Statement& Statement::bind(int parameter, std::int64_t value) {
  CHECK(sqlite3_bind_int64(statement_, parameter + 1, value) == SQLITE_OK);
  return *this;
}
Statement& Statement::bind(int parameter, double value) {
  CHECK(sqlite3_bind_double(statement_, parameter + 1, value) == SQLITE_OK);
  return *this;
}
Statement& Statement::bind(int parameter, std::string_view value) {
  const char* const bytes = value.empty() ? "" : value.data();  // a null pointer would mean NULL
  CHECK(sqlite3_bind_text(statement_, parameter + 1, bytes, static_cast<int>(value.size()),
                          SQLITE_TRANSIENT) == SQLITE_OK);  // NOLINT: SQLite's own macro
  return *this;
}
Statement& Statement::bind(int parameter, std::optional<std::int64_t> value) {
  return value ? bind(parameter, *value) : bind_null(parameter);
}
Statement& Statement::bind_null(int parameter) {
  CHECK(sqlite3_bind_null(statement_, parameter + 1) == SQLITE_OK);
  return *this;
}

Result<bool> Statement::step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) {
    sqlite3_reset(statement_);
    return false;
  }
  const Failure failure = database_->failure(sqlite3_extended_errcode(database_->handle_));
  sqlite3_reset(statement_);
  return failure;
}

Result<void> Statement::run() {
  const Result<bool> has_row = step();
  if (!has_row) return fail(has_row.error());
  if (*has_row) reset();
  return {};
}

void Statement::reset() { sqlite3_reset(statement_); }

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}
std::optional<std::int64_t> Statement::optional_integer(int column) const {
  if (sqlite3_column_type(statement_, column) == SQLITE_NULL) return std::nullopt;
  return integer(column);
}
bool Statement::is_null(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}
double Statement::real(int column) const { return sqlite3_column_double(statement_, column); }
std::string Statement::text(int column) const {
  const auto* const bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  if (bytes == nullptr) return {};
  return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

Transaction::~Transaction() {
  if (database_.is_in_transaction()) (void)database_.run("ROLLBACK");
}
Result<void> Transaction::begin() { return database_.run("BEGIN IMMEDIATE"); }
Result<void> Transaction::commit() { return database_.run("COMMIT"); }

}  // namespace framemill

#include "framemill/engine/sinks/postgres/postgres_connection.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>
#include <poll.h>
#include <postgresql/libpq-fe.h>

namespace framemill {
namespace {

constexpr std::size_t kCopyBytes = 64 * 1024;

struct ClearResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using ResultHandle = std::unique_ptr<PGresult, ClearResult>;

/// libpq's messages are several lines, the last one empty.
std::string on_one_line(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  std::string line;
  for (const char c : text) {
    if (c == '\n')
      line += "; ";
    else if (c != '\t')
      line += c;
  }
  return line;
}

Failure failure_of(const PGresult* result) {
  const char* const state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const std::string code = state == nullptr ? "" : state;
  const char* const text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  const bool is_refused = code.starts_with("22");
  const std::string message = on_one_line(text != nullptr ? text : PQresultErrorMessage(result));
  return fail(is_refused ? ErrorCode::kInvalidArgument : ErrorCode::kUnavailable,
              code.empty() ? message : fmt::format("{} (SQLSTATE {})", message, code));
}

}  // namespace

PostgresConnection::~PostgresConnection() { PQfinish(handle_); }

Failure PostgresConnection::failure() const {
  return fail(ErrorCode::kUnavailable, on_one_line(PQerrorMessage(handle_)));
}

Result<void> PostgresConnection::wait(For what, Deadline deadline) {
  while (true) {
    if (is_interrupted_) return fail(ErrorCode::kCancelled, "the run ends");
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return fail(ErrorCode::kUnavailable, "does not answer in time");
    pollfd socket{.fd = PQsocket(handle_), .events = 0, .revents = 0};
    if (what != For::kWrite) socket.events |= POLLIN;
    if (what != For::kRead) socket.events |= POLLOUT;
    if (::poll(&socket, 1, static_cast<int>(std::min<std::int64_t>(left.count(), 100))) > 0)
      return {};
  }
}

Result<std::unique_ptr<PostgresConnection>> PostgresConnection::open(
    const Parameters& parameters, Deadline deadline, const std::atomic<bool>& is_interrupted) {
  std::vector<const char*> keywords, values;
  for (const auto& [keyword, value] : parameters) {
    keywords.push_back(keyword.c_str());
    values.push_back(value.c_str());
  }
  keywords.push_back(nullptr);
  values.push_back(nullptr);
  PGconn* const handle = PQconnectStartParams(keywords.data(), values.data(), 1);
  if (handle == nullptr) return fail(ErrorCode::kUnavailable, "out of memory");
  std::unique_ptr<PostgresConnection> connection(new PostgresConnection(handle, is_interrupted));
  // Notices, such as of a table that is there already, are nothing to print.
  PQsetNoticeProcessor(
      handle, [](void*, const char*) {}, nullptr);
  PostgresPollingStatusType next = PGRES_POLLING_WRITING;
  if (PQstatus(handle) == CONNECTION_BAD) return connection->failure();
  while (next != PGRES_POLLING_OK) {
    const Result<void> waited =
        connection->wait(next == PGRES_POLLING_READING ? For::kRead : For::kWrite, deadline);
    if (!waited) return fail(waited.error());
    next = PQconnectPoll(handle);
    if (next == PGRES_POLLING_FAILED) return connection->failure();
  }
  if (PQsetnonblocking(handle, 1) != 0) return connection->failure();
  return connection;
}

Result<void> PostgresConnection::send_all(Deadline deadline) {
  while (true) {
    const int rest = PQflush(handle_);
    if (rest < 0) return failure();
    if (rest == 0) return {};
    // The server may have to be heard before it reads on.
    if (Result<void> waited = wait(For::kBoth, deadline); !waited) return waited;
    if (PQconsumeInput(handle_) == 0) return failure();
  }
}

Result<PGresult*> PostgresConnection::next_result(Deadline deadline) {
  while (PQisBusy(handle_) != 0) {
    if (Result<void> waited = wait(For::kRead, deadline); !waited) return fail(waited.error());
    if (PQconsumeInput(handle_) == 0) return failure();
  }
  return PQgetResult(handle_);
}

Result<PostgresConnection::Rows> PostgresConnection::run(const std::string& sql,
                                                         Deadline deadline) {
  if (PQsendQuery(handle_, sql.c_str()) == 0) return failure();
  if (Result<void> sent = send_all(deadline); !sent) return fail(sent.error());
  Rows rows;
  std::optional<Error> error;
  while (true) {
    const Result<PGresult*> next = next_result(deadline);
    if (!next) return fail(next.error());
    const ResultHandle result(*next);
    if (!result) break;
    const ExecStatusType status = PQresultStatus(result.get());
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
      if (!error) error = failure_of(result.get()).error;
      continue;
    }
    rows.clear();
    for (int row = 0; row < PQntuples(result.get()); ++row) {
      std::vector<std::string>& values = rows.emplace_back();
      for (int column = 0; column < PQnfields(result.get()); ++column)
        values.emplace_back(PQgetvalue(result.get(), row, column));
    }
  }
  if (error) return fail(*error);
  return rows;
}

Result<void> PostgresConnection::copy(const std::string& sql, std::string_view data,
                                      Deadline deadline) {
  if (PQsendQuery(handle_, sql.c_str()) == 0) return failure();
  if (Result<void> sent = send_all(deadline); !sent) return sent;
  const Result<PGresult*> begun = next_result(deadline);
  if (!begun) return fail(begun.error());
  const ResultHandle copying(*begun);
  if (!copying) return failure();
  std::optional<Error> error;
  if (PQresultStatus(copying.get()) != PGRES_COPY_IN) {
    error = failure_of(copying.get()).error;
  } else {
    while (!data.empty()) {
      const std::string_view part = data.substr(0, kCopyBytes);
      const int taken = PQputCopyData(handle_, part.data(), static_cast<int>(part.size()));
      if (taken < 0) return failure();
      if (taken > 0) data.remove_prefix(part.size());
      if (Result<void> sent = send_all(deadline); !sent) return sent;
    }
    if (PQputCopyEnd(handle_, nullptr) != 1) return failure();
    if (Result<void> sent = send_all(deadline); !sent) return sent;
  }
  while (true) {
    const Result<PGresult*> next = next_result(deadline);
    if (!next) return fail(next.error());
    const ResultHandle result(*next);
    if (!result) break;
    if (PQresultStatus(result.get()) != PGRES_COMMAND_OK && !error)
      error = failure_of(result.get()).error;
  }
  if (error) return fail(*error);
  return {};
}

}  // namespace framemill

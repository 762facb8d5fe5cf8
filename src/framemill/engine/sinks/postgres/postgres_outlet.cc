#include "framemill/engine/sinks/postgres/postgres_outlet.h"

#include <algorithm>

#include <fmt/format.h>
#include <unistd.h>

#include "framemill/base/url.h"
#include "framemill/engine/sinks/postgres/postgres_tables.h"

namespace framemill {
namespace {

/// Of the advisory lock under which tables are made, so that two runs do not do it at once: "FMIL".
constexpr int kTablesLock = 0x464D494C;

PostgresConnection::Parameters parameters_of(const PostgresOptions& options) {
  const bool is_checked = !options.ca_file.empty();
  PostgresConnection::Parameters parameters{{"dbname", options.url},
                                            {"sslmode", !options.sslmode.empty() ? options.sslmode
                                                        : is_checked             ? "verify-full"
                                                                                 : "prefer"},
                                            {"client_encoding", "UTF8"},
                                            {"application_name", "framemill"},
                                            // Of several hosts the one that can be written to.
                                            {"target_session_attrs", "read-write"}};
  const auto add = [&](const char* keyword, const std::string& value) {
    if (!value.empty()) parameters.emplace_back(keyword, value);
  };
  add("user", options.username);
  add("password", options.password);
  add("sslrootcert", options.ca_file);
  add("sslcert", options.cert_file);
  add("sslkey", options.key_file);
  return parameters;
}

}  // namespace

Result<std::unique_ptr<PostgresOutlet>> PostgresOutlet::create(PostgresOptions options) {
  for (const std::string* const file : {&options.ca_file, &options.cert_file, &options.key_file}) {
    if (!file->empty() && ::access(file->c_str(), R_OK) != 0)
      return fail(ErrorCode::kInvalidArgument, fmt::format("{}: cannot be read", *file));
  }
  return std::unique_ptr<PostgresOutlet>(new PostgresOutlet(std::move(options)));
}

Result<void> PostgresOutlet::connect(PostgresConnection::Deadline deadline) {
  if (connection_) return {};
  Result<std::unique_ptr<PostgresConnection>> connection =
      PostgresConnection::open(parameters_of(options_), deadline, is_interrupted_);
  if (!connection) return fail(connection.error());
  connection_ = std::move(*connection);
  if (Result<void> made = make_tables(deadline); !made) return made;
  const Result<PostgresConnection::Rows> incoming =
      connection_->run(postgres_incoming_sql(), deadline);
  if (!incoming) return fail(incoming.error());
  return {};
}

Result<void> PostgresOutlet::make_tables(PostgresConnection::Deadline deadline) {
  const std::string find_version = fmt::format(
      "SELECT count(*) FILTER (WHERE relname = 'framemill_tables'), count(*) FILTER (WHERE relname "
      "IN ({})) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE nspname = '{}'",
      kPostgresTables, options_.schema);
  const auto run = [&](const std::string& sql) { return connection_->run(sql, deadline); };
  if (const auto begun = run(fmt::format("BEGIN; SELECT pg_advisory_xact_lock({})", kTablesLock));
      !begun)
    return fail(begun.error());
  const Result<PostgresConnection::Rows> found = run(find_version);
  if (!found) return fail(found.error());
  const bool has_version = found->at(0).at(0) != "0", has_tables = found->at(0).at(1) != "0";
  if (!has_version && has_tables)
    return fail(ErrorCode::kUnavailable,
                fmt::format("its schema \"{}\" has tables of something else under the names of "
                            "framemill's ({}); set `schema:` to another name",
                            options_.schema, kPostgresTables));
  if (has_version) {
    const Result<PostgresConnection::Rows> version =
        run(fmt::format("SELECT max(version) FROM \"{}\".framemill_tables", options_.schema));
    if (!version) return fail(version.error());
    if (version->empty() || std::atoi(version->at(0).at(0).c_str()) != kPostgresTablesVersion)
      return fail(ErrorCode::kUnavailable,
                  fmt::format("its schema \"{}\" was made by another version of framemill; set "
                              "`schema:` to another name",
                              options_.schema));
  } else if (const auto made = run(postgres_tables_sql(options_.schema)); !made) {
    return fail(
        made.error().at(fmt::format("tables cannot be made in schema \"{}\"", options_.schema)));
  }
  if (const auto committed = run("COMMIT"); !committed) return fail(committed.error());
  return {};
}

Result<void> PostgresOutlet::insert(const std::string& rows,
                                    PostgresConnection::Deadline deadline) {
  if (Result<void> connected = connect(deadline); !connected) {
    // Nothing of this is the messages' fault, which kInvalidArgument would say.
    const bool is_over = connected.error().code() == ErrorCode::kCancelled;
    return fail(is_over ? ErrorCode::kCancelled : ErrorCode::kUnavailable,
                connected.error().message());
  }
  if (const auto begun = connection_->run("BEGIN", deadline); !begun) return fail(begun.error());
  if (Result<void> copied = connection_->copy(
          "COPY pg_temp.framemill_incoming(kind, body) FROM STDIN", rows, deadline);
      !copied)
    return copied;
  const auto done = connection_->run(postgres_insert_sql(options_.schema) + "COMMIT;", deadline);
  if (!done) return fail(done.error());
  return {};
}

Result<void> PostgresOutlet::deliver(std::span<const Message> messages) {
  if (messages.empty()) return {};
  if (is_interrupted_) return fail(ErrorCode::kCancelled, "the run ends");
  std::string rows;
  for (const Message& message : messages) {
    rows += static_cast<char>(message.kind);
    rows += '\t';
    append_copy_text(rows, message.body);
    rows += '\n';
  }
  const Result<void> inserted = insert(rows, std::chrono::steady_clock::now() + options_.timeout);
  if (inserted) return {};
  // Whatever state it is in: a new one is certain, and failures are rare.
  connection_.reset();
  return fail(inserted.error().at("database " + redact(options_.url)));
}

}  // namespace framemill

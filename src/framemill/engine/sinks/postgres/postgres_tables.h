#pragma once

#include <string>
#include <string_view>

namespace framemill {

/// The version of the tables that this framemill writes.
inline constexpr int kPostgresTablesVersion = 1;

/// Names that belong to framemill in its schema, as a list for SQL: 'answers', ...
inline constexpr std::string_view kPostgresTables = "'answers', 'minutes', 'alarm_events'";

/// SQL that makes schema, tables, indices and views (docs/sinks.md describes them); and that which
/// brings the rows of the temporary table `framemill_incoming(kind, body)` to where they belong,
/// each once. `schema` is a name without a need for quotes. Pure.
[[nodiscard]] std::string postgres_tables_sql(std::string_view schema);
[[nodiscard]] std::string postgres_incoming_sql();
[[nodiscard]] std::string postgres_insert_sql(std::string_view schema);

/// `text` as a value of COPY's text format.
void append_copy_text(std::string& out, std::string_view text);

}  // namespace framemill

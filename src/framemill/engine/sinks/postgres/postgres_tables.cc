#include "framemill/engine/sinks/postgres/postgres_tables.h"

#include <fmt/format.h>

namespace framemill {
namespace {

// One index serves both: a camera's answers in the order of time, and that each is there once (what
// is sent again has the same time). A day over all cameras is read through the BRIN index, which
// takes next to no room, or from `minutes`, which is kept up with the inserts. `captured_at` is
// part of the key, so that a DBA may partition the table by it.
constexpr const char* kTables = R"(
CREATE SCHEMA IF NOT EXISTS "{schema}";
CREATE TABLE "{schema}".framemill_tables(version integer NOT NULL);
INSERT INTO "{schema}".framemill_tables VALUES ({version});
CREATE TABLE "{schema}".answers(
  camera text NOT NULL, captured_at timestamptz NOT NULL, run text NOT NULL, seq bigint NOT NULL,
  epoch integer NOT NULL, frame_index bigint NOT NULL, origin text NOT NULL, reason text,
  latency_ms double precision, on_time boolean NOT NULL, model text, variant text,
  width integer NOT NULL, height integer NOT NULL, objects integer NOT NULL, detections jsonb,
  PRIMARY KEY (camera, captured_at, run, seq));
CREATE INDEX answers_captured_at ON "{schema}".answers USING brin (captured_at);
CREATE TABLE "{schema}".minutes(
  camera text NOT NULL, minute timestamptz NOT NULL, answered bigint NOT NULL,
  unanswered bigint NOT NULL, overdue bigint NOT NULL, inferred bigint NOT NULL,
  objects bigint NOT NULL, objects_max integer NOT NULL, PRIMARY KEY (camera, minute));
CREATE TABLE "{schema}".alarm_events(
  alarm_id text NOT NULL, state text NOT NULL, at timestamptz NOT NULL, severity text NOT NULL,
  camera text, rule text NOT NULL, kind text NOT NULL, message text NOT NULL, run text NOT NULL,
  seq bigint, by text, picture text, PRIMARY KEY (alarm_id, state));
CREATE INDEX alarm_events_at ON "{schema}".alarm_events(at);
CREATE VIEW "{schema}".detections AS
  SELECT a.camera, a.captured_at, a.run, a.seq, a.origin, d.class, d.label, d.score, d.track,
    (d.box->>0)::real AS x1, (d.box->>1)::real AS y1, (d.box->>2)::real AS x2,
    (d.box->>3)::real AS y2, a.width, a.height
  FROM "{schema}".answers a CROSS JOIN LATERAL
    jsonb_to_recordset(a.detections) AS d(class integer, label text, score real, track bigint, box jsonb);
CREATE VIEW "{schema}".open_alarms AS
  SELECT * FROM "{schema}".alarm_events e WHERE state = 'raised' AND NOT EXISTS (
    SELECT 1 FROM "{schema}".alarm_events x WHERE x.alarm_id = e.alarm_id AND x.state = 'cleared');
)";

constexpr const char* kInsert = R"(
WITH fresh AS (
  INSERT INTO "{schema}".answers
  SELECT a.camera, a.captured_at, a.run, a.seq, a.epoch, a.frame_index, a.origin, a.reason,
    a.latency_ms, a.on_time, a.model, a.variant, a.width, a.height,
    coalesce(jsonb_array_length(a.detections), 0), a.detections
  FROM pg_temp.framemill_incoming i CROSS JOIN LATERAL jsonb_to_record(i.body) AS a(
    camera text, captured_at timestamptz, run text, seq bigint, epoch integer, frame_index bigint,
    origin text, reason text, latency_ms double precision, on_time boolean, model text,
    variant text, width integer, height integer, detections jsonb)
  WHERE i.kind = 'r'
  ON CONFLICT DO NOTHING RETURNING camera, captured_at, origin, on_time, objects)
INSERT INTO "{schema}".minutes AS m
SELECT camera, date_trunc('minute', captured_at), count(*) FILTER (WHERE origin <> 'none'),
  count(*) FILTER (WHERE origin = 'none'), count(*) FILTER (WHERE origin <> 'none' AND NOT on_time),
  count(*) FILTER (WHERE origin = 'inferred'), sum(objects), max(objects)
FROM fresh GROUP BY 1, 2 ORDER BY 1, 2
ON CONFLICT (camera, minute) DO UPDATE SET answered = m.answered + excluded.answered,
  unanswered = m.unanswered + excluded.unanswered, overdue = m.overdue + excluded.overdue,
  inferred = m.inferred + excluded.inferred, objects = m.objects + excluded.objects,
  objects_max = greatest(m.objects_max, excluded.objects_max);
INSERT INTO "{schema}".alarm_events
SELECT a.alarm_id, a.state, a.at, a.severity, a.camera, a.rule, a.kind, a.message, a.run, a.seq,
  a.by, a.picture
FROM pg_temp.framemill_incoming i CROSS JOIN LATERAL jsonb_to_record(i.body) AS a(
  alarm_id text, state text, at timestamptz, severity text, camera text, rule text, kind text,
  message text, run text, seq bigint, by text, picture text)
WHERE i.kind = 'a'
ON CONFLICT DO NOTHING;
)";

}  // namespace

std::string postgres_tables_sql(std::string_view schema) {
  return fmt::format(fmt::runtime(kTables), fmt::arg("schema", schema),
                     fmt::arg("version", kPostgresTablesVersion));
}

std::string postgres_incoming_sql() {
  return "CREATE TEMPORARY TABLE IF NOT EXISTS framemill_incoming(kind text, body jsonb) "
         "ON COMMIT DELETE ROWS";
}

std::string postgres_insert_sql(std::string_view schema) {
  return fmt::format(fmt::runtime(kInsert), fmt::arg("schema", schema));
}

void append_copy_text(std::string& out, std::string_view text) {
  for (const char c : text) {
    switch (c) {
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        out += c;
    }
  }
}

}  // namespace framemill

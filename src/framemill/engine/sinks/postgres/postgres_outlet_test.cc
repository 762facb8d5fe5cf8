#include "framemill/engine/sinks/postgres/postgres_outlet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/engine/sinks/postgres/postgres_tables.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(AppendCopyText, LeavesNothingThatCopyWouldTakeForItsOwn) {
  std::string text;
  append_copy_text(text, "a\tb\nc\rd\\.\\N");
  EXPECT_EQ(text, R"(a\tb\nc\rd\\.\\N)");
}

TEST(PostgresSql, NamesItsSchemaAndNoOther) {
  for (const std::string& sql : {postgres_tables_sql("plant_7"), postgres_insert_sql("plant_7")}) {
    EXPECT_THAT(sql, HasSubstr("\"plant_7\".answers"));
    EXPECT_THAT(sql, Not(HasSubstr("\"framemill\"")));
    EXPECT_THAT(sql, Not(HasSubstr("{")));
  }
}

TEST(PostgresOutlet, SaysWhyNothingIsTaken) {
  const auto outlet = PostgresOutlet::create({.url = "postgresql://127.0.0.1:1/plant",
                                              .username = "fm",
                                              .password = "s3cret",
                                              .timeout = 2s});
  ASSERT_TRUE(outlet);
  const Message message{.key = "R/gate-1/0", .camera = "gate-1", .body = "{}"};
  const Result<void> delivered = (*outlet)->deliver({&message, 1});
  ASSERT_FALSE(delivered);
  EXPECT_EQ(delivered.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(
      delivered.error().message(),
      AllOf(HasSubstr("database postgresql://127.0.0.1:1/plant"), HasSubstr("Connection refused"),
            Not(HasSubstr("s3cret")), Not(HasSubstr("\n"))));
}

TEST(PostgresOutlet, EndsSoonWhenInterrupted) {
  const auto outlet = PostgresOutlet::create({.url = "postgresql://127.0.0.1:1/plant"});
  ASSERT_TRUE(outlet);
  (*outlet)->interrupt();
  const Message message{.key = "R/gate-1/0", .camera = "gate-1", .body = "{}"};
  const Result<void> delivered = (*outlet)->deliver({&message, 1});
  ASSERT_FALSE(delivered);
  EXPECT_EQ(delivered.error().code(), ErrorCode::kCancelled);
}

}  // namespace
}  // namespace framemill

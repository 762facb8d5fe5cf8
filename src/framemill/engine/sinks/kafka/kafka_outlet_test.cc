#include "framemill/engine/sinks/kafka/kafka_outlet.h"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace framemill {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

std::map<std::string, std::string> properties_of(const KafkaOptions& options) {
  const auto properties = kafka_properties(options);
  return {properties.begin(), properties.end()};
}

TEST(KafkaProperties, FollowTheSettings) {
  auto plain = properties_of({.url = "kafka://one:9092,two", .client_id = "plant", .timeout = 4s});
  EXPECT_EQ(plain["bootstrap.servers"], "one:9092,two");
  EXPECT_EQ(plain["security.protocol"], "plaintext");
  EXPECT_EQ(plain["client.id"], "plant");
  EXPECT_EQ(plain["acks"], "all");
  EXPECT_EQ(plain["enable.idempotence"], "true");
  EXPECT_EQ(plain["message.timeout.ms"], "4000");
  EXPECT_FALSE(plain.contains("sasl.mechanism"));

  auto safe = properties_of(
      {.url = "kafkas://one", .ca_file = "ca.pem", .cert_file = "c.pem", .key_file = "c.key"});
  EXPECT_EQ(safe["security.protocol"], "ssl");
  EXPECT_EQ(safe["ssl.ca.location"], "ca.pem");
  EXPECT_EQ(safe["ssl.certificate.location"], "c.pem");
  EXPECT_EQ(safe["ssl.key.location"], "c.key");

  auto signed_in = properties_of({.url = "kafkas://one", .username = "fm", .password = "s3cret"});
  EXPECT_EQ(signed_in["security.protocol"], "sasl_ssl");
  EXPECT_EQ(signed_in["sasl.mechanism"], "SCRAM-SHA-512");
  EXPECT_EQ(signed_in["sasl.username"], "fm");
  EXPECT_EQ(signed_in["sasl.password"], "s3cret");
  auto plainly =
      properties_of({.url = "kafka://one", .username = "fm", .password = "x", .sasl = "plain"});
  EXPECT_EQ(plainly["security.protocol"], "sasl_plaintext");
  EXPECT_EQ(plainly["sasl.mechanism"], "PLAIN");
}

TEST(KafkaProperties, AreThoseOfTheLibrary) {
  for (const char* const sasl : {"plain", "scram-sha-256", "scram-sha-512"})
    for (const char* const url : {"kafka://127.0.0.1:1", "kafkas://127.0.0.1:1"}) {
      const auto outlet =
          KafkaOutlet::create({.url = url, .username = "fm", .password = "x", .sasl = sasl});
      EXPECT_TRUE(outlet) << outlet.error().message();
    }
}

TEST(KafkaOutlet, SaysWhyNothingIsTaken) {
  const auto outlet = KafkaOutlet::create(
      {.url = "kafka://127.0.0.1:1", .username = "fm", .password = "s3cret", .timeout = 2s});
  ASSERT_TRUE(outlet);
  const Message message{.key = "R/gate-1/0", .camera = "gate-1", .body = "{}"};
  const Result<void> delivered = (*outlet)->deliver({&message, 1});
  ASSERT_FALSE(delivered);
  EXPECT_EQ(delivered.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(delivered.error().message(), HasSubstr("kafka://127.0.0.1:1"));
  EXPECT_THAT(delivered.error().message(), HasSubstr("Connection refused"));
  EXPECT_THAT(delivered.error().message(), testing::Not(HasSubstr("s3cret")));
}

}  // namespace
}  // namespace framemill

#include "framemill/server/stream_hub.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace framemill {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using Kind = StreamClient::Kind;

std::shared_ptr<const std::string> text(std::string value) {
  return std::make_shared<const std::string>(std::move(value));
}

std::vector<std::string> drain(StreamClient& client) {
  std::vector<std::string> texts;
  while (const auto next = client.next()) texts.push_back(*next);
  return texts;
}

TEST(ParseSubscription, TakesWhatIsRight) {
  const Result<StreamSubscription> all =
      parse_subscription(R"({"type":"subscribe","cameras":["*"],"stats":false,"answers_per_s":5})");
  ASSERT_TRUE(all);
  EXPECT_TRUE(all->wants("anything"));
  EXPECT_FALSE(all->has_stats);
  EXPECT_TRUE(all->has_alarms);
  EXPECT_EQ(all->answer_period, 200ms);
  const Result<StreamSubscription> some =
      parse_subscription(R"({"type":"subscribe","cameras":["gate-1"]})");
  ASSERT_TRUE(some);
  EXPECT_TRUE(some->wants("gate-1"));
  EXPECT_FALSE(some->wants("gate-2"));
}

TEST(ParseSubscription, SaysWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "no JSON"},
      {"{", "no JSON"},
      {"[]", "no object"},
      {"{}", "type: is missing"},
      {R"({"type":"publish"})", "type"},
      {R"({"type":"subscribe","camera":["a"]})", "unknown key"},
      {R"({"type":"subscribe","cameras":"a"})", "cameras"},
      {R"({"type":"subscribe","cameras":[1]})", "cameras"},
      {R"({"type":"subscribe","cameras":["a/b"]})", "cameras"},
      {R"({"type":"subscribe","stats":1})", "stats"},
      {R"({"type":"subscribe","answers_per_s":0})", "answers_per_s"},
      {R"({"type":"subscribe","answers_per_s":1e9})", "answers_per_s"},
      {R"({"type":"subscribe","answers_per_s":"5"})", "answers_per_s"}};
  for (const auto& [message, wanted] : cases) {
    const Result<StreamSubscription> parsed = parse_subscription(message);
    ASSERT_FALSE(parsed) << message;
    EXPECT_THAT(parsed.error().message(), HasSubstr(wanted)) << message;
  }
}

TEST(StreamClient, SendsNothingButHelloAndFiguresUnasked) {
  ManualClock clock;
  StreamClient client("hello", clock);
  EXPECT_FALSE(client.wants_answer("gate-1"));
  client.offer(Kind::kStats, text("figures"));
  EXPECT_THAT(drain(client), testing::ElementsAre("hello", "figures"));
}

TEST(StreamClient, KeepsTheRateOfEachCamera) {
  ManualClock clock;
  StreamClient client("hello", clock);
  client.on_message(R"({"type":"subscribe","cameras":["*"],"answers_per_s":10})");
  int taken = 0;
  for (int i = 0; i < 1000; ++i) {
    clock.advance(10ms);
    taken += client.wants_answer("a") ? 1 : 0;
  }
  EXPECT_NEAR(taken, 100, 1);
  EXPECT_TRUE(client.wants_answer("b"));
}

TEST(StreamClient, ASlowOneLosesTheOldestAnswersFirst) {
  ManualClock clock;
  StreamClient client("hello", clock);
  client.offer(Kind::kAlarm, text("alarm"));
  for (int i = 0; i < 5000; ++i) client.offer(Kind::kAnswer, text(std::to_string(i)));
  const std::vector<std::string> texts = drain(client);
  EXPECT_LE(texts.size(), 1024U);
  EXPECT_EQ(texts.front(), "hello");
  EXPECT_EQ(texts[1], "alarm");
  EXPECT_EQ(texts.back(), "4999");
  EXPECT_EQ(client.dropped() + static_cast<std::int64_t>(texts.size()), 5002);
}

TEST(StreamClient, IsBoundedInBytes) {
  ManualClock clock;
  StreamClient client("hello", clock);
  for (int i = 0; i < 100; ++i) client.offer(Kind::kAnswer, text(std::string(1024 * 1024, 'x')));
  std::size_t bytes = 0;
  for (const std::string& one : drain(client)) bytes += one.size();
  EXPECT_LE(bytes, 5U * 1024 * 1024);
  EXPECT_GE(client.dropped(), 95);
}

TEST(StreamClient, FiguresReplaceEachOther) {
  ManualClock clock;
  StreamClient client("hello", clock);
  for (int i = 0; i < 10; ++i) client.offer(Kind::kStats, text(std::to_string(i)));
  EXPECT_THAT(drain(client), testing::ElementsAre("hello", "9"));
}

TEST(StreamClient, AnswersWhatItCannotUnderstand) {
  ManualClock clock;
  StreamClient client("hello", clock);
  client.on_message("nonsense");
  const std::vector<std::string> texts = drain(client);
  ASSERT_EQ(texts.size(), 2U);
  EXPECT_THAT(texts[1], HasSubstr(R"("type":"error")"));
}

TEST(StreamHub, GivesEachClientItsOwnCountOfDroppedMessages) {
  const SystemClock clock;
  StreamHub hub(clock);
  const auto client = hub.add_client("hello");
  hub.offer(Kind::kStats, R"({"type":"stats"})");
  EXPECT_THAT(drain(*client), testing::ElementsAre("hello", R"({"type":"stats","dropped":0})"));
  client->on_closed();
  hub.offer(Kind::kEvent, "{}");
  EXPECT_EQ(hub.clients(), 0U);
}

TEST(StreamHub, RendersAnswersForThoseWhoWantThem) {
  const SystemClock clock;
  CameraDirectory cameras;
  cameras.append({"gate-1", {"person"}});
  StreamHub hub(clock);
  hub.attach("RUN", cameras);
  const auto all = hub.add_client("hello");
  const auto none = hub.add_client("hello");
  all->on_message(R"({"type":"subscribe","cameras":["gate-1"]})");
  auto answer = std::make_shared<Answer>();
  answer->origin = Origin::kInferred;
  answer->detections.push_back({.class_id = 0, .score = .5F, .box = {1, 2, 3, 4}});
  hub.offer_answer({1, answer});
  hub.stop();  // what was offered has been rendered
  const std::vector<std::string> texts = drain(*all);
  ASSERT_EQ(texts.size(), 2U);
  EXPECT_TRUE(texts[1].starts_with(R"({"type":"answer","result":{"schema":"framemill.result/1")"));
  EXPECT_TRUE(texts[1].ends_with("}}"));
  EXPECT_EQ(drain(*none).size(), 1U);
}

}  // namespace
}  // namespace framemill

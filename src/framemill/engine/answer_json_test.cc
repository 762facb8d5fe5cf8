#include "framemill/engine/answer_json.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace framemill {
namespace {

using namespace std::chrono_literals;

Answer example() {
  Answer answer;
  answer.stamp.seq = 40;
  answer.stamp.frame_index = 120;
  answer.stamp.pts_s = 4.004;
  answer.stamp.captured_at = WallTime(1767254404004ms);
  answer.origin = Origin::kInferred;
  answer.source_frame_index = 120;
  answer.latency = 21'400us;
  answer.slo = 200ms;
  answer.model = "objects";
  answer.variant = std::make_shared<const std::string>("yolo11n_640x384");
  answer.picture_size = {640, 360};
  answer.detections = {{2, 0.91F, {102.5F, 88.0F, 201.0F, 160.5F}, 17}};
  return answer;
}

const CameraNames kGate{"gate-1", {"person", "bicycle", "car"}};

TEST(AnswerJson, HoldsTheContractsFields) {
  std::string line;
  append_answer_json(line, example(), "01JD", kGate);
  EXPECT_EQ(line.back(), '\n');
  const auto json = nlohmann::json::parse(line);
  const auto want = nlohmann::json::parse(R"(
      {"schema":"framemill.result/1","run":"01JD","camera":"gate-1","seq":40,"epoch":0,
       "frame_index":120,"pts_s":4.004,"captured_at":"2026-01-01T08:00:04.004Z","origin":"inferred",
       "source_frame_index":120,"latency_ms":21.4,"reorder_ms":0.0,"deadline_ms":200,"on_time":true,
       "model":"objects","variant":"yolo11n_640x384","width":640,"height":360,
       "detections":[{"class":2,"label":"car","score":0.91,"box":[102.5,88.0,201.0,160.5],
                      "track":17}]})");
  EXPECT_EQ(json, want);
}

TEST(AnswerJson, AFrameWithoutAnswerSaysWhyAndHasNoDetections) {
  Answer answer = example();
  answer.origin = Origin::kNone;
  answer.drop_reason = DropReason::kSuperseded;
  answer.variant = nullptr;
  answer.is_on_time = false;
  std::string line;
  append_answer_json(line, answer, "01JD", kGate);
  const auto json = nlohmann::json::parse(line);
  EXPECT_EQ(json["origin"], "none");
  EXPECT_EQ(json["reason"], "superseded");
  EXPECT_FALSE(json.contains("detections"));
  EXPECT_TRUE(json["variant"].is_null());
}

TEST(AnswerJson, PaceFastHasNoLatencyAndLoopsNameTheFilesFrame) {
  Answer answer = example();
  answer.latency.reset();
  answer.stamp.file_frame_index = 20;
  std::string line;
  append_answer_json(line, answer, "01JD", kGate);
  const auto json = nlohmann::json::parse(line);
  EXPECT_TRUE(json["latency_ms"].is_null());
  EXPECT_EQ(json["file_frame_index"], 20);
}

TEST(AnswerJson, NamesAreEscaped) {
  Answer answer = example();
  answer.detections[0].class_id = 0;
  std::string line;
  append_answer_json(line, answer, "01JD", {"a\"b", {"line\nbreak\\"}});
  const auto json = nlohmann::json::parse(line);
  EXPECT_EQ(json["camera"], "a\"b");
  EXPECT_EQ(json["detections"][0]["label"], "line\nbreak\\");
}

TEST(WallTime, IsUtcWithMilliseconds) {
  EXPECT_EQ(format_wall_time(WallTime(1767254404004ms)), "2026-01-01T08:00:04.004Z");
  EXPECT_EQ(format_wall_time(WallTime(951782399999ms)), "2000-02-28T23:59:59.999Z");
}

TEST(AlarmJson, SaysWhatIsKnown) {
  AlarmEvent event;
  event.alarm_id = "A1";
  event.state = AlarmState::kAcknowledged;
  event.severity = AlarmSeverity::kCritical;
  event.camera_id = "gate-1";
  event.rule = "intruder";
  event.kind = "presence";
  event.message = "1 \"person\"";
  event.at = WallTime(std::chrono::milliseconds(4));
  event.seq = 7;
  event.run = "RUN";
  event.by = "kim";
  std::string text;
  append_alarm_json(text, event);
  EXPECT_EQ(text,
            R"({"schema":"framemill.alarm/1","run":"RUN","alarm_id":"A1","state":"acknowledged",)"
            R"("severity":"critical","camera":"gate-1","rule":"intruder","kind":"presence",)"
            R"("message":"1 \"person\"","at":"1970-01-01T00:00:00.004Z","seq":7,"by":"kim"})"
            "\n");
  AlarmEvent plain;
  text.clear();
  append_alarm_json(text, plain);
  EXPECT_NE(text.find(R"("camera":null)"), std::string::npos) << "of the whole run";
}

}  // namespace
}  // namespace framemill

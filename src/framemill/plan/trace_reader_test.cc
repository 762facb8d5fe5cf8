// A trace is read as docs/reference/trace.md describes it; what is none is refused with its line.

#include "framemill/plan/trace_reader.h"

#include <fstream>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "framemill/base/temp_folder_for_test.h"
#include "framemill/plan/read_scenes.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr const char* kHeader =
    R"({"schema":"framemill.trace/1","framemill":"0.1.0","run":"R","began":"2026-01-01T08:00:00.000Z","began_ns":1000,)"
    R"("models":["m"],"cameras":[{"camera":"gate","policy":"adaptive","priority":"normal","slo_ns":200000000,)"
    R"("period_ns":100000000,"model":0}],"share":1.0,"adaptive_share":null,"similarity_min":0.95,"batches_max":2,)"
    R"("knee_frames":1,"lane_knees":[1],"batch_by_utilisation":false,"rungs":[1],"lane_times":[{"samples":2,"buckets":)"
    R"([{"batch":1,"mean_ns":30000000.5,"deviation_ns":1000,"recorded_as":2}]}]})";

/// A run of two frames: both inferred at once.
std::vector<std::string> sample() {
  return {
      kHeader,
      R"({"e":"lane","max":4})",
      R"({"t":5000000,"e":"frame","c":0,"q":0,"at":1000000,"lane":0,"start":true,"scene":true})",
      R"({"t":5010000,"e":"look","lane":0,"send":[[0,0,0,1]],"wake":196000000})",
      R"({"e":"claim","c":0,"q":0,"out":true})",
      R"({"e":"learn","c":0,"doubt":[0,0,0,0],"counts":[0,3,0,0,0,0,0]})",
      R"({"t":36000000,"e":"done","lane":0,"n":1,"c":[0],"took":30000000})",
      R"({"t":36010000,"e":"look"})",
      R"({"t":105000000,"e":"frame","c":0,"q":1,"at":101000000,"lane":0,"doubt":[1,3,0.25,0.0625],"need":0.271875})",
      R"({"t":105010000,"e":"look","lane":0,"send":[[0,1,0,0]],"wake":296000000})",
      R"({"e":"claim","c":0,"q":1,"out":true})",
      R"({"e":"learn","c":0,"doubt":[1,3,0.25,0.0625],"counts":[3,3,3,3,3,3,2.5]})",
      R"({"t":136000000,"e":"done","lane":0,"n":1,"c":[0],"took":30000000})",
      R"({"e":"end","c":0})",
      R"({"e":"stop","records":13,"lost":0})",
  };
}

class TraceReaderTest : public testing::Test {
 protected:
  void write(const std::string& text) const {
    ::unlink(path_.c_str());  // a file that is overwritten waits for the disk
    std::ofstream(path_, std::ios::binary) << text;
  }
  void write(const std::vector<std::string>& lines) const {
    write(fmt::format("{}\n", fmt::join(lines, "\n")));
  }
  /// What reading to the end says, without the folder.
  std::string problem() const {
    const Result<RecordedScenes> recorded = read_scenes(path_);
    if (recorded) return recorded->difference.empty() ? "none" : recorded->difference;
    return recorded.error().message().substr(folder_.path().string().size() + 1);
  }

  const TempFolder folder_;
  const std::string path_ = folder_ / "trace.jsonl";
};

TEST_F(TraceReaderTest, ReadsWhatTheReferenceDescribes) {
  write(sample());
  const Result<std::unique_ptr<TraceReader>> reader = TraceReader::open(path_);
  ASSERT_TRUE(reader.has_value()) << reader.error().message();
  const DispatchTraceHeader& header = (*reader)->header();
  EXPECT_EQ(header.run, "R");
  EXPECT_EQ(header.cameras, std::vector<CameraId>{"gate"});
  EXPECT_EQ(header.options.cameras.front().slo, 200ms);
  EXPECT_EQ(header.options.lane_times.front().mean(1), 30000001ns) << "rounded";
  EXPECT_EQ(header.began_at, TimePoint(1000ns));
  std::vector<DispatchRecord> records;
  while (true) {
    const Result<std::optional<DispatchRecord>> record = (*reader)->next();
    ASSERT_TRUE(record.has_value()) << record.error().message();
    if (!*record) break;
    records.push_back(**record);
  }
  ASSERT_EQ(records.size(), 13U);
  const auto& frame = std::get<FrameArrived>(records[7]);
  EXPECT_EQ(frame.at, TimePoint(105001000ns));
  EXPECT_EQ(frame.frame.captured_at, TimePoint(101001000ns));
  EXPECT_EQ(frame.frame.sampled.doubt, (ObjectDoubt{1, 3, .25, .0625}));
  EXPECT_EQ(std::get<Decided>(records[2]).decision.batch,
            (std::vector<SentFrame>{{0, 0, 0, true}}));
  EXPECT_EQ(std::get<BatchCompleted>(records[11]).service_time, 30ms);
  EXPECT_EQ(problem(), "none") << "and it replays";
}

TEST_F(TraceReaderTest, RefusesWhatIsNoTraceWithItsLine) {
  struct Change {
    std::size_t line;  // from 1
    const char* from;
    const char* to;
    const char* message;
  };
  const Change changes[] = {
      {1, "trace/1", "trace/7", "\"framemill.trace/7\" is another version"},
      {1, "framemill.trace/1", "framemill.result/1", "is not a trace"},
      {1, "\"run\":\"R\",", "", "has no \"run\""},
      {1, "\"run\":\"R\",", "\"run\":7,", "\"run\" has to be a text"},
      {1, "adaptive\"", "adaptiv\"", "\"policy\" cannot be \"adaptiv\""},
      {1, "\"normal\"", "\"urgent\"", "\"priority\" cannot be \"urgent\""},
      {1, "\"slo_ns\":200000000", "\"slo_ns\":-1", "\"slo_ns\" has to be a whole number from 0"},
      {1, "\"slo_ns\":200000000", "\"slo_ns\":1e300", "\"slo_ns\" has to be a whole number"},
      {1, "\"share\":1.0", "\"share\":0", "a share of the frames"},
      {1, "\"share\":1.0", "\"share\":\"x\"", "\"share\" has to be a number"},
      {1, "\"batches_max\":2", "\"batches_max\":0", "0 batches"},
      {1, "\"batches_max\":2", "\"batches_max\":99999", "99999 batches"},
      {1, "\"batch\":1", "\"batch\":3", "there is no batch of 3"},
      {1, "30000000.5", "0", "\"mean_ns\" has to be above 0"},
      {1, "\"rungs\":[1]", "\"rungs\":[0]", "a model without rungs"},
      {1, "\"model\":0", "\"model\":5", "there is no model 5"},
      {1, "\"rungs\"", "\"stairs\"", "has no \"rungs\""},
      {1, "\"models\":", "\"colour\":1,\"models\":", "has a member that is not known"},
      {2, "\"max\":4", "\"max\":0", "\"max\" has to be a whole number from 1"},
      {2, "{", "[", "is not JSON"},
      {2, "{\"e\":\"lane\",\"max\":4}", "7", "is not a JSON object"},
      {2, "{\"e\":\"lane\",\"max\":4}", "", "is not JSON"},
      {2, "{\"e\":\"lane\",\"max\":4}", "{\"e\":[[[[[[[[[[]]]]]]]]]]}", "is not JSON"},
      {2, "lane", "train", "there is no event \"train\""},
      {3, "\"c\":0", "\"c\":-1", "\"c\" has to be a whole number"},
      {3, "\"c\":0", "\"c\":1", "there is no camera 1"},
      {3, "\"c\":0", "\"c\":18446744073709551615", "\"c\" has to be a whole number"},
      {3, "\"t\":5000000", "\"t\":1e99", "\"t\" has to be a whole number"},
      {3, "\"t\":5000000", "\"t\":9000000000000000000", "\"t\" has to be a whole number"},
      {3, "\"lane\":0", "\"lane\":3", "there is no lane 3"},
      {3, "\"start\":true", "\"start\":1", "\"start\" has to be true or false"},
      {4, "[[0,0,0,1]]", "[[0,0,0]]", "\"send\" has to be a list of 4 values"},
      {4, "[[0,0,0,1]]", "[[0,0,0,2]]", "\"send\" has to be a whole number from 0 to 1"},
      {4, "[[0,0,0,1]]", "{}", "\"send\" has to be a list"},
      {6, "[0,0,0,0]", "[0,0,0]", "\"doubt\" has to be a list of 4"},
      {9, "0.25,", "null,", "\"doubt\" has to be a number"},
      {9, "0.25,", "1e16,", "\"doubt\" has to be a number"},
      {6, "[0,3,0,0,0,0,0]", "[0,-3,0,0,0,0,0]", "\"counts\" has to be a whole number"},
      {7, "\"n\":1", "\"n\":64", "a batch of 64 frames"},
      {7, "\"c\":[0]", "\"c\":[0,0]", "a frame of camera 0 came back that was not sent"},
      {9, "\"q\":1,\"at\"", "\"qq\":1,\"at\"", "has no \"q\""},
      {9, "\"need\"", "\"want\":1,\"need\"", "has a member that is not known"},
      {9, "0.271875", "0.29", "the need of camera 0's frame 1: recorded"},
      {10, "[[0,1,0,0]]", "[[0,1,0,1]]", "sent: recorded [0/1 forced], replayed [0/1]"},
      {11, "true", "false", "recorded given up, replayed waits"},
      {15, "13", "14", "was written with 14 records and 0 lost, and has 13 and 0"},
      {15, "{\"e\":\"stop\",\"records\":13,\"lost\":0}", "{\"e\":\"end\",\"c\":0}",
       "breaks off here"},
  };
  for (const auto& [line, from, to, message] : changes) {
    std::vector<std::string> lines = sample();
    const std::size_t at = lines[line - 1].find(from);
    ASSERT_NE(at, std::string::npos) << from;
    lines[line - 1].replace(at, std::string(from).size(), to);
    write(lines);
    const bool is_end = std::string(message) == "breaks off here";
    const std::string found = problem();
    EXPECT_THAT(found, HasSubstr(message));
    EXPECT_THAT(found, HasSubstr(fmt::format("trace.jsonl:{}: ", is_end ? line + 1 : line)));
  }
}

TEST_F(TraceReaderTest, AnyCutIsNoticed) {
  const std::string text = fmt::format("{}\n", fmt::join(sample(), "\n"));
  for (std::size_t length = 0; length < text.size(); ++length) {
    write(text.substr(0, length));
    EXPECT_NE(problem(), "none") << length;
  }
  write(text + "{}\n");
  EXPECT_THAT(problem(), HasSubstr("there is more after the last line"));
  for (std::size_t line = 2; line < sample().size(); ++line) {
    std::vector<std::string> fewer = sample();
    fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(line - 1));
    write(fewer);
    EXPECT_NE(problem(), "none") << "without line " << line;
  }
}

TEST_F(TraceReaderTest, WhatWasLostEndsTheReplayAndNothingElse) {
  std::vector<std::string> lines = sample();
  lines.insert(lines.begin() + 7, R"({"e":"lost","n":40})");
  lines.back() = R"({"e":"stop","records":13,"lost":40})";
  write(lines);
  const Result<RecordedScenes> recorded = read_scenes(path_);
  ASSERT_TRUE(recorded.has_value()) << recorded.error().message();
  EXPECT_EQ(recorded->lost, 40);
  EXPECT_EQ(recorded->records, 13);
  EXPECT_EQ(recorded->replayed, 6);
  EXPECT_THAT(recorded->difference, HasSubstr(":8: 40 records are missing here"));
  EXPECT_EQ(recorded->scenes->cameras.front().frames.size(), 2U);
}

TEST_F(TraceReaderTest, BytesThatWereChangedNeverDoHarm) {
  const std::string text = fmt::format("{}\n", fmt::join(sample(), "\n"));
  std::mt19937 rng(5);  // fixed seed: a failure repeats
  int refused = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string changed = text;
    for (unsigned i = 0; i <= rng() % 3; ++i) {
      constexpr std::string_view kBytes = "0123456789-.,:[]{}\"eE\n truefalsn";
      changed[rng() % changed.size()] = kBytes[rng() % kBytes.size()];
    }
    write(changed);
    if (problem() != "none") ++refused;
  }
  EXPECT_GT(refused, 1500);
}

}  // namespace
}  // namespace framemill

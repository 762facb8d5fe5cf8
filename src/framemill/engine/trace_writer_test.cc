// A trace never holds a run up: what cannot be written is counted and said.

#include "framemill/engine/trace_writer.h"

#include <fstream>
#include <string>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include "framemill/base/temp_folder_for_test.h"

namespace framemill {
namespace {

using testing::HasSubstr;
using Json = nlohmann::json;

class TraceWriterTest : public testing::Test {
 protected:
  std::unique_ptr<TraceWriter> open(const std::string& path, TraceWriter::Options options = {}) {
    Result<std::unique_ptr<TraceWriter>> writer =
        TraceWriter::create(path, {.id = "R", .cameras = {"gate"}, .models = {"m"}}, options);
    EXPECT_TRUE(writer.has_value()) << writer.error().message();
    return *std::move(writer);
  }
  static LiveDispatchOptions site() {
    LiveDispatchOptions options;
    options.cameras.resize(1);
    options.inference.cameras.resize(1);
    return options;
  }
  static std::vector<Json> read(std::istream& file) {
    std::vector<Json> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(Json::parse(line));
    return lines;
  }

  const TempFolder folder_;
  const std::string path_ = folder_ / "trace.jsonl";
};

TEST_F(TraceWriterTest, WritesAllInOrder) {
  {
    const auto writer = open(path_, {.chunk_records = 7, .chunks_max = 10'000});
    writer->begin(site(), TimePoint());
    for (std::int64_t i = 0; i < 1000; ++i) writer->add(FrameWithdrawn{0, i});
    writer->stop();
    writer->stop();
    writer->add(FrameWithdrawn{0, 1000});
    EXPECT_EQ(writer->counts().written, 1000);
    EXPECT_EQ(writer->counts().lost, 0);
    EXPECT_EQ(writer->counts().last_error, "");
  }
  std::ifstream file(path_);
  const std::vector<Json> lines = read(file);
  ASSERT_EQ(lines.size(), 1002U);
  EXPECT_EQ(lines.front()["schema"], "framemill.trace/1");
  for (std::size_t i = 0; i < 1000; ++i) EXPECT_EQ(lines[i + 1]["q"], i);
  EXPECT_EQ(lines.back(), (Json{{"e", "stop"}, {"records", 1000}, {"lost", 0}}));
}

TEST_F(TraceWriterTest, AReaderThatIsSlowCostsRecordsAndNoTime) {
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  // A pipe that nobody empties: its 64 KiB are full soon.
  const int reader = ::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ASSERT_GE(reader, 0);
  const auto writer = open(path_, {.chunk_records = 16, .chunks_max = 4});
  writer->begin(site(), TimePoint());
  constexpr std::int64_t kRecords = 20'000;  // 600 KB; returns though nothing is read
  for (std::int64_t i = 0; i < kRecords; ++i) writer->add(FrameWithdrawn{0, i});
  EXPECT_GT(writer->counts().lost, kRecords / 2);
  // Now it is read to the end, and says what is missing and where.
  ASSERT_EQ(::fcntl(reader, F_SETFL, 0), 0);
  std::string text;
  std::thread reading([&] {
    char buffer[4096];
    for (ssize_t n = ::read(reader, buffer, sizeof(buffer)); n > 0;
         n = ::read(reader, buffer, sizeof(buffer))) {
      text.append(buffer, static_cast<std::size_t>(n));
      if (text.ends_with("}\n") && text.find("\"stop\"") != std::string::npos) break;
    }
  });
  writer->stop();
  reading.join();
  ::close(reader);
  const TraceCounts counts = writer->counts();
  EXPECT_EQ(counts.written + counts.lost, kRecords);
  std::istringstream file(text);
  std::int64_t next = 0;
  std::int64_t lost = 0;
  std::int64_t written = 0;
  const std::vector<Json> lines = read(file);
  for (const Json& line : lines) {
    if (!line.contains("e")) continue;
    if (line["e"] == "lost") {
      lost += line["n"].get<std::int64_t>();
      next += line["n"].get<std::int64_t>();
    } else if (line["e"] == "withdraw") {
      EXPECT_EQ(line["q"], next) << "losses are told where they are";
      ++next;
      ++written;
    }
  }
  EXPECT_EQ(next, kRecords);
  EXPECT_EQ(lost, counts.lost);
  EXPECT_EQ(written, counts.written);
  EXPECT_EQ(lines.back(), (Json{{"e", "stop"}, {"records", written}, {"lost", lost}}));
}

TEST_F(TraceWriterTest, AFullDiskIsSaidOnce) {
  const auto writer = open("/dev/full");
  writer->begin(site(), TimePoint());
  for (std::int64_t i = 0; i < 1000; ++i) writer->add(FrameWithdrawn{0, i});
  writer->stop();
  const TraceCounts counts = writer->counts();
  EXPECT_EQ(counts.written, 0);
  EXPECT_EQ(counts.lost, 1000);
  EXPECT_THAT(counts.last_error, HasSubstr("No space left on device"));
  EXPECT_THAT(counts.last_error, HasSubstr("free some space"));
}

TEST_F(TraceWriterTest, WhatNeverBeganIsEmpty) {
  open(path_)->stop();
  std::ifstream file(path_);
  EXPECT_TRUE(read(file).empty());
}

TEST_F(TraceWriterTest, AnOlderTraceStaysUntilAFrameHasCome) {
  const auto text = [this] {
    std::ifstream file(path_);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  folder_.write("trace.jsonl", "yesterday\n");
  const auto begin = [this] {
    auto writer = open(path_, {.chunk_records = 1, .chunks_max = 10'000});
    writer->begin(site(), TimePoint());
    writer->add(LaneAdded{});
    return writer;
  };
  begin()->stop();  // a run that got nowhere
  EXPECT_EQ(text(), "yesterday\n");
  {
    const auto writer = begin();
    writer->stop();
    writer->end_empty();  // one that was whole
    EXPECT_EQ(writer->counts().written, 1);
  }
  std::ifstream whole(path_);
  std::vector<Json> lines = read(whole);
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines.back(), (Json{{"e", "stop"}, {"records", 1}, {"lost", 0}}));
  folder_.write("trace.jsonl", "yesterday\n");
  {
    const auto writer = begin();
    writer->add(FrameArrived{});
    writer->add(CameraEnded{});
    writer->stop();
    writer->end_empty();  // nothing is left to do
    EXPECT_EQ(writer->counts().written, 3);
  }
  std::ifstream file(path_);
  lines = read(file);
  ASSERT_EQ(lines.size(), 5U);
  EXPECT_EQ(lines.front()["schema"], "framemill.trace/1");
  EXPECT_EQ(lines.back(), (Json{{"e", "stop"}, {"records", 3}, {"lost", 0}}));
}

TEST_F(TraceWriterTest, AnOlderTraceGoesWhereTooMuchIsTold) {
  folder_.write("trace.jsonl", "yesterday\n");
  const auto writer = open(path_, {.chunk_records = 1, .chunks_max = 10'000});
  writer->begin(site(), TimePoint());
  for (int i = 0; i < 100; ++i) writer->add(CameraEnded{});
  writer->stop();
  std::ifstream file(path_);
  EXPECT_EQ(read(file).size(), 102U);
}

TEST_F(TraceWriterTest, AFileBelongsToOneRunAtATime) {
  {
    const auto writer = open(path_);
    writer->begin(site(), TimePoint());
    const auto other = TraceWriter::create(path_, {}, {});
    ASSERT_FALSE(other.has_value());
    EXPECT_EQ(other.error().code(), ErrorCode::kInvalidArgument);
    EXPECT_THAT(other.error().message(),
                HasSubstr("trace.jsonl: another run of framemill writes its trace there"));
  }
  (void)open(path_);
}

TEST_F(TraceWriterTest, SaysWhereItCannotWrite) {
  const auto writer = TraceWriter::create("/no/such/folder/t.jsonl", {}, {});
  ASSERT_FALSE(writer.has_value());
  EXPECT_EQ(writer.error().code(), ErrorCode::kInvalidArgument);
  EXPECT_THAT(writer.error().message(), HasSubstr("/no/such/folder/t.jsonl: the trace cannot"));
}

}  // namespace
}  // namespace framemill

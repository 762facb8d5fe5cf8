// Whole lines in files, patience with readers, older results that stay until a run begins.
#include "framemill/engine/json_lines_sink.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "framemill/base/check.h"
#include "framemill/base/temp_folder_for_test.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class JsonLinesSinkTest : public testing::Test {
 protected:
  JsonLinesSinkTest() { names_.append(CameraNames("cam", CameraNames::Labels{})); }
  static std::string read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::unique_ptr<JsonLinesSink> make(const std::string& path) {
    Result<std::unique_ptr<JsonLinesSink>> sink =
        JsonLinesSink::create({.path = path, .run_id = "run"}, names_);
    CHECK(sink.has_value());
    return std::move(*sink);
  }
  void write(JsonLinesSink& sink, int count) {
    for (int i = 0; i < count; ++i) {
      Answer answer;
      answer.stamp.seq = next_++;
      ASSERT_TRUE(sink.write(answer));
    }
  }

  const TempFolder folder_;
  CameraDirectory names_;
  std::int64_t next_ = 0;
};

TEST_F(JsonLinesSinkTest, OlderResultsStayUntilTheFirstLine) {
  const std::string path = folder_.write("r.jsonl", "older\n");
  auto sink = make(path);
  ASSERT_TRUE(sink->flush());
  EXPECT_EQ(read_file(path), "older\n");
  write(*sink, 1);
  ASSERT_TRUE(sink->flush());
  EXPECT_EQ(read_file(path).rfind("{\"schema\"", 0), 0U);
  sink->end_empty();  // it is not
  EXPECT_NE(read_file(path), "");
  sink.reset();
  make(path)->end_empty();
  EXPECT_EQ(read_file(path), "");
}

TEST_F(JsonLinesSinkTest, AFileBelongsToOneSinkAtATime) {
  const std::string path = folder_.write("r.jsonl", "older\n");
  auto sink = make(path);
  for (const std::int64_t limit : {0, 100}) {
    const auto second =
        JsonLinesSink::create({.path = path, .run_id = "run", .file_bytes_max = limit}, names_);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code(), ErrorCode::kInvalidArgument);
    EXPECT_THAT(second.error().message(), HasSubstr("another run of framemill"));
  }
  EXPECT_EQ(read_file(path), "older\n");
  sink.reset();
  sink = make(path);
  const auto nowhere = make("/dev/null");
  EXPECT_TRUE(JsonLinesSink::create({.path = "/dev/null", .run_id = "run"}, names_));
}

TEST_F(JsonLinesSinkTest, ANewFileOfARotationBelongsToItToo) {
  const std::string path = folder_ / "r.jsonl";
  const JsonLinesOptions options{.path = path, .run_id = "run", .file_bytes_max = 100};
  const auto sink = JsonLinesSink::create(options, names_);
  ASSERT_TRUE(sink);
  write(**sink, 3);
  ASSERT_TRUE((*sink)->flush());
  ASSERT_NE(read_file(path + ".1"), "");
  EXPECT_FALSE(JsonLinesSink::create(options, names_));
}

TEST_F(JsonLinesSinkTest, AFullDiskLeavesWholeLinesAndTheRestFollows) {
  const std::string path = folder_ / "r.jsonl";
  const auto sink = make(path);
  write(*sink, 20);
  const auto before = std::signal(SIGXFSZ, SIG_IGN);
  rlimit old{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  const rlimit small{1000, old.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const Result<void> full = sink->flush();
  const std::string torn = read_file(path);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
  (void)std::signal(SIGXFSZ, before);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code(), ErrorCode::kResourceExhausted);
  ASSERT_FALSE(torn.empty());
  EXPECT_EQ(torn.back(), '\n') << torn;
  EXPECT_EQ(sink->held(), 20 - std::ranges::count(torn, '\n'));
  ASSERT_TRUE(sink->flush());
  EXPECT_EQ(sink->held(), 0);
  const std::string all = read_file(path);
  EXPECT_EQ(std::ranges::count(all, '\n'), 20);
  for (int seq = 0; seq < 20; ++seq)
    EXPECT_THAT(all, HasSubstr("\"seq\":" + std::to_string(seq) + ","));
}

TEST_F(JsonLinesSinkTest, AReaderWhoDoesNotReadDelaysAFlushByItsPatienceOnly) {
  const std::string path = folder_ / "pipe";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  const int reader = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ASSERT_GE(reader, 0);
  const auto sink = make(path);
  const auto began = std::chrono::steady_clock::now();
  std::optional<Error> error;
  for (int i = 0; i < 2000 && !error; ++i) {
    Answer answer;
    answer.stamp.seq = next_++;
    if (const Result<void> taken = sink->write(answer); !taken) error = taken.error();
  }
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code(), ErrorCode::kUnavailable);
  EXPECT_THAT(error->message(), HasSubstr("does not read"));
  EXPECT_LT(std::chrono::steady_clock::now() - began, 10s);

  // It reads again: each line once and whole. The one that was refused is offered again.
  std::string all;
  std::array<char, 65536> part{};
  bool is_done = false;
  while (!is_done) {
    ssize_t bytes = 0;
    while ((bytes = ::read(reader, part.data(), part.size())) > 0)
      all.append(part.data(), static_cast<std::size_t>(bytes));
    is_done = sink->flush().has_value();
  }
  ssize_t bytes = 0;
  while ((bytes = ::read(reader, part.data(), part.size())) > 0)
    all.append(part.data(), static_cast<std::size_t>(bytes));
  ::close(reader);
  EXPECT_EQ(std::ranges::count(all, '\n'), next_ - 1);
  EXPECT_EQ(all.back(), '\n');
}

}  // namespace
}  // namespace framemill

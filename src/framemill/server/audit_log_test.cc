#include "framemill/server/audit_log.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "framemill/base/check.h"
#include "framemill/base/temp_folder_for_test.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;

class AuditLogTest : public testing::Test {
 protected:
  std::unique_ptr<AuditLog> open() {
    Result<std::unique_ptr<AuditLog>> log = AuditLog::create(path_, clock_);
    CHECK(log.has_value());
    return std::move(*log);
  }
  static std::vector<nlohmann::json> lines(const std::string& path) {
    std::vector<nlohmann::json> parsed;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) parsed.push_back(nlohmann::json::parse(line));
    return parsed;
  }

  const TempFolder folder_;
  const std::string path_ = folder_ / "audit.jsonl";
  ManualClock clock_;
};

TEST_F(AuditLogTest, SaysWhoSetWhatWithoutValues) {
  open()->add({.who = "anna",
               .peer = "10.0.0.7",
               .action = "PATCH /api/v1/cameras/gate-1",
               .keys = {"password", "zones"},
               .status = 200});
  const auto all = lines(path_);
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0]["who"], "anna");
  EXPECT_EQ(all[0]["keys"], (nlohmann::json{"password", "zones"}));
  EXPECT_EQ(all[0]["status"], 200);
  EXPECT_FALSE(all[0].contains("error"));
}

TEST_F(AuditLogTest, WhoeverIsNotLetInCannotFillTheDisk) {
  const auto log = open();
  const std::string long_name(16'000, 'a');
  for (int i = 0; i < 1000; ++i)
    log->add({.who = "nobody", .peer = "10.0.0.7", .action = "POST /" + long_name, .status = 401});
  log->add({.who = "anna", .peer = "10.0.0.8", .action = "POST /done", .status = 201});
  auto all = lines(path_);
  ASSERT_EQ(all.size(), AuditLog::kRefusalsMax + 1U);
  EXPECT_LT(all[0]["action"].get<std::string>().size(), 300U);
  EXPECT_EQ(all.back()["who"], "anna") << "what is done is always told";
  EXPECT_EQ(all.back()["left_out"], 1000 - AuditLog::kRefusalsMax);

  clock_.advance(AuditLog::kRefusalsTime);
  log->add({.who = "nobody", .peer = "10.0.0.7", .action = "POST /", .status = 403});
  all = lines(path_);
  EXPECT_EQ(all.back()["status"], 403);
  EXPECT_FALSE(all.back().contains("left_out"));
}

TEST_F(AuditLogTest, AFullFileMovesUpAndTheLastOneGoes) {
  const auto log = open();
  for (int i = 0; i < AuditLog::kOldFiles + 3; ++i) {
    std::filesystem::resize_file(path_, AuditLog::kBytesMax);
    log->add({.who = "anna", .peer = "::1", .action = "POST /" + std::to_string(i), .status = 200});
    EXPECT_EQ(lines(path_).size(), 1U);
  }
  EXPECT_TRUE(std::filesystem::exists(path_ + "." + std::to_string(AuditLog::kOldFiles)));
  EXPECT_FALSE(std::filesystem::exists(path_ + "." + std::to_string(AuditLog::kOldFiles + 1)));
}

TEST_F(AuditLogTest, AFileThatWasMovedAwayIsBegunAnew) {
  const auto log = open();
  log->add({.who = "anna", .peer = "::1", .action = "POST /1", .status = 200});
  std::filesystem::rename(path_, folder_ / "rotated");
  log->add({.who = "anna", .peer = "::1", .action = "POST /2", .status = 200});
  EXPECT_EQ(lines(folder_ / "rotated").size(), 1U);
  ASSERT_EQ(lines(path_).size(), 1U);
  EXPECT_EQ(lines(path_)[0]["action"], "POST /2");
}

}  // namespace
}  // namespace framemill

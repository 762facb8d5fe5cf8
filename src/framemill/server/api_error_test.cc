#include "framemill/server/api_error.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "framemill/server/static_files.h"

namespace framemill {
namespace {

TEST(SplitMessage, FindsPlaceAndRemedy) {
  const std::tuple<const char*, const char*, const char*, const char*> cases[] = {
      {"cameras[gate-1].slo: \"40\" is not a duration; write one like \"200ms\"",
       "cameras[gate-1].slo", "\"40\" is not a duration", "write one like \"200ms\""},
      {"site.yaml:14: cameras[a].url: is missing", "site.yaml:14: cameras[a].url", "is missing",
       ""},
      {"the run: it ends; try again", "the run", "it ends", "try again"},
      {"no place: at all; none", "", "no place: at all", "none"},
      {"", "", "", ""}};
  for (const auto& [message, where, error, remedy] : cases) {
    const ApiProblem problem = split_message(message);
    EXPECT_EQ(problem.where, where) << message;
    EXPECT_EQ(problem.error, error) << message;
    EXPECT_EQ(problem.remedy, remedy) << message;
  }
}

TEST(ErrorResponse, ListsAllProblems) {
  const HttpResponse response =
      error_response(Error(ErrorCode::kInvalidArgument, "a: is wrong; write b\nc: is bad"), "body");
  EXPECT_EQ(response.status, 400);
  const auto body = nlohmann::json::parse(*response.body);
  EXPECT_EQ(body["code"], "invalid_argument");
  EXPECT_EQ(body["error"], "is wrong");
  EXPECT_EQ(body["where"], "a");
  EXPECT_EQ(body["problems"].size(), 2U);
  EXPECT_FALSE(body["problems"][1]["remedy"].get<std::string>().empty());
}

TEST(ErrorResponse, HasAStatusForEachCode) {
  const std::pair<ErrorCode, int> cases[] = {
      {ErrorCode::kInvalidArgument, 400}, {ErrorCode::kNotFound, 404},
      {ErrorCode::kUnsupported, 400},     {ErrorCode::kFailedPrecondition, 409},
      {ErrorCode::kUnavailable, 503},     {ErrorCode::kResourceExhausted, 503},
      {ErrorCode::kInternal, 500}};
  for (const auto& [code, status] : cases)
    EXPECT_EQ(error_response(Error(code, "x"), "y").status, status);
}

TEST(FindStaticFile, ServesTheTableAndNothingElse) {
  const StaticFile files[] = {
      {.path = "/", .content_type = "text/html; charset=utf-8", .bytes = "page", .hash = "1"},
      {.path = "/assets/app-12ab.js",
       .content_type = "text/javascript",
       .bytes = "code",
       .hash = "2",
       .is_hash_in_path = true}};
  const auto get = [&](const char* path, const char* tag = "") {
    HttpRequest request;
    request.path = path;
    request.if_none_match = tag;
    return find_static_file(files, request);
  };
  EXPECT_EQ(*get("/").body, "page");
  EXPECT_EQ(*get("/cameras/gate-1").body, "page");  // a page of the dashboard
  EXPECT_EQ(*get("/assets/app-12ab.js").body, "code");
  EXPECT_EQ(get("/", "\"1\"").status, 304);
  EXPECT_EQ(get("/", "\"0\"").status, 200);
  for (const char* path : {"/assets/other.js", "/../etc/passwd.txt", "/etc/passwd.txt", "/api/v1/x",
                           "/favicon.ico", "/assets/../assets/app-12ab.js"})
    EXPECT_EQ(get(path).status, 404) << path;
  const auto has_header = [](const HttpResponse& response, const char* name, const char* part) {
    for (const auto& [key, value] : response.headers)
      if (key == name && value.find(part) != std::string::npos) return true;
    return false;
  };
  EXPECT_TRUE(has_header(get("/assets/app-12ab.js"), "Cache-Control", "immutable"));
  EXPECT_TRUE(has_header(get("/"), "Cache-Control", "no-cache"));
  EXPECT_TRUE(has_header(get("/"), "Content-Security-Policy", "default-src 'self'"));
}

}  // namespace
}  // namespace framemill

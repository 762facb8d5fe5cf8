#include "framemill/server/api_error.h"

#include <memory>
#include <vector>

#include <nlohmann/json.hpp>

namespace framemill {
namespace {

using Json = nlohmann::ordered_json;

struct Meaning {
  int status;
  std::string_view code;
};

Meaning meaning_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return {400, "invalid_argument"};
    case ErrorCode::kNotFound:
      return {404, "not_found"};
    case ErrorCode::kUnsupported:
      return {400, "unsupported"};
    case ErrorCode::kFailedPrecondition:
      return {409, "conflict"};
    case ErrorCode::kUnavailable:
    case ErrorCode::kResourceExhausted:
    case ErrorCode::kCancelled:
      return {503, "unavailable"};
    case ErrorCode::kInternal:
      break;
  }
  return {500, "internal"};
}

Json to_json(const ApiProblem& problem) {
  return {{"error", problem.error}, {"where", problem.where}, {"remedy", problem.remedy}};
}

HttpResponse respond(int status, std::string_view code, const ApiProblem& problem,
                     const std::vector<ApiProblem>& all) {
  Json json{{"code", code}};
  json.update(to_json(problem));
  if (all.size() > 1) {
    for (const ApiProblem& one : all) json["problems"].push_back(to_json(one));
  }
  HttpResponse response =
      json_response(json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n", status);
  if (status == 503) response.headers.emplace_back("Retry-After", "1");
  if (status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  return response;
}

}  // namespace

ApiProblem split_message(std::string_view message) {
  ApiProblem problem;
  // A place holds no space: "cameras[gate-1].slo", "site.yaml:14".
  while (true) {
    const std::size_t end = message.find(": ");
    if (end == std::string_view::npos || end == 0) break;
    const std::string_view place = message.substr(0, end);
    if (place.find(' ') != std::string_view::npos && place != "the run") break;
    if (!problem.where.empty()) problem.where += ": ";
    problem.where += place;
    message.remove_prefix(end + 2);
  }
  const std::size_t remedy = message.rfind("; ");
  if (remedy != std::string_view::npos) {
    problem.remedy = message.substr(remedy + 2);
    message = message.substr(0, remedy);
  }
  problem.error = message;
  return problem;
}

HttpResponse error_response(int status, std::string_view code, const ApiProblem& problem) {
  return respond(status, code, problem, {});
}

HttpResponse error_response(const Error& error, std::string_view where) {
  std::vector<ApiProblem> problems;
  std::string_view rest = error.message();
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    ApiProblem problem = split_message(rest.substr(0, end));
    if (problem.where.empty()) problem.where = where;
    if (problem.remedy.empty()) problem.remedy = "see docs/api.md";
    problems.push_back(std::move(problem));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (problems.empty()) problems.push_back({"unknown", std::string(where), "see docs/api.md"});
  const Meaning meaning = meaning_of(error.code());
  return respond(meaning.status, meaning.code, problems.front(), problems);
}

HttpResponse json_response(std::string text, int status) {
  return {.status = status,
          .content_type = "application/json",
          .body = std::make_shared<const std::string>(std::move(text))};
}

}  // namespace framemill

#pragma once

#include <string>
#include <string_view>

#include "framemill/base/result.h"
#include "framemill/server/http_message.h"

namespace framemill {

/// What went wrong, as the body of every answer from 400 on has it.
struct ApiProblem {
  std::string error, where, remedy;
};

/// Takes a message of ours apart: "<where>: <error>; <remedy>", each part as far as it is there.
[[nodiscard]] ApiProblem split_message(std::string_view message);

/// `code`: for programs, see the OpenAPI file.
[[nodiscard]] HttpResponse error_response(int status, std::string_view code,
                                          const ApiProblem& problem);

/// The answer to an error; `where`: the place, where the message names none. Messages of several
/// lines are several problems.
[[nodiscard]] HttpResponse error_response(const Error& error, std::string_view where);

/// A body of JSON.
[[nodiscard]] HttpResponse json_response(std::string text, int status = 200);

}  // namespace framemill

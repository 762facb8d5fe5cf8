// Fuzz target of what a client's request goes through before a handler decides: address and query
// taken apart, parameters read, and a body read as the settings of a camera. Any bytes give a value
// within its bounds or an error; never a crash, a hang or a thrown exception. Needs clang; from the
// repository's root:
//
//   clang++-14 -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -Isrc
//   tests/fuzz/http_fuzz.cc src/framemill/server/{http_message,query,api_body,api_error}.cc
//     src/framemill/server/camera_address.cc
//     $(ls src/framemill/{base,config}/*.cc | grep -v -e _test.cc -e _bench.cc)
//     -lyaml-cpp -lfmt -pthread -o http_fuzz                                      (all in one line)
//   ./http_fuzz -max_total_time=60 -timeout=5 corpus
//
// An input is an address, a line's end, and a body.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "framemill/base/check.h"
#include "framemill/config/load_settings.h"
#include "framemill/server/api_body.h"
#include "framemill/server/api_error.h"
#include "framemill/server/http_message.h"
#include "framemill/server/query.h"

namespace {

using namespace framemill;

void read_query(const HttpRequest& request) {
  Query query(request);
  const std::size_t limit = query.limit();
  CHECK(limit >= 1 && limit <= 1000);
  const std::optional<std::int64_t> cursor = query.cursor();
  CHECK(!cursor || *cursor >= 0);
  const std::optional<std::string> text = query.text("q", 64);
  CHECK(!text || text->size() <= 64);
  const std::optional<std::string> id = query.id("camera");
  CHECK(!id || (!id->empty() && id->size() <= 64));
  (void)query.time("since");
  (void)query.flag("boxes");
  const std::optional<std::string> choice = query.choice("state", "up|down");
  CHECK(!choice || *choice == "up" || *choice == "down");
  if (query.error()) CHECK(!error_response(*query.error(), "the query").body->empty());
}

void read_body(const HttpRequest& request) {
  const Result<nlohmann::ordered_json> body = parse_body(request);
  if (!body) {
    CHECK(error_response(body.error(), "body").status == 400);
    return;
  }
  CHECK(body->is_object());
  (void)check_types(*body);
  const Result<CameraSettings> camera = parse_camera(request.body, CameraSettings{});
  if (!camera) CHECK(error_response(camera.error(), "body").status < 500);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t end = std::min(text.find('\n'), text.size());
  HttpRequest request;
  if (const std::optional<HttpTarget> target = parse_target(text.substr(0, end))) {
    CHECK(target->path.starts_with('/'));
    CHECK(target->path.find('\0') == std::string::npos);
    CHECK(target->query.size() <= 64);
    request.path = target->path;
    request.query = target->query;
    read_query(request);
  }
  request.body = text.substr(std::min(end + 1, text.size()));
  if (!request.body.empty()) read_body(request);
  return 0;
}

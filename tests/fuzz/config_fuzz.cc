// Fuzz target of parse_settings(): any text gives settings that hold, or messages that name the
// file and show no secret; never a crash, a hang or a thrown exception. Needs clang; from the
// repository's root:
//
//   clang++-14 -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -Isrc
//   tests/fuzz/config_fuzz.cc
//     $(ls src/framemill/{base,config}/*.cc | grep -v -e _test.cc -e _bench.cc)
//     -lyaml-cpp -lfmt -pthread -o config_fuzz                                    (all in one line)
//   ./config_fuzz -max_total_time=60 -max_len=4096 -timeout=5 corpus tests/golden/config

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "framemill/base/check.h"
#include "framemill/base/result.h"
#include "framemill/config/load_settings.h"
#include "framemill/config/validate.h"

namespace {

constexpr std::string_view kSecret = "qZ7secret";

std::optional<std::string> fake_environment(const std::string& name) {
  if (name == "EMPTY") return "";
  if (name == "UNSET") return std::nullopt;
  return std::string(kSecret);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const framemill::Result<framemill::RunSettings> settings =
      framemill::parse_settings(text, "site.yaml", fake_environment);
  if (settings) {
    CHECK(framemill::validate(*settings).has_value());
    return 0;
  }
  const std::string& message = settings.error().message();
  CHECK(message.starts_with("site.yaml:"));
  // A text that holds the secret itself proves nothing.
  if (text.find(kSecret) == std::string_view::npos)
    CHECK(message.find(kSecret) == std::string::npos);
  return 0;
}

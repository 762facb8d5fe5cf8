#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "framemill/base/result.h"

namespace framemill {

/// SHA-256 (FIPS 180-4) of bytes that come in pieces. Not thread-safe.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void add(std::span<const std::uint8_t> bytes);
  void add(std::string_view text);
  /// The digest as 64 hex digits. Call once, at the end.
  [[nodiscard]] std::string finish();

 private:
  struct Context;
  const std::unique_ptr<Context> context_;
};

/// SHA-256 of a text, 64 hex digits.
[[nodiscard]] std::string hash_text(std::string_view text);

/// SHA-256 of the files one after the other, so that it names a model of several files. Reads at
/// 1 GB/s and more where the processor helps with SHA. Errors: kNotFound, kFailedPrecondition where
/// a file cannot be read.
[[nodiscard]] Result<std::string> hash_files(std::span<const std::string> paths);

}  // namespace framemill

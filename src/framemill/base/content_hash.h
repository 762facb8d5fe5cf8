#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "framemill/base/result.h"

namespace framemill {

/// SHA-256 (FIPS 180-4) of bytes that come in pieces. Not thread-safe.
class Sha256 {
 public:
  void add(std::span<const std::uint8_t> bytes);
  /// The digest as 64 hex digits. Call once, at the end.
  [[nodiscard]] std::string finish();

 private:
  void add_block(const std::uint8_t* block);

  std::uint32_t state_[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                             0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::uint8_t pending_[64] = {};
  std::size_t pending_count_ = 0;
  std::uint64_t total_count_ = 0;
};

/// SHA-256 of the files one after the other, so that it names a model of several files. Reads at
/// about 250 MB/s. Errors: kNotFound, kFailedPrecondition where a file cannot be read.
[[nodiscard]] Result<std::string> hash_files(std::span<const std::string> paths);

}  // namespace framemill

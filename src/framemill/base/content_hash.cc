#include "framemill/base/content_hash.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <vector>

#include <fmt/format.h>

namespace framemill {
namespace {

constexpr std::uint32_t kRoundConstants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

}  // namespace

void Sha256::add_block(const std::uint8_t* block) {
  std::uint32_t w[64];
  for (int i = 0; i < 16; ++i, block += 4)
    w[i] = static_cast<std::uint32_t>(block[0]) << 24 | static_cast<std::uint32_t>(block[1]) << 16 |
           static_cast<std::uint32_t>(block[2]) << 8 | static_cast<std::uint32_t>(block[3]);
  for (int i = 16; i < 64; ++i) {
    const std::uint32_t a = w[i - 15];
    const std::uint32_t b = w[i - 2];
    const std::uint32_t s0 = std::rotr(a, 7) ^ std::rotr(a, 18) ^ a >> 3;
    const std::uint32_t s1 = std::rotr(b, 17) ^ std::rotr(b, 19) ^ b >> 10;
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  std::uint32_t v[8];
  std::copy(std::begin(state_), std::end(state_), v);
  for (int i = 0; i < 64; ++i) {
    const std::uint32_t s1 = std::rotr(v[4], 6) ^ std::rotr(v[4], 11) ^ std::rotr(v[4], 25);
    const std::uint32_t choice = (v[4] & v[5]) ^ (~v[4] & v[6]);
    const std::uint32_t t1 = v[7] + s1 + choice + kRoundConstants[i] + w[i];
    const std::uint32_t s0 = std::rotr(v[0], 2) ^ std::rotr(v[0], 13) ^ std::rotr(v[0], 22);
    const std::uint32_t majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
    std::copy_backward(v, v + 7, v + 8);
    v[4] += t1;
    v[0] = t1 + s0 + majority;
  }
  for (int i = 0; i < 8; ++i) state_[i] += v[i];
}

void Sha256::add(std::span<const std::uint8_t> bytes) {
  total_count_ += bytes.size();
  while (!bytes.empty()) {
    if (pending_count_ == 0 && bytes.size() >= sizeof pending_) {
      add_block(bytes.data());
      bytes = bytes.subspan(sizeof pending_);
      continue;
    }
    const std::size_t count = std::min(sizeof pending_ - pending_count_, bytes.size());
    std::memcpy(pending_ + pending_count_, bytes.data(), count);
    pending_count_ += count;
    bytes = bytes.subspan(count);
    if (pending_count_ < sizeof pending_) continue;
    add_block(pending_);
    pending_count_ = 0;
  }
}

std::string Sha256::finish() {
  const std::uint64_t bit_count = total_count_ * 8;
  static constexpr std::uint8_t kPadding[64] = {0x80};
  const std::size_t used = pending_count_;
  add({kPadding, used < 56 ? 56 - used : 120 - used});  // leaves room for the length
  std::uint8_t length[8];
  for (int i = 0; i < 8; ++i) length[i] = static_cast<std::uint8_t>(bit_count >> (56 - 8 * i));
  add(length);
  std::string hex;
  for (const std::uint32_t word : state_) hex += fmt::format("{:08x}", word);
  return hex;
}

Result<std::string> hash_files(std::span<const std::string> paths) {
  Sha256 hash;
  std::vector<char> buffer(1 << 20);
  for (const std::string& path : paths) {
    std::ifstream file(path, std::ios::binary);
    if (!file)
      return fail(errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kFailedPrecondition,
                  fmt::format("{}: cannot be read: {}", path, std::strerror(errno)));
    while (file) {
      file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
      hash.add({reinterpret_cast<const std::uint8_t*>(buffer.data()),
                static_cast<std::size_t>(file.gcount())});
    }
    if (file.bad())
      return fail(ErrorCode::kFailedPrecondition, fmt::format("{}: reading broke off", path));
  }
  return hash.finish();
}

}  // namespace framemill

#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace framemill {

/// A field of a protobuf message: a number, or bytes.
struct ProtobufField {
  std::uint32_t number = 0;
  std::uint64_t value = 0;              ///< of varints
  std::span<const std::uint8_t> bytes;  ///< of length-delimited ones
};

/// The number that `rest` begins with, which is taken off it; none where it is broken. Pure.
[[nodiscard]] std::optional<std::uint64_t> take_protobuf_varint(
    std::span<const std::uint8_t>& rest);

/// The next field of a message, which is taken off it; none at its end or where it is broken. Pure.
[[nodiscard]] std::optional<ProtobufField> take_protobuf_field(
    std::span<const std::uint8_t>& message);

template <typename Use>
void for_each_protobuf_field(std::span<const std::uint8_t> message, Use use) {
  while (const std::optional<ProtobufField> field = take_protobuf_field(message)) use(*field);
}

}  // namespace framemill

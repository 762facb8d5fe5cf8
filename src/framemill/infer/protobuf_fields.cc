#include "framemill/infer/protobuf_fields.h"

namespace framemill {

using Bytes = std::span<const std::uint8_t>;

std::optional<std::uint64_t> take_protobuf_varint(Bytes& rest) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && !rest.empty(); shift += 7) {
    const std::uint8_t byte = rest.front();
    rest = rest.subspan(1);
    value |= static_cast<std::uint64_t>(byte & 0x7FU) << shift;
    if ((byte & 0x80U) == 0) return value;
  }
  return std::nullopt;
}

std::optional<ProtobufField> take_protobuf_field(Bytes& rest) {
  const std::optional<std::uint64_t> tag = take_protobuf_varint(rest);
  if (!tag) return std::nullopt;
  ProtobufField field{.number = static_cast<std::uint32_t>(*tag >> 3), .value = 0, .bytes = {}};
  std::uint64_t length = 0;
  switch (*tag & 7) {
    case 0: {
      const std::optional<std::uint64_t> value = take_protobuf_varint(rest);
      if (!value) return std::nullopt;
      field.value = *value;
      return field;
    }
    case 1:
      length = 8;
      break;
    case 5:
      length = 4;
      break;
    case 2: {
      const std::optional<std::uint64_t> size = take_protobuf_varint(rest);
      if (!size) return std::nullopt;
      length = *size;
      break;
    }
    default:
      return std::nullopt;
  }
  if (length > rest.size()) return std::nullopt;
  field.bytes = rest.first(static_cast<std::size_t>(length));
  rest = rest.subspan(static_cast<std::size_t>(length));
  return field;
}

}  // namespace framemill

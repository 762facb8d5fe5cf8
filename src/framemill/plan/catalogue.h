#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framemill/base/result.h"
#include "framemill/core/geometry.h"

namespace framemill {

/// Hardware with published figures, from data/catalogue.json, which is built into the binary. Each
/// figure has a source; what nobody published is absent.

/// A figure and where it stands.
struct PublishedFigure {
  double value = 0;    ///< > 0
  std::string source;  ///< title of it
};

struct PublishedDecode {
  std::string codec;
  double pixels_per_s = 0;  ///< of the whole device
  std::string source;
  bool is_scaled = false;  ///< what the source says of another clock or card, scaled to this one
  std::string note;        ///< how it was made of what the source says; may be empty
};

struct PublishedInference {
  std::string model;      ///< "yolo11n", lower case
  std::string precision;  ///< fp32, fp16, int8
  Size input;
  std::string runtime;
  std::size_t batch = 1;
  double frames_per_s = 0;
  /// MLPerf's: offline, server. Batches are then the submitter's choice. Empty: one batch after the
  /// other, of that size.
  std::string scenario;
  std::string source;
  std::string note;  ///< what it holds for; may be empty
};

enum class DeviceKind { kCpu, kGpu, kSoc };

struct CatalogueDevice {
  std::string name;
  std::vector<std::string> aliases;  ///< as drivers and people call it
  DeviceKind kind = DeviceKind::kGpu;
  std::optional<PublishedFigure> memory_bytes;
  std::optional<PublishedFigure> power_w;
  std::optional<PublishedFigure> cores;           ///< CPUs
  std::optional<PublishedFigure> decode_engines;  ///< what they do is in `decode`, where known
  std::vector<PublishedDecode> decode;
  std::vector<PublishedInference> inference;
};

struct Catalogue {
  std::vector<CatalogueDevice> devices;
  /// The device called so, by name or alias, case ignored; null where there is none.
  [[nodiscard]] const CatalogueDevice* find(std::string_view name) const;
};

/// Reads a catalogue; strict (data/catalogue.schema.json says what may stand there).
/// Errors: kInvalidArgument, with the place.
[[nodiscard]] Result<Catalogue> parse_catalogue(std::string_view json);

/// The one that is built in.
[[nodiscard]] const Catalogue& built_in_catalogue();
/// Its text.
[[nodiscard]] std::string_view built_in_catalogue_json();

/// What its figures make it fit for: "edge line" (up to 60 W), "very many streams" (its decoders
/// take 64 of 1080p25 at 80 %), else "data centre"; empty where no figure of decoding is known.
[[nodiscard]] std::string_view case_of(const CatalogueDevice& device);

/// Whether a model's file name ("yolo11n_640x384_int8.onnx") is that of the published `model`
/// ("yolo11n"): it starts with it, and then another word begins.
[[nodiscard]] bool is_model_called(std::string_view file_name, std::string_view model);

}  // namespace framemill

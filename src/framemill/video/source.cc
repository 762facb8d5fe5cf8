#include "framemill/video/source.h"

#include "framemill/video/ffmpeg_source.h"
#include "framemill/video/source_url.h"
#include "framemill/video/synthetic_source.h"

namespace framemill {

Result<std::unique_ptr<Source>> create_source(const SourceOptions& options, const Clock& clock) {
  const Result<UrlKind> kind = classify_url(options.url);
  if (!kind) return fail(kind.error());
  if (*kind == UrlKind::kSynthetic)
    return std::unique_ptr<Source>(std::make_unique<SyntheticSource>(options, clock));
  return std::unique_ptr<Source>(std::make_unique<FfmpegSource>(options, clock));
}

}  // namespace framemill

#pragma once

namespace framemill {

// The texts of letterbox_kernel.cu and of what it includes, put into the program by the build.
extern const char kLetterboxKernelText[];
extern const char kLetterboxPixelText[];  ///< vision/letterbox_pixel.h

}  // namespace framemill

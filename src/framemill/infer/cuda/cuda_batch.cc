#include "framemill/infer/cuda/cuda_batch.h"

#include <utility>

#include "framemill/base/check.h"

namespace framemill {
namespace {

constexpr unsigned kNonBlocking =
    1;  // CU_STREAM_NON_BLOCKING: does not wait for the default stream

CudaDriver::Address address_of(const void* memory) {
  return reinterpret_cast<CudaDriver::Address>(memory);
}

}  // namespace

struct CudaBatch::Item {
  explicit Item(const CudaDriver& driver)
      : host(driver, CudaBuffer::Kind::kPinned), device(driver, CudaBuffer::Kind::kDevice) {}
  LetterboxUpload upload;
  CudaBuffer host, device;
  bool are_tables_on_device = false;  ///< of the upload's layout
  bool is_set = false;
};

CudaBatch::CudaBatch(std::shared_ptr<const CudaLetterbox> letterbox, const Shape& shape,
                     Memory memory)
    : letterbox_(std::move(letterbox)),
      driver_(letterbox_->driver()),
      shape_(shape),
      tensor_(driver_,
              memory == Memory::kDevice ? CudaBuffer::Kind::kDevice : CudaBuffer::Kind::kPinned),
      item_table_(driver_, CudaBuffer::Kind::kPinned),
      item_table_on_device_(driver_, CudaBuffer::Kind::kDevice),
      fetched_(driver_, CudaBuffer::Kind::kPinned) {
  CHECK(shape.batch >= 1 && shape.size.width > 0 && shape.size.height > 0);
}

Result<std::unique_ptr<CudaBatch>> CudaBatch::create(std::shared_ptr<const CudaLetterbox> letterbox,
                                                     const Shape& shape, Memory memory) {
  std::unique_ptr<CudaBatch> batch(new CudaBatch(std::move(letterbox), shape, memory));
  if (const Result<void> made = batch->allocate(); !made) return fail(made.error());
  return batch;
}

Result<void> CudaBatch::allocate() {
  const CaptureGate::Use use(letterbox_->gate());
  const CudaContextScope scope(driver_, letterbox_->context());
  if (const Result<void> made =
          driver_.check(driver_.stream_create(&stream_, kNonBlocking), "a stream");
      !made)
    return made;
  for (CudaBuffer* const table : {&item_table_, &item_table_on_device_})
    if (const Result<bool> made = table->reserve(shape_.batch * sizeof(LetterboxItem)); !made)
      return fail(made.error());
  if (const Result<bool> made = tensor_.reserve(tensor_bytes()); !made) return fail(made.error());
  for (std::size_t i = 0; i < shape_.batch; ++i) items_.push_back(std::make_unique<Item>(driver_));
  if (const Result<void> cleared = driver_.check(
          driver_.fill_bytes(tensor_.address(), 0, tensor_bytes(), stream_), "clearing the input");
      !cleared)
    return cleared;
  return driver_.check(driver_.stream_wait(stream_), "clearing the input");
}

CudaBatch::~CudaBatch() {
  const CaptureGate::Use use(letterbox_->gate());
  const CudaContextScope scope(driver_, letterbox_->context());
  if (stream_ != nullptr) {
    driver_.stream_wait(stream_);
    driver_.stream_destroy(stream_);
  }
  // While the context is current: the members' own ends come after it.
  items_.clear();
  for (CudaBuffer* const buffer : {&tensor_, &item_table_, &item_table_on_device_, &fetched_})
    buffer->release();
}

std::size_t CudaBatch::item_bytes() const {
  return 3 * static_cast<std::size_t>(shape_.size.width) *
         static_cast<std::size_t>(shape_.size.height) * (shape_.is_half ? 2 : sizeof(float));
}

LetterboxTensor CudaBatch::tensor_layout() const {
  const int width = shape_.size.width;
  const long long plane = static_cast<long long>(width) * shape_.size.height;
  return {.data = tensor_.device_pointer(),
          .width = width,
          .height = shape_.size.height,
          .item_stride = 3 * plane,
          .plane_stride = shape_.is_channels_last ? 1 : plane,
          .row_stride = shape_.is_channels_last ? 3 * width : width,
          .pixel_stride = shape_.is_channels_last ? 3 : 1,
          .is_half = shape_.is_half ? 1 : 0};
}

Result<void> CudaBatch::set_picture(std::size_t index, const Picture& picture,
                                    const Letterbox& plan, const InputStyle& style) {
  CHECK(index < items_.size());
  CHECK(plan.left >= 0 && plan.left + plan.resized.width <= shape_.size.width);
  CHECK(plan.top >= 0 && plan.top + plan.resized.height <= shape_.size.height);
  Item& item = *items_[index];
  if (item.upload.prepare(picture, plan, style)) item.are_tables_on_device = false;
  if (item.host.bytes() < item.upload.bytes() || item.device.bytes() < item.upload.bytes()) {
    const CaptureGate::Use use(letterbox_->gate());
    const CudaContextScope scope(driver_, letterbox_->context());
    item.are_tables_on_device = false;
    for (CudaBuffer* const buffer : {&item.host, &item.device})
      if (const Result<bool> grown = buffer->reserve(item.upload.bytes()); !grown)
        return fail(grown.error());
  }
  if (!item.are_tables_on_device) item.upload.write_tables(item.host.host());
  item.upload.write_samples(picture, item.host.host());
  item.is_set = true;
  return {};
}

Result<void> CudaBatch::put(std::size_t index, const void* values) {
  CHECK(index < items_.size());
  const CaptureGate::Use use(letterbox_->gate());
  const CudaContextScope scope(driver_, letterbox_->context());
  items_[index]->is_set = false;
  return driver_.check(driver_.copy(tensor_.address() + index * item_bytes(), address_of(values),
                                    item_bytes(), stream_),
                       "copying an input to the device");
}

Result<void> CudaBatch::start() {
  const CaptureGate::Use use(letterbox_->gate());
  const CudaContextScope scope(driver_, letterbox_->context());
  Result<void> started = copy_and_launch();
  if (!started) {
    // What was begun still reads the pinned memory, and of the tables on the device nothing is
    // sure.
    driver_.stream_wait(stream_);
    for (const auto& item : items_) item->are_tables_on_device = false;
  }
  for (const auto& item : items_) item->is_set = false;
  return started;
}

Result<void> CudaBatch::copy_and_launch() {
  auto* const table = reinterpret_cast<LetterboxItem*>(item_table_.host());
  bool is_any_set = false;
  for (std::size_t i = 0; i < items_.size(); ++i) {
    Item& item = *items_[i];
    table[i] = {};
    if (!item.is_set) continue;
    is_any_set = true;
    table[i] = item.upload.item(item.device.device_pointer());
    const std::size_t from = item.are_tables_on_device ? item.upload.table_bytes() : 0;
    if (const Result<void> copied =
            driver_.check(driver_.copy(item.device.address() + from, item.host.address() + from,
                                       item.upload.bytes() - from, stream_),
                          "copying a picture to the device");
        !copied)
      return copied;
    item.are_tables_on_device = true;
  }
  if (!is_any_set) return {};
  if (const Result<void> copied =
          driver_.check(driver_.copy(item_table_on_device_.address(), item_table_.address(),
                                     items_.size() * sizeof(LetterboxItem), stream_),
                        "copying to the device");
      !copied)
    return copied;
  return letterbox_->launch(
      reinterpret_cast<const LetterboxItem*>(item_table_on_device_.device_pointer()),
      tensor_layout(), items_.size(), stream_);
}

Result<void> CudaBatch::wait() {
  const CaptureGate::Use use(letterbox_->gate());
  const CudaContextScope scope(driver_, letterbox_->context());
  return driver_.check(driver_.stream_wait(stream_), "letterbox on the device");
}

Result<std::span<const std::uint8_t>> CudaBatch::fetch(const void* from, std::size_t bytes) {
  const CaptureGate::Use use(letterbox_->gate());
  const CudaContextScope scope(driver_, letterbox_->context());
  if (const Result<bool> grown = fetched_.reserve(bytes); !grown) return fail(grown.error());
  if (const Result<void> copied =
          driver_.check(driver_.copy(fetched_.address(), address_of(from), bytes, stream_),
                        "copying an output from the device");
      !copied)
    return fail(copied.error());
  if (const Result<void> waited =
          driver_.check(driver_.stream_wait(stream_), "copying an output from the device");
      !waited)
    return fail(waited.error());
  return std::span<const std::uint8_t>(fetched_.host(), bytes);
}

Result<void> CudaBatch::poison(void* memory, std::size_t bytes) {
  const CaptureGate::Use use(letterbox_->gate());
  const CudaContextScope scope(driver_, letterbox_->context());
  if (const Result<void> filled =
          driver_.check(driver_.fill_bytes(address_of(memory), 0xFF, bytes, stream_),
                        "filling memory of the device");
      !filled)
    return filled;
  return driver_.check(driver_.stream_wait(stream_), "filling memory of the device");
}

}  // namespace framemill

#include "sgmae/io/tensorboard.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <string_view>
#include <utility>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/base/log.h"
#include "sgmae/io/checksum.h"
#include "sgmae/io/protobuf.h"

namespace sgmae {
namespace {

constexpr std::size_t largest_pending = 8192;  // bytes
constexpr std::string_view name_start = "events.out.tfevents.";

using namespace protobuf;

std::uint32_t masked_crc(const std::string& bytes) {
  const std::uint32_t crc =
      crc32c({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;  // TFRecord's mask
}

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// The largest number in the names of event files there, or -1.
std::int64_t last_name(const std::filesystem::path& folder) {
  std::int64_t last = -1;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    std::int64_t seconds = 0;
    if (!name.starts_with(name_start)) continue;
    const char* const digits = name.data() + name_start.size();
    std::from_chars(digits, name.data() + name.size(), seconds);
    // A name from the far future (a clock gone wrong) is not followed: ten digits sort until 2286.
    if (seconds < std::int64_t{10'000'000'000} - 1) last = std::max(last, seconds);
  }
  return last;
}

}  // namespace

EventWriter::EventWriter(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  const std::int64_t seconds =
      std::max(static_cast<std::int64_t>(seconds_now()), last_name(folder) + 1);
  for (int i = 0; path_.empty() || std::filesystem::exists(path_, error); ++i)
    path_ = folder / str(name_start, seconds, ".sgmae.", ::getpid(), ".", i);
  std::string version;
  put_bytes(version, 3, "brain.Event:2");
  add_event(version, 0);
  append_file(path_, pending_);
  pending_.clear();
}

void EventWriter::scalar(const std::string& tag, double value, std::int64_t step) {
  std::string simple_value;
  put_float(simple_value, 2, static_cast<float>(value));
  add_summary(tag, simple_value, step);
  if (pending_.size() >= largest_pending) flush();
}

void EventWriter::image(const std::string& tag, std::span<const std::uint8_t> png, int width,
                        int height, int channels, std::int64_t step) {
  std::string content, image;
  put_integer(content, 1, height);
  put_integer(content, 2, width);
  put_integer(content, 3, channels);  // Image.colorspace: 1 grey, 3 RGB
  put_bytes(content, 4, {reinterpret_cast<const char*>(png.data()), png.size()});
  put_bytes(image, 4, content);
  add_summary(tag, image, step);
  flush();
}

void EventWriter::begin_again(std::int64_t step) {
  std::string session, content;
  put_integer(session, 1, 1);  // SessionLog.status = START
  put_bytes(content, 7, session);
  add_event(content, step);
  flush();
}

void EventWriter::flush() {
  if (pending_.empty()) return;
  try {
    append_file(path_, pending_);
  } catch (const Error& error) {
    if (!std::exchange(warned_, true))
      warn(error.what(), "; some events of this run are missing from TensorBoard");
  }
  pending_.clear();
}

void EventWriter::add_summary(const std::string& tag, const std::string& value, std::int64_t step) {
  std::string entry, summary, content;
  put_bytes(entry, 1, tag);
  entry += value;
  put_bytes(summary, 1, entry);
  put_bytes(content, 5, summary);
  add_event(content, step);
}

void EventWriter::add_event(const std::string& content, std::int64_t step) {
  std::string event;
  put_double(event, 1, seconds_now());
  put_integer(event, 2, step);
  event += content;

  std::string length, frame;
  put_raw(length, static_cast<std::uint64_t>(event.size()));
  frame = length;
  put_raw(frame, masked_crc(length));
  frame += event;
  put_raw(frame, masked_crc(event));
  pending_ += frame;
}

}  // namespace sgmae

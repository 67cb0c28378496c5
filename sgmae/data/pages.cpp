// Every page of the TIFFs of another source as an image.
#include <mutex>
#include <utility>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/base/progress.h"
#include "sgmae/data/formats.h"
#include "sgmae/data/parallel.h"

namespace sgmae {
namespace {

struct Page {
  std::int64_t file = 0;
  int number = 0, of = 1;
};

class PageSource : public Source {
 public:
  PageSource(std::unique_ptr<Source> files, std::vector<Page> pages)
      : files_(std::move(files)), pages_(std::move(pages)) {
    for (const Page& page : pages_) labels_.push_back(files_->label(page.file));
    class_names_ = files_->class_names();
    left_out_ = files_->left_out();
  }

  std::int64_t size() const override { return static_cast<std::int64_t>(pages_.size()); }
  std::string name(std::int64_t index) const override {
    const Page& page = at(index);
    const std::string file = files_->name(page.file);
    return page.of == 1 ? file : str(file, "#", page.number + 1);
  }
  void open(std::int64_t index, OpenedImage& opened) const override {
    files_->open(at(index).file, opened);
    if (opened.raw.data != nullptr || opened.array) return;
    if (at(index).number > 0) {
      opened.info = read_image_info(opened.bytes, at(index).number);
      opened.size = opened.info.size;
    }
    read_nodata(opened);
  }

 protected:
  int colour_channels() const override { return files_->native_channels(); }
  std::int64_t content_mark(std::int64_t index) const override { return at(index).number; }

 private:
  const Page& at(std::int64_t index) const { return pages_[static_cast<std::size_t>(index)]; }

  std::unique_ptr<Source> files_;
  std::vector<Page> pages_;
};

}  // namespace

std::unique_ptr<Source> open_pages(std::unique_ptr<Source> files) {
  constexpr std::int64_t share = 16, threads = 4;
  std::vector<int> counts(static_cast<std::size_t>(files->size()), 1);
  std::int64_t done = 0;
  std::mutex mutex;  // guards `done`
  Progress progress("pages", files->size());
  in_parallel(files->size(), share, threads, [&] {
    return [&, opened = OpenedImage()](std::int64_t begin, std::int64_t end) mutable {
      for (std::int64_t i = begin; i < end; ++i) {
        try {
          files->open(i, opened);
          if (opened.raw.data == nullptr && !opened.array)
            counts[static_cast<std::size_t>(i)] = count_pages(opened.bytes);
        } catch (const Error&) {  // the loader will name it
        }
      }
      const std::lock_guard lock(mutex);
      done += end - begin;
      progress.show(done);
    };
  });
  std::vector<Page> pages;
  for (std::int64_t i = 0; i < files->size(); ++i)
    for (int page = 0; page < counts[static_cast<std::size_t>(i)]; ++page)
      pages.push_back({i, page, counts[static_cast<std::size_t>(i)]});
  return std::make_unique<PageSource>(std::move(files), std::move(pages));
}

}  // namespace sgmae

#include "sgmae/image/image.h"

#include "sgmae/image/codecs.h"

namespace sgmae {

void reshape(Image& image, ImageSize size, int channels) {
  image.width = size.width;
  image.height = size.height;
  image.channels = channels;
  image.pixels.resize(static_cast<std::size_t>(size.width) * static_cast<std::size_t>(size.height) *
                      static_cast<std::size_t>(channels));
}

}  // namespace sgmae

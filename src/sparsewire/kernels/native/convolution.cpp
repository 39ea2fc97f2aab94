// A sparse convolution, forward and backward, from and to images of the usual layout (batch, channels, height, width).
#include "chain.hpp"
#include "gradients.hpp"
#include "images.hpp"
#include "products.hpp"

namespace sw {
inline namespace SW_WIDE {

template <class S>
void convolution_forward(const Layer &layer, const Images &im, const S *x, S *y, int64_t threads) {
  typedef typename Wide<S>::type T;
  Numbers<S, T> numbers;
  widen<S, T>(1, &layer, &numbers);
  const Tiling<T> tiling(im.places());
  const int64_t units = im.batch * tiling.count, vectors = im.batch * tiling.columns() / lanes<T>;
  together(team(1, &layer, vectors, 1, threads), [&](int64_t me, int64_t all) {
    T *const input = scratch(kInput).of<T>(layer.inputs * Tiling<T>::wide);
    T *const output = scratch(kOutput).of<T>(layer.outputs * Tiling<T>::wide);
    for (int64_t unit = share(units, all, me); unit < share(units, all, me + 1); unit++) {
      const int64_t image = unit / tiling.count, tile = unit % tiling.count;
      const int64_t first = tiling.before(tile), count = tiling.rows(tile), W = tiling.width(tile);
      take_patches<T>(im, x + image * im.channels * im.pixels(), first, count, W, input);
      forward<T>(tiling.vectors(tile), layer, numbers.values, numbers.bias, input, output, 0, layer.groups());
      give_places<T>(output, W, im.places(), layer.outputs, first, count, y + image * layer.outputs * im.places());
    }
  });
}

// What a thread sums up for weights and bias, and where it finds its images. Threads divide the images, so that no two
// add to one pixel; each has sums of its own, which are added up in the threads' order.
template <class S, class T>
struct ImageGradients {
  const Layer &layer;
  const Images &im;
  const T *values;
  const S *x, *grad;
  S *dx;

  void tile(int64_t image, const Tiling<T> &tiling, int64_t at, T *grads, T *bias, T *dx_image) const {
    const int64_t first = tiling.before(at), count = tiling.rows(at), W = tiling.width(at), L = lanes<T>;
    T *const X = scratch(kInput).of<T>(layer.inputs * Tiling<T>::wide);
    T *const dX = scratch(kDelta).of<T>(layer.inputs * Tiling<T>::wide);
    T *const dY = scratch(kOutput).of<T>(layer.outputs * Tiling<T>::wide);
    take_places<T>(grad + image * layer.outputs * im.places(), im.places(), layer.outputs, first, count, W, dY);
    if (grads) take_patches<T>(im, x + image * im.channels * im.pixels(), first, count, W, X);
    if (dx_image) memset(dX, 0, layer.inputs * W * sizeof(T));
    for (int64_t b = 0; (grads || dx_image) && b < layer.blocks(); b++) {
      const int64_t from = b * layer.block * W;
      const Sweep<T> sweep = {&layer, b, values, X + from, dY, dx_image ? dX + from : nullptr, grads, true};
      backward<T>(W / L, sweep);
    }
    if (dx_image) add_patches<T>(im, dX, first, count, W, dx_image);
    for (int64_t r = 0; bias && r < layer.outputs; r++) {
      V<T> row = {};
      for (int64_t k = 0; k < W; k += L) row += load(dY + r * W + k);
      bias[r] += sum<T>(row);
    }
  }

  void images(int64_t from, int64_t to, T *grads, T *bias) const {
    const Tiling<T> tiling(im.places());
    const int64_t numbers = im.channels * im.pixels();
    for (int64_t image = from; image < to; image++) {
      T *pixels = nullptr;
      if constexpr (sizeof(S) == sizeof(T))
        pixels = dx ? dx + image * numbers : nullptr;
      else
        pixels = dx ? scratch(kSums).of<T>(numbers) : nullptr;
      if (pixels) memset(pixels, 0, numbers * sizeof(T));
      for (int64_t at = 0; at < tiling.count; at++) tile(image, tiling, at, grads, bias, pixels);
      if constexpr (sizeof(S) != sizeof(T))
        for (int64_t k = 0; pixels && k < numbers; k++) assign(dx[image * numbers + k], pixels[k]);
    }
  }
};

template <class S>
void convolution_backward(const Layer &layer, const Images &im, const S *x, const S *grad, S *dx, int64_t threads) {
  typedef typename Wide<S>::type T;
  Numbers<S, T> numbers;
  widen<S, T>(1, &layer, &numbers);
  const Tiling<T> tiling(im.places());
  int64_t crew = team(1, &layer, im.batch * tiling.columns() / lanes<T>, 3, threads);
  crew = crew < im.batch ? crew : im.batch > 1 ? im.batch : 1;
  const int64_t count = layer.values_grad ? layer.count : 0, biases = layer.bias_grad ? layer.outputs : 0;
  T *const sums = scratch(kOther).of<T>(crew * (count + biases));
  for (int64_t k = 0; k < crew * (count + biases); k++) sums[k] = 0;
  const ImageGradients<S, T> job = {layer, im, numbers.values, x, grad, dx};
  together(crew, [&](int64_t me, int64_t all) {
    T *const own = sums + me * (count + biases);
    job.images(share(im.batch, all, me), share(im.batch, all, me + 1), count ? own : nullptr,
               biases ? own + count : nullptr);
  });
  for (int64_t k = 0; k < count + biases; k++) {
    T total = 0;
    for (int64_t part = 0; part < crew; part++) total += sums[part * (count + biases) + k];
    assign(k < count ? static_cast<S *>(layer.values_grad)[k] : static_cast<S *>(layer.bias_grad)[k - count], total);
  }
}

}  // namespace SW_WIDE
}  // namespace sw

using namespace sw;

// type: 0 float, 1 double, 2 bfloat16. layer, images: structs of junctions.hpp and images.hpp.
SW_EXPORT(convolution_forward)
(int64_t type, const Layer *layer, const Images *images, const void *x, void *y, int64_t threads) {
  if (type == 0)
    convolution_forward(*layer, *images, (const float *)x, (float *)y, threads);
  else if (type == 1)
    convolution_forward(*layer, *images, (const double *)x, (double *)y, threads);
  else
    convolution_forward(*layer, *images, (const bfloat16 *)x, (bfloat16 *)y, threads);
}

// dx, and in `layer` values_grad and bias_grad: null where they are not wanted.
SW_EXPORT(convolution_backward)
(int64_t type, const Layer *layer, const Images *images, const void *x, const void *grad, void *dx, int64_t threads) {
  if (type == 0)
    convolution_backward(*layer, *images, (const float *)x, (const float *)grad, (float *)dx, threads);
  else if (type == 1)
    convolution_backward(*layer, *images, (const double *)x, (const double *)grad, (double *)dx, threads);
  else
    convolution_backward(*layer, *images, (const bfloat16 *)x, (const bfloat16 *)grad, (bfloat16 *)dx, threads);
}

// The C interface that Python calls through ctypes. Every pointer is to contiguous memory of the stated type; nothing
// is kept between calls, so any number of threads may call at once (but for one memory bank, which one must own).
#include "bank.h"
#include "blend.h"
#include "contributions.h"
#include "harmonics.h"
#include "image_loss.h"
#include "projection.h"
#include "softmax.h"
#include "sparse_channels.h"
#include "votes.h"

using namespace splat;

#define SPLAT_API extern "C" __attribute__((visibility("default")))

SPLAT_API int splat_padded_channels(int channels) { return padded_channels(channels); }

SPLAT_API void splat_project(int64_t n, const Camera* camera, const Gaussians* in, const Projected* out, int threads) {
  project(n, *camera, *in, *out, threads);
}

SPLAT_API void splat_project_backward(int64_t n, const Camera* camera, const Gaussians* in, const int32_t* radii,
                                      const ProjectedGradient* upstream, const GaussiansGradient* out, int threads) {
  project_backward(n, *camera, *in, radii, *upstream, *out, threads);
}

SPLAT_API int64_t splat_count_entries(int64_t n, const float* means2d, const float* conics, const float* opacities,
                                      const int32_t* radii, int width, int height, Bounds* bounds, int64_t* offsets,
                                      int threads) {
  return count_entries(n, means2d, conics, opacities, radii, Grid(width, height), bounds, offsets, threads);
}

SPLAT_API void splat_fill_entries(int64_t n, const float* depths, const Bounds* bounds, int width, int height,
                                  const int64_t* offsets, int32_t* entries, int threads) {
  fill_entries(n, depths, bounds, Grid(width, height), offsets, entries, threads);
}

SPLAT_API int splat_blend(int channels, const Splats* in, int width, int height, const Image* out,
                          const SparseChannels* sparse, const TiledChannels* tiled, int threads) {
  return blend(channels, *in, Grid(width, height), *out, sparse, tiled, threads);
}

SPLAT_API int splat_blend_backward(int channels, int64_t n, const Splats* in, int width, int height,
                                   const Image* forward, const ImageGradient* upstream, float* buffers, int threads) {
  return blend_backward(channels, n, *in, Grid(width, height), *forward, *upstream, buffers, threads);
}

SPLAT_API int64_t splat_place_channels(const SparseChannels* channels, const int64_t* offsets, const int32_t* entries,
                                       int width, int height, int64_t* starts, int threads) {
  return place_channels(*channels, offsets, entries, Grid(width, height), starts, threads);
}

SPLAT_API void splat_classify_votes(const Classifier* classifier, const TiledChannels* votes, const View* view,
                                    int width, int height, int32_t* labels, float* confidences, int threads) {
  classify_votes(*classifier, *votes, *view, Grid(width, height), labels, confidences, threads);
}

SPLAT_API int64_t splat_place_tables(const int32_t* labels, const int64_t* offsets, int width, int height,
                                     int64_t* starts, int threads) {
  return place_tables(labels, offsets, Grid(width, height), starts, threads);
}

SPLAT_API int64_t splat_fill_tables(const Splats* in, const int32_t* labels, int width, int height,
                                    const int64_t* starts, float* tables, int threads) {
  return fill_tables(*in, labels, Grid(width, height), starts, tables, threads);
}

SPLAT_API int64_t splat_sum_tables(int64_t n, const int32_t* labels, const int64_t* offsets, const int32_t* entries,
                                   int width, int height, const int64_t* starts, const float* tables, Contribution* out,
                                   int threads) {
  return sum_tables(n, labels, offsets, entries, Grid(width, height), starts, tables, out, threads);
}

SPLAT_API void splat_harmonics(int64_t n, const Harmonics* in, float* out, int threads) {
  harmonics(n, *in, out, threads);
}

SPLAT_API void splat_harmonics_backward(int64_t n, const Harmonics* in, const float* upstream,
                                        const HarmonicsGradient* out, int threads) {
  harmonics_backward(n, *in, upstream, *out, threads);
}

SPLAT_API void splat_nearest(int64_t items, int dim, int count, int64_t stride, const float* features,
                             const float* weights, float tau, const int32_t* groups, int32_t* rows, float* confidences,
                             int threads) {
  nearest(items, dim, count, stride, features, weights, tau, groups, rows, confidences, threads);
}

SPLAT_API void splat_own_log_probability(int64_t items, int dim, int count, const float* features, const float* weights,
                                         float tau, const int32_t* rows, float* result, int threads) {
  own_log_probability(items, dim, count, features, weights, tau, rows, result, threads);
}

SPLAT_API void splat_cross_entropy(int64_t items, int dim, int count, const float* features, const float* weights,
                                   const int32_t* labels, float min_length, float* feature_gradient,
                                   float* weight_gradient, CrossEntropy* result, int threads) {
  *result = cross_entropy(items, dim, count, features, weights, labels, min_length, feature_gradient, weight_gradient,
                          threads);
}

SPLAT_API void splat_compare(const Picture* picture, const float* rendered, const float* photo, float* slopes,
                             Resemblance* result, int threads) {
  *result = compare(*picture, rendered, photo, slopes, threads);
}

SPLAT_API void splat_compare_backward(const Picture* picture, const float* rendered, const float* photo,
                                      const float* slopes, const Resemblance* weights, float* gradient, int threads) {
  compare_backward(*picture, rendered, photo, slopes, *weights, gradient, threads);
}

SPLAT_API void splat_place(Bank* bank, int64_t masks, const int64_t* offsets, const int64_t* gaussians,
                           const Rules* rules, int founding, int32_t* instances) {
  place(*bank, masks, offsets, gaussians, *rules, founding, instances);
}

// 0: any processor of this architecture; 1: AVX2 and FMA; 2: AVX-512 as well.
SPLAT_API int splat_processor_level() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return 0;
  const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  return wide ? 2 : 1;
#else
  return 0;
#endif
}

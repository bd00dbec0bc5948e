// The softmax of tau times the cosine between features and the rows of a classifier, over many features at once.
//
// Everywhere: features is items x dim, of any length; weights is count x dim. No matrix of items x count is kept.
#pragma once

#include <cstdint>

namespace splat {

// The row (unit length each, at least one) with the highest cosine, and the probability of all rows of its group; -1 and
// 0 for a feature that is zero or not finite. Among equal cosines the first row wins. Groups are numbers below 2^24.
void nearest(int64_t items, int dim, int count, int64_t stride, const float* features, const float* weights, float tau,
             const int32_t* groups, int32_t* rows, float* confidences, int threads);

// Logarithm of the probability of each feature's own row (unit length each); rows[i] is in [0, count). A feature
// without direction has the same probability everywhere.
void own_log_probability(int64_t items, int dim, int count, const float* features, const float* weights, float tau,
                         const int32_t* rows, float* result, int threads);

struct CrossEntropy {
  double loss;  // summed over labelled features
  int64_t labelled, right;
};

// Cross entropy of the logits (weights . feature) / max(|feature|, min_length) for labels from 1; label 0 takes no part.
// Writes the gradients of the summed loss: items x dim and count x dim.
CrossEntropy cross_entropy(int64_t items, int dim, int count, const float* features, const float* weights,
                           const int32_t* labels, float min_length, float* feature_gradient, float* weight_gradient,
                           int threads);

}  // namespace splat

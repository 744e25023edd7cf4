"use strict";
// The stepper: computes one output of a layer at a time again, in double precision, from the layer's input.
(() => {
  const R = (window.Receptive = window.Receptive || {});
  const S = (R.stepper = {});

  // A packed array as {dims, values}. A vector becomes channels of one place each.
  const planes = (packed) => {
    const { dims, values } = R.unpack(packed);
    return { dims: dims.length === 1 ? [dims[0], 1, 1] : dims, values };
  };

  // A setting for height and width. A single number is used for both.
  S.pair = (value, otherwise) => {
    if (value === undefined || value === null) return [otherwise, otherwise];
    return Array.isArray(value) ? value : [value, value];
  };

  // Padding before and after, for height and width. With `same`, an odd pixel goes after.
  S.padding = (value, kernel, dilation) => {
    if (value === "same")
      return [0, 1].map((axis) => {
        const total = dilation[axis] * (kernel[axis] - 1);
        return [Math.floor(total / 2), total - Math.floor(total / 2)];
      });
    return S.pair(value === "valid" ? 0 : value, 0).map((p) => [p, p]);
  };

  // A part of a layer and its position in the whole. at(channel, row, column) counts from the corner of the whole
  // layer, and is NaN outside the part.
  S.part = (packed, origin, full) => {
    const { dims, values } = planes(packed);
    const [channels, h, w] = dims;
    const [r0, c0] = origin;
    return {
      channels,
      values,
      rows: [r0, r0 + h],
      columns: [c0, c0 + w],
      full: full.length === 1 ? [full[0], 1, 1] : full,
      vector: full.length === 1,
      has: (r, c) => r >= r0 && r < r0 + h && c >= c0 && c < c0 + w,
      at: (channel, r, c) =>
        channel < channels && r >= r0 && r < r0 + h && c >= c0 && c < c0 + w
          ? values[(channel * h + r - r0) * w + c - c0]
          : NaN,
      plane: (channel) => values.subarray(channel * h * w, (channel + 1) * h * w),
    };
  };

  S.layer = (layer) => ({
    ...layer,
    x: S.part(layer.input, layer.origin.input, layer.full.input),
    y: S.part(layer.output, layer.origin.output, layer.full.output),
    w: layer.weight && R.unpack(layer.weight),
    b: layer.bias && R.unpack(layer.bias).values,
  });

  // Compares the value computed here with the layer's value, with as many digits as both have in common, six at most.
  // `size` is the sum of the absolute values of all terms, `terms` is their number. The values may differ only by
  // rounding in single precision.
  S.agree = (computed, given, size, terms) => {
    const same = (digits) => R.number(computed, digits) === R.number(given, digits);
    let digits = 6;
    while (digits > 1 && !same(digits)) digits--;
    const allowed = (terms + 16) * 2 ** -23 * size;
    return {
      digits,
      right: Math.abs(computed - given) <= allowed,
      computed: R.number(computed, digits),
      given: R.number(given, digits),
      difference: Math.abs(computed - given),
    };
  };

  S.sum = (values) => values.reduce((total, value) => total + value, 0);

  S.range = (n) => Array.from({ length: n }, (_, i) => i);

  const kinds = {
    Conv2d: "conv",
    ConvTranspose2d: "transposed",
    Linear: "linear",
    MaxPool2d: "pool",
    AvgPool2d: "pool",
    AdaptiveMaxPool2d: "pool",
    AdaptiveAvgPool2d: "pool",
    BatchNorm1d: "norm",
    BatchNorm2d: "norm",
    Softmax: "softmax",
    LogSoftmax: "softmax",
  };

  // Shows the steps of a layer in `root`. layer = {path, kind, describe, attrs, input, output, weight, bias,
  // running_mean, running_var, origin, full}, as in Steps of steps.rs.
  R.mountStepper = (root, layer) => {
    const stepper = R.el("div", { class: "stepper", "data-kind": layer.kind });
    root.append(stepper);
    S[kinds[layer.kind]](stepper, S.layer(layer));
  };
})();
